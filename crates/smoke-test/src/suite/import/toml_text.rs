//! Values as TOML on one line.

use serde_json::Value;

/// Deeper values are written as JSON text: nobody reads them as a TOML table.
const DEEPEST: usize = 16;

/// A basic string, which has JSON's escapes but for the one character that TOML forbids and JSON
/// does not.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// A key, in quotes only where it needs them.
pub(super) fn key(text: &str) -> String {
    let bare = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { text.to_owned() } else { quoted(text) }
}

/// A list of texts.
pub(super) fn list<T: AsRef<str>>(texts: &[T]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

/// A JSON value; `None` where TOML has no such value: `null`, a number beyond 64 bits.
pub(super) fn value(json: &Value) -> Option<String> {
    nested(json, DEEPEST)
}

fn nested(json: &Value, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    match json {
        Value::Null => None,
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) if number.is_u64() && !number.is_i64() => None,
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(quoted(text)),
        Value::Array(items) => {
            let items = items
                .iter()
                .map(|item| nested(item, depth))
                .collect::<Option<Vec<_>>>()?;
            Some(format!("[{}]", items.join(", ")))
        }
        Value::Object(members) if members.is_empty() => Some("{}".to_owned()),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, member)| Some(format!("{} = {}", key(name), nested(member, depth)?)))
                .collect::<Option<Vec<_>>>()?;
            Some(format!("{{ {} }}", members.join(", ")))
        }
    }
}

/// A text that may stand in a comment.
pub(super) fn comment(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_toml_does_not_have_is_not_written() {
        assert_eq!(
            value(&json!({"a b": [1, 2.5, "x\"\u{7f}"]})).unwrap(),
            r#"{ "a b" = [1, 2.5, "x\"\u007F"] }"#
        );
        assert_eq!(value(&json!([null])), None);
        assert_eq!(value(&json!(u64::MAX)), None);
        let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(value(&deep), None);
    }

    proptest! {
        #[test]
        fn a_text_comes_back_as_it_was(text in "(?s).{0,20}", name in "(?s).{0,5}") {
            let line = format!("{} = {}\n", key(&name), quoted(&text));
            let read: toml::Table = toml::from_str(&line).unwrap();
            prop_assert_eq!(read[&name].as_str(), Some(text.as_str()));
        }
    }
}
