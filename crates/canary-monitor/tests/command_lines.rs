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

#[test]
fn every_flag_of_a_run_stands_on_its_page() {
    use clap::{Args as _, CommandFactory as _};
    let pages = concat!(
        include_str!("../../../docs/canary-monitor.md"),
        include_str!("../../../docs/report.md"),
        include_str!("../../../docs/configuration.md"),
    );
    // The flags of sources have a page of their own.
    let sources = canary_monitor::source::SourceArgs::augment_args(clap::Command::new("sources"));
    let of_sources: Vec<_> = sources
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .collect();
    let command = canary_monitor::args::Cli::command();
    for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
        if of_sources.contains(&flag) {
            continue;
        }
        assert!(
            pages.contains(&format!("--{flag}")),
            "--{flag} stands on no page"
        );
    }
}

#[test]
fn the_page_names_every_kind_of_line_in_a_log() {
    let page = include_str!("../../../docs/canary-monitor.md");
    let code = include_str!("../src/log/mod.rs");
    let lines = code.split("pub enum Line {").nth(1).unwrap();
    let lines = lines.split("\n}").next().unwrap();
    // Variants stand four spaces in.
    let variants = lines.lines().filter_map(|line| line.strip_prefix("    "));
    let variants = variants.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    let names: Vec<String> = variants
        .map(|line| {
            line.split(|c: char| !c.is_ascii_alphabetic())
                .next()
                .unwrap()
                .to_lowercase()
        })
        .filter(|name| name != "unknown")
        .collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
}
