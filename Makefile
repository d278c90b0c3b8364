# Pączek. Two commands do everything on a fresh Debian 12; each installs what it needs and says so:
#   make demo                            the whole pipeline in one process, on a made-up shop
#   make demo INPUT=FILE FORMAT=segment  the same on a file, such as crates/paczek/demo/shoppers.jsonl
#   make test                            formatting, lints, documentation, then every test
#   make chaos FOR=90m                   every fault and the kills at scale, on Apache Kafka; goes on where it ended
# And: audit · bench · bench-failover · kafka-up · kafka-down · clean

INPUT  ?=
FORMAT ?= segment
CHECKS ?= bans licenses sources
NODES  ?= 1
FOR    ?= 120m

# How many tests ran, from what they printed.
SUM := /^test result:/ { passed += $$4; failed += $$6 } \
       END { printf "%d passed, %d failed\n", passed, failed }

# From what criterion prints: what was measured, and the middle of three numbers, once.
THROUGHPUT := /^[^ ].*\/[^ ]/ { name = $$0; sub(/ *time:.*/, "", name) } \
              /thrpt:/ && !/%/ { printf "%-40s %8s %s\n", name, $$4, $$5 }

SHELL := /bin/bash
.DEFAULT_GOAL := demo
.PHONY: demo test build tools tools-for-tests announce audit bench bench-failover chaos kafka-up kafka-down clean
.NOTPARALLEL:

# RocksDB takes most of a first build. It is compiled once because every command below uses one target folder,
# outside the checkout, one profile (release), one compiler, and one selection of features (--workspace).
export CARGO_TARGET_DIR ?= $(HOME)/.cache/paczek/target
# Asked for anew before each command, since `tools` may just have installed ccache.
export CC  = $(if $(shell command -v ccache),ccache )clang
export CXX = $(if $(shell command -v ccache),ccache )clang++
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin
CARGO_TOOLS := $(HOME)/.cache/paczek/tools

demo: build
	$(CARGO_TARGET_DIR)/release/paczek demo $(if $(INPUT),--input $(INPUT) --format $(FORMAT))

test: tools-for-tests announce
	cargo fmt --check
	cargo clippy --release --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --locked
	set -o pipefail; cargo test --release --workspace --locked | tee $(CARGO_TARGET_DIR)/tests.txt
	@awk '$(SUM)' $(CARGO_TARGET_DIR)/tests.txt

build: tools announce
	cargo build --release --workspace --locked

tools:
	@deploy/install-tools

tools-for-tests:
	@deploy/install-tools test

announce:
	@ls $(CARGO_TARGET_DIR)/release/build/librocksdb-sys-*/output >/dev/null 2>&1 || \
	  echo "The first build compiles RocksDB: about $$(( (36 + $$(nproc) - 1) / $$(nproc) )) minutes on $$(nproc) cores, once."

# Which libraries may come in, by whom, under which licence: deny.toml. CHECKS=advisories also asks the network.
audit: $(CARGO_TOOLS)/bin/cargo-deny
	$< check $(CHECKS)

# Built in cargo's own temporary folder: it shares nothing with the project.
$(CARGO_TOOLS)/bin/cargo-deny: | tools
	env -u CARGO_TARGET_DIR cargo install --locked cargo-deny --version '^0.20' --root $(CARGO_TOOLS)

# Pure functions and the store, instructions, then the pipeline on Kafka; a short table each.
bench: build
	@deploy/install-tools bench
	set -o pipefail; cargo bench --workspace --locked --bench pure -- --noplot 2>/dev/null | awk '$(THROUGHPUT)'
	cargo bench --workspace --locked --bench instructions
	cargo bench --workspace --locked --bench pipeline

# Every row of the fault bench, then rounds of kills under load. Tries that ended are kept and not made again.
chaos: tools-for-tests build
	$(CARGO_TARGET_DIR)/release/chaos --all --for $(FOR)

# How soon it goes on after kill -9, beside a Kafka Streams application in $PACZEK_PEER; the table goes into README.md.
bench-failover: build
	@deploy/install-tools bench
	cargo bench --workspace --locked --bench failover -- --write README.md

kafka-up: tools-for-tests
	@deploy/kafka/kafka up $(NODES)

kafka-down:
	@deploy/kafka/kafka down

# Keeps the compiled RocksDB; `rm -r` of $(CARGO_TARGET_DIR) removes that too.
clean:
	cargo clean --release --workspace
