//! A day of watching 100 pods: how much memory a run keeps, and how long a look takes.
//!
//! `cargo run -p canary-monitor --example day` feeds 24 hours of looks, one every 15 s, through everything
//! that a live run keeps (judge, charts, plain rule), and prints the peak of its resident memory. It fails
//! above 32 MiB.

use std::process::ExitCode;
use std::time::Instant;

use canary_monitor::judge::Policy;
use canary_monitor::live::state::{Extras, State};
use canary_monitor::log::{LogHeader, SCHEMA};
use canary_monitor::observations::{self, Header, PodSample, Scrape, Side};
use canary_monitor::source::Look;

const PODS: u64 = 100;
const EDGES: u64 = 20;
const DAY_SECONDS: u64 = 86_400;
const INTERVAL_SECONDS: u64 = 15;
const LIMIT_KIB: u64 = 32 * 1024;

fn main() -> ExitCode {
    let hours = std::env::args().nth(1).and_then(|hours| hours.parse().ok());
    let end = hours.map_or(DAY_SECONDS, |hours: u64| hours * 3600);
    let mut state = State::new(
        header(),
        None,
        Extras {
            step_seconds: 300.0,
            legacy: true,
        },
    );
    let before = peak_kib();
    let began = Instant::now();
    let mut looks = 0;
    for at in (0..end).step_by(INTERVAL_SECONDS as usize) {
        let look = Look {
            scrape: Some(scrape(at)),
            // A pod that cannot be reached is told at every look.
            lost: vec![format!("stable-{} does not answer", at % 7)],
        };
        state.take(look);
        looks += 1;
    }
    let micros = began.elapsed().as_micros() / u128::from(looks.max(1_u64));
    let peak = peak_kib();
    let mut out = String::new();
    out.push_str(&format!(
        "{looks} looks at {PODS} pods with {EDGES} edges: {peak} KiB at the peak ({before} KiB before the first), {micros} us a look, {} series\n",
        state.charts.series().len()
    ));
    out.push_str(&format!("decided: {:?}\n", state.decision));
    // An example may print; the crate's own code does not.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), out.as_bytes());
    if peak > 0 && peak <= LIMIT_KIB && state.decision.is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn header() -> LogHeader {
    let edges = (1..=EDGES).map(|edge| edge as f64 * 0.1).collect();
    LogHeader {
        schema: SCHEMA.to_owned(),
        tool: canary_monitor::summary::tool(),
        run: "day".to_owned(),
        subject: "a day".to_owned(),
        started_at: jiff::Timestamp::UNIX_EPOCH,
        observations: Header {
            schema: observations::SCHEMA.to_owned(),
            edges_seconds: edges,
            scrape_interval_seconds: INTERVAL_SECONDS as f64,
            canary_weight: None,
            // Longer than the day, so that nothing is decided and nothing let go.
            duration_seconds: 2.0 * DAY_SECONDS as f64,
        },
        policy: Policy::default(),
        settings: std::collections::BTreeMap::new(),
        settings_sha256: String::new(),
        queries: Vec::new(),
        steps: Vec::new(),
        time_scale: 1.0,
        warnings: Vec::new(),
    }
}

/// Every pod serves about 20 requests a second, a few of them wrong, most of them fast.
fn scrape(at: u64) -> Scrape {
    let pod = |index: u64| {
        let requests = at * 20 + at % (index + 3);
        let side = if index < PODS / 10 {
            Side::Canary
        } else {
            Side::Stable
        };
        PodSample {
            up: true,
            started_at_seconds: Some(-3600.0),
            requests: Some(requests),
            errors: Some(requests / 1000),
            le: Some(
                (1..=EDGES)
                    .map(|edge| requests - requests / (edge * edge * 4))
                    .collect(),
            ),
            cpu_seconds: Some(at as f64 * 0.2),
            memory_bytes: Some(4e8 + ((at / 15 * (index + 7)) % 1000) as f64 * 1e4),
            memory_limit_bytes: Some(2e9),
            ..PodSample::down(&format!("{}-{index}", side.as_str()), side)
        }
    };
    Scrape {
        at_seconds: at as f64,
        pods: (0..PODS).map(pod).collect(),
    }
}

/// The peak of the resident memory, in KiB; 0 where the system does not tell.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}
