//! Sending one request and timing it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use http::{Method, Uri, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::address::{ConnectTo, Proxies, Resolve};
use super::dial::{Dialled, Route, dial};
use super::stream::Stream;
use super::tls::{TlsOptions, TlsSetupError};
use super::{Connection, Failure, FailureKind, Limits, Partial, Phase, Phases, Request, Response};
use super::{body, classify};
use crate::units::show_duration;

/// As much of a broken answer's body as is kept for people to look at.
const KEPT_OF_BROKEN: usize = 64 << 10;

/// What a client does the same for all requests.
#[derive(Clone, Debug, Default)]
pub struct ClientConfig {
    /// Where to connect instead.
    pub connect_to: Vec<ConnectTo>,
    /// Addresses instead of the resolver's.
    pub resolve: Vec<Resolve>,
    /// The `host` header (and HTTP/2 authority) instead of the URL's.
    pub host: Option<String>,
    /// The name that TLS asks for and verifies, instead of the URL's host.
    pub sni: Option<String>,
    /// What is trusted and shown.
    pub tls: TlsOptions,
    /// Proxies.
    pub proxies: Proxies,
    /// The `user-agent` header.
    pub user_agent: String,
    /// Do not offer HTTP/2.
    pub http1_only: bool,
}

/// A client with a pool of idle connections. Clones share the pool.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

/// What all requests of a client share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: ClientConfig,
    /// Made when TLS is first spoken: reading the system's certificates costs milliseconds.
    tls: [OnceLock<Result<Arc<rustls::ClientConfig>, TlsSetupError>>; 2],
    idle: Mutex<HashMap<Route, Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    sender: Sender,
    connection: Connection,
    absolute_form: bool,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Shared {
    pub(super) fn tls(&self, http1: bool) -> Result<Arc<rustls::ClientConfig>, TlsSetupError> {
        let made = self.tls[usize::from(http1)].get_or_init(|| {
            let mut config = self.config.tls.build()?;
            config.alpn_protocols = if http1 {
                vec![b"http/1.1".to_vec()]
            } else {
                vec![b"h2".to_vec(), b"http/1.1".to_vec()]
            };
            Ok(Arc::new(config))
        });
        made.clone()
    }

    fn take_idle(&self, route: &Route) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle.get_mut(route)?;
        while let Some(candidate) = waiting.pop() {
            if candidate.sender.is_ready() {
                return Some(candidate);
            }
        }
        None
    }

    fn keep(&self, route: Route, kept: Idle) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.entry(route).or_default().push(kept);
    }
}

impl Sender {
    fn is_ready(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_ready(),
            Self::Http2(sender) => sender.is_ready(),
        }
    }

    async fn send(
        &mut self,
        request: http::Request<Full<Bytes>>,
    ) -> hyper::Result<http::Response<Incoming>> {
        match self {
            Self::Http1(sender) => sender.send_request(request).await,
            Self::Http2(sender) => sender.send_request(request).await,
        }
    }

    fn version(&self) -> Version {
        match self {
            Self::Http1(_) => Version::HTTP_11,
            Self::Http2(_) => Version::HTTP_2,
        }
    }
}

/// A failed exchange, and whether not one byte of an answer had come.
struct Broken {
    failure: Failure,
    before_answer: bool,
}

impl Client {
    /// A client. Opens nothing and reads no file yet.
    #[must_use]
    pub fn new(config: ClientConfig) -> Self {
        Self {
            shared: Arc::new(Shared {
                config,
                tls: [OnceLock::new(), OnceLock::new()],
                idle: Mutex::new(HashMap::new()),
            }),
        }
    }

    /// What it does the same for all requests.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.shared.config
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// No whole answer came within the limits; the failure says how far it got.
    pub async fn send(&self, request: &Request) -> Result<Response, Failure> {
        let began = Instant::now();
        let until = began + request.limits.total;
        let route = Route::of(&self.shared, &request.url, self.shared.config.http1_only)
            .map_err(|why| local(began, why))?;
        if !request.fresh
            && let Some(mut idle) = self.shared.take_idle(&route)
        {
            idle.connection.reused = true;
            match self
                .exchange(request, &route, idle, Phases::default(), began, until)
                .await
            {
                // The server may close an idle connection at any time; that race is the pool's
                // fault. Only what can be repeated is, and only while nothing was answered.
                Err(broken)
                    if broken.before_answer
                        && matches!(
                            broken.failure.kind,
                            FailureKind::Closed | FailureKind::Reset
                        )
                        && request.method.is_idempotent() => {}
                done => return done.map_err(|broken| broken.failure),
            }
        }
        let connect_until = until.min(began + request.limits.connect);
        let dialled = dial(&self.shared, &route, false, connect_until).await?;
        let phases = dialled.phases;
        let open = Self::speak(dialled, until).await.map_err(|mut failure| {
            failure.phases.total = began.elapsed();
            failure
        })?;
        self.exchange(request, &route, open, phases, began, until)
            .await
            .map_err(|broken| broken.failure)
    }

