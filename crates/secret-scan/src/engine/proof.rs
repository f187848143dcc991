//! Did the engine do its work? Each way in which it can fail has a word, and none of them is a pass.
//!
//! Pure: what the engine said, how it ended, and what there was to scan.

use gs_common::process::Ended;

use super::{Kind, Pass};
use crate::formats::{NoReport, Stated};

/// Whether an engine did its work, or what broke.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It scanned all that there was.
    #[default]
    Complete,
    /// It scanned less than there was, or says that it did not come to its end.
    Incomplete,
    /// It scanned nothing, and there was something.
    NothingScanned,
    /// It wrote no report.
    NoReport,
    /// Its report cannot be read, is cut, or contradicts its exit code.
    BadReport,
    /// It logged errors of its scan.
    ScanError,
    /// Git failed below it.
    GitError,
    /// It did not end in time.
    TimedOut,
    /// A signal ended it.
    Killed,
    /// It ended with a code that means neither "none" nor "some", or fell over.
    Crashed,
    /// Its file is not the one that the configuration names, or another one took its place.
    Replaced,
    /// There is no such program.
    Missing,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Complete,
        Self::Incomplete,
        Self::NothingScanned,
        Self::NoReport,
        Self::BadReport,
        Self::ScanError,
        Self::GitError,
        Self::TimedOut,
        Self::Killed,
        Self::Crashed,
        Self::Replaced,
        Self::Missing,
    ];

    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::NothingScanned => "nothing_scanned",
            Self::NoReport => "no_report",
            Self::BadReport => "bad_report",
            Self::ScanError => "scan_error",
            Self::GitError => "git_error",
            Self::TimedOut => "timed_out",
            Self::Killed => "killed",
            Self::Crashed => "crashed",
            Self::Replaced => "replaced",
            Self::Missing => "missing",
        }
    }
}

/// What there was to scan; absent is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Commits whose patch has text.
    pub commits: Option<u64>,
    /// Files with content.
    pub files: Option<u64>,
    /// At least so many chunks, for an engine that counts nothing else.
    pub chunks: Option<u64>,
    /// There was something at all.
    pub something: bool,
}

/// The outcome of a pass, with a sentence where it is not complete. `report` is the number of rows.
#[must_use]
pub fn of(
    kind: Kind,
    pass: Pass,
    ended: Ended,
    report: &Result<usize, NoReport>,
    stated: &Stated,
    expected: &Expected,
) -> (Outcome, Option<String>) {
    match ending(kind, ended, report, stated).or_else(|| work(kind, pass, stated, expected)) {
        Some((outcome, message)) => (outcome, Some(message)),
        None => (Outcome::Complete, None),
    }
}

/// What the end, the log and the report tell.
fn ending(
    kind: Kind,
    ended: Ended,
    report: &Result<usize, NoReport>,
    stated: &Stated,
) -> Option<(Outcome, String)> {
    let name = kind.as_str();
    let code = match ended {
        Ended::TimedOut => {
            return Some((
                Outcome::TimedOut,
                format!("{name} did not end before the deadline and was killed"),
            ));
        }
        Ended::Cancelled => return Some((Outcome::Killed, format!("{name} was stopped"))),
        Ended::Signal(signal) => {
            return Some((
                Outcome::Killed,
                format!("{name} was killed by signal {signal}"),
            ));
        }
        Ended::Code(code) => code,
    };
    if stated.panicked {
        return Some((
            Outcome::Crashed,
            format!("{name} fell over and ended with code {code}"),
        ));
    }
    if let Some(error) = stated.git_errors.first() {
        return Some((
            Outcome::GitError,
            format!("git failed below {name}: {error}"),
        ));
    }
    let found = kind.found_code().contains(&code);
    if !found && code != 0 {
        return Some(match stated.errors.first() {
            Some(error) => (
                Outcome::ScanError,
                format!("{name} ended with code {code}: {error}"),
            ),
            None => (
                Outcome::Crashed,
                format!("{name} ended with code {code} and does not say why"),
            ),
        });
    }
    let rows = match report {
        Ok(rows) => *rows,
        Err(NoReport::Empty) => {
            return Some((Outcome::NoReport, format!("{name} wrote no report")));
        }
        Err(error) => {
            return Some((
                Outcome::BadReport,
                format!("what {name} reported cannot be used: {error}"),
            ));
        }
    };
    if let Some(error) = stated.errors.first() {
        return Some((
            Outcome::ScanError,
            format!("{name} logged an error and went on: {error}"),
        ));
    }
    if found != (rows > 0) {
        return Some((
            Outcome::BadReport,
            format!("{name} ended with code {code}, but its report has {rows} rows"),
        ));
    }
    None
}

