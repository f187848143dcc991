//! The results of several shards as the one result that a single machine would have recorded.
//!
//! Histograms are added, so percentiles are exact; nothing is averaged. Shards that do not belong
//! together, or not all of them, are refused: a merged result that lacks a quarter of its requests
//! looks like a good one.

use std::collections::BTreeMap;

use crate::hlog::{self, Log};
use crate::result::{Cell, Channel, End, Generator, Interval, RunResult, SLOWEST, Setup};

/// Starts that lie further apart deserve a word: the load was less than planned while some waited.
const SKEW_SECONDS: f64 = 1.0;

/// Why logs cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// They are of different runs; the sentence says what differs.
    NotTogether(String),
    /// Some are not there; the sentence says which.
    Missing(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotTogether(why) | Self::Missing(why) => f.write_str(why),
        }
    }
}

/// One result of all shards.
#[derive(Clone, Debug)]
pub struct Merged {
    /// As if it were one run.
    pub log: Log,
    /// What deserves a look: clocks that disagree.
    pub warnings: Vec<String>,
    /// Seconds between the first and the last start.
    pub skew_seconds: f64,
}

/// Merges logs, each with the path it was read from. One log of a whole run is itself.
///
/// # Errors
/// They do not belong together, or some are missing.
pub fn merge(logs: Vec<(String, Log)>) -> Result<Merged, Refusal> {
    let mut logs = logs;
    let Some((first_path, first)) = logs.first() else {
        return Err(Refusal::Missing("there is no log".to_owned()));
    };
    for (path, log) in &logs[1..] {
        if let Some(why) = difference(first, log) {
            return Err(Refusal::NotTogether(format!(
                "`{path}` does not belong to `{first_path}`: {why}"
            )));
        }
    }
    all_there(&logs)?;
    let skew_seconds = together_in_time(&logs)?;
    let mut warnings = Vec::new();
    if skew_seconds > SKEW_SECONDS {
        warnings.push(format!(
            "the shards started {skew_seconds:.1} s apart: until the last had started, the load was less than planned; use --start-at, and check the clocks"
        ));
    }
    // In the order of the shards, whatever the order on the command line.
    logs.sort_by_key(|(_, log)| log.result.setup.shard);
    let mut logs = logs.into_iter();
    let Some((_, mut whole)) = logs.next() else {
        return Err(Refusal::Missing("there is no log".to_owned()));
    };
    name_shard(&mut whole.result);
    for (_, mut log) in logs {
        name_shard(&mut log.result);
        add(&mut whole.result, log.result);
    }
    whole.result.setup.shard = None;
    hlog::put_in_order(&mut whole.result);
    Ok(Merged {
        log: whole,
        warnings,
        skew_seconds,
    })
}

/// What differs between two logs that ought to be of one run.
fn difference(one: &Log, other: &Log) -> Option<String> {
    let say = |what: &str| Some(format!("{what} differ"));
    let (a, b) = (&one.result.setup, &other.result.setup);
    let whole = |setup: &Setup| setup.shard.map(|(_, count)| count);
    if one.version != other.version {
        return Some(format!(
            "it was written by load-test {}, the other by {}",
            other.version, one.version
        ));
    }
    if one.result.target != other.result.target {
        return say("the targets");
    }
    if a.personas_sha256 != b.personas_sha256 {
        return say("the persona files");
    }
    if a.model != b.model {
        return say("the load models");
    }
    if a.stages != b.stages || a.warm_up != b.warm_up {
        return say("the stages or their durations");
    }
    if a.seed != b.seed {
        return say("the base seeds");
    }
    if (a.keep_alive, &a.protocol, a.timeout) != (b.keep_alive, &b.protocol, b.timeout) {
        return say("the settings of connections");
    }
    if one.goals != other.goals {
        return say("the goals");
    }
    if whole(a) != whole(b) {
        return say("the numbers of shards");
    }
    None
}

/// Each shard once, and all of them.
fn all_there(logs: &[(String, Log)]) -> Result<(), Refusal> {
    let mut seen: BTreeMap<Option<(u32, u32)>, &str> = BTreeMap::new();
    for (path, log) in logs {
        let shard = log.result.setup.shard;
        if let Some(other) = seen.insert(shard, path) {
            return Err(Refusal::NotTogether(match shard {
                Some((index, count)) => {
                    format!("`{other}` and `{path}` are both shard {index} of {count}")
                }
                None => format!("`{other}` and `{path}` are whole runs, not shards of one"),
            }));
        }
    }
    let Some(Some((_, count))) = seen.keys().next().copied() else {
        return Ok(());
    };
    let missing: Vec<String> = (0..count)
        .filter(|index| !seen.contains_key(&Some((*index, count))))
        .map(|index| index.to_string())
        .take(20)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::Missing(format!(
        "of {count} shards, {} are missing: {}",
        count as usize - seen.len(),
        missing.join(", ")
    )))
}

