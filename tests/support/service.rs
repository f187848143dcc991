//! A simulated service, a tool beside it with a clean environment, and what its run came to.

use std::process::Output;
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

/// A service with a fault everywhere.
pub(crate) fn broken(kind: Kind) -> Sim {
    sim(vec![Fault::new(kind)])
}

/// A binary without any variable that could change what it does.
pub(crate) fn clean(binary: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .args(arguments)
        .timeout(Duration::from_secs(60));
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

impl Run {
    /// Runs a command that writes its report as JSON to stdout.
    #[track_caller]
    pub(crate) fn of(command: &mut Command) -> Self {
        command.args(["--output", "json"]);
        let began = Instant::now();
        let output = command.output().unwrap();
        Self::read(&output, began.elapsed())
    }

    /// Reads the report on stdout.
    #[track_caller]
    pub(crate) fn read(output: &Output, took: Duration) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "no report: {error}\n{}\n{stderr}",
                String::from_utf8_lossy(&output.stdout)
            )
        });
        Self {
            code: output.status.code().unwrap_or(-1),
            report,
            stderr,
            took,
        }
    }

    pub(crate) fn check(&self, id: &str) -> &Value {
        let checks = self.report["checks"].as_array().unwrap();
        checks
            .iter()
            .find(|check| check["id"] == id)
            .unwrap_or_else(|| panic!("no check {id}"))
    }
}
