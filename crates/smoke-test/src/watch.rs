//! The same smoke test again and again, for an incident: live on a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gs_common::cli::Talk;
use gs_common::config::ConfigError;
use gs_common::exit::Exit;
use gs_common::http::{Answer, Incoming, Server};
use gs_common::outside::{Outside, in_runtime, interrupted, told};
use gs_common::redact::Redactor;
use gs_common::render::{Format, Look, causes, render, visible};
use gs_common::report::{INTERRUPTED, Report};
use gs_common::units;
use gs_common::verdict::Verdict;
use http::StatusCode;
use tokio::time::Instant;

use crate::args::WatchArgs;
use crate::config::Config;
use crate::run::Session;

/// What is remembered from run to run.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Runs so far.
    pub runs: u32,
    /// Runs in a row that were not good.
    pub bad_in_a_row: u32,
    /// The alarm is on.
    pub alarm: bool,
    /// The verdict of the last run, and since when it has been so.
    pub since: Option<(Verdict, jiff::Timestamp)>,
}

impl Memory {
    /// Takes a run in. The answer is a sentence where something changed that a person must hear of.
    pub fn take(&mut self, report: &Report, threshold: u32) -> Option<String> {
        self.runs += 1;
        let bad = report.verdict >= Verdict::Inconclusive;
        self.bad_in_a_row = if bad { self.bad_in_a_row + 1 } else { 0 };
        if self
            .since
            .is_none_or(|(verdict, _)| verdict != report.verdict)
        {
            self.since = Some((report.verdict, report.started_at));
        }
        if bad && !self.alarm && self.bad_in_a_row >= threshold.max(1) {
            self.alarm = true;
            return Some(format!(
                "ALARM after {} bad runs in a row: {}",
                self.bad_in_a_row, report.summary
            ));
        }
        if !bad && self.alarm {
            self.alarm = false;
            return Some(format!("recovered: {}", report.summary));
        }
        None
    }
}

/// The verb `watch`.
///
/// # Errors
/// An argument or the configuration is wrong.
pub fn command(args: &WatchArgs, outside: &Outside<'_>) -> Result<Exit, ConfigError> {
    let every = units::duration(&args.every)
        .map_err(|error| ConfigError::new(format!("--every: {error}")))?;
    if every.is_zero() {
        return Err(ConfigError::new("--every: no time at all is too little"));
    }
    let metrics = args.metrics.as_deref().map(loopback).transpose()?;
    let sinks = outside.sinks()?;
    let config = Config::resolve(&args.run, outside.variables, outside.cwd)?;
    let redactor = config.redactor.clone();
    let mut talk = outside.talk(redactor.clone());
    let live =
        std::io::stdout().is_terminal() && sinks.stdout_is_for_people() && !outside.output.quiet;
    let screen = Screen {
        live,
        look: outside.look(live),
        redactor: redactor.clone(),
        every,
        speaks: sinks.stdout_is_for_people(),
    };
    let done = in_runtime(async {
        let session = Session::open(config, &mut talk)?;
        keep_looking(&session, args, metrics, &screen, &mut talk).await
    })?
    .map(|report| outside.finish(report, &redactor, &sinks, &mut talk));
    Ok(told(done, &mut talk))
}

fn loopback(text: &str) -> Result<SocketAddr, ConfigError> {
    let address: SocketAddr = text.parse().map_err(|_| {
        ConfigError::new(format!("--metrics: `{text}` is no ADDRESS:PORT"))
            .hint("write 127.0.0.1:9464")
    })?;
    if !address.ip().is_loopback() {
        return Err(
            ConfigError::new(format!("--metrics: {address} is not on the loopback"))
                .hint("write 127.0.0.1:9464; a proxy can publish it"),
        );
    }
    Ok(address)
}

