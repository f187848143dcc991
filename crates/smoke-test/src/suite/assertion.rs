//! Reading assertions on JSON values: JSONPath demands and cross-field comparisons.

use gs_common::config::ConfigError;
use gs_common::verdict::Verdict;
use regex::Regex;
use serde_json::Value;

use super::model::{Demand, Invariant, JsonAssertion, Kind, Op, Operand, Path};
use gs_common::config::fields::{Fields, Item};

pub(super) fn json_assertion(
    item: &Item<'_>,
    at_most: Verdict,
) -> Result<JsonAssertion, ConfigError> {
    let fields = item.fields()?;
    let path = match fields.get("path") {
        Some(item) => path(&item)?,
        None => {
            return Err(fields
                .error("a JSON assertion has no `path`")
                .hint("write `path = \"$.member\"`"));
        }
    };
    let mut demands = Vec::new();
    if let Some(truth) = fields.truth("exists")? {
        demands.push(if truth {
            Demand::Exists
        } else {
            Demand::Absent
        });
    }
    if let Some(item) = fields.get("equals") {
        demands.push(Demand::Equals(item.json()?));
    }
    if let Some(item) = fields.get("differs") {
        demands.push(Demand::Differs(item.json()?));
    }
    if let Some(item) = fields.get("one_of") {
        let values: Vec<Value> = item
            .items()?
            .iter()
            .map(Item::json)
            .collect::<Result<_, _>>()?;
        if values.is_empty() {
            return Err(item.error("`one_of` is an empty list: no value would be right"));
        }
        demands.push(Demand::OneOf(values));
    }
    if let Some(item) = fields.get("matches") {
        demands.push(Demand::Matches(regex(&item)?));
    }
    let number = |key| fields.get(key).map(|item| item.number()).transpose();
    let (min, max) = (number("min")?, number("max")?);
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        return Err(fields.error("`min` is above `max`: no number fits"));
    }
    if min.is_some() || max.is_some() {
        demands.push(Demand::Between(min, max));
    }
    if let Some(item) = fields.get("is") {
        demands.push(Demand::IsA(item.read(kind)?));
    }
    if let Some(length) = fields.count("min_length")? {
        demands.push(Demand::MinLength(length));
    }
    if let Some(length) = fields.count("max_length")? {
        demands.push(Demand::MaxLength(length));
    }
    if let Some(age) = fields.duration("younger_than")? {
        demands.push(Demand::Younger(age));
    }
    let severity = severity_of(&fields, at_most, at_most)?;
    let optional = fields.truth("optional")?.unwrap_or(false);
    let demand = match (demands.len(), demands.pop()) {
        (1, Some(demand)) => demand,
        (0, _) => Demand::Exists,
        _ => {
            return Err(fields
                .error("a JSON assertion has more than one demand")
                .hint("write one table for each demand"));
        }
    };
    fields.finish()?;
    Ok(JsonAssertion {
        path,
        demand,
        severity,
        optional,
    })
}

pub(super) fn invariant(item: &Item<'_>, at_most: Verdict) -> Result<Invariant, ConfigError> {
    // Incoherent data is a fault of the data, not of the deployment, so it warns unless told otherwise.
    let (source, each, severity, optional) = if item.is_table() {
        let fields = item.fields()?;
        let that = fields.get("that").ok_or_else(|| {
            fields
                .error("an invariant has no `that`")
                .hint("write `that = \"$.low <= $.price\"`")
        })?;
        let each = fields
            .get("each")
            .map(|item| item.read(|text| parse_path(items_of(text).as_deref().unwrap_or(text))))
            .transpose()?;
        let severity = severity_of(&fields, Verdict::Warn, at_most)?;
        let optional = fields.truth("optional")?.unwrap_or(false);
        fields.finish()?;
        (that, each, severity, optional)
    } else {
        (item.clone(), None, Verdict::Warn.min(at_most), false)
    };
    let (left, op, right) = source.read(|text| parse_invariant(text, each.is_some()))?;
    Ok(Invariant {
        text: source.text()?,
        left,
        op,
        right,
        each,
        severity,
        optional,
    })
}

