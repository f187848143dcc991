//! What a good answer is: status, size, text, JSON members, a JSON Schema; and what is kept of it.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::path::Path;

/// An answer is read anew for so many demands, before it is built once for all: to read it costs a quarter of
/// that.
const READINGS: usize = 3;

/// What a good answer is. What is not said is not looked at, except that a status of 400 and over is
/// never good unless it is named.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The good statuses; all below 400 if empty.
    pub statuses: Vec<u16>,
    /// The body is what an API answers: JSON without an `error` member; never an HTML page. A body that
    /// says to be something else is not looked at.
    pub api: bool,
    /// The body is at least so large, in bytes.
    pub min_size: Option<u64>,
    /// The body is at most so large, in bytes.
    pub max_size: Option<u64>,
    /// The body holds these texts.
    pub contains: Vec<String>,
    /// Demands on JSON members.
    pub json: Vec<JsonDemand>,
    /// The body is valid by this JSON Schema.
    pub schema: Option<Arc<jsonschema::Validator>>,
}

/// A demand on what a JSONPath finds.
#[derive(Clone, Debug)]
pub struct JsonDemand {
    /// The path.
    pub path: Path,
    /// The demand.
    pub demand: Demand,
}

/// What is demanded of the first value that a path finds.
#[derive(Clone, Debug, PartialEq)]
pub enum Demand {
    /// There is one, and it is not null.
    Exists,
    /// There is none.
    Absent,
    /// It is this value.
    Equals(Value),
    /// A list, text or object of at least so many items, characters or members.
    MinLength(u64),
}

/// What is kept of an answer.
#[derive(Clone, Debug)]
pub struct Save {
    /// The slot.
    pub slot: usize,
    /// Where it stands.
    pub from: From,
}

/// Where a kept value stands.
#[derive(Clone, Debug)]
pub enum From {
    /// The first value that a JSONPath finds in the body.
    Json(Path),
    /// A header.
    Header(http::HeaderName),
}

impl Expect {
    /// Whether anything beyond the status is looked at.
    #[must_use]
    pub fn looks_at_body(&self) -> bool {
        self.api
            || self.min_size.is_some()
            || self.max_size.is_some()
            || !self.contains.is_empty()
            || !self.json.is_empty()
            || self.schema.is_some()
    }

    /// Whether a status is good.
    #[must_use]
    pub fn status_is_good(&self, status: StatusCode) -> bool {
        if self.statuses.is_empty() {
            status.as_u16() < 400
        } else {
            self.statuses.contains(&status.as_u16())
        }
    }

    /// What of a body is not as wanted; one sentence.
    ///
    /// # Errors
    /// Something is not.
    pub fn body(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), String> {
        let size = body.len() as u64;
        if let Some(least) = self.min_size.filter(|least| size < *least) {
            return Err(format!(
                "the body has {size} bytes, at least {least} wanted"
            ));
        }
        if let Some(most) = self.max_size.filter(|most| size > *most) {
            return Err(format!("the body has {size} bytes, at most {most} wanted"));
        }
        for text in &self.contains {
            if !holds(body, text.as_bytes()) {
                return Err(format!("the body does not hold `{text}`"));
            }
        }
        if self.api {
            api_answer(headers, body)?;
        }
        if self.json.is_empty() && self.schema.is_none() {
            return Ok(());
        }
        let text = text_of(body)?;
        if self.schema.is_none()
            && self.json.len() <= READINGS
            && self.json.iter().all(|demand| demand.path.is_plain())
        {
            for demand in &self.json {
                demand.hold_in(text).map_err(no_json)??;
            }
            return Ok(());
        }
        let value: Value = serde_json::from_str(text).map_err(no_json)?;
        self.value(&value)
    }

    /// The same for a value that was parsed already: a WebSocket's message.
    ///
    /// # Errors
    /// Something is not as wanted.
    pub fn value(&self, value: &Value) -> Result<(), String> {
        for demand in &self.json {
            demand.hold(demand.path.of(value))?;
        }
        if let Some(schema) = &self.schema
            && let Err(error) = schema.validate(value)
        {
            return Err(format!(
                "the body breaks its schema at `{}`: {error}",
                error.instance_path()
            ));
        }
        Ok(())
    }
}

