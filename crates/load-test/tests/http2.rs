//! HTTP/2 over TLS and without it, against servers of hyper's and of h2's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::{Run, SIMPLE, personas, run, tool};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Barrier, Notify};
use tokio_rustls::TlsAcceptor;

/// Requests by what they are: good ones, and those without what HTTP/2 asks for.
#[derive(Debug, Default)]
struct Seen {
    good: AtomicU64,
    bad: AtomicU64,
    /// The most requests on one connection at the same time.
    together: AtomicU64,
}

/// What a server does.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// Answers.
    Answer,
    /// Answers when so many requests are there on a connection, and refuses those that wait too long.
    WaitFor(usize),
    /// Answers after a while.
    Take(Duration),
    /// Says `GOAWAY` after so many requests on a connection, and answers what it began with.
    GoAwayAfter(u64),
}

/// What all connections of a server's share.
#[derive(Clone)]
struct Shared {
    seen: Arc<Seen>,
    does: Does,
}

/// Runs a server's connections on a thread of their own; they end with the test's process.
fn listen<F, Fut>(serve: F) -> u16
where
    F: Fn(tokio::net::TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                drop(tokio::spawn(serve(stream)));
            }
        });
    });
    port
}

fn acceptor(protocol: &[u8]) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![made.cert.der().clone()],
            PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into(),
        )
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// A server that speaks nothing but HTTP/2, over TLS; its URL and what it sees.
fn secure(does: Does) -> (String, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let shared = Shared {
        seen: Arc::clone(&seen),
        does,
    };
    let acceptor = acceptor(b"h2");
    let port = listen(move |stream| {
        let (acceptor, shared) = (acceptor.clone(), shared.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, shared).await;
            }
        }
    });
    (format!("https://127.0.0.1:{port}"), seen)
}

/// The same without TLS.
fn plain(does: Does) -> (String, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let shared = Shared {
        seen: Arc::clone(&seen),
        does,
    };
    let port = listen(move |stream| serve(stream, shared.clone()));
    (format!("http://127.0.0.1:{port}"), seen)
}

