//! The verbs around a run: `report`, `backtest`, `import` and `serve`. What can be typed, and what is done
//! with it; `entry` has the streams.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use gs_common::cli::{OutputArgs, Talk};
use gs_common::config::{ConfigError, read_text};
use gs_common::exit::Exit;
use gs_common::fingerprint;
use gs_common::http::Server;
use gs_common::report::{Input, Report};
use gs_common::units;
use jiff::Timestamp;

use crate::args::{Judge, PolicyArgs, RunArgs};
use crate::backtest::{self, Window};
use crate::charts;
use crate::config::Config;
use crate::judge::Policy;
use crate::log::{self, Recording};
use crate::serve::standing::Ages;
use crate::serve::{Canary, Site};
use crate::source::{self, SourceArgs};
use crate::{import, observations, replay};

/// A file larger than this is not read.
const LARGEST: u64 = 1 << 30;

/// A log hears of work that goes on at least so often.
const LINES_EVERY: Duration = Duration::from_secs(20);

/// A report with charts.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// A decision log, or observations
    #[arg(value_name = "LOG")]
    pub file: PathBuf,
    /// Write the page for people to this file; the same as --output html=FILE
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
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

/// Windows of the past.
#[derive(Args, Clone, Debug)]
pub struct BacktestArgs {
    /// Decision logs or observations; each is cut into windows. Without any, the past of --prometheus
    #[arg(value_name = "FILE", required_unless_present = "prometheus")]
    pub files: Vec<PathBuf>,
    /// How far back a Prometheus is asked
    #[arg(long, value_name = "DURATION", default_value = "1d")]
    pub past: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub source: SourceArgs,
    /// How long a canary is watched
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    pub duration: String,
    /// False rollbacks may be so frequent
    #[arg(long, value_name = "SHARE", default_value = "5%")]
    pub most: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub policy: PolicyArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub output: OutputArgs,
}

/// What somebody has.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// An AnalysisTemplate of Argo Rollouts (YAML), or a canary configuration of Kayenta (JSON)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// What is served.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// The decision log, or the JSON report, of a canary; may be repeated. NAME may be NAMESPACE/NAME
    #[arg(long, value_name = "NAME=FILE", required = true)]
    pub log: Vec<String>,
    /// Where to listen; there is no authentication, so beyond the loopback a network policy is needed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9797")]
    pub listen: SocketAddr,
    /// A run that has written nothing for so long is not relied on
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    pub stale_after: String,
    /// A verdict that is older may be that of another rollout, and is not relied on
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub max_age: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub output: OutputArgs,
}

