//! Parse, run, end with a code.

use std::process::ExitCode;

fn main() -> ExitCode {
    gs_common::outside::run(smoke_test::command_line)
}
