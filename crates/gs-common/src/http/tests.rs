//! The client against listeners that misbehave byte by byte.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn request(url: &str) -> Request {
    Request {
        method: Method::GET,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
        limits: Limits {
            total: 2 * SECOND,
            connect: SECOND,
            body: 1 << 20,
        },
        fresh: false,
    }
}

/// Serves every connection with `serve` on a free port of the loopback.
async fn listener<F, Done>(serve: F) -> String
where
    F: Fn(TcpStream) -> Done + Send + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    url
}

/// Reads one request's head, whatever it is.
async fn heard(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// Answers each request of a connection with the same bytes, then closes.
async fn answering(answer: &'static [u8]) -> String {
    listener(move |mut stream| async move {
        heard(&mut stream).await;
        stream.write_all(answer).await.unwrap();
    })
    .await
}

#[track_caller]
fn failed(outcome: Result<Response, Failure>, kind: FailureKind, said: &str) -> Failure {
    let failure = outcome.unwrap_err();
    assert_eq!(failure.kind, kind, "{failure}");
    assert!(failure.message.contains(said), "{failure}");
    failure
}

#[tokio::test]
async fn an_answer_comes_with_its_phases() {
    let url = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: b\r\n\r\nhello").await;
    let answer = Client::new(ClientConfig::default())
        .send(&request(&url))
        .await
        .unwrap();
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..]),
        (200, &b"hello"[..])
    );
    assert_eq!(answer.headers["x-a"], "b");
    assert!(answer.phases.tcp.is_some() && answer.phases.first_byte.is_some());
    assert!(answer.phases.dns.is_none(), "an address needs no resolver");
    assert!(answer.phases.tls.is_none() && !answer.connection.reused);
    assert!(answer.phases.total >= answer.phases.first_byte.unwrap());
}

#[tokio::test]
async fn a_connection_is_used_again_unless_a_fresh_one_is_wanted() {
    let url = listener(|mut stream| async move {
        while !heard(&mut stream).await.is_empty() {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
        }
    })
    .await;
    let client = Client::new(ClientConfig::default());
    assert!(!client.send(&request(&url)).await.unwrap().connection.reused);
    let second = client.send(&request(&url)).await.unwrap();
    assert!(second.connection.reused && second.phases.tcp.is_none());
    let fresh = Request {
        fresh: true,
        ..request(&url)
    };
    assert!(!client.send(&fresh).await.unwrap().connection.reused);
}

#[tokio::test]
async fn a_pooled_connection_that_died_is_replaced_unseen() {
    let url = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let client = Client::new(ClientConfig::default());
    for _ in 0..3 {
        client.send(&request(&url)).await.unwrap();
    }
}

