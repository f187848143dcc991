//! What exceptions accept and what they never do.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::{
    Applied, Form, Key, Match, Origin, Policy, Standing, Thing, init_text, read, schema_text,
};
use crate::finding::{Finding, Package, Spot};

const FORM: Form = Form {
    tool: "vuln-gate",
    keys: &[
        Key::Id,
        Key::Rule,
        Key::Package,
        Key::Versions,
        Key::Path,
        Key::Fingerprint,
    ],
    any_of: &[Key::Id, Key::Rule, Key::Fingerprint],
    states: &["accepted", "not_affected"],
    justifications: &["component_not_present"],
};

const TODAY: Date = date(2026, 11, 26);
const REST: &str = "reason = 'r'\nowner = 'o'\nexpires = 2026-12-31\n";

fn policy() -> Policy {
    Policy::on(TODAY)
}

fn finding() -> Finding {
    Finding {
        rule: "CVE-2021-23337".into(),
        title: "Command injection".into(),
        ids: vec!["CVE-2021-23337".into(), "GHSA-35jh-r3h4-6jhm".into()],
        package: Some(Package {
            ecosystem: Some("npm".into()),
            name: "lodash".into(),
            version: Some("4.17.20".into()),
            fixed: Some("4.17.21".into()),
        }),
        places: vec![Spot {
            path: "web/package-lock.json".into(),
            ..Spot::default()
        }],
        fingerprint: "p1-0123".into(),
        blocking: true,
        ..Finding::default()
    }
}

fn applied(what: &str, findings: &mut [Finding]) -> Applied {
    let text = format!("[[exceptions]]\n{what}\n{REST}");
    read("e.toml", &text, &FORM, &policy())
        .unwrap()
        .apply(findings, &policy())
}

/// Whether an exception with these keys accepts the finding.
#[track_caller]
fn check(what: &str, accepted: bool) {
    let mut findings = [finding()];
    let _ = applied(what, &mut findings);
    assert_eq!(findings[0].suppressed.is_some(), accepted, "{what}");
    assert_eq!(findings[0].blocking, !accepted, "{what}");
}

#[test]
fn an_exception_accepts_what_it_names_and_nothing_else() {
    check("id = 'CVE-2021-23337'", true);
    check("id = 'ghsa-35jh-r3h4-6jhm'", true);
    check("id = 'CVE-2021-2333'", false);
    check("rule = 'CVE-2021-23337'", true);
    check("rule = 'cve-2021-23337'", false);
    check("fingerprint = 'p1-0123'", true);
    check("fingerprint = 'p1-012'", false);
    check("id = 'CVE-2021-23337'\npackage = 'lodash'", true);
    check("id = 'CVE-2021-23337'\npackage = 'lodash-es'", false);
    check("id = 'CVE-2021-23337'\npackage = 'pkg:npm/lodash'", true);
    check("id = 'CVE-2021-23337'\npackage = 'pkg:pypi/lodash'", false);
    check(
        "id = 'CVE-2021-23337'\npackage = 'pkg:npm/lodash@4.17.20'",
        true,
    );
    check(
        "id = 'CVE-2021-23337'\npackage = 'pkg:npm/lodash@4.17.19'",
        false,
    );
    check(
        "id = 'CVE-2021-23337'\npackage = 'lodash'\nversions = '<4.17.21'",
        true,
    );
    check(
        "id = 'CVE-2021-23337'\npackage = 'lodash'\nversions = '<4.17.20'",
        false,
    );
    check("id = 'CVE-2021-23337'\npath = 'web/**'", true);
    check("id = 'CVE-2021-23337'\npath = 'api/**'", false);
}

#[test]
fn one_place_that_is_not_excused_keeps_the_finding() {
    let mut two = finding();
    two.places.push(Spot {
        path: "api/package-lock.json".into(),
        ..Spot::default()
    });
    let mut findings = [two];
    let _ = applied("id = 'CVE-2021-23337'\npath = 'web/**'", &mut findings);
    assert!(findings[0].suppressed.is_none());
}

#[test]
fn what_cannot_be_told_does_not_count_and_is_told() {
    let mut unknown = finding();
    unknown.package = Some(Package {
        name: "lodash".into(),
        version: Some("latest".into()),
        ..Package::default()
    });
    for what in [
        "package = 'lodash'\nversions = '<5'",
        "package = 'pkg:npm/lodash'",
    ] {
        let mut findings = [unknown.clone()];
        let applied = applied(&format!("id = 'CVE-2021-23337'\n{what}"), &mut findings);
        assert!(findings[0].suppressed.is_none() && findings[0].blocking);
        assert!(
            applied.sentences()[0].contains("does not count"),
            "{:?}",
            applied.sentences()
        );
    }
}

