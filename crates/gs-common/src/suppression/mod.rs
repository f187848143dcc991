//! Exceptions: findings that somebody accepted, in one form for every tool.
//!
//! An exception says what it accepts, and **reason, owner and expiry**. What is not said is not
//! accepted: an exception without one of the three is refused, and so is one that names everything. An
//! expired one accepts nothing any more, and this is told; one that names nothing is told too, so that a
//! list of exceptions never only grows.
//!
//! [`read()`] makes [`Exceptions`] of a TOML file, [`Exceptions::apply`] puts them to findings, and
//! [`Origin`] is where the file is read from: in a pull request the base branch, so that a change
//! cannot excuse itself. Time is an argument. Nothing here prints; only [`Origin::load`] touches the world.

mod apply;
mod glob;
mod origin;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod write;

use jiff::civil::Date;

use crate::report::Place;
use crate::versions::Range;

pub use apply::{Applied, Match, Standing, Use};
pub use glob::Glob;
pub use origin::{Loaded, Origin};
pub use read::read;
pub use schema::schema_text;
pub use write::{block, init_text};

/// The name of this version of the form.
pub const SCHEMA: &str = "gs.exceptions/v1";

/// A file of exceptions larger than this is not one.
pub const LARGEST: u64 = 1 << 20;

/// The keys that can name a thing. A tool says which of them mean something to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// `id`: an id of the finding, or any of its aliases.
    Id,
    /// `rule`: the rule that made the finding.
    Rule,
    /// `package`: a name, or a package URL (`pkg:npm/lodash`), with a version or without.
    Package,
    /// `versions`: a range of the package's versions.
    Versions,
    /// `path`: a file, or a glob of files.
    Path,
    /// `fingerprint`: the finding's stable identity.
    Fingerprint,
}

impl Key {
    /// As it is written in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Rule => "rule",
            Self::Package => "package",
            Self::Versions => "versions",
            Self::Path => "path",
            Self::Fingerprint => "fingerprint",
        }
    }
}

/// What a tool's exceptions look like.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The tool's name, for messages and the commented start.
    pub tool: &'static str,
    /// The keys that name this tool's things.
    pub keys: &'static [Key],
    /// One of these has to be there: the others alone would name too much.
    pub any_of: &'static [Key],
    /// The words that `state` may have; the first one is meant where it is absent. Empty: no such key.
    pub states: &'static [&'static str],
    /// The words that `justification` may have. Empty: no such key.
    pub justifications: &'static [&'static str],
}

/// What a project allows.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The day on which it is asked, in UTC.
    pub today: Date,
    /// The longest that an exception may hold, in days, counted from its `created` or else from today.
    pub longest_days: Option<u32>,
    /// So many days before it expires, this is told.
    pub notice_days: u32,
}

impl Policy {
    /// No longest time, a notice of seven days.
    #[must_use]
    pub fn on(today: Date) -> Self {
        Self {
            today,
            longest_days: None,
            notice_days: 7,
        }
    }
}

/// What an exception accepts: all that is given has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct What {
    /// An id or alias, compared without regard to case.
    pub id: Option<String>,
    /// A rule, compared exactly.
    pub rule: Option<String>,
    /// The ecosystem of the package, where a package URL gives it.
    pub ecosystem: Option<String>,
    /// The package's name.
    pub package: Option<String>,
    /// The versions of the package.
    pub versions: Option<Range>,
    /// The files; every place of a finding has to fit.
    pub path: Option<Glob>,
    /// The fingerprint, compared exactly.
    pub fingerprint: Option<String>,
}

/// An accepted finding on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// What it accepts.
    pub what: What,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day on which it holds.
    pub expires: Date,
    /// The day on which it was accepted.
    pub created: Option<Date>,
    /// Where it is discussed.
    pub ticket: Option<String>,
    /// In what sense it is accepted, one of the form's words.
    pub state: Option<String>,
    /// Why it does no harm, one of the form's words.
    pub justification: Option<String>,
    /// Where it is written.
    pub place: Place,
}

/// The exceptions of one file, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceptions {
    /// All of them, expired ones included.
    pub list: Vec<Exception>,
}

impl std::fmt::Display for What {
    /// `CVE-2021-23337 in pkg:npm/lodash <4.17.21, files vendor/**`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.id.clone());
        parts.extend(self.rule.as_ref().map(|rule| format!("rule {rule}")));
        parts.extend(self.fingerprint.clone());
        let mut text = parts.join(", ");
        if let Some(package) = &self.package {
            if !text.is_empty() {
                text.push_str(" in ");
            }
            match &self.ecosystem {
                Some(ecosystem) => text.push_str(&format!("pkg:{ecosystem}/{package}")),
                None => text.push_str(package),
            }
        }
        if let Some(versions) = &self.versions {
            text.push_str(&format!(" {versions}"));
        }
        if let Some(path) = &self.path {
            let separator = if text.is_empty() { "" } else { ", " };
            text.push_str(&format!("{separator}files {path}"));
        }
        f.write_str(&text)
    }
}
