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

#[test]
fn the_judges_page_lists_every_parameter_with_its_default() {
    let page = include_str!("../../../docs/canary-judge.md");
    let rows: std::collections::BTreeMap<&str, f64> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
            Some((name, cells.next()?.parse().ok()?))
        })
        .collect();
    // The names of the members, as the derived text has them: none can be left out.
    let text = format!("{:#?}", canary_monitor::judge::Policy::default());
    let members: Vec<(&str, f64)> = text
        .lines()
        .filter_map(|line| {
            let (name, value) = line.trim().trim_end_matches(',').split_once(": ")?;
            Some((name, value.parse().ok()?))
        })
        .collect();
    assert!(members.len() >= 28, "{text}");
    for (name, value) in &members {
        assert_eq!(rows.get(name), Some(value), "{name}");
    }
    assert_eq!(
        rows.len(),
        members.len(),
        "the page has rows that the code has not"
    );
}

#[test]
fn the_page_of_integrations_lists_every_reason_with_the_words_of_the_code() {
    let page = include_str!("../../../docs/canary-integrations.md");
    let reasons = canary_monitor::backtest::REASONS
        .into_iter()
        .chain(canary_monitor::serve::standing::REASONS);
    for (code, doc) in reasons {
        assert!(page.contains(&format!("| `{code}` | {doc} |")), "{code}");
    }
    for (_, name) in canary_monitor::serve::gate::Hook::ALL {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}
