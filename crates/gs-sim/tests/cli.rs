//! The binary from outside, and the control listener behind its orders.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{ask_at, connect, read_all};
use serde_json::{Value, json};

/// A simulation that runs as a process of its own, and ends with the test.
struct Running {
    child: Child,
    address: SocketAddr,
    control: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tool() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gs-sim"));
    command.env_clear();
    command
}

fn start(arguments: &[&str]) -> Running {
    let mut child = tool()
        .args(["--exit-after", "60s"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut value = |name: &str| lines.next().unwrap().strip_prefix(name).unwrap().to_owned();
    let (url, control) = (value("url="), value("control="));
    let address = url.split_once("://").unwrap().1.parse().unwrap();
    Running {
        child,
        address,
        control,
    }
}

/// Code, stdout and stderr of a run that ends by itself.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = tool().args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn json_of(arguments: &[&str]) -> Value {
    let (code, out, error) = run(arguments);
    assert_eq!(code, 0, "{error}");
    serde_json::from_str(&out).unwrap()
}

fn write(path: &Path, text: &str) {
    std::fs::File::create(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

#[test]
fn orders_change_a_running_simulation() {
    let sim = start(&["--pods", "2.0.0", "--fault", "status,status=500,route=/"]);
    let status = |path: &str| ask_at(sim.address, "GET", path, "").status;
    assert_eq!(status("/"), 500);

    let quiet = (0, String::new(), String::new());
    assert_eq!(
        run(&[
            "fault",
            "--control",
            &sim.control,
            "status,status=503",
            "drop,route=/health"
        ]),
        quiet
    );
    assert_eq!(status("/"), 503);
    let faults = json_of(&["fault", "--control", &sim.control]);
    assert_eq!(
        (&faults[0]["status"], &faults[1]["route"]),
        (&json!(503), &json!("/health"))
    );

    assert_eq!(run(&["fault", "--control", &sim.control, "--clear"]), quiet);
    assert_eq!(status("/"), 200);
    assert_eq!(json_of(&["fault", "--control", &sim.control]), json!([]));

    assert_eq!(
        run(&["pods", "--control", &sim.control, "2.1.0,2.0.9"]),
        quiet
    );
    // Whose turn it is depends on what was asked before; two requests see both.
    let versions: BTreeSet<String> = (0..2)
        .map(|_| ask_at(sim.address, "GET", "/", "").json()["version"].to_string())
        .collect();
    assert_eq!(versions.len(), 2, "{versions:?}");
    assert_eq!(
        json_of(&["pods", "--control", &sim.control])[1]["version"],
        "2.0.9"
    );

    let served = json_of(&["served", "--control", &sim.control]);
    assert_eq!(served["total"], 5);
    assert_eq!(
        served["routes"][0],
        json!({"method": "GET", "endpoint": "/", "status": 200, "count": 3})
    );
}

#[test]
fn a_plan_gives_faults_at_the_start_and_later() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.toml");
    write(
        &plan,
        "seed = 3\n[[faults]]\nkind = 'status'\nstatus = 418\n",
    );
    let plan = plan.to_str().unwrap();
    let planned = start(&["--plan", plan]);
    assert_eq!(ask_at(planned.address, "GET", "/", "").status, 418);
    let healthy = start(&[]);
    assert_eq!(
        run(&["fault", "--control", &healthy.control, "--file", plan]).0,
        0
    );
    assert_eq!(ask_at(healthy.address, "GET", "/", "").status, 418);
}

#[test]
fn the_ready_file_says_what_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (ready, authority) = (folder.path().join("ready"), folder.path().join("ca.pem"));
    let arguments = ["--tls", "valid", "--exit-after", "20ms"];
    let files = [
        "--ready-file",
        ready.to_str().unwrap(),
        "--authority",
        authority.to_str().unwrap(),
    ];
    let (code, out, error) = run(&[&arguments[..], &files].concat());
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(std::fs::read_to_string(&ready).unwrap(), out);
    assert!(out.starts_with("url=https://127.0.0.1:"), "{out}");
    assert!(
        out.ends_with(&format!("\nauthority={}\n", authority.display())),
        "{out}"
    );
    assert!(
        std::fs::read_to_string(&authority)
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
}

#[test]
fn a_rollout_says_where_everything_is_and_takes_orders() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let mut child = tool()
        .args([
            "rollout",
            "--stable",
            "2",
            "--prometheus",
            "--time-scale",
            "20",
        ])
        .args(["--behaviour", "slow", "--factor", "3", "--at", "5m"])
        .args([
            "--exit-after",
            "60s",
            "--ready-file",
            ready.to_str().unwrap(),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<(String, String)> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .take(6)
        .map(|line| {
            let line = line.unwrap();
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect();
    // It ends with the test, whichever way that goes.
    let url = lines[0].1.clone();
    let address: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
    let _running = Running {
        child,
        address,
        control: url.clone(),
    };
    let names: Vec<&str> = lines.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["url", "targets", "prometheus", "canary", "stable", "stable"]
    );
    for (_, value) in &lines[1..] {
        let place = value.strip_prefix("http://").unwrap();
        let (host, path) = place.split_once('/').unwrap_or((place, "-/ready"));
        let answer = ask_at(host.parse().unwrap(), "GET", &format!("/{path}"), "");
        assert_eq!(answer.status, 200, "{value}");
    }
    let canary = || json_of(&["behave", "--control", &url])["pods"][0]["behaviour"].clone();
    assert_eq!(
        canary(),
        json!({"behaviour": "slow", "factor": 3.0, "at_seconds": 300.0})
    );
    let quiet = (0, String::new(), String::new());
    assert_eq!(run(&["behave", "--control", &url, "leak"]), quiet);
    assert_eq!(canary()["behaviour"], "leak");
    assert_eq!(
        run(&["behave", "--control", &url, "down", "--pod", "canary-0"]),
        quiet
    );
    assert_eq!(canary()["behaviour"], "down");
    refuses(
        &["behave", "--control", &url, "down", "--pod", "nobody"],
        2,
        "there is no pod `nobody`",
    );
}

#[test]
fn a_rollout_that_makes_no_sense_is_refused() {
    refuses(
        &["rollout", "--behaviour", "slw"],
        2,
        "unknown behaviour `slw`",
    );
    refuses(
        &["rollout", "--factor", "2"],
        2,
        "--factor: healthy has no `factor`",
    );
    refuses(
        &["rollout", "--stable", "0", "--canary", "0"],
        2,
        "between 1 and",
    );
    refuses(&["rollout", "--stable", "9999999"], 2, "--stable");
    refuses(&["rollout", "--time-scale", "NaN"], 2, "time scale");
    refuses(&["rollout", "--rate", "1e5"], 2, "requests a second");
    refuses(
        &["rollout", "--listen", "0.0.0.0:0"],
        2,
        "from other machines",
    );
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_quietly() {
    for signal in ["-INT", "-TERM"] {
        let mut sim = start(&[]);
        let killed = Command::new("kill")
            .args([signal, &sim.child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        assert_eq!(sim.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[track_caller]
fn refuses(arguments: &[&str], code: i32, said: &str) {
    let (found, out, error) = run(arguments);
    assert_eq!((found, out.as_str()), (code, ""), "{error}");
    assert!(
        error.starts_with("error: ") && error.contains(said),
        "{error}"
    );
}

#[test]
fn what_makes_no_sense_is_told_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.toml");
    write(
        &plan,
        "[[faults]]\nkind = 'drop'\n\n[[faults]]\nkind = 'drop'\nroot = '/a'\n",
    );
    let plan = plan.to_str().unwrap();
    refuses(&["--plan", plan], 2, "plan.toml:6: unknown member `root`");
    refuses(&["--plan", plan], 2, "\nhint: docs/gs-sim.md");
    refuses(
        &["--plan", "/nowhere/plan.toml"],
        2,
        "cannot read `/nowhere/plan.toml`",
    );
    refuses(&["--fault", "rest"], 2, "unknown variant `rest`");
    refuses(
        &["--listen", "0.0.0.0:0"],
        2,
        "can be reached from other machines",
    );
    refuses(&["--authority", "ca.pem"], 2, "there is none without --tls");
    refuses(&["--metrics-prefix", "x_"], 2, "neither empty nor");
    refuses(&["--tls", "none"], 2, "none of valid, expired");
    refuses(&["--exit-after", "600"], 2, "ms, s, m or h");
    refuses(
        &["fault", "--control", "here", "drop"],
        2,
        "is no control URL",
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = free.local_addr().unwrap().to_string();
    refuses(&["--listen", &taken], 3, "cannot start");
    drop(free);
    refuses(
        &["served", "--control", &format!("http://{taken}")],
        3,
        "no simulation takes orders",
    );
}

#[test]
fn the_control_listener_speaks_http_and_json() {
    let sim = common::healthy();
    let address: SocketAddr = sim
        .control_url()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let order = |method: &str, path: &str, body: &str| {
        let answer = ask_at(address, method, path, body);
        (answer.status, answer.json())
    };
    let fault = json!([{"kind": "ws-closed", "code": 1011, "route": "/ws"}]);
    assert_eq!(
        order("PUT", "/faults", &fault.to_string()),
        (200, fault.clone())
    );
    assert_eq!(order("GET", "/faults", ""), (200, fault));
    for wrong in [
        "",
        "{}",
        "[{}]",
        r#"[{"kind": "drop", "root": "/"}]"#,
        r#"[{"kind": "status", "status": 1}]"#,
    ] {
        let (status, answer) = order("PUT", "/faults", wrong);
        assert_eq!(
            (status, answer["error"].is_string()),
            (400, true),
            "{wrong}: {answer}"
        );
    }
    assert_eq!(
        sim.world().faults().len(),
        1,
        "a wrong order changed the faults"
    );
    assert_eq!(order("DELETE", "/faults", ""), (200, json!([])));
    assert_eq!(order("PUT", "/pods", "[]").0, 400);
    assert_eq!(
        order("PUT", "/pods", r#"[{"version": "3"}]"#).1[0]["version"],
        "3"
    );
    assert_eq!(order("GET", "/nowhere", "").0, 404);
    let mut stream = connect(address);
    stream.write_all(b"no request\r\n\r\n").unwrap();
    assert!(
        read_all(&mut stream, 1 << 20)
            .0
            .starts_with(b"HTTP/1.1 400 ")
    );
}
