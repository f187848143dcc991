//! SARIF 2.1.0, as GitHub's code scanning takes it: a small model of what we emit, and no more.
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>, and GitHub's own limits:
//! <https://docs.github.com/en/code-security/code-scanning/troubleshooting-sarif-uploads/results-exceed-limit>.
//! A file over one of them is refused whole, so the least severe results are left out before, and this is
//! said in the file (a notification) and on stderr ([`left_out`]).
//!
//! A run without a verdict that has found nothing is no clean one: GitHub would close every alert. It gets a
//! result of its own, and `executionSuccessful` is false.

mod model;

use std::collections::BTreeMap;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use model::{
    Artifact, Automation, Configuration, Driver, Fingerprints, Help, Invocation, Location, Log,
    Notification, Outcome, Physical, Properties, Region, Rule, Run, Suppression, Text, Tool,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::findings::{self, State};
use super::text::{counted, visible};
use crate::finding::{Finding, Severity, Spot};
use crate::fingerprint;
use crate::redact::Redacted;
use crate::report::{INTERRUPTED, Report};
use crate::verdict::Verdict;

/// What is refused whole, so that less has to be written.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Results of a run.
    pub(super) results: usize,
    /// Bytes of the file after gzip.
    pub(super) gzip_bytes: u64,
}

/// GitHub's.
const GITHUB: Limits = Limits {
    results: 25_000,
    gzip_bytes: 10_000_000,
};
/// So much is handed on at once: JSON is written in pieces of a word, and gzip clears its buffer for each.
const PIECE: usize = 64 * 1024;
/// So many are shown, the worst first.
const SHOWN_RESULTS: usize = 5_000;
/// A result with more locations is refused.
const MOST_LOCATIONS: usize = 1_000;
/// GitHub shows 10 tags of a rule and refuses more than 20.
const MOST_TAGS: usize = 10;
/// A rule of ours that says that there is no verdict.
const NO_VERDICT: &str = "no-verdict";

/// What cannot stand in the path of a URI, by RFC 3986; `/` stays.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    // A colon in the first part would be read as a scheme.
    .add(b':');

pub(super) fn render(report: &Redacted, out: &mut dyn Write) -> io::Result<()> {
    within(report, GITHUB, out)
}

/// The same for limits that are an argument.
pub(super) fn within(report: &Report, limits: Limits, out: &mut dyn Write) -> io::Result<()> {
    let kept = fitting(report, limits)?;
    let mut out = io::BufWriter::with_capacity(PIECE, out);
    serde_json::to_writer_pretty(&mut out, &log(report, kept))?;
    out.write_all(b"\n")?;
    out.flush()
}

/// The sentence on results that GitHub would refuse or not show; none where all are taken.
///
/// # Errors
/// The results cannot be written.
pub fn left_out(report: &Report) -> io::Result<Option<String>> {
    Ok(about_left_out(report, fitting(report, GITHUB)?))
}

fn about_left_out(report: &Report, kept: usize) -> Option<String> {
    let all = report.findings.len();
    if kept < all {
        return Some(format!(
            "sarif: {} of {all} left out, the least severe: GitHub takes at most {} and {} MB; the JSON report has all",
            counted(all - kept, "result"),
            GITHUB.results,
            GITHUB.gzip_bytes / 1_000_000
        ));
    }
    (all > SHOWN_RESULTS).then(|| {
        format!("sarif: of {all} results GitHub shows the {SHOWN_RESULTS} that are the most severe")
    })
}

