//! An `AnalysisTemplate` of Argo Rollouts. The members that are read are those of its documentation:
//! `args`, `metrics[]` with `provider`, `interval`, `count`, `initialDelay`, `successCondition`,
//! `failureCondition` and the limits.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::query::{self, Measure};
use super::{Imported, duration, number, share, text};

/// Members of a metric that have no counterpart, and why.
const WITHOUT_COUNTERPART: [(&str, &str); 5] = [
    (
        "/failureLimit",
        "evidence has to hold for several checks instead of failures being counted",
    ),
    (
        "/inconclusiveLimit",
        "no verdict is exit code 3; `--on-inconclusive` says what follows",
    ),
    (
        "/consecutiveErrorLimit",
        "a look that fails loses coverage, and a pass needs 80% of it",
    ),
    ("/consecutiveSuccessLimit", "a pass needs the whole watch"),
    (
        "/failureCondition",
        "one condition is enough: between pass and fail lies no verdict",
    ),
];

static CONDITION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:asFloat\(\s*)?result(?:\[0\])?\s*\)?\s*(>=|<=|>|<)\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)").ok()
});

pub(super) fn read(kind: &str, document: &Value, imported: &mut Imported) {
    let name = text(document, "/metadata/name").unwrap_or("without a name");
    imported.from.push(format!("{kind} {name}"));
    let args = arguments(document, imported);
    let metrics = document.pointer("/spec/metrics").and_then(Value::as_array);
    for metric in metrics.into_iter().flatten() {
        self::metric(metric, &args, imported);
    }
    if document.pointer("/spec/dryRun").is_some() {
        imported.lose("dryRun: `--dry-run` runs no command for the whole run, not for one metric");
    }
    if !imported.is_empty() {
        imported.propose(
            "stable-selector",
            "version=\"stable\"",
            "the template looks at the canary alone; the judge compares it with stable: which pods are that?",
        );
    }
}

fn arguments(document: &Value, imported: &mut Imported) -> BTreeMap<String, String> {
    let args = document.pointer("/spec/args").and_then(Value::as_array);
    let mut known = BTreeMap::new();
    for arg in args.into_iter().flatten() {
        let Some(name) = text(arg, "/name") else {
            continue;
        };
        if let Some(value) = text(arg, "/value") {
            known.insert(name.to_owned(), value.to_owned());
        } else if arg.pointer("/valueFrom").is_some() {
            imported.lose(format!("argument `{name}`: its value comes from the cluster; give secrets by --bearer-env or --header-env"));
        }
    }
    known
}

/// Puts the values of arguments in. The answer says whether any stayed open.
fn filled(raw: &str, args: &BTreeMap<String, String>) -> (String, bool) {
    let (mut filled, mut rest, mut open) = (String::new(), raw, false);
    while let Some(begin) = rest.find("{{") {
        let (before, inside) = rest.split_at(begin);
        filled.push_str(before);
        let Some(end) = inside.find("}}") else {
            rest = inside;
            open = true;
            break;
        };
        let name = inside[2..end].trim();
        let name = name
            .strip_prefix("args.")
            .or_else(|| name.strip_prefix("inputs."))
            .unwrap_or(name);
        match args.get(name) {
            Some(value) => filled.push_str(value),
            None => {
                filled.push_str(&inside[..end + 2]);
                open = true;
            }
        }
        rest = &inside[end + 2..];
    }
    filled.push_str(rest);
    (filled, open)
}

fn metric(metric: &Value, args: &BTreeMap<String, String>, imported: &mut Imported) {
    let name = text(metric, "/name").unwrap_or("without a name");
    let Some(prometheus) = metric.pointer("/provider/prometheus") else {
        let provider = metric
            .pointer("/provider")
            .and_then(Value::as_object)
            .and_then(|provider| provider.keys().next());
        imported.lose(format!(
            "metric `{name}`: its provider is {}, and the judge reads request counters of a Prometheus or of the pods",
            provider.map_or("missing", String::as_str)
        ));
        return;
    };
    if let Some(address) = text(prometheus, "/address") {
        let (address, open) = filled(address, args);
        let why = format!("metric `{name}`");
        if open {
            imported.propose(
                "prometheus",
                address,
                why + ": the address has an argument without a value",
            );
        } else {
            imported.set("prometheus", address, why);
        }
    }
    for member in ["/authentication", "/headers"] {
        if prometheus.pointer(member).is_some() {
            imported.lose(format!("metric `{name}`: {} are not copied, for they may be secrets: see --bearer-env, --basic-user, --header-env, --sigv4-region", &member[1..]));
        }
    }
    if prometheus.pointer("/insecure") == Some(&Value::Bool(true)) {
        imported.lose(format!("metric `{name}`: insecure is not copied; --cacert is the better way, --insecure the same one"));
    }
    timing(name, metric, args, imported);
    for (member, why) in WITHOUT_COUNTERPART {
        let matters = metric.pointer(member).is_some()
            && (member != "/failureCondition" || metric.pointer("/successCondition").is_some());
        if matters {
            imported.lose(format!(
                "metric `{name}`: {} has no counterpart: {why}",
                &member[1..]
            ));
        }
    }
    let Some(raw) = text(prometheus, "/query") else {
        imported.lose(format!("metric `{name}`: it has no query"));
        return;
    };
    measured(name, metric, &filled(raw, args).0, imported);
}

