//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gs_common::cli::{ConfigArgs, OutputArgs, Shell, styles};

const ABOUT: &str = "Did a secret get into the history or the tree?";

const LONG_ABOUT: &str = "Did a secret get into the history or the tree?

Runs Gitleaks and TruffleHog over every commit and the files as they lie there, proves that they did \
their work, and makes one finding of each secret. An engine that is missing, breaks, or scans less than \
there is gives no verdict, never a pass.";

const EXAMPLES: &str = "\
Examples:
  secret-scan
      every commit of this repository and its files
  secret-scan --range origin/main..HEAD --output sarif=secrets.sarif
      a pull request: each of its commits, also what a merge alone brings in
  secret-scan --range event
      in GitHub Actions: what the pull request or the push brings
  secret-scan --staged
      in a pre-commit hook
  secret-scan --report gitleaks.json trufflehog.json
      judge what the engines reported elsewhere
  secret-scan doctor
      which engines are there, and how to get those that are not

Exit codes: 0 good, 1 not good, 2 typed or configured wrongly, 3 no verdict, 130 interrupted.";

/// The command line.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "secret-scan", version, about = ABOUT, long_about = LONG_ABOUT, after_help = EXAMPLES,
    styles = styles(), args_conflicts_with_subcommands = true, max_term_width = 100
)]
pub struct Cli {
    /// Another job than a scan
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// The main job
    #[command(flatten)]
    pub run: RunArgs,
}

/// Other jobs.
#[derive(Subcommand, Clone, Debug)]
pub enum Verb {
    /// Read one value on stdin and print its fingerprint
    Fingerprint(SettingArgs),
    /// Work on the list of accepted secrets
    #[command(subcommand)]
    Baseline(BaselineVerb),
    /// Say all that a saved report (`--output json=FILE`) tells about one secret
    Explain {
        /// The fingerprint, or the beginning of one
        #[arg(value_name = "FINGERPRINT")]
        fingerprint: String,
        /// The saved report
        #[arg(long, value_name = "FILE", default_value = "secret-scan.json")]
        from: PathBuf,
    },
    /// Which engines are there, in which version, and how to get those that are missing
    Doctor(Box<RunArgs>),
    /// Write a commented start of a configuration, with a new key for the fingerprints
    Init {
        /// Where to write it; `-` prints it
        #[arg(value_name = "FILE", default_value = "goldensignals.toml")]
        path: PathBuf,
    },
    /// Print every setting with its value and origin
    Config {
        /// The settings of this command line
        #[command(flatten)]
        run: Box<RunArgs>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// The list of accepted secrets.
#[derive(Subcommand, Clone, Debug)]
pub enum BaselineVerb {
    /// Accept a secret: who answers for it, why, and until when
    Add(Box<AddArgs>),
    /// Take out what expired, and with --report what is no longer found
    Prune {
        /// The list and the key
        #[command(flatten)]
        setting: SettingArgs,
        /// A saved report (`--output json=FILE`) of a whole scan
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        /// Only say what would be taken out
        #[arg(long)]
        dry_run: bool,
    },
    /// What two lists do not have in common
    Diff {
        /// The older list
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The newer one
        #[arg(value_name = "NEW")]
        new: PathBuf,
    },
    /// Accept what other lists accept: a Gitleaks report (its own baseline), .gitleaksignore, or a
    /// detect-secrets baseline
    Import(Box<ImportArgs>),
}

/// What to accept, and on whose account.
#[derive(Args, Clone, Debug)]
pub struct AddArgs {
    /// Fingerprints from the report
    #[arg(value_name = "FINGERPRINT", required = true)]
    pub fingerprints: Vec<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub account: AccountArgs,
    /// A saved report, for the rule and the path that go into the comment
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub setting: SettingArgs,
}

/// Who accepts, why, until when.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Account")]
pub struct AccountArgs {
    /// Why it is accepted
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who answers for it
    #[arg(long, value_name = "NAME")]
    pub owner: String,
    /// The last day on which that holds
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub expires: String,
    /// In what sense
    #[arg(long, value_enum, value_name = "STATE", default_value = "accepted")]
    pub state: State,
    /// Where it is discussed
    #[arg(long, value_name = "TEXT")]
    pub ticket: Option<String>,
}

/// In what sense a secret is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum State {
    /// Known and lived with
    Accepted,
    /// No secret at all
    FalsePositive,
    /// Revoked by its issuer, so of no use to anybody
    Revoked,
    /// Made up for a test
    TestFixture,
}

/// Which lists.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// Lists of other tools
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub account: AccountArgs,
    /// A saved report, which tells what stands at the places that other lists name
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub setting: SettingArgs,
}

/// The list of accepted secrets and the key of the fingerprints.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Baseline")]
pub struct SettingArgs {
    /// The list of accepted secrets; else secret-baseline.toml in the root of the repository
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<String>,
    /// Read configuration and list as this revision has them; `.` is the work tree
    ///
    /// With --range that is the base of the range, in a pull request on GitHub the base branch.
    #[arg(long, value_name = "REF")]
    pub baseline_from: Option<String>,
    /// A file whose first line is the key of the fingerprints
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub config: ConfigArgs,
}

/// A scan.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArgs {
    /// The repository; else the current folder
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub what: WhatArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub engines: EngineArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub setting: SettingArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub output: OutputArgs,
}

/// What to scan.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "What")]
pub struct WhatArgs {
    /// Only what HEAD has and BASE has not, by all parents; `event` is what this step's event brought
    ///
    /// `event` reads the file that GITHUB_EVENT_PATH names: of a pull request base..head, of a push
    /// before..after. Where that cannot be known (a new branch, a forced push) more is scanned, and the
    /// report says what.
    #[arg(long, value_name = "BASE..HEAD", conflicts_with_all = ["staged", "report"])]
    pub range: Option<String>,
    /// Only what is about to be committed
    #[arg(long, conflicts_with = "report")]
    pub staged: bool,
    /// What of the repository: history, tree; both by default, of a range its commits
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', conflicts_with_all = ["staged", "report"])]
    pub scope: Vec<String>,
    /// Judge reports that engines wrote elsewhere; runs none
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "path")]
    pub report: Vec<PathBuf>,
    /// A report may be at most so old
    #[arg(long, value_name = "DURATION", requires = "report")]
    pub max_age: Option<String>,
    /// The whole run ends after this long; what is unfinished is said
    #[arg(long, value_name = "DURATION")]
    pub deadline: Option<String>,
    /// Which secrets fail: any, or possibly-live (not those that their issuer refused)
    #[arg(long, value_name = "WHICH")]
    pub fail_on: Option<String>,
}

/// Who scans.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Engines")]
pub struct EngineArgs {
    /// gitleaks, trufflehog, kingfisher; by default the first two, and gitleaks for --staged
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub engine: Vec<String>,
    /// The program of Gitleaks, or one with the same command line, such as betterleaks
    #[arg(long, value_name = "PROGRAM")]
    pub gitleaks_bin: Option<String>,
    /// The program of TruffleHog
    #[arg(long, value_name = "PROGRAM")]
    pub trufflehog_bin: Option<String>,
    /// The program of Kingfisher
    #[arg(long, value_name = "PROGRAM")]
    pub kingfisher_bin: Option<String>,
    /// Rules for Gitleaks; else .gitleaks.toml in the root of the repository, else its own
    #[arg(long, value_name = "FILE")]
    pub gitleaks_config: Option<String>,
    /// Ask no issuer whether a secret is live: nothing leaves this machine
    #[arg(long)]
    pub no_verification: bool,
}
