//! What a run recorded: the one model that the judge, the reports, the exports and the comparison of
//! runs read. Nothing in it is a judgement, and nothing in it is rounded beyond its histograms.
//!
//! A [`Cell`] holds what one endpoint did for one persona in one stage; every other view is a merge of
//! cells, so that all views agree. All histogram values are microseconds.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use jiff::Timestamp;

/// The shortest time that a histogram tells from zero, in microseconds.
pub const LOWEST_MICROS: u64 = 1;

/// The longest time that a histogram holds, in microseconds: one hour. What is longer counts as that.
pub const HIGHEST_MICROS: u64 = 3_600_000_000;

/// Significant digits of the histograms of cells: a value is off by at most 0.1%.
pub const DIGITS: u8 = 3;

/// Significant digits of the histograms of intervals: a value is off by at most 1%.
pub const INTERVAL_DIGITS: u8 = 2;

/// A run has at most about so many intervals; longer runs get longer ones.
pub const MOST_INTERVALS: u64 = 600;

/// The slowest requests that are kept with all that is known of them.
pub const SLOWEST: usize = 20;

/// An empty histogram of microseconds. All cells use these bounds, so that any two can be added
/// without loss.
#[must_use]
pub fn micros_histogram() -> Histogram<u64> {
    // These bounds are constant and valid; the unit test below holds them to that.
    #[expect(clippy::expect_used, reason = "constant bounds, held by a test")]
    Histogram::new_with_bounds(LOWEST_MICROS, HIGHEST_MICROS, DIGITS).expect("constant bounds")
}

/// An empty histogram of an interval. Its bounds are fixed like those of a cell: one that grows by
/// itself does so on `record` alone, and `saturating_record` would cut every time at its first size.
#[must_use]
pub fn interval_histogram() -> Histogram<u32> {
    #[expect(clippy::expect_used, reason = "constant bounds, held by a test")]
    Histogram::new_with_bounds(LOWEST_MICROS, HIGHEST_MICROS, INTERVAL_DIGITS)
        .expect("constant bounds")
}

/// A duration as a histogram takes it.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros())
        .unwrap_or(HIGHEST_MICROS)
        .clamp(LOWEST_MICROS, HIGHEST_MICROS)
}

/// Everything that one run recorded.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// The target without path, credentials and query.
    pub target: String,
    /// What was asked of it, and how.
    pub setup: Setup,
    /// When the load began (the connection test before it is not part of the run).
    pub started_at: Timestamp,
    /// Seconds of load that were recorded, without warm-up and without draining.
    pub measured_seconds: f64,
    /// How it ended.
    pub end: End,
    /// One entry for each endpoint, persona and stage that had a request, in a stable order.
    pub cells: Vec<Cell>,
    /// Finished requests that were left out because they were due in the warm-up.
    pub warm_up_requests: u64,
    /// The time line.
    pub intervals: Vec<Interval>,
    /// The slowest requests, the slowest first.
    pub slowest: Vec<Slow>,
    /// Requests slower than the limit for a slow one, by endpoint.
    pub slow: BTreeMap<String, u64>,
    /// How the generator itself fared.
    pub generator: Generator,
    /// WebSocket channels, in a stable order.
    pub websockets: Vec<Channel>,
    /// Users that were started.
    pub users_started: u64,
    /// The largest number of users at work at the same time.
    pub users_most: u64,
}

/// What makes two runs comparable: they differ in nothing of this.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// SHA-256 of the persona file's text, lowercase hexadecimal.
    pub personas_sha256: String,
    /// Where the personas come from: a path, or `built-in`.
    pub personas_from: String,
    /// Closed or open, and how much.
    pub model: Model,
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// Left out from the start of the run.
    pub warm_up: Duration,
    /// The seed of all draws.
    pub seed: u64,
    /// Connections are kept between requests.
    pub keep_alive: bool,
    /// `http/1.1` or `h2`, as asked for: what is spoken is decided with the server.
    pub protocol: String,
    /// Some persona asks for compressed answers.
    pub compression: bool,
    /// A proxy stands between.
    pub proxy: bool,
    /// Limit of one request.
    pub timeout: Duration,
    /// Index and number of shards; `None` for a run that is whole by itself.
    pub shard: Option<(u32, u32)>,
}

/// How load comes about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Model {
    /// So many users, each of whom waits for an answer before the next request.
    Closed {
        /// The most users of any stage.
        users: u64,
    },
    /// Requests become due whatever the answers do.
    Open {
        /// The highest rate of any stage, requests a second.
        rate: f64,
        /// How due times are spread.
        arrivals: Arrivals,
        /// Open connections, at most.
        connections: usize,
    },
}

