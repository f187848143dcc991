//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gs_common::cli::{ConfigArgs, OutputArgs, Shell, styles};

use crate::source::SourceArgs;
use crate::verbs::{BacktestArgs, ImportArgs, ReportArgs, ServeArgs};

const ABOUT: &str = "May the canary be promoted, must it be rolled back, or is it not known yet?";

const EXAMPLES: &str = "\
Examples:
  canary-monitor --prometheus http://prometheus:9090 --weight 10% --log canary.jsonl
      watch for 15 minutes, in a pipeline or by hand; the log keeps everything that was seen
  canary-monitor --scrape canary=http://10.0.0.7:8000/metrics --scrape stable=http://10.0.0.4:8000/metrics
      the same without a Prometheus
  canary-monitor watch canary.jsonl
      look on, read-only, while another process judges
  canary-monitor replay canary.jsonl --judge limits
      what the guide's plain rule would have said of the same run

Exit codes: 0 good, 1 not good, 2 typed or configured wrongly, 3 no verdict, 130 interrupted.";

/// The command line.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "canary-monitor", version, about = ABOUT, after_help = EXAMPLES, styles = styles(),
    args_conflicts_with_subcommands = true, max_term_width = 100
)]
pub struct Cli {
    /// Another job than watching a canary
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// The main job
    #[command(flatten)]
    pub run: RunArgs,
}

/// Other jobs.
#[derive(Subcommand, Clone, Debug)]
pub enum Verb {
    /// Judge a decision log or recorded observations again
    Replay(Box<ReplayArgs>),
    /// Look on at a run by its log, read-only, until it ends
    Watch(Box<WatchArgs>),
    /// Ask everything once that a run would ask, and say what would go wrong
    Doctor(Box<RunArgs>),
    /// Write the report of a recorded run, with charts of both sides, the evidence and the placebos
    Report(Box<ReportArgs>),
    /// Judge windows of the past without a canary: how often this service would be rolled back for nothing
    Backtest(Box<BacktestArgs>),
    /// Answer Argo Rollouts' web metric provider and Flagger's webhooks from the logs of runs
    Serve(Box<ServeArgs>),
    /// Print a start of the configuration from an AnalysisTemplate, or a canary configuration of Kayenta
    Import(ImportArgs),
    /// Judge simulated canaries and print how often the verdict was the wanted one
    Selftest(Box<SelftestArgs>),
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

/// A run: watching a canary.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub source: SourceArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub course: CourseArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub policy: PolicyArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub record: RecordArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub pipeline: PipelineArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub output: OutputArgs,
}

/// How long, and at which share of the traffic.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Course")]
pub struct CourseArgs {
    /// How long the canary is watched, 15m by default; with --steps their number times --step-duration
    #[arg(long, value_name = "DURATION")]
    pub duration: Option<String>,
    /// The share of the requests that the canary is meant to get; a split far off is no verdict
    #[arg(long, value_name = "SHARE", conflicts_with = "steps")]
    pub weight: Option<String>,
    /// The weights to go through, in per cent: 10,25,50; --on-step sets them
    #[arg(long, value_name = "PERCENT,...", value_delimiter = ',')]
    pub steps: Vec<String>,
    /// How long each step is watched, 5m by default
    #[arg(long, value_name = "DURATION")]
    pub step_duration: Option<String>,
    /// How long to wait for the metrics at the start, 30s by default
    #[arg(long, value_name = "DURATION")]
    pub wait_ready: Option<String>,
    /// The whole run ends after this time of the wall clock, whatever is unfinished
    #[arg(long, value_name = "DURATION")]
    pub deadline: Option<String>,
    /// For gs-sim only: so many seconds of the run pass in each second; refused beyond the loopback
    #[arg(long, value_name = "N")]
    pub time_scale: Option<String>,
}

/// What is kept of a run.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Decision log")]
pub struct RecordArgs {
    /// Write everything that is seen and decided to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub log: Option<String>,
    /// Go on with the run whose log this is, if there is one
    #[arg(long, requires = "log")]
    pub resume: bool,
    /// Show beside the verdict what the guide's plain rule says: a limit broken at three checks in a row
    #[arg(long)]
    pub legacy_view: bool,
}

/// What a pipeline does with a verdict.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Pipeline")]
pub struct PipelineArgs {
    /// Run at the start of each step; it sets the weight GS_WEIGHT
    #[arg(long, value_name = "COMMAND")]
    pub on_step: Option<String>,
    /// Run after a pass
    #[arg(long, value_name = "COMMAND")]
    pub on_pass: Option<String>,
    /// Run after a fail
    #[arg(long, value_name = "COMMAND")]
    pub on_fail: Option<String>,
    /// What no verdict becomes (hold: exit 3), or a command to run then; may be given for both
    ///
    /// `hold`, `fail` and `pass` are the three ends; anything else is a command. A program of that
    /// name is written with its path.
    #[arg(long, value_name = "hold|fail|pass|COMMAND")]
    pub on_inconclusive: Vec<String>,
    /// How long a command may take, 2m by default; then its process group is ended
    #[arg(long, value_name = "DURATION")]
    pub hook_timeout: Option<String>,
    /// Run no command: say which ones would have been run
    #[arg(long)]
    pub dry_run: bool,
}

/// Looking on.
#[derive(Args, Clone, Debug)]
pub struct WatchArgs {
    /// The decision log of a run, finished or not
    #[arg(value_name = "LOG")]
    pub log: PathBuf,
    /// Stop looking after this time
    #[arg(long, value_name = "DURATION")]
    pub deadline: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub config: ConfigArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub output: OutputArgs,
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
    /// Decision logs or observations, one file a run
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Who judges
    #[arg(long, value_enum, default_value_t, value_name = "JUDGE")]
    pub judge: Judge,
    /// Judge by the policy that stands in the log instead of the configured one
    #[arg(long)]
    pub recorded_policy: bool,
    /// Show beside the verdict what the guide's plain rule says: a limit broken at three checks in a row
    #[arg(long)]
    pub legacy_view: bool,
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
