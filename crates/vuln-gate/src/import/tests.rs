//! What is taken over from other tools, and what is not.

use gs_common::suppression;
use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::accept::FORM;

fn drafts(text: &str) -> Vec<String> {
    let imported = read("file", text).unwrap();
    imported
        .drafts
        .iter()
        .map(|draft| {
            let what: Vec<String> = draft
                .what
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            let expires = draft.expires.map(|day| day.to_string());
            format!(
                "{}; {}; {}",
                what.join(" "),
                draft.reason.as_deref().unwrap_or("-"),
                expires.as_deref().unwrap_or("-")
            )
        })
        .collect()
}

fn left(text: &str) -> String {
    read("file", text).unwrap().left.join("\n")
}

#[test]
fn trivyignore() {
    let text = "# Accept the risk\nCVE-2018-14618\n\n# another\nCVE-2019-1543 exp:2026-12-31\nAVD-DS-0002 # why not\nAVD-*\n";
    assert_eq!(
        drafts(text),
        [
            "id=CVE-2018-14618; -; -",
            "id=CVE-2019-1543; -; 2026-12-30",
            "id=AVD-DS-0002; -; -"
        ]
    );
    assert_eq!(
        read("f", text).unwrap().drafts[0].notes,
        ["Accept the risk"]
    );
    assert!(left(text).contains("`AVD-*` is a pattern"));
}

#[test]
fn trivyignore_yaml() {
    let text = "vulnerabilities:\n  - id: CVE-2022-40897\n    paths:\n      - \"usr/lib/**\"\n      - \"**\"\n    purls:\n      - \"pkg:pypi/setuptools@58.1.0\"\n      - pkg:pypi/pip\n    statement: Accept the risk\n    expired_at: 2026-12-31\n  - id: CVE-2023-2650\nsecrets:\nmisconfigurations:\n  - id: AVD-DS-0001\n";
    assert_eq!(
        drafts(text),
        [
            "id=CVE-2022-40897 package=pkg:pypi/setuptools@58.1.0 path=usr/lib/**; Accept the risk; 2026-12-30",
            "id=CVE-2022-40897 package=pkg:pypi/pip path=usr/lib/**; Accept the risk; 2026-12-30",
            "id=CVE-2023-2650; -; -",
            "id=AVD-DS-0001; -; -",
        ]
    );
    assert!(left(text).contains("names every file"));
}

#[test]
fn grype() {
    let text = "ignore:\n  - vulnerability: CVE-2008-4318\n    reason: not ours\n    include-aliases: true\n    package:\n      name: libcurl\n      version: 1.5.1\n      type: npm\n      location: \"/usr/local/lib/node_modules/**\"\n  - vulnerability: CVE-2020-1\n  - fix-state: unknown\n  - package:\n      type: gem\n  - vulnerability: CVE-2020-2\n    namespace: nvd\n  - vulnerability: CVE-2020-3\n    package:\n      name: linux(-.*)?-headers\n";
    assert_eq!(
        drafts(text),
        [
            "id=CVE-2008-4318 package=pkg:npm/libcurl versions==1.5.1 path=/usr/local/lib/node_modules/**; not ours; -",
            "id=CVE-2020-1; -; -",
        ]
    );
    insta::assert_snapshot!(left(text), @r"
    ignore[2]: it goes by `fix-state`, which no exception can; what has no fix is set with `unfixed`
    ignore[3]: it names no vulnerability
    ignore[4]: it goes by `namespace`, which no exception can
    ignore[5]: the package `linux(-.*)?-headers` is a pattern
    ");
}

#[test]
fn nsprc() {
    let text = r#"{"1337":{"active":true,"notes":"in tests only","expiry":"2026-12-31"},"GHSA-xxxx-yyyy-zzzz":"only on Windows",
        "CVE-2020-1":{"active":false},"GHSA-1":{"expiry":1798761600000},"GHSA-2":{"expiry":"1 June 2027"}}"#;
    assert_eq!(
        drafts(text),
        [
            "id=1337; in tests only; 2026-12-30",
            "id=GHSA-xxxx-yyyy-zzzz; only on Windows; -",
            "id=GHSA-1; -; 2026-12-31",
            "id=GHSA-2; -; -"
        ]
    );
    assert_eq!(left(text), "CVE-2020-1: it is not active");
    let old = r#"{"exceptions":["https://npmjs.com/advisories/532","https://github.com/advisories/GHSA-aaaa-bbbb-cccc"]}"#;
    assert_eq!(
        drafts(old),
        ["id=532; -; -", "id=GHSA-aaaa-bbbb-cccc; -; -"]
    );
}

#[test]
fn safety() {
    let two = "security:\n  ignore-cvss-severity-below: 7\n  ignore-cvss-unknown-severity: False\n  ignore-vulnerabilities:\n    25853:\n      reason: we don't use it\n      expires: '2026-10-21'\n    70612:\n  continue-on-vulnerability-error: False\n";
    assert_eq!(
        drafts(two),
        ["id=25853; we don't use it; 2026-10-20", "id=70612; -; -"]
    );
    assert_eq!(
        left(two),
        "`ignore-cvss-severity-below` is no exception: `fail-on` is the threshold"
    );
    let three = "version: '3.0'\nreport:\n  dependency-vulnerabilities:\n    enabled: true\n    auto-ignore-in-report:\n      python:\n        environment-results: true\n      vulnerabilities:\n        52495:\n          reason: r\n          expires: '2026-12-21'\n      cvss-severity: []\n";
    assert_eq!(drafts(three), ["id=52495; r; 2026-12-20"]);
    assert!(left(three).contains("`python`"));
}