#[tokio::test]
async fn each_way_of_not_answering_has_its_name() {
    let client = Client::new(ClientConfig::default());
    let send = async |url: &str| client.send(&request(url)).await;

    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    failed(
        send(&format!("http://{free}/")).await,
        FailureKind::Refused,
        "connection refused by 127.0.0.1",
    );

    let closing = listener(|mut stream| async move { drop(heard(&mut stream).await) }).await;
    failed(
        send(&closing).await,
        FailureKind::Closed,
        "without an answer",
    );

    let resetting = listener(|mut stream| async move {
        heard(&mut stream).await;
        socket_reset(stream);
    })
    .await;
    failed(
        send(&resetting).await,
        FailureKind::Reset,
        "reset the connection",
    );

    let silent = listener(|mut stream| async move {
        heard(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    failed(
        send(&silent).await,
        FailureKind::Timeout,
        "gave no answer within 2s",
    );

    let garbage = answering(b"220 mail.example ESMTP\r\n\r\n").await;
    failed(send(&garbage).await, FailureKind::Malformed, "is not HTTP");

    let unknown = send("http://no-such-name.invalid/").await;
    let failure = failed(unknown, FailureKind::NameNotResolved, "does not resolve");
    assert!(failure.kind.target_unknown());
}

/// Closes with RST instead of FIN.
fn socket_reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

#[tokio::test]
async fn each_way_of_not_finishing_has_its_name() {
    let client = Client::new(ClientConfig::default());
    let send = async |url: &str| client.send(&request(url)).await;

    let cut = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    let failure = failed(
        send(&cut).await,
        FailureKind::Truncated,
        "broke off after 4 bytes",
    );
    assert_eq!(failure.partial.unwrap().body, "half");

    let cut =
        answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    failed(
        send(&cut).await,
        FailureKind::Truncated,
        "broke off after 5 bytes",
    );

    let bad_chunk = answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n").await;
    failed(send(&bad_chunk).await, FailureKind::Truncated, "broke off");

    let reset = listener(|mut stream| async move {
        heard(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
            .await
            .unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        socket_reset(stream);
    })
    .await;
    failed(send(&reset).await, FailureKind::Truncated, "broke off");

    let endless = listener(|mut stream| async move {
        heard(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let failure = failed(
        send(&endless).await,
        FailureKind::TooLarge,
        "larger than 1MiB",
    );
    assert!(failure.partial.unwrap().body.len() <= 64 << 10);

    let dripping = listener(|mut stream| async move {
        heard(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            .await;
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    failed(
        send(&dripping).await,
        FailureKind::Timeout,
        "did not end in time",
    );
}

#[tokio::test]
async fn hosts_can_be_moved_and_named_apart() {
    let url = listener(|mut stream| async move {
        let head = heard(&mut stream).await;
        let host = head
            .lines()
            .find(|line| line.starts_with("host:"))
            .unwrap()
            .to_owned();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{host}",
            host.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let port = Url::parse(&url).unwrap().port().unwrap();
    let config = ClientConfig {
        connect_to: vec![format!("gs.example:80:127.0.0.1:{port}").parse().unwrap()],
        ..ClientConfig::default()
    };
    let answer = Client::new(config.clone())
        .send(&request("http://gs.example/"))
        .await
        .unwrap();
    assert_eq!(answer.body, "host: gs.example");

    let config = ClientConfig {
        host: Some("other.example".to_owned()),
        ..config
    };
    let answer = Client::new(config)
        .send(&request("http://gs.example/"))
        .await
        .unwrap();
    assert_eq!(answer.body, "host: other.example");

    let config = ClientConfig {
        resolve: vec![format!("gs.example:{port}:127.0.0.1").parse().unwrap()],
        ..ClientConfig::default()
    };
    let url = format!("http://gs.example:{port}/");
    let answer = Client::new(config).send(&request(&url)).await.unwrap();
    assert_eq!(answer.body, format!("host: gs.example:{port}"));
}

type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// A TLS server with a certificate of our own making, which answers `ok`.
async fn tls_listener(
    names: &[&str],
    days: std::ops::Range<i64>,
    protocols: &[&[u8]],
) -> (String, tempfile::NamedTempFile) {
    tls_serving(names, days, protocols, |mut stream| async move {
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await;
        let _ = stream.shutdown().await;
    })
    .await
}

/// The same with another way to serve.
async fn tls_serving<F, Done>(
    names: &[&str],
    days: std::ops::Range<i64>,
    protocols: &[&[u8]],
    serve: F,
) -> (String, tempfile::NamedTempFile)
where
    F: Fn(TlsStream) -> Done + Clone + Send + 'static,
    Done: Future<Output = ()> + Send + 'static,
{
    let day = |offset: i64| {
        let now = std::time::SystemTime::now();
        let span = Duration::from_secs(offset.unsigned_abs() * 86_400);
        if offset < 0 {
            (now - span).into()
        } else {
            (now + span).into()
        }
    };
    let mut params =
        rcgen::CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
            .unwrap();
    // Each its own name: an authority of the same name would be tried as the issuer.
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, format!("{names:?} {days:?}"));
    params.not_before = day(days.start);
    params.not_after = day(days.end);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let mut authority = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut authority, certificate.pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let url = listener(move |stream| {
        let (acceptor, serve) = (acceptor.clone(), serve.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream).await;
            }
        }
    })
    .await;
    (url.replace("http://", "https://"), authority)
}

fn trusting(authority: &tempfile::NamedTempFile) -> ClientConfig {
    let tls = TlsOptions {
        authorities: vec![authority.path().to_owned()],
        ..TlsOptions::default()
    };
    ClientConfig {
        tls,
        ..ClientConfig::default()
    }
}

#[tokio::test]
async fn a_good_certificate_is_accepted_and_described() {
    let (url, authority) = tls_listener(&["127.0.0.1", "gs.example"], -1..30, &[b"http/1.1"]).await;
    let answer = Client::new(trusting(&authority))
        .send(&request(&url))
        .await
        .unwrap();
    let tls = answer.connection.tls.unwrap();
    assert_eq!(
        (tls.version.as_str(), tls.alpn.as_deref()),
        ("TLS 1.3", Some("http/1.1"))
    );
    let certificate = tls.certificate.unwrap();
    assert_eq!(certificate.names, ["127.0.0.1", "gs.example"]);
    assert!(certificate.not_after > jiff::Timestamp::now());
    assert!(answer.phases.tls.is_some());

    let sni = ClientConfig {
        sni: Some("gs.example".to_owned()),
        ..trusting(&authority)
    };
    Client::new(sni).send(&request(&url)).await.unwrap();
}

#[tokio::test]
async fn over_http2_a_reset_stream_has_its_name() {
    let (url, authority) = tls_serving(&["127.0.0.1"], -1..30, &[b"h2"], |stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
        }
    })
    .await;
    let outcome = Client::new(trusting(&authority)).send(&request(&url)).await;
    failed(outcome, FailureKind::Reset, "refused stream");
}

#[tokio::test]
async fn a_bad_certificate_is_refused_by_name() {
    let (url, authority) = tls_listener(&["127.0.0.1"], -30..-1, &[]).await;
    let outcome = Client::new(trusting(&authority)).send(&request(&url)).await;
    failed(outcome, FailureKind::Tls, "the certificate expired on 20");

    let (url, authority) = tls_listener(&["other.example"], -1..30, &[]).await;
    let outcome = Client::new(trusting(&authority)).send(&request(&url)).await;
    failed(outcome, FailureKind::Tls, "it is for");

    let (_, other) = tls_listener(&["127.0.0.1"], -1..30, &[]).await;
    let outcome = Client::new(trusting(&other)).send(&request(&url)).await;
    failed(outcome, FailureKind::Tls, "issuer is not trusted");

    let insecure = TlsOptions {
        insecure: true,
        ..TlsOptions::default()
    };
    let config = ClientConfig {
        tls: insecure,
        ..ClientConfig::default()
    };
    let answer = Client::new(config).send(&request(&url)).await.unwrap();
    assert_eq!(
        answer.connection.tls.unwrap().certificate.unwrap().names,
        ["other.example"]
    );

    let plain = listener(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
    })
    .await
    .replace("http:", "https:");
    let outcome = Client::new(trusting(&authority))
        .send(&request(&plain))
        .await;
    assert_eq!(outcome.unwrap_err().kind, FailureKind::Tls);

    let nowhere = TlsOptions {
        authorities: vec!["/no/such.pem".into()],
        ..TlsOptions::default()
    };
    let config = ClientConfig {
        tls: nowhere,
        ..ClientConfig::default()
    };
    failed(
        Client::new(config).send(&request(&url)).await,
        FailureKind::Local,
        "/no/such.pem",
    );
}

fn proxied(proxy: &str) -> ClientConfig {
    let proxy = proxy
        .trim_end_matches("/x")
        .replace("http://", "http://me:p%40ss@");
    let variables = BTreeMap::from([("ALL_PROXY".to_owned(), proxy)]);
    ClientConfig {
        proxies: Proxies::from_variables(&variables).unwrap(),
        ..ClientConfig::default()
    }
}

#[tokio::test]
async fn a_plain_proxy_gets_the_whole_url_and_the_password() {
    let proxy = listener(|mut stream| async move {
        let head = heard(&mut stream).await;
        assert!(
            head.starts_with("GET http://gs.example/a?b=c HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(
            head.contains("proxy-authorization: Basic bWU6cEBzcw=="),
            "{head}"
        );
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await
            .unwrap();
    })
    .await;
    let answer = Client::new(proxied(&proxy))
        .send(&request("http://gs.example/a?b=c"))
        .await;
    assert_eq!(answer.unwrap().body, "ok");
}

#[tokio::test]
async fn a_proxy_that_fails_says_nothing_of_the_target() {
    let refusing = answering(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    let outcome = Client::new(proxied(&refusing))
        .send(&request("https://gs.example/"))
        .await;
    failed(
        outcome,
        FailureKind::Proxy,
        "refused a tunnel to gs.example:443: `HTTP/1.1 407",
    );

    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let outcome = Client::new(proxied(&format!("http://{free}")))
        .send(&request("http://gs.example/"))
        .await;
    let failure = failed(outcome, FailureKind::Proxy, "connection refused");
    assert!(failure.kind.target_unknown());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_answer_makes_the_client_panic_or_hang(answer in prop::collection::vec(any::<u8>(), 0..400), http in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let mut bytes = if http { b"HTTP/1.1 200 OK\r\n".to_vec() } else { Vec::new() };
            bytes.extend(answer);
            let bytes: &'static [u8] = bytes.leak();
            let url = answering(bytes).await;
            let limited = Request { limits: Limits { total: SECOND, connect: SECOND, body: 100 }, ..request(&url) };
            if let Ok(answer) = Client::new(ClientConfig::default()).send(&limited).await {
                assert!(answer.body.len() <= 100);
            }
        });
    }
}
