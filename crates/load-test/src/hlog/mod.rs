//! Interval logs (`.hlog`): the format of HdrHistogram for histograms over time, with what a
//! result has beside them in one comment line.
//!
//! Every reader of the format (HistogramLogProcessor, HdrHistogram in any language) can show the
//! histograms: a tag names the endpoint, the persona, the stage and the clock; the tag `interval` is
//! the time line. Ours reads the whole result back, so that shards can be merged with exact
//! percentiles: adding histograms loses nothing.
//!
//! A log ends with a line that counts its histograms. One that was cut, wherever, is refused.

mod codec;
mod wire;

use std::collections::BTreeMap;
use std::io::{self, Write};

use gs_common::redact::Redactor;
use hdrhistogram::{Counter, Histogram};

pub use codec::{decode, encode};
pub use wire::SCHEMA;

use crate::import::Unreadable;
use crate::result::{Cell, DIGITS, INTERVAL_DIGITS, RunResult, Slow};

/// First line of every log of ours.
const FIRST: &str = "#[Logged with load-test, gs.hlog/v1]";

/// The version line that HdrHistogram's own readers know.
const VERSION: &str = "#[Histogram log format version 1.3]";

/// Before and after the JSON.
const HEAD: (&str, &str) = ("#[load-test: ", "]");

/// Before the number of histograms.
const END: &str = "#[end of log, histograms: ";

/// The tag of the time line.
const INTERVAL: &str = "interval";

/// What a log holds.
#[derive(Clone, Debug)]
pub struct Log {
    /// Version of load-test that wrote it.
    pub version: String,
    /// The goals that the run was held to, as typed.
    pub goals: Vec<String>,
    /// The result.
    pub result: RunResult,
}

/// Whether a text looks like an interval log.
#[must_use]
pub fn is_log(text: &str) -> bool {
    text.starts_with("#[") || text.starts_with("Tag=") || text.starts_with("\"StartTimestamp\"")
}

/// Writes a result as a log. Texts that came from the target are redacted.
///
/// # Errors
/// The writer fails, or a count is too large for the format.
pub fn write(
    result: &RunResult,
    goals: &[String],
    redactor: &Redactor,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut ordered = result.clone();
    put_in_order(&mut ordered);
    let result = &ordered;
    let version = env!("CARGO_PKG_VERSION");
    let head = wire::Head::of(result, goals, version, redactor);
    let head = serde_json::to_string(&head).map_err(io::Error::other)?;
    let started = result.started_at.as_millisecond() as f64 / 1e3;
    writeln!(out, "{FIRST}")?;
    writeln!(out, "{VERSION}")?;
    writeln!(
        out,
        "#[StartTime: {started:.3} (seconds since epoch), {}]",
        result.started_at
    )?;
    writeln!(out, "#[BaseTime: {started:.3} (seconds since epoch)]")?;
    writeln!(out, "{}{head}{}", HEAD.0, HEAD.1)?;
    writeln!(
        out,
        "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\""
    )?;
    let mut count = 0;
    let whole = (0.0, result.measured_seconds);
    for (tag, histogram) in histograms(result) {
        count += line(out, &tag, whole, histogram)?;
    }
    for interval in &result.intervals {
        let span = (interval.start_seconds, interval.seconds);
        count += line(out, INTERVAL, span, &interval.response)?;
    }
    writeln!(out, "{END}{count}]")
}

/// Brings what has no order of its own into the one of a log, so that the same result always is the
/// same bytes.
pub(crate) fn put_in_order(result: &mut RunResult) {
    result.cells.sort_by(|a, b| {
        (&a.endpoint, &a.persona, a.stage).cmp(&(&b.endpoint, &b.persona, b.stage))
    });
    result
        .websockets
        .sort_by(|a, b| (&a.name, &a.persona).cmp(&(&b.name, &b.persona)));
    put_slowest_first(&mut result.slowest);
}

/// The slowest first; of equal ones that which was due first.
pub(crate) fn put_slowest_first(slowest: &mut [Slow]) {
    slowest.sort_by(|a, b| {
        b.response
            .cmp(&a.response)
            .then(a.due_seconds.total_cmp(&b.due_seconds))
            .then(a.trace_id.cmp(&b.trace_id))
    });
}

/// Writes one line; empty histograms are left out, except those of the time line.
fn line<T: Counter>(
    out: &mut dyn Write,
    tag: &str,
    (start, length): (f64, f64),
    histogram: &Histogram<T>,
) -> io::Result<u64> {
    if histogram.is_empty() && tag != INTERVAL {
        return Ok(0);
    }
    let text = codec::encode(histogram).map_err(io::Error::other)?;
    let max = histogram.max();
    writeln!(out, "Tag={tag},{start:.3},{length:.3},{max}.000,{text}")?;
    Ok(1)
}

/// The tag of a cell's clock. No comma, space or line end may stand in it, and `;` divides it.
fn tag(cell: &Cell, stage: &str, clock: &str) -> String {
    format!(
        "{};{};{};{clock}",
        escaped(&cell.endpoint),
        escaped(&cell.persona),
        escaped(stage)
    )
}

fn escaped(text: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const SET: AsciiSet = CONTROLS.add(b' ').add(b',').add(b';').add(b'%').add(b'"');
    utf8_percent_encode(text, &SET).to_string()
}

