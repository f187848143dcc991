//! A small HTTP/1.1 server for the pages that a tool has of its own: metrics, its state, webhooks.
//!
//! One request a connection, at most [`MOST_CONNECTIONS`] at a time (further ones wait in the
//! kernel's queue), and a limit for each in time and size: a client that is slow, silent or broken
//! costs one place for some seconds and is never talked about. No TLS, no routes, no files.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming as Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// More connections than that wait until one of these has ended.
pub const MOST_CONNECTIONS: usize = 64;

/// Largest body of a request that is read, in bytes.
pub const LARGEST_BODY: usize = 64 << 10;

/// How long a connection may take.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// From its start to the end of the request's head.
    head: Duration,
    /// From its start to the last byte of the answer.
    whole: Duration,
}

const TIMES: Times = Times {
    head: Duration::from_secs(5),
    whole: Duration::from_secs(15),
};

/// Before the next try, when the process has no descriptor left.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// Largest head, and most headers.
const HEAD_BYTES: usize = 32 << 10;
const HEADERS: usize = 64;

/// A request that came in.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// The method; a `HEAD` arrives as `GET`, and the body of its answer is left out.
    pub method: Method,
    /// The path as sent, without the query.
    pub path: String,
    /// The pairs of the query, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most [`LARGEST_BODY`] bytes.
    pub body: Bytes,
}

impl Incoming {
    /// The first value that the query has for a name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
    /// The methods that the path knows, for a 405.
    pub allow: Option<&'static str>,
}

impl Answer {
    /// A body of any media type.
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            body: body.into(),
            allow: None,
        }
    }

    /// Plain text for people; a line end is added.
    pub fn text(status: StatusCode, text: impl std::fmt::Display) -> Self {
        let body = format!("{text}\n");
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    /// JSON on one line.
    #[must_use]
    pub fn json(status: StatusCode, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", format!("{value}\n"))
    }

    /// Metrics in the text format of Prometheus.
    pub fn metrics(text: impl Into<Bytes>) -> Self {
        let format = "text/plain; version=0.0.4; charset=utf-8";
        Self::new(StatusCode::OK, format, text)
    }

    /// The path is known, the method is not.
    #[must_use]
    pub fn wrong_method(allow: &'static str) -> Self {
        let sentence = format!("only {allow} is answered here");
        Self {
            allow: Some(allow),
            ..Self::text(StatusCode::METHOD_NOT_ALLOWED, sentence)
        }
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    times: Times,
}

impl Server {
    /// Listens. Needs no runtime; nothing is answered before [`Server::run`].
    ///
    /// # Errors
    /// The address is in use, not ours, or not permitted.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            times: TIMES,
        })
    }

    /// The address with the port that was chosen for port 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the future is dropped, which ends the open connections too. A handler that
    /// panics costs its own connection only.
    ///
    /// # Errors
    /// The runtime cannot take the socket over.
    pub async fn run<H, F>(self, handler: H) -> io::Result<Infallible>
    where
        H: Fn(Incoming) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let handler = Arc::new(handler);
        let Times { head, whole } = self.times;
        let mut open = JoinSet::new();
        loop {
            if open.len() >= MOST_CONNECTIONS {
                open.join_next().await;
                continue;
            }
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let connection = connection(stream, head, Arc::clone(&handler));
                        open.spawn(async move { drop(timeout(whole, connection).await) });
                    }
                    // A connection that was gone before it was accepted, or no descriptor left.
                    Err(_) => sleep(NO_DESCRIPTOR).await,
                },
                Some(_) = open.join_next() => {}
            }
        }
    }
}

async fn connection<H, F>(stream: TcpStream, head: Duration, handler: Arc<H>)
where
    H: Fn(Incoming) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(respond(request, &*handler).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // What a client did wrong is its own affair.
    drop(served);
}

