//! Users that hold a WebSocket: open, subscribe, await, ping, listen, open again.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use gs_common::http::Stream;
use http::HeaderValue;
use serde_json::Value;
use tokio::time::timeout_at;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::recorder::{Done, Failed, Open};
use super::sender::{Broken, Guard};
use super::user::{User, failed};
use super::world::World;
use crate::persona::WebSocket;
use crate::persona::path::Path;
use crate::persona::template::Draw;
use crate::result::{ErrorKind, micros};

/// Messages are at most so large.
const LARGEST_MESSAGE: usize = 8 << 20;

/// A goodbye is answered within this, or not waited for.
const GOODBYE: Duration = Duration::from_secs(1);

/// A WebSocket that a user holds.
#[derive(Debug)]
pub(crate) struct Held {
    socket: WebSocketStream<Stream>,
    _guard: Guard,
    opened: Instant,
    last_message: Instant,
    last_ping: Instant,
    /// The silence that began with the last message was counted already.
    in_gap: bool,
}

/// What opening came to.
enum Opening {
    Open(Box<Held>, Duration),
    Failed(Done),
}

/// Lets a user hold its channel until the end of a slice of time.
pub(crate) async fn hold(world: &World, user: &mut User, channel: &WebSocket, slice: Instant) {
    let Some(mut held) = user.held.take() else {
        if user.next > Instant::now() {
            let until = user.next.min(slice);
            if !world.sleep_until(until).await || until < user.next {
                return;
            }
        }
        return enter(world, user, channel).await;
    };
    match listen(world, user, channel, &mut held, slice).await {
        Listened::On => user.held = Some(held),
        Listened::Over => {
            let _ = timeout_at((Instant::now() + GOODBYE).into(), held.socket.close(None)).await;
            user.next = Instant::now() + channel.reconnect;
        }
        Listened::Dropped(why) => {
            dropped(world, user, channel, why);
            user.next = Instant::now() + channel.reconnect;
        }
    }
}

enum Listened {
    On,
    Over,
    Dropped(String),
}

async fn listen(
    world: &World,
    user: &User,
    channel: &WebSocket,
    held: &mut Held,
    slice: Instant,
) -> Listened {
    loop {
        let now = Instant::now();
        if channel
            .hold
            .is_some_and(|hold| now.duration_since(held.opened) >= hold)
        {
            return Listened::Over;
        }
        if let Some(every) = channel.ping
            && now.duration_since(held.last_ping) >= every
        {
            held.last_ping = now;
            if let Err(error) = held.socket.send(Message::Ping(Vec::new().into())).await {
                return Listened::Dropped(format!("a ping could not be sent: {error}"));
            }
        }
        let silence = now.duration_since(held.last_message);
        if let Some(most) = channel.max_silence
            && silence > most
        {
            let mut recorder = world.recorder(user.number);
            let record = recorder.channel(user.persona, channel.endpoint);
            if !held.in_gap {
                record.gaps += 1;
            }
            record.longest_gap = record.longest_gap.max(silence);
            held.in_gap = true;
        }
        let mut wake = slice;
        if let Some(every) = channel.ping {
            wake = wake.min(held.last_ping + every);
        }
        if let Some(hold) = channel.hold {
            wake = wake.min(held.opened + hold);
        }
        tokio::select! {
            message = held.socket.next() => match message {
                Some(Ok(message)) => {
                    if let Some(why) = took(world, user, channel, held, &message) {
                        return Listened::Dropped(why);
                    }
                }
                Some(Err(error)) => return Listened::Dropped(error.to_string()),
                None => return Listened::Dropped("the connection ended".to_owned()),
            },
            awake = world.sleep_until(wake) => {
                if !awake || Instant::now() >= slice {
                    return Listened::On;
                }
            }
        }
    }
}

/// Counts a message; the reason why the channel is over, if it is.
fn took(
    world: &World,
    user: &User,
    channel: &WebSocket,
    held: &mut Held,
    message: &Message,
) -> Option<String> {
    let now = Instant::now();
    match message {
        Message::Text(_) | Message::Binary(_) => {}
        Message::Close(frame) => {
            let code = frame.as_ref().map_or_else(
                || "without a code".to_owned(),
                |frame| format!("with {}", frame.code),
            );
            return Some(format!("the server closed it {code}"));
        }
        _ => return None,
    }
    let mut recorder = world.recorder(user.number);
    let record = recorder.channel(user.persona, channel.endpoint);
    record.messages += 1;
    record.longest_gap = record
        .longest_gap
        .max(now.duration_since(held.last_message));
    held.last_message = now;
    held.in_gap = false;
    if let Some(age) = channel.time.as_ref().and_then(|path| age_of(path, message)) {
        record.latency.saturating_record(micros(age));
    }
    None
}