impl JsonDemand {
    /// The same as [`Self::hold`] for a whole text, which is read for this demand.
    fn hold_in(&self, text: &str) -> serde_json::Result<Result<(), String>> {
        if self.demand == Demand::Exists {
            let found = self.path.is_in(text)?.then_some(&Value::Bool(true));
            return Ok(self.hold(found));
        }
        let found = self.path.find(text)?;
        Ok(self.hold(found.as_ref()))
    }

    /// Whether what was found is as demanded.
    fn hold(&self, found: Option<&Value>) -> Result<(), String> {
        let path = &self.path;
        match (&self.demand, found) {
            (Demand::Absent, None | Some(Value::Null)) => Ok(()),
            (Demand::Absent, Some(other)) => Err(format!("`{path}` is there: {}", short(other))),
            (_, None | Some(Value::Null)) => Err(format!("`{path}` is missing")),
            (Demand::Exists, Some(_)) => Ok(()),
            (Demand::Equals(wanted), Some(other)) if wanted == other => Ok(()),
            (Demand::Equals(wanted), Some(other)) => Err(format!(
                "`{path}` is {}, {} wanted",
                short(other),
                short(wanted)
            )),
            (Demand::MinLength(least), Some(other)) => {
                let length = match other {
                    Value::Array(items) => items.len(),
                    Value::Object(members) => members.len(),
                    Value::String(text) => text.chars().count(),
                    _ => return Err(format!("`{path}` has no length: {}", short(other))),
                };
                if length as u64 >= *least {
                    Ok(())
                } else {
                    Err(format!(
                        "`{path}` has {length} items, at least {least} wanted"
                    ))
                }
            }
        }
    }
}

impl From {
    /// The value as a text; `None` where it is not there.
    #[must_use]
    pub fn find(&self, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        match self {
            Self::Header(name) => headers.get(name)?.to_str().ok().map(str::to_owned),
            Self::Json(path) => match path.find(str::from_utf8(body).ok()?).ok()?? {
                Value::Null => None,
                Value::String(text) => Some(text),
                other => Some(other.to_string()),
            },
        }
    }
}

/// An object's `error` member, whatever else it holds, without building the rest.
#[derive(Deserialize)]
struct ErrorMember {
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
}

/// An error page of a proxy and an `{"error": ...}` with status 200 are no answers. The rest of the
/// content is the smoke test's to judge.
fn api_answer(headers: &HeaderMap, body: &[u8]) -> Result<(), String> {
    let kind = headers
        .get(http::header::CONTENT_TYPE)
        .map_or(&b""[..], |value| value.as_bytes());
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    let kind = kind.trim_ascii().to_ascii_lowercase();
    if kind == b"text/html" || kind == b"application/xhtml+xml" {
        return Err("an HTML page came instead of an API's answer".to_owned());
    }
    let says_json = kind == b"application/json" || kind.ends_with(b"+json");
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    if !says_json && !is_object {
        return Ok(());
    }
    let read = || -> Result<bool, String> {
        let text = text_of(body)?;
        if is_object {
            let ErrorMember { error } = serde_json::from_str(text).map_err(no_json)?;
            Ok(error.is_some())
        } else {
            let _: serde::de::IgnoredAny = serde_json::from_str(text).map_err(no_json)?;
            Ok(false)
        }
    };
    match read() {
        Ok(true) => Err("the body holds an `error` member".to_owned()),
        Err(why) if says_json => Err(why),
        _ => Ok(()),
    }
}

/// The text that a JSON body has to be (RFC 8259, section 8.1).
fn text_of(body: &[u8]) -> Result<&str, String> {
    str::from_utf8(body).map_err(no_json)
}

fn no_json(error: impl std::fmt::Display) -> String {
    format!("the body is no JSON: {error}")
}

