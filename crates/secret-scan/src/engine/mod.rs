//! Engines: running Gitleaks, TruffleHog and Kingfisher, and proving that they did their work.
//!
//! An engine is run once for each [`Pass`]. [`binary`] says which file it is, [`command`] knows its command
//! lines, [`proof`] compares what it says with what there was to scan, [`scrub`] takes everything out of its words that could be a secret.
//! Every report comes on stdout, so that no secret is written to a file.

pub mod binary;
pub mod command;
pub mod proof;
pub mod scrub;

use std::path::{Path, PathBuf};
use std::time::Duration;

use gs_common::process::{Ended, Output, Program};
use regex::Regex;

pub use command::{Job, Setup};
pub use proof::{Expected, Outcome};

use crate::formats::{self, Row, Stated, Verification, log};
use crate::repo::GitError;

/// The engines that can be driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Gitleaks 8, or any program with its command line, such as Betterleaks.
    Gitleaks,
    /// TruffleHog 3.
    TruffleHog,
    /// Kingfisher.
    Kingfisher,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gitleaks, Self::TruffleHog, Self::Kingfisher];

    /// The name in configuration and reports, and that of its program.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gitleaks => "gitleaks",
            Self::TruffleHog => "trufflehog",
            Self::Kingfisher => "kingfisher",
        }
    }

    /// How to get it.
    #[must_use]
    pub fn install(self) -> &'static str {
        match self {
            Self::Gitleaks => {
                "`make tools` in a checkout of these tools, or `go install github.com/zricethezav/gitleaks/v8@v8.30.1`, or `brew install gitleaks`"
            }
            Self::TruffleHog => {
                "`make tools` in a checkout of these tools, or `brew install trufflehog`"
            }
            Self::Kingfisher => "`pip install kingfisher-bin==2.14.0`",
        }
    }

    /// The code of "there are secrets": private, so that it cannot be mistaken for an error.
    #[must_use]
    pub fn found_code(self) -> &'static [i32] {
        match self {
            Self::Gitleaks => &[command::LEAKS],
            Self::TruffleHog => &[183],
            Self::Kingfisher => &[200, 205],
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is no engine: there are {known}")
        })
    }
}

/// What a run of an engine looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pass {
    /// Every commit.
    History,
    /// Every commit of a range.
    Range,
    /// What merge commits add by themselves.
    Merges,
    /// The files as they lie there.
    Tree,
    /// What is about to be committed.
    Staged,
}

impl Pass {
    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Range => "range",
            Self::Merges => "merges",
            Self::Tree => "tree",
            Self::Staged => "staged",
        }
    }
}

/// An engine that is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Which.
    pub kind: Kind,
    /// Its program: a path, or a name to look for on the PATH.
    pub program: PathBuf,
    /// The SHA-256 of the files that it may be; none is any.
    pub pins: Vec<String>,
    /// Why it is not run: it is not there, or its file is none of those.
    pub refused: Option<(Outcome, String)>,
}

/// What came of a pass.
#[derive(Clone, Debug)]
pub struct PassRun {
    /// The engine.
    pub kind: Kind,
    /// What it looked at.
    pub pass: Pass,
    /// Whether it did its work.
    pub outcome: Outcome,
    /// What broke, one sentence without a secret in it.
    pub message: Option<String>,
    /// What it found. Also of a pass that broke: what is found is found.
    pub rows: Vec<Row>,
    /// What it says of itself.
    pub stated: Stated,
    /// What there was to scan.
    pub expected: Expected,
    /// How long it took.
    pub took: Duration,
    /// Its arguments, for whoever wants to run it by hand.
    pub arguments: Vec<String>,
    /// A repository that it read where it lies is to be read again, from a clone: it does not know how (an
    /// older version), or git below it broke off. TruffleHog 3.97 says the latter, too, of a git that was
    /// done, where it ends the scan before it has waited for it; nobody can tell the two apart.
    pub wants_a_clone: bool,
    /// How it ended and how many rows it reported; absent where it never began.
    end: Option<(Ended, Result<usize, formats::NoReport>)>,
}

impl PassRun {
    /// A pass that never began, because git could not give what it needs.
    #[must_use]
    pub fn without_git(kind: Kind, pass: Pass, error: &GitError) -> Self {
        let outcome = match error {
            GitError::TimedOut => Outcome::TimedOut,
            _ => Outcome::GitError,
        };
        Self::broken(kind, pass, outcome, scrub::text(&error.to_string()))
    }

    fn broken(kind: Kind, pass: Pass, outcome: Outcome, message: String) -> Self {
        Self {
            kind,
            pass,
            outcome,
            message: Some(message),
            rows: Vec::new(),
            stated: Stated::default(),
            expected: Expected::default(),
            took: Duration::ZERO,
            arguments: Vec::new(),
            wants_a_clone: false,
            end: None,
        }
    }

    /// Holds what the engine did against what there was.
    pub fn prove(&mut self, expected: Expected) {
        self.expected = expected;
        if let Some((ended, report)) = &self.end {
            let (outcome, message) = proof::of(
                self.kind,
                self.pass,
                *ended,
                report,
                &self.stated,
                &expected,
            );
            self.outcome = outcome;
            self.message = message.map(|text| scrub::text(&text));
        }
    }

    /// Whatever it did: the file that did it is not the one that was there at the beginning.
    pub fn replaced(&mut self, message: String) {
        if self.end.is_some() {
            self.outcome = Outcome::Replaced;
            self.message = Some(message);
        }
    }
}

/// The most of a report that is kept. A larger one is cut, and then is no report.
const MOST_REPORT: usize = 1 << 28;

/// How far an engine that is ready soon steps behind one that is not. Twice as far, and on a machine that is busy with
/// other work (8 at once on two cores) it gets no turn any more: 33 s instead of 13 s, with the other one no quicker.
const BEHIND: i32 = 5;

