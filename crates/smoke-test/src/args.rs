//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use gs_common::cli::{ConfigArgs, OutputArgs, Shell, styles};
use gs_common::way::{ProxyArgs, TlsArgs};

const ABOUT: &str = "Is the service that was just deployed the right one, and does it work?";

const EXAMPLES: &str = "\
Examples:
  smoke-test https://staging.goldensignals.ai
      the built-in GoldenSignals suite, nothing to configure
  smoke-test --env staging --expect-version 2.1.0 --wait-ready 2m --output junit=smoke.xml
      in a pipeline after a deploy: wait, check, prove the version
  smoke-test https://goldensignals.ai --only pipeline-stats -v
      one check in an incident, with every detail
  smoke-test watch https://goldensignals.ai --every 30s
      keep looking

Exit codes: 0 good, 1 not good, 2 typed or configured wrongly, 3 no verdict, 130 interrupted.";

/// The command line.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "smoke-test", version, about = ABOUT, after_help = EXAMPLES, styles = styles(),
    args_conflicts_with_subcommands = true, max_term_width = 100
)]
pub struct Cli {
    /// Another job than a smoke test
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// The main job
    #[command(flatten)]
    pub run: RunArgs,
}

/// Other jobs.
#[derive(Subcommand, Clone, Debug)]
pub enum Verb {
    /// Run the suite again and again: live on a terminal, plain lines elsewhere
    Watch(Box<WatchArgs>),
    /// Compare a saved run (`--output json=FILE`) with a newer one
    Diff(DiffArgs),
    /// Write the built-in suite to a file, as a start for one's own
    Init {
        /// Where to write it; `-` prints it
        #[arg(value_name = "FILE")]
        path: PathBuf,
    },
    /// Read a suite and say whether it makes sense; sends nothing
    Validate(Box<SuiteArgs>),
    /// List the checks of a suite
    List {
        /// Which suite
        #[command(flatten)]
        suite: Box<SuiteArgs>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a suite of a curl command line, a HAR file or an OpenAPI document
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

/// Which suite, and which of its checks.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Suite")]
pub struct SuiteArgs {
    /// A suite file (TOML) instead of the built-in GoldenSignals suite
    #[arg(long, value_name = "FILE")]
    pub suite: Option<String>,
    /// Only checks with this id or tag, `*` for any text; repeatable, or separated by commas
    #[arg(long, value_name = "ID|TAG", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Not these
    #[arg(long, value_name = "ID|TAG", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// A variable of the suite
    #[arg(long, value_name = "NAME=VALUE")]
    pub var: Vec<String>,
    /// An environment: its `url` from goldensignals.toml, its variables from the suite
    #[arg(long, value_name = "NAME", env = "GS_ENV")]
    pub env: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub config: ConfigArgs,
}

/// A smoke test.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArgs {
    /// The service: scheme, host and port
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub suite: SuiteArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub judging: JudgingArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub timing: TimingArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub route: RouteArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub output: OutputArgs,
}

/// What to demand.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Demands")]
pub struct JudgingArgs {
    /// This version must answer, over fresh connections
    #[arg(long, value_name = "VERSION")]
    pub expect_version: Option<String>,
    /// Where the version stands: a JSON pointer, `header:NAME` or `openapi`
    #[arg(long, value_name = "SOURCE")]
    pub version_from: Option<String>,
    /// The path that is asked for the version
    #[arg(long, value_name = "PATH")]
    pub version_path: Option<String>,
    /// So many answers in a row must be of that version
    #[arg(long, value_name = "N")]
    pub version_matches: Option<String>,
    /// The process may have run at most so long (`uptime` of /api/v1/performance)
    #[arg(long, value_name = "DURATION")]
    pub max_uptime: Option<String>,
    /// Also ask every GET without parameters that the OpenAPI document declares
    #[arg(long)]
    pub openapi: bool,
    /// A check that passed only after a retry fails
    #[arg(long)]
    pub fail_on_flaky: bool,
    /// Run checks that may change something (POST and the like)
    #[arg(long)]
    pub allow_writes: bool,
    /// Compare with a saved run: anything worse fails
    #[arg(long, value_name = "FILE")]
    pub diff: Option<String>,
    /// The deployment must differ from a saved run: another version, or a younger process
    #[arg(long, value_name = "FILE")]
    pub differs_from: Option<String>,
}

/// How long and how often.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Time")]
pub struct TimingArgs {
    /// The whole run ends after this long; what is unfinished is said
    #[arg(long, value_name = "DURATION")]
    pub deadline: Option<String>,
    /// Limit of one try, where the suite does not say
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Further tries after a failure that may pass by itself, where the suite does not say
    #[arg(long, value_name = "N")]
    pub retries: Option<String>,
    /// Wait at most so long for the service to become ready, before the first check
    #[arg(long, value_name = "DURATION")]
    pub wait_ready: Option<String>,
    /// The path that has to answer 2xx to be ready
    #[arg(long, value_name = "PATH")]
    pub ready_path: Option<String>,
    /// So many times in a row
    #[arg(long, value_name = "N")]
    pub ready_matches: Option<String>,
    /// Checks at the same time
    #[arg(long, value_name = "N")]
    pub jobs: Option<String>,
    /// Seed of the jitter between retries
    #[arg(long, value_name = "N")]
    pub seed: Option<String>,
}

/// How to get there.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection")]
pub struct RouteArgs {
    /// Connect to HOST2:PORT2 for what is addressed to HOST1:PORT1
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2")]
    pub connect_to: Vec<String>,
    /// Use this address for HOST:PORT instead of the resolver's
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    pub resolve: Vec<String>,
    /// The `host` header
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// The name that TLS asks for and verifies
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub tls: TlsArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub proxies: ProxyArgs,
    /// A header whose value stands in an environment variable, and is a secret
    #[arg(long, value_name = "NAME=VARIABLE")]
    pub header_env: Vec<String>,
    /// Do not offer HTTP/2
    #[arg(long)]
    pub http1: bool,
    /// Largest body that is read
    #[arg(long, value_name = "SIZE")]
    pub max_body: Option<String>,
}

/// A smoke test that goes on.
#[derive(Args, Clone, Debug, Default)]
pub struct WatchArgs {
    /// What to run
    #[command(flatten)]
    pub run: RunArgs,
    /// From the start of one run to the start of the next
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "30s",
        help_heading = "Watching"
    )]
    pub every: String,
    /// Alarm after so many failed runs in a row
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "Watching")]
    pub threshold: u32,
    /// End after so many runs
    #[arg(long, value_name = "N", help_heading = "Watching")]
    pub count: Option<u32>,
    /// Serve /metrics for Prometheus here, on the loopback: 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS", help_heading = "Watching")]
    pub metrics: Option<String>,
}

/// Two saved runs.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// The older run
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// The newer one
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub output: OutputArgs,
}

/// What to make a suite of.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct ImportArgs {
    /// A curl command line, in quotes
    #[arg(long, value_name = "COMMAND")]
    pub curl: Option<String>,
    /// A HAR 1.2 file, as browsers save it
    #[arg(long, value_name = "FILE")]
    pub har: Option<PathBuf>,
    /// An OpenAPI 3 document (JSON)
    #[arg(long, value_name = "FILE")]
    pub openapi: Option<PathBuf>,
}