fn timing(name: &str, metric: &Value, args: &BTreeMap<String, String>, imported: &mut Imported) {
    let duration_of = |member: &str| {
        let (text, _) = filled(text(metric, member)?, args);
        duration(&text)
    };
    let show = gs_common::units::show_duration;
    let interval = duration_of("/interval");
    if let Some(interval) = interval {
        imported.set(
            "interval",
            show(interval),
            format!("metric `{name}`: interval"),
        );
    }
    match (interval, number(metric, "/count")) {
        (Some(interval), Some(count)) if (1.0..=100_000.0).contains(&count) => {
            let whole = interval.mul_f64(count.floor());
            imported.set("duration", show(whole), format!("metric `{name}`: count {count} times interval"));
        }
        (Some(_), None) => imported.lose(format!("metric `{name}`: without a count it runs as long as the rollout; `duration` is 15m unless it is set")),
        _ => {}
    }
    if let Some(delay) = duration_of("/initialDelay") {
        imported.set(
            "warm-up",
            show(delay),
            format!(
                "metric `{name}`: initialDelay; here it begins with the canary's first request"
            ),
        );
    }
}

/// Which way a condition has to hold, and the limit.
fn limit_of(name: &str, metric: &Value, imported: &mut Imported) -> Option<(bool, f64)> {
    let (condition, reversed) = match (
        text(metric, "/successCondition"),
        text(metric, "/failureCondition"),
    ) {
        (Some(condition), _) => (condition, false),
        (None, Some(condition)) => (condition, true),
        (None, None) => {
            imported.lose(format!(
                "metric `{name}`: without a condition it decides nothing"
            ));
            return None;
        }
    };
    let lenient = ["isNaN", "len(", "isInf", "default(", "nil"];
    if lenient.iter().any(|word| condition.contains(word)) {
        imported.lose(format!("metric `{name}`: the condition `{condition}` has a rule for missing data; here no data is no verdict, never a pass"));
    }
    let mut found = CONDITION.as_ref()?.captures_iter(condition);
    let (Some(first), None) = (found.next(), found.next()) else {
        imported.lose(format!(
            "metric `{name}`: the condition `{condition}` is not one comparison with a number"
        ));
        return None;
    };
    let at_least = first.get(1)?.as_str().starts_with('>') != reversed;
    let limit: f64 = first.get(2)?.as_str().parse().ok()?;
    Some((at_least, limit))
}

fn measured(name: &str, metric: &Value, raw: &str, imported: &mut Imported) {
    let query = query::read(raw);
    let limit = limit_of(name, metric, imported);
    let open = raw.contains("{{");
    match (query.measure, limit) {
        (Measure::Other, _) => {
            imported.lose(format!("metric `{name}`: its query is neither a share of errors nor a percentile of response times: {raw}"));
            return;
        }
        (Measure::ErrorShare, Some((false, limit))) => errors(name, limit, imported),
        (Measure::SuccessShare, Some((true, limit))) => errors(name, 1.0 - limit, imported),
        (Measure::Quantile(quantile), Some((false, limit))) => {
            latency(name, quantile, limit, query.per_second, imported)
        }
        (_, Some(_)) => imported.lose(format!(
            "metric `{name}`: its condition asks for more errors or slower answers: it is left out"
        )),
        (_, None) => {}
    }
    if query.counts_4xx {
        imported.lose(format!(
            "metric `{name}`: it counts answers with 4xx as errors; here only 5xx are"
        ));
    }
    let why = format!("metric `{name}`: the labels of its query");
    let selector = query.matchers.join(",");
    if !selector.is_empty() {
        if open {
            imported.propose(
                "canary-selector",
                selector,
                why + "; an argument has no value",
            );
        } else {
            imported.set("canary-selector", selector, why);
        }
    }
    let Some(called) = query.metric else { return };
    let why = format!("metric `{name}`: what its query counts");
    match query.measure {
        Measure::Quantile(_) if query.per_second > 1.0 => imported.lose(format!(
            "metric `{name}`: `{called}` is not in seconds; the judge needs a histogram in seconds"
        )),
        Measure::Quantile(_) => {
            let called = called.strip_suffix("_bucket").unwrap_or(&called).to_owned();
            imported.set("duration-metric", called, why);
        }
        _ => imported.set("requests-metric", called, why),
    }
}

fn errors(name: &str, limit: f64, imported: &mut Imported) {
    // `> 95` is per cent.
    let limit = match limit {
        limit if (0.0..1.0).contains(&limit) => limit,
        limit if (1.0..100.0).contains(&limit) => limit / 100.0,
        limit if (-99.0..0.0).contains(&limit) => 1.0 - (1.0 - limit) / 100.0,
        _ => -1.0,
    };
    if limit > 0.0 && limit < 1.0 {
        imported.set(
            "error-limit",
            share(limit),
            format!("metric `{name}`: the share of requests that may fail"),
        );
    } else {
        imported.lose(format!(
            "metric `{name}`: its limit is no share between 0% and 100%"
        ));
    }
}

fn latency(name: &str, quantile: f64, limit: f64, per_second: f64, imported: &mut Imported) {
    let slow = 1.0 - quantile;
    let seconds = limit / per_second;
    if !(slow > 0.0 && slow < 1.0 && (0.001..=3600.0).contains(&seconds)) {
        imported.lose(format!(
            "metric `{name}`: its percentile or its limit is out of range"
        ));
        return;
    }
    let shown = gs_common::units::show_duration(std::time::Duration::from_secs_f64(seconds));
    imported.set(
        "latency-limit",
        shown,
        format!("metric `{name}`: the limit on its percentile"),
    );
    imported.set(
        "slow-share-limit",
        share(slow),
        format!("metric `{name}`: the percentile {quantile} leaves so many slower requests"),
    );
}
