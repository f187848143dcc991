//! The laws that hold across the checks of a suite.

use std::collections::{BTreeMap, BTreeSet};

use gs_common::config::{ConfigError, did_you_mean};
use serde_json::Value;

use super::Source;
use super::model::{
    Check, Demand, HeaderDemand, JsonAssertion, Probe, RequestTemplate, Step, Suite, Template,
};

/// The laws that hold across checks.
pub(super) fn whole(suite: &Suite, source: &Source) -> Result<(), ConfigError> {
    if suite.checks.is_empty() {
        let name = match source {
            Source::File(path) => path.display().to_string(),
            Source::BuiltIn => super::builtin::NAME.to_owned(),
        };
        return Err(
            ConfigError::new(format!("{name}: the suite has no checks")).hint(
                "add a `[[checks]]` table, or print the built-in suite with `smoke-test init -`",
            ),
        );
    }
    let by_id: BTreeMap<&str, &Check> = suite
        .checks
        .iter()
        .map(|check| (check.id.as_str(), check))
        .collect();
    for check in &suite.checks {
        for need in &check.needs {
            if !by_id.contains_key(need.as_str()) {
                let hint = match did_you_mean(need, by_id.keys().copied()) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => "`needs` holds ids of checks".to_owned(),
                };
                return Err(at(
                    check,
                    format!("`{}` needs `{need}`, which does not exist", check.id),
                )
                .hint(hint));
            }
        }
    }
    if let Some(circle) = circle(&by_id) {
        let first = by_id[circle[0]];
        return Err(
            at(first, format!("a circle of needs: {}", circle.join(" -> ")))
                .hint("take one of them out"),
        );
    }
    captures_are_apart(suite)?;
    for check in &suite.checks {
        names_have_values(check, suite, &by_id)?;
    }
    Ok(())
}

fn at(check: &Check, message: String) -> ConfigError {
    ConfigError::new(format!("{}: {message}", check.place))
}

/// The first circle of needs, its first id repeated at its end. Without recursion, for a chain may be
/// as long as the suite.
fn circle<'a>(by_id: &BTreeMap<&'a str, &'a Check>) -> Option<Vec<&'a str>> {
    let mut done = BTreeSet::new();
    for start in by_id.values() {
        // Each check on the way from `start`, with the needs that are still to be followed.
        let mut trail = vec![(*start, start.needs.iter())];
        while let Some((check, needs)) = trail.last_mut() {
            let Some(need) = needs.next() else {
                done.insert(check.id.as_str());
                trail.pop();
                continue;
            };
            if let Some(first) = trail.iter().position(|(check, _)| check.id == *need) {
                let ids = trail[first..].iter().map(|(check, _)| check.id.as_str());
                return Some(ids.chain([trail[first].0.id.as_str()]).collect());
            }
            if let Some(next) = by_id
                .get(need.as_str())
                .filter(|_| !done.contains(need.as_str()))
            {
                trail.push((next, next.needs.iter()));
            }
        }
    }
    None
}

/// A name has one source: what it means must not hang on which of two checks was faster.
fn captures_are_apart(suite: &Suite) -> Result<(), ConfigError> {
    let mut taken: BTreeMap<&str, &Check> = BTreeMap::new();
    for check in &suite.checks {
        for name in captures_of(check) {
            if suite.variables.contains_key(name) {
                return Err(at(
                    check,
                    format!(
                        "`{}` captures `{name}`, which is a variable already",
                        check.id
                    ),
                )
                .hint("give the capture another name"));
            }
            if let Some(other) = taken
                .insert(name, check)
                .filter(|other| other.id != check.id)
            {
                return Err(at(
                    check,
                    format!(
                        "`{}` captures `{name}`, and so does `{}` at {}",
                        check.id, other.id, other.place
                    ),
                )
                .hint("give one of them another name"));
            }
        }
    }
    Ok(())
}

