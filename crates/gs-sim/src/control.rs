//! Orders at run time: a small JSON API on a listener of its own, on the loopback.
//!
//! `GET|PUT|DELETE /faults`, `GET|PUT /pods`, `GET /served`. A stall does not touch it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::plan::{Pod, check_pods};
use crate::server::{Refusal, Request, parse};
use crate::world::World;

/// An order takes at most so long.
const LONGEST: Duration = Duration::from_secs(5);

/// Takes orders until its task is dropped.
pub(crate) async fn serve(listener: TcpListener, world: Arc<World>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let world = Arc::clone(&world);
        // A client that leaves or dawdles gets no answer.
        tokio::spawn(async move { drop(timeout(LONGEST, order(stream, &world)).await) });
    }
}

async fn order(mut stream: TcpStream, world: &World) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4096);
    let (status, answer) = loop {
        match parse(&bytes) {
            Ok(Some((request, _))) => {
                break obey(world, &request)
                    .unwrap_or_else(|(status, why)| (status, json!({"error": why})));
            }
            Err(Refusal(status, why)) => break (status, json!({"error": why})),
            Ok(None) if stream.read_buf(&mut bytes).await? == 0 => return Ok(()),
            Ok(None) => {}
        }
    };
    let text = format!("{answer:#}\n");
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    let message = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(message.as_bytes()).await?;
    stream.shutdown().await
}

fn obey(world: &World, request: &Request) -> Result<(u16, Value), (u16, String)> {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/faults" | "/pods") => {}
        ("PUT", "/faults") => world.set_faults(read(&request.body)?),
        ("DELETE", "/faults") => world.set_faults(Vec::new()),
        ("PUT", "/pods") => {
            let pods: Vec<Pod> = read(&request.body)?;
            check_pods(&pods).map_err(|why| (400, why))?;
            world.set_pods(pods);
        }
        ("GET", "/served") => {
            return Ok((
                200,
                json!({"total": world.total_served(), "routes": world.served_list()}),
            ));
        }
        _ => {
            let known = "there are GET, PUT and DELETE /faults, GET and PUT /pods, GET /served";
            return Err((404, known.to_owned()));
        }
    }
    let list = if request.path == "/pods" {
        json!(world.pods())
    } else {
        json!(world.faults())
    };
    Ok((200, list))
}

/// Reads a JSON list; whatever makes no sense in it is refused on the way.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, (u16, String)> {
    serde_json::from_slice(body).map_err(|error| (400, format!("no list to take: {error}")))
}
