//! The real engines on repositories made here, with planted values that are made of parts.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod common;

use base64::prelude::*;
use common::{
    LETTERS, Run, World, aws_id, forms, github_token, jwt, noise, private_key, slack_webhook,
    stripe_test_key,
};

/// A planted value: its name, itself, and whether HEAD still has it.
struct Planted {
    name: &'static str,
    value: String,
    in_head: bool,
}

/// Merges a branch with a result that neither side has.
fn merge(world: &mut World, branch: &str, name: &str, text: &str) {
    world.git(&["merge", "--no-ff", "--no-commit", branch]);
    world.write(name, text);
    world.commit_all(&format!("merge {branch}"));
}

/// Everything that the issue lists, in one history.
fn history(world: &mut World) -> Vec<Planted> {
    let mut planted = Vec::new();
    let mut plant = |name, value: &str, in_head| {
        planted.push(Planted {
            name,
            value: value.to_owned(),
            in_head,
        });
        value.to_owned()
    };
    world.commit("README.md", "# a service\n");

    let id = plant("aws key id, removed later", &aws_id(1), false);
    let secret = plant("aws secret, removed later", &noise(2, 40, LETTERS), false);
    world.commit(
        "config/aws.env",
        format!("AWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY={secret}\n"),
    );
    world.commit("config/aws.env", "AWS_REGION=eu-central-1\n");

    let token = plant("github token, renamed", &github_token(3), true);
    world.commit("src/old.py", format!("import os\ntoken = '{token}'\n"));
    world.git(&["mv", "src/old.py", "src/new.py"]);
    world.commit_all("rename");

    let key = plant(
        "private key, in a path that is no UTF-8",
        &private_key(4),
        true,
    );
    let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"caf\xe9.pem");
    world.commit(name, format!("{key}\n"));

    let password = plant("password", &noise(55, 24, LETTERS), true);
    world.commit("settings.py", format!("DB_PASSWORD = \"{password}\"\n"));

    let token = plant("github token, in base64", &github_token(6), true);
    let encoded = BASE64_STANDARD.encode(format!("token: {token}"));
    world.commit("deploy.yaml", format!("data:\n  token: {encoded}\n"));

    let token = plant("github token, in a line of 1.5 MB", &github_token(7), true);
    let half = "var a=1;".repeat(94_000);
    world.commit("dist/app.js", format!("{half}var t=\"{token}\";{half}\n"));

    // Only a tag reaches it.
    world.git(&["checkout", "--quiet", "-b", "for-a-tag"]);
    let value = plant("stripe test key, in a tag", &stripe_test_key(8), false);
    world.commit("pay.py", format!("stripe.api_key = '{value}'\n"));
    world.git(&["tag", "v0.1"]);
    world.git(&["checkout", "--quiet", "main"]);
    world.git(&["branch", "--quiet", "-D", "for-a-tag"]);

    // Nobody merged it.
    world.git(&["checkout", "--quiet", "-b", "unmerged"]);
    let value = plant("webhook, in an unmerged branch", &slack_webhook(9), false);
    world.commit("notify.sh", format!("curl -X POST {value}\n"));
    world.git(&["checkout", "--quiet", "main"]);

    // Neither side has it, and it is gone again.
    world.git(&["checkout", "--quiet", "-b", "side"]);
    world.commit("side.txt", "side\n");
    world.git(&["checkout", "--quiet", "main"]);
    world.commit("main.txt", "main\n");
    let value = plant("token, in a merge alone, removed", &github_token(10), false);
    merge(world, "side", "evil.txt", &format!("token = {value}\n"));
    world.commit("evil.txt", "nothing\n");

    // A conflict that is resolved with a value.
    world.git(&["checkout", "--quiet", "-b", "conflict"]);
    world.commit("both.txt", "theirs\n");
    world.git(&["checkout", "--quiet", "main"]);
    world.commit("both.txt", "ours\n");
    let value = plant("jwt, in the resolution of a conflict", &jwt(11), true);
    merge(
        world,
        "conflict",
        "both.txt",
        &format!("auth = \"{value}\"\n"),
    );

    // A file's attribute calls it binary.
    world.write(".gitattributes", "*.hidden -diff\n");
    let value = plant(
        "github token, in a file that is called binary",
        &github_token(12),
        false,
    );
    world.commit("a.hidden", format!("token = {value}\n"));
    world.git(&["rm", "--quiet", "a.hidden"]);
    world.commit_all("remove");

    let url = plant(
        "database address with password",
        &format!(
            "postgres://trader:{}@db.example.com:5432/trading",
            noise(13, 20, LETTERS)
        ),
        true,
    );
    world.commit("alembic.ini", format!("sqlalchemy.url = {url}\n"));
    world.commit("logo.bin", [0_u8, 1, 2, 3, 0, 255].repeat(50));
    planted
}

