//! What the reports say, in one form: rows as the scanners list them, and vulnerabilities, which are
//! rows of all inputs joined.
//!
//! Texts that repeat (packages, targets, vectors) are shared, so that a report of 100 MB fits in little
//! memory. Nothing here judges.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use gs_common::finding::Severity;
use jiff::Timestamp;
use jiff::civil::Date;

pub use gs_common::text::Text;

/// What kind of thing a row is about; each has its own threshold in the gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A known flaw in a package.
    #[default]
    Vulnerability,
    /// A setting that opens a door: a container that runs as root.
    Misconfiguration,
    /// A credential in a file.
    Secret,
    /// A licence that a scanner's own classes reject.
    License,
    /// A flaw in the project's own code, as CodeQL and other analysers report it.
    Code,
    /// A package that is unmaintained, unsound or yanked: a warning of cargo-audit.
    Maintenance,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Vulnerability,
        Self::Misconfiguration,
        Self::Secret,
        Self::License,
        Self::Code,
        Self::Maintenance,
    ];

    /// The word for people and machines alike.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vulnerability => "vulnerability",
            Self::Misconfiguration => "misconfiguration",
            Self::Secret => "secret",
            Self::License => "license",
            Self::Code => "code",
            Self::Maintenance => "maintenance",
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Class {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|known| known.as_str() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is no class: there are {known}")
        })
    }
}

/// The formats that are understood, each named after the tool that writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Trivy JSON: file systems, images, SBOMs, clusters, and the list of versions before 0.20.
    Trivy,
    /// `safety check --json` of versions 1, 2 and 3.
    Safety,
    /// `npm audit --json`, report versions 1 and 2.
    NpmAudit,
    /// `yarn audit --json` and `yarn npm audit --json`, a JSON document a line.
    YarnAudit,
    /// `pnpm audit --json`.
    PnpmAudit,
    /// `pip-audit --format json`, object and list.
    PipAudit,
    /// OWASP Dependency-Check, JSON and XML.
    DependencyCheck,
    /// Grype JSON.
    Grype,
    /// OSV-Scanner JSON.
    OsvScanner,
    /// `cargo audit --json`.
    CargoAudit,
    /// SARIF 2.1.0 of CodeQL and others.
    Sarif,
    /// `[]` or `null`: what Trivy, Safety and pip-audit of old versions write when they find nothing,
    /// and what does not tell which of them it was.
    Nothing,
    /// None of these.
    Unknown,
}

impl Format {
    /// Those that `--require` can ask for.
    pub const ALL: [Self; 11] = [
        Self::Trivy,
        Self::Safety,
        Self::NpmAudit,
        Self::YarnAudit,
        Self::PnpmAudit,
        Self::PipAudit,
        Self::DependencyCheck,
        Self::Grype,
        Self::OsvScanner,
        Self::CargoAudit,
        Self::Sarif,
    ];

    /// The word for people and machines alike.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trivy => "trivy",
            Self::Safety => "safety",
            Self::NpmAudit => "npm-audit",
            Self::YarnAudit => "yarn-audit",
            Self::PnpmAudit => "pnpm-audit",
            Self::PipAudit => "pip-audit",
            Self::DependencyCheck => "dependency-check",
            Self::Grype => "grype",
            Self::OsvScanner => "osv-scanner",
            Self::CargoAudit => "cargo-audit",
            Self::Sarif => "sarif",
            Self::Nothing => "empty-list",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What became of an input. Only [`Outcome::Clean`] and [`Outcome::Findings`] count as looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Looked at, and no row.
    Clean,
    /// Looked at, with rows.
    Findings,
    /// The scanner says that it failed.
    Error,
    /// No bytes.
    Empty,
    /// No report of any format that is understood, or one that is cut off.
    NotAReport,
    /// A whole report, of a run that checked nothing.
    Unchecked,
}

impl Outcome {
    /// The word for people and machines alike.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Findings => "findings",
            Self::Error => "error",
            Self::Empty => "empty",
            Self::NotAReport => "not_a_report",
            Self::Unchecked => "unchecked",
        }
    }

    /// Whether the scanner looked.
    #[must_use]
    pub fn looked_at(self) -> bool {
        matches!(self, Self::Clean | Self::Findings)
    }
}

/// A package as a row names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageRef {
    /// The type of a package URL: `npm`, `pypi`, `cargo`, `deb` and so on; absent where the report does
    /// not tell.
    pub ecosystem: Option<Text>,
    /// The name as the ecosystem normalises it: PEP 503 for PyPI, scope and name for npm,
    /// `group:artifact` for Maven.
    pub name: Text,
    /// The version in use; absent where the report has only a range (npm audit 2).
    pub version: Option<Text>,
    /// The package URL as the report gives it.
    pub purl: Option<Text>,
}

