//! What a person or a log sees while a run goes on: a table that is drawn anew on a terminal, a plain line
//! every ten seconds elsewhere, and every minute one for each endpoint.

use std::time::Duration;

use console::{Term, truncate_str};
use gs_common::cli::Talk;
use gs_common::units::show_duration;

use crate::engine::{Live, Tick};

/// A log hears of a run that goes on so often.
const LINES_EVERY: Duration = Duration::from_secs(10);

/// So many of those lines, and the endpoints follow.
const ENDPOINTS_EVERY: u32 = 6;

/// Lines of the table beside the endpoints, and one for the cursor.
const OTHER_LINES: usize = 8;

/// Seconds of which the table shows the rate.
const HISTORY: usize = 40;

/// Shows a run while it goes on.
#[derive(Debug)]
pub(crate) struct Screen<'a> {
    talk: &'a mut Talk,
    term: Option<Term>,
    drawn: usize,
    rates: Vec<f64>,
    next_line: Duration,
    lines: u32,
    since: Sum,
}

/// What happened since the last plain line.
#[derive(Debug, Default)]
struct Sum {
    requests: u64,
    failures: u64,
    seconds: f64,
    worst_p95_ms: f64,
}

impl<'a> Screen<'a> {
    /// On a terminal a table, else plain lines; nothing where it shall be quiet.
    pub(crate) fn new(talk: &'a mut Talk, live: bool) -> Self {
        let term = Term::stderr();
        Self {
            talk,
            term: (live && term.is_term()).then_some(term),
            drawn: 0,
            rates: Vec::new(),
            next_line: LINES_EVERY,
            lines: 0,
            since: Sum::default(),
        }
    }

    /// Shows an interval.
    pub(crate) fn tick(&mut self, tick: &Tick<'_>) {
        let interval = tick.interval;
        self.since.requests += interval.requests;
        self.since.failures += interval.failures;
        self.since.seconds += interval.seconds;
        if !interval.response.is_empty() {
            let p95 = interval.response.value_at_quantile(0.95) as f64 / 1e3;
            self.since.worst_p95_ms = self.since.worst_p95_ms.max(p95);
        }
        self.rates
            .push(interval.requests as f64 / interval.seconds.max(1e-9));
        if self.rates.len() > HISTORY {
            self.rates.remove(0);
        }
        if self.term.is_some() {
            self.draw(tick);
        } else if tick.elapsed >= self.next_line {
            self.next_line += LINES_EVERY;
            let since = std::mem::take(&mut self.since);
            self.talk.note(&line(tick, &since));
            self.lines += 1;
            if self.lines.is_multiple_of(ENDPOINTS_EVERY) {
                for line in endpoints(tick, usize::MAX, usize::MAX) {
                    self.talk.note(&line);
                }
            }
        }
    }

    fn draw(&mut self, tick: &Tick<'_>) {
        let Some(term) = &self.term else { return };
        let (rows, columns) = term.size();
        let lines = table(tick, &self.rates, rows.into(), columns.into());
        // A terminal that went away has nobody left who could look.
        let _ = term.clear_last_lines(self.drawn);
        for line in &lines {
            let _ = term.write_line(line);
        }
        self.drawn = lines.len();
    }

    /// Takes the table away.
    pub(crate) fn done(self) -> &'a mut Talk {
        if let Some(term) = &self.term {
            let _ = term.clear_last_lines(self.drawn);
        }
        self.talk
    }
}

fn line(tick: &Tick<'_>, since: &Sum) -> String {
    format!(
        "{} of {}, {}: {} {}, {:.1} requests/s, worst second's p95 {:.1} ms, {} failed, {} open{}",
        seconds(tick.elapsed),
        show_duration(tick.length),
        tick.stage.name,
        tick.users,
        if tick.users == 1 { "user" } else { "users" },
        since.requests as f64 / since.seconds.max(1e-9),
        since.worst_p95_ms,
        since.failures,
        tick.open,
        if tick.waiting > 0 {
            format!(", {} waiting for a connection", tick.waiting)
        } else {
            String::new()
        }
    )
}

