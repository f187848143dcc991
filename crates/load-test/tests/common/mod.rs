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
use gs_sim::Sim;
use serde_json::Value;

#[path = "../../../../tests/support/service.rs"]
mod service;

pub(crate) use service::{Run, broken, clean, sim};

/// How much a service answered, once it is at least so much.
pub(crate) fn served(sim: &Sim, at_least: u64) -> u64 {
    let all = sim.served_once(at_least);
    all.iter().map(|served| served.count).sum()
}

/// The binary.
pub(crate) fn tool(arguments: &[&str]) -> Command {
    clean(env!("CARGO_BIN_EXE_load-test"), arguments)
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
    change(&mut command);
    Run::of(&mut command)
}

impl Run {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.report[name].as_str().unwrap_or_default()
    }

    pub(crate) fn total(&self, name: &str) -> u64 {
        self.report["details"]["total"][name].as_u64().unwrap_or(0)
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
