//! Reading observations: JSON lines, each checked against the laws of counters.

use serde_json::Value;

use super::{Header, SCHEMA, Scrape};

/// More edges than that are no histogram.
const MOST_EDGES: usize = 512;

/// More pods than that in one scrape are no deployment.
const MOST_PODS: usize = 10_000;

/// A whole file.
#[derive(Clone, Debug, PartialEq)]
pub struct Observations {
    /// The first line.
    pub header: Header,
    /// The other lines, in the order of time.
    pub scrapes: Vec<Scrape>,
    /// Sentences about what could not be used: a torn last line.
    pub lost: Vec<String>,
}

/// Why a text holds no observations.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ReadError {
    /// Counted from 1.
    pub line: usize,
    /// One lowercase fragment.
    pub message: String,
}

fn wrong(line: usize, message: impl Into<String>) -> ReadError {
    ReadError {
        line,
        message: message.into(),
    }
}

/// Reads a whole file. Lines that other tools may have put in between (objects of another `type`)
/// are passed over; a last line without its end that is no JSON is what a killed run leaves behind,
/// and is reported as lost.
///
/// # Errors
/// The first line is no header, a line is no scrape, or the counters break their own laws.
pub fn read(text: &str) -> Result<Observations, ReadError> {
    let mut lines = text
        .split_inclusive('\n')
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim().is_empty());
    let Some((number, first)) = lines.next() else {
        return Err(wrong(1, "the file is empty"));
    };
    let mut observations = Observations {
        header: read_header(first).map_err(|message| wrong(number, message))?,
        scrapes: Vec::new(),
        lost: Vec::new(),
    };
    for (number, line) in lines {
        let value: Value = match serde_json::from_str(line) {
            Ok(value) => value,
            Err(error) if !line.ends_with('\n') && error.is_eof() => {
                observations.lost.push(format!(
                    "line {number} is torn: the run that wrote it was killed"
                ));
                break;
            }
            Err(error) => return Err(wrong(number, format!("no JSON: {error}"))),
        };
        if value.get("type").is_some_and(|kind| kind != "scrape") {
            continue;
        }
        let scrape =
            scrape_of(value, &observations.header).map_err(|message| wrong(number, message))?;
        if let Some(last) = observations.scrapes.last()
            && scrape.at_seconds <= last.at_seconds
        {
            return Err(wrong(
                number,
                format!(
                    "at_seconds {} does not come after {}",
                    scrape.at_seconds, last.at_seconds
                ),
            ));
        }
        observations.scrapes.push(scrape);
    }
    Ok(observations)
}

/// Reads the first line.
///
/// # Errors
/// One sentence about what is wrong.
pub fn read_header(line: &str) -> Result<Header, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("no JSON: {error}"))?;
    match value.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => return Err(format!("the schema is `{other}`, not `{SCHEMA}`")),
        None => return Err(format!("the first line has no schema `{SCHEMA}`")),
    }
    let header: Header =
        serde_json::from_value(value).map_err(|error| format!("no header: {error}"))?;
    let edges = &header.edges_seconds;
    if edges.len() > MOST_EDGES {
        return Err(format!("edges_seconds has more than {MOST_EDGES} edges"));
    }
    let growing = edges.windows(2).all(|pair| pair[0] < pair[1]);
    if !growing || edges.iter().any(|edge| !edge.is_finite() || *edge <= 0.0) {
        return Err("edges_seconds does not grow from above 0, or has an infinite edge".to_owned());
    }
    let positive = |name: &str, value: f64, most: f64| {
        if value.is_finite() && value > 0.0 && value <= most {
            Ok(())
        } else {
            Err(format!("{name} {value} does not lie between 0 and {most}"))
        }
    };
    positive(
        "scrape_interval_seconds",
        header.scrape_interval_seconds,
        3600.0,
    )?;
    positive("duration_seconds", header.duration_seconds, 31.0 * 86_400.0)?;
    if let Some(weight) = header.canary_weight {
        positive("canary_weight", weight, 1.0)?;
    }
    Ok(header)
}

/// Reads any other line.
///
/// # Errors
/// One sentence about what is wrong.
pub fn read_scrape(line: &str, header: &Header) -> Result<Scrape, String> {
    let value = serde_json::from_str(line).map_err(|error| format!("no JSON: {error}"))?;
    scrape_of(value, header)
}

pub(crate) fn scrape_of(mut value: Value, header: &Header) -> Result<Scrape, String> {
    whole_numbers(&mut value);
    let scrape: Scrape =
        serde_json::from_value(value).map_err(|error| format!("no scrape: {error}"))?;
    if !scrape.at_seconds.is_finite() {
        return Err("at_seconds is no number".to_owned());
    }
    if scrape.pods.len() > MOST_PODS {
        return Err(format!("more than {MOST_PODS} pods"));
    }
    let mut names: Vec<&str> = scrape.pods.iter().map(|pod| pod.pod.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("pod `{}` stands there twice", pair[0]));
    }
    for pod in &scrape.pods {
        laws(pod, header.edges_seconds.len())
            .map_err(|message| format!("pod `{}`: {message}", pod.pod))?;
    }
    Ok(scrape)
}

/// Some writers have only floating numbers: `12.0` counts twelve.
fn whole_numbers(scrape: &mut Value) {
    let pods = scrape.get_mut("pods").and_then(Value::as_array_mut);
    for pod in pods.into_iter().flatten() {
        for member in ["requests", "errors", "timed", "oom_kills"] {
            pod.get_mut(member).map(whole_number);
        }
        let le = pod.get_mut("le").and_then(Value::as_array_mut);
        le.into_iter().flatten().for_each(whole_number);
    }
}

fn whole_number(value: &mut Value) {
    /// Above that a floating number skips integers.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(number) = value.as_f64()
        && !value.is_u64()
        && number.fract() == 0.0
        && (0.0..=EXACT).contains(&number)
    {
        *value = Value::from(number as u64);
    }
}

fn laws(pod: &super::PodSample, edges: usize) -> Result<(), String> {
    if !pod.up {
        return Ok(());
    }
    if let (Some(errors), Some(requests)) = (pod.errors, pod.requests)
        && errors > requests
    {
        return Err(format!("{errors} errors of {requests} requests"));
    }
    if let Some(le) = &pod.le {
        if le.len() != edges {
            return Err(format!("le has {} counts for {edges} edges", le.len()));
        }
        if le.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err("le falls: its counts are cumulative".to_owned());
        }
        if let (Some(last), Some(timed)) = (le.last(), pod.all_timed())
            && *last > timed
        {
            return Err(format!("le counts {last} of {timed} requests"));
        }
    }
    for (name, value) in [
        ("cpu_seconds", pod.cpu_seconds),
        ("cpu_limit_cores", pod.cpu_limit_cores),
        ("throttled_seconds", pod.throttled_seconds),
        ("memory_bytes", pod.memory_bytes),
        ("memory_limit_bytes", pod.memory_limit_bytes),
    ] {
        if value.is_some_and(|value| !value.is_finite() || value < 0.0) {
            return Err(format!("{name} is no amount"));
        }
    }
    Ok(())
}
