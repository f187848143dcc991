//! The pods' pages, looked at before a run.

use gs_common::report::{Check, Evidence};
use gs_common::verdict::Verdict;

use super::{Got, Read, SAME_CLOCK_SECONDS, ScrapeSource, Target, pod_reading};
use crate::observations::Side;
use crate::source::Plan;
use crate::source::counters::{Track, edges};
use crate::source::diagnosis::{self as of, bad, edge_check, good, seen, unreachable};
use crate::source::fetch::skew;
use crate::source::names::{Names, REQUESTS, START};

/// What two readings of all pages, one after the other, show.
pub(super) fn checks(source: &ScrapeSource, got: &[Got], again: &[Got], plan: &Plan) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut common: Option<Vec<f64>> = None;
    let mut traffic = [0_u64; 2];
    for (index, (target, got)) in source.config.targets.iter().zip(got).enumerate() {
        let id = |what: &str| format!("{what}-{}", target.pod);
        let title = format!("the page of {} pod {}", target.side.as_str(), target.pod);
        let url = gs_common::redact::redact_url(&target.url);
        let read = match got {
            Ok(read) => read,
            Err(error) => {
                checks.push(unreachable(&id("page"), &title, &url, error));
                continue;
            }
        };
        checks.push(page(&id("page"), title, &url, read));
        let names = source.pods.get(index).and_then(|pod| pod.names.as_ref());
        let Some(names) = names else {
            checks.push(no_counter(&id("counter"), target, read, source));
            continue;
        };
        counters(source, target, read, names, &mut traffic, &mut checks);
        let reading = pod_reading(read, names, None, &mut None, &mut Vec::new());
        if let Ok(Some(edges)) = edges(&reading) {
            common = Some(match common {
                None => edges,
                Some(before) => crate::source::counters::common_edges(&before, &edges),
            });
        }
        if let Some(Ok(again)) = again.get(index) {
            checks.push(process(&id("process"), target, read, again));
        }
        if let Some(ahead) = read
            .ahead_seconds
            .filter(|ahead| ahead.abs() >= SAME_CLOCK_SECONDS)
        {
            checks.push(seen(
                bad(
                    &id("clock"),
                    format!("the clock of {}", target.pod),
                    &url,
                    Verdict::Warn,
                    of::CLOCK_SKEW,
                    format!("it is {} this machine's", skew(ahead)),
                ),
                ahead.round(),
                "s",
            ));
        }
    }
    checks.push(edge_check(
        &common.unwrap_or_default(),
        plan.latency_limit_seconds,
    ));
    for (side, requests) in [Side::Canary, Side::Stable].into_iter().zip(traffic) {
        checks.push(traffic_check(side, requests));
    }
    checks
}

pub(crate) fn traffic_check(side: Side, requests: u64) -> Check {
    let id = format!("traffic-{}", side.as_str());
    let title = format!("{} gets requests", side.as_str());
    let check = if requests == 0 {
        bad(
            &id,
            title,
            "",
            Verdict::Warn,
            of::NO_TRAFFIC,
            "it has counted none since its start: does it get its share of the traffic?",
        )
    } else {
        good(&id, title, "")
    };
    seen(check, requests, "requests")
}

fn page(id: &str, title: String, url: &str, read: &Read) -> Check {
    let lines = read.page.lines;
    let all = lines.samples + lines.comments + lines.empty + lines.rejected;
    let counted = format!(
        "{all} lines: {} samples, {} comments, {} empty, {} rejected",
        lines.samples, lines.comments, lines.empty, lines.rejected
    );
    let mut check = if lines.rejected == 0 {
        good(id, title, url)
    } else {
        let needed = read.page.rejected.iter().any(|line| line.needed.is_some());
        let verdict = if needed { Verdict::Fail } else { Verdict::Warn };
        let what = if needed {
            "lines of a needed metric could not be read: its counters are not known"
        } else {
            "lines could not be read, none of a needed metric"
        };
        bad(id, title, url, verdict, of::REJECTED_LINES, what)
    };
    let rejected = read.page.rejected.iter().take(5).map(|line| Evidence {
        label: format!("line {}", line.line),
        text: line.why.to_owned(),
    });
    check.evidence = rejected.collect();
    check.evidence.push(Evidence {
        label: "lines".to_owned(),
        text: counted,
    });
    check
}

