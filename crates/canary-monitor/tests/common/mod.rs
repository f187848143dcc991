//! What the tests of sources share: a source made of a command line, and a judge that takes its looks.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::collections::BTreeMap;

use canary_monitor::judge::{Decision, Policy, Watch};
use canary_monitor::source::{AnySource, Look, Plan, Source as _, SourceArgs, SourceConfig, open};
use clap::Parser;
use gs_common::config::{ConfigError, Project, Settings};
use gs_common::redact::Redactor;
use gs_common::verdict::Verdict;
use jiff::{Timestamp, ToSpan as _};

/// A command line of nothing but a source.
#[derive(Parser, Debug)]
struct Line {
    #[command(flatten)]
    source: SourceArgs,
}

/// What is meant by a command line.
pub(crate) fn configured(
    line: &[&str],
    variables: &[(&str, &str)],
    redactor: &Redactor,
) -> Result<SourceConfig, ConfigError> {
    let words = std::iter::once("test").chain(line.iter().copied());
    let args = Line::try_parse_from(words).unwrap().source;
    let variables: BTreeMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let project = Project::find(None, folder.path()).unwrap();
    let mut set = Settings::new("canary-monitor", &project, &variables).unwrap();
    SourceConfig::resolve(&args, &mut set, &variables, redactor)
}

/// The source of a command line.
pub(crate) fn source(line: &[&str]) -> AnySource {
    open(&configured(line, &[], &Redactor::new()).unwrap()).unwrap()
}

/// Runs something on a runtime as the tool has one.
pub(crate) fn block<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(what)
}

pub(crate) fn plan(started_at: Timestamp, duration_seconds: f64) -> Plan {
    Plan {
        started_at,
        duration_seconds,
        canary_weight: None,
        latency_limit_seconds: 1.0,
        time_scale: 1.0,
    }
}

pub(crate) fn after(at: Timestamp, seconds: f64) -> Timestamp {
    at + ((seconds * 1e3) as i64).milliseconds()
}

/// A whole run.
pub(crate) struct Ran {
    pub(crate) decision: Decision,
    pub(crate) lost: Vec<String>,
    pub(crate) looks: usize,
}

impl Ran {
    #[track_caller]
    pub(crate) fn is(&self, verdict: Verdict, reason: &str) {
        let decided = (self.decision.verdict, self.decision.reason);
        assert_eq!(
            decided,
            (verdict, reason),
            "{:?} {:?}",
            self.decision,
            self.lost
        );
    }

    /// Something was said about it, and it did not pass.
    #[track_caller]
    pub(crate) fn named(&self, what: &str) {
        assert_ne!(self.decision.verdict, Verdict::Pass, "{:?}", self.lost);
        assert!(
            self.lost.iter().any(|lost| lost.contains(what)),
            "{what}: {:?}",
            self.lost
        );
    }
}

/// Looks every `every` seconds of a clock that only the test moves, and judges. `before` is called before
/// each look with its seconds since the start.
pub(crate) fn run(
    source: &mut AnySource,
    plan: &Plan,
    every: f64,
    mut before: impl FnMut(f64),
) -> Ran {
    block(async {
        let prepared = source.prepare(plan).await.unwrap();
        let mut watch = Watch::new(Policy::default(), &prepared.header);
        let (mut lost, mut looks, mut decision) = (Vec::new(), 0, None);
        let mut at = 0.0;
        while decision.is_none() && at <= plan.duration_seconds + 60.0 {
            before(at);
            match source.look(plan, after(plan.started_at, at)).await {
                Ok(Look { scrape, lost: more }) => {
                    lost.extend(more);
                    if let Some(scrape) = scrape {
                        looks += 1;
                        decision = watch.step(&scrape);
                    }
                }
                Err(error) => {
                    assert!(error.hint.is_some(), "{error}");
                    lost.push(error.what);
                }
            }
            at += every;
        }
        Ran {
            decision: decision.unwrap_or_else(|| watch.finish()),
            lost,
            looks,
        }
    })
}