/// The table, no higher and no wider than the terminal: a line that wraps could not be taken away.
fn table(tick: &Tick<'_>, rates: &[f64], rows: usize, columns: usize) -> Vec<String> {
    let response = &tick.interval.response;
    let at = |q: f64| {
        if response.is_empty() {
            "-".to_owned()
        } else {
            format!("{:.1} ms", response.value_at_quantile(q) as f64 / 1e3)
        }
    };
    let share = if tick.requests > 0 {
        100.0 * tick.failures as f64 / tick.requests as f64
    } else {
        0.0
    };
    let mut lines = vec![
        format!(
            "  {} of {}   stage {}   users {}   open {}   waiting {}",
            seconds(tick.elapsed),
            show_duration(tick.length),
            tick.stage.name,
            tick.users,
            tick.open,
            tick.waiting
        ),
        format!(
            "  requests {:>9}   failed {:>7} ({share:.2}%)   {:>8.1} requests/s",
            tick.requests,
            tick.failures,
            rates.last().copied().unwrap_or(0.0)
        ),
        format!(
            "  response p50 {:>10}   p95 {:>10}   p99 {:>10}   max {:>10}",
            at(0.5),
            at(0.95),
            at(0.99),
            at(1.0)
        ),
        format!("  {}", bars(rates)),
    ];
    lines.extend(endpoints(tick, rows.saturating_sub(OTHER_LINES), columns));
    lines
        .into_iter()
        .map(|line| truncate_str(&line, columns.saturating_sub(1), "").into_owned())
        .collect()
}

/// Wide enough for the figures behind an endpoint's name.
const FIGURES: usize = 62;

/// A line for each endpoint that was asked for: counts and percentiles of the run so far, the rate of the
/// last interval. Where there is no room for all, those with failures and the slowest are shown, in the
/// personas' order.
fn endpoints(tick: &Tick<'_>, room: usize, columns: usize) -> Vec<String> {
    let asked: Vec<&Live> = tick.endpoints.iter().filter(|e| e.requests > 0).collect();
    if asked.is_empty() || room < 2 {
        return Vec::new();
    }
    let shown = if asked.len() < room {
        asked.clone()
    } else {
        // A line for the head, and one for what is left out.
        let p95 = |live: &Live| live.response.value_at_quantile(0.95);
        let mut ranked: Vec<usize> = (0..asked.len()).collect();
        ranked.sort_by_key(|at| std::cmp::Reverse((asked[*at].failures, p95(asked[*at]))));
        ranked.truncate(room - 2);
        ranked.sort_unstable();
        ranked.into_iter().map(|at| asked[at]).collect()
    };
    let longest = asked.iter().map(|live| live.name.chars().count()).max();
    let width = longest
        .unwrap_or(0)
        .min(columns.saturating_sub(FIGURES + 3))
        .clamp(8, 48);
    let mut lines = vec![format!(
        "  {:width$} {:>9} {:>8} {:>8} {:>10} {:>10} {:>10}",
        "endpoint", "requests", "failed", "per s", "p50 ms", "p95 ms", "p99 ms"
    )];
    lines.extend(shown.iter().map(|live| {
        let at = |q: f64| live.response.value_at_quantile(q) as f64 / 1e3;
        format!(
            "  {:width$} {:>9} {:>8} {:>8.1} {:>10.1} {:>10.1} {:>10.1}",
            truncate_str(&live.name, width, "…"),
            live.requests,
            live.failures,
            live.recent as f64 / tick.interval.seconds.max(1e-9),
            at(0.5),
            at(0.95),
            at(0.99),
        )
    }));
    let left = asked.len() - shown.len();
    if left > 0 {
        lines.push(format!("  and {left} more"));
    }
    lines
}

fn seconds(elapsed: Duration) -> String {
    show_duration(Duration::from_secs(elapsed.as_secs()))
}