/// Every name in a template is a variable, or a capture of a check that this one needs.
fn names_have_values(
    check: &Check,
    suite: &Suite,
    by_id: &BTreeMap<&str, &Check>,
) -> Result<(), ConfigError> {
    let mut known: BTreeSet<&str> = suite.variables.keys().map(String::as_str).collect();
    let mut open: Vec<&str> = check.needs.iter().map(String::as_str).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        let Some(needed) = by_id.get(id).filter(|_| seen.insert(id)) else {
            continue;
        };
        known.extend(captures_of(needed));
        open.extend(needed.needs.iter().map(String::as_str));
    }
    if let Probe::WebSocket(_) = check.probe {
        // A conversation may use what it captured itself.
        known.extend(captures_of(check));
    }
    for template in templates_of(check) {
        let names = template
            .names()
            .map_err(|why| at(check, format!("`{}`: {why}", template.0)))?;
        for name in names {
            if known.contains(name) {
                continue;
            }
            let elsewhere = suite
                .checks
                .iter()
                .find(|other| captures_of(other).any(|capture| capture == name));
            let hint = match (elsewhere, did_you_mean(name, known.iter().copied())) {
                (Some(other), _) => format!(
                    "`{}` captures it: add `needs = [\"{}\"]`",
                    other.id, other.id
                ),
                (None, Some(word)) => format!("did you mean `{word}`?"),
                (None, None) => "add it to `[variables]`, or capture it".to_owned(),
            };
            return Err(at(
                check,
                format!("nothing gives `{{{{{name}}}}}` of `{}` a value", check.id),
            )
            .hint(hint));
        }
    }
    Ok(())
}

fn captures_of(check: &Check) -> impl Iterator<Item = &str> {
    let conversation = match &check.probe {
        Probe::WebSocket(probe) => probe.steps.as_slice(),
        _ => &[],
    };
    let in_steps = conversation.iter().flat_map(|step| match step {
        Step::Expect(message) => message.captures.as_slice(),
        _ => &[],
    });
    check
        .captures
        .iter()
        .chain(in_steps)
        .map(|capture| capture.name.as_str())
}

fn templates_of(check: &Check) -> Vec<Template> {
    let mut found = Vec::new();
    match &check.probe {
        Probe::Http(probe) => {
            let RequestTemplate {
                method: _,
                path,
                query,
                headers,
                body,
            } = &probe.request;
            found.push(path.clone());
            found.extend(query.iter().chain(headers).map(|(_, value)| value.clone()));
            found.extend(body.clone());
            found.extend(
                probe
                    .expect
                    .headers
                    .iter()
                    .filter_map(|header| match &header.demand {
                        HeaderDemand::Equals(text) | HeaderDemand::Differs(text) => {
                            Some(text.clone())
                        }
                        _ => None,
                    }),
            );
            json_templates(&probe.expect.json, &mut found);
        }
        Probe::WebSocket(probe) => {
            found.push(probe.path.clone());
            found.extend(probe.headers.iter().map(|(_, value)| value.clone()));
            for step in &probe.steps {
                match step {
                    Step::SendText(text) => found.push(text.clone()),
                    Step::Expect(message) => json_templates(&message.json, &mut found),
                    _ => {}
                }
            }
        }
        Probe::Routes(probe) => found.push(probe.path.clone()),
        Probe::Version(probe) => found.extend([probe.path.clone(), probe.expect.clone()]),
        Probe::Certificate(_) => {}
    }
    found
}

fn json_templates(assertions: &[JsonAssertion], found: &mut Vec<Template>) {
    for assertion in assertions {
        match &assertion.demand {
            Demand::Equals(value) | Demand::Differs(value) => texts_of(value, found),
            Demand::OneOf(values) => values.iter().for_each(|value| texts_of(value, found)),
            _ => {}
        }
    }
}

fn texts_of(value: &Value, found: &mut Vec<Template>) {
    match value {
        Value::String(text) => found.push(Template(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts_of(item, found)),
        Value::Object(members) => members.values().for_each(|member| texts_of(member, found)),
        _ => {}
    }
}
