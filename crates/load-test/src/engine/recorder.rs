//! Where finished requests go: cells, the time line, the slowest, and what is still open.

use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::Live;
use crate::result::{
    Cell, Channel, ErrorKind, Example, Interval, SLOWEST, Slow, Stage, Stats, interval_histogram,
    micros, micros_histogram,
};

/// As much of a bad body as is kept.
const KEPT_BODY: usize = 2048;

/// What a recorder has to know of the run.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// The start of the run.
    pub(crate) began: Instant,
    /// Requests that are due earlier are left out.
    pub(crate) warm_up: Duration,
    /// The stages.
    pub(crate) stages: Vec<Stage>,
    /// The names of the personas.
    pub(crate) personas: Vec<String>,
    /// The names of the endpoints.
    pub(crate) endpoints: Vec<String>,
    /// What is slower than this is slow.
    pub(crate) slow_limit: Duration,
}

/// A request on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// Index of the persona.
    pub(crate) persona: usize,
    /// Index of the endpoint.
    pub(crate) endpoint: usize,
    /// When it was due.
    pub(crate) due: Instant,
    /// Its number in `traceparent`.
    pub(crate) trace: u128,
}

/// A request that ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// When it was handed to a connection; `None` where that never happened.
    pub(crate) sent: Option<Instant>,
    /// When it ended.
    pub(crate) ended: Instant,
    /// From the send to the head of the answer.
    pub(crate) first_byte: Option<Duration>,
    /// Time to connect, where it did.
    pub(crate) connect: Option<Duration>,
    /// The status.
    pub(crate) status: Option<u16>,
    /// Bytes of the body.
    pub(crate) body_bytes: u64,
    /// Whether the checks were good; `None` where there were none to make.
    pub(crate) checks: Option<bool>,
    /// What went wrong.
    pub(crate) error: Option<Failed>,
}

/// What went wrong, and what is kept of it.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) request: String,
    pub(crate) body: Vec<u8>,
}

/// A request under the key by which it is found again.
pub(crate) type Key = usize;

/// Records what happens on one thread.
#[derive(Debug)]
pub(crate) struct Recorder {
    frame: Frame,
    cells: Vec<Option<Box<Stats>>>,
    open: Vec<Option<Open>>,
    free: Vec<Key>,
    /// The interval that is being filled, by endpoint.
    now: Vec<Current>,
    slowest: BinaryHeap<Ranked>,
    slow: BTreeMap<usize, u64>,
    pub(crate) channels: BTreeMap<(usize, usize), Channel>,
    pub(crate) lateness: Histogram<u64>,
    pub(crate) wait: Histogram<u64>,
    pub(crate) waited: u64,
    pub(crate) dropped: u64,
    pub(crate) unfinished: u64,
    pub(crate) retried: u64,
    pub(crate) held_back: u64,
    pub(crate) warm_up_requests: u64,
}

/// The interval that is being filled, for one endpoint.
#[derive(Clone, Debug)]
struct Current {
    requests: u64,
    failures: u64,
    response: Histogram<u32>,
}

impl Current {
    fn new() -> Self {
        Self {
            requests: 0,
            failures: 0,
            response: interval_histogram(),
        }
    }
}

/// A slow request; the greatest of a heap is the fastest of those kept.
#[derive(Debug)]
struct Ranked(Slow);

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.0.response == other.0.response
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.response.cmp(&self.0.response)
    }
}

impl Recorder {
    pub(crate) fn new(frame: Frame) -> Self {
        let cells = frame.stages.len() * frame.personas.len() * frame.endpoints.len();
        Self {
            cells: std::iter::repeat_with(|| None).take(cells).collect(),
            now: vec![Current::new(); frame.endpoints.len()],
            frame,
            open: Vec::new(),
            free: Vec::new(),
            slowest: BinaryHeap::new(),
            slow: BTreeMap::new(),
            channels: BTreeMap::new(),
            lateness: micros_histogram(),
            wait: micros_histogram(),
            waited: 0,
            dropped: 0,
            unfinished: 0,
            retried: 0,
            held_back: 0,
            warm_up_requests: 0,
        }
    }

    /// A request became due and is taken on.
    pub(crate) fn begin(&mut self, open: Open) -> Key {
        match self.free.pop() {
            Some(key) => {
                self.open[key] = Some(open);
                key
            }
            None => {
                self.open.push(Some(open));
                self.open.len() - 1
            }
        }
    }

    /// Requests that are on their way.
    pub(crate) fn open(&self) -> usize {
        self.open.len() - self.free.len()
    }

    /// It ended. What was cut off before is not counted twice.
    pub(crate) fn end(&mut self, key: Key, done: Done) {
        let Some(open) = self.open.get_mut(key).and_then(Option::take) else {
            return;
        };
        self.free.push(key);
        self.count(&open, done);
    }

