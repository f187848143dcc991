//! Whether the reports can be believed: that they were looked at, lately, whole, and about the right thing.

use jiff::Timestamp;

use super::{Policy, Required, reason};
use crate::model::{Gap, InputReport, Outcome};

/// Something about the inputs that keeps a verdict back, or that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The number of the input; `None` is about all of them.
    pub input: Option<usize>,
    /// The stable code.
    pub code: &'static str,
    /// One sentence.
    pub words: String,
    /// What to do.
    pub hint: String,
    /// It is written down in the policy that this is accepted: a warning, no more.
    pub accepted: bool,
}

/// The name of an input for people: its path, and which document of it where there are several.
#[must_use]
pub fn shown(input: &InputReport) -> String {
    if input.document == 1 {
        input.path.clone()
    } else {
        format!("{} (document {})", input.path, input.document)
    }
}

/// The age of a report: by its own words, else by its file's time.
#[must_use]
pub fn age_seconds(input: &InputReport, now: Timestamp) -> Option<f64> {
    let made = input.created.or(input.modified)?;
    Some((now - made).as_secs() as f64)
}

/// The age of a report's database.
#[must_use]
pub fn database_age_seconds(input: &InputReport, now: Timestamp) -> Option<f64> {
    Some((now - input.database?).as_secs() as f64)
}

/// Everything about the inputs that keeps a verdict back.
#[must_use]
pub fn doubts(policy: &Policy, inputs: &[InputReport], now: Timestamp) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    for (at, input) in inputs.iter().enumerate() {
        match looked_at(input) {
            Some((code, hint)) => doubts.push(Doubt {
                input: Some(at),
                code,
                words: format!(
                    "{}: {}",
                    shown(input),
                    input.why.as_deref().unwrap_or("not looked at")
                ),
                hint,
                accepted: false,
            }),
            None => {
                doubts.extend(ages(policy, at, input, now));
                doubts.extend(gaps(policy, at, input));
            }
        }
    }
    let looked: Vec<&InputReport> = inputs
        .iter()
        .filter(|input| input.outcome.looked_at())
        .collect();
    for required in &policy.required {
        let there = looked.iter().any(|input| fits(required, input));
        if !there {
            doubts.push(Doubt {
                input: None,
                code: reason::REQUIRED_MISSING,
                words: format!("no report of {required} was looked at, and it is required"),
                hint: format!("run {required}, and give its report to this command"),
                accepted: false,
            });
        }
    }
    for expected in &policy.expected_targets {
        let named = looked.iter().flat_map(|input| &input.targets);
        if !named
            .clone()
            .any(|target| target.contains(expected.as_str()))
        {
            let mut seen: Vec<&str> = named.take(5).map(|target| &**target).collect();
            seen.sort_unstable();
            let seen = if seen.is_empty() {
                "no report names what it scanned".to_owned()
            } else {
                format!("the reports are about {}", seen.join(", "))
            };
            doubts.push(Doubt {
                input: None,
                code: reason::TARGET_MISSING,
                words: format!("no report is about `{expected}`: {seen}"),
                hint: "scan the image or folder that is to be released".to_owned(),
                accepted: false,
            });
        }
    }
    doubts
}

fn fits(required: &Required, input: &InputReport) -> bool {
    let named = |tool: &str| {
        input.tool.as_deref().is_some_and(|there| {
            there
                .to_ascii_lowercase()
                .contains(&tool.to_ascii_lowercase())
        })
    };
    input.format == required.format && required.tool.as_deref().is_none_or(named)
}

fn looked_at(input: &InputReport) -> Option<(&'static str, String)> {
    let (code, hint) = match input.outcome {
        Outcome::Clean | Outcome::Findings => return None,
        Outcome::Error => (
            reason::REPORT_FAILED,
            "mend what the scanner complains about, and scan again",
        ),
        Outcome::Empty => (
            reason::REPORT_EMPTY,
            "look at the scanner's own log and exit code, and scan again",
        ),
        Outcome::NotAReport => (
            reason::NOT_A_REPORT,
            "check the path and the scanner's output format",
        ),
        Outcome::Unchecked => (
            reason::NOTHING_CHECKED,
            "check what the scanner was pointed at, and whether it reached its database",
        ),
    };
    Some((code, hint.to_owned()))
}

fn ages(policy: &Policy, at: usize, input: &InputReport, now: Timestamp) -> Vec<Doubt> {
    /// Clocks of two machines may differ by this much.
    const SKEW_SECONDS: f64 = 86_400.0;
    let mut doubts = Vec::new();
    let mut doubt = |code, words: String, hint: &str| {
        doubts.push(Doubt {
            input: Some(at),
            code,
            words: format!("{}: {words}", shown(input)),
            hint: hint.to_owned(),
            accepted: false,
        });
    };
    let days = |seconds: f64| format!("{:.1} days", seconds / 86_400.0);
    let age = age_seconds(input, now);
    if let Some(age) = age
        && age < -SKEW_SECONDS
    {
        doubt(
            reason::CLOCK_WRONG,
            format!("it says that it was made {} from now", days(-age)),
            "set the clocks of the scanner's machine and of this one",
        );
    }
    if let (Some(age), Some(limit)) = (age, policy.max_age)
        && age > limit.as_secs_f64()
    {
        let by = if input.created.is_some() {
            "by its own words"
        } else {
            "by its file's time"
        };
        doubt(
            reason::REPORT_TOO_OLD,
            format!(
                "it is {} old {by}, more than {}",
                days(age),
                days(limit.as_secs_f64())
            ),
            "scan again, or raise --max-age",
        );
    }
    // How old the data was when the scan used it: an old report is told above.
    let made = input.created.or(input.modified).unwrap_or(now);
    if let (Some(limit), Some(database)) = (policy.max_database_age, input.database) {
        let age = (made - database).as_secs() as f64;
        if age > limit.as_secs_f64() {
            doubt(
                reason::DATABASE_TOO_OLD,
                format!(
                    "the scanner's database was {} old at the scan, more than {}",
                    days(age),
                    days(limit.as_secs_f64())
                ),
                "update the scanner's database and scan again, or raise --max-db-age",
            );
        }
    }
    doubts
}

fn gaps(policy: &Policy, at: usize, input: &InputReport) -> Vec<Doubt> {
    input
        .notes
        .iter()
        .map(|note| {
            let accepted = policy.accepted.iter().any(|known| {
                known.gap == note.gap
                    && known
                        .subject
                        .as_deref()
                        .is_none_or(|subject| subject == note.subject)
            });
            let what = Gap::ALL
                .iter()
                .find(|(gap, _)| *gap == note.gap)
                .map_or("", |(_, words)| words);
            let subject = if note.subject.is_empty() {
                String::new()
            } else {
                format!(" ({})", note.subject)
            };
            let accept = match (note.gap, note.subject.as_str()) {
                (Gap::SkippedPackage, name) if !name.is_empty() => {
                    format!("{}:{name}", note.gap.as_str())
                }
                _ => note.gap.as_str().to_owned(),
            };
            Doubt {
                input: Some(at),
                code: reason::PARTIAL_SCAN,
                words: format!("{}: {what}{subject}: {}", shown(input), note.message),
                hint: format!("mend it, or accept it knowingly with --accept-partial {accept}"),
                accepted,
            }
        })
        .collect()
}
