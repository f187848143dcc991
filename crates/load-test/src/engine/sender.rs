//! One connection and one request over it, timed. The user's own task drives an HTTP/1.1 connection, so
//! that a request costs no switch to another task.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use gs_common::http::{Client, Connection, Failure, FailureKind, Limits, Stream, http2_cause};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use url::Url;

use super::Plan;
use crate::result::ErrorKind;

/// Opens connections to the target, and counts them.
#[derive(Debug)]
pub(crate) struct Dialer {
    client: Client,
    url: Url,
    http1: bool,
    /// Speak HTTP/2 over plain TCP without asking.
    prior_knowledge: bool,
    limits: Limits,
    opened: AtomicU64,
    alive: Arc<Alive>,
}

/// Connections that are open now, and the most that were.
#[derive(Debug, Default)]
pub(crate) struct Alive {
    now: AtomicU64,
    most: AtomicU64,
}

/// Counts a connection for as long as it lives.
#[derive(Debug)]
pub(crate) struct Guard(Arc<Alive>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Dialer {
    pub(crate) fn new(client: Client, plan: &Plan, limits: Limits) -> Self {
        Self {
            client,
            url: plan.target.clone(),
            http1: !plan.http2,
            prior_knowledge: plan.prior_knowledge,
            limits,
            opened: AtomicU64::new(0),
            alive: Arc::default(),
        }
    }

    /// Opened so far, and the most at the same time.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (
            self.opened.load(Ordering::Relaxed),
            self.alive.most.load(Ordering::Relaxed),
        )
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    fn guard(&self) -> Guard {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let now = self.alive.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.alive.most.fetch_max(now, Ordering::Relaxed);
        Guard(Arc::clone(&self.alive))
    }

    /// Opens a stream for a WebSocket.
    pub(crate) async fn stream(&self) -> Result<(Stream, Guard, Duration), Broken> {
        let (stream, _, phases) = self
            .client
            .open(&self.url, self.limits)
            .await
            .map_err(|failure| Broken::dialling(&failure))?;
        Ok((stream, self.guard(), phases.total))
    }

    /// Opens a connection that speaks HTTP.
    pub(crate) async fn link(&self) -> Result<(Link, Duration), Broken> {
        let (stream, connection, phases) = self
            .client
            .open_for(&self.url, self.limits, self.http1)
            .await
            .map_err(|failure| Broken::dialling(&failure))?;
        let guard = Arc::new(self.guard());
        let h2 = speaks_http2(&connection, self.prior_knowledge);
        let io = TokioIo::new(stream);
        let began = |error: hyper::Error| Broken {
            kind: kind_of(FailureKind::of_head(&error)),
            message: format!("HTTP did not begin: {error}"),
        };
        let spoken = if h2 {
            let (sender, driver) = http2::handshake(TokioExecutor::new(), io)
                .await
                .map_err(began)?;
            // It answers the server's pings while the user thinks, so it needs a task of its own; the
            // task ends with the sender.
            drop(tokio::spawn(driver));
            Spoken::Http2(sender)
        } else {
            let (sender, driver) = http1::handshake(io).await.map_err(began)?;
            Spoken::Http1(Box::new(Http1 {
                sender,
                driver: Some(driver),
            }))
        };
        Ok((
            Link {
                spoken,
                used: false,
                guard,
            },
            phases.total,
        ))
    }
}

/// Whether HTTP/2 is spoken on a connection: over TLS both sides have to agree.
pub(crate) fn speaks_http2(connection: &Connection, prior_knowledge: bool) -> bool {
    match &connection.tls {
        Some(tls) => tls.alpn.as_deref() == Some("h2"),
        None => prior_knowledge,
    }
}

/// A connection, or one of several ways to send over it.
#[derive(Debug)]
pub(crate) struct Link {
    spoken: Spoken,
    used: bool,
    guard: Arc<Guard>,
}

#[derive(Debug)]
enum Spoken {
    Http1(Box<Http1>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

#[derive(Debug)]
struct Http1 {
    sender: http1::SendRequest<Full<Bytes>>,
    /// Gone once it is over: only then does the sender learn that nobody will take its requests.
    driver: Option<http1::Connection<TokioIo<Stream>, Full<Bytes>>>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The body as it came.
    pub(crate) body: Bytes,
    pub(crate) first_byte: Duration,
    pub(crate) ended: Instant,
}

/// What broke on the way.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

/// A request that got no whole answer.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) broken: Broken,
    /// Not one byte of an answer had come, over a connection that had been used before: the server may
    /// have closed it just then, which is nobody's fault.
    pub(crate) stale: bool,
    /// The connection is over, not only this request.
    pub(crate) lost: bool,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) status: Option<StatusCode>,
}

impl Broken {
    fn dialling(failure: &Failure) -> Self {
        Self {
            kind: kind_of(failure.kind),
            message: failure.message.clone(),
        }
    }
}

/// From what the client says to what is counted.
pub(crate) fn kind_of(kind: FailureKind) -> ErrorKind {
    match kind {
        FailureKind::NameNotResolved | FailureKind::NoRoute => ErrorKind::Unreachable,
        FailureKind::Proxy => ErrorKind::Proxy,
        FailureKind::Local => ErrorKind::Local,
        FailureKind::Refused => ErrorKind::Refused,
        FailureKind::Reset => ErrorKind::Reset,
        FailureKind::Closed => ErrorKind::Closed,
        FailureKind::ConnectTimeout => ErrorKind::ConnectTimeout,
        FailureKind::Timeout => ErrorKind::Timeout,
        FailureKind::Tls => ErrorKind::Tls,
        FailureKind::Malformed => ErrorKind::Malformed,
        FailureKind::Truncated => ErrorKind::Truncated,
        FailureKind::BadEncoding => ErrorKind::BadEncoding,
        FailureKind::TooLarge => ErrorKind::TooLarge,
    }
}

