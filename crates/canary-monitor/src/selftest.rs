//! How often the judge is right, on worlds from the built-in simulator.

use gs_common::report::{Check, Report, SCHEMA, Subject, Tool};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::args::{Judge, SelftestArgs};
use crate::judge::numeric::binomial_at_least;
use crate::judge::{Decision, Policy};
use crate::observations::Observations;
use crate::simulate::{ALL, Scenario, Wanted, World, make};

/// One scenario at one size, judged many times.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// Runs judged.
    pub runs: u32,
    /// Those that passed.
    pub pass: u32,
    /// Those that failed.
    pub fail: u32,
    /// Those without verdict.
    pub inconclusive: u32,
    /// Seconds of the run until the decision, one a run.
    pub seconds: Vec<f64>,
    /// Reasons with their counts.
    pub reasons: std::collections::BTreeMap<&'static str, u32>,
}

/// Judges one world.
#[must_use]
pub fn judge_one(scenario: &Scenario, world: &World, judge: Judge, policy: &Policy) -> Decision {
    let (header, scrapes) = make(scenario, world);
    let seen = Observations {
        header,
        scrapes,
        lost: Vec::new(),
    };
    crate::replay::decide(&seen.into(), judge, policy).0
}

/// Judges a scenario so often, from seeds that follow from `seed`.
#[must_use]
pub fn cell(scenario: &Scenario, world: &World, args: &SelftestArgs, policy: &Policy) -> Cell {
    let mut cell = Cell::default();
    for run in 0..args.runs {
        let seed = seed_of(world.seed, scenario.name, world, run);
        let decision = judge_one(scenario, &World { seed, ..*world }, args.judge, policy);
        cell.runs += 1;
        match decision.verdict {
            Verdict::Pass | Verdict::Warn => cell.pass += 1,
            Verdict::Fail => cell.fail += 1,
            Verdict::Inconclusive => cell.inconclusive += 1,
        }
        cell.seconds.push(decision.at_seconds);
        *cell.reasons.entry(decision.reason).or_insert(0) += 1;
    }
    cell.seconds.sort_by(f64::total_cmp);
    cell
}

/// A seed of its own for each run of each cell (FNV-1a over what names it).
fn seed_of(seed: u64, scenario: &str, world: &World, run: u32) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let numbers = [
        seed,
        world.rate.to_bits(),
        world.stable_pods as u64,
        u64::from(run),
    ];
    let bytes = scenario
        .bytes()
        .chain(numbers.into_iter().flat_map(u64::to_le_bytes));
    for byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// A scenario at one size, with what came of it.
#[derive(Clone, Debug)]
pub struct Row {
    /// What happens.
    pub scenario: Scenario,
    /// The size.
    pub world: World,
    /// The verdicts.
    pub cell: Cell,
}

/// The cells of a command line.
#[must_use]
pub fn plan(args: &SelftestArgs) -> Vec<(Scenario, World)> {
    let pods = args
        .stable_pods
        .map_or(vec![9, 6, 3], |pods| vec![usize::from(pods)]);
    let rates = args.rate.map_or(vec![2.0, 20.0, 200.0], |rate| vec![rate]);
    let wanted = |scenario: &&Scenario| {
        args.scenario
            .as_deref()
            .is_none_or(|text| scenario.name.contains(text))
    };
    let mut plan = Vec::new();
    for scenario in ALL.iter().filter(wanted) {
        for stable_pods in &pods {
            for rate in &rates {
                let world = World {
                    rate: *rate,
                    stable_pods: *stable_pods,
                    duration_seconds: 900.0,
                    extra_seconds: policy_extension(),
                    seed: args.seed,
                };
                plan.push((*scenario, world));
            }
        }
    }
    plan
}

/// The worlds go on as long as the judge may ask for.
fn policy_extension() -> f64 {
    Policy::default().extension_seconds
}

/// Judges one cell.
#[must_use]
pub fn row(scenario: &Scenario, world: &World, args: &SelftestArgs, policy: &Policy) -> Row {
    Row {
        scenario: *scenario,
        world: *world,
        cell: cell(scenario, world, args, policy),
    }
}

