//! CPU, memory and limits of containers: what cAdvisor and kube-state-metrics tell of a pod.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::Series;

const CPU: &str = "container_cpu_usage_seconds_total";
const THROTTLED: &str = "container_cpu_cfs_throttled_seconds_total";
const MEMORY: &str = "container_memory_working_set_bytes";
const STARTED: &str = "container_start_time_seconds";
const OOM_EVENTS: &str = "container_oom_events_total";
const LIMITS: &str = "kube_pod_container_resource_limits";
const RESTARTS: &str = "kube_pod_container_status_restarts_total";
const LAST_END: &str = "kube_pod_container_status_last_terminated_reason";

/// The metrics that are asked for.
pub(super) const METRICS: [&str; 8] = [
    CPU, THROTTLED, MEMORY, STARTED, OOM_EVENTS, LIMITS, RESTARTS, LAST_END,
];

/// Older samples say nothing of now, in seconds: exporters are scraped every minute at most.
pub(super) const FRESH_SECONDS: f64 = 120.0;

/// What is known of a pod's containers, summed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Containers {
    pub cpu_seconds: Option<f64>,
    pub throttled_seconds: Option<f64>,
    pub memory_bytes: Option<f64>,
    pub memory_limit_bytes: Option<f64>,
    pub cpu_limit_cores: Option<f64>,
    /// When the youngest container started, in Unix seconds.
    pub started: Option<f64>,
    /// Kills for want of memory that cAdvisor counted.
    pub oom_events: Option<u64>,
    /// Restarts by container, with whether the last end was for want of memory.
    pub restarts: BTreeMap<String, (u64, bool)>,
}

/// The pods' containers at a moment. Series of another namespace are of another pod of the same name.
pub(super) fn containers_at(
    all: &[Series],
    pod: &str,
    pod_label: &str,
    namespace: Option<&str>,
    until: f64,
) -> Containers {
    // Several series of one container are its lives: the newest sample counts.
    let mut newest: BTreeMap<(&str, &str, &str), (f64, f64)> = BTreeMap::new();
    for series in all {
        let label = |name: &str| series.labels.get(name).map_or("", String::as_str);
        let own = label(pod_label) == pod || label("pod") == pod;
        let elsewhere = namespace.is_some_and(|own| {
            let theirs = label("namespace");
            !theirs.is_empty() && theirs != own
        });
        let container = label("container");
        // Without a name it is the sum over the pod, and `POD` is the one that holds its network.
        if !own || elsewhere || container.is_empty() || container == "POD" {
            continue;
        }
        let samples = series.samples.iter().rev();
        let mut inside = samples.skip_while(|(at, _)| *at > until + 1e-6);
        let Some((at, value)) = inside.next().copied() else {
            continue;
        };
        if at <= until - FRESH_SECONDS || !value.is_finite() || value < 0.0 {
            continue;
        }
        let part = match series.name.as_str() {
            LIMITS => label("resource"),
            LAST_END => label("reason"),
            _ => "",
        };
        let entry = newest
            .entry((series.name.as_str(), container, part))
            .or_insert((at, value));
        if at > entry.0 || (at == entry.0 && value > entry.1) {
            *entry = (at, value);
        }
    }
    summed(&newest)
}

fn summed(newest: &BTreeMap<(&str, &str, &str), (f64, f64)>) -> Containers {
    let of = |name: &str, part: &str| {
        let found: BTreeMap<&str, f64> = newest
            .iter()
            .filter(|((metric, _, own), _)| *metric == name && *own == part)
            .map(|((_, container, _), (_, value))| (*container, *value))
            .collect();
        found
    };
    let sum = |found: &BTreeMap<&str, f64>| {
        (!found.is_empty()).then(|| found.values().copied().sum::<f64>())
    };
    let memory = of(MEMORY, "");
    let cpu = of(CPU, "");
    // One container without a limit, and the pod has none.
    let limit = |used: &BTreeMap<&str, f64>, resource: &str| {
        let limits = of(LIMITS, resource);
        let all = used.keys().all(|container| limits.contains_key(container));
        sum(&limits).filter(|_| all)
    };
    let started = of(STARTED, "").into_values().reduce(f64::max);
    let killed: BTreeSet<&str> = of(LAST_END, "OOMKilled")
        .into_iter()
        .filter(|(_, value)| *value == 1.0)
        .map(|(container, _)| container)
        .collect();
    let restarts = of(RESTARTS, "").into_iter().map(|(container, count)| {
        let killed = killed.contains(container);
        (container.to_owned(), (count as u64, killed))
    });
    Containers {
        cpu_seconds: sum(&cpu),
        throttled_seconds: sum(&of(THROTTLED, "")),
        memory_bytes: sum(&memory),
        memory_limit_bytes: limit(&memory, "memory"),
        cpu_limit_cores: limit(&cpu, "cpu"),
        started,
        oom_events: sum(&of(OOM_EVENTS, "")).map(|count| count as u64),
        restarts: restarts.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, container: &str, more: &[(&str, &str)], at: f64, value: f64) -> Series {
        let labels = [("pod", "a"), ("namespace", "n"), ("container", container)];
        Series {
            name: name.to_owned(),
            labels: labels
                .iter()
                .chain(more)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            samples: vec![(at, value)],
            native: false,
        }
    }

    #[test]
    fn containers_add_up_without_the_pods_own_sum() {
        let all = [
            series(MEMORY, "", &[], 99.0, 1000.0),
            series(MEMORY, "POD", &[], 99.0, 1.0),
            series(MEMORY, "app", &[("id", "old")], 60.0, 900.0),
            series(MEMORY, "app", &[("id", "new")], 99.0, 300.0),
            series(MEMORY, "proxy", &[], 98.0, 50.0),
            series(CPU, "app", &[], 99.0, 12.5),
            series(LIMITS, "app", &[("resource", "memory")], 90.0, 2000.0),
            series(LIMITS, "app", &[("resource", "cpu")], 90.0, 2.0),
        ];
        let found = containers_at(&all, "a", "pod", Some("n"), 100.0);
        assert_eq!(found.memory_bytes, Some(350.0));
        assert_eq!(found.memory_limit_bytes, None, "the proxy has no limit");
        assert_eq!(
            (found.cpu_seconds, found.cpu_limit_cores),
            (Some(12.5), Some(2.0))
        );
        let none = containers_at(&all, "a", "pod", Some("other"), 100.0);
        assert_eq!(none, Containers::default());
        let later = containers_at(&all, "a", "pod", None, 1000.0);
        assert_eq!(later.memory_bytes, None, "too old");
    }
}
