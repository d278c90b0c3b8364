//! The one binary: command line, configuration, the topology on one screen, the adapters between the pure
//! crates and the runtime.
//!
//! Knows: everybody, every topic name, flag, port and exit code.
//! Must not know: the answer to any question about a customer or an item. It decides nothing.

mod check;
mod cli;
mod config;
mod demo;
mod digest;
mod disk;
mod embedded;
mod explain;
mod generate;
mod headers;
mod http;
mod input;
mod load;
mod pipeline;
mod problem;
mod processors;
mod profile;
mod read;
mod registry;
#[cfg(test)]
mod rehearsal;
mod reshard;
mod run;
mod simulate;
mod speaking;
mod story;
mod tap;
mod topics;
mod topology;

pub use cli::{Hooks, main, main_with};
pub use config::{Config, SourceConfig};
pub use digest::{Digest, TopicDigest, digests};
pub use embedded::Embedded;
pub use input::{Row, read_rows};
pub use load::{End, RawRecord, raw_records, write_raw};
pub use problem::Problem;
pub use speaking::{Switch, speaking, switch};
