//! Reading what an answer must hold.

use std::sync::Arc;

use gs_common::config::ConfigError;
use gs_common::units;
use gs_common::verdict::Verdict;
use regex::Regex;

use super::assertion::{
    invariant, items_of, json_assertion, kind, parse_path, path, regex, severity_of,
};
use super::model::{
    Demand, Expect, HeaderAssertion, HeaderDemand, JsonAssertion, Kind, Schema, StatusSet,
    Template, TimedPhase, TimingLimit,
};
use gs_common::config::fields::{Fields, Item};

/// A schema file larger than this is not one.
const LARGEST_SCHEMA: u64 = 4 << 20;

/// Reads the `expect` table of a request. `severity` is the check's own: no assertion is worse.
pub(super) fn expect(fields: Fields<'_>, severity: Verdict) -> Result<Expect, ConfigError> {
    let empty = fields.named().next().is_none();
    if empty {
        return Err(fields
            .error("`expect` is empty: a check without an assertion proves nothing")
            .hint("write at least `status = 200`"));
    }
    let mut expect = Expect {
        status: match fields.get("status") {
            Some(item) => status(&item)?,
            None => StatusSet(vec![200..=200]),
        },
        kind: fields.get("kind").map(|item| kinds(&item)).transpose()?,
        allow_error_body: fields.truth("allow_error_body")?.unwrap_or(false),
        required: fields.texts("required")?,
        min_items: fields.count("min_items")?,
        items_at: None,
        each: fields.texts("each")?,
        json: fields
            .items("json")?
            .iter()
            .map(|item| json_assertion(item, severity))
            .collect::<Result<_, _>>()?,
        invariants: fields
            .items("invariants")?
            .iter()
            .map(|item| invariant(item, severity))
            .collect::<Result<_, _>>()?,
        schema: fields.get("schema").map(|item| schema(&item)).transpose()?,
        body_matches: regexes(&fields, "body_matches")?,
        body_lacks: regexes(&fields, "body_lacks")?,
        headers: headers(&fields, severity)?,
        min_bytes: size(&fields, "min_bytes")?,
        max_bytes: size(&fields, "max_bytes")?,
        sha256: fields
            .get("sha256")
            .map(|item| item.read(sha256))
            .transpose()?,
        http_version: fields
            .get("http_version")
            .map(|item| item.read(http_version))
            .transpose()?,
        timings: timings(&fields)?,
    };
    if let Some(item) = fields.get("items_at") {
        items_at(&item, severity, &mut expect)?;
    }
    contradictions(&fields, &expect)?;
    fields.finish()?;
    Ok(expect)
}

/// Where the items are. A query that names one value means the list there, and it has to be one:
/// taken as the items themselves, an empty list would count as one item.
fn items_at(item: &Item<'_>, severity: Verdict, expect: &mut Expect) -> Result<(), ConfigError> {
    if expect.min_items.is_none() && expect.each.is_empty() {
        return Err(item
            .error("`items_at` says where the items are, and nothing is said of them")
            .hint("add `min_items` or `each`"));
    }
    let list = path(item)?;
    expect.items_at = Some(match items_of(&list.text) {
        None => list,
        Some(items) => {
            let demand = Demand::IsA(Kind::Array);
            expect.json.insert(
                0,
                JsonAssertion {
                    path: list,
                    demand,
                    severity,
                    optional: false,
                },
            );
            parse_path(&items).map_err(|why| item.error(why))?
        }
    });
    Ok(())
}

/// What no answer could ever fulfil, or what every answer would.
fn contradictions(fields: &Fields<'_>, expect: &Expect) -> Result<(), ConfigError> {
    let only_kind = |kind: Kind| {
        expect
            .kind
            .as_ref()
            .is_some_and(|kinds| !kinds.contains(&kind))
    };
    if !expect.required.is_empty() && only_kind(Kind::Object) {
        return Err(fields
            .error("`required` names members of an object, and `kind` allows none")
            .hint("members of the items of a list stand in `each`"));
    }
    if expect.items_at.is_none()
        && (expect.min_items.is_some() || !expect.each.is_empty())
        && only_kind(Kind::Array)
    {
        return Err(fields
            .error("`min_items` and `each` speak of a list, and `kind` allows none")
            .hint("say where the list is: `items_at = \"$.data\"`"));
    }
    if expect
        .min_bytes
        .zip(expect.max_bytes)
        .is_some_and(|(min, max)| min > max)
    {
        return Err(fields.error("`min_bytes` is above `max_bytes`: no body fits"));
    }
    Ok(())
}

fn status(item: &Item<'_>) -> Result<StatusSet, ConfigError> {
    let one = |item: &Item<'_>| -> Result<std::ops::RangeInclusive<u16>, ConfigError> {
        let wants = || item.wants("a status such as 200, or a class such as \"2xx\"");
        if let Ok(code) = item.count::<u16>() {
            return if (100..=599).contains(&code) {
                Ok(code..=code)
            } else {
                Err(wants())
            };
        }
        let text = item.text().map_err(|_| wants())?;
        match text.as_bytes() {
            [class @ b'1'..=b'5', b'x', b'x'] => {
                let first = u16::from(class - b'0') * 100;
                Ok(first..=first + 99)
            }
            _ => Err(wants()),
        }
    };
    if item.value.get_ref().is_array() {
        let ranges: Vec<_> = item.items()?.iter().map(one).collect::<Result<_, _>>()?;
        if ranges.is_empty() {
            return Err(item.error("`status` is an empty list: no status would be right"));
        }
        return Ok(StatusSet(ranges));
    }
    Ok(StatusSet(vec![one(item)?]))
}

