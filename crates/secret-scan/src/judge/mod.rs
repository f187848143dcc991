//! What findings and proofs of work mean. Pure: no clock, no I/O.

pub mod reason;

use gs_common::finding::Severity;
use gs_common::verdict::Verdict;

use crate::engine::Outcome;
use crate::formats::Verification;

/// Which secrets fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailOn {
    /// Any.
    #[default]
    Any,
    /// All but those that were held up to their issuer and were not found to be live.
    PossiblyLive,
}

impl std::str::FromStr for FailOn {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "any" => Ok(Self::Any),
            "possibly-live" => Ok(Self::PossiblyLive),
            _ => Err("there are any, possibly-live"),
        }
    }
}

impl FailOn {
    /// Whether a secret of this verification counts against the verdict, if nothing accepts it.
    #[must_use]
    pub fn blocks(self, verification: Verification) -> bool {
        self == Self::Any || verification != Verification::Unverified
    }
}

/// How bad a leaked secret is.
#[must_use]
pub fn severity(verification: Verification) -> Severity {
    match verification {
        Verification::Verified => Severity::Critical,
        // What nobody could or would ask about may be live.
        Verification::Failed | Verification::NotTried | Verification::Unverified => Severity::High,
    }
}

/// A finding as far as the verdict goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What the issuer says.
    pub verification: Verification,
    /// It counts against the verdict.
    pub blocking: bool,
    /// Something accepts it.
    pub accepted: bool,
    /// Something accepted it until a day that is over.
    pub expired: bool,
}

/// What was done to find out, as far as the verdict goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// An engine over a part of the repository.
    Pass {
        /// Whether it did its work.
        outcome: Outcome,
        /// The configuration allows this engine to be missing.
        may_be_missing: bool,
    },
    /// A report that was written elsewhere: the code of what it is worth, absent where it counts.
    Report(Option<&'static str>),
}

/// The whole judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// The stable code.
    pub reason: &'static str,
}