/// The last rates as bars, the highest one full.
fn bars(rates: &[f64]) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = rates.iter().copied().fold(0.0, f64::max);
    rates
        .iter()
        .map(|rate| {
            let level = if most > 0.0 { rate / most * 7.0 } else { 0.0 };
            LEVELS[(level.round() as usize).min(7)]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::result::{Interval, Stage, interval_histogram};

    /// An endpoint with answers of 1 to 100 ms, of which so many are failures.
    fn live(name: &str, slowest_ms: u64, failures: u64) -> Live {
        let mut live = Live::new(name);
        for at in 1..=100 {
            live.response.record(at * slowest_ms * 10).unwrap();
        }
        live.requests = 100;
        live.failures = failures;
        live.recent = 20;
        live
    }

    fn with_tick<T>(endpoints: &[Live], look: impl FnOnce(&Tick<'_>) -> T) -> T {
        with_tick_at(10, endpoints, look)
    }

    fn with_tick_at<T>(second: u64, endpoints: &[Live], look: impl FnOnce(&Tick<'_>) -> T) -> T {
        let stage = Stage {
            name: "hold".to_owned(),
            from: 1.0,
            target: 1.0,
            duration: Duration::from_secs(60),
        };
        let interval = Interval {
            start_seconds: 0.0,
            seconds: 2.0,
            requests: 40,
            failures: 0,
            users: 3,
            response: interval_histogram(),
        };
        look(&Tick {
            elapsed: Duration::from_secs(second),
            length: Duration::from_secs(60),
            stage: &stage,
            interval: &interval,
            users: 3,
            open: 1,
            waiting: 0,
            requests: 200,
            failures: 7,
            endpoints,
        })
    }

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_hears_of_the_run_often_and_of_endpoints_seldom() {
        let heard = Heard::default();
        let output = gs_common::cli::OutputArgs::default();
        let mut talk = Talk::new(
            heard.clone(),
            gs_common::redact::Redactor::new(),
            false,
            &output,
        );
        let mut screen = Screen::new(&mut talk, false);
        let all = [live("/health", 10, 0), live("/api/v1/signals", 100, 7)];
        for second in 1..=60 {
            with_tick_at(second, &all, |tick| screen.tick(tick));
        }
        let text = String::from_utf8(heard.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6 + 3, "{text}");
        assert!(
            lines[0].starts_with("10s of 1m, hold: 3 users, 20.0 requests/s"),
            "{text}"
        );
        assert!(lines[7].starts_with("  /health "), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn bars_show_what_is_most() {
        assert_eq!(bars(&[0.0, 5.0, 10.0]), "▁▅█");
        assert_eq!(bars(&[0.0]), "▁");
    }

    #[test]
    fn every_endpoint_has_its_row() {
        let all = [
            live("/health", 10, 0),
            Live::new("/never"),
            live("/api/v1/signals", 100, 7),
        ];
        let lines = with_tick(&all, |tick| table(tick, &[20.0], 40, 100));
        let text = lines.join("\n");
        assert!(
            text.contains(
                "endpoint         requests   failed    per s     p50 ms     p95 ms     p99 ms"
            ),
            "{text}"
        );
        assert!(
            text.contains(
                "  /api/v1/signals       100        7     10.0       50.2       95.2       99.3"
            ),
            "{text}"
        );
        assert!(
            text.contains(
                "  /health               100        0     10.0        5.0        9.5        9.9"
            ),
            "{text}"
        );
        assert!(!text.contains("/never"), "{text}");
        assert_eq!(lines.len(), 7);
    }

    #[test]
    fn a_small_terminal_shows_what_failed_and_what_is_slow() {
        let mut all: Vec<Live> = (1..=30)
            .map(|n| live(&format!("/endpoint-with-a-long-name/{n}"), n, 0))
            .collect();
        all[4].failures = 1;
        for (rows, columns) in [(12, 40), (12, 80), (24, 100), (4, 20), (0, 0)] {
            let lines = with_tick(&all, |tick| table(tick, &[20.0; 40], rows, columns));
            assert!(lines.len() < rows.max(5), "{rows}: {lines:#?}");
            for line in &lines {
                assert!(
                    line.chars().count() <= columns.saturating_sub(1),
                    "{columns}: {line}"
                );
            }
        }
        let lines = with_tick(&all, |tick| table(tick, &[20.0], 12, 100));
        assert!(lines[5].contains("/5 "), "{lines:#?}");
        assert!(lines[6].contains("/30 "), "{lines:#?}");
        assert_eq!(lines[7], "  and 28 more");
    }
}
