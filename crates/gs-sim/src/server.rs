//! HTTP/1.1 byte by byte: written by hand on top of httparse, because half of its job is to speak the
//! protocol wrongly on request.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::fault::Asked;
use crate::plan::Kind;
use crate::service::{self, Ask, Reply};
use crate::sim::World;
use crate::ws;

/// A request's head is at most so large.
const LARGEST_HEAD: usize = 64 << 10;

/// A request's body is at most so large.
const LARGEST_BODY: usize = 1 << 20;

/// An endless body and a bomb end after so many bytes all the same, if nobody stops reading.
const ENDLESS: u64 = 20 << 30;

/// A connection, plain or TLS.
pub enum Conn {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Conn {
    /// Closes with RST instead of FIN.
    fn reset(self) {
        let tcp = match &self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        };
        // A socket that is gone already needs no reset.
        let _ = tcp.set_zero_linger();
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Conn {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// The method.
    pub method: String,
    /// The path without query.
    pub path: String,
    /// The query, empty for none.
    pub query: String,
    /// Headers with lowercase names.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Incoming {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Accepts connections until its task is dropped.
pub async fn serve(listener: TcpListener, world: Arc<World>, tls: Option<TlsAcceptor>) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            // Out of descriptors: those that are open have to close first.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (world, tls) = (Arc::clone(&world), tls.clone());
        tokio::spawn(async move {
            let _ = tcp.set_nodelay(true);
            let conn = match tls {
                None => Conn::Plain(tcp),
                Some(acceptor) => match acceptor.accept(tcp).await {
                    Ok(stream) => Conn::Tls(Box::new(stream)),
                    // A client that does not like the certificate is what some tests are about.
                    Err(_) => return,
                },
            };
            // A client may leave at any time.
            let _ = connection(conn, &world).await;
        });
    }
}

async fn connection(mut conn: Conn, world: &World) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut conn, &mut buffer).await? {
        let began = Instant::now();
        let pod = world.next_pod();
        let asked = Asked {
            method: &request.method,
            path: &request.path,
            pod,
            at_seconds: world.seconds(),
        };
        let mut faults = world.meeting(asked);
        while faults.contains(&Kind::Stall) {
            sleep(Duration::from_millis(20)).await;
            faults = world.meeting(Asked {
                at_seconds: world.seconds(),
                ..asked
            });
        }
        for kind in &faults {
            if let Kind::Delay { millis, spread } = kind {
                let wait = millis + world.draw(spread);
                sleep(Duration::from_secs_f64(wait.clamp(0.0, 3.6e6) / 1e3)).await;
            }
        }
        if request
            .header("upgrade")
            .is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
        {
            return ws::upgrade(conn, buffer, &request, world, &faults).await;
        }
        let reply = answer(world, &request, pod, &faults);
        let version = world.version_of(pod);
        let done = write(&mut conn, world, &request, &reply, &faults, &version).await;
        world.served(
            &request.method,
            &reply.endpoint,
            reply.status,
            began.elapsed(),
        );
        match done? {
            After::Keep => {}
            After::Close => return Ok(()),
            After::Reset => {
                conn.reset();
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Reads one request. `None` where the client closed between two.
async fn read(conn: &mut Conn, buffer: &mut Vec<u8>) -> io::Result<Option<Incoming>> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut head = httparse::Request::new(&mut headers);
        match head
            .parse(buffer)
            .map_err(|error| broken(&error.to_string()))?
        {
            httparse::Status::Complete(length) => {
                let target = head.path.unwrap_or("/");
                // A proxy's form has the whole URL.
                let target = target.split_once("://").map_or(target, |(_, rest)| {
                    rest.find('/').map_or("/", |at| &rest[at..])
                });
                let (path, query) = target.split_once('?').unwrap_or((target, ""));
                let mut request = Incoming {
                    method: head.method.unwrap_or_default().to_owned(),
                    path: path.to_owned(),
                    query: query.to_owned(),
                    headers: head
                        .headers
                        .iter()
                        .map(|header| {
                            (
                                header.name.to_lowercase(),
                                String::from_utf8_lossy(header.value).into_owned(),
                            )
                        })
                        .collect(),
                    body: Vec::new(),
                };
                buffer.drain(..length);
                let wanted = request.header("content-length").map_or(Ok(0), |text| {
                    text.parse::<usize>().map_err(|_| broken("content-length"))
                })?;
                if wanted > LARGEST_BODY {
                    return Err(broken("the body is too large"));
                }
                while buffer.len() < wanted {
                    if conn.read_buf(buffer).await? == 0 {
                        return Ok(None);
                    }
                }
                request.body = buffer.drain(..wanted).collect();
                return Ok(Some(request));
            }
            httparse::Status::Partial if buffer.len() > LARGEST_HEAD => {
                return Err(broken("the head is too large"));
            }
            httparse::Status::Partial => {
                if conn.read_buf(buffer).await? == 0 {
                    return Ok(None);
                }
            }
        }
    }
}

/// What happens to the connection after an answer.
enum After {
    Keep,
    Close,
    Reset,
}

fn answer(world: &World, request: &Incoming, pod: usize, faults: &[Kind]) -> Reply {
    for kind in faults {
        match kind {
            Kind::Status { status, .. } => {
                let body = serde_json::json!({"detail": format!("simulated status {status}")});
                return Reply {
                    status: *status,
                    body,
                    endpoint: service_endpoint(world, request, pod),
                };
            }
            Kind::Redirect { .. } => {
                let body = serde_json::json!({"detail": "elsewhere"});
                return Reply {
                    status: 302,
                    body,
                    endpoint: service_endpoint(world, request, pod),
                };
            }
            _ => {}
        }
    }
    service::answer(ask(world, request, pod, &world.version_of(pod)), faults)
}

fn service_endpoint(world: &World, request: &Incoming, pod: usize) -> String {
    service::answer(ask(world, request, pod, ""), &[]).endpoint
}

fn ask<'a>(world: &World, request: &'a Incoming, pod: usize, version: &'a str) -> Ask<'a> {
    Ask {
        method: &request.method,
        path: &request.path,
        query: &request.query,
        body: &request.body,
        seed: world.seed(),
        uptime: world.uptime_of(pod),
        version,
        now: jiff::Timestamp::now(),
        served: world.total_served(),
    }
}

async fn write(
    conn: &mut Conn,
    world: &World,
    request: &Incoming,
    reply: &Reply,
    faults: &[Kind],
    version: &str,
) -> io::Result<After> {
    let mut headers: Vec<(String, String)> = vec![
        (
            "x-request-id".to_owned(),
            format!("sim-{:08x}", world.total_served()),
        ),
        ("x-version".to_owned(), version.to_owned()),
        ("server".to_owned(), "gs-sim".to_owned()),
    ];
    let (mut media, mut body) = match reply.endpoint.as_str() {
        "/metrics" if reply.status == 200 => (
            "text/plain; version=0.0.4; charset=utf-8",
            world.metrics_text().into_bytes(),
        ),
        "/debug/echo" => ("application/json", echo(request)),
        _ => ("application/json", reply.body.to_string().into_bytes()),
    };
    for kind in faults {
        match kind {
            Kind::Drop => return Ok(After::Close),
            Kind::Reset => return Ok(After::Reset),
            Kind::Silent => {
                std::future::pending::<()>().await;
            }
            Kind::Malformed => {
                conn.write_all(b"HTTP/9.9 two hundred\r\n\x00\x01\r\n\r\n")
                    .await?;
                return Ok(After::Close);
            }
            Kind::HugeHead => headers.push(("x-huge".to_owned(), "x".repeat(2 << 20))),
            Kind::Status {
                retry_after: Some(seconds),
                ..
            } => headers.push(("retry-after".to_owned(), seconds.to_string())),
            Kind::Redirect { to } => headers.push(("location".to_owned(), to.clone())),
            Kind::WrongContentType => media = "text/html; charset=utf-8",
            Kind::NotJson => {
                body = b"<!doctype html><title>Sign in</title><p>Please sign in.".to_vec()
            }
            Kind::BadGzip => headers.push(("content-encoding".to_owned(), "gzip".to_owned())),
            Kind::GzipBomb => {
                headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
                body = bomb()?;
            }
            _ => {}
        }
    }
    headers.push(("content-type".to_owned(), media.to_owned()));
    let transport = faults.iter().find(|kind| {
        matches!(
            kind,
            Kind::HalfClosed
                | Kind::Truncated
                | Kind::TruncatedChunks
                | Kind::Endless
                | Kind::SlowDrip { .. }
        )
    });
    match transport {
        None => {
            let mut message = head(reply.status, &headers, Some(body.len() as u64));
            if request.method != "HEAD" {
                message.extend_from_slice(&body);
            }
            conn.write_all(&message).await?;
            conn.flush().await?;
            Ok(After::Keep)
        }
        Some(Kind::HalfClosed) => {
            conn.write_all(&head(reply.status, &headers, Some(body.len() as u64)))
                .await?;
            conn.shutdown().await?;
            // The other direction stays open until the client closes it.
            let mut rest = Vec::new();
            while conn.read_buf(&mut rest).await? > 0 {
                rest.clear();
            }
            Ok(After::Close)
        }
        Some(Kind::Truncated) => {
            let mut message = head(reply.status, &headers, Some(body.len() as u64 + 100));
            message.extend_from_slice(&body);
            conn.write_all(&message).await?;
            Ok(After::Close)
        }
        Some(Kind::TruncatedChunks) => {
            let mut message = head(reply.status, &headers, None);
            message.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
            message.extend_from_slice(&body);
            message.extend_from_slice(b"\r\n");
            conn.write_all(&message).await?;
            Ok(After::Close)
        }
        Some(Kind::SlowDrip { millis }) => {
            conn.write_all(&head(reply.status, &headers, Some(body.len() as u64)))
                .await?;
            for byte in body {
                conn.write_all(&[byte]).await?;
                conn.flush().await?;
                sleep(Duration::from_millis(*millis)).await;
            }
            Ok(After::Keep)
        }
        _ => {
            conn.write_all(&head(reply.status, &headers, None)).await?;
            let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
            let mut sent = 0;
            while sent < ENDLESS {
                conn.write_all(&chunk).await?;
                sent += 0x10000;
            }
            Ok(After::Close)
        }
    }
}

fn head(status: u16, headers: &[(String, String)], length: Option<u64>) -> Vec<u8> {
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Simulated");
    let mut text = format!("HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    match length {
        Some(length) => text.push_str(&format!("content-length: {length}\r\n\r\n")),
        None => text.push_str("transfer-encoding: chunked\r\n\r\n"),
    }
    text.into_bytes()
}

/// What the client sent, so that a test can look at it.
fn echo(request: &Incoming) -> Vec<u8> {
    let headers: serde_json::Map<String, serde_json::Value> = request
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    serde_json::json!({"method": request.method, "path": request.path, "query": request.query, "headers": headers})
        .to_string()
        .into_bytes()
}

/// A gzip stream of a tenth of a per cent of the gigabyte that it becomes.
fn bomb() -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..32 {
        encoder.write_all(&zeros)?;
    }
    encoder.finish()
}
