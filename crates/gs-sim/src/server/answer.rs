//! Answers: what is said, and how it goes wrong on the wire.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use super::bomb;
use super::conn::Conn;
use super::request::{Refusal, Request};
use crate::plan::Kind;
use crate::service::{self, Ask, UNMATCHED};
use crate::world::{Turn, World};

const JSON: &str = "application/json";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const HUGE_HEADER: usize = 2 << 20;

/// What an endless and an oversized body are made of.
static FILLER: [u8; 64 << 10] = [b'x'; 64 << 10];

/// An answer before it is written.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub status: u16,
    /// The template of the route that answered.
    pub endpoint: &'static str,
    media: &'static str,
    headers: Vec<(&'static str, String)>,
    /// Headers that a plan adds.
    extra: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    fn json(status: u16, endpoint: &'static str, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self {
            status,
            endpoint,
            media: JSON,
            headers: Vec::new(),
            extra: Vec::new(),
            body,
        }
    }

    /// What is said to bytes that are no request.
    pub(crate) fn refusal(Refusal(status, detail): Refusal) -> Self {
        Self::json(status, UNMATCHED, &json!({"detail": detail}))
    }

    /// The answer to a request; for a WebSocket, the refusal of the upgrade.
    pub(crate) fn to(request: &Request, turn: &Turn, world: &World, faults: &[Kind]) -> Self {
        let mut message = if request.wants_websocket() {
            let endpoint = service::channel(&request.path);
            // The real service refuses unknown channels with 403 and an empty body.
            let status = if endpoint.is_some() { 400 } else { 403 };
            Self {
                body: Vec::new(),
                ..Self::json(status, endpoint.unwrap_or(UNMATCHED), &Value::Null)
            }
        } else {
            Self::of_service(request, turn, world, faults)
        };
        faults.iter().for_each(|kind| message.spoil(kind));
        message.headers.extend([
            ("x-request-id", world.next_request_id()),
            ("x-version", turn.version.clone()),
            ("server", "gs-sim".to_owned()),
            (
                "date",
                Timestamp::now()
                    .strftime("%a, %d %b %Y %H:%M:%S GMT")
                    .to_string(),
            ),
        ]);
        message
    }

    fn of_service(request: &Request, turn: &Turn, world: &World, faults: &[Kind]) -> Self {
        let shadowed = faults.contains(&Kind::ShadowedRoute);
        match service::find(&request.method, &request.path, shadowed) {
            Some(endpoint @ "/metrics") => {
                let message = Self::json(200, endpoint, &Value::Null);
                return Self {
                    media: METRICS,
                    body: world.metrics_text().into_bytes(),
                    ..message
                };
            }
            Some(endpoint @ "/debug/echo") => return Self::json(200, endpoint, &echo(request)),
            _ => {}
        }
        let ask = Ask {
            method: &request.method,
            path: &request.path,
            query: &request.query,
            body: &request.body,
            seed: world.seed(),
            uptime: turn.uptime_seconds,
            version: &turn.version,
            now: Timestamp::now(),
            served: world.total_served(),
            wrapped_signals: world.wrapped_signals(),
        };
        let reply = service::answer(ask, faults);
        let mut message = Self::json(reply.status, reply.endpoint, &reply.body);
        message
            .headers
            .extend(reply.allow.map(|methods| ("allow", methods)));
        message
    }

    /// What a fault of the message makes of it.
    fn spoil(&mut self, kind: &Kind) {
        match kind {
            Kind::Status {
                status,
                retry_after,
            } => {
                let detail = json!({"detail": format!("simulated status {status}")});
                (self.status, self.body) = (*status, detail.to_string().into_bytes());
                self.headers
                    .extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
            }
            Kind::Answer {
                status,
                body,
                headers,
            } => {
                self.status = *status;
                self.body = body
                    .as_ref()
                    .map_or_else(Vec::new, |body| body.to_string().into_bytes());
                self.extra.extend(headers.clone());
            }
            Kind::WsRefused { status } => self.status = *status,
            Kind::Redirect { to } => {
                self.status = 302;
                self.body = json!({"detail": "elsewhere"}).to_string().into_bytes();
                self.headers.push(("location", to.clone()));
            }
            Kind::EmptyBody => self.body.clear(),
            Kind::WrongContentType => self.media = "text/html; charset=utf-8",
            Kind::NotJson => {
                self.body = b"<!doctype html><title>Sign in</title><p>Please sign in.".to_vec()
            }
            Kind::BadGzip => self.headers.push(("content-encoding", "gzip".to_owned())),
            Kind::GzipBomb => {
                self.headers.push(("content-encoding", "gzip".to_owned()));
                self.body = bomb::stream().to_vec();
            }
            Kind::HugeHead => self.headers.push(("x-huge", "x".repeat(HUGE_HEADER))),
            _ => {}
        }
    }

    /// The head. `framing` says how long the body is.
    fn head(&self, framing: &str, close: bool) -> Vec<u8> {
        let reason = http::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason());
        let mut text = format!(
            "HTTP/1.1 {} {}\r\n",
            self.status,
            reason.unwrap_or("Simulated")
        );
        let headers = self.headers.iter().map(|(name, value)| (*name, value));
        for (name, value) in headers.chain(
            self.extra
                .iter()
                .map(|(name, value)| (name.as_str(), value)),
        ) {
            text.push_str(&[name, ": ", value, "\r\n"].concat());
        }
        // RFC 9110 §15.3.5, §15.4.5: these two have no body, and no length either.
        if !matches!(self.status, 204 | 304) {
            text.push_str(&format!("content-type: {}\r\n{framing}\r\n", self.media));
        }
        text.push_str(if close {
            "connection: close\r\n\r\n"
        } else {
            "\r\n"
        });
        text.into_bytes()
    }
}

