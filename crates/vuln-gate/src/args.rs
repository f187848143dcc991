//! What can be typed.

use clap::{Args, Parser, Subcommand};
use gs_common::cli::{ConfigArgs, OutputArgs, Shell, styles};

use crate::accept::args::{AcceptArgs, ImportArgs, VexArgs};

const ABOUT: &str = "Do the scanners' reports allow this release?";

const EXAMPLES: &str = "\
Examples:
  vuln-gate trivy.json npm-audit.json
      critical and high findings fail; a report that says nothing is no pass
  vuln-gate reports/*.json --require trivy,safety,npm-audit --output sarif=findings.sarif
      in a pipeline: every scanner must have reported
  vuln-gate trivy.json --base main/trivy.json
      in a pull request: only what the change brings
  vuln-gate explain CVE-2021-44228 reports/*.json
      why a finding blocks, or why it does not

Exit codes: 0 good, 1 not good, 2 typed or configured wrongly, 3 no verdict, 130 interrupted.";

/// The command line.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "vuln-gate", version, about = ABOUT, after_help = EXAMPLES, styles = styles(),
    args_conflicts_with_subcommands = true, max_term_width = 100
)]
pub struct Cli {
    /// Another job than judging
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// The main job
    #[command(flatten)]
    pub run: RunArgs,
}

/// Other jobs.
#[derive(Subcommand, Clone, Debug)]
pub enum Verb {
    /// Say what each report has about one id, and which rule decided
    Explain(Box<ExplainArgs>),
    /// Say what each file is and how many findings it lists; judges nothing
    Validate(Box<ValidateArgs>),
    /// Print exceptions made of another tool's ignore file, to be completed by a person
    Import(ImportArgs),
    /// Print an OpenVEX document of the exceptions that hold
    Vex(Box<VexArgs>),
    /// Write a commented start of the section `[vuln-gate]`
    Init {
        /// Of a file of exceptions instead
        #[arg(long)]
        exceptions: bool,
        /// Where to write it; `-` prints it
        #[arg(value_name = "FILE", default_value = "-")]
        path: String,
    },
    /// Print every setting with its value and origin
    Config {
        /// The settings of this command line
        #[command(flatten)]
        policy: Box<PolicyArgs>,
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

/// Judging reports.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArgs {
    /// Reports of scanners, in any format that is known; `-` is stdin
    #[arg(value_name = "FILE")]
    pub files: Vec<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub policy: PolicyArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub output: OutputArgs,
}

/// What the gate goes by.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Gate")]
pub struct PolicyArgs {
    /// The lowest severity that fails, for all classes or for one (`license=never`); repeatable
    ///
    /// Classes: vulnerability, misconfiguration, secret, license, code, maintenance. Severities:
    /// critical, high, medium, low, info, never. Default: high, and maintenance=never.
    #[arg(long, value_name = "[CLASS=]SEVERITY", value_delimiter = ',')]
    pub fail_on: Vec<String>,
    /// What a finding without any severity means: block, warn or ignore
    #[arg(long, value_name = "EFFECT")]
    pub unknown: Option<String>,
    /// Whose severity counts: `highest` of all sources, or the `scanner`'s own conclusion
    #[arg(long, value_name = "WHOSE")]
    pub severity_from: Option<String>,
    /// What a finding means that only development needs: block, warn or ignore
    #[arg(long, value_name = "EFFECT")]
    pub development: Option<String>,
    /// Vulnerabilities for which there is no fix are only warned of; same as `--unfixed warn`
    #[arg(long)]
    pub ignore_unfixed: bool,
    /// What a vulnerability without a fix means: block, warn or ignore
    #[arg(long, value_name = "EFFECT")]
    pub unfixed: Option<String>,
    /// `unfixed` holds for so long after publication, `30d`; then it counts like any other
    #[arg(long, value_name = "DURATION")]
    pub unfixed_grace: Option<String>,
    /// Findings whose targets and paths all fit this glob are only listed; repeatable
    #[arg(long, value_name = "GLOB")]
    pub ignore_target: Vec<String>,
    /// Compare with these reports of the base: only what is new fails; repeatable
    #[arg(long, value_name = "FILE")]
    pub base: Vec<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub accept: AcceptArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub trust: TrustArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub config: ConfigArgs,
}

/// When a report counts.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Trust")]
pub struct TrustArgs {
    /// A report of each of these must have been looked at: trivy, safety, npm-audit, sarif:codeql
    ///
    /// Known are trivy, safety, npm-audit, yarn-audit, pnpm-audit, pip-audit, dependency-check, grype,
    /// osv-scanner, cargo-audit and sarif, the last also with a part of the tool's name.
    #[arg(long, value_name = "FORMAT", value_delimiter = ',')]
    pub require: Vec<String>,
    /// Some report must be about this image, folder or lock file; repeatable
    #[arg(long, value_name = "TEXT")]
    pub expect_target: Vec<String>,
    /// A report older than this is no verdict; `off` for any age
    #[arg(long, value_name = "DURATION")]
    pub max_age: Option<String>,
    /// A scanner's database older than this at the scan is no verdict; `off` for any age
    #[arg(long, value_name = "DURATION")]
    pub max_db_age: Option<String>,
    /// A gap in the scans that is known: `KIND` or `skipped_package:NAME`; it then only warns
    ///
    /// Kinds: skipped_package, analysis_failed, execution_failed, end_of_life, nothing_named,
    /// unnamed_row, missing_rows.
    #[arg(long, value_name = "KIND[:NAME]", value_delimiter = ',')]
    pub accept_partial: Vec<String>,
    /// So many findings are listed in the report at most, the worst; all are judged and counted
    #[arg(long, value_name = "N")]
    pub max_findings: Option<String>,
}

/// One id.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// The id, or one of its aliases: CVE-2021-44228
    #[arg(value_name = "ID")]
    pub id: String,
    /// What to look into
    #[command(flatten)]
    pub run: RunArgs,
}

/// Files to look at.
#[derive(Args, Clone, Debug)]
pub struct ValidateArgs {
    /// The files; `-` is stdin
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}