/// The standing of an exception that names the finding, by its last day.
#[track_caller]
fn on(expires: &str, expected: Standing, accepted: bool) {
    let text = format!(
        "[[exceptions]]\nid = 'CVE-2021-23337'\nreason = 'r'\nowner = 'o'\nexpires = {expires}\n"
    );
    let mut findings = [finding()];
    let applied = read("e.toml", &text, &FORM, &policy())
        .unwrap()
        .apply(&mut findings, &policy());
    assert_eq!(applied.uses[0].standing, expected, "{expires}");
    assert_eq!(findings[0].suppressed.is_some(), accepted, "{expires}");
}

#[test]
fn the_last_day_still_holds_and_the_next_does_not() {
    on("2026-11-25", Standing::Expired, false);
    on("2026-11-26", Standing::NearExpiry(0), true);
    on("2026-12-02", Standing::NearExpiry(6), true);
    on("2026-12-03", Standing::Holds, true);
    on("9999-12-31", Standing::Holds, true);
}

#[test]
fn whatever_deserves_a_look_is_told() {
    let text = "[[exceptions]]\nid = 'CVE-1'\nreason = 'r'\nowner = 'ann'\nexpires = 2026-12-31\n\
                [[exceptions]]\nid = 'CVE-2021-23337'\nreason = 'r'\nowner = 'bob'\nexpires = 2026-11-01\n\
                [[exceptions]]\nid = 'CVE-2'\nreason = 'r'\nowner = 'cid'\nexpires = 2026-11-01\n\
                [[exceptions]]\nrule = 'CVE-2021-23337'\nreason = 'r'\nowner = 'dan'\nexpires = 2026-11-28\n";
    let mut findings = [finding()];
    let applied = read("e.toml", text, &FORM, &policy())
        .unwrap()
        .apply(&mut findings, &policy());
    insta::assert_snapshot!(applied.sentences().join("\n"), @r"
    the exception for CVE-1 (ann, e.toml:1) names nothing that was found: take it out
    the exception for CVE-2021-23337 (bob, e.toml:6) expired on 2026-11-01: what it accepted counts again
    the exception for CVE-2 (cid, e.toml:11) expired on 2026-11-01 and names nothing: take it out
    the exception for rule CVE-2021-23337 (dan, e.toml:16) holds until 2026-11-28, 2 more days
    ");
    assert_eq!((applied.count("expired"), applied.count("unused")), (2, 1));
    assert_eq!(applied.rows()[1]["standing"], "expired");
}

/// The complaint about a file, with its line.
#[track_caller]
fn refused(text: &str, line: u32, says: &str) {
    let policy = Policy {
        longest_days: Some(90),
        ..policy()
    };
    let error = read("e.toml", text, &FORM, &policy).unwrap_err();
    let told = format!("{error} {}", error.hint.as_deref().unwrap_or_default());
    assert!(told.contains(says), "{told}");
    assert_eq!(error.at.map(|at| at.line), Some(line), "{told}");
}

#[test]
fn what_is_not_said_is_not_accepted() {
    let id = "[[exceptions]]\nid = 'CVE-1'\n";
    refused(
        &format!("{id}owner = 'o'\nexpires = 2026-12-31"),
        1,
        "without `reason`",
    );
    refused(
        &format!("{id}reason = 'r'\nexpires = 2026-12-31"),
        1,
        "without `owner`",
    );
    refused(
        &format!("{id}reason = 'r'\nowner = 'o'"),
        1,
        "without `expires`",
    );
    refused(
        &format!("{id}reason = ' '\nowner = 'o'\nexpires = 2026-12-31"),
        3,
        "`reason` is empty",
    );
    refused(
        &format!("{id}reason = 'r'\nowner = 'o'\nexpires = 'soon'"),
        5,
        "2026-12-31",
    );
    refused(
        &format!("{id}reason = 'r'\nowner = 'o'\nexpires = 2026-12-31T10:00:00Z"),
        5,
        "2026-12-31",
    );
    refused(
        &format!("{id}reason = 'r'\nowner = 'o'\nexpires = 2027-03-01"),
        5,
        "at most 90",
    );
    refused(
        &format!("{id}created = 2026-09-01\nreason = 'r'\nowner = 'o'\nexpires = 2026-12-31"),
        6,
        "at most 90",
    );
    refused(
        &format!("{id}created = 2027-01-01\nreason = 'r'\nowner = 'o'\nexpires = 2027-01-02"),
        1,
        "yet to come",
    );
    refused(
        &format!("{id}{REST}onwer = 'x'"),
        6,
        "did you mean `owner`?",
    );
    refused(
        &format!("{id}{REST}state = 'acepted'"),
        6,
        "did you mean `accepted`?",
    );
    refused(
        &format!("{id}{REST}[[exceptions]]\nid = 'cve-1'\n{REST}"),
        6,
        "line 1 says it already",
    );
    refused(
        "[[exception]]\nid = 'CVE-1'\n",
        1,
        "did you mean `exceptions`?",
    );
    refused("schema = 'gs.exceptions/v2'\n", 1, "gs.exceptions/v1");
}

#[test]
fn an_exception_for_everything_is_refused() {
    refused(
        &format!("[[exceptions]]\n{REST}"),
        1,
        "nobody has looked at",
    );
    refused(
        &format!("[[exceptions]]\npackage = 'lodash'\n{REST}"),
        1,
        "`id` or `rule` or `fingerprint`",
    );
    refused(
        &format!("[[exceptions]]\nid = 'CVE-*'\n{REST}"),
        2,
        "takes no pattern",
    );
    refused(
        &format!("[[exceptions]]\nid = 'CVE-1'\npackage = '*'\n{REST}"),
        3,
        "takes no pattern",
    );
    refused(
        &format!("[[exceptions]]\nid = 'CVE-1'\npath = '**'\n{REST}"),
        3,
        "every file",
    );
    refused(
        &format!("[[exceptions]]\nid = 'CVE-1'\nversions = '<1'\n{REST}"),
        1,
        "without a `package`",
    );
    refused(
        &format!("[[exceptions]]\nid = 'CVE-1'\npackage = 'a'\nversions = '*'\n{REST}"),
        4,
        "is no version",
    );
    refused(
        &format!("[[exceptions]]\nid = 'CVE-1'\npackage = 'pkg:npm/a@1'\nversions = '<1'\n{REST}"),
        4,
        "already says",
    );
}

#[test]
fn the_commented_start_is_a_file_of_no_exceptions_and_a_true_example() {
    let start = init_text(&FORM, TODAY);
    assert!(
        read("e.toml", &start, &FORM, &policy())
            .unwrap()
            .list
            .is_empty()
    );
    let example: String = start
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with('[') || line.contains(" = "))
        .map(|line| format!("{line}\n"))
        .collect();
    let read = read("e.toml", &example, &FORM, &policy()).unwrap();
    assert_eq!(read.list.len(), 1);
}

