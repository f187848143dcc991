//! Which exception accepts which finding.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::read::days_between;
use super::{Exception, Exceptions, Policy, What};
use crate::finding::{Finding, Suppressed};
use crate::text::Text;
use crate::versions::normal_name;

/// Whether an exception names a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// All that it says fits.
    Yes,
    /// Something does not fit.
    No,
    /// It cannot be told, and so it does not: the sentence says why.
    Undecided(String),
}

/// What became of an exception in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It accepts what it names.
    Holds,
    /// It still does, for so many days, today included as 0.
    NearExpiry(i64),
    /// Its last day is over: it accepts nothing, and what it names counts again.
    Expired,
    /// It names nothing that was found.
    Unused,
}

impl Standing {
    /// The stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::NearExpiry(_) => "near_expiry",
            Self::Expired => "expired",
            Self::Unused => "unused",
        }
    }
}

/// An exception with what it did in a run.
#[derive(Clone, Debug)]
pub struct Use {
    /// The exception.
    pub exception: Exception,
    /// What became of it.
    pub standing: Standing,
    /// Indices of the findings that it names, accepted or not.
    pub findings: Vec<usize>,
    /// Why it could not be told of some finding, one sentence each, without repetition.
    pub undecided: Vec<String>,
}

/// What all exceptions did in a run, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// One for each exception.
    pub uses: Vec<Use>,
}

/// What an exception is held against: a finding, or one of several things that a tool joins to one.
#[derive(Clone, Debug, Default)]
pub struct Thing<'a> {
    /// The rule that found it.
    pub rule: &'a str,
    /// Its ids, aliases included.
    pub ids: Vec<&'a str>,
    /// Its stable identity.
    pub fingerprint: &'a str,
    /// The package that it is in.
    pub package: Option<&'a str>,
    /// The package's type, as in a package URL, where it is known.
    pub ecosystem: Option<&'a str>,
    /// The package's version, where it is known.
    pub version: Option<&'a str>,
    /// The files that it is in.
    pub paths: Vec<&'a str>,
}

impl<'a> Thing<'a> {
    /// A finding as an exception sees it.
    #[must_use]
    pub fn of(finding: &'a Finding) -> Self {
        let package = finding.package.as_ref();
        Self {
            rule: &finding.rule,
            ids: finding.ids.iter().map(Text::as_str).collect(),
            fingerprint: &finding.fingerprint,
            package: package.map(|package| package.name.as_str()),
            ecosystem: package.and_then(|package| package.ecosystem.as_deref()),
            version: package.and_then(|package| package.version.as_deref()),
            paths: (finding.place.iter().chain(&finding.places))
                .map(|place| place.path.as_str())
                .collect(),
        }
    }
}

impl What {
    /// Whether it names a thing: every key that is given has to fit.
    #[must_use]
    pub fn names(&self, thing: &Thing<'_>) -> Match {
        if let Some(id) = &self.id {
            let same = |other: &str| other.eq_ignore_ascii_case(id);
            if !thing.ids.iter().any(|other| same(other)) && !same(thing.rule) {
                return Match::No;
            }
        }
        if self.rule.as_ref().is_some_and(|rule| rule != thing.rule) {
            return Match::No;
        }
        if let Some(fingerprint) = &self.fingerprint
            && fingerprint != thing.fingerprint
        {
            return Match::No;
        }
        let package = self.names_package(thing);
        if package == Match::No {
            return Match::No;
        }
        if let Some(path) = &self.path {
            // Of a finding in two files, one of them excused, the other one is still there.
            if thing.paths.is_empty() || !thing.paths.iter().all(|place| path.fits(place)) {
                return Match::No;
            }
        }
        package
    }

    fn names_package(&self, thing: &Thing<'_>) -> Match {
        let Some(wanted) = &self.package else {
            return Match::Yes;
        };
        let Some(name) = thing.package else {
            return Match::No;
        };
        let ecosystem = thing.ecosystem;
        // Where the report does not tell the ecosystem, the exception's own says how names compare.
        if !same_name(ecosystem.or(self.ecosystem.as_deref()), wanted, name) {
            return Match::No;
        }
        if let Some(wanted) = &self.ecosystem {
            match ecosystem {
                Some(ecosystem) if ecosystem == wanted => {}
                Some(_) => return Match::No,
                None => {
                    return Match::Undecided(format!(
                        "the report does not tell whether `{name}` is of `{wanted}`"
                    ));
                }
            }
        }
        let Some(versions) = &self.versions else {
            return Match::Yes;
        };
        let Some(version) = thing.version else {
            return Match::Undecided(format!("the report does not tell the version of `{name}`"));
        };
        match versions.contains(ecosystem, version) {
            Some(true) => Match::Yes,
            Some(false) => Match::No,
            None => Match::Undecided(format!(
                "it is not known whether version `{version}` of `{name}` lies in `{versions}`"
            )),
        }
    }
}

/// Distributions put their name before that of the package in a package URL; a report that leaves it out
/// still means the same package.
fn same_name(ecosystem: Option<&str>, wanted: &str, name: &str) -> bool {
    let (wanted, name) = (normal_name(ecosystem, wanted), normal_name(ecosystem, name));
    if wanted == name {
        return true;
    }
    let distribution = matches!(ecosystem, Some("deb" | "rpm" | "apk" | "alpm"));
    let last = |text: &str| text.rsplit('/').next().map(str::to_owned);
    distribution && wanted.contains('/') != name.contains('/') && last(&wanted) == last(&name)
}

