//! One of several machines: which share of the load it makes.
//!
//! There is no coordinator. Each shard knows its index, the number of all, and the whole plan;
//! shares are worked out from these alone, and a common start time brings them together.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

/// The variable by which a Kubernetes Indexed Job tells a pod its index.
pub const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// More shards than that are a slip.
const MOST: u32 = 10_000;

/// A start further away than that is a slip: another day, or another time zone.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A run that is one of several.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Several machines")]
pub struct ShardArgs {
    /// Make share I (from 0) of N of the load; `/N` takes I from JOB_COMPLETION_INDEX
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Wait for this time before the load begins, the same for all shards (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub start_at: Option<String>,
}

/// Which of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: u32,
    /// At least 1.
    pub count: u32,
}

impl Shard {
    /// Reads `i/n`, with i from 0 to n - 1, or `n` alone, where the index comes from
    /// [`INDEX_VARIABLE`].
    ///
    /// # Errors
    /// The text is of another form, the index does not exist, or the variable is absent.
    pub fn parse(text: &str, variables: &BTreeMap<String, String>) -> Result<Self, String> {
        let number = |text: &str, what: &str| {
            text.trim().parse::<u32>().map_err(|_| {
                format!("`{text}` is no {what}; write it like `0/4`, or `/4` in an Indexed Job")
            })
        };
        let (index, count) = match text.split_once('/') {
            Some(("", count)) => (None, count),
            Some((index, count)) => (Some(number(index, "index")?), count),
            None => (None, text),
        };
        let count = number(count, "number of shards")?;
        let index = match (index, variables.get(INDEX_VARIABLE)) {
            (Some(index), _) => index,
            (None, Some(index)) => number(index, "index")
                .map_err(|error| format!("variable {INDEX_VARIABLE}: {error}"))?,
            (None, None) => {
                return Err(format!(
                    "the index is missing: write `0/{count}`, or set {INDEX_VARIABLE}"
                ));
            }
        };
        if count == 0 || count > MOST {
            return Err(format!(
                "the number of shards does not lie between 1 and {MOST}"
            ));
        }
        if index >= count {
            return Err(format!(
                "shard {index} of {count} does not exist: indices go from 0 to {}",
                count - 1
            ));
        }
        Ok(Self { index, count })
    }

    /// The share of a number of whole things: as equal as can be, the remainder to the low indices.
    #[must_use]
    pub fn of_count(self, whole: u64) -> u64 {
        let count = u64::from(self.count);
        whole / count + u64::from(u64::from(self.index) < whole % count)
    }

    /// The share of a rate: the same for all.
    #[must_use]
    pub fn of_rate(self, whole: f64) -> f64 {
        whole / f64::from(self.count)
    }

    /// The seed: each shard draws for itself.
    #[must_use]
    pub fn seed(self, base: u64) -> u64 {
        base.wrapping_add(u64::from(self.index))
    }
}

/// What to do about a common start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Wait so long, then start.
    In(Duration),
    /// The time has passed by so much: start at once and say so, for the other shards are ahead.
    Late(Duration),
}

/// How long to wait for a common start, at `now`.
///
/// # Errors
/// It lies more than an hour ahead, or has passed by more than an hour.
pub fn start(at: Timestamp, now: Timestamp) -> Result<Start, String> {
    let ahead = at.as_microsecond() - now.as_microsecond();
    let distance = Duration::from_micros(ahead.unsigned_abs());
    if distance > LONGEST_WAIT {
        let side = if ahead > 0 { "ahead" } else { "in the past" };
        return Err(format!(
            "{at} lies more than an hour {side} of this machine's clock ({now}): check time zone and clock"
        ));
    }
    Ok(if ahead >= 0 {
        Start::In(distance)
    } else {
        Start::Late(distance)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn indexed(index: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(INDEX_VARIABLE.to_owned(), index.to_owned())])
    }

    #[test]
    fn the_index_is_typed_or_comes_from_the_job() {
        let none = BTreeMap::new();
        assert_eq!(Shard::parse("1/4", &none), Ok(Shard { index: 1, count: 4 }));
        assert_eq!(
            Shard::parse("/4", &indexed("3")),
            Ok(Shard { index: 3, count: 4 })
        );
        assert_eq!(
            Shard::parse("4", &indexed("0")),
            Ok(Shard { index: 0, count: 4 })
        );
        // What is typed wins.
        assert_eq!(
            Shard::parse("1/4", &indexed("3")),
            Ok(Shard { index: 1, count: 4 })
        );
        for (text, why) in [
            ("4/4", "does not exist"),
            ("0/0", "does not lie"),
            ("a/4", "no index"),
            ("1/x", "no number"),
            ("-1/4", "no index"),
        ] {
            let error = Shard::parse(text, &none).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(
            Shard::parse("/4", &none)
                .unwrap_err()
                .contains(INDEX_VARIABLE)
        );
        assert!(
            Shard::parse("/4", &indexed("x"))
                .unwrap_err()
                .contains(INDEX_VARIABLE)
        );
    }

    #[test]
    fn the_barrier_waits_or_says_that_it_is_late() {
        let now: Timestamp = "2026-11-26T10:00:00Z".parse().unwrap();
        let at = |text: &str| start(text.parse().unwrap(), now);
        assert_eq!(
            at("2026-11-26T10:00:30Z"),
            Ok(Start::In(Duration::from_secs(30)))
        );
        assert_eq!(
            at("2026-11-26T11:00:10+01:00"),
            Ok(Start::In(Duration::from_secs(10)))
        );
        assert_eq!(
            at("2026-11-26T09:59:58Z"),
            Ok(Start::Late(Duration::from_secs(2)))
        );
        assert!(at("2026-11-27T10:00:00Z").unwrap_err().contains("ahead"));
        assert!(at("2026-11-26T08:00:00Z").unwrap_err().contains("past"));
    }

    proptest! {
        #[test]
        fn the_shares_are_the_whole(whole in 0_u64..1_000_000, count in 1_u32..300) {
            let shares: Vec<u64> = (0..count).map(|index| Shard { index, count }.of_count(whole)).collect();
            prop_assert_eq!(shares.iter().sum::<u64>(), whole);
            prop_assert!(shares.is_sorted_by(|a, b| a >= b));
            prop_assert!(shares[0] - shares[shares.len() - 1] <= 1);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,20}") {
            let _ = Shard::parse(&text, &BTreeMap::new());
        }
    }
}