/// How due times are spread in the open model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// One every 1/rate seconds.
    Even,
    /// Independent of each other: exponential gaps (a Poisson process).
    Poisson,
}

/// A stretch of a run. Load goes in a straight line from `from` to `target`.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// `ramp`, `hold`, `ramp-down`, or `stage-N`.
    pub name: String,
    /// Users, or requests a second, at its start.
    pub from: f64,
    /// Users, or requests a second, at its end.
    pub target: f64,
    /// How long.
    pub duration: Duration,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// As planned.
    Complete,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// The deadline was shorter than the plan.
    Deadline,
    /// Goals were lost for too long; the sentence says which.
    Aborted(String),
    /// The load could not go on; the sentence says why.
    Broken(String),
}

/// One endpoint, for one persona, in one stage.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The endpoint's name, as Locust shows it: `GET /api/v1/market-data/[symbol]` without the method,
    /// unless two methods share a name.
    pub endpoint: String,
    /// The persona.
    pub persona: String,
    /// Index into [`Setup::stages`], of the stage in which the requests were due.
    pub stage: usize,
    /// What happened.
    pub stats: Stats,
}

/// Counts and times of finished requests.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Requests that ended, well or not; each is in [`Stats::response`].
    pub requests: u64,
    /// Those that ended badly: a status of 400 and over, a check, no answer.
    pub failures: u64,
    /// Answers whose checks were all good, of those that have checks.
    pub checks_passed: u64,
    /// Answers that had checks.
    pub checks_made: u64,
    /// From the due time to the last byte; what never ended counts until it was given up.
    pub response: Histogram<u64>,
    /// From the send to the last byte; only requests that were sent.
    pub service: Histogram<u64>,
    /// From the send to the head of the answer.
    pub first_byte: Histogram<u64>,
    /// Name, TCP and TLS, of requests that opened a connection.
    pub connect: Histogram<u64>,
    /// Bytes of the bodies, as they came over the wire: compressed ones before they were decoded.
    pub body_bytes: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Failures by kind.
    pub errors: BTreeMap<ErrorKind, Errors>,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            requests: 0,
            failures: 0,
            checks_passed: 0,
            checks_made: 0,
            response: micros_histogram(),
            service: micros_histogram(),
            first_byte: micros_histogram(),
            connect: micros_histogram(),
            body_bytes: 0,
            statuses: BTreeMap::new(),
            errors: BTreeMap::new(),
        }
    }
}

impl Stats {
    /// Adds what another cell recorded. The order of additions does not matter, except for which
    /// example of an error is kept.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        self.checks_passed += other.checks_passed;
        self.checks_made += other.checks_made;
        for (mine, theirs) in [
            (&mut self.response, &other.response),
            (&mut self.service, &other.service),
            (&mut self.first_byte, &other.first_byte),
            (&mut self.connect, &other.connect),
        ] {
            // Fails only where the bounds differ, and all cells have the same.
            let _ = mine.add(theirs);
        }
        self.body_bytes += other.body_bytes;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (kind, errors) in &other.errors {
            let mine = self.errors.entry(*kind).or_default();
            mine.count += errors.count;
            if mine.first.is_none() {
                mine.first.clone_from(&errors.first);
            }
        }
    }
}

/// What went wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// A status of 400 and over, or one that the step does not expect.
    Status,
    /// The body is not what the step expects.
    Check,
    /// The connection was refused.
    Refused,
    /// The connection, or the stream of HTTP/2, was reset before a whole answer came.
    Reset,
    /// The connection was closed without an answer.
    Closed,
    /// No connection came about in time.
    ConnectTimeout,
    /// No whole answer came in time.
    Timeout,
    /// The TLS handshake failed.
    Tls,
    /// What came is not HTTP.
    Malformed,
    /// The body ended before its end.
    Truncated,
    /// The body is not what its `content-encoding` says.
    BadEncoding,
    /// The body is larger than the limit.
    TooLarge,
    /// The name did not resolve, or there is no route.
    Unreachable,
    /// The proxy could not be reached, or made no tunnel.
    Proxy,
    /// A socket, port or descriptor of our own was missing.
    Local,
    /// A value for the request was missing: an earlier step that should have given it failed.
    Unset,
    /// A WebSocket did not open.
    WsRefused,
    /// A WebSocket did not give the expected message in time.
    WsSilent,
    /// A WebSocket was closed or broke off.
    WsClosed,
    /// The request was still open when the run ended.
    Unfinished,
    /// The request was due, but no connection was free until the run ended.
    Dropped,
}

