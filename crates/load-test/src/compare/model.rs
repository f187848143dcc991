//! What is compared: runs, whatever tool recorded them, reduced to what all of them have.

use std::collections::BTreeMap;

/// The name of the row over all endpoints.
pub const TOTAL: &str = "total";

/// A number that a run has for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Arithmetic mean of the response time, in milliseconds.
    Mean,
    /// Median of the response time, in milliseconds.
    P50,
    /// The time that 90% of the answers did not exceed, in milliseconds.
    P90,
    /// The same for 95%.
    P95,
    /// The same for 99%.
    P99,
    /// Requests a second, those that failed included.
    Throughput,
    /// The share of requests that failed.
    Failures,
}

impl Metric {
    /// All of them, in the order of a table.
    pub const ALL: [Self; 7] = [
        Self::Mean,
        Self::P50,
        Self::P90,
        Self::P95,
        Self::P99,
        Self::Throughput,
        Self::Failures,
    ];

    /// As it is typed and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Throughput => "rps",
            Self::Failures => "error-rate",
        }
    }

    /// The metric of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Its unit in a report.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Throughput => "requests/s",
            Self::Failures => "share",
            _ => "ms",
        }
    }

    /// How many requests a run must have for the metric to mean anything: five beyond the quantile.
    /// Fewer, and the quantile is the slowest request or close to it, which says little about a run.
    #[must_use]
    pub fn least_requests(self) -> u64 {
        match self {
            Self::P90 => 50,
            Self::P95 => 100,
            Self::P99 => 500,
            Self::Mean | Self::P50 | Self::Throughput | Self::Failures => 5,
        }
    }

    /// What can be judged in its place where a run has too few requests for it, the next best first.
    #[must_use]
    pub fn instead(self) -> &'static [Self] {
        match self {
            Self::P99 => &[Self::P95, Self::P90, Self::P50],
            Self::P95 => &[Self::P90, Self::P50],
            Self::P90 => &[Self::P50],
            Self::Mean | Self::P50 | Self::Throughput | Self::Failures => &[],
        }
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a run says of one endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// How many requests, those that failed included.
    pub requests: u64,
    /// What is known of them.
    pub metrics: BTreeMap<Metric, f64>,
}

impl Row {
    /// The value of a metric where the run has it, has it as a number, and has enough requests.
    #[must_use]
    pub fn value(&self, metric: Metric) -> Option<f64> {
        let value = *self.metrics.get(&metric)?;
        (self.requests >= metric.least_requests() && value.is_finite() && value >= 0.0)
            .then_some(value)
    }
}

/// One run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Where it comes from: a path, or `base 3`.
    pub source: String,
    /// What must be the same in all runs: name and value.
    pub identity: BTreeMap<String, String>,
    /// The endpoints by name, [`TOTAL`] among them where the source has it.
    pub rows: BTreeMap<String, Row>,
    /// Why the run says nothing about the target, where it does not: the generator was late.
    pub void: Option<String>,
    /// Seconds since 1970 at its start, where the source says so.
    pub started_at: Option<f64>,
}

impl Run {
    /// Why the run says nothing. A base whose requests mostly fail is no yardstick: an error is a fast
    /// answer, and next to it everything is slow. A new side like that is judged by its failures.
    #[must_use]
    pub fn says_nothing(&self, is_base: bool) -> Option<String> {
        if self.void.is_some() {
            return self.void.clone();
        }
        let total = self.rows.get(TOTAL)?;
        let failures = total.metrics.get(&Metric::Failures).copied().unwrap_or(0.0);
        if total.requests == 0 {
            return Some("it has no request".to_owned());
        }
        (is_base && failures > 0.5).then(|| "most of its requests failed".to_owned())
    }
}

/// A member that differs between runs that were to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The member of [`Run::identity`].
    pub member: String,
    /// A run and what it has; nothing where it does not say.
    pub one: (String, Option<String>),
    /// Another run and what it has.
    pub other: (String, Option<String>),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |value: &Option<String>| match value {
            Some(value) => format!("`{}`", clip(value)),
            None => "nothing".to_owned(),
        };
        write!(
            f,
            "{} differs: {} has {}, {} has {}",
            self.member,
            self.one.0,
            shown(&self.one.1),
            self.other.0,
            shown(&self.other.1)
        )
    }
}

fn clip(text: &str) -> String {
    let mut clipped: String = text.chars().take(80).collect();
    if clipped.len() < text.len() {
        clipped.push('…');
    }
    clipped
}

/// What differs between runs that have to be alike, one difference for each member, but for those
/// that are allowed to.
pub fn differences<'a>(
    runs: impl IntoIterator<Item = &'a Run>,
    allowed: &[String],
) -> Vec<Difference> {
    let mut runs = runs.into_iter();
    let Some(first) = runs.next() else {
        return Vec::new();
    };
    let mut found: BTreeMap<&str, Difference> = BTreeMap::new();
    for run in runs {
        for member in first.identity.keys().chain(run.identity.keys()) {
            let (one, other) = (first.identity.get(member), run.identity.get(member));
            if one == other || allowed.iter().any(|name| name == member) {
                continue;
            }
            found.entry(member).or_insert_with(|| Difference {
                member: member.clone(),
                one: (first.source.clone(), one.cloned()),
                other: (run.source.clone(), other.cloned()),
            });
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(source: &str, members: &[(&str, &str)]) -> Run {
        Run {
            source: source.to_owned(),
            identity: members
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Run::default()
        }
    }

    #[test]
    fn what_differs_is_named_once_with_both_values() {
        let runs = [
            run("a.json", &[("model", "100 users"), ("personas", "1f")]),
            run("b.json", &[("model", "100 users"), ("personas", "2e")]),
            run("c.json", &[("model", "200 users"), ("personas", "2e")]),
        ];
        let found = differences(&runs, &[]);
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0].to_string(),
            "model differs: a.json has `100 users`, c.json has `200 users`"
        );
        assert_eq!(found[1].other.0, "b.json");
        assert_eq!(
            differences(&runs, &["model".to_owned(), "personas".to_owned()]),
            []
        );
    }

    #[test]
    fn what_only_one_side_says_differs_too() {
        let runs = [run("a", &[]), run("b", &[("personas", "1f")])];
        let found = differences(&runs, &[]);
        assert_eq!(
            found[0].to_string(),
            "personas differs: a has nothing, b has `1f`"
        );
    }

    #[test]
    fn a_quantile_without_requests_beyond_it_is_none() {
        let row = Row {
            requests: 99,
            metrics: [
                (Metric::P95, 20.0),
                (Metric::P50, f64::NAN),
                (Metric::P90, 9.0),
            ]
            .into(),
        };
        assert_eq!(row.value(Metric::P95), None);
        assert_eq!(row.value(Metric::P50), None);
        assert_eq!(row.value(Metric::P99), None);
        assert_eq!(row.value(Metric::P90), Some(9.0));
    }
}