/// How old a message is by its own time: RFC 3339, or seconds or milliseconds since 1970.
fn age_of(path: &Path, message: &Message) -> Option<Duration> {
    let stamp = match path.find(message.to_text().ok()?).ok()?? {
        Value::String(text) => text.parse::<jiff::Timestamp>().ok()?,
        Value::Number(number) => {
            let number = number.as_f64()?;
            // Seconds reach this number in the year 5138, milliseconds did in 1973.
            let seconds = if number > 1e11 { number / 1e3 } else { number };
            jiff::Timestamp::from_nanosecond((seconds * 1e9) as i128).ok()?
        }
        _ => return None,
    };
    let age = jiff::Timestamp::now().duration_since(stamp);
    // A clock that is ahead of ours makes a message younger than nothing.
    Some(age.try_into().unwrap_or(Duration::ZERO))
}

fn dropped(world: &World, user: &User, channel: &WebSocket, why: String) {
    let now = Instant::now();
    let trace = world.trace();
    let mut recorder = world.recorder(user.number);
    recorder.channel(user.persona, channel.endpoint).drops += 1;
    let key = recorder.begin(Open {
        persona: user.persona,
        endpoint: channel.endpoint,
        due: now,
        trace,
    });
    recorder.end(key, failed(ErrorKind::WsClosed, why, "WS", &[]));
}

/// Opens the channel, and records that as one request.
async fn enter(world: &World, user: &mut User, channel: &WebSocket) {
    let due = Instant::now();
    let key = {
        let trace = world.trace();
        let mut recorder = world.recorder(user.number);
        recorder.channel(user.persona, channel.endpoint).attempts += 1;
        recorder.begin(Open {
            persona: user.persona,
            endpoint: channel.endpoint,
            due,
            trace,
        })
    };
    let opening = open(world, user, channel).await;
    let mut recorder = world.recorder(user.number);
    let record = recorder.channel(user.persona, channel.endpoint);
    match opening {
        Opening::Open(held, latency) => {
            record.opened += 1;
            record
                .connect
                .saturating_record(micros(held.opened.saturating_duration_since(due)));
            if !channel.expect.json.is_empty() {
                record.messages += 1;
                record.latency.saturating_record(micros(latency));
            }
            let done = Done {
                sent: Some(due),
                ended: held.last_message,
                first_byte: None,
                connect: None,
                status: Some(101),
                body_bytes: 0,
                checks: (!channel.expect.json.is_empty()).then_some(true),
                error: None,
            };
            recorder.end(key, done);
            drop(recorder);
            user.held = Some(held);
        }
        Opening::Failed(done) => {
            recorder.end(key, done);
            drop(recorder);
            user.next = Instant::now() + channel.reconnect;
        }
    }
}

