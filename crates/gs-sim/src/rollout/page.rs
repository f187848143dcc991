//! What scrapers read: the state of a pod as samples, and samples as text.

use super::plan::Side;
use super::pod::{Look, MEMORY_LIMIT, ROUTES, STATUSES};
use super::simulation::Clock;
use crate::metrics::{EDGES, family, line};

/// The namespace of all pods.
pub(crate) const NAMESPACE: &str = "production";

/// A value that every mistake of a reader of labels trips over.
const NASTY: &str = "/signals/{symbol},le=\"0.5\"} 7\\n\n# é";

/// How the HTTP metrics and their routes are called.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Names {
    pub prefix: String,
    /// Whether the last route's label has everything in it that has to be escaped or skipped.
    pub nasty: bool,
}

impl Names {
    fn endpoints(&self) -> [&'static str; ROUTES.len()] {
        let mut names = ROUTES.map(|(name, _)| name);
        if self.nasty {
            names[ROUTES.len() - 1] = NASTY;
        }
        names
    }
}

/// A family of metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family<'a> {
    pub name: &'a str,
    kind: &'static str,
    help: &'static str,
}

type Labels<'a> = &'a [(&'a str, &'a str)];

/// Who takes samples: family, name, labels, value.
pub(crate) type Taker<'t> = &'t mut dyn FnMut(Family<'_>, &str, Labels<'_>, f64);

/// All samples of a pod's page, family by family.
pub(crate) fn samples(look: &Look, names: &Names, clock: &Clock, take: Taker<'_>) {
    let prefix = &names.prefix;
    let total = format!("{prefix}http_requests_total");
    let requests = Family {
        name: &total,
        kind: "counter",
        help: "Answers by route and status.",
    };
    let endpoints = names.endpoints();
    let statuses = STATUSES.map(|status| status.to_string());
    for (endpoint, route) in endpoints.iter().zip(&look.routes) {
        for (status, count) in statuses.iter().zip(route.statuses) {
            // A client library shows a series from its first event on.
            if count > 0 {
                let labels = [
                    ("method", "GET"),
                    ("endpoint", *endpoint),
                    ("status", status.as_str()),
                ];
                take(requests, &total, &labels, count as f64);
            }
        }
    }
    let duration = format!("{prefix}http_request_duration_seconds");
    durations(look, &duration, &endpoints, take);
    let of_process: [(Family<'static>, f64); 3] = [
        (
            Family {
                name: "process_start_time_seconds",
                kind: "gauge",
                help: "Start of the process, Unix time.",
            },
            clock.unix(look.started_seconds),
        ),
        (
            Family {
                name: "process_resident_memory_bytes",
                kind: "gauge",
                help: "Memory of the process.",
            },
            look.memory_bytes,
        ),
        (
            Family {
                name: "process_cpu_seconds_total",
                kind: "counter",
                help: "CPU time of the process, user and system.",
            },
            look.cpu_seconds,
        ),
    ];
    for (family, value) in of_process {
        take(family, family.name, &[], value);
    }
    let build = Family {
        name: "goldensignals_build_info",
        kind: "gauge",
        help: "The version of the pod.",
    };
    take(build, build.name, &[("version", look.side.version())], 1.0);
}

fn durations(look: &Look, name: &str, endpoints: &[&str], take: Taker<'_>) {
    let family = Family {
        name,
        kind: "histogram",
        help: "Time from the last byte of a request to the last byte of its answer.",
    };
    let [bucket, sum, count] = ["bucket", "sum", "count"].map(|part| format!("{name}_{part}"));
    let edges = EDGES.map(|edge| format!("{edge:?}"));
    for (endpoint, route) in endpoints.iter().zip(&look.routes) {
        let [method, endpoint] = [("method", "GET"), ("endpoint", *endpoint)];
        let mut cumulative = 0;
        let edges = edges.iter().map(String::as_str).chain(["+Inf"]);
        for (edge, inside) in edges.zip(route.buckets) {
            cumulative += inside;
            take(
                family,
                &bucket,
                &[method, endpoint, ("le", edge)],
                cumulative as f64,
            );
        }
        take(family, &sum, &[method, endpoint], route.sum_seconds);
        take(family, &count, &[method, endpoint], cumulative as f64);
    }
}

/// The samples about the containers of these pods, as cAdvisor and kube-state-metrics have them.
pub(crate) fn container_samples(looks: &[Look], take: Taker<'_>) {
    let gauge = |name: &'static str, help: &'static str| Family {
        name,
        kind: "gauge",
        help,
    };
    let counter = |name: &'static str, help: &'static str| Family {
        name,
        kind: "counter",
        help,
    };
    let mut each =
        |family: Family<'static>, extra: Labels<'_>, also_down: bool, value: fn(&Look) -> f64| {
            for look in looks.iter().filter(|look| look.up || also_down) {
                let mut labels = vec![
                    ("namespace", NAMESPACE),
                    ("pod", &*look.pod),
                    ("container", "goldensignals"),
                ];
                labels.extend_from_slice(extra);
                take(family, family.name, &labels, value(look));
            }
        };
    let cpu = counter(
        "container_cpu_usage_seconds_total",
        "CPU time of a container.",
    );
    each(cpu, &[], false, |look| look.cpu_seconds);
    let memory = gauge(
        "container_memory_working_set_bytes",
        "Memory of a container that cannot be taken back.",
    );
    each(memory, &[], false, |look| look.memory_bytes);
    let limits = gauge(
        "kube_pod_container_resource_limits",
        "What a container may use.",
    );
    each(
        limits,
        &[("resource", "memory"), ("unit", "byte")],
        true,
        |_| MEMORY_LIMIT,
    );
    let restarts = counter(
        "kube_pod_container_status_restarts_total",
        "How often a container has started again.",
    );
    each(restarts, &[], true, |look| look.restarts as f64);
}

/// The labels that a target of `/targets` brings.
pub(crate) fn target_labels(pod: &str, side: Side) -> [(&'static str, &str); 3] {
    [
        ("pod", pod),
        ("deployment", side.deployment()),
        ("namespace", NAMESPACE),
    ]
}

/// A pod's page.
pub(super) fn of_pod(look: &Look, names: &Names, clock: &Clock) -> String {
    text(|take| samples(look, names, clock, take))
}

/// The page about all containers.
pub(super) fn of_containers(looks: &[Look]) -> String {
    text(|take| container_samples(looks, take))
}

fn text(samples: impl FnOnce(Taker<'_>)) -> String {
    let mut text = String::new();
    let mut last = String::new();
    samples(&mut |of, name, labels, value| {
        if of.name != last {
            of.name.clone_into(&mut last);
            family(&mut text, of.name, of.kind, of.help);
        }
        line(&mut text, name, labels, value);
    });
    text
}
