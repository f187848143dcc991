//! The way to the target: addresses given by `--resolve`, and proxies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Run, SIMPLE, personas, run_in, sim, tool};

/// A proxy that tunnels to one address whatever it is asked for, and refuses after so many tunnels.
struct Proxy {
    url: String,
    asked: Arc<AtomicU64>,
}

fn proxy(to: std::net::SocketAddr, name: &'static str, most: u64) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            std::thread::spawn(move || tunnel(stream, to, name, number < most));
        }
    });
    Proxy { url, asked }
}

fn tunnel(mut near: TcpStream, to: std::net::SocketAddr, name: &str, good: bool) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut one = [0];
        near.read_exact(&mut one).ok()?;
        head.push(one[0]);
    }
    let head = String::from_utf8(head).ok()?;
    if !good || !head.starts_with(&format!("CONNECT {name} HTTP/1.1\r\n")) {
        near.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").ok()?;
        return None;
    }
    let mut far = TcpStream::connect(to).ok()?;
    near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut from, mut into) = (near.try_clone().ok()?, far.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut into);
        let _ = into.shutdown(std::net::Shutdown::Both);
    });
    let _ = std::io::copy(&mut far, &mut near);
    let _ = near.shutdown(std::net::Shutdown::Both);
    Some(())
}

#[track_caller]
fn load(url: &str, more: &[&str], variables: &[(&str, &str)]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = personas(folder.path(), SIMPLE);
    let mut arguments = vec![url, "--rate", "40", "--duration", "1s", "--personas", &path];
    arguments.extend(["--goal", "mean<5s", "--goal", "late<=100%"]);
    arguments.extend(more);
    run_in(&arguments, |command| {
        command.envs(variables.iter().copied());
    })
}

/// Exit 2 with these words, and nothing sent.
#[track_caller]
fn refused(arguments: &[&str], variables: &[(&str, &str)], said: &str) {
    let output = tool(arguments)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(stderr.contains(said), "{arguments:?}: {stderr}");
}

#[test]
fn an_address_is_given_instead_of_the_resolver() {
    let sim = sim(Vec::new());
    let port = sim.address().port();
    let url = format!("http://gs.invalid:{port}");
    let rule = format!("gs.invalid:{port}:127.0.0.1");
    let run = load(&url, &["--resolve", &rule], &[]);
    assert_eq!((run.code, run.total("requests")), (0, 40), "{}", run.stderr);
    assert_eq!(run.report["subject"]["name"], url);
    assert_eq!(sim.count_once("GET", "/api/v1/signals", 40), 40);
}

#[test]
fn what_is_really_dialled_has_to_be_allowed() {
    let allow = ["--allow-host", "gs.invalid"];
    let mut line = vec!["http://gs.invalid", "--resolve", "gs.invalid:80:192.0.2.1"];
    line.extend(allow);
    refused(&line, &[], "`192.0.2.1` (the address of `gs.invalid` by");
    refused(
        &["http://127.0.0.1:1", "--proxy", "http://proxy.invalid:1"],
        &[],
        "the proxy `proxy.invalid` is not this machine",
    );
    let mut line = vec!["http://gs.invalid"];
    line.extend(allow);
    refused(
        &line,
        &[("http_proxy", "http://proxy.invalid:1")],
        "the proxy `proxy.invalid` is not this machine",
    );
    refused(
        &["http://gs.invalid", "--proxy", "http://127.0.0.1:1"],
        &[],
        "`gs.invalid` is not this machine",
    );
    refused(
        &[
            "http://127.0.0.1:1",
            "--proxy",
            "http://me:pass@127.0.0.1:1",
        ],
        &[],
        "a password does not belong on a command line",
    );
    refused(
        &["http://127.0.0.1:1", "--resolve", "127.0.0.2:1:127.0.0.1"],
        &[],
        "--resolve 127.0.0.2:1:127.0.0.1 changes nothing: the target is 127.0.0.1:1",
    );
}

#[test]
fn a_proxy_is_taken_and_told() {
    let sim = sim(Vec::new());
    let proxy = proxy(sim.address(), "gs.invalid:80", u64::MAX);
    let allow = ["--allow-host", "gs.invalid"];
    for (more, variables) in [
        (vec!["--proxy", &proxy.url], vec![]),
        (vec![], vec![("HTTP_PROXY", proxy.url.as_str())]),
        (vec![], vec![("all_proxy", proxy.url.as_str())]),
    ] {
        let (asked, served) = (
            proxy.asked.load(Ordering::Relaxed),
            sim.count("GET", "/api/v1/signals"),
        );
        let mut line = more.clone();
        line.extend(allow);
        let run = load("http://gs.invalid", &line, &variables);
        assert_eq!((run.code, run.total("requests")), (0, 40), "{}", run.stderr);
        let now = sim.count_once("GET", "/api/v1/signals", served + 40);
        assert_eq!(now - served, 40);
        assert!(proxy.asked.load(Ordering::Relaxed) > asked);
        let details = &run.report["details"];
        assert_eq!(details["setup"]["proxy"], true);
        assert_eq!(
            details["identity"]["connections"],
            "http/1.1, kept, by a proxy"
        );
        let not_covered = run.report["not_covered"].to_string();
        assert!(not_covered.contains("by a proxy"), "{not_covered}");
    }
}

#[test]
fn this_machine_is_asked_directly_whatever_the_variables_say() {
    let sim = sim(Vec::new());
    let proxy = proxy(sim.address(), "nobody:1", 0);
    let run = load(&sim.url(), &[], &[("http_proxy", &proxy.url)]);
    assert_eq!((run.code, run.total("requests")), (0, 40), "{}", run.stderr);
    // What is typed is meant, and --no-proxy is meant too.
    let line = ["--proxy", &proxy.url, "--no-proxy", "127.0.0.1"];
    let run = load(&sim.url(), &line, &[]);
    assert_eq!((run.code, run.total("requests")), (0, 40), "{}", run.stderr);
    assert_eq!(proxy.asked.load(Ordering::Relaxed), 0);
    assert_eq!(run.report["details"]["setup"]["proxy"], false);
    let run = load(&sim.url(), &["--proxy", &proxy.url], &[]);
    assert_eq!((run.code, run.text("reason")), (3, "target_unreachable"));
    assert!(proxy.asked.load(Ordering::Relaxed) > 0);
    assert!(run.text("summary").contains("proxy"), "{}", run.report);
}

#[test]
fn a_proxy_that_fails_on_the_way_is_no_verdict() {
    let sim = sim(Vec::new());
    let proxy = proxy(sim.address(), "gs.invalid:80", 10);
    let line = [
        "--proxy",
        &proxy.url,
        "--no-keep-alive",
        "--allow-host",
        "gs.invalid",
    ];
    let run = load("http://gs.invalid", &line, &[]);
    assert_eq!(
        (run.code, run.text("reason")),
        (3, "generator_saturated"),
        "{}",
        run.report["summary"]
    );
    assert!(
        run.text("summary").contains(
            "the way to the target did not hold: 31 of 40 requests were lost by the proxy"
        ),
        "{}",
        run.report["summary"]
    );
    assert_eq!(run.errors()["proxy"], 31);
}