    /// It was counted elsewhere.
    pub(crate) fn forget(&mut self, key: Key) {
        if self.open.get_mut(key).and_then(Option::take).is_some() {
            self.free.push(key);
        }
    }

    /// Counts what is open as unfinished: it took at least so long.
    pub(crate) fn cut(&mut self, at: Instant) {
        for key in 0..self.open.len() {
            if let Some(open) = self.open[key].take() {
                self.free.push(key);
                self.unfinished += 1;
                let done = never(at, ErrorKind::Unfinished, "still open when the run ended");
                self.count(&open, done);
            }
        }
    }

    /// A request that never found a connection.
    pub(crate) fn drop_waiting(&mut self, open: &Open, at: Instant) {
        self.dropped += 1;
        let done = never(
            at,
            ErrorKind::Dropped,
            "no connection was free until the run ended",
        );
        self.count(open, done);
    }

    fn count(&mut self, open: &Open, done: Done) {
        // The run was taken out already: what ends now belongs to nothing, and has no names here.
        if self.frame.endpoints.is_empty() {
            return;
        }
        let offset = open.due.saturating_duration_since(self.frame.began);
        if offset < self.frame.warm_up {
            self.warm_up_requests += 1;
            return;
        }
        let response = done.ended.saturating_duration_since(open.due);
        let service = done
            .sent
            .map(|sent| done.ended.saturating_duration_since(sent));
        let failed = done.error.is_some();
        if let Some(now) = self.now.get_mut(open.endpoint) {
            now.requests += 1;
            now.failures += u64::from(failed);
            now.response.saturating_record(micros(response));
        }
        if response > self.frame.slow_limit {
            *self.slow.entry(open.endpoint).or_default() += 1;
        }
        self.rank(open, &done, offset, response, service);

        let stage = super::schedule::stage_at(&self.frame.stages, offset.as_secs_f64());
        let index = (stage * self.frame.personas.len() + open.persona) * self.frame.endpoints.len()
            + open.endpoint;
        let Some(cell) = self.cells.get_mut(index) else {
            return;
        };
        let stats = cell.get_or_insert_default();
        stats.requests += 1;
        stats.failures += u64::from(failed);
        stats.response.saturating_record(micros(response));
        if let Some(service) = service {
            stats.service.saturating_record(micros(service));
        }
        if let Some(first_byte) = done.first_byte {
            stats.first_byte.saturating_record(micros(first_byte));
        }
        if let Some(connect) = done.connect {
            stats.connect.saturating_record(micros(connect));
        }
        if let Some(status) = done.status {
            *stats.statuses.entry(status).or_default() += 1;
        }
        stats.body_bytes += done.body_bytes;
        if let Some(good) = done.checks {
            stats.checks_made += 1;
            stats.checks_passed += u64::from(good);
        }
        if let Some(error) = done.error {
            let errors = stats.errors.entry(error.kind).or_default();
            errors.count += 1;
            errors.first.get_or_insert_with(|| Example {
                message: error.message,
                request: error.request,
                status: done.status,
                body: String::from_utf8_lossy(&error.body[..error.body.len().min(KEPT_BODY)])
                    .into_owned(),
                trace_id: format!("{:032x}", open.trace),
            });
        }
    }

    fn rank(
        &mut self,
        open: &Open,
        done: &Done,
        offset: Duration,
        response: Duration,
        service: Option<Duration>,
    ) {
        let full = self.slowest.len() >= SLOWEST;
        if full
            && self
                .slowest
                .peek()
                .is_some_and(|fastest| fastest.0.response >= response)
        {
            return;
        }
        if full {
            self.slowest.pop();
        }
        let outcome = match (&done.error, done.status) {
            (Some(error), None) => error.kind.code().to_owned(),
            (_, Some(status)) => status.to_string(),
            (None, None) => "ok".to_owned(),
        };
        self.slowest.push(Ranked(Slow {
            endpoint: self.frame.endpoints[open.endpoint].clone(),
            persona: self.frame.personas[open.persona].clone(),
            due_seconds: offset.as_secs_f64(),
            response,
            service,
            outcome,
            trace_id: format!("{:032x}", open.trace),
        }));
    }

    /// Takes the interval that is being filled out of this recorder and adds it to `into`, and to the
    /// endpoints' figures so far.
    pub(crate) fn take_interval(&mut self, into: &mut Interval, endpoints: &mut [Live]) {
        for (now, live) in self.now.iter_mut().zip(endpoints) {
            if now.requests == 0 {
                continue;
            }
            into.requests += now.requests;
            into.failures += now.failures;
            live.recent += now.requests;
            live.requests += now.requests;
            live.failures += now.failures;
            let _ = into.response.add(&now.response);
            let _ = live.response.add(&now.response);
            now.requests = 0;
            now.failures = 0;
            now.response.reset();
        }
    }

