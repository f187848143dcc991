//! What engines log: Gitleaks' lines for people, TruffleHog's JSON lines, and git's complaints in both.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::{Stated, trufflehog};

/// `3:53AM INF 5 commits scanned.`, colours taken out.
static PLAIN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^\S{1,40} (TRC|DBG|INF|WRN|ERR|FTL|PNC) (.*)$").ok());
/// ` ERROR kingfisher::scanner: no room`, perhaps behind a time.
static TRACING: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(?:\S+ +)?(ERROR|WARN|INFO) kingfisher[\w:]*: (.*)$").ok());
static COLOUR: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("\u{1b}\\[[0-9;]*m").ok());
static COMMITS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(\d+) commits scanned").ok());
static BYTES: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"scanned ~(\d+) bytes").ok());

/// How many errors are kept of one run: the first ones tell why.
const MOST_ERRORS: usize = 20;

/// How long one of them may be.
const LONGEST_ERROR: usize = 600;

/// Whether a JSON object is a line of TruffleHog's log.
#[must_use]
pub fn is_log(value: &Value) -> bool {
    value.get("level").is_some_and(Value::is_string)
        && value.get("msg").is_some_and(Value::is_string)
        && !trufflehog::is_row(value)
}

/// Reads one line of TruffleHog's log.
pub fn structured(line: &Value, stated: &mut Stated) {
    let level = line
        .get("level")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let message = line.get("msg").and_then(Value::as_str).unwrap_or_default();
    let cause = line
        .get("error")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if let Some(version) = line.get("trufflehog_version").and_then(Value::as_str) {
        stated.version = Some(version.to_owned());
    }
    if message == "finished scanning" {
        stated.finished = true;
        stated.chunks = line.get("chunks").and_then(Value::as_u64);
        stated.bytes = line.get("bytes").and_then(Value::as_u64);
        stated.secrets = ["verified_secrets", "unverified_secrets", "unknown_secrets"]
            .iter()
            .filter_map(|name| line.get(*name)?.as_u64())
            .fold(0, u64::saturating_add);
        return;
    }
    let text = if cause.is_empty() {
        message.to_owned()
    } else {
        format!("{message}: {cause}")
    };
    // The exit code of git, and what it says on stderr, are logged as mere information.
    let git_failed = message.starts_with("Error waiting for git command")
        || message.starts_with("git clone failed")
        || is_git_complaint(message);
    let is_error = matches!(level, "error" | "fatal" | "panic" | "dpanic");
    if git_failed || (is_error && speaks_of_git(&text)) {
        keep(&mut stated.git_errors, &text);
    } else if is_error {
        keep(&mut stated.errors, &text);
    }
}

/// Reads what an engine wrote to stderr, whichever it is.
#[must_use]
pub fn read(text: &str) -> Stated {
    let mut stated = Stated::default();
    for line in text.lines() {
        let _ = one(line, &mut stated);
    }
    stated
}

/// Parts a text into the report and what is said of the log lines around it.
#[must_use]
pub fn split(text: &str) -> (String, Stated) {
    let mut stated = Stated::default();
    let mut report = String::new();
    for line in text.lines() {
        if !one(line, &mut stated) {
            report.push_str(line);
            report.push('\n');
        }
    }
    (report, stated)
}

/// Reads a line if it is one of a log, and says whether it was.
fn one(line: &str, stated: &mut Stated) -> bool {
    let line = match &*COLOUR {
        Some(colour) => colour.replace_all(line, ""),
        None => line.into(),
    };
    let line = line.trim();
    if line.starts_with('{') {
        return match serde_json::from_str::<Value>(line) {
            Ok(value) if is_log(&value) => {
                structured(&value, stated);
                true
            }
            _ => false,
        };
    }
    if let Some(words) = PLAIN.as_ref().and_then(|plain| plain.captures(line)) {
        plain(&words[1], &words[2], stated);
        return true;
    }
    if let Some(words) = TRACING.as_ref().and_then(|tracing| tracing.captures(line)) {
        if &words[1] == "ERROR" {
            keep(&mut stated.errors, &words[2]);
        }
        return true;
    }
    if let Some(cause) = line.strip_prefix("Error: ") {
        keep(&mut stated.errors, cause);
        return true;
    }
    if line.starts_with("panic: ")
        || line.starts_with("fatal error: ")
        || line.starts_with("goroutine ")
        || line.starts_with("thread '")
    {
        stated.panicked = true;
        keep(&mut stated.errors, line);
        return true;
    }
    if is_git_complaint(line) {
        keep(&mut stated.git_errors, line);
        return true;
    }
    is_banner(line)
}

fn plain(level: &str, message: &str, stated: &mut Stated) {
    let number = |pattern: &LazyLock<Option<Regex>>| {
        let found = pattern.as_ref()?.captures(message)?;
        found[1].parse::<u64>().ok()
    };
    if let Some(commits) = number(&COMMITS) {
        stated.commits = Some(commits);
    }
    if let Some(bytes) = number(&BYTES) {
        stated.bytes = Some(bytes);
    }
    stated.finished |= message.contains("no leaks found") || message.contains("leaks found:");
    stated.partial |= message.contains("partial scan");
    if matches!(level, "ERR" | "FTL" | "PNC") {
        // Gitleaks repeats git's stderr with this mark, and then says that stderr was not empty.
        if message.contains("[git]")
            || message.contains("stderr is not empty")
            || speaks_of_git(message)
        {
            keep(&mut stated.git_errors, message);
        } else {
            keep(&mut stated.errors, message);
        }
    } else if level == "WRN" && message.starts_with("skipping") {
        stated.skipped += 1;
    }
}

/// A line as git itself writes it where something does not work.
///
/// Many programs begin a complaint with `error: `; git's speak of what git has.
fn is_git_complaint(line: &str) -> bool {
    const OF_GIT: [&str; 9] = [
        "git",
        "object",
        "pack",
        "ref",
        "revision",
        "repository",
        "index file",
        "commit",
        "blob",
    ];
    line.starts_with("fatal: ")
        || line
            .strip_prefix("error: ")
            .is_some_and(|rest| OF_GIT.iter().any(|word| rest.contains(word)))
}

fn speaks_of_git(text: &str) -> bool {
    text.contains("fatal: ") || text.contains("git clone") || text.contains("exit status 128")
}

/// What engines print around a report for looks.
fn is_banner(line: &str) -> bool {
    let art = |c: char| matches!(c, '○' | '│' | '╲' | '░' | '█' | '▀' | '▄') || c.is_whitespace();
    line.is_empty()
        || line.chars().all(art)
        || line == "○ ░ gitleaks"
        || line.contains("TruffleHog. Unearth your secrets")
}

fn keep(errors: &mut Vec<String>, text: &str) {
    if errors.len() < MOST_ERRORS {
        errors.push(text.chars().take(LONGEST_ERROR).collect());
    }
}
