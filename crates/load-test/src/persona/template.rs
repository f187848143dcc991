//! Texts with `{{...}}` in them, compiled once and filled for every request.
//!
//! `{{pick:LIST}}` draws one of a list, `{{sample:LIST:N}}` N different ones as a JSON array,
//! `{{int:1..9}}` and `{{number:1.5..2.5:2}}` draw numbers, `{{uuid}}`, `{{now}}` and `{{user}}` speak for
//! themselves, and any other name is a variable or a value that an earlier step saved.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the characters that RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How a drawn value is changed for its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Not at all.
    None,
    /// For a path or a query.
    Url,
    /// For the inside of a JSON text.
    Json,
}

/// What names stand for while a file is read.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Lists to draw from.
    pub(crate) lists: BTreeMap<String, Arc<[String]>>,
    /// Variables; their values are known before the run.
    pub(crate) variables: BTreeMap<String, String>,
    /// Names of saved values; a value lives in the slot of its index.
    pub(crate) slots: Vec<String>,
}

/// A compiled text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Drawn(Source, Escape),
}

#[derive(Clone, Debug, PartialEq)]
enum Source {
    Pick(Arc<[String]>),
    Sample(Arc<[String]>, usize),
    Int(i64, i64),
    Number(f64, f64, usize),
    Uuid,
    Now,
    User,
    Slot(usize),
}

impl Escape {
    fn write(self, value: &str, out: &mut String) {
        match self {
            Self::None => out.push_str(value),
            Self::Url => {
                let _ = write!(out, "{}", utf8_percent_encode(value, RESERVED));
            }
            Self::Json => {
                let text = serde_json::Value::from(value).to_string();
                out.push_str(&text[1..text.len() - 1]);
            }
        }
    }
}

/// What a template is filled with.
#[derive(Debug)]
pub struct Draw<'a> {
    /// The user's own stream of numbers.
    pub random: &'a mut fastrand::Rng,
    /// The user's number.
    pub user: u64,
    /// Saved values by slot.
    pub saved: &'a [Option<String>],
}

/// A saved value that is not there, by its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing(pub usize);

impl Template {
    /// A text without anything drawn in it.
    pub(crate) fn literal(text: impl Into<String>) -> Self {
        Self {
            parts: vec![Part::Text(text.into())],
        }
    }

    /// Compiles a text.
    pub(crate) fn compile(text: &str, escape: Escape, names: &Names) -> Result<Self, String> {
        let mut template = Self::default();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after
                .split_once("}}")
                .ok_or_else(|| format!("`{{{{` without `}}}}` in `{text}`"))?;
            template.text(before);
            match names.source(name.trim())? {
                Found::Value(value) => {
                    let mut escaped = String::new();
                    escape.write(&value, &mut escaped);
                    template.text(&escaped);
                }
                Found::Source(source) => template.parts.push(Part::Drawn(source, escape)),
            }
            rest = after;
        }
        template.text(rest);
        Ok(template)
    }

    /// Compiles a JSON value: texts in it are templates, and one that is nothing but a drawn number or
    /// sample becomes that number or list, without quotes.
    pub(crate) fn json(value: &serde_json::Value, names: &Names) -> Result<Self, String> {
        let mut template = Self::default();
        template.push_json(value, names)?;
        Ok(template)
    }

    fn push_json(&mut self, value: &serde_json::Value, names: &Names) -> Result<(), String> {
        match value {
            serde_json::Value::String(text) => {
                let inner = Self::compile(text, Escape::Json, names)?;
                if let [Part::Drawn(source, _)] = inner.parts.as_slice()
                    && matches!(
                        source,
                        Source::Sample(..) | Source::Int(..) | Source::Number(..)
                    )
                {
                    self.parts.push(Part::Drawn(source.clone(), Escape::None));
                } else {
                    self.text("\"");
                    self.append(inner);
                    self.text("\"");
                }
            }
            serde_json::Value::Array(items) => {
                self.text("[");
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.text(",");
                    }
                    self.push_json(item, names)?;
                }
                self.text("]");
            }
            serde_json::Value::Object(members) => {
                self.text("{");
                for (index, (key, member)) in members.iter().enumerate() {
                    if index > 0 {
                        self.text(",");
                    }
                    self.text(&serde_json::Value::from(key.as_str()).to_string());
                    self.text(":");
                    self.push_json(member, names)?;
                }
                self.text("}");
            }
            plain => self.text(&plain.to_string()),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some(Part::Text(last)) = self.parts.last_mut() {
            last.push_str(text);
        } else {
            self.parts.push(Part::Text(text.to_owned()));
        }
    }

    /// Puts another template behind this one.
    pub(crate) fn append(&mut self, other: Self) {
        for part in other.parts {
            match part {
                Part::Text(text) => self.text(&text),
                drawn => self.parts.push(drawn),
            }
        }
    }

    /// The slots that it needs.
    pub fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Drawn(Source::Slot(slot), _) => Some(*slot),
            _ => None,
        })
    }

    /// The text if nothing in it is drawn.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Fills it.
    ///
    /// # Errors
    /// A saved value is not there.
    pub fn fill(&self, draw: &mut Draw<'_>, out: &mut String) -> Result<(), Missing> {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Drawn(source, escape) => source.write(*escape, draw, out)?,
            }
        }
        Ok(())
    }
}

