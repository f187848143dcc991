//! What VEX statements suppress, and what they never do.

use proptest::prelude::*;

use super::*;
use crate::model::PackageRef;

fn row(purl: &str) -> Row {
    let known = gs_common::purl::Purl::read(purl).unwrap();
    let name = known.name.rsplit('/').next().unwrap_or_default();
    Row {
        id: "CVE-2024-10001".into(),
        package: Some(PackageRef {
            ecosystem: Some(known.ecosystem.as_str().into()),
            name: name.into(),
            version: known.version.as_deref().map(Text::from),
            purl: Some(purl.into()),
        }),
        ..Row::default()
    }
}

fn ids() -> Vec<Text> {
    vec!["CVE-2024-10001".into(), "GHSA-aaaa-bbbb-cccc".into()]
}

fn openvex(statements: &str) -> String {
    format!(
        r#"{{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x","author":"Example","timestamp":"2026-01-01T00:00:00Z","version":1,"statements":[{statements}]}}"#
    )
}

fn by(text: &str, row: &Row) -> Option<Suppressed> {
    let statements = read("vex.json", text).unwrap();
    Vex::new(statements, vec!["pkg:oci/app@sha256:1".to_owned()]).covers(&ids(), row)
}

/// Whether a statement with these members suppresses `pkg:npm/lodash@4.17.20`.
#[track_caller]
fn check(product: &str, rest: &str, expected: bool) {
    let text = openvex(&format!(
        r#"{{"vulnerability":{{"name":"CVE-2024-10001"}},"products":[{product}],{rest}}}"#
    ));
    let suppressed = by(&text, &row("pkg:npm/lodash@4.17.20"));
    assert_eq!(suppressed.is_some(), expected, "{product} {rest}");
}

const NOT_AFFECTED: &str = r#""status":"not_affected","justification":"component_not_present""#;

