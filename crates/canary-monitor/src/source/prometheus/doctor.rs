//! A Prometheus and what it has of the pods, looked at before a run. Every question is asked, whatever the
//! one before it brought.

use std::collections::BTreeMap;

use gs_common::config::did_you_mean;
use gs_common::report::{Check, Evidence};
use gs_common::units::show_duration;
use gs_common::verdict::Verdict;
use jiff::Timestamp;

use super::ask::{MOST_SKEW_SECONDS, unix};
use super::containers::containers_at;
use super::pods::{PodAt, pods_at};
use super::setup::{self, Seen, Setup};
use super::{FRESH_SECONDS, PrometheusSource, SIDES};
use crate::observations::Side;
use crate::source::Plan;
use crate::source::counters::{Track, edges};
use crate::source::diagnosis::{self as of, bad, edge_check, good, seen as with, unreachable};
use crate::source::fetch::skew;
use crate::source::names::{Names, REQUESTS};
use crate::source::selector::Op;

/// A label has more values than this only where it is of no use for a selector.
const MOST_VALUES: usize = 20_000;

/// A skew that deserves a look, in seconds.
const NOTED_SKEW_SECONDS: f64 = 2.0;

/// Looks that a run should have.
const FEWEST_LOOKS: f64 = 20.0;

pub(super) async fn checks(source: &PrometheusSource, plan: &Plan, now: Timestamp) -> Vec<Check> {
    let mut checks = Vec::new();
    let shown = source.asker.shown();
    let ahead = match source.asker.clock().await {
        Ok(ahead) => {
            checks.push(good("prometheus", "Prometheus answers", &shown));
            checks.push(clock(ahead));
            ahead
        }
        Err(error) => {
            checks.push(unreachable(
                "prometheus",
                "Prometheus answers",
                &shown,
                &error,
            ));
            return checks;
        }
    };
    // By its own clock, so that the rest is found even where that is off.
    let at = unix(now) + ahead;
    let mut both: [Seen; 2] = Default::default();
    for (side, seen) in SIDES.into_iter().zip(&mut both) {
        let id = format!("series-{}", side.as_str());
        let title = format!("there are series of {}", side.as_str());
        let selector = format!("{{{}}}", source.selector(side));
        match source.search(side, at).await {
            Err(error) => checks.push(unreachable(&id, &title, &selector, &error)),
            Ok(found) => {
                let check = if found.series.is_empty() {
                    no_series(source, side, &id, title, &selector).await
                } else {
                    good(&id, title, &selector)
                };
                checks.push(with(check, found.series.len(), "series"));
                checks.extend(warned(side, &found));
                *seen = found;
            }
        }
    }
    if both.iter().all(|seen| seen.series.is_empty()) {
        return checks;
    }
    let interval = match source.config.scrape_interval {
        Some(interval) => Some(interval.as_secs_f64()),
        None => setup::interval(&both),
    };
    checks.push(interval_check(interval, plan));
    let (Some(interval), Some(pod_label)) = (
        interval,
        setup::pod_label(source.metrics.pod_label.as_deref(), &both),
    ) else {
        return checks;
    };
    let mut names = Vec::new();
    for (side, seen) in SIDES.into_iter().zip(&both) {
        let (found, check) = counter(source, side, seen, interval);
        checks.push(check);
        names.push(found);
    }
    let [canary, stable] = &names[..] else {
        return checks;
    };
    let (Some(one), Some(other)) = (
        canary.clone().or(stable.clone()),
        stable.clone().or(canary.clone()),
    ) else {
        return checks;
    };
    let setup = Setup {
        names: [one, other],
        pod_label,
        edges: Vec::new(),
        interval,
        phase: 0.0,
        settle: 0.0,
        containers: true,
    };
    pods(source, &setup, plan, at, &mut checks).await;
    checks
}

fn clock(ahead: f64) -> Check {
    const ID: &str = "clock";
    const TITLE: &str = "the clocks of Prometheus and of this machine agree";
    let message = format!("Prometheus is {} this machine", skew(ahead));
    let check = if ahead.abs() > MOST_SKEW_SECONDS {
        bad(ID, TITLE, "", Verdict::Fail, of::CLOCK_SKEW, message)
    } else if ahead.abs() > NOTED_SKEW_SECONDS {
        bad(ID, TITLE, "", Verdict::Warn, of::CLOCK_SKEW, message)
    } else {
        good(ID, TITLE, "")
    };
    with(check, (ahead * 10.0).round() / 10.0, "s")
}

fn warned(side: Side, seen: &Seen) -> Option<Check> {
    (!seen.warnings.is_empty()).then(|| Check {
        evidence: seen
            .warnings
            .iter()
            .map(|text| Evidence {
                label: "warning".to_owned(),
                text: crate::source::fetch::said(text),
            })
            .collect(),
        ..bad(
            &format!("whole-{}", side.as_str()),
            format!("the data of {} are whole", side.as_str()),
            "",
            Verdict::Fail,
            of::WARNED,
            "Prometheus says that data are missing: such looks are lost",
        )
    })
}