fn shows_nothing(planted: &[Planted], texts: &[(&str, &str)]) {
    for one in planted {
        for form in forms(&one.value) {
            for (name, text) in texts {
                assert!(!text.contains(&form), "{} in {name}", one.name);
            }
        }
    }
}

#[test]
#[ignore = "needs Gitleaks and TruffleHog, run make tools"]
fn every_planted_secret_is_found_once_and_shown_nowhere() {
    let mut world = World::new();
    let planted = history(&mut world);
    world.with_real();
    let faces = ["junit", "markdown", "html", "sarif", "prometheus"];
    let places: Vec<String> = faces
        .iter()
        .map(|face| format!("{face}={}", world.path(face).display()))
        .collect();
    let mut words = vec!["--no-verification", "-vv", "--output", "json"];
    for place in &places {
        words.extend(["--output", place]);
    }
    let run = world.run(&words);
    run.is(1, "fail", "secrets_found");
    for engine in ["gitleaks", "trufflehog"] {
        assert_eq!(
            run.engine(engine)["outcome"],
            "complete",
            "{}",
            run.engine(engine)
        );
    }
    let gitleaks = run.engine("gitleaks");
    assert_eq!(gitleaks["commits_expected"], gitleaks["commits_scanned"]);

    let mut missed = Vec::new();
    for one in &planted {
        match run.finding(&world.fingerprint(&one.value)) {
            None => missed.push(one.name),
            Some(finding) => {
                // Of a value that stands encoded in the file, the file itself does not have it as it is.
                if !one.name.contains("base64") {
                    assert_eq!(finding["in_head"], one.in_head, "{}: {finding}", one.name);
                }
            }
        }
    }
    assert_eq!(missed, Vec::<&str>::new());
    let of = |name: &str| {
        let one = planted
            .iter()
            .find(|one| one.name.starts_with(name))
            .unwrap();
        run.finding(&world.fingerprint(&one.value)).unwrap().clone()
    };
    assert_eq!(
        of("aws key id")["fingerprint"],
        of("aws secret")["fingerprint"],
        "a pair is one"
    );
    let paths = of("github token, renamed")["places"].to_string();
    assert!(
        paths.contains("src/old.py") && paths.contains("src/new.py"),
        "{paths}"
    );
    let merged = of("token, in a merge alone");
    assert_eq!(
        merged["sources"],
        serde_json::json!(["gitleaks", "trufflehog"])
    );
    assert_eq!(merged["place"]["path"], "evil.txt");

    let files: Vec<(&str, String)> = faces
        .iter()
        .map(|face| (*face, std::fs::read_to_string(world.path(face)).unwrap()))
        .collect();
    let mut texts = vec![("stdout", run.out.as_str()), ("stderr", run.err.as_str())];
    texts.extend(files.iter().map(|(name, text)| (*name, text.as_str())));
    shows_nothing(&planted, &texts);
}

#[test]
#[ignore = "needs Gitleaks and TruffleHog, run make tools"]
fn a_range_is_every_commit_by_all_parents() {
    let mut world = World::new();
    world.commit("README.md", "# a service\n");
    let before = github_token(20);
    world.commit("before.txt", format!("token = {before}\n"));
    world.git(&["checkout", "--quiet", "-b", "change"]);
    let gone = github_token(21);
    world.commit("a.txt", format!("token = {gone}\n"));
    world.commit("a.txt", "nothing\n");
    world.git(&["checkout", "--quiet", "-b", "beside"]);
    let beside = github_token(22);
    world.commit("b.txt", format!("token = {beside}\n"));
    world.git(&["checkout", "--quiet", "change"]);
    world.commit("c.txt", "c\n");
    let merged = github_token(23);
    merge(
        &mut world,
        "beside",
        "d.txt",
        &format!("token = {merged}\n"),
    );
    world.with_real();
    let run = world.scan(&["--range", "main..HEAD"]);
    run.is(1, "fail", "secrets_found");
    for (value, found) in [
        (&before, false),
        (&gone, true),
        (&beside, true),
        (&merged, true),
    ] {
        let finding = run.finding(&world.fingerprint(value));
        assert_eq!(finding.is_some(), found, "{}", run.out);
        if let Some(finding) = finding {
            assert_eq!(
                finding["sources"],
                serde_json::json!(["gitleaks", "trufflehog"])
            );
        }
    }
    // A change that only takes away adds nothing, and that is known.
    world.git(&["rm", "--quiet", "c.txt"]);
    world.commit_all("remove");
    world
        .scan(&["--range", "HEAD~1..HEAD"])
        .is(0, "pass", "nothing_added");
}

