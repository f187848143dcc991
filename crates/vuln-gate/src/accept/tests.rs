//! What is accepted as a whole, and what is not.

use gs_common::finding::Severity;
use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::model::{Class, PackageRef, ScannerSuppression};

const TODAY: Date = date(2026, 11, 26);

fn row(name: &str, version: &str, path: &str) -> Row {
    Row {
        id: "CVE-2021-23337".into(),
        package: Some(PackageRef {
            ecosystem: Some("npm".into()),
            name: name.into(),
            version: Some(version.into()),
            purl: Some(format!("pkg:npm/{name}@{version}").into()),
        }),
        path: Some(path.into()),
        ..Row::default()
    }
}

fn vulnerability(rows: Vec<Row>) -> Vulnerability {
    Vulnerability {
        class: Class::Vulnerability,
        rule: "CVE-2021-23337".into(),
        ids: vec!["CVE-2021-23337".into(), "GHSA-35jh-r3h4-6jhm".into()],
        severity: Severity::High,
        disagreement: None,
        malicious: false,
        known_exploited: false,
        rows: rows.into_iter().map(|row| (0, Box::new(row))).collect(),
    }
}

fn finding() -> Finding {
    Finding {
        rule: "CVE-2021-23337".into(),
        fingerprint: "p1-1".into(),
        blocking: true,
        ..Finding::default()
    }
}

fn sources(exceptions: &str, vex: &str) -> Sources {
    let policy = suppression::Policy::on(TODAY);
    let statements = if vex.is_empty() {
        Vec::new()
    } else {
        vex::read("vex.json", vex).unwrap()
    };
    Sources {
        exceptions: suppression::read("e.toml", exceptions, &FORM, &policy).unwrap(),
        statements,
        products: Vec::new(),
        policy,
        notes: Vec::new(),
        given: true,
    }
}

fn exception(what: &str) -> String {
    format!(
        "[[exceptions]]\nid = 'CVE-2021-23337'\n{what}\nreason = 'r'\nowner = 'o'\nexpires = 2026-12-31\n"
    )
}

fn not_affected(version: &str) -> String {
    format!(
        r#"{{"@context":"https://openvex.dev/ns/v0.2.0","author":"S","timestamp":"2026-01-01T00:00:00Z","statements":[
        {{"vulnerability":"GHSA-35jh-r3h4-6jhm","products":["pkg:npm/lodash@{version}"],"status":"not_affected","justification":"component_not_present"}}]}}"#
    )
}

/// The finding of a vulnerability after exceptions and statements were put to it.
fn marked(sources: &Sources, found: Vulnerability, mut finding: Finding) -> Finding {
    let fingerprint = finding.fingerprint.to_string();
    let accepted = apply(sources, &[found], |_| fingerprint.clone());
    accepted.mark(0, &mut finding);
    finding
}

#[track_caller]
fn check(rows: Vec<Row>, sources: &Sources, accepted: bool) -> Finding {
    let marked = marked(sources, vulnerability(rows), finding());
    assert_eq!(marked.suppressed.is_some(), accepted);
    assert_eq!(marked.blocking, !accepted);
    marked
}

#[test]
fn every_row_has_to_be_accepted() {
    let both = || {
        vec![
            row("lodash", "4.17.20", "web"),
            row("lodash", "3.10.1", "api"),
        ]
    };
    let only_new = exception("package = 'lodash'\nversions = '>=4'");
    let left = check(both(), &sources(&only_new, ""), false);
    assert_eq!(
        left.more.get("partly_accepted").unwrap(),
        "1 of its 2 rows are accepted, the others are not"
    );
    check(
        both(),
        &sources(&exception("package = 'pkg:npm/lodash'"), ""),
        true,
    );
    check(both(), &sources(&exception("path = 'web'"), ""), false);
    // An exception for one row and a statement for the other accept the whole.
    check(both(), &sources(&only_new, &not_affected("3.10.1")), true);
    check(both(), &sources(&only_new, &not_affected("3.10.2")), false);
}

#[test]
fn a_row_that_its_scanner_ignores_needs_no_exception_until_that_lapses() {
    let ignored = |last| Row {
        suppressed: Some(Box::new(ScannerSuppression {
            expires: Some(last),
            ..ScannerSuppression::default()
        })),
        ..row("lodash", "3.10.1", "api")
    };
    let only_new = sources(&exception("package = 'lodash'\nversions = '>=4'"), "");
    check(
        vec![row("lodash", "4.17.20", "web"), ignored(TODAY)],
        &only_new,
        true,
    );
    check(
        vec![row("lodash", "4.17.20", "web"), ignored(date(2026, 11, 25))],
        &only_new,
        false,
    );
}

#[test]
fn what_was_suppressed_before_stays_as_it_was() {
    let before = Finding {
        suppressed: Some(Box::new(Suppressed {
            by: "scanner".to_owned(),
            ..Suppressed::default()
        })),
        ..finding()
    };
    let found = vulnerability(vec![row("lodash", "4.17.20", "web")]);
    let after = marked(
        &sources(&exception("package = 'lodash'"), ""),
        found,
        before,
    );
    assert_eq!(after.suppressed.unwrap().by, "scanner");
}

#[test]
fn open_vex_names_what_is_in_use() {
    let found = [vulnerability(vec![row("@scope/a", "1.0.0", "web")])];
    let sources = sources(
        &format!(
            "{}[[exceptions]]\nid = 'CVE-1'\npackage = 'pkg:npm/%40scope/b@2.0.0'\nreason = 'r'\nowner = 'o'\nexpires = 2026-12-31\n\
             [[exceptions]]\nid = 'CVE-2'\nreason = 'r'\nowner = 'o'\nexpires = 2026-11-25\n",
            exception("")
        ),
        "",
    );
    let stated = stated(&sources, &found, &[finding()]);
    let told: Vec<(&str, &[String])> = stated
        .iter()
        .map(|one| (one.id.as_str(), one.products.as_slice()))
        .collect();
    assert_eq!(
        told,
        [
            ("CVE-2021-23337", &["pkg:npm/@scope/a@1.0.0".to_owned()][..]),
            ("CVE-1", &["pkg:npm/%40scope/b@2.0.0".to_owned()][..]),
        ],
        "an expired one states nothing"
    );
    assert_eq!(stated[0].aliases, ["GHSA-35jh-r3h4-6jhm"]);
}

proptest! {
    #[test]
    fn nothing_is_accepted_that_neither_an_exception_nor_a_statement_names(
        rows in proptest::collection::vec(("[ab]", "[12]\\.0\\.0", "[xy]"), 1..5),
        package in "[ab]", versions in "(<|>=|=)[12]\\.0\\.0", path in proptest::option::of("[xy]"),
    ) {
        let mut what = format!("package = '{package}'\nversions = '{versions}'");
        if let Some(path) = &path {
            what.push_str(&format!("\npath = '{path}'"));
        }
        let sources = sources(&exception(&what), "");
        let names = |(name, version, place): &(String, String, String)| {
            let range: gs_common::versions::Range = versions.parse().unwrap();
            *name == package && range.contains(Some("npm"), version) == Some(true) && path.as_ref().is_none_or(|path| path == place)
        };
        let found = vulnerability(rows.iter().map(|(name, version, path)| row(name, version, path)).collect());
        let after = marked(&sources, found, finding());
        prop_assert_eq!(after.suppressed.is_some(), rows.iter().all(names));
    }
}
