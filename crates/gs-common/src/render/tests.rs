//! The faces of one rich report, looked at as a whole, and laws that hold for any report.

mod findings;

use proptest::prelude::*;

use super::{Format, Look, render, schema_text, within};
use crate::finding::{Severity, Spot};
use crate::redact::{Redacted, Redactor};
use crate::report::{Broken, Evidence, Place, Quantity, Report, Series};
use crate::verdict::Verdict;

const HOSTILE: &str = "a|b `c` <script>alert(1)</script> ]]> \u{1b}[31mred\u{1b}[0m ::error::x\n@team \u{202e}abc\u{0}";

/// Everything a report can show, hostile text included.
fn rich() -> Report {
    let mut report: Report =
        serde_json::from_str(include_str!("../../tests/golden/report-v1.json")).unwrap();
    let mut hostile = report.checks[1].clone();
    hostile.id = "hostile".to_owned();
    hostile.title = HOSTILE.to_owned();
    hostile.message = Some(HOSTILE.to_owned());
    hostile.observed = Some(Quantity::of(1204.5, "ms"));
    hostile.expected = Some("at most 1s".to_owned());
    hostile.evidence = vec![Evidence {
        label: "body".to_owned(),
        text: HOSTILE.to_owned(),
    }];
    hostile.place = Some(Place {
        path: "suites/a,b.toml".to_owned(),
        line: Some(7),
    });
    hostile.broken.push(Broken {
        verdict: Verdict::Warn,
        reason: "header".to_owned(),
        message: "the header `x-a` is absent".to_owned(),
        observed: None,
        expected: None,
    });
    let mut unmet = report.checks[0].clone();
    unmet.id = "unmet".to_owned();
    unmet.verdict = Verdict::Inconclusive;
    unmet.reason = Some("unmet_need".to_owned());
    unmet.message = Some("`pipeline-stats` did not pass".to_owned());
    unmet.attempts = None;
    unmet.duration_ms = None;
    unmet.flaky = false;
    unmet.tries.clear();
    let mut warned = report.checks[0].clone();
    warned.id = "warned".to_owned();
    warned.verdict = Verdict::Warn;
    warned.reason = Some("slow".to_owned());
    warned.message = Some("the answer took 812ms, expected at most 800ms".to_owned());
    report.checks.extend([warned, hostile, unmet]);
    report.series = vec![Series {
        name: "latency".to_owned(),
        unit: "ms".to_owned(),
        points: vec![
            (0.0, Some(1.0)),
            (1.0, None),
            (2.0, Some(3.0)),
            (3.0, Some(2.0)),
        ],
    }];
    report
}

