//! The intervals of a run, and who hears of them while it goes on.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::world::World;
use super::{Live, Tick, open, schedule};
use crate::result::{Interval, MOST_INTERVALS, Model, interval_histogram};

/// One second, or longer in long runs.
pub(super) fn interval_length(length: Duration) -> Duration {
    Duration::from_secs(length.as_secs().div_ceil(MOST_INTERVALS).max(1))
}

/// The intervals so far.
#[derive(Debug)]
pub(super) struct TimeLine {
    every: Duration,
    pub(super) intervals: Vec<Interval>,
    covered: Duration,
    requests: u64,
    failures: u64,
    endpoints: Vec<Live>,
}

/// What an interval has to tell.
#[derive(Debug)]
pub(super) struct Told<'a> {
    line: &'a TimeLine,
    world: &'a World,
    elapsed: Duration,
    length: Duration,
    open: u64,
    waiting: u64,
}

impl TimeLine {
    pub(super) fn new(every: Duration, endpoints: &[String]) -> Self {
        Self {
            endpoints: endpoints.iter().map(|name| Live::new(name)).collect(),
            every,
            intervals: Vec::new(),
            covered: Duration::ZERO,
            requests: 0,
            failures: 0,
        }
    }

    pub(super) fn close<'a>(
        &'a mut self,
        world: &'a World,
        pool: Option<&open::Pool>,
        now: Instant,
        length: Duration,
    ) -> Told<'a> {
        let elapsed = now.saturating_duration_since(world.began);
        let open = world.open() as u64;
        let users = match world.plan.model {
            Model::Closed { .. } => world.users.load(Ordering::Relaxed),
            Model::Open { .. } => open,
        };
        let mut interval = Interval {
            start_seconds: self.covered.as_secs_f64(),
            seconds: elapsed.saturating_sub(self.covered).as_secs_f64(),
            requests: 0,
            failures: 0,
            users,
            response: interval_histogram(),
        };
        for live in &mut self.endpoints {
            live.recent = 0;
        }
        world.each_recorder(|recorder| {
            recorder.take_interval(&mut interval, &mut self.endpoints);
        });
        self.requests += interval.requests;
        self.failures += interval.failures;
        // The rest at the end is worth a point of its own only where something is in it.
        if interval.requests > 0 || elapsed.saturating_sub(self.covered) >= self.every / 2 {
            self.intervals.push(interval);
            self.covered = elapsed;
        }
        Told {
            line: self,
            world,
            elapsed,
            length,
            open,
            waiting: pool.map_or(0, open::Pool::waiting) as u64,
        }
    }
}

impl Told<'_> {
    pub(super) fn and_tell(
        &self,
        tick: &mut impl FnMut(&Tick<'_>) -> ControlFlow<String>,
    ) -> ControlFlow<String> {
        let stages = &self.world.plan.stages;
        let at = schedule::stage_at(stages, self.elapsed.as_secs_f64());
        let (Some(interval), Some(stage)) = (self.line.intervals.last(), stages.get(at)) else {
            return ControlFlow::Continue(());
        };
        tick(&Tick {
            elapsed: self.elapsed,
            length: self.length,
            stage,
            interval,
            users: interval.users,
            open: self.open,
            waiting: self.waiting,
            requests: self.line.requests,
            failures: self.line.failures,
            endpoints: &self.line.endpoints,
        })
    }
}
