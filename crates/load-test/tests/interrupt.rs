//! Ctrl-C and SIGTERM: a run ends at once, whatever it waits for, and its report is whole.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Run, SIMPLE, personas, sim};

/// Much less than any limit that a connection has by itself (5 s and more), and more than an end takes here.
const AT_ONCE: Duration = Duration::from_secs(3);

fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_load-test"))
        .args(arguments)
        .args(["--output", "json"])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Sends the signal, and waits for the end and the report.
#[track_caller]
fn interrupt(child: Child, signal: &str) -> Run {
    let began = Instant::now();
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    let run = Run::read(&output, began.elapsed());
    assert_eq!(
        (run.code, run.text("reason")),
        (130, "interrupted"),
        "{signal}: {}",
        run.text("summary")
    );
    assert!(run.took < AT_ONCE, "{signal}: {:?}", run.took);
    run
}

#[test]
fn an_interrupt_leaves_a_whole_report() {
    let sim = sim(Vec::new());
    let folder = tempfile::tempdir().unwrap();
    let path = personas(folder.path(), SIMPLE);
    for signal in ["INT", "TERM"] {
        let served = sim.count("GET", "/api/v1/signals");
        let url = sim.url();
        let child = start(&[
            &url,
            "--users",
            "2",
            "--duration",
            "5m",
            "--personas",
            &path,
        ]);
        let now = sim.count_once("GET", "/api/v1/signals", served + 5);
        assert!(now >= served + 5, "no load came");
        let run = interrupt(child, signal);
        assert!(run.total("requests") >= 5);
    }
}

#[test]
fn an_interrupt_ends_a_wait_for_a_tls_hello() {
    for arguments in [
        &["URL", "--users", "2"][..],
        &["URL", "--rate", "20"],
        &["URL", "--users", "2", "--http2", "--streams", "2"],
        &["check", "URL"],
        &["ab", "--base", "URL", "--new", "URL"],
        &["find-max", "URL", "--goal", "p95<1s"],
    ] {
        // Takes connections and never says a word.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let arguments: Vec<&str> = arguments
            .iter()
            .map(|word| if *word == "URL" { &url } else { *word })
            .collect();
        let child = start(&arguments);
        let (_held, _) = listener.accept().unwrap();
        interrupt(child, "INT");
    }
}

/// A port on which no connection comes about any more, and none is refused: nobody accepts, and the line of
/// those who wait to be accepted is full.
#[cfg(target_os = "linux")]
fn black_hole() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    // The standard library asks for a line of 128, and the system may allow up to 4096.
    while held.len() < 5000 {
        match TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
            Ok(stream) => held.push(stream),
            Err(_) => return (listener, held),
        }
    }
    panic!("the line never fills");
}

/// Waits until a process somewhere tries to connect to a port.
#[cfg(target_os = "linux")]
fn wait_for_attempt(port: u16) {
    let until = Instant::now() + Duration::from_secs(20);
    let there = format!(":{port:04X} 02 ");
    while Instant::now() < until {
        // The far end, and the state SYN_SENT behind it.
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        if table.contains(&there) {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("nobody tries to connect");
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_ends_a_connect_that_nobody_answers() {
    let (listener, _held) = black_hole();
    let address = listener.local_addr().unwrap();
    let url = format!("http://{address}");
    for arguments in [
        &[url.as_str(), "--users", "2"][..],
        &[url.as_str(), "--rate", "20"],
        &["check", &url],
    ] {
        let child = start(arguments);
        wait_for_attempt(address.port());
        interrupt(child, "INT");
    }
}

#[test]
fn an_interrupt_ends_users_who_are_still_connecting() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let child = start(&[&url, "--insecure", "--users", "2", "--ramp", "0s"]);
    // The connection before the load is answered, those of the users are not.
    let (mut first, _) = listener.accept().unwrap();
    let mut session = rustls::ServerConnection::new(Arc::new(config)).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut first).unwrap();
    }
    let _held = (listener.accept().unwrap(), listener.accept().unwrap());
    let run = interrupt(child, "INT");
    assert_eq!(run.total("requests"), 2);
    assert_eq!(run.errors()["unfinished"], 2, "{:?}", run.errors());
}
