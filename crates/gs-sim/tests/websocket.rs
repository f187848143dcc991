//! The WebSocket channels, healthy and broken, seen by a real client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::time::{Duration, Instant};

use common::{PATIENCE, broken, healthy};
use futures_util::{SinkExt as _, StreamExt as _};
use gs_sim::{Fault, Kind, Plan, Sim};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

type Socket = WebSocketStream<TcpStream>;

/// Runs a client's side of a conversation.
fn talk<T>(conversation: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { timeout(PATIENCE, conversation).await.unwrap() })
}

async fn open(sim: &Sim, path: &str) -> Result<Socket, Error> {
    let tcp = TcpStream::connect(sim.address()).await.unwrap();
    client_async(sim.ws_url(path), tcp)
        .await
        .map(|(socket, _)| socket)
}

async fn ask(socket: &mut Socket, message: Value) -> Message {
    socket
        .send(Message::text(message.to_string()))
        .await
        .unwrap();
    socket.next().await.unwrap().unwrap()
}

fn json_of(message: &Message) -> Value {
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

fn subscribe() -> Value {
    json!({"type": "subscribe", "channels": ["signals"]})
}

/// The status with which an upgrade is refused.
fn refusal(sim: &Sim, path: &str) -> u16 {
    match talk(open(sim, path)) {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_channels_answer_as_promised() {
    let sim = healthy();
    talk(async {
        let mut socket = open(&sim, "/ws").await.unwrap();
        let answer = json_of(&ask(&mut socket, subscribe()).await);
        assert_eq!(answer["channels"], json!(["signals"]));

        let mut socket = open(&sim, "/ws/signals").await.unwrap();
        let answer = json_of(
            &ask(
                &mut socket,
                json!({"type": "system", "action": "handshake"}),
            )
            .await,
        );
        assert_eq!(
            (&answer["action"], &answer["version"]),
            (&"handshake_response".into(), &"2.0.0".into())
        );
        let answer = json_of(&ask(&mut socket, json!({"type": "subscribe", "topic": "T"})).await);
        assert_eq!(
            (&answer["type"], &answer["action"], &answer["topic"]),
            (&"subscription".into(), &"confirmed".into(), &"T".into())
        );
    });
    assert_eq!(
        (
            sim.count_once("WS", "/ws", 1),
            sim.count_once("WS", "/ws/signals", 1)
        ),
        (1, 1)
    );
    // A conversation is no request.
    assert_eq!(sim.world().total_served(), 0);
}

#[test]
fn pings_and_closes_are_answered() {
    let sim = healthy();
    talk(async {
        let mut socket = open(&sim, "/ws").await.unwrap();
        socket
            .send(Message::Ping("still there?".into()))
            .await
            .unwrap();
        assert_eq!(
            socket.next().await.unwrap().unwrap(),
            Message::Pong("still there?".into())
        );
        socket.close(None).await.unwrap();
        assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
        assert!(socket.next().await.is_none());
    });
}

#[test]
fn unknown_channels_are_refused() {
    let sim = healthy();
    assert_eq!(refusal(&sim, "/ws/v2/signals/SPY"), 403);
    assert_eq!(sim.count_once("WS", "unmatched", 1), 1);
}

#[test]
fn an_upgrade_can_be_refused_in_two_ways() {
    assert_eq!(
        refusal(&broken(Kind::WsRefused { status: 401 }), "/ws"),
        401
    );
    assert_eq!(refusal(&broken(Kind::status(503)), "/ws"), 503);
}

#[test]
fn connections_break_under_an_upgrade_too() {
    for kind in [Kind::Drop, Kind::Reset, Kind::Malformed] {
        let sim = broken(kind.clone());
        assert!(
            !matches!(talk(open(&sim, "/ws")), Ok(_) | Err(Error::Http(_))),
            "{kind:?}"
        );
    }
}

#[test]
fn a_silent_channel_opens_and_says_nothing_at_all() {
    let sim = broken(Kind::WsSilent);
    talk(async {
        let mut socket = open(&sim, "/ws").await.unwrap();
        socket.send(Message::Ping("x".into())).await.unwrap();
        socket
            .send(Message::text(subscribe().to_string()))
            .await
            .unwrap();
        assert!(
            timeout(Duration::from_millis(200), socket.next())
                .await
                .is_err()
        );
    });
}

#[test]
fn a_late_channel_answers_late() {
    let sim = broken(Kind::WsLate { millis: 150 });
    talk(async {
        let mut socket = open(&sim, "/ws").await.unwrap();
        let began = Instant::now();
        ask(&mut socket, subscribe()).await;
        assert!(
            began.elapsed() >= Duration::from_millis(150),
            "{:?}",
            began.elapsed()
        );
    });
}

#[test]
fn a_channel_is_closed_with_its_code() {
    let sim = broken(Kind::WsClosed { code: 1011 });
    talk(async {
        let mut socket = open(&sim, "/ws").await.unwrap();
        let Message::Close(Some(frame)) = ask(&mut socket, subscribe()).await else {
            panic!("no close frame")
        };
        assert_eq!(u16::from(frame.code), 1011);
    });
}

#[test]
fn a_channel_breaks_off_without_a_close_frame() {
    let sim = broken(Kind::WsDropped);
    talk(async {
        let mut socket = open(&sim, "/ws").await.unwrap();
        socket
            .send(Message::text(subscribe().to_string()))
            .await
            .unwrap();
        assert!(matches!(socket.next().await, Some(Err(_))));
    });
}

#[test]
fn garbage_is_no_frame() {
    let sim = broken(Kind::WsGarbage);
    talk(async {
        let mut socket = open(&sim, "/ws").await.unwrap();
        assert!(matches!(socket.next().await, Some(Err(Error::Protocol(_)))));
    });
}

#[test]
fn answers_can_be_wrong() {
    let answer = |kind: Kind| {
        let sim = broken(kind);
        talk(async { ask(&mut open(&sim, "/ws").await.unwrap(), subscribe()).await })
    };
    assert!(serde_json::from_str::<Value>(answer(Kind::WsNotJson).to_text().unwrap()).is_err());
    assert_eq!(json_of(&answer(Kind::error_body()))["type"], "error");
}

#[test]
fn the_handshake_tells_the_version_of_its_pod() {
    let version = |plan: &Plan| {
        let sim = Sim::start(plan).unwrap();
        let ask = async |sim: &Sim| {
            let mut socket = open(sim, "/ws/signals").await.unwrap();
            json_of(
                &ask(
                    &mut socket,
                    json!({"type": "system", "action": "handshake"}),
                )
                .await,
            )["version"]
                .clone()
        };
        talk(async { [ask(&sim).await, ask(&sim).await] })
    };
    assert_eq!(
        version(&Plan::with_pods(&["1.0.0", "2.0.0"])),
        ["1.0.0", "2.0.0"]
    );
    let old = Plan::with_faults([Fault::new(Kind::Version {
        version: "0.9.0".into(),
    })
    .every(2)]);
    assert_eq!(version(&old), ["2.0.0", "0.9.0"]);
}

#[test]
fn a_fault_of_http_leaves_the_channels_alone() {
    let sim = broken(Kind::Truncated);
    talk(async { ask(&mut open(&sim, "/ws").await.unwrap(), subscribe()).await });
}