#[test]
#[ignore = "needs Gitleaks and TruffleHog, run make tools"]
fn a_clean_repository_passes_and_its_twin_says_the_same() {
    let mut world = World::new();
    world.commit("README.md", "# a service\n");
    world.commit("src/a.py", "print('hello')\n");
    world.git(&["checkout", "--quiet", "-b", "side"]);
    world.commit("src/b.py", "print('b')\n");
    world.git(&["checkout", "--quiet", "main"]);
    world.commit("src/c.py", "print('c')\n");
    world.git(&["merge", "--quiet", "--no-ff", "side"]);
    world.git(&["rm", "--quiet", "src/c.py"]);
    world.commit_all("remove");
    world.with_real();
    let steady = |run: Run| {
        run.is(0, "pass", "no_secrets");
        let mut report = run.report;
        report["started_at"] = Default::default();
        report["ended_at"] = Default::default();
        for check in report["checks"].as_array_mut().unwrap() {
            check["duration_ms"] = Default::default();
        }
        for engine in report["details"]["engines"].as_array_mut().unwrap() {
            for pass in engine["passes"].as_array_mut().unwrap() {
                pass["duration_ms"] = Default::default();
            }
        }
        report
    };
    assert_eq!(steady(world.scan(&[])), steady(world.scan(&[])));
}

#[test]
#[ignore = "needs Gitleaks, run make tools"]
fn the_hook_looks_at_what_is_staged() {
    let mut world = World::new();
    world.commit("README.md", "# a service\n");
    world.with_real();
    world.write("a.txt", "hello\n");
    world.git(&["add", "a.txt"]);
    world.scan(&["--staged"]).is(0, "pass", "no_secrets");
    let token = github_token(30);
    world.write("a.txt", format!("token = {token}\n"));
    // Not staged yet.
    world.scan(&["--staged"]).is(0, "pass", "no_secrets");
    world.git(&["add", "a.txt"]);
    let run = world.scan(&["--staged"]);
    run.is(1, "fail", "secrets_found");
    let finding = run.finding(&world.fingerprint(&token)).unwrap();
    assert!(
        finding["message"].to_string().contains("not committed yet"),
        "{finding}"
    );
    // A comment in the line is no excuse.
    world.write("a.txt", format!("token = {token} # gitleaks:allow\n"));
    world.git(&["add", "a.txt"]);
    world.scan(&["--staged"]).is(1, "fail", "secrets_found");
}

#[test]
#[ignore = "needs Gitleaks, run make tools"]
fn a_change_cannot_switch_rules_off() {
    let mut world = World::new();
    world.commit("README.md", "# a service\n");
    world.git(&["branch", "base"]);
    world.write(
        ".gitleaks.toml",
        "[[rules]]\nid = \"none\"\nregex = '''nothing-like-this'''\n",
    );
    world.write(".gitleaksignore", "a.txt:github-pat:1\n");
    let token = github_token(31);
    let commit = world.commit("a.txt", format!("token = {token}\n"));
    world.write(
        ".gitleaksignore",
        format!("a.txt:github-pat:1\n{commit}:a.txt:github-pat:1\n"),
    );
    world.commit_all("ignore it");
    world.with_real();
    let run = world.scan(&["--engine", "gitleaks", "--range", "base..HEAD"]);
    run.is(1, "fail", "secrets_found");
    assert!(
        run.report["not_covered"]
            .to_string()
            .contains(".gitleaks.toml")
    );
}

