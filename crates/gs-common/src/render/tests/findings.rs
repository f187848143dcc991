//! Findings in every face, and what GitHub takes of them.

use super::{HOSTILE, Look, face, rich};
use crate::finding::{Finding, Package, Severity, Spot, Suppressed};
use crate::render::Format;
use crate::report::{Input, Report};
use crate::verdict::Verdict;

fn vulnerability(rule: &str, severity: Severity) -> Finding {
    Finding {
        rule: rule.into(),
        title: "Prototype pollution in merge".into(),
        severity,
        ids: vec![rule.into(), "GHSA-35jh-r3h4-6jhm".into()],
        package: Some(Package {
            ecosystem: Some("npm".into()),
            name: "lodash".into(),
            version: Some("4.17.20".into()),
            fixed: Some("4.17.21".into()),
        }),
        place: Some(Spot {
            path: "web app/package-lock.json".into(),
            line: Some(12),
            commit: None,
        }),
        places: vec![
            Spot {
                path: "web app/package-lock.json".into(),
                line: Some(12),
                commit: None,
            },
            Spot {
                path: "api/package-lock.json".into(),
                line: None,
                commit: None,
            },
        ],
        sources: vec!["npm-audit".into(), "trivy".into()],
        fingerprint: crate::fingerprint::plain("vulnerability", &[rule, "npm", "lodash"]).into(),
        blocking: severity >= Severity::High,
        advice: vec!["npm install lodash@4.17.21".to_owned()],
        ..Finding::default()
    }
}

/// A report of a gate: every state and severity, hostile text included.
pub(super) fn gate() -> Report {
    let mut report = rich();
    report.tool.name = "vuln-gate".to_owned();
    report.reason = "findings".to_owned();
    report.summary = "2 findings of high or critical severity".to_owned();
    report.checks.truncate(2);
    report.series.clear();
    report.inputs = vec![Input {
        path: "trivy.json".to_owned(),
        format: "trivy".to_owned(),
        outcome: "findings".to_owned(),
        ..Input::default()
    }];
    let mut accepted = vulnerability("CVE-2020-8203", Severity::High);
    accepted.blocking = false;
    accepted.suppressed = Some(Box::new(Suppressed {
        by: "exception".to_owned(),
        reason: Some("never called | with foreign input".to_owned()),
        owner: Some("team-trading".to_owned()),
        expires: Some("2026-12-31".to_owned()),
        place: Some("exceptions.toml:3".to_owned()),
    }));
    let mut hostile = vulnerability("a|b\u{1b}[31m", Severity::Critical);
    hostile.title = HOSTILE.into();
    hostile.message = Some(HOSTILE.into());
    hostile.place = Some(Spot {
        path: "src/a,b:c%.rs".into(),
        line: Some(3),
        commit: Some("0123456789abcdef0123".into()),
    });
    let mut placeless = vulnerability("PYSEC-2020-1", Severity::Unknown);
    placeless.place = None;
    placeless.places.clear();
    placeless.package = None;
    report.findings = vec![
        vulnerability("CVE-2019-1010266", Severity::Low),
        accepted,
        vulnerability("CVE-2021-23337", Severity::High),
        placeless,
        hostile,
    ];
    report
}

fn gate_shown(format: Format) -> String {
    face(format, gate(), &Look::default())
}

#[test]
fn human() {
    insta::assert_snapshot!(gate_shown(Format::Human));
}

#[test]
fn human_verbose() {
    let look = Look {
        verbose: 1,
        ..Look::default()
    };
    insta::assert_snapshot!(face(Format::Human, gate(), &look));
}

#[test]
fn markdown() {
    insta::assert_snapshot!(gate_shown(Format::Markdown));
}

#[test]
fn github() {
    insta::assert_snapshot!(gate_shown(Format::Github));
}

#[test]
fn junit() {
    insta::assert_snapshot!(gate_shown(Format::Junit));
}

#[test]
fn prometheus() {
    insta::assert_snapshot!(gate_shown(Format::Prometheus));
}

#[test]
fn tap() {
    insta::assert_snapshot!(gate_shown(Format::Tap));
}

#[test]
fn sarif() {
    insta::assert_snapshot!(gate_shown(Format::Sarif));
}

#[test]
fn html() {
    let page = gate_shown(Format::Html);
    let start = page.find("<fieldset").unwrap();
    let section = &page[start..start + page[start..].find("</section>").unwrap()];
    insta::assert_snapshot!(section.replace("><", ">\n<"));
}