async fn serve<S>(stream: S, Shared { seen, does }: Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let open = Arc::new(AtomicU64::new(0));
    let all = Arc::new(AtomicU64::new(0));
    let enough = Arc::new(Notify::new());
    let barrier = Arc::new(Barrier::new(match does {
        Does::WaitFor(count) => count,
        _ => 1,
    }));
    let leave = Arc::clone(&enough);
    let service =
        hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let whole = request.version() == http::Version::HTTP_2
                && request.uri().authority().is_some()
                && request.headers().contains_key("traceparent");
            let count = if whole { &seen.good } else { &seen.bad };
            count.fetch_add(1, Ordering::Relaxed);
            let now = open.fetch_add(1, Ordering::Relaxed) + 1;
            seen.together.fetch_max(now, Ordering::Relaxed);
            let number = all.fetch_add(1, Ordering::Relaxed) + 1;
            let (open, barrier, enough) =
                (Arc::clone(&open), Arc::clone(&barrier), Arc::clone(&enough));
            async move {
                let mut answer = http::Response::new(Full::new(Bytes::from_static(b"{}")));
                answer.headers_mut().insert(
                    http::header::CONTENT_TYPE,
                    http::HeaderValue::from_static("application/json"),
                );
                match does {
                    Does::Answer => {}
                    Does::WaitFor(_) => {
                        let limit = Duration::from_secs(5);
                        if tokio::time::timeout(limit, barrier.wait()).await.is_err() {
                            *answer.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                        }
                    }
                    Does::Take(time) => tokio::time::sleep(time).await,
                    Does::GoAwayAfter(count) if number == count => enough.notify_one(),
                    Does::GoAwayAfter(_) => {}
                }
                open.fetch_sub(1, Ordering::Relaxed);
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
    let mut connection = std::pin::pin!(
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        _ = connection.as_mut() => return,
        () = leave.notified() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// A server of h2's own without TLS, which resets every tenth request on a connection or goes away in anger
/// instead of answering it.
fn angry(resets: bool) -> String {
    let port = listen(move |stream| async move {
        let Ok(mut connection) = h2::server::handshake(stream).await else {
            return;
        };
        let mut number = 0;
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            number += 1;
            if number % 10 > 0 {
                let answer = http::Response::builder()
                    .header("content-type", "application/json")
                    .body(())
                    .unwrap();
                let mut body = respond.send_response(answer, false).unwrap();
                body.send_data(Bytes::from_static(b"{}"), true).unwrap();
            } else if resets {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
            } else {
                connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
            }
        }
    });
    format!("http://127.0.0.1:{port}")
}

/// A run of the simple persona, judged by nothing but failures.
fn load(url: &str, more: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = personas(folder.path(), SIMPLE);
    let mut arguments = vec![
        url,
        "--insecure",
        "--ramp",
        "0s",
        "--duration",
        "2s",
        "--personas",
        &path,
        "--goal",
        "mean<30s",
    ];
    arguments.extend(more);
    run(&arguments)
}

fn generator(run: &Run, name: &str) -> u64 {
    run.report["details"]["generator"][name].as_u64().unwrap()
}

#[track_caller]
fn is_good(run: &Run, requests: u64) {
    assert_eq!(
        (run.code, run.total("requests"), run.total("failures")),
        (0, requests, 0),
        "{}: {}",
        run.text("summary"),
        run.report["details"]["errors"]
    );
}

const AT_40: [&str; 5] = ["--rate", "40", "--goal", "late<=100%", "--connections"];

#[test]
fn http2_is_spoken_where_it_is_asked_for() {
    let (url, seen) = secure(Does::Answer);
    let run = load(&url, &[&["--http2"][..], &AT_40, &["4"]].concat());
    is_good(&run, 80);
    assert_eq!(seen.good.load(Ordering::Relaxed), 80);
    assert_eq!(seen.bad.load(Ordering::Relaxed), 0);
    assert_eq!(run.report["details"]["setup"]["protocol"], "h2");
    let opened = generator(&run, "connections_opened");
    assert!(opened <= 4, "{opened} connections for 80 requests");
}

#[test]
fn streams_share_a_connection_at_a_rate() {
    // An answer comes only when eight requests are there, so fewer at the same time would never end well.
    let streams = ["--streams", "8"];
    for ((url, seen), how) in [
        (secure(Does::WaitFor(8)), "--http2"),
        (plain(Does::WaitFor(8)), "--http2-prior-knowledge"),
    ] {
        let run = load(&url, &[&[how][..], &streams, &AT_40, &["1"]].concat());
        is_good(&run, 80);
        assert_eq!(seen.bad.load(Ordering::Relaxed), 0);
        assert_eq!(seen.together.load(Ordering::Relaxed), 8);
        assert_eq!(generator(&run, "connections_opened"), 1);
        assert_eq!(run.report["details"]["setup"]["protocol"], "h2, 8 streams");
    }
}

#[test]
fn what_finds_no_free_stream_waits_and_its_wait_counts() {
    // Two streams carry 20 requests a second of 100 ms each; 40 become due.
    let (url, seen) = plain(Does::Take(Duration::from_millis(100)));
    let streams = [
        "--http2-prior-knowledge",
        "--streams",
        "2",
        "--drain",
        "10s",
    ];
    let run = load(&url, &[&streams[..], &AT_40, &["1"]].concat());
    assert_eq!((run.total("requests"), run.total("failures")), (80, 0));
    assert_eq!(seen.together.load(Ordering::Relaxed), 2);
    let max = |clock: &str| {
        run.report["details"]["total"][clock]["max"]
            .as_f64()
            .unwrap()
    };
    // The last ones are due at 2 s and are answered at 4 s.
    assert!(max("response_ms") > 1500.0, "{}", max("response_ms"));
    assert!(max("service_ms") < max("response_ms") - 1000.0);
    assert!(generator(&run, "waited") > 40);
}

#[test]
fn users_share_connections_in_their_order() {
    let (url, seen) = secure(Does::Take(Duration::from_millis(30)));
    let run = load(&url, &["--http2", "--streams", "4", "--users", "12"]);
    is_good(&run, run.total("requests"));
    assert!(run.total("requests") > 100);
    assert_eq!(generator(&run, "connections_opened"), 3);
    let together = seen.together.load(Ordering::Relaxed);
    assert!((2..=4).contains(&together), "{together}");
}

#[test]
fn a_server_that_goes_away_in_peace_costs_no_request() {
    let (url, seen) = plain(Does::GoAwayAfter(10));
    let streams = ["--http2-prior-knowledge", "--streams", "4"];
    let run = load(&url, &[&streams[..], &AT_40, &["2"]].concat());
    is_good(&run, 80);
    assert_eq!(seen.good.load(Ordering::Relaxed), 80);
    let opened = generator(&run, "connections_opened");
    assert!(opened >= 6, "{opened} connections of ten requests each");
}

#[test]
fn a_stream_that_is_reset_is_a_failed_request_and_the_others_go_on() {
    let streams = ["--http2-prior-knowledge", "--streams", "4"];
    let run = load(&angry(true), &[&streams[..], &AT_40, &["1"]].concat());
    assert_eq!((run.code, run.total("requests")), (1, 80));
    assert_eq!(run.errors()["reset"], 8, "{:?}", run.errors());
    assert_eq!(run.errors().len(), 1, "{:?}", run.errors());
    assert_eq!(generator(&run, "retried"), 0);
    assert_eq!(generator(&run, "connections_opened"), 1);
    let errors = run.report["details"]["errors"].to_string();
    assert!(errors.contains("refused stream"), "{errors}");
}

#[test]
fn a_server_that_goes_away_in_anger_fails_the_request() {
    let streams = ["--http2-prior-knowledge", "--streams", "4"];
    let run = load(&angry(false), &[&streams[..], &AT_40, &["1"]].concat());
    assert_eq!((run.code, run.total("requests")), (1, 80));
    assert!(run.total("failures") >= 6, "{:?}", run.errors());
    assert!(generator(&run, "connections_opened") >= 6);
}

#[test]
fn without_http2_on_the_other_side_there_is_no_verdict() {
    let acceptor = acceptor(b"http/1.1");
    let port = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            // The handshake is all that is asked for.
            let _ = acceptor.accept(stream).await;
        }
    });
    let url = format!("https://127.0.0.1:{port}");
    let plain = common::sim(Vec::new());
    for (url, flags) in [
        (&url, &["--http2", "--streams", "4"][..]),
        (&url, &["--http2"]),
        (&url, &["--http2-prior-knowledge"]),
        (&plain.url(), &["--http2-prior-knowledge"]),
    ] {
        let run = load(url, &[flags, &["--users", "2"]].concat());
        let told = run.text("summary");
        assert_eq!(
            (run.code, run.text("reason")),
            (3, "target_unreachable"),
            "{flags:?}: {told}"
        );
        assert!(told.contains("does not speak HTTP/2"), "{told}");
    }
    // What it counts is the greeting that it does not know.
    assert!(common::served(&plain, 0) <= 1);
}

