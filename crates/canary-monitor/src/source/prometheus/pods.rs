//! From series to pods: which pod a series is of, which target it came from, and what it said at a moment.
//!
//! All series of a target carry the time of the scrape that found them. So a pod is read at one scrape: the
//! newest one that is not older than a scrape interval and a half. A series that this scrape has not found
//! is away, whatever it said before, as by the staleness rule.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::Series;
use crate::source::counters::Reading;
use crate::source::exposition::Labels;
use crate::source::names::{CPU, MEMORY, Names, START};

/// Labels that tell who scraped, or under which job: not what was scraped.
const WHO: [&str; 7] = [
    "job",
    "instance",
    "prometheus",
    "prometheus_replica",
    "replica",
    "receive_replica",
    "__replica__",
];

/// All series of one side that an answer brought.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    pub requests: Vec<Series>,
    pub buckets: Vec<Series>,
    /// `up` and what processes say of themselves.
    pub process: Vec<Series>,
}

/// One pod at one scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PodAt {
    pub reading: Reading,
    /// When it was scraped, in Unix seconds.
    pub scraped: f64,
    /// Prometheus says that it did not answer.
    pub down: bool,
    pub cpu_seconds: Option<f64>,
    pub memory_bytes: Option<f64>,
    /// It is scraped by several, who all see the same: only one of them is read.
    pub twice: Option<String>,
    /// Its namespace, where the series say so.
    pub namespace: Option<String>,
}

