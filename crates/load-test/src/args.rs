//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use gs_common::cli::{ConfigArgs, OutputArgs, Shell, styles};
use gs_common::way::{ProxyArgs, TlsArgs};

use crate::export::ExportArgs;
use crate::jobs::{AbArgs, CompareArgs, FindMaxArgs, ImportArgs, MergeArgs};
use crate::shard::ShardArgs;

const ABOUT: &str = "Do the three personas get their answers in time, at 100 users or at a rate?";

const EXAMPLES: &str = "\
Examples:
  load-test https://staging.goldensignals.ai --allow-host staging.goldensignals.ai
      100 users of the three built-in personas for five minutes, the guide's goals
  load-test http://127.0.0.1:8000 --rate 400 --duration 1m --goal 'p95<200ms'
      400 requests become due every second, whatever the answers do
  load-test http://127.0.0.1:8000 --users 50 --personas mine.toml --output html=load.html
      one's own personas, and a page with charts
  load-test check http://127.0.0.1:8000 --personas mine.toml
      one request for each step: does the persona file fit the service?
  load-test ab --base http://127.0.0.1:8001 --new http://127.0.0.1:8002
      is the new version slower than the one before?

Exit codes: 0 good, 1 not good, 2 typed or configured wrongly, 3 no verdict, 130 interrupted.";

/// The command line.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "load-test", version, about = ABOUT, after_help = EXAMPLES, styles = styles(),
    args_conflicts_with_subcommands = true, max_term_width = 100
)]
pub struct Cli {
    /// Another job than a load test
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// The main job
    #[command(flatten)]
    pub run: RunArgs,
}

