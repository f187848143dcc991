//! Questions to the query API.

use jiff::Timestamp;
use url::Url;

use super::answer::{self, Answer, Data, NoAnswer, Series};
use crate::source::SourceError;
use crate::source::fetch::{Fetcher, said, skew};
use crate::source::selector::quoted;

const ACCEPT: &str = "application/json";

/// A clock that is off by more makes another time of every sample, in seconds.
pub(super) const MOST_SKEW_SECONDS: f64 = 30.0;

/// What a query found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub series: Vec<Series>,
    pub warnings: Vec<String>,
    /// By how many seconds the `date` of the answer is ahead of this machine's clock.
    pub ahead_seconds: Option<f64>,
}

/// Asks one server.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    fetcher: Fetcher,
    base: Url,
}

impl Asker {
    pub(super) fn new(fetcher: Fetcher, base: Url) -> Self {
        Self { fetcher, base }
    }

    /// The address, for people.
    pub(super) fn shown(&self) -> String {
        gs_common::redact::redact_url(&self.base)
    }

    fn path(&self, path: &str) -> Result<Url, SourceError> {
        self.base.join(path).map_err(|error| SourceError {
            what: format!("the address of Prometheus takes no path: {error}"),
            hint: Some("write scheme, host and port".to_owned()),
        })
    }

    /// Asks for the samples of a range that ends at this Unix time.
    pub(super) async fn series(&self, query: &str, at: f64) -> Result<Found, SourceError> {
        let time = format!("{at:.3}");
        let (answer, ahead_seconds) = self.ask(&[("query", query), ("time", &time)]).await?;
        let Data::Matrix(series) = answer.data else {
            return Err(self.not_ours("a single number came where series were asked for"));
        };
        Ok(Found {
            series,
            warnings: answer.warnings,
            ahead_seconds,
        })
    }

    /// By how many seconds the clock that stamps samples is ahead of this machine's.
    pub(super) async fn clock(&self) -> Result<f64, SourceError> {
        let before = Timestamp::now();
        let (answer, _) = self.ask(&[("query", "time()")]).await?;
        let Data::Scalar(_, theirs) = answer.data else {
            return Err(self.not_ours("it does not know what time() is"));
        };
        if !theirs.is_finite() {
            return Err(self.not_ours("its time() is no number"));
        }
        // The question was answered somewhere between the two readings of our clock.
        let ours = (unix(before) + unix(Timestamp::now())) / 2.0;
        Ok(theirs - ours)
    }

    /// The error of a clock that is off.
    pub(super) fn off(&self, ahead: f64) -> SourceError {
        SourceError {
            what: format!(
                "the clock of Prometheus at {} is {} this machine's: its samples are not of the time that is judged",
                self.shown(),
                skew(ahead)
            ),
            hint: Some("set both clocks by NTP (timedatectl, chronyc tracking)".to_owned()),
        }
    }

    async fn ask(&self, form: &[(&str, &str)]) -> Result<(Answer, Option<f64>), SourceError> {
        let url = self.path("api/v1/query")?;
        let fetched = self.fetcher.post(&url, form, ACCEPT).await?;
        match answer::read(&fetched.body) {
            Ok(answer) => Ok((answer, fetched.ahead_seconds)),
            Err(NoAnswer::Failed { kind, error }) => Err(self.not_ours(&format!(
                "it says that it failed ({}): {}",
                said(&kind),
                said(&error)
            ))),
            Err(NoAnswer::NotOurs(why)) => {
                let mut error = self
                    .fetcher
                    .wrong_kind(&url, &fetched, "an answer of Prometheus");
                // JSON of another kind, or a part of it.
                if fetched.body.trim_ascii_start().starts_with(b"{") {
                    error.what = format!("{} ({})", error.what, said(&why));
                }
                Err(error)
            }
        }
    }

    /// The values that a label has, in the last hour or whatever the server goes by.
    pub(super) async fn values(&self, label: &str) -> Result<Vec<String>, SourceError> {
        let url = self.path(&format!("api/v1/label/{}/values", label_in_path(label)))?;
        let fetched = self.fetcher.get(&url, ACCEPT).await?;
        answer::read_texts(&fetched.body).map_err(|error| match error {
            NoAnswer::Failed { error, .. } => self.not_ours(&said(&error)),
            NoAnswer::NotOurs(_) => self.fetcher.wrong_kind(&url, &fetched, "a list of values"),
        })
    }

    fn not_ours(&self, why: &str) -> SourceError {
        SourceError {
            what: format!("Prometheus at {}: {why}", self.shown()),
            hint: Some("is it Prometheus, or what answers its query API?".to_owned()),
        }
    }
}

/// A label's name as a path holds it: names outside of ASCII letters, digits and `_` are escaped as
/// `U__`, by Prometheus' rule for UTF-8 names.
fn label_in_path(label: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if label.chars().all(plain) {
        return label.to_owned();
    }
    let mut escaped = "U__".to_owned();
    for letter in label.chars() {
        match letter {
            '_' => escaped.push_str("__"),
            letter if plain(letter) => escaped.push(letter),
            other => escaped.push_str(&format!("_{:x}_", u32::from(other))),
        }
    }
    escaped
}

/// Unix seconds.
pub(super) fn unix(at: Timestamp) -> f64 {
    at.as_microsecond() as f64 / 1e6
}

/// A range of so many seconds, as a query holds it.
pub(super) fn range(seconds: f64) -> String {
    format!("[{}ms]", (seconds * 1e3).ceil().max(1.0))
}

/// `label=~"a|b"` for exactly these values.
pub(super) fn one_of<'a>(label: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    format!(
        "{label}=~{}",
        quoted(&crate::source::selector::alternatives(values))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_written_as_the_language_wants_them() {
        assert_eq!(range(22.5), "[22500ms]");
        assert_eq!(one_of("pod", ["a.b", "c"]), r#"pod=~"a\\.b|c""#);
        assert_eq!(label_in_path("deployment"), "deployment");
        assert_eq!(label_in_path("a.b_c"), "U__a_2e_b__c");
    }
}
