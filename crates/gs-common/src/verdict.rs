//! The four verdicts and how they combine. Nothing here knows what was judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a judgement says, ordered so that the worse one is the greater one.
///
/// `Fail` outranks `Inconclusive` outranks `Warn` outranks `Pass`: what is known to be broken
/// stays broken whatever else is unknown, and what is unknown never becomes good.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Judged, and good.
    Pass,
    /// Judged, and good enough, with something that deserves a look.
    Warn,
    /// Not judged: could not be measured, or not enough was measured.
    Inconclusive,
    /// Judged, and not good.
    Fail,
}

impl Verdict {
    /// The verdict of both together: the worse one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }

    /// The verdict over many. Nothing judged is `Inconclusive`, never `Pass`.
    pub fn over(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().max().unwrap_or(Self::Inconclusive)
    }

    /// The word for people and machines alike.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{self, Fail, Inconclusive, Pass, Warn};
    use proptest::prelude::*;

    const ALL: [Verdict; 4] = [Pass, Warn, Inconclusive, Fail];

    #[test]
    fn nothing_judged_is_no_pass() {
        assert_eq!(Verdict::over([]), Inconclusive);
    }

    #[test]
    fn the_order_is_the_one_of_the_design() {
        assert!(Fail > Inconclusive && Inconclusive > Warn && Warn > Pass);
    }

    proptest! {
        #[test]
        fn combining_is_order_free(
            mut picks in prop::collection::vec(prop::sample::select(&ALL[..]), 1..20),
        ) {
            let forward = Verdict::over(picks.iter().copied());
            picks.reverse();
            prop_assert_eq!(forward, Verdict::over(picks.iter().copied()));
            let folded = picks.iter().copied().reduce(Verdict::and);
            prop_assert_eq!(Some(forward), folded);
        }

        #[test]
        fn one_more_verdict_never_betters_the_whole(
            picks in prop::collection::vec(prop::sample::select(&ALL[..]), 1..20),
            more in prop::sample::select(&ALL[..]),
        ) {
            let before = Verdict::over(picks.iter().copied());
            prop_assert!(Verdict::over(picks.into_iter().chain([more])) >= before);
        }
    }
}