/// Whether the server says that it has not looked at a request, or never got it: HTTP/2 leaves no doubt, so
/// what broke otherwise is the server's.
fn was_not_begun(error: &hyper::Error) -> bool {
    match http2_cause(error) {
        Some(cause) => cause.is_go_away() && cause.reason() == Some(h2::Reason::NO_ERROR),
        None => error.is_canceled() || error.is_closed(),
    }
}

/// Whether the other requests on the connection go on.
fn is_of_one_stream(error: &hyper::Error) -> bool {
    http2_cause(error).is_some_and(h2::Error::is_reset)
}

/// The error with what HTTP/2 said, which the library's own sentence leaves out.
fn told(error: &hyper::Error) -> String {
    match http2_cause(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl Link {
    /// Another way to send over the same connection, while it lives; HTTP/1.1 has one only.
    pub(crate) fn another(&self) -> Option<Self> {
        match &self.spoken {
            Spoken::Http2(sender) if !sender.is_closed() => Some(Self {
                spoken: Spoken::Http2(sender.clone()),
                used: true,
                guard: Arc::clone(&self.guard),
            }),
            _ => None,
        }
    }

    /// Whether both send over one connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.guard, &other.guard)
    }

    /// Whether it speaks HTTP/2, which wants whole URLs.
    pub(crate) fn is_http2(&self) -> bool {
        matches!(self.spoken, Spoken::Http2(_))
    }

    /// Whether another request can be sent. Notices a connection that the server closed meanwhile.
    pub(crate) async fn ready(&mut self) -> bool {
        match &mut self.spoken {
            Spoken::Http1(http1) => {
                let Http1 { sender, driver } = http1.as_mut();
                drive(driver, sender.ready()).await.is_ok()
            }
            Spoken::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Sends a request and reads the whole answer, at most `largest` bytes of body.
    pub(crate) async fn exchange(
        &mut self,
        request: http::Request<Full<Bytes>>,
        sent: Instant,
        largest: usize,
    ) -> Result<Answer, Unanswered> {
        let used = std::mem::replace(&mut self.used, true);
        let reused = match (&self.spoken, used) {
            (_, false) => Reused::Not,
            (Spoken::Http1(_), true) => Reused::Http1,
            (Spoken::Http2(_), true) => Reused::Http2,
        };
        match &mut self.spoken {
            Spoken::Http1(http1) => {
                let Http1 { sender, driver } = http1.as_mut();
                let work = answer(sender.send_request(request), sent, largest, reused);
                drive(driver, work).await
            }
            Spoken::Http2(sender) => {
                answer(sender.send_request(request), sent, largest, reused).await
            }
        }
    }
}

impl Answer {
    /// The body after `content-encoding` was undone; at most `largest` bytes.
    pub(crate) fn decoded(&self, largest: usize) -> Result<Bytes, Broken> {
        if !self.headers.contains_key(http::header::CONTENT_ENCODING) {
            return Ok(self.body.clone());
        }
        gs_common::http::decode(&self.headers, self.body.clone(), largest).map_err(
            |(kind, message)| Broken {
                kind: kind_of(kind),
                message,
            },
        )
    }
}

/// Whether a connection had been used before, and what is spoken on it.
#[derive(Clone, Copy, Debug)]
enum Reused {
    Not,
    Http1,
    Http2,
}

async fn answer(
    response: impl Future<Output = hyper::Result<http::Response<hyper::body::Incoming>>>,
    sent: Instant,
    largest: usize,
    reused: Reused,
) -> Result<Answer, Unanswered> {
    let response = response.await.map_err(|error| {
        let kind = kind_of(FailureKind::of_head(&error));
        let closing = matches!(kind, ErrorKind::Closed | ErrorKind::Reset);
        let stale = match reused {
            Reused::Not => false,
            Reused::Http1 => closing,
            Reused::Http2 => closing && was_not_begun(&error),
        };
        Unanswered {
            stale,
            lost: !is_of_one_stream(&error),
            broken: Broken {
                kind,
                message: format!("no answer: {}", told(&error)),
            },
            first_byte: None,
            status: None,
        }
    })?;
    let first_byte = sent.elapsed();
    let (head, mut incoming) = response.into_parts();
    let fail = |kind, message: String, lost| Unanswered {
        broken: Broken { kind, message },
        stale: false,
        lost,
        first_byte: Some(first_byte),
        status: Some(head.status),
    };
    let mut body = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| {
            fail(
                kind_of(FailureKind::of_body(&error)),
                format!("the body broke off: {}", told(&error)),
                !is_of_one_stream(&error),
            )
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if body.len() + more.len() + data.len() > largest {
            return Err(fail(
                ErrorKind::TooLarge,
                format!("the body is larger than {largest} bytes"),
                false,
            ));
        }
        // Most bodies come in one piece, which is not copied.
        if body.is_empty() && more.is_empty() {
            body = data;
        } else {
            if more.is_empty() {
                more.extend_from_slice(&std::mem::take(&mut body));
            }
            more.extend_from_slice(&data);
        }
    }
    if !more.is_empty() {
        body = more.freeze();
    }
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body,
        first_byte,
        ended: Instant::now(),
    })
}

/// Polls a connection and the work that waits for it together.
async fn drive<F: Future>(
    driver: &mut Option<http1::Connection<TokioIo<Stream>, Full<Bytes>>>,
    work: F,
) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        if driver
            .as_mut()
            .is_some_and(|driver| Pin::new(driver).poll(context).is_ready())
        {
            *driver = None;
        }
        // What the connection has just got may be what the work waits for.
        work.as_mut().poll(context)
    })
    .await
}