/// All histograms of a result but those of the time line, with their tags, in the order of a log.
fn histograms(result: &RunResult) -> Vec<(String, &Histogram<u64>)> {
    let mut found = Vec::new();
    for cell in &result.cells {
        let stage = stage_name(result, cell.stage);
        for (clock, histogram) in [
            ("response", &cell.stats.response),
            ("service", &cell.stats.service),
            ("first-byte", &cell.stats.first_byte),
            ("connect", &cell.stats.connect),
        ] {
            found.push((tag(cell, &stage, clock), histogram));
        }
    }
    for channel in &result.websockets {
        let name = format!(
            "{};{};websocket",
            escaped(&channel.name),
            escaped(&channel.persona)
        );
        found.push((format!("{name};connect"), &channel.connect));
        found.push((format!("{name};latency"), &channel.latency));
    }
    found.push(("generator;lateness".to_owned(), &result.generator.lateness));
    found.push(("generator;wait".to_owned(), &result.generator.wait));
    found
}

fn histograms_mut(result: &mut RunResult) -> Vec<&mut Histogram<u64>> {
    let mut found = Vec::new();
    for cell in &mut result.cells {
        let stats = &mut cell.stats;
        found.extend([
            &mut stats.response,
            &mut stats.service,
            &mut stats.first_byte,
            &mut stats.connect,
        ]);
    }
    for channel in &mut result.websockets {
        found.extend([&mut channel.connect, &mut channel.latency]);
    }
    found.extend([&mut result.generator.lateness, &mut result.generator.wait]);
    found
}

/// Two stages may have one name; the number tells them apart.
fn stage_name(result: &RunResult, stage: usize) -> String {
    let name = |index: usize| {
        result
            .setup
            .stages
            .get(index)
            .map(|stage| stage.name.as_str())
    };
    let mine = name(stage).unwrap_or_default();
    let same = (0..result.setup.stages.len()).filter(|other| name(*other) == Some(mine));
    if same.count() > 1 {
        format!("{mine}.{}", stage + 1)
    } else {
        mine.to_owned()
    }
}

/// Reads a log of ours, whole.
///
/// # Errors
/// It is a log of another tool, was cut, or breaks a law of the format; the line is named.
pub fn read(bytes: &[u8]) -> Result<Log, Unreadable> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Unreadable::new(format!("it is no text (UTF-8): {error}")))?;
    if text.lines().next() != Some(FIRST) {
        return Err(Unreadable::new("it is not an interval log of load-test").hint(
            "logs of other tools have histograms but no goals, counts and personas: write one by `load-test URL --hlog FILE`",
        ));
    }
    let cut = || {
        Unreadable::new("it has no end: the run or the copy was cut short")
            .hint("run the shard again, or copy the file again")
    };
    // First, so that a log that was cut costs no memory.
    if !text
        .lines()
        .next_back()
        .is_some_and(|last| last.starts_with(END) && last.ends_with(']'))
    {
        return Err(cut());
    }
    let mut lines = text.lines().enumerate().skip(1);
    let head = lines
        .find_map(|(_, line)| line.strip_prefix(HEAD.0))
        .ok_or_else(cut)?;
    let head = head.strip_suffix(HEAD.1).ok_or_else(cut)?;
    let mut head: wire::Head = serde_json::from_str(head)
        .map_err(|error| Unreadable::new(format!("its head cannot be read: {error}")))?;
    let version = std::mem::take(&mut head.tool_version);
    let goals = std::mem::take(&mut head.goals);
    let mut result = head.result().map_err(Unreadable::new)?;
    let slots: BTreeMap<String, usize> = histograms(&result)
        .into_iter()
        .enumerate()
        .map(|(slot, (tag, _))| (tag, slot))
        .collect();
    let mut targets = histograms_mut(&mut result);
    if slots.len() != targets.len() {
        return Err(Unreadable::new(
            "it has one endpoint, persona and stage twice",
        ));
    }
    let mut seen = vec![false; targets.len()];
    let mut times: Vec<Histogram<u32>> = Vec::new();
    let mut count: u64 = 0;
    let mut ended = None;
    for (index, line) in lines {
        let wrong = |why: &str| Unreadable::new(format!("line {}: {why}", index + 1));
        if ended.is_some() {
            return Err(wrong("something follows the end"));
        }
        if let Some(end) = line.strip_prefix(END) {
            let stated = end
                .strip_suffix(']')
                .and_then(|count| count.parse::<u64>().ok());
            ended = Some(stated.ok_or_else(cut)?);
            continue;
        }
        if line.starts_with(['#', '"']) || line.is_empty() {
            continue;
        }
        let (tag, histogram) = line
            .strip_prefix("Tag=")
            .and_then(|line| {
                let (tag, rest) = line.split_once(',')?;
                Some((tag, rest.splitn(4, ',').nth(3)?))
            })
            .ok_or_else(|| wrong("it is no tagged histogram"))?;
        count += 1;
        if tag == INTERVAL {
            times.push(codec::decode(histogram, INTERVAL_DIGITS).map_err(|why| wrong(&why))?);
            continue;
        }
        let slot = *slots
            .get(tag)
            .ok_or_else(|| wrong("its tag is not one that the head names"))?;
        if std::mem::replace(&mut seen[slot], true) {
            return Err(wrong("its tag came before"));
        }
        *targets[slot] = codec::decode(histogram, DIGITS).map_err(|why| wrong(&why))?;
    }
    let stated = ended.ok_or_else(cut)?;
    if stated != count {
        return Err(Unreadable::new(format!(
            "it holds {count} histograms and says that there are {stated}"
        )));
    }
    if times.len() != result.intervals.len() {
        return Err(Unreadable::new("intervals are missing"));
    }
    for (interval, histogram) in result.intervals.iter_mut().zip(times) {
        interval.response = histogram;
    }
    for cell in &result.cells {
        if cell.stats.response.len() != cell.stats.requests {
            return Err(Unreadable::new(format!(
                "endpoint `{}` has {} times for {} requests",
                cell.endpoint,
                cell.stats.response.len(),
                cell.stats.requests
            )));
        }
    }
    Ok(Log {
        version,
        goals,
        result,
    })
}