/// How many of the ranked findings fit the limits, by halving: the size grows with the number.
fn fitting(report: &Report, limits: Limits) -> io::Result<usize> {
    let mut high = report.findings.len().min(limits.results);
    let fits =
        |kept| Ok::<_, io::Error>(gzip_size(report, kept, limits.gzip_bytes)? <= limits.gzip_bytes);
    if fits(high)? {
        return Ok(high);
    }
    let mut low = 0;
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if fits(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// The size after gzip; where the plain text is small enough already, that one, which costs less.
fn gzip_size(report: &Report, kept: usize, enough: u64) -> io::Result<u64> {
    struct Count(u64);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let log = log(report, kept);
    let mut plain = Count(0);
    serde_json::to_writer_pretty(&mut plain, &log)?;
    if plain.0 <= enough {
        return Ok(plain.0);
    }
    let packed = GzEncoder::new(Count(0), Compression::fast());
    let mut pieces = io::BufWriter::with_capacity(PIECE, packed);
    serde_json::to_writer_pretty(&mut pieces, &log)?;
    let packed = pieces
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    Ok(packed.finish()?.0)
}

fn log(report: &Report, kept: usize) -> Log<'_> {
    let ranked = State::ALL
        .into_iter()
        .flat_map(|state| findings::ranked(report, state));
    let findings: Vec<&Finding> = ranked.take(kept).collect();
    let mut rules: Vec<Rule> = Vec::new();
    let mut index_of: BTreeMap<String, usize> = BTreeMap::new();
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    let mut results: Vec<Outcome> = Vec::new();
    // A rule has one severity, and that of a finding is its own: the worst of them tells of the rule.
    let mut by_severity = findings.clone();
    by_severity.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in by_severity {
        index_of.entry(rule_id(finding)).or_insert_with_key(|id| {
            rules.push(rule(id, finding));
            rules.len() - 1
        });
    }
    for finding in findings {
        let id = rule_id(finding);
        let index = index_of.get(&id).copied().unwrap_or(0);
        results.push(outcome(report, finding, id, index, &mut met));
    }
    let broken = report.verdict == Verdict::Inconclusive || report.reason == INTERRUPTED;
    if broken {
        rules.push(no_verdict_rule());
        results.push(no_verdict(report, rules.len() - 1));
    }
    let told = about_left_out(report, kept).map(|text| ("warning", text));
    let lost = broken.then(|| {
        (
            "error",
            format!("no verdict ({}): {}", report.reason, report.summary),
        )
    });
    let uncovered = report.not_covered.iter().map(|text| ("note", text.clone()));
    let notifications = lost.into_iter().chain(told).chain(uncovered);
    Log {
        schema: "https://json.schemastore.org/sarif-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: &report.tool.name,
                    semantic_version: &report.tool.version,
                    rules,
                },
            },
            // Two uploads of one tool and category replace each other; the id tells them apart.
            automation_details: Automation {
                id: format!("{}/{}/", report.tool.name, category(&report.subject.name)),
            },
            invocations: [Invocation {
                execution_successful: !broken,
                start_time_utc: format!("{:.3}", report.started_at),
                end_time_utc: format!("{:.3}", report.ended_at),
                tool_execution_notifications: notifications
                    .map(|(level, text)| Notification {
                        level,
                        message: Text {
                            text: visible(&text),
                        },
                    })
                    .collect(),
            }],
            column_kind: "unicodeCodePoints",
            results,
        }],
    }
}

/// A part of an id: what stands between slashes.
fn category(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') {
                c
            } else {
                '-'
            }
        })
        .take(100)
        .collect()
}

/// Two rules that look the same are one here; a rule without a name has no id that would be taken.
fn rule_id(finding: &Finding) -> String {
    let id = visible(&finding.rule);
    if id.trim().is_empty() {
        "unnamed".to_owned()
    } else {
        id
    }
}

fn rule(id: &str, finding: &Finding) -> Rule {
    let title = visible(&finding.title);
    let title = if title.is_empty() {
        id.to_owned()
    } else {
        title
    };
    let link = findings::link(&finding.rule);
    let mut help = vec![title.clone()];
    help.extend(finding.message.as_deref().map(visible));
    help.extend(finding.advice.iter().map(|advice| visible(advice)));
    let mut markdown: Vec<String> = help
        .iter()
        .map(|text| super::markdown::escape(text))
        .collect();
    if let Some(link) = &link {
        markdown.push(format!("[{}]({link})", finding.rule));
    }
    let mut tags = vec!["security".to_owned()];
    tags.extend(
        finding
            .package
            .as_ref()
            .and_then(|package| package.ecosystem.as_deref().map(str::to_owned)),
    );
    tags.truncate(MOST_TAGS);
    Rule {
        id: id.to_owned(),
        short_description: Text {
            text: title.chars().take(1_000).collect(),
        },
        full_description: Text {
            text: title.chars().take(1_000).collect(),
        },
        help_uri: link,
        help: Help {
            text: help.join("\n\n"),
            markdown: markdown.join("\n\n"),
        },
        default_configuration: Configuration {
            level: level(finding.severity),
        },
        properties: Properties {
            tags,
            security_severity: security_severity(finding),
        },
    }
}

