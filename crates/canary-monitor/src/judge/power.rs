//! What a run could have seen: silence says nothing if nothing could have been heard.

/// The smallest ratio of error rates, canary over stable, that a run of this size finds with a
/// probability of 80%: about `(sqrt(r) + 1.71 / sqrt(mu))²`, where `mu` is the number of errors that the
/// canary would have had at stable's share and `r` the tolerated ratio. On the scale of roots a count
/// scatters by 1/2, the decision needs 2.58 of those for alpha 0.005 and 0.84 for the power:
/// `(2.58 + 0.84) / 2 = 1.71`. `None` where stable had no error to compare with.
#[must_use]
pub fn smallest_ratio(tolerated: f64, canary_requests: u64, stable_share: f64) -> Option<f64> {
    let expected = canary_requests as f64 * stable_share;
    (expected > 0.0).then(|| (tolerated.sqrt() + 1.71 / expected.sqrt()).powi(2))
}

#[cfg(test)]
mod tests {
    use super::smallest_ratio;

    #[track_caller]
    fn check(requests: u64, share: f64, expected: f64) {
        let ratio = smallest_ratio(1.3, requests, share).unwrap();
        assert!((ratio - expected).abs() < 0.1, "{ratio} is not {expected}");
    }

    #[test]
    fn more_requests_see_smaller_effects() {
        check(16_000, 0.001, 2.46);
        check(1_600, 0.001, 6.2);
        assert_eq!(smallest_ratio(1.3, 1000, 0.0), None);
    }
}
