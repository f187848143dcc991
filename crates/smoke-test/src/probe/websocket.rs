//! A WebSocket conversation, step by step.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use gs_common::http::{Limits, Phases, Stream};
use gs_common::report::{Broken, Evidence};
use gs_common::units::show_duration;
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::{Seen, World, http};
use crate::judge::{self, demand_holds, json_capture, reason};
use crate::suite::Scope;
use crate::suite::model::{Capture, CaptureSource, Check, ExpectMessage, Step, WebSocketProbe};

/// So many skipped messages are shown.
const SHOWN: usize = 3;

type Socket = WebSocketStream<Stream>;

pub(super) async fn conversation(world: &World, check: &Check, probe: &WebSocketProbe) -> Seen {
    let mut talk = Talk {
        world,
        check,
        scope: world.scope(),
        seen: Seen::default(),
        skipped: Vec::new(),
        began: Instant::now(),
    };
    let ended = talk.run(probe).await;
    let mut seen = talk.seen;
    if let Err(stop) = ended {
        match stop {
            Stop::Broken(broken) => seen.broken.push(*broken),
            Stop::Failed(failed) => return *failed,
        }
    }
    seen.phases.total = talk.began.elapsed();
    if !talk.skipped.is_empty() {
        let shown: Vec<&str> = talk
            .skipped
            .iter()
            .take(SHOWN)
            .map(String::as_str)
            .collect();
        let text = format!(
            "{} of {}: {}",
            shown.len(),
            talk.skipped.len(),
            shown.join(" | ")
        );
        seen.evidence.push(Evidence {
            label: "skipped".to_owned(),
            text,
        });
    }
    let totals = [seen.phases.total];
    seen.broken.extend(judge::timings(
        &probe.timings,
        &seen.phases,
        &totals,
        check.severity,
    ));
    seen.broken = judge::ranked(std::mem::take(&mut seen.broken));
    seen
}

/// Why a conversation ended early.
enum Stop {
    Broken(Box<Broken>),
    Failed(Box<Seen>),
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(Box::new(broken))
    }
}

struct Talk<'a> {
    world: &'a World,
    check: &'a Check,
    scope: Scope,
    seen: Seen,
    /// Messages that no step waited for, shortened.
    skipped: Vec<String>,
    began: Instant,
}

