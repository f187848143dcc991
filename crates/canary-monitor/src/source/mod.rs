//! Where observations come from: one count model behind one trait.
//!
//! A source knows the world and concludes nothing. What it could not see it says; what it did not see
//! is absent in the [`Scrape`], never zero.
//!
//! [`args`] is what was typed, [`config`] what is meant, [`open`] makes a source of it.

mod access;
mod any;
pub mod args;
pub mod config;
mod counters;
pub mod diagnosis;
pub mod exposition;
mod fetch;
mod kills;
pub mod kubernetes;
mod names;
mod notes;
pub mod prometheus;
mod scrape;
pub mod selector;
mod sigv4;

use gs_common::report::Check;
use jiff::Timestamp;

pub use any::{AnySource, open};
pub use args::SourceArgs;
pub use config::SourceConfig;

use crate::observations::{Header, Scrape};

/// What a source needs to know of the run before it can look.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// When second 0 of the run is.
    pub started_at: Timestamp,
    /// How long the canary is to be watched, in seconds of the run.
    pub duration_seconds: f64,
    /// The share of the requests that the canary is meant to get.
    pub canary_weight: Option<f64>,
    /// The limit that an edge of the histogram has to tell, in seconds.
    pub latency_limit_seconds: f64,
    /// How many seconds of the run pass in one second of the wall clock; 1 but for simulations.
    pub time_scale: f64,
}

impl Plan {
    /// Seconds of the run at a moment of the wall clock; negative before its start.
    #[must_use]
    pub fn seconds_at(&self, moment: Timestamp) -> f64 {
        moment.duration_since(self.started_at).as_secs_f64() * self.time_scale
    }
}

/// What a source found out before the run: the header of the observations, and what will be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The first line of the observations.
    pub header: Header,
    /// Every query, resolved, as it will be sent; addresses without credentials.
    pub queries: Vec<String>,
    /// What deserves a look, one sentence each.
    pub warnings: Vec<String>,
}

/// One look at the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// What was seen, at the time of the samples (not of the question). Absent where nothing new came
    /// since the last look.
    pub scrape: Option<Scrape>,
    /// What was lost, one sentence each: a pod that did not answer, lines that were rejected, warnings
    /// of the server. They are logged, shown and told at the end.
    pub lost: Vec<String>,
}

/// Why a source could not look at all. The run goes on and loses coverage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SourceError {
    /// One sentence fragment: what was asked, where, and what came instead.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

/// The world, as raw counters of pods.
pub trait Source: Send {
    /// Resolves everything that will be asked, and finds the edges and the scrape interval.
    fn prepare(
        &mut self,
        plan: &Plan,
    ) -> impl Future<Output = Result<Prepared, SourceError>> + Send;

    /// Looks at the world at this moment of the wall clock.
    fn look(
        &mut self,
        plan: &Plan,
        now: Timestamp,
    ) -> impl Future<Output = Result<Look, SourceError>> + Send;

    /// What was to be seen in a stretch of the past (exclusive, inclusive), oldest first: for a run that
    /// is resumed, and for backtests. `None` from a source that has no memory.
    fn past(
        &mut self,
        plan: &Plan,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Future<Output = Result<Option<Vec<Look>>, SourceError>> + Send;

    /// Every question asked once, each answer a check: series found, label typos, missing edge, scrape
    /// interval, clock skew.
    fn doctor(&mut self, plan: &Plan, now: Timestamp) -> impl Future<Output = Vec<Check>> + Send;
}
