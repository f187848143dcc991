//! Which program an engine is, how it is called, and whether it is the one that was meant.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use common::{FINISHED, World, world};

/// A TruffleHog that notes how it was called for the history.
fn noting(world: &World, otherwise: &str) -> std::path::PathBuf {
    let notes = world.path("calls");
    let script = format!(
        "case \"$*\" in *stdin*) ;; *) echo \"$*\" >> {} ;; esac\n{otherwise}\n{FINISHED}; exit 0",
        notes.display()
    );
    world.engine("trufflehog", &script);
    notes
}

fn calls(notes: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(notes).unwrap();
    std::fs::remove_file(notes).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_repository_is_read_in_place_only_where_nothing_bends_what_git_shows() {
    const IN_PLACE: &str = "--trust-local-git-config";
    let mut world = world();
    let notes = noting(&world, "");
    let reads = |world: &World, in_place: bool, why: &str| {
        world.scan(&[]).is(0, "pass", "no_secrets");
        let calls = calls(&notes);
        assert_eq!(calls.len(), 1, "{why}: {calls:?}");
        assert_eq!(calls[0].contains(IN_PLACE), in_place, "{why}: {calls:?}");
    };
    reads(&world, true, "a plain repository");
    world.git(&["config", "remote.origin.url", "https://host.example/x"]);
    reads(&world, true, "a remote");
    world.git(&["config", "diff.noprefix", "true"]);
    reads(&world, false, "a setting of the log");
    world.git(&["config", "--unset", "diff.noprefix"]);
    let more = world.path("more").display().to_string();
    std::fs::write(&more, "[color]\n\tui = always\n").unwrap();
    world.git(&["config", "include.path", &more]);
    reads(&world, false, "the same in an included file");
    world.git(&["config", "--unset", "include.path"]);
    world.write("staged.txt", "staged\n");
    world.git(&["add", "staged.txt"]);
    reads(&world, false, "something staged");
    world.git(&["rm", "--quiet", "--cached", "staged.txt"]);
    let attributes = world.repo().join(".git/info/attributes");
    std::fs::create_dir_all(attributes.parent().unwrap()).unwrap();
    std::fs::write(&attributes, "* -diff\n").unwrap();
    reads(&world, false, "attributes of the clone");
    std::fs::remove_file(&attributes).unwrap();
    world.git(&["replace", "HEAD", "HEAD~1"]);
    reads(&world, false, "a replaced commit");
    world.git(&["replace", "--delete", "HEAD"]);
    reads(&world, true, "a plain repository again");
}

#[test]
fn an_old_trufflehog_that_only_clones_is_called_again() {
    let world = world();
    let refuse = r#"case "$*" in *--trust-local*) echo "trufflehog: error: unknown long flag '--trust-local-git-config', try --help" >&2; exit 1 ;; esac"#;
    let notes = noting(&world, refuse);
    let run = world.scan(&[]);
    run.is(0, "pass", "no_secrets");
    assert_eq!(run.engine("trufflehog")["outcome"], "complete");
    let calls = calls(&notes);
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(!calls[1].contains("--trust-local"), "{calls:?}");
}

#[test]
fn a_git_that_breaks_off_below_trufflehog_is_tried_again_from_a_clone() {
    const BROKEN: &str = r#"{"level":"info-2","ts":"x","logger":"trufflehog","msg":"Error waiting for git command to complete.","error":"context canceled"}"#;
    let world = world();
    let broken = format!(r#"case "$*" in *--trust-local*) echo '{BROKEN}' >&2 ;; esac"#);
    let notes = noting(&world, &broken);
    world.scan(&[]).is(0, "pass", "no_secrets");
    assert_eq!(calls(&notes).len(), 2);
    // Not a third time.
    let notes = noting(&world, &format!("echo '{BROKEN}' >&2"));
    world.scan(&[]).is(3, "inconclusive", "git_error");
    assert_eq!(calls(&notes).len(), 2);
}

#[test]
fn any_program_with_the_command_line_of_gitleaks_will_do() {
    let world = world();
    std::fs::rename(world.path("bin/gitleaks"), world.path("bin/betterleaks")).unwrap();
    world
        .scan(&["--gitleaks-bin", "betterleaks"])
        .is(0, "pass", "no_secrets");
}

#[test]
fn the_doctor_says_what_is_there_and_how_to_get_the_rest() {
    let world = world();
    world.engine("trufflehog", "echo 'trufflehog 3.97.0' >&2");
    let run = world.run(&["doctor", "--output", "json"]);
    run.is(0, "pass", "healthy");
    assert_eq!(run.engine("trufflehog")["version"], "3.97.0");
    std::fs::remove_file(world.path("bin/gitleaks")).unwrap();
    let run = world.run(&["doctor"]);
    assert_eq!(run.code, 3);
    assert!(
        run.out
            .contains("go install github.com/zricethezav/gitleaks/v8@v8.30.1"),
        "{}",
        run.out
    );
}

/// The SHA-256 of an engine's file as the system's own program tells it.
fn sha256sum(world: &World, name: &str) -> String {
    let output = std::process::Command::new("sha256sum")
        .arg(world.path("bin").join(name))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

fn pin(world: &World, name: &str, hash: &str) {
    let text = format!(
        "[secret-scan]\n{name}-sha256 = [\"{}\", \"{hash}\"]\n",
        "0".repeat(64)
    );
    world.write("goldensignals.toml", text);
}

#[test]
fn the_report_says_which_file_judged() {
    let world = world();
    let doctor = world.run(&["doctor", "--output", "json"]);
    let run = world.scan(&[]);
    for name in ["gitleaks", "trufflehog"] {
        let path = world.path("bin").join(name).display().to_string();
        for report in [&doctor, &run] {
            assert_eq!(report.engine(name)["path"], path);
            assert_eq!(report.engine(name)["sha256"], sha256sum(&world, name));
        }
    }
    let staged_only = world.run(&["doctor"]);
    let shown = staged_only.out + &staged_only.err;
    assert!(shown.contains(&sha256sum(&world, "gitleaks")), "{shown}");
    // Another file with the same behaviour is another file.
    world.engine("trufflehog", &format!("{FINISHED}; exit 0 # swapped"));
    let after = world.scan(&[]);
    after.is(0, "pass", "no_secrets");
    assert_ne!(
        after.engine("trufflehog")["sha256"],
        doctor.engine("trufflehog")["sha256"]
    );
}

#[test]
fn a_pinned_engine_that_was_swapped_is_never_run() {
    let world = world();
    world.engine(
        "trufflehog",
        &format!("case $1 in --version) echo 'trufflehog 3.97.0' >&2 ;; *) {FINISHED} ;; esac"),
    );
    pin(&world, "trufflehog", &sha256sum(&world, "trufflehog"));
    world
        .run(&["doctor", "--output", "json"])
        .is(0, "pass", "healthy");
    world.scan(&[]).is(0, "pass", "no_secrets");
    let mark = world.path("was-run");
    world.engine(
        "trufflehog",
        &format!("touch {}; {FINISHED}; exit 0", mark.display()),
    );
    let doctor = world.run(&["doctor", "--output", "json"]);
    doctor.is(3, "inconclusive", "replaced");
    let run = world.scan(&[]);
    run.is(3, "inconclusive", "replaced");
    assert_eq!(run.engine("trufflehog")["outcome"], "replaced");
    assert_eq!(run.engine("gitleaks")["outcome"], "complete");
    let hash = sha256sum(&world, "trufflehog");
    assert!(run.report["summary"].to_string().contains(&hash));
    assert!(!mark.exists(), "it was run");
    // A pin that is none, and an engine that is not there.
    pin(&world, "trufflehog", "abc");
    assert_eq!(world.run(&["--no-verification"]).code, 2);
    pin(&world, "trufflehog", &hash);
    std::fs::remove_file(world.path("bin/trufflehog")).unwrap();
    world.scan(&[]).is(3, "inconclusive", "missing");
}

#[test]
fn an_engine_that_is_replaced_while_it_runs_is_no_verdict() {
    let world = world();
    let path = world.path("bin/trufflehog");
    let swap = format!(
        "cp {0} {0}.new; echo '# more' >> {0}.new; mv {0}.new {0}; {FINISHED}; exit 0",
        path.display()
    );
    world.engine("trufflehog", &swap);
    let run = world.scan(&[]);
    run.is(3, "inconclusive", "replaced");
    assert_eq!(run.engine("trufflehog")["outcome"], "replaced");
    assert_eq!(run.engine("gitleaks")["outcome"], "complete");
}

#[test]
fn what_lies_in_the_folder_is_no_engine() {
    let world = world();
    std::fs::rename(
        world.path("bin/trufflehog"),
        world.repo().join("trufflehog"),
    )
    .unwrap();
    let path = format!(".::{}:/usr/bin:/bin", world.path("bin").display());
    let words = ["--no-verification", "--output", "json"];
    let run = world.run_with(&words, "", &[("PATH", &path)]);
    run.is(3, "inconclusive", "missing");
}
