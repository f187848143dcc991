//! A simulated service and the binary beside it, with a clean environment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    reason = "tests, and not every file uses every helper"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use gs_sim::{Fault, Kind, Plan, Sim};
use serde_json::Value;

/// A service with these faults.
pub(crate) fn sim(faults: Vec<Fault>) -> Sim {
    Sim::start(&Plan {
        faults,
        ..Plan::default()
    })
    .unwrap()
}

/// How much a service answered, once it is at least so much.
pub(crate) fn served(sim: &Sim, at_least: u64) -> u64 {
    let all = sim.served_once(at_least);
    all.iter().map(|served| served.count).sum()
}

/// A service with a fault everywhere.
pub(crate) fn broken(kind: Kind) -> Sim {
    sim(vec![Fault::new(kind)])
}

/// The binary without any variable that could change what it does.
pub(crate) fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load-test"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .args(arguments);
    command.timeout(Duration::from_secs(60));
    command
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) report: Value,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

/// Runs the tool and reads its report.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Run {
    run_in(arguments, |_| {})
}

/// The same with a change to the command.
#[track_caller]
pub(crate) fn run_in(arguments: &[&str], change: impl FnOnce(&mut Command)) -> Run {
    let mut command = tool(arguments);
    // Tests share this machine with others; how late it is says nothing of the code.
    if arguments.first() != Some(&"check") {
        command.args(["--max-lateness", "1m"]);
    }
    command.args(["--output", "json"]);
    change(&mut command);
    let began = Instant::now();
    let output = command.output().unwrap();
    read(&output, began.elapsed())
}

/// Reads the report on stdout.
#[track_caller]
pub(crate) fn read(output: &std::process::Output, took: Duration) -> Run {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "no report: {error}\n{}\n{stderr}",
            String::from_utf8_lossy(&output.stdout)
        )
    });
    Run {
        code: output.status.code().unwrap_or(-1),
        report,
        stderr,
        took,
    }
}

impl Run {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.report[name].as_str().unwrap_or_default()
    }

    pub(crate) fn total(&self, name: &str) -> u64 {
        self.report["details"]["total"][name].as_u64().unwrap_or(0)
    }

    pub(crate) fn check(&self, id: &str) -> &Value {
        let checks = self.report["checks"].as_array().unwrap();
        checks
            .iter()
            .find(|check| check["id"] == id)
            .unwrap_or_else(|| panic!("no check {id}"))
    }

    /// The counts of errors by kind.
    pub(crate) fn errors(&self) -> serde_json::Map<String, Value> {
        self.report["details"]["total"]["errors"]
            .as_object()
            .cloned()
            .unwrap_or_default()
    }
}

/// Writes a persona file.
pub(crate) fn personas(folder: &Path, text: &str) -> String {
    let path = folder.join("personas.toml");
    gs_common::file::write_atomic(&path, |out| out.write_all(text.as_bytes())).unwrap();
    path.display().to_string()
}

/// A persona that asks for one path without a pause.
pub(crate) const SIMPLE: &str = r#"
[[personas]]
name = "one"
think = "20ms"
[[personas.tasks]]
name = "signals"
steps = [{ get = "/api/v1/signals", expect = { api = true } }]
"#;
