//! From the series of a pod to the counters that observations hold.
//!
//! A pod tells its requests by many series, one for each route, method and status. They are summed here, and
//! what makes a sum wrong is watched series by series: one that is away while its process lives, one that
//! falls alone, a value that counts nothing, a histogram that breaks its laws. What cannot be summed is not
//! known, and is said.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::config::MetricConfig;
use super::exposition::Labels;
use super::names::Names;

/// The label of a bucket's upper edge.
const LE: &str = "le";

/// Starts of one process, read twice, differ by less, in seconds.
const SAME_START_SECONDS: f64 = 2.0;

/// A pod whose series are away with more than this share of what they counted is not summed.
const MOST_AWAY: f64 = 0.1;

/// Above that a floating number skips integers.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Labels where a status may be found, in the order of their weight.
pub(super) const STATUS_LABELS: [&str; 3] = ["status", "status_code", "code"];

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

/// A count of something: whole, not negative, and exact.
///
/// # Errors
/// It is none.
fn count(value: f64) -> Result<u64, &'static str> {
    if value.is_nan() {
        Err("is not a number (NaN)")
    } else if value.is_infinite() {
        Err("is infinite")
    } else if value < 0.0 {
        Err("is negative")
    } else if value.fract() != 0.0 {
        Err("is no whole number: is it a rate, and not a counter?")
    } else if value > EXACT {
        Err("is too large to be exact")
    } else {
        Ok(value as u64)
    }
}

/// Whether a status is an error of the server: `503`, or `5xx` where a library groups them.
///
/// # Errors
/// It is no status.
fn is_error(status: &str) -> Result<bool, ()> {
    let [class @ b'1'..=b'5', rest @ ..] = status.as_bytes() else {
        return Err(());
    };
    let number = rest.len() == 2 && rest.iter().all(u8::is_ascii_digit);
    let group = matches!(rest, [b'x' | b'X', b'x' | b'X']);
    if number || group {
        Ok(*class == b'5')
    } else {
        Err(())
    }
}

fn key(kind: u8, labels: &Labels) -> u64 {
    let mut hasher = DefaultHasher::new();
    kind.hash(&mut hasher);
    labels.hash(&mut hasher);
    hasher.finish()
}

/// `endpoint="/a",method="GET"`, for sentences.
fn shown(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    super::fetch::said(&pairs.join(","))
}

/// One histogram of a pod: the buckets of a route.
type Buckets = Vec<(f64, u64)>;

/// The histograms of a pod by their labels without `le`, each checked against its laws: every bucket counts
/// what the ones below it count, and the one without an end is there.
fn histograms(reading: &Reading) -> Result<Vec<(Labels, Buckets)>, String> {
    let mut groups: BTreeMap<Labels, Buckets> = BTreeMap::new();
    for (labels, value) in &reading.buckets {
        let mut route = labels.clone();
        let edge = route.remove(LE);
        let edge = edge
            .as_deref()
            .and_then(super::exposition::number)
            .filter(|edge| !edge.is_nan());
        let Some(edge) = edge else {
            return Err(format!("a bucket of {} has no edge", shown(labels)));
        };
        let count =
            count(*value).map_err(|why| format!("the bucket of {} {why}", shown(labels)))?;
        groups.entry(route).or_default().push((edge, count));
    }
    for (route, group) in &mut groups {
        group.sort_by(|a, b| a.0.total_cmp(&b.0));
        if group.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("a bucket of {} is there twice", shown(route)));
        }
        if group.windows(2).any(|pair| pair[0].1 > pair[1].1) {
            return Err(format!(
                "the buckets of {} fall, though each holds the ones below it",
                shown(route)
            ));
        }
        if group.last().is_none_or(|(edge, _)| *edge != f64::INFINITY) {
            return Err(format!(
                "the histogram of {} has no +Inf bucket",
                shown(route)
            ));
        }
    }
    for (route, value) in &reading.counts {
        let last = groups.get(route).and_then(|group| group.last());
        if last.is_some_and(|(_, last)| *last as f64 != *value) {
            return Err(format!(
                "the +Inf bucket of {} is not its _count",
                shown(route)
            ));
        }
    }
    Ok(groups.into_iter().collect())
}