/// What one target of a pod said.
#[derive(Default)]
struct Target<'a> {
    requests: Vec<(&'a Series, f64)>,
    buckets: Vec<(&'a Series, f64)>,
    process: Vec<(&'a Series, f64)>,
    scraped: f64,
}

/// The newest sample in `(after, until]`.
fn newest(series: &Series, after: f64, until: f64) -> Option<(f64, f64)> {
    let samples = series.samples.iter().rev();
    let mut inside = samples.skip_while(|(at, _)| *at > until + 1e-6);
    inside.next().copied().filter(|(at, _)| *at > after + 1e-6)
}

fn who(labels: &Labels) -> Labels {
    let of = |(name, value): (&String, &String)| {
        WHO.contains(&name.as_str())
            .then(|| (name.clone(), value.clone()))
    };
    labels.iter().filter_map(of).collect()
}

fn what(labels: &Labels) -> Labels {
    let of = |(name, value): (&String, &String)| {
        (!WHO.contains(&name.as_str())).then(|| (name.clone(), value.clone()))
    };
    labels.iter().filter_map(of).collect()
}

/// The pods of one side at a moment, each at its newest scrape that is not older than `fresh` seconds. Series
/// without the label of a pod are left out, and counted in the second part of the answer.
pub(super) fn pods_at(
    gathered: &Gathered,
    names: &Names,
    pod_label: &str,
    until: f64,
    fresh: f64,
) -> (BTreeMap<String, PodAt>, usize) {
    let mut pods: BTreeMap<&str, BTreeMap<Labels, Target<'_>>> = BTreeMap::new();
    let mut nameless = 0;
    let kinds = [
        (&gathered.requests, 0),
        (&gathered.buckets, 1),
        (&gathered.process, 2),
    ];
    for (all, kind) in kinds {
        for series in all {
            let Some((at, _)) = newest(series, until - fresh, until) else {
                continue;
            };
            let Some(pod) = series.labels.get(pod_label) else {
                nameless += 1;
                continue;
            };
            let target = pods
                .entry(pod)
                .or_default()
                .entry(who(&series.labels))
                .or_default();
            // A target is read at its newest scrape; `up` is there also when that found nothing.
            target.scraped = target.scraped.max(at);
            match kind {
                0 => target.requests.push((series, at)),
                1 => target.buckets.push((series, at)),
                _ => target.process.push((series, at)),
            }
        }
    }
    let pods = pods
        .into_iter()
        .map(|(pod, targets)| (pod.to_owned(), pod_at(targets, names)));
    (pods.collect(), nameless)
}

fn pod_at(targets: BTreeMap<Labels, Target<'_>>, names: &Names) -> PodAt {
    let mut pod = PodAt::default();
    // Containers of a pod that serve other series add up; the same series by another way do not.
    let mut seen: BTreeSet<Labels> = BTreeSet::new();
    let mut taken: Option<&Labels> = None;
    let mut ups = Vec::new();
    for (who, target) in &targets {
        let own: BTreeSet<Labels> = target
            .requests
            .iter()
            .map(|(series, _)| what(&series.labels))
            .collect();
        for (series, at) in &target.process {
            if series.name == "up" && *at == target.scraped {
                ups.extend(series.samples.iter().rev().find(|(time, _)| time == at));
            }
        }
        if !seen.is_disjoint(&own) {
            let (one, other) = (shown(taken), shown(Some(who)));
            pod.twice = Some(format!("{one} and {other}"));
            continue;
        }
        if !own.is_empty() && taken.is_none() {
            taken = Some(who);
        }
        seen.extend(own);
        add(&mut pod, target, names);
    }
    pod.scraped = pod.scraped.max(
        ups.iter()
            .map(|(at, _)| *at)
            .reduce(f64::max)
            .unwrap_or(0.0),
    );
    pod.down = !ups.is_empty() && ups.iter().all(|(_, up)| *up == 0.0);
    if pod.down {
        pod.reading = Reading::default();
    }
    pod
}

fn shown(labels: Option<&Labels>) -> String {
    let pairs = labels.into_iter().flatten();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    if pairs.is_empty() {
        "a target without labels".to_owned()
    } else {
        pairs.join(",")
    }
}

fn add(pod: &mut PodAt, target: &Target<'_>, names: &Names) {
    let now = |all: &[(&Series, f64)], name: &str| -> Vec<(Labels, f64)> {
        let of = all
            .iter()
            .filter(|(series, at)| *at == target.scraped && series.name == name);
        of.filter_map(|(series, at)| {
            let mut samples = series.samples.iter().rev();
            let (_, value) = samples.find(|(time, _)| time == at)?;
            Some((series.labels.clone(), *value))
        })
        .collect()
    };
    pod.scraped = pod.scraped.max(target.scraped);
    pod.reading
        .requests
        .extend(now(&target.requests, &names.requests));
    pod.reading
        .buckets
        .extend(now(&target.buckets, &names.bucket()));
    let one = |name: &str| {
        let mut found = now(&target.process, name).into_iter();
        let value = found.next().map(|(_, value)| value);
        value.filter(|value| value.is_finite() && *value >= 0.0 && found.next().is_none())
    };
    let sum = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    };
    // The pod is as young as its youngest process.
    let started = one(START).filter(|unix| *unix > 0.0);
    pod.reading.started = pod
        .reading
        .started
        .into_iter()
        .chain(started)
        .reduce(f64::max);
    pod.cpu_seconds = sum(pod.cpu_seconds, one(CPU));
    pod.memory_bytes = sum(pod.memory_bytes, one(MEMORY));
    let series = target
        .requests
        .iter()
        .chain(&target.process)
        .map(|(series, _)| series);
    let mut namespaces = series.filter_map(|series| series.labels.get("namespace"));
    if pod.namespace.is_none() {
        pod.namespace = namespaces.next().cloned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, labels: &[(&str, &str)], samples: &[(f64, f64)]) -> Series {
        Series {
            name: name.to_owned(),
            labels: labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            samples: samples.to_vec(),
            native: false,
        }
    }

    fn names() -> Names {
        Names {
            requests: "r_total".to_owned(),
            duration: "d".to_owned(),
        }
    }

    #[track_caller]
    fn at(gathered: &Gathered, until: f64) -> BTreeMap<String, PodAt> {
        let (pods, nameless) = pods_at(gathered, &names(), "pod", until, 22.5);
        assert_eq!(nameless, 0);
        pods
    }

    #[test]
    fn a_pod_is_read_at_its_newest_scrape_and_what_that_lacks_is_away() {
        let gathered = Gathered {
            requests: vec![
                series(
                    "r_total",
                    &[("pod", "a"), ("e", "x")],
                    &[(100.0, 5.0), (115.0, 7.0)],
                ),
                series("r_total", &[("pod", "a"), ("e", "y")], &[(100.0, 3.0)]),
            ],
            process: vec![series(
                "process_start_time_seconds",
                &[("pod", "a")],
                &[(115.0, 50.0)],
            )],
            ..Gathered::default()
        };
        let pod = &at(&gathered, 120.0)["a"];
        assert_eq!((pod.scraped, pod.reading.requests.len()), (115.0, 1));
        assert_eq!(
            (pod.reading.requests[0].1, pod.reading.started),
            (7.0, Some(50.0))
        );
        assert_eq!(at(&gathered, 110.0)["a"].reading.requests.len(), 2);
        assert!(at(&gathered, 150.0).is_empty(), "too old");
    }

    #[test]
    fn the_same_pod_by_two_ways_is_read_once_and_two_containers_add_up() {
        let by = |job: &'static str, endpoint: &'static str| {
            series(
                "r_total",
                &[("pod", "a"), ("job", job), ("e", endpoint)],
                &[(100.0, 5.0)],
            )
        };
        let twice = Gathered {
            requests: vec![by("pods", "x"), by("service", "x")],
            ..Gathered::default()
        };
        let pod = &at(&twice, 101.0)["a"];
        assert_eq!(pod.reading.requests.len(), 1);
        assert!(pod.twice.as_deref().unwrap().contains("service"), "{pod:?}");
        let both = Gathered {
            requests: vec![by("pods", "x"), by("service", "y")],
            ..Gathered::default()
        };
        let pod = &at(&both, 101.0)["a"];
        assert_eq!((pod.reading.requests.len(), pod.twice.as_ref()), (2, None));
    }

    #[test]
    fn a_scrape_that_failed_is_a_pod_that_is_down() {
        let gathered = Gathered {
            requests: vec![series("r_total", &[("pod", "a")], &[(100.0, 5.0)])],
            process: vec![series("up", &[("pod", "a")], &[(100.0, 1.0), (115.0, 0.0)])],
            ..Gathered::default()
        };
        let pod = &at(&gathered, 116.0)["a"];
        assert!(pod.down && pod.reading.requests.is_empty(), "{pod:?}");
        assert!(!at(&gathered, 101.0)["a"].down);
    }
}
