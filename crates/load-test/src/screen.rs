//! What a person or a log sees while a run goes on: a table that is drawn anew on a terminal, a plain line
//! every ten seconds elsewhere.

use std::time::Duration;

use console::Term;
use gs_common::cli::Talk;
use gs_common::units::show_duration;

use crate::engine::Tick;

/// A log hears of a run that goes on so often.
const LINES_EVERY: Duration = Duration::from_secs(10);

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
        }
    }

    fn draw(&mut self, tick: &Tick<'_>) {
        let Some(term) = &self.term else { return };
        let lines = table(tick, &self.rates);
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

fn table(tick: &Tick<'_>, rates: &[f64]) -> Vec<String> {
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
    vec![
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
    ]
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
    use super::*;

    #[test]
    fn bars_show_what_is_most() {
        assert_eq!(bars(&[0.0, 5.0, 10.0]), "▁▅█");
        assert_eq!(bars(&[0.0]), "▁");
    }
}
