//! Ends a run whose goals stay lost.

use std::time::Duration;

use crate::goal::{Clock, Goal, Metric, Op, Scope};
use crate::result::Interval;

/// Watches for goals that are lost interval after interval.
#[derive(Debug)]
pub struct Patience {
    after: Duration,
    goals: Vec<(Goal, Duration)>,
}

impl Patience {
    /// Loses patience after so long. Only goals on the whole run's response times and failures can be
    /// seen while it goes on.
    #[must_use]
    pub fn new(goals: &[Goal], after: Duration) -> Self {
        let visible = |goal: &&Goal| {
            !goal.warns
                && goal.scope == Scope::All
                && matches!(
                    goal.metric,
                    Metric::Quantile(Clock::Response, _)
                        | Metric::Mean(Clock::Response)
                        | Metric::ErrorRate
                )
                && matches!(goal.op, Op::Below | Op::AtMost)
        };
        Self {
            after,
            goals: goals
                .iter()
                .filter(visible)
                .map(|goal| (goal.clone(), Duration::ZERO))
                .collect(),
        }
    }

    /// Takes an interval; `open` requests were on their way at its end. The sentence says which goal was
    /// lost for too long.
    pub fn step(&mut self, interval: &Interval, open: u64) -> Option<String> {
        let length = Duration::try_from_secs_f64(interval.seconds).unwrap_or_default();
        for (goal, lost) in &mut self.goals {
            let value = match goal.metric {
                _ if interval.requests == 0 => None,
                Metric::ErrorRate => Some(interval.failures as f64 / interval.requests as f64),
                Metric::Mean(_) => Some(interval.response.mean() / 1e3),
                Metric::Quantile(_, q) => Some(interval.response.value_at_quantile(q) as f64 / 1e3),
                _ => None,
            };
            // Requests on their way, and none that ended: nothing is more lost than that.
            let is_lost = match value {
                Some(value) => !goal.op.holds(value, goal.limit),
                None => open > 0,
            };
            *lost = if is_lost {
                *lost + length
            } else {
                Duration::ZERO
            };
            if *lost >= self.after {
                return Some(format!(
                    "`{}` was lost for {}",
                    goal.text,
                    gs_common::units::show_duration(Duration::from_secs(lost.as_secs()))
                ));
            }
        }
        None
    }
}