impl Talk<'_> {
    fn broken(&self, code: &str, message: impl Into<String>) -> Stop {
        judge::broken(self.check.severity, code, message).into()
    }

    async fn run(&mut self, probe: &WebSocketProbe) -> Result<(), Stop> {
        let Some(mut socket) = self.connect(probe).await? else {
            return Ok(());
        };
        for (index, step) in probe.steps.iter().enumerate() {
            let number = index + 1;
            match step {
                Step::SendText(template) => {
                    let text = self.world.fill(template, &self.scope)?;
                    self.send(&mut socket, Message::text(text), number).await?;
                }
                Step::SendBinary(bytes) => {
                    self.send(&mut socket, Message::binary(bytes.clone()), number)
                        .await?
                }
                Step::Expect(wanted) => self.expect(&mut socket, wanted, number).await?,
                Step::Ping { within } => self.ping(&mut socket, *within, number).await?,
                Step::Close { code, within } => {
                    let frame = CloseFrame {
                        code: CloseCode::Normal,
                        reason: "".into(),
                    };
                    self.send(&mut socket, Message::Close(Some(frame)), number)
                        .await?;
                    self.closing(&mut socket, *code, *within, number).await?;
                }
                Step::ExpectClose { code, within } => {
                    self.closing(&mut socket, *code, *within, number).await?
                }
                Step::Reconnect => {
                    drop(socket);
                    let Some(again) = self.connect(probe).await? else {
                        return Ok(());
                    };
                    socket = again;
                }
            }
        }
        // A good-bye, so that the server does not log a broken connection; nobody waits for it.
        let _ = timeout_at(
            Instant::now() + Duration::from_millis(50),
            socket.close(None),
        )
        .await;
        Ok(())
    }

    /// Opens the socket. `None` where the wanted refusal came.
    async fn connect(&mut self, probe: &WebSocketProbe) -> Result<Option<Socket>, Stop> {
        let path = self.world.fill(&probe.path, &self.scope)?;
        let mut url = self.world.address(&path)?;
        let limits = Limits {
            ..self.world.limits(self.check)
        };
        let until = Instant::now() + limits.total;
        let (stream, connection, phases) = match self.world.client.open(&url, limits).await {
            Ok(open) => open,
            Err(failure) => {
                return Err(Stop::Failed(Box::new(
                    self.world.failed(&failure, self.check.severity),
                )));
            }
        };
        self.seen.phases = Phases {
            dns: phases.dns,
            tcp: phases.tcp,
            tls: phases.tls,
            ..Phases::default()
        };
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        // Only these two schemes occur, and they can take each other's place.
        let _ = url.set_scheme(scheme);
        let request = self.handshake(probe, &url)?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(self.world.max_body))
            .max_frame_size(Some(self.world.max_body));
        let sent = Instant::now();
        let shaken = timeout_at(
            until,
            tokio_tungstenite::client_async_with_config(request, stream, Some(config)),
        )
        .await;
        self.seen.phases.first_byte = Some(sent.elapsed());
        let remote = connection
            .remote
            .map_or_else(|| "the server".to_owned(), |remote| remote.to_string());
        match shaken {
            Err(_) => {
                self.world
                    .dead_tries
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                self.seen.worth_a_retry = true;
                let waited = show_duration(limits.total);
                Err(self.broken(
                    reason::TIMEOUT,
                    format!("{remote} did not answer the handshake within {waited}"),
                ))
            }
            Ok(Ok((socket, response))) => {
                self.world.lived();
                let status = response.status().as_u16();
                if probe.status != status {
                    let message = format!(
                        "the handshake was accepted, expected status {}",
                        probe.status
                    );
                    return Err(self.broken(reason::WS_REFUSED, message));
                }
                Ok(Some(socket))
            }
            Ok(Err(WsError::Http(response))) => {
                self.world.lived();
                let status = response.status().as_u16();
                self.seen.evidence.push(Evidence {
                    label: "status".to_owned(),
                    text: response.status().to_string(),
                });
                self.seen
                    .evidence
                    .extend(http::telling_headers(response.headers()));
                if let Some(body) = response.body().as_deref().filter(|body| !body.is_empty()) {
                    self.seen.evidence.push(Evidence {
                        label: "body".to_owned(),
                        text: judge::excerpt(body, http::EXCERPT),
                    });
                }
                if probe.status == status {
                    return Ok(None);
                }
                self.seen.worth_a_retry = judge::status_is_worth_a_retry(status);
                Err(self.broken(
                    reason::WS_REFUSED,
                    format!(
                        "the handshake was answered with status {status}, expected {}",
                        probe.status
                    ),
                ))
            }
            Ok(Err(error)) => Err(self.handshake_broke(&remote, &error)),
        }
    }

    fn handshake_broke(&mut self, remote: &str, error: &WsError) -> Stop {
        match error {
            WsError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                self.world
                    .dead_tries
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                self.seen.worth_a_retry = true;
                self.broken(
                    reason::RESET,
                    format!("{remote} reset the connection during the handshake"),
                )
            }
            WsError::Io(_) | WsError::ConnectionClosed => {
                self.world
                    .dead_tries
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                self.seen.worth_a_retry = true;
                self.broken(
                    reason::CLOSED,
                    format!("{remote} closed the connection during the handshake"),
                )
            }
            WsError::Protocol(
                tokio_tungstenite::tungstenite::error::ProtocolError::HandshakeIncomplete,
            ) => {
                self.seen.worth_a_retry = true;
                self.broken(
                    reason::CLOSED,
                    format!("{remote} closed the connection during the handshake"),
                )
            }
            other => {
                self.world.lived();
                self.broken(reason::WS_REFUSED, format!("the handshake failed: {other}"))
            }
        }
    }

    fn handshake(
        &self,
        probe: &WebSocketProbe,
        url: &url::Url,
    ) -> Result<tokio_tungstenite::tungstenite::handshake::client::Request, Stop> {
        let wrong =
            |what: String| Stop::from(judge::broken(Verdict::Inconclusive, reason::NOT_RUN, what));
        let mut request = url
            .as_str()
            .into_client_request()
            .map_err(|error| wrong(error.to_string()))?;
        let headers = request.headers_mut();
        let set = http::set;
        if let Some(host) = &self.world.client.config().host {
            set(headers, "host", host).map_err(wrong)?;
        }
        set(
            headers,
            "user-agent",
            &self.world.client.config().user_agent,
        )
        .map_err(wrong)?;
        set(headers, "x-smoke-test", &self.world.run_id).map_err(wrong)?;
        if !probe.subprotocols.is_empty() {
            set(
                headers,
                "sec-websocket-protocol",
                &probe.subprotocols.join(", "),
            )
            .map_err(wrong)?;
        }
        for (name, template) in &probe.headers {
            let value = self.world.fill(template, &self.scope)?;
            set(headers, name, &value).map_err(wrong)?;
        }
        for (name, value) in &self.world.secret_headers {
            headers.insert(name, value.clone());
        }
        Ok(request)
    }

    async fn send(
        &mut self,
        socket: &mut Socket,
        message: Message,
        step: usize,
    ) -> Result<(), Stop> {
        let until = Instant::now() + self.world.within(self.check.timeout);
        match timeout_at(until, socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.closed(&error, step)),
            Err(_) => Err(self.broken(
                reason::WS_SILENT,
                format!("step {step}: the server takes nothing in"),
            )),
        }
    }

    /// The next message of the other side, control frames aside.
    async fn next(
        &mut self,
        socket: &mut Socket,
        until: Instant,
        step: usize,
        waited_for: &str,
    ) -> Result<Message, Stop> {
        match timeout_at(until, socket.next()).await {
            Err(_) => {
                let skipped = match self.skipped.len() {
                    0 => "nothing came".to_owned(),
                    count => format!("{count} other messages came"),
                };
                Err(self.broken(
                    reason::WS_SILENT,
                    format!("step {step}: {waited_for} did not come in time, {skipped}"),
                ))
            }
            Ok(None) => Err(self.broken(
                reason::WS_CLOSED,
                format!("step {step}: the connection ended while waiting for {waited_for}"),
            )),
            Ok(Some(Err(error))) => Err(self.closed(&error, step)),
            Ok(Some(Ok(message))) => Ok(message),
        }
    }

    fn closed(&self, error: &WsError, step: usize) -> Stop {
        match error {
            WsError::Protocol(
                tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )
            | WsError::Io(_)
            | WsError::ConnectionClosed
            | WsError::AlreadyClosed => self.broken(
                reason::WS_CLOSED,
                format!("step {step}: the connection broke off without a close frame"),
            ),
            WsError::Capacity(error) => {
                self.broken(reason::TOO_LARGE, format!("step {step}: {error}"))
            }
            other => self.broken(
                reason::WS_PROTOCOL,
                format!("step {step}: what came is not the WebSocket protocol: {other}"),
            ),
        }
    }

    async fn expect(
        &mut self,
        socket: &mut Socket,
        wanted: &ExpectMessage,
        step: usize,
    ) -> Result<(), Stop> {
        let within = self.world.within(wanted.within);
        let until = Instant::now() + within;
        let what = format!("the message within {}", show_duration(within));
        let mut skipped = 0;
        loop {
            let message = self.next(socket, until, step, &what).await?;
            let bytes = match message {
                Message::Text(text) => text.as_bytes().to_vec(),
                Message::Binary(bytes) => bytes.to_vec(),
                Message::Close(frame) => return Err(self.closed_by(frame.as_ref(), step)),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            if self.fits(wanted, &bytes) {
                return self.take(wanted, &bytes, step);
            }
            self.skipped
                .push(judge::one_line(&String::from_utf8_lossy(&bytes)));
            skipped += 1;
            if skipped > wanted.skip {
                return Err(self.broken(reason::WS_SILENT, format!("step {step}: {skipped} messages came, and the wanted one was not among them")));
            }
        }
    }

    fn fits(&self, wanted: &ExpectMessage, bytes: &[u8]) -> bool {
        let now = Timestamp::now();
        let text = String::from_utf8_lossy(bytes);
        if wanted
            .matches
            .as_ref()
            .is_some_and(|regex| !regex.is_match(&text))
        {
            return false;
        }
        if wanted.json.is_empty() {
            return true;
        }
        let Ok(document) = serde_json::from_slice::<Value>(bytes) else {
            return false;
        };
        wanted.json.iter().all(|assertion| {
            let selected = assertion.path.query.query(&document).all();
            match (&assertion.demand, selected.is_empty()) {
                (crate::suite::model::Demand::Absent, nothing) => nothing,
                (_, true) => assertion.optional,
                (demand, false) => selected
                    .into_iter()
                    .all(|value| demand_holds(demand, value, &self.scope, now)),
            }
        })
    }

    fn take(&mut self, wanted: &ExpectMessage, bytes: &[u8], step: usize) -> Result<(), Stop> {
        for capture in &wanted.captures {
            match captured(capture, bytes) {
                Ok(value) => {
                    http::keep(
                        self.world,
                        &mut self.seen,
                        &capture.name,
                        value.clone(),
                        capture.secret,
                    );
                    self.scope.insert(capture.name.clone(), value);
                }
                Err(why) => {
                    return Err(self.broken(
                        reason::CAPTURE,
                        format!(
                            "step {step}: nothing to capture as `{}`: {why}",
                            capture.name
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    async fn ping(
        &mut self,
        socket: &mut Socket,
        within: Duration,
        step: usize,
    ) -> Result<(), Stop> {
        let payload = self.world.run_id.as_bytes().to_vec();
        self.send(socket, Message::Ping(payload.clone().into()), step)
            .await?;
        let within = self.world.within(within);
        let until = Instant::now() + within;
        let what = format!("the pong within {}", show_duration(within));
        loop {
            match self.next(socket, until, step, &what).await? {
                Message::Pong(echo) if echo == payload => return Ok(()),
                Message::Close(frame) => return Err(self.closed_by(frame.as_ref(), step)),
                Message::Text(text) => self.skipped.push(judge::one_line(&text)),
                _ => {}
            }
        }
    }

    async fn closing(
        &mut self,
        socket: &mut Socket,
        code: Option<u16>,
        within: Duration,
        step: usize,
    ) -> Result<(), Stop> {
        let within = self.world.within(within);
        let until = Instant::now() + within;
        let what = format!("the close within {}", show_duration(within));
        loop {
            if let Message::Close(frame) = self.next(socket, until, step, &what).await? {
                let came = frame.as_ref().map(|frame| u16::from(frame.code));
                if code.is_none() || code == came {
                    return Ok(());
                }
                let came = came.map_or_else(|| "none".to_owned(), |code| code.to_string());
                let wanted = code.unwrap_or_default();
                return Err(self.broken(
                    reason::WS_WRONG_CLOSE,
                    format!("step {step}: closed with code {came}, expected {wanted}"),
                ));
            }
        }
    }

    fn closed_by(&self, frame: Option<&CloseFrame>, step: usize) -> Stop {
        let how = match frame {
            Some(frame) if frame.reason.is_empty() => {
                format!("with code {}", u16::from(frame.code))
            }
            Some(frame) => format!(
                "with code {}: {}",
                u16::from(frame.code),
                judge::one_line(&frame.reason)
            ),
            None => "without a code".to_owned(),
        };
        self.broken(
            reason::WS_CLOSED,
            format!("step {step}: the server closed the connection {how}"),
        )
    }
}

fn captured(capture: &Capture, bytes: &[u8]) -> Result<String, String> {
    match &capture.from {
        CaptureSource::Json(path) => {
            let document: Value = serde_json::from_slice(bytes)
                .map_err(|error| format!("the message is no JSON: {error}"))?;
            json_capture(path, &document)
        }
        CaptureSource::Regex(regex) => {
            let text = String::from_utf8_lossy(bytes);
            let found = regex
                .captures(&text)
                .ok_or_else(|| format!("nothing matches `{regex}`"))?;
            Ok(found
                .get(1)
                .or(found.get(0))
                .map_or_else(String::new, |group| group.as_str().to_owned()))
        }
        CaptureSource::Header(_) | CaptureSource::Status => {
            Err("a message has neither headers nor status".to_owned())
        }
    }
}
