//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gs_common::cli::{ConfigArgs, OutputArgs, Shell, styles};

const ABOUT: &str = "May the canary be promoted, must it be rolled back, or is it not known yet?";

const EXAMPLES: &str = "\
Examples:
  canary-monitor replay observations.jsonl
      judge what a run saw of the world
  canary-monitor replay observations.jsonl --judge limits
      what the guide's plain rule would have said
  canary-monitor selftest --runs 100 --seed 7
      how often the judge is right on simulated canaries, false rollbacks and misses

Watching a live canary is not part of this version: it judges recorded observations.
Exit codes: 0 good, 1 not good, 2 typed or configured wrongly, 3 no verdict, 130 interrupted.";

/// The command line.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "canary-monitor", version, about = ABOUT, after_help = EXAMPLES, styles = styles(),
    max_term_width = 100, subcommand_required = true, arg_required_else_help = false
)]
pub struct Cli {
    /// The job
    #[command(subcommand)]
    pub verb: Verb,
}

/// The jobs.
#[derive(Subcommand, Clone, Debug)]
pub enum Verb {
    /// Judge recorded observations (gs.observations/v1, JSON lines)
    Replay(ReplayArgs),
    /// Judge simulated canaries and print how often the verdict was the wanted one
    Selftest(SelftestArgs),
    /// Print every setting with its value and origin
    Config {
        /// The settings of this command line
        #[command(flatten)]
        policy: PolicyArgs,
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

/// The limits and times of a judgement.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Policy")]
pub struct PolicyArgs {
    /// From one check to the next
    #[arg(long, value_name = "DURATION")]
    pub interval: Option<String>,
    /// Share of requests that may fail
    #[arg(long, value_name = "SHARE")]
    pub error_limit: Option<String>,
    /// The limit on the response time
    #[arg(long, value_name = "DURATION")]
    pub latency_limit: Option<String>,
    /// Share of requests that may be slower than that; 5% makes it the 95th percentile
    #[arg(long, value_name = "SHARE")]
    pub slow_share_limit: Option<String>,
    /// Left out after the first request of the canary
    #[arg(long, value_name = "DURATION")]
    pub warm_up: Option<String>,
    /// Share of the expected looks that a pass needs
    #[arg(long, value_name = "SHARE")]
    pub min_coverage: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub config: ConfigArgs,
}

/// Who judges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Judge {
    /// The always-valid sequential judge of this tool
    #[default]
    Sequential,
    /// The guide's plain rule: a limit broken at three checks in a row
    Limits,
    /// The way of Kayenta's default judge
    Kayenta,
}

/// Recorded observations.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// Observations, one file a run
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Who judges
    #[arg(long, value_enum, default_value_t, value_name = "JUDGE")]
    pub judge: Judge,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub policy: PolicyArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub output: OutputArgs,
}

/// Simulated canaries.
#[derive(Args, Clone, Debug)]
pub struct SelftestArgs {
    /// Everything that is drawn is drawn from it
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Runs of each cell
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub runs: u32,
    /// Stable pods; without it 9, 6 and 3
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    pub stable_pods: Option<u16>,
    /// Requests a second of each pod; without it 2, 20 and 200
    #[arg(long, value_name = "R")]
    pub rate: Option<f64>,
    /// Who judges; the stated bars are those of the sequential judge
    #[arg(long, value_enum, default_value_t, value_name = "JUDGE")]
    pub judge: Judge,
    /// Only scenarios whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub scenario: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub policy: PolicyArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub output: OutputArgs,
}
