//! From a URL to an open stream: name, TCP, proxy, TLS, each timed on its own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsConnector;
use url::Url;

use super::address::{Proxy, connect_target, pinned};
use super::client::Shared;
use super::stream::Stream;
use super::{Connection, Failure, FailureKind, Phase, Phases, classify, tls};
use crate::units::show_duration;

/// The next address is tried beside a silent one after this long (RFC 8305, section 5: 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// A proxy's answer to CONNECT has a small head.
const LARGEST_PROXY_HEAD: usize = 16 << 10;

/// What decides whether two requests can share a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Route {
    /// TLS or not.
    pub(super) secure: bool,
    /// Host and port of the URL after `--connect-to`.
    pub(super) host: String,
    pub(super) port: u16,
    /// The name that TLS asks for and verifies.
    pub(super) name: String,
    /// Only HTTP/1.1 may be negotiated.
    pub(super) http1: bool,
}

/// An open stream with what is known of it.
pub(super) struct Dialled {
    pub(super) stream: Stream,
    pub(super) connection: Connection,
    pub(super) phases: Phases,
    /// A plain proxy is spoken to, which wants the whole URL in the request line.
    pub(super) absolute_form: bool,
}

impl Route {
    pub(super) fn of(shared: &Shared, url: &Url, http1: bool) -> Result<Self, String> {
        let secure = match url.scheme() {
            "https" | "wss" => true,
            "http" | "ws" => false,
            other => return Err(format!("the scheme `{other}` is not spoken here")),
        };
        let host = url.host_str().ok_or("the URL has no host")?;
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let port = url.port_or_known_default().ok_or("the URL has no port")?;
        let name = shared.config.sni.clone().unwrap_or_else(|| host.clone());
        let (host, port) = connect_target(&shared.config.connect_to, &host, port);
        Ok(Self {
            secure,
            host,
            port,
            name,
            http1,
        })
    }
}

/// Opens a stream along a route. `tunnel` asks a proxy for a tunnel even without TLS, as a
/// WebSocket needs it.
pub(super) async fn dial(
    shared: &Shared,
    route: &Route,
    tunnel: bool,
    until: Instant,
) -> Result<Dialled, Failure> {
    let mut attempt = Attempt {
        began: Instant::now(),
        until,
        phases: Phases::default(),
        connection: Connection::default(),
    };
    let proxy = shared.config.proxies.of(route.secure, &route.host);
    let (host, port) = match proxy {
        Some(proxy) => (proxy.host.as_str(), proxy.port),
        None => (route.host.as_str(), route.port),
    };
    let addresses = attempt
        .resolve(shared, host, port)
        .await
        .map_err(|mut failure| {
            if proxy.is_some() {
                failure.kind = FailureKind::Proxy;
                failure.message = format!("the proxy: {}", failure.message);
            }
            failure
        })?;
    let tcp_began = Instant::now();
    let mut tcp = attempt.connect(&addresses).await.map_err(|mut failure| {
        if proxy.is_some() {
            failure.kind = FailureKind::Proxy;
            failure.message = format!("the proxy: {}", failure.message);
        }
        failure
    })?;
    attempt.connection.remote = tcp.peer_addr().ok();
    if let Some(proxy) = proxy.filter(|_| route.secure || tunnel) {
        attempt.tunnel(&mut tcp, proxy, route).await?;
    }
    attempt.phases.tcp = Some(tcp_began.elapsed());
    // Small requests must not wait for the acknowledgement of earlier ones.
    let _ = tcp.set_nodelay(true);
    let stream = if route.secure {
        Stream::Tls(Box::new(attempt.handshake(shared, tcp, route).await?))
    } else {
        Stream::Plain(tcp)
    };
    Ok(Dialled {
        stream,
        absolute_form: proxy.is_some() && !route.secure && !tunnel,
        connection: attempt.connection,
        phases: attempt.phases,
    })
}

struct Attempt {
    began: Instant,
    until: Instant,
    phases: Phases,
    connection: Connection,
}

impl Attempt {
    fn failure(&self, kind: FailureKind, message: impl Into<String>) -> Failure {
        let mut phases = self.phases;
        phases.total = self.began.elapsed();
        Failure {
            kind,
            message: message.into(),
            phases,
            connection: self.connection.clone(),
            partial: None,
        }
    }

    fn waited(&self) -> String {
        let allowed = self.until.saturating_duration_since(self.began);
        show_duration(Duration::from_millis(
            u64::try_from(allowed.as_millis()).unwrap_or(u64::MAX),
        ))
    }

    async fn resolve(
        &mut self,
        shared: &Shared,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let mut addresses = pinned(&shared.config.resolve, host, port);
        if addresses.is_empty()
            && let Ok(address) = host.parse::<IpAddr>()
        {
            addresses.push(address);
        }
        if !addresses.is_empty() {
            return Ok(addresses
                .into_iter()
                .map(|address| (address, port).into())
                .collect());
        }
        let began = Instant::now();
        let found = timeout_at(self.until, tokio::net::lookup_host((host, port))).await;
        self.phases.dns = Some(began.elapsed());
        match found {
            Err(_) => Err(self.failure(
                FailureKind::NameNotResolved,
                format!(
                    "the name `{host}` was not resolved within {}",
                    self.waited()
                ),
            )),
            Ok(Err(error)) => Err(self.failure(
                FailureKind::NameNotResolved,
                format!("the name `{host}` does not resolve: {error}"),
            )),
            Ok(Ok(found)) => {
                let addresses: Vec<SocketAddr> = found.collect();
                if addresses.is_empty() {
                    let message = format!("the name `{host}` has no address");
                    return Err(self.failure(FailureKind::NameNotResolved, message));
                }
                Ok(addresses)
            }
        }
    }