/// What a source says about how bad it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Rating {
    /// Who: `nvd`, `ghsa`, `redhat`, the scanner itself.
    pub source: Text,
    /// How bad, by the label or by the score.
    pub severity: Severity,
    /// The base score, 0 to 10, where there is one: the source's own, or computed from the vector.
    pub score: Option<f32>,
    /// The CVSS version of the score: 2, 3 or 4; 0 is a label.
    pub cvss: u8,
    /// The vector.
    pub vector: Option<Text>,
}

// A score that is no number is never kept.
impl Eq for Rating {}

impl Hash for Rating {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
        (self.severity, self.cvss).hash(state);
        self.score.map(f32::to_bits).hash(state);
        self.vector.hash(state);
    }
}

/// What the vendor says about the package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Not told.
    #[default]
    Unknown,
    /// Affected, without a fix so far.
    Affected,
    /// There is a fixed version.
    Fixed,
    /// The vendor says that this package is not affected.
    NotAffected,
    /// Not decided yet.
    UnderInvestigation,
    /// There will be no fix.
    WillNotFix,
    /// A fix may come later.
    FixDeferred,
    /// Nobody mends this any more.
    EndOfLife,
}

/// What a package is needed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Not told; counts as production.
    #[default]
    Unknown,
    /// It ships.
    Production,
    /// Only building and testing need it.
    Development,
}

/// A suppression on the scanner's side: the report lists the row as ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScannerSuppression {
    /// Why, in the report's words.
    pub reason: Option<Text>,
    /// The last day on which it holds.
    pub expires: Option<Date>,
    /// Where it is written: `.trivyignore`, `policy file`, `inSource`.
    pub place: Option<Text>,
}

/// The upgrade that a scanner itself proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixBy {
    /// The package to upgrade; for npm this may be a direct parent.
    pub name: Text,
    /// To this version.
    pub version: Text,
    /// A major step of that package.
    pub major: bool,
}

/// One finding as a report lists it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// What kind of thing it is.
    pub class: Class,
    /// The id as the report writes it; empty where the row has none.
    pub id: Text,
    /// Every other id that the row itself names.
    pub aliases: Vec<Text>,
    /// The same for people.
    pub title: Option<Text>,
    /// The package, where it is about one.
    pub package: Option<PackageRef>,
    /// Versions that mend it, as the report writes them.
    pub fixed: Vec<Text>,
    /// By the contract's rule for one row: the label, else the base score of CVSS 4, 3, 2, else unknown.
    pub severity: Severity,
    /// Everything that any source says about how bad it is. Rows share what they have in common.
    pub ratings: Vec<Arc<Rating>>,
    /// What the vendor says.
    pub status: Status,
    /// What was scanned: an image, a lock file, a resource of a cluster.
    pub target: Option<Text>,
    /// The file, where the report knows one.
    pub path: Option<Text>,
    /// The line in it, counted from 1.
    pub line: Option<u32>,
    /// What the package is needed for.
    pub scope: Scope,
    /// Whether the project itself asks for the package; absent where the report does not tell.
    pub direct: Option<bool>,
    /// The direct dependencies that bring it in, where the report knows them.
    pub parents: Vec<Text>,
    /// The upgrade that the scanner proposes.
    pub fix_by: Option<Box<FixBy>>,
    /// Known to be exploited (CISA KEV), by the report.
    pub known_exploited: bool,
    /// Probability of exploitation within 30 days (EPSS), 0 to 1.
    pub epss: Option<f32>,
    /// When the advisory was published.
    pub published: Option<Date>,
    /// A page about it.
    pub url: Option<Text>,
    /// The source withdrew the advisory.
    pub withdrawn: bool,
    /// The scanner itself suppresses the row; it is then not among the counted rows.
    pub suppressed: Option<Box<ScannerSuppression>>,
}

impl Row {
    /// Every id of the row, the main one first.
    pub fn ids(&self) -> impl Iterator<Item = &Text> {
        std::iter::once(&self.id)
            .filter(|id| !id.is_empty())
            .chain(&self.aliases)
    }

    /// Whether an id names a malicious package (OSV's `MAL-`).
    #[must_use]
    pub fn malicious(&self) -> bool {
        self.ids().any(|id| id.starts_with("MAL-"))
    }
}

/// What a scan left out: a report that has any of these is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gap {
    /// Packages that the scanner skipped.
    SkippedPackage,
    /// The scanner says that parts of its analysis failed.
    AnalysisFailed,
    /// SARIF's `executionSuccessful` is false, or a notification of level error.
    ExecutionFailed,
    /// The operating system gets no security updates, so its advisories say nothing any more.
    EndOfLife,
    /// The report itself says that it looked at zero packages, or names nothing that it looked at.
    NothingNamed,
    /// Rows that cannot be identified: without an id or a package.
    UnnamedRow,
    /// The report's own counts are higher than the rows that it lists.
    MissingRows,
}

