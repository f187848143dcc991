//! A simulated service and the binary beside it, with a clean environment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unused_imports,
    reason = "tests, and not every file uses every helper"
)]

use std::path::Path;

use assert_cmd::Command;
use gs_sim::{Plan, Pod, Sim};
use serde_json::Value;

#[path = "../../../../tests/support/service.rs"]
mod service;

pub(crate) use service::{Run, broken, clean, sim};

/// A service with pods of these versions.
pub(crate) fn pods(versions: &[&str]) -> Sim {
    let pods = versions
        .iter()
        .map(|version| Pod {
            version: (*version).to_owned(),
            ..Pod::default()
        })
        .collect();
    Sim::start(&Plan {
        pods,
        ..Plan::default()
    })
    .unwrap()
}

/// The binary.
pub(crate) fn tool(arguments: &[&str]) -> Command {
    clean(env!("CARGO_BIN_EXE_smoke-test"), arguments)
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
    change(&mut command);
    Run::of(&mut command)
}

impl Run {
    /// The reasons of the checks with this verdict, with their targets.
    pub(crate) fn reasons(&self, verdict: &str) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|check| check["verdict"] == verdict)
            .map(|check| (text(&check["reason"]), text(&check["target"])))
            .collect()
    }
}

/// Writes a suite file.
pub(crate) fn suite(folder: &Path, text: &str) -> String {
    let path = folder.join("suite.toml");
    gs_common::file::write_atomic(&path, |out| out.write_all(text.as_bytes())).unwrap();
    path.display().to_string()
}
