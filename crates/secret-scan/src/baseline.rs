//! The list of accepted secrets: adding, taking out, comparing, importing.
//!
//! The form is that of every exception of these tools (`gs_common::suppression`): what, reason, owner,
//! expiry. What is accepted is a fingerprint: no value, no line number, no time of writing. Blocks are in the
//! order of their fingerprints, one key a line, so that two branches that add two secrets merge without a
//! conflict more often than not, and always without a wrong result.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gs_common::config::{ConfigError, read_text};
use gs_common::file::write_atomic;
use gs_common::finding::Finding;
use gs_common::fingerprint;
use gs_common::report::Report;
use gs_common::suppression::{self, Exception, Policy, block};
use jiff::civil::Date;
use serde_json::Value;

use crate::args::{AccountArgs, AddArgs, ImportArgs, State};
use crate::config::{FORM, Setting};
use crate::formats;
use crate::value::Key;
use crate::verbs::{goes_by, saved};

/// A list of another tool larger than this is not one.
const LARGEST: u64 = 1 << 28;

const HEAD: &str = "\
# Accepted secrets, by fingerprint: no values, no line numbers. Every one has a reason, an owner and an expiry.
# `secret-scan baseline add` and `prune` keep the blocks in order.
";

/// One accepted secret as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    fingerprint: String,
    comment: Vec<String>,
    pairs: Vec<(&'static str, String)>,
}

impl Entry {
    fn of(exception: &Exception, comment: Vec<String>) -> Self {
        let mut pairs = vec![
            ("reason", exception.reason.clone()),
            ("owner", exception.owner.clone()),
            ("expires", exception.expires.to_string()),
        ];
        let mut also = |key: &'static str, value: Option<String>| {
            pairs.extend(value.map(|value| (key, value)));
        };
        also("created", exception.created.map(|day| day.to_string()));
        also("state", exception.state.clone());
        also("ticket", exception.ticket.clone());
        Self {
            fingerprint: exception.what.fingerprint.clone().unwrap_or_default(),
            comment,
            pairs,
        }
    }

    fn new(fingerprint: &str, account: &AccountArgs, comment: Vec<String>, today: Date) -> Self {
        let mut pairs = vec![
            ("reason", account.reason.trim().to_owned()),
            ("owner", account.owner.trim().to_owned()),
            ("expires", account.expires.trim().to_owned()),
            ("created", today.to_string()),
            ("state", word(account.state).to_owned()),
        ];
        pairs.extend(account.ticket.clone().map(|ticket| ("ticket", ticket)));
        Self {
            fingerprint: fingerprint.to_owned(),
            comment,
            pairs,
        }
    }

    fn text(&self) -> String {
        let mut pairs = vec![("fingerprint", self.fingerprint.as_str())];
        pairs.extend(self.pairs.iter().map(|(key, value)| (*key, value.as_str())));
        block(&self.comment, &pairs)
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Accepted => "accepted",
        State::FalsePositive => "false_positive",
        State::Revoked => "revoked",
        State::TestFixture => "test_fixture",
    }
}

/// Accepts secrets.
pub(crate) fn add(args: &AddArgs, setting: &Setting, today: Date) -> Result<String, ConfigError> {
    check(&args.account, today)?;
    let report = args.report.as_deref().map(saved).transpose()?;
    let mut entries = current(setting, today)?;
    let mut told = String::new();
    for wanted in &args.fingerprints {
        let (fingerprint, comment) = resolve(wanted.trim(), report.as_ref())?;
        let entry = Entry::new(&fingerprint, &args.account, comment, today);
        insert(&mut entries, entry, &mut told);
    }
    write(setting, &entries, today)?;
    Ok(format!("{told}wrote {}\n", setting.path.display()))
}

