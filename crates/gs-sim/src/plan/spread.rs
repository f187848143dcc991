//! How a wait is distributed.

use serde::{Deserialize, Serialize};

/// How a wait beyond its least is distributed, in milliseconds; drawn with the seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "distribution", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Spread {
    /// Not at all.
    #[default]
    Fixed,
    /// Evenly up to so many milliseconds more.
    Uniform {
        /// The most.
        millis: f64,
    },
    /// Exponentially with this mean.
    Exponential {
        /// The mean.
        millis: f64,
    },
    /// Log-normally: median and sigma of the logarithm.
    LogNormal {
        /// The median.
        millis: f64,
        /// Sigma.
        sigma: f64,
    },
    /// As a table of `[share, milliseconds]` says, straight lines between: half of the waits are at
    /// most what stands at 0.5. Below the first row the line begins at `[0, 0]`; above the last it is flat.
    Quantiles {
        /// The rows, ascending in both columns.
        points: Vec<(f64, f64)>,
    },
}

impl Spread {
    /// Draws a wait in milliseconds.
    pub fn draw(&self, random: &mut fastrand::Rng) -> f64 {
        match self {
            Self::Fixed => 0.0,
            Self::Uniform { millis } => millis * random.f64(),
            // Inversion; `1 - u` lies in (0, 1], so that the logarithm is finite.
            Self::Exponential { millis } => -millis * (1.0 - random.f64()).ln(),
            Self::LogNormal { millis, sigma } => {
                // Box and Muller, 1958: two even draws make a normal one.
                let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
                let normal = radius * (std::f64::consts::TAU * random.f64()).cos();
                millis * (sigma * normal).exp()
            }
            Self::Quantiles { points } => quantile(points, random.f64()),
        }
    }

    /// Refuses numbers that describe no wait.
    pub(super) fn check(&self) -> Result<(), String> {
        let wait = |millis: f64| millis.is_finite() && millis >= 0.0;
        match self {
            Self::Fixed => Ok(()),
            Self::Uniform { millis } | Self::Exponential { millis } if wait(*millis) => Ok(()),
            Self::LogNormal { millis, sigma } if wait(*millis) && wait(*sigma) => Ok(()),
            Self::Quantiles { points } => {
                let rising = points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
                let sane = points
                    .iter()
                    .all(|(share, millis)| (0.0..=1.0).contains(share) && wait(*millis));
                if rising && sane && !points.is_empty() {
                    Ok(())
                } else {
                    Err(
                        "`points` are rows of [share from 0 to 1, milliseconds], ascending"
                            .to_owned(),
                    )
                }
            }
            _ => Err("a spread takes numbers from 0 on".to_owned()),
        }
    }
}

fn quantile(points: &[(f64, f64)], share: f64) -> f64 {
    let mut below = (0.0, 0.0);
    for &(to, millis) in points {
        if share < to {
            return below.1 + (millis - below.1) * (share - below.0) / (to - below.0);
        }
        below = (to, millis);
    }
    below.1
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 20_000;

    /// The share of draws that are at most `limit`.
    fn share_within(spread: &Spread, limit: f64) -> f64 {
        let mut random = fastrand::Rng::with_seed(1);
        (0..DRAWS)
            .filter(|_| spread.draw(&mut random) <= limit)
            .count() as f64
            / DRAWS as f64
    }

    #[track_caller]
    fn check(spread: &Spread, limit: f64, share: f64) {
        let found = share_within(spread, limit);
        // Three standard errors of a share of 0.5 over so many draws are 0.0106.
        assert!(
            (found - share).abs() < 0.0106,
            "{spread:?}: {found} of the waits are at most {limit}, not {share}"
        );
    }

    #[test]
    fn draws_follow_their_distribution() {
        check(&Spread::Uniform { millis: 100.0 }, 25.0, 0.25);
        check(
            &Spread::Exponential { millis: 100.0 },
            100.0,
            1.0 - (-1.0_f64).exp(),
        );
        check(
            &Spread::LogNormal {
                millis: 100.0,
                sigma: 0.5,
            },
            100.0,
            0.5,
        );
        check(
            &Spread::LogNormal {
                millis: 100.0,
                sigma: 0.5,
            },
            100.0 * 0.5_f64.exp(),
            0.8413,
        );
        let table = Spread::Quantiles {
            points: vec![(0.5, 20.0), (0.95, 100.0), (1.0, 400.0)],
        };
        check(&table, 10.0, 0.25);
        check(&table, 20.0, 0.5);
        check(&table, 100.0, 0.95);
        check(&table, 400.0, 1.0);
    }

    #[test]
    fn a_table_is_flat_above_its_last_row() {
        assert_eq!(quantile(&[(0.5, 20.0)], 0.99), 20.0);
    }

    #[test]
    fn numbers_that_are_no_wait_are_refused() {
        for spread in [
            Spread::Uniform { millis: -1.0 },
            Spread::Exponential { millis: f64::NAN },
            Spread::LogNormal {
                millis: 1.0,
                sigma: f64::INFINITY,
            },
            Spread::Quantiles { points: Vec::new() },
            Spread::Quantiles {
                points: vec![(0.5, 10.0), (0.9, 5.0)],
            },
            Spread::Quantiles {
                points: vec![(1.5, 10.0)],
            },
        ] {
            assert!(spread.check().is_err(), "{spread:?}");
        }
    }
}
