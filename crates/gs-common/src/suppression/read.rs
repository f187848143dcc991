//! From the text of a file to [`Exceptions`]: key by key, every complaint with its place.

use std::collections::BTreeMap;

use jiff::civil::Date;
use toml::de::DeTable;

use super::{Exception, Exceptions, Form, Key, Policy, SCHEMA, What};
use crate::config::fields::{self, Fields, File, Item};
use crate::config::{ConfigError, did_you_mean};
use crate::versions::{Range, normal_name};

/// A reason is a sentence or two.
const LONGEST_TEXT: usize = 2_000;

/// Reads a file's text. `name` is what complaints call it.
///
/// # Errors
/// The text is no TOML, has a key that does not exist, an exception without reason, owner or expiry, one
/// that names too much, holds too long, or says the same as another. The first such fault is told.
pub fn read(
    name: &str,
    text: &str,
    form: &Form,
    policy: &Policy,
) -> Result<Exceptions, ConfigError> {
    let file = File {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let root = fields::parse(&file)?;
    let fields = Fields::new(&file, root.get_ref(), root.span());
    if let Some(schema) = fields.get("schema")
        && schema.text()? != SCHEMA
    {
        return Err(schema
            .error("this is another form of exceptions")
            .hint(format!("this release reads `{SCHEMA}`")));
    }
    let mut list: Vec<Exception> = Vec::new();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for item in fields.items("exceptions")? {
        let exception = exception(&item, form, policy)?;
        let line = exception.place.line.unwrap_or(0);
        if let Some(first) = seen.insert(identity(&exception.what), line) {
            let what = &exception.what;
            return Err(whole(&item)
                .error(format!(
                    "`{what}` is accepted twice: line {first} says it already"
                ))
                .hint("take one of them out"));
        }
        list.push(exception);
    }
    fields.finish()?;
    Ok(Exceptions { list })
}

fn whole<'a>(item: &Item<'a>) -> Fields<'a> {
    static EMPTY: std::sync::LazyLock<DeTable<'static>> = std::sync::LazyLock::new(DeTable::new);
    item.fields()
        .unwrap_or_else(|_| Fields::new(item.file, &EMPTY, item.value.span()))
}

/// Two exceptions with one identity name the same things.
fn identity(what: &What) -> String {
    let ecosystem = what.ecosystem.as_deref();
    format!(
        "{:?}",
        (
            what.id.as_ref().map(|id| id.to_ascii_lowercase()),
            &what.rule,
            ecosystem,
            what.package
                .as_ref()
                .map(|name| normal_name(ecosystem, name)),
            what.versions.as_ref().map(ToString::to_string),
            what.path.as_ref().map(ToString::to_string),
            &what.fingerprint,
        )
    )
}

fn exception(item: &Item<'_>, form: &Form, policy: &Policy) -> Result<Exception, ConfigError> {
    let fields = item.fields()?;
    let what = what(&fields, form)?;
    let reason = required(&fields, "reason", "why it is accepted, in one sentence")?;
    let owner = required(&fields, "owner", "who answers for it: a person or a team")?;
    let created = fields.get("created").map(|item| item.day()).transpose()?;
    let expires = expires(&fields, created, policy)?;
    let exception = Exception {
        what,
        reason,
        owner,
        expires,
        created,
        ticket: filled(&fields, "ticket")?,
        state: word(&fields, "state", form.states)?,
        justification: word(&fields, "justification", form.justifications)?,
        place: fields.file.place(&fields.span),
    };
    fields.finish()?;
    Ok(exception)
}

