//! Every reason code of a report, with its words. The page lists them, and a test holds both together.

/// Pass.
pub const NO_SECRETS: &str = "no_secrets";
/// Pass.
pub const NOTHING_ADDED: &str = "nothing_added";
/// Warn.
pub const UNVERIFIED_SECRETS: &str = "unverified_secrets";
/// Warn.
pub const ENGINE_MISSING: &str = "engine_missing";
/// Warn.
pub const POLICY_EDITED: &str = "policy_edited";
/// Fail.
pub const SECRETS_FOUND: &str = "secrets_found";
/// Fail.
pub const VERIFIED_SECRETS: &str = "verified_secrets";
/// Fail.
pub const EXCEPTION_EXPIRED: &str = "exception_expired";
/// No verdict.
pub const NOTHING_TO_SCAN: &str = "nothing_to_scan";
/// No verdict.
pub const NOTHING_STAGED: &str = "nothing_staged";
/// No verdict.
pub const HISTORY_UNREADABLE: &str = "history_unreadable";
/// No verdict.
pub const REPORT_TOO_OLD: &str = "report_too_old";

/// All codes with their words, in the order in which the page lists them.
pub const ALL: [(&str, &str); 37] = [
    (
        NO_SECRETS,
        "pass: everything was scanned, and every secret that was found is accepted",
    ),
    (
        NOTHING_ADDED,
        "pass: the range or the index adds no line of text, by our own count",
    ),
    (
        UNVERIFIED_SECRETS,
        "warn: secrets were found, and `--fail-on possibly-live` excuses those that are not live",
    ),
    (
        ENGINE_MISSING,
        "warn: an engine is missing that the configuration allows to be missing",
    ),
    (
        POLICY_EDITED,
        "warn: the change edits the configuration or the baseline; those of the base counted",
    ),
    (
        SECRETS_FOUND,
        "fail: a secret was found that nothing accepts",
    ),
    (
        VERIFIED_SECRETS,
        "fail: a secret was found that its issuer accepts: it is live",
    ),
    (
        EXCEPTION_EXPIRED,
        "fail: secrets were accepted until a day that is over",
    ),
    (
        "missing",
        "no verdict: there is no such program as the engine",
    ),
    (
        "crashed",
        "no verdict: an engine fell over, or ended with a code that means neither none nor some",
    ),
    (
        "replaced",
        "no verdict: the file of an engine is not the pinned one, or changed while it ran",
    ),
    ("killed", "no verdict: a signal ended an engine"),
    (
        "timed_out",
        "no verdict: an engine or git did not end before the deadline",
    ),
    ("git_error", "no verdict: git failed below an engine"),
    (
        "scan_error",
        "no verdict: an engine logged errors of its scan",
    ),
    (
        "nothing_scanned",
        "no verdict: an engine scanned nothing, and there was something",
    ),
    (
        "bad_report",
        "no verdict: the report of an engine is junk, cut, or contradicts its exit code",
    ),
    ("no_report", "no verdict: an engine wrote no report"),
    (
        "incomplete",
        "no verdict: an engine scanned less than there was, or does not say that it finished",
    ),
    (
        NOTHING_TO_SCAN,
        "no verdict: there is no commit and no file to scan",
    ),
    (NOTHING_STAGED, "no verdict: nothing is staged"),
    (
        HISTORY_UNREADABLE,
        "no verdict: git cannot show the commits that are to be counted",
    ),
    ("git_missing", "no verdict: there is no git"),
    (
        "not_a_repository",
        "no verdict: the folder is no git repository, or is not there",
    ),
    (
        "unsafe_repository",
        "no verdict: git refuses the folder because another user owns it",
    ),
    (
        "shallow_clone",
        "no verdict: the clone lacks most of the history",
    ),
    (
        "partial_clone",
        "no verdict: the clone lacks objects of the history",
    ),
    (
        "unknown_revision",
        "no verdict: an end of the range is not in this clone",
    ),
    (
        "empty_range",
        "no verdict: both ends of the range are the same commit, or its end is before its beginning",
    ),
    ("error", "no verdict: a report says that its scan failed"),
    ("empty", "no verdict: a report has no bytes"),
    (
        "not_a_report",
        "no verdict: a file is no report, or a report that was cut short",
    ),
    (
        "unchecked",
        "no verdict: a report says that nothing was scanned, has no list of results, or counts secrets that it does not show",
    ),
    (
        "missing_report",
        "no verdict: there is no such report, or it cannot be read",
    ),
    (
        REPORT_TOO_OLD,
        "no verdict: a report is older than --max-age",
    ),
    ("interrupted", "no verdict: Ctrl-C or SIGTERM ended the run"),
    (
        "healthy",
        "pass: every engine is there (`secret-scan doctor`)",
    ),
];

#[cfg(test)]
mod tests {
    use super::ALL;
    use crate::engine::Outcome;

    #[test]
    fn each_code_stands_once_and_each_outcome_has_one() {
        let mut codes: Vec<&str> = ALL.iter().map(|(code, _)| *code).collect();
        for outcome in Outcome::ALL {
            assert!(outcome == Outcome::Complete || codes.contains(&outcome.as_str()));
        }
        codes.sort_unstable();
        let all = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }
}