/// A whole fingerprint; a beginning of one is completed from a report.
fn resolve(wanted: &str, report: Option<&Report>) -> Result<(String, Vec<String>), ConfigError> {
    let found: Vec<&Finding> = report
        .iter()
        .flat_map(|report| &report.findings)
        .filter(|finding| goes_by(finding, wanted))
        .collect();
    match found.as_slice() {
        [finding] => Ok((finding.fingerprint.to_string(), about(finding))),
        [] if fingerprint::is_one(wanted) => Ok((wanted.to_owned(), Vec::new())),
        [] => Err(ConfigError::new(format!("`{wanted}` is no fingerprint"))
            .hint("copy it whole from the report, or give the report with --report")),
        _ => Err(ConfigError::new(format!(
            "several secrets have a fingerprint that begins with `{wanted}`"
        ))
        .hint("give more of it")),
    }
}

/// What people want to know of an entry, without a value and without a line.
fn about(finding: &Finding) -> Vec<String> {
    let mut about = vec![finding.rule.to_string()];
    about.extend(finding.place.as_ref().map(|place| place.path.to_string()));
    vec![about.join(", ")]
}

fn check(account: &AccountArgs, today: Date) -> Result<(), ConfigError> {
    for (flag, value) in [("--reason", &account.reason), ("--owner", &account.owner)] {
        if value.trim().is_empty() {
            return Err(ConfigError::new(format!("{flag} is empty"))
                .hint("an exception says why, and who answers for it"));
        }
    }
    let expires: Date = account.expires.trim().parse().map_err(|_| {
        ConfigError::new(format!("--expires: `{}` is no day", account.expires))
            .hint("write it like 2027-06-30")
    })?;
    if expires < today {
        return Err(
            ConfigError::new(format!("--expires: {expires} is over already"))
                .hint("name a day to come"),
        );
    }
    Ok(())
}

fn insert(entries: &mut BTreeMap<String, Entry>, entry: Entry, told: &mut String) {
    let shown = crate::value::mask(&entry.fingerprint);
    let was = entries.insert(entry.fingerprint.clone(), entry);
    let what = if was.is_some() { "changed" } else { "added" };
    told.push_str(&format!("{what} {shown}\n"));
}

/// The entries of the list as it lies there, whatever a base has: that is what is edited.
fn current(setting: &Setting, today: Date) -> Result<BTreeMap<String, Entry>, ConfigError> {
    if !setting.path.exists() {
        return Ok(BTreeMap::new());
    }
    entries(&setting.path, today)
}

fn entries(path: &Path, today: Date) -> Result<BTreeMap<String, Entry>, ConfigError> {
    let text = read_text(path, suppression::LARGEST)?;
    let name = path.display().to_string();
    let list = suppression::read(&name, &text, &FORM, &Policy::on(today))?.list;
    let lines: Vec<&str> = text.lines().collect();
    let mut entries = BTreeMap::new();
    for exception in &list {
        let comment = comment_before(&lines, exception.place.line);
        let entry = Entry::of(exception, comment);
        entries.insert(entry.fingerprint.clone(), entry);
    }
    Ok(entries)
}

/// The comment lines right before a block; those of the head are not.
fn comment_before(lines: &[&str], line: Option<u32>) -> Vec<String> {
    let Some(end) = line.and_then(|line| usize::try_from(line).ok()?.checked_sub(1)) else {
        return Vec::new();
    };
    let before = lines.get(..end).unwrap_or_default();
    let comment = before.iter().rev().take_while(|line| line.starts_with('#'));
    let mut comment: Vec<String> = comment
        .map(|line| line.trim_start_matches('#').trim().to_owned())
        .collect();
    comment.reverse();
    comment
}

fn write(
    setting: &Setting,
    entries: &BTreeMap<String, Entry>,
    today: Date,
) -> Result<(), ConfigError> {
    let mut text = HEAD.to_owned();
    for entry in entries.values() {
        text.push('\n');
        text.push_str(&entry.text());
    }
    // What is written must be what is read.
    let name = setting.path.display().to_string();
    suppression::read(&name, &text, &FORM, &Policy::on(today))?;
    write_atomic(&setting.path, |out| out.write_all(text.as_bytes()))
        .map_err(|error| ConfigError::new(error.to_string()).hint(error.hint()))
}

