//! Counts of pods and sides, cell by cell.

use super::evidence::Count;
use crate::counts::Increment;
use crate::observations::Side;

/// What was counted of one pod, or of one side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Requests.
    pub requests: u64,
    /// Requests of which it is known whether they failed.
    pub told_errors: u64,
    /// Those that failed.
    pub errors: u64,
    /// Requests of which it is known how long they took.
    pub told_latency: u64,
    /// Those that took longer than each edge.
    pub slower: Vec<u64>,
    /// CPU time, in seconds.
    pub cpu_seconds: f64,
}

impl Tally {
    /// Takes an increment in.
    pub fn add(&mut self, increment: &Increment) {
        self.requests += increment.requests;
        if let Some(errors) = increment.errors {
            self.told_errors += increment.told_errors;
            self.errors += errors;
        }
        if let Some(slower) = &increment.slower {
            self.told_latency += increment.timed;
            add_all(&mut self.slower, slower);
        }
        self.cpu_seconds += increment.cpu_seconds.unwrap_or(0.0);
    }

    /// Takes another tally in.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.told_errors += other.told_errors;
        self.errors += other.errors;
        self.told_latency += other.told_latency;
        add_all(&mut self.slower, &other.slower);
        self.cpu_seconds += other.cpu_seconds;
    }

    /// Failures.
    #[must_use]
    pub fn failed(&self) -> Count {
        Count {
            requests: self.told_errors,
            events: self.errors,
        }
    }

    /// Requests slower than an edge.
    #[must_use]
    pub fn slow(&self, edge: usize) -> Count {
        Count {
            requests: self.told_latency,
            events: self.slower.get(edge).copied().unwrap_or(0),
        }
    }

    /// Failures, or requests slower than an edge.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Count {
        match kind {
            Kind::Errors => self.failed(),
            Kind::Slow(edge) => self.slow(edge),
        }
    }
}

fn add_all(sums: &mut Vec<u64>, more: &[u64]) {
    if sums.len() < more.len() {
        sums.resize(more.len(), 0);
    }
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum += more;
    }
}

/// Which events are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Failed requests.
    Errors,
    /// Requests slower than the edge of this index.
    Slow(usize),
}

/// One stretch between two checks.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// Its end, in seconds of the run.
    pub end: f64,
    /// Its length, in seconds.
    pub seconds: f64,
    /// All canary pods.
    pub canary: Tally,
    /// All stable pods.
    pub stable: Tally,
}

impl Cell {
    /// One side.
    #[must_use]
    pub fn side(&self, side: Side) -> &Tally {
        match side {
            Side::Canary => &self.canary,
            Side::Stable => &self.stable,
        }
    }
}

/// Pods by number.
#[derive(Clone, Debug, Default)]
pub struct Pods {
    tallies: Vec<Option<(Side, Tally)>>,
}

impl Pods {
    /// Takes an increment in.
    pub fn add(&mut self, increment: &Increment) {
        self.at(increment.pod, increment.side).add(increment);
    }

    /// Takes all pods of another in.
    pub fn merge(&mut self, other: &Self) {
        for (pod, entry) in other.tallies.iter().enumerate() {
            if let Some((side, tally)) = entry {
                self.at(pod, *side).merge(tally);
            }
        }
    }

    fn at(&mut self, pod: usize, side: Side) -> &mut Tally {
        if self.tallies.len() <= pod {
            self.tallies.resize(pod + 1, None);
        }
        let entry = self.tallies[pod].get_or_insert_with(|| (side, Tally::default()));
        &mut entry.1
    }

    /// The pods of a side, with their numbers.
    pub fn side(&self, side: Side) -> impl Iterator<Item = (usize, &Tally)> {
        let pods = self.tallies.iter().enumerate();
        pods.filter_map(move |(pod, entry)| {
            let (own, tally) = entry.as_ref()?;
            (*own == side).then_some((pod, tally))
        })
    }

    /// What is counted of each pod of a side.
    #[must_use]
    pub fn counts(&self, side: Side, kind: Kind) -> Vec<Count> {
        self.side(side).map(|(_, tally)| tally.of(kind)).collect()
    }

    /// A side as a whole.
    #[must_use]
    pub fn sum(&self, side: Side) -> Tally {
        let mut sum = Tally::default();
        self.side(side).for_each(|(_, tally)| sum.merge(tally));
        sum
    }
}

/// The cells of a run, newest last.
#[derive(Clone, Debug, Default)]
pub struct History {
    cells: Vec<Cell>,
}

impl History {
    /// Takes a cell in.
    pub fn push(&mut self, cell: Cell) {
        self.cells.push(cell);
    }

    /// The cells, newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().rev()
    }

    /// The cells that end after `since`, newest first.
    pub fn after(&self, since: f64) -> impl Iterator<Item = &Cell> {
        self.newest().take_while(move |cell| cell.end > since)
    }

    /// Both sides over the newest cells that end after `since` and make up at least `seconds` and
    /// `requests` of the canary, but never more than `most_seconds`.
    #[must_use]
    pub fn window(&self, window: &Window, since: f64, kind: Kind) -> (Count, Count) {
        let (mut canary, mut stable, mut length) = (Count::default(), Count::default(), 0.0);
        for cell in self.after(since) {
            let enough = length >= window.seconds && canary.requests >= window.requests;
            if enough || length >= window.most_seconds {
                break;
            }
            canary = canary.and(cell.canary.of(kind));
            stable = stable.and(cell.stable.of(kind));
            length += cell.seconds;
        }
        (canary, stable)
    }
}

/// How far to look back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// At least so many seconds,
    pub seconds: f64,
    /// and so many requests of the canary,
    pub requests: u64,
    /// but at most so many seconds.
    pub most_seconds: f64,
}

/// The canary's events with the excess of single cells cut: no cell counts for more than
/// `m + 3 sqrt(m) + 3`, `m` being the median of the cells. A fault that stays is hardly touched, a
/// burst is.
#[must_use]
pub fn without_bursts<'a>(cells: impl Iterator<Item = &'a Cell>, kind: Kind) -> Count {
    let counts: Vec<Count> = cells.map(|cell| cell.canary.of(kind)).collect();
    let mut events: Vec<u64> = counts.iter().map(|count| count.events).collect();
    if events.is_empty() {
        return Count::default();
    }
    let middle = events.len() / 2;
    let median = *events.select_nth_unstable(middle).1 as f64;
    let most = (median + 3.0 * median.sqrt() + 3.0).floor() as u64;
    counts.iter().fold(Count::default(), |sum, count| {
        sum.and(Count {
            requests: count.requests,
            events: count.events.min(most),
        })
    })
}
