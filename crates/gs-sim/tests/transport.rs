//! What each fault puts on the wire, byte by byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use common::{Answer, End, PATIENCE, broken, connect, get, healthy, raw, read_all, request};
use gs_sim::{Fault, Kind, Plan, Sim, Spread};
use serde_json::json;

/// The path that these tests ask for; its body is a constant.
const PATH: &str = "/api/v1/nonexistent";
const BODY: &[u8] = br#"{"detail":"Not Found"}"#;

/// What a client sees of one `GET` under this fault.
fn seen(kind: Kind) -> (Answer, End) {
    let (bytes, end) = raw(&broken(kind), PATH);
    (Answer::of(&bytes), end)
}

#[test]
fn drop_closes_without_a_byte() {
    assert_eq!(raw(&broken(Kind::Drop), PATH), (Vec::new(), End::Closed));
}

#[test]
fn reset_resets_without_a_byte() {
    assert_eq!(raw(&broken(Kind::Reset), PATH), (Vec::new(), End::Reset));
}

#[test]
fn silent_keeps_the_connection_open_and_says_nothing() {
    let sim = broken(Kind::Silent);
    let mut stream = connect(sim.address());
    stream
        .write_all(request("GET", PATH, "").as_bytes())
        .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert_eq!(read_all(&mut stream, 1), (Vec::new(), End::Silent));
}

#[test]
fn half_closed_ends_our_side_after_the_head_and_leaves_the_other_open() {
    let sim = broken(Kind::HalfClosed);
    let mut stream = connect(sim.address());
    stream
        .write_all(request("GET", PATH, "").as_bytes())
        .unwrap();
    let (bytes, end) = read_all(&mut stream, 1 << 20);
    let answer = Answer::of(&bytes);
    assert_eq!(
        (answer.status, answer.body.len(), end),
        (404, 0, End::Closed)
    );
    assert_eq!(answer.header("content-length"), Some("22"));
    // A side that was closed for good would answer the first write with RST, and fail the second.
    for _ in 0..3 {
        stream.write_all(b"still there?").unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn truncated_announces_more_than_it_sends() {
    let (answer, end) = seen(Kind::Truncated);
    assert_eq!((answer.body.as_slice(), end), (BODY, End::Closed));
    assert_eq!(answer.header("content-length"), Some("122"));
}

#[test]
fn truncated_chunks_lack_the_last_one() {
    let (answer, end) = seen(Kind::TruncatedChunks);
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!(
        (answer.body, end),
        ([b"16\r\n", BODY, b"\r\n"].concat(), End::Closed)
    );
}

#[test]
fn endless_never_ends() {
    let sim = broken(Kind::Endless);
    let mut stream = connect(sim.address());
    stream
        .write_all(request("GET", PATH, "").as_bytes())
        .unwrap();
    let (bytes, end) = read_all(&mut stream, 4 << 20);
    assert_eq!((bytes.len() >= 4 << 20, end), (true, End::Silent));
    assert!(
        Answer::of(&bytes[..1 << 10])
            .body
            .starts_with(b"10000\r\nxxxx")
    );
}

#[test]
fn oversized_is_as_long_as_it_says() {
    let (answer, end) = seen(Kind::Oversized { bytes: 300_000 });
    assert_eq!(
        (answer.header("content-length"), answer.body.len(), end),
        (Some("300000"), 300_000, End::Closed)
    );
}

#[test]
fn slow_drip_comes_byte_by_byte() {
    let sim = broken(Kind::SlowDrip { millis: 5 });
    let began = Instant::now();
    let (bytes, _) = raw(&sim, PATH);
    assert_eq!(Answer::of(&bytes).body, BODY);
    let least = Duration::from_millis(5) * (BODY.len() as u32);
    assert!(began.elapsed() >= least, "{:?}", began.elapsed());
}

#[test]
fn malformed_answers_are_no_http() {
    let refuses = |kind: Kind| {
        let (bytes, _) = raw(&broken(kind), PATH);
        let mut headers = [httparse::EMPTY_HEADER; 20];
        httparse::Response::new(&mut headers).parse(&bytes).is_err()
    };
    assert!(refuses(Kind::Malformed));
    assert!(refuses(Kind::MalformedHeader));
    let (answer, _) = seen(Kind::MalformedChunk);
    assert!(answer.body.starts_with(b"many\r\n"), "{answer:?}");
}

#[test]
fn a_huge_head_has_a_header_of_two_mebibytes() {
    let (answer, _) = seen(Kind::HugeHead);
    assert_eq!(answer.header("x-huge").map(str::len), Some(2 << 20));
    assert_eq!(answer.body, BODY);
}

#[test]
fn a_gzip_bomb_is_small_and_becomes_huge() {
    let (answer, _) = seen(Kind::GzipBomb);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert!(answer.body.len() < 2 << 20, "{}", answer.body.len());
    let mut unpacked = flate2::read::GzDecoder::new(answer.body.as_slice()).take(64 << 20);
    assert_eq!(
        std::io::copy(&mut unpacked, &mut std::io::sink()).unwrap(),
        64 << 20
    );
}

#[test]
fn bodies_can_lie_about_what_they_are() {
    let (answer, _) = seen(Kind::BadGzip);
    assert_eq!(
        (answer.header("content-encoding"), answer.body.as_slice()),
        (Some("gzip"), BODY)
    );
    let (answer, _) = seen(Kind::WrongContentType);
    assert_eq!(
        (answer.header("content-type"), answer.body.as_slice()),
        (Some("text/html; charset=utf-8"), BODY)
    );
    let (answer, _) = seen(Kind::NotJson);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.body.starts_with(b"<!doctype html>"));
    let (answer, _) = seen(Kind::EmptyBody);
    assert_eq!(
        (answer.header("content-length"), answer.body.len()),
        (Some("0"), 0)
    );
}

#[test]
fn statuses_and_redirects_are_whole_answers() {
    let sim = broken(Kind::Status {
        status: 503,
        retry_after: Some(7),
    });
    let answer = get(&sim, "/");
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("7"))
    );
    assert!(answer.json().get("detail").is_some());

    let answer = get(
        &broken(Kind::Redirect {
            to: "https://else.where/".into(),
        }),
        "/",
    );
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, Some("https://else.where/"))
    );

    let headers = [("set-cookie".to_owned(), "a=b".to_owned())].into();
    let sim = broken(Kind::Answer {
        status: 418,
        body: Some(json!({"errors": []})),
        headers,
    });
    let answer = get(&sim, "/");
    assert_eq!(
        (answer.status, answer.header("set-cookie"), answer.json()),
        (418, Some("a=b"), json!({"errors": []}))
    );
}