/// Takes out what expired, and what a whole scan no longer finds.
pub(crate) fn prune(
    setting: &Setting,
    report: Option<&Path>,
    dry_run: bool,
    today: Date,
) -> Result<String, ConfigError> {
    let mut entries = entries(&setting.path, today)?;
    let seen = match report {
        None => None,
        Some(path) => {
            let report = saved(path)?;
            // A scan that broke, or saw a part, finds less: what it lacks may still be there.
            if report.verdict == gs_common::verdict::Verdict::Inconclusive
                || report.details.contains_key("range")
                || !report
                    .checks
                    .iter()
                    .all(|check| check.verdict <= gs_common::verdict::Verdict::Warn)
                || report.subject.kind != "repository"
            {
                return Err(ConfigError::new(format!(
                    "`{}` is no report of a whole scan of a repository",
                    path.display()
                ))
                .hint("scan the whole repository: `secret-scan --output json=FILE`"));
            }
            let seen: BTreeSet<String> = report
                .findings
                .iter()
                .map(|finding| finding.fingerprint.to_string())
                .collect();
            Some(seen)
        }
    };
    let mut told = String::new();
    entries.retain(|fingerprint, entry| {
        let expires = entry.pairs.iter().find(|(key, _)| *key == "expires");
        let expired = expires
            .and_then(|(_, day)| day.parse::<Date>().ok())
            .is_some_and(|day| day < today);
        let unused = seen
            .as_ref()
            .is_some_and(|seen| !seen.contains(fingerprint));
        if expired || unused {
            let why = if expired {
                "expired"
            } else {
                "no longer found"
            };
            told.push_str(&format!(
                "{} {}: {why}\n",
                if dry_run {
                    "would take out"
                } else {
                    "took out"
                },
                crate::value::mask(fingerprint)
            ));
        }
        !(expired || unused)
    });
    if told.is_empty() {
        return Ok("nothing to take out\n".to_owned());
    }
    if !dry_run {
        write(setting, &entries, today)?;
    }
    Ok(told)
}

/// What two lists do not have in common.
pub(crate) fn diff(old: &Path, new: &Path, today: Date) -> Result<String, ConfigError> {
    let (old, new) = (entries(old, today)?, entries(new, today)?);
    let mut told = String::new();
    let all: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for fingerprint in all {
        let line = |sign: char, entry: &Entry| {
            let words: Vec<String> = entry
                .pairs
                .iter()
                .map(|(key, value)| format!("{key} = {value}"))
                .collect();
            format!("{sign} {fingerprint} {}\n", words.join(", "))
        };
        match (old.get(fingerprint), new.get(fingerprint)) {
            (Some(one), None) => told.push_str(&line('-', one)),
            (None, Some(other)) => told.push_str(&line('+', other)),
            (Some(one), Some(other)) if one.pairs != other.pairs => {
                told.push_str(&line('-', one));
                told.push_str(&line('+', other));
            }
            _ => {}
        }
    }
    if told.is_empty() {
        told.push_str("no difference\n");
    }
    Ok(told)
}

/// Accepts what lists of other tools accept.
pub(crate) fn import(
    args: &ImportArgs,
    setting: &Setting,
    today: Date,
) -> Result<String, ConfigError> {
    check(&args.account, today)?;
    let report = args.report.as_deref().map(saved).transpose()?;
    let mut entries = current(setting, today)?;
    let mut told = String::new();
    for file in &args.files {
        let text = read_text(file, LARGEST)?;
        let accepted = accepted_by(file, &text, &setting.key, report.as_ref())?;
        for (fingerprint, comment) in accepted {
            // What was written by hand stays as it is.
            if !entries.contains_key(&fingerprint) {
                let entry = Entry::new(&fingerprint, &args.account, comment, today);
                insert(&mut entries, entry, &mut told);
            }
        }
    }
    if told.is_empty() {
        return Ok("nothing to add: all of it is accepted already\n".to_owned());
    }
    write(setting, &entries, today)?;
    Ok(format!("{told}wrote {}\n", setting.path.display()))
}

type Accepted = Vec<(String, Vec<String>)>;

