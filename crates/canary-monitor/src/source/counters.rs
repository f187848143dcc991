//! From the series of a pod to the counters that observations hold.
//!
//! A pod tells its requests by many series, one for each route, method and status. They are summed here, and
//! what makes a sum wrong is watched series by series: one that is away while its process lives, one that
//! falls alone, a value that counts nothing, a histogram that breaks its laws. What cannot be summed is not
//! known, and is said.

mod find;

use std::collections::{HashMap, HashSet};

use super::config::MetricConfig;
use super::exposition::Labels;
use super::names::Names;
use find::find;
pub(super) use find::{common_edges, edges};

/// Starts of one process, read twice, differ by less, in seconds.
const SAME_START_SECONDS: f64 = 2.0;

/// A pod whose series are away with more than this share of what they counted is not summed.
const MOST_AWAY: f64 = 0.1;

/// What a counter counts of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Slot {
    Request {
        error: bool,
    },
    /// Requests within the edge of this index.
    Within(usize),
    /// All that were timed.
    Timed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Counter {
    key: u64,
    slot: Slot,
    value: u64,
}

/// The series of one pod at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// The counter of requests.
    pub(super) requests: Vec<(Labels, f64)>,
    /// The buckets of the histogram.
    pub(super) buckets: Vec<(Labels, f64)>,
    /// The histogram's own `_count`, where it was read: what its last bucket has to hold.
    pub(super) counts: Vec<(Labels, f64)>,
    /// The counter is declared: without a series it stands at 0.
    pub(super) requests_declared: bool,
    /// The same of the histogram.
    pub(super) buckets_declared: bool,
    /// Part of the counter could not be read.
    pub(super) requests_broken: bool,
    /// Part of the histogram could not be read.
    pub(super) buckets_broken: bool,
    /// When the process started, in Unix seconds.
    pub(super) started: Option<f64>,
}

/// Sums of a pod; what is not known is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sums {
    /// Requests answered.
    pub(super) requests: Option<u64>,
    /// Those with a status of 500 and over.
    pub(super) errors: Option<u64>,
    /// Requests that were timed.
    pub(super) timed: Option<u64>,
    /// Those within each edge.
    pub(super) le: Option<Vec<u64>>,
}

/// What is remembered of one series.
#[derive(Clone, Copy, Debug)]
struct Kept {
    slot: Slot,
    last: u64,
    /// What it had counted before it fell while its process went on.
    before: u64,
    /// It was in the last reading.
    there: bool,
}

/// The series of one pod over time.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    started: Option<f64>,
    series: HashMap<u64, Kept>,
    /// The process changes back and forth: what is read comes from several.
    mixed: bool,
    /// Sentences that have been said.
    said: HashSet<String>,
}

/// What was found in a reading, for the reader's notes.
#[derive(Clone, Debug, Default, PartialEq)]
struct Found {
    counters: Vec<Counter>,
    requests: bool,
    errors: bool,
    histogram: bool,
}

impl Track {
    /// Takes a reading in, and sums it. What is wrong is added to `notes`, each thing once for this pod
    /// until it has been right again.
    pub(super) fn take(
        &mut self,
        reading: &Reading,
        names: &Names,
        config: &MetricConfig,
        edges: &[f64],
        notes: &mut Vec<String>,
    ) -> Sums {
        let mut wrong = Vec::new();
        let found = find(reading, names, config, edges, &mut wrong);
        let sums = self.sum(reading, &found, edges.len(), &mut wrong);
        notes.extend(
            wrong
                .iter()
                .filter(|one| !self.said.contains(*one))
                .cloned(),
        );
        self.said = wrong.into_iter().collect();
        sums
    }

    /// Forgets that the pod was there: it was away, and sentences about it are said anew.
    pub(super) fn away(&mut self) {
        self.said.clear();
    }

