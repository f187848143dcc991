//! An HTTP answer against what it must hold.

use std::time::Duration;

use gs_common::fingerprint;
use gs_common::http::{Phases, Response};
use gs_common::report::{Broken, Quantity, millis};
use gs_common::units::{show_duration, show_size};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::Value;

use super::json::{assertion, invariant, kind_name, kind_of, lacking, missing};
use super::text::{excerpt, one_line};
use super::{broken, mismatch, quantile, ranked, reason};
use crate::suite::Scope;
use crate::suite::model::{
    Capture, CaptureSource, Expect, HeaderAssertion, HeaderDemand, Kind, Shadow, TimedPhase,
    TimingLimit,
};

/// At most so many schema errors are told.
const SCHEMA_ERRORS: usize = 5;

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The answer.
    pub response: &'a Response,
    /// The total times of all samples; one where there was one request.
    pub totals: &'a [Duration],
    /// The values of templates.
    pub scope: &'a Scope,
    /// The clock at the time of the answer.
    pub now: Timestamp,
}

/// Judges an answer. `severity` is what a broken assertion of the check means.
#[must_use]
pub fn answer(
    expect: &Expect,
    shadow: Option<&Shadow>,
    severity: Verdict,
    answer: Answer<'_>,
) -> Vec<Broken> {
    let Answer {
        response,
        totals,
        scope,
        now,
    } = answer;
    let status = response.status.as_u16();
    let mut found = Vec::new();
    if !expect.status.0.iter().any(|range| range.contains(&status)) {
        found.push(wrong_status(expect, response, severity));
    }
    let wants_json = wants_json(expect);
    // After a wrong status the body is another one than the expectations are about: it is shown as
    // evidence, and judging it would only repeat the first finding in other words.
    if found.is_empty() {
        let declared = declares_json(response);
        let parsed: Result<Value, _> = serde_json::from_slice(&response.body);
        match parsed {
            Ok(document) => judge_document(
                expect, shadow, severity, &document, status, scope, now, &mut found,
            ),
            Err(error)
                if wants_json || (declared && response.status.is_success() && status != 204) =>
            {
                let what = if response.body.is_empty() {
                    "it is empty".to_owned()
                } else {
                    error.to_string()
                };
                found.push(mismatch(
                    severity,
                    reason::NOT_JSON,
                    format!("the body is no JSON: {what}"),
                    Quantity::bare(one_line(&excerpt(&response.body, 200))),
                    "a JSON body",
                ));
            }
            Err(_) => {}
        }
        judge_text(expect, severity, response, &mut found);
    }
    found.extend(
        expect
            .headers
            .iter()
            .filter_map(|header| judge_header(header, response, scope)),
    );
    if let Some(wanted) = &expect.http_version {
        let spoken = format!("{:?}", response.version).replace("HTTP/2.0", "HTTP/2");
        if spoken != *wanted {
            let message = format!("{spoken} was spoken, expected {wanted}");
            found.push(mismatch(
                severity,
                reason::HTTP_VERSION,
                message,
                Quantity::bare(spoken),
                wanted.clone(),
            ));
        }
    }
    found.extend(timings(&expect.timings, &response.phases, totals, severity));
    ranked(found)
}

fn wrong_status(expect: &Expect, response: &Response, severity: Verdict) -> Broken {
    let status = response.status.as_u16();
    let wanted: Vec<String> = expect
        .status
        .0
        .iter()
        .map(|range| match (range.start(), range.end()) {
            (a, b) if a == b => a.to_string(),
            (a, _) => format!("{}xx", a / 100),
        })
        .collect();
    let wanted = wanted.join(" or ");
    let location = response
        .headers
        .get(http::header::LOCATION)
        .and_then(|value| value.to_str().ok());
    let (code, message) = match location.filter(|_| response.status.is_redirection()) {
        Some(to) => (
            reason::REDIRECTED,
            format!(
                "status {status} points to {}, expected {wanted}; redirects are not followed",
                one_line(to)
            ),
        ),
        None => (
            reason::STATUS,
            format!("status {status}, expected {wanted}"),
        ),
    };
    mismatch(severity, code, message, Quantity::bare(status), wanted)
}