#[test]
fn what_is_suppressed_is_told_in_the_shortest_form() {
    let look = Look {
        quiet: true,
        ..Look::default()
    };
    let text = face(Format::Human, gate(), &look);
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains("[1 suppressed]"), "{text}");
}

#[test]
fn a_run_that_found_nothing_because_it_could_not_look_has_no_zeros() {
    let mut report = gate();
    report.findings.clear();
    assert!(face(Format::Prometheus, report.clone(), &Look::default()).contains("gs_findings{"));
    report.verdict = Verdict::Inconclusive;
    assert!(!face(Format::Prometheus, report.clone(), &Look::default()).contains("gs_findings{"));
    // An upload without results would close every alert.
    let sarif: serde_json::Value =
        serde_json::from_str(&face(Format::Sarif, report, &Look::default())).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "no-verdict");
    assert_eq!(
        sarif["runs"][0]["invocations"][0]["executionSuccessful"],
        false
    );
}

#[test]
fn annotations_of_findings_are_at_most_nine_and_a_count() {
    let mut report = gate();
    report.findings = (0..40)
        .map(|index| vulnerability(&format!("CVE-2020-{index}"), Severity::ALL[index % 6]))
        .collect();
    let text = face(Format::Github, report, &Look::default());
    assert_eq!(text.lines().count(), 10, "{text}");
    assert_eq!(
        text.lines()
            .filter(|line| line.contains("critical"))
            .count(),
        7
    );
    assert!(
        text.lines().last().unwrap().contains("32 more findings"),
        "{text}"
    );
}

/// What GitHub takes: <https://docs.github.com/en/code-security/code-scanning/troubleshooting-sarif-uploads>.
pub(super) fn assert_sarif_is_taken(text: &str) {
    let log: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        (
            log["version"].as_str(),
            log["runs"].as_array().unwrap().len()
        ),
        (Some("2.1.0"), 1)
    );
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert!(results.len() <= 25_000 && rules.len() <= 25_000);
    let mut ids: Vec<&str> = rules
        .iter()
        .map(|rule| rule["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rules.len(), "each rule once");
    let mut identities = std::collections::BTreeSet::new();
    for rule in rules {
        assert!(rule["properties"]["tags"].as_array().unwrap().len() <= 20);
        if let Some(severity) = rule["properties"].get("security-severity") {
            assert!((0.1..=10.0).contains(&severity.as_str().unwrap().parse::<f64>().unwrap()));
        }
    }
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(result["ruleId"], rules[index]["id"]);
        let locations = result["locations"].as_array().unwrap();
        assert!((1..=1_000).contains(&locations.len()));
        for location in locations {
            let physical = &location["physicalLocation"];
            let uri = physical["artifactLocation"]["uri"].as_str().unwrap();
            assert!(!uri.is_empty() && !uri.contains([' ', '\\']), "{uri}");
            assert!(physical["region"]["startLine"].as_u64().unwrap() >= 1);
        }
        let identity = result["partialFingerprints"]["primaryLocationLineHash"]
            .as_str()
            .unwrap();
        assert!(identities.insert(identity.to_owned()), "{identity} twice");
    }
}

#[test]
fn sarif_beyond_the_limits_loses_the_least_severe_and_says_so() {
    let mut report = gate();
    report.findings = (0..60)
        .map(|index| {
            let severity = if index >= 50 {
                Severity::Critical
            } else {
                Severity::Low
            };
            vulnerability(&format!("CVE-2020-{index}"), severity)
        })
        .collect();
    report.findings[55].places = (0..1_500)
        .map(|index| Spot {
            path: format!("a/{index}").into(),
            ..Spot::default()
        })
        .collect();
    let taken = |results, gzip_bytes| {
        let mut out = Vec::new();
        super::super::sarif::within(
            &report,
            super::super::sarif::Limits {
                results,
                gzip_bytes,
            },
            &mut out,
        )
        .unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_sarif_is_taken(&text);
        let count = text.matches("\"ruleIndex\"").count();
        let says = text.contains(&format!("sarif: {} result", 60 - count));
        assert_eq!(says, count < 60, "{count}");
        for index in 50..50 + count.min(10) {
            assert!(
                text.contains(&format!("\"CVE-2020-{index}\"")),
                "the worst stay"
            );
        }
        (count, text.len() as u64)
    };
    let (all, bytes) = taken(25_000, 10_000_000);
    assert_eq!(all, 60);
    assert_eq!(taken(20, 10_000_000).0, 20);
    // The plain text is beyond this, what gzip makes of it is not.
    assert_eq!(taken(25_000, bytes / 2).0, 60);
    let (some, _) = taken(25_000, 6_000);
    assert!((1..60).contains(&some), "{some}");
}
