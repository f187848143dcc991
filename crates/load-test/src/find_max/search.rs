//! The search for the highest rate that holds: pure, one step at a time.
//!
//! The rate doubles until the goals are lost, then the gap is halved (on the scale of ratios) until it is
//! small enough. What then held has to hold once more, for longer: near the limit a single short
//! run holds by luck.

/// What to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Requests a second of the first step.
    pub from: f64,
    /// No higher rate is tried.
    pub most: f64,
    /// The search ends when the lowest rate that failed is at most this share above the highest that
    /// held: 0.05 is 5%.
    pub precision: f64,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Held {
    /// The goals held.
    Yes,
    /// They were lost; the sentence says which.
    No(String),
    /// It is not known; the sentence says why.
    Unknown(String),
}

/// A finished step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Requests a second.
    pub rate: f64,
    /// It confirms a rate that held before.
    pub confirms: bool,
    /// What became of it.
    pub held: Held,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// A step.
    Try {
        /// Requests a second.
        rate: f64,
        /// It has to confirm a rate that held before: run it longer.
        confirms: bool,
    },
    /// The end.
    Done(Found),
}

/// How a search ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// The highest rate that held twice, and the lowest that failed; nothing failed up to the
    /// plan's most if that is absent.
    Rate {
        /// Requests a second.
        held: f64,
        /// Requests a second.
        lost: Option<f64>,
    },
    /// Even the lowest rate failed.
    Nothing,
    /// Rates held once, and none twice.
    Unconfirmed,
    /// A step could not be judged, twice.
    Unknown(String),
}

/// From the first rate down, so many halvings are tried.
const DESCENTS: usize = 6;

/// So many rates get the chance to be confirmed.
const CONFIRMATIONS: usize = 3;

/// A search under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    plan: Plan,
    steps: Vec<Step>,
}

impl Search {
    /// Begins one.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            steps: Vec::new(),
        }
    }

    /// The finished steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Takes what became of the step that [`next`](Self::next) asked for.
    pub fn record(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// What comes next; the same until something is recorded.
    #[must_use]
    pub fn next(&self) -> Next {
        // One step that could not be judged is tried again; two end the search.
        let mut unknown = self.steps.iter().filter_map(|step| match &step.held {
            Held::Unknown(why) => Some(why),
            _ => None,
        });
        if let Some(why) = unknown.nth(1) {
            return Next::Done(Found::Unknown(why.clone()));
        }
        let lost = self.lowest_lost();
        let held = self.highest_held(lost);
        let confirmations = self
            .steps
            .iter()
            .filter(|step| step.confirms && matches!(step.held, Held::No(_)));
        let used = confirmations.count();
        match (held, lost) {
            (None, None) => self.attempt(self.plan.from.min(self.plan.most)),
            (None, Some(lost)) if used > 0 => {
                // What held before does not hold: a little lower, or it is given up.
                if used >= CONFIRMATIONS {
                    return Next::Done(Found::Unconfirmed);
                }
                self.attempt(rounded(lost / (1.0 + 2.0 * self.plan.precision)))
            }
            (None, Some(lost)) => {
                let failed = self
                    .steps
                    .iter()
                    .filter(|step| matches!(step.held, Held::No(_)))
                    .count();
                if failed > DESCENTS {
                    return Next::Done(Found::Nothing);
                }
                self.attempt(rounded(lost / 2.0))
            }
            (Some(held), None) if held < self.plan.most => {
                self.attempt(rounded(held * 2.0).min(self.plan.most))
            }
            (Some(held), Some(lost)) if lost / held > 1.0 + self.plan.precision => {
                let between = rounded((held * lost).sqrt());
                if between > held && between < lost {
                    self.attempt(between)
                } else {
                    self.confirm(held, Some(lost), used)
                }
            }
            (Some(held), lost) => self.confirm(held, lost, used),
        }
    }

    fn attempt(&self, rate: f64) -> Next {
        Next::Try {
            rate,
            confirms: false,
        }
    }

    fn confirm(&self, held: f64, lost: Option<f64>, used: usize) -> Next {
        let confirmed = self
            .steps
            .iter()
            .any(|step| step.confirms && step.rate == held && step.held == Held::Yes);
        if confirmed {
            return Next::Done(Found::Rate { held, lost });
        }
        if used >= CONFIRMATIONS {
            return Next::Done(Found::Unconfirmed);
        }
        Next::Try {
            rate: held,
            confirms: true,
        }
    }

    fn lowest_lost(&self) -> Option<f64> {
        self.steps
            .iter()
            .filter(|step| matches!(step.held, Held::No(_)))
            .map(|step| step.rate)
            .min_by(f64::total_cmp)
    }

    /// The highest rate that held and lies below all that failed: a rate that held once above one that
    /// failed was luck.
    fn highest_held(&self, lost: Option<f64>) -> Option<f64> {
        self.steps
            .iter()
            .filter(|step| step.held == Held::Yes && lost.is_none_or(|lost| step.rate < lost))
            .map(|step| step.rate)
            .max_by(f64::total_cmp)
    }
}