    /// The record of a WebSocket channel.
    pub(crate) fn channel(&mut self, persona: usize, endpoint: usize) -> &mut Channel {
        let frame = &self.frame;
        self.channels
            .entry((persona, endpoint))
            .or_insert_with(|| Channel {
                name: frame.endpoints[endpoint].clone(),
                persona: frame.personas[persona].clone(),
                attempts: 0,
                opened: 0,
                connect: micros_histogram(),
                messages: 0,
                latency: micros_histogram(),
                gaps: 0,
                longest_gap: Duration::ZERO,
                drops: 0,
            })
    }

    /// The cells, the slowest and the slow ones of several recorders together.
    pub(crate) fn merge(recorders: Vec<Self>) -> Merged {
        let mut merged = Merged::default();
        for recorder in recorders {
            let (personas, endpoints) = (
                recorder.frame.personas.len(),
                recorder.frame.endpoints.len(),
            );
            for (index, stats) in recorder.cells.into_iter().enumerate() {
                let Some(stats) = stats else { continue };
                let (rest, endpoint) = (index / endpoints, index % endpoints);
                let (stage, persona) = (rest / personas, rest % personas);
                let cell = merged
                    .cells
                    .entry((stage, persona, endpoint))
                    .or_insert_with(|| Cell {
                        endpoint: recorder.frame.endpoints[endpoint].clone(),
                        persona: recorder.frame.personas[persona].clone(),
                        stage,
                        stats: Stats::default(),
                    });
                cell.stats.add(&stats);
            }
            merged
                .slowest
                .extend(recorder.slowest.into_iter().map(|ranked| ranked.0));
            for (endpoint, count) in recorder.slow {
                *merged
                    .slow
                    .entry(recorder.frame.endpoints[endpoint].clone())
                    .or_default() += count;
            }
            for (key, channel) in recorder.channels {
                merged
                    .channels
                    .entry(key)
                    .and_modify(|mine| add_channel(mine, &channel))
                    .or_insert(channel);
            }
            let _ = merged.lateness.add(&recorder.lateness);
            let _ = merged.wait.add(&recorder.wait);
            merged.waited += recorder.waited;
            merged.dropped += recorder.dropped;
            merged.unfinished += recorder.unfinished;
            merged.retried += recorder.retried;
            merged.held_back += recorder.held_back;
            merged.warm_up_requests += recorder.warm_up_requests;
        }
        merged.slowest.sort_by(|a, b| {
            b.response
                .cmp(&a.response)
                .then(a.trace_id.cmp(&b.trace_id))
        });
        merged.slowest.truncate(SLOWEST);
        merged
    }
}

/// What several recorders hold together.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) cells: BTreeMap<(usize, usize, usize), Cell>,
    pub(crate) slowest: Vec<Slow>,
    pub(crate) slow: BTreeMap<String, u64>,
    pub(crate) channels: BTreeMap<(usize, usize), Channel>,
    pub(crate) lateness: Histogram<u64>,
    pub(crate) wait: Histogram<u64>,
    pub(crate) waited: u64,
    pub(crate) dropped: u64,
    pub(crate) unfinished: u64,
    pub(crate) retried: u64,
    pub(crate) held_back: u64,
    pub(crate) warm_up_requests: u64,
}

impl Default for Merged {
    fn default() -> Self {
        Self {
            cells: BTreeMap::new(),
            slowest: Vec::new(),
            slow: BTreeMap::new(),
            channels: BTreeMap::new(),
            lateness: micros_histogram(),
            wait: micros_histogram(),
            waited: 0,
            dropped: 0,
            unfinished: 0,
            retried: 0,
            held_back: 0,
            warm_up_requests: 0,
        }
    }
}

fn add_channel(mine: &mut Channel, other: &Channel) {
    mine.attempts += other.attempts;
    mine.opened += other.opened;
    let _ = mine.connect.add(&other.connect);
    mine.messages += other.messages;
    let _ = mine.latency.add(&other.latency);
    mine.gaps += other.gaps;
    mine.longest_gap = mine.longest_gap.max(other.longest_gap);
    mine.drops += other.drops;
}

fn never(at: Instant, kind: ErrorKind, message: &str) -> Done {
    Done {
        sent: None,
        ended: at,
        first_byte: None,
        connect: None,
        status: None,
        body_bytes: 0,
        checks: None,
        error: Some(Failed {
            kind,
            message: message.to_owned(),
            request: String::new(),
            body: Vec::new(),
        }),
    }
}

#[cfg(test)]
mod tests;
