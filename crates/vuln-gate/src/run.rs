//! One run of the gate, from files to a report.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::Config;
use crate::formats;
use crate::judge::{self, Decision, Doubt};
use crate::merge::{self, Change, Counts};
use crate::model::{InputReport, Vulnerability};

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
    let decisions = vulnerabilities
        .iter()
        .enumerate()
        .map(|(at, vulnerability)| {
            let introduced = change
                .as_ref()
                .and_then(|change| change.introduced.get(at).copied());
            judge::decide(&config.policy, vulnerability, introduced, today)
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
