//! The time of a run: that of the wall at its start, and from then on a clock that nobody sets. A clock
//! that jumps in mid-run is a loss that is told, and moves nothing.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A jump of the wall clock smaller than this is a correction.
const JUMP: Duration = Duration::from_secs(5);

/// A steady clock.
#[derive(Debug)]
pub struct Steady {
    base: Timestamp,
    since: Instant,
    wall: Option<fn() -> Timestamp>,
    offset: SignedDuration,
}

impl Steady {
    /// Starts at the wall clock's time, and watches it.
    #[must_use]
    pub fn start() -> Self {
        Self {
            wall: Some(Timestamp::now),
            ..Self::at(Timestamp::now())
        }
    }

    /// Starts at a moment, without a wall clock: tests pause the time that it goes by.
    #[must_use]
    pub fn at(base: Timestamp) -> Self {
        Self {
            base,
            since: Instant::now(),
            wall: None,
            offset: SignedDuration::ZERO,
        }
    }

    /// The moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.since.elapsed()).unwrap_or(SignedDuration::MAX);
        self.base.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// By how much the wall clock has jumped since this was asked the last time, if it has.
    pub fn jump(&mut self) -> Option<SignedDuration> {
        let offset = (self.wall?)().duration_since(self.now());
        let jump = offset - self.offset;
        if jump.unsigned_abs() < JUMP {
            return None;
        }
        self.offset = offset;
        Some(jump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_while_the_wall_clock_jumps() {
        let base: Timestamp = "2026-11-24T02:00:00Z".parse().unwrap();
        let mut clock = Steady::at(base);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(
            clock.now().duration_since(base),
            SignedDuration::from_secs(90)
        );
        assert_eq!(clock.jump(), None);
        clock.wall = Some(|| "2026-11-24T02:11:30Z".parse().unwrap_or(Timestamp::MAX));
        assert_eq!(clock.jump(), Some(SignedDuration::from_secs(600)));
        assert_eq!(clock.jump(), None, "a jump is told once");
    }
}