impl Gap {
    /// All of them with what they mean.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::SkippedPackage, "packages that the scanner skipped"),
        (Self::AnalysisFailed, "parts of the analysis failed"),
        (
            Self::ExecutionFailed,
            "the scanner says that its run was not successful",
        ),
        (
            Self::EndOfLife,
            "an operating system that gets no security updates",
        ),
        (
            Self::NothingNamed,
            "the report names nothing that was looked at",
        ),
        (Self::UnnamedRow, "rows without an id"),
        (Self::MissingRows, "the report counts more than it lists"),
    ];

    /// The word for people and machines alike.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SkippedPackage => "skipped_package",
            Self::AnalysisFailed => "analysis_failed",
            Self::ExecutionFailed => "execution_failed",
            Self::EndOfLife => "end_of_life",
            Self::NothingNamed => "nothing_named",
            Self::UnnamedRow => "unnamed_row",
            Self::MissingRows => "missing_rows",
        }
    }
}

/// One thing that a report left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Which kind.
    pub gap: Gap,
    /// What exactly: the package's name for [`Gap::SkippedPackage`].
    pub subject: String,
    /// One sentence in the report's own words, where it has any.
    pub message: String,
}

/// One report, read.
#[derive(Clone, Debug)]
pub struct InputReport {
    /// The path as given; `-` is stdin.
    pub path: String,
    /// Which document of the file, counted from 1.
    pub document: usize,
    /// The format.
    pub format: Format,
    /// The tool and version that the report names.
    pub tool: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it is an error, not a report or unchecked; one sentence.
    pub why: Option<String>,
    /// The rows, scanner-side suppressed ones included.
    pub rows: Vec<Box<Row>>,
    /// Lowercase hexadecimal SHA-256 of the file's bytes as they are on disk.
    pub sha256: Option<String>,
    /// Bytes of the file, as they are on disk.
    pub bytes: u64,
    /// When the report was made, by its own words.
    pub created: Option<Timestamp>,
    /// When the file was last written: the age of a report that does not tell its own.
    pub modified: Option<Timestamp>,
    /// When the database of the scanner was made, by the report's own words.
    pub database: Option<Timestamp>,
    /// What was scanned.
    pub targets: Vec<Text>,
    /// What was left out.
    pub notes: Vec<Note>,
    /// Numbers that the report itself states, by name: packages, advisories.
    pub stated: Vec<(&'static str, u64)>,
}

/// A severity that two sources see differently.
#[derive(Clone, Debug, PartialEq)]
pub struct Disagreement {
    /// The lowest.
    pub lowest: Severity,
    /// The highest.
    pub highest: Severity,
}

/// One flaw in one package: rows of all inputs that share the package and an id.
#[derive(Clone, Debug)]
pub struct Vulnerability {
    /// What kind of thing it is.
    pub class: Class,
    /// The id that people know it by: CVE, else GHSA, else the first.
    pub rule: Text,
    /// All ids, sorted.
    pub ids: Vec<Text>,
    /// The highest that any source gives; critical where it is malicious or known to be exploited.
    pub severity: Severity,
    /// Set where sources differ.
    pub disagreement: Option<Disagreement>,
    /// A malicious package.
    pub malicious: bool,
    /// Known to be exploited.
    pub known_exploited: bool,
    /// The rows, each with the number of its input in the list of inputs.
    pub rows: Vec<(usize, Box<Row>)>,
}

impl Vulnerability {
    /// The package that it is in, as the row that knows most of it names it.
    #[must_use]
    pub fn package(&self) -> Option<&PackageRef> {
        self.rows
            .iter()
            .filter_map(|(_, row)| row.package.as_ref())
            .max_by_key(|package| {
                (
                    package.purl.is_some(),
                    package.ecosystem.is_some(),
                    package.version.is_some(),
                )
            })
    }

    /// The versions in use, sorted as text, each once.
    #[must_use]
    pub fn versions(&self) -> Vec<&str> {
        let versions = self
            .rows
            .iter()
            .filter_map(|(_, row)| row.package.as_ref()?.version.as_deref());
        let mut versions: Vec<&str> = versions.collect();
        versions.sort_unstable();
        versions.dedup();
        versions
    }

    /// The versions that mend it, in the order of the rows, each once.
    #[must_use]
    pub fn fixed(&self) -> Vec<&str> {
        let mut fixed: Vec<&str> = Vec::new();
        for version in self.rows.iter().flat_map(|(_, row)| &row.fixed) {
            if !fixed.contains(&version.as_ref()) {
                fixed.push(version);
            }
        }
        fixed
    }

    /// The day on which it was published, the earliest that any row gives.
    #[must_use]
    pub fn published(&self) -> Option<Date> {
        self.rows.iter().filter_map(|(_, row)| row.published).min()
    }

    /// Development only where every row says so.
    #[must_use]
    pub fn development_only(&self) -> bool {
        self.rows
            .iter()
            .all(|(_, row)| row.scope == Scope::Development)
    }
}
