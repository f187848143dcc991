use super::*;
use crate::simulate::{World, make, scenario};
use crate::source::{Plan, Source, SourceError};
use jiff::SignedDuration;

fn recorded(name: &str, stable_pods: usize, duration_seconds: f64) -> (Header, Vec<Scrape>) {
    let size = World {
        rate: 20.0,
        stable_pods,
        duration_seconds,
        extra_seconds: 0.0,
        seed: 9,
    };
    make(scenario::find(name).unwrap(), &size)
}

#[test]
fn the_interval_meets_the_printed_tables() {
    // Clopper and Pearson: 0 of 10 is 0 to 30.8%, 3 of 10 is 6.7% to 65.2%.
    for (events, low, high) in [(0, 0.0, 0.3085), (3, 0.0667, 0.6525), (10, 0.6915, 1.0)] {
        let found = interval(events, 10);
        assert!(
            (found.0 - low).abs() < 1e-3 && (found.1 - high).abs() < 1e-3,
            "{events}: {found:?}"
        );
    }
    assert_eq!(interval(0, 0), (0.0, 1.0));
}

#[test]
fn a_healthy_service_is_not_rolled_back_whatever_its_canary_did() {
    let policy = Policy::default();
    let (header, scrapes) = recorded("errors-1-to-3", 6, 2700.0);
    let windows = recording("a", &header, &scrapes, 900.0, &policy);
    assert_eq!(windows.len(), 3);
    let tally = Tally::of(&windows);
    assert_eq!(
        (tally.windows, tally.pass + tally.no_verdict, tally.fail),
        (3, 18, 0)
    );
    let report = report(&windows, 0.05, Vec::new(), Timestamp::UNIX_EPOCH);
    assert_eq!(
        (report.verdict, report.reason.as_str()),
        (Verdict::Inconclusive, FEW_WINDOWS)
    );
}

#[test]
fn what_is_shown_decides() {
    let window = |fail: usize, pass: usize| {
        let trial = |verdict| Trial {
            pod: "p".to_owned(),
            decision: Decision {
                verdict,
                reason: reason::HEALTHY,
                at_seconds: 900.0,
                sentence: String::new(),
            },
        };
        let trials = std::iter::repeat_n(Verdict::Fail, fail)
            .chain(std::iter::repeat_n(Verdict::Pass, pass));
        Window {
            source: "a".to_owned(),
            start: "0 s".to_owned(),
            trials: trials.map(trial).collect(),
            lost: None,
        }
    };
    let of = |windows: &[Window]| report(windows, 0.05, Vec::new(), Timestamp::UNIX_EPOCH).reason;
    assert_eq!(of(&vec![window(0, 6); 100]), RARE);
    assert_eq!(of(&vec![window(0, 6); 10]), FEW_WINDOWS);
    assert_eq!(of(&vec![window(3, 3); 40]), FREQUENT);
    assert_eq!(of(&[]), NOTHING_JUDGED);
    // Six pods of one window are no six windows.
    assert_eq!(of(&vec![window(0, 6); 20]), FEW_WINDOWS);
}

#[test]
fn one_pod_alone_or_half_a_window_is_said() {
    let policy = Policy::default();
    let (header, scrapes) = recorded("healthy", 1, 900.0);
    let windows = recording("a", &header, &scrapes, 900.0, &policy);
    assert!(windows[0].lost.as_deref().unwrap().contains("fewer than 2"));
    let (header, scrapes) = recorded("healthy", 4, 600.0);
    let windows = recording("a", &header, &scrapes, 900.0, &policy);
    assert!(
        windows[0]
            .lost
            .as_deref()
            .unwrap()
            .contains("ends at 600 s")
    );
}

/// A source that remembers one long recording, and has lost one window of it.
struct Memory {
    header: Header,
    scrapes: Vec<Scrape>,
    began: Timestamp,
    broken: f64,
    remembers: bool,
}

impl Source for Memory {
    async fn prepare(&mut self, _: &Plan) -> Result<crate::source::Prepared, SourceError> {
        Ok(crate::source::Prepared {
            header: self.header.clone(),
            queries: Vec::new(),
            warnings: Vec::new(),
        })
    }

    async fn look(&mut self, _: &Plan, _: Timestamp) -> Result<crate::source::Look, SourceError> {
        Err(SourceError {
            what: "a backtest looks at the past only".to_owned(),
            hint: None,
        })
    }

    async fn past(
        &mut self,
        plan: &Plan,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Vec<crate::source::Look>>, SourceError> {
        if !self.remembers {
            return Ok(None);
        }
        let seconds = |at: Timestamp| at.duration_since(self.began).as_secs_f64();
        let (from, to, start) = (seconds(from), seconds(to), seconds(plan.started_at));
        if (from..to).contains(&self.broken) {
            return Err(SourceError {
                what: "http://prometheus: 503".to_owned(),
                hint: None,
            });
        }
        let within = self
            .scrapes
            .iter()
            .filter(|scrape| scrape.at_seconds > from && scrape.at_seconds <= to);
        let looks = within.map(|scrape| crate::source::Look {
            scrape: Some(shifted(scrape, start)),
            lost: Vec::new(),
        });
        Ok(Some(looks.collect()))
    }

    async fn doctor(&mut self, _: &Plan, _: Timestamp) -> Vec<Check> {
        Vec::new()
    }
}

fn memory() -> (Memory, Past) {
    let (header, scrapes) = recorded("healthy", 4, 3600.0);
    let began = Timestamp::UNIX_EPOCH;
    let past = Past {
        from: began,
        to: began + SignedDuration::from_secs(3700),
        seconds: 900.0,
        latency_limit_seconds: 1.0,
    };
    let memory = Memory {
        header,
        scrapes,
        began,
        broken: 2000.0,
        remembers: true,
    };
    (memory, past)
}

#[tokio::test]
async fn the_past_of_a_source_is_judged_window_by_window_and_gaps_are_said() {
    let (mut memory, past) = memory();
    let mut told = Vec::new();
    let windows = remembered(
        &mut memory,
        "p",
        &past,
        &Policy::default(),
        |index, count| told.push((index, count)),
    )
    .await
    .unwrap();
    assert_eq!(told, [(0, 4), (1, 4), (2, 4), (3, 4)]);
    let lost: Vec<bool> = windows.iter().map(|window| window.lost.is_some()).collect();
    assert_eq!(lost, [false, false, true, false]);
    let tally = Tally::of(&windows);
    assert_eq!(
        (tally.windows, tally.windows_lost, tally.pass, tally.fail),
        (3, 1, 12, 0)
    );
}

#[tokio::test]
async fn a_source_without_memory_is_said() {
    let (mut memory, past) = memory();
    memory.remembers = false;
    let error = remembered(&mut memory, "pods", &past, &Policy::default(), |_, _| {})
        .await
        .unwrap_err();
    assert!(error.what.contains("remembers nothing"));
}
