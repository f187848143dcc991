//! HTTP/1.1 byte by byte: written by hand on top of httparse, because half of its job is to speak the
//! protocol wrongly on request.

mod answer;
mod bomb;
mod conn;
mod request;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::fault::Asked;
use crate::plan::Kind;
use crate::service;
use crate::world::World;
use crate::ws;
use answer::{After, Message, Wire};
pub(crate) use conn::Conn;
pub(crate) use request::{Refusal, Request, parse};

/// A client that was refused has so long to read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// Takes connections until its task is dropped.
pub(crate) async fn serve(listener: TcpListener, world: Arc<World>, tls: Option<TlsAcceptor>) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            // Out of descriptors: those that are open have to close first.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (world, tls) = (Arc::clone(&world), tls.clone());
        tokio::spawn(async move {
            // A client may leave at any time, and may dislike a certificate: neither is an error here.
            let _ = connection(tcp, &world, tls).await;
        });
    }
}

async fn connection(tcp: TcpStream, world: &World, tls: Option<TlsAcceptor>) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    world.while_stalled().await;
    let mut conn = match tls {
        None => Conn::Plain(tcp),
        Some(acceptor) => Conn::Tls(Box::new(acceptor.accept(tcp).await?)),
    };
    let home = world.home();
    let mut buffer = Vec::new();
    loop {
        let request = match read(&mut conn, &mut buffer).await? {
            Read::Request(request) => request,
            Read::End => return Ok(()),
            Read::Refused(refusal) => return refuse(conn, world, refusal).await,
        };
        let began = Instant::now();
        world.while_stalled().await;
        let mut turn = world.turn(home);
        let websocket = request.wants_websocket();
        let met = world.meet(Asked {
            method: &request.method,
            path: &request.path,
            websocket,
            pod: turn.pod,
            at_seconds: world.seconds(),
        });
        if !met.wait.is_zero() {
            sleep(met.wait).await;
        }
        for kind in &met.kinds {
            if let Kind::Version { version } = kind {
                turn.version.clone_from(version);
            }
        }
        if websocket && !met.kinds.iter().any(Kind::refuses_upgrade) {
            let accepted = service::channel(&request.path).zip(request.header("sec-websocket-key"));
            if let Some((channel, key)) = accepted {
                return ws::converse(
                    conn,
                    buffer,
                    ws::Opening { channel, key },
                    &turn,
                    world,
                    &met.kinds,
                )
                .await;
            }
        }
        let mut wire = Wire {
            conn: &mut conn,
            world,
        };
        let broken = wire.break_off(&met.kinds).await?;
        let after = match broken {
            Some(after) => after,
            None => {
                let message = Message::to(&request, &turn, world, &met.kinds);
                let written = wire.answer(&message, &request, &met.kinds).await;
                // Also where the client left in the middle: its status line was sent.
                if websocket {
                    world.handshake(message.endpoint, message.status);
                } else {
                    world.served(
                        &request.method,
                        message.endpoint,
                        message.status,
                        began.elapsed(),
                    );
                }
                written?
            }
        };
        match after {
            After::Keep => {}
            After::Close => return conn.shutdown().await,
            After::Cut => return Ok(()),
            After::Reset => {
                conn.reset();
                return Ok(());
            }
        }
    }
}

/// What came next on a connection.
enum Read {
    Request(Request),
    Refused(Refusal),
    /// The client closed.
    End,
}

async fn read(conn: &mut Conn, buffer: &mut Vec<u8>) -> io::Result<Read> {
    loop {
        match parse(buffer) {
            Ok(Some((request, used))) => {
                buffer.drain(..used);
                return Ok(Read::Request(request));
            }
            Ok(None) => {}
            Err(refusal) => return Ok(Read::Refused(refusal)),
        }
        buffer.reserve(4096);
        if conn.read_buf(buffer).await? == 0 {
            return Ok(Read::End);
        }
    }
}

/// Says why and closes. What the client still sends is read and forgotten for a while: closing with
/// unread bytes would reset the connection before the answer is read.
async fn refuse(mut conn: Conn, world: &World, refusal: Refusal) -> io::Result<()> {
    let message = Message::refusal(refusal);
    let request = Request::default();
    let mut wire = Wire {
        conn: &mut conn,
        world,
    };
    wire.answer(&message, &request, &[]).await?;
    world.served("", message.endpoint, message.status, Duration::ZERO);
    conn.shutdown().await?;
    timeout(FAREWELL, conn.until_closed())
        .await
        .unwrap_or(Ok(()))
}
