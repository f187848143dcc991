//! Which exception accepts which finding.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::read::days_between;
use super::{Exception, Exceptions, Policy, What};
use crate::finding::{Finding, Suppressed};
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

impl What {
    /// Whether it names a finding: every key that is given has to fit.
    #[must_use]
    pub fn names(&self, finding: &Finding) -> Match {
        if let Some(id) = &self.id {
            let same = |other: &String| other.eq_ignore_ascii_case(id);
            if !finding.ids.iter().any(same) && !same(&finding.rule) {
                return Match::No;
            }
        }
        if self.rule.as_ref().is_some_and(|rule| *rule != finding.rule) {
            return Match::No;
        }
        if let Some(fingerprint) = &self.fingerprint
            && *fingerprint != finding.fingerprint
        {
            return Match::No;
        }
        let package = self.names_package(finding);
        if package == Match::No {
            return Match::No;
        }
        if let Some(path) = &self.path {
            let mut places = finding.place.iter().chain(&finding.places).peekable();
            // Of a finding in two files, one of them excused, the other one is still there.
            if places.peek().is_none() || !places.all(|place| path.fits(&place.path)) {
                return Match::No;
            }
        }
        package
    }

    fn names_package(&self, finding: &Finding) -> Match {
        let Some(name) = &self.package else {
            return Match::Yes;
        };
        let Some(package) = &finding.package else {
            return Match::No;
        };
        let ecosystem = package.ecosystem.as_deref();
        if !same_name(ecosystem, name, &package.name) {
            return Match::No;
        }
        if let Some(wanted) = &self.ecosystem {
            match ecosystem {
                Some(ecosystem) if ecosystem == wanted => {}
                Some(_) => return Match::No,
                None => {
                    return Match::Undecided(format!(
                        "the report does not tell whether `{}` is of `{wanted}`",
                        package.name
                    ));
                }
            }
        }
        let Some(versions) = &self.versions else {
            return Match::Yes;
        };
        let Some(version) = &package.version else {
            return Match::Undecided(format!(
                "the report does not tell the version of `{}`",
                package.name
            ));
        };
        match versions.contains(ecosystem, version) {
            Some(true) => Match::Yes,
            Some(false) => Match::No,
            None => Match::Undecided(format!(
                "it is not known whether version `{version}` of `{}` lies in `{versions}`",
                package.name
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

    fn suppressed(&self) -> Suppressed {
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
    /// Marks the findings that an exception accepts: each gets its `suppressed`, and does not block. What
    /// is suppressed already stays as it is. Nothing is added, removed or reordered.
    #[must_use = "expired and unused exceptions have to be told"]
    pub fn apply(&self, findings: &mut [Finding], policy: &Policy) -> Applied {
        let mut uses = Vec::new();
        for exception in &self.list {
            let holds = exception.holds_on(policy.today);
            let mut named = Vec::new();
            let mut undecided: Vec<String> = Vec::new();
            for (index, finding) in findings.iter_mut().enumerate() {
                match exception.what.names(finding) {
                    Match::No => {}
                    Match::Undecided(why) if undecided.contains(&why) => {}
                    Match::Undecided(why) => undecided.push(why),
                    Match::Yes => {
                        named.push(index);
                        if holds && finding.suppressed.is_none() {
                            finding.suppressed = Some(exception.suppressed());
                            finding.blocking = false;
                        }
                    }
                }
            }
            let left = days_between(policy.today, exception.expires);
            let standing = match (holds, named.is_empty()) {
                (false, _) => Standing::Expired,
                (true, true) => Standing::Unused,
                (true, false) if left < i64::from(policy.notice_days) => Standing::NearExpiry(left),
                (true, false) => Standing::Holds,
            };
            uses.push(Use {
                exception: exception.clone(),
                standing,
                findings: named,
                undecided,
            });
        }
        Applied { uses }
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
