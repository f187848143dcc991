//! The tool from outside: what is typed, what is printed, how it ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

struct Run {
    code: i32,
    report: Value,
    out: String,
    err: String,
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    path.display().to_string()
}

fn plain(folder: &Path, args: &[&str], stdin: &[u8]) -> Run {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("vuln-gate"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A tool that ends before it has read all is no failure of the test.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let done = child.wait_with_output().unwrap();
    let out = String::from_utf8(done.stdout).unwrap();
    Run {
        code: done.status.code().unwrap(),
        report: serde_json::from_str(&out).unwrap_or(Value::Null),
        out,
        err: String::from_utf8(done.stderr).unwrap(),
    }
}

fn gate(folder: &Path, args: &[&str]) -> Run {
    let mut line = args.to_vec();
    line.extend(["--output", "json"]);
    plain(folder, &line, b"")
}

/// A folder with fresh Trivy reports: `name`, then rows of id, package, severity.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, name: &str, content: &Value) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content.to_string()).unwrap();
        path
    }

    fn trivy(&self, name: &str, rows: &[Value]) {
        self.put(name, &trivy(rows));
    }
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

fn trivy(rows: &[Value]) -> Value {
    json!({
        "SchemaVersion": 2, "CreatedAt": now(), "ArtifactName": "registry.example/market:2.1.0", "ArtifactType": "container_image",
        "Results": [{"Target": "package-lock.json", "Class": "lang-pkgs", "Type": "npm", "Vulnerabilities": rows}],
    })
}

fn row(id: &str, package: &str, severity: &str) -> Value {
    json!({
        "VulnerabilityID": id, "PkgName": package, "InstalledVersion": "1.0.0", "FixedVersion": "1.0.1", "Status": "fixed",
        "Severity": severity, "Title": format!("{id} in {package}"),
    })
}

#[track_caller]
fn check(run: &Run, code: i32, reason: &str) {
    assert_eq!(
        (run.code, run.report["reason"].as_str().unwrap_or_default()),
        (code, reason),
        "{} {}",
        run.report["summary"],
        run.err
    );
}

#[test]
fn high_fails_and_medium_does_not() {
    let folder = Folder::new();
    folder.trivy("a.json", &[row("CVE-2024-1000", "lodash", "MEDIUM")]);
    check(&gate(folder.path(), &["a.json"]), 0, "nothing_blocks");
    folder.trivy("a.json", &[row("CVE-2024-1000", "lodash", "HIGH")]);
    let run = gate(folder.path(), &["a.json"]);
    check(&run, 1, "findings_block");
    let finding = &run.report["findings"][0];
    assert_eq!(finding["blocking"], true);
    assert_eq!(
        finding["package"],
        json!({"ecosystem": "npm", "name": "lodash", "version": "1.0.0", "fixed": "1.0.1"})
    );
    check(
        &gate(folder.path(), &["a.json", "--fail-on", "critical"]),
        0,
        "nothing_blocks",
    );
    check(
        &gate(
            folder.path(),
            &["a.json", "--fail-on", "vulnerability=never"],
        ),
        0,
        "findings_warn",
    );
}

#[test]
fn a_clean_report_passes_and_an_empty_file_is_no_verdict() {
    let folder = Folder::new();
    folder.trivy("clean.json", &[]);
    check(&gate(folder.path(), &["clean.json"]), 0, "nothing_blocks");
    std::fs::write(folder.path().join("safety.json"), "").unwrap();
    let run = gate(folder.path(), &["clean.json", "safety.json"]);
    check(&run, 3, "report_empty");
    assert_eq!(run.report["inputs"][1]["outcome"], "empty");
    // What is known to be bad stays bad whatever else is unknown.
    folder.trivy("bad.json", &[row("CVE-2024-1000", "lodash", "CRITICAL")]);
    check(
        &gate(folder.path(), &["bad.json", "safety.json"]),
        1,
        "findings_block",
    );
}

