//! What a run looked like over time, as numbers for charts: both sides, the evidence with the line that
//! fails, the stable pods as placebos, the memory. It is fed beside the judge and concludes nothing.

use std::collections::BTreeMap;

use gs_common::report::Series;

use crate::counts::Ledger;
use crate::judge::tally::Tally;
use crate::judge::{Policy, View, Watch};
use crate::log::{self, Line, Recording};
use crate::observations::{Header, Scrape, Side};

/// Evidence below this is drawn here: a healthy canary's sinks without end, and nothing is to be seen
/// there.
const LOWEST_NATS: f64 = -5.0;

/// One row of a chart's points.
type Points = Vec<(f64, Option<f64>)>;

/// The charts of a run, one point a check.
#[derive(Clone, Debug)]
pub struct Charts {
    policy: Policy,
    header: Header,
    ledger: Ledger,
    cell: [Tally; 2],
    memory: [BTreeMap<String, f64>; 2],
    last: f64,
    next: f64,
    /// The order in which the lines first came.
    names: Vec<(String, &'static str)>,
    lines: Vec<Points>,
}

impl Charts {
    /// Starts beside a run of the judge.
    #[must_use]
    pub fn new(header: &Header, policy: &Policy) -> Self {
        Self {
            next: policy.check_seconds,
            policy: policy.clone(),
            header: header.clone(),
            ledger: Ledger::default(),
            cell: Default::default(),
            memory: Default::default(),
            last: 0.0,
            names: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// Takes one look in, after the judge has.
    pub fn take(&mut self, scrape: &Scrape, watch: &Watch) {
        let (increments, _) = self.ledger.take(scrape);
        for increment in &increments {
            self.cell[index(increment.side)].add(increment);
        }
        self.memory = Default::default();
        for pod in scrape.pods.iter().filter(|pod| pod.up) {
            if let Some(bytes) = pod.memory_bytes {
                self.memory[index(pod.side)].insert(pod.pod.clone(), bytes);
            }
        }
        let slack = 0.2 * self.header.scrape_interval_seconds;
        if scrape.at_seconds + slack < self.next {
            return;
        }
        let passed = ((scrape.at_seconds + slack) / self.policy.check_seconds).floor();
        self.next = (passed + 1.0) * self.policy.check_seconds;
        self.point(scrape.at_seconds, &watch.view());
    }

    /// The series for a report; the part of a name before `: ` is the chart.
    #[must_use]
    pub fn series(&self) -> Vec<Series> {
        let lines = self.names.iter().zip(&self.lines);
        lines
            .map(|((name, unit), points)| Series {
                name: name.clone(),
                unit: (*unit).to_owned(),
                points: points.clone(),
            })
            .collect()
    }

    fn add(&mut self, name: String, unit: &'static str, at: f64, value: Option<f64>) {
        let line = self.names.iter().position(|(known, _)| *known == name);
        let line = line.unwrap_or_else(|| {
            self.names.push((name, unit));
            self.lines.push(Points::new());
            self.lines.len() - 1
        });
        self.lines[line].push((at, value.filter(|value| value.is_finite())));
    }

    fn point(&mut self, at: f64, view: &View) {
        let cell = std::mem::take(&mut self.cell);
        let seconds = (at - self.last).max(1e-9);
        self.last = at;
        let limit = self.policy.latency_limit_seconds;
        let edge = self
            .header
            .edges_seconds
            .iter()
            .position(|edge| *edge >= limit);
        let bound = edge.map(|edge| self.header.edges_seconds[edge]);
        let sides = [(Side::Canary, &cell[0]), (Side::Stable, &cell[1])];
        for (side, tally) in sides {
            let rate = tally.requests as f64 / seconds;
            self.add(
                format!("Requests: {}", side.as_str()),
                "1/s",
                at,
                Some(rate),
            );
        }
        for (side, tally) in sides {
            let share = tally.failed().share();
            self.add(format!("Errors: {}", side.as_str()), "share", at, share);
        }
        self.add(
            "Errors: limit".to_owned(),
            "share",
            at,
            Some(self.policy.error_limit),
        );
        if let (Some(edge), Some(bound)) = (edge, bound) {
            let chart = format!("Slower than {bound} s");
            for (side, tally) in sides {
                let share = tally.slow(edge).share();
                self.add(format!("{chart}: {}", side.as_str()), "share", at, share);
            }
            self.add(
                format!("{chart}: limit"),
                "share",
                at,
                Some(self.policy.slow_limit),
            );
        }
        for (side, tally) in sides {
            let bucket = bucket_of_p95(&self.header.edges_seconds, tally);
            let name =
                |end: &str| format!("Bucket of the 95th percentile: {} {end}", side.as_str());
            self.add(name("from"), "s", at, bucket.map(|bucket| bucket.0));
            self.add(name("to"), "s", at, bucket.and_then(|bucket| bucket.1));
        }
        self.evidence(at, view);
        self.placebos(at, view);
        self.memories(at);
    }

    fn evidence(&mut self, at: f64, view: &View) {
        let chart = "Evidence against the canary";
        for test in &view.tests {
            let value = view.warm_at_seconds.map(|_| test.evidence.max(LOWEST_NATS));
            self.add(format!("{chart}: {}", test.reason), "nats", at, value);
        }
        self.add(
            format!("{chart}: fails above"),
            "nats",
            at,
            Some(view.fail_line),
        );
    }

    /// The canary among the stable pods, each held against the others.
    fn placebos(&mut self, at: f64, view: &View) {
        let lists: [(&str, Vec<(Side, f64)>); 2] = [
            (
                "Errors, distance from healthy pods",
                distances(view, |row| row.2),
            ),
            (
                "Latency, distance from healthy pods",
                distances(view, |row| row.3),
            ),
        ];
        for (chart, list) in lists {
            let of = |side| {
                list.iter()
                    .filter(move |(own, _)| *own == side)
                    .map(|(_, distance)| *distance)
            };
            let highest = |side| of(side).reduce(f64::max);
            let lowest = of(Side::Stable).reduce(f64::min);
            let mut line = |label: &str, value| {
                self.add(
                    format!("{chart}: {label}"),
                    "standard deviations",
                    at,
                    value,
                );
            };
            line("canary", highest(Side::Canary));
            line("worst stable pod", highest(Side::Stable));
            line("best stable pod", lowest);
        }
    }

    fn memories(&mut self, at: f64) {
        let [canary, stable] = &self.memory;
        let highest = canary.values().copied().reduce(f64::max);
        let mut values: Vec<f64> = stable.values().copied().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.get(values.len() / 2).copied();
        if highest.is_none() && middle.is_none() {
            return;
        }
        self.add(
            "Memory: canary, its largest pod".to_owned(),
            "bytes",
            at,
            highest,
        );
        self.add(
            "Memory: stable, its median pod".to_owned(),
            "bytes",
            at,
            middle,
        );
    }
}

fn index(side: Side) -> usize {
    usize::from(side == Side::Stable)
}

/// A row of [`View::placebo`].
type Row = (String, Side, Option<f64>, Option<f64>);

fn distances(view: &View, of: impl Fn(&Row) -> Option<f64>) -> Vec<(Side, f64)> {
    let rows = view.placebo.iter();
    rows.filter_map(|row| Some((row.1, of(row)?))).collect()
}

/// The edges of the bucket that holds the 95th percentile; no upper one where it lies above all.
fn bucket_of_p95(edges: &[f64], tally: &Tally) -> Option<(f64, Option<f64>)> {
    if tally.told_latency == 0 || tally.slower.len() != edges.len() {
        return None;
    }
    let above = 0.05 * tally.told_latency as f64;
    let bucket = tally
        .slower
        .iter()
        .position(|slower| *slower as f64 <= above);
    Some(match bucket {
        Some(0) => (0.0, Some(edges[0])),
        Some(edge) => (edges[edge - 1], Some(edges[edge])),
        None => (edges.last().copied().unwrap_or(0.0), None),
    })
}

/// The charts of a recording that is judged to its decision, or to its end.
#[must_use]
pub fn of(recording: &Recording, policy: &Policy) -> Vec<Series> {
    let mut watch = Watch::new(policy.clone(), &recording.header);
    let mut charts = Charts::new(&recording.header, policy);
    for line in &recording.lines {
        let decided = log::apply(&mut watch, line).is_some();
        if let Line::Scrape(scrape) = line {
            charts.take(scrape, &watch);
        }
        if decided {
            break;
        }
    }
    charts.series()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{World, make, scenario};

    fn drawn(name: &str) -> Vec<Series> {
        let size = World {
            rate: 20.0,
            stable_pods: 6,
            duration_seconds: 900.0,
            extra_seconds: 0.0,
            seed: 6,
        };
        let (header, scrapes) = make(scenario::find(name).unwrap(), &size);
        let recording = Recording {
            header,
            log: None,
            lines: scrapes.into_iter().map(Line::Scrape).collect(),
            lost: Vec::new(),
            whole_bytes: 0,
        };
        of(&recording, &Policy::default())
    }

    fn line<'a>(series: &'a [Series], name: &str) -> &'a Series {
        series.iter().find(|series| series.name == name).unwrap()
    }