impl ErrorKind {
    /// Every kind with what it means, for the page that lists them.
    pub const ALL: [(Self, &'static str, &'static str); 21] = [
        (
            Self::Status,
            "status",
            "a status of 400 and over, or one that the step does not expect",
        ),
        (
            Self::Check,
            "check",
            "the body is not what the step expects",
        ),
        (Self::Refused, "refused", "the connection was refused"),
        (
            Self::Reset,
            "reset",
            "the connection, or the stream of HTTP/2, was reset before a whole answer came",
        ),
        (
            Self::Closed,
            "closed",
            "the connection was closed without an answer",
        ),
        (
            Self::ConnectTimeout,
            "connect_timeout",
            "no connection came about in time",
        ),
        (Self::Timeout, "timeout", "no whole answer came in time"),
        (Self::Tls, "tls", "the TLS handshake failed"),
        (Self::Malformed, "malformed", "what came is not HTTP"),
        (
            Self::Truncated,
            "truncated",
            "the body ended before its end",
        ),
        (
            Self::BadEncoding,
            "bad_encoding",
            "the body is not what its `content-encoding` says",
        ),
        (
            Self::TooLarge,
            "too_large",
            "the body is larger than the limit",
        ),
        (
            Self::Unreachable,
            "unreachable",
            "the name did not resolve, or there is no route",
        ),
        (
            Self::Proxy,
            "proxy",
            "the proxy could not be reached, or made no tunnel",
        ),
        (
            Self::Local,
            "local",
            "a socket, port or descriptor of our own was missing",
        ),
        (
            Self::Unset,
            "unset",
            "a value was missing, because an earlier step did not give it",
        ),
        (Self::WsRefused, "ws_refused", "a WebSocket did not open"),
        (
            Self::WsSilent,
            "ws_silent",
            "a WebSocket did not give the expected message in time",
        ),
        (
            Self::WsClosed,
            "ws_closed",
            "a WebSocket was closed or broke off",
        ),
        (
            Self::Unfinished,
            "unfinished",
            "the request was still open when the run ended",
        ),
        (
            Self::Dropped,
            "dropped",
            "the request was due, but no connection was free until the run ended",
        ),
    ];

    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(kind, _, _)| *kind == self)
            .map_or("unknown", |(_, code, _)| code)
    }
}

/// Failures of one kind.
#[derive(Clone, Debug, Default)]
pub struct Errors {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Option<Example>,
}

/// A failed request that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// One sentence on what broke.
    pub message: String,
    /// Method and path as sent.
    pub request: String,
    /// The status, where one came.
    pub status: Option<u16>,
    /// The start of the body, not yet redacted.
    pub body: String,
    /// The id that the request bore in `traceparent`.
    pub trace_id: String,
}

/// A stretch of the time line.
#[derive(Clone, Debug)]
pub struct Interval {
    /// Its start, in seconds from the start of the run.
    pub start_seconds: f64,
    /// Its length, in seconds.
    pub seconds: f64,
    /// Requests that ended in it.
    pub requests: u64,
    /// Those that ended badly.
    pub failures: u64,
    /// Users at work at its end; open requests in the open model.
    pub users: u64,
    /// Response times of the requests that ended in it.
    pub response: Histogram<u32>,
}

/// One of the slowest requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Slow {
    /// The endpoint's name.
    pub endpoint: String,
    /// The persona.
    pub persona: String,
    /// When it was due, in seconds from the start of the run.
    pub due_seconds: f64,
    /// From the due time.
    pub response: Duration,
    /// From the send; absent where it was never sent.
    pub service: Option<Duration>,
    /// The status, or the code of what went wrong.
    pub outcome: String,
    /// The id that the request bore in `traceparent`, 32 hexadecimal digits.
    pub trace_id: String,
}

