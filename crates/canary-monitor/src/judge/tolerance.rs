//! How much more often a tolerably slower canary exceeds an edge.
//!
//! A latency that is longer by 12% is tolerated. What that does to the share of requests above an
//! edge depends on the shape of the distribution: a narrow one triples it. So stable's own shape is
//! used: `r(e) = S(e / 1.12) / S(e)`, with `S` interpolated as a log-normal between two edges (straight
//! lines of the normal quantile over the logarithm of time).

/// Fewer slow requests than that tell nothing of the shape.
const LEAST_EVENTS: u64 = 10;

/// More than that is never tolerated.
const MOST: f64 = 4.0;

/// The tolerated ratio at each edge. `slower` are stable's requests above each edge, of `requests`;
/// never below `least`.
#[must_use]
pub fn ratios(edges: &[f64], slower: &[u64], requests: u64, stretch: f64, least: f64) -> Vec<f64> {
    let mut slope = None;
    let mut below: Option<(f64, f64)> = None;
    let mut quantile = None;
    edges
        .iter()
        .zip(slower)
        .map(|(edge, slower)| {
            let known = *slower >= LEAST_EVENTS && *slower < requests;
            if known {
                let now = (edge.ln(), normal_quantile(*slower as f64 / requests as f64));
                if let Some(before) = below {
                    slope = Some((now.1 - before.1) / (now.0 - before.0).max(1e-9));
                }
                below = Some(now);
                quantile = Some(now.1);
            } else if let (Some(before), Some(slope)) = (below, slope) {
                // Too few to see: the line goes on.
                quantile = Some(before.1 + slope * (edge.ln() - before.0));
            }
            let (Some(z), Some(slope)) = (quantile, slope) else {
                return least;
            };
            let ratio = normal_tail(z - slope * stretch.ln()) / normal_tail(z).max(1e-300);
            ratio.clamp(least, MOST.max(least))
        })
        .collect()
}

/// `P(Z > z)` for a standard normal `Z`: the tail of Student's t with very many degrees of freedom
/// is too slow to compute, so this is the complementary error function's rational approximation
/// (Abramowitz and Stegun 7.1.26 has 1.5e-7; this one, by Chebyshev fit, 1.2e-7 relative everywhere).
fn normal_tail(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let series = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let sum = series.iter().rev().fold(0.0, |sum, term| sum * t + term);
    let tail = 0.5 * t * (sum - x * x).exp();
    if z >= 0.0 { tail } else { 1.0 - tail }
}

/// The `z` with `P(Z > z) = tail`.
fn normal_quantile(tail: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if normal_tail(middle) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(actual: f64, expected: f64, within: f64) {
        assert!(
            (actual / expected - 1.0).abs() < within,
            "{actual} is not {expected}"
        );
    }

    #[test]
    fn the_normal_tail_meets_the_printed_tables() {
        near(normal_tail(1.644_854), 0.05, 1e-5);
        near(normal_tail(3.090_232), 0.001, 1e-5);
        near(normal_tail(-1.0), 0.841_344_7, 1e-5);
        near(normal_quantile(0.025), 1.959_964, 1e-5);
    }

    #[test]
    fn a_narrow_distribution_tolerates_more() {
        let edges = [0.1, 0.25, 0.5, 1.0];
        let slower = |sigma: f64| -> Vec<u64> {
            let mu = 0.2_f64.ln() - 1.644_854 * sigma;
            let share = |edge: &f64| normal_tail((edge.ln() - mu) / sigma);
            edges
                .iter()
                .map(|edge| (share(edge) * 1e6) as u64)
                .collect()
        };
        let wide = ratios(&edges, &slower(0.557), 1_000_000, 1.12, 1.5);
        near(wide[1], 1.6, 0.05);
        let narrow = ratios(&edges, &slower(0.3), 1_000_000, 1.12, 1.5);
        assert!(narrow[1] > 2.0, "{narrow:?}");
        assert_eq!(ratios(&edges, &[0, 0, 0, 0], 100, 1.12, 1.5), [1.5; 4]);
    }
}
