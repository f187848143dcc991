//! Judging what came back. Pure: no clock, no sockets, nothing that can fail; the same answer always
//! gets the same verdict.
//!
//! Everything here turns an observation and an expectation into [`Broken`]s: the assertions that do
//! not hold. None broken is a pass. [`reason`] lists the codes, [`answer()`] judges an HTTP answer,
//! [`failure()`] one that never came, the other modules the rest.

mod answer;
mod certificate;
mod failure;
mod json;
mod known;
pub mod reason;
mod routes;
#[cfg(test)]
mod tests;
mod text;
mod version;

use gs_common::report::{Broken, Quantity};
use gs_common::verdict::Verdict;

pub use answer::{Answer, answer, capture, is_error_body, json_capture, timings};
pub use certificate::certificate;
pub use failure::{failure, is_worth_a_retry, status_is_worth_a_retry};
pub use json::demand_holds;
pub use known::known_failure;
pub use routes::{Shadowed, Sweep, routes, shadowed, sweep};
pub use text::{excerpt, one_line};
pub use version::{Spread, certainty, seen_version, uptime, version};

/// An assertion that does not hold.
pub fn broken(verdict: Verdict, reason: &str, message: impl Into<String>) -> Broken {
    Broken {
        verdict,
        reason: reason.to_owned(),
        message: message.into(),
        observed: None,
        expected: None,
    }
}

/// The same with what was seen and what was wanted.
fn mismatch(
    verdict: Verdict,
    reason: &str,
    message: impl Into<String>,
    observed: Quantity,
    expected: impl Into<String>,
) -> Broken {
    Broken {
        observed: Some(observed),
        expected: Some(expected.into()),
        ..broken(verdict, reason, message)
    }
}

/// Worst first; what is equally bad keeps its order, which goes from the outside in: status before
/// kind before members.
pub fn ranked(mut all: Vec<Broken>) -> Vec<Broken> {
    all.sort_by_key(|broken| std::cmp::Reverse(broken.verdict));
    all
}

/// Nearest-rank quantile (ISO 16269-4; for p95 of 5 values the largest): the value at rank
/// `ceil(q * n)`. `None` where there are no values.
#[must_use]
pub fn quantile(values: &[std::time::Duration], q: f64) -> Option<std::time::Duration> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (q * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}
