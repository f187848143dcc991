//! How much healthy pods differ: what the comparison with stable has to be divided by, and the same
//! test run as a placebo on pods that are known to be good.
//!
//! Requests are not independent: a slow database makes a hundred of them fail together. Pearson's
//! dispersion of the stable pods says how much more than independent counts they scatter; evidence
//! divided by it stays a fair bet for a dispersion that is known. Ours is estimated from the same run,
//! so that the guarantee is heuristic there, and shown by simulation instead.

use super::evidence::Count;
use super::numeric::{student_quantile, student_tail};

/// What the dispersion of the run's totals counts for, beside that of its minutes.
const TOTALS_WEIGHT: f64 = 0.6;

/// How many degrees of freedom the scatter that counts must have is worth, beside the pods' own.
const PRIOR_FREEDOM: f64 = 2.0;

/// The scatter of one kind of event over the stable pods.
#[derive(Clone, Debug, Default)]
pub struct Noise {
    chi_square: f64,
    freedom: f64,
    /// The minutes of a stable pod that is alone.
    alone: Vec<Count>,
}

impl Noise {
    /// Takes in one minute of the stable pods. Each pod is held against the share of that minute, so
    /// that what all of them shared is no noise. A pod that is alone can only be held against its own
    /// other minutes, where what the canary would have shared counts as noise too.
    pub fn take(&mut self, minute: &[Count]) {
        if let [pod] = minute {
            self.alone.push(*pod);
        }
        let (chi_square, freedom) = chi_square(minute);
        self.chi_square += chi_square;
        self.freedom += freedom;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The dispersion: at least 1. `totals` are the counts of the stable pods since the warm-up.
    #[must_use]
    pub fn dispersion(&self, totals: &[Count]) -> f64 {
        let per = |(chi_square, freedom): (f64, f64)| {
            if freedom > 0.0 {
                chi_square / freedom
            } else {
                1.0
            }
        };
        let minutes = per((self.chi_square, self.freedom));
        let alone = per(chi_square(&self.alone));
        let totals = TOTALS_WEIGHT * per(chi_square(totals));
        minutes.max(alone).max(totals).max(1.0)
    }
}

/// Pearson's statistic of pods against their common share, with its degrees of freedom.
fn chi_square(pods: &[Count]) -> (f64, f64) {
    let all = pods.iter().fold(Count::default(), |sum, pod| sum.and(*pod));
    let Some(share) = all.share().filter(|share| *share > 0.0 && *share < 1.0) else {
        return (0.0, 0.0);
    };
    let served = pods.iter().filter(|pod| pod.requests > 0);
    let (sum, count) = served.fold((0.0, 0.0), |(sum, count), pod| {
        let expected = pod.requests as f64 * share;
        let off = pod.events as f64 - expected;
        (sum + off * off / (expected * (1.0 - share)), count + 1.0)
    });
    if count < 2.0 {
        (0.0, 0.0)
    } else {
        (sum, count - 1.0)
    }
}

/// How far a canary stands out among the stable pods.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placebo {
    /// Its distance in standard deviations of a healthy pod.
    pub distance: f64,
    /// Degrees of freedom of that standard deviation.
    pub freedom: f64,
}

impl Placebo {
    /// Whether a healthy pod stands out so far with a probability below `alpha` only.
    #[must_use]
    pub fn stands_out(&self, alpha: f64) -> bool {
        student_tail(self.distance, self.freedom) < alpha
    }

    /// The distance that a healthy pod exceeds with probability `alpha`.
    #[must_use]
    pub fn line(&self, alpha: f64) -> f64 {
        student_quantile(alpha, self.freedom)
    }
}