/// How long an engine may take to say its version.
const VERSION_WITHIN: Duration = Duration::from_secs(20);

impl Engine {
    /// Runs a pass to its end, whatever the end is. [`PassRun::prove`] has to be asked what it is worth.
    pub async fn run(&self, pass: Pass, job: &Job, setup: &Setup<'_>) -> PassRun {
        let (arguments, stdin) = command::of(self.kind, job, setup);
        let shown = command::shown_arguments(&arguments, setup);
        if let Some((outcome, why)) = &self.refused {
            return PassRun {
                arguments: shown,
                ..PassRun::broken(self.kind, pass, *outcome, why.clone())
            };
        }
        let program = setup.git.environment(Program::new(&self.program));
        let program = program
            .args(&arguments)
            .folder(setup.folder)
            .variable("TMPDIR", setup.folder)
            .stdin(stdin)
            .deadline(setup.time_left())
            .most_output(MOST_REPORT);
        // TruffleHog takes seconds to start, on one core: it is the one that everybody waits for.
        let program = if setup.is_shared && self.kind == Kind::Gitleaks {
            program.niceness(BEHIND)
        } else {
            program
        };
        let ran = match program.run_until(setup.git.stop().asked()).await {
            Ok(ran) => ran,
            Err(error) => {
                let program = self.program.display();
                let (outcome, message) = if error.is_missing() {
                    (Outcome::Missing, format!("there is no program `{program}`"))
                } else {
                    let message = format!("`{program}` cannot be run: {}", error.cause);
                    (Outcome::Crashed, message)
                };
                return PassRun {
                    arguments: shown,
                    ..PassRun::broken(self.kind, pass, outcome, message)
                };
            }
        };
        let said = ran.stderr.text();
        let mut stated = log::read(&said);
        let reading = report_of(self.kind, &ran.stdout, setup.folder);
        let end = Some((
            ran.ended,
            reading
                .as_ref()
                .map(|reading| reading.rows.len())
                .map_err(|error| *error),
        ));
        let wants_a_clone = !stated.git_errors.is_empty()
            || (ran.ended != Ended::Code(0) && said.contains("unknown long flag"));
        let mut rows = Vec::new();
        if let Ok(reading) = reading {
            rows = reading.rows;
            stated = stated.and(reading.stated);
        }
        for row in &mut rows {
            row.engine = self.kind.as_str();
            command::place(row, job, setup);
            if !setup.verify && row.verification == Verification::Unverified {
                row.verification = Verification::NotTried;
            }
        }
        PassRun {
            kind: self.kind,
            pass,
            outcome: Outcome::Incomplete,
            message: None,
            rows,
            stated,
            expected: Expected::default(),
            took: ran.took,
            arguments: shown,
            wants_a_clone,
            end,
        }
    }

    /// Asks the engine for its version; absent where it does not tell.
    pub async fn version(&self, setup: &Setup<'_>) -> Option<String> {
        if self.refused.is_some() {
            return None;
        }
        let word = match self.kind {
            Kind::Gitleaks => "version",
            Kind::TruffleHog | Kind::Kingfisher => "--version",
        };
        let program = setup.git.environment(Program::new(&self.program));
        let ran = program
            .args([word])
            .folder(setup.folder)
            .variable("TMPDIR", setup.folder)
            .deadline(VERSION_WITHIN.min(setup.time_left()))
            .run_until(setup.git.stop().asked())
            .await
            .ok()?;
        if ran.ended != Ended::Code(0) {
            return None;
        }
        // TruffleHog says it on stderr.
        let said = format!("{} {}", ran.stdout.text(), ran.stderr.text());
        let number = Regex::new(r"\d+\.\d+\.\d+[0-9A-Za-z.+-]*").ok()?;
        number.find(&said).map(|found| found.as_str().to_owned())
    }
}

/// What the engine reported on stdout.
fn report_of(
    kind: Kind,
    stdout: &Output,
    folder: &Path,
) -> Result<formats::Reading, formats::NoReport> {
    if stdout.is_cut() {
        return Err(formats::NoReport::Broken(kind.as_str()));
    }
    // Gitleaks before 8.20 takes `-` for the name of a file.
    let file = folder.join("-");
    let mut bytes = stdout.bytes.clone();
    if kind == Kind::Gitleaks && bytes.is_empty() {
        bytes = std::fs::read(&file).unwrap_or_default();
        let _ = std::fs::remove_file(&file);
    }
    if kind == Kind::TruffleHog && bytes.iter().all(u8::is_ascii_whitespace) {
        // Its report is one line a secret: none, then.
        return Ok(formats::Reading {
            format: formats::Format::TruffleHog,
            rows: Vec::new(),
            stated: Stated::default(),
        });
    }
    let reading = formats::read(&bytes)?;
    let own = match kind {
        Kind::Gitleaks => matches!(
            reading.format,
            formats::Format::Gitleaks | formats::Format::Gitleaks7
        ),
        Kind::TruffleHog => reading.format == formats::Format::TruffleHog,
        Kind::Kingfisher => reading.format == formats::Format::Kingfisher,
    };
    if own {
        Ok(reading)
    } else {
        Err(formats::NoReport::Unknown)
    }
}

/// Where a program is: the path itself, or the first one of that name on the PATH.
#[must_use]
pub fn find(program: &Path, path_variable: Option<&str>) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.is_file().then(|| program.to_owned());
    }
    let mut name = program.as_os_str().to_owned();
    if program.extension().is_none() {
        name.push(std::env::consts::EXE_SUFFIX);
    }
    std::env::split_paths(path_variable?)
        // What lies where this is started from is what is judged, not what judges.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(&name))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata()
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    path.is_file()
}
