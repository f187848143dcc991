//! From raw counters to what happened between two looks, per pod.
//!
//! Nothing is extrapolated: counts are whole numbers of requests. A counter that fell, or a process
//! that started anew, means that the pod counts from zero again (what it did between the last look
//! and its end is lost with it). A pod that was born inside the run counts from its birth. A counter
//! that is not told at one look is bridged: the next look that tells it counts from the last that did.

use std::collections::BTreeMap;

use crate::observations::{PodSample, Scrape, Side};

/// Starts of one process, read twice, differ by less than this many seconds.
pub const SAME_START_SECONDS: f64 = 2.0;

/// What one pod did since the last time it was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Increment {
    /// The pod's number, stable for a run.
    pub pod: usize,
    /// Which version it runs.
    pub side: Side,
    /// Requests answered.
    pub requests: u64,
    /// Errors since the last look that told them; absent where this one does not.
    pub errors: Option<u64>,
    /// The requests among which those errors are.
    pub told_errors: u64,
    /// Requests that were timed since the last look with a histogram; those answered, where the pod does
    /// not count them apart.
    pub timed: u64,
    /// Those of them that took longer than each edge; absent where this look has no histogram.
    pub slower: Option<Vec<u64>>,
    /// CPU time used, in seconds.
    pub cpu_seconds: Option<f64>,
}

/// Something that happened to a pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The pod's number.
    pub pod: usize,
    /// Which version it runs.
    pub side: Side,
    /// What happened.
    pub kind: EventKind,
}

/// What can happen to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Its process started anew.
    Restart,
    /// It was killed for want of memory, so often.
    OomKills(u64),
}

#[derive(Clone, Debug)]
struct Track {
    number: usize,
    side: Side,
    last: Option<Last>,
}

/// The last known value of each counter. Looks differ in what they tell, so each has its own moment.
#[derive(Clone, Debug, Default)]
struct Last {
    started_at_seconds: Option<f64>,
    requests: u64,
    errors: Option<Errors>,
    latency: Option<Latency>,
    cpu_seconds: Option<f64>,
    oom_kills: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Errors {
    errors: u64,
    requests: u64,
}

#[derive(Clone, Debug)]
struct Latency {
    /// Whether `timed` is a counter of its own.
    apart: bool,
    timed: u64,
    le: Vec<u64>,
}

/// Remembers the last look at each pod.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pods: BTreeMap<String, Track>,
    names: Vec<String>,
    first_at: Option<f64>,
}

impl Ledger {
    /// Takes one look in.
    pub fn take(&mut self, scrape: &Scrape) -> (Vec<Increment>, Vec<Event>) {
        let first_at = *self.first_at.get_or_insert(scrape.at_seconds);
        let mut increments = Vec::with_capacity(scrape.pods.len());
        let mut events = Vec::new();
        for sample in &scrape.pods {
            let number = self.names.len();
            let names = &mut self.names;
            let track = self.pods.entry(sample.pod.clone()).or_insert_with(|| {
                names.push(sample.pod.clone());
                Track {
                    number,
                    side: sample.side,
                    last: None,
                }
            });
            // A pod that changes sides is another pod with the same name.
            if track.side != sample.side {
                track.side = sample.side;
                track.last = None;
            }
            if !sample.up {
                continue;
            }
            let Some(requests) = sample.requests else {
                continue;
            };
            let side = sample.side;
            let pod = track.number;
            let mut add = |kind| events.push(Event { pod, side, kind });
            if let Some(last) = &track.last {
                if let (Some(before), Some(now)) = (last.oom_kills, sample.oom_kills)
                    && now > before
                {
                    add(EventKind::OomKills(now - before));
                }
                if last.restarted(sample, requests) {
                    add(EventKind::Restart);
                    track.last = Some(Last::zero(sample));
                }
            }
            match &mut track.last {
                Some(last) => increments.push(last.until(pod, sample, requests)),
                // Born after the first look: all that it did belongs to the run.
                None => {
                    let born = sample
                        .started_at_seconds
                        .is_some_and(|at| at >= first_at.min(0.0));
                    let mut last = Last::zero(sample);
                    if born {
                        increments.push(last.until(pod, sample, requests));
                    } else {
                        last.errors = None;
                        last.latency = None;
                        last.cpu_seconds = None;
                        last.until(pod, sample, requests);
                    }
                    track.last = Some(last);
                }
            }
        }
        (increments, events)
    }