    /// Opens a stream to the URL's host without speaking HTTP on it, as a WebSocket needs it.
    ///
    /// # Errors
    /// No connection came about within the limits.
    pub async fn open(
        &self,
        url: &Url,
        limits: Limits,
    ) -> Result<(Stream, Connection, Phases), Failure> {
        self.open_for(url, limits, true).await
    }

    /// The same for a caller that speaks HTTP itself: unless `http1`, HTTP/2 is offered too, and
    /// the connection says what was chosen.
    ///
    /// # Errors
    /// No connection came about within the limits.
    pub async fn open_for(
        &self,
        url: &Url,
        limits: Limits,
        http1: bool,
    ) -> Result<(Stream, Connection, Phases), Failure> {
        let began = Instant::now();
        let route = Route::of(&self.shared, url, http1).map_err(|why| local(began, why))?;
        let until = began + limits.connect.min(limits.total);
        let mut dialled = dial(&self.shared, &route, true, until).await?;
        dialled.phases.total = began.elapsed();
        Ok((dialled.stream, dialled.connection, dialled.phases))
    }

    /// Begins HTTP on a stream.
    async fn speak(dialled: Dialled, until: Instant) -> Result<Idle, Failure> {
        let Dialled {
            stream,
            connection,
            phases,
            absolute_form,
        } = dialled;
        let http2 = connection.tls.as_ref().and_then(|tls| tls.alpn.as_deref()) == Some("h2");
        let io = TokioIo::new(stream);
        let begun = async {
            // The connection's own task ends with the last sender; what it has to say about a
            // failure also reaches the request that is under way.
            if http2 {
                let (sender, driver) = http2::handshake(TokioExecutor::new(), io).await?;
                drop(tokio::spawn(driver));
                Ok::<_, hyper::Error>(Sender::Http2(sender))
            } else {
                let (sender, driver) = http1::handshake(io).await?;
                drop(tokio::spawn(driver));
                Ok(Sender::Http1(sender))
            }
        };
        let failed = |kind, message: String| Failure {
            kind,
            message,
            phases,
            connection: connection.clone(),
            partial: None,
        };
        let sender = match timeout_at(until, begun).await {
            Err(_) => {
                return Err(failed(
                    FailureKind::Timeout,
                    "the HTTP/2 preface got no answer".into(),
                ));
            }
            Ok(Err(error)) => {
                let kind = classify::hyper_error(&error, Phase::Head);
                return Err(failed(kind, format!("HTTP did not begin: {error}")));
            }
            Ok(Ok(sender)) => sender,
        };
        Ok(Idle {
            sender,
            connection,
            absolute_form,
        })
    }

