//! The loop with a scripted source and a paused clock: fifteen minutes pass in no time.

use std::path::Path;
use std::time::Duration;

use clap::Parser as _;
use gs_common::report::Check;
use gs_common::verdict::Verdict;
use tokio::sync::mpsc;

use super::operator::Order;
use super::*;
use crate::args::Cli;
use crate::observations::{Header, Scrape};
use crate::replay;
use crate::simulate::{World, make, scenario};
use crate::source::{Look, SourceError};

mod resume;

/// A source that plays a world, grid point by grid point.
#[derive(Clone)]
struct Script {
    header: Header,
    scrapes: Vec<Scrape>,
    given: f64,
    remembers: bool,
    /// Prepare fails so often.
    unready: u32,
    /// Looks fail in this stretch, in seconds of the run.
    down: std::ops::Range<f64>,
}

impl Script {
    fn of(name: &str) -> Self {
        let size = World {
            rate: 20.0,
            stable_pods: 6,
            duration_seconds: 900.0,
            extra_seconds: 3600.0,
            seed: 3,
        };
        let (header, scrapes) = make(scenario::find(name).unwrap(), &size);
        Self {
            header,
            scrapes,
            given: f64::NEG_INFINITY,
            remembers: false,
            unready: 0,
            down: 0.0..0.0,
        }
    }

    fn between(&self, from: f64, to: f64) -> impl Iterator<Item = &Scrape> {
        let mut scrapes = self.scrapes.iter();
        std::iter::from_fn(move || {
            scrapes.find(|scrape| scrape.at_seconds > from && scrape.at_seconds <= to)
        })
    }
}

fn look(scrape: Option<Scrape>) -> Look {
    Look {
        scrape,
        lost: Vec::new(),
    }
}

fn refused() -> SourceError {
    SourceError {
        what: "http://prometheus:9090 refused the connection".to_owned(),
        hint: None,
    }
}

impl Source for Script {
    async fn prepare(&mut self, plan: &Plan) -> Result<Prepared, SourceError> {
        if self.unready > 0 {
            self.unready -= 1;
            return Err(refused());
        }
        Ok(Prepared {
            header: Header {
                duration_seconds: plan.duration_seconds,
                canary_weight: plan.canary_weight,
                ..self.header.clone()
            },
            queries: vec!["http_requests_total".to_owned()],
            warnings: Vec::new(),
        })
    }

    async fn look(&mut self, plan: &Plan, now: Timestamp) -> Result<Look, SourceError> {
        let now = plan.seconds_at(now);
        if self.down.contains(&now) {
            return Err(refused());
        }
        let next = self.between(self.given, now).next().cloned();
        if let Some(scrape) = &next {
            self.given = scrape.at_seconds;
        }
        Ok(look(next))
    }