#[test]
fn the_committed_schema_is_the_one_of_the_types_and_of_the_reader() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/schemas/exceptions.v1.schema.json"
    );
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        crate::file::write_atomic(path.as_ref(), |out| out.write_all(schema_text().as_bytes()))
            .unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert_eq!(committed, schema_text(), "run UPDATE_SCHEMAS=1 make test");
    let schema: serde_json::Value = serde_json::from_str(&committed).unwrap();
    let mut declared: Vec<&str> = schema["$defs"]["Exception"]["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    declared.sort_unstable();
    // No known key is near enough to be meant, so the reader lists all of them.
    let text = format!("[[exceptions]]\nid = 'CVE-1'\n{REST}zzzzzzzzzzzz = 1\n");
    let hint = read("e.toml", &text, &FORM, &policy())
        .unwrap_err()
        .hint
        .unwrap();
    let known: Vec<&str> = hint
        .strip_prefix("known here: ")
        .unwrap()
        .split(", ")
        .collect();
    assert_eq!(declared, known);
}

fn git(folder: &Path, args: &[&str]) {
    let done = Command::new("git")
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

#[test]
fn a_change_cannot_excuse_itself() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = folder.join("security/exceptions.toml");
    let write = |text: &str| {
        crate::file::write_atomic(&file, |out| out.write_all(text.as_bytes())).unwrap()
    };
    git(folder, &["init", "--quiet"]);
    std::fs::create_dir(folder.join("security")).unwrap();
    write("# base\n");
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "-m", "base"]);
    git(folder, &["checkout", "--quiet", "-b", "change"]);
    write("# changed\n");
    git(folder, &["commit", "--quiet", "-am", "change"]);

    let variables = BTreeMap::from([("GITHUB_BASE_REF".to_owned(), "main".to_owned())]);
    let loaded = Origin::of(None, &variables).load(&file).unwrap();
    assert_eq!(loaded.text, "# base\n");
    assert!(
        loaded.notes[0].contains("this change has another"),
        "{:?}",
        loaded.notes
    );
    assert!(loaded.name.starts_with("main:"));

    // The change takes the file away, with its folder: what the base has counts.
    std::fs::remove_dir_all(folder.join("security")).unwrap();
    let loaded = Origin::of(None, &variables).load(&file).unwrap();
    assert_eq!((loaded.text.as_str(), loaded.notes.len()), ("# base\n", 1));

    // The change brings a file of its own: nothing is accepted yet.
    let own = folder.join("own.toml");
    crate::file::write_atomic(&own, |out| out.write_all(b"# own\n")).unwrap();
    let loaded = Origin::of(None, &variables).load(&own).unwrap();
    assert!(loaded.text.is_empty() && loaded.notes[0].contains("once they are merged"));

    // Nothing is guessed where the base is not known, and no revision is an option.
    for strange in ["no-such-branch", "--help"] {
        let error = Origin::of(Some(strange), &variables)
            .load(&own)
            .unwrap_err();
        assert!(error.to_string().contains("does not know"), "{error}");
        assert!(error.hint.unwrap().contains("fetch-depth: 0"));
    }
    let nowhere = folder.join("nowhere.toml");
    assert!(Origin::of(None, &variables).load(&nowhere).is_err());
    assert_eq!(Origin::of(Some("."), &variables), Origin::WorkTree);
    assert_eq!(Origin::of(None, &BTreeMap::new()), Origin::WorkTree);
    assert_eq!(Origin::WorkTree.load(&own).unwrap().text, "# own\n");

    // What the pipeline makes is no part of the change; what the change brings is.
    let made = Origin::of(None, &variables).load_made(&own, 100).unwrap();
    assert_eq!((made.text.as_str(), made.notes.len()), ("# own\n", 0));
    git(folder, &["add", "own.toml"]);
    let brought = Origin::of(None, &variables).load_made(&own, 100).unwrap();
    assert!(brought.text.is_empty() && brought.notes.len() == 1);
}

