//! What all faces say of findings: their order, their numbers, their words.

use std::cmp::Reverse;

use super::text::counted;
use crate::finding::{Finding, Severity};
use crate::report::Report;
use crate::text::Text;
use crate::verdict::Verdict;

/// What became of a finding. The order is that in which people read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// It counts against the verdict.
    Blocking,
    /// It is there, and the policy lets it be.
    Open,
    /// Somebody accepted it.
    Suppressed,
}

impl State {
    pub(super) const ALL: [Self; 3] = [Self::Blocking, Self::Open, Self::Suppressed];

    pub(super) fn of(finding: &Finding) -> Self {
        match (&finding.suppressed, finding.blocking) {
            (Some(_), _) => Self::Suppressed,
            (None, true) => Self::Blocking,
            (None, false) => Self::Open,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Open => "open",
            Self::Suppressed => "suppressed",
        }
    }
}

/// How many findings there are of a severity and state.
pub(super) fn count(report: &Report, severity: Severity, state: State) -> usize {
    report
        .findings
        .iter()
        .filter(|finding| finding.severity == severity && State::of(finding) == state)
        .count()
}

/// How many findings there are of a state.
pub(super) fn count_all(report: &Report, state: State) -> usize {
    let all = report.findings.iter();
    all.filter(|finding| State::of(finding) == state).count()
}

/// Those of a state, the worst first; the order of two runs over the same findings is the same.
pub(super) fn ranked(report: &Report, state: State) -> Vec<&Finding> {
    let mut found: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|finding| State::of(finding) == state)
        .collect();
    found.sort_by(|a, b| {
        let key = |finding: &Finding| Reverse(rank(finding.severity));
        key(a)
            .cmp(&key(b))
            .then_with(|| a.rule.cmp(&b.rule))
            .then_with(|| a.package.cmp(&b.package))
            .then_with(|| spot(a).cmp(&spot(b)))
            .then_with(|| a.fingerprint.cmp(&b.fingerprint))
    });
    found
}

/// Nobody knows how bad an unknown one is: it stands before those that are known to be harmless.
fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 5,
        Severity::High => 4,
        Severity::Medium => 3,
        Severity::Unknown => 2,
        Severity::Low => 1,
        Severity::Info => 0,
    }
}

/// `3 findings block (1 critical, 2 high), 9 do not, 2 are suppressed`; nothing where there are none.
pub(super) fn told(report: &Report) -> Option<String> {
    if report.findings.is_empty() {
        return None;
    }
    let all = |state| count_all(report, state);
    let by_severity: Vec<String> = Severity::ALL
        .into_iter()
        .map(|severity| (count(report, severity, State::Blocking), severity))
        .filter(|(count, _)| *count > 0)
        .map(|(count, severity)| format!("{count} {severity}"))
        .collect();
    let blocking = all(State::Blocking);
    let verb = if blocking == 1 { "blocks" } else { "block" };
    let mut text = format!("{} {verb}", counted(blocking, "finding"));
    if blocking > 0 {
        text.push_str(&format!(" ({})", by_severity.join(", ")));
    }
    match all(State::Open) {
        0 => {}
        1 => text.push_str(", 1 does not"),
        open => text.push_str(&format!(", {open} do not")),
    }
    match all(State::Suppressed) {
        0 => {}
        1 => text.push_str(", 1 is suppressed"),
        suppressed => text.push_str(&format!(", {suppressed} are suppressed")),
    }
    Some(text)
}

/// Whether findings were looked for, so that a number of none means something. A run without a verdict
/// that has found nothing has no numbers: zero would be a false green.
pub(super) fn has_numbers(report: &Report) -> bool {
    !report.findings.is_empty()
        || (!report.inputs.is_empty() && report.verdict != Verdict::Inconclusive)
}

/// `lodash 4.17.20 -> 4.17.21`, or nothing.
pub(super) fn package(finding: &Finding) -> String {
    let Some(package) = &finding.package else {
        return String::new();
    };
    let mut text = package.name.to_string();
    if let Some(version) = &package.version {
        text.push_str(&format!(" {version}"));
    }
    match &package.fixed {
        Some(fixed) if !fixed.is_empty() => text.push_str(&format!(" -> {fixed}")),
        _ => {}
    }
    text
}

/// The place that tells most.
pub(super) fn spot(finding: &Finding) -> Option<&crate::finding::Spot> {
    finding.place.as_ref().or_else(|| finding.places.first())
}

/// All places, the one that tells most first.
pub(super) fn places(finding: &Finding) -> impl Iterator<Item = &crate::finding::Spot> {
    let first = spot(finding);
    let rest = finding.places.iter();
    first
        .into_iter()
        .chain(rest.filter(move |place| Some(*place) != first))
}

/// The place that tells most, and how many more there are.
pub(super) fn place(finding: &Finding) -> String {
    let Some(spot) = spot(finding) else {
        return String::new();
    };
    let more = places(finding).count() - 1;
    match more {
        0 => spot.to_string(),
        more => format!("{spot} and {more} more"),
    }
}

/// What else it is called.
pub(super) fn aliases(finding: &Finding) -> Vec<&str> {
    let aliases = finding.ids.iter().map(Text::as_str);
    aliases.filter(|id| *id != finding.rule).collect()
}

/// One sentence on what accepts it: `by exception until 2026-12-31 (team-trading, exceptions.toml:3): why`.
pub(super) fn suppression(finding: &Finding) -> String {
    let Some(suppressed) = &finding.suppressed else {
        return String::new();
    };
    let mut text = format!("by {}", suppressed.by);
    if let Some(expires) = &suppressed.expires {
        text.push_str(&format!(" until {expires}"));
    }
    let who: Vec<&str> = [&suppressed.owner, &suppressed.place]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    if !who.is_empty() {
        text.push_str(&format!(" ({})", who.join(", ")));
    }
    if let Some(reason) = &suppressed.reason {
        text.push_str(&format!(": {reason}"));
    }
    text
}

/// Where an advisory is told of, for ids whose home is known.
pub(super) fn link(id: &str) -> Option<String> {
    let harmless = id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !harmless {
        return None;
    }
    let (kind, _) = id.split_once('-')?;
    Some(match kind {
        "CVE" => format!("https://nvd.nist.gov/vuln/detail/{id}"),
        "GHSA" => format!("https://github.com/advisories/{id}"),
        "PYSEC" | "RUSTSEC" | "GO" | "MAL" | "OSV" | "DSA" | "DLA" | "USN" | "ALSA" | "RLSA" => {
            format!("https://osv.dev/vulnerability/{id}")
        }
        _ => return None,
    })
}
