//! The WebSocket channels: `/ws` answers a subscription and broadcasts, `/ws/signals` shakes hands and
//! confirms.

use std::io;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, interval_at, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use crate::plan::Kind;
use crate::server::Conn;
use crate::world::{Turn, World};

/// The real service broadcasts so often.
const BROADCAST: Duration = Duration::from_secs(30);

/// A request for a WebSocket that is to be granted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening<'a> {
    /// The channel's path.
    pub channel: &'static str,
    /// `sec-websocket-key`.
    pub key: &'a str,
}

/// Opens a WebSocket and talks until one side has enough. `leftover` was read already.
pub(crate) async fn converse(
    mut conn: Conn,
    leftover: Vec<u8>,
    opening: Opening<'_>,
    turn: &Turn,
    world: &World,
    faults: &[Kind],
) -> io::Result<()> {
    let accept = derive_accept_key(opening.key.as_bytes());
    let (id, version) = (world.next_request_id(), &turn.version);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {accept}\r\nx-request-id: {id}\r\nx-version: {version}\r\n\r\n"
    );
    conn.write_all(answer.as_bytes()).await?;
    conn.flush().await?;
    world.handshake(opening.channel, 101);
    if faults.contains(&Kind::WsGarbage) {
        // All reserved bits and an unknown opcode.
        conn.write_all(&[0xff; 64]).await?;
        conn.flush().await?;
        return conn.until_closed().await;
    }
    if faults.contains(&Kind::WsSilent) {
        return conn.until_closed().await;
    }
    let socket = WebSocketStream::from_partially_read(conn, leftover, Role::Server, None).await;
    talk(socket, opening.channel, turn, world, faults).await;
    Ok(())
}

async fn talk(
    mut socket: WebSocketStream<Conn>,
    channel: &str,
    turn: &Turn,
    world: &World,
    faults: &[Kind],
) {
    let mut broadcast = interval_at(Instant::now() + BROADCAST, BROADCAST);
    loop {
        let message = tokio::select! {
            _ = broadcast.tick(), if channel == "/ws" => Some(Message::text(json!({"type": "signal_update", "data": []}).to_string())),
            received = socket.next() => match received {
                Some(Ok(Message::Text(text))) => {
                    if let Some(wrong) = faults.iter().find(|kind| matches!(kind, Kind::WsClosed { .. } | Kind::WsDropped)) {
                        return end(socket, wrong).await;
                    }
                    for kind in faults {
                        if let Kind::WsLate { millis } = kind {
                            sleep(Duration::from_millis(*millis)).await;
                        }
                    }
                    Some(Message::text(reply(channel, &text, &turn.version, faults)))
                }
                // A ping has been answered by the library, and so has a close: both wait to be flushed.
                Some(Ok(_)) => None,
                None | Some(Err(_)) => return,
            },
        };
        world.while_stalled().await;
        let sent = match message {
            Some(message) => socket.send(message).await,
            None => socket.flush().await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Ends a conversation as a fault says.
async fn end(mut socket: WebSocketStream<Conn>, wrong: &Kind) {
    let Kind::WsClosed { code } = wrong else {
        return;
    };
    let frame = CloseFrame {
        code: CloseCode::from(*code),
        reason: "simulated".into(),
    };
    if socket.close(Some(frame)).await.is_ok() {
        // Until the client has said goodbye too.
        while let Some(Ok(_)) = socket.next().await {}
    }
}

/// The answer to a message.
fn reply(channel: &str, message: &str, version: &str, faults: &[Kind]) -> String {
    for kind in faults {
        match kind {
            Kind::WsNotJson => return "<p>not what you expect".to_owned(),
            Kind::ErrorBody { message } => {
                return json!({"type": "error", "message": message}).to_string();
            }
            _ => {}
        }
    }
    let asked: Value = serde_json::from_str(message).unwrap_or_default();
    let word = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default();
    let answer = match (channel, word("type"), word("action")) {
        ("/ws", "subscribe", _) => json!({"type": "subscribed", "channels": asked["channels"]}),
        ("/ws/signals", "system", "handshake") => {
            json!({"type": "system", "action": "handshake_response", "version": version})
        }
        ("/ws/signals", "subscribe", _) => {
            json!({"type": "subscription", "action": "confirmed", "topic": asked["topic"]})
        }
        _ => json!({"type": "error", "message": "not understood"}),
    };
    answer.to_string()
}
