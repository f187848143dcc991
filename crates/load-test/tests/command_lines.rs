//! Every `load-test` command line that a page or script shows is one that `load-test` understands, and the
//! pages say what the code says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

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

/// As the head of the manifest has `date` write it.
const START_AT: &str = "20261126T100000Z";

/// What each pod of the Job would do, short of opening a connection: its arguments are resolved with the
/// variables that Kubernetes gives it, and all pods together make the load.
#[test]
fn the_pods_of_the_job_share_its_load() {
    let path = format!(
        "{}/../../deploy/load-test-job.yaml",
        env!("CARGO_MANIFEST_DIR")
    );
    let job = std::fs::read_to_string(path).unwrap();
    let number = |key: &str| {
        let line = job.lines().find_map(|line| line.trim().strip_prefix(key));
        line.and_then(|text| text.trim().parse::<u64>().ok())
            .unwrap()
    };
    let pods = number("completions:");
    assert_eq!(number("parallelism:"), pods, "all shards at the same time");
    let lines = command_lines::of("load-test");
    let line = lines
        .iter()
        .find(|line| {
            line.place.contains("load-test-job.yaml")
                && line.words.iter().any(|word| word.contains("--shard"))
        })
        .unwrap();
    let (mut users, mut files) = (0, std::collections::BTreeSet::new());
    for index in 0..pods {
        let words = line.words.iter().map(|word| {
            word.replace("START_AT_PLACEHOLDER", START_AT)
                .replace("$(JOB_COMPLETION_INDEX)", &index.to_string())
        });
        let cli = load_test::args::Cli::try_parse_from(words).unwrap();
        let variables = [("JOB_COMPLETION_INDEX".to_owned(), index.to_string())].into();
        let folder = std::path::Path::new("/");
        let mut config = load_test::config::Config::resolve(&cli.run, &variables, folder).unwrap();
        load_test::extras::Extras::resolve(&cli.run, &variables, &mut config).unwrap();
        assert_eq!(config.plan.shard, Some((index as u32, pods as u32)));
        let load_test::result::Model::Closed { users: share } = config.plan.model else {
            panic!("the Job has users");
        };
        users += share;
        files.insert(cli.run.export.hlog.unwrap());
    }
    assert!(line.words.contains(&format!("--users={users}")), "{users}");
    assert_eq!(files.len() as u64, pods, "each pod writes a log of its own");
    // What is copied and merged in the end is what the pods wrote, and wrote in this run: the volume outlives a run,
    // and four whole logs of the one before are a pass. Neither `kubectl cp` nor every file system takes a colon.
    assert!(!START_AT.contains(':'));
    let copy =
        "kubectl cp load-test-results:/results/$START_AT-shard-$i.hlog $START_AT-shard-$i.hlog\n";
    assert!(job.contains(copy) && job.contains("load-test merge $START_AT-shard-*.hlog "));
    assert!(job.contains("for i in 0 1 2 3; do\n") && pods == 4);
    for (index, file) in files.iter().enumerate() {
        assert_eq!(
            file.to_string_lossy(),
            format!("/results/{START_AT}-shard-{index}.hlog")
        );
    }
    // Whoever waits for the Job waits at least as long as it may take, and sees it fail.
    let wait = job
        .lines()
        .find(|line| line.contains("kubectl wait --for=jsonpath"));
    let minutes = wait.and_then(|line| line.split("--timeout=").nth(1)?.split('m').next());
    assert!(minutes.unwrap().parse::<u64>().unwrap() * 60 > number("activeDeadlineSeconds:"));
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
