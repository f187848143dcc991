//! One run of the gate, from files to a report.

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::Config;
use crate::formats;
use crate::judge::{self, Decision, Doubt};
use crate::merge::{self, Change, Counts};
use crate::model::{InputReport, Text, Vulnerability};

/// Everything that a run found out, before it is put into words.
#[derive(Debug)]
pub struct Judged {
    /// The inputs, whose rows are in `vulnerabilities` now.
    pub inputs: Vec<InputReport>,
    /// The numbers of each input, before anything was merged.
    pub counts: Vec<Counts>,
    /// The reports of the base.
    pub base: Vec<InputReport>,
    /// What was found.
    pub vulnerabilities: Vec<Vulnerability>,
    /// What each of them means.
    pub decisions: Vec<Decision>,
    /// What the change brought; absent where there is no base that could be read.
    pub change: Option<Change>,
    /// What keeps a verdict back.
    pub doubts: Vec<Doubt>,
    /// When it was judged.
    pub now: Timestamp,
}

impl Judged {
    /// Whether the base does not have a vulnerability; absent where there is no base to compare with.
    #[must_use]
    pub fn introduced(&self, index: usize) -> Option<bool> {
        let change = self.change.as_ref()?;
        change.introduced.get(index).copied()
    }
}

/// Reads files, one after the other; `-` is stdin, which can be read once.
#[must_use]
pub fn read(files: &[String]) -> Vec<InputReport> {
    let mut inputs = Vec::new();
    for (at, path) in files.iter().enumerate() {
        let again = path == "-" && files.iter().take(at).any(|other| other == "-");
        if again {
            // The second read would be empty, and that is said as of any empty file.
            inputs.extend(formats::read(path, std::io::empty(), None));
        } else {
            inputs.extend(formats::read_path(path, std::io::stdin()));
        }
    }
    inputs
}

/// Judges reports.
#[must_use]
pub fn judge(
    config: &Config,
    mut inputs: Vec<InputReport>,
    mut base: Vec<InputReport>,
    now: Timestamp,
) -> Judged {
    let counts = inputs.iter().map(merge::counts).collect();
    let mut doubts = judge::doubts(&config.policy, &inputs, now);
    let vulnerabilities = merge::merge(&mut inputs, config.severity_from);
    let unusable = base.iter().find(|input| !input.outcome.looked_at());
    let change = if base.is_empty() {
        None
    } else if let Some(input) = unusable {
        let why = input.why.as_deref().unwrap_or("not looked at");
        doubts.push(Doubt {
            input: None,
            code: judge::reason::BASE_UNUSABLE,
            words: format!("base {}: {why}", judge::shown(input)),
            hint: "give the base's report as its scanner wrote it, or leave out --base".to_owned(),
            accepted: false,
        });
        None
    } else {
        let old = merge::merge(&mut base, config.severity_from);
        Some(merge::compare(&vulnerabilities, old))
    };
    let today = TimeZone::UTC.to_datetime(now).date();
    // Most vulnerabilities are decided on in the same words.
    let mut known: HashSet<Text> = HashSet::new();
    let decisions = vulnerabilities
        .iter()
        .enumerate()
        .map(|(at, vulnerability)| {
            let introduced = change
                .as_ref()
                .and_then(|change| change.introduced.get(at).copied());
            let mut decision = judge::decide(&config.policy, vulnerability, introduced, today);
            match known.get(&decision.words) {
                Some(words) => decision.words = words.clone(),
                None => drop(known.insert(decision.words.clone())),
            }
            decision
        })
        .collect();
    Judged {
        inputs,
        counts,
        base,
        vulnerabilities,
        decisions,
        change,
        doubts,
        now,
    }
}
