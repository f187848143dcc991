//! Which format a text is in, by what it says and never by its file's name.

use std::collections::HashSet;

use super::cursor::{Cursor, Kind, ReadError};
use super::source::Source;
use crate::model::Format;

/// How much of a text is looked at first; where that does not tell, more.
const FIRST: usize = 64 * 1024;
const MOST: usize = 8 << 20;

/// Members deeper than this tell nothing.
const DEEPEST: usize = 3;

/// What the beginning of a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// A JSON document of a format.
    Json(Format),
    /// The first of many lines, each a document of yarn's.
    YarnLines,
    /// An XML document.
    Xml,
    /// None of them, with what it may be instead.
    No(&'static str),
}

/// Looks at the text that comes next, without using it.
///
/// # Errors
/// The source fails.
pub fn guess(source: &mut Source) -> Result<Guess, ReadError> {
    let mut wanted = FIRST;
    loop {
        source.want(wanted)?;
        let there = source.window().len();
        let head = source.window().get(..there.min(wanted)).unwrap_or_default();
        let whole = there < wanted;
        if head.first() == Some(&b'<') {
            return Ok(Guess::Xml);
        }
        let shape = Shape::of(head)?;
        let found = shape.guess(whole);
        match found {
            Some(guess) => return Ok(guess),
            None if whole || wanted >= MOST => return Ok(Guess::No(shape.instead())),
            None => wanted *= 4,
        }
    }
}

/// The members near the top, as paths: `Results[].Target`.
struct Shape {
    kind: Option<Kind>,
    paths: HashSet<String>,
    /// The whole document was seen.
    complete: bool,
}

impl Shape {
    fn of(head: &[u8]) -> Result<Self, ReadError> {
        let mut shape = Self {
            kind: None,
            paths: HashSet::new(),
            complete: false,
        };
        let mut source = Source::open(std::io::Cursor::new(head.to_vec()))?;
        let mut cursor = Cursor::new(&mut source);
        // Where the piece ends or is no JSON, what was seen so far tells.
        shape.kind = cursor.kind().ok();
        shape.complete = shape.walk(&mut cursor, "", 0).is_ok();
        Ok(shape)
    }

    fn walk(&mut self, cursor: &mut Cursor<'_>, path: &str, depth: usize) -> Result<(), ReadError> {
        let kind = cursor.kind()?;
        if depth > DEEPEST {
            return cursor.skip();
        }
        match kind {
            Kind::Object => cursor.object(|cursor, key| {
                let path = if path.is_empty() {
                    key.to_owned()
                } else {
                    format!("{path}.{key}")
                };
                self.paths.insert(path.clone());
                self.walk(cursor, &path, depth + 1)
            }),
            Kind::List => {
                let path = format!("{path}[]");
                let mut first = true;
                cursor.list(|cursor| {
                    if std::mem::take(&mut first) {
                        let kind = cursor.kind()?;
                        self.paths.insert(format!("{path}{kind:?}"));
                        self.walk(cursor, &path, depth + 1)
                    } else {
                        cursor.skip()
                    }
                })
            }
            _ => cursor.skip(),
        }
    }

    fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    fn any(&self, paths: &[&str]) -> bool {
        paths.iter().any(|path| self.has(path))
    }

    fn list(&self, path: &str) -> bool {
        let begins = format!("{path}[]");
        self.paths.iter().any(|path| path.starts_with(&begins))
    }

    /// The format, once it is sure; `all` says that there is no more to come.
    fn guess(&self, all: bool) -> Option<Guess> {
        let json = |format| Some(Guess::Json(format));
        match self.kind? {
            Kind::Null => json(Format::Nothing),
            Kind::List => {
                if self.has("[]List") {
                    json(Format::Safety)
                } else if self.any(&["[].Target", "[].Vulnerabilities"]) {
                    json(Format::Trivy)
                } else if self.has("[].name") && self.any(&["[].vulns", "[].skip_reason"]) {
                    json(Format::PipAudit)
                } else if self.complete && self.paths.is_empty() {
                    json(Format::Nothing)
                } else {
                    None
                }
            }
            Kind::Object => self.object(all).map(|format| match format {
                Format::YarnAudit => Guess::YarnLines,
                format => Guess::Json(format),
            }),
            _ => None,
        }
    }

    fn object(&self, all: bool) -> Option<Format> {
        let has = |path| self.has(path);
        if self.any(&["@context", "bomFormat", "spdxVersion"]) {
            return None;
        }
        let distinct: [(&[&str], Format); 10] = [
            (&["auditReportVersion"], Format::NpmAudit),
            (
                &[
                    "SchemaVersion",
                    "ClusterName",
                    "Results[].Target",
                    "Resources[].Results",
                ],
                Format::Trivy,
            ),
            (&["reportSchema", "scanInfo"], Format::DependencyCheck),
            (
                &[
                    "report_meta",
                    "affected_packages",
                    "scan_results",
                    "vulnerabilities[].vulnerability_id",
                ],
                Format::Safety,
            ),
            (&["runs"], Format::Sarif),
            (
                &["matches[].vulnerability", "matches[].artifact"],
                Format::Grype,
            ),
            (&["results[].packages"], Format::OsvScanner),
            (
                &["dependencies[].vulns", "dependencies[].skip_reason"],
                Format::PipAudit,
            ),
            (
                &["vulnerabilities.list", "database.advisory-count"],
                Format::CargoAudit,
            ),
            (&["children.ID", "children.Issue"], Format::YarnAudit),
        ];
        if let Some((_, format)) = distinct.into_iter().find(|(paths, _)| self.any(paths)) {
            return Some(format);
        }
        if has("advisories") {
            // What npm writes and pnpm does not.
            if self.any(&["actions", "muted", "runId"]) {
                return Some(Format::NpmAudit);
            }
            return all.then_some(Format::PnpmAudit);
        }
        if has("type") && has("data") {
            return Some(Format::YarnAudit);
        }
        if !all {
            return None;
        }
        // What is left are reports with nothing in them, and error bodies.
        if has("matches") && self.any(&["descriptor", "source", "distro"]) {
            Some(Format::Grype)
        } else if has("ArtifactName") && has("ArtifactType") {
            Some(Format::Trivy)
        } else if has("results") && !has("errors") && self.paths.iter().all(|path| osv_member(path))
        {
            Some(Format::OsvScanner)
        } else if has("dependencies")
            && (has("fixes") || self.paths.len() == 1 || self.list("dependencies"))
        {
            Some(Format::PipAudit)
        } else if has("type") && self.any(&["data"]) {
            Some(Format::YarnAudit)
        } else if has("error.code") || has("statusCode") || (has("error") && !has("result")) {
            Some(Format::NpmAudit)
        } else {
            None
        }
    }