async fn open(world: &World, user: &mut User, channel: &WebSocket) -> Opening {
    let mut draw = Draw {
        random: &mut user.random,
        user: user.number,
        saved: &user.saved,
    };
    let fail = |kind, why: String| Opening::Failed(failed(kind, why, "WS", &[]));
    let mut target = String::new();
    let mut messages = Vec::new();
    let mut headers = Vec::new();
    let filled = (|| {
        channel.target.fill(&mut draw, &mut target)?;
        for template in &channel.send {
            let mut text = String::new();
            template.fill(&mut draw, &mut text)?;
            messages.push(text);
        }
        for (name, template) in &channel.headers {
            let mut text = String::new();
            template.fill(&mut draw, &mut text)?;
            headers.push((name.clone(), text));
        }
        Ok::<_, crate::persona::template::Missing>(())
    })();
    if filled.is_err() {
        return fail(
            ErrorKind::Unset,
            "an earlier step did not give a value".to_owned(),
        );
    }
    let until = Instant::now() + world.plan.timeout;
    let (stream, guard, _) = match world.dialer.stream().await {
        Ok(open) => open,
        Err(Broken { kind, message }) => return fail(kind, message),
    };
    let scheme = match world.origin.scheme_str() {
        Some("https") => "wss",
        _ => "ws",
    };
    let authority = world
        .origin
        .authority()
        .map_or("", |authority| authority.as_str());
    let url = format!("{scheme}://{authority}{target}");
    let mut request = match url.as_str().into_client_request() {
        Ok(request) => request,
        Err(error) => return fail(ErrorKind::WsRefused, error.to_string()),
    };
    let standing = world
        .headers
        .iter()
        .filter(|(name, _)| *name != http::header::HOST);
    for (name, value) in standing {
        request.headers_mut().insert(name.clone(), value.clone());
    }
    for (name, text) in headers {
        match HeaderValue::try_from(text) {
            Ok(value) => drop(request.headers_mut().insert(name, value)),
            Err(_) => {
                return fail(
                    ErrorKind::Unset,
                    format!("the value of `{name}` has a character that a header cannot hold"),
                );
            }
        }
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    let shaken = timeout_at(
        until.into(),
        client_async_with_config(request, stream, Some(config)),
    )
    .await;
    let mut socket = match shaken {
        Err(_) => {
            return fail(
                ErrorKind::WsRefused,
                "the upgrade got no answer in time".to_owned(),
            );
        }
        Ok(Err(tungstenite::Error::Http(response))) => {
            return Opening::Failed(Done {
                status: Some(response.status().as_u16()),
                ..failed(
                    ErrorKind::WsRefused,
                    format!("the upgrade was refused with status {}", response.status()),
                    "WS",
                    &[],
                )
            });
        }
        Ok(Err(error)) => return fail(ErrorKind::WsRefused, error.to_string()),
        Ok(Ok((socket, _))) => socket,
    };
    let opened = Instant::now();
    for text in messages {
        if let Err(error) = socket.send(Message::text(text)).await {
            return fail(ErrorKind::WsClosed, error.to_string());
        }
    }
    let asked = Instant::now();
    if !channel.expect.json.is_empty()
        && let Err(failure) = awaited(&mut socket, channel, asked).await
    {
        return Opening::Failed(Done {
            status: Some(101),
            error: Some(failure),
            ..failed(ErrorKind::WsSilent, String::new(), "WS", &[])
        });
    }
    let now = Instant::now();
    Opening::Open(
        Box::new(Held {
            socket,
            _guard: guard,
            opened,
            last_message: now,
            last_ping: now,
            in_gap: false,
        }),
        now.duration_since(asked),
    )
}

/// Waits for the message that answers the last send.
async fn awaited(
    socket: &mut WebSocketStream<Stream>,
    channel: &WebSocket,
    asked: Instant,
) -> Result<(), Failed> {
    let fail = |kind, message: String, body: Vec<u8>| Failed {
        kind,
        message,
        request: "WS".to_owned(),
        body,
    };
    let within = gs_common::units::show_duration(channel.within);
    let mut last: Option<(String, Vec<u8>)> = None;
    loop {
        match timeout_at((asked + channel.within).into(), socket.next()).await {
            Err(_) => {
                let (why, body) = last
                    .unwrap_or_else(|| (format!("no message came within {within}"), Vec::new()));
                return Err(fail(ErrorKind::WsSilent, why, body));
            }
            Ok(None) => {
                return Err(fail(
                    ErrorKind::WsClosed,
                    "the connection ended".to_owned(),
                    Vec::new(),
                ));
            }
            Ok(Some(Err(error))) => {
                return Err(fail(ErrorKind::WsClosed, error.to_string(), Vec::new()));
            }
            Ok(Some(Ok(Message::Close(_)))) => {
                return Err(fail(
                    ErrorKind::WsClosed,
                    "the server closed it before it answered".to_owned(),
                    Vec::new(),
                ));
            }
            Ok(Some(Ok(message))) if message.is_text() || message.is_binary() => {
                let bytes = message.into_data();
                let outcome = match serde_json::from_slice::<Value>(&bytes) {
                    Ok(value) => channel.expect.value(&value),
                    Err(error) => Err(format!("the message is no JSON: {error}")),
                };
                match outcome {
                    Ok(()) => return Ok(()),
                    Err(why) => {
                        let start = bytes[..bytes.len().min(2048)].to_vec();
                        last = Some((
                            format!("not the awaited message within {within}: {why}"),
                            start,
                        ));
                    }
                }
            }
            Ok(Some(Ok(_))) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_its_age() {
        let path = Path::parse("$.t").unwrap();
        let age = |text: &str| age_of(&path, &Message::text(text.to_owned()));
        let now = jiff::Timestamp::now();
        let second = Duration::from_secs(1);
        let near = |age: Option<Duration>| {
            let age = age.unwrap();
            assert!(age >= second && age < 10 * second, "{age:?}");
        };
        let before = now.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap();
        near(age(&format!(r#"{{"t": "{before}"}}"#)));
        near(age(&format!(r#"{{"t": {}}}"#, before.as_millisecond())));
        near(age(&format!(
            r#"{{"t": {:.3}}}"#,
            before.as_millisecond() as f64 / 1e3
        )));
        assert_eq!(age(r#"{"t": "soon"}"#), None);
        assert_eq!(age("no"), None);
        assert_eq!(
            age(r#"{"t": 95617584000}"#),
            Some(Duration::ZERO),
            "a clock ahead"
        );
    }
}
