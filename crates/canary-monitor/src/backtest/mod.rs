//! How often this service would have been rolled back for nothing: the judge over windows of the past in
//! which there was no canary. One stable pod plays the canary, the others stay stable (an A/A test), so
//! that every fail is a false one.
//!
//! Pods of one window share their traffic and their weather, and are no independent trials. So the
//! interval is that of the windows: each counts once, by the share of its pods that were rolled back.

mod past;
#[cfg(test)]
mod tests;

use gs_common::report::{Check, Input, Quantity, Report, SCHEMA, Subject, Tool};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::judge::numeric::{binomial_at_least, binomial_at_most};
use crate::judge::{Decision, Policy, Watch, reason};
use crate::observations::{Header, PodSample, Scrape, Side};

pub use past::{Past, remembered};

/// The chance that an interval misses the truth.
const MISSES: f64 = 0.05;

/// Fewer stable pods cannot be told apart: one plays the canary, and one at least stays.
const LEAST_PODS: usize = 2;

/// The claim holds: false rollbacks are shown to be rare enough.
pub const RARE: &str = "false_rollbacks_rare";
/// The claim is broken.
pub const FREQUENT: &str = "false_rollbacks_frequent";
/// Neither is shown.
pub const FEW_WINDOWS: &str = "few_windows";
/// No window could be judged.
pub const NOTHING_JUDGED: &str = "nothing_judged";

/// All reasons of this verb, with what they mean; `docs/canary-integrations.md` lists them.
pub const REASONS: [(&str, &str); 4] = [
    (
        RARE,
        "pass: false rollbacks are shown to be at most as frequent as `--most`",
    ),
    (
        FREQUENT,
        "fail: false rollbacks are shown to be more frequent than `--most`",
    ),
    (
        FEW_WINDOWS,
        "no verdict: too few windows to show either; the interval is in the report",
    ),
    (
        NOTHING_JUDGED,
        "no verdict: no window had two stable pods and a verdict",
    ),
];

/// One stable pod that played the canary in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The pod.
    pub pod: String,
    /// What the judge said.
    pub decision: Decision,
}

/// A stretch of the past.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Where it comes from: a path, or an address.
    pub source: String,
    /// Its start, in words that lead back to it.
    pub start: String,
    /// One trial a stable pod.
    pub trials: Vec<Trial>,
    /// Why it could not be judged, where there are no trials.
    pub lost: Option<String>,
}

/// Cuts a recording into windows of `seconds`, one after the other, the last one whole too. The times of
/// each start at 0.
#[must_use]
pub fn windows(scrapes: &[Scrape], seconds: f64, interval: f64) -> Vec<(f64, Vec<Scrape>)> {
    let Some(first) = scrapes.first() else {
        return Vec::new();
    };
    let last = scrapes.last().map_or(0.0, |scrape| scrape.at_seconds);
    // The first look is the base of the counters.
    let begin = (first.at_seconds - interval).max(0.0).min(first.at_seconds);
    let count = ((last - begin + 0.5 * interval) / seconds).floor().max(0.0) as u32;
    (0..count)
        .map(|index| {
            let start = begin + f64::from(index) * seconds;
            let (from, to) = (start - 0.5 * interval, start + seconds + 0.5 * interval);
            let inside = scrapes
                .iter()
                .filter(|scrape| scrape.at_seconds > from && scrape.at_seconds <= to);
            (start, inside.map(|scrape| shifted(scrape, start)).collect())
        })
        .collect()
}

fn shifted(scrape: &Scrape, start: f64) -> Scrape {
    let pods = scrape.pods.iter().map(|pod| PodSample {
        started_at_seconds: pod.started_at_seconds.map(|at| at - start),
        ..pod.clone()
    });
    Scrape {
        at_seconds: scrape.at_seconds - start,
        pods: pods.collect(),
    }
}

/// Judges a window as often as it has stable pods that served in it.
#[must_use]
pub fn trials(header: &Header, scrapes: &[Scrape], seconds: f64, policy: &Policy) -> Vec<Trial> {
    let mut names: Vec<&str> = Vec::new();
    for pod in scrapes.iter().flat_map(|scrape| &scrape.pods) {
        if pod.side == Side::Stable && pod.up && !names.contains(&pod.pod.as_str()) {
            names.push(&pod.pod);
        }
    }
    if names.len() < LEAST_PODS {
        return Vec::new();
    }
    let header = Header {
        // Nobody declared a weight for a pod that is no canary.
        canary_weight: None,
        duration_seconds: seconds,
        ..header.clone()
    };
    names
        .into_iter()
        .map(|name| {
            let mut watch = Watch::new(policy.clone(), &header);
            let decided = scrapes
                .iter()
                .find_map(|scrape| watch.step(&cast(scrape, name)));
            Trial {
                pod: name.to_owned(),
                decision: decided.unwrap_or_else(|| watch.finish()),
            }
        })
        .collect()
}

