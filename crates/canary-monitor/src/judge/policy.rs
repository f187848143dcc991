//! Every number that the judge goes by, with its reason. `docs/canary-judge.md` tells of them.

use serde::{Deserialize, Serialize};

/// The parameters of a judgement. The defaults are the guide's limits and what the simulator of
/// `selftest` was tuned to; see `docs/canary-judge.md` for which scenarios those were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// From one check to the next, in seconds: the length of a cell of evidence.
    pub check_seconds: f64,
    /// The guide's limit on the share of requests that fail.
    pub error_limit: f64,
    /// The guide's limit on the 95th percentile of the response time, in seconds.
    pub latency_limit_seconds: f64,
    /// The share of requests that may be slower than that; 0.05 makes it the 95th percentile.
    pub slow_limit: f64,
    /// Chance of a false alarm of each of the six tests, over a whole run.
    pub alpha: f64,
    /// The same for the placebo with fewer than [`Policy::placebo_pods`] stable pods, which know little of
    /// their own scatter.
    pub alpha_few: f64,
    /// Error rates up to this many times the stable's are tolerated.
    pub error_ratio: f64,
    /// Error shares up to this are not held against the canary by the comparison with stable.
    pub error_floor: f64,
    /// Shares of slow requests up to this many times the stable's are tolerated.
    pub slow_ratio: f64,
    /// A latency that is longer by this factor is tolerated, whatever the shape of the distribution.
    pub slow_stretch: f64,
    /// Most evidence, in nats after tempering, that one cell may add to a comparison with stable: no
    /// single burst convicts. Cutting a likelihood ratio from above keeps it a fair bet.
    pub cell_cap: f64,
    /// The same for a comparison with a fixed limit.
    pub limit_cap: f64,
    /// Checks in a row for which the evidence of a comparison has to hold.
    pub persistence: u32,
    /// The same with fewer than [`Policy::placebo_pods`] stable pods.
    pub persistence_few: u32,
    /// The same for the limits: the guide's three.
    pub persistence_limit: u32,
    /// So many stable pods show how much healthy pods differ.
    pub placebo_pods: usize,
    /// Share of errors that is a catastrophe, judged also while warming up.
    pub catastrophe: f64,
    /// Left out of comparisons and limits after the first request of the canary, in seconds.
    pub warm_up_seconds: f64,
    /// At most so long where the latency is still falling, in seconds.
    pub longest_warm_up_seconds: f64,
    /// Least share of the expected looks that a pass needs.
    pub coverage: f64,
    /// Further watching while the environment is unhealthy or the evidence is open, in seconds.
    pub extension_seconds: f64,
    /// Restarts of canary pods that fail it.
    pub restarts: u64,
    /// Look back for whether it is still bad: at least so long, in seconds.
    pub recent_seconds: f64,
    /// And at least so many requests of the canary.
    pub recent_requests: u64,
    /// But at most so long, in seconds.
    pub recent_most_seconds: f64,
    /// Look back for whether the environment is healthy, in seconds.
    pub environment_seconds: f64,
    /// Window of the leak guard, in seconds.
    pub leak_seconds: f64,
    /// A leak that reaches the limit later than this, in seconds, is left to others.
    pub leak_horizon_seconds: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            check_seconds: 30.0,
            error_limit: 0.05,
            latency_limit_seconds: 1.0,
            slow_limit: 0.05,
            alpha: 0.005,
            alpha_few: 0.015,
            error_ratio: 1.3,
            error_floor: 0.005,
            slow_ratio: 1.5,
            slow_stretch: 1.12,
            cell_cap: 2.0,
            limit_cap: 4.0,
            persistence: 4,
            persistence_few: 4,
            persistence_limit: 3,
            placebo_pods: 5,
            catastrophe: 0.25,
            warm_up_seconds: 90.0,
            longest_warm_up_seconds: 180.0,
            coverage: 0.8,
            extension_seconds: 300.0,
            restarts: 3,
            recent_seconds: 60.0,
            recent_requests: 1000,
            recent_most_seconds: 600.0,
            environment_seconds: 300.0,
            leak_seconds: 300.0,
            leak_horizon_seconds: 6.0 * 3600.0,
        }
    }
}

impl Policy {
    /// The evidence, in nats, that fails: `ln(1/alpha)`.
    #[must_use]
    pub fn fail_line(&self) -> f64 {
        -self.alpha.ln()
    }
}
