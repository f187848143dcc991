//! HTTP/2 over TLS, against a server of hyper's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use common::{SIMPLE, personas, run};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

/// Requests by what they are: good ones, and those without what HTTP/2 asks for.
#[derive(Default)]
struct Seen {
    good: AtomicU64,
    bad: AtomicU64,
}

/// A server that speaks nothing but HTTP/2, on a thread of its own.
fn server(seen: Arc<Seen>) -> u16 {
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
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
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
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
                drop(tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = hyper::service::service_fn(
                        move |request: http::Request<hyper::body::Incoming>| {
                            let whole = request.version() == http::Version::HTTP_2
                                && request.uri().authority().is_some()
                                && request.headers().contains_key("traceparent");
                            let count = if whole { &seen.good } else { &seen.bad };
                            count.fetch_add(1, Ordering::Relaxed);
                            let mut answer =
                                http::Response::new(Full::new(Bytes::from_static(b"{}")));
                            answer.headers_mut().insert(
                                http::header::CONTENT_TYPE,
                                http::HeaderValue::from_static("application/json"),
                            );
                            async move { Ok::<_, std::convert::Infallible>(answer) }
                        },
                    );
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                }));
            }
        });
    });
    port
}

#[test]
fn http2_is_spoken_where_it_is_asked_for() {
    let seen = Arc::new(Seen::default());
    let url = format!("https://127.0.0.1:{}", server(Arc::clone(&seen)));
    let folder = tempfile::tempdir().unwrap();
    let path = personas(folder.path(), SIMPLE);
    let run = run(&[
        &url,
        "--http2",
        "--insecure",
        "--rate",
        "50",
        "--connections",
        "4",
        "--duration",
        "2s",
        "--personas",
        &path,
        "--goal",
        "mean<5s",
        "--goal",
        "late<=100%",
    ]);
    assert_eq!(
        (run.code, run.total("requests"), run.total("failures")),
        (0, 100, 0),
        "{}",
        run.report["details"]["errors"]
    );
    assert_eq!(seen.good.load(Ordering::Relaxed), 100);
    assert_eq!(seen.bad.load(Ordering::Relaxed), 0);
    assert_eq!(run.report["details"]["setup"]["protocol"], "h2");
    let opened = run.report["details"]["generator"]["connections_opened"]
        .as_u64()
        .unwrap();
    assert!(opened <= 4, "{opened} connections for 100 requests");
}