/// Judges. `adds_nothing` says that our own count found no line of text that could hold a secret;
/// `policy_edited` that the change edits what it is judged by.
#[must_use]
pub fn judge(found: &[Found], work: &[Work], adds_nothing: bool, policy_edited: bool) -> Decision {
    let decide = |verdict, reason| Decision { verdict, reason };
    let blocking = || found.iter().filter(|one| one.blocking && !one.accepted);
    if blocking().next().is_some() {
        let reason = if blocking().any(|one| one.verification == Verification::Verified) {
            reason::VERIFIED_SECRETS
        } else if blocking().all(|one| one.expired) {
            reason::EXCEPTION_EXPIRED
        } else {
            reason::SECRETS_FOUND
        };
        return decide(Verdict::Fail, reason);
    }
    // The worst one gives its name.
    let broken = work.iter().filter_map(|work| match work {
        Work::Pass {
            outcome: Outcome::Missing,
            may_be_missing: true,
        }
        | Work::Pass {
            outcome: Outcome::Complete,
            ..
        } => None,
        Work::Pass { outcome, .. } => Some((*outcome, outcome.as_str())),
        Work::Report(code) => code.map(|code| (Outcome::BadReport, code)),
    });
    if let Some((_, code)) = broken.max_by_key(|(outcome, _)| *outcome) {
        return decide(Verdict::Inconclusive, code);
    }
    let done = |work: &&Work| {
        matches!(
            work,
            Work::Report(None)
                | Work::Pass {
                    outcome: Outcome::Complete,
                    ..
                }
        )
    };
    if !work.iter().any(|one| done(&one)) {
        // All that could look was allowed to be missing, or nothing was to be looked at.
        let code = if work.is_empty() {
            reason::NOTHING_TO_SCAN
        } else {
            Outcome::Missing.as_str()
        };
        return decide(Verdict::Inconclusive, code);
    }
    if found.iter().any(|one| !one.accepted) {
        return decide(Verdict::Warn, reason::UNVERIFIED_SECRETS);
    }
    if !work.iter().all(|one| done(&one)) {
        return decide(Verdict::Warn, reason::ENGINE_MISSING);
    }
    if policy_edited {
        return decide(Verdict::Warn, reason::POLICY_EDITED);
    }
    if adds_nothing {
        return decide(Verdict::Pass, reason::NOTHING_ADDED);
    }
    decide(Verdict::Pass, reason::NO_SECRETS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DONE: Work = Work::Pass {
        outcome: Outcome::Complete,
        may_be_missing: false,
    };

    fn broke(outcome: Outcome) -> Work {
        Work::Pass {
            outcome,
            may_be_missing: false,
        }
    }

    fn secret() -> Found {
        Found {
            blocking: true,
            ..Found::default()
        }
    }

    #[track_caller]
    fn check(found: &[Found], work: &[Work], verdict: Verdict, reason: &str) {
        let decision = judge(found, work, false, false);
        assert_eq!((decision.verdict, decision.reason), (verdict, reason));
    }

    #[test]
    fn a_whole_scan_without_a_secret_passes() {
        check(&[], &[DONE, DONE], Verdict::Pass, "no_secrets");
        assert_eq!(judge(&[], &[DONE], true, false).reason, "nothing_added");
        assert_eq!(judge(&[], &[DONE], false, true).verdict, Verdict::Warn);
    }

    #[test]
    fn nothing_done_is_no_verdict() {
        check(&[], &[], Verdict::Inconclusive, "nothing_to_scan");
        let allowed = Work::Pass {
            outcome: Outcome::Missing,
            may_be_missing: true,
        };
        check(&[], &[allowed], Verdict::Inconclusive, "missing");
        check(&[], &[allowed, DONE], Verdict::Warn, "engine_missing");
    }

    #[test]
    fn each_outcome_that_is_not_complete_is_no_verdict() {
        for outcome in Outcome::ALL {
            if outcome != Outcome::Complete {
                check(
                    &[],
                    &[DONE, broke(outcome)],
                    Verdict::Inconclusive,
                    outcome.as_str(),
                );
            }
        }
        check(
            &[],
            &[Work::Report(Some("not_a_report"))],
            Verdict::Inconclusive,
            "not_a_report",
        );
    }

    #[test]
    fn a_secret_fails_whatever_else_broke() {
        check(
            &[secret()],
            &[broke(Outcome::Crashed)],
            Verdict::Fail,
            "secrets_found",
        );
        let live = Found {
            verification: Verification::Verified,
            ..secret()
        };
        check(
            &[secret(), live],
            &[DONE],
            Verdict::Fail,
            "verified_secrets",
        );
        let expired = Found {
            expired: true,
            ..secret()
        };
        check(&[expired], &[DONE], Verdict::Fail, "exception_expired");
        check(
            &[expired, secret()],
            &[DONE],
            Verdict::Fail,
            "secrets_found",
        );
        let accepted = Found {
            accepted: true,
            blocking: false,
            ..secret()
        };
        check(&[accepted], &[DONE], Verdict::Pass, "no_secrets");
    }

    #[test]
    fn what_could_not_be_verified_is_never_excused() {
        for verification in [
            Verification::NotTried,
            Verification::Failed,
            Verification::Verified,
        ] {
            assert!(FailOn::PossiblyLive.blocks(verification) && FailOn::Any.blocks(verification));
        }
        assert!(!FailOn::PossiblyLive.blocks(Verification::Unverified));
        let excused = Found {
            blocking: false,
            ..secret()
        };
        check(&[excused], &[DONE], Verdict::Warn, "unverified_secrets");
    }

    fn any_work() -> impl Strategy<Value = Work> {
        (0..Outcome::ALL.len(), any::<bool>()).prop_map(|(index, may_be_missing)| Work::Pass {
            outcome: Outcome::ALL[index],
            may_be_missing,
        })
    }

    proptest! {
        #[test]
        fn one_more_broken_pass_never_makes_it_better(
            work in prop::collection::vec(any_work(), 0..5),
            more in any_work(),
            secrets in 0..2usize,
        ) {
            let found = vec![secret(); secrets];
            let before = judge(&found, &work, false, false).verdict;
            let mut worse = work.clone();
            worse.push(more);
            let after = judge(&found, &worse, false, false).verdict;
            let is_broken = !matches!(more, Work::Pass { outcome: Outcome::Complete, .. }
                | Work::Pass { outcome: Outcome::Missing, may_be_missing: true });
            if is_broken {
                prop_assert!(after >= before);
                prop_assert!(after >= Verdict::Inconclusive);
            }
        }

        #[test]
        fn a_pass_needs_work_that_was_done(work in prop::collection::vec(any_work(), 0..5)) {
            let decision = judge(&[], &work, false, false);
            if decision.verdict == Verdict::Pass {
                prop_assert!(!work.is_empty());
                let done = work.iter().all(|one| *one == DONE || matches!(one, Work::Pass { outcome: Outcome::Complete, .. }));
                prop_assert!(done);
            }
        }
    }
}