fn face(format: Format, report: Report, look: &Look) -> String {
    let mut out = Vec::new();
    render(format, &Redactor::new().report(report), look, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn shown(format: Format) -> String {
    face(format, rich(), &Look::default())
}

#[test]
fn human() {
    insta::assert_snapshot!(shown(Format::Human));
}

#[test]
fn human_narrow_verbose_and_coloured() {
    let look = Look {
        color: true,
        width: 50,
        verbose: 2,
        quiet: false,
    };
    insta::assert_snapshot!(face(Format::Human, rich(), &look));
}

#[test]
fn human_quiet() {
    let look = Look {
        quiet: true,
        ..Look::default()
    };
    insta::assert_snapshot!(face(Format::Human, rich(), &look));
}

#[test]
fn junit() {
    insta::assert_snapshot!(shown(Format::Junit));
}

#[test]
fn markdown() {
    insta::assert_snapshot!(shown(Format::Markdown));
}

#[test]
fn github() {
    insta::assert_snapshot!(shown(Format::Github));
}

#[test]
fn prometheus() {
    insta::assert_snapshot!(shown(Format::Prometheus));
}

#[test]
fn tap() {
    insta::assert_snapshot!(shown(Format::Tap));
}

#[test]
fn html() {
    let page = shown(Format::Html);
    let body = &page[page.find("<body>").unwrap()..page.find("<script>").unwrap()];
    insta::assert_snapshot!(body.replace("><", ">\n<"));
}

/// The report of a load test: two endpoints, one of them slow at times, one without an answer.
fn load() -> Report {
    let mut report = rich();
    report.checks.clear();
    report.series.clear();
    let details = serde_json::json!({
        "curves": [
            {"name": "GET /slow", "requests": 40, "response_ms": [[0.0, 8.0], [0.5, 60.0], [0.9, 700.0], [0.95, 701.5], [1.0, 1900.0]]},
            {"name": "GET /", "requests": 12_000, "response_ms": [[0.0, 0.9], [0.5, 1.8], [0.9, 3.1], [0.99, 12.0], [0.999, 14.5], [0.9999, 90.0], [1.0, 95.0]]},
            {"name": "GET /down", "requests": 1, "response_ms": []},
        ],
        "heatmap": {
            "edges_ms": [1.0, 2.0, 4.0, 8.0, 16.0],
            "columns": [
                {"at_seconds": 0.0, "seconds": 60.0, "counts": [0, 900, 100, 1, 0, 0]},
                {"at_seconds": 60.0, "seconds": 60.0, "counts": [0, 0, 0, 0, 0, 0]},
                {"at_seconds": 120.0, "seconds": 30.0, "counts": [0, 4, 0, 0, 0, 2]},
            ],
        },
    });
    report.details = details.as_object().unwrap().clone();
    report
}

#[test]
fn html_of_a_load_test() {
    let page = face(Format::Html, load(), &Look::default());
    let main = &page[page.find("<div class=\"plots\">").unwrap()..page.find("</main>").unwrap()];
    let plots = main.split("<section>").next().unwrap();
    insta::assert_snapshot!(plots.replace("><", ">\n<"));
}

#[test]
fn a_check_shows_how_long_it_took_or_what_was_measured_and_no_text_twice() {
    let row = |duration: Option<f64>, observed: serde_json::Value, title: &str| {
        let mut report = load();
        let mut check = rich().checks.remove(0);
        check.id = "p95<200ms".to_owned();
        check.title = title.to_owned();
        check.duration_ms = duration;
        check.observed = serde_json::from_value(observed).unwrap();
        report.checks = vec![check];
        face(Format::Html, report, &Look::default())
    };
    let ms = serde_json::json!({"value": 13.4, "unit": "ms"});
    let page = row(None, ms.clone(), "p95<200ms");
    assert!(page.contains("<span class=\"time\">13 ms</span>") && !page.contains("\"title\""));
    let page = row(Some(7.0), ms, "a title");
    assert!(page.contains("<span class=\"time\">7.0 ms</span>"));
    assert!(page.contains("<span class=\"title\">a title</span>"));
    for (observed, shown) in [
        (
            serde_json::json!({"value": 0.0093, "unit": "share"}),
            "0.93%",
        ),
        (serde_json::json!({"value": 47, "unit": null}), "47"),
        (serde_json::json!({"value": "a text", "unit": null}), ""),
        (serde_json::Value::Null, ""),
    ] {
        let page = row(None, observed, "t");
        assert!(
            page.contains(&format!("<span class=\"time\">{shown}</span>")),
            "{shown}"
        );
    }
}

#[test]
fn names_in_the_drawings_stay_text_and_secrets_in_them_are_hidden() {
    let mut report = load();
    report.details["curves"][0]["name"] = HOSTILE.into();
    report.details["curves"][1]["name"] = "GET /?key=hunter2-hunter2".into();
    let redactor = Redactor::new();
    redactor.add("key", "hunter2-hunter2").unwrap();
    let mut out = Vec::new();
    render(
        Format::Html,
        &redactor.report(report),
        &Look::default(),
        &mut out,
    )
    .unwrap();
    let page = String::from_utf8(out).unwrap();
    assert!(page.contains("<path") && page.contains("&lt;script&gt;alert(1)"));
    assert!(
        !page.contains("<script>alert") && !page.contains('\u{202e}') && !page.contains('\u{1b}')
    );
    assert!(!page.contains("hunter2-hunter2"));
}

#[test]
fn the_html_page_needs_no_network() {
    for page in [
        shown(Format::Html),
        face(Format::Html, load(), &Look::default()),
    ] {
        needs_no_network(&page);
    }
    let page = shown(Format::Html);
    assert!(page.contains("id=\"check-hostile\"") && page.contains("prefers-color-scheme: dark"));
}

fn needs_no_network(page: &str) {
    for outside in [
        "http-equiv=\"refresh\"",
        "<link",
        "<img",
        "src=",
        "@import",
        "url(",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn annotations_are_at_most_nine_and_a_count() {
    let mut report = rich();
    let failed = report.checks[1].clone();
    report.checks.extend((0..20).map(|index| {
        let mut check = failed.clone();
        check.id = format!("more-{index}");
        check
    }));
    let text = face(Format::Github, report, &Look::default());
    assert_eq!(text.lines().count(), 10);
    assert!(
        text.lines().last().unwrap().contains("15 more checks"),
        "{text}"
    );
}

#[test]
fn a_junit_file_of_a_run_without_checks_is_an_error() {
    let mut report = rich();
    report.checks.clear();
    report.verdict = Verdict::Inconclusive;
    report.reason = "nothing_measured".to_owned();
    assert!(face(Format::Junit, report, &Look::default()).contains("errors=\"1\""));
}

#[test]
fn markdown_is_cut_between_sections_only() {
    let report = Redactor::new().report(rich());
    let whole = within(&report, usize::MAX);
    for bytes in (0..whole.len()).step_by(97) {
        let page = within(&report, bytes);
        assert!(
            page.starts_with("## ❌ smoke-test: fail"),
            "the verdict is never dropped"
        );
        assert_eq!(
            page.matches("<details>").count(),
            page.matches("</details>").count()
        );
    }
}

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/schemas/report.v1.schema.json"
    );
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        crate::file::write_atomic(path.as_ref(), |out| out.write_all(schema_text().as_bytes()))
            .unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert_eq!(committed, schema_text(), "run UPDATE_SCHEMAS=1 make test");
}

fn any_report() -> impl Strategy<Value = Redacted> {
    ("(?s).{0,40}", "(?s).{0,40}", 0_usize..4, any::<bool>()).prop_map(|(a, b, verdict, flaky)| {
        let mut report = rich();
        let verdicts = [
            Verdict::Pass,
            Verdict::Warn,
            Verdict::Inconclusive,
            Verdict::Fail,
        ];
        report.summary = a.clone();
        report.subject.name = b.clone();
        report.next = vec![b.clone()];
        report.not_covered = vec![a.clone()];
        report.findings = findings::gate().findings;
        for (index, finding) in report.findings.iter_mut().enumerate() {
            // Few enough letters that two rules meet at times.
            finding.rule = a.chars().take(index).collect::<String>().into();
            finding.title = b.clone().into();
            finding.severity = Severity::ALL[(index + verdict) % 6];
            finding.advice = vec![a.clone()];
            finding.place = Some(Spot {
                path: b.clone().into(),
                line: Some(u32::from(flaky)),
                commit: None,
            });
        }
        for check in &mut report.checks {
            check.id = a.clone();
            check.title = b.clone();
            check.message = Some(b.clone());
            check.target = Some(a.clone());
            check.verdict = verdicts[verdict];
            check.flaky = flaky;
            check.evidence = vec![Evidence {
                label: a.clone(),
                text: b.clone(),
            }];
            check.reproduce = Some(a.clone());
        }
        Redactor::new().report(report)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn every_face_of_any_report_is_well_formed(report in any_report(), width in 0_usize..200) {
        let face = |format| {
            let mut out = Vec::new();
            let look = Look { width, verbose: 2, ..Look::default() };
            render(format, &report, &look, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let read: Report = serde_json::from_str(&face(Format::Json)).unwrap();
        prop_assert_eq!(&read, &*report);
        let escape = face(Format::Human).contains('\u{1b}');
        prop_assert!(!escape);
        prop_assert!(!face(Format::Html).contains("<script>alert"));
        prop_assert!(face(Format::Github).lines().all(|line| line.starts_with("::error ") || line.starts_with("::warning ") || line.starts_with("::notice ")));
        findings::assert_sarif_is_taken(&face(Format::Sarif));
        prop_assert!(face(Format::Prometheus).lines().all(|line| line.starts_with('#') || line.starts_with("gs_")));
        let junit = face(Format::Junit);
        prop_assert!(junit.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'), "no XML allows these");
        let _ = (face(Format::Markdown), face(Format::Tap));
    }
}