/// Seconds between the first and the last start; logs that never ran at the same time are of
/// different runs, however alike they are.
fn together_in_time(logs: &[(String, Log)]) -> Result<f64, Refusal> {
    let start = |log: &Log| log.result.started_at.as_microsecond() as f64 / 1e6;
    let end = |log: &Log| {
        start(log) + log.result.measured_seconds + log.result.setup.warm_up.as_secs_f64()
    };
    let earliest_end = logs.iter().min_by(|a, b| end(&a.1).total_cmp(&end(&b.1)));
    let latest_start = logs
        .iter()
        .max_by(|a, b| start(&a.1).total_cmp(&start(&b.1)));
    let (Some((early, first)), Some((late, last))) = (earliest_end, latest_start) else {
        return Ok(0.0);
    };
    if early != late && start(last) > end(first) {
        return Err(Refusal::NotTogether(format!(
            "`{late}` started after `{early}` had ended: they are of different runs"
        )));
    }
    let earliest_start = logs
        .iter()
        .map(|(_, log)| start(log))
        .fold(f64::INFINITY, f64::min);
    Ok(start(last) - earliest_start)
}

/// Sentences of a shard say which one it was. One that was interrupted, such as a pod that was deleted, left a
/// part of the load out; the merge itself was not interrupted.
fn name_shard(result: &mut RunResult) {
    let Some((index, count)) = result.setup.shard else {
        return;
    };
    match &mut result.end {
        End::Aborted(why) | End::Broken(why) => *why = format!("shard {index} of {count}: {why}"),
        End::Interrupted => {
            result.end = End::Broken(format!("shard {index} of {count} was interrupted"));
        }
        End::Complete | End::Deadline => {}
    }
}

fn add(whole: &mut RunResult, part: RunResult) {
    whole.started_at = whole.started_at.min(part.started_at);
    whole.measured_seconds = whole.measured_seconds.max(part.measured_seconds);
    whole.warm_up_requests += part.warm_up_requests;
    whole.users_started += part.users_started;
    // The shards reach their most users at the same time if they started at the same time.
    whole.users_most += part.users_most;
    if severity(&part.end) > severity(&whole.end) {
        whole.end = part.end;
    }
    for cell in part.cells {
        add_cell(&mut whole.cells, cell);
    }
    for interval in part.intervals {
        add_interval(&mut whole.intervals, interval);
    }
    for (endpoint, count) in part.slow {
        *whole.slow.entry(endpoint).or_default() += count;
    }
    whole.slowest.extend(part.slowest);
    hlog::put_slowest_first(&mut whole.slowest);
    whole.slowest.truncate(SLOWEST);
    add_generator(&mut whole.generator, &part.generator);
    for channel in part.websockets {
        add_channel(&mut whole.websockets, channel);
    }
}

fn severity(end: &End) -> u8 {
    match end {
        End::Complete => 0,
        End::Deadline => 1,
        End::Aborted(_) => 2,
        End::Broken(_) => 3,
        End::Interrupted => 4,
    }
}

fn add_cell(cells: &mut Vec<Cell>, cell: Cell) {
    let same = |other: &&mut Cell| {
        (&other.endpoint, &other.persona, other.stage)
            == (&cell.endpoint, &cell.persona, cell.stage)
    };
    match cells.iter_mut().find(same) {
        Some(mine) => mine.stats.add(&cell.stats),
        None => cells.push(cell),
    }
}

/// Intervals of one plan start at the same seconds; one that only some shards have, at the very end,
/// stays as it is.
fn add_interval(intervals: &mut Vec<Interval>, interval: Interval) {
    let at = |interval: &Interval| (interval.start_seconds * 1e6).round() as i64;
    match intervals.binary_search_by_key(&at(&interval), at) {
        Ok(place) => {
            let mine = &mut intervals[place];
            mine.seconds = mine.seconds.max(interval.seconds);
            mine.requests += interval.requests;
            mine.failures += interval.failures;
            mine.users += interval.users;
            // Both have the same digits and grow as needed.
            let _ = mine.response.add(&interval.response);
        }
        Err(place) => intervals.insert(place, interval),
    }
}

fn add_generator(mine: &mut Generator, other: &Generator) {
    mine.cpu_seconds += other.cpu_seconds;
    mine.threads += other.threads;
    // Fails only where the bounds differ, and all have the same.
    let _ = mine.lateness.add(&other.lateness);
    let _ = mine.wait.add(&other.wait);
    mine.waited += other.waited;
    mine.dropped += other.dropped;
    mine.unfinished += other.unfinished;
    mine.connections_opened += other.connections_opened;
    mine.connections_most += other.connections_most;
    mine.retried += other.retried;
    mine.held_back += other.held_back;
    mine.lateness_limit = mine.lateness_limit.min(other.lateness_limit);
    mine.descriptor_limit = match (mine.descriptor_limit, other.descriptor_limit) {
        (Some(mine), Some(other)) => Some(mine.min(other)),
        (one, other) => one.or(other),
    };
}

fn add_channel(channels: &mut Vec<Channel>, channel: Channel) {
    let same =
        |other: &&mut Channel| (&other.name, &other.persona) == (&channel.name, &channel.persona);
    let Some(mine) = channels.iter_mut().find(same) else {
        channels.push(channel);
        return;
    };
    mine.attempts += channel.attempts;
    mine.opened += channel.opened;
    mine.messages += channel.messages;
    mine.gaps += channel.gaps;
    mine.drops += channel.drops;
    mine.longest_gap = mine.longest_gap.max(channel.longest_gap);
    let _ = mine.connect.add(&channel.connect);
    let _ = mine.latency.add(&channel.latency);
}

#[cfg(test)]
mod tests;