fn interval_check(interval: Option<f64>, plan: &Plan) -> Check {
    const ID: &str = "scrape-interval";
    const TITLE: &str = "the scrape interval is known";
    let Some(interval) = interval else {
        return bad(
            ID,
            TITLE,
            "",
            Verdict::Fail,
            of::SCRAPE_INTERVAL,
            "no series has two samples in the last minutes: name it with --scrape-interval",
        );
    };
    let looks = plan.duration_seconds / (interval * plan.time_scale);
    let check = if looks < FEWEST_LOOKS {
        let duration = show_duration(std::time::Duration::from_secs_f64(plan.duration_seconds));
        bad(
            ID,
            TITLE,
            "",
            Verdict::Warn,
            of::SCRAPE_INTERVAL,
            format!("a run of {duration} has {looks:.0} looks only: scrape more often"),
        )
    } else {
        good(ID, TITLE, "")
    };
    with(check, interval, "s")
}

/// Why a selector matches nothing: a value that is not there, and the nearest one that is.
async fn no_series(
    source: &PrometheusSource,
    side: Side,
    id: &str,
    title: String,
    selector: &str,
) -> Check {
    let own = source.selector(side);
    let mut said = Vec::new();
    let mut typo = false;
    for matcher in own.matchers() {
        if !matches!(matcher.op, Op::Is | Op::Matches) || matcher.value.is_empty() {
            continue;
        }
        let values = match source.asker.values(&matcher.label).await {
            Ok(values) => values,
            Err(error) => {
                said.push(error.what);
                continue;
            }
        };
        if values.is_empty() {
            typo = true;
            said.push(format!("no series has a label `{}`", matcher.label));
            continue;
        }
        let there = match matcher.op {
            Op::Is => values.contains(&matcher.value),
            _ => regex::Regex::new(&format!("^(?:{})$", matcher.value))
                .is_ok_and(|pattern| values.iter().any(|value| pattern.is_match(value))),
        };
        if !there {
            typo = true;
            let known = values.iter().take(MOST_VALUES).map(String::as_str);
            said.push(match did_you_mean(&matcher.value, known) {
                Some(near) => format!(
                    "label `{}` has no value `{}`: did you mean `{near}`?",
                    matcher.label, matcher.value
                ),
                None => format!(
                    "label `{}` has no value `{}`; it has {}",
                    matcher.label,
                    matcher.value,
                    some_of(&values)
                ),
            });
        }
    }
    if said.is_empty() {
        said.push(
            "each label has such a value, but no series of the metrics asked for has all of them: is it deployed and scraped?"
                .to_owned(),
        );
    }
    let reason = if typo { of::LABEL_TYPO } else { of::NO_SERIES };
    bad(id, title, selector, Verdict::Fail, reason, said.join("; "))
}