#[test]
#[ignore = "needs Gitleaks and TruffleHog, run make tools"]
fn settings_of_a_user_do_not_blind_the_engines() {
    let mut world = World::new();
    world.commit("README.md", "# a service\n");
    let token = github_token(40);
    world.commit("with space/a.txt", format!("token = {token}\n"));
    for (key, value) in [
        ("color.ui", "always"),
        ("diff.noprefix", "true"),
        ("log.showSignature", "true"),
        ("log.showRoot", "false"),
        ("diff.external", "false"),
        ("diff.orderFile", "/no/such/file"),
    ] {
        world.git(&["config", key, value]);
    }
    world.with_real();
    let run = world.scan(&[]);
    run.is(1, "fail", "secrets_found");
    let finding = run.finding(&world.fingerprint(&token)).unwrap();
    assert_eq!(
        finding["sources"],
        serde_json::json!(["gitleaks", "trufflehog"])
    );
}

/// Why the files are scanned although the history was: each commit is looked at by itself, and what two of
/// them make together stands in neither.
#[test]
#[ignore = "needs Gitleaks, run make tools"]
fn what_two_commits_make_together_is_found_in_the_files() {
    let mut world = World::new();
    let key = private_key(70);
    let lines: Vec<&str> = key.lines().collect();
    let upper = lines[..7].join("\n");
    world.commit("key.pem", format!("{upper}\n"));
    world.commit("key.pem", format!("{key}\n"));
    world.with_real();
    world
        .scan(&["--engine", "gitleaks", "--scope", "history"])
        .is(0, "pass", "no_secrets");
    let run = world.scan(&["--engine", "gitleaks"]);
    run.is(1, "fail", "secrets_found");
    assert!(run.finding(&world.fingerprint(&key)).is_some());
}

#[test]
#[ignore = "needs TruffleHog, run make tools"]
fn in_place_and_in_a_clone_the_history_is_the_same() {
    let mut world = World::new();
    let planted = history(&mut world);
    world.with_real();
    let words = ["--engine", "trufflehog", "--scope", "history"];
    let in_place = world.scan(&words);
    // A setting that changes nothing, and that is not known to change nothing.
    world.git(&["config", "diff.algorithm", "myers"]);
    let cloned = world.scan(&words);
    let found = |run: &Run| {
        let mut names = Vec::new();
        for one in &planted {
            if run.finding(&world.fingerprint(&one.value)).is_some() {
                names.push(one.name);
            }
        }
        names
    };
    let (here, there) = (found(&in_place), found(&cloned));
    assert!(
        there.iter().all(|name| here.contains(name)),
        "{here:?} {there:?}"
    );
    // In place no attribute of the files hides a text.
    let hidden = "github token, in a file that is called binary";
    assert!(here.contains(&hidden), "{here:?}");
}

#[test]
#[ignore = "needs Gitleaks and TruffleHog, run make tools"]
fn a_bare_repository_has_a_history_too() {
    let mut world = World::new();
    let token = github_token(50);
    world.commit("a.txt", format!("token = {token}\n"));
    let bare = world.path("bare repo.git").display().to_string();
    let source = world.repo().display().to_string();
    world.git(&["clone", "--quiet", "--bare", &source, &bare]);
    world.with_real();
    let run = world.scan(&[&bare]);
    run.is(1, "fail", "secrets_found");
    let finding = run.finding(&world.fingerprint(&token)).unwrap();
    assert_eq!(
        finding["sources"],
        serde_json::json!(["gitleaks", "trufflehog"])
    );
}

#[test]
#[ignore = "needs Gitleaks and TruffleHog, run make tools"]
fn a_verification_that_fails_is_never_clean() {
    let mut world = World::new();
    let token = github_token(60);
    world.commit("a.txt", format!("token = {token}\n"));
    world.with_real();
    // No issuer can be reached: nobody listens there, and nothing leaves this machine.
    let nowhere = "http://127.0.0.1:9";
    let run = world.run_with(
        &[
            "--output",
            "json",
            "--fail-on",
            "possibly-live",
            "--engine",
            "trufflehog",
        ],
        "",
        &[
            ("HTTPS_PROXY", nowhere),
            ("HTTP_PROXY", nowhere),
            ("https_proxy", nowhere),
        ],
    );
    run.is(1, "fail", "secrets_found");
    let finding = run.finding(&world.fingerprint(&token)).unwrap();
    assert_eq!(finding["verification"], "failed");
    assert!(finding["verified"].is_null());
}
