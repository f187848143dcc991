//! Demands on JSON values.

use gs_common::report::{Broken, Quantity};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::{Number, Value};
use std::cmp::Ordering;

use super::text::one_line;
use super::{broken, mismatch, reason};
use crate::suite::model::{Demand, Invariant, JsonAssertion, Kind, Op, Operand, Path};
use crate::suite::{Scope, fill};

/// The kind of a value, as the word for people.
pub(super) fn kind_of(value: &Value) -> Kind {
    match value {
        Value::Object(_) => Kind::Object,
        Value::Array(_) => Kind::Array,
        Value::String(_) => Kind::String,
        Value::Number(_) => Kind::Number,
        Value::Bool(_) => Kind::Boolean,
        Value::Null => Kind::Null,
    }
}

pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Object => "an object",
        Kind::Array => "a list",
        Kind::String => "a text",
        Kind::Number => "a number",
        Kind::Boolean => "a truth value",
        Kind::Null => "null",
    }
}

fn quoted(value: &Value) -> Value {
    match value {
        Value::Object(_) | Value::Array(_) => Value::from(one_line(&value.to_string())),
        Value::String(text) => Value::from(one_line(text)),
        other => other.clone(),
    }
}

/// Judges one JSONPath assertion on a document.
pub(super) fn assertion(
    assertion: &JsonAssertion,
    document: &Value,
    scope: &Scope,
    now: Timestamp,
) -> Option<Broken> {
    let selected = assertion.path.query.query(document).all();
    let path = &assertion.path.text;
    if matches!(assertion.demand, Demand::Absent) {
        let value = selected.first()?;
        let message = format!("`{path}` is there and should not be");
        return Some(mismatch(
            assertion.severity,
            reason::JSON_VALUE,
            message,
            Quantity::bare(quoted(value)),
            "absent",
        ));
    }
    if selected.is_empty() {
        if assertion.optional {
            return None;
        }
        let wanted = wanted(&assertion.demand, scope);
        let message = format!("`{path}` selects nothing, expected {wanted}");
        return Some(Broken {
            expected: Some(wanted),
            ..broken(assertion.severity, reason::MISSING_MEMBER, message)
        });
    }
    let value = selected
        .into_iter()
        .find(|value| !demand_holds(&assertion.demand, value, scope, now))?;
    let code = if matches!(assertion.demand, Demand::Younger(_)) {
        reason::STALE
    } else {
        reason::JSON_VALUE
    };
    let wanted = wanted(&assertion.demand, scope);
    let message = format!(
        "`{path}` is {}, expected {wanted}",
        one_line(&value.to_string())
    );
    Some(mismatch(
        assertion.severity,
        code,
        message,
        Quantity::bare(quoted(value)),
        wanted,
    ))
}

/// Whether a value is what is demanded.
#[must_use]
pub fn demand_holds(demand: &Demand, value: &Value, scope: &Scope, now: Timestamp) -> bool {
    match demand {
        Demand::Exists => true,
        Demand::Absent => false,
        Demand::Equals(wanted) => same(&filled(wanted, scope), value),
        Demand::Differs(unwanted) => !same(&filled(unwanted, scope), value),
        Demand::OneOf(wanted) => wanted
            .iter()
            .any(|wanted| same(&filled(wanted, scope), value)),
        Demand::Matches(regex) => value.as_str().is_some_and(|text| regex.is_match(text)),
        Demand::Between(min, max) => value.as_f64().is_some_and(|number| {
            min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max)
        }),
        Demand::IsA(kind) => kind_of(value) == *kind,
        Demand::MinLength(least) => length(value).is_some_and(|length| length >= *least),
        Demand::MaxLength(most) => length(value).is_some_and(|length| length <= *most),
        Demand::Younger(age) => time(value).is_some_and(|at| {
            now.duration_since(at)
                <= jiff::SignedDuration::try_from(*age).unwrap_or(jiff::SignedDuration::MAX)
        }),
    }
}

fn filled(wanted: &Value, scope: &Scope) -> Value {
    match wanted {
        Value::String(text) => Value::from(fill(text, scope).unwrap_or_else(|_| text.clone())),
        Value::Array(items) => items.iter().map(|item| filled(item, scope)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), filled(member, scope)))
            .collect(),
        other => other.clone(),
    }
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.chars().count()),
        Value::Array(items) => Some(items.len()),
        Value::Object(members) => Some(members.len()),
        _ => None,
    }
}

/// RFC 3339, the same without an offset (taken as UTC, which Python services mean), or Unix seconds.
fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok().or_else(|| {
            let local: jiff::civil::DateTime = text.parse().ok()?;
            jiff::tz::Offset::UTC.to_timestamp(local).ok()
        }),
        Value::Number(number) => {
            let millis = number.as_f64()? * 1e3;
            let whole = millis.is_finite().then_some(millis as i64)?;
            Timestamp::from_millisecond(whole).ok()
        }
        _ => None,
    }
}

/// Equal as JSON values; numbers by value, so that 1 equals 1.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order(a, b) == Some(Ordering::Equal),
        _ => a == b,
    }
}