#[test]
fn a_status_without_body_has_no_length_either() {
    let (bytes, end) = raw(&broken(Kind::status(204)), PATH);
    let answer = Answer::of(&bytes);
    assert_eq!(
        (
            answer.status,
            answer.body.len(),
            answer.header("content-length"),
            end
        ),
        (204, 0, None, End::Closed)
    );
}

#[test]
fn delays_add_up_and_repeat_with_the_seed() {
    let fixed = Kind::delay(Duration::from_millis(40));
    let sim = Sim::start(&Plan::with_faults([
        Fault::new(fixed.clone()),
        Fault::on(fixed, PATH),
    ]))
    .unwrap();
    let took = |sim: &Sim, path: &str| {
        let began = Instant::now();
        raw(sim, path);
        began.elapsed()
    };
    assert!(took(&sim, PATH) >= Duration::from_millis(80));
    let short = took(&sim, "/");
    assert!(short >= Duration::from_millis(40), "{short:?}");

    // What is drawn shows in the metrics exactly, whatever the machine's scheduler adds: the order of
    // magnitude of an exponential wait differs from draw to draw.
    let spread = Spread::Quantiles {
        points: vec![(0.5, 0.0), (0.500_001, 60.0), (1.0, 60.0)],
    };
    let slow = |seed| {
        let faults = vec![Fault::new(Kind::Delay {
            millis: 0.0,
            spread: spread.clone(),
        })];
        let sim = Sim::start(&Plan {
            seed,
            faults,
            ..Plan::default()
        })
        .unwrap();
        (0..12)
            .map(|_| took(&sim, PATH) >= Duration::from_millis(60))
            .collect::<Vec<_>>()
    };
    let first = slow(3);
    assert_eq!(first, slow(3));
    assert!(first.contains(&true) && first.contains(&false), "{first:?}");
}