/// What the client sent, so that a test can look at it. A header that came twice is joined by commas.
fn echo(request: &Request) -> Value {
    let mut headers = BTreeMap::<&str, String>::new();
    for (name, value) in &request.headers {
        headers
            .entry(name)
            .and_modify(|joined| {
                joined.push_str(", ");
                joined.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    json!({
        "method": request.method, "path": request.path, "query": request.query, "headers": headers,
        "body": String::from_utf8_lossy(&request.body),
    })
}

/// What happens to the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The next request can come.
    Keep,
    /// All is said: our side is shut.
    Close,
    /// Broken off, without as much as TLS's farewell.
    Cut,
    /// Broken off with RST.
    Reset,
}

/// A connection that stands still while the process stalls.
pub(crate) struct Wire<'a> {
    pub conn: &'a mut Conn,
    pub world: &'a World,
}

impl Wire<'_> {
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.world.while_stalled().await;
        self.conn.write_all(bytes).await?;
        self.conn.flush().await
    }

    /// Breaks off before the answer, where a fault says so.
    pub(crate) async fn break_off(&mut self, faults: &[Kind]) -> io::Result<Option<After>> {
        for kind in faults {
            return Ok(Some(match kind {
                Kind::Drop => After::Cut,
                Kind::Reset => After::Reset,
                Kind::Silent => {
                    self.conn.until_closed().await?;
                    After::Cut
                }
                Kind::Malformed => {
                    self.send(b"HTTP/9.9 two hundred\r\n\x00\x01\r\n\r\n")
                        .await?;
                    After::Cut
                }
                Kind::MalformedHeader => {
                    self.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 7\r\nno header at all\r\n\r\n{}").await?;
                    After::Cut
                }
                _ => continue,
            }));
        }
        Ok(None)
    }

    /// Writes an answer, rightly or as a fault says.
    pub(crate) async fn answer(
        &mut self,
        message: &Message,
        request: &Request,
        faults: &[Kind],
    ) -> io::Result<After> {
        let body = message.body.as_slice();
        let length = |bytes: u64| format!("content-length: {bytes}");
        let (exact, chunked) = (length(body.len() as u64), "transfer-encoding: chunked");
        let close = !request.keep_alive;
        let after = if close { After::Close } else { After::Keep };
        let bodiless = request.method == "HEAD" || matches!(message.status, 204 | 304);
        let wrong = faults
            .iter()
            .find(|kind| !bodiless && spoils_the_wire(kind));
        match wrong {
            Some(Kind::HalfClosed) => {
                self.send(&message.head(&exact, false)).await?;
                self.conn.shutdown().await?;
                self.conn.until_closed().await?;
                Ok(After::Cut)
            }
            Some(Kind::Truncated) => {
                let head = message.head(&length(body.len() as u64 + 100), false);
                self.send(&[&head, body].concat()).await?;
                Ok(After::Cut)
            }
            Some(Kind::TruncatedChunks) => {
                let head = message.head(chunked, false);
                self.send(
                    &[
                        &head,
                        format!("{:x}\r\n", body.len()).as_bytes(),
                        body,
                        b"\r\n",
                    ]
                    .concat(),
                )
                .await?;
                Ok(After::Cut)
            }
            Some(Kind::MalformedChunk) => {
                self.send(
                    &[
                        message.head(chunked, false).as_slice(),
                        b"many\r\n",
                        body,
                        b"\r\n0\r\n\r\n",
                    ]
                    .concat(),
                )
                .await?;
                Ok(After::Cut)
            }
            Some(Kind::SlowDrip { millis }) => {
                self.send(&message.head(&exact, close)).await?;
                for byte in body {
                    self.send(&[*byte]).await?;
                    sleep(Duration::from_millis(*millis)).await;
                }
                Ok(after)
            }
            Some(Kind::Oversized { bytes }) => {
                self.send(&message.head(&length(*bytes), close)).await?;
                let mut left = *bytes;
                while left > 0 {
                    let piece = FILLER
                        .len()
                        .min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.send(&FILLER[..piece]).await?;
                    left -= piece as u64;
                }
                Ok(after)
            }
            Some(Kind::Endless) => {
                self.send(&message.head(chunked, false)).await?;
                let chunk = [b"10000\r\n".as_slice(), &FILLER, b"\r\n"].concat();
                // Ends when the client has had enough and leaves.
                loop {
                    self.send(&chunk).await?;
                }
            }
            _ => {
                let head = message.head(&exact, close);
                self.send(&[head.as_slice(), if bodiless { b"" } else { body }].concat())
                    .await?;
                Ok(after)
            }
        }
    }
}

fn spoils_the_wire(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::HalfClosed
            | Kind::Truncated
            | Kind::TruncatedChunks
            | Kind::MalformedChunk
            | Kind::SlowDrip { .. }
            | Kind::Oversized { .. }
            | Kind::Endless
    )
}