#[test]
fn every_way_to_have_looked_at_nothing_is_no_verdict() {
    let folder = Folder::new();
    for (file, reason) in [
        ("npm_audit_7_plus/own-endpoint-405.json", "report_failed"),
        ("pip_audit/own-all-skipped.json", "nothing_checked"),
        ("trivy/golden-alpine-39-skip.json", "nothing_checked"),
        ("sarif/no_runs.sarif", "nothing_checked"),
        ("yarn_audit/empty_with_error.json", "report_failed"),
        ("yarn_audit/yarn_audit_zero_vul.json", "partial_scan"),
        ("pip_audit/empty.json", "partial_scan"),
    ] {
        check(&gate(folder.path(), &[&fixture(file)]), 3, reason);
    }
    let run = gate(folder.path(), &["none.json"]);
    check(&run, 3, "not_a_report");
    assert!(
        run.report["summary"]
            .as_str()
            .unwrap()
            .contains("none.json")
    );
}

#[test]
fn a_required_report_has_to_be_there() {
    let folder = Folder::new();
    folder.trivy("clean.json", &[]);
    check(
        &gate(folder.path(), &["clean.json", "--require", "trivy"]),
        0,
        "nothing_blocks",
    );
    let run = gate(
        folder.path(),
        &["clean.json", "--require", "trivy,npm-audit"],
    );
    check(&run, 3, "required_missing");
    // A report that failed is none.
    let failed = fixture("npm_audit_7_plus/own-endpoint-405.json");
    let run = gate(
        folder.path(),
        &["clean.json", &failed, "--require", "npm-audit"],
    );
    assert_eq!(run.code, 3);
    // An empty list could be anybody's.
    folder.put("list.json", &json!([]));
    let run = gate(
        folder.path(),
        &[
            "list.json",
            "--require",
            "pip-audit",
            "--accept-partial",
            "nothing_named",
        ],
    );
    check(&run, 3, "required_missing");
}

#[test]
fn old_reports_and_wrong_targets_are_no_verdict() {
    let folder = Folder::new();
    let old = fixture("trivy/golden-cargo.lock.json");
    check(&gate(folder.path(), &[&old]), 3, "report_too_old");
    check(
        &gate(folder.path(), &[&old, "--max-age", "off"]),
        0,
        "nothing_blocks",
    );
    let mut future = trivy(&[]);
    future["CreatedAt"] = json!("2999-01-01T00:00:00Z");
    folder.put("future.json", &future);
    check(&gate(folder.path(), &["future.json"]), 3, "clock_wrong");
    folder.trivy("clean.json", &[]);
    let run = gate(
        folder.path(),
        &["clean.json", "--expect-target", "registry.example/market"],
    );
    check(&run, 0, "nothing_blocks");
    let run = gate(
        folder.path(),
        &["clean.json", "--expect-target", "registry.example/other"],
    );
    check(&run, 3, "target_missing");
    folder.put(
        "grype.json",
        &json!({"matches": [], "source": {}, "descriptor": {"name": "grype", "timestamp": now(), "db": {"built": "2020-01-01T00:00:00Z"}}}),
    );
    check(&gate(folder.path(), &["grype.json"]), 3, "database_too_old");
}

#[test]
fn gaps_are_accepted_by_name_only() {
    let folder = Folder::new();
    folder.put(
        "pip.json",
        &json!({"dependencies": [{"name": "requests", "version": "2.32", "vulns": []}, {"name": "market", "skip_reason": "not on PyPI"}]}),
    );
    check(&gate(folder.path(), &["pip.json"]), 3, "partial_scan");
    check(
        &gate(
            folder.path(),
            &["pip.json", "--accept-partial", "skipped_package:other"],
        ),
        3,
        "partial_scan",
    );
    let run = gate(
        folder.path(),
        &["pip.json", "--accept-partial", "skipped_package:market"],
    );
    check(&run, 0, "partial_scan");
    assert_eq!(run.report["verdict"], "warn");
}