/// The finite edges that all histograms of a reading have, growing; `None` without a histogram.
///
/// # Errors
/// The histogram breaks its laws.
pub(super) fn edges(reading: &Reading) -> Result<Option<Vec<f64>>, String> {
    let groups = histograms(reading)?;
    let mut groups = groups.iter().map(|(_, group)| {
        let edges = group.iter().map(|(edge, _)| *edge);
        edges
            .filter(|edge| edge.is_finite() && *edge > 0.0)
            .collect()
    });
    let first: Option<Vec<f64>> = groups.next();
    Ok(first.map(|first| groups.fold(first, |common, other| common_edges(&common, &other))))
}

/// The edges that are in both lists.
#[must_use]
pub(super) fn common_edges(one: &[f64], other: &[f64]) -> Vec<f64> {
    let both = one.iter().filter(|edge| other.contains(edge));
    both.copied().collect()
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

fn find(
    reading: &Reading,
    names: &Names,
    config: &MetricConfig,
    edges: &[f64],
    wrong: &mut Vec<String>,
) -> Found {
    let mut found = Found {
        requests: (reading.requests_declared || !reading.requests.is_empty())
            && !reading.requests_broken,
        histogram: (reading.buckets_declared || !reading.buckets.is_empty())
            && !reading.buckets_broken,
        ..Found::default()
    };
    requests(reading, names, config, &mut found, wrong);
    let name = &names.duration;
    match histograms(reading) {
        Err(why) => {
            found.histogram = false;
            wrong.push(format!("{name}: {why}"));
        }
        Ok(groups) => {
            for (route, group) in &groups {
                if let Some(edge) = add_histogram(route, group, edges, &mut found.counters) {
                    found.histogram = false;
                    wrong.push(format!(
                        "{name}: the histogram of {} has no bucket that ends at {edge} s",
                        shown(route)
                    ));
                    break;
                }
            }
        }
    }
    found
}

fn requests(
    reading: &Reading,
    names: &Names,
    config: &MetricConfig,
    found: &mut Found,
    wrong: &mut Vec<String>,
) {
    let name = &names.requests;
    let label = config.status_label.as_deref().or_else(|| {
        STATUS_LABELS.into_iter().find(|label| {
            reading
                .requests
                .iter()
                .any(|(labels, _)| labels.contains_key(*label))
        })
    });
    found.errors = found.requests;
    for (labels, value) in &reading.requests {
        let value = match count(*value) {
            Ok(value) => value,
            Err(why) => {
                found.requests = false;
                wrong.push(format!("{name}{{{}}} {why}", shown(labels)));
                continue;
            }
        };
        let status = label
            .and_then(|label| labels.get(label))
            .map(String::as_str);
        let error = match status.map(is_error) {
            Some(Ok(error)) => error,
            _ if value == 0 => false,
            _ => {
                found.errors = false;
                wrong.push(match status {
                    Some(status) => {
                        format!("{name}: `{}` is no status", super::fetch::said(status))
                    }
                    None => format!(
                        "{name} has no label with the status of an answer ({})",
                        config
                            .status_label
                            .clone()
                            .unwrap_or_else(|| STATUS_LABELS.join(", "))
                    ),
                });
                false
            }
        };
        found.counters.push(Counter {
            key: key(0, labels),
            slot: Slot::Request { error },
            value,
        });
    }
    let mut keys: Vec<u64> = found.counters.iter().map(|counter| counter.key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        found.requests = false;
        wrong.push(format!("{name}: a series is there twice"));
    }
    wrong.dedup();
}

/// Adds the counters of a histogram. The answer is the edge that it lacks.
fn add_histogram(
    route: &Labels,
    group: &Buckets,
    edges: &[f64],
    counters: &mut Vec<Counter>,
) -> Option<f64> {
    let mut add = |slot: Slot, edge: f64, value: u64| {
        let mut hasher = DefaultHasher::new();
        (1_u8, edge.to_bits()).hash(&mut hasher);
        route.hash(&mut hasher);
        counters.push(Counter {
            key: hasher.finish(),
            slot,
            value,
        });
    };
    for (index, edge) in edges.iter().enumerate() {
        let Some((_, value)) = group.iter().find(|(other, _)| other == edge) else {
            return Some(*edge);
        };
        add(Slot::Within(index), *edge, *value);
    }
    if let Some((edge, value)) = group.last() {
        add(Slot::Timed, *edge, *value);
    }
    None
}

#[cfg(test)]
mod tests;
