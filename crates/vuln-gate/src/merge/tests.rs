use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{Outcome, PackageRef, Rating};

fn input(rows: Vec<Row>) -> InputReport {
    let mut inputs = crate::formats::read("test", std::io::Cursor::new(b"[]".to_vec()), None);
    let mut input = inputs.remove(0);
    input.outcome = Outcome::Findings;
    input.rows = rows.into_iter().map(Box::new).collect();
    input
}

fn row(ecosystem: Option<&str>, name: &str, ids: &[&str]) -> Row {
    let mut ids = ids.iter().map(|id| Text::from(*id));
    Row {
        id: ids.next().unwrap_or_default(),
        aliases: ids.collect(),
        package: Some(PackageRef {
            ecosystem: ecosystem.map(Text::from),
            name: name.into(),
            version: None,
            purl: None,
        }),
        severity: Severity::Low,
        ..Row::default()
    }
}

fn merged(rows: Vec<Row>) -> Vec<Vulnerability> {
    merge(&mut [input(rows)], SeverityFrom::Highest)
}

#[test]
fn aliases_join_transitively_inside_a_package_and_never_across() {
    let found = merged(vec![
        row(Some("pypi"), "jinja2", &["PYSEC-2021-66", "CVE-2020-28493"]),
        row(Some("pypi"), "jinja2", &["SNYK-1", "GHSA-g3rq-g295-4j3m"]),
        row(Some("pypi"), "flask", &["CVE-2020-28493"]),
        row(
            Some("pypi"),
            "jinja2",
            &["GHSA-g3rq-g295-4j3m", "CVE-2020-28493"],
        ),
    ]);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].rows.len(), 3);
    assert_eq!(&*found[0].rule, "CVE-2020-28493");
    let ids: Vec<&str> = found[0].ids.iter().map(|id| &**id).collect();
    assert_eq!(
        ids,
        [
            "CVE-2020-28493",
            "GHSA-g3rq-g295-4j3m",
            "PYSEC-2021-66",
            "SNYK-1"
        ]
    );
}

#[test]
fn one_name_in_two_ecosystems_is_two_packages_unless_one_does_not_tell() {
    let pair = |left, right| {
        merged(vec![
            row(left, "time", &["CVE-1"]),
            row(right, "time", &["CVE-1"]),
        ])
        .len()
    };
    assert_eq!(pair(Some("cargo"), Some("npm")), 2);
    assert_eq!(pair(Some("cargo"), None), 1);
    assert_eq!(pair(Some("cargo"), Some("cargo")), 1);
}

#[test]
fn rows_of_different_inputs_keep_the_number_of_their_input() {
    let mut inputs = [
        input(vec![row(Some("npm"), "a", &["CVE-1"])]),
        input(vec![row(Some("npm"), "a", &["CVE-1"])]),
    ];
    let found = merge(&mut inputs, SeverityFrom::Highest);
    let numbers: Vec<usize> = found[0].rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [0, 1]);
}

#[test]
fn the_highest_of_labels_and_vectors_counts_and_the_difference_is_shown() {
    let mut rated = row(Some("npm"), "a", &["GHSA-1"]);
    rated.severity = Severity::Medium;
    for severity in [Severity::Medium, Severity::High] {
        rated.ratings.push(Arc::new(Rating {
            source: "x".into(),
            severity,
            score: None,
            cvss: 0,
            vector: None,
        }));
    }
    let found = merged(vec![rated.clone()]);
    assert_eq!(found[0].severity, Severity::High);
    let differs = found[0].disagreement.as_ref().unwrap();
    assert_eq!(
        (differs.lowest, differs.highest),
        (Severity::Medium, Severity::High)
    );
    let found = merge(&mut [input(vec![rated])], SeverityFrom::Scanner);
    assert_eq!(found[0].severity, Severity::Medium);
}

#[test]
fn malicious_and_exploited_are_critical_whatever_the_label() {
    assert_eq!(
        merged(vec![row(Some("npm"), "a", &["MAL-2024-1"])])[0].severity,
        Severity::Critical
    );
    let mut exploited = row(Some("npm"), "a", &["CVE-1"]);
    exploited.known_exploited = true;
    assert_eq!(merged(vec![exploited])[0].severity, Severity::Critical);
}

#[test]
fn lines_of_code_are_the_same_where_rule_and_place_are() {
    let code = |path: &str, line| Row {
        class: Class::Code,
        id: "py/sql-injection".into(),
        path: Some(path.into()),
        line: Some(line),
        ..Row::default()
    };
    let found = merged(vec![
        code("a.py", 1),
        code("a.py", 1),
        code("a.py", 2),
        code("b.py", 1),
    ]);
    assert_eq!(found.len(), 3);
    // A line that moved is not new.
    let base = merged(vec![code("a.py", 7)]);
    assert_eq!(compare(&found, base).introduced, [false, false, true]);
}

#[test]
fn counts_leave_out_what_the_scanner_suppresses() {
    let mut ignored = row(Some("npm"), "b", &["CVE-2"]);
    ignored.suppressed = Some(Box::default());
    let same = row(Some("npm"), "a", &["CVE-1"]);
    let counts = counts(&input(vec![same.clone(), same, ignored]));
    assert_eq!((counts.rows, counts.unique, counts.suppressed), (2, 1, 1));
    assert_eq!(counts.severities, [0, 0, 0, 2, 0, 0]);
}

fn some_row() -> impl Strategy<Value = Row> {
    let ids = prop::collection::vec(
        prop::sample::select(vec!["CVE-1", "CVE-2", "GHSA-1", "GHSA-2", "OSV-1"]),
        1..3,
    );
    let ecosystem = prop::sample::select(vec![None, Some("npm"), Some("pypi")]);
    (ecosystem, prop::sample::select(vec!["a", "b"]), ids)
        .prop_map(|(ecosystem, name, ids)| row(ecosystem, name, &ids))
}

/// The groups as sets of ids and packages, without order.
fn shape(found: &[Vulnerability]) -> Vec<(String, Vec<String>, usize)> {
    let mut shape: Vec<_> = found
        .iter()
        .map(|one| {
            let name = one
                .package()
                .map(|package| package.name.to_string())
                .unwrap_or_default();
            (
                name,
                one.ids.iter().map(ToString::to_string).collect(),
                one.rows.len(),
            )
        })
        .collect();
    shape.sort();
    shape
}

proptest! {
    #[test]
    fn no_row_is_lost_and_none_is_in_two(rows in prop::collection::vec(some_row(), 0..20)) {
        let count = rows.len();
        let found = merged(rows);
        prop_assert_eq!(found.iter().map(|one| one.rows.len()).sum::<usize>(), count);
        for one in &found {
            prop_assert!(one.rows.iter().all(|(_, row)| row.severity <= one.severity));
        }
    }

    #[test]
    fn the_order_of_rows_does_not_matter(rows in prop::collection::vec(some_row(), 0..15)) {
        // Rows without an ecosystem may bridge two, in whatever order they come.
        let forward = merged(rows.clone());
        let backward = merged(rows.into_iter().rev().collect());
        prop_assert_eq!(shape(&forward), shape(&backward));
    }

    #[test]
    fn against_itself_nothing_is_new_and_nothing_is_gone(rows in prop::collection::vec(some_row(), 0..15)) {
        let found = merged(rows.clone());
        let change = compare(&found, merged(rows));
        prop_assert!(change.introduced.iter().all(|new| !new));
        prop_assert!(change.fixed.is_empty());
    }
}