impl Exception {
    /// Whether it still holds on a day: its last day is the one that it names.
    #[must_use]
    pub fn holds_on(&self, day: Date) -> bool {
        day <= self.expires
    }

    /// What a finding says that it accepts.
    #[must_use]
    pub fn suppressed(&self) -> Suppressed {
        Suppressed {
            by: "exception".to_owned(),
            reason: Some(self.reason.clone()),
            owner: Some(self.owner.clone()),
            expires: Some(self.expires.to_string()),
            place: Some(self.place.to_string()),
        }
    }
}

impl Exceptions {
    /// Starts to hold them against findings, one after the other.
    #[must_use]
    pub fn start(&self, policy: Policy) -> Applying<'_> {
        Applying {
            exceptions: self,
            policy,
            seen: vec![Seen::default(); self.list.len()],
        }
    }

    /// Marks the findings that an exception accepts: each gets its `suppressed`, and does not block. What
    /// is suppressed already stays as it is. Nothing is added, removed or reordered.
    #[must_use = "expired and unused exceptions have to be told"]
    pub fn apply(&self, findings: &mut [Finding], policy: &Policy) -> Applied {
        let mut applying = self.start(*policy);
        for (index, finding) in findings.iter_mut().enumerate() {
            let accepted = applying.accepts(index, &Thing::of(finding));
            if let Some(exception) = accepted
                && finding.suppressed.is_none()
            {
                finding.suppressed = Some(Box::new(exception.suppressed()));
                finding.blocking = false;
            }
        }
        applying.finish()
    }
}

/// Exceptions that are being held against findings.
#[derive(Clone, Debug)]
pub struct Applying<'a> {
    exceptions: &'a Exceptions,
    policy: Policy,
    seen: Vec<Seen>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    named: Vec<usize>,
    undecided: Vec<String>,
}

impl<'a> Applying<'a> {
    /// The exception that accepts a thing of a finding, the first one that names it and still holds. That
    /// every one that names it is in use is remembered; `index` is the finding's place in the caller's list.
    pub fn accepts(&mut self, index: usize, thing: &Thing<'_>) -> Option<&'a Exception> {
        let mut accepting = None;
        for (exception, seen) in self.exceptions.list.iter().zip(&mut self.seen) {
            match exception.what.names(thing) {
                Match::No => {}
                Match::Undecided(why) if seen.undecided.contains(&why) => {}
                Match::Undecided(why) => seen.undecided.push(why),
                Match::Yes => {
                    if seen.named.last() != Some(&index) {
                        seen.named.push(index);
                    }
                    if accepting.is_none() && exception.holds_on(self.policy.today) {
                        accepting = Some(exception);
                    }
                }
            }
        }
        accepting
    }

    /// What became of each exception.
    #[must_use]
    pub fn finish(self) -> Applied {
        let uses = self.exceptions.list.iter().zip(self.seen);
        let uses = uses.map(|(exception, Seen { named, undecided })| {
            let holds = exception.holds_on(self.policy.today);
            let left = days_between(self.policy.today, exception.expires);
            let standing = match (holds, named.is_empty()) {
                (false, _) => Standing::Expired,
                (true, true) => Standing::Unused,
                (true, false) if left < i64::from(self.policy.notice_days) => {
                    Standing::NearExpiry(left)
                }
                (true, false) => Standing::Holds,
            };
            Use {
                exception: exception.clone(),
                standing,
                findings: named,
                undecided,
            }
        });
        Applied {
            uses: uses.collect(),
        }
    }
}

impl Applied {
    /// How many there are of a standing.
    #[must_use]
    pub fn count(&self, standing: &str) -> usize {
        let same = |of: &&Use| of.standing.as_str() == standing;
        self.uses.iter().filter(same).count()
    }

    /// One sentence for each exception that somebody should look at: expired, near its end, unused,
    /// undecided; in the order of the file.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        for Use {
            exception,
            standing,
            findings,
            undecided,
        } in &self.uses
        {
            let Exception {
                what,
                owner,
                expires,
                place,
                ..
            } = exception;
            let told = match standing {
                Standing::Holds => None,
                Standing::NearExpiry(0) => Some("holds for the last day today".to_owned()),
                Standing::NearExpiry(days) => {
                    Some(format!("holds until {expires}, {days} more days"))
                }
                Standing::Expired if findings.is_empty() => Some(format!(
                    "expired on {expires} and names nothing: take it out"
                )),
                Standing::Expired => Some(format!(
                    "expired on {expires}: what it accepted counts again"
                )),
                Standing::Unused if undecided.is_empty() => {
                    Some("names nothing that was found: take it out".to_owned())
                }
                Standing::Unused => None,
            };
            sentences.extend(
                told.into_iter()
                    .chain(undecided.iter().map(|why| format!("does not count: {why}")))
                    .map(|told| format!("the exception for {what} ({owner}, {place}) {told}")),
            );
        }
        sentences
    }

    /// The same for machines, for `details.exceptions`.
    #[must_use]
    pub fn rows(&self) -> Vec<Value> {
        self.uses
            .iter()
            .map(|of| {
                json!({
                    "what": of.exception.what.to_string(),
                    "reason": of.exception.reason,
                    "owner": of.exception.owner,
                    "expires": of.exception.expires.to_string(),
                    "ticket": of.exception.ticket,
                    "state": of.exception.state,
                    "place": of.exception.place.to_string(),
                    "standing": of.standing.as_str(),
                    "findings": of.findings.len(),
                    "undecided": of.undecided,
                })
            })
            .collect()
    }
}
