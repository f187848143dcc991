//! Which faults meet a request.

use std::time::Duration;

use crate::plan::{Fault, Kind, Scope};

/// A wait is at most so long, whatever is drawn.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A request, as far as faults look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub method: &'a str,
    pub path: &'a str,
    /// Whether it asks for a WebSocket.
    pub websocket: bool,
    /// The pod that is to answer.
    pub pod: usize,
    /// Seconds since the simulation began.
    pub at_seconds: f64,
}

/// What goes wrong with one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Met {
    /// All but the delays, in the order of the plan.
    pub kinds: Vec<Kind>,
    /// The sum of all delays.
    pub wait: Duration,
}

/// The faults in force, with what they have met so far.
#[derive(Debug)]
pub(crate) struct Faults {
    faults: Vec<(Fault, State)>,
}

#[derive(Debug)]
struct State {
    /// Requests for which the fault's place and time held.
    met: u64,
    /// A stream of its own, so that what one fault draws does not depend on the others.
    random: fastrand::Rng,
}

impl Faults {
    /// Starts anew with these.
    pub(crate) fn new(faults: Vec<Fault>, seed: u64) -> Self {
        let mut streams = fastrand::Rng::with_seed(seed);
        let faults = faults
            .into_iter()
            .map(|fault| {
                (
                    fault,
                    State {
                        met: 0,
                        random: streams.fork(),
                    },
                )
            })
            .collect();
        Self { faults }
    }

    /// The faults as they were given.
    pub(crate) fn list(&self) -> Vec<Fault> {
        self.faults.iter().map(|(fault, _)| fault.clone()).collect()
    }

    /// What goes wrong with a request.
    pub(crate) fn meet(&mut self, asked: Asked<'_>) -> Met {
        let mut all = Met::default();
        for (fault, state) in self
            .faults
            .iter_mut()
            .filter(|(fault, _)| concerns(fault, asked))
        {
            state.met += 1;
            let counted = fault.first.is_none_or(|first| state.met <= first)
                && fault
                    .every
                    .is_none_or(|every| state.met.is_multiple_of(every));
            if !counted
                || fault
                    .probability
                    .is_some_and(|share| state.random.f64() >= share)
            {
                continue;
            }
            if let Kind::Delay { millis, spread } = &fault.kind {
                let millis = millis + spread.draw(&mut state.random);
                // What is too large for a duration is too long as well.
                let wait = Duration::try_from_secs_f64(millis / 1e3).unwrap_or(LONGEST_WAIT);
                all.wait += wait.min(LONGEST_WAIT);
            } else {
                all.kinds.push(fault.kind.clone());
            }
        }
        all
    }

    /// Whether the whole process stalls at this second.
    pub(crate) fn stalled(&self, at_seconds: f64) -> bool {
        self.faults
            .iter()
            .any(|(fault, _)| fault.kind == Kind::Stall && now(fault, at_seconds))
    }

    /// Whether it could, sooner or later.
    pub(crate) fn may_stall(&self) -> bool {
        self.faults
            .iter()
            .any(|(fault, _)| fault.kind == Kind::Stall)
    }
}

fn concerns(fault: &Fault, asked: Asked<'_>) -> bool {
    let scope = match fault.kind.scope() {
        Scope::Both => true,
        Scope::Http => !asked.websocket,
        Scope::WebSocket => asked.websocket,
        Scope::Process => false,
    };
    scope
        && fault
            .route
            .as_deref()
            .is_none_or(|route| fits(route, asked.path))
        && fault
            .method
            .as_deref()
            .is_none_or(|method| method.eq_ignore_ascii_case(asked.method))
        && fault.pod.is_none_or(|pod| pod == asked.pod)
        && now(fault, asked.at_seconds)
}

fn now(fault: &Fault, at_seconds: f64) -> bool {
    fault.from_seconds.is_none_or(|from| at_seconds >= from)
        && fault.until_seconds.is_none_or(|until| at_seconds < until)
}

