use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::*;
use crate::model::{PackageRef, Row, ScannerSuppression, Scope, Status, Vulnerability};

const TODAY: Date = date(2026, 11, 26);

fn vulnerability(severity: Severity, change: impl FnOnce(&mut Row)) -> Vulnerability {
    let mut row = Row {
        id: "CVE-2026-1".into(),
        severity,
        status: Status::Fixed,
        fixed: vec!["2.0".into()],
        package: Some(PackageRef {
            name: "lodash".into(),
            ..PackageRef::default()
        }),
        ..Row::default()
    };
    change(&mut row);
    Vulnerability {
        class: row.class,
        rule: row.id.clone(),
        ids: vec![row.id.clone()],
        severity,
        disagreement: None,
        malicious: row.malicious(),
        known_exploited: row.known_exploited,
        rows: vec![(0, Box::new(row))],
    }
}

#[track_caller]
fn check(policy: &Policy, vulnerability: &Vulnerability, effect: Effect, rule: &str) {
    let decision = decide(policy, vulnerability, None, TODAY);
    assert_eq!(
        (decision.effect, decision.rule),
        (effect, rule),
        "{}",
        decision.words
    );
    assert!(
        RULES.iter().any(|(known, _)| *known == rule),
        "{rule} is in no table"
    );
}

fn unfixed_row(row: &mut Row) {
    row.status = Status::Affected;
    row.fixed.clear();
}

#[test]
fn the_threshold_itself_blocks() {
    let policy = Policy::default();
    check(
        &policy,
        &vulnerability(Severity::High, |_| {}),
        Effect::Block,
        "threshold",
    );
    check(
        &policy,
        &vulnerability(Severity::Medium, |_| {}),
        Effect::Ignore,
        "below_threshold",
    );
    check(
        &policy,
        &vulnerability(Severity::Unknown, |_| {}),
        Effect::Warn,
        "unknown_severity",
    );
}

#[test]
fn a_suppression_of_the_scanner_holds_until_its_last_day() {
    let policy = Policy::default();
    let until = |day| {
        vulnerability(Severity::High, |row| {
            row.suppressed = Some(Box::new(ScannerSuppression {
                expires: Some(day),
                ..ScannerSuppression::default()
            }));
        })
    };
    check(&policy, &until(TODAY), Effect::Ignore, "scanner_suppressed");
    check(
        &policy,
        &until(date(2026, 11, 25)),
        Effect::Block,
        "threshold",
    );
}

#[test]
fn what_is_not_told_about_a_fix_counts_as_fixable() {
    let policy = Policy {
        unfixed: Effect::Ignore,
        ..Policy::default()
    };
    check(
        &policy,
        &vulnerability(Severity::High, unfixed_row),
        Effect::Ignore,
        "unfixed",
    );
    let silent = vulnerability(Severity::High, |row| {
        row.fixed.clear();
        row.status = Status::Unknown;
    });
    check(&policy, &silent, Effect::Block, "threshold");
}

#[test]
fn days_of_grace_end() {
    let policy = Policy {
        unfixed: Effect::Warn,
        unfixed_grace_days: Some(30),
        ..Policy::default()
    };
    let published = |day| {
        vulnerability(Severity::High, |row| {
            unfixed_row(row);
            row.published = day;
        })
    };
    check(
        &policy,
        &published(Some(date(2026, 10, 27))),
        Effect::Warn,
        "unfixed",
    );
    check(
        &policy,
        &published(Some(date(2026, 10, 26))),
        Effect::Block,
        "grace_over",
    );
    check(&policy, &published(None), Effect::Block, "grace_over");
}

#[test]
fn a_malicious_package_is_excused_by_no_scope_and_no_missing_fix() {
    let policy = Policy {
        unfixed: Effect::Ignore,
        development: Effect::Ignore,
        ..Policy::default()
    };
    let malicious = vulnerability(Severity::Critical, |row| {
        row.id = "MAL-2026-1".into();
        row.scope = Scope::Development;
        unfixed_row(row);
    });
    check(&policy, &malicious, Effect::Block, "malicious");
    let developed = vulnerability(Severity::Critical, |row| row.scope = Scope::Development);
    check(&policy, &developed, Effect::Ignore, "development");
}

#[test]
fn what_the_base_has_does_not_block_and_what_is_new_does() {
    let policy = Policy::default();
    let high = vulnerability(Severity::High, |_| {});
    assert_eq!(decide(&policy, &high, Some(false), TODAY).rule, "unchanged");
    assert_eq!(decide(&policy, &high, Some(true), TODAY).rule, "threshold");
}

fn severity() -> impl Strategy<Value = Severity> {
    prop::sample::select(Severity::ALL.to_vec())
}

proptest! {
    #[test]
    fn a_worse_severity_never_betters_the_effect(low in severity(), high in severity(), threshold in severity()) {
        prop_assume!(threshold != Severity::Unknown && low != Severity::Unknown && high != Severity::Unknown);
        let (low, high) = if low <= high { (low, high) } else { (high, low) };
        let mut policy = Policy::default();
        policy.fail_on.insert(Class::Vulnerability, Some(threshold));
        let effect = |severity| decide(&policy, &vulnerability(severity, |_| {}), None, TODAY).effect;
        prop_assert!(effect(low) <= effect(high));
    }

    #[test]
    fn a_stricter_threshold_never_lets_more_through(one in severity(), two in severity(), found in severity()) {
        prop_assume!(one != Severity::Unknown && two != Severity::Unknown);
        let effect = |threshold| {
            let mut policy = Policy::default();
            policy.fail_on.insert(Class::Vulnerability, Some(threshold));
            decide(&policy, &vulnerability(found, |_| {}), None, TODAY).effect
        };
        prop_assert!(effect(one.min(two)) >= effect(one.max(two)));
    }
}
