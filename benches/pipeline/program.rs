use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context as _, ensure};

/// The real `paczek`, as a user runs it.
pub(crate) struct Program {
    path: PathBuf,
}

impl Program {
    /// The one built beside this executable; built now if there is none.
    pub(crate) fn find(root: &Path) -> anyhow::Result<Self> {
        let executable = std::env::current_exe()?;
        // target/release/deps/pipeline-<hash>
        let release = executable.ancestors().nth(2).context("this executable lies in no target folder")?;
        let path = release.join("paczek");
        if !path.is_file() {
            let target = release.parent().context("this executable lies in no target folder")?;
            eprintln!("{} is missing: building it with `make build`", path.display());
            // make knows compiler and features: with others, RocksDB would be compiled once more.
            let made = Command::new("make")
                .arg("build")
                .current_dir(root)
                .env("CARGO_TARGET_DIR", target)
                .stdout(std::io::stderr())
                .status()?;
            ensure!(made.success(), "`make build` failed");
        }
        if let Some(source) = newer_source(&path) {
            eprintln!(
                "warning: {} is newer than {}: `make build` renews it",
                source.display(),
                path.display()
            );
        }
        Ok(Self { path })
    }

    /// A command of the program that sees no setting of whoever runs this: figures are to be compared.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        plain_command(&self.path, arguments)
    }

    /// Runs a command of the program to its end; its answer.
    pub(crate) fn ask(&self, arguments: &[&OsStr]) -> anyhow::Result<serde_json::Value> {
        let answer = self.command(arguments).stdin(Stdio::null()).output()?;
        let said = || String::from_utf8_lossy(&answer.stderr).into_owned();
        ensure!(answer.status.success(), "paczek {arguments:?} failed: {}", said());
        serde_json::from_slice(&answer.stdout)
            .with_context(|| format!("paczek {arguments:?} answered no JSON"))
    }
}

/// A command that ends with this process, however this one ends.
pub(crate) fn plain_command<A: AsRef<OsStr>>(
    program: &Path,
    arguments: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(program).args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PACZEK_") {
            command.env_remove(name);
        }
    }
    command
}

/// A source that has changed since the program was built, by the list that cargo leaves beside it.
fn newer_source(program: &Path) -> Option<PathBuf> {
    let changed = |path: &Path| -> Option<SystemTime> { path.metadata().ok()?.modified().ok() };
    let built = changed(program)?;
    let sources = std::fs::read_to_string(program.with_extension("d")).ok()?;
    let mut sources = sources.split_whitespace().skip(1).map(PathBuf::from);
    sources.find(|source| changed(source).is_some_and(|changed| changed > built))
}