/// Whether any assertion speaks of a JSON body.
fn wants_json(expect: &Expect) -> bool {
    expect.kind.is_some()
        || !expect.required.is_empty()
        || expect.min_items.is_some()
        || !expect.each.is_empty()
        || !expect.json.is_empty()
        || !expect.invariants.is_empty()
        || expect.schema.is_some()
}

fn declares_json(response: &Response) -> bool {
    let media = response
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    media.is_some_and(|media| {
        let essence = media
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        essence == "application/json" || essence.ends_with("+json")
    })
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one judgement, split for reading"
)]
fn judge_document(
    expect: &Expect,
    shadow: Option<&Shadow>,
    severity: Verdict,
    document: &Value,
    status: u16,
    scope: &Scope,
    now: Timestamp,
    found: &mut Vec<Broken>,
) {
    if (200..300).contains(&status) && !expect.allow_error_body && is_error_body(document) {
        found.push(mismatch(
            severity,
            reason::ERROR_BODY,
            format!(
                "status {status}, but the body is an error object: {}",
                one_line(&document.to_string())
            ),
            Quantity::bare(one_line(&document.to_string())),
            "a body that is no error object",
        ));
        // What an error object lacks beside is no second fault.
        return;
    }
    let kind = kind_of(document);
    if let Some(shadow) = shadow.filter(|shadow| {
        shadow.kind == kind
            && expect
                .kind
                .as_ref()
                .is_none_or(|wanted| !wanted.contains(&kind))
    }) {
        found.push(mismatch(
            severity,
            reason::SHADOWED_ROUTE,
            format!(
                "it answers {}, as `{}` does: that route is declared earlier and takes this path",
                kind_name(kind),
                shadow.template
            ),
            Quantity::bare(one_line(&document.to_string())),
            format!("the path's own answer: {}", wanted_kinds(expect)),
        ));
        return;
    }
    if let Some(wanted) = &expect.kind
        && !wanted.contains(&kind)
    {
        let message = format!(
            "the body is {}, expected {}",
            kind_name(kind),
            wanted_kinds(expect)
        );
        found.push(mismatch(
            severity,
            reason::WRONG_KIND,
            message,
            Quantity::bare(kind_name(kind)),
            wanted_kinds(expect),
        ));
        // Members of something else are not missing, they were never there.
        return;
    }
    let names = lacking(document, &expect.required);
    if !names.is_empty() {
        found.push(missing(&names, "the body", severity));
    }
    judge_items(expect, severity, document, found);
    found.extend(
        expect
            .json
            .iter()
            .filter_map(|wanted| assertion(wanted, document, scope, now)),
    );
    found.extend(
        expect
            .invariants
            .iter()
            .filter_map(|wanted| invariant(wanted, document)),
    );
    if let Some(schema) = &expect.schema {
        for error in schema.validator.iter_errors(document).take(SCHEMA_ERRORS) {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() {
                "the body".to_owned()
            } else {
                format!("`{place}`")
            };
            let message = format!(
                "{place} does not fit the schema ({}): {}",
                schema.origin,
                one_line(&error.to_string())
            );
            found.push(broken(severity, reason::SCHEMA, message));
        }
    }
}

fn wanted_kinds(expect: &Expect) -> String {
    let kinds: &[Kind] = expect.kind.as_deref().unwrap_or(&[Kind::Object]);
    kinds
        .iter()
        .map(|kind| kind_name(*kind))
        .collect::<Vec<_>>()
        .join(" or ")
}

fn judge_items(expect: &Expect, severity: Verdict, document: &Value, found: &mut Vec<Broken>) {
    if expect.min_items.is_none() && expect.each.is_empty() {
        return;
    }
    let (items, whose): (Vec<&Value>, String) = match (&expect.items_at, document) {
        (Some(path), _) => (path.query.query(document).all(), format!("`{}`", path.text)),
        (None, Value::Array(items)) => (items.iter().collect(), "the list".to_owned()),
        (None, other) => {
            let message = format!("the body is {}, expected a list", kind_name(kind_of(other)));
            found.push(broken(severity, reason::WRONG_KIND, message));
            return;
        }
    };
    if let Some(least) = expect.min_items.filter(|least| items.len() < *least) {
        found.push(mismatch(
            severity,
            reason::TOO_FEW_ITEMS,
            format!(
                "{whose} has {} items, expected at least {least}",
                items.len()
            ),
            Quantity::of(items.len(), "items"),
            format!("at least {least} items"),
        ));
    }
    let poor = items.iter().enumerate().find_map(|(index, item)| {
        let names = lacking(item, &expect.each);
        (!names.is_empty()).then(|| missing(&names, &format!("item {index} of {whose}"), severity))
    });
    found.extend(poor);
}

