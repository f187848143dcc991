//! A run from its configuration to its report.

use std::future::Future;
use std::ops::ControlFlow;

use gs_common::cli::Talk;
use gs_common::report::Report;
use jiff::Timestamp;

use crate::config::Config;
use crate::extras::Extras;
use crate::judge::{Patience, judge};
use crate::screen::Screen;
use crate::{engine, summary};

/// Runs a load test: sends the load, judges what was recorded, and makes the report of it.
pub async fn run(
    config: Config,
    extras: &Extras,
    talk: &mut Talk,
    quiet: bool,
    cancel: impl Future<Output = ()>,
) -> Report {
    for warning in &config.warnings {
        talk.warning(warning);
    }
    let started_at = Timestamp::now();
    let mut patience = config
        .abort_after
        .map(|after| Patience::new(&config.goals, after));
    let mut screen = Screen::new(talk, !quiet);
    let ran = engine::run(
        config.plan.clone(),
        |tick| {
            screen.tick(tick);
            let lost = patience
                .as_mut()
                .and_then(|patience| patience.step(tick.interval, tick.open + tick.waiting));
            match lost {
                Some(why) => ControlFlow::Break(why),
                None => ControlFlow::Continue(()),
            }
        },
        cancel,
        config.deadline,
    )
    .await;
    let talk = screen.done();
    let mut report = match ran {
        Ok(mut recorded) => {
            extras.restore(&mut recorded.setup);
            let judgement = judge(&recorded, &config.goals);
            if recorded.total().requests > 0 {
                for line in summary::table(&recorded) {
                    talk.note(&line);
                }
            }
            let mut report = summary::report(&recorded, &judgement);
            extras.finish(&recorded, &config.goals, &config.redactor, &mut report);
            report
        }
        Err(why) => summary::no_start(&config.plan, started_at, &why),
    };
    add_input(&config, &mut report);
    report
}

/// Sends one request for each step, and makes the report of it.
pub async fn check(config: Config, talk: &mut Talk, cancel: impl Future<Output = ()>) -> Report {
    for warning in &config.warnings {
        talk.warning(warning);
    }
    let started_at = Timestamp::now();
    let deadline = config.deadline;
    let cut = async {
        match deadline {
            Some(deadline) => tokio::select! {
                () = cancel => {}
                () = tokio::time::sleep(deadline) => {}
            },
            None => cancel.await,
        }
    };
    let mut report = match engine::check(config.plan.clone(), cut).await {
        Ok((checked, whole)) => summary::check_report(&config.plan, started_at, &checked, whole),
        Err(why) => summary::no_start(&config.plan, started_at, &why),
    };
    add_input(&config, &mut report);
    report
}

fn add_input(config: &Config, report: &mut Report) {
    if let Some(path) = &config.persona_file {
        let input = summary::persona_input(path, &config.plan.personas.sha256);
        report.inputs.push(input);
    }
}