fn some_of(values: &[String]) -> String {
    let shown: Vec<&str> = values.iter().take(8).map(String::as_str).collect();
    let more = if values.len() > 8 { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn counter(
    source: &PrometheusSource,
    side: Side,
    seen: &Seen,
    interval: f64,
) -> (Option<Names>, Check) {
    let id = format!("counter-{}", side.as_str());
    let title = format!("{} counts its requests", side.as_str());
    let has = |name: &str| seen.has(name, 1.5 * interval);
    let (names, warnings) = Names::choose(&source.metrics, &has);
    let Some(names) = names.filter(|names| has(&names.requests)) else {
        let wanted = source
            .metrics
            .requests
            .clone()
            .unwrap_or_else(|| REQUESTS.join(" or "));
        let message = format!(
            "no series of {wanted}: it has served nothing since its start, or counts by another name (--requests-metric)"
        );
        return (
            None,
            bad(&id, title, "", Verdict::Fail, of::NO_COUNTER, message),
        );
    };
    let mut check = good(&id, format!("{title} by {}", names.requests), "");
    check.evidence = warnings
        .into_iter()
        .map(|text| Evidence {
            label: "note".to_owned(),
            text,
        })
        .collect();
    (Some(names), check)
}

async fn pods(
    source: &PrometheusSource,
    setup: &Setup,
    plan: &Plan,
    at: f64,
    checks: &mut Vec<Check>,
) {
    let world = match source.gather_unchecked(setup, at, setup.interval).await {
        Ok(world) => world,
        Err(error) => {
            checks.push(unreachable(
                "samples",
                "samples of the pods are read",
                "",
                &error,
            ));
            return;
        }
    };
    let [canary, stable] = SIDES.map(|side| {
        let gathered = &world.sides[usize::from(side == Side::Stable)];
        let names = setup.names_of(side);
        pods_at(gathered, names, &setup.pod_label, at, 2.5 * setup.interval).0
    });
    checks.push(apart(&canary, &stable));
    let mut common: Option<Vec<f64>> = None;
    for (side, pods) in SIDES.into_iter().zip([&canary, &stable]) {
        one_side(source, setup, side, pods, &mut common, checks);
    }
    checks.push(edge_check(
        &common.unwrap_or_default(),
        plan.latency_limit_seconds,
    ));
    let known = canary.iter().chain(&stable).any(|(name, pod)| {
        let namespace = pod.namespace.as_deref();
        let used = containers_at(&world.containers, name, &setup.pod_label, namespace, at);
        used.memory_bytes.or(pod.memory_bytes).is_some()
    });
    let limited = canary.iter().any(|(name, pod)| {
        let namespace = pod.namespace.as_deref();
        let used = containers_at(&world.containers, name, &setup.pod_label, namespace, at);
        used.memory_limit_bytes.is_some()
    });
    let title = "CPU and memory of the pods are known";
    checks.push(match (known, limited) {
        (true, true) => good("resources", title, ""),
        (true, false) => bad(
            "resources",
            title,
            "",
            Verdict::Warn,
            of::NO_RESOURCES,
            "the canary's memory limit is not: kube_pod_container_resource_limits is missing, or its containers have none (--kubernetes asks the cluster)",
        ),
        (false, _) => bad(
            "resources",
            title,
            "",
            Verdict::Warn,
            of::NO_RESOURCES,
            format!(
                "neither container_memory_working_set_bytes nor process_resident_memory_bytes is there for the last {}: no leak will be seen (--kubernetes asks the cluster)",
                show_duration(std::time::Duration::from_secs_f64(FRESH_SECONDS))
            ),
        ),
    });
}

fn apart(canary: &BTreeMap<String, PodAt>, stable: &BTreeMap<String, PodAt>) -> Check {
    const ID: &str = "sides-apart";
    const TITLE: &str = "canary and stable are different pods";
    let both: Vec<&str> = canary
        .keys()
        .filter(|pod| stable.contains_key(*pod))
        .map(String::as_str)
        .collect();
    let check = if both.is_empty() {
        good(ID, TITLE, "")
    } else {
        bad(
            ID,
            TITLE,
            "",
            Verdict::Fail,
            of::SAME_PODS,
            format!(
                "{} of the pods match both selectors, {} among them: narrow --stable-selector",
                both.len(),
                both.first().copied().unwrap_or_default()
            ),
        )
    };
    with(
        check,
        format!("{} and {}", canary.len(), stable.len()),
        "pods",
    )
}

fn one_side(
    source: &PrometheusSource,
    setup: &Setup,
    side: Side,
    pods: &BTreeMap<String, PodAt>,
    common: &mut Option<Vec<f64>>,
    checks: &mut Vec<Check>,
) {
    let names = setup.names_of(side);
    let word = side.as_str();
    let (mut requests, mut wrong, mut errors_known) = (0, Vec::new(), true);
    let (mut histograms, mut broken) = (0, Vec::new());
    let (mut starts, mut twice) = (0, Vec::new());
    for (name, pod) in pods {
        let own = match edges(&pod.reading) {
            Ok(Some(own)) => {
                histograms += 1;
                *common = Some(match common.take() {
                    None => own.clone(),
                    Some(before) => crate::source::counters::common_edges(&before, &own),
                });
                own
            }
            Ok(None) => Vec::new(),
            Err(why) => {
                broken.push(format!("{name}: {why}"));
                Vec::new()
            }
        };
        let sums = Track::default().take(&pod.reading, names, &source.metrics, &own, &mut wrong);
        requests += sums.requests.unwrap_or(0);
        errors_known &= sums.errors.is_some() || pod.reading.requests.is_empty();
        starts += usize::from(pod.reading.started.is_some());
        twice.extend(pod.twice.iter().map(|by| format!("{name}: {by}")));
    }
    checks.push(crate::source::scrape::traffic_check(side, requests));
    let title = format!("{word} tells the status of its answers");
    let id = format!("status-{word}");
    checks.push(if errors_known {
        good(&id, title, "")
    } else {
        bad(
            &id,
            title,
            "",
            Verdict::Fail,
            of::NO_STATUS,
            wrong.join("; "),
        )
    });
    let id = format!("histogram-{word}");
    let title = format!("{word} times its requests by {}", names.duration);
    checks.push(if !broken.is_empty() {
        let what = broken.join("; ");
        bad(&id, title, "", Verdict::Fail, of::BROKEN_HISTOGRAM, what)
    } else if histograms == 0 {
        let what = format!("no pod has series of {}", names.bucket());
        bad(&id, title, "", Verdict::Fail, of::NO_HISTOGRAM, what)
    } else {
        with(good(&id, title, ""), histograms, "pods")
    });
    let id = format!("starts-{word}");
    let title = format!("the starts of {word} are known");
    checks.push(if starts == pods.len() {
        good(&id, title, "")
    } else {
        let what = "process_start_time_seconds is not there for all pods: restarts show only where counters fall";
        bad(&id, title, "", Verdict::Warn, of::NO_START, what)
    });
    if !twice.is_empty() {
        let id = format!("once-{word}");
        let title = format!("each pod of {word} is scraped once");
        let what = format!("only the first of them is read: {}", twice.join("; "));
        checks.push(bad(&id, title, "", Verdict::Warn, of::SCRAPED_TWICE, what));
    }
}
