//! Every `secret-scan` command line that a page or script shows is one that `secret-scan` understands.

#[path = "../../../tests/support/command_lines.rs"]
mod command_lines;

use clap::Parser as _;

#[test]
fn every_shown_command_line_is_understood() {
    let lines = command_lines::of("secret-scan");
    assert!(
        lines.len() > 10,
        "{} lines: are the pages found?",
        lines.len()
    );
    for line in lines {
        let parsed = secret_scan::args::Cli::try_parse_from(&line.words);
        if let Err(error) = parsed {
            let asked = matches!(
                error.kind(),
                clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion
            );
            assert!(asked, "{}: {:?}\n{error}", line.place, line.words);
        }
    }
}

#[test]
fn the_page_lists_every_reason_with_the_words_of_the_code() {
    let page = include_str!("../../../docs/secret-scan.md");
    for (code, doc) in secret_scan::judge::reason::ALL {
        assert!(
            page.contains(&format!("| `{code}` | {doc} |")),
            "docs/secret-scan.md lacks `{code}`: {doc}"
        );
    }
}