fn kinds(item: &Item<'_>) -> Result<Vec<Kind>, ConfigError> {
    let texts = item.texts()?;
    if texts.is_empty() {
        return Err(item.error("`kind` is an empty list: no kind would be right"));
    }
    texts
        .iter()
        .map(|text| kind(text).map_err(|why| item.error(format!("`kind`: {why}"))))
        .collect()
}

fn regexes(fields: &Fields<'_>, key: &'static str) -> Result<Vec<Regex>, ConfigError> {
    let Some(item) = fields.get(key) else {
        return Ok(Vec::new());
    };
    if item.value.get_ref().is_array() {
        return item.items()?.iter().map(regex).collect();
    }
    Ok(vec![regex(&item)?])
}

fn schema(item: &Item<'_>) -> Result<Schema, ConfigError> {
    let (origin, document) = if item.is_table() {
        ("inline".to_owned(), item.json()?)
    } else {
        let name = item
            .text()
            .map_err(|_| item.wants("a file's name or a schema as a table"))?;
        let folder = std::path::Path::new(&item.file.name)
            .parent()
            .unwrap_or(std::path::Path::new("."));
        let text = gs_common::config::read_text(&folder.join(&name), LARGEST_SCHEMA)
            .map_err(|error| item.error(format!("`schema`: {}", error.message)))?;
        let document = serde_json::from_str(&text)
            .map_err(|error| item.error(format!("`schema`: `{name}` is no JSON: {error}")))?;
        (name, document)
    };
    // References reach into the document only: a check must not depend on a third party's server.
    let validator = jsonschema::validator_for(&document)
        .map_err(|error| item.error(format!("`schema` is no JSON Schema: {error}")))?;
    Ok(Schema {
        origin,
        validator: Arc::new(validator),
    })
}

fn headers(fields: &Fields<'_>, at_most: Verdict) -> Result<Vec<HeaderAssertion>, ConfigError> {
    let Some(table) = fields.fields("headers")? else {
        return Ok(Vec::new());
    };
    table
        .named()
        .map(|(name, item)| {
            let (demand, severity) = if item.is_table() {
                let fields = item.fields()?;
                let mut demands = Vec::new();
                if let Some(text) = fields.text("equals")? {
                    demands.push(HeaderDemand::Equals(Template(text)));
                }
                if let Some(text) = fields.text("differs")? {
                    demands.push(HeaderDemand::Differs(Template(text)));
                }
                if let Some(item) = fields.get("matches") {
                    demands.push(HeaderDemand::Matches(regex(&item)?));
                }
                if let Some(truth) = fields.truth("exists")? {
                    demands.push(if truth {
                        HeaderDemand::Exists
                    } else {
                        HeaderDemand::Absent
                    });
                }
                let (1, Some(demand)) = (demands.len(), demands.pop()) else {
                    return Err(fields
                        .error("a header has one demand")
                        .hint("write one of `equals`, `differs`, `matches`, `exists`"));
                };
                let severity = severity_of(&fields, at_most, at_most)?;
                fields.finish()?;
                (demand, severity)
            } else {
                (HeaderDemand::Equals(Template(item.text()?)), at_most)
            };
            Ok(HeaderAssertion {
                name: name.get_ref().to_ascii_lowercase(),
                demand,
                severity,
            })
        })
        .collect()
}

pub(super) fn timings(fields: &Fields<'_>) -> Result<Vec<TimingLimit>, ConfigError> {
    let Some(table) = fields.fields("timings")? else {
        return Ok(Vec::new());
    };
    let mut limits = Vec::new();
    for (key, phase) in [
        ("dns", TimedPhase::Dns),
        ("tcp", TimedPhase::Tcp),
        ("tls", TimedPhase::Tls),
        ("first_byte", TimedPhase::FirstByte),
        ("body", TimedPhase::Body),
        ("total", TimedPhase::Total),
        ("p50", TimedPhase::P50),
        ("p95", TimedPhase::P95),
    ] {
        let Some(levels) = table.fields(key)? else {
            continue;
        };
        let limit = TimingLimit {
            phase,
            warn: levels.duration("warn")?,
            max: levels.duration("max")?,
        };
        if limit.warn.is_none() && limit.max.is_none() {
            return Err(levels
                .error(format!("`{key}` has no limit"))
                .hint("write `warn = \"500ms\"`, `max = \"2s\"`, or both"));
        }
        if limit
            .warn
            .zip(limit.max)
            .is_some_and(|(warn, max)| warn >= max)
        {
            return Err(levels.error(format!("`{key}`: `warn` is not below `max`")));
        }
        levels.finish()?;
        limits.push(limit);
    }
    table.finish()?;
    Ok(limits)
}

fn size(fields: &Fields<'_>, key: &'static str) -> Result<Option<u64>, ConfigError> {
    fields
        .get(key)
        .map(|item| item.read(units::size))
        .transpose()
}

fn sha256(text: &str) -> Result<String, &'static str> {
    let lower = text.to_ascii_lowercase();
    let right = lower.len() == 64 && lower.bytes().all(|byte| byte.is_ascii_hexdigit());
    if right {
        Ok(lower)
    } else {
        Err("it is no SHA-256: 64 hexadecimal digits are wanted")
    }
}

fn http_version(text: &str) -> Result<String, &'static str> {
    match text {
        "HTTP/1.0" | "HTTP/1.1" | "HTTP/2" => Ok(text.to_owned()),
        _ => Err("it is none of HTTP/1.0, HTTP/1.1, HTTP/2"),
    }
}