#[test]
fn only_not_affected_and_fixed_suppress_and_only_the_named_product() {
    check(r#"{"@id":"pkg:npm/lodash@4.17.20"}"#, NOT_AFFECTED, true);
    check(r#"{"@id":"pkg:npm/lodash"}"#, NOT_AFFECTED, true);
    check(r#""pkg:npm/lodash@4.17.20""#, NOT_AFFECTED, true);
    check(
        r#"{"@id":"https://example.org/x","identifiers":{"purl":"pkg:npm/lodash@4.17.20"}}"#,
        NOT_AFFECTED,
        true,
    );
    check(
        r#"{"@id":"pkg:npm/lodash@4.17.20"}"#,
        r#""status":"fixed""#,
        true,
    );
    check(r#"{"@id":"pkg:npm/lodash"}"#, r#""status":"fixed""#, false);
    check(r#"{"@id":"pkg:npm/lodash@4.17.19"}"#, NOT_AFFECTED, false);
    check(
        r#"{"@id":"pkg:npm/lodash-es@4.17.20"}"#,
        NOT_AFFECTED,
        false,
    );
    check(r#"{"@id":"pkg:pypi/lodash@4.17.20"}"#, NOT_AFFECTED, false);
    check(
        r#"{"@id":"pkg:npm/lodash@4.17.20?arch=x86"}"#,
        NOT_AFFECTED,
        false,
    );
    check(r#"{"@id":"lodash"}"#, NOT_AFFECTED, false);
    check(
        r#"{"@id":"pkg:npm/lodash@4.17.20"}"#,
        r#""status":"under_investigation""#,
        false,
    );
    check(
        r#"{"@id":"pkg:npm/lodash@4.17.20"}"#,
        r#""status":"affected""#,
        false,
    );
}

#[test]
fn a_part_of_a_product_counts_for_that_product_only() {
    let part = r#","subcomponents":[{"@id":"pkg:npm/lodash@4.17.20"}]"#;
    check(
        &format!(r#"{{"@id":"pkg:oci/app@sha256:1"{part}}}"#),
        NOT_AFFECTED,
        true,
    );
    check(
        &format!(r#"{{"@id":"pkg:oci/app"{part}}}"#),
        NOT_AFFECTED,
        true,
    );
    check(
        &format!(r#"{{"@id":"pkg:oci/other@sha256:1"{part}}}"#),
        NOT_AFFECTED,
        false,
    );
    check(r#"{"@id":"pkg:oci/app@sha256:1"}"#, NOT_AFFECTED, true);
    check(r#"{"@id":"pkg:oci/app@sha256:2"}"#, NOT_AFFECTED, false);
}

#[test]
fn an_alias_names_the_same_vulnerability() {
    for vulnerability in [
        r#"{"name":"ghsa-aaaa-bbbb-cccc"}"#,
        r#"{"name":"X-1","aliases":["CVE-2024-10001"]}"#,
        r#""CVE-2024-10001""#,
    ] {
        let text = openvex(&format!(
            r#"{{"vulnerability":{vulnerability},"products":["pkg:npm/lodash@4.17.20"],{NOT_AFFECTED}}}"#
        ));
        assert!(
            by(&text, &row("pkg:npm/lodash@4.17.20")).is_some(),
            "{vulnerability}"
        );
    }
    let other = openvex(&format!(
        r#"{{"vulnerability":"CVE-2024-1000","products":["pkg:npm/lodash@4.17.20"],{NOT_AFFECTED}}}"#
    ));
    assert!(by(&other, &row("pkg:npm/lodash@4.17.20")).is_none());
}

#[test]
fn the_later_statement_wins_whatever_the_order_of_the_files() {
    let one = |status: &str, at: &str| {
        format!(
            r#"{{"vulnerability":"CVE-2024-10001","products":["pkg:npm/lodash"],{status},"timestamp":"{at}"}}"#
        )
    };
    let good = one(NOT_AFFECTED, "2026-02-01T00:00:00Z");
    let taken_back = one(r#""status":"affected""#, "2026-03-01T00:00:00Z");
    let again = one(NOT_AFFECTED, "2026-03-01T00:00:00Z");
    let row = row("pkg:npm/lodash@4.17.20");
    assert!(by(&openvex(&format!("{good},{taken_back}")), &row).is_none());
    assert!(by(&openvex(&format!("{taken_back},{good}")), &row).is_none());
    assert!(by(&openvex(&format!("{good},{taken_back},{again}")), &row).is_some());
    assert!(by(&openvex(&format!("{again},{taken_back}")), &row).is_none());
}

#[test]
fn distribution_packages_need_the_report_s_package_url() {
    let text = openvex(&format!(
        r#"{{"vulnerability":"CVE-2024-10001","products":["pkg:apk/alpine/apk-tools@2.10.6-r0?arch=x86_64&distro=alpine-3.10.9"],{NOT_AFFECTED}}}"#
    ));
    let exact = row("pkg:apk/alpine/apk-tools@2.10.6-r0?arch=x86_64&distro=alpine-3.10.9");
    assert!(by(&text, &exact).is_some());
    assert!(
        by(
            &text,
            &row("pkg:apk/alpine/apk-tools@2.10.6-r0?arch=arm64&distro=alpine-3.10.9")
        )
        .is_none()
    );
    assert!(
        by(
            &text,
            &row("pkg:apk/wolfi/apk-tools@2.10.6-r0?arch=x86_64&distro=alpine-3.10.9")
        )
        .is_none()
    );
    let mut plain = exact;
    plain.package.as_mut().unwrap().purl = None;
    let mut vex = Vex::new(read("vex.json", &text).unwrap(), Vec::new());
    assert!(vex.covers(&ids(), &plain).is_none());
    assert!(
        vex.sentences()[0].contains("does not count"),
        "{:?}",
        vex.sentences()
    );
}

#[track_caller]
fn refused(text: &str, says: &str) {
    let error = read("vex.json", text).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
    assert!(error.to_string().starts_with("vex.json: "));
}

#[test]
fn what_is_no_valid_document_is_an_error() {
    refused("", "empty");
    refused("{", "no JSON");
    refused(r#"["not", "a", "document"]"#, "no VEX document");
    refused("{}", "no VEX document");
    refused(r#"{"document":{"category":"csaf_vex"}}"#, "CSAF");
    refused(
        r#"{"@context":"https://openvex.dev/ns/v0.2.0"}"#,
        "without `statements`",
    );
    let statement = |rest: &str| {
        openvex(&format!(
            r#"{{"vulnerability":"CVE-1","products":["pkg:npm/a@1"]{rest}}}"#
        ))
    };
    refused(&statement(""), "statement 1 (CVE-1): it has no status");
    refused(&statement(r#","status":"ok""#), "`ok` is no status");
    refused(
        &statement(r#","status":"not_affected""#),
        "without a `justification`",
    );
    refused(
        &statement(r#","status":"not_affected","justification":"trust me""#),
        "`trust me` is no justification",
    );
    refused(
        &statement(r#","status":"fixed","timestamp":"yesterday""#),
        "is no time",
    );
    refused(
        &statement(r#","status":"fixed","status":"fixed""#),
        "duplicate field",
    );
    refused(
        &openvex(r#"{"products":["pkg:npm/a@1"],"status":"fixed"}"#),
        "names no vulnerability",
    );
    refused(
        &openvex(r#"{"vulnerability":"CVE-1","status":"fixed"}"#),
        "names no product",
    );
    refused(
        &openvex(r#"{"vulnerability":"CVE-1","products":[{}],"status":"fixed"}"#),
        "a product without a name",
    );
    let no_time = r#"{"@context":"https://openvex.dev/ns","statements":[{"vulnerability":"CVE-1","products":["pkg:npm/a@1"],"status":"fixed"}]}"#;
    refused(no_time, "no `timestamp`");
    refused(&"[".repeat(100_000), "no VEX document");
    refused(&format!("{{\"a\":{}", "[".repeat(100_000)), "no JSON");
}

fn cyclonedx(analysis: &str, affects: &str) -> String {
    format!(
        r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{{"timestamp":"2026-01-01T00:00:00Z","manufacturer":{{"name":"Example"}}}},
        "components":[{{"type":"library","bom-ref":"a","name":"outer","components":[{{"type":"library","bom-ref":"lodash-ref","name":"lodash","purl":"pkg:npm/lodash@4.17.20"}}]}}],
        "vulnerabilities":[{{"id":"CVE-2024-10001","analysis":{analysis},"affects":[{affects}]}},{{"id":"CVE-9"}}]}}"#
    )
}

#[track_caller]
fn cdx(analysis: &str, affects: &str, expected: bool) {
    let suppressed = by(
        &cyclonedx(analysis, affects),
        &row("pkg:npm/lodash@4.17.20"),
    );
    assert_eq!(suppressed.is_some(), expected, "{analysis} {affects}");
}

#[test]
fn cyclonedx_states_by_its_analysis() {
    let reference = r#"{"ref":"lodash-ref"}"#;
    let good = r#"{"state":"not_affected","justification":"code_not_reachable"}"#;
    cdx(good, reference, true);
    cdx(
        r#"{"state":"false_positive","detail":"another product"}"#,
        reference,
        true,
    );
    cdx(r#"{"state":"resolved"}"#, reference, true);
    cdx(r#"{"state":"resolved_with_pedigree"}"#, reference, true);
    cdx(r#"{"state":"exploitable"}"#, reference, false);
    cdx(
        r#"{"state":"in_triage","justification":"code_not_reachable"}"#,
        reference,
        false,
    );
    cdx(r#"{"state":"not_affected"}"#, reference, false);
    cdx(r#"{"detail":"we look into it"}"#, reference, false);
    cdx(good, r#"{"ref":"pkg:npm/lodash@4.17.20"}"#, true);
    cdx(good, r#"{"ref":"pkg:npm/lodash@4.17.19"}"#, false);
    cdx(
        good,
        r#"{"ref":"urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#pkg%3Anpm%2Flodash%404.17.20"}"#,
        true,
    );
    cdx(
        good,
        r#"{"ref":"urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#lodash-ref"}"#,
        true,
    );
    cdx(good, r#"{"ref":"a"}"#, false);
    cdx(
        good,
        r#"{"ref":"lodash-ref","versions":[{"version":"4.17.20","status":"unaffected"}]}"#,
        true,
    );
    cdx(
        good,
        r#"{"ref":"lodash-ref","versions":[{"version":"4.17.20"}]}"#,
        false,
    );
    cdx(
        good,
        r#"{"ref":"lodash-ref","versions":[{"range":"vers:npm/<5","status":"unaffected"}]}"#,
        false,
    );
}

#[test]
fn an_invalid_cyclonedx_statement_is_an_error() {
    let reference = r#"{"ref":"lodash-ref"}"#;
    refused(
        &cyclonedx(r#"{"state":"fine"}"#, reference),
        "`fine` is no state",
    );
    refused(
        &cyclonedx(r#"{"state":"resolved"}"#, ""),
        "about everything",
    );
    refused(
        &cyclonedx(
            r#"{"state":"not_affected","justification":"no"}"#,
            reference,
        ),
        "`no` is no justification",
    );
    refused(
        r#"{"bomFormat":"CycloneDX","vulnerabilities":[{"id":"CVE-1"}]}"#,
        "states nothing",
    );
}

#[test]
fn statements_about_nothing_that_was_found_are_told() {
    let text = openvex(&format!(
        r#"{{"vulnerability":"CVE-1","products":["pkg:npm/a@1"],{NOT_AFFECTED}}}"#
    ));
    let mut vex = Vex::new(read("vex.json", &text).unwrap(), Vec::new());
    assert!(vex.covers(&ids(), &row("pkg:npm/lodash@4.17.20")).is_none());
    assert_eq!(
        vex.sentences(),
        ["1 of 1 VEX statements are about nothing that was found"]
    );
}

#[test]
fn what_we_write_we_read_back_and_accepted_is_not_unaffected() {
    use gs_common::suppression::{Exception, What};
    let exception = |state: &str| Exception {
        what: What::default(),
        reason: "never called".to_owned(),
        owner: "team".to_owned(),
        expires: jiff::civil::date(2026, 12, 31),
        created: None,
        ticket: None,
        state: Some(state.to_owned()),
        justification: None,
        place: gs_common::report::Place {
            path: "e.toml".to_owned(),
            line: Some(1),
        },
    };
    let about = write::About {
        author: "Example",
        id: None,
        at: "2026-11-26T00:00:00Z".parse().unwrap(),
    };
    for (state, suppresses) in [
        ("accepted", false),
        ("not_affected", true),
        ("false_positive", true),
    ] {
        let exception = exception(state);
        let mut stated = vec![write::Stated {
            exception: &exception,
            id: "CVE-2024-10001".to_owned(),
            aliases: vec!["GHSA-aaaa-bbbb-cccc".to_owned()],
            products: vec!["pkg:npm/lodash@4.17.20".to_owned()],
        }];
        let (document, left_out) = write::document(&about, &stated);
        assert!(left_out.is_empty());
        let suppressed = by(&document.to_string(), &row("pkg:npm/lodash@4.17.20"));
        assert_eq!(suppressed.is_some(), suppresses, "{state}");
        stated[0].products.clear();
        assert_eq!(write::document(&about, &stated).1.len(), 1);
    }
}

#[test]
fn a_document_cut_anywhere_is_an_error() {
    let whole = include_str!("../../tests/fixtures/openvex/one-statement.json").trim_end();
    assert_eq!(read("vex.json", whole).unwrap().len(), 1);
    for end in 0..whole.len() {
        assert!(read("vex.json", &whole[..end]).is_err(), "{end}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_panic(text in "(?s)(\\{|\\}|\\[|\\]|:|,|\"@context\":\"https://openvex.dev/ns\"|\"statements\"|\"status\":\"fixed\"|\"bomFormat\":\"CycloneDX\"|.){0,40}") {
        let _ = read("vex.json", &text);
    }

    #[test]
    fn a_statement_never_suppresses_another_package_or_version(
        stated in "[a-c]{1,2}", stated_version in "[0-2]\\.[0-1]", name in "[a-c]{1,2}", version in "[0-2]\\.[0-1]", fixed in any::<bool>(),
    ) {
        let status = if fixed { r#""status":"fixed""# } else { NOT_AFFECTED };
        let text = openvex(&format!(r#"{{"vulnerability":"CVE-2024-10001","products":["pkg:npm/{stated}@{stated_version}"],{status}}}"#));
        let suppressed = by(&text, &row(&format!("pkg:npm/{name}@{version}"))).is_some();
        prop_assert_eq!(suppressed, stated == name && stated_version == version);
    }
}