/// How the generator itself fared.
#[derive(Clone, Debug)]
pub struct Generator {
    /// CPU time of the process during the run, in seconds.
    pub cpu_seconds: f64,
    /// Threads that send.
    pub threads: usize,
    /// How late requests were handed on for reasons of our own: timers and CPU, not the wait for a
    /// connection.
    pub lateness: Histogram<u64>,
    /// One request in a hundred may be handed on so late; a generator that is later is saturated.
    pub lateness_limit: Duration,
    /// Arrivals of the open model that found no free connection and waited.
    pub waited: u64,
    /// How long those waited for a connection.
    pub wait: Histogram<u64>,
    /// Arrivals that never got a connection.
    pub dropped: u64,
    /// Requests that were open when the run ended, after draining.
    pub unfinished: u64,
    /// Connections that were opened.
    pub connections_opened: u64,
    /// The most connections that were open at the same time.
    pub connections_most: u64,
    /// Requests that were sent again over a new connection, because the kept one turned out to be
    /// closed before a byte of the answer came.
    pub retried: u64,
    /// Requests held back by the cap on the rate.
    pub held_back: u64,
    /// The process's limit of open descriptors, where it is known.
    pub descriptor_limit: Option<u64>,
}

impl Default for Generator {
    fn default() -> Self {
        Self {
            cpu_seconds: 0.0,
            threads: 1,
            lateness: micros_histogram(),
            lateness_limit: Duration::from_millis(100),
            waited: 0,
            wait: micros_histogram(),
            dropped: 0,
            unfinished: 0,
            connections_opened: 0,
            connections_most: 0,
            retried: 0,
            held_back: 0,
            descriptor_limit: None,
        }
    }
}

/// A WebSocket channel, over all users that held it.
#[derive(Clone, Debug)]
pub struct Channel {
    /// The endpoint's name.
    pub name: String,
    /// The persona.
    pub persona: String,
    /// Attempts to open it.
    pub attempts: u64,
    /// Those that opened.
    pub opened: u64,
    /// From the attempt to the open socket, name, TCP and TLS included.
    pub connect: Histogram<u64>,
    /// Messages that came.
    pub messages: u64,
    /// From a message's own time stamp, or from the send that it answers, to its arrival.
    pub latency: Histogram<u64>,
    /// Silences that were longer than allowed.
    pub gaps: u64,
    /// The longest silence.
    pub longest_gap: Duration,
    /// Sockets that were closed or broke off before their time.
    pub drops: u64,
}

impl RunResult {
    /// The sum over the cells that a filter lets through.
    pub fn sum(&self, keep: impl Fn(&Cell) -> bool) -> Stats {
        let mut sum = Stats::default();
        for cell in self.cells.iter().filter(|cell| keep(cell)) {
            sum.add(&cell.stats);
        }
        sum
    }

    /// The sum over everything.
    #[must_use]
    pub fn total(&self) -> Stats {
        self.sum(|_| true)
    }

    /// The names of the endpoints, in a stable order.
    #[must_use]
    pub fn endpoints(&self) -> Vec<&str> {
        distinct(self.cells.iter().map(|cell| cell.endpoint.as_str()))
    }

    /// The names of the personas that sent something, in a stable order.
    #[must_use]
    pub fn personas(&self) -> Vec<&str> {
        distinct(self.cells.iter().map(|cell| cell.persona.as_str()))
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen: Vec<&str> = names.collect();
    seen.sort_unstable();
    seen.dedup();
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bounds_are_valid_and_hold_their_ends() {
        let mut cell = micros_histogram();
        cell.record(micros(Duration::ZERO)).unwrap();
        cell.record(micros(Duration::from_secs(86_400))).unwrap();
        assert_eq!(cell.len(), 2);
        let mut interval = interval_histogram();
        interval.saturating_record(HIGHEST_MICROS);
        assert!(interval.equivalent(interval.max(), HIGHEST_MICROS));
    }

    #[test]
    fn every_kind_has_one_code() {
        let mut codes: Vec<&str> = ErrorKind::ALL
            .iter()
            .map(|(kind, ..)| kind.code())
            .collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
    }

    proptest! {
        #[test]
        fn merging_cells_equals_recording_together(
            times in prop::collection::vec((0_u64..4_000_000_000, any::<bool>(), 200_u16..600), 0..60),
            split in 0_usize..60,
        ) {
            let record = |times: &[(u64, bool, u16)]| {
                let mut stats = Stats::default();
                for (time, bad, status) in times {
                    stats.requests += 1;
                    stats.failures += u64::from(*bad);
                    stats.response.saturating_record(micros(Duration::from_micros(*time)));
                    *stats.statuses.entry(*status).or_default() += 1;
                }
                stats
            };
            let (left, right) = times.split_at(split.min(times.len()));
            let mut merged = record(left);
            merged.add(&record(right));
            let whole = record(&times);
            prop_assert_eq!(&merged.response, &whole.response);
            prop_assert_eq!((merged.requests, merged.failures), (whole.requests, whole.failures));
            prop_assert_eq!(merged.statuses, whole.statuses);
        }
    }
}