/// The scrape with one stable pod as the canary; what was the canary then is left out.
fn cast(scrape: &Scrape, canary: &str) -> Scrape {
    let stable = scrape.pods.iter().filter(|pod| pod.side == Side::Stable);
    let pods = stable.map(|pod| PodSample {
        side: if pod.pod == canary {
            Side::Canary
        } else {
            Side::Stable
        },
        ..pod.clone()
    });
    Scrape {
        at_seconds: scrape.at_seconds,
        pods: pods.collect(),
    }
}

/// The exact interval of Clopper and Pearson (Biometrika 26, 1934) for a share, from `events` of `trials`,
/// that misses the truth with a probability of at most 5%.
#[must_use]
pub fn interval(events: u64, trials: u64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let solve = |falls: &dyn Fn(f64) -> bool| {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if falls(middle) {
                low = middle
            } else {
                high = middle
            }
        }
        0.5 * (low + high)
    };
    let half = MISSES / 2.0;
    let low = if events == 0 {
        0.0
    } else {
        solve(&|share| binomial_at_least(events, trials, share) < half)
    };
    let high = if events >= trials {
        1.0
    } else {
        solve(&|share| binomial_at_most(events, trials, share) > half)
    };
    (low, high)
}

/// What all windows say together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Windows with a verdict.
    pub windows: u64,
    /// Windows without any.
    pub windows_lost: u64,
    /// Trials that passed.
    pub pass: u64,
    /// Trials that were rolled back.
    pub fail: u64,
    /// Trials without verdict.
    pub no_verdict: u64,
    /// Sum over the windows of the share of their judged trials that were rolled back.
    weight: f64,
}

impl Tally {
    /// Counts.
    #[must_use]
    pub fn of(windows: &[Window]) -> Self {
        let mut tally = Self::default();
        for window in windows {
            let (mut fail, mut judged) = (0_u64, 0_u64);
            for trial in &window.trials {
                match trial.decision.verdict {
                    Verdict::Pass | Verdict::Warn => tally.pass += 1,
                    Verdict::Fail => fail += 1,
                    Verdict::Inconclusive => {
                        tally.no_verdict += 1;
                        continue;
                    }
                }
                judged += 1;
            }
            tally.fail += fail;
            if judged > 0 {
                tally.windows += 1;
                tally.weight += fail as f64 / judged as f64;
            } else {
                tally.windows_lost += 1;
            }
        }
        tally
    }

    /// The share of judged trials that were rolled back, a window counting once.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (self.windows > 0).then(|| self.weight / self.windows as f64)
    }

    /// Its exact interval. Parts of a window are rounded away from the middle.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        let (less, more) = (self.weight.floor() as u64, self.weight.ceil() as u64);
        (
            interval(less, self.windows).0,
            interval(more, self.windows).1,
        )
    }
}

