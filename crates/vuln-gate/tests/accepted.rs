//! What was accepted on record, from outside: exceptions, VEX, days to mend, the plan, imports.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A Trivy report of today with one critical flaw in lodash.
const TRIVY: &str = r#"{"SchemaVersion":2,"CreatedAt":"@NOW@","ArtifactName":"web","Results":[{"Target":"web/package-lock.json","Class":"lang-pkgs","Type":"npm",
"Vulnerabilities":[{"VulnerabilityID":"CVE-2021-23337","PkgName":"lodash","PkgIdentifier":{"PURL":"pkg:npm/lodash@4.17.20"},"InstalledVersion":"4.17.20","FixedVersion":"4.17.21","Status":"fixed","Severity":"HIGH","Title":"Command injection","PublishedDate":"2021-02-15T13:15:12Z"}]}]}"#;

struct Run {
    code: Option<i32>,
    report: Value,
    out: String,
    err: String,
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let now = jiff::Timestamp::now().to_string();
        folder.write("trivy.json", &TRIVY.replace("@NOW@", &now));
        folder
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        gs_common::file::write_atomic(&path, |out| out.write_all(text.as_bytes())).unwrap();
    }

    fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, &[])
    }

    fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_vuln-gate"))
            .args(args)
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        Run {
            code: output.status.code(),
            report: serde_json::from_str(&out).unwrap_or_default(),
            out,
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The gate over the report with further arguments.
    fn gate(&self, args: &[&str]) -> Run {
        let mut line = vec!["trivy.json", "--output", "json"];
        line.extend(args);
        self.run(&line)
    }

    fn git(&self, args: &[&str]) {
        let done = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args(["-c", "init.defaultBranch=main"])
            .args(args)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
}

fn exception(what: &str, expires: &str) -> String {
    format!(
        "[[exceptions]]\n{what}\nreason = \"never called\"\nowner = \"team-trading\"\nexpires = {expires}\n"
    )
}

#[test]
fn an_exception_accepts_and_is_shown_in_every_form() {
    let folder = Folder::new();
    let blocked = folder.gate(&[]);
    assert_eq!(blocked.code, Some(1), "{}", blocked.err);
    folder.write(
        "e.toml",
        &exception(
            "id = \"CVE-2021-23337\"\npackage = \"pkg:npm/lodash\"\nversions = \"<4.17.21\"",
            "2999-12-31",
        ),
    );
    let accepted = folder.gate(&["--exceptions", "e.toml"]);
    assert_eq!(accepted.code, Some(0), "{}", accepted.err);
    let finding = &accepted.report["findings"][0];
    assert_eq!(finding["suppressed"]["by"], "exception");
    assert_eq!(finding["suppressed"]["owner"], "team-trading");
    assert_eq!(finding["suppressed"]["place"], "e.toml:1");
    assert_eq!(finding["blocking"], false);
    assert_eq!(
        accepted.report["details"]["exceptions"][0]["standing"],
        "holds"
    );
    let human = folder.run(&["trivy.json", "--exceptions", "e.toml", "-q"]);
    assert!(human.out.contains("1 suppressed"), "{}", human.out);
}

#[test]
fn an_expired_an_unused_and_a_foreign_exception_accept_nothing() {
    let folder = Folder::new();
    let mut text = exception("id = \"CVE-2021-23337\"", "2020-01-01");
    text += &exception("id = \"CVE-1\"", "2999-12-31");
    text += &exception(
        "id = \"CVE-2021-23337\"\npackage = \"pkg:npm/lodash@4.17.19\"",
        "2999-12-31",
    );
    folder.write("e.toml", &text);
    let run = folder.gate(&["--exceptions", "e.toml"]);
    assert_eq!(run.code, Some(1));
    let check = run.report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["id"] == "exceptions")
        .unwrap()
        .clone();
    assert_eq!(
        (check["verdict"].as_str(), check["reason"].as_str()),
        (Some("warn"), Some("exceptions_stale"))
    );
    assert_eq!(check["evidence"].as_array().unwrap().len(), 3);
}