fn no_counter(id: &str, target: &Target, read: &Read, source: &ScrapeSource) -> Check {
    let wanted = source
        .metrics
        .requests
        .clone()
        .unwrap_or_else(|| REQUESTS.join(" or "));
    // `x_total` stands as the family `x` in OpenMetrics.
    let counters: Vec<&str> = read
        .page
        .kinds
        .iter()
        .filter(|(_, kind)| *kind == "counter")
        .map(|(name, _)| name.as_str())
        .collect();
    let near = wanted
        .split(" or ")
        .find_map(|name| gs_common::config::did_you_mean(name, counters.iter().copied()));
    let near = near.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    let check = bad(
        id,
        format!("{} counts requests", target.pod),
        "",
        Verdict::Fail,
        of::NO_COUNTER,
        format!("its page has no counter {wanted}{near}"),
    );
    Check {
        evidence: vec![Evidence {
            label: "counters there".to_owned(),
            text: counters.join(", "),
        }],
        ..check
    }
}

fn counters(
    source: &ScrapeSource,
    target: &Target,
    read: &Read,
    names: &Names,
    traffic: &mut [u64; 2],
    checks: &mut Vec<Check>,
) {
    let mut said = Vec::new();
    let reading = pod_reading(read, names, None, &mut None, &mut Vec::new());
    let found = edges(&reading);
    let own = found.clone().ok().flatten().unwrap_or_default();
    let sums = Track::default().take(&reading, names, &source.metrics, &own, &mut said);
    let id = |what: &str| format!("{what}-{}", target.pod);
    if let Some(requests) = sums.requests {
        let side = usize::from(target.side == Side::Stable);
        traffic[side] += requests;
        let title = format!("{} counts requests by {}", target.pod, names.requests);
        checks.push(seen(good(&id("counter"), title, ""), requests, "requests"));
    } else {
        checks.push(bad(
            &id("counter"),
            format!("{} counts requests", target.pod),
            "",
            Verdict::Fail,
            of::NO_COUNTER,
            said.join("; "),
        ));
    }
    let title = format!("{} tells the status of its answers", target.pod);
    checks.push(match sums.errors {
        Some(errors) => seen(good(&id("status"), title, ""), errors, "errors"),
        None => bad(
            &id("status"),
            title,
            "",
            Verdict::Fail,
            of::NO_STATUS,
            said.join("; "),
        ),
    });
    let title = format!("{} times its requests by {}", target.pod, names.duration);
    checks.push(match found {
        Ok(Some(edges)) => seen(good(&id("histogram"), title, ""), edges.len(), "edges"),
        Ok(None) if reading.buckets_declared => good(&id("histogram"), title, ""),
        Ok(None) => bad(
            &id("histogram"),
            title,
            "",
            Verdict::Fail,
            of::NO_HISTOGRAM,
            format!("its page has no {}", names.bucket()),
        ),
        Err(why) => bad(
            &id("histogram"),
            title,
            "",
            Verdict::Fail,
            of::BROKEN_HISTOGRAM,
            why,
        ),
    });
}

/// One process behind one address: two readings name one start.
fn process(id: &str, target: &Target, read: &Read, again: &Read) -> Check {
    let title = format!("one process answers as {}", target.pod);
    match (read.value(START), again.value(START)) {
        (Some(one), Some(other)) if (one - other).abs() > 2.0 => bad(
            id,
            title,
            "",
            Verdict::Fail,
            of::SEVERAL_PROCESSES,
            "two readings in a row named different starts: several workers or pods answer behind this address, and their counters cannot be told apart",
        ),
        (Some(_), Some(_)) => good(id, title, ""),
        _ => bad(
            id,
            title,
            "",
            Verdict::Warn,
            of::NO_START,
            format!("{START} is not on its page: restarts show only where counters fall"),
        ),
    }
}