    fn sum(
        &mut self,
        reading: &Reading,
        found: &Found,
        edges: usize,
        wrong: &mut Vec<String>,
    ) -> Sums {
        self.follow_process(reading, wrong);
        if self.mixed {
            return Sums::default();
        }
        // What could not be read whole is no reading: the series keep what they were.
        let usable = |slot: Slot| match slot {
            Slot::Request { .. } => found.requests,
            Slot::Within(_) | Slot::Timed => found.histogram,
        };
        let counters: Vec<&Counter> = found
            .counters
            .iter()
            .filter(|counter| usable(counter.slot))
            .collect();
        self.follow_falls(&counters, wrong);
        let mut there = HashSet::with_capacity(counters.len());
        for counter in &counters {
            there.insert(counter.key);
            let kept = self.series.entry(counter.key).or_insert(Kept {
                slot: counter.slot,
                last: 0,
                before: 0,
                there: true,
            });
            kept.last = counter.value;
            kept.there = true;
        }
        for (key, kept) in &mut self.series {
            if usable(kept.slot) {
                kept.there = there.contains(key);
            }
        }
        let whole = |wanted: fn(Slot) -> bool| self.whole(wanted);
        let requests = found.requests.then(|| whole(is_request)).flatten();
        let none_yet = self.none_yet(reading, found);
        if found.requests && requests.is_none() {
            wrong.push("series of its requests are away while its process lives".to_owned());
        }
        // A single series of errors that is away makes errors look fewer.
        let lost_errors = self
            .series
            .values()
            .any(|kept| kept.slot == Slot::Request { error: true } && !kept.there && kept.last > 0);
        let mut sums = Sums {
            requests: requests.or(none_yet),
            errors: none_yet,
            timed: None,
            le: None,
        };
        if found.errors && requests.is_some() {
            if lost_errors {
                // Without its errors the whole look is lost: later they would all seem new.
                wrong.push("series of its errors are away while its process lives".to_owned());
                sums.requests = None;
            } else {
                sums.errors = Some(self.total(|slot| slot == Slot::Request { error: true }));
            }
        }
        if found.histogram {
            match whole(is_timed) {
                None => wrong
                    .push("series of its histogram are away while its process lives".to_owned()),
                Some(timed) => {
                    let within =
                        (0..edges).map(|edge| self.total(|slot| slot == Slot::Within(edge)));
                    sums.le = Some(within.collect());
                    sums.timed = Some(timed);
                }
            }
        }
        sums
    }

    /// A process that started later is a new one; one that started sooner is another one behind the same
    /// address.
    fn follow_process(&mut self, reading: &Reading, wrong: &mut Vec<String>) {
        if let (Some(before), Some(now)) = (self.started, reading.started) {
            if now > before + SAME_START_SECONDS {
                self.series.clear();
            } else if now < before - SAME_START_SECONDS {
                self.mixed = true;
            }
        }
        if self.mixed {
            wrong.push(
                "several processes answer in turn under its name (workers, or pods behind one address): its counters cannot be followed"
                    .to_owned(),
            );
        }
        self.started = reading.started.or(self.started);
    }

    /// Counters that fell although no new start is known: all of them, and it is a new process; some of
    /// them, and these go on from what they had.
    fn follow_falls(&mut self, counters: &[&Counter], wrong: &mut Vec<String>) {
        let (mut fallen, mut all) = (0, 0);
        for counter in counters {
            if let Some(kept) = self.series.get(&counter.key) {
                all += kept.last;
                fallen += if counter.value < kept.last {
                    kept.last
                } else {
                    0
                };
            }
        }
        if fallen == 0 {
            return;
        }
        if fallen >= all - fallen {
            wrong.push("its counters fell: its process began anew".to_owned());
            self.series.clear();
            return;
        }
        wrong.push("some of its counters fell alone: they are counted on from there".to_owned());
        for counter in counters {
            if let Some(kept) = self.series.get_mut(&counter.key)
                && counter.value < kept.last
            {
                kept.before += kept.last;
            }
        }
    }

    /// A library shows a counter's series from the first event on. Where the histogram of the same scrape has
    /// timed nothing and the counter never had a series, there was no request.
    fn none_yet(&self, reading: &Reading, found: &Found) -> Option<u64> {
        let counted = self.series.values().any(|kept| is_request(kept.slot));
        let absent = reading.requests.is_empty() && !reading.requests_broken && !counted;
        let timed = found.histogram && !reading.buckets.is_empty() && self.total(is_timed) == 0;
        (absent && !found.requests && timed).then_some(0)
    }

    fn total(&self, wanted: impl Fn(Slot) -> bool) -> u64 {
        let of = self.series.values().filter(|kept| wanted(kept.slot));
        of.map(|kept| kept.before + kept.last).sum()
    }

    /// The total, unless more of it is away than can be passed over.
    fn whole(&self, wanted: fn(Slot) -> bool) -> Option<u64> {
        let all = self.total(wanted);
        let of = self.series.values().filter(|kept| wanted(kept.slot));
        let away: u64 = of
            .filter(|kept| !kept.there)
            .map(|kept| kept.before + kept.last)
            .sum();
        (away as f64 <= MOST_AWAY * all as f64).then_some(all)
    }
}

fn is_request(slot: Slot) -> bool {
    matches!(slot, Slot::Request { .. })
}

fn is_timed(slot: Slot) -> bool {
    slot == Slot::Timed
}

#[cfg(test)]
mod tests;
