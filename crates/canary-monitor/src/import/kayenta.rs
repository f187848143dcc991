//! A canary configuration of Kayenta, alone or inside the body of a request that runs it. Its metrics
//! become limits nowhere: Kayenta compares, and so does the judge. What can be taken over is where the
//! canary is and how long it is watched.

use serde_json::Value;

use super::{Imported, duration, number, text};

/// Words in the name of a metric that make it one of errors, or of latency.
const ERRORS: [&str; 4] = ["error", "fail", "5xx", "500"];
const LATENCY: [&str; 5] = ["latency", "duration", "response", "p95", "time"];
const RESOURCES: [&str; 3] = ["cpu", "memory", "mem"];

pub(super) fn read(document: &Value, imported: &mut Imported) {
    let config = document.get("canaryConfig").unwrap_or(document);
    let Some(metrics) = config.get("metrics").and_then(Value::as_array) else {
        return;
    };
    let is_kayenta = config.get("classifier").is_some()
        || config.get("judge").is_some()
        || metrics
            .iter()
            .any(|metric| metric.get("analysisConfigurations").is_some());
    if !is_kayenta {
        return;
    }
    let name = text(config, "/name").unwrap_or("without a name");
    imported
        .from
        .push(format!("canary configuration {name} of Kayenta"));
    if let Some(request) = document.get("executionRequest") {
        self::request(request, imported);
    }
    for metric in metrics {
        self::metric(metric, imported);
    }
    templates(config, imported);
    if config.pointer("/classifier/groupWeights").is_some() {
        imported.lose("groupWeights: there is no score; one test that fails is a fail");
    }
    let thresholds = config
        .pointer("/classifier/scoreThresholds")
        .or_else(|| document.pointer("/executionRequest/thresholds"));
    if thresholds.is_some() {
        imported.lose("score thresholds: pass, fail and no verdict take their place");
    }
    if let Some(judge) = text(config, "/judge/name") {
        imported.lose(format!("judge `{judge}`: `canary-monitor replay --judge kayenta` shows what its way would have said of a run"));
    }
    if imported.is_empty() {
        imported.propose(
            "prometheus",
            "http://prometheus:9090",
            "accounts of Kayenta stand outside of this file: where is the Prometheus?",
        );
    }
    imported.propose(
        "stable-selector",
        "version=\"stable\"",
        "the pods to compare with; a baseline of the same age is --baseline-selector",
    );
}

/// How long, and which pods.
fn request(request: &Value, imported: &mut Imported) {
    let scopes = request.get("scopes").and_then(Value::as_object);
    let Some(scope) = scopes.and_then(|scopes| scopes.values().next()) else {
        return;
    };
    for (member, key) in [
        ("/experimentScope", "canary-selector"),
        ("/controlScope", "baseline-selector"),
    ] {
        if let Some(scope) = text(scope, &format!("{member}/scope")) {
            imported.propose(
                key,
                scope,
                format!("{}: write it as label matchers", &member[1..]),
            );
        }
    }
    let moment = |end: &str| {
        let member = format!("/experimentScope/{end}");
        number(scope, &member)
            .map(|millis| millis / 1000.0)
            .or_else(|| {
                Some(
                    text(scope, &member)?
                        .parse::<jiff::Timestamp>()
                        .ok()?
                        .as_millisecond() as f64
                        / 1000.0,
                )
            })
    };
    let show = |seconds: f64| {
        gs_common::units::show_duration(std::time::Duration::from_secs_f64(seconds.round()))
    };
    if let (Some(start), Some(end)) = (moment("start"), moment("end"))
        && (1.0..=31.0 * 86_400.0).contains(&(end - start))
    {
        imported.set("duration", show(end - start), "start to end of the scope");
    }
    let lifetime = text(request, "/lifetimeDuration").and_then(duration);
    if let Some(lifetime) = lifetime {
        imported.set(
            "duration",
            gs_common::units::show_duration(lifetime),
            "lifetimeDuration",
        );
    }
    if let Some(step) = number(scope, "/experimentScope/step")
        && (1.0..=86_400.0).contains(&step)
    {
        imported.set("interval", show(step), "step of the scope");
    }
}

fn metric(metric: &Value, imported: &mut Imported) {
    let name = text(metric, "/name").unwrap_or("without a name");
    let kind = text(metric, "/query/type").or_else(|| text(metric, "/query/serviceType"));
    if kind != Some("prometheus") {
        imported.lose(format!(
            "metric `{name}`: it comes from {}, and the judge reads request counters of a Prometheus or of the pods",
            kind.unwrap_or("an unknown source")
        ));
        return;
    }
    let called = text(metric, "/query/metricName");
    let words = format!("{name} {}", called.unwrap_or_default()).to_lowercase();
    let has = |list: &[&str]| list.iter().any(|word| words.contains(word));
    let canary = "/analysisConfigurations/canary";
    if has(&RESOURCES) {
        imported.lose(format!(
            "metric `{name}`: CPU and memory have guards of their own, which need no query"
        ));
    } else if has(&ERRORS) {
        if let Some(called) = called {
            imported.propose("requests-metric", called, format!("metric `{name}`: the judge needs the counter of all requests, with a label for the status"));
        }
    } else if has(&LATENCY) {
        if let Some(called) = called {
            let base = called.strip_suffix("_bucket").unwrap_or(called);
            imported.propose(
                "duration-metric",
                base,
                format!("metric `{name}`: the judge needs a histogram in seconds"),
            );
        }
    } else {
        imported.lose(format!(
            "metric `{name}`: it is neither of errors nor of response times by its name"
        ));
    }
    let lost = [
        ("critical", "every test is critical here"),
        (
            "nanStrategy",
            "what is not known is never replaced by 0 here",
        ),
        (
            "outliers",
            "bursts are weighed by the scatter of the stable pods",
        ),
    ];
    for (member, why) in lost {
        if metric.pointer(&format!("{canary}/{member}")).is_some() {
            imported.lose(format!(
                "metric `{name}`: {member} has no counterpart: {why}"
            ));
        }
    }
    if let Some(allowed) = number(metric, &format!("{canary}/effectSize/allowedIncrease")) {
        imported.lose(format!("metric `{name}`: allowedIncrease {allowed} is not carried over: 1.3 times stable's errors and a latency 12% longer are tolerated, whatever the metric"));
    }
    if text(metric, &format!("{canary}/direction")) == Some("decrease") {
        imported.lose(format!("metric `{name}`: direction decrease: the judge looks for more errors and slower answers only"));
    }
}

/// Templates of filters hold label matchers with variables.
fn templates(config: &Value, imported: &mut Imported) {
    let templates = config.get("templates").and_then(Value::as_object);
    for (name, template) in templates.into_iter().flatten() {
        if let Some(template) = template.as_str() {
            imported.propose(
                "canary-selector",
                template.replace('\'', "\""),
                format!("filter template `{name}`: put the values of its variables in"),
            );
        }
    }
}