/// GitHub derives its own words from this number, a text: 9 and more critical, 7 high, 4 medium, else
/// low. The finding's own score where it has one of its severity, else the middle of the severity's range.
fn security_severity(finding: &Finding) -> Option<String> {
    let score = finding
        .more
        .get("cvss_score")
        .and_then(|score| score.as_f64())
        .filter(|score| Severity::of_score(*score) == Some(finding.severity));
    let middle = match finding.severity {
        Severity::Critical => 9.5,
        Severity::High => 8.0,
        Severity::Medium => 5.5,
        Severity::Low => 2.0,
        // Nobody said how bad it is, or that it is not bad at all: no number.
        Severity::Info | Severity::Unknown => return None,
    };
    Some(format!("{:.1}", score.unwrap_or(middle)))
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium | Severity::Unknown => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

fn outcome(
    report: &Report,
    finding: &Finding,
    rule_id: String,
    rule_index: usize,
    met: &mut BTreeMap<String, usize>,
) -> Outcome {
    let package = findings::package(finding);
    let mut message = visible(&finding.title);
    if !package.is_empty() {
        message = format!("{}: {message}", visible(&package));
    }
    let advice = finding.advice.iter().map(String::as_str);
    for further in finding.message.as_deref().into_iter().chain(advice) {
        message = format!("{message}\n{}", visible(further));
    }
    let mut locations: Vec<Location> = findings::places(finding)
        .take(MOST_LOCATIONS)
        .map(location)
        .collect();
    if locations.is_empty() {
        locations.push(fallback(report));
    }
    let identity = fingerprint::plain("sarif", &[&finding.rule, &finding.fingerprint]);
    let nth = met.entry(identity.clone()).or_insert(0);
    *nth += 1;
    let suppressions = finding.suppressed.iter().map(|_| Suppression {
        kind: "external",
        status: "accepted",
        justification: visible(&findings::suppression(finding)),
    });
    Outcome {
        rule_id,
        rule_index,
        level: level(finding.severity),
        message: Text { text: message },
        locations,
        partial_fingerprints: Fingerprints {
            // The form that GitHub's own uploader gives them: a hash, and which of those that share it.
            primary_location_line_hash: format!("{identity}:{nth}"),
        },
        suppressions: suppressions.collect(),
    }
}

fn location(spot: &Spot) -> Location {
    Location {
        physical_location: Physical {
            artifact_location: Artifact {
                uri: uri(&spot.path),
            },
            region: Region {
                start_line: spot.line.unwrap_or(1).max(1),
            },
        },
    }
}

/// A result without a location is refused, so it stands at the file that it was read from.
fn fallback(report: &Report) -> Location {
    let path = report
        .inputs
        .first()
        .map_or(crate::config::FILE_NAME, |input| input.path.as_str());
    location(&Spot {
        path: path.into(),
        ..Spot::default()
    })
}

fn uri(path: &str) -> String {
    let path = path.replace('\\', "/");
    let path = path.trim_start_matches("./");
    let encoded = utf8_percent_encode(path, PATH).to_string();
    if encoded.is_empty() {
        crate::config::FILE_NAME.to_owned()
    } else if encoded.starts_with('/') {
        format!("file://{encoded}")
    } else {
        encoded
    }
}

fn no_verdict_rule() -> Rule {
    let text = "The run could not judge: what it did not find may still be there";
    Rule {
        id: NO_VERDICT.to_owned(),
        short_description: Text {
            text: text.to_owned(),
        },
        full_description: Text {
            text: text.to_owned(),
        },
        help_uri: None,
        help: Help {
            text: text.to_owned(),
            markdown: text.to_owned(),
        },
        default_configuration: Configuration { level: "error" },
        properties: Properties {
            tags: vec!["security".to_owned()],
            security_severity: None,
        },
    }
}

fn no_verdict(report: &Report, rule_index: usize) -> Outcome {
    let identity = fingerprint::plain("sarif", &[NO_VERDICT, &report.tool.name, &report.reason]);
    Outcome {
        rule_id: NO_VERDICT.to_owned(),
        rule_index,
        level: "error",
        message: Text {
            text: visible(&format!(
                "no verdict ({}): {}",
                report.reason, report.summary
            )),
        },
        locations: vec![fallback(report)],
        partial_fingerprints: Fingerprints {
            primary_location_line_hash: format!("{identity}:1"),
        },
        suppressions: Vec::new(),
    }
}