/// Other jobs.
#[derive(Subcommand, Clone, Debug)]
pub enum Verb {
    /// Send one request for each step of each task, and say which fit the service
    Check(Box<RunArgs>),
    /// Write the built-in personas to a file, as a start for one's own
    Init {
        /// Where to write them; `-` prints them
        #[arg(value_name = "FILE")]
        path: PathBuf,
    },
    /// Read a persona file and say whether it makes sense; sends nothing
    Validate(Box<PersonaArgs>),
    /// Show how likely each task and endpoint is drawn; sends nothing
    DryRun {
        /// Which personas
        #[command(flatten)]
        personas: Box<PersonaArgs>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Is a new version slower than the one before? Runs both in turn, in pairs
    Ab(Box<AbArgs>),
    /// Compare stored runs: reports and logs of load-test, Locust, k6, pytest-benchmark
    Compare(Box<CompareArgs>),
    /// Search the highest rate at which the goals hold
    FindMax(Box<FindMaxArgs>),
    /// Make one run of the logs of all shards, with exact percentiles and the same verdict
    Merge(Box<MergeArgs>),
    /// Print a draft of a persona file made from a browser's recording
    Import(ImportArgs),
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

/// A load test.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArgs {
    /// The service: scheme, host and port
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    /// An environment: its `url` from goldensignals.toml
    #[arg(long, value_name = "NAME", env = "GS_ENV")]
    pub env: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub load: LoadArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub personas: PersonaArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub goals: GoalArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub safety: SafetyArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub connection: ConnectionArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub shard: ShardArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub export: ExportArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub output: OutputArgs,
}

/// How much load, and for how long.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Load")]
pub struct LoadArgs {
    /// So many users, each waiting for an answer before the next request (100 if neither is given)
    #[arg(long, value_name = "N")]
    pub users: Option<String>,
    /// So many requests become due every second, whatever the answers do
    #[arg(long, value_name = "N")]
    pub rate: Option<String>,
    /// Open connections at --rate, at most; what finds none waits, and its wait counts
    #[arg(long, value_name = "N")]
    pub connections: Option<String>,
    /// From nothing to the full load in so long
    #[arg(long, value_name = "DURATION")]
    pub ramp: Option<String>,
    /// How long at the full load
    #[arg(long, value_name = "DURATION")]
    pub duration: Option<String>,
    /// From the full load to nothing in so long
    #[arg(long, value_name = "DURATION")]
    pub ramp_down: Option<String>,
    /// Instead of ramp and duration: go to so many users (or so much rate) in so long; repeatable
    #[arg(long, value_name = "TARGET:DURATION")]
    pub stage: Vec<String>,
    /// How due times are spread at --rate: `even` or `poisson`
    #[arg(long, value_name = "HOW")]
    pub arrivals: Option<String>,
    /// Requests that are due in the first so long are left out of all figures
    #[arg(long, value_name = "DURATION")]
    pub warm_up: Option<String>,
    /// After the end, wait at most so long for open requests
    #[arg(long, value_name = "DURATION")]
    pub drain: Option<String>,
    /// The whole run ends after this long; what is unfinished is said
    #[arg(long, value_name = "DURATION")]
    pub deadline: Option<String>,
    /// Threads that send
    #[arg(long, value_name = "N")]
    pub threads: Option<String>,
}

/// Who uses the service.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Personas")]
pub struct PersonaArgs {
    /// A persona file (TOML) instead of the built-in personas
    #[arg(long, value_name = "FILE")]
    pub personas: Option<String>,
    /// Only this persona, with another weight if one is given; repeatable
    #[arg(long, value_name = "NAME[=WEIGHT]")]
    pub persona: Vec<String>,
    /// Seed of all draws; drawn, and told in the report, if absent
    #[arg(long, value_name = "N")]
    pub seed: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub config: ConfigArgs,
}

/// What is demanded.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Goals")]
pub struct GoalArgs {
    /// A goal: `p95<200ms`, `error-rate<1%`, `rps>=50`, `warn:p99<1s for persona mobile`; repeatable
    ///
    /// Metrics: p50 to p99.99, mean, max (of the response; service-, first-byte- and connect- in front
    /// choose another clock), error-rate, rps, checks, late, dropped, ws-drops. Behind it: ` for
    /// /endpoint`, ` for persona NAME`, ` for stage NAME`, ` for each endpoint|persona|stage`.
    #[arg(long, value_name = "GOAL")]
    pub goal: Vec<String>,
    /// A request slower than this is slow, is named, and warns
    #[arg(long, value_name = "DURATION")]
    pub slow: Option<String>,
    /// End the run once a goal was lost for so long without a break
    #[arg(long, value_name = "DURATION")]
    pub abort_after: Option<String>,
}

/// What keeps a load test from becoming an incident.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Safety")]
pub struct SafetyArgs {
    /// Load may go to this host; without it only to this machine itself; repeatable
    #[arg(long, value_name = "HOST")]
    pub allow_host: Vec<String>,
    /// Requests a second, at most, over all users
    #[arg(long, value_name = "N")]
    pub max_rate: Option<String>,
    /// No verdict on times if this machine itself hands 1 request in 100 on later than this
    #[arg(long, value_name = "DURATION")]
    pub max_lateness: Option<String>,
}

/// How to get there.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Limit of one request, from the send to the last byte
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Open a new connection for every request
    #[arg(long)]
    pub no_keep_alive: bool,
    /// Offer HTTP/2 (over TLS)
    #[arg(long)]
    pub http2: bool,
    /// Speak HTTP/2 over plain http without asking; over TLS the same as --http2
    #[arg(long)]
    pub http2_prior_knowledge: bool,
    /// So many requests share a connection at the same time (HTTP/2 only); users share one too
    #[arg(long, value_name = "N")]
    pub streams: Option<String>,
    /// Ask for compressed answers (gzip, deflate), where a persona does not say otherwise
    #[arg(long)]
    pub compression: bool,
    /// Use this address for HOST:PORT instead of the resolver's; load must be allowed on it; repeatable
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    pub resolve: Vec<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub proxies: ProxyArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub tls: TlsArgs,
    /// A header whose value stands in an environment variable, and is a secret
    #[arg(long, value_name = "NAME=VARIABLE")]
    pub header_env: Vec<String>,
    /// Largest body that is read
    #[arg(long, value_name = "SIZE")]
    pub max_body: Option<String>,
}
