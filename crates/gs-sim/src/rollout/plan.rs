//! What to simulate.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use super::Behaviour;

/// More requests than these, in a second of the wall clock, would not be simulated in time.
const MOST_REQUESTS: f64 = 500_000.0;

const MOST_PODS: usize = 500;

/// Which of the two versions a pod runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The new version.
    Canary,
    /// The version that everybody has.
    Stable,
}

impl Side {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Stable => "stable",
        }
    }

    /// The label `deployment` of its pods.
    #[must_use]
    pub fn deployment(self) -> &'static str {
        match self {
            Self::Canary => "goldensignals-canary",
            Self::Stable => "goldensignals",
        }
    }

    pub(super) fn version(self) -> &'static str {
        match self {
            Self::Canary => "2.1.0",
            Self::Stable => "2.0.0",
        }
    }
}

/// One pod.
#[derive(Clone, Debug, PartialEq)]
pub struct PodPlan {
    /// Its name: lowercase letters, digits and hyphens.
    pub name: String,
    /// Which version it runs.
    pub side: Side,
    /// Requests a second of simulated time.
    pub rate: f64,
    /// How long it has been serving when the simulation begins, in seconds of simulated time.
    pub age_seconds: f64,
    /// How it behaves.
    pub behaviour: Behaviour,
}

/// How a pod that is down answers a scraper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Away {
    /// With 503, as a proxy does that finds nobody behind it.
    #[default]
    Refuses,
    /// Not at all: the connection is closed without an answer.
    Breaks,
}

/// A whole rollout. The default is one healthy canary beside six stable pods, in real time.
#[derive(Clone, Debug, PartialEq)]
pub struct RolloutPlan {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// How many times faster than the wall clock the simulated time runs.
    pub time_scale: f64,
    /// The pods.
    pub pods: Vec<PodPlan>,
    /// How a pod that is down answers a scraper.
    pub away: Away,
    /// Prefix of the HTTP metrics: empty, or `goldensignals_`.
    pub metrics_prefix: String,
    /// One of the routes has a label with braces, commas, quotes, a backslash, a line feed and UTF-8.
    pub nasty_labels: bool,
    /// Time of the wall clock between two entries of the history that a query listener answers from.
    pub scrape_interval: Duration,
}

impl Default for RolloutPlan {
    fn default() -> Self {
        Self::new(6, 1, 20.0, Behaviour::Healthy)
    }
}

impl RolloutPlan {
    /// So many stable and canary pods, each with `rate` requests a second. What is the canary's
    /// doing is done by the canary pods, what is the environment's by all.
    ///
    /// Stable pods have been there for one hour, two hours and so on; the canary has just started.
    #[must_use]
    pub fn new(stable: usize, canary: usize, rate: f64, behaviour: Behaviour) -> Self {
        let pod = |side: Side, index: usize| PodPlan {
            name: format!("{}-{index}", side.as_str()),
            side,
            rate,
            age_seconds: match side {
                Side::Canary => 0.0,
                Side::Stable => 3600.0 * (index as f64 + 1.0),
            },
            behaviour: if side == Side::Canary || behaviour.is_everywhere() {
                behaviour
            } else {
                Behaviour::Healthy
            },
        };
        let canaries = (0..canary).map(|index| pod(Side::Canary, index));
        let stables = (0..stable).map(|index| pod(Side::Stable, index));
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            seed: 1,
            time_scale: 1.0,
            pods: canaries.chain(stables).collect(),
            away: Away::default(),
            metrics_prefix: String::new(),
            nasty_labels: false,
            scrape_interval: Duration::from_secs(1),
        }
    }

    /// The same, faster.
    #[must_use]
    pub fn with_time_scale(mut self, time_scale: f64) -> Self {
        self.time_scale = time_scale;
        self
    }

    /// The same with other dice.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The laws across members.
    ///
    /// # Errors
    /// One sentence about what is impossible.
    pub fn check(&self) -> Result<(), String> {
        if self.pods.is_empty() || self.pods.len() > MOST_PODS {
            return Err(format!("a rollout has between 1 and {MOST_PODS} pods"));
        }
        if !(1e-3..=1e4).contains(&self.time_scale) {
            return Err("the time scale lies between 0.001 and 10000".to_owned());
        }
        if !(Duration::from_millis(10)..=Duration::from_secs(3600)).contains(&self.scrape_interval)
        {
            return Err("the scrape interval lies between 10 ms and an hour".to_owned());
        }
        check_prefix(&self.metrics_prefix)?;
        let mut names = BTreeSet::new();
        for pod in &self.pods {
            check_name(&pod.name)?;
            if !names.insert(&pod.name) {
                return Err(format!("there are two pods `{}`", pod.name));
            }
            if !(0.0..=1e5).contains(&pod.rate) {
                return Err(format!("{}: the rate lies between 0 and 100000", pod.name));
            }
            if !(0.0..=1e9).contains(&pod.age_seconds) {
                return Err(format!(
                    "{}: the age lies between 0 and 1e9 seconds",
                    pod.name
                ));
            }
            pod.behaviour
                .check()
                .map_err(|why| format!("{}: {why}", pod.name))?;
        }
        let requests: f64 = self.pods.iter().map(|pod| pod.rate * self.time_scale).sum();
        if requests > MOST_REQUESTS {
            return Err(format!(
                "rate, pods and time scale make {requests:.0} requests a second; at most {MOST_REQUESTS:.0} can be simulated"
            ));
        }
        Ok(())
    }
}

