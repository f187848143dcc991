//! What shows why a goal is missed: the slowest requests and the errors of what the goal speaks of, never
//! those of others.

use gs_common::report::Evidence;

use super::figures::error_rows;
use crate::engine::schedule::stage_at;
use crate::goal::{Metric, Scope};
use crate::judge::Judged;
use crate::result::{Cell, RunResult, Slow};

/// So many examples are named.
const NAMED: usize = 3;

/// So many endpoints with slow requests are named.
const SLOW_ENDPOINTS: usize = 20;

/// The part of a run that a goal was held against.
enum Part<'a> {
    Whole,
    Endpoint(&'a str),
    Persona(&'a str),
    Stage(&'a str),
}

impl<'a> Part<'a> {
    fn of(judged: &'a Judged) -> Self {
        let subject = judged.subject.as_str();
        let behind = |word: &str| subject.strip_prefix(word).unwrap_or(subject);
        match judged.goal.scope {
            Scope::All => Self::Whole,
            Scope::Endpoint(_) | Scope::EachEndpoint => Self::Endpoint(subject),
            Scope::Persona(_) | Scope::EachPersona => Self::Persona(behind("persona ")),
            Scope::Stage(_) | Scope::EachStage => Self::Stage(behind("stage ")),
        }
    }

    fn has_cell(&self, run: &RunResult, cell: &Cell) -> bool {
        match self {
            Self::Whole => true,
            Self::Endpoint(name) => cell.endpoint == *name,
            Self::Persona(name) => cell.persona == *name,
            Self::Stage(name) => is_stage(run, cell.stage, name),
        }
    }

    fn has(&self, run: &RunResult, slow: &Slow) -> bool {
        match self {
            Self::Whole => true,
            Self::Endpoint(name) => slow.endpoint == *name,
            Self::Persona(name) => slow.persona == *name,
            Self::Stage(name) => is_stage(run, stage_at(&run.setup.stages, slow.due_seconds), name),
        }
    }
}

fn is_stage(run: &RunResult, index: usize, name: &str) -> bool {
    let stage = run.setup.stages.get(index);
    stage.is_some_and(|stage| stage.name == name)
}

/// What shows why a goal is missed, where the run kept anything of it.
pub(super) fn proof(run: &RunResult, judged: &Judged) -> Vec<Evidence> {
    let part = Part::of(judged);
    match (judged.goal.metric, &part) {
        // Slow requests are counted by endpoint.
        (Metric::Max(_), Part::Whole | Part::Endpoint(_)) if !run.slow.is_empty() => {
            let mut slow: Vec<(&String, &u64)> = run
                .slow
                .iter()
                .filter(|(name, _)| match part {
                    Part::Endpoint(wanted) => name.as_str() == wanted,
                    _ => true,
                })
                .collect();
            slow.sort_by(|a, b| b.1.cmp(a.1));
            let lines = slow.into_iter().take(SLOW_ENDPOINTS);
            told(
                "slow requests",
                lines.map(|(name, count)| format!("{count} x {name}")),
            )
        }
        (Metric::Quantile(..) | Metric::Mean(_) | Metric::Max(_), _) => {
            let slowest = run.slowest.iter().filter(|slow| part.has(run, slow));
            let lines = slowest.take(NAMED).map(|slow| {
                format!(
                    "{:.0} ms {} ({}), trace {}",
                    slow.response.as_secs_f64() * 1e3,
                    slow.endpoint,
                    slow.outcome,
                    slow.trace_id
                )
            });
            told("slowest requests", lines)
        }
        (Metric::ErrorRate | Metric::Checks, _) => error_rows(run, |cell| part.has_cell(run, cell))
            .into_iter()
            .take(NAMED)
            .map(|row| Evidence {
                label: format!("{} x {} of {}", row.count, row.kind.code(), row.endpoint),
                text: if row.body.is_empty() {
                    row.message
                } else {
                    format!("{}\n{}", row.message, row.body)
                },
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Lines as one piece of evidence; none where there are none.
fn told(label: &str, lines: impl Iterator<Item = String>) -> Vec<Evidence> {
    let text = lines.collect::<Vec<_>>().join("\n");
    if text.is_empty() {
        return Vec::new();
    }
    vec![Evidence {
        label: label.to_owned(),
        text,
    }]
}
