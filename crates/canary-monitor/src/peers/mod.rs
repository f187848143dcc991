//! What others would have said of the same observations, for `replay --judge`: the plain rule of the
//! guide, and the way of Kayenta. [`legacy`] is the former beside a verdict of ours.

pub mod kayenta;
pub mod legacy;
pub mod limits;

use crate::judge::tally::Tally;

/// The quantile, linear within its bucket; the last edge for what lies above all.
fn quantile(edges: &[f64], tally: &Tally, quantile: f64) -> Option<f64> {
    if tally.told_latency == 0 || tally.slower.len() != edges.len() {
        return None;
    }
    let all = tally.told_latency as f64;
    let rank = quantile * all;
    let within = |edge: usize| all - tally.slower[edge] as f64;
    let Some(bucket) = (0..edges.len()).find(|edge| within(*edge) >= rank) else {
        return edges.last().copied();
    };
    let (from, before) = if bucket == 0 {
        (0.0, 0.0)
    } else {
        (edges[bucket - 1], within(bucket - 1))
    };
    let inside = within(bucket) - before;
    Some(from + (edges[bucket] - from) * (rank - before) / inside.max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_is_interpolated_as_prometheus_does() {
        let tally = |slower: &[u64]| Tally {
            requests: 100,
            told_latency: 100,
            slower: slower.to_vec(),
            ..Tally::default()
        };
        let edges = [0.1, 0.5, 1.0];
        assert_eq!(
            quantile(&edges, &tally(&[100, 0, 0]), 0.95),
            Some(0.1 + 0.4 * 0.95)
        );
        assert_eq!(quantile(&edges, &tally(&[100, 50, 10]), 0.95), Some(1.0));
        assert_eq!(quantile(&edges, &Tally::default(), 0.95), None);
    }
}
