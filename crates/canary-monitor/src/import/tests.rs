use proptest::prelude::*;

use super::*;

const SUCCESS: &str = include_str!("../../tests/import/argo-success-rate.yaml");
const TWO: &str = include_str!("../../tests/import/argo-two-metrics.yaml");
const JOB: &str = include_str!("../../tests/import/argo-job.yaml");
const KAYENTA: &str = include_str!("../../tests/import/kayenta-prometheus.json");
const NEWRELIC: &str = include_str!("../../tests/import/kayenta-newrelic.json");

fn got(text: &str) -> Imported {
    read(text).unwrap()
}

#[track_caller]
fn has(imported: &Imported, key: &str, value: &str) {
    let found = imported.settings.iter().find(|setting| setting.key == key);
    assert_eq!(
        found.map(|setting| (setting.value.as_str(), setting.open)),
        Some((value, false)),
        "{key}: {imported:#?}"
    );
}

#[track_caller]
fn says(imported: &Imported, what: &str) {
    assert!(
        imported.lost.iter().any(|sentence| sentence.contains(what)),
        "{what}: {:#?}",
        imported.lost
    );
}

#[test]
fn a_success_share_becomes_an_error_limit() {
    let imported = got(SUCCESS);
    has(
        &imported,
        "prometheus",
        "http://prometheus.example.com:9090",
    );
    has(&imported, "error-limit", "5%");
    has(&imported, "interval", "5m");
    has(&imported, "requests-metric", "istio_requests_total");
    says(&imported, "failureLimit has no counterpart");
    says(&imported, "without a count");
    let selector = imported
        .settings
        .iter()
        .find(|setting| setting.key == "canary-selector")
        .unwrap();
    assert!(
        selector.open && selector.value == "destination_service=~\"{{args.service-name}}\"",
        "{selector:?}"
    );
}

#[test]
fn two_metrics_with_arguments_become_one_section_without_their_secrets() {
    let imported = got(TWO);
    assert_eq!(imported.from, ["AnalysisTemplate goldensignals"]);
    for (key, value) in [
        ("prometheus", "http://prometheus:9090"),
        ("interval", "30s"),
        ("duration", "15m"),
        ("warm-up", "2m"),
        ("error-limit", "2%"),
        (
            "canary-selector",
            "app=\"goldensignals\",version=\"canary\"",
        ),
        ("requests-metric", "goldensignals_http_requests_total"),
        (
            "duration-metric",
            "goldensignals_http_request_duration_seconds",
        ),
        ("latency-limit", "800ms"),
        ("slow-share-limit", "5%"),
    ] {
        has(&imported, key, value);
    }
    says(&imported, "rule for missing data");
    says(&imported, "4xx as errors");
    says(&imported, "argument `api-token`");
    says(&imported, "authentication are not copied");
    let text = imported.toml();
    assert!(
        !text.contains("hunter2") && !text.contains("tenant_a_secret_word"),
        "{text}"
    );
    let parsed: toml::Table = text.parse().unwrap();
    assert_eq!(parsed["canary-monitor"]["error-limit"].as_str(), Some("2%"));
}

#[test]
fn other_providers_and_other_sources_are_said() {
    let job = got(JOB);
    assert!(job.is_empty());
    says(&job, "its provider is job");
    says(&got(NEWRELIC), "it comes from newrelic");
}

#[test]
fn kayenta_gives_its_scope_and_says_what_has_no_counterpart() {
    let imported = got(KAYENTA);
    says(&imported, "CPU and memory have guards of their own");
    says(&imported, "groupWeights");
    says(&imported, "critical has no counterpart");
    assert!(
        imported
            .toml()
            .contains("# canary-selector = 'namespace=\"${namespace}\""),
        "{}",
        imported.toml()
    );
    let scope = got(NEWRELIC);
    has(&scope, "duration", "30m");
    has(&scope, "interval", "10s");
}

#[test]
fn a_condition_that_asks_for_errors_is_no_limit() {
    let imported = got(&TWO.replace("result[0] > 0.02 || isNaN(result[0])", "result[0] < 0.02"));
    says(&imported, "asks for more errors");
    assert!(
        imported
            .settings
            .iter()
            .all(|setting| setting.key != "error-limit")
    );
    says(
        &got(&TWO.replace("result[0] <= 0.8", "result[0] <= 0.8 && result[0] > 0.1")),
        "is not one comparison",
    );
}

#[test]
fn what_contradicts_itself_is_said() {
    says(
        &got(&TWO.replace(
            "interval: 30s\n    count: 30\n",
            "interval: 1m\n    count: 30\n",
        )),
        "the first is kept",
    );
}

#[test]
fn what_is_neither_is_refused_with_its_kind() {
    for (text, said) in [
        ("kind: Deployment\n", "it holds Deployment"),
        ("a: [1, 2\n", "no YAML"),
        ("{\"a\": 1", "no JSON"),
        ("", "nothing of a known kind"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn a_bomb_of_aliases_ends_early() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..40 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        bomb += &format!("a{level}: &a{level} [{}]\n", before.trim_end_matches(", "));
    }
    assert!(read(&bomb).is_err());
    let deep = "[".repeat(10_000);
    assert!(read(&format!("a: {deep}")).is_err());
    assert!(read(&deep).is_err());
}

#[test]
fn foreign_text_stays_in_its_comment() {
    let text = TWO.replace(
        "name: goldensignals\n",
        "name: \"x\\n[smoke-test]\\ninsecure = true\"\n",
    );
    let parsed: toml::Table = got(&text).toml().parse().unwrap();
    assert_eq!(parsed.keys().collect::<Vec<_>>(), ["canary-monitor"]);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(kind: AnalysisTemplate\nspec:\n  metrics:\n)?.{0,400}") {
        if let Ok(imported) = read(&text) {
            prop_assert!(imported.toml().parse::<toml::Table>().is_ok());
        }
    }

    #[test]
    fn no_cut_makes_it_panic(at in 0_usize..2500) {
        for whole in [SUCCESS, TWO, JOB, KAYENTA, NEWRELIC] {
            let cut = whole.get(..at.min(whole.len())).unwrap_or_default();
            if let Ok(imported) = read(cut) {
                prop_assert!(imported.toml().parse::<toml::Table>().is_ok());
            }
        }
    }

    #[test]
    fn no_query_makes_it_panic(query in ".{0,200}") {
        let _ = super::query::read(&query);
        let _ = super::query::read(&format!("sum(rate(a{{{query}}}[1m]))"));
    }
}