    /// The name of a pod by its number.
    #[must_use]
    pub fn name(&self, pod: usize) -> &str {
        self.names.get(pod).map_or("?", String::as_str)
    }

    /// The number of a pod by its name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<usize> {
        self.pods.get(name).map(|track| track.number)
    }
}

impl Last {
    /// A process that has just started.
    fn zero(sample: &PodSample) -> Self {
        Self {
            started_at_seconds: sample.started_at_seconds,
            requests: 0,
            errors: Some(Errors::default()),
            latency: sample.le.as_ref().map(|le| Latency {
                apart: sample.timed.is_some(),
                timed: 0,
                le: vec![0; le.len()],
            }),
            cpu_seconds: Some(0.0),
            oom_kills: sample.oom_kills,
        }
    }

    /// A process that started later, or a counter that fell.
    fn restarted(&self, now: &PodSample, requests: u64) -> bool {
        let later = matches!(
            (self.started_at_seconds, now.started_at_seconds),
            (Some(before), Some(after)) if after > before + SAME_START_SECONDS
        );
        let errors_fell = matches!((self.errors, now.errors), (Some(before), Some(after)) if after < before.errors);
        let latency_fell = match (&self.latency, &now.le) {
            (Some(before), Some(after)) => {
                let timed = now
                    .all_timed()
                    .filter(|_| before.apart == now.timed.is_some());
                timed.is_some_and(|timed| timed < before.timed)
                    || before
                        .le
                        .iter()
                        .zip(after)
                        .any(|(before, after)| after < before)
            }
            _ => false,
        };
        later || requests < self.requests || errors_fell || latency_fell
    }