#[test]
fn a_file_that_says_too_little_or_too_much_is_a_mistake() {
    let folder = Folder::new();
    for (text, says) in [
        ("[[exceptions]]\nid = \"CVE-1\"\n", "without `reason`"),
        (
            "[[exceptions]]\nid = \"*\"\nreason = \"r\"\nowner = \"o\"\nexpires = 2999-01-01\n",
            "takes no pattern",
        ),
        (
            "[[exceptions]]\npackage = \"lodash\"\nreason = \"r\"\nowner = \"o\"\nexpires = 2999-01-01\n",
            "nobody has looked at",
        ),
    ] {
        folder.write("e.toml", text);
        let run = folder.gate(&["--exceptions", "e.toml"]);
        assert_eq!(run.code, Some(2), "{}", run.err);
        assert!(
            run.err.contains("e.toml:") && run.err.contains(says),
            "{}",
            run.err
        );
        assert!(run.out.is_empty(), "exit 2 writes no report");
    }
    folder.write(
        "e.toml",
        &exception("id = \"CVE-2021-23337\"", "2999-12-31"),
    );
    let run = folder.gate(&["--exceptions", "e.toml", "--exceptions-longest", "90d"]);
    assert_eq!(run.code, Some(2));
    assert!(run.err.contains("at most 90 are allowed"), "{}", run.err);
    assert_eq!(folder.gate(&["--exceptions", "missing.toml"]).code, Some(2));
}