/// Three digits: nobody wants to run at 141.42135 requests a second.
fn rounded(rate: f64) -> f64 {
    format!("{rate:.2e}").parse().unwrap_or(rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAN: Plan = Plan {
        from: 10.0,
        most: 10_000.0,
        precision: 0.05,
    };

    fn run(plan: Plan, mut answer: impl FnMut(f64, bool) -> Held) -> (Found, Vec<Step>) {
        let mut search = Search::new(plan);
        for _ in 0..200 {
            match search.next() {
                Next::Done(found) => return (found, search.steps().to_vec()),
                Next::Try { rate, confirms } => {
                    let held = answer(rate, confirms);
                    search.record(Step {
                        rate,
                        confirms,
                        held,
                    });
                }
            }
        }
        panic!("it does not end: {:?}", search.steps());
    }

    fn below(capacity: f64) -> impl Fn(f64, bool) -> Held {
        move |rate, _| {
            if rate <= capacity {
                Held::Yes
            } else {
                Held::No("p95".to_owned())
            }
        }
    }

    #[test]
    fn it_doubles_halves_and_confirms() {
        let (found, steps) = run(PLAN, below(130.0));
        let Found::Rate {
            held,
            lost: Some(lost),
        } = found
        else {
            panic!("{found:?}")
        };
        assert!(
            held <= 130.0 && lost > 130.0 && lost / held <= 1.05,
            "{held} {lost}"
        );
        let rates: Vec<f64> = steps.iter().map(|step| step.rate).collect();
        assert_eq!(rates[..5], [10.0, 20.0, 40.0, 80.0, 160.0]);
        let last = steps.last().unwrap();
        assert!(last.confirms && last.rate == held);
    }

    #[test]
    fn what_never_fails_is_told_as_such() {
        let (found, _) = run(PLAN, below(f64::INFINITY));
        assert_eq!(
            found,
            Found::Rate {
                held: 10_000.0,
                lost: None
            }
        );
    }

    #[test]
    fn a_first_rate_that_is_too_high_goes_down() {
        let (found, _) = run(PLAN, below(3.0));
        assert!(
            matches!(found, Found::Rate { held, .. } if held <= 3.0 && held > 2.7),
            "{found:?}"
        );
        let (found, steps) = run(PLAN, below(0.0));
        assert_eq!(found, Found::Nothing);
        assert!(steps.len() <= 8);
    }

    #[test]
    fn luck_is_not_confirmed() {
        // Every rate holds when it is short, and none when it is long.
        let (found, _) = run(PLAN, |rate, confirms| {
            if confirms || rate > 100.0 {
                Held::No("p95".to_owned())
            } else {
                Held::Yes
            }
        });
        assert_eq!(found, Found::Unconfirmed);
    }

    #[test]
    fn one_unknown_step_is_tried_again_and_two_end_it() {
        let mut first = true;
        let (found, _) = run(PLAN, |rate, confirms| {
            if std::mem::take(&mut first) {
                Held::Unknown("saturated".to_owned())
            } else {
                below(50.0)(rate, confirms)
            }
        });
        assert!(matches!(found, Found::Rate { .. }), "{found:?}");
        let (found, steps) = run(PLAN, |_, _| Held::Unknown("saturated".to_owned()));
        assert_eq!(
            (found, steps.len()),
            (Found::Unknown("saturated".to_owned()), 2)
        );
    }

    proptest! {
        #[test]
        fn a_true_limit_is_found_within_the_precision(
            capacity in 1.0..9_000.0_f64, precision in 0.02..0.3_f64, from in 1.0..500.0_f64,
        ) {
            let plan = Plan { from, precision, ..PLAN };
            let (found, steps) = run(plan, below(capacity));
            match found {
                Found::Rate { held, lost } => {
                    prop_assert!(held <= capacity);
                    // Rates have three digits, so the gap may be one digit more than asked for.
                    let lost = lost.unwrap_or(f64::INFINITY).min(plan.most * 1.01);
                    prop_assert!(lost > capacity && lost / held <= 1.0 + precision + 0.011, "{held} {lost}");
                }
                Found::Nothing => prop_assert!(capacity < from / 32.0),
                other => prop_assert!(false, "{other:?}"),
            }
            prop_assert!(steps.len() <= 40, "{}", steps.len());
        }

        #[test]
        fn whatever_the_answers_it_ends(answers in prop::collection::vec(0..3_u8, 200)) {
            let mut answers = answers.into_iter();
            let _ = run(PLAN, |_, _| match answers.next() {
                Some(0) => Held::Yes,
                Some(1) => Held::No(String::new()),
                _ => Held::Unknown(String::new()),
            });
        }
    }
}