fn accepted_by(
    file: &Path,
    text: &str,
    key: &Key,
    report: Option<&Report>,
) -> Result<Accepted, ConfigError> {
    let shown = file.display();
    if let Ok(value) = serde_json::from_str::<Value>(text)
        && value.get("results").is_some_and(Value::is_object)
        && value.get("plugins_used").is_some()
    {
        return at_places(detect_secrets(&value), file, report);
    }
    match formats::read(text.as_bytes()) {
        Ok(reading) => {
            if reading.rows.iter().any(formats::Row::is_redacted) {
                return Err(ConfigError::new(format!(
                    "`{shown}` has masked values: which secrets it means cannot be told"
                ))
                .hint("let Gitleaks write it without --redact, import it, and delete it"));
            }
            let incidents = crate::incident::join(&reading.rows, key);
            let about = |one: &crate::incident::Incident| {
                let mut about = vec![one.rule.clone()];
                about.extend(one.places.first().map(|place| place.path.to_string()));
                vec![about.join(", ")]
            };
            Ok(incidents
                .iter()
                .map(|one| (one.fingerprint.clone(), about(one)))
                .collect())
        }
        Err(_) => match ignore_file(text) {
            Some(places) => at_places(places, file, report),
            None => Err(ConfigError::new(format!(
                "`{shown}` is neither a report of Gitleaks, nor a .gitleaksignore, nor a baseline of detect-secrets"
            ))
            .hint("name one of those")),
        },
    }
}

/// A place that another list accepts.
struct Accepts {
    commit: Option<String>,
    path: String,
    rule: Option<String>,
    line: u32,
}

/// `.gitleaksignore`: `commit:file:rule:line` or `file:rule:line`, a line each.
fn ignore_file(text: &str) -> Option<Vec<Accepts>> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let places: Option<Vec<Accepts>> = lines
        .map(|line| {
            let (rest, number) = line.rsplit_once(':')?;
            let (rest, rule) = rest.rsplit_once(':')?;
            let (commit, path) = match rest.split_once(':') {
                Some((commit, path)) => (Some(commit.to_owned()), path),
                None => (None, rest),
            };
            Some(Accepts {
                commit,
                path: path.to_owned(),
                rule: Some(rule.to_owned()),
                line: number.parse().ok()?,
            })
        })
        .collect();
    places.filter(|places| !places.is_empty())
}

fn detect_secrets(value: &Value) -> Vec<Accepts> {
    let mut places = Vec::new();
    let files = value.get("results").and_then(Value::as_object);
    for (path, rows) in files.into_iter().flatten() {
        for row in rows.as_array().into_iter().flatten() {
            let line = row.get("line_number").and_then(Value::as_u64);
            places.extend(
                line.and_then(|line| u32::try_from(line).ok())
                    .map(|line| Accepts {
                        commit: None,
                        path: path.clone(),
                        rule: None,
                        line,
                    }),
            );
        }
    }
    places
}

/// What a scan found at the places: these lists know nothing of the value.
fn at_places(
    places: Vec<Accepts>,
    file: &Path,
    report: Option<&Report>,
) -> Result<Accepted, ConfigError> {
    let Some(report) = report else {
        return Err(ConfigError::new(format!(
            "`{}` names lines of files: what stands there is told by a scan",
            file.display()
        ))
        .hint("scan first, `secret-scan --output json=scan.json`, then import with `--report scan.json`"));
    };
    let mut accepted = BTreeMap::new();
    for place in places {
        for finding in &report.findings {
            let at = finding.places.iter().any(|spot| {
                spot.path == place.path
                    && spot.line == Some(place.line)
                    && place
                        .commit
                        .as_ref()
                        .is_none_or(|commit| spot.commit.as_deref() == Some(commit.as_str()))
            });
            let rules = finding.more.get("rules");
            let rules = rules.as_ref().and_then(Value::as_array);
            let by_rule = place.rule.as_ref().is_none_or(|rule| {
                rules.is_some_and(|rules| rules.iter().any(|one| one.as_str() == Some(rule)))
            });
            if at && by_rule {
                accepted.insert(finding.fingerprint.to_string(), about(finding));
            }
        }
    }
    Ok(accepted.into_iter().collect())
}