/// The order of two numbers without loss: whole numbers beyond 2^53 are not rounded.
fn order(a: &Number, b: &Number) -> Option<Ordering> {
    let whole = |number: &Number| {
        number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
    };
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn wanted(demand: &Demand, scope: &Scope) -> String {
    let show = |value: &Value| one_line(&filled(value, scope).to_string());
    match demand {
        Demand::Exists => "anything".to_owned(),
        Demand::Absent => "absent".to_owned(),
        Demand::Equals(value) => show(value),
        Demand::Differs(value) => format!("anything but {}", show(value)),
        Demand::OneOf(values) => format!(
            "one of {}",
            values.iter().map(show).collect::<Vec<_>>().join(", ")
        ),
        Demand::Matches(regex) => format!("a text that matches `{regex}`"),
        Demand::Between(Some(min), Some(max)) => format!("a number from {min} to {max}"),
        Demand::Between(Some(min), None) => format!("a number of at least {min}"),
        Demand::Between(None, Some(max)) => format!("a number of at most {max}"),
        Demand::Between(None, None) => "a number".to_owned(),
        Demand::IsA(kind) => kind_name(*kind).to_owned(),
        Demand::MinLength(least) => format!("a length of at least {least}"),
        Demand::MaxLength(most) => format!("a length of at most {most}"),
        Demand::Younger(age) => format!(
            "a time at most {} ago",
            gs_common::units::show_duration(*age)
        ),
    }
}

/// Judges one invariant; with `each`, the first item that breaks it is told.
pub(super) fn invariant(invariant: &Invariant, document: &Value) -> Option<Broken> {
    let Some(each) = &invariant.each else {
        return compare(invariant, document, "");
    };
    let items = each.query.query(document).all();
    if items.is_empty() && !invariant.optional {
        let message = format!(
            "`{}` selects nothing to hold `{}` against",
            each.text, invariant.text
        );
        return Some(broken(invariant.severity, reason::INVARIANT, message));
    }
    items
        .into_iter()
        .enumerate()
        .find_map(|(index, item)| compare(invariant, item, &format!("item {index}: ")))
}

fn compare(invariant: &Invariant, document: &Value, whose: &str) -> Option<Broken> {
    let told = |message: String, seen: String| {
        mismatch(
            invariant.severity,
            reason::INVARIANT,
            message,
            Quantity::bare(seen),
            invariant.text.clone(),
        )
    };
    let (left, right) = match (
        operand(&invariant.left, document),
        operand(&invariant.right, document),
    ) {
        (Ok(left), Ok(right)) => (left, right),
        (Err(Missing::Nothing(_)), _) | (_, Err(Missing::Nothing(_))) if invariant.optional => {
            return None;
        }
        (Err(missing), _) | (_, Err(missing)) => {
            let why = missing.to_string();
            return Some(told(
                format!("{whose}`{}` cannot hold: {why}", invariant.text),
                why,
            ));
        }
    };
    let ordering = match (&left, &right) {
        (Value::Number(a), Value::Number(b)) => order(a, b),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    };
    let holds = match (invariant.op, ordering) {
        (Op::Eq, _) => same(&left, &right),
        (Op::Ne, _) => !same(&left, &right),
        (Op::Lt, Some(order)) => order.is_lt(),
        (Op::Le, Some(order)) => order.is_le(),
        (Op::Gt, Some(order)) => order.is_gt(),
        (Op::Ge, Some(order)) => order.is_ge(),
        (_, None) => {
            let seen = format!(
                "{} against {}",
                kind_name(kind_of(&left)),
                kind_name(kind_of(&right))
            );
            return Some(told(
                format!("{whose}`{}` compares {seen}", invariant.text),
                seen,
            ));
        }
    };
    (!holds).then(|| {
        let seen = format!(
            "{} against {}",
            one_line(&left.to_string()),
            one_line(&right.to_string())
        );
        told(
            format!("{whose}`{}` does not hold: {seen}", invariant.text),
            seen,
        )
    })
}

/// Why a side of an invariant has no value.
enum Missing {
    Nothing(String),
    Many(String, usize),
    NoNumber(String),
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing(path) => write!(f, "`{path}` selects nothing"),
            Self::Many(path, count) => write!(f, "`{path}` selects {count} values"),
            Self::NoNumber(path) => write!(f, "`{path}` is no number"),
        }
    }
}

fn operand(operand: &Operand, document: &Value) -> Result<Value, Missing> {
    let only = |path: &Path| {
        let selected = path.query.query(document).all();
        match selected.as_slice() {
            [value] => Ok((*value).clone()),
            [] => Err(Missing::Nothing(path.text.clone())),
            many => Err(Missing::Many(path.text.clone(), many.len())),
        }
    };
    match operand {
        Operand::Literal(value) => Ok(value.clone()),
        Operand::Path(path) => only(path),
        Operand::Sign(path) => {
            let number = only(path)?
                .as_f64()
                .ok_or_else(|| Missing::NoNumber(path.text.clone()))?;
            Ok(Value::from(if number > 0.0 {
                1
            } else if number < 0.0 {
                -1
            } else {
                0
            }))
        }
    }
}

/// The value of a dotted name: `a.b.c`.
pub(super) fn member<'a>(document: &'a Value, dotted: &str) -> Option<&'a Value> {
    dotted
        .split('.')
        .try_fold(document, |value, name| value.get(name))
}

/// The members of `required` that an object lacks; `a|b` is satisfied by either.
pub(super) fn lacking<'a>(document: &Value, required: &'a [String]) -> Vec<&'a str> {
    required
        .iter()
        .map(String::as_str)
        .filter(|names| {
            names
                .split('|')
                .all(|name| member(document, name).is_none())
        })
        .collect()
}

pub(super) fn missing(names: &[&str], whose: &str, severity: Verdict) -> Broken {
    let shown: Vec<String> = names
        .iter()
        .map(|name| {
            name.split('|')
                .map(|n| format!("`{n}`"))
                .collect::<Vec<_>>()
                .join(" or ")
        })
        .collect();
    let shown = shown.join(", ");
    Broken {
        expected: Some(format!("{whose} with {shown}")),
        ..broken(
            severity,
            reason::MISSING_MEMBER,
            format!("{whose} lacks {shown}"),
        )
    }
}