#[test]
fn what_cannot_be_agreed_on_over_plain_http_is_not_reported_as_spoken() {
    let sim = common::sim(Vec::new());
    let run = load(&sim.url(), &[&["--http2"][..], &AT_40, &["4"]].concat());
    assert_eq!(run.code, 0, "{}", run.text("summary"));
    assert_eq!(run.report["details"]["setup"]["protocol"], "http/1.1");
    assert!(
        run.stderr.contains("--http2-prior-knowledge"),
        "{}",
        run.stderr
    );
}

#[test]
fn streams_that_cannot_be_are_typed_wrongly() {
    for (arguments, why) in [
        (&["http://127.0.0.1:9"][..], "only HTTP/2 carries several"),
        (
            &["http://127.0.0.1:9", "--http2"],
            "over plain http nobody agrees",
        ),
        (
            &["https://127.0.0.1:9", "--http2", "--no-keep-alive"],
            "so none is shared",
        ),
    ] {
        typed_wrong(&[arguments, &["--streams", "2"]].concat(), why);
    }
    typed_wrong(
        &["http://127.0.0.1:9", "--streams", "0"],
        "no whole number from 1 to 1000",
    );
}

#[track_caller]
fn typed_wrong(arguments: &[&str], why: &str) {
    let output = tool(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains(why), "{told}");
}