/// Whether a JSON body is the description of an error.
///
/// It is an object that has a non-empty `error` or `errors` (text, object, list, or `true`), or
/// whose only members are among `error`, `errors`, `detail`, `message`, `code`, `status`,
/// `timestamp`, `path`, `request_id` with a `detail`, `message` or `error` in it that is not empty,
/// or that says `"success": false` or `"status": "error"`. Counts (`"errors": 0`), rates and nulls
/// are no errors.
#[must_use]
pub fn is_error_body(document: &Value) -> bool {
    const FRAME: [&str; 9] = [
        "error",
        "errors",
        "detail",
        "message",
        "code",
        "status",
        "timestamp",
        "path",
        "request_id",
    ];
    let Some(members) = document.as_object() else {
        return false;
    };
    let says = |name: &str| match members.get(name) {
        None | Some(Value::Null | Value::Bool(false) | Value::Number(_)) => false,
        Some(Value::Bool(true)) => true,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(inner)) => !inner.is_empty(),
    };
    if says("error") || (says("errors") && !matches!(members.get("errors"), Some(Value::Object(_))))
    {
        return true;
    }
    if members.get("success") == Some(&Value::Bool(false)) {
        return true;
    }
    if members
        .get("status")
        .and_then(Value::as_str)
        .is_some_and(|status| status.eq_ignore_ascii_case("error"))
    {
        return true;
    }
    // `{"status": "ok", "message": "tracked"}` is a success that speaks; a bare detail is not.
    let only_frame = members.keys().all(|name| FRAME.contains(&name.as_str()));
    only_frame && says("detail")
}

fn judge_text(expect: &Expect, severity: Verdict, response: &Response, found: &mut Vec<Broken>) {
    let body = &response.body;
    if !expect.body_matches.is_empty() || !expect.body_lacks.is_empty() {
        let text = String::from_utf8_lossy(body);
        for regex in expect
            .body_matches
            .iter()
            .filter(|regex| !regex.is_match(&text))
        {
            found.push(broken(
                severity,
                reason::BODY_TEXT,
                format!("nothing in the body matches `{regex}`"),
            ));
        }
        for regex in &expect.body_lacks {
            if let Some(unwanted) = regex.find(&text) {
                let message = format!(
                    "the body holds `{}`, which `{regex}` forbids",
                    one_line(unwanted.as_str())
                );
                found.push(broken(severity, reason::BODY_TEXT, message));
            }
        }
    }
    let bytes = body.len() as u64;
    for (limit, wrong, word) in [
        (
            expect.min_bytes,
            expect.min_bytes.is_some_and(|least| bytes < least),
            "at least",
        ),
        (
            expect.max_bytes,
            expect.max_bytes.is_some_and(|most| bytes > most),
            "at most",
        ),
    ] {
        if let Some(limit) = limit.filter(|_| wrong) {
            let wanted = format!("{word} {}", show_size(limit));
            let message = format!("the body has {bytes} bytes, expected {wanted}");
            found.push(mismatch(
                severity,
                reason::SIZE,
                message,
                Quantity::of(bytes, "bytes"),
                wanted,
            ));
        }
    }
    if let Some(wanted) = &expect.sha256 {
        let hash = fingerprint::sha256(body);
        if hash != *wanted {
            let message = format!("the body's SHA-256 is {hash}, expected {wanted}");
            found.push(mismatch(
                severity,
                reason::HASH,
                message,
                Quantity::bare(hash),
                wanted.clone(),
            ));
        }
    }
}