#[test]
fn aliases_are_joined_and_the_highest_severity_counts() {
    let folder = Folder::new();
    folder.put(
        "pip.json",
        &json!({"dependencies": [{"name": "Jinja_2", "version": "2.4", "vulns": [{"id": "PYSEC-2021-66", "aliases": ["CVE-2020-28493"], "fix_versions": ["2.11.3"]}]}]}),
    );
    folder.put(
        "osv.json",
        &json!({"results": [{"source": {"path": "requirements.txt"}, "packages": [{"package": {"name": "jinja-2", "version": "2.4", "ecosystem": "PyPI"},
            "vulnerabilities": [{"id": "GHSA-g3rq-g295-4j3m", "aliases": ["CVE-2020-28493"], "database_specific": {"severity": "MODERATE"},
                "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}]}], "groups": []}]}]}),
    );
    let run = gate(folder.path(), &["pip.json", "osv.json"]);
    check(&run, 1, "findings_block");
    let findings = run.report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0]["rule"], "CVE-2020-28493");
    assert_eq!(findings[0]["severity"], "high");
    assert_eq!(findings[0]["severity_range"], json!(["medium", "high"]));
    assert_eq!(
        findings[0]["ids"],
        json!(["CVE-2020-28493", "GHSA-g3rq-g295-4j3m", "PYSEC-2021-66"])
    );
    assert_eq!(findings[0]["sources"], json!(["osv-scanner", "pip-audit"]));
    // The scanner's own label alone does not block.
    check(
        &gate(
            folder.path(),
            &["pip.json", "osv.json", "--severity-from", "scanner"],
        ),
        0,
        "nothing_blocks",
    );
}

#[test]
fn unknown_malicious_and_exploited() {
    let folder = Folder::new();
    folder.trivy("unknown.json", &[row("CVE-2024-1", "lodash", "UNKNOWN")]);
    check(&gate(folder.path(), &["unknown.json"]), 0, "findings_warn");
    check(
        &gate(folder.path(), &["unknown.json", "--unknown", "block"]),
        1,
        "findings_block",
    );
    check(
        &gate(folder.path(), &["unknown.json", "--unknown", "ignore"]),
        0,
        "nothing_blocks",
    );
    let run = gate(
        folder.path(),
        &[
            &fixture("made/osv-malicious.json"),
            "--development",
            "ignore",
        ],
    );
    check(&run, 1, "findings_block");
    assert_eq!(run.report["findings"][0]["decided_by"], "malicious");
    let run = gate(folder.path(), &[&fixture("made/grype-new.json")]);
    check(&run, 1, "findings_block");
    assert_eq!(run.report["findings"][0]["known_exploited"], true);
}

#[test]
fn only_what_the_change_brings_blocks_against_a_base() {
    let folder = Folder::new();
    folder.trivy(
        "base.json",
        &[
            row("CVE-2024-1000", "lodash", "HIGH"),
            row("CVE-2024-3000", "chalk", "LOW"),
        ],
    );
    folder.trivy("head.json", &[row("CVE-2024-1000", "lodash", "HIGH")]);
    let run = gate(folder.path(), &["head.json", "--base", "base.json"]);
    check(&run, 0, "nothing_blocks");
    assert_eq!(run.report["findings"][0]["change"], "unchanged");
    assert_eq!(run.report["details"]["change"]["fixed"], 1);
    folder.trivy(
        "head.json",
        &[
            row("CVE-2024-1000", "lodash", "HIGH"),
            row("CVE-2024-2000", "minimist", "HIGH"),
        ],
    );
    let run = gate(folder.path(), &["head.json", "--base", "base.json"]);
    check(&run, 1, "findings_block");
    assert_eq!(run.report["details"]["blocking"], 1);
    // A base that says nothing excuses nothing.
    std::fs::write(folder.path().join("base.json"), "").unwrap();
    folder.trivy("low.json", &[row("CVE-2024-1000", "lodash", "LOW")]);
    check(
        &gate(folder.path(), &["low.json", "--base", "base.json"]),
        3,
        "base_unusable",
    );
    check(
        &gate(folder.path(), &["head.json", "--base", "base.json"]),
        1,
        "findings_block",
    );
}

#[test]
fn no_fix_and_days_of_grace() {
    let folder = Folder::new();
    let mut unfixed = row("CVE-2024-1000", "bash", "HIGH");
    unfixed["Status"] = json!("affected");
    unfixed["FixedVersion"] = json!("");
    folder.trivy("a.json", std::slice::from_ref(&unfixed));
    check(&gate(folder.path(), &["a.json"]), 1, "findings_block");
    check(
        &gate(folder.path(), &["a.json", "--ignore-unfixed"]),
        0,
        "findings_warn",
    );
    // No date, no grace.
    check(
        &gate(
            folder.path(),
            &["a.json", "--ignore-unfixed", "--unfixed-grace", "30d"],
        ),
        1,
        "findings_block",
    );
    unfixed["PublishedDate"] = json!(now());
    folder.trivy("a.json", std::slice::from_ref(&unfixed));
    check(
        &gate(
            folder.path(),
            &["a.json", "--ignore-unfixed", "--unfixed-grace", "30d"],
        ),
        0,
        "findings_warn",
    );
    unfixed["PublishedDate"] = json!("2020-01-01T00:00:00Z");
    folder.trivy("a.json", &[unfixed]);
    check(
        &gate(
            folder.path(),
            &["a.json", "--ignore-unfixed", "--unfixed-grace", "30d"],
        ),
        1,
        "findings_block",
    );
}

#[test]
fn classes_targets_and_scopes_have_their_own_rules() {
    let folder = Folder::new();
    let file = fixture("made/trivy-other-classes.json");
    let all = ["--max-age", "off", "--accept-partial", "end_of_life"];
    let with = |more: &[&str]| {
        let mut line = vec![file.as_str()];
        line.extend(all);
        line.extend(more);
        gate(folder.path(), &line)
    };
    let run = with(&[]);
    check(&run, 1, "findings_block");
    assert_eq!(
        run.report["details"]["blocking"], 5,
        "{}",
        run.report["details"]
    );
    assert_eq!(run.report["details"]["suppressed"]["scanner"], 1);
    assert!(
        !run.out.contains("AWS_ACCESS_KEY_ID="),
        "a masked secret is not passed on"
    );
    let run = with(&["--fail-on", "never,secret=critical"]);
    assert_eq!(run.report["details"]["blocking"], 1);
    let run = with(&[
        "--development",
        "ignore",
        "--ignore-target",
        "app/*",
        "--fail-on",
        "high,license=never,misconfiguration=never",
    ]);
    // Left is the vulnerability of bash, whose score is 9.8.
    assert_eq!(run.report["details"]["blocking"], 1);
    assert_eq!(run.report["findings"][0]["rule"], "CVE-2024-0001");
}

#[test]
fn stdin_gzip_and_several_documents() {
    let folder = Folder::new();
    let text = trivy(&[row("CVE-2024-1000", "lodash", "HIGH")]).to_string();
    let run = plain(folder.path(), &["-", "--output", "json"], text.as_bytes());
    check(&run, 1, "findings_block");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    let run = plain(
        folder.path(),
        &["-", "--output", "json"],
        &gz.finish().unwrap(),
    );
    check(&run, 1, "findings_block");
    let two = format!("{text}\n{}", trivy(&[]));
    let run = plain(folder.path(), &["-", "--output", "json"], two.as_bytes());
    assert_eq!(run.report["inputs"].as_array().unwrap().len(), 2);
    let run = plain(folder.path(), &["-", "--output", "json"], b"");
    check(&run, 3, "report_empty");
}

#[test]
fn explain_tells_the_whole_story() {
    let folder = Folder::new();
    folder.trivy("a.json", &[row("CVE-2024-1000", "lodash", "HIGH")]);
    let run = plain(folder.path(), &["explain", "cve-2024-1000", "a.json"], b"");
    assert_eq!(run.code, 0, "{}", run.err);
    for part in [
        "CVE-2024-1000: high in lodash 1.0.0",
        "a.json (trivy)",
        "decided by `threshold`",
        "it blocks the release",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    let run = plain(folder.path(), &["explain", "CVE-1999-1", "a.json"], b"");
    assert_eq!(run.code, 3);
    assert!(
        run.out
            .contains("no report that was looked at names CVE-1999-1"),
        "{}",
        run.out
    );
}

#[test]
fn validate_says_what_each_file_is() {
    let folder = Folder::new();
    folder.trivy("a.json", &[row("CVE-2024-1000", "lodash", "HIGH")]);
    let run = plain(folder.path(), &["validate", "a.json"], b"");
    assert_eq!(
        (run.code, run.out.as_str()),
        (0, "a.json: trivy, findings, 1 rows\n")
    );
    let run = plain(
        folder.path(),
        &["validate", "a.json", "none.json", "--json"],
        b"",
    );
    assert_eq!(run.code, 3);
    assert_eq!(run.report[1]["outcome"], "not_a_report");
}

#[test]
fn what_is_typed_wrongly_is_told_with_a_way_out() {
    let folder = Folder::new();
    folder.trivy("a.json", &[]);
    for (line, part) in [
        (&["a.json", "--fail-on", "hihg"][..], "did you mean `high`?"),
        (&["a.json", "--fail-on", "vulnerabilty=high"], "no class"),
        (&["a.json", "--require", "trivvy"], "did you mean `trivy`?"),
        (&["a.json", "--require", "npm-audit:x"], "only sarif"),
        (&["a.json", "--accept-partial", "skipped"], "kind of gap"),
        (&["a.json", "--max-age", "0s"], "`off`"),
        (
            &["a.json", "--expect-target", ""],
            "is the pipeline's variable set?",
        ),
        (
            &["a.json", "--ignore-unfixed", "--unfixed", "ignore"],
            "one of the two",
        ),
        (&["a.json", "--unfixed-grace", "3d"], "--ignore-unfixed"),
        (&["a.json", "--max-findings", "0"], "above 0"),
        (&[], "no reports"),
    ] {
        let run = plain(folder.path(), line, b"");
        assert_eq!(run.code, 2, "{line:?}: {}", run.err);
        assert!(run.err.contains(part), "{line:?}: {}", run.err);
        assert!(run.out.is_empty());
    }
}

#[test]
fn two_runs_say_the_same_but_for_the_times() {
    let folder = Folder::new();
    let files = [
        "trivy/golden-debian-stretch.json",
        "osv_scanner/ci-test-vuln-results-a.json",
        "npm_audit/multiple_cwes2.json",
    ];
    let files: Vec<String> = files
        .iter()
        .filter(|file| Path::new(&fixture(file)).exists())
        .map(|file| fixture(file))
        .collect();
    let line: Vec<&str> = files.iter().map(String::as_str).collect();
    let said = || {
        let mut report = gate(folder.path(), &line).report;
        for member in ["started_at", "ended_at"] {
            report[member] = Value::Null;
        }
        for input in report["inputs"].as_array_mut().unwrap() {
            input["age_seconds"] = Value::Null;
            input["database_age_seconds"] = Value::Null;
        }
        report.to_string()
    };
    assert_eq!(said(), said());
}

#[test]
fn a_list_that_is_cut_short_says_so_and_judges_all() {
    let folder = Folder::new();
    let rows: Vec<Value> = (0..20)
        .map(|number| {
            row(
                &format!("CVE-2024-{}", 1000 + number),
                "lodash",
                if number == 7 { "CRITICAL" } else { "LOW" },
            )
        })
        .collect();
    folder.trivy("a.json", &rows);
    let run = gate(folder.path(), &["a.json", "--max-findings", "3"]);
    check(&run, 1, "findings_block");
    assert_eq!(run.report["findings"].as_array().unwrap().len(), 3);
    assert_eq!(run.report["findings"][0]["rule"], "CVE-2024-1007");
    assert_eq!(run.report["details"]["findings"], 20);
    assert!(
        run.report["not_covered"]
            .to_string()
            .contains("worst 3 of 20")
    );
}

#[test]
fn every_face_is_written_whole() {
    let folder = Folder::new();
    folder.trivy("a.json", &[row("CVE-2024-1000", "lodash", "HIGH")]);
    let faces = [
        "human",
        "json",
        "junit",
        "markdown",
        "github",
        "html",
        "prometheus",
        "tap",
        "sarif",
    ];
    let mut line = vec!["a.json".to_owned()];
    for face in faces {
        line.extend(["--output".to_owned(), format!("{face}=out.{face}")]);
    }
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let run = plain(folder.path(), &line, b"");
    assert_eq!(run.code, 1, "{}", run.err);
    for face in faces {
        let text = std::fs::read_to_string(folder.path().join(format!("out.{face}"))).unwrap();
        assert!(
            text.contains("CVE-2024-1000") || matches!(face, "prometheus"),
            "{face}: {text}"
        );
    }
}
