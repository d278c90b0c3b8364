use std::path::PathBuf;

use anyhow::{Context as _, bail};

pub(crate) const HELP: &str = "\
Kills `paczek run` and a Kafka Streams application with -9, and tells how soon every partition speaks again.

  --profiles N   profiles each of them holds (1000000)
  --rows N       rows of the changelog that is read into an empty store (2000000)
  --write PAGE   also puts the table between the marks <!-- failover --> of a page
  --json         one JSON object instead of the table

PACZEK_PEER names the folder of the Kafka Streams application (../shared/peer).";

pub(crate) struct Arguments {
    pub(crate) profiles: u64,
    pub(crate) rows: u64,
    pub(crate) write: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) help: bool,
}

impl Arguments {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut parsed = Self { profiles: 1_000_000, rows: 2_000_000, write: None, json: false, help: false };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--profiles" => parsed.profiles = positive(arguments.next())?,
                "--rows" => parsed.rows = positive(arguments.next())?,
                "--write" => parsed.write = Some(arguments.next().context("--write needs a page")?.into()),
                "--json" => parsed.json = true,
                "--help" | "-h" => parsed.help = true,
                // cargo's own.
                "--bench" => {}
                unknown => bail!("{unknown} means nothing here\n{HELP}"),
            }
        }
        Ok(parsed)
    }
}

fn positive(text: Option<String>) -> anyhow::Result<u64> {
    let number = text.and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.context("a number of 1 or more is missing")
}
