//! When requests become due in the open model, and how many users a stage wants. Pure: time is a number
//! of seconds since the start of the run.

use std::time::Duration;

use rand_distr::{Distribution as _, Exp1};

use crate::result::{Arrivals, Stage};

/// The due times of a run, in seconds from its start, in order.
///
/// The rate goes in straight lines from stage to stage. The number of arrivals until `t` is the integral
/// `N(t)` of the rate; the k-th arrival is due at `N⁻¹(k)` when arrivals are even, and at `N⁻¹(S_k)`
/// with `S_k` a sum of k independent exponential gaps of mean 1 when they are Poisson (time rescaling
/// of a Poisson process: Daley and Vere-Jones, An Introduction to the Theory of Point Processes,
/// section 7.4).
#[derive(Debug)]
pub struct DueTimes {
    pieces: Vec<Piece>,
    /// The place on the axis of expected arrivals.
    position: f64,
    gaps: Option<rand::rngs::SmallRng>,
    first: bool,
}

/// One stage: from `start` on, at a rate that goes from `from` to `to`.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: f64,
    seconds: f64,
    from: f64,
    to: f64,
    /// Expected arrivals before it.
    before: f64,
}

impl Piece {
    fn arrivals(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.seconds
    }

    /// The moment at which so many arrivals of this piece are expected. With the slope `a`, this is the
    /// root of `from·t + a·t²/2 = n` in the form that does not cancel.
    fn time_of(&self, arrivals: f64) -> f64 {
        let slope = if self.seconds > 0.0 {
            (self.to - self.from) / self.seconds
        } else {
            0.0
        };
        let root = (self.from * self.from + 2.0 * slope * arrivals)
            .max(0.0)
            .sqrt();
        let divisor = self.from + root;
        let within = if divisor > 0.0 {
            2.0 * arrivals / divisor
        } else {
            0.0
        };
        self.start + within.min(self.seconds)
    }
}

impl DueTimes {
    /// The due times of these stages, in requests a second.
    #[must_use]
    pub fn new(stages: &[Stage], arrivals: Arrivals, seed: u64) -> Self {
        use rand::SeedableRng as _;
        let mut pieces = Vec::new();
        let (mut start, mut before) = (0.0, 0.0);
        for stage in stages {
            let piece = Piece {
                start,
                seconds: stage.duration.as_secs_f64(),
                from: stage.from,
                to: stage.target,
                before,
            };
            start += piece.seconds;
            before += piece.arrivals();
            pieces.push(piece);
        }
        Self {
            pieces,
            position: 0.0,
            gaps: (arrivals == Arrivals::Poisson)
                .then(|| rand::rngs::SmallRng::seed_from_u64(seed)),
            first: true,
        }
    }

    /// How many arrivals are expected in all.
    #[must_use]
    pub fn expected(&self) -> f64 {
        self.pieces
            .last()
            .map_or(0.0, |last| last.before + last.arrivals())
    }
}

impl Iterator for DueTimes {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        self.position += match &mut self.gaps {
            Some(random) => Exp1.sample(random),
            None if self.first => 0.0,
            None => 1.0,
        };
        self.first = false;
        // Whole numbers of arrivals at a whole rate: what is lost in the last bit must not add one.
        let piece = self
            .pieces
            .iter()
            .find(|piece| self.position < piece.before + piece.arrivals() - 1e-9)?;
        Some(piece.time_of(self.position - piece.before))
    }
}

/// The index of the stage at so many seconds from the start; the last one after the end.
#[must_use]
pub fn stage_at(stages: &[Stage], seconds: f64) -> usize {
    let mut end = 0.0;
    for (index, stage) in stages.iter().enumerate() {
        end += stage.duration.as_secs_f64();
        if seconds < end {
            return index;
        }
    }
    stages.len().saturating_sub(1)
}

/// How long all stages take.
#[must_use]
pub fn length(stages: &[Stage]) -> Duration {
    stages.iter().map(|stage| stage.duration).sum()
}

/// The highest target of the stages.
#[must_use]
pub fn highest(stages: &[Stage]) -> f64 {
    stages.iter().map(|stage| stage.target).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stage(from: f64, target: f64, seconds: f64) -> Stage {
        Stage {
            name: "hold".to_owned(),
            from,
            target,
            duration: Duration::from_secs_f64(seconds),
        }
    }

    #[test]
    fn an_even_rate_is_even_and_exact() {
        let due: Vec<f64> =
            DueTimes::new(&[stage(400.0, 400.0, 20.0)], Arrivals::Even, 0).collect();
        assert_eq!(due.len(), 8000);
        assert_eq!((due[0], due[1]), (0.0, 0.0025));
        assert!((due[7999] - 19.9975).abs() < 1e-9);
    }

    #[test]
    fn a_ramp_has_half_the_arrivals_of_its_end() {
        let stages = [stage(0.0, 100.0, 10.0), stage(100.0, 100.0, 10.0)];
        let due: Vec<f64> = DueTimes::new(&stages, Arrivals::Even, 0).collect();
        assert_eq!(due.len(), 1500);
        let in_ramp = due.iter().filter(|at| **at < 10.0).count();
        assert_eq!(in_ramp, 500);
        // A quarter of the ramp's arrivals come in its first half.
        let early = due.iter().filter(|at| **at < 5.0).count();
        assert_eq!(early, 125);
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread() {
        let counts: Vec<f64> = (0..200)
            .map(|seed| {
                DueTimes::new(&[stage(100.0, 100.0, 4.0)], Arrivals::Poisson, seed).count() as f64
            })
            .collect();
        let mean = counts.iter().sum::<f64>() / 200.0;
        let variance = counts.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / 199.0;
        // Mean and variance of a Poisson count are both 400; the bounds are five standard errors.
        assert!(
            (mean - 400.0).abs() < 5.0 * 20.0 / 200.0_f64.sqrt(),
            "{mean}"
        );
        assert!((variance / 400.0 - 1.0).abs() < 0.5, "{variance}");
    }

    #[test]
    fn stages_are_found_by_time() {
        let stages = [stage(0.0, 1.0, 2.0), stage(1.0, 1.0, 3.0)];
        assert_eq!(
            [0.0, 1.9, 2.0, 4.9, 9.0].map(|at| stage_at(&stages, at)),
            [0, 0, 1, 1, 1]
        );
        assert_eq!(length(&stages), Duration::from_secs(5));
    }

    proptest! {
        #[test]
        fn due_times_are_in_order_and_inside(
            targets in prop::collection::vec((0_u32..200, 0_u32..200, 0_u32..40), 1..6),
            poisson in any::<bool>(),
        ) {
            let stages: Vec<Stage> = targets
                .iter()
                .map(|(from, to, tenths)| stage(f64::from(*from), f64::from(*to), f64::from(*tenths) / 10.0))
                .collect();
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Even };
            let times = DueTimes::new(&stages, arrivals, 7);
            let expected = times.expected();
            let due: Vec<f64> = times.collect();
            let end = length(&stages).as_secs_f64();
            prop_assert!(due.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert!(due.iter().all(|at| (0.0..=end).contains(at)));
            if !poisson {
                prop_assert!((due.len() as f64 - expected).abs() <= 1.0, "{} {expected}", due.len());
            }
        }
    }
}
