//! What is meant: everything typed and configured, checked before anything is judged.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gs_common::config::{ConfigError, Project, Row, Settings};
use gs_common::units;

use crate::args::PolicyArgs;
use crate::judge::Policy;

/// A policy with nothing left to guess about.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the judge goes by.
    pub policy: Policy,
    /// Every setting with its origin.
    pub rows: Vec<Row>,
    /// What deserves a look before the run.
    pub warnings: Vec<String>,
}

impl Config {
    /// Resolves a command line against the configuration file and the environment.
    ///
    /// # Errors
    /// Something typed or configured is wrong.
    pub fn resolve(
        args: &PolicyArgs,
        variables: &BTreeMap<String, String>,
        cwd: &Path,
    ) -> Result<Self, ConfigError> {
        let project = Project::find(args.config.config.as_deref(), cwd)?;
        let mut set = Settings::new("canary-monitor", &project, variables)?;
        let some = |text: &str| within(text, 1.0, 86_400.0);
        let policy = Policy {
            check_seconds: set.value("interval", args.interval.as_deref(), "30s", some)?,
            error_limit: set.value("error-limit", args.error_limit.as_deref(), "5%", limit)?,
            latency_limit_seconds: set.value(
                "latency-limit",
                args.latency_limit.as_deref(),
                "1s",
                |text| within(text, 0.001, 3600.0),
            )?,
            slow_limit: set.value(
                "slow-share-limit",
                args.slow_share_limit.as_deref(),
                "5%",
                limit,
            )?,
            warm_up_seconds: set.value("warm-up", args.warm_up.as_deref(), "90s", |text| {
                within(text, 0.0, 86_400.0)
            })?,
            coverage: set.value(
                "min-coverage",
                args.min_coverage.as_deref(),
                "80%",
                |text| units::share(text).map_err(|error| error.to_string()),
            )?,
            ..Policy::default()
        };
        let policy = Policy {
            longest_warm_up_seconds: policy.longest_warm_up_seconds.max(policy.warm_up_seconds),
            ..policy
        };
        let (rows, warnings) = set.finish()?;
        Ok(Self {
            policy,
            rows,
            warnings,
        })
    }
}

fn within(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let seconds = units::duration(text)
        .map_err(|error| error.to_string())?
        .as_secs_f64();
    if (least..=most).contains(&seconds) {
        return Ok(seconds);
    }
    let shown = |seconds: f64| units::show_duration(Duration::from_secs_f64(seconds));
    Err(format!(
        "`{text}` does not lie between {} and {}",
        shown(least),
        shown(most)
    ))
}

fn limit(text: &str) -> Result<f64, String> {
    let share = units::share(text).map_err(|error| error.to_string())?;
    if share > 0.0 && share < 1.0 {
        Ok(share)
    } else {
        Err(format!("`{text}` is no limit: it lies between 0% and 100%"))
    }
}