#[test]
fn a_pull_request_cannot_excuse_itself() {
    let folder = Folder::new();
    folder.git(&["init", "--quiet"]);
    folder.write("e.toml", "");
    folder.git(&["add", "e.toml"]);
    folder.git(&["commit", "--quiet", "-m", "base"]);
    folder.git(&["checkout", "--quiet", "-b", "change"]);
    folder.write(
        "e.toml",
        &exception("id = \"CVE-2021-23337\"", "2999-12-31"),
    );
    let line = ["trivy.json", "--output", "json", "--exceptions", "e.toml"];
    assert_eq!(
        folder.run(&line).code,
        Some(0),
        "on one's own machine it counts"
    );
    let run = folder.run_with(&line, &[("GITHUB_BASE_REF", "main")]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(
        run.report["not_covered"]
            .to_string()
            .contains("this change has another `e.toml`"),
        "{}",
        run.report["not_covered"]
    );
    let unknown = folder.run_with(&line, &[("GITHUB_BASE_REF", "release")]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("fetch-depth: 0"), "{}", unknown.err);
}

#[test]
fn vex_suppresses_what_it_states_and_a_broken_document_is_a_mistake() {
    let folder = Folder::new();
    let vex = |status: &str| {
        format!(
            r#"{{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x","author":"Supplier","timestamp":"2026-01-01T00:00:00Z","version":1,
            "statements":[{{"vulnerability":{{"name":"CVE-2021-23337"}},"products":[{{"@id":"pkg:npm/lodash@4.17.20"}}],{status}}}]}}"#
        )
    };
    folder.write(
        "vex.json",
        &vex(r#""status":"not_affected","justification":"vulnerable_code_not_in_execute_path""#),
    );
    let run = folder.gate(&["--vex", "vex.json"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert_eq!(run.report["findings"][0]["suppressed"]["by"], "vex");
    assert_eq!(run.report["findings"][0]["suppressed"]["owner"], "Supplier");
    folder.write("vex.json", &vex(r#""status":"under_investigation""#));
    assert_eq!(folder.gate(&["--vex", "vex.json"]).code, Some(1));
    folder.write("vex.json", &vex(r#""status":"not_affected""#));
    let run = folder.gate(&["--vex", "vex.json"]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.err.contains("statement 1 (CVE-2021-23337)"),
        "{}",
        run.err
    );
}

#[test]
fn exceptions_become_open_vex_that_we_read_back() {
    let folder = Folder::new();
    folder.write(
        "e.toml",
        &exception(
            "id = \"CVE-2021-23337\"\nstate = \"not_affected\"",
            "2999-12-31",
        ),
    );
    let line = [
        "vex",
        "trivy.json",
        "--exceptions",
        "e.toml",
        "--author",
        "Example",
    ];
    let run = folder.run(&line);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert_eq!(run.report["statements"][0]["status"], "not_affected");
    assert_eq!(
        run.report["statements"][0]["products"][0]["@id"],
        "pkg:npm/lodash@4.17.20"
    );
    folder.write("vex.json", &run.out);
    assert_eq!(folder.gate(&["--vex", "vex.json"]).code, Some(0));
    folder.write("e.toml", "");
    let nothing = folder.run(&line);
    assert_eq!(nothing.code, Some(3), "{}", nothing.err);
}

#[test]
fn days_to_mend_warn_until_they_are_over() {
    let folder = Folder::new();
    let run = folder.gate(&["--sla", "high=10000d"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert_eq!(run.report["verdict"], "warn");
    assert_eq!(run.report["findings"][0]["decided_by"], "sla_within");
    let run = folder.gate(&["--sla", "high=30d", "--fail-on", "critical"]);
    assert_eq!(run.code, Some(1), "over, whatever the threshold");
    assert_eq!(run.report["findings"][0]["decided_by"], "sla_over");
    let run = folder.gate(&["--sla", "critical=30d,high=7d"]);
    assert_eq!(run.code, Some(2), "{}", run.err);
}

#[test]
fn the_plan_names_the_upgrade() {
    let run = Folder::new().gate(&[]);
    let step = &run.report["details"]["plan"]["steps"][0];
    assert_eq!(
        (
            step["package"].as_str(),
            step["to"][0].as_str(),
            step["major"].as_bool()
        ),
        (Some("lodash"), Some("4.17.21"), Some(false))
    );
    assert!(
        run.report["next"][0].as_str().unwrap().contains("4.17.21"),
        "{}",
        run.report["next"]
    );
}

#[test]
fn an_import_is_refused_until_it_is_completed() {
    let folder = Folder::new();
    folder.write(".trivyignore", "CVE-2021-23337\n");
    let run = folder.run(&["import", ".trivyignore"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    folder.write("e.toml", &run.out);
    let refused = folder.gate(&["--exceptions", "e.toml"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("`reason` is empty"), "{}", refused.err);
    folder.write("empty", "");
    assert_eq!(folder.run(&["import", "empty"]).code, Some(2));
}

#[test]
fn the_start_of_a_file_of_exceptions_is_one() {
    let folder = Folder::new();
    let run = folder.run(&["init", "--exceptions", "e.toml"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(Path::new(&folder.0.path().join("e.toml")).exists());
    assert_eq!(folder.gate(&["--exceptions", "e.toml"]).code, Some(1));
    assert_eq!(
        folder.run(&["init", "--exceptions", "e.toml"]).code,
        Some(2),
        "nothing is overwritten"
    );
}

#[test]
fn explain_names_the_exception() {
    let folder = Folder::new();
    folder.write(
        "e.toml",
        &exception("id = \"CVE-2021-23337\"", "2999-12-31"),
    );
    let run = folder.run(&[
        "explain",
        "CVE-2021-23337",
        "trivy.json",
        "--exceptions",
        "e.toml",
    ]);
    assert!(
        run.out
            .contains("suppressed by exception, never called, owner team-trading"),
        "{}",
        run.out
    );
}

/// The pages have every word that the code can say.
#[test]
fn the_pages_list_every_word_of_the_code() {
    let exceptions = include_str!("../../../docs/exceptions.md");
    let vex = include_str!("../../../docs/vuln-vex.md");
    let form = vuln_gate::accept::FORM;
    for key in form.keys {
        assert!(
            exceptions.contains(&format!("| `{}` |", key.as_str())),
            "{key:?}"
        );
    }
    for state in form.states {
        assert!(
            exceptions.contains(&format!("`{state}`")) && vex.contains(&format!("`{state}`")),
            "{state}"
        );
    }
    for word in form.justifications {
        assert!(vex.contains(&format!("`{word}`")), "{word}");
    }
    for standing in ["holds", "near_expiry", "expired", "unused"] {
        assert!(
            exceptions.contains(&format!("| `{standing}` |")),
            "{standing}"
        );
    }
    for rule in ["sla_within", "sla_over", "sla_no_date"] {
        assert!(vex.contains(&format!("| `{rule}` |")), "{rule}");
    }
}
