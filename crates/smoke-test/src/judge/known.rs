//! Failures that are accepted on record.

use gs_common::report::Broken;
use gs_common::verdict::Verdict;
use jiff::civil::Date;

use super::{broken, ranked, reason};
use crate::suite::model::KnownFailure;

/// What the record makes of a judgement: a failure warns until the record expires, a pass fails so
/// that the record is taken out. What could not be judged stays so.
#[must_use]
pub fn known_failure(known: &KnownFailure, found: Vec<Broken>, today: Date) -> Vec<Broken> {
    let KnownFailure {
        reason: why,
        owner,
        expires,
    } = known;
    let worst = found
        .iter()
        .map(|broken| broken.verdict)
        .max()
        .unwrap_or(Verdict::Pass);
    let record = match worst {
        Verdict::Inconclusive => return found,
        Verdict::Pass | Verdict::Warn => broken(
            Verdict::Fail,
            reason::KNOWN_FAILURE_PASSED,
            format!("it passes now: take out its `known_failure` ({why}, {owner})"),
        ),
        Verdict::Fail if today > *expires => broken(
            Verdict::Fail,
            reason::KNOWN_FAILURE_EXPIRED,
            format!("it still fails, and was accepted until {expires} only ({why}, {owner})"),
        ),
        Verdict::Fail => broken(
            Verdict::Warn,
            reason::KNOWN_FAILURE,
            format!("it fails as known until {expires} ({why}, {owner})"),
        ),
    };
    let accepted = record.verdict == Verdict::Warn;
    let rest = found.into_iter().map(|broken| match broken.verdict {
        Verdict::Fail if accepted => Broken {
            verdict: Verdict::Warn,
            ..broken
        },
        _ => broken,
    });
    ranked(std::iter::once(record).chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: &[Verdict], today: &str, expected: (Verdict, &str)) {
        let known = KnownFailure {
            reason: "GS-1".to_owned(),
            owner: "ops".to_owned(),
            expires: "2026-12-31".parse().unwrap(),
        };
        let found = found
            .iter()
            .map(|verdict| broken(*verdict, reason::STATUS, "x"))
            .collect();
        let judged = known_failure(&known, found, today.parse().unwrap());
        assert_eq!((judged[0].verdict, judged[0].reason.as_str()), expected);
    }

    #[test]
    fn a_record_excuses_until_it_expires_and_never_a_pass() {
        check(
            &[Verdict::Fail],
            "2026-12-31",
            (Verdict::Warn, reason::KNOWN_FAILURE),
        );
        check(
            &[Verdict::Fail],
            "2027-01-01",
            (Verdict::Fail, reason::KNOWN_FAILURE_EXPIRED),
        );
        check(
            &[],
            "2026-12-31",
            (Verdict::Fail, reason::KNOWN_FAILURE_PASSED),
        );
        check(
            &[Verdict::Warn],
            "2026-12-31",
            (Verdict::Fail, reason::KNOWN_FAILURE_PASSED),
        );
        check(
            &[Verdict::Inconclusive],
            "2026-12-31",
            (Verdict::Inconclusive, reason::STATUS),
        );
    }
}
