//! The live table on a real terminal.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::process::{Command, Stdio};

use common::sim;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A terminal of this size: our end and the one for the program.
fn terminal(rows: u16, columns: u16) -> (File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = OpenOptions::new()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&theirs, size).unwrap();
    (ours.into(), theirs)
}

/// What a run with this terminal as its stderr wrote there.
fn shown(rows: u16, columns: u16, more: &[&str]) -> String {
    let sim = sim(Vec::new());
    let (mut ours, theirs) = terminal(rows, columns);
    let mut command = Command::new(env!("CARGO_BIN_EXE_load-test"));
    command
        .env_clear()
        .env("TERM", "xterm")
        .args([&sim.url(), "--users", "5", "--duration", "3s"])
        .args(more)
        .args(["--max-lateness", "1m", "--output", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(theirs);
    let mut child = command.spawn().unwrap();
    // It holds the other end of the terminal, whose end would else never be seen.
    drop(command);
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    // The end of a terminal is an error (EIO) on Linux, and no bytes elsewhere.
    while let Ok(read @ 1..) = ours.read(&mut piece) {
        bytes.extend_from_slice(&piece[..read]);
    }
    child.wait().unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_terminal_shows_every_endpoint_while_the_run_goes_on() {
    let text = shown(50, 120, &[]);
    assert!(text.contains("stage hold"), "{text}");
    let head = "endpoint";
    assert!(text.matches(head).count() >= 3, "{text}");
    assert!(text.contains("p50 ms     p95 ms     p99 ms"), "{text}");
    let row = text
        .lines()
        .find(|line| line.contains("/api/v1/") && line.split_whitespace().count() == 7)
        .unwrap_or_else(|| panic!("no row of an endpoint:\n{text}"));
    assert!(!row.contains("NaN"), "{row}");
    // The table is drawn over itself.
    assert!(text.contains("\u{1b}[2K"), "{text}");
}

#[test]
fn a_small_terminal_is_never_wrapped_or_scrolled() {
    let text = shown(12, 50, &[]);
    // The cursor never goes up further than the terminal is high.
    for up in text.split("\u{1b}[").skip(1) {
        let (digits, rest) = up.split_at(up.find(|c: char| !c.is_ascii_digit()).unwrap());
        if rest.starts_with('A') {
            let lines: u16 = digits.parse().unwrap();
            assert!(lines < 12, "{lines} lines up\n{text}");
        }
    }
    assert!(text.contains(" more"), "{text}");
}

#[test]
fn quiet_is_quiet_on_a_terminal_too() {
    let text = shown(50, 120, &["-q"]);
    assert!(!text.contains("stage hold"), "{text}");
}
