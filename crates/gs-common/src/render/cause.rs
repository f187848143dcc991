//! Checks that broke for the same cause, told together: fourteen alarms for one dead gateway are one.

use crate::report::{Check, Report};
use crate::verdict::Verdict;

/// A likely cause and what it broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// One sentence.
    pub sentence: String,
    /// Ids of the checks, in report order.
    pub checks: Vec<String>,
    /// The worst verdict among them.
    pub verdict: Verdict,
}

/// The causes of everything that failed or could not be judged, worst and widest first. Checks
/// share a cause where reason and sentence are the same.
#[must_use]
pub fn causes(report: &Report) -> Vec<Cause> {
    let mut causes: Vec<Cause> = Vec::new();
    for check in report
        .checks
        .iter()
        .filter(|check| check.verdict >= Verdict::Inconclusive)
    {
        let sentence = sentence(check);
        match causes.iter_mut().find(|cause| cause.sentence == sentence) {
            Some(cause) => {
                cause.checks.push(check.id.clone());
                cause.verdict = cause.verdict.and(check.verdict);
            }
            None => causes.push(Cause {
                sentence,
                checks: vec![check.id.clone()],
                verdict: check.verdict,
            }),
        }
    }
    causes.sort_by_key(|cause| std::cmp::Reverse((cause.verdict, cause.checks.len())));
    causes
}

fn sentence(check: &Check) -> String {
    match (&check.message, &check.reason) {
        (Some(message), _) => message.clone(),
        (None, Some(reason)) => reason.clone(),
        (None, None) => check.verdict.to_string(),
    }
}
