//! Plain HTTP/1.1 exchanges for the small listeners: a request comes, a reply goes, and on request the
//! reply goes wrong.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::server::{Refusal, Request, parse};

/// A client may be silent for so long between two requests.
const PATIENCE: Duration = Duration::from_secs(60);

/// More connections wait until others end.
const MOST_CONNECTIONS: usize = 512;

pub(crate) const JSON: &str = "application/json";

/// A reply, and how it goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub media: String,
    pub headers: Vec<(&'static str, String)>,
    /// The body: each piece so many times, one after the other.
    pub body: Vec<(Vec<u8>, u64)>,
    /// Waits before the first byte.
    pub wait: Duration,
    /// The clock of the `date` header is so many seconds off.
    pub date_off_seconds: i64,
    pub end: End,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It stays, if the client wants it.
    Keep,
    /// It is closed after half of the body.
    Cut,
    /// It is closed without a reply.
    Silent,
}

impl Reply {
    pub(crate) fn new(status: u16, media: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            media: media.to_owned(),
            headers: Vec::new(),
            body: vec![(body.into(), 1)],
            wait: Duration::ZERO,
            date_off_seconds: 0,
            end: End::Keep,
        }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, JSON, format!("{body}\n"))
    }

    pub(crate) fn error(status: u16, why: impl Into<String>) -> Self {
        Self::json(status, &json!({"error": why.into()}))
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn length(&self) -> u64 {
        self.body
            .iter()
            .map(|(piece, times)| piece.len() as u64 * times)
            .sum()
    }

    fn head(&self, keep_alive: bool) -> String {
        let reason = http::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        let now = Timestamp::now();
        let date = now
            .checked_add(SignedDuration::from_secs(self.date_off_seconds))
            .unwrap_or(now)
            .strftime("%a, %d %b %Y %H:%M:%S GMT");
        let extra: String = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        format!(
            "HTTP/1.1 {} {reason}\r\ndate: {date}\r\ncontent-type: {}\r\ncontent-length: {}\r\n{extra}connection: {}\r\n\r\n",
            self.status,
            self.media,
            self.length(),
            if keep_alive { "keep-alive" } else { "close" },
        )
    }
}

/// Takes connections until its task is dropped. `answer` must not take long: it holds up all others.
pub(crate) async fn serve(
    listener: TcpListener,
    answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) {
    let answer = Arc::new(answer);
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: those that are open have to close first.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            // A client may leave at any time: no error here.
            let _ = connection(stream, &*answer).await;
            drop(place);
        });
    }
}

async fn connection(
    mut stream: TcpStream,
    answer: &(dyn Fn(&Request) -> Reply + Send + Sync),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::with_capacity(4096);
    loop {
        let (reply, keep_alive) = match parse(&bytes) {
            Ok(Some((request, used))) => {
                bytes.drain(..used);
                (answer(&request), request.keep_alive)
            }
            Err(Refusal(status, why)) => (Reply::error(status, why), false),
            Ok(None) => match timeout(PATIENCE, stream.read_buf(&mut bytes)).await {
                Ok(Ok(count)) if count > 0 => continue,
                _ => return Ok(()),
            },
        };
        if !reply.wait.is_zero() {
            sleep(reply.wait).await;
        }
        if reply.end == End::Silent {
            return Ok(());
        }
        let most = if reply.end == End::Cut {
            reply.length() / 2
        } else {
            u64::MAX
        };
        stream.write_all(reply.head(keep_alive).as_bytes()).await?;
        write_body(&mut stream, &reply, most).await?;
        if !keep_alive || reply.end == End::Cut {
            return stream.shutdown().await;
        }
    }
}

async fn write_body(stream: &mut TcpStream, reply: &Reply, most: u64) -> io::Result<()> {
    let mut left = most;
    for (piece, times) in &reply.body {
        for _ in 0..*times {
            let length = left.min(piece.len() as u64);
            if length == 0 {
                break;
            }
            stream.write_all(&piece[..length as usize]).await?;
            left -= length;
        }
    }
    Ok(())
}

/// The members of a query or of a form, decoded, in their order.
pub(crate) fn form(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        let escaped = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(match (escaped, byte) {
            (Some(escaped), _) => escaped,
            (None, b'+') => b' ',
            (None, byte) => byte,
        });
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_form_is_decoded() {
        let read = form("query=a%7Bb%3D%22%C3%A9%22%7D&time=1+2&&x&50%");
        let read: Vec<(&str, &str)> = read
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            read,
            [
                ("query", "a{b=\"é\"}"),
                ("time", "1 2"),
                ("x", ""),
                ("50%", "")
            ]
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_form_panic(text in "[%a-fé+=&0-9]{0,40}") {
            let _ = form(&text);
        }
    }
}