fn what(fields: &Fields<'_>, form: &Form) -> Result<What, ConfigError> {
    let mut what = What::default();
    for key in form.keys {
        let Some(item) = fields.get(key.as_str()) else {
            continue;
        };
        let text = text_of(&item)?;
        let no_pattern = |text: String| {
            if text.contains(['*', '?']) {
                return Err(item
                    .error(format!(
                        "`{}` takes no pattern: an exception names one thing",
                        key.as_str()
                    ))
                    .hint("write one exception for each; only `path` takes `*`"));
            }
            Ok(text)
        };
        match key {
            Key::Id => what.id = Some(no_pattern(text)?),
            Key::Rule => what.rule = Some(no_pattern(text)?),
            Key::Fingerprint => what.fingerprint = Some(no_pattern(text)?),
            Key::Package => package(&mut what, no_pattern(text)?, &item)?,
            Key::Path => what.path = Some(item.read(str::parse)?),
            Key::Versions => {
                if what.versions.is_some() {
                    return Err(item
                        .error("the package already says its version")
                        .hint("write the version behind `@` or in `versions`, not both"));
                }
                what.versions = Some(item.read(str::parse)?);
            }
        }
    }
    if what.versions.is_some() && what.package.is_none() {
        return Err(fields
            .error("`versions` without a `package`")
            .hint("name the package"));
    }
    let named = |key: &Key| match key {
        Key::Id => what.id.is_some(),
        Key::Rule => what.rule.is_some(),
        Key::Fingerprint => what.fingerprint.is_some(),
        Key::Package => what.package.is_some(),
        Key::Path => what.path.is_some(),
        Key::Versions => what.versions.is_some(),
    };
    if !form.any_of.iter().any(named) {
        let wanted: Vec<String> = form
            .any_of
            .iter()
            .map(|key| format!("`{}`", key.as_str()))
            .collect();
        let wanted = wanted.join(" or ");
        return Err(fields
            .error(format!(
                "an exception without {wanted} would accept what nobody has looked at"
            ))
            .hint(format!("add {wanted}")));
    }
    Ok(what)
}

fn package(what: &mut What, text: String, item: &Item<'_>) -> Result<(), ConfigError> {
    let Some(purl) = text.strip_prefix("pkg:") else {
        what.package = Some(text);
        return Ok(());
    };
    let read = crate::purl::Purl::read(purl).ok_or_else(|| {
        item.error(format!("`{text}` is no package URL"))
            .hint("write for example `pkg:npm/lodash`, `pkg:pypi/django@4.2` or a bare name")
    })?;
    what.ecosystem = Some(read.ecosystem);
    what.package = Some(read.name);
    what.versions = read.version.as_deref().map(Range::exactly);
    Ok(())
}

fn text_of(item: &Item<'_>) -> Result<String, ConfigError> {
    let text = item.text()?.trim().to_owned();
    if text.is_empty() {
        return Err(item
            .error(format!("`{}` is empty", item.name))
            .hint("fill it in, or take the key out"));
    }
    if text.chars().count() > LONGEST_TEXT {
        return Err(item.error(format!(
            "`{}` has more than {LONGEST_TEXT} characters",
            item.name
        )));
    }
    Ok(text)
}

fn filled(fields: &Fields<'_>, key: &'static str) -> Result<Option<String>, ConfigError> {
    fields.get(key).map(|item| text_of(&item)).transpose()
}

fn required(fields: &Fields<'_>, key: &'static str, says: &str) -> Result<String, ConfigError> {
    filled(fields, key)?.ok_or_else(|| {
        fields
            .error(format!("an exception without `{key}`"))
            .hint(format!("add `{key}`: {says}"))
    })
}

fn word(
    fields: &Fields<'_>,
    key: &'static str,
    known: &'static [&'static str],
) -> Result<Option<String>, ConfigError> {
    if known.is_empty() {
        return Ok(None);
    }
    let Some(item) = fields.get(key) else {
        return Ok(None);
    };
    let text = text_of(&item)?;
    if known.contains(&text.as_str()) {
        return Ok(Some(text));
    }
    let hint = match did_you_mean(&text, known.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    Err(item.error(format!("`{key}` is never `{text}`")).hint(hint))
}

fn expires(
    fields: &Fields<'_>,
    created: Option<Date>,
    policy: &Policy,
) -> Result<Date, ConfigError> {
    let item = fields.get("expires").ok_or_else(|| {
        fields
            .error("an exception without `expires`")
            .hint("add `expires`: the last day on which it holds, such as `expires = 2026-12-31`")
    })?;
    let expires = item.day()?;
    if let Some(created) = created.filter(|created| *created > policy.today) {
        return Err(fields.error(format!("it was created on {created}, which is yet to come")));
    }
    if let Some(days) = policy.longest_days {
        let from = created.unwrap_or(policy.today);
        let span = days_between(from, expires);
        if span > i64::from(days) {
            let last = from
                .checked_add(
                    jiff::Span::new()
                        .try_days(i64::from(days))
                        .unwrap_or_default(),
                )
                .unwrap_or(Date::MAX);
            return Err(item
                .error(format!(
                    "it would hold for {span} days, and at most {days} are allowed"
                ))
                .hint(format!(
                    "write {last} or an earlier day, and look at it again then"
                )));
        }
    }
    Ok(expires)
}

/// Days from one to the other; negative where the other is earlier.
pub(super) fn days_between(from: Date, to: Date) -> i64 {
    from.until(to).map_or(0, |span| i64::from(span.get_days()))
}
