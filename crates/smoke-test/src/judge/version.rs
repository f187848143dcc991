//! Is the version that was deployed the one that answers?

use std::collections::BTreeMap;

use gs_common::http::Response;
use gs_common::report::{Broken, Quantity};
use gs_common::units::{show_duration, show_share};
use gs_common::verdict::Verdict;
use serde_json::Value;

use super::text::one_line;
use super::{broken, mismatch, reason};
use crate::suite::model::{Uptime, VersionSource};

/// Which versions answered how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Answers by version; `Err` is why an answer had none.
    pub seen: BTreeMap<Result<String, String>, u32>,
}

impl Spread {
    /// Counts one answer.
    pub fn count(&mut self, seen: Result<String, String>) {
        *self.seen.entry(seen).or_insert(0) += 1;
    }

    /// How many answers there were.
    #[must_use]
    pub fn answers(&self) -> u32 {
        self.seen.values().sum()
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut by_count: Vec<_> = self.seen.iter().collect();
        by_count.sort_by(|a, b| b.1.cmp(a.1));
        for (index, (version, count)) in by_count.into_iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let version = match version {
                Ok(version) => one_line(version),
                Err(why) => format!("none ({})", one_line(why)),
            };
            write!(f, "{separator}{version} x{count}")?;
        }
        Ok(())
    }
}

/// The version that an answer names.
///
/// # Errors
/// It names none; the text says why.
pub fn seen_version(source: &VersionSource, response: &Response) -> Result<String, String> {
    if let VersionSource::Header(name) = source {
        return response
            .headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .ok_or_else(|| format!("no header `{name}`"));
    }
    if !response.status.is_success() {
        return Err(format!("status {}", response.status.as_u16()));
    }
    let pointer = match source {
        VersionSource::Pointer(pointer) => pointer.as_str(),
        _ => "/info/version",
    };
    let document: Value =
        serde_json::from_slice(&response.body).map_err(|_| "the body is no JSON".to_owned())?;
    match document.pointer(pointer) {
        Some(Value::String(version)) => Ok(version.clone()),
        Some(value @ Value::Number(_)) => Ok(value.to_string()),
        Some(_) => Err(format!("`{pointer}` is no text")),
        None => Err(format!("no `{pointer}` in the body")),
    }
}

/// Judges the versions that answered over fresh connections: every one of at least `matches` has to
/// be the expected one.
///
/// `n` matches in a row see an old version that serves a share `s` of the answers with a
/// probability of `1 - (1 - s)^n`; with 95% it is seen where `s >= 1 - 0.05^(1/n)`. The sentence for
/// a pass is [`certainty`].
#[must_use]
pub fn version(spread: &Spread, expected: &str, matches: u32, severity: Verdict) -> Option<Broken> {
    let answers = spread.answers();
    let right = spread
        .seen
        .get(&Ok(expected.to_owned()))
        .copied()
        .unwrap_or(0);
    if right == answers && answers >= matches {
        return None;
    }
    if right == answers {
        let message = format!("only {answers} of {matches} answers came, all of them {expected}");
        return Some(broken(Verdict::Inconclusive, reason::NOT_RUN, message));
    }
    let message = format!(
        "{} of {answers} answers are not version {expected}: {spread}",
        answers - right
    );
    Some(mismatch(
        severity,
        reason::WRONG_VERSION,
        message,
        Quantity::bare(spread.to_string()),
        format!("{expected} x{matches}"),
    ))
}

/// What so many matches prove, in a sentence.
#[must_use]
pub fn certainty(matches: u32) -> String {
    let share = 1.0 - 0.05_f64.powf(1.0 / f64::from(matches.max(1)));
    let share = show_share((share * 100.0).ceil() / 100.0);
    format!(
        "{matches} of {matches} answers; another version with {share} of the traffic would have been seen with a probability of 95%"
    )
}

/// Judges the age of the process.
#[must_use]
pub fn uptime(wanted: &Uptime, response: &Response, severity: Verdict) -> Option<Broken> {
    let document: Option<Value> = serde_json::from_slice(&response.body).ok();
    let seconds = document
        .as_ref()
        .and_then(|document| document.pointer(&wanted.pointer))
        .and_then(Value::as_f64);
    let most = format!("at most {}", show_duration(wanted.max));
    match seconds {
        None => Some(Broken {
            expected: Some(most),
            ..broken(
                severity,
                reason::TOO_OLD_PROCESS,
                format!("`{}` names no seconds at `{}`", wanted.path, wanted.pointer),
            )
        }),
        Some(seconds) if seconds > wanted.max.as_secs_f64() => {
            let message = format!(
                "the process has run for {seconds:.0} s, expected {most}: it is older than the deployment"
            );
            Some(mismatch(
                severity,
                reason::TOO_OLD_PROCESS,
                message,
                Quantity::of(seconds, "s"),
                most,
            ))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seen: &[(&str, u32)], matches: u32, expected: Option<(Verdict, &str)>) {
        let mut spread = Spread::default();
        for (version, count) in seen {
            (0..*count).for_each(|_| spread.count(Ok((*version).to_owned())));
        }
        let judged = version(&spread, "2.0.0", matches, Verdict::Fail);
        assert_eq!(
            judged
                .as_ref()
                .map(|broken| (broken.verdict, broken.reason.as_str())),
            expected
        );
    }

    #[test]
    fn only_enough_matches_without_exception_pass() {
        check(&[("2.0.0", 5)], 5, None);
        check(
            &[("2.0.0", 4)],
            5,
            Some((Verdict::Inconclusive, reason::NOT_RUN)),
        );
        check(
            &[("2.0.0", 4), ("1.9.9", 1)],
            5,
            Some((Verdict::Fail, reason::WRONG_VERSION)),
        );
        check(&[], 5, Some((Verdict::Inconclusive, reason::NOT_RUN)));
    }

    #[test]
    fn the_spread_is_shown_commonest_first() {
        let mut spread = Spread::default();
        spread.count(Ok("1.9.9".to_owned()));
        (0..3).for_each(|_| spread.count(Ok("2.0.0".to_owned())));
        assert_eq!(spread.to_string(), "2.0.0 x3, 1.9.9 x1");
    }

    #[test]
    fn the_certainty_is_the_one_of_the_formula() {
        assert!(certainty(20).contains("14%"), "{}", certainty(20));
        assert!(certainty(5).contains("46%"), "{}", certainty(5));
    }
}
