//! The rows of the first tier, small, on an Apache Kafka that the bench starts and stops itself.

use std::process::{Command, Stdio};

#[test]
fn the_first_tier_loses_and_doubles_nothing() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let mut bench = Command::new(env!("CARGO_BIN_EXE_chaos"));
    bench.args(["--tier", "1", "--small", "--state"]).arg(folder.path().join("tries.json"));
    let output = bench.stdin(Stdio::null()).output()?;
    let (table, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{table}\n{said}");
    assert!(output.status.success(), "{table}\n{said}");
    Ok(())
}
