//! An HTTP client that says where the time went and what exactly broke.
//!
//! It stands on hyper, the engine beneath reqwest, because a gate must tell DNS from TCP from TLS
//! from the server's own time, and a refused connection from a reset one; reqwest hides both. The
//! connector is ours ([`Client`] dials, speaks TLS by rustls with ring, tunnels through a proxy),
//! the protocol is hyper's. Redirects are never followed: they are an answer like any other.
//!
//! Nothing here retries; see [`crate::backoff`]. [`Server`] is the other side, for a tool's own pages.

mod address;
mod body;
mod classify;
mod client;
mod dial;
mod serve;
mod stream;
#[cfg(test)]
mod tests;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};
use url::Url;

pub use address::{AddressError, ConnectTo, Proxies, Proxy, Resolve};
pub use body::decode;
pub use classify::http2_cause;
pub use client::{Client, ClientConfig};
pub use serve::{Answer, Incoming, LARGEST_BODY, MOST_CONNECTIONS, Server};
pub use stream::Stream;
pub use tls::{TlsOptions, TlsSetupError};

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Name, TCP, TLS.
    Connect,
    /// From the request to the head of the answer.
    Head,
    /// From the head to the end of the body.
    Body,
}

/// One request. Everything that may differ from what the URL says is its own member.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Scheme, host, port, path and query.
    pub url: Url,
    /// Headers as sent, beside those that the client adds (`host`, `user-agent`, `accept-encoding`).
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// Limits in time and size.
    pub limits: Limits,
    /// Open a new connection, whatever the pool holds, and do not keep it.
    pub fresh: bool,
}

/// Limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the call to the last byte of the body.
    pub total: Duration,
    /// For name, connection and TLS together; never more than `total`.
    pub connect: Duration,
    /// Largest body that is read, in bytes, both on the wire and after decoding.
    pub body: usize,
}

/// Where the time of one request went. A phase that did not happen (a reused connection has no
/// DNS) is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Resolving the name.
    pub dns: Option<Duration>,
    /// Opening the TCP connection, with a proxy's tunnel.
    pub tcp: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// From the request being handed to the connection to the head of the answer.
    pub first_byte: Option<Duration>,
    /// From the head to the last byte of the body.
    pub body: Option<Duration>,
    /// From the call to the end, whatever that was.
    pub total: Duration,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The protocol version that was spoken.
    pub version: Version,
    /// The headers.
    pub headers: HeaderMap,
    /// The body after `content-encoding` was undone.
    pub body: Bytes,
    /// Bytes of the body on the wire.
    pub wire_bytes: u64,
    /// Where the time went.
    pub phases: Phases,
    /// The connection that carried it.
    pub connection: Connection,
}

/// What is known of a connection.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The address that answered.
    pub remote: Option<SocketAddr>,
    /// It carried an earlier request.
    pub reused: bool,
    /// TLS, where there was any.
    pub tls: Option<Tls>,
}

/// What is known of a TLS session.
#[derive(Clone, Debug)]
pub struct Tls {
    /// `TLS 1.3` or `TLS 1.2`.
    pub version: String,
    /// `h2`, `http/1.1`, or none negotiated.
    pub alpn: Option<String>,
    /// The server's own certificate, where it could be read.
    pub certificate: Option<Certificate>,
}

/// A certificate's facts.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Valid from.
    pub not_before: jiff::Timestamp,
    /// Valid until.
    pub not_after: jiff::Timestamp,
    /// DNS names and addresses that it is for.
    pub names: Vec<String>,
    /// Who signed it.
    pub issuer: String,
}

/// How a request ended without a whole answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What broke.
    pub kind: FailureKind,
    /// One lowercase fragment without a full stop: `connection refused by 127.0.0.1:8080`.
    pub message: String,
    /// Where the time went until then.
    pub phases: Phases,
    /// The connection, as far as it got.
    pub connection: Connection,
    /// The head of the answer and what came of the body (at most the body limit), where a head came.
    pub partial: Option<Box<Partial>>,
}

/// What came of an answer that did not end well.
#[derive(Clone, Debug)]
pub struct Partial {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The first bytes of the body, as they came.
    pub body: Bytes,
}

/// What broke. The first group says that the target was never reached, so that nothing is known
/// of it; the second is the target's own doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The name does not resolve.
    NameNotResolved,
    /// No route to the host or network, or not permitted to try.
    NoRoute,
    /// A proxy could not be reached, or refused to tunnel.
    Proxy,
    /// A socket, file or descriptor of our own: descriptor limit, no free port, local address.
    Local,

    /// The connection was refused.
    Refused,
    /// The connection was reset or broken off by the other side before a whole head came.
    Reset,
    /// The other side closed the connection without answering.
    Closed,
    /// Time ran out while connecting.
    ConnectTimeout,
    /// Time ran out after connecting.
    Timeout,
    /// The TLS handshake failed: expired, wrong name, unknown issuer, no TLS at all.
    Tls,
    /// What came is not HTTP.
    Malformed,
    /// The body ended before its announced end.
    Truncated,
    /// The body is larger than the limit, on the wire or decoded.
    TooLarge,
    /// The body is not what `content-encoding` says.
    BadEncoding,
}

impl FailureKind {
    /// What hyper's error means while waiting for the head of an answer, for callers that drive a
    /// connection themselves.
    #[must_use]
    pub fn of_head(error: &hyper::Error) -> Self {
        classify::hyper_error(error, Phase::Head)
    }

    /// What hyper's error means while reading a body.
    #[must_use]
    pub fn of_body(error: &hyper::Error) -> Self {
        classify::hyper_error(error, Phase::Body)
    }

    /// Whether the target was never reached, so that nothing is known of it.
    #[must_use]
    pub fn target_unknown(self) -> bool {
        matches!(
            self,
            Self::NameNotResolved | Self::NoRoute | Self::Proxy | Self::Local
        )
    }
}
