//! Every `canary-monitor` command line that a page or script shows is one that it understands.

#[path = "../../../tests/support/command_lines.rs"]
mod command_lines;

use clap::Parser as _;

#[test]
fn every_shown_command_line_is_understood() {
    let lines = command_lines::of("canary-monitor");
    assert!(
        lines.len() >= 3,
        "{} lines: are the pages found?",
        lines.len()
    );
    for line in lines {
        let parsed = canary_monitor::args::Cli::try_parse_from(&line.words);
        assert!(parsed.is_ok(), "{}: {:?}", line.place, line.words);
    }
}

#[test]
fn the_page_lists_every_reason_with_the_words_of_the_code() {
    let page = include_str!("../../../docs/canary-monitor.md");
    for (code, doc) in canary_monitor::judge::reason::ALL {
        assert!(page.contains(&format!("| `{code}` | {doc} |")), "{code}");
    }
}