    #[test]
    fn a_healthy_run_has_a_point_a_check_in_every_line() {
        let series = drawn("healthy");
        for one in &series {
            assert_eq!(
                one.points.len(),
                line(&series, "Requests: canary").points.len(),
                "{}",
                one.name
            );
        }
        assert_eq!(line(&series, "Requests: canary").points.len(), 30);
        let rate = line(&series, "Requests: stable").points[5].1.unwrap();
        assert!((rate - 120.0).abs() < 15.0, "{rate}");
        assert_eq!(
            line(&series, "Evidence against the canary: error_rate").points[0].1,
            None
        );
    }

    #[test]
    fn the_evidence_crosses_its_line_before_a_fail() {
        let series = drawn("errors-1-to-3");
        let last = line(&series, "Evidence against the canary: error_rate")
            .points
            .last()
            .unwrap()
            .1;
        let fails = line(&series, "Evidence against the canary: fails above")
            .points
            .last()
            .unwrap()
            .1;
        assert!(last > fails);
        let canary = line(&series, "Errors, distance from healthy pods: canary")
            .points
            .last()
            .unwrap()
            .1;
        let worst = line(
            &series,
            "Errors, distance from healthy pods: worst stable pod",
        )
        .points
        .last()
        .unwrap()
        .1;
        assert!(canary > worst);
    }

    #[test]
    fn what_is_not_known_is_a_gap() {
        let series = drawn("no-traffic");
        assert!(
            line(&series, "Errors: canary")
                .points
                .iter()
                .all(|point| point.1.is_none())
        );
        assert!(
            line(&series, "Errors: stable")
                .points
                .iter()
                .any(|point| point.1.is_some())
        );
    }
}