    async fn past(
        &mut self,
        plan: &Plan,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Vec<Look>>, SourceError> {
        let (from, to) = (plan.seconds_at(from), plan.seconds_at(to));
        self.given = to;
        let looks = self.between(from, to).cloned().map(Some).map(look);
        Ok(self.remembers.then(|| looks.collect()))
    }

    async fn doctor(&mut self, _: &Plan, _: Timestamp) -> Vec<Check> {
        Vec::new()
    }
}

/// A run under test.
struct Bench {
    folder: tempfile::TempDir,
    base: Timestamp,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            base: "2026-11-24T02:00:00Z".parse().unwrap(),
        }
    }

    fn log(&self) -> String {
        self.folder
            .path()
            .join("canary.jsonl")
            .display()
            .to_string()
    }

    fn config(&self, flags: &[&str]) -> Result<Config, ConfigError> {
        let here = "--scrape canary=http://127.0.0.1:1 --scrape stable=http://127.0.0.1:2";
        let words = ["canary-monitor"].into_iter().chain(here.split(' '));
        let cli = Cli::try_parse_from(words.chain(flags.iter().copied())).unwrap();
        Config::resolve(&cli.run, &BTreeMap::new(), self.folder.path())
    }

    /// Runs to the end, or until the runner is lost after so many seconds. `orders` come at their
    /// seconds.
    async fn run(
        &self,
        source: &mut Script,
        flags: &[&str],
        orders: Vec<(f64, Order)>,
        lost_after: Option<f64>,
    ) -> Result<Option<Report>, ConfigError> {
        let config = self.config(flags)?;
        let start = Start::open(&config)?;
        let mut talk = Talk::new(
            std::io::sink(),
            config.redactor.clone(),
            false,
            &gs_common::cli::OutputArgs::default(),
        );
        let (sender, receiver) = mpsc::unbounded_channel();
        let began = tokio::time::Instant::now();
        let sending = async move {
            for (seconds, order) in orders {
                tokio::time::sleep_until(began + Duration::from_secs_f64(seconds)).await;
                sender.send(order).unwrap();
            }
            // Kept open, as a terminal is.
            std::future::pending::<()>().await;
        };
        let whole = async {
            let events = Events::new(std::future::pending(), config.course.deadline, receiver);
            let ready = start
                .session(source, &config, Steady::at(self.base), events, &mut talk)
                .await?;
            let ready = match ready {
                Ok(ready) => ready,
                Err(why) => {
                    let nothing = Nothing {
                        config: &config,
                        why,
                        began: self.base,
                        folder: self.folder.path(),
                    };
                    let never = std::future::pending();
                    return Ok(nothing.conclude(|| self.base, never, &mut talk).await);
                }
            };
            let session = Session {
                config: &config,
                state: ready.state,
                plan: ready.plan,
                clock: ready.clock,
                events: ready.events,
                face: Face::lines(false),
                folder: self.folder.path(),
                who: "tester".to_owned(),
                log_was_told: false,
            };
            Ok(watched(
                session,
                source,
                ready.resumed,
                &mut Talk::new(
                    std::io::sink(),
                    config.redactor.clone(),
                    false,
                    &gs_common::cli::OutputArgs::default(),
                ),
            )
            .await)
        };
        let lost = async {
            match lost_after {
                Some(seconds) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            report = whole => report.map(Some),
            () = sending => Ok(None),
            () = lost => Ok(None),
        }
    }

    async fn finished(&self, name: &str, flags: &[&str]) -> Report {
        let mut source = Script::of(name);
        self.run(&mut source, flags, Vec::new(), None)
            .await
            .unwrap()
            .unwrap()
    }

    /// The decision as it stands in the log, and as a replay makes it anew.
    fn decisions(&self) -> (String, String) {
        let text = std::fs::read_to_string(self.log()).unwrap();
        let mut written = text
            .lines()
            .filter(|line| line.contains("\"type\":\"decision\""));
        let written = written.next_back().unwrap_or_default().to_owned();
        let recording = log::read(&text).unwrap();
        let policy = recording.log.as_ref().unwrap().policy.clone();
        let (decision, _) = log::judge(&recording, &policy);
        let again = log::Line::Decision((&decision).into()).encode().unwrap();
        (written, again.trim_end().to_owned())
    }
}

#[track_caller]
fn says(report: &Report, verdict: Verdict, code: &str) {
    assert_eq!(
        (report.verdict, report.reason.as_str()),
        (verdict, code),
        "{}",
        report.summary
    );
}

fn check<'a>(report: &'a Report, id: &str) -> &'a Check {
    report.checks.iter().find(|check| check.id == id).unwrap()
}

