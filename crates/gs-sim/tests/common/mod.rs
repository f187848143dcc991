//! A client that reads bytes as they come, so that a test sees what was really sent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    reason = "tests, and not every file uses every helper"
)]

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use gs_sim::{Fault, Kind, Plan, Sim};
use serde_json::Value;

/// Nothing on the loopback takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A healthy pod.
pub(crate) fn healthy() -> Sim {
    Sim::start(&Plan::default()).unwrap()
}

/// A pod with this fault everywhere.
pub(crate) fn broken(kind: Kind) -> Sim {
    Sim::start(&Plan::with_faults([Fault::new(kind)])).unwrap()
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A request that asks to close the connection afterwards.
pub(crate) fn request(method: &str, target: &str, body: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// FIN.
    Closed,
    /// RST.
    Reset,
    /// Nothing more came in the time given.
    Silent,
}

/// All bytes up to the end, at most `limit` of them.
pub(crate) fn read_all(stream: &mut TcpStream, limit: usize) -> (Vec<u8>, End) {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return (bytes, End::Closed),
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return (bytes, End::Reset);
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                return (bytes, End::Silent);
            }
            Err(error) => panic!("{error}"),
        }
        if bytes.len() >= limit {
            return (bytes, End::Silent);
        }
    }
}

/// The bytes that a `GET` brings, and how the connection ends.
pub(crate) fn raw(sim: &Sim, path: &str) -> (Vec<u8>, End) {
    let mut stream = connect(sim.address());
    stream
        .write_all(request("GET", path, "").as_bytes())
        .unwrap();
    read_all(&mut stream, 8 << 20)
}

/// An answer, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Takes the bytes of one whole answer apart; what follows the head is the body.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("no head in {bytes:?}"));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            status,
            head,
            body: bytes[end + 4..].to_vec(),
        }
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self
            .head
            .lines()
            .skip(1)
            .find(|line| line.split(':').next() == Some(name))?;
        line.split_once(": ").map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// One request over a connection of its own.
pub(crate) fn ask(sim: &Sim, method: &str, target: &str, body: &str) -> Answer {
    ask_at(sim.address(), method, target, body)
}

pub(crate) fn ask_at(address: SocketAddr, method: &str, target: &str, body: &str) -> Answer {
    let mut stream = connect(address);
    stream
        .write_all(request(method, target, body).as_bytes())
        .unwrap();
    let (bytes, end) = read_all(&mut stream, 8 << 20);
    assert_eq!(end, End::Closed, "{method} {target}");
    let answer = Answer::of(&bytes);
    assert_eq!(
        answer
            .header("content-length")
            .map(|text| text.parse().unwrap()),
        Some(answer.body.len()),
        "{method} {target}"
    );
    answer
}

pub(crate) fn get(sim: &Sim, target: &str) -> Answer {
    ask(sim, "GET", target, "")
}
