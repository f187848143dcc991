//! Texts with `{{name}}` in them.
//!
//! A value goes in as it is. `{{name|url}}` percent-encodes it, `{{name|json}}` escapes it for the
//! inside of a JSON text; in `json`, `send_json` and `form` the reader adds the right one by itself,
//! so that a quote in a value cannot break out of its place.

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::model::Template;

/// The values that templates are filled with.
pub type Scope = BTreeMap<String, String>;

/// All but the characters that RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How a value is changed for its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// `|url`
    Url,
    /// `|json`
    Json,
}

impl Escape {
    fn named(name: &str) -> Option<Self> {
        match name {
            "url" => Some(Self::Url),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Url => "|url",
            Self::Json => "|json",
        }
    }

    fn apply(self, value: &str) -> String {
        match self {
            Self::Url => encoded(value),
            Self::Json => {
                let text = Value::from(value).to_string();
                text[1..text.len() - 1].to_owned()
            }
        }
    }
}

/// A stretch of a template.
enum Piece<'a> {
    Text(&'a str),
    /// What stands between the braces.
    Hole(&'a str),
}

impl Template {
    /// The names in it, in order. `Err` holds what stands between braces and is no name.
    ///
    /// # Errors
    /// Braces are not closed, or hold something else than a name.
    pub fn names(&self) -> Result<Vec<&str>, String> {
        let mut names = Vec::new();
        for piece in pieces(&self.0) {
            if let Piece::Hole(hole) = piece.map_err(|_| "`{{` is not closed by `}}`".to_owned())? {
                names.push(hole_of(hole)?.0);
            }
        }
        Ok(names)
    }

    /// The text with every name replaced by its value.
    ///
    /// # Errors
    /// A value is missing, whose name is returned: a capture that never came about.
    pub fn fill(&self, scope: &Scope) -> Result<String, String> {
        fill(&self.0, scope)
    }
}

/// Fills a text with the values of a scope. Values are not templates themselves.
///
/// # Errors
/// A value is missing, whose name is returned.
pub fn fill(text: &str, scope: &Scope) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Ok(Piece::Text(text)) => filled.push_str(text),
            Ok(Piece::Hole(hole)) => {
                let (name, escapes) = hole_of(hole).map_err(|_| hole.trim().to_owned())?;
                let value = scope.get(name).ok_or_else(|| name.to_owned())?;
                let escaped = escapes.iter().fold(Cow::from(value), |value, escape| {
                    escape.apply(&value).into()
                });
                filled.push_str(&escaped);
            }
            // Refused at read time.
            Err(rest) => filled.extend(["{{", rest]),
        }
    }
    Ok(filled)
}

/// Adds an escape to every name of a text.
pub(super) fn escaping(text: &str, escape: Escape) -> String {
    let mut changed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((hole, after)) = after.split_once("}}") else {
            break;
        };
        changed.extend([before, "{{", hole, escape.suffix(), "}}"]);
        rest = after;
    }
    changed.push_str(rest);
    changed
}

/// Adds the escape for JSON to every name in the texts of a value.
pub(super) fn escaping_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::from(escaping(&text, Escape::Json)),
        Value::Array(items) => items.into_iter().map(escaping_json).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (escaping(&name, Escape::Json), escaping_json(value)))
            .collect(),
        other => other,
    }
}

/// Percent-encodes all but the characters that need it nowhere.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Percent-encodes what stands around the names, and has their values encoded when they are known.
pub(super) fn encoded_template(text: &str) -> String {
    pieces(text)
        .map(|piece| match piece {
            Ok(Piece::Text(text)) => encoded(text),
            Ok(Piece::Hole(hole)) => format!("{{{{{hole}{}}}}}", Escape::Url.suffix()),
            // Left as it is, so that the complaint about it can show it.
            Err(rest) => format!("{{{{{rest}"),
        })
        .collect()
}

/// Whether a text can name a variable or a capture.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// The stretches of a text; `Err` is what follows an opening without its end, and the last one.
fn pieces(text: &str) -> impl Iterator<Item = Result<Piece<'_>, &str>> {
    let mut rest = Some(text);
    let mut open = false;
    std::iter::from_fn(move || {
        let text = rest?;
        if open {
            open = false;
            let end = text.split_once("}}");
            rest = end.map(|(_, after)| after);
            return Some(end.map(|(hole, _)| Piece::Hole(hole)).ok_or(text));
        }
        let (before, after) = match text.split_once("{{") {
            Some((before, after)) => (before, Some(after)),
            None => (text, None),
        };
        open = after.is_some();
        rest = after;
        Some(Ok(Piece::Text(before)))
    })
}

/// Name and escapes of what stands between braces.
fn hole_of(hole: &str) -> Result<(&str, Vec<Escape>), String> {
    let mut words = hole.split('|').map(str::trim);
    let name = words
        .next()
        .filter(|name| is_name(name))
        .ok_or_else(|| format!("`{{{{{hole}}}}}` holds no name"))?;
    let escapes = words
        .map(|word| {
            Escape::named(word)
                .ok_or_else(|| format!("`{{{{{hole}}}}}`: after `|` stands `url` or `json`"))
        })
        .collect::<Result<_, _>>()?;
    Ok((name, escapes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scope(value: &str) -> Scope {
        Scope::from([("x".to_owned(), value.to_owned())])
    }

    #[test]
    fn names_are_found_and_filled() {
        let template = Template("/a/{{symbol}}?x={{ y }}".to_owned());
        assert_eq!(template.names().unwrap(), ["symbol", "y"]);
        let mut scope = Scope::from([("symbol".to_owned(), "SPY".to_owned())]);
        assert_eq!(template.fill(&scope), Err("y".to_owned()));
        scope.insert("y".to_owned(), "{{symbol}}".to_owned());
        assert_eq!(
            template.fill(&scope).unwrap(),
            "/a/SPY?x={{symbol}}",
            "values are not templates"
        );
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for wrong in ["{{open", "{{1st}}", "{{}}", "{{a|html}}", "{{a b}}"] {
            assert!(Template(wrong.to_owned()).names().is_err(), "{wrong}");
        }
        assert!(Template("{ok}".to_owned()).names().unwrap().is_empty());
    }

    #[test]
    fn a_value_is_escaped_for_its_place() {
        assert_eq!(
            fill("/q/{{x|url}}", &scope("A/B C")).unwrap(),
            "/q/A%2FB%20C"
        );
        assert_eq!(
            fill("\"{{ x | json }}\"", &scope("a\"b\\")).unwrap(),
            r#""a\"b\\""#
        );
        assert_eq!(fill("{{x|url|json}}", &scope("\"")).unwrap(), "%22");
        assert_eq!(encoded_template("a b={{x}}&"), "a%20b%3D{{x|url}}%26");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}a |]{0,30}") {
            let _ = Template(text.clone()).names().is_ok();
            let _ = fill(&text, &Scope::new()).is_ok();
            let _ = (encoded_template(&text), escaping(&text, Escape::Json));
        }

        #[test]
        fn a_json_body_stays_what_it_is_whatever_the_value(value in "(?s).{0,20}") {
            let body = escaping_json(serde_json::json!({"a": ["{{x}}"]})).to_string();
            let filled: Value = serde_json::from_str(&fill(&body, &scope(&value)).unwrap()).unwrap();
            prop_assert_eq!(filled, serde_json::json!({"a": [value]}));
        }
    }
}
