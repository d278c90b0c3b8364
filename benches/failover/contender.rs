use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::program::{Program, plain_command};

/// Who is killed.
pub(crate) enum Contender<'a> {
    /// `paczek run` as it is shipped, with one standby copy.
    Paczek(&'a Program),
    /// The Kafka Streams application, in its folder; Kafka Streams' own defaults for all that failover rests on.
    Streams(PathBuf),
}

/// An instance that runs; it ends with this value.
pub(crate) struct Instance(Child);

impl Contender<'_> {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Paczek(_) => "Pączek",
            Self::Streams(_) => "Kafka Streams",
        }
    }

    /// The topic of its profile updates.
    pub(crate) fn output(&self) -> &'static str {
        match self {
            Self::Paczek(_) => "p.profile-updates",
            Self::Streams(_) => "profile-updates",
        }
    }

    /// Makes the topics, and builds what is to be built.
    pub(crate) fn prepare(&self, bootstrap: &str, folder: &Path) -> anyhow::Result<()> {
        match self {
            Self::Paczek(program) => {
                let config = configuration(bootstrap, folder, "one")?;
                let arguments =
                    [OsStr::new("--json"), OsStr::new("--config"), config.as_os_str(), OsStr::new("topics")];
                program.ask(&[&arguments[..], &[OsStr::new("apply")]].concat()).map(drop)
            }
            Self::Streams(peer) => build(peer),
        }
    }

    pub(crate) fn start(&self, bootstrap: &str, folder: &Path, instance: &str) -> anyhow::Result<Instance> {
        let mut command = match self {
            Self::Paczek(program) => {
                let config = configuration(bootstrap, folder, instance)?;
                program.command([OsStr::new("--config"), config.as_os_str(), OsStr::new("run")])
            }
            Self::Streams(peer) => {
                let state = state(folder, instance);
                let arguments = [OsStr::new("--bootstrap"), OsStr::new(bootstrap), OsStr::new("--state-dir")];
                let arguments = [&arguments[..], &[state.as_os_str()]].concat();
                plain_command(&peer.join("streams/twin"), arguments)
            }
        };
        let log = fs::File::create(folder.join(format!("{instance}.log")))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Instance(child))
    }
}

impl Instance {
    /// kill -9, and nothing of it is left when this returns.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where an instance keeps its state.
pub(crate) fn state(folder: &Path, instance: &str) -> PathBuf {
    folder.join(format!("{instance}-state"))
}

fn configuration(bootstrap: &str, folder: &Path, instance: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(format!("{instance}.toml"));
    let state = state(folder, instance);
    fs::write(
        &path,
        format!(
            "topic_prefix = 'p.'\nstate_dir = '{}'\nleast_free_disk = 0\nhttp = ''\n[kafka]\nbootstrap = '{bootstrap}'\n[standby]\ncopies = 1\n\
             [[sources]]\nname = 'clickstream'\nformat = 'segment'\nkind = 'historic'\ncurrency = 'EUR'\n",
            state.display()
        ),
    )?;
    Ok(path)
}

fn build(peer: &Path) -> anyhow::Result<()> {
    let streams = peer.join("streams");
    if streams.join("target/libs").is_dir() {
        return Ok(());
    }
    eprintln!("building the Kafka Streams application");
    let target = format!("-DoutputDirectory={}", streams.join("target/libs").display());
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f", "pom.xml", "package", "dependency:copy-dependencies", &target]);
    let built = maven.current_dir(&streams).stdout(std::io::stderr()).status()?;
    ensure!(built.success(), "the Kafka Streams application was not built");
    Ok(())
}
