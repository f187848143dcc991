//! The WebSocket channels: `/ws` answers a subscription and broadcasts, `/ws/signals` shakes hands and
//! confirms.

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
use crate::server::{Conn, Incoming};
use crate::sim::World;

/// The real service broadcasts so often.
const BROADCAST: Duration = Duration::from_secs(30);

/// Takes a connection over after an upgrade request.
///
/// # Errors
/// The client left.
pub async fn upgrade(
    mut conn: Conn,
    leftover: Vec<u8>,
    request: &Incoming,
    world: &World,
    faults: &[Kind],
) -> std::io::Result<()> {
    let refused = faults.iter().find_map(|kind| match kind {
        Kind::WsRefused { status } | Kind::Status { status, .. } => Some(*status),
        _ => None,
    });
    let known = matches!(request.path.as_str(), "/ws" | "/ws/signals");
    if let Some(status) = refused.or((!known).then_some(403)) {
        world.served("WS", &request.path, status, Duration::ZERO);
        let answer = format!("HTTP/1.1 {status} Refused\r\ncontent-length: 0\r\n\r\n");
        return conn.write_all(answer.as_bytes()).await;
    }
    let Some(key) = request.header("sec-websocket-key") else {
        return conn
            .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            .await;
    };
    if faults.contains(&Kind::Drop) {
        return Ok(());
    }
    if faults.contains(&Kind::Silent) {
        std::future::pending::<()>().await;
    }
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
    conn.write_all(answer.as_bytes()).await?;
    world.served("WS", &request.path, 101, Duration::ZERO);
    if faults.contains(&Kind::WsGarbage) {
        conn.write_all(&[0xff; 64]).await?;
        return conn.shutdown().await;
    }
    if faults.contains(&Kind::WsSilent) {
        // Not even a pong: the bytes are read and lie there.
        std::future::pending::<()>().await;
    }
    let socket = WebSocketStream::from_partially_read(conn, leftover, Role::Server, None).await;
    talk(socket, &request.path, world, faults).await;
    Ok(())
}

async fn talk(mut socket: WebSocketStream<Conn>, path: &str, world: &World, faults: &[Kind]) {
    let mut broadcast = interval_at(Instant::now() + BROADCAST, BROADCAST);
    loop {
        let message = tokio::select! {
            _ = broadcast.tick(), if path == "/ws" => {
                let text = json!({"type": "signal_update", "data": []}).to_string();
                if socket.send(Message::text(text)).await.is_err() {
                    return;
                }
                continue;
            }
            message = socket.next() => message,
        };
        // Pings are answered by the library, and flushed with the next read.
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_))) | None | Some(Err(_)) => {
                let _ = socket.flush().await;
                return;
            }
            Some(Ok(_)) => {
                let _ = socket.flush().await;
                continue;
            }
        };
        for kind in faults {
            match kind {
                Kind::WsClosed { code } => {
                    let frame = CloseFrame {
                        code: CloseCode::from(*code),
                        reason: "simulated".into(),
                    };
                    let _ = socket.close(Some(frame)).await;
                    return;
                }
                Kind::WsDropped => return,
                Kind::WsLate { millis } => sleep(Duration::from_millis(*millis)).await,
                _ => {}
            }
        }
        let asked: Value = serde_json::from_str(&text).unwrap_or_default();
        let Some(answer) = answer(path, &asked, &world.version_of(0), faults) else {
            continue;
        };
        if socket
            .send(Message::text(answer.to_string()))
            .await
            .is_err()
        {
            return;
        }
    }
}

fn answer(path: &str, asked: &Value, version: &str, faults: &[Kind]) -> Option<Value> {
    let word = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default();
    if let Some(Kind::ErrorBody { message }) = faults
        .iter()
        .find(|kind| matches!(kind, Kind::ErrorBody { .. }))
    {
        return Some(json!({"type": "error", "message": message}));
    }
    match (path, word("type"), word("action")) {
        ("/ws", "subscribe", _) => {
            Some(json!({"type": "subscribed", "channels": asked.get("channels")}))
        }
        ("/ws/signals", "system", "handshake") => {
            Some(json!({"type": "system", "action": "handshake_response", "version": version}))
        }
        ("/ws/signals", "subscribe", _) => Some(
            json!({"type": "subscription", "action": "confirmed", "topic": asked.get("topic")}),
        ),
        _ => None,
    }
}
