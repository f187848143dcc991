//! Ignore files of other tools, as a draft of exceptions.
//!
//! What those files do not say is not made up: reason, owner and expiry that are missing are left empty, and
//! the reader of exceptions refuses them until somebody fills them in. A rule that cannot be said without
//! ignoring more than it does (a pattern, a whole class of findings) is not taken over, and told.
//!
//! The tools stop to ignore at the beginning of the day that they write; ours is the last day on which an
//! exception holds, so it is the day before.

mod dependency_check;
mod grype;
mod nsprc;
mod safety;
mod trivyignore;

#[cfg(test)]
mod tests;

use gs_common::config::ConfigError;
use gs_common::suppression::block;
use jiff::civil::Date;
use serde_json::Value;

/// One exception to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// What it names: pairs of key and text.
    pub what: Vec<(&'static str, String)>,
    /// Why, in the file's words.
    pub reason: Option<String>,
    /// The last day on which it holds.
    pub expires: Option<Date>,
    /// What people should know when they fill it in.
    pub notes: Vec<String>,
}

impl Draft {
    fn of(id: impl Into<String>) -> Self {
        Self {
            what: vec![("id", id.into())],
            ..Self::default()
        }
    }

    /// Takes over the day on which another tool stops to ignore.
    fn until(&mut self, written: &str) {
        match stops_at(written).and_then(|day| day.yesterday().ok()) {
            Some(last) => self.expires = Some(last),
            None => self
                .notes
                .push(format!("expires: `{written}` is no day that is understood")),
        }
    }
}

/// An ignore file, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// What kind of file it is.
    pub kind: &'static str,
    /// What can be taken over.
    pub drafts: Vec<Draft>,
    /// What cannot, and why, one sentence each.
    pub left: Vec<String>,
}

/// Reads an ignore file, recognised by its content.
///
/// # Errors
/// It is none that is known, or is broken: a part of it is not taken over.
pub fn read(name: &str, text: &str) -> Result<Imported, ConfigError> {
    let wrong = |message: String| {
        ConfigError::new(format!("{name}: {message}")).hint(
            "give a .trivyignore, .trivyignore.yaml, .grype.yaml, .nsprc, suppressions.xml or .safety-policy.yml",
        )
    };
    let start = text.trim_start().chars().next();
    let imported = match start {
        None => return Err(wrong("the file is empty".to_owned())),
        Some('<') => dependency_check::read(text),
        Some('{') => nsprc::read(text),
        Some(_) if is_list_of_ids(text) => Ok(trivyignore::plain(text)),
        Some(_) => yaml(text),
    };
    let imported = imported.map_err(wrong)?;
    if imported.drafts.is_empty() && imported.left.is_empty() {
        return Err(wrong(format!("this {} ignores nothing", imported.kind)));
    }
    Ok(imported)
}

/// A line of `.trivyignore` is one id, with `exp:` and a day behind it at most.
fn is_list_of_ids(text: &str) -> bool {
    trivyignore::lines(text).all(|(_, line)| {
        let mut words = line.split_whitespace();
        let id = words.next().unwrap_or_default();
        !id.contains(':') && !id.starts_with('-') && words.all(|word| word.starts_with("exp:"))
    })
}

fn yaml(text: &str) -> Result<Imported, String> {
    let document: Value = serde_saphyr::from_str(text)
        .map_err(|error| format!("this is no YAML: {}", first_line(&error.to_string())))?;
    let has = |key: &str| document.get(key).is_some();
    if has("ignore") {
        return grype::read(&document);
    }
    if has("security") || has("report") {
        return safety::read(&document);
    }
    if [
        "vulnerabilities",
        "misconfigurations",
        "secrets",
        "licenses",
    ]
    .into_iter()
    .any(has)
    {
        return trivyignore::yaml(&document);
    }
    Err("this is no ignore file that is known".to_owned())
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The day in a date or a time, or in milliseconds since 1970.
fn stops_at(text: &str) -> Option<Date> {
    let text = text.trim().trim_end_matches(['Z', 'z']);
    if let Some(day) = text.get(..10)
        && let Ok(day) = day.parse::<Date>()
    {
        return Some(day);
    }
    let milliseconds: i64 = text.parse().ok().filter(|_| text.len() >= 12)?;
    let at = jiff::Timestamp::from_millisecond(milliseconds).ok()?;
    Some(jiff::tz::TimeZone::UTC.to_datetime(at).date())
}

/// A text, a number or a date of YAML or JSON as text; nothing for anything else.
fn text_of(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The exceptions as TOML, for a person to complete.
#[must_use]
pub fn to_toml(name: &str, imported: &Imported) -> String {
    let mut text = format!(
        "# From {name} ({}). What it did not say is empty: fill in every `reason`, `owner` and `expires`;\n\
         # an exception without them is refused.\n",
        imported.kind
    );
    for left in &imported.left {
        text.push_str(&format!(
            "# Not taken over: {}\n",
            gs_common::render::visible(left).replace('\n', " ")
        ));
    }
    for draft in &imported.drafts {
        let expires = draft.expires.map(|day| day.to_string()).unwrap_or_default();
        let mut pairs: Vec<(&str, &str)> = draft
            .what
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        pairs.extend([
            ("reason", draft.reason.as_deref().unwrap_or_default()),
            ("owner", ""),
            ("expires", &expires),
        ]);
        text.push('\n');
        text.push_str(&block(&draft.notes, &pairs));
    }
    text
}
