//! What was accepted on record: exceptions of our own, and VEX statements.
//!
//! Both are held against each row of a vulnerability, since two versions of a package, or two targets, are
//! not the same thing; a vulnerability is suppressed only where each of its rows is. What a scanner was told
//! to ignore is no row here.

pub mod args;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use gs_common::config::{ConfigError, Settings};
use gs_common::finding::{Finding, Suppressed};
use gs_common::suppression::{self, Applied, Exceptions, Form, Key, Origin, Thing};
use jiff::civil::Date;
use serde_json::Value;

use crate::model::{Row, Text, Vulnerability};
use crate::sla::Sla;
use crate::vex::{self, JUSTIFICATIONS, Statement, Vex};
use args::AcceptArgs;

/// What an exception of this tool looks like.
pub const FORM: Form = Form {
    tool: "vuln-gate",
    keys: &[
        Key::Id,
        Key::Package,
        Key::Versions,
        Key::Path,
        Key::Fingerprint,
    ],
    any_of: &[Key::Id, Key::Fingerprint],
    states: &["accepted", "not_affected", "false_positive"],
    justifications: &JUSTIFICATIONS,
};

/// Where what was accepted is written, and what is allowed.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The file of exceptions.
    pub exceptions: Option<PathBuf>,
    /// The revision that they are read from; absent is the base of a pull request, else the work tree.
    pub from: Option<String>,
    /// The longest that an exception may hold, in days.
    pub longest_days: Option<u32>,
    /// VEX documents.
    pub vex: Vec<String>,
    /// What is released, for VEX statements about it as a whole.
    pub products: Vec<String>,
}

impl Config {
    /// Resolves what was typed and configured, and the days of grace by severity.
    ///
    /// # Errors
    /// A value cannot be read.
    pub fn resolve(args: &AcceptArgs, set: &mut Settings<'_>) -> Result<(Self, Sla), ConfigError> {
        let exceptions = set.path("exceptions", args.exceptions.as_deref())?;
        let from = set.optional("exceptions-from", args.exceptions_from.as_deref(), some)?;
        let longest_days = set.optional(
            "exceptions-longest",
            args.exceptions_longest.as_deref(),
            whole_days,
        )?;
        let vex = set.list("vex", &args.vex, some)?;
        let products = set.list("vex-product", &args.vex_product, some)?;
        let entries = set.list("sla", &args.sla, Sla::entry)?;
        let sla = Sla::of(&entries).map_err(|why| ConfigError::new(format!("sla: {why}")))?;
        if !products.is_empty() && vex.is_empty() {
            return Err(
                ConfigError::new("vex-product means nothing without a VEX document")
                    .hint("add --vex FILE"),
            );
        }
        let config = Self {
            exceptions,
            from,
            longest_days,
            vex,
            products,
        };
        Ok((config, sla))
    }

    /// Reads the exceptions and VEX documents.
    ///
    /// # Errors
    /// A file cannot be read, or says something that is not allowed: a gate that goes by half of what was
    /// written down would be another gate.
    pub fn load(
        &self,
        variables: &BTreeMap<String, String>,
        today: Date,
    ) -> Result<Sources, ConfigError> {
        let policy = suppression::Policy {
            longest_days: self.longest_days,
            ..suppression::Policy::on(today)
        };
        let origin = Origin::of(self.from.as_deref(), variables);
        let mut sources = Sources {
            exceptions: Exceptions::default(),
            statements: Vec::new(),
            products: self.products.clone(),
            policy,
            notes: Vec::new(),
            given: self.exceptions.is_some(),
        };
        if let Some(path) = &self.exceptions {
            let loaded = origin.load(path)?;
            sources.exceptions = suppression::read(&loaded.name, &loaded.text, &FORM, &policy)?;
            sources.notes.extend(loaded.notes);
        }
        for path in &self.vex {
            let loaded = origin.load_made(path.as_ref(), vex::LARGEST)?;
            let is_there = !loaded.text.is_empty() || loaded.notes.is_empty();
            sources.notes.extend(loaded.notes);
            if is_there {
                let statements = vex::read(&loaded.name, &loaded.text)
                    .map_err(|error| ConfigError::new(error.to_string()).hint(error.hint))?;
                sources.statements.extend(statements);
            }
        }
        Ok(sources)
    }
}

fn some(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        return Err("it is empty: is the pipeline's variable set?");
    }
    Ok(text.to_owned())
}

