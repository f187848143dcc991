//! Every `load-test` command line that a page or script shows is one that `load-test` understands, and the
//! pages say what the code says.

#[path = "../../../tests/support/command_lines.rs"]
mod command_lines;

use clap::Parser as _;

fn page(name: &str) -> String {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn every_shown_command_line_is_understood() {
    let lines = command_lines::of("load-test");
    assert!(
        lines.len() > 10,
        "{} lines: are the pages found?",
        lines.len()
    );
    for line in lines {
        let parsed = load_test::args::Cli::try_parse_from(&line.words);
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
fn every_shown_goal_is_understood() {
    let mut seen = 0;
    for line in command_lines::of("load-test") {
        let mut words = line.words.iter();
        while let Some(word) = words.next() {
            if word == "--goal" {
                let text = words.next().cloned().unwrap_or_default();
                assert!(
                    load_test::goal::Goal::parse(&text).is_ok(),
                    "{}: {text}",
                    line.place
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 3, "{seen} goals: are the pages found?");
}

#[test]
fn the_page_lists_every_reason_with_the_words_of_the_code() {
    let page = page("load-test.md");
    for (code, doc) in load_test::judge::reason::ALL {
        assert!(
            page.contains(&format!("| `{code}` | {doc} |")),
            "docs/load-test.md lacks `{code}`: {doc}"
        );
    }
    for (_, code, doc) in load_test::result::ErrorKind::ALL {
        assert!(
            page.contains(&format!("| `{code}` | {doc} |")),
            "docs/load-test.md lacks `{code}`: {doc}"
        );
    }
}

#[test]
fn every_persona_file_that_a_page_shows_is_read() {
    let page = page("load-personas.md");
    let mut seen = 0;
    for block in page.split("```toml\n").skip(1) {
        let text = block.split("```").next().unwrap_or_default();
        let inputs = load_test::persona::read::Inputs {
            dry: true,
            ..Default::default()
        };
        let read = load_test::persona::read::read_str(
            "docs/load-personas.md",
            text,
            std::path::Path::new("."),
            &inputs,
        );
        assert!(read.is_ok(), "{text}\n{read:?}");
        seen += 1;
    }
    assert!(seen > 1, "{seen} files: is the page found?");
}