fn judge_header(wanted: &HeaderAssertion, response: &Response, scope: &Scope) -> Option<Broken> {
    let values: Vec<String> = response
        .headers
        .get_all(&wanted.name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    let (holds, expected) = match &wanted.demand {
        HeaderDemand::Exists => (!values.is_empty(), "to be there".to_owned()),
        HeaderDemand::Absent => (values.is_empty(), "to be absent".to_owned()),
        HeaderDemand::Equals(text) => {
            let text = text.fill(scope).unwrap_or_else(|_| text.0.clone());
            (values.contains(&text), format!("`{text}`"))
        }
        HeaderDemand::Differs(text) => {
            let text = text.fill(scope).unwrap_or_else(|_| text.0.clone());
            (!values.contains(&text), format!("anything but `{text}`"))
        }
        HeaderDemand::Matches(regex) => (
            values.iter().any(|value| regex.is_match(value)),
            format!("a match of `{regex}`"),
        ),
    };
    (!holds).then(|| {
        let seen = if values.is_empty() {
            "absent".to_owned()
        } else {
            one_line(&values.join(", "))
        };
        let message = format!(
            "the header `{}` is {seen}, expected {expected}",
            wanted.name
        );
        mismatch(
            wanted.severity,
            reason::HEADER,
            message,
            Quantity::bare(seen),
            expected,
        )
    })
}

/// Judges times against their two levels.
#[must_use]
pub fn timings(
    limits: &[TimingLimit],
    phases: &Phases,
    totals: &[Duration],
    severity: Verdict,
) -> Vec<Broken> {
    limits
        .iter()
        .filter_map(|limit| {
            let (name, time) = match limit.phase {
                TimedPhase::Dns => ("name resolution", phases.dns),
                TimedPhase::Tcp => ("the TCP connection", phases.tcp),
                TimedPhase::Tls => ("the TLS handshake", phases.tls),
                TimedPhase::FirstByte => ("the first byte", phases.first_byte),
                TimedPhase::Body => ("the body", phases.body),
                TimedPhase::Total => ("the answer", Some(phases.total)),
                TimedPhase::P50 => ("the median answer", quantile(totals, 0.5)),
                TimedPhase::P95 => ("the P95 answer", quantile(totals, 0.95)),
            };
            // A phase that did not happen took no time: a reused connection has no handshake.
            let time = time?;
            let (verdict, over) = match (limit.max, limit.warn) {
                (Some(max), _) if time > max => (severity, max),
                (_, Some(warn)) if time > warn => (Verdict::Warn, warn),
                _ => return None,
            };
            let shown = show_duration(Duration::from_millis(
                u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            ));
            let of = match limit.phase {
                TimedPhase::P50 | TimedPhase::P95 => format!(" over {} samples", totals.len()),
                _ => String::new(),
            };
            let message = format!(
                "{name} took {shown}{of}, expected at most {}",
                show_duration(over)
            );
            let wanted = format!("at most {}", show_duration(over));
            Some(mismatch(
                verdict,
                reason::SLOW,
                message,
                Quantity::of(millis(time), "ms"),
                wanted,
            ))
        })
        .collect()
}

/// Takes the value of a capture out of an answer.
///
/// # Errors
/// It is not there, or not single.
pub fn capture(capture: &Capture, response: &Response) -> Result<String, Broken> {
    let fail = |why: String| {
        broken(
            Verdict::Fail,
            reason::CAPTURE,
            format!("nothing to capture as `{}`: {why}", capture.name),
        )
    };
    match &capture.from {
        CaptureSource::Status => Ok(response.status.as_u16().to_string()),
        CaptureSource::Header(name) => response
            .headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .ok_or_else(|| fail(format!("there is no header `{name}`"))),
        CaptureSource::Regex(regex) => {
            let text = String::from_utf8_lossy(&response.body);
            let found = regex
                .captures(&text)
                .ok_or_else(|| fail(format!("nothing matches `{regex}`")))?;
            Ok(found
                .get(1)
                .or(found.get(0))
                .map_or_else(String::new, |group| group.as_str().to_owned()))
        }
        CaptureSource::Json(path) => {
            let document: Value = serde_json::from_slice(&response.body)
                .map_err(|error| fail(format!("the body is no JSON: {error}")))?;
            json_capture(path, &document).map_err(fail)
        }
    }
}

/// The one scalar that a query selects, as text.
pub fn json_capture(path: &crate::suite::model::Path, document: &Value) -> Result<String, String> {
    let selected = path.query.query(document).all();
    match selected.as_slice() {
        [Value::String(text)] => Ok(text.clone()),
        [value @ (Value::Number(_) | Value::Bool(_))] => Ok(value.to_string()),
        [value] => Err(format!("`{}` is {}", path.text, kind_name(kind_of(value)))),
        many => Err(format!("`{}` selects {} values", path.text, many.len())),
    }
}