async fn respond<H, F>(request: http::Request<Body>, handler: &H) -> http::Response<Full<Bytes>>
where
    H: Fn(Incoming) -> F,
    F: Future<Output = Answer>,
{
    let (head, body) = request.into_parts();
    let answer = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => {
            let query = head.uri.query().unwrap_or_default();
            let incoming = Incoming {
                method: match head.method {
                    Method::HEAD => Method::GET,
                    method => method,
                },
                path: head.uri.path().to_owned(),
                query: url::form_urlencoded::parse(query.as_bytes())
                    .into_owned()
                    .collect(),
                headers: head.headers,
                body: body.to_bytes(),
            };
            handler(incoming).await
        }
        Err(error) if error.is::<LengthLimitError>() => Answer::text(
            StatusCode::PAYLOAD_TOO_LARGE,
            format_args!("a body holds at most {LARGEST_BODY} bytes here"),
        ),
        Err(_) => Answer::text(StatusCode::BAD_REQUEST, "the body did not come whole"),
    };
    let mut response = http::Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, fixed(answer.content_type));
    headers.insert(header::CACHE_CONTROL, fixed("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    if let Some(allow) = answer.allow {
        headers.insert(header::ALLOW, fixed(allow));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    type Echo = Pin<Box<dyn Future<Output = Answer> + Send>>;

    /// Tells what arrived.
    fn echo(asked: Incoming) -> Echo {
        Box::pin(async move {
            assert_ne!(asked.path, "/panic", "as the test wants it");
            let body = String::from_utf8_lossy(&asked.body).into_owned();
            let said = serde_json::json!([asked.method.as_str(), asked.path, asked.query, body]);
            Answer::json(StatusCode::OK, &said)
        })
    }

    fn start() -> SocketAddr {
        start_with(TIMES)
    }

    fn start_with(times: Times) -> SocketAddr {
        let mut server = Server::bind(([127, 0, 0, 1], 0).into()).unwrap();
        server.times = times;
        let address = server.local_addr();
        tokio::spawn(server.run(echo));
        address
    }

    async fn say(address: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may have answered and closed before it read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[track_caller]
    fn check(answer: &str, status: &str, holds: &str) {
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(holds),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn a_request_arrives_as_it_was_sent() {
        let address = start();
        let get = say(address, b"GET /a%20b?x=1%262&y HTTP/1.1\r\nhost: h\r\n\r\n").await;
        check(&get, "200", r#"["GET","/a%20b",[["x","1&2"],["y",""]],""]"#);
        check(&get, "200", "connection: close");
        let post = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi";
        check(&say(address, post).await, "200", r#"["POST","/",[],"hi"]"#);
    }

    #[tokio::test]
    async fn a_head_request_is_a_get_without_a_body() {
        let answer = say(start(), b"HEAD /x HTTP/1.1\r\nhost: h\r\n\r\n").await;
        check(&answer, "200", "content-type: application/json");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_read() {
        let address = start();
        for (more, status) in [(0, "200"), (1, "413")] {
            let size = LARGEST_BODY + more;
            let mut sent = format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {size}\r\n\r\n")
                .into_bytes();
            sent.resize(sent.len() + size, b'x');
            check(&say(address, &sent).await, status, "");
        }
    }

    #[tokio::test]
    async fn nonsense_and_a_panicking_handler_cost_their_own_connection_only() {
        let address = start();
        check(
            &say(address, b"\x16\x03\x01 no http\r\n\r\n").await,
            "400",
            "",
        );
        let huge = [b"GET / HTTP/1.1\r\nx: ".as_slice(), &vec![b'y'; HEAD_BYTES]].concat();
        check(&say(address, &huge).await, "431", "");
        say(address, b"GET /panic HTTP/1.1\r\nhost: h\r\n\r\n").await;
        check(
            &say(address, b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await,
            "200",
            "",
        );
    }

    #[tokio::test]
    async fn silent_clients_fill_the_places_and_then_lose_them() {
        let address = start_with(Times {
            head: Duration::from_millis(300),
            ..TIMES
        });
        let mut silent = Vec::new();
        for _ in 0..MOST_CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            silent.push(stream);
        }
        let answer = say(address, b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
        check(&answer, "200", "");
    }

    #[tokio::test]
    async fn a_body_that_never_comes_ends_with_the_connection() {
        let address = start_with(Times {
            whole: Duration::from_millis(100),
            ..TIMES
        });
        let sent = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nabc";
        assert_eq!(say(address, sent).await, "");
    }
}