/// Whether a path fits a pattern with `*` for any text. Each piece between two stars is taken where it
/// first occurs; that never loses a fit, and takes no backtracking.
fn fits(pattern: &str, path: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == path;
    };
    let Some(mut left) = path.strip_prefix(head) else {
        return false;
    };
    let mut pieces = rest.split('*');
    let last = pieces.next_back().unwrap_or_default();
    for piece in pieces {
        match left.split_once(piece) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Spread;

    fn asked(path: &str) -> Asked<'_> {
        Asked {
            method: "GET",
            path,
            websocket: false,
            pod: 0,
            at_seconds: 5.0,
        }
    }

    #[track_caller]
    fn check(pattern: &str, path: &str, fit: bool) {
        assert_eq!(fits(pattern, path), fit, "{pattern} {path}");
    }

    #[test]
    fn a_star_stands_for_any_text() {
        check("/a", "/a", true);
        check("/a", "/ab", false);
        check("*", "/", true);
        check("/api/*/stats", "/api/v1/pipeline/stats", true);
        check("/api/*/stats", "/api/stats", false);
        check("/a*b*c", "/a-b-b-c", true);
        check("/a*b*c", "/a-c-b", false);
        check("/ab*ba", "/aba", false);
        check("*ß*", "/straße/1", true);
        check(&"*a".repeat(40), &"/a".repeat(39), false);
    }

    #[test]
    fn a_fault_meets_what_it_names() {
        let on_ws = Asked {
            websocket: true,
            ..asked("/a")
        };
        let met =
            |fault: Fault, asked: Asked<'_>| Faults::new(vec![fault], 1).meet(asked).kinds.len();
        assert_eq!(met(Fault::on(Kind::Drop, "/a"), asked("/a")), 1);
        assert_eq!(met(Fault::on(Kind::Drop, "/a"), asked("/b")), 0);
        assert_eq!(met(Fault::new(Kind::Drop), on_ws), 1);
        assert_eq!(met(Fault::new(Kind::WsSilent), asked("/a")), 0);
        assert_eq!(met(Fault::new(Kind::NoData), on_ws), 0);
        assert_eq!(met(Fault::new(Kind::Drop).at_pod(1), asked("/a")), 0);
        let at = |from, until| Fault {
            from_seconds: from,
            until_seconds: until,
            ..Fault::new(Kind::Drop)
        };
        assert_eq!(met(at(Some(5.0), Some(6.0)), asked("/a")), 1);
        assert_eq!(met(at(Some(4.0), Some(5.0)), asked("/a")), 0);
        let post = Fault {
            method: Some("post".into()),
            ..Fault::new(Kind::Drop)
        };
        assert_eq!(met(post, asked("/a")), 0);
    }

    #[test]
    fn a_fault_counts_only_what_it_meets() {
        let faults = vec![
            Fault::on(Kind::Drop, "/a").first(2),
            Fault::new(Kind::Reset).every(3),
        ];
        let mut faults = Faults::new(faults, 1);
        let met: Vec<usize> = ["/a", "/b", "/a", "/a", "/a", "/a"]
            .map(|path| faults.meet(asked(path)).kinds.len())
            .into();
        assert_eq!(met, [1, 0, 2, 0, 0, 1]);
    }

    #[test]
    fn draws_repeat_with_the_seed_and_do_not_depend_on_other_faults() {
        let run = |seed, others: &[Fault]| {
            let spread = Spread::Exponential { millis: 10.0 };
            let mut faults = vec![
                Fault::new(Kind::Delay {
                    millis: 0.0,
                    spread,
                })
                .with_probability(0.5),
            ];
            faults.extend_from_slice(others);
            let mut faults = Faults::new(faults, seed);
            (0..100)
                .map(|_| faults.meet(asked("/")).wait)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            run(1, &[]),
            run(1, &[Fault::new(Kind::Drop).with_probability(0.5)])
        );
        assert_ne!(run(1, &[]), run(2, &[]));
        let hits = run(1, &[]).iter().filter(|wait| !wait.is_zero()).count();
        assert!((30..70).contains(&hits), "{hits}");
    }

    #[test]
    fn a_stall_meets_no_request_but_the_process() {
        let stall = Fault {
            from_seconds: Some(2.0),
            until_seconds: Some(4.0),
            ..Fault::new(Kind::Stall)
        };
        let mut faults = Faults::new(vec![stall], 1);
        assert!(faults.may_stall() && faults.stalled(3.0) && !faults.stalled(4.0));
        assert_eq!(faults.meet(asked("/")), Met::default());
    }
}
