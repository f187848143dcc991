//! How much load, and its course.

use std::time::Duration;

use gs_common::config::{ConfigError, Settings};
use gs_common::units;

use super::{number, rate, some_time};
use crate::args::LoadArgs;
use crate::engine::schedule::highest;
use crate::result::{Arrivals, Model, Stage};

/// More users than this are not simulated on one machine.
const MOST_USERS: u64 = 200_000;

/// Ramps of the closed model are a tenth of the duration, but at most this long.
const LONGEST_DEFAULT_RAMP: Duration = Duration::from_secs(10);

pub(super) fn load(
    set: &mut Settings<'_>,
    args: &LoadArgs,
) -> Result<(Model, Vec<Stage>), ConfigError> {
    let users = set.optional("users", args.users.as_deref(), |text| {
        number(text, 1, MOST_USERS)
    })?;
    let per_second = set.optional("rate", args.rate.as_deref(), rate)?;
    let (users, per_second) = match (users, per_second) {
        (Some(_), Some(_)) if args.users.is_some() == args.rate.is_some() => {
            return Err(ConfigError::new("users and rate are two models of load")
                .hint("give `--users` or `--rate`"));
        }
        // What was typed beats what was configured.
        (Some(users), Some(_)) if args.users.is_some() => (Some(users), None),
        (Some(_), Some(per_second)) => (None, Some(per_second)),
        (users, per_second) => (users, per_second),
    };
    let connections = set.optional("connections", args.connections.as_deref(), |text| {
        number(text, 1, MOST_USERS)
    })?;
    let arrivals = set.value(
        "arrivals",
        args.arrivals.as_deref(),
        "even",
        |text| match text {
            "even" => Ok(Arrivals::Even),
            "poisson" => Ok(Arrivals::Poisson),
            _ => Err(format!("`{text}` is neither `even` nor `poisson`")),
        },
    )?;
    let ramp = set.optional("ramp", args.ramp.as_deref(), units::duration)?;
    let duration = set.value("duration", args.duration.as_deref(), "5m", some_time)?;
    let ramp_down = set.value(
        "ramp-down",
        args.ramp_down.as_deref(),
        "0s",
        units::duration,
    )?;
    let written = set.list("stage", &args.stage, stage)?;
    let open = per_second.is_some();
    if !open && args.connections.is_some() {
        return Err(ConfigError::new(
            "--connections caps the connections of --rate; users have one each",
        )
        .hint("give `--rate`, or leave `--connections` away"));
    }
    let full = per_second.unwrap_or_else(|| users.unwrap_or(100) as f64);
    let stages = if written.is_empty() {
        let ramp = ramp.unwrap_or(if open {
            Duration::ZERO
        } else {
            (duration / 10).min(LONGEST_DEFAULT_RAMP)
        });
        simple(full, ramp, duration, ramp_down)
    } else {
        if args.ramp.is_some() || args.duration.is_some() || args.ramp_down.is_some() {
            return Err(ConfigError::new(
                "--stage says all of the course; --ramp, --duration and --ramp-down say it again",
            )
            .hint("give stages alone, or none"));
        }
        let mut from = 0.0;
        written
            .into_iter()
            .enumerate()
            .map(|(index, (target, duration))| {
                let stage = Stage {
                    name: format!("stage-{}", index + 1),
                    from,
                    target,
                    duration,
                };
                from = target;
                stage
            })
            .collect()
    };
    let most = highest(&stages);
    if most <= 0.0 {
        return Err(ConfigError::new("no stage has any load").hint("write `--stage 100:1m`"));
    }
    let model = if open {
        Model::Open {
            rate: most,
            arrivals,
            connections: connections.unwrap_or(1000) as usize,
        }
    } else {
        Model::Closed {
            users: most.round() as u64,
        }
    };
    Ok((model, stages))
}

/// A ramp, a hold and a ramp down; those of no length are left out.
fn simple(full: f64, ramp: Duration, hold: Duration, down: Duration) -> Vec<Stage> {
    let stage = |name: &str, from, target, duration| Stage {
        name: name.to_owned(),
        from,
        target,
        duration,
    };
    [
        stage("ramp", 0.0, full, ramp),
        stage("hold", full, full, hold),
        stage("ramp-down", full, 0.0, down),
    ]
    .into_iter()
    .filter(|stage| !stage.duration.is_zero())
    .collect()
}

fn stage(text: &str) -> Result<(f64, Duration), String> {
    let (target, duration) = text
        .split_once(':')
        .ok_or_else(|| format!("`{text}` is no stage: write TARGET:DURATION, such as `100:2m`"))?;
    let target = target
        .trim()
        .parse::<f64>()
        .ok()
        .filter(|target| target.is_finite() && (0.0..=1e6).contains(target))
        .ok_or_else(|| format!("`{target}` is no load: write a number from 0 on"))?;
    let duration = some_time(duration.trim())?;
    Ok((target, duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_of_no_length_are_left_out() {
        let names = |ramp, down| -> Vec<String> {
            let stages = simple(
                10.0,
                Duration::from_secs(ramp),
                Duration::from_secs(60),
                Duration::from_secs(down),
            );
            stages.into_iter().map(|stage| stage.name).collect()
        };
        assert_eq!(names(0, 0), ["hold"]);
        assert_eq!(names(10, 5), ["ramp", "hold", "ramp-down"]);
    }
}
