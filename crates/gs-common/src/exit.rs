//! Exit codes: the same five in every tool, each meaning one thing.

use std::process::ExitCode;

use crate::report::{INTERRUPTED, Report};
use crate::verdict::Verdict;

/// How a process ends. The finer reason stands in the report, never in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Judged, and good.
    Good = 0,
    /// Judged, and not good.
    Bad = 1,
    /// Usage or configuration: nothing was judged.
    Usage = 2,
    /// No verdict: could not measure, nothing measured, something needed is missing.
    NoVerdict = 3,
    /// Ended by Ctrl-C or SIGTERM; reports are written and say so.
    Interrupted = 130,
}

impl Exit {
    /// The code for a finished report. `strict` turns a warning into [`Exit::Bad`];
    /// `report_only` turns what was judged into [`Exit::Good`], which the caller must say aloud.
    /// No verdict stays no verdict: whoever only wants the report still wants to know that it
    /// reports nothing.
    #[must_use]
    pub fn of(report: &Report, strict: bool, report_only: bool) -> Self {
        if report.reason == INTERRUPTED {
            return Self::Interrupted;
        }
        match report.verdict {
            Verdict::Inconclusive => Self::NoVerdict,
            _ if report_only => Self::Good,
            Verdict::Pass => Self::Good,
            Verdict::Warn if strict => Self::Bad,
            Verdict::Warn => Self::Good,
            Verdict::Fail => Self::Bad,
        }
    }

    /// The number of the code.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(verdict: Verdict, reason: &str, strict: bool, report_only: bool, expected: Exit) {
        let golden = include_str!("../tests/golden/report-v1.json");
        let mut report: Report = serde_json::from_str(golden).unwrap();
        report.verdict = verdict;
        report.reason = reason.to_owned();
        assert_eq!(Exit::of(&report, strict, report_only), expected);
    }

    #[test]
    fn each_verdict_has_its_code() {
        check(Verdict::Pass, "all_passed", false, false, Exit::Good);
        check(Verdict::Warn, "warnings", false, false, Exit::Good);
        check(Verdict::Fail, "checks_failed", false, false, Exit::Bad);
        check(
            Verdict::Inconclusive,
            "nothing_measured",
            false,
            false,
            Exit::NoVerdict,
        );
    }

    #[test]
    fn strict_touches_warnings_only() {
        check(Verdict::Warn, "warnings", true, false, Exit::Bad);
        check(Verdict::Pass, "all_passed", true, false, Exit::Good);
        check(
            Verdict::Inconclusive,
            "nothing_measured",
            true,
            false,
            Exit::NoVerdict,
        );
    }

    #[test]
    fn report_only_excuses_a_judgement_and_nothing_else() {
        check(Verdict::Fail, "checks_failed", false, true, Exit::Good);
        check(Verdict::Warn, "warnings", true, true, Exit::Good);
        check(
            Verdict::Inconclusive,
            "nothing_measured",
            false,
            true,
            Exit::NoVerdict,
        );
        check(Verdict::Fail, INTERRUPTED, false, true, Exit::Interrupted);
    }
}