/// What is typed for a key, read by one function.
fn typed<T, E: std::fmt::Display>(
    flag: &str,
    text: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<T, ConfigError> {
    read(text).map_err(|error| ConfigError::new(format!("{flag}: {error}")))
}

fn seconds(flag: &str, text: &str) -> Result<f64, ConfigError> {
    let duration = typed(flag, text, units::duration)?;
    if duration < Duration::from_secs(1) {
        return Err(ConfigError::new(format!(
            "{flag}: `{text}` is shorter than a second"
        )));
    }
    Ok(duration.as_secs_f64())
}

/// Judges a recording and adds its charts.
///
/// # Errors
/// The file is not there.
pub fn report(args: &ReportArgs, policy: &Policy) -> Result<Report, ConfigError> {
    let started_at = Timestamp::now();
    let how = replay::How {
        recorded_policy: args.recorded_policy,
        legacy_view: args.legacy_view,
        ..replay::How::default()
    };
    let judged = replay::file(&args.file, how, policy)?;
    let mut report = replay::report(&[judged], Judge::Sequential, started_at);
    if let Ok((recording, _)) = recorded(&args.file) {
        let policy = match &recording.log {
            Some(header) if args.recorded_policy => &header.policy,
            _ => policy,
        };
        report.series = charts::of(&recording, policy);
    }
    Ok(report)
}

/// The output faces of a report: `--html FILE` is one more.
#[must_use]
pub fn with_html(args: &ReportArgs) -> OutputArgs {
    let mut output = args.output.clone();
    if let Some(path) = &args.html {
        output.output.push(format!("html={}", path.display()));
    }
    output
}

fn recorded(path: &Path) -> Result<(Recording, String), String> {
    let text = read_text(path, LARGEST).map_err(|error| error.to_string())?;
    let sha256 = fingerprint::sha256(text.as_bytes());
    let recording = log::read(&text).map_err(|error| error.to_string())?;
    Ok((recording, sha256))
}

/// What a backtest was asked for, checked.
struct Asked {
    length: f64,
    most: f64,
    past: f64,
}

fn asked(args: &BacktestArgs) -> Result<Asked, ConfigError> {
    let most = typed("--most", &args.most, units::share)?;
    if most <= 0.0 || most >= 1.0 {
        return Err(ConfigError::new(format!(
            "--most: `{}` does not lie between 0% and 100%",
            args.most
        )));
    }
    let (length, past) = (
        seconds("--duration", &args.duration)?,
        seconds("--past", &args.past)?,
    );
    if args.files.is_empty() && past < length {
        return Err(ConfigError::new(format!(
            "--past: `{}` is shorter than one window of {}",
            args.past, args.duration
        )));
    }
    Ok(Asked { length, most, past })
}

/// Judges the windows of some files.
///
/// # Errors
/// A file is not there, or a flag cannot be read.
pub fn backtest(
    args: &BacktestArgs,
    policy: &Policy,
    talk: &mut Talk,
) -> Result<Report, ConfigError> {
    let started_at = Timestamp::now();
    let Asked { length, most, .. } = asked(args)?;
    let (mut windows, mut inputs) = (Vec::<Window>::new(), Vec::<Input>::new());
    let mut told = Instant::now();
    for (number, path) in args.files.iter().enumerate() {
        let shown = path.display().to_string();
        std::fs::metadata(path).map_err(|error| {
            ConfigError::new(format!("cannot read `{shown}`: {error}")).hint("check the path")
        })?;
        if told.elapsed() >= LINES_EVERY {
            told = Instant::now();
            talk.note(&format!(
                "{number} of {} files, {} windows",
                args.files.len(),
                windows.len()
            ));
        }
        let (outcome, sha256) = match recorded(path) {
            Ok((recording, sha256)) => {
                let scrapes: Vec<observations::Scrape> = recording.scrapes().cloned().collect();
                let header = &recording.header;
                windows.extend(backtest::recording(
                    &shown, header, &scrapes, length, policy,
                ));
                ("read", Some(sha256))
            }
            Err(message) => {
                windows.push(Window {
                    source: shown.clone(),
                    start: "its beginning".to_owned(),
                    trials: Vec::new(),
                    lost: Some(message),
                });
                ("unreadable", None)
            }
        };
        inputs.push(Input {
            path: shown,
            format: observations::SCHEMA.to_owned(),
            outcome: outcome.to_owned(),
            sha256,
            ..Input::default()
        });
    }
    Ok(backtest::report(&windows, most, inputs, started_at))
}

/// The settings of a run that a backtest of a source goes by.
#[must_use]
pub fn run_of(args: &BacktestArgs) -> RunArgs {
    RunArgs {
        source: args.source.clone(),
        policy: args.policy.clone(),
        output: args.output.clone(),
        ..RunArgs::default()
    }
}

/// Judges the windows of the past of a Prometheus.
///
/// # Errors
/// A flag cannot be read.
pub async fn backtest_source(
    args: &BacktestArgs,
    config: &Config,
    talk: &mut Talk,
) -> Result<Report, ConfigError> {
    let started_at = Timestamp::now();
    let Asked { length, most, past } = asked(args)?;
    let mut source = source::open(&config.source)?;
    let name = crate::summary::subject(config);
    let past = backtest::Past {
        from: started_at - jiff::SignedDuration::from_secs_f64(past),
        to: started_at,
        seconds: length,
        latency_limit_seconds: config.policy.latency_limit_seconds,
    };
    let mut told = Instant::now();
    let judged = backtest::remembered(&mut source, &name, &past, &config.policy, |index, count| {
        if told.elapsed() >= LINES_EVERY {
            told = Instant::now();
            talk.note(&format!("{index} of {count} windows"));
        }
    })
    .await;
    let windows = judged.unwrap_or_else(|error| {
        // Nothing could be asked: that is no verdict, with the reason.
        vec![Window {
            source: name.clone(),
            start: "the beginning".to_owned(),
            trials: Vec::new(),
            lost: Some(match &error.hint {
                Some(hint) => format!("{error}; {hint}"),
                None => error.to_string(),
            }),
        }]
    });
    Ok(backtest::report(&windows, most, Vec::new(), started_at))
}

/// Reads a file of somebody else. The answer is the section, and whether it holds any setting.
///
/// # Errors
/// The file is not there, or is neither of the two.
pub fn import(args: &ImportArgs) -> Result<(String, bool), ConfigError> {
    let text = read_text(&args.file, import::LARGEST)?;
    let imported = import::read(&text).map_err(|error| {
        ConfigError::new(format!("`{}`: {error}", args.file.display()))
            .hint("give an AnalysisTemplate as YAML, or a canary configuration of Kayenta as JSON")
    })?;
    Ok((imported.toml(), !imported.is_empty()))
}

/// What is served, checked.
///
/// # Errors
/// A flag cannot be read.
pub fn site(args: &ServeArgs) -> Result<Site, ConfigError> {
    let mut canaries: Vec<Canary> = Vec::new();
    for text in &args.log {
        let canary = match text.split_once('=') {
            Some((name, path)) if !name.trim().is_empty() && !path.is_empty() => Canary {
                name: name.trim().to_owned(),
                path: path.into(),
            },
            _ => {
                return Err(
                    ConfigError::new(format!("--log: `{text}` is not NAME=FILE"))
                        .hint("write --log production/api=canary.jsonl"),
                );
            }
        };
        if canaries.iter().any(|known| known.name == canary.name) {
            return Err(ConfigError::new(format!(
                "--log: `{}` is there twice",
                canary.name
            )));
        }
        canaries.push(canary);
    }
    let ages = Ages {
        silent_seconds: seconds("--stale-after", &args.stale_after)?,
        verdict_seconds: seconds("--max-age", &args.max_age)?,
    };
    Ok(Site::new(canaries, ages))
}

/// Serves until somebody ends it.
///
/// # Errors
/// A flag cannot be read, or the address is not free.
pub async fn serve(
    args: &ServeArgs,
    talk: &mut Talk,
    ended: impl Future<Output = ()>,
) -> Result<Exit, ConfigError> {
    let site = Arc::new(site(args)?);
    let server = Server::bind(args.listen).map_err(|error| {
        ConfigError::new(format!("cannot listen on {}: {error}", args.listen))
            .hint("choose another address with --listen")
    })?;
    let address = server.local_addr();
    if !address.ip().is_loopback() {
        talk.warning(&format!(
            "{address} can be reached from outside: everybody who does may read the verdicts"
        ));
    }
    talk.note(&format!("listening on http://{address}"));
    let answers = server.run(move |incoming| {
        let site = Arc::clone(&site);
        async move { site.answer(&incoming, Timestamp::now()) }
    });
    tokio::select! {
        () = ended => Ok(Exit::Interrupted),
        failed = answers => match failed {
            Err(error) => Err(ConfigError::new(format!("cannot serve on {address}: {error}"))),
        },
    }
}
