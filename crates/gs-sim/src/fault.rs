//! Which faults meet a request.

use std::collections::HashMap;

use crate::plan::{Fault, Kind};

/// A request, as far as faults look at it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// The path without query.
    pub path: &'a str,
    /// The pod that is to answer.
    pub pod: usize,
    /// Seconds since the simulation began.
    pub at_seconds: f64,
}

/// The faults in force, with what they have met so far.
#[derive(Debug)]
pub struct Faults {
    faults: Vec<Fault>,
    met: HashMap<usize, u64>,
    random: fastrand::Rng,
}

impl Faults {
    /// Starts anew with these.
    #[must_use]
    pub fn new(faults: Vec<Fault>, seed: u64) -> Self {
        Self {
            faults,
            met: HashMap::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// The faults as they were given.
    #[must_use]
    pub fn list(&self) -> &[Fault] {
        &self.faults
    }

    /// What goes wrong with a request, in the order of the plan.
    pub fn meeting(&mut self, asked: Asked<'_>) -> Vec<Kind> {
        let mut kinds = Vec::new();
        for (index, fault) in self.faults.iter().enumerate() {
            if !concerns(fault, asked) {
                continue;
            }
            let met = self.met.entry(index).or_insert(0);
            *met += 1;
            let counted = fault.first.is_none_or(|first| *met <= first)
                && fault.every.is_none_or(|every| met.is_multiple_of(every));
            if counted
                && fault
                    .probability
                    .is_none_or(|share| self.random.f64() < share)
            {
                kinds.push(fault.kind.clone());
            }
        }
        kinds
    }

    /// A number for a wait, from the same stream.
    pub fn random(&mut self) -> &mut fastrand::Rng {
        &mut self.random
    }
}

fn concerns(fault: &Fault, asked: Asked<'_>) -> bool {
    fault
        .route
        .as_deref()
        .is_none_or(|route| fits(route, asked.path))
        && fault
            .method
            .as_deref()
            .is_none_or(|method| method == asked.method)
        && fault.pod.is_none_or(|pod| pod == asked.pod)
        && fault
            .from_seconds
            .is_none_or(|from| asked.at_seconds >= from)
        && fault
            .until_seconds
            .is_none_or(|until| asked.at_seconds < until)
}

/// Whether a path fits a pattern with `*` for any text.
fn fits(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((head, tail)) => path.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| fits(tail, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str) -> Asked<'_> {
        Asked {
            method: "GET",
            path,
            pod: 0,
            at_seconds: 5.0,
        }
    }

    #[test]
    fn a_fault_meets_what_it_names() {
        assert!(
            fits("/api/*/stats", "/api/v1/pipeline/stats") && fits("*", "/") && !fits("/a", "/ab")
        );
        let mut faults = Faults::new(vec![Fault::on(Kind::Drop, "/a")], 1);
        assert_eq!(faults.meeting(asked("/a")).len(), 1);
        assert!(faults.meeting(asked("/b")).is_empty());
    }

    #[test]
    fn a_fault_counts_what_it_meets() {
        let first = Fault {
            first: Some(2),
            ..Fault::new(Kind::Drop)
        };
        let third = Fault {
            every: Some(3),
            ..Fault::new(Kind::Reset)
        };
        let late = Fault {
            from_seconds: Some(9.0),
            ..Fault::new(Kind::Silent)
        };
        let mut faults = Faults::new(vec![first, third, late], 1);
        let met: Vec<usize> = (0..6).map(|_| faults.meeting(asked("/")).len()).collect();
        assert_eq!(met, [1, 1, 1, 0, 0, 1]);
    }

    #[test]
    fn a_share_repeats_with_its_seed() {
        let run = |seed| {
            let half = Fault {
                probability: Some(0.5),
                ..Fault::new(Kind::Drop)
            };
            let mut faults = Faults::new(vec![half], seed);
            (0..100)
                .map(|_| faults.meeting(asked("/")).len())
                .collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        let hits: usize = run(1).iter().sum();
        assert!((30..70).contains(&hits), "{hits}");
    }
}
