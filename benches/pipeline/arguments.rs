use anyhow::{Context as _, bail};

use crate::copy_loop::Route;

pub(crate) const HELP: &str = "\
Compares `paczek run` with a plain copy of the same records.

  --times N   repetitions, of which medians are shown (1)
  --json      one JSON object instead of the table

PACZEK_BENCH_INPUT names the file of clickstream, in Alibaba's format.";

/// The argument by which this executable, in a process of its own, becomes the copy loop.
pub(crate) const COPY_LOOP: &str = "copy-loop";

pub(crate) struct Arguments {
    pub(crate) job: Job,
    pub(crate) json: bool,
}

pub(crate) enum Job {
    Compare { times: usize },
    CopyLoop(Route),
    Help,
}

impl Arguments {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let (mut times, mut json) = (1, false);
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                COPY_LOOP => return Ok(Self { job: Job::CopyLoop(route(arguments)?), json }),
                "--times" => times = positive(arguments.next())?,
                "--json" => json = true,
                // cargo's own.
                "--bench" => {}
                "--help" | "-h" => return Ok(Self { job: Job::Help, json }),
                unknown => bail!("{unknown} means nothing here\n{HELP}"),
            }
        }
        Ok(Self { job: Job::Compare { times }, json })
    }
}

fn route(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Route> {
    let mut next = || arguments.next().context("copy-loop needs: bootstrap servers, source, target, group");
    Ok(Route { bootstrap: next()?, source: next()?, target: next()?, group: next()? })
}

fn positive(text: Option<String>) -> anyhow::Result<usize> {
    let number = text.and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.context("--times needs a number of 1 or more")
}