#[test]
fn faults_end_with_their_count_and_with_an_order() {
    let sim = Sim::start(&Plan::with_faults([
        Fault::on(Kind::status(503), "/").first(2)
    ]))
    .unwrap();
    let statuses: Vec<u16> = (0..4).map(|_| get(&sim, "/").status).collect();
    assert_eq!(statuses, [503, 503, 200, 200]);
    sim.set_faults([Fault::new(Kind::status(500)).every(2)]);
    let statuses: Vec<u16> = (0..4).map(|_| get(&sim, "/").status).collect();
    assert_eq!(statuses, [200, 500, 200, 500]);
    sim.set_faults([]);
    assert_eq!(get(&sim, "/").status, 200);
}

#[test]
fn a_fault_can_keep_to_one_pod() {
    let plan = Plan {
        faults: vec![Fault::new(Kind::status(500)).at_pod(1)],
        ..Plan::with_pods(&["1", "2", "3"])
    };
    let sim = Sim::start(&plan).unwrap();
    let statuses: Vec<u16> = (0..6).map(|_| get(&sim, "/").status).collect();
    assert_eq!(statuses, [200, 500, 200, 200, 500, 200]);
}

#[test]
fn an_old_version_is_told_everywhere() {
    let sim = broken(Kind::Version {
        version: "1.9.9".into(),
    });
    assert_eq!(get(&sim, "/").json()["version"], "1.9.9");
    assert_eq!(get(&sim, "/").header("x-version"), Some("1.9.9"));
    assert_eq!(
        get(&sim, "/openapi.json").json()["info"]["version"],
        "1.9.9"
    );
}

#[test]
fn a_stall_takes_connections_and_then_answers_none_of_them() {
    let sim = broken(Kind::Stall);
    let mut stream = connect(sim.address());
    stream
        .write_all(request("GET", PATH, "").as_bytes())
        .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert_eq!(read_all(&mut stream, 1), (Vec::new(), End::Silent));
    // All is answered when it is over.
    sim.set_faults([]);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(Answer::of(&read_all(&mut stream, 1 << 20).0).body, BODY);
}

#[test]
fn a_stall_stops_answers_in_their_middle() {
    let drip = Fault::new(Kind::SlowDrip { millis: 5 });
    let sim = Sim::start(&Plan::with_faults([drip.clone()])).unwrap();
    let mut stream = connect(sim.address());
    stream
        .write_all(request("GET", PATH, "").as_bytes())
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend_from_slice(&byte);
    }
    sim.set_faults([drip, Fault::new(Kind::Stall)]);
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let (some, end) = read_all(&mut stream, 1 << 20);
    assert_eq!(end, End::Silent);
    assert!(some.len() < BODY.len(), "the whole body came");
    sim.set_faults([]);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (rest, _) = read_all(&mut stream, 1 << 20);
    assert_eq!([some, rest].concat(), BODY);
}

#[test]
fn a_stall_begins_and_ends_by_the_clock() {
    let stall = Fault {
        until_seconds: Some(0.3),
        ..Fault::new(Kind::Stall)
    };
    let sim = Sim::start(&Plan::with_faults([stall])).unwrap();
    assert_eq!(get(&sim, "/").status, 200);
    assert!(sim.world().seconds() >= 0.3);
}

#[test]
fn many_clients_at_once_are_served() {
    let sim = healthy();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                (0..10).for_each(|_| assert_eq!(get(&sim, "/api/v1/signals").status, 200))
            });
        }
    });
    assert_eq!(sim.count_once("GET", "/api/v1/signals", 320), 320);
}