impl Source {
    fn write(&self, escape: Escape, draw: &mut Draw<'_>, out: &mut String) -> Result<(), Missing> {
        match self {
            Self::Pick(list) => escape.write(&list[draw.random.usize(..list.len())], out),
            Self::Sample(list, count) => {
                let chosen = draw.random.choose_multiple(list.iter(), *count);
                let text = serde_json::Value::from(
                    chosen.into_iter().map(String::as_str).collect::<Vec<_>>(),
                )
                .to_string();
                escape.write(&text, out);
            }
            Self::Int(low, high) => {
                let _ = write!(out, "{}", draw.random.i64(low..=high));
            }
            Self::Number(low, high, decimals) => {
                let value = low + (high - low) * draw.random.f64();
                let _ = write!(out, "{value:.decimals$}");
            }
            Self::Uuid => {
                // Version 4 and variant 1 (RFC 9562, section 5.4).
                let bits = draw.random.u128(..);
                let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
                let hex = format!("{bits:032x}");
                let _ = write!(
                    out,
                    "{}-{}-{}-{}-{}",
                    &hex[..8],
                    &hex[8..12],
                    &hex[12..16],
                    &hex[16..20],
                    &hex[20..]
                );
            }
            Self::Now => escape.write(&format!("{:.3}", jiff::Timestamp::now()), out),
            Self::User => {
                let _ = write!(out, "{}", draw.user);
            }
            Self::Slot(slot) => match draw.saved.get(*slot) {
                Some(Some(value)) => escape.write(value, out),
                _ => return Err(Missing(*slot)),
            },
        }
        Ok(())
    }
}

enum Found {
    Value(String),
    Source(Source),
}

impl Names {
    fn list(&self, name: &str) -> Result<Arc<[String]>, String> {
        self.lists.get(name).cloned().ok_or_else(|| {
            let known = self.lists.keys().map(String::as_str);
            match gs_common::config::did_you_mean(name, known) {
                Some(word) => format!("there is no list `{name}`: did you mean `{word}`?"),
                None => format!("there is no list `{name}`: add it to `[lists]`"),
            }
        })
    }

    fn source(&self, name: &str) -> Result<Found, String> {
        let mut words = name.split(':');
        let (verb, first, second) = (words.next().unwrap_or_default(), words.next(), words.next());
        if words.next().is_some() {
            return Err(format!("`{{{{{name}}}}}` has too many colons"));
        }
        let source = match (verb, first, second) {
            ("pick", Some(list), None) => Source::Pick(self.list(list)?),
            ("sample", Some(list), Some(count)) => {
                let list = self.list(list)?;
                let count = count
                    .parse::<usize>()
                    .ok()
                    .filter(|count| (1..=list.len()).contains(count))
                    .ok_or_else(|| {
                        format!("`{{{{{name}}}}}`: a sample takes 1 to {} items", list.len())
                    })?;
                Source::Sample(list, count)
            }
            ("int", Some(range), None) => {
                let (low, high) = ends::<i64>(range, name)?;
                Source::Int(low, high)
            }
            ("number", Some(range), decimals) => {
                let (low, high) = ends::<f64>(range, name)?;
                let decimals = match decimals {
                    None => 2,
                    Some(text) => text
                        .parse()
                        .ok()
                        .filter(|count| *count <= 9)
                        .ok_or_else(|| format!("`{{{{{name}}}}}`: 0 to 9 decimals"))?,
                };
                if !low.is_finite() || !high.is_finite() {
                    return Err(format!("`{{{{{name}}}}}`: the ends are no plain numbers"));
                }
                Source::Number(low, high, decimals)
            }
            ("uuid", None, None) => Source::Uuid,
            ("now", None, None) => Source::Now,
            ("user", None, None) => Source::User,
            (other, None, None) => return self.named(other),
            _ => {
                return Err(format!(
                    "`{{{{{name}}}}}` is not understood: write pick:LIST, sample:LIST:N, int:1..9, number:1.5..2.5:2, uuid, now, user or a name"
                ));
            }
        };
        Ok(Found::Source(source))
    }