fn whole_days(text: &str) -> Result<u32, String> {
    let time = gs_common::units::duration(text).map_err(|error| error.to_string())?;
    let days = time.as_secs() / 86_400;
    match u32::try_from(days) {
        Ok(days) if days > 0 && u64::from(days) * 86_400 == time.as_secs() => Ok(days),
        _ => Err(format!("`{text}`: write whole days, such as `90d`")),
    }
}

/// Everything that was accepted, read.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The exceptions.
    pub exceptions: Exceptions,
    /// The VEX statements, in the order of the files.
    pub statements: Vec<Statement>,
    /// What is released.
    pub products: Vec<String>,
    /// What is allowed, and the day.
    pub policy: suppression::Policy,
    /// What has to be said about where they are from.
    pub notes: Vec<String>,
    /// A file of exceptions was named.
    given: bool,
}

/// What exceptions and statements did in a run.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    /// What is accepted of each vulnerability; empty where nothing was read that could accept any.
    marks: Vec<Mark>,
    /// What became of each exception.
    pub applied: Applied,
    /// How many VEX statements there were.
    pub statements: usize,
    /// Sentences about VEX statements.
    pub vex: Vec<String>,
    /// What has to be said about where they are from.
    pub notes: Vec<String>,
    /// A file of exceptions was named.
    pub given: bool,
}

impl Accepted {
    /// Everything that deserves a look, one sentence each.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let mut told = self.notes.clone();
        told.extend(self.applied.sentences());
        told.extend(self.vex.iter().cloned());
        told
    }

    /// For `details.exceptions`; absent where no file was named.
    #[must_use]
    pub fn rows(&self) -> Option<Value> {
        self.given.then(|| Value::Array(self.applied.rows()))
    }
}

/// What is accepted of one vulnerability.
#[derive(Clone, Debug, Default)]
enum Mark {
    /// Nothing.
    #[default]
    None,
    /// Some of its rows, in a sentence.
    Partly(Text),
    /// All of them, first of all by this.
    Whole(Box<Suppressed>),
}

/// Holds them against what was found, in its order. `fingerprint` is what a finding of a vulnerability will have.
#[must_use = "expired and unused exceptions have to be told"]
pub fn apply(
    sources: &Sources,
    vulnerabilities: &[Vulnerability],
    fingerprint: impl Fn(&Vulnerability) -> String,
) -> Accepted {
    if sources.exceptions.list.is_empty() && sources.statements.is_empty() {
        // A large report has hundreds of thousands of rows.
        return Accepted {
            notes: sources.notes.clone(),
            given: sources.given,
            ..Accepted::default()
        };
    }
    let mut applying = sources.exceptions.start(sources.policy);
    let mut statements = Vex::new(sources.statements.clone(), sources.products.clone());
    let mut marks = Vec::with_capacity(vulnerabilities.len());
    for (index, v) in vulnerabilities.iter().enumerate() {
        let fingerprint = fingerprint(v);
        let mut first: Option<Suppressed> = None;
        let (mut live, mut accepted) = (0_usize, 0_usize);
        for (_, row) in &v.rows {
            if !is_live(row, sources.policy.today) {
                continue;
            }
            live += 1;
            let exception = applying.accepts(index, &thing(v, row, &fingerprint));
            let covered = match exception {
                Some(exception) => Some(exception.suppressed()),
                None => statements.covers(&v.ids, row),
            };
            if let Some(covered) = covered {
                accepted += 1;
                first.get_or_insert(covered);
            }
        }
        marks.push(match first {
            Some(first) if accepted == live => Mark::Whole(Box::new(first)),
            // Somebody will wonder why the exception does not help.
            Some(_) => Mark::Partly(
                format!("{accepted} of its {live} rows are accepted, the others are not").into(),
            ),
            None => Mark::None,
        });
    }
    Accepted {
        marks,
        applied: applying.finish(),
        statements: statements.len(),
        vex: statements.sentences(),
        notes: sources.notes.clone(),
        given: sources.given,
    }
}

impl Accepted {
    /// What accepts a vulnerability as a whole, in a word.
    #[must_use]
    pub fn by(&self, index: usize) -> Option<&str> {
        match self.marks.get(index) {
            Some(Mark::Whole(by)) => Some(&by.by),
            _ => None,
        }
    }