/// What it says that it did, against what there was.
fn work(kind: Kind, pass: Pass, stated: &Stated, expected: &Expected) -> Option<(Outcome, String)> {
    let name = kind.as_str();
    if stated.partial {
        return Some((
            Outcome::Incomplete,
            format!("{name} says itself that it scanned only a part"),
        ));
    }
    if !expected.something {
        return None;
    }
    let nothing = |what: String| Some((Outcome::NothingScanned, what));
    if let (Some(wanted @ 1..), Kind::Gitleaks) = (expected.commits, kind) {
        return match stated.commits {
            Some(0) => nothing(format!("{name} scanned 0 of {wanted} commits")),
            Some(done) if done < wanted => Some((
                Outcome::Incomplete,
                format!("{name} scanned {done} of {wanted} commits"),
            )),
            Some(_) => None,
            None => Some((
                Outcome::Incomplete,
                format!("{name} does not say how many of {wanted} commits it scanned"),
            )),
        };
    }
    match kind {
        Kind::Gitleaks => match stated.bytes {
            Some(0) => nothing(format!("{name} scanned 0 bytes of the {}", pass.as_str())),
            Some(_) => None,
            None => Some((
                Outcome::Incomplete,
                format!(
                    "{name} does not say how much of the {} it scanned",
                    pass.as_str()
                ),
            )),
        },
        Kind::TruffleHog | Kind::Kingfisher => {
            if !stated.finished {
                return Some((
                    Outcome::Incomplete,
                    format!("{name} does not say that it finished scanning"),
                ));
            }
            if let (Some(done), Some(wanted), Kind::Kingfisher) =
                (stated.commits, expected.commits, kind)
                && done < wanted
            {
                return Some((
                    Outcome::Incomplete,
                    format!("{name} read {done} commits, and there are {wanted} with text"),
                ));
            }
            match (stated.chunks, stated.bytes) {
                (Some(0), _) | (_, Some(0)) => {
                    nothing(format!("{name} scanned nothing of the {}", pass.as_str()))
                }
                (None, None) => Some((
                    Outcome::Incomplete,
                    format!("{name} does not say how much it scanned"),
                )),
                (Some(done), _) if expected.chunks.is_some_and(|wanted| done < wanted) => Some((
                    Outcome::Incomplete,
                    format!(
                        "{name} scanned {done} chunks, and there are {} commits with text",
                        expected.chunks.unwrap_or_default()
                    ),
                )),
                _ => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn healthy(kind: Kind) -> (Stated, Expected) {
        let stated = Stated {
            commits: Some(10),
            bytes: Some(500),
            chunks: Some(20),
            finished: true,
            ..Stated::default()
        };
        let expected = Expected {
            commits: (kind == Kind::Gitleaks).then_some(10),
            chunks: Some(10),
            files: None,
            something: true,
        };
        (stated, expected)
    }

    #[track_caller]
    fn check(
        kind: Kind,
        ended: Ended,
        report: Result<usize, NoReport>,
        change: impl Fn(&mut Stated),
        outcome: Outcome,
    ) {
        let (mut stated, expected) = healthy(kind);
        change(&mut stated);
        let (got, message) = of(kind, Pass::History, ended, &report, &stated, &expected);
        assert_eq!(got, outcome, "{message:?}");
        assert_eq!(message.is_none(), outcome == Outcome::Complete);
    }

    #[test]
    fn each_way_to_fail_has_its_word() {
        use Kind::{Gitleaks, TruffleHog};
        let same = |_: &mut Stated| {};
        check(Gitleaks, Ended::Code(0), Ok(0), same, Outcome::Complete);
        check(Gitleaks, Ended::Code(77), Ok(2), same, Outcome::Complete);
        check(TruffleHog, Ended::Code(183), Ok(2), same, Outcome::Complete);
        check(Gitleaks, Ended::Code(1), Ok(2), same, Outcome::Crashed);
        check(
            Gitleaks,
            Ended::Code(126),
            Err(NoReport::Empty),
            same,
            Outcome::Crashed,
        );
        check(Gitleaks, Ended::Signal(9), Ok(2), same, Outcome::Killed);
        check(TruffleHog, Ended::TimedOut, Ok(0), same, Outcome::TimedOut);
        check(
            Gitleaks,
            Ended::Code(0),
            Err(NoReport::Empty),
            same,
            Outcome::NoReport,
        );
        check(
            Gitleaks,
            Ended::Code(0),
            Err(NoReport::Unknown),
            same,
            Outcome::BadReport,
        );
        check(Gitleaks, Ended::Code(77), Ok(0), same, Outcome::BadReport);
        check(Gitleaks, Ended::Code(0), Ok(2), same, Outcome::BadReport);
        let git = |stated: &mut Stated| stated.git_errors.push("fatal: bad".to_owned());
        check(Gitleaks, Ended::Code(0), Ok(0), git, Outcome::GitError);
        check(TruffleHog, Ended::Code(1), Ok(0), git, Outcome::GitError);
        let error = |stated: &mut Stated| stated.errors.push("could not".to_owned());
        check(TruffleHog, Ended::Code(0), Ok(0), error, Outcome::ScanError);
        check(TruffleHog, Ended::Code(1), Ok(0), error, Outcome::ScanError);
        let none = |stated: &mut Stated| (stated.commits, stated.chunks) = (Some(0), Some(0));
        check(
            Gitleaks,
            Ended::Code(0),
            Ok(0),
            none,
            Outcome::NothingScanned,
        );
        check(
            TruffleHog,
            Ended::Code(0),
            Ok(0),
            none,
            Outcome::NothingScanned,
        );
        let few = |stated: &mut Stated| (stated.commits, stated.chunks) = (Some(9), Some(9));
        check(Gitleaks, Ended::Code(0), Ok(0), few, Outcome::Incomplete);
        check(TruffleHog, Ended::Code(0), Ok(0), few, Outcome::Incomplete);
        let silent = |stated: &mut Stated| *stated = Stated::default();
        check(Gitleaks, Ended::Code(0), Ok(0), silent, Outcome::Incomplete);
        check(
            TruffleHog,
            Ended::Code(0),
            Ok(0),
            silent,
            Outcome::Incomplete,
        );
        let panicked = |stated: &mut Stated| stated.panicked = true;
        check(
            Gitleaks,
            Ended::Code(2),
            Err(NoReport::Empty),
            panicked,
            Outcome::Crashed,
        );
    }

    #[test]
    fn nothing_to_scan_is_scanned_completely() {
        let stated = Stated {
            commits: Some(0),
            bytes: Some(0),
            ..Stated::default()
        };
        let (outcome, _) = of(
            Kind::Gitleaks,
            Pass::Range,
            Ended::Code(0),
            &Ok(0),
            &stated,
            &Expected::default(),
        );
        assert_eq!(outcome, Outcome::Complete);
    }

    proptest! {
        /// Taking work away from an engine never makes its outcome better.
        #[test]
        fn less_work_is_never_complete(done in 0..10u64, rows in 0..3usize) {
            let (mut stated, expected) = healthy(Kind::Gitleaks);
            stated.commits = Some(done);
            let ended = Ended::Code(if rows > 0 { 77 } else { 0 });
            let (outcome, _) = of(Kind::Gitleaks, Pass::History, ended, &Ok(rows), &stated, &expected);
            prop_assert_ne!(outcome, Outcome::Complete);
        }
    }
}
