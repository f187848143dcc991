//! Exceptions as text: the commented start of a file, and single blocks.

use jiff::civil::Date;

use super::{Form, Key};

/// One exception as TOML: the pairs in their order, texts quoted, `expires` and `created` as dates where they
/// are. `comment` goes before it, a line each.
#[must_use]
pub fn block(comment: &[String], pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for line in comment.iter().flat_map(|comment| comment.lines()) {
        text.push_str(&format!("# {}\n", crate::render::visible(line)));
    }
    text.push_str("[[exceptions]]\n");
    for (key, value) in pairs {
        let is_day = matches!(*key, "expires" | "created")
            && value.len() == 10
            && value.parse::<Date>().is_ok();
        let value = if is_day {
            (*value).to_owned()
        } else {
            toml::Value::from(*value).to_string()
        };
        text.push_str(&format!("{key} = {value}\n"));
    }
    text
}

/// The commented start of a file of exceptions. Nothing in it is active.
#[must_use]
pub fn init_text(form: &Form, today: Date) -> String {
    let example = |key: &Key| match key {
        Key::Id => (
            "id",
            "CVE-2021-23337",
            "an id of the finding, or any of its aliases",
        ),
        Key::Rule => ("rule", "generic-api-key", "the rule that made the finding"),
        Key::Package => ("package", "pkg:npm/lodash", "a package URL, or a bare name"),
        Key::Versions => (
            "versions",
            "<4.17.21",
            "=, !=, <, <=, >, >=; a comma is `and`, || is `or`",
        ),
        Key::Path => (
            "path",
            "frontend/**",
            "every place of the finding has to fit",
        ),
        Key::Fingerprint => (
            "fingerprint",
            "p1-00000000000000000000000000000000",
            "the finding's stable identity, from the report",
        ),
    };
    let expires = today
        .checked_add(jiff::Span::new().days(30))
        .unwrap_or(Date::MAX);
    let mut text = format!(
        "# Exceptions of {}: findings that somebody accepted. All keys of an exception have to fit.\n\
         # Every one needs a reason, an owner and an expiry; an expired one accepts nothing any more.\n#\n\
         # [[exceptions]]\n",
        form.tool
    );
    for key in form.keys {
        let (key, value, about) = example(key);
        text.push_str(&format!("# {key} = \"{value}\"   # {about}\n"));
    }
    text.push_str(&format!(
        "# reason = \"the template function is never called with foreign input\"\n\
         # owner = \"team-trading\"\n\
         # expires = {expires}   # the last day on which it holds\n\
         # ticket = \"SEC-123\"   # optional\n"
    ));
    for (key, words) in [
        ("state", form.states),
        ("justification", form.justifications),
    ] {
        if let Some(first) = words.first() {
            let words = words.join(", ");
            text.push_str(&format!("# {key} = \"{first}\"   # optional: {words}\n"));
        }
    }
    text
}