    /// What happened since, up to this look, which becomes the last.
    fn until(&mut self, pod: usize, now: &PodSample, requests: u64) -> Increment {
        let mut increment = Increment {
            pod,
            side: now.side,
            requests: requests - self.requests.min(requests),
            errors: None,
            told_errors: 0,
            timed: 0,
            slower: None,
            cpu_seconds: None,
        };
        if let Some(errors) = now.errors {
            if let Some(before) = self.errors {
                increment.told_errors = requests - before.requests.min(requests);
                let more = errors - before.errors.min(errors);
                increment.errors = Some(more.min(increment.told_errors));
            }
            self.errors = Some(Errors { errors, requests });
        }
        if let Some(le) = &now.le {
            let apart = now.timed.is_some();
            let timed = now.all_timed().unwrap_or(requests);
            if let Some(before) = self.latency.as_ref().filter(|before| before.apart == apart) {
                increment.timed = timed.saturating_sub(before.timed);
                let slower = before.le.iter().zip(le).map(|(before, within)| {
                    increment.timed.saturating_sub(within - before.min(within))
                });
                increment.slower = Some(slower.collect());
            }
            self.latency = Some(Latency {
                apart,
                timed,
                le: le.clone(),
            });
        }
        if let Some(cpu) = now.cpu_seconds {
            increment.cpu_seconds = self.cpu_seconds.map(|before| (cpu - before).max(0.0));
            self.cpu_seconds = Some(cpu);
        }
        self.requests = requests;
        self.started_at_seconds = now.started_at_seconds.or(self.started_at_seconds);
        self.oom_kills = now.oom_kills.or(self.oom_kills);
        increment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(pod: &str, requests: u64, errors: u64, started: f64) -> PodSample {
        PodSample {
            up: true,
            started_at_seconds: Some(started),
            requests: Some(requests),
            errors: Some(errors),
            le: Some(vec![requests / 2, requests]),
            ..PodSample::down(pod, Side::Canary)
        }
    }

    fn look(at_seconds: f64, pods: Vec<PodSample>) -> Scrape {
        Scrape { at_seconds, pods }
    }

    #[track_caller]
    fn counted(looks: Vec<Scrape>) -> (Vec<(u64, Option<u64>)>, usize) {
        let mut ledger = Ledger::default();
        let mut counts = Vec::new();
        let mut restarts = 0;
        for look in &looks {
            let (increments, events) = ledger.take(look);
            counts.extend(increments.iter().map(|one| (one.requests, one.errors)));
            restarts += events.len();
        }
        (counts, restarts)
    }

    #[test]
    fn an_old_pod_counts_from_the_first_look_and_a_new_one_from_its_birth() {
        let looks = vec![
            look(0.0, vec![sample("old", 1000, 10, -3600.0)]),
            look(
                15.0,
                vec![sample("old", 1010, 11, -3600.0), sample("new", 7, 1, 9.0)],
            ),
        ];
        assert_eq!(counted(looks), (vec![(10, Some(1)), (7, Some(1))], 0));
    }

    #[test]
    fn a_reset_counts_from_zero_and_is_a_restart() {
        let looks = vec![
            look(0.0, vec![sample("a", 1000, 10, -3600.0)]),
            look(15.0, vec![sample("a", 40, 0, 5.0)]),
            look(30.0, vec![sample("a", 60, 0, 5.4)]),
        ];
        assert_eq!(counted(looks), (vec![(40, Some(0)), (20, Some(0))], 1));
    }

    #[test]
    fn what_was_timed_is_compared_with_what_was_timed() {
        let timed = |requests, timed, le| PodSample {
            timed: Some(timed),
            le: Some(vec![le, timed]),
            ..sample("a", requests, 0, -9.0)
        };
        let mut ledger = Ledger::default();
        ledger.take(&look(0.0, vec![timed(100, 50, 40)]));
        let (increments, _) = ledger.take(&look(15.0, vec![timed(200, 90, 60)]));
        assert_eq!((increments[0].requests, increments[0].timed), (100, 40));
        assert_eq!(increments[0].slower, Some(vec![20, 0]));
    }

    #[test]
    fn a_counter_that_is_not_told_for_a_while_is_bridged() {
        let silent = |pod, requests| PodSample {
            errors: None,
            le: None,
            ..sample(pod, requests, 0, -9.0)
        };
        let mut ledger = Ledger::default();
        ledger.take(&look(0.0, vec![sample("a", 1000, 100, -9.0)]));
        let (increments, _) = ledger.take(&look(15.0, vec![silent("a", 1100)]));
        assert_eq!(
            (
                increments[0].requests,
                increments[0].errors,
                increments[0].told_errors
            ),
            (100, None, 0)
        );
        assert_eq!(increments[0].slower, None);
        let (increments, _) = ledger.take(&look(30.0, vec![sample("a", 1200, 103, -9.0)]));
        assert_eq!(
            (
                increments[0].requests,
                increments[0].errors,
                increments[0].told_errors
            ),
            (100, Some(3), 200)
        );
        assert_eq!(
            (increments[0].timed, &increments[0].slower),
            (200, &Some(vec![100, 0]))
        );
    }

    #[test]
    fn what_an_old_pod_counted_before_it_first_told_is_not_of_this_run() {
        let silent = PodSample {
            errors: None,
            ..sample("a", 1000, 0, -9.0)
        };
        let looks = vec![
            look(0.0, vec![silent]),
            look(15.0, vec![sample("a", 1100, 90, -9.0)]),
        ];
        assert_eq!(counted(looks), (vec![(100, None)], 0));
    }

    #[test]
    fn a_gap_is_bridged_and_nothing_is_invented() {
        let looks = vec![
            look(0.0, vec![sample("a", 100, 0, -9.0)]),
            look(15.0, vec![PodSample::down("a", Side::Canary)]),
            look(30.0, vec![sample("a", 130, 3, -9.0)]),
        ];
        assert_eq!(counted(looks), (vec![(30, Some(3))], 0));
    }
}