const SUPPRESSIONS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<suppressions xmlns="https://jeremylong.github.io/DependencyCheck/dependency-suppression.1.3.xsd">
  <suppress until="2027-01-01Z">
    <notes><![CDATA[
      only at build time,
      never shipped & checked
    ]]></notes>
    <packageUrl regex="true">^pkg:maven/org\.codehaus\.plexus/plexus\-utils@.*$</packageUrl>
    <cve>CVE-2017-1000487</cve>
    <vulnerabilityName>CVE-2022-4244</vulnerabilityName>
  </suppress>
  <suppress><gav regex="true">^org\.a:b:.*$</gav><cve>CVE-1</cve></suppress>
  <suppress><filePath>lib/some.jar</filePath><cve>CVE-2</cve></suppress>
  <suppress base="true"><sha1>66734244CE86857018B023A8C56AE0635C56B6A1</sha1><cpe>cpe:/a:apache:struts:2.0.0</cpe></suppress>
  <suppress><cvssBelow>7</cvssBelow></suppress>
  <suppress><filePath regex="true">.*\.jar</filePath><cve>CVE-3</cve></suppress>
  <suppress><packageUrl regex="true">^pkg:npm/(a|b)@.*$</packageUrl><cve>CVE-4</cve></suppress>
  <suppress><packageUrl regex="true">^pkg:npm/lib.*$</packageUrl><cve>CVE-5</cve></suppress>
  <suppress><notes>n</notes></suppress>
</suppressions>
"#;

#[test]
fn dependency_check() {
    assert_eq!(
        drafts(SUPPRESSIONS),
        [
            "id=CVE-2017-1000487 package=pkg:maven/org.codehaus.plexus/plexus-utils; only at build time, never shipped & checked; 2026-12-31",
            "id=CVE-2022-4244 package=pkg:maven/org.codehaus.plexus/plexus-utils; only at build time, never shipped & checked; 2026-12-31",
            "id=CVE-1 package=pkg:maven/org.a/b; -; -",
            "id=CVE-2 path=lib/some.jar; -; -",
        ]
    );
    insta::assert_snapshot!(left(SUPPRESSIONS), @r"
    suppress 4: it goes by `sha1` (66734244CE86857018B023A8C56AE0635C56B6A1), which no exception can
    suppress 5: it goes by `cvssBelow` (7), which no exception can
    suppress 6: it goes by the pattern `filePath` (.*\.jar), which no exception can
    suppress 7: it goes by the pattern `packageUrl` (^pkg:npm/(a|b)@.*$), which no exception can
    suppress 8: it goes by the pattern `packageUrl` (^pkg:npm/lib.*$), which no exception can
    suppress 9: it names no vulnerability
    ");
}

#[test]
fn what_is_no_ignore_file_is_an_error() {
    for wrong in [
        "",
        "# only a comment\n",
        "a: [",
        "other: 1\n",
        "ignore: x\n",
        "<suppressions>",
        "<suppressions/>",
        "<other/>",
        "<!DOCTYPE x [<!ENTITY a \"b\">]><suppressions><suppress><notes>&a;</notes></suppress></suppressions>",
        "<suppressions><suppress><cve>&a;</cve></suppress></suppressions>",
        "{\"a\":1}",
        "{",
        "vulnerabilities:\n  - statement: no id\n",
    ] {
        let error = read("file", wrong).unwrap_err();
        assert!(
            error.message.starts_with("file: ") && error.hint.is_some(),
            "{wrong}: {error}"
        );
    }
    let deep = format!("<suppressions>{}", "<a>".repeat(100_000));
    assert!(read("file", &deep).is_err());
    assert!(read("file", &format!("a: {}", "[".repeat(100_000))).is_err());
    assert!(read("file", &format!("{{\"1\":{}", "[".repeat(100_000))).is_err());
}

#[test]
fn a_draft_is_refused_until_a_person_completes_it() {
    let policy = suppression::Policy::on(date(2026, 11, 26));
    let toml = to_toml("suppressions.xml", &read("f", SUPPRESSIONS).unwrap());
    let error = suppression::read("e.toml", &toml, &FORM, &policy).unwrap_err();
    assert!(error.message.contains("`owner` is empty"), "{error}");
    let owned = toml.replace("owner = \"\"", "owner = \"team\"");
    let error = suppression::read("e.toml", &owned, &FORM, &policy).unwrap_err();
    assert!(error.message.contains("`reason` is empty"), "{error}");
    let whole = owned
        .replace("reason = \"\"", "reason = \"looked at\"")
        .replace("expires = \"\"", "expires = 2026-12-31");
    assert_eq!(
        suppression::read("e.toml", &whole, &FORM, &policy)
            .unwrap()
            .list
            .len(),
        4
    );
}

#[test]
fn a_file_cut_anywhere_is_an_error_or_takes_over_no_more_than_the_whole() {
    let whole = read("f", SUPPRESSIONS).unwrap();
    let closed = SUPPRESSIONS.trim_end().len();
    for end in (0..closed).filter(|end| SUPPRESSIONS.is_char_boundary(*end)) {
        assert!(read("f", &SUPPRESSIONS[..end]).is_err(), "{end}");
    }
    assert_eq!(read("f", &SUPPRESSIONS[..closed]).unwrap(), whole);
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_panic(text in "(?s)(<suppress>|<cve>|</cve>|</suppress>|ignore:|vulnerabilities:|\n  - |id: |CVE-1|\\{|\"|:|\\}|.){0,30}") {
        if let Ok(imported) = read("file", &text) {
            let toml = to_toml("file", &imported);
            prop_assert!(toml::from_str::<toml::Table>(&toml).is_ok(), "{}", toml);
        }
    }
}
