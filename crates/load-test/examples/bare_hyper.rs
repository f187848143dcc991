//! The least that a hyper client costs: N connections, one request after another on each, a JSON check, and
//! nothing else. What load-test costs beyond it is its own.
//!
//! `bare_hyper URL CONNECTIONS SECONDS` prints requests and CPU time a request, in microseconds.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program"
)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;

const PATHS: [&str; 4] = [
    "/api/v1/signals",
    "/api/v1/market-data/SPY",
    "/api/v1/performance",
    "/",
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let url: http::Uri = arguments.next().unwrap().parse().unwrap();
    let connections: usize = arguments.next().unwrap().parse().unwrap();
    let seconds: u64 = arguments.next().unwrap().parse().unwrap();
    let authority = url.authority().unwrap().to_string();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let before = load_test::engine::health::cpu_time();
    let total = runtime.block_on(async {
        let until = Instant::now() + Duration::from_secs(seconds);
        let tasks: Vec<_> = (0..connections)
            .map(|number| tokio::spawn(one(authority.clone(), number, until)))
            .collect();
        let mut total = 0;
        for task in tasks {
            total += task.await.unwrap();
        }
        total
    });
    let cpu = load_test::engine::health::cpu_time() - before;
    println!(
        "{total} requests, {:.1} us CPU a request",
        cpu.as_secs_f64() * 1e6 / total as f64
    );
}

async fn one(authority: String, number: usize, until: Instant) -> u64 {
    let stream = tokio::net::TcpStream::connect(&authority).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    drop(tokio::spawn(driver));
    let mut histogram = hdrhistogram::Histogram::<u64>::new(3).unwrap();
    let mut count = 0;
    while Instant::now() < until {
        let path = PATHS[(number + count as usize) % PATHS.len()];
        let request = http::Request::get(path)
            .header(http::header::HOST, &authority)
            .body(Empty::<Bytes>::new())
            .unwrap();
        let sent = Instant::now();
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let _: serde::de::IgnoredAny = serde_json::from_slice(&body).unwrap();
        let micros = u64::try_from(sent.elapsed().as_micros()).unwrap();
        histogram.record(micros).unwrap();
        count += 1;
    }
    count
}