/// Runs until the count is reached or someone interrupts; the last whole report is the answer.
async fn keep_looking(
    session: &Session,
    args: &WatchArgs,
    metrics: Option<SocketAddr>,
    screen: &Screen,
    talk: &mut Talk,
) -> Result<Report, ConfigError> {
    let page = Arc::new(Mutex::new(String::new()));
    if let Some(address) = metrics {
        let server = Server::bind(address).map_err(|error| {
            ConfigError::new(format!("--metrics: cannot listen on {address}: {error}"))
        })?;
        talk.note(&format!("metrics: http://{}/metrics", server.local_addr()));
        let page = Arc::clone(&page);
        tokio::spawn(server.run(move |asked| {
            let page = page.lock().unwrap_or_else(PoisonError::into_inner).clone();
            async move { scrape(&asked, page) }
        }));
    }
    let mut memory = Memory::default();
    let ended = Arc::new(tokio::sync::Notify::new());
    let signal = Arc::clone(&ended);
    tokio::spawn(async move {
        interrupted().await;
        signal.notify_one();
    });
    loop {
        let began = Instant::now();
        let report = session.run(talk, true, ended.notified()).await;
        if report.reason == INTERRUPTED {
            return Ok(report);
        }
        let news = memory.take(&report, args.threshold);
        *page.lock().unwrap_or_else(PoisonError::into_inner) =
            metrics_text(&report, &memory, &session.config.redactor);
        screen.show(&report, &memory, news.as_deref());
        if args.count.is_some_and(|count| memory.runs >= count) {
            return Ok(report);
        }
        tokio::select! {
            biased;
            () = ended.notified() => return Ok(interrupted_report(report)),
            () = tokio::time::sleep_until(began + screen.every) => {}
        }
    }
}

/// The last whole report, which says that someone ended the watch.
fn interrupted_report(mut report: Report) -> Report {
    report.summary = format!("interrupted; the last run said: {}", report.summary);
    report.reason = INTERRUPTED.to_owned();
    report
}

fn metrics_text(report: &Report, memory: &Memory, redactor: &Redactor) -> String {
    let mut text = Vec::new();
    let report = redactor.report(report.clone());
    // Writing to memory cannot fail.
    let _ = render(Format::Prometheus, &report, &Look::default(), &mut text);
    let mut text = String::from_utf8_lossy(&text).into_owned();
    text.push_str(&format!(
        "# HELP gs_watch_runs_total Runs since the start.\n# TYPE gs_watch_runs_total counter\ngs_watch_runs_total {}\n\
         # HELP gs_watch_bad_in_a_row Runs in a row that were not good.\n# TYPE gs_watch_bad_in_a_row gauge\ngs_watch_bad_in_a_row {}\n\
         # HELP gs_watch_alarm 1 while the alarm is on.\n# TYPE gs_watch_alarm gauge\ngs_watch_alarm {}\n",
        memory.runs, memory.bad_in_a_row, u8::from(memory.alarm)
    ));
    text
}

/// What a scraper gets; nothing before the end of the first run, so that an absent verdict is seen.
fn scrape(asked: &Incoming, page: String) -> Answer {
    match (asked.path.as_str(), page.is_empty()) {
        ("/metrics", _) if asked.method != "GET" => Answer::wrong_method("GET"),
        ("/metrics", true) => {
            Answer::text(StatusCode::SERVICE_UNAVAILABLE, "the first run is not done")
        }
        ("/metrics", false) => Answer::metrics(page),
        _ => Answer::text(StatusCode::NOT_FOUND, "only /metrics is here"),
    }
}

struct Screen {
    live: bool,
    look: Look,
    redactor: Redactor,
    every: Duration,
    speaks: bool,
}

impl Screen {
    fn show(&self, report: &Report, memory: &Memory, news: Option<&str>) {
        if !self.speaks {
            return;
        }
        let text = if self.live {
            self.page(report, memory, news)
        } else {
            self.lines(report, memory, news)
        };
        let clean = self.redactor.text(&text).into_owned();
        let mut out = std::io::stdout().lock();
        // Nobody looks any more: the next signal ends it.
        let _ = out.write_all(clean.as_bytes()).and_then(|()| out.flush());
    }

