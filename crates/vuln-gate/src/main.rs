//! Parse, run, end with a code.

use std::process::ExitCode;

fn main() -> ExitCode {
    gs_common::outside::run(vuln_gate::command_line)
}
