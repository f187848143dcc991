//! What was seen of the world, and nothing that was concluded: raw counters of each pod at each
//! scrape. The form `gs.observations/v1` is the same in memory and in a file of JSON lines; every
//! source makes it, the judge reads nothing else, a decision log holds it.

mod read;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use read::scrape_of;
pub use read::{Observations, ReadError, read, read_header, read_scrape};

/// The schema name of this version of the observations.
pub const SCHEMA: &str = "gs.observations/v1";

/// Which version a pod runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The new version.
    Canary,
    /// The version that serves everybody else.
    Stable,
}

impl Side {
    /// The word for people and machines alike.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Stable => "stable",
        }
    }
}

/// What holds for a whole run: the first line of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Upper edges of the latency buckets in seconds, growing, without `+Inf`.
    pub edges_seconds: Vec<f64>,
    /// From one scrape to the next, in seconds.
    pub scrape_interval_seconds: f64,
    /// The share of the requests that the canary is meant to get; absent where nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_weight: Option<f64>,
    /// How long the canary is to be watched, in seconds.
    pub duration_seconds: f64,
}

/// All pods at one moment: one line of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scrape {
    /// Seconds since the start of the run.
    pub at_seconds: f64,
    /// The pods that were looked for, also those that did not answer.
    pub pods: Vec<PodSample>,
}

/// One pod at one moment. Counters are raw, since the start of that pod; what is not known is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PodSample {
    /// Its name.
    pub pod: String,
    /// Which version it runs.
    pub side: Side,
    /// Whether it answered.
    pub up: bool,
    /// When its process started, in seconds since the start of the run (negative: before it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at_seconds: Option<f64>,
    /// Requests answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Requests answered with a status of 500 and over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<u64>,
    /// Requests that the histogram timed, where these are not `requests`: some libraries count at
    /// another moment than they time, or leave routes out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timed: Option<u64>,
    /// Requests answered within each edge, cumulative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub le: Option<Vec<u64>>,
    /// CPU time used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// CPU time that it may use in a second, in cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit_cores: Option<f64>,
    /// Time for which it was not allowed to run because of its CPU limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_seconds: Option<f64>,
    /// Memory in use (working set, or resident).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<f64>,
    /// Memory that it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<f64>,
    /// How often its container was killed for want of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
}

impl PodSample {
    /// What `+Inf` of the histogram counts.
    #[must_use]
    pub fn all_timed(&self) -> Option<u64> {
        self.timed.or(self.requests)
    }

    /// A pod that did not answer.
    #[must_use]
    pub fn down(pod: &str, side: Side) -> Self {
        Self {
            pod: pod.to_owned(),
            side,
            up: false,
            started_at_seconds: None,
            requests: None,
            errors: None,
            timed: None,
            le: None,
            cpu_seconds: None,
            cpu_limit_cores: None,
            throttled_seconds: None,
            memory_bytes: None,
            memory_limit_bytes: None,
            oom_kills: None,
        }
    }
}
