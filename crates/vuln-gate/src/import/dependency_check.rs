//! OWASP Dependency-Check: `suppressions.xml`, schemas 1.0 to 1.4.
//!
//! A document type and entities other than XML's own are refused, as in its reports.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::{Draft, Imported};

/// Deeper nesting is no suppression.
const DEEPEST: usize = 16;

#[derive(Default)]
struct Rule {
    until: Option<String>,
    notes: Option<String>,
    /// Element, whether it is a pattern, text.
    parts: Vec<(String, bool, String)>,
}

pub(super) fn read(text: &str) -> Result<Imported, String> {
    let mut imported = Imported {
        kind: "Dependency-Check suppressions",
        ..Imported::default()
    };
    let mut reader = Reader::from_str(text);
    reader.config_mut().trim_text(true);
    let mut path: Vec<String> = Vec::new();
    let mut rule: Option<Rule> = None;
    let mut number = 0;
    let mut pattern = false;
    let mut content = String::new();
    loop {
        match reader
            .read_event()
            .map_err(|error| format!("this is no XML: {error}"))?
        {
            Event::Start(tag) => {
                let name = String::from_utf8_lossy(tag.local_name().as_ref()).into_owned();
                path.push(name.clone());
                if path.len() > DEEPEST {
                    return Err("it is nested too deeply".to_owned());
                }
                match (path.len(), name.as_str()) {
                    (1, "suppressions") => {}
                    (1, _) => return Err(format!("`{name}` is no root of suppressions")),
                    (_, "suppress") => {
                        number += 1;
                        rule = Some(Rule {
                            until: attribute(&tag, "until")?,
                            ..Rule::default()
                        });
                    }
                    _ => {}
                }
                pattern = attribute(&tag, "regex")?.as_deref() == Some("true");
                content.clear();
            }
            Event::End(_) => {
                let name = path.pop().unwrap_or_default();
                if name == "suppress" {
                    if let Some(rule) = rule.take() {
                        take_over(&mut imported, number, &rule);
                    }
                } else if let Some(rule) = &mut rule {
                    let text = content.trim().to_owned();
                    if name == "notes" {
                        rule.notes = Some(text).filter(|text| !text.is_empty());
                    } else if !text.is_empty() {
                        rule.parts.push((name, pattern, text));
                    }
                }
                content.clear();
            }
            Event::Text(text) => {
                content.push_str(&text.decode().map_err(|error| error.to_string())?);
            }
            Event::CData(text) => {
                content.push_str(&text.decode().map_err(|error| error.to_string())?);
            }
            Event::GeneralRef(reference) => {
                content.push(entity(&reference)?);
            }
            Event::DocType(_) => return Err("a document type is not read".to_owned()),
            Event::Eof if path.is_empty() && number > 0 => return Ok(imported),
            Event::Eof if path.is_empty() => return Err("it holds no `suppress`".to_owned()),
            Event::Eof => return Err("it ends early".to_owned()),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

fn attribute(
    tag: &quick_xml::events::BytesStart<'_>,
    name: &str,
) -> Result<Option<String>, String> {
    let found = tag
        .try_get_attribute(name)
        .map_err(|error| format!("a broken attribute: {error}"))?;
    Ok(found.map(|attribute| String::from_utf8_lossy(&attribute.value).into_owned()))
}

fn entity(reference: &quick_xml::events::BytesRef<'_>) -> Result<char, String> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Ok(character);
    }
    match &**reference as &[u8] {
        b"amp" => Ok('&'),
        b"lt" => Ok('<'),
        b"gt" => Ok('>'),
        b"quot" => Ok('"'),
        b"apos" => Ok('\''),
        other => {
            let name = String::from_utf8_lossy(other);
            Err(format!("the entity `{name}` is none of XML's own"))
        }
    }
}

fn take_over(imported: &mut Imported, number: usize, rule: &Rule) {
    let mut ids: Vec<&str> = Vec::new();
    let mut narrow: Vec<(&'static str, String)> = Vec::new();
    for (element, pattern, text) in &rule.parts {
        let what = match (element.as_str(), pattern) {
            ("cve" | "vulnerabilityName", false) => {
                ids.push(text);
                continue;
            }
            ("packageUrl", _) => package_url(text, *pattern).map(|purl| ("package", purl)),
            ("gav", _) => gav(text, *pattern).map(|purl| ("package", purl)),
            ("filePath", false) if text.parse::<gs_common::suppression::Glob>().is_ok() => {
                Some(("path", text.clone()))
            }
            _ => None,
        };
        match what {
            Some(what) if !narrow.iter().any(|(key, _)| *key == what.0) => narrow.push(what),
            // Without it the exception would accept more than the rule did.
            _ => {
                let kind = if *pattern { "the pattern " } else { "" };
                imported.left.push(format!(
                    "suppress {number}: it goes by {kind}`{element}` ({text}), which no exception can"
                ));
                return;
            }
        }
    }
    if ids.is_empty() {
        imported
            .left
            .push(format!("suppress {number}: it names no vulnerability"));
        return;
    }
    for id in ids {
        let mut draft = Draft::of(id);
        draft.what.extend(narrow.clone());
        draft.reason = rule
            .notes
            .as_ref()
            .map(|notes| notes.split_whitespace().collect::<Vec<_>>().join(" "));
        if let Some(until) = &rule.until {
            draft.until(until);
        }
        imported.drafts.push(draft);
    }
}

/// The package that a pattern such as `^pkg:maven/org\.yaml/snakeyaml@.*$` means: all its versions.
fn package_url(text: &str, pattern: bool) -> Option<String> {
    if !pattern {
        return gs_common::purl::Purl::read(text).map(|_| text.to_owned());
    }
    let name = literal(text, '@')?;
    gs_common::purl::Purl::read(&name).map(|_| name)
}

/// `^group:artifact:.*$`, or `group:artifact:version`.
fn gav(text: &str, pattern: bool) -> Option<String> {
    let name = if pattern {
        literal(text, ':')?
    } else {
        text.to_owned()
    };
    let mut parts = name.split(':');
    let (group, artifact) = (parts.next()?, parts.next()?);
    if group.is_empty() || artifact.is_empty() {
        return None;
    }
    match parts.next() {
        Some(version) if !version.is_empty() => {
            Some(format!("pkg:maven/{group}/{artifact}@{version}"))
        }
        _ => Some(format!("pkg:maven/{group}/{artifact}")),
    }
}

/// The text that a pattern stands for, where it is one text with any version behind it.
fn literal(pattern: &str, before_version: char) -> Option<String> {
    let body = pattern.strip_prefix('^')?;
    let body = body.strip_suffix('$').unwrap_or(body);
    let body = body.strip_suffix(".*")?.strip_suffix(before_version)?;
    let mut text = String::new();
    let mut signs = body.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\\' => text.push(signs.next().filter(|sign| !sign.is_alphanumeric())?),
            // A dot that is not escaped means any sign; in a name it is meant as itself, and taken as such
            // the exception is the narrower one.
            '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$' => return None,
            sign => text.push(sign),
        }
    }
    Some(text)
}
