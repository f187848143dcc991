//! How long to wait before trying again. Pure: randomness and time are arguments.
//!
//! Exponential backoff with full jitter: the wait before retry `n` (from 0) is uniform in
//! `0..=min(cap, base * 2^n)`. Source: Marc Brooker, "Exponential Backoff And Jitter", AWS
//! Architecture Blog, 2015, where full jitter needs the fewest calls of the variants compared.

use std::time::Duration;

use jiff::Timestamp;

/// The two parameters of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Longest possible wait before the first retry.
    pub base: Duration,
    /// Longest possible wait before any retry, and the most that a `Retry-After` can ask for.
    pub cap: Duration,
}

impl Backoff {
    /// The wait before retry `retry` (0 is the first), for a `random` uniform in `0.0..1.0`.
    #[must_use]
    pub fn wait(&self, retry: u32, random: f64) -> Duration {
        let doubled = self
            .base
            .saturating_mul(1_u32.checked_shl(retry).unwrap_or(u32::MAX));
        doubled.min(self.cap).mul_f64(random.clamp(0.0, 1.0))
    }

    /// The same, but not shorter than what the server asked for by `Retry-After`, up to the cap.
    #[must_use]
    pub fn wait_after(&self, retry: u32, random: f64, asked: Option<Duration>) -> Duration {
        self.wait(retry, random)
            .max(asked.unwrap_or_default().min(self.cap))
    }
}

/// Reads a `Retry-After` header: whole seconds, or an HTTP date (RFC 9110, section 10.2.3) held
/// against `now`. A date that is past asks for no wait. `None` where it is neither.
#[must_use]
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        return header.parse().ok().map(Duration::from_secs);
    }
    let at = jiff::fmt::rfc2822::parse(header).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn asked(header: &str, expected: Option<Duration>) {
        let now: Timestamp = "2026-11-24T02:00:00Z".parse().unwrap();
        assert_eq!(retry_after(header, now), expected, "{header}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        asked("7", Some(Duration::from_secs(7)));
        asked(
            "Tue, 24 Nov 2026 02:00:30 GMT",
            Some(Duration::from_secs(30)),
        );
        asked("Tue, 24 Nov 2026 01:00:00 GMT", Some(Duration::ZERO));
        asked("soon", None);
        asked("-1", None);
        asked("", None);
        asked("99999999999999999999999", None);
    }

    proptest! {
        #[test]
        fn a_wait_stays_between_zero_and_its_ceiling(
            retry in 0_u32..200, random in 0.0..1.0_f64, base in 0_u64..10_000, cap in 0_u64..60_000,
        ) {
            let backoff =
                Backoff { base: Duration::from_millis(base), cap: Duration::from_millis(cap) };
            let wait = backoff.wait(retry, random);
            prop_assert!(wait <= backoff.cap);
            if retry == 0 {
                prop_assert!(wait <= backoff.base);
            }
        }

        #[test]
        fn what_the_server_asks_for_is_a_floor_up_to_the_cap(
            retry in 0_u32..10, random in 0.0..1.0_f64, asked in 0_u64..100_000,
        ) {
            let backoff =
                Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(10) };
            let asked = Duration::from_millis(asked);
            let wait = backoff.wait_after(retry, random, Some(asked));
            prop_assert!(wait >= asked.min(backoff.cap) && wait <= backoff.cap);
        }

        #[test]
        fn no_header_makes_it_panic(header in ".{0,80}") {
            let _ = retry_after(&header, Timestamp::UNIX_EPOCH);
        }
    }
}