    /// Marks the finding of a vulnerability that is accepted. What its scanner suppresses stays as it is.
    pub fn mark(&self, index: usize, finding: &mut Finding) {
        if finding.suppressed.is_some() {
            return;
        }
        match self.marks.get(index) {
            Some(Mark::Whole(by)) => {
                finding.suppressed = Some(by.clone());
                finding.blocking = false;
            }
            Some(Mark::Partly(told)) => finding.more.insert("partly_accepted", told.clone()),
            Some(Mark::None) | None => {}
        }
    }
}

/// Whether a row still counts: a scanner's own suppression ends with its last day.
fn is_live(row: &Row, today: Date) -> bool {
    row.suppressed
        .as_ref()
        .is_none_or(|known| known.expires.is_some_and(|last| last < today))
}

fn thing<'a>(v: &'a Vulnerability, row: &'a Row, fingerprint: &'a str) -> Thing<'a> {
    let package = row.package.as_ref();
    Thing {
        rule: &v.rule,
        ids: v.ids.iter().map(|id| &**id).collect(),
        fingerprint,
        package: package.map(|package| &*package.name),
        ecosystem: package.and_then(|package| package.ecosystem.as_deref()),
        version: package.and_then(|package| package.version.as_deref()),
        paths: row
            .path
            .as_deref()
            .or(row.target.as_deref())
            .into_iter()
            .collect(),
    }
}

/// The exceptions that still hold, each with the vulnerability and the package URLs that it names among what was
/// found, or in its own words; for OpenVEX. Sorted, so that two runs write the same.
#[must_use]
pub fn stated<'a>(
    sources: &'a Sources,
    vulnerabilities: &[Vulnerability],
    findings: &[Finding],
) -> Vec<vex::write::Stated<'a>> {
    let mut all = Vec::new();
    let holding = sources
        .exceptions
        .list
        .iter()
        .filter(|exception| exception.holds_on(sources.policy.today));
    for exception in holding {
        let mut by_id: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
        for (v, finding) in vulnerabilities.iter().zip(findings) {
            for (_, row) in &v.rows {
                let named = exception.what.names(&thing(v, row, &finding.fingerprint));
                if named != suppression::Match::Yes {
                    continue;
                }
                let (aliases, products) = by_id.entry(v.rule.to_string()).or_default();
                aliases.extend(
                    v.ids
                        .iter()
                        .filter(|id| **id != v.rule)
                        .map(|id| id.to_string()),
                );
                products.extend(purl_of(row));
            }
        }
        if by_id.is_empty()
            && let Some(id) = &exception.what.id
        {
            by_id.insert(
                id.clone(),
                (Vec::new(), own_purl(exception).into_iter().collect()),
            );
        }
        for (id, (mut aliases, mut products)) in by_id {
            for list in [&mut aliases, &mut products] {
                list.sort();
                list.dedup();
            }
            all.push(vex::write::Stated {
                exception,
                id,
                aliases,
                products,
            });
        }
    }
    all
}

fn purl_of(row: &Row) -> Option<String> {
    let package = row.package.as_ref()?;
    if let Some(purl) = &package.purl {
        return Some(purl.to_string());
    }
    let (ecosystem, version) = (package.ecosystem.as_ref()?, package.version.as_ref()?);
    // Without the distribution's name a package URL of these would name another package.
    let distribution = matches!(&**ecosystem, "deb" | "rpm" | "apk" | "alpm");
    (!distribution).then(|| purl(ecosystem, &package.name, version))
}

/// The exception's own package, where it names exactly one version.
fn own_purl(exception: &suppression::Exception) -> Option<String> {
    let what = &exception.what;
    let (ecosystem, name) = (what.ecosystem.as_ref()?, what.package.as_ref()?);
    let versions = what.versions.as_ref()?.to_string();
    let version = versions.trim_start_matches('=');
    let one = !version.contains(['<', '>', '!', '|', ',', ' ', '=']);
    one.then(|| purl(ecosystem, name, version))
}

fn purl(ecosystem: &str, name: &str, version: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const PART: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'.')
        .remove(b'-')
        .remove(b'_')
        .remove(b'~')
        .remove(b':')
        .remove(b'/');
    let name = gs_common::versions::normal_name(Some(ecosystem), name);
    format!(
        "pkg:{ecosystem}/{}@{}",
        utf8_percent_encode(&name, PART),
        utf8_percent_encode(version, PART)
    )
}