/// The name stands in URLs and labels.
fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(plain) {
        return Err(format!(
            "`{name}` is no name of a pod: up to 63 lowercase letters, digits and hyphens"
        ));
    }
    Ok(())
}

/// Only what the service is known with.
pub(super) fn check_prefix(prefix: &str) -> Result<(), String> {
    match prefix {
        "" | "goldensignals_" => Ok(()),
        _ => Err(format!(
            "the prefix `{prefix}` is neither empty nor goldensignals_"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(change: impl FnOnce(&mut RolloutPlan), said: &str) {
        let mut plan = RolloutPlan::default();
        assert_eq!(plan.check(), Ok(()));
        change(&mut plan);
        let error = plan.check().unwrap_err();
        assert!(error.contains(said), "{error}");
    }

    #[test]
    fn what_cannot_be_simulated_is_refused() {
        refuses(|plan| plan.pods.clear(), "between 1 and");
        refuses(|plan| plan.time_scale = f64::NAN, "time scale");
        refuses(|plan| plan.time_scale = 0.0, "time scale");
        refuses(|plan| plan.pods[0].rate = -1.0, "the rate");
        refuses(|plan| plan.pods[0].rate = f64::INFINITY, "the rate");
        refuses(|plan| plan.pods[0].age_seconds = f64::NAN, "the age");
        refuses(
            |plan| plan.pods[0].name = "a/b".to_owned(),
            "no name of a pod",
        );
        refuses(|plan| plan.pods[0].name = "stable-0".to_owned(), "two pods");
        refuses(|plan| plan.metrics_prefix = "x_".to_owned(), "the prefix");
        refuses(
            |plan| plan.scrape_interval = Duration::ZERO,
            "scrape interval",
        );
        refuses(|plan| plan.time_scale = 1e4, "requests a second");
        refuses(
            |plan| plan.pods[0].behaviour = Behaviour::Errors { share: 2.0 },
            "canary-0: share",
        );
    }

    #[test]
    fn only_the_environments_doing_reaches_stable_pods() {
        let kinds = |text: &str| {
            let plan = RolloutPlan::new(1, 1, 1.0, Behaviour::parse_short(text).unwrap());
            [plan.pods[0].behaviour.kind(), plan.pods[1].behaviour.kind()]
        };
        assert_eq!(kinds("leak"), ["leak", "healthy"]);
        assert_eq!(kinds("pod-bursts"), ["pod-bursts", "pod-bursts"]);
    }
}
