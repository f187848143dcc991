//! What the findings mean for the release. Pure: policy, reports and the time in, decisions out.

use std::collections::BTreeMap;
use std::time::Duration;

use gs_common::finding::Severity;
use gs_common::suppression::Glob;
use jiff::Timestamp;
use jiff::civil::Date;

use crate::model::{Class, Format, Gap, InputReport, Outcome, Status, Vulnerability};

/// The stable codes of reports and checks, each with the words of its page.
pub mod reason {
    macro_rules! codes {
        ($($name:ident = $code:literal, $words:literal;)*) => {
            $(#[doc = $words] pub const $name: &str = $code;)*
            /// All of them, with what they mean.
            pub const ALL: &[(&str, &str)] = &[$(($name, $words)),*];
        };
    }
    codes! {
        NOTHING_BLOCKS = "nothing_blocks", "every report was looked at and nothing in it counts against the release";
        FINDINGS_BLOCK = "findings_block", "findings at or above the threshold of their class";
        FINDINGS_WARN = "findings_warn", "findings that the policy only warns of";
        REPORT_FAILED = "report_failed", "the scanner says in its report that it failed";
        REPORT_EMPTY = "report_empty", "the file has no bytes: the scanner crashed before it wrote any";
        NOT_A_REPORT = "not_a_report", "the file is missing, cut off, or in no format that is known";
        NOTHING_CHECKED = "nothing_checked", "a whole report of a run that checked nothing";
        REQUIRED_MISSING = "required_missing", "a report that --require asks for is not among those that were looked at";
        TARGET_MISSING = "target_missing", "no report is about what --expect-target names";
        REPORT_TOO_OLD = "report_too_old", "the report is older than --max-age";
        DATABASE_TOO_OLD = "database_too_old", "the scanner's database is older than --max-db-age";
        CLOCK_WRONG = "clock_wrong", "the report says that it was made in the future";
        PARTIAL_SCAN = "partial_scan", "the report says that parts were not looked at";
        BASE_UNUSABLE = "base_unusable", "a report of --base was not looked at, so nothing can be told apart as new";
    }
}

/// What is done with something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It is listed, and that is all.
    Ignore,
    /// The verdict is at least `warn`.
    Warn,
    /// The verdict is `fail`.
    #[default]
    Block,
}

impl Effect {
    /// The word for people and machines alike.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Warn => "warn",
            Self::Block => "block",
        }
    }
}

impl std::str::FromStr for Effect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ignore" => Ok(Self::Ignore),
            "warn" => Ok(Self::Warn),
            "block" => Ok(Self::Block),
            _ => Err(format!("`{text}` is none of block, warn, ignore")),
        }
    }
}

/// A report that has to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required {
    /// The format.
    pub format: Format,
    /// A part of the tool's name, for SARIF: `sarif:codeql`.
    pub tool: Option<String>,
}

impl std::fmt::Display for Required {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.format.as_str())?;
        match &self.tool {
            Some(tool) => write!(f, ":{tool}"),
            None => Ok(()),
        }
    }
}

/// A gap in a report that is known and accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Which kind.
    pub gap: Gap,
    /// Only for this subject: a skipped package's name.
    pub subject: Option<String>,
}

/// What the gate goes by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The lowest severity that blocks, by class; `None` never blocks.
    pub fail_on: BTreeMap<Class, Option<Severity>>,
    /// What a finding without any severity means.
    pub unknown: Effect,
    /// What a finding means that only development needs.
    pub development: Effect,
    /// What a vulnerability means for which there is no fix.
    pub unfixed: Effect,
    /// Days from publication during which `unfixed` holds; after them it counts like any other.
    pub unfixed_grace_days: Option<u32>,
    /// Targets and paths whose findings are only listed.
    pub ignored_targets: Vec<Glob>,
    /// Gaps that are accepted.
    pub accepted: Vec<Accepted>,
    /// Reports that have to be there.
    pub required: Vec<Required>,
    /// Targets that some report has to be about.
    pub expected_targets: Vec<String>,
    /// The oldest that a report may be.
    pub max_age: Option<Duration>,
    /// The oldest that a database may be.
    pub max_database_age: Option<Duration>,
}

impl Default for Policy {
    /// Critical and high block, in every class but `maintenance`.
    fn default() -> Self {
        let fail_on = Class::ALL.into_iter().map(|class| {
            let threshold = (class != Class::Maintenance).then_some(Severity::High);
            (class, threshold)
        });
        Self {
            fail_on: fail_on.collect(),
            unknown: Effect::Warn,
            development: Effect::Block,
            unfixed: Effect::Block,
            unfixed_grace_days: None,
            ignored_targets: Vec::new(),
            accepted: Vec::new(),
            required: Vec::new(),
            expected_targets: Vec::new(),
            max_age: Some(Duration::from_secs(7 * 86_400)),
            max_database_age: Some(Duration::from_secs(14 * 86_400)),
        }
    }
}

/// What one vulnerability means, and which rule says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is done.
    pub effect: Effect,
    /// The rule's stable name.
    pub rule: &'static str,
    /// The rule in words, with its values.
    pub words: String,
}

impl Decision {
    fn new(effect: Effect, rule: &'static str, words: impl Into<String>) -> Self {
        Self {
            effect,
            rule,
            words: words.into(),
        }
    }
}