    /// Connects to the first address that answers: the next one is tried when one fails, or beside
    /// it when it stays silent.
    async fn connect(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
        let silent = || {
            let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let message = format!(
                "{} did not accept a connection within {}",
                shown.join(", "),
                self.waited()
            );
            self.failure(FailureKind::ConnectTimeout, message)
        };
        if let [only] = addresses {
            let connected = timeout_at(self.until, TcpStream::connect(*only)).await;
            return connected
                .map_err(|_| silent())?
                .map_err(|error| self.refused(*only, &error));
        }
        let mut waiting = addresses.iter().copied();
        let mut open = JoinSet::new();
        let mut first_error = None;
        let start = |open: &mut JoinSet<_>, address: SocketAddr| {
            open.spawn(async move { (address, TcpStream::connect(address).await) });
        };
        if let Some(address) = waiting.next() {
            start(&mut open, address);
        }
        loop {
            let more = waiting.len() > 0;
            tokio::select! {
                done = open.join_next(), if !open.is_empty() => match done {
                    Some(Ok((_, Ok(stream)))) => return Ok(stream),
                    Some(Ok((address, Err(error)))) => {
                        first_error.get_or_insert_with(|| self.refused(address, &error));
                        if let Some(address) = waiting.next() {
                            start(&mut open, address);
                        }
                    }
                    Some(Err(_)) | None => {}
                },
                () = sleep(STAGGER), if more => {
                    if let Some(address) = waiting.next() {
                        start(&mut open, address);
                    }
                }
                () = tokio::time::sleep_until(self.until) => return Err(first_error.unwrap_or_else(silent)),
                else => return Err(first_error.unwrap_or_else(silent)),
            }
        }
    }

    fn refused(&self, address: SocketAddr, error: &std::io::Error) -> Failure {
        let kind = classify::io_error(error, Phase::Connect);
        let message = match kind {
            FailureKind::Refused => format!("connection refused by {address}"),
            FailureKind::Reset => format!("connection reset by {address}"),
            FailureKind::NoRoute => format!("no route to {address}: {error}"),
            FailureKind::Local => format!("no socket of our own for {address}: {error}"),
            _ => format!("cannot connect to {address}: {error}"),
        };
        self.failure(kind, message)
    }

    /// Asks a proxy for a tunnel (RFC 9110, section 9.3.6).
    async fn tunnel(
        &self,
        tcp: &mut TcpStream,
        proxy: &Proxy,
        route: &Route,
    ) -> Result<(), Failure> {
        let at = if route.host.contains(':') {
            format!("[{}]:{}", route.host, route.port)
        } else {
            format!("{}:{}", route.host, route.port)
        };
        let mut request = format!("CONNECT {at} HTTP/1.1\r\nhost: {at}\r\n");
        if let Some(authorization) = &proxy.authorization {
            request.push_str(&format!(
                "proxy-authorization: {}\r\n",
                authorization.expose()
            ));
        }
        request.push_str("\r\n");
        let exchange = async {
            tcp.write_all(request.as_bytes()).await?;
            let mut head = Vec::new();
            // Byte by byte, so that nothing that belongs to the tunnel is taken from it.
            while !head.ends_with(b"\r\n\r\n") && head.len() < LARGEST_PROXY_HEAD {
                match tcp.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(error) if head.is_empty() => return Err(error),
                    Err(_) => break,
                }
            }
            Ok(String::from_utf8_lossy(&head).into_owned())
        };
        let proxy_name = format!("the proxy {}:{}", proxy.host, proxy.port);
        let head = match timeout_at(self.until, exchange).await {
            Err(_) => {
                let message = format!("{proxy_name} gave no tunnel within {}", self.waited());
                return Err(self.failure(FailureKind::Proxy, message));
            }
            Ok(Err(error)) => {
                return Err(self.failure(FailureKind::Proxy, format!("{proxy_name}: {error}")));
            }
            Ok(Ok(head)) => head,
        };
        let status_line = head.lines().next().unwrap_or_default();
        let status = status_line.split(' ').nth(1).unwrap_or_default();
        if status_line.starts_with("HTTP/1.") && status.starts_with('2') {
            return Ok(());
        }
        let shown: String = status_line
            .chars()
            .filter(|c| !c.is_control())
            .take(80)
            .collect();
        let message = format!("{proxy_name} refused a tunnel to {at}: `{shown}`");
        Err(self.failure(FailureKind::Proxy, message))
    }

    async fn handshake(
        &mut self,
        shared: &Shared,
        tcp: TcpStream,
        route: &Route,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Failure> {
        let config = shared
            .tls(route.http1)
            .map_err(|error| self.failure(FailureKind::Local, error.to_string()))?;
        let name = ServerName::try_from(route.name.clone()).map_err(|_| {
            self.failure(
                FailureKind::Local,
                format!("`{}` is no name that TLS can verify", route.name),
            )
        })?;
        let address = format!("{}:{}", route.host, route.port);
        let began = Instant::now();
        let connected = timeout_at(self.until, TlsConnector::from(config).connect(name, tcp)).await;
        self.phases.tls = Some(began.elapsed());
        match connected {
            Err(_) => Err(self.failure(
                FailureKind::ConnectTimeout,
                format!(
                    "{address} did not finish the TLS handshake within {}",
                    self.waited()
                ),
            )),
            Ok(Err(error)) => {
                let (kind, message) = classify::tls_error(&error, &address);
                Err(self.failure(kind, message))
            }
            Ok(Ok(stream)) => {
                self.connection.tls = Some(tls::facts(stream.get_ref().1));
                Ok(stream)
            }
        }
    }
}
