//! What the standing of a run means for each webhook of Flagger. A 2xx answer is "go" to all of them but
//! `rollback`, where it rolls back.

use gs_common::verdict::Verdict;

use super::standing::{Standing, State};

/// The webhooks, as Flagger's documentation names their types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Before the canary is scaled up.
    ConfirmRollout,
    /// Before traffic is routed to it.
    PreRollout,
    /// At each iteration of the analysis.
    Rollout,
    /// Before its weight grows.
    ConfirmTrafficIncrease,
    /// Before the promotion.
    ConfirmPromotion,
    /// After promotion or rollback.
    PostRollout,
    /// While it progresses or waits: roll back?
    Rollback,
    /// Whatever happens.
    Event,
}

impl Hook {
    /// All of them, with the last part of their path.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::ConfirmRollout, "confirm-rollout"),
        (Self::PreRollout, "pre-rollout"),
        (Self::Rollout, "rollout"),
        (Self::ConfirmTrafficIncrease, "confirm-traffic-increase"),
        (Self::ConfirmPromotion, "confirm-promotion"),
        (Self::PostRollout, "post-rollout"),
        (Self::Rollback, "rollback"),
        (Self::Event, "event"),
    ];

    /// The webhook of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(hook, _)| *hook)
    }

    /// Whether the answer decides something.
    #[must_use]
    pub fn decides(self) -> bool {
        !matches!(self, Self::PostRollout | Self::Event)
    }

    /// Whether the answer is 2xx. For all but `rollback` that lets the canary go on, for `rollback` it ends
    /// it.
    #[must_use]
    pub fn agrees(self, standing: &Standing) -> bool {
        let good = matches!(standing.state, State::Ended(Verdict::Pass | Verdict::Warn));
        match self {
            Self::PostRollout | Self::Event => true,
            // Somebody watches, or has watched and found it good.
            Self::ConfirmRollout | Self::PreRollout | Self::Rollout => {
                good || matches!(standing.state, State::Calm | State::Open)
            }
            // More traffic only while nothing speaks against it.
            Self::ConfirmTrafficIncrease => good || standing.state == State::Calm,
            Self::ConfirmPromotion => good,
            Self::Rollback => standing.state == State::Ended(Verdict::Fail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(state: State) -> Standing {
        Standing {
            state,
            ..Standing::unknown("r", "s")
        }
    }

    /// Calm, open, pass, warn, fail, inconclusive, unknown.
    #[track_caller]
    fn check(hook: Hook, expected: [bool; 7]) {
        let states = [
            State::Calm,
            State::Open,
            State::Ended(Verdict::Pass),
            State::Ended(Verdict::Warn),
            State::Ended(Verdict::Fail),
            State::Ended(Verdict::Inconclusive),
            State::Unknown,
        ];
        for (state, expected) in states.into_iter().zip(expected) {
            assert_eq!(
                hook.agrees(&standing(state)),
                expected,
                "{hook:?} {state:?}"
            );
        }
    }

    #[test]
    fn each_hook_goes_only_when_it_may() {
        const T: bool = true;
        const F: bool = false;
        check(Hook::ConfirmRollout, [T, T, T, T, F, F, F]);
        check(Hook::PreRollout, [T, T, T, T, F, F, F]);
        check(Hook::Rollout, [T, T, T, T, F, F, F]);
        check(Hook::ConfirmTrafficIncrease, [T, F, T, T, F, F, F]);
        check(Hook::ConfirmPromotion, [F, F, T, T, F, F, F]);
        check(Hook::Rollback, [F, F, F, F, T, F, F]);
    }

    #[test]
    fn no_hook_that_decides_goes_without_knowledge() {
        for (hook, name) in Hook::ALL {
            assert_eq!(Hook::named(name), Some(hook));
            assert_eq!(
                hook.agrees(&standing(State::Unknown)),
                !hook.decides(),
                "{name}"
            );
        }
    }
}
