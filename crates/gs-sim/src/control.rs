//! Orders at run time: a small JSON API on a listener of its own, on the loopback.
//!
//! `GET|PUT|DELETE /faults`, `GET|PUT /pods`, `GET /served`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::plan::{Fault, Pod, check_fault, unknown_members};
use crate::sim::World;

/// An order is at most so large, and takes at most so long.
const LARGEST: usize = 1 << 20;
const LONGEST: Duration = Duration::from_secs(5);

/// Takes orders until its task is dropped.
pub async fn serve(listener: TcpListener, world: Arc<World>) {
    while let Ok((stream, _)) = listener.accept().await {
        let world = Arc::clone(&world);
        tokio::spawn(async move { drop(timeout(LONGEST, order(stream, &world)).await) });
    }
}

async fn order(mut stream: TcpStream, world: &World) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let (method, path, body) = loop {
        if stream.read_buf(&mut bytes).await? == 0 || bytes.len() > LARGEST {
            return Ok(());
        }
        let mut headers = [httparse::EMPTY_HEADER; 50];
        let mut head = httparse::Request::new(&mut headers);
        let Ok(status) = head.parse(&bytes) else {
            return Ok(());
        };
        let httparse::Status::Complete(start) = status else {
            continue;
        };
        let length = head
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("content-length"))
            .and_then(|header| {
                std::str::from_utf8(header.value)
                    .ok()?
                    .parse::<usize>()
                    .ok()
            })
            .unwrap_or(0);
        if bytes.len() >= start + length {
            let (method, path) = (
                head.method.unwrap_or_default().to_owned(),
                head.path.unwrap_or_default().to_owned(),
            );
            break (method, path, bytes[start..start + length].to_vec());
        }
    };
    let (status, answer) = obey(world, &method, &path, &body);
    let text = format!("{answer:#}\n");
    let message = format!(
        "HTTP/1.1 {status} Simulated\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(message.as_bytes()).await?;
    stream.shutdown().await
}

fn obey(world: &World, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
    let wrong = |why: String| (400, json!({"error": why}));
    match (method, path) {
        ("GET", "/faults") => (200, json!(world.faults())),
        ("DELETE", "/faults") => {
            world.set_faults(Vec::new());
            (200, json!([]))
        }
        ("PUT", "/faults") => {
            match serde_json::from_slice::<Vec<Fault>>(body) {
                Err(error) => wrong(error.to_string()),
                Ok(faults) => match faults.iter().try_for_each(check_fault).and_then(|()| {
                    unknown_members(&faults, serde_json::from_slice(body).ok().as_ref())
                }) {
                    Err(why) => wrong(why),
                    Ok(()) => {
                        world.set_faults(faults);
                        (200, json!(world.faults()))
                    }
                },
            }
        }
        ("GET", "/pods") => (200, json!(world.pods())),
        ("PUT", "/pods") => match serde_json::from_slice::<Vec<Pod>>(body) {
            Err(error) => wrong(error.to_string()),
            Ok(pods) if pods.is_empty() => {
                wrong("a service without pods answers nothing".to_owned())
            }
            Ok(pods) => {
                world.set_pods(pods);
                (200, json!(world.pods()))
            }
        },
        ("GET", "/served") => (
            200,
            json!({"total": world.total_served(), "endpoints": world.served_by_endpoint()}),
        ),
        _ => (
            404,
            json!({"error": "there are GET, PUT and DELETE /faults, GET and PUT /pods, GET /served"}),
        ),
    }
}