    fn named(&self, name: &str) -> Result<Found, String> {
        if let Some(value) = self.variables.get(name) {
            return Ok(Found::Value(value.clone()));
        }
        if let Some(slot) = self.slots.iter().position(|slot| slot == name) {
            return Ok(Found::Source(Source::Slot(slot)));
        }
        let known = self
            .variables
            .keys()
            .chain(&self.slots)
            .map(String::as_str)
            .chain(["uuid", "now", "user"]);
        Err(match gs_common::config::did_you_mean(name, known) {
            Some(word) => {
                format!("nothing gives `{{{{{name}}}}}` a value: did you mean `{word}`?")
            }
            None => format!(
                "nothing gives `{{{{{name}}}}}` a value: add it to `[variables]`, or save it in an earlier step"
            ),
        })
    }
}

fn ends<T: std::str::FromStr + PartialOrd>(range: &str, name: &str) -> Result<(T, T), String> {
    let parsed = range
        .split_once("..")
        .and_then(|(low, high)| Some((low.trim().parse::<T>().ok()?, high.trim().parse().ok()?)));
    match parsed {
        Some((low, high)) if low <= high => Ok((low, high)),
        Some(_) => Err(format!("`{{{{{name}}}}}`: the range is empty")),
        None => Err(format!("`{{{{{name}}}}}`: write a range like 1..9")),
    }
}

/// A text with its drawn parts shown as `[what]`: the default name of an endpoint.
pub(crate) fn placeholder_name(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        shown.push_str(before);
        let word = name
            .trim()
            .strip_prefix("pick:")
            .unwrap_or(name.trim())
            .to_lowercase();
        shown.push('[');
        shown.push_str(word.split(':').next().unwrap_or_default());
        shown.push(']');
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> Names {
        Names {
            lists: BTreeMap::from([(
                "SYMBOLS".to_owned(),
                Arc::from(["SPY".to_owned(), "A/B".to_owned(), "Q\"Q".to_owned()]),
            )]),
            variables: BTreeMap::from([("TOKEN".to_owned(), "a b".to_owned())]),
            slots: vec!["id".to_owned()],
        }
    }

    fn filled(template: &Template, saved: &[Option<String>]) -> Result<String, Missing> {
        let mut out = String::new();
        let mut random = fastrand::Rng::with_seed(1);
        let mut draw = Draw {
            random: &mut random,
            user: 7,
            saved,
        };
        template.fill(&mut draw, &mut out)?;
        Ok(out)
    }

    #[track_caller]
    fn check(text: &str, escape: Escape, expected: &str) {
        let template = Template::compile(text, escape, &names()).unwrap();
        assert_eq!(
            filled(&template, &[Some("x/1".to_owned())]).unwrap(),
            expected
        );
    }

    #[test]
    fn values_are_escaped_for_their_place() {
        check("/a/{{TOKEN}}", Escape::Url, "/a/a%20b");
        check("/a/{{id}}?u={{user}}", Escape::Url, "/a/x%2F1?u=7");
        check("Bearer {{ TOKEN }}", Escape::None, "Bearer a b");
        check("plain", Escape::Json, "plain");
    }

    #[test]
    fn a_json_body_keeps_numbers_and_lists() {
        let body = serde_json::json!({"symbols": "{{sample:SYMBOLS:2}}", "n": "{{int:3..3}}", "t": "x{{TOKEN}}", "k": 1});
        let template = Template::json(&body, &names()).unwrap();
        let text = filled(&template, &[None]).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["symbols"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            (value["n"].as_i64(), value["t"].as_str()),
            (Some(3), Some("xa b"))
        );
    }

    #[test]
    fn what_is_not_there_is_said() {
        let template = Template::compile("{{id}}", Escape::None, &names()).unwrap();
        assert_eq!(filled(&template, &[None]), Err(Missing(0)));
        for (text, said) in [
            ("{{pick:SYMBOL}}", "did you mean `SYMBOLS`"),
            ("{{TOKN}}", "did you mean `TOKEN`"),
            ("{{int:9..1}}", "empty"),
            ("{{sample:SYMBOLS:9}}", "1 to 3"),
            ("{{number:1..2:11}}", "decimals"),
            ("{{x", "without"),
            ("{{a:b:c:d}}", "colons"),
        ] {
            let error = Template::compile(text, Escape::None, &names()).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_name_shows_what_is_drawn() {
        assert_eq!(
            placeholder_name("/api/{{pick:SYMBOL}}/x?n={{int:1..9}}"),
            "/api/[symbol]/x?n=[int]"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_compiler_panic(text in "(\\{\\{|\\}\\}|:|\\.\\.|pick|sample|int|number|SYMBOLS|[a-z0-9 ])*") {
            let _ = placeholder_name(&text);
            if let Ok(template) = Template::compile(&text, Escape::Json, &names()) {
                let _ = filled(&template, &[None]);
            }
        }

        #[test]
        fn a_text_without_braces_is_itself(text in "[^{}]{0,40}") {
            let template = Template::compile(&text, Escape::Url, &names()).unwrap();
            prop_assert_eq!(template.fixed(), Some(text.as_str()));
        }
    }
}