#[tokio::test(start_paused = true)]
async fn worlds_get_the_verdict_that_a_replay_of_the_log_gives_too() {
    for (name, verdict, code) in [
        ("healthy", Verdict::Pass, "healthy"),
        ("latency-doubled", Verdict::Fail, "latency"),
        ("errors-1-to-3", Verdict::Fail, "error_rate"),
        ("crash-loop", Verdict::Fail, "restarts"),
        ("leak", Verdict::Fail, "memory_leak"),
        ("no-traffic", Verdict::Inconclusive, "no_traffic"),
    ] {
        let bench = Bench::new();
        let report = bench.finished(name, &["--log", &bench.log()]).await;
        says(&report, verdict, code);
        let (written, again) = bench.decisions();
        assert!(written.contains(code), "{name}: {written}");
        assert_eq!(written, again, "{name}");
        let replayed = replay::file(
            Path::new(&bench.log()),
            replay::How::default(),
            &crate::judge::Policy::default(),
        )
        .unwrap();
        assert_eq!(replayed.decision.verdict, verdict);
        assert!(replayed.lost.is_empty(), "{name}: {:?}", replayed.lost);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_canary_is_found_before_the_end_and_its_check_says_so() {
    let bench = Bench::new();
    let began = tokio::time::Instant::now();
    let report = bench.finished("latency-doubled", &[]).await;
    assert!(
        began.elapsed() <= Duration::from_secs(330),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(check(&report, "latency").verdict, Verdict::Fail);
    assert_eq!(check(&report, "error_rate").verdict, Verdict::Pass);
    assert!(!report.next.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_never_ready_is_no_verdict() {
    let bench = Bench::new();
    let mut source = Script {
        unready: u32::MAX,
        ..Script::of("healthy")
    };
    let report = bench
        .run(&mut source, &["--log", &bench.log()], Vec::new(), None)
        .await
        .unwrap()
        .unwrap();
    says(&report, Verdict::Inconclusive, "metrics_unavailable");
    assert!(
        report.summary.contains("refused the connection"),
        "{}",
        report.summary
    );
    // The log that it did not fill is no obstacle for the next run.
    let report = bench.finished("healthy", &["--log", &bench.log()]).await;
    says(&report, Verdict::Pass, "healthy");
}

#[tokio::test(start_paused = true)]
async fn what_the_pipeline_chose_holds_where_nothing_could_be_watched_too() {
    for (choice, verdict) in [("fail", Verdict::Fail), ("pass", Verdict::Inconclusive)] {
        let bench = Bench::new();
        let mut source = Script {
            unready: u32::MAX,
            ..Script::of("healthy")
        };
        let flags = [
            "--on-inconclusive",
            choice,
            "--on-fail",
            "rollback",
            "--dry-run",
        ];
        let report = bench
            .run(&mut source, &flags, Vec::new(), None)
            .await
            .unwrap()
            .unwrap();
        says(&report, verdict, "metrics_unavailable");
        let said = report
            .not_covered
            .iter()
            .any(|told| told.contains("would have run --on-fail rollback"));
        assert_eq!(said, choice == "fail");
    }
    let bench = Bench::new();
    let mut source = Script {
        unready: u32::MAX,
        ..Script::of("healthy")
    };
    let flags = ["--wait-ready", "1h", "--duration", "5m", "--deadline", "6m"];
    let report = bench
        .run(&mut source, &flags, Vec::new(), None)
        .await
        .unwrap()
        .unwrap();
    says(&report, Verdict::Inconclusive, "deadline");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_comes_late_is_waited_for() {
    let bench = Bench::new();
    let mut source = Script {
        unready: 4,
        ..Script::of("healthy")
    };
    let report = bench
        .run(&mut source, &[], Vec::new(), None)
        .await
        .unwrap()
        .unwrap();
    says(&report, Verdict::Pass, "healthy");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_dies_loses_coverage_and_never_passes() {
    for (down, verdict, code) in [
        (
            0.5..f64::INFINITY,
            Verdict::Inconclusive,
            "metrics_unavailable",
        ),
        (300.0..f64::INFINITY, Verdict::Inconclusive, "coverage"),
        (300.0..345.0, Verdict::Pass, "healthy"),
    ] {
        let bench = Bench::new();
        let mut source = Script {
            down,
            ..Script::of("healthy")
        };
        let report = bench
            .run(&mut source, &["--log", &bench.log()], Vec::new(), None)
            .await
            .unwrap()
            .unwrap();
        says(&report, verdict, code);
        assert!(
            report
                .not_covered
                .iter()
                .any(|told| told.contains("refused")),
            "{:?}",
            report.not_covered
        );
        let (written, again) = bench.decisions();
        assert_eq!(written, again);
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_before_its_time_is_no_pass_however_good_it_looked() {
    let bench = Bench::new();
    let log = bench.log();
    let mut source = Script::of("healthy");
    // The runner is slow to end: the deadline comes 2 s before the last look.
    let orders = vec![(895.0, Order::Extend)];
    let report = bench
        .run(
            &mut source,
            &["--log", &log, "--deadline", "1000s"],
            orders,
            None,
        )
        .await
        .unwrap()
        .unwrap();
    says(&report, Verdict::Inconclusive, "deadline");
    assert_eq!(bench.decisions().0, bench.decisions().1);
    assert_eq!(report.details["computed"]["reason"], "cut_short");
}

#[tokio::test(start_paused = true)]
async fn a_person_can_hold_extend_note_and_abort_and_the_log_knows_who() {
    let bench = Bench::new();
    let log = bench.log();
    let mut source = Script::of("healthy");
    let orders = vec![
        (100.0, Order::Note("db is being migrated".to_owned())),
        (200.0, Order::Hold),
        (1500.0, Order::Release),
    ];
    let report = bench
        .run(&mut source, &["--log", &log], orders, None)
        .await
        .unwrap()
        .unwrap();
    says(&report, Verdict::Pass, "healthy");
    let decided = report.details["computed"]["at_seconds"].as_f64().unwrap();
    assert!((1500.0..1600.0).contains(&decided), "{decided}");
    let actions: Vec<_> = report.details["operator"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["who"].as_str().unwrap(),
                one["action"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        actions,
        [
            ("tester", "note"),
            ("tester", "hold"),
            ("tester", "release")
        ]
    );
    assert!(
        std::fs::read_to_string(&log)
            .unwrap()
            .contains("db is being migrated")
    );
    assert_eq!(bench.decisions().0, bench.decisions().1);

    let bench = Bench::new();
    let mut source = Script::of("healthy");
    let report = bench
        .run(&mut source, &[], vec![(100.0, Order::Extend)], None)
        .await
        .unwrap()
        .unwrap();
    assert!(report.details["computed"]["at_seconds"].as_f64().unwrap() >= 1190.0);

    let bench = Bench::new();
    let log = bench.log();
    let mut source = Script::of("healthy");
    let report = bench
        .run(
            &mut source,
            &["--log", &log],
            vec![(450.0, Order::Abort)],
            None,
        )
        .await
        .unwrap()
        .unwrap();
    says(&report, Verdict::Fail, "aborted_by_operator");
    assert_eq!(report.details["computed"]["reason"], "cut_short");
    assert_eq!(bench.decisions().0, bench.decisions().1);
}

#[tokio::test(start_paused = true)]
async fn a_hold_does_not_keep_a_bad_canary_alive() {
    let bench = Bench::new();
    let mut source = Script::of("latency-doubled");
    let report = bench
        .run(&mut source, &[], vec![(10.0, Order::Hold)], None)
        .await
        .unwrap()
        .unwrap();
    says(&report, Verdict::Fail, "latency");
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_takes_the_pass_and_not_the_fail() {
    let bench = Bench::new();
    let report = bench.finished("healthy", &["--log", "/dev/full"]).await;
    says(&report, Verdict::Inconclusive, "log_lost");
    assert_eq!(report.details["computed"]["verdict"], "pass");
    let report = bench.finished("crash-loop", &["--log", "/dev/full"]).await;
    says(&report, Verdict::Fail, "restarts");
}

#[tokio::test(start_paused = true)]
async fn steps_follow_each_other_while_the_canary_is_fit() {
    let bench = Bench::new();
    let log = bench.log();
    let flags = [
        "--log",
        &log,
        "--steps",
        "10,25,50",
        "--step-duration",
        "5m",
    ];
    let report = bench.finished("healthy", &flags).await;
    // Nobody sets weights here: the split that was declared is not the one that is.
    says(&report, Verdict::Inconclusive, "split");
    assert_eq!(report.details["steps"]["reached"], 3);
    let text = std::fs::read_to_string(&log).unwrap();
    let steps: Vec<f64> = text
        .lines()
        .filter(|line| line.contains("\"type\":\"step\""))
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["at_seconds"].as_f64().unwrap()
        })
        .collect();
    assert!(
        steps.len() == 3 && steps[1] >= 300.0 && steps[2] >= 600.0 && steps[2] < 700.0,
        "{steps:?}"
    );
    assert_eq!(bench.decisions().0, bench.decisions().1);

    let bench = Bench::new();
    let flags = ["--steps", "10,25,50", "--step-duration", "5m"];
    let report = bench.finished("no-traffic", &flags).await;
    says(&report, Verdict::Inconclusive, "step_held");
    assert_eq!(report.details["steps"]["reached"], 1);
    let report = bench.finished("latency-doubled", &flags).await;
    says(&report, Verdict::Fail, "latency");
}

#[tokio::test(start_paused = true)]
async fn a_look_that_makes_no_sense_is_lost_and_said() {
    let bench = Bench::new();
    let log = bench.log();
    let mut source = Script::of("healthy");
    source.scrapes[20].pods[0].errors = Some(u64::MAX);
    let report = bench
        .run(&mut source, &["--log", &log], Vec::new(), None)
        .await
        .unwrap()
        .unwrap();
    says(&report, Verdict::Pass, "healthy");
    assert!(
        report
            .not_covered
            .iter()
            .any(|told| told.contains("makes no sense")),
        "{:?}",
        report.not_covered
    );
    assert_eq!(bench.decisions().0, bench.decisions().1);
}

#[tokio::test(start_paused = true)]
async fn no_verdict_becomes_what_the_pipeline_chose_aloud() {
    let bench = Bench::new();
    for (choice, verdict) in [
        ("hold", Verdict::Inconclusive),
        ("fail", Verdict::Fail),
        ("pass", Verdict::Pass),
    ] {
        let report = bench
            .finished("no-traffic", &["--on-inconclusive", choice])
            .await;
        says(&report, verdict, "no_traffic");
        assert_eq!(report.details["computed"]["verdict"], "inconclusive");
        let aloud = report.details["aloud"].as_array().unwrap().len();
        assert_eq!(aloud, usize::from(choice != "hold"));
    }
}

#[test]
fn what_makes_no_sense_together_is_refused() {
    let bench = Bench::new();
    let refused = |flags: &[&str], said: &str| {
        let error = bench.config(flags).unwrap_err();
        let text = format!("{error} {}", error.hint.clone().unwrap_or_default());
        assert!(text.contains(said), "{flags:?}: {text}");
    };
    refused(&["--deadline", "15m"], "no run could pass");
    refused(&["--steps", "10,25", "--duration", "5m"], "--step-duration");
    refused(&["--steps", "25,10"], "do not grow");
    refused(&["--steps", "10,200"], "does not lie between");
    refused(&["--weight", "100%"], "no weight of a canary");
    refused(&["--on-pass", "promote 'x"], "is not closed");
    refused(&["--on-inconclusive", "psas"], "did you mean `pass`");
    refused(
        &["--on-inconclusive", "hold", "--on-inconclusive", "pass"],
        "more than one",
    );
    refused(&["--time-scale", "0.5"], "does not lie between 1");
    refused(
        &[
            "--time-scale",
            "20",
            "--scrape",
            "canary=http://10.0.0.7:8000",
        ],
        "real canaries are judged in real time",
    );
    let config = bench
        .config(&["--on-pass", "deploy | tee x", "--on-step", "x"])
        .unwrap();
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
}
