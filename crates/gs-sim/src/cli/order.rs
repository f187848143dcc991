//! Orders to a running simulation, over its control listener.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Failure, Order, read_plan};
use crate::plan::{Fault, Pod};

const PATIENCE: Duration = Duration::from_secs(5);

/// Sends an order. What it asks to be shown is the answer; an order that changes something is quiet.
pub(super) fn send(order: &Order) -> Result<String, Failure> {
    match order {
        Order::Fault {
            to, clear: true, ..
        } => exchange(&to.control, "DELETE", "/faults", None).map(|_| String::new()),
        Order::Fault {
            to,
            file: Some(path),
            ..
        } => put(&to.control, "/faults", &read_plan(path)?.faults),
        Order::Fault { to, faults, .. } if faults.is_empty() => {
            exchange(&to.control, "GET", "/faults", None)
        }
        Order::Fault { to, faults, .. } => {
            let hint = "docs/gs-sim.md has all kinds of faults and their members";
            let faults = read(faults).map_err(|what| Failure::Usage { what, hint })?;
            put(&to.control, "/faults", &faults)
        }
        Order::Pods { to, versions } if versions.is_empty() => {
            exchange(&to.control, "GET", "/pods", None)
        }
        Order::Pods { to, versions } => {
            // They start now, as pods do that a deployment has just replaced.
            let pods: Vec<Pod> = versions
                .iter()
                .map(|version| Pod {
                    version: version.clone(),
                    age_seconds: 0,
                })
                .collect();
            put(&to.control, "/pods", &pods)
        }
        Order::Behave {
            to,
            behaviour: None,
            ..
        } => exchange(&to.control, "GET", "/pods", None),
        Order::Behave {
            to,
            behaviour: Some(behaviour),
            pod,
        } => match pod {
            None => put(&to.control, "/behaviour", behaviour),
            Some(pod) => put(&to.control, &format!("/pods/{pod}/behaviour"), behaviour),
        },
        Order::Served { to } => exchange(&to.control, "GET", "/served", None),
    }
}

/// Reads faults: each in its short form, or all of them as one JSON list.
fn read(faults: &[String]) -> Result<Vec<Fault>, String> {
    match faults {
        [list] if list.trim_start().starts_with('[') => {
            serde_json::from_str(list).map_err(|error| format!("no JSON list of faults: {error}"))
        }
        _ => faults
            .iter()
            .map(|fault| Fault::parse_short(fault))
            .collect(),
    }
}

fn put(control: &str, path: &str, what: &impl serde::Serialize) -> Result<String, Failure> {
    exchange(control, "PUT", path, Some(&json!(what))).map(|_| String::new())
}

fn exchange(
    control: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<String, Failure> {
    let host = control.trim_start_matches("http://").trim_end_matches('/');
    let address: SocketAddr = host.parse().map_err(|_| Failure::Usage {
        what: format!("`{control}` is no control URL"),
        hint: "give the one that gs-sim printed, http://127.0.0.1:PORT",
    })?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let answer = || -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = answer().map_err(|error| Failure::World {
        what: format!("no simulation takes orders at {control}: {error}"),
        hint: "check that gs-sim runs, and that this is the URL it printed as control=",
    })?;
    let said = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(said.to_owned());
    }
    let what = format!("the simulation did not take the order: {}", said.trim());
    Err(Failure::Usage {
        what,
        hint: "check that this is the control URL, not that of the service",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Kind;

    #[test]
    fn faults_are_read_in_both_forms() {
        let short = read(&["drop".to_owned(), "status,status=503".to_owned()]);
        let json = read(&[r#"[{"kind": "drop"}, {"kind": "status", "status": 503}]"#.to_owned()]);
        assert_eq!(
            short,
            Ok(vec![Fault::new(Kind::Drop), Fault::new(Kind::status(503))])
        );
        assert_eq!(short, json);
    }
}
