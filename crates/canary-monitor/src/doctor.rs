//! Everything asked once that a run would ask, before somebody depends on it.

use gs_common::config::ConfigError;
use gs_common::exit::Exit;
use gs_common::outside::{Outside, in_runtime, interrupted};
use gs_common::report::{Report, SCHEMA, Subject};
use gs_common::verdict::Verdict;
use jiff::Timestamp;

use crate::args::RunArgs;
use crate::config::Config;
use crate::source::{self, Plan, Source as _};
use crate::summary;

/// The verb `doctor`.
pub(crate) fn command(args: &RunArgs, outside: &Outside<'_>) -> Result<Exit, ConfigError> {
    let sinks = outside.sinks()?;
    let config = Config::resolve(args, outside.variables, outside.cwd)?;
    let mut source = source::open(&config.source)?;
    let mut talk = outside.talk(config.redactor.clone());
    for warning in &config.warnings {
        talk.warning(warning);
    }
    let started_at = Timestamp::now();
    let plan = Plan {
        started_at,
        duration_seconds: config.course.duration_seconds,
        canary_weight: config.course.weight,
        latency_limit_seconds: config.policy.latency_limit_seconds,
        time_scale: config.course.time_scale,
    };
    let checks = in_runtime(async {
        let late = async {
            match config.course.deadline {
                Some(deadline) => tokio::time::sleep(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            checks = source.doctor(&plan, Timestamp::now()) => Ok(checks),
            () = interrupted() => Err(crate::judge::reason::INTERRUPTED),
            () = late => Err(crate::judge::reason::DEADLINE),
        }
    })?;
    let (checks, cut) = match checks {
        Ok(checks) => (checks, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let verdict = Verdict::over(checks.iter().map(|check| check.verdict));
    let worst = checks
        .iter()
        .filter(|check| check.verdict == verdict && verdict != Verdict::Pass)
        .find_map(|check| check.message.clone());
    let bad = checks
        .iter()
        .filter(|check| check.verdict >= Verdict::Inconclusive)
        .count();
    let (reason, sentence) = match (cut, verdict) {
        (Some(why), _) => (why, "the questions were not all answered".to_owned()),
        (None, Verdict::Pass) => (
            "ready",
            format!(
                "a run would find what it needs: {} checks passed",
                checks.len()
            ),
        ),
        (None, Verdict::Warn) => (
            "ready_with_warnings",
            worst.unwrap_or_else(|| "a run is possible, something deserves a look".to_owned()),
        ),
        (None, _) => (
            "not_ready",
            format!(
                "{bad} of {} checks did not pass: {}",
                checks.len(),
                worst.unwrap_or_default()
            ),
        ),
    };
    let report = Report {
        schema: SCHEMA.to_owned(),
        tool: summary::tool(),
        subject: Subject {
            kind: "source".to_owned(),
            name: summary::subject(&config),
            commit: None,
        },
        started_at,
        ended_at: Timestamp::now(),
        verdict,
        reason: reason.to_owned(),
        summary: sentence,
        next: Vec::new(),
        checks,
        findings: Vec::new(),
        inputs: Vec::new(),
        not_covered: Vec::new(),
        series: Vec::new(),
        details: serde_json::Map::new(),
    };
    Ok(outside.finish(report, &config.redactor, &sinks, &mut talk))
}
