//! How answers go wrong.

use std::time::Duration;

use serde_json::{Value, json};

use super::answer::replace_values;
use crate::exchange::{End, JSON, Reply};

/// How the listener answers.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Mood {
    /// Rightly.
    #[default]
    Right,
    /// Nobody listens: connections are refused.
    Down,
    /// Connections are closed without an answer.
    Silent,
    /// Rightly, after a while.
    Slow(Duration),
    /// With this status: as Prometheus says it (400, 422, 503: JSON), or as a proxy before it does.
    Status(u16),
    /// 200 and a page for people.
    Html,
    /// 200 and this body, word for word, as JSON.
    Body(String),
    /// Rightly, with these warnings: part of the data is missing.
    Warnings(Vec<String>),
    /// Successfully, with no series.
    Empty,
    /// Rightly, but for the values: each is this text, such as `NaN` or `+Inf`.
    Values(&'static str),
    /// JSON of at least so many bytes, of series that nobody asked for.
    Huge(u64),
    /// The first half of the right answer.
    Cut,
    /// A redirect to a page to log in, which answers 200 in HTML.
    Login,
    /// Rightly, but for the `date` header, which is so many seconds ahead.
    DateAhead(i64),
    /// Rightly, by a server whose whole clock is so many seconds ahead: samples, `time()` and header.
    ClockAhead(i64),
}

impl Mood {
    /// Values that are no numbers.
    pub const NAN: Self = Self::Values("NaN");
    /// Values that are infinite.
    pub const INFINITE: Self = Self::Values("+Inf");
}

fn success(data: &Value) -> Reply {
    Reply::json(200, &json!({"status": "success", "data": data}))
}

/// What a mood makes of the right answer.
pub(super) fn spoil(mood: &Mood, right: Result<Value, Reply>) -> Reply {
    // Moods that need no right answer, and then those that change one.
    match mood {
        Mood::Down | Mood::Silent => {
            return Reply {
                end: End::Silent,
                ..Reply::new(200, JSON, "")
            };
        }
        Mood::Status(status) => return of_status(*status),
        Mood::Html => return page("Welcome"),
        Mood::Body(body) => return Reply::new(200, JSON, body.as_str()),
        Mood::Login => return Reply::new(302, "text/html", "").with_header("location", "/login"),
        Mood::Huge(bytes) => return huge(*bytes, right.ok()),
        _ => {}
    }
    let mut data = match right {
        Ok(data) => data,
        Err(reply) => return reply,
    };
    let mut reply = match mood {
        Mood::Warnings(warnings) => Reply::json(
            200,
            &json!({"status": "success", "data": data, "warnings": warnings}),
        ),
        Mood::Empty => {
            if data.is_array() {
                data = json!([]);
            } else {
                data["result"] = json!([]);
            }
            success(&data)
        }
        Mood::Values(text) => {
            replace_values(&mut data, text);
            success(&data)
        }
        _ => success(&data),
    };
    match mood {
        Mood::Slow(wait) => reply.wait = *wait,
        Mood::Cut => reply.end = End::Cut,
        Mood::DateAhead(seconds) | Mood::ClockAhead(seconds) => reply.date_off_seconds = *seconds,
        _ => {}
    }
    reply
}

/// A page for people.
pub(super) fn page(title: &str) -> Reply {
    let html = format!(
        "<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    );
    Reply::new(200, "text/html; charset=utf-8", html)
}

fn of_status(status: u16) -> Reply {
    let (kind, why) = match status {
        400 => ("bad_data", "invalid parameter \"query\""),
        422 => (
            "execution",
            "query processing would load too many samples into memory in query execution",
        ),
        503 => ("timeout", "query timed out in expression evaluation"),
        401 => {
            return Reply::new(401, "text/plain", "Unauthorized\n")
                .with_header("www-authenticate", "Basic realm=\"prometheus\", Bearer");
        }
        _ => {
            return Reply {
                status,
                ..page("The proxy could not do it")
            };
        }
    };
    Reply::json(
        status,
        &json!({"status": "error", "errorType": kind, "error": why}),
    )
}

/// Series that nobody asked for, in the form of what was asked, as many as it takes.
fn huge(bytes: u64, right: Option<Value>) -> Reply {
    let kind = right.and_then(|data| data["resultType"].as_str().map(str::to_owned));
    let kind = kind
        .filter(|kind| kind == "matrix")
        .unwrap_or_else(|| "vector".to_owned());
    let metric = json!({"__name__": "http_requests_total", "padding": "x".repeat(1000)});
    let series = if kind == "matrix" {
        json!({"metric": metric, "values": [[1e9, "1"]]})
    } else {
        json!({"metric": metric, "value": [1e9, "1"]})
    };
    let one = format!("{series},");
    let times = bytes / one.len() as u64 + 1;
    let head =
        format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":[");
    Reply {
        body: vec![
            (head.into_bytes(), 1),
            (one.into_bytes(), times),
            (format!("{series}]}}}}\n").into_bytes(), 1),
        ],
        ..Reply::new(200, JSON, "")
    }
}