/// Holds canary pods against stable pods on the scale where counts scatter evenly, the root of the
/// share: `t = (mean y_c - mean y_s) / sqrt(v (1/c + 1/m))` against Student's t.
///
/// `v` is the stable pods' variance, moderated by what independent counts must scatter, `1/(4n)`
/// (Anscombe, Biometrika 35, 1948): `v = (d0 / 4n + (m-1) s²) / (d0 + m-1)` with `d0 + m-1` degrees of
/// freedom (Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004), and never below `1/(4n)`. `None` with fewer
/// than two stable pods.
#[must_use]
pub fn placebo(canary: &[Count], stable: &[Count]) -> Option<Placebo> {
    let served = |pods: &[Count]| -> Vec<(f64, f64)> {
        let served = pods.iter().filter(|pod| pod.requests > 0);
        served
            .map(|pod| {
                let n = pod.requests as f64;
                (((pod.events as f64 + 0.375) / (n + 0.75)).sqrt(), n)
            })
            .collect()
    };
    let (canary, stable) = (served(canary), served(stable));
    if canary.is_empty() || stable.len() < 2 {
        return None;
    }
    let mean = |pods: &[(f64, f64)]| pods.iter().map(|pod| pod.0).sum::<f64>() / pods.len() as f64;
    // Of the pods with the fewest requests, the harmonic mean takes most note.
    let counting =
        |pods: &[(f64, f64)]| pods.iter().map(|pod| 0.25 / pod.1).sum::<f64>() / pods.len() as f64;
    let (center, freedom) = (mean(&stable), stable.len() as f64 - 1.0);
    let scatter = stable
        .iter()
        .map(|pod| (pod.0 - center).powi(2))
        .sum::<f64>();
    let floor = counting(&stable);
    let moderated = (PRIOR_FREEDOM * floor + scatter) / (PRIOR_FREEDOM + freedom);
    let excess = (moderated.max(floor) - floor).max(0.0);
    let variance = (excess + counting(&canary)) / canary.len() as f64
        + moderated.max(floor) / stable.len() as f64;
    Some(Placebo {
        distance: (mean(&canary) - center) / variance.sqrt(),
        freedom: PRIOR_FREEDOM + freedom,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand_distr::{Distribution as _, Poisson};

    fn pods(events: &[u64]) -> Vec<Count> {
        let count = |events: &u64| Count {
            requests: 1000,
            events: *events,
        };
        events.iter().map(count).collect()
    }

    #[test]
    fn independent_counts_have_dispersion_one_and_bursts_more() {
        let mut random = rand::rngs::Xoshiro256PlusPlus::seed_from_u64(3);
        let mut noise = Noise::default();
        let draws = Poisson::new(10.0).unwrap();
        for _ in 0..200 {
            let events: Vec<u64> = (0..9).map(|_| draws.sample(&mut random) as u64).collect();
            noise.take(&pods(&events));
        }
        let calm = noise.dispersion(&[]);
        assert!((1.0..1.1).contains(&calm), "{calm}");
        for _ in 0..20 {
            noise.take(&pods(&[80, 1, 1, 1, 1, 1, 1, 1, 1]));
        }
        assert!(noise.dispersion(&[]) > 5.0);
    }

    #[test]
    fn what_all_pods_share_is_no_noise() {
        let mut noise = Noise::default();
        noise.take(&pods(&[80, 80, 80]));
        noise.take(&pods(&[1, 1, 1]));
        assert_eq!(noise.dispersion(&pods(&[81, 81, 81])), 1.0);
    }

    #[test]
    fn a_pod_that_is_alone_shows_its_own_bursts() {
        let mut noise = Noise::default();
        for events in [1, 2, 80, 75, 1, 0, 2, 1] {
            noise.take(&pods(&[events]));
        }
        assert!(noise.dispersion(&pods(&[160])) > 5.0);
    }

    #[test]
    fn a_pod_like_the_others_does_not_stand_out() {
        let stable = pods(&[10, 12, 9, 11, 8, 10]);
        let like = placebo(&pods(&[12]), &stable).unwrap();
        assert!(!like.stands_out(0.005), "{like:?}");
        let unlike = placebo(&pods(&[60]), &stable).unwrap();
        assert!(unlike.stands_out(0.005), "{unlike:?}");
        let noisy = placebo(&pods(&[60]), &pods(&[60, 2, 1, 70, 3, 2])).unwrap();
        assert!(!noisy.stands_out(0.005), "{noisy:?}");
        assert_eq!(placebo(&pods(&[60]), &pods(&[1])), None);
    }
}
