//! From raw counters to what happened between two looks, per pod.
//!
//! Nothing is extrapolated: counts are whole numbers of requests. A counter that fell, or a process
//! that started anew, means that the pod counts from zero again (what it did between the last look
//! and its end is lost with it). A pod that was born inside the run counts from its birth.

use std::collections::BTreeMap;

use crate::observations::{PodSample, Scrape, Side};

/// Starts of one process, read twice, differ by less than this many seconds.
const SAME_START_SECONDS: f64 = 2.0;

/// What one pod did since the last time it was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Increment {
    /// The pod's number, stable for a run.
    pub pod: usize,
    /// Which version it runs.
    pub side: Side,
    /// Requests answered.
    pub requests: u64,
    /// Those answered with an error; absent where the pod does not count them.
    pub errors: Option<u64>,
    /// Requests that were timed; those answered, where the pod does not count them apart.
    pub timed: u64,
    /// Those of them that took longer than each edge; absent where the pod has no histogram.
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
    last: Option<PodSample>,
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
            match &track.last {
                Some(last) if restarted(last, sample) => {
                    add(EventKind::Restart);
                    increments.push(from_zero(pod, sample, requests));
                }
                Some(last) => increments.push(difference(pod, last, sample, requests)),
                // Born after the first look: all that it did belongs to the run.
                None if sample
                    .started_at_seconds
                    .is_some_and(|at| at >= first_at.min(0.0)) =>
                {
                    increments.push(from_zero(pod, sample, requests));
                }
                None => {}
            }
            if let (Some(before), Some(now)) = (
                track.last.as_ref().and_then(|last| last.oom_kills),
                sample.oom_kills,
            ) && now > before
            {
                add(EventKind::OomKills(now - before));
            }
            track.last = Some(sample.clone());
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

/// A process that started later, or a counter that fell.
fn restarted(last: &PodSample, now: &PodSample) -> bool {
    let later = matches!(
        (last.started_at_seconds, now.started_at_seconds),
        (Some(before), Some(after)) if after > before + SAME_START_SECONDS
    );
    let fell = |before: Option<u64>, after: Option<u64>| matches!((before, after), (Some(before), Some(after)) if after < before);
    later
        || fell(last.requests, now.requests)
        || fell(last.errors, now.errors)
        || fell(last.timed, now.timed)
        || matches!((&last.le, &now.le), (Some(before), Some(after)) if before.iter().zip(after).any(|(before, after)| after < before))
}

fn from_zero(pod: usize, sample: &PodSample, requests: u64) -> Increment {
    let timed = sample.timed.unwrap_or(requests);
    Increment {
        pod,
        side: sample.side,
        requests,
        errors: sample.errors,
        timed,
        slower: sample.le.as_ref().map(|le| {
            le.iter()
                .map(|within| timed.saturating_sub(*within))
                .collect()
        }),
        cpu_seconds: sample.cpu_seconds,
    }
}

fn difference(pod: usize, last: &PodSample, now: &PodSample, requests: u64) -> Increment {
    let before = last.requests.unwrap_or(0);
    let count = requests - before.min(requests);
    let errors = match (last.errors, now.errors) {
        (Some(before), Some(after)) => Some((after - before.min(after)).min(count)),
        // The first error makes the series: until then it is not there.
        (None, Some(after)) => Some(after.min(count)),
        (_, None) => None,
    };
    let (timed_before, timed_now) = (last.all_timed(), now.all_timed());
    let timed = timed_now
        .unwrap_or(requests)
        .saturating_sub(timed_before.unwrap_or(0));
    let slower = match (&last.le, &now.le) {
        (Some(before_le), Some(after_le)) => Some(
            before_le
                .iter()
                .zip(after_le)
                .map(|(before_le, after_le)| {
                    timed.saturating_sub(after_le - before_le.min(after_le))
                })
                .collect(),
        ),
        _ => None,
    };
    let cpu_seconds = match (last.cpu_seconds, now.cpu_seconds) {
        (Some(before), Some(after)) if after >= before => Some(after - before),
        _ => None,
    };
    Increment {
        pod,
        side: now.side,
        requests: count,
        errors,
        timed,
        slower,
        cpu_seconds,
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
    fn a_gap_is_bridged_and_nothing_is_invented() {
        let looks = vec![
            look(0.0, vec![sample("a", 100, 0, -9.0)]),
            look(15.0, vec![PodSample::down("a", Side::Canary)]),
            look(30.0, vec![sample("a", 130, 3, -9.0)]),
        ];
        assert_eq!(counted(looks), (vec![(30, Some(3))], 0));
    }
}