/// Takes `LEFT OP RIGHT` apart. Operators inside brackets or quotes belong to a query.
fn parse_invariant(text: &str, per_item: bool) -> Result<(Operand, Op, Operand), String> {
    let (at, length, op) = operator(text)
        .ok_or_else(|| format!("`{text}` compares nothing: write it like `$.low <= $.price`"))?;
    let left = operand(text[..at].trim(), per_item)?;
    let right = operand(text[at + length..].trim(), per_item)?;
    if matches!((&left, &right), (Operand::Literal(_), Operand::Literal(_))) {
        return Err(format!(
            "`{text}` compares two constants and so proves nothing"
        ));
    }
    Ok((left, op, right))
}

fn operator(text: &str) -> Option<(usize, usize, Op)> {
    let mut depth = 0_usize;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '(') => depth += 1,
            (None, ']' | ')') => depth = depth.saturating_sub(1),
            (None, _) if depth == 0 => {
                let found = [
                    ("==", Op::Eq),
                    ("!=", Op::Ne),
                    ("<=", Op::Le),
                    (">=", Op::Ge),
                    ("<", Op::Lt),
                    (">", Op::Gt),
                ]
                .into_iter()
                .find(|(sign, _)| text[at..].starts_with(sign));
                if let Some((sign, op)) = found {
                    return Some((at, sign.len(), op));
                }
            }
            (None, _) => {}
        }
    }
    None
}

fn operand(text: &str, per_item: bool) -> Result<Operand, String> {
    if let Some(inner) = text
        .strip_prefix("sign(")
        .and_then(|rest| rest.strip_suffix(')'))
    {
        return match operand(inner.trim(), per_item)? {
            Operand::Path(path) => Ok(Operand::Sign(path)),
            _ => Err(format!("`{text}`: `sign` wants a JSONPath")),
        };
    }
    if text.starts_with('$') && per_item {
        return Err(format!(
            "`{text}`: with `each`, start at the item: `@` instead of `$`"
        ));
    }
    if let Some(rest) = text.strip_prefix('@') {
        if !per_item {
            return Err(format!(
                "`{text}`: `@` is the item of `each`, and there is no `each`"
            ));
        }
        let path = parse_path(&format!("${rest}"))?;
        return Ok(Operand::Path(Path {
            text: text.to_owned(),
            ..path
        }));
    }
    if text.starts_with('$') {
        return parse_path(text).map(Operand::Path);
    }
    if text.len() > 1 && text.starts_with('\'') && text.ends_with('\'') {
        return Ok(Operand::Literal(Value::from(&text[1..text.len() - 1])));
    }
    serde_json::from_str(text)
        .map(Operand::Literal)
        .map_err(|_| format!("`{text}` is neither a JSONPath nor a number nor a text in quotes"))
}

pub(super) fn path(item: &Item<'_>) -> Result<Path, ConfigError> {
    item.read(parse_path)
}

pub(super) fn parse_path(text: &str) -> Result<Path, String> {
    let query = serde_json_path::JsonPath::parse(text)
        .map_err(|error| format!("`{text}` is no JSONPath (RFC 9535): {error}"))?;
    Ok(Path {
        text: text.to_owned(),
        query,
    })
}