    /// What to say of a text that is no report.
    fn instead(&self) -> &'static str {
        match self.kind {
            None | Some(Kind::Other | Kind::Text) => "it begins like no report in JSON or XML",
            Some(_) if self.has("@context") => {
                "it is a VEX document: give it with --vex, beside a scanner's report"
            }
            Some(_) if self.has("bomFormat") || self.has("spdxVersion") => {
                "it is a list of components (SBOM): let a scanner read it, such as `trivy sbom`"
            }
            Some(_) if self.has("schema") && self.has("verdict") => {
                "it is a report of one of these tools, not of a scanner"
            }
            Some(_) => "its members are those of no scanner that is known here",
        }
    }
}

fn osv_member(path: &str) -> bool {
    [
        "results",
        "experimental_config",
        "license_summary",
        "image_metadata",
    ]
    .iter()
    .any(|known| path.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Guess) {
        let mut source = Source::open(std::io::Cursor::new(text.as_bytes().to_vec())).unwrap();
        assert_eq!(guess(&mut source).unwrap(), expected, "{text}");
    }

    #[test]
    fn reports_are_told_by_their_members() {
        for (text, format) in [
            (r#"{"SchemaVersion": 2}"#, Format::Trivy),
            (
                r#"[{"Target": "x", "Vulnerabilities": null}]"#,
                Format::Trivy,
            ),
            (r#"[["jinja2", "<2", "1", "text", "1"]]"#, Format::Safety),
            (
                r#"{"report_meta": {}, "vulnerabilities": []}"#,
                Format::Safety,
            ),
            (
                r#"{"meta": {}, "scan_results": {"projects": []}}"#,
                Format::Safety,
            ),
            (
                r#"{"auditReportVersion": 2, "vulnerabilities": {}}"#,
                Format::NpmAudit,
            ),
            (r#"{"actions": [], "advisories": {}}"#, Format::NpmAudit),
            (r#"{"error": {"code": "ENOAUDIT"}}"#, Format::NpmAudit),
            (
                r#"{"message": "no", "statusCode": 405, "error": {}}"#,
                Format::NpmAudit,
            ),
            (r#"{"advisories": {}, "metadata": {}}"#, Format::PnpmAudit),
            (r#"{"dependencies": []}"#, Format::PipAudit),
            (
                r#"[{"name": "a", "version": "1", "vulns": []}]"#,
                Format::PipAudit,
            ),
            (r#"{"reportSchema": "1.1"}"#, Format::DependencyCheck),
            (r#"{"matches": [], "descriptor": {}}"#, Format::Grype),
            (r#"{"results": []}"#, Format::OsvScanner),
            (
                r#"{"vulnerabilities": {"found": false, "list": []}}"#,
                Format::CargoAudit,
            ),
            (r#"{"version": "2.1.0", "runs": []}"#, Format::Sarif),
            ("[]", Format::Nothing),
            (" null", Format::Nothing),
        ] {
            check(text, Guess::Json(format));
        }
        check(r#"{"type": "info", "data": "x"}"#, Guess::YarnLines);
        check(
            r#"{"value": "lodash", "children": {"ID": 1}}"#,
            Guess::YarnLines,
        );
        check("<?xml version=\"1.0\"?><analysis/>", Guess::Xml);
    }

    #[test]
    fn what_is_none_says_what_it_may_be() {
        for (text, part) in [
            ("hello", "begins like no report"),
            (r#"["not", "a", "document"]"#, "no scanner"),
            (r#"{"@context": "https://openvex.dev/ns/v0.2.0"}"#, "--vex"),
            (r#"{"bomFormat": "CycloneDX"}"#, "SBOM"),
            (
                r#"{"schema": "gs.report/v1", "verdict": "pass"}"#,
                "one of these tools",
            ),
            ("{}", "no scanner"),
            ("42", "begins like no report"),
        ] {
            let mut source = Source::open(std::io::Cursor::new(text.as_bytes().to_vec())).unwrap();
            match guess(&mut source).unwrap() {
                Guess::No(words) => assert!(words.contains(part), "{text}: {words}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_order_of_members_does_not_matter() {
        let long = "x".repeat(200_000);
        check(
            &format!(r#"{{"Notes": "{long}", "SchemaVersion": 2}}"#),
            Guess::Json(Format::Trivy),
        );
    }
}