    async fn exchange(
        &self,
        request: &Request,
        route: &Route,
        mut open: Idle,
        mut phases: Phases,
        began: Instant,
        until: Instant,
    ) -> Result<Response, Broken> {
        let allowed = show_duration(request.limits.total);
        let fail = |kind, message: String, mut phases: Phases, partial: Option<Partial>| Broken {
            before_answer: partial.is_none(),
            failure: {
                phases.total = began.elapsed();
                let connection = open.connection.clone();
                Failure {
                    kind,
                    message,
                    phases,
                    connection,
                    partial: partial.map(Box::new),
                }
            },
        };
        let message = self
            .message(request, &open)
            .map_err(|why| fail(FailureKind::Local, why, phases, None))?;
        let sent = Instant::now();
        let answered = match timeout_at(until, open.sender.send(message)).await {
            Err(_) => {
                let message = format!(
                    "{} gave no answer within {allowed}",
                    who(&open.connection, route)
                );
                return Err(fail(FailureKind::Timeout, message, phases, None));
            }
            Ok(Err(error)) => {
                let kind = classify::hyper_error(&error, Phase::Head);
                let message = no_answer(kind, &who(&open.connection, route), &error);
                return Err(fail(kind, message, phases, None));
            }
            Ok(Ok(answered)) => answered,
        };
        phases.first_byte = Some(sent.elapsed());
        let head_at = Instant::now();
        let (head, incoming) = answered.into_parts();
        let received = body::receive(incoming, request.limits.body, until).await;
        phases.body = Some(head_at.elapsed());
        phases.total = began.elapsed();
        let decoded = match received.broken {
            Some(broken) => Err(broken),
            None => body::decode(&head.headers, received.raw.clone(), request.limits.body),
        };
        let body = match decoded {
            Ok(body) => body,
            Err((kind, message)) => {
                let body = received.raw.slice(..received.raw.len().min(KEPT_OF_BROKEN));
                let partial = Partial {
                    status: head.status,
                    headers: head.headers,
                    body,
                };
                return Err(fail(kind, message, phases, Some(partial)));
            }
        };
        let connection = open.connection.clone();
        if !request.fresh {
            self.shared.keep(route.clone(), open);
        }
        Ok(Response {
            status: head.status,
            version: head.version,
            headers: head.headers,
            body,
            wire_bytes: received.wire_bytes,
            phases,
            connection,
        })
    }

    fn message(
        &self,
        request: &Request,
        open: &Idle,
    ) -> Result<http::Request<Full<Bytes>>, String> {
        let config = &self.shared.config;
        let url = &request.url;
        let authority = match (&config.host, url.host_str()) {
            (Some(host), _) => host.clone(),
            (None, Some(host)) => match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            },
            (None, None) => return Err("the URL has no host".to_owned()),
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let http2 = open.sender.version() == Version::HTTP_2;
        let target = if http2 || open.absolute_form {
            format!("{}://{authority}{path}", url.scheme())
        } else {
            path
        };
        let uri: Uri = target
            .parse()
            .map_err(|error| format!("`{target}` is no request target: {error}"))?;
        let mut message = http::Request::new(Full::new(request.body.clone()));
        *message.method_mut() = request.method.clone();
        *message.uri_mut() = uri;
        *message.headers_mut() = request.headers.clone();
        let headers = message.headers_mut();
        if !http2 && !headers.contains_key(HOST) {
            let host = HeaderValue::try_from(&authority)
                .map_err(|_| format!("`{authority}` is no host header"))?;
            headers.insert(HOST, host);
        }
        if !headers.contains_key(USER_AGENT)
            && let Ok(agent) = HeaderValue::try_from(&config.user_agent)
        {
            headers.insert(USER_AGENT, agent);
        }
        if !headers.contains_key(ACCEPT_ENCODING) {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"));
        }
        if open.absolute_form
            && let Some(authorization) = config
                .proxies
                .plain
                .as_ref()
                .and_then(|proxy| proxy.authorization.as_ref())
            && let Ok(value) = HeaderValue::try_from(authorization.expose())
        {
            headers.insert(PROXY_AUTHORIZATION, value);
        }
        // An empty body needs no length, except where a server waits for one.
        if request.body.is_empty() && matches!(request.method, Method::POST | Method::PUT) {
            headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(message)
    }
}

fn who(connection: &Connection, route: &Route) -> String {
    match connection.remote {
        Some(address) => address.to_string(),
        None => format!("{}:{}", route.host, route.port),
    }
}

fn no_answer(kind: FailureKind, who: &str, error: &hyper::Error) -> String {
    if let Some(cause) = classify::http2_cause(error)
        && matches!(kind, FailureKind::Closed | FailureKind::Reset)
    {
        return format!("{who} gave no answer over HTTP/2: {cause}");
    }
    match kind {
        FailureKind::Closed => format!("{who} closed the connection without an answer"),
        FailureKind::Reset => format!("{who} reset the connection without an answer"),
        FailureKind::Malformed => format!("what {who} answered is not HTTP: {error}"),
        _ => format!("{who} did not answer: {error}"),
    }
}

fn local(began: Instant, message: String) -> Failure {
    let phases = Phases {
        total: began.elapsed().max(Duration::from_nanos(1)),
        ..Phases::default()
    };
    Failure {
        kind: FailureKind::Local,
        message,
        phases,
        connection: Connection::default(),
        partial: None,
    }
}
