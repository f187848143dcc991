//! Parse, run, end with a code.

use std::process::ExitCode;

fn main() -> ExitCode {
    gs_common::outside::run(secret_scan::command_line)
}