    /// One line a run, and one where something changed.
    fn lines(&self, report: &Report, memory: &Memory, news: Option<&str>) -> String {
        let mut text = format!(
            "{:.0} run {} {}: {}\n",
            report.started_at,
            memory.runs,
            report.verdict,
            one_line(&report.summary)
        );
        if let Some(news) = news {
            text.push_str(&format!("{:.0} {}\n", report.started_at, one_line(news)));
        }
        text
    }

    /// The whole screen anew: the report's human face under a line about the watch.
    fn page(&self, report: &Report, memory: &Memory, news: Option<&str>) -> String {
        let since = memory.since.map(|(verdict, at)| {
            let seconds = report.ended_at.duration_since(at).as_secs().max(0);
            format!(
                "{verdict} for {}",
                units::show_duration(Duration::from_secs(seconds.unsigned_abs()))
            )
        });
        let mut text = format!(
            "\u{1b}[2J\u{1b}[Hwatching {} every {}, run {}, {}{}\n",
            visible(&report.subject.name),
            units::show_duration(self.every),
            memory.runs,
            since.unwrap_or_default(),
            if memory.alarm { ", ALARM" } else { "" }
        );
        if let Some(news) = news {
            text.push_str(&format!("{}\n", one_line(news)));
        }
        text.push('\n');
        for cause in causes(report) {
            let sentence = one_line(&cause.sentence);
            text.push_str(&format!(
                "{} {}: {sentence}\n",
                cause.verdict,
                cause.checks.join(", ")
            ));
        }
        let mut face = Vec::new();
        let quiet = report.verdict < Verdict::Inconclusive;
        let look = Look { quiet, ..self.look };
        let _ = render(
            Format::Human,
            &self.redactor.report(report.clone()),
            &look,
            &mut face,
        );
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(&face));
        text.push_str("Ctrl-C ends the watch with the last whole report.\n");
        text
    }
}

fn one_line(text: &str) -> String {
    visible(text).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdict: Verdict) -> Report {
        let mut report: Report = serde_json::from_value(serde_json::json!({
            "schema": "gs.report/v1", "tool": {"name": "smoke-test", "version": "0"},
            "subject": {"kind": "url", "name": "u", "commit": null},
            "started_at": "2026-11-24T02:00:00.000Z", "ended_at": "2026-11-24T02:00:01.000Z",
            "verdict": "pass", "reason": "r", "summary": "s",
        }))
        .unwrap();
        report.verdict = verdict;
        report
    }

    #[test]
    fn an_alarm_needs_runs_in_a_row_and_is_told_once() {
        let mut memory = Memory::default();
        let mut told = |verdict| {
            memory
                .take(&report(verdict), 2)
                .map(|news| news.split(' ').next().unwrap_or_default().to_owned())
        };
        assert_eq!(told(Verdict::Fail), None);
        assert_eq!(told(Verdict::Pass), None);
        assert_eq!(told(Verdict::Fail), None);
        assert_eq!(told(Verdict::Inconclusive), Some("ALARM".to_owned()));
        assert_eq!(told(Verdict::Fail), None);
        assert_eq!(told(Verdict::Warn), Some("recovered:".to_owned()));
    }

    #[test]
    fn metrics_are_served_on_the_loopback_only() {
        assert!(loopback("127.0.0.1:0").is_ok() && loopback("[::1]:9464").is_ok());
        assert!(loopback("0.0.0.0:9464").is_err() && loopback("9464").is_err());
    }

    #[test]
    fn before_the_first_run_a_scraper_gets_no_metrics() {
        let asked = |path: &str, page: &str| {
            let incoming = Incoming {
                path: path.to_owned(),
                ..Incoming::default()
            };
            scrape(&incoming, page.to_owned()).status.as_u16()
        };
        assert_eq!(asked("/metrics", ""), 503);
        assert_eq!(asked("/metrics", "x 1\n"), 200);
        assert_eq!(asked("/", "x 1\n"), 404);
    }
}
