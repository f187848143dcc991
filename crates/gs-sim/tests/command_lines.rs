//! Every `gs-sim` command line that a page or script shows is one that `gs-sim` understands.

#[path = "../../../tests/support/command_lines.rs"]
mod command_lines;

use clap::Parser as _;

#[test]
fn every_shown_command_line_is_understood() {
    let lines = command_lines::of("gs-sim");
    assert!(!lines.is_empty(), "no page shows the tool");
    for line in lines {
        // A script's variables stand for addresses and the like.
        let words = line.words.iter().map(|word| match word.as_str() {
            "$url" | "$control" => "http://127.0.0.1:9090".to_owned(),
            word => word.replace("$out", "/tmp"),
        });
        gs_sim::cli::Cli::try_parse_from(words)
            .unwrap_or_else(|error| panic!("{}: {:?}\n{error}", line.place, line.words));
    }
}