/// The query of the items where a query names one value (RFC 9535's singular query), else `None`.
pub(super) fn items_of(text: &str) -> Option<String> {
    let mut rest = text.strip_prefix('$')?.trim_start();
    while !rest.is_empty() {
        let after = if let Some(name) = rest.strip_prefix('.') {
            let end = name
                .find(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(name.len());
            if end == 0 {
                return None;
            }
            &name[end..]
        } else {
            let inside = rest.strip_prefix('[')?.trim_start();
            let end = match inside.chars().next()? {
                quote @ ('"' | '\'') => {
                    let mut escaped = false;
                    let closes = |c: char| {
                        let closes = c == quote && !escaped;
                        escaped = c == '\\' && !escaped;
                        closes
                    };
                    1 + inside[1..].find(closes)? + 1
                }
                _ => inside.find(|c: char| !c.is_ascii_digit() && c != '-')?,
            };
            inside[end..].trim_start().strip_prefix(']')?
        };
        rest = after.trim_start();
    }
    Some(format!("{text}[*]"))
}

pub(super) fn regex(item: &Item<'_>) -> Result<Regex, ConfigError> {
    item.read(|text| {
        // The last line of regex' own message says what is wrong; the others draw it.
        Regex::new(text).map_err(|error| {
            error
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .to_owned()
        })
    })
}

pub(super) fn kind(text: &str) -> Result<Kind, &'static str> {
    match text {
        "object" => Ok(Kind::Object),
        "array" => Ok(Kind::Array),
        "string" => Ok(Kind::String),
        "number" => Ok(Kind::Number),
        "boolean" => Ok(Kind::Boolean),
        "null" => Ok(Kind::Null),
        _ => Err("it is none of object, array, string, number, boolean, null"),
    }
}

pub(super) fn severity(text: &str) -> Result<Verdict, &'static str> {
    match text {
        "fail" => Ok(Verdict::Fail),
        "warn" => Ok(Verdict::Warn),
        _ => Err("it is neither `fail` nor `warn`"),
    }
}

/// `Fail` or `Warn` of one assertion, at most its check's.
pub(super) fn severity_of(
    fields: &Fields<'_>,
    default: Verdict,
    at_most: Verdict,
) -> Result<Verdict, ConfigError> {
    let typed = fields
        .get("severity")
        .map(|item| item.read(severity))
        .transpose()?;
    Ok(typed.unwrap_or(default).min(at_most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn invariants_are_taken_apart_outside_of_queries() {
        let (left, op, right) = parse_invariant("$.a[?@.b < 3].c >= sign($.d)", false).unwrap();
        assert!(matches!(&left, Operand::Path(path) if path.text == "$.a[?@.b < 3].c"));
        assert_eq!(op, Op::Ge);
        assert!(matches!(right, Operand::Sign(_)));
        assert!(matches!(
            parse_invariant("@.a == 'x'", true),
            Ok((Operand::Path(_), Op::Eq, Operand::Literal(_)))
        ));
    }

    #[test]
    fn what_proves_nothing_is_refused() {
        assert!(parse_invariant("1 < 2", false).is_err());
        assert!(parse_invariant("$.a", false).is_err());
        assert!(parse_invariant("@.a < 2", false).is_err());
        assert!(parse_invariant("$.a < 2", true).is_err());
        assert!(parse_invariant("$.a < b", false).is_err());
    }

    #[test]
    fn a_query_of_one_value_means_the_list_there() {
        for (query, items) in [
            ("$", Some("$[*]")),
            ("$.signals", Some("$.signals[*]")),
            ("$['a]'][\"b\"][0].c", Some("$['a]'][\"b\"][0].c[*]")),
            ("$.signals[*]", None),
            ("$..symbol", None),
            ("$.*", None),
            ("$['a','b']", None),
            ("$[0:2]", None),
            ("$.a[?@.b]", None),
        ] {
            assert_eq!(items_of(query).as_deref(), items, "{query}");
            assert!(items.is_none_or(|items| parse_path(items).is_ok()));
        }
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(text in "[$.\\[\\]'\"\\\\a0é* -]{0,20}") {
            let _ = items_of(&text).is_some();
        }

        #[test]
        fn no_invariant_makes_it_panic(text in ".{0,40}") {
            let _ = parse_invariant(&text, false).is_ok();
        }
    }
}