/// Whether the rows say that no fix exists. What they do not tell counts as fixable.
#[must_use]
pub fn unfixed(vulnerability: &Vulnerability) -> bool {
    vulnerability.class == Class::Vulnerability
        && vulnerability.rows.iter().all(|(_, row)| {
            row.fixed.is_empty()
                && row.fix_by.is_none()
                && !matches!(row.status, Status::Unknown | Status::Fixed)
        })
}

/// Decides on one vulnerability. `introduced` is absent where there is no base to compare with. The first
/// rule that applies decides; exceptions and VEX come after.
#[must_use]
pub fn decide(
    policy: &Policy,
    vulnerability: &Vulnerability,
    introduced: Option<bool>,
    today: Date,
) -> Decision {
    let v = vulnerability;
    if let Some(decision) = set_aside(policy, v, introduced, today) {
        return decision;
    }
    let threshold = policy.fail_on.get(&v.class).copied().flatten();
    let Some(threshold) = threshold else {
        let words = format!("findings of class `{}` never block", v.class);
        // Below "never" a severe one still deserves to be seen.
        let effect = if v.severity >= Severity::High {
            Effect::Warn
        } else {
            Effect::Ignore
        };
        return Decision::new(effect, "class_never_blocks", words);
    };
    let severe = if v.malicious {
        Decision::new(
            Effect::Block,
            "malicious",
            "the package itself is malicious (MAL-)",
        )
    } else if v.known_exploited {
        Decision::new(
            Effect::Block,
            "known_exploited",
            "it is known to be exploited",
        )
    } else if v.severity == Severity::Unknown {
        let words = format!(
            "no source gives a severity, and `unknown` is set to `{}`",
            policy.unknown.as_str()
        );
        Decision::new(policy.unknown, "unknown_severity", words)
    } else if v.severity >= threshold {
        let words = format!(
            "{} is at or above the threshold `{threshold}` of class `{}`",
            v.severity, v.class
        );
        Decision::new(Effect::Block, "threshold", words)
    } else {
        let words = format!(
            "{} is below the threshold `{threshold}` of class `{}`",
            v.severity, v.class
        );
        return Decision::new(Effect::Ignore, "below_threshold", words);
    };
    if v.malicious {
        return severe;
    }
    if v.development_only() && policy.development < severe.effect {
        let words = format!(
            "only development needs it, and `development` is set to `{}`",
            policy.development.as_str()
        );
        return Decision::new(policy.development, "development", words);
    }
    if unfixed(v) && policy.unfixed < severe.effect {
        return match grace(policy, v, today) {
            Ok(words) => Decision::new(policy.unfixed, "unfixed", words),
            Err(words) => Decision::new(severe.effect, "grace_over", words),
        };
    }
    severe
}

/// What keeps a finding out of the gate whatever its severity.
fn set_aside(
    policy: &Policy,
    v: &Vulnerability,
    introduced: Option<bool>,
    today: Date,
) -> Option<Decision> {
    let ignore = |rule, words: &str| Some(Decision::new(Effect::Ignore, rule, words));
    let live = |row: &crate::model::Row| {
        row.suppressed.as_ref().is_none_or(|known| {
            // A suppression whose last day is over suppresses nothing.
            known.expires.is_some_and(|last| last < today)
        })
    };
    if v.rows.iter().all(|(_, row)| row.withdrawn) {
        return ignore("withdrawn", "its source withdrew the advisory");
    }
    if !v.malicious
        && v.rows
            .iter()
            .all(|(_, row)| row.status == Status::NotAffected)
    {
        return ignore(
            "not_affected",
            "the vendor says that this package is not affected",
        );
    }
    if !v.rows.iter().any(|(_, row)| live(row)) {
        return ignore(
            "scanner_suppressed",
            "every scanner that found it was told to ignore it",
        );
    }
    let out = |row: &crate::model::Row| {
        let places = [row.target.as_deref(), row.path.as_deref()];
        places
            .into_iter()
            .flatten()
            .any(|place| policy.ignored_targets.iter().any(|glob| glob.fits(place)))
    };
    if !policy.ignored_targets.is_empty() && v.rows.iter().all(|(_, row)| out(row)) {
        return ignore("ignored_target", "all its places are among `ignore-target`");
    }
    if introduced == Some(false) {
        return ignore("unchanged", "the base has it already");
    }
    None
}

/// Whether an unfixed vulnerability is still within its days of grace, in words either way.
fn grace(policy: &Policy, v: &Vulnerability, today: Date) -> Result<String, String> {
    let setting = policy.unfixed.as_str();
    let Some(days) = policy.unfixed_grace_days else {
        return Ok(format!(
            "there is no fix, and `unfixed` is set to `{setting}`"
        ));
    };
    let Some(published) = v.published() else {
        return Err(
            "there is no fix, but no report says when it was published, so it has no days of grace"
                .to_owned(),
        );
    };
    let past = published.duration_until(today).as_hours() / 24;
    if past <= i64::from(days) {
        Ok(format!(
            "there is no fix, and it was published {past} days ago: `{setting}` for {days} days"
        ))
    } else {
        Err(format!(
            "there is no fix, but the {days} days of grace since its publication ({published}) are over"
        ))
    }
}

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