/// The share of runs that may have the wrong verdict, by what it is and the size; the bars that
/// `docs/canary-judge.md` states. `None` where no bar is stated.
fn bar(row: &Row) -> Option<(u32, f64, &'static str)> {
    let Row {
        scenario,
        world,
        cell,
    } = row;
    let bursts = scenario.pod_bursts.is_some() || scenario.shared_bursts.is_some();
    let small = world.rate < 20.0 || world.stable_pods < 6;
    match scenario.wanted {
        Wanted::Pass if bursts && small => Some((cell.fail, 0.10, "rolled back")),
        Wanted::Pass if bursts => Some((cell.fail, 0.05, "rolled back")),
        Wanted::Pass => Some((cell.fail, 0.01, "rolled back")),
        Wanted::Fail if world.rate >= 20.0 => {
            let most = if scenario.name == "errors-0.1-to-1" {
                0.05
            } else {
                0.01
            };
            Some((cell.runs - cell.fail, most, "missed"))
        }
        Wanted::Fail => None,
        Wanted::Inconclusive => Some((cell.runs - cell.inconclusive, 0.0, "judged")),
    }
}

/// A bar counts as broken only if so many wrong verdicts have a chance below this with a judge that
/// meets it.
const BROKEN: f64 = 0.01;

/// Makes the report: a check a cell.
#[must_use]
pub fn report(rows: &[Row], args: &SelftestArgs, started_at: Timestamp) -> Report {
    let checks: Vec<Check> = rows.iter().map(check).collect();
    let verdict = Verdict::over(checks.iter().map(|check| check.verdict));
    let failed = checks
        .iter()
        .filter(|check| check.verdict == Verdict::Fail)
        .count();
    let cells: Vec<Value> = rows.iter().map(json_of).collect();
    let mut details = Map::new();
    details.insert("seed".to_owned(), args.seed.into());
    details.insert("cells".to_owned(), cells.into());
    Report {
        schema: SCHEMA.to_owned(),
        tool: Tool {
            name: "canary-monitor".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        subject: Subject {
            kind: "judge".to_owned(),
            name: format!("selftest, seed {}", args.seed),
            commit: None,
        },
        started_at,
        ended_at: Timestamp::now(),
        verdict,
        reason: if failed > 0 {
            "bars_broken"
        } else {
            "bars_hold"
        }
        .to_owned(),
        summary: format!(
            "{failed} of {} cells break the stated bars, {} runs each",
            rows.len(),
            args.runs
        ),
        next: Vec::new(),
        checks,
        findings: Vec::new(),
        inputs: Vec::new(),
        not_covered: vec![
            "real traffic: worlds are simulated, with Poisson requests and independent latencies"
                .to_owned(),
        ],
        series: Vec::new(),
        details,
    }
}

fn check(row: &Row) -> Check {
    let Row {
        scenario,
        world,
        cell,
    } = row;
    let percent = |count: u32| 100.0 * f64::from(count) / f64::from(cell.runs);
    let title = format!(
        "wanted {}: {:.1}% pass, {:.1}% fail, {:.1}% no verdict, median {:.0} s",
        scenario.wanted.as_str(),
        percent(cell.pass),
        percent(cell.fail),
        percent(cell.inconclusive),
        median(&cell.seconds)
    );
    let broken = bar(row).filter(|(wrong, most, _)| {
        binomial_at_least(u64::from(*wrong), u64::from(cell.runs), *most) < BROKEN
    });
    Check {
        verdict: if broken.is_some() {
            Verdict::Fail
        } else {
            Verdict::Pass
        },
        reason: broken.map(|_| "bar_broken".to_owned()),
        message: broken.map(|(wrong, most, what)| {
            format!(
                "{wrong} of {} {what}, at most {:.0}% may be",
                cell.runs,
                most * 100.0
            )
        }),
        reproduce: Some(format!(
            "canary-monitor selftest --scenario {} --stable-pods {} --rate {} --runs {}",
            scenario.name, world.stable_pods, world.rate, cell.runs
        )),
        ..Check::passed(
            format!(
                "{}-{}-pods-{}-rps",
                scenario.name, world.stable_pods, world.rate
            ),
            title,
        )
    }
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

fn json_of(row: &Row) -> Value {
    json!({
        "scenario": row.scenario.name,
        "wanted": row.scenario.wanted.as_str(),
        "used_for": row.scenario.used_for.as_str(),
        "requests_per_second": row.world.rate,
        "stable_pods": row.world.stable_pods,
        "runs": row.cell.runs,
        "pass": row.cell.pass,
        "fail": row.cell.fail,
        "inconclusive": row.cell.inconclusive,
        "median_seconds": median(&row.cell.seconds),
        "reasons": row.cell.reasons,
    })
}
