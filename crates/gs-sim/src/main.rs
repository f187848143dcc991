//! Parse, run, end with a code.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    gs_sim::cli::run(&gs_sim::cli::Cli::parse())
}