#[test]
fn outside_of_a_repository_the_base_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("e.toml");
    crate::file::write_atomic(&file, |out| out.write_all(b"")).unwrap();
    let error = Origin::of(Some("main"), &BTreeMap::new())
        .load(&file)
        .unwrap_err();
    assert!(error.to_string().contains("git:"), "{error}");
}

fn any_finding() -> impl Strategy<Value = Finding> {
    let word = || proptest::sample::select(vec!["a", "b", "CVE-1", "CVE-2", "src/a"]);
    (
        word(),
        word(),
        word(),
        word(),
        proptest::option::of(word()),
        any::<bool>(),
    )
        .prop_map(|(rule, id, name, path, version, place)| Finding {
            rule: rule.into(),
            ids: vec![id.into()],
            package: Some(Package {
                ecosystem: Some("npm".into()),
                name: name.into(),
                version: version.map(|_| "1.0.0".into()),
                fixed: None,
            }),
            place: place.then(|| Spot {
                path: path.into(),
                ..Spot::default()
            }),
            fingerprint: id.into(),
            blocking: true,
            ..Finding::default()
        })
}

fn any_what() -> impl Strategy<Value = String> {
    let word = || proptest::option::of(proptest::sample::select(vec!["a", "b", "CVE-1", "src/a"]));
    (word(), word(), word(), word(), word()).prop_filter_map(
        "names too much",
        |(id, rule, package, path, fingerprint)| {
            let keys = [
                ("id", id),
                ("rule", rule),
                ("package", package),
                ("path", path),
                ("fingerprint", fingerprint),
            ];
            let given: String = keys
                .iter()
                .filter_map(|(key, value)| value.map(|value| format!("{key} = '{value}'\n")))
                .collect();
            (id.is_some() || rule.is_some() || fingerprint.is_some()).then_some(given)
        },
    )
}

proptest! {
    #[test]
    fn an_exception_never_adds_a_finding_nor_touches_what_it_does_not_name(
        findings in proptest::collection::vec(any_finding(), 0..6),
        what in any_what(),
        day in 20_i8..=30,
    ) {
        let text = format!("[[exceptions]]\n{what}reason = 'r'\nowner = 'o'\nexpires = 2026-11-25\n");
        let policy = Policy::on(date(2026, 11, day));
        let exceptions = read("e.toml", &text, &FORM, &policy).unwrap();
        let mut after = findings.clone();
        let _ = exceptions.apply(&mut after, &policy);
        prop_assert_eq!(after.len(), findings.len());
        for (before, mut after) in findings.into_iter().zip(after) {
            let named = exceptions.list[0].what.names(&Thing::of(&before)) == Match::Yes;
            prop_assert_eq!(after.suppressed.is_some(), named && day <= 25);
            prop_assert_eq!(after.blocking, after.suppressed.is_none());
            after.suppressed = None;
            after.blocking = true;
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s)(\\[\\[exceptions\\]\\]\n|id = 'x'\n|expires = |2026-01-01\n|.){0,30}") {
        let _ = read("e.toml", &text, &FORM, &policy());
    }
}
