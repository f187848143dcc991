//! A rollout in the foreground.

use std::fmt::Write as _;

use super::args::{AwayArg, RolloutArgs};
use super::{Ending, Failure, announce};
use crate::prometheus::Misbehaving;
use crate::rollout::{Away, Rollout, RolloutPlan};

/// Simulates a rollout until it is told to end.
pub(super) fn simulate(arguments: &RolloutArgs) -> Result<(), Failure> {
    let plan = plan(arguments)?;
    let world = |what: String| Failure::World {
        what,
        hint: "take another address, or port 0 for a free one",
    };
    // Caught before the start, so that no signal is lost between the two.
    let ending = Ending::new(arguments.exit_after)
        .map_err(|error| world(format!("cannot wait for signals: {error}")))?;
    let rollout = Rollout::start(&plan).map_err(|error| world(format!("cannot start: {error}")))?;
    let prometheus = arguments
        .prometheus
        .then(|| Misbehaving::start(rollout.history()));
    let prometheus = prometheus
        .transpose()
        .map_err(|error| world(format!("cannot start the query listener: {error}")))?;

    let mut ready = format!("url={}\ntargets={}\n", rollout.url(), rollout.targets_url());
    if let Some(prometheus) = &prometheus {
        // Writing to a string does not fail.
        let _ = writeln!(ready, "prometheus={}", prometheus.url());
    }
    for pod in &plan.pods {
        let _ = writeln!(
            ready,
            "{}={}",
            pod.side.as_str(),
            rollout.page_url(&pod.name)
        );
    }
    announce(&ready, arguments.ready_file.as_deref())?;
    ending.wait();
    rollout.stop();
    Ok(())
}

fn plan(arguments: &RolloutArgs) -> Result<RolloutPlan, Failure> {
    let usage = |what: String| Failure::Usage {
        what,
        hint: "`gs-sim rollout --help` has examples, docs/gs-sim.md all behaviours",
    };
    let mut behaviour = arguments.behaviour;
    let at = arguments.at.map(|at| at.as_secs_f64());
    for (flag, member, value) in [
        ("--factor", "factor", arguments.factor),
        ("--share", "share", arguments.share),
        ("--at", "at_seconds", at),
    ] {
        if let Some(value) = value {
            behaviour = behaviour
                .with(member, value)
                .map_err(|why| usage(format!("{flag}: {why}")))?;
        }
    }
    let mut plan = RolloutPlan {
        seed: arguments.seed,
        time_scale: arguments.time_scale,
        away: match arguments.away {
            AwayArg::Refuses => Away::Refuses,
            AwayArg::Breaks => Away::Breaks,
        },
        metrics_prefix: arguments.metrics_prefix.clone(),
        nasty_labels: arguments.nasty_labels,
        scrape_interval: arguments.scrape_interval,
        ..RolloutPlan::new(
            arguments.stable.into(),
            arguments.canary.into(),
            arguments.rate,
            behaviour,
        )
    };
    if let Some(address) = arguments.listen {
        if !address.ip().is_loopback() {
            return Err(Failure::Usage {
                what: format!("listen: {address} can be reached from other machines"),
                hint: "listen on 127.0.0.1",
            });
        }
        plan.listen = address;
    }
    plan.check().map_err(usage)?;
    Ok(plan)
}