fn holds(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        return text;
    }
    let start: String = text.chars().take(60).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(path: &str, demand: Demand) -> Expect {
        Expect {
            json: vec![JsonDemand {
                path: Path::parse(path).unwrap(),
                demand,
            }],
            ..Expect::default()
        }
    }

    fn of(kind: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !kind.is_empty() {
            headers.insert(http::header::CONTENT_TYPE, kind.parse().unwrap());
        }
        headers
    }

    #[track_caller]
    fn check(expect: &Expect, kind: &str, body: &str, said: Option<&str>) {
        let outcome = expect.body(&of(kind), body.as_bytes());
        match said {
            None => assert_eq!(outcome, Ok(()), "{body}"),
            Some(said) => {
                let error = outcome.unwrap_err();
                assert!(error.contains(said), "{body}: {error}");
            }
        }
    }

    #[test]
    fn an_api_answer_is_no_error_and_no_page() {
        let api = Expect {
            api: true,
            ..Expect::default()
        };
        check(&api, "application/json", r#"{"signals": []}"#, None);
        check(&api, "application/json", r#"[{"error": 1}]"#, None);
        check(&api, "application/json", r#"{"error": null}"#, None);
        check(
            &api,
            "application/json",
            r#"{"error": "x"}"#,
            Some("`error`"),
        );
        check(&api, "", r#"{"error": "x"}"#, Some("`error`"));
        check(&api, "application/json", "<html>", Some("no JSON"));
        check(&api, "application/json", r#"{"a": "#, Some("no JSON"));
        check(&api, "text/html; charset=utf-8", "{}", Some("HTML"));
        check(&api, "text/plain", "ok", None);
    }

    #[test]
    fn json_is_utf_8() {
        let body = b"{\"a\": \"\xff\"}";
        let api = Expect {
            api: true,
            ..Expect::default()
        };
        for expect in [
            api,
            demand("$", Demand::Exists),
            demand("$..b", Demand::Absent),
        ] {
            let why = expect.body(&of("application/json"), body).unwrap_err();
            assert!(why.contains("no JSON: invalid utf-8"), "{why}");
        }
    }

    #[test]
    fn demands_on_members() {
        let body = r#"{"status": "ok", "list": [1, 2], "none": null}"#;
        check(&demand("$.status", Demand::Exists), "", body, None);
        check(&demand("$.none", Demand::Exists), "", body, Some("missing"));
        check(&demand("$.none", Demand::Absent), "", body, None);
        check(
            &demand("$.status", Demand::Absent),
            "",
            body,
            Some("is there"),
        );
        check(
            &demand("$.status", Demand::Equals("ok".into())),
            "",
            body,
            None,
        );
        check(
            &demand("$.status", Demand::Equals("up".into())),
            "",
            body,
            Some("wanted"),
        );
        check(&demand("$.list", Demand::MinLength(2)), "", body, None);
        check(
            &demand("$.list", Demand::MinLength(3)),
            "",
            body,
            Some("at least 3"),
        );
        check(
            &demand("$.list", Demand::MinLength(3)),
            "",
            "no",
            Some("no JSON"),
        );
    }

    #[test]
    fn size_and_text() {
        let expect = Expect {
            min_size: Some(2),
            max_size: Some(4),
            contains: vec!["ok".to_owned()],
            ..Expect::default()
        };
        check(&expect, "", "ok", None);
        check(&expect, "", "o", Some("at least"));
        check(&expect, "", "okokok", Some("at most"));
        check(&expect, "", "nok!", None);
        check(&expect, "", "none", Some("does not hold"));
    }

    #[test]
    fn what_is_saved() {
        let from = From::Json(Path::parse("$.id").unwrap());
        assert_eq!(from.find(&of(""), br#"{"id": 7}"#).as_deref(), Some("7"));
        assert_eq!(from.find(&of(""), br#"{"id": "x"}"#).as_deref(), Some("x"));
        assert_eq!(from.find(&of(""), b"no"), None);
        let header = From::Header(http::header::CONTENT_TYPE);
        assert_eq!(header.find(&of("a/b"), b"").as_deref(), Some("a/b"));
    }

    #[test]
    fn statuses() {
        let any = Expect::default();
        assert!(
            any.status_is_good(StatusCode::FOUND) && !any.status_is_good(StatusCode::NOT_FOUND)
        );
        let named = Expect {
            statuses: vec![404],
            ..Expect::default()
        };
        assert!(
            named.status_is_good(StatusCode::NOT_FOUND) && !named.status_is_good(StatusCode::OK)
        );
    }
}
