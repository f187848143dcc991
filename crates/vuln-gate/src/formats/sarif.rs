//! SARIF 2.1.0: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>, as CodeQL, Semgrep, Trivy
//! and others write it.
//!
//! What a result means stands partly at its rule, which the driver or one of its extensions holds, before
//! or after the results: so results wait, small, until the run has been read.

use std::collections::HashMap;

use serde::Deserialize;

use gs_common::finding::Severity;

use super::cursor::{Cursor, ReadError};
use super::lenient::{Many, Maybe, Word};
use super::sink::{Sink, time};
use super::trivy::line_of;
use crate::model::{Class, Gap, Row, ScannerSuppression, Text};
use crate::names;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Component {
    name: Word,
    version: Word,
    #[serde(rename = "semanticVersion")]
    semantic_version: Word,
    rules: Many<Rule>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Rule {
    id: Word,
    #[serde(rename = "shortDescription")]
    short: Maybe<Message>,
    #[serde(rename = "helpUri")]
    help_uri: Word,
    #[serde(rename = "defaultConfiguration")]
    configuration: Maybe<Configuration>,
    properties: Maybe<Properties>,
}

#[derive(Clone, Default, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Message {
    text: Word,
    markdown: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Configuration {
    level: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Properties {
    #[serde(rename = "security-severity")]
    security_severity: Word,
    tags: Many<Word>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Result_ {
    #[serde(rename = "ruleId")]
    rule_id: Word,
    #[serde(rename = "ruleIndex")]
    rule_index: Word,
    rule: Maybe<Reference>,
    level: Word,
    kind: Word,
    message: Maybe<Message>,
    locations: Many<Location>,
    suppressions: Many<Suppression>,
    #[serde(rename = "baselineState")]
    baseline_state: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reference {
    id: Word,
    index: Word,
    #[serde(rename = "toolComponent")]
    component: Maybe<Place>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Place {
    index: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Location {
    #[serde(rename = "physicalLocation")]
    physical: Maybe<Physical>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Physical {
    #[serde(rename = "artifactLocation")]
    artifact: Maybe<Artifact>,
    region: Maybe<Region>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Artifact {
    uri: Word,
    index: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Region {
    #[serde(rename = "startLine")]
    start_line: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Suppression {
    kind: Word,
    status: Word,
    justification: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Invocation {
    #[serde(rename = "executionSuccessful")]
    successful: Word,
    #[serde(rename = "endTimeUtc")]
    ended: Word,
    #[serde(rename = "exitSignalName")]
    signal: Word,
    #[serde(rename = "toolExecutionNotifications")]
    execution: Many<Notification>,
    #[serde(rename = "toolConfigurationNotifications")]
    configuration: Many<Notification>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Notification {
    level: Word,
    message: Maybe<Message>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ArtifactOfRun {
    location: Maybe<Artifact>,
}

/// What is kept of a rule.
struct Known {
    id: Text,
    title: Option<Text>,
    url: Option<Text>,
    level: Option<String>,
    score: Option<f64>,
    class: Option<Class>,
}

/// A result until its run has been read.
struct Waiting {
    row: Row,
    level: Option<String>,
    index: Option<usize>,
    component: Option<usize>,
    artifact: Option<usize>,
}

/// Reads a report.
///
/// # Errors
/// The text is not in this shape.
pub fn read(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Result<(), ReadError> {
    let mut runs = 0_u64;
    let mut looked = 0_u64;
    cursor.object(|cursor, key| {
        if key == "runs" {
            return cursor.list(|cursor| {
                runs += 1;
                looked += u64::from(run(cursor, sink)?);
                Ok(())
            });
        }
        cursor.skip()
    })?;
    if runs == 0 {
        sink.unchecked("the SARIF file has no run");
    } else if looked == 0 {
        // Section 3.14.23: no list of results means that no scan was attempted.
        sink.unchecked("the SARIF file has no list of results: no scan was attempted");
    }
    Ok(())
}

/// One run; whether it has a list of results.
fn run(cursor: &mut Cursor<'_>, sink: &mut Sink) -> Result<bool, ReadError> {
    let mut components: Vec<Vec<Known>> = vec![Vec::new()];
    let mut waiting: Vec<Waiting> = Vec::new();
    let mut artifacts: Vec<Option<Text>> = Vec::new();
    let mut tool = String::new();
    let mut has_results = false;
    cursor.object(|cursor, key| {
        match key {
            "tool" => cursor.object(|cursor, key| match key {
                "driver" => {
                    let driver: Component = cursor.value()?;
                    driver.name.get().unwrap_or_default().clone_into(&mut tool);
                    let version = driver.semantic_version.get().or(driver.version.get());
                    let named = match version {
                        Some(version) => format!("{tool} {version}"),
                        None => tool.clone(),
                    };
                    sink.tool = match sink.tool.take() {
                        Some(other) if other != named => Some(format!("{other}, {named}")),
                        _ => Some(named),
                    };
                    let known = rules(&driver.rules.0, sink);
                    if let Some(first) = components.first_mut() {
                        *first = known;
                    }
                    Ok(())
                }
                "extensions" => cursor.each(|extension: Component| {
                    let known = rules(&extension.rules.0, sink);
                    components.push(known);
                }),
                _ => cursor.skip(),
            })?,
            "results" => {
                has_results = cursor.kind()? == super::cursor::Kind::List;
                cursor.each(|found: Result_| waiting.extend(result(&found, sink)))?;
            }
            "artifacts" => cursor.each(|artifact: ArtifactOfRun| {
                let uri = artifact
                    .location
                    .0
                    .as_ref()
                    .and_then(|place| place.uri.get());
                artifacts.push(uri.map(|uri| sink.text(uri)));
            })?,
            "invocations" => cursor.each(|invocation: Invocation| invoked(&invocation, sink))?,
            _ => cursor.skip()?,
        }
        Ok::<_, ReadError>(())
    })?;
    let target = (!tool.is_empty()).then(|| sink.text(&tool));
    let by_id: Vec<HashMap<Text, usize>> = components
        .iter()
        .map(|rules| {
            rules
                .iter()
                .enumerate()
                .map(|(at, rule)| (rule.id.clone(), at))
                .collect()
        })
        .collect();
    for mut found in waiting {
        let rule = resolve(&found, &components, &by_id);
        settle(&mut found, rule, &artifacts, &tool, sink);
        found.row.target.clone_from(&target);
        sink.keep(found.row);
    }
    Ok(has_results)
}

fn rules(rules: &[Rule], sink: &mut Sink) -> Vec<Known> {
    rules
        .iter()
        .map(|rule| {
            let properties = rule.properties.0.as_ref();
            let tags: Vec<&str> = properties
                .into_iter()
                .flat_map(|known| known.tags.texts())
                .collect();
            let class = [
                ("vulnerability", Class::Vulnerability),
                ("misconfiguration", Class::Misconfiguration),
                ("secret", Class::Secret),
                ("license", Class::License),
            ];
            Known {
                id: sink.text(rule.id.get().unwrap_or_default()),
                title: sink.title(rule.short.0.as_ref().and_then(|message| message.text.get())),
                url: sink.some(rule.help_uri.get()),
                level: rule
                    .configuration
                    .0
                    .as_ref()
                    .and_then(|known| known.level.get())
                    .map(str::to_owned),
                score: properties.and_then(|known| known.security_severity.number()),
                class: class
                    .into_iter()
                    .find(|(tag, _)| tags.contains(tag))
                    .map(|(_, class)| class),
            }
        })
        .collect()
}

/// A result that counts; `None` for one that says that all is well.
fn result(found: &Result_, sink: &mut Sink) -> Option<Waiting> {
    if matches!(found.kind.get(), Some("pass" | "notApplicable"))
        || found.baseline_state.get() == Some("absent")
    {
        return None;
    }
    let reference = found.rule.0.as_ref();
    let place = found
        .locations
        .0
        .first()
        .and_then(|place| place.physical.0.as_ref());
    let artifact = place.and_then(|place| place.artifact.0.as_ref());
    let message = found.message.0.as_ref();
    let number = |word: &Word| word.get().and_then(|word| word.parse::<usize>().ok());
    // By section 3.27.24 what is not said to be accepted does not suppress, but absent means accepted.
    let suppressed = found
        .suppressions
        .0
        .iter()
        .find(|known| matches!(known.status.get(), None | Some("accepted")));
    Some(Waiting {
        row: Row {
            class: Class::Code,
            id: sink.text(
                found
                    .rule_id
                    .get()
                    .or(reference.and_then(|known| known.id.get()))
                    .unwrap_or_default(),
            ),
            title: sink.title(message.and_then(|known| known.text.get().or(known.markdown.get()))),
            path: sink.some(artifact.and_then(|known| known.uri.get())),
            line: place
                .and_then(|known| known.region.0.as_ref())
                .and_then(|region| line_of(&region.start_line)),
            suppressed: suppressed.map(|known| {
                Box::new(ScannerSuppression {
                    reason: sink.some(known.justification.get()),
                    expires: None,
                    place: sink.some(known.kind.get()),
                })
            }),
            ..Row::default()
        },
        level: found
            .level
            .get()
            // A result of any other kind than `fail` has no level (section 3.27.10).
            .or_else(|| {
                found
                    .kind
                    .get()
                    .filter(|kind| *kind != "fail")
                    .map(|_| "none")
            })
            .map(str::to_owned),
        index: number(&found.rule_index).or(reference.and_then(|known| number(&known.index))),
        component: reference
            .and_then(|known| known.component.0.as_ref())
            .and_then(|place| number(&place.index)),
        artifact: artifact.and_then(|known| number(&known.index)),
    })
}

fn resolve<'a>(
    found: &Waiting,
    components: &'a [Vec<Known>],
    by_id: &[HashMap<Text, usize>],
) -> Option<&'a Known> {
    // Component 0 is the driver here; SARIF counts extensions from 0.
    let home = found.component.map_or(0, |index| index + 1);
    let by_index = |at: usize| found.index.and_then(|index| components.get(at)?.get(index));
    // A rule of an index that has another id is not meant: `a/b` is a part of the rule `a`.
    let fits = |rule: &&Known| {
        found.row.id.is_empty() || found.row.id == rule.id || found.row.id.starts_with(&*rule.id)
    };
    if let Some(rule) = by_index(home).filter(fits) {
        return Some(rule);
    }
    let named = |at: usize| {
        let place = by_id.get(at)?.get(&found.row.id)?;
        components.get(at)?.get(*place)
    };
    named(home).or_else(|| (0..components.len()).find_map(named))
}

fn settle(
    found: &mut Waiting,
    rule: Option<&Known>,
    artifacts: &[Option<Text>],
    tool: &str,
    sink: &mut Sink,
) {
    let row = &mut found.row;
    if row.id.is_empty()
        && let Some(rule) = rule
    {
        row.id = rule.id.clone();
    }
    if row.title.is_none() {
        row.title = rule.and_then(|rule| rule.title.clone());
    }
    row.url = rule.and_then(|rule| rule.url.clone());
    if row.path.is_none() {
        row.path = found
            .artifact
            .and_then(|at| artifacts.get(at).cloned().flatten());
    }
    let lower = tool.to_ascii_lowercase();
    row.class = if names::is_advisory(&row.id) {
        Class::Vulnerability
    } else if let Some(class) = rule.and_then(|rule| rule.class) {
        class
    } else if ["gitleaks", "trufflehog", "ggshield", "kingfisher"]
        .iter()
        .any(|name| lower.contains(name))
    {
        Class::Secret
    } else {
        Class::Code
    };
    if row.class == Class::Secret {
        // Some tools quote what they found.
        let plain = rule.and_then(|rule| rule.title.clone());
        let masked = row.title.as_deref().map(without_tokens);
        row.title = plain.or(masked.map(|text| sink.text(&text)));
    }
    let level = found
        .level
        .as_deref()
        .or(rule.and_then(|rule| rule.level.as_deref()));
    let by_level = match level {
        Some("error") => Severity::High,
        Some("note") => Severity::Low,
        Some("none") => Severity::Info,
        _ => Severity::Medium,
    };
    match rule.and_then(|rule| rule.score) {
        Some(score) => {
            sink.cvss(row, tool, 3, Some(score), None);
            row.severity = Severity::of_score(score).unwrap_or(by_level);
            if row.ratings.is_empty() {
                sink.label(row, tool, Some(row.severity.as_str()));
            }
        }
        None => {
            row.severity = by_level;
            sink.label(row, tool, Some(by_level.as_str()));
        }
    }
}

/// A text in which every word that could be a secret is masked: long, with letters and digits.
fn without_tokens(text: &str) -> String {
    let token = |word: &str| {
        word.len() >= 12
            && word.bytes().any(|byte| byte.is_ascii_digit())
            && word.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    text.split_inclusive(|character: char| {
        character.is_whitespace() || matches!(character, '"' | '\'' | '`')
    })
    .map(|word| {
        let bare = word.trim_matches(|character: char| {
            character.is_whitespace() || matches!(character, '"' | '\'' | '`')
        });
        if token(bare) {
            word.replace(bare, "***")
        } else {
            word.to_owned()
        }
    })
    .collect()
}

fn invoked(invocation: &Invocation, sink: &mut Sink) {
    sink.created = sink.created.max(time(invocation.ended.get()));
    if invocation.successful.get() == Some("false") {
        let signal = invocation.signal.get().unwrap_or("no reason given");
        sink.fail(format!(
            "the scanner says that its run was not successful: {signal}"
        ));
    }
    let notifications = invocation
        .execution
        .0
        .iter()
        .chain(&invocation.configuration.0);
    for notification in notifications.filter(|known| known.level.get() == Some("error")) {
        let message = notification
            .message
            .0
            .as_ref()
            .and_then(|message| message.text.get());
        sink.gap(
            Gap::AnalysisFailed,
            "",
            message.unwrap_or("an error without a message"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_secret_is_not_passed_on() {
        let masked = without_tokens("found 'AKIA2E0A8F3B244C9986' in config.py, 3 times");
        assert_eq!(masked, "found '***' in config.py, 3 times");
        assert_eq!(
            without_tokens("AWS Access Key secret detected"),
            "AWS Access Key secret detected"
        );
    }
}
