//! Compressed answers: none unless they are asked for, decoded for the checks, counted as they came.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use common::{broken, personas, run};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use gs_sim::Kind;

/// Repeats itself, so that it compresses well.
fn plain() -> Vec<u8> {
    let items = vec![r#"{"symbol":"AAPL","action":"BUY"}"#; 200].join(",");
    format!("{{\"signals\":[{items}]}}").into_bytes()
}

fn packed(path: &str) -> (&'static str, Vec<u8>) {
    let plain = plain();
    match path {
        "/zlib" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&plain).unwrap();
            ("deflate", encoder.finish().unwrap())
        }
        "/raw" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&plain).unwrap();
            ("deflate", encoder.finish().unwrap())
        }
        _ => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&plain).unwrap();
            ("gzip", encoder.finish().unwrap())
        }
    }
}

/// What clients asked for, by path.
type Asked = Arc<Mutex<BTreeMap<(String, String), u64>>>;

fn serve(mut stream: TcpStream, asked: &Asked) -> Option<()> {
    let mut held = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = held.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
            held.extend_from_slice(&piece[..read]);
        };
        let head = String::from_utf8(held.drain(..end).collect()).ok()?;
        let path = head.split(' ').nth(1)?.to_owned();
        let accepts: Vec<&str> = head
            .lines()
            .filter_map(|line| line.strip_prefix("accept-encoding: "))
            .collect();
        let accepts = accepts.join("|");
        *asked
            .lock()
            .unwrap()
            .entry((path.clone(), accepts.clone()))
            .or_default() += 1;
        let (encoding, body) = if accepts.contains("gzip") {
            packed(&path)
        } else {
            ("identity", plain())
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&body).ok()?;
    }
}

/// A server that compresses what it is asked to compress.
fn server() -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let shared = Arc::clone(&asked);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let asked = Arc::clone(&shared);
            std::thread::spawn(move || serve(stream, &asked));
        }
    });
    (url, asked)
}

const LOOKS: &str = r#"
[[personas]]
name = "one"
[[personas.tasks]]
name = "all"
steps = [
  { get = "/gzip", expect = { api = true, json = [{ path = "$.signals[199].symbol", equals = "AAPL" }] } },
  { get = "/zlib", expect = { api = true, json = [{ path = "$.signals[199].symbol" }] } },
  { get = "/raw", expect = { min_size = "6KiB" } },
]
"#;

#[track_caller]
fn load(url: &str, text: &str, more: &[&str]) -> common::Run {
    let folder = tempfile::tempdir().unwrap();
    let path = personas(folder.path(), text);
    let mut arguments = vec![url, "--rate", "60", "--duration", "1s", "--personas", &path];
    arguments.extend(["--goal", "mean<5s", "--goal", "late<=100%"]);
    arguments.extend(more);
    run(&arguments)
}

fn body_bytes(run: &common::Run, name: &str) -> u64 {
    let all = run.report["details"]["endpoints"].as_array().unwrap();
    let row = all.iter().find(|row| row["name"] == name).unwrap();
    row["body_bytes"].as_u64().unwrap()
}

#[test]
fn none_is_asked_for_by_default_and_the_report_says_so() {
    let (url, asked) = server();
    let run = load(&url, LOOKS, &[]);
    assert_eq!((run.code, run.total("failures")), (0, 0), "{}", run.stderr);
    let asked = asked.lock().unwrap();
    assert!(
        asked.keys().all(|(_, accepts)| accepts == "identity"),
        "{asked:?}"
    );
    assert_eq!(body_bytes(&run, "/gzip"), 20 * plain().len() as u64);
    assert_eq!(run.report["details"]["setup"]["compression"], false);
    let not_covered = run.report["not_covered"].to_string();
    assert!(not_covered.contains("compressed answers"), "{not_covered}");
}

#[test]
fn compressed_answers_are_decoded_for_checks_and_counted_as_they_came() {
    let (url, asked) = server();
    let run = load(&url, LOOKS, &["--compression"]);
    assert_eq!(
        (run.code, run.total("requests"), run.total("failures")),
        (0, 60, 0),
        "{}",
        run.report["details"]["errors"]
    );
    let asked = asked.lock().unwrap();
    assert!(
        asked.keys().all(|(_, accepts)| accepts == "gzip, deflate"),
        "{asked:?}"
    );
    for path in ["/gzip", "/zlib", "/raw"] {
        let came = packed(path).1.len() as u64;
        assert!(came * 10 < plain().len() as u64);
        assert_eq!(body_bytes(&run, path), 20 * came, "{path}");
    }
    assert_eq!(run.report["details"]["setup"]["compression"], true);
    assert_eq!(
        run.report["details"]["identity"]["connections"],
        "http/1.1, kept, compressed"
    );
    let not_covered = run.report["not_covered"].to_string();
    assert!(!not_covered.contains("compressed answers"), "{not_covered}");
}

#[test]
fn a_persona_says_whether_it_asks() {
    let text = r#"
[defaults]
compression = true
[[personas]]
name = "browser"
[[personas.tasks]]
name = "packed"
steps = [{ get = "/packed", expect = { api = true } }]
[[personas]]
name = "script"
compression = false
[[personas.tasks]]
name = "plain"
steps = [{ get = "/plain", expect = { api = true } }]
[[personas]]
name = "own"
[[personas.tasks]]
name = "own"
steps = [{ get = "/own", headers = { accept-encoding = "gzip" }, expect = { api = true } }]
"#;
    let (url, asked) = server();
    let run = load(&url, text, &[]);
    assert_eq!(run.total("failures"), 0, "{}", run.report["details"]);
    let asked: Vec<(String, String)> = asked.lock().unwrap().keys().cloned().collect();
    let wanted = [
        ("/own", "gzip"),
        ("/packed", "gzip, deflate"),
        ("/plain", "identity"),
    ];
    let wanted = wanted.map(|(path, accepts)| (path.to_owned(), accepts.to_owned()));
    assert_eq!(asked, wanted);
    assert_eq!(run.report["details"]["setup"]["compression"], true);
}

#[test]
fn a_body_that_does_not_decode_is_a_failed_request() {
    for (kind, error) in [
        (Kind::BadGzip, "bad_encoding"),
        (Kind::GzipBomb, "too_large"),
    ] {
        let sim = broken(kind);
        let text = common::SIMPLE;
        let run = load(&sim.url(), text, &["--compression"]);
        assert_eq!((run.code, run.text("reason")), (1, "goals_missed"));
        let counted = run.errors().get(error).and_then(serde_json::Value::as_u64);
        assert_eq!(
            counted,
            Some(run.total("requests")),
            "{error}: {:?}",
            run.errors()
        );
        let first = &run.report["details"]["errors"][0]["first"];
        assert_eq!(first["status"], 200);
    }
}
