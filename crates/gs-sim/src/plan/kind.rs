//! The kinds of faults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Spread;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case"
)]
pub enum Kind {
    /// This status. A client that asks for a WebSocket gets it instead of the upgrade.
    Status {
        /// The status.
        status: u16,
        /// Seconds for `retry-after`.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// This answer, word for word.
    Answer {
        /// The status.
        #[serde(default = "ok")]
        status: u16,
        /// The JSON body; empty if absent.
        #[serde(default)]
        body: Option<serde_json::Value>,
        /// More headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// A redirect (302) to elsewhere.
    Redirect {
        /// The `location`.
        to: String,
    },
    /// A wait before the answer.
    Delay {
        /// The least wait, in milliseconds.
        #[serde(default)]
        millis: f64,
        /// How the wait beyond it is distributed.
        #[serde(default)]
        spread: Spread,
    },

    /// `{"error": ...}` with status 200; on a WebSocket a message of type `error`.
    ErrorBody {
        /// The text of it.
        #[serde(default = "not_available")]
        message: String,
    },
    /// `[]`, or every list member of the object emptied.
    EmptyList,
    /// Status 200 and no byte of body.
    EmptyBody,
    /// `recommendation: "NO_DATA"`.
    NoData,
    /// Quotes whose values contradict each other, signals whose stop is on the wrong side.
    Incoherent,
    /// Timestamps are a day old.
    Stale,
    /// Unknown symbols get an invented quote.
    Invented,
    /// `/signals/{symbol}` is declared before the literal routes and takes their paths.
    ShadowedRoute,
    /// Another version is answered: in bodies, headers, `/openapi.json` and handshakes.
    Version {
        /// The version.
        version: String,
    },
    /// The right body with `text/html`.
    WrongContentType,
    /// An HTML page with status 200 and the JSON content type.
    NotJson,
    /// The body is not gzip, although it says so.
    BadGzip,
    /// A gzip body of 1 MiB that becomes one of 1 GiB.
    GzipBomb,
    /// A head with a header of 2 MiB.
    HugeHead,

    /// The connection is closed without an answer.
    Drop,
    /// The connection is reset (RST) without an answer.
    Reset,
    /// The answer never comes; the connection stays.
    Silent,
    /// Our side is shut for writing after the head; the body never comes, the connection stays.
    HalfClosed,
    /// The body ends before its announced length. All of the JSON is there: only the length tells.
    Truncated,
    /// The body is chunked and ends without the last chunk. All of the JSON is there.
    TruncatedChunks,
    /// The body is chunked and never ends.
    Endless,
    /// A body of this length, announced and sent.
    Oversized {
        /// Bytes.
        bytes: u64,
    },
    /// The body comes byte by byte.
    SlowDrip {
        /// Milliseconds between two bytes.
        millis: u64,
    },
    /// The status line is none.
    Malformed,
    /// A header line is none, and two lengths contradict each other.
    MalformedHeader,
    /// The size of a chunk is no number.
    MalformedChunk,

    /// The WebSocket opens and says nothing, not even a pong.
    WsSilent,
    /// The WebSocket answers each message after this wait.
    WsLate {
        /// Milliseconds.
        millis: u64,
    },
    /// The WebSocket is closed after the first message.
    WsClosed {
        /// The close code.
        code: u16,
    },
    /// The WebSocket breaks off without a close frame after the first message.
    WsDropped,
    /// The WebSocket sends bytes that are no frame.
    WsGarbage,
    /// The WebSocket answers with text that is no JSON.
    WsNotJson,
    /// The WebSocket's upgrade is refused with this status.
    WsRefused {
        /// The status.
        status: u16,
    },

    /// The whole process stalls: connections are taken, and then nothing is read or written on any of
    /// them, also in the middle of an answer. Takes no condition but a time window.
    Stall,
}

fn ok() -> u16 {
    200
}

fn not_available() -> String {
    "Monitoring service not available".to_owned()
}

/// Which conversations a kind can spoil.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Http,
    WebSocket,
    Both,
    Process,
}

impl Kind {
    /// A bare status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status {
            status,
            retry_after: None,
        }
    }

    /// A wait that is always the same.
    #[must_use]
    pub fn delay(wait: std::time::Duration) -> Self {
        Self::Delay {
            millis: wait.as_secs_f64() * 1e3,
            spread: Spread::Fixed,
        }
    }

    /// An error object with status 200.
    #[must_use]
    pub fn error_body() -> Self {
        Self::ErrorBody {
            message: not_available(),
        }
    }

    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::Stall => Scope::Process,
            Self::WsSilent
            | Self::WsLate { .. }
            | Self::WsClosed { .. }
            | Self::WsDropped
            | Self::WsGarbage
            | Self::WsNotJson
            | Self::WsRefused { .. } => Scope::WebSocket,
            Self::Status { .. }
            | Self::Answer { .. }
            | Self::Redirect { .. }
            | Self::Delay { .. }
            | Self::ErrorBody { .. }
            | Self::Version { .. }
            | Self::Drop
            | Self::Reset
            | Self::Silent
            | Self::HugeHead
            | Self::Malformed
            | Self::MalformedHeader => Scope::Both,
            _ => Scope::Http,
        }
    }

    /// Whether the upgrade to a WebSocket does not take place.
    pub(crate) fn refuses_upgrade(&self) -> bool {
        matches!(self, Self::WsRefused { .. })
            || self.scope() == Scope::Both
                && !matches!(
                    self,
                    Self::Delay { .. } | Self::ErrorBody { .. } | Self::Version { .. }
                )
    }

    /// The laws of the kind's own members.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Status { status, .. } | Self::WsRefused { status } if !(200..=599).contains(status) => {
                Err(format!("{status} is no final status: take one from 200 to 599"))
            }
            Self::Answer { headers, .. } => headers.iter().try_for_each(|(name, value)| {
                let good = http::HeaderName::from_bytes(name.as_bytes()).is_ok()
                    && http::HeaderValue::from_str(value).is_ok();
                let framing = ["content-length", "transfer-encoding", "connection"];
                if !good || framing.iter().any(|word| name.eq_ignore_ascii_case(word)) {
                    return Err(format!(
                        "`{name}` is no header to add: broken heads are kinds of their own (`malformed-header`)"
                    ));
                }
                Ok(())
            }),
            Self::Redirect { to } if http::HeaderValue::from_str(to).is_err() => {
                Err("`to` has a character that a header cannot hold".to_owned())
            }
            Self::Version { version } => check_version(version),
            Self::Delay { millis, .. } if !(millis.is_finite() && *millis >= 0.0) => {
                Err("a delay takes a number of milliseconds from 0 on".to_owned())
            }
            Self::Delay { spread, .. } => spread.check(),
            // RFC 6455 §7.4: 1005, 1006 and 1015 never stand in a frame.
            Self::WsClosed { code } if !(1000..=4999).contains(code) || matches!(code, 1005 | 1006 | 1015) => {
                Err(format!("{code} is no close code that can be sent: take 1000 to 4999, but not 1005, 1006 or 1015"))
            }
            _ => Ok(()),
        }
    }
}

/// A version has to fit into a header and a label.
pub(super) fn check_version(version: &str) -> Result<(), String> {
    if version.is_empty() || http::HeaderValue::from_str(version).is_err() {
        return Err("a version is printable text, and not empty".to_owned());
    }
    Ok(())
}