/// Makes the report: false rollbacks are to be at most `most` of all rollouts.
#[must_use]
pub fn report(windows: &[Window], most: f64, inputs: Vec<Input>, started_at: Timestamp) -> Report {
    let tally = Tally::of(windows);
    let (low, high) = tally.interval();
    let percent = |share: f64| format!("{:.1}%", share * 100.0);
    let numbers = format!(
        "{} of {} judged trials in {} windows were rolled back, between {} and {} of all rollouts (95% interval, a window counts once)",
        tally.fail,
        tally.fail + tally.pass,
        tally.windows,
        percent(low),
        percent(high)
    );
    let (verdict, code, sentence) = match tally.rate() {
        None => (
            Verdict::Inconclusive,
            NOTHING_JUDGED,
            "no window could be judged: each needs two stable pods, traffic and enough looks"
                .to_owned(),
        ),
        Some(_) if high <= most => (Verdict::Pass, RARE, numbers),
        Some(_) if low > most => (
            Verdict::Fail,
            FREQUENT,
            format!("{numbers}; at most {} may be", percent(most)),
        ),
        Some(_) => (
            Verdict::Inconclusive,
            FEW_WINDOWS,
            format!(
                "{numbers}; more windows are needed to show at most {}",
                percent(most)
            ),
        ),
    };
    let mut not_covered: Vec<String> = windows
        .iter()
        .filter_map(|window| {
            Some(format!(
                "{} from {}: {}",
                window.source,
                window.start,
                window.lost.as_ref()?
            ))
        })
        .collect();
    if tally.no_verdict > 0 {
        not_covered.push(format!(
            "{} trials had no verdict and count as neither",
            tally.no_verdict
        ));
    }
    not_covered.push(
        "what a canary brings with it: a cold start, another version, another share of the traffic"
            .to_owned(),
    );
    let mut details = Map::new();
    details.insert("backtest".to_owned(), details_of(&tally, windows, most));
    Report {
        schema: SCHEMA.to_owned(),
        tool: Tool {
            name: "canary-monitor".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        subject: Subject {
            kind: "backtest".to_owned(),
            name: subject(windows),
            commit: None,
        },
        started_at,
        ended_at: Timestamp::now(),
        verdict,
        reason: code.to_owned(),
        summary: sentence,
        next: Vec::new(),
        checks: windows
            .iter()
            .enumerate()
            .map(|(index, window)| check(index, window))
            .collect(),
        findings: Vec::new(),
        inputs,
        not_covered,
        series: Vec::new(),
        details,
    }
}

fn subject(windows: &[Window]) -> String {
    let mut sources: Vec<&str> = windows
        .iter()
        .map(|window| window.source.as_str())
        .collect();
    sources.dedup();
    match sources.as_slice() {
        [one] => (*one).to_owned(),
        many => format!("{} sources", many.len()),
    }
}

fn details_of(tally: &Tally, windows: &[Window], most: f64) -> Value {
    let (low, high) = tally.interval();
    let rolled: Vec<Value> = windows
        .iter()
        .flat_map(|window| window.trials.iter().map(move |trial| (window, trial)))
        .filter(|(_, trial)| trial.decision.verdict == Verdict::Fail)
        .map(|(window, trial)| {
            json!({
                "source": window.source, "start": window.start, "pod": trial.pod,
                "reason": trial.decision.reason, "at_seconds": trial.decision.at_seconds,
                "sentence": trial.decision.sentence,
            })
        })
        .collect();
    json!({
        "windows": tally.windows,
        "windows_without_verdict": tally.windows_lost,
        "trials": {"pass": tally.pass, "fail": tally.fail, "no_verdict": tally.no_verdict},
        "false_rollback_share": tally.rate(),
        "interval": {"low": low, "high": high, "confidence": 1.0 - MISSES},
        "most": most,
        "rolled_back": rolled,
    })
}

/// One window as a check: its verdict is that of the worst trial, a false rollback being a warning of the
/// window, for one says nothing of the rate.
fn check(index: usize, window: &Window) -> Check {
    let count = |verdict| {
        window
            .trials
            .iter()
            .filter(|trial| trial.decision.verdict == verdict)
            .count()
    };
    let (failed, unknown) = (count(Verdict::Fail), count(Verdict::Inconclusive));
    let judged = window.trials.len() - unknown;
    let first = window
        .trials
        .iter()
        .find(|trial| trial.decision.verdict == Verdict::Fail);
    let (verdict, code, message) = match (first, &window.lost) {
        (Some(trial), _) => (
            Verdict::Warn,
            Some(trial.decision.reason),
            Some(format!("{}: {}", trial.pod, trial.decision.sentence)),
        ),
        (None, Some(lost)) => (
            Verdict::Inconclusive,
            Some(NOTHING_JUDGED),
            Some(lost.clone()),
        ),
        (None, None) if judged == 0 => {
            let why = window.trials.first().map(|trial| &trial.decision);
            (
                Verdict::Inconclusive,
                Some(why.map_or(reason::METRICS_UNAVAILABLE, |decision| decision.reason)),
                why.map(|decision| decision.sentence.clone()),
            )
        }
        (None, None) => (Verdict::Pass, None, None),
    };
    Check {
        verdict,
        reason: code.map(ToOwned::to_owned),
        message,
        observed: Some(Quantity::of(failed, "false rollbacks")),
        ..Check::passed(
            format!("window-{}", index + 1),
            format!(
                "{} from {}: {failed} of {judged} stable pods rolled back",
                window.source, window.start
            ),
        )
    }
}

/// Judges all windows of a recording.
#[must_use]
pub fn recording(
    source: &str,
    header: &Header,
    scrapes: &[Scrape],
    seconds: f64,
    policy: &Policy,
) -> Vec<Window> {
    let cut = windows(scrapes, seconds, header.scrape_interval_seconds);
    if cut.is_empty() {
        let told = scrapes.last().map_or(0.0, |scrape| scrape.at_seconds);
        return vec![Window {
            source: source.to_owned(),
            start: "its beginning".to_owned(),
            trials: Vec::new(),
            lost: Some(format!(
                "it ends at {told:.0} s, a window needs {seconds:.0} s"
            )),
        }];
    }
    cut.into_iter()
        .map(|(start, scrapes)| {
            let start = format!("{start:.0} s");
            window(source, start, header, &scrapes, seconds, policy)
        })
        .collect()
}

/// Judges one window.
#[must_use]
pub fn window(
    source: &str,
    start: String,
    header: &Header,
    scrapes: &[Scrape],
    seconds: f64,
    policy: &Policy,
) -> Window {
    let trials = trials(header, scrapes, seconds, policy);
    let lost = trials
        .is_empty()
        .then(|| format!("it has fewer than {LEAST_PODS} stable pods that answered"));
    Window {
        source: source.to_owned(),
        start,
        trials,
        lost,
    }
}
