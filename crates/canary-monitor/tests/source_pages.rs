//! The page about sources says what the code says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use canary_monitor::source::{SourceArgs, diagnosis};
use clap::Args as _;

const PAGE: &str = include_str!("../../../docs/canary-sources.md");

#[test]
fn the_page_lists_every_code_of_doctor_with_the_words_of_the_code() {
    for (code, words) in diagnosis::ALL {
        assert!(PAGE.contains(&format!("| `{code}` | {words} |")), "{code}");
    }
}

#[test]
fn the_page_tells_of_every_option() {
    let command = SourceArgs::augment_args(clap::Command::new("x"));
    let options: Vec<&str> = command
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .collect();
    assert!(options.len() >= 30, "{options:?}");
    for option in options {
        assert!(PAGE.contains(&format!("--{option}")), "{option}");
    }
}

/// What the page says of faults stands in the code, but for what is filled in.
#[test]
fn the_page_quotes_the_sentences_of_the_code() {
    let mut sources = String::new();
    collect(
        std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/source")),
        &mut sources,
    );
    let sources: String = sources.split_whitespace().collect::<Vec<_>>().join(" ");
    let table = PAGE.split("## What a fault says").nth(1).unwrap();
    let mut quoted = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let said = row.split('|').nth(2).unwrap();
        for sentence in said.split('`').skip(1).step_by(2) {
            // Numbers, names and dots stand for what is filled in.
            let parts = sentence.split(|c: char| c.is_ascii_digit() || "().{}`".contains(c));
            let longest = parts.max_by_key(|part| part.len()).unwrap().trim();
            assert!(sources.contains(longest), "`{longest}` of `{sentence}`");
            quoted += 1;
        }
    }
    assert!(quoted >= 25, "{quoted}");
}

fn collect(folder: &std::path::Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, all);
        } else {
            *all += &std::fs::read_to_string(path).unwrap();
        }
    }
}
