//! Every `vuln-gate` command line that a page or script shows is one that it understands, and its page has
//! the words of the code.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../../../tests/support/command_lines.rs"]
mod command_lines;

use clap::Parser as _;
use vuln_gate::judge::{RULES, reason};
use vuln_gate::model::{Format, Gap, Outcome};

const PAGE: &str = include_str!("../../../docs/vuln-gate.md");

#[test]
fn every_shown_command_line_is_understood() {
    let lines = command_lines::of("vuln-gate");
    assert!(
        lines.len() >= 10,
        "{} lines: are the pages found?",
        lines.len()
    );
    for line in lines {
        let parsed = vuln_gate::args::Cli::try_parse_from(&line.words);
        assert!(parsed.is_ok(), "{}: {:?}", line.place, line.words);
    }
}

#[test]
fn the_page_lists_every_code_with_the_words_of_the_code() {
    let gaps = Gap::ALL.map(|(gap, words)| (gap.as_str(), words));
    for (code, words) in reason::ALL.iter().chain(RULES).chain(&gaps) {
        assert!(PAGE.contains(&format!("| `{code}` | {words} |")), "{code}");
    }
    for outcome in [
        Outcome::Clean,
        Outcome::Findings,
        Outcome::Error,
        Outcome::Empty,
        Outcome::NotAReport,
        Outcome::Unchecked,
    ] {
        assert!(PAGE.contains(&format!("| `{}` | ", outcome.as_str())));
    }
    for format in Format::ALL {
        assert!(PAGE.contains(&format!("| `{format}`")), "{format}");
    }
}

#[test]
fn every_rule_that_decides_is_in_the_table() {
    // Rules are named where they are made; the table must know each of them.
    let source = include_str!("../src/judge/decide.rs");
    let mut found = 0;
    for piece in source
        .split("Decision::new(")
        .skip(1)
        .chain(source.split("ignore(").skip(1))
    {
        let head = &piece[..piece.len().min(160)];
        let name = head.split('"').nth(1).unwrap_or_default();
        if !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            found += 1;
            assert!(RULES.iter().any(|(rule, _)| *rule == name), "{name}");
        }
    }
    assert!(found >= 10, "{found}");
}

#[test]
fn the_commented_start_is_a_section_that_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("goldensignals.toml");
    for text in [
        vuln_gate::init::TEXT.to_owned(),
        // With every key that is commented out.
        vuln_gate::init::TEXT
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(key) if key.contains(" = ") => key,
                _ => line,
            })
            .collect::<Vec<_>>()
            .join("\n"),
    ] {
        std::fs::write(&path, text).unwrap();
        let args = vuln_gate::args::PolicyArgs {
            config: gs_common::cli::ConfigArgs {
                config: Some(path.clone()),
            },
            ..Default::default()
        };
        let config = vuln_gate::config::Config::resolve(&args, &Default::default(), folder.path());
        assert!(config.is_ok(), "{:?}", config.err());
    }
}
