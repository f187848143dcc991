//! What is meant: everything typed and configured, checked before anything is asked or judged.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gs_common::config::{ConfigError, Origin, Project, Row, Settings, did_you_mean};
use gs_common::process;
use gs_common::redact::Redactor;
use gs_common::units;

use crate::args::{CourseArgs, PipelineArgs, PolicyArgs, RecordArgs, RunArgs};
use crate::judge::Policy;
use crate::source::SourceConfig;
use crate::source::config::Kind;

/// More steps than that are no rollout.
const MOST_STEPS: usize = 50;

/// Settings that change how a run is served and not what it judges: a run may be resumed with others.
const NOT_JUDGED_BY: [&str; 7] = [
    "deadline",
    "wait-ready",
    "log",
    "timeout",
    "max-answer",
    "hook-timeout",
    "proxy",
];

/// A run with nothing left to guess about.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the judge goes by.
    pub policy: Policy,
    /// Where the counters are.
    pub source: SourceConfig,
    /// How long, and at which weights.
    pub course: Course,
    /// The decision log, where one is wanted.
    pub log: Option<PathBuf>,
    /// Go on with the run in that log.
    pub resume: bool,
    /// Show what the guide's plain rule says.
    pub legacy_view: bool,
    /// What a pipeline does with the verdict.
    pub pipeline: Pipeline,
    /// Knows every secret of the run.
    pub redactor: Redactor,
    /// Every setting with its origin.
    pub rows: Vec<Row>,
    /// What deserves a look before the run.
    pub warnings: Vec<String>,
}

/// How long a canary is watched, and at which weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// How long in all, in seconds of the run.
    pub duration_seconds: f64,
    /// The declared share of the canary, where it stays the same and somebody said it.
    pub weight: Option<f64>,
    /// The shares to go through; empty where the weight is somebody else's business.
    pub steps: Vec<f64>,
    /// How long each of them is watched, in seconds of the run.
    pub step_seconds: f64,
    /// How long to wait for the metrics at the start, of the wall clock.
    pub wait_ready: Duration,
    /// When the run ends, whatever is unfinished; of the wall clock.
    pub deadline: Option<Duration>,
    /// So many seconds of the run in each second of the wall clock.
    pub time_scale: f64,
}

/// What a pipeline does with the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// The commands.
    pub hooks: Hooks,
    /// What no verdict becomes.
    pub no_verdict: NoVerdict,
    /// How long a command may take, of the wall clock.
    pub hook_timeout: Duration,
    /// No command is run.
    pub dry_run: bool,
}

/// Commands: words, the program first. No shell reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// At the start of each step.
    pub step: Option<Vec<String>>,
    /// After a pass.
    pub pass: Option<Vec<String>>,
    /// After a fail.
    pub fail: Option<Vec<String>>,
    /// Without a verdict.
    pub inconclusive: Option<Vec<String>>,
}

/// What no verdict becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoVerdict {
    /// It stays one: exit code 3.
    #[default]
    Hold,
    /// A fail, said aloud.
    Fail,
    /// A pass, said aloud.
    Pass,
}

impl NoVerdict {
    /// The word that is typed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Fail => "fail",
            Self::Pass => "pass",
        }
    }
}

impl Config {
    /// Resolves a command line against the configuration file and the environment.
    ///
    /// # Errors
    /// Something typed or configured is wrong.
    pub fn resolve(
        args: &RunArgs,
        variables: &BTreeMap<String, String>,
        cwd: &Path,
    ) -> Result<Self, ConfigError> {
        let project = Project::find(args.policy.config.config.as_deref(), cwd)?;
        let mut set = Settings::new("canary-monitor", &project, variables)?;
        let redactor = Redactor::new();
        let (policy, course, log, pipeline) = judged_by(args, &mut set)?;
        let source = SourceConfig::resolve(&args.source, &mut set, variables, &redactor)?;
        let (rows, mut warnings) = set.finish()?;
        warnings.extend(source.warnings.iter().cloned());
        let config = Self {
            policy,
            source,
            course,
            log,
            resume: args.record.resume,
            legacy_view: args.record.legacy_view,
            pipeline,
            redactor,
            rows,
            warnings,
        };
        config.checked(args)
    }

    /// Only the policy, for verbs that judge what was recorded. What is wrong about the source does not
    /// concern them.
    ///
    /// # Errors
    /// Something else that was typed or configured is wrong.
    pub fn policy(
        args: &PolicyArgs,
        variables: &BTreeMap<String, String>,
        cwd: &Path,
    ) -> Result<(Policy, Vec<String>), ConfigError> {
        let project = Project::find(args.config.config.as_deref(), cwd)?;
        let mut set = Settings::new("canary-monitor", &project, variables)?;
        let args = RunArgs {
            policy: args.clone(),
            ..RunArgs::default()
        };
        let (policy, ..) = judged_by(&args, &mut set)?;
        let source = SourceConfig::resolve(&args.source, &mut set, variables, &Redactor::new());
        // Half-asked settings cannot tell unknown keys from those that were not reached.
        let warnings = if source.is_ok() {
            set.finish()?.1
        } else {
            Vec::new()
        };
        Ok((policy, warnings))
    }

    /// What has to hold across settings.
    fn checked(mut self, args: &RunArgs) -> Result<Self, ConfigError> {
        self.look_faster();
        let course = &self.course;
        if course.time_scale != 1.0 && self.source.kind.is_some() && !self.source.is_loopback() {
            return Err(ConfigError::new(
                "--time-scale is for gs-sim on this machine: a source lies elsewhere",
            )
            .hint("leave --time-scale out: real canaries are judged in real time"));
        }
        if let Some(deadline) = course.deadline {
            let needed = course.duration_seconds / course.time_scale;
            if deadline.as_secs_f64() <= needed {
                let needed = units::show_duration(Duration::from_secs_f64(needed));
                return Err(ConfigError::new(format!(
                    "--deadline: the watch alone takes {needed}, so that no run could pass"
                ))
                .hint("allow more time, or shorten --duration"));
            }
        }
        if !course.steps.is_empty() && args.course.duration.is_some() {
            return Err(ConfigError::new(
                "--duration and --steps are both given: the steps say how long the watch is",
            )
            .hint("leave --duration out and set --step-duration"));
        }
        if !course.steps.is_empty() && self.pipeline.hooks.step.is_none() {
            self.warnings.push(
                "--steps without --on-step: nothing here sets the weights, somebody else has to"
                    .to_owned(),
            );
        }
        if course.steps.is_empty() && self.pipeline.hooks.step.is_some() {
            self.warnings
                .push("--on-step without --steps is never run".to_owned());
        }
        let settled = self.policy.warm_up_seconds + self.policy.check_seconds;
        if course.duration_seconds <= settled {
            self.warnings.push(format!(
                "the watch of {:.0} s is no longer than the warm-up of {:.0} s and one check: it cannot pass",
                course.duration_seconds, self.policy.warm_up_seconds
            ));
        }
        self.warnings.extend(self.pipeline.hooks.warnings());
        Ok(self)
    }

    /// The default interval of looks is meant in seconds of the run; a typed one in those of the wall
    /// clock, as a scraper counts.
    fn look_faster(&mut self) {
        if let Some(Kind::Scrape(scrape)) = &mut self.source.kind
            && !was_set(&self.rows, "scrape-interval")
        {
            scrape.interval = scrape.interval.div_f64(self.course.time_scale);
        }
    }

    /// What the run is judged by and what it does, as text: key and value, sorted.
    #[must_use]
    pub fn identity(&self) -> BTreeMap<String, String> {
        let rows = self.rows.iter();
        rows.filter(|row| !NOT_JUDGED_BY.contains(&row.key.as_str()))
            .map(|row| (row.key.clone(), self.redactor.text(&row.value).into_owned()))
            .collect()
    }
}

/// SHA-256 of a run's identity, as lowercase hexadecimal.
#[must_use]
pub fn fingerprint(identity: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (key, value) in identity {
        // Lengths keep two settings from flowing into each other.
        let _ = writeln!(text, "{}:{key}={}:{value}", key.len(), value.len());
    }
    gs_common::fingerprint::sha256(text.as_bytes())
}

impl Hooks {
    /// Each with the flag that names it.
    fn all(&self) -> [(&'static str, Option<&Vec<String>>); 4] {
        [
            ("--on-step", self.step.as_ref()),
            ("--on-pass", self.pass.as_ref()),
            ("--on-fail", self.fail.as_ref()),
            ("--on-inconclusive", self.inconclusive.as_ref()),
        ]
    }

    /// What looks as if a shell were expected.
    fn warnings(&self) -> Vec<String> {
        let meant_for_a_shell = |word: &&String| {
            matches!(
                word.as_str(),
                "|" | "||" | "&&" | ";" | "&" | ">" | ">>" | "<"
            )
        };
        let named = self.all().into_iter();
        named
            .filter_map(|(flag, words)| {
                let word = words?.iter().find(meant_for_a_shell)?;
                Some(format!(
                    "{flag}: `{word}` is handed over as it is, no shell reads the command: write sh -c '...' for one"
                ))
            })
            .collect()
    }
}

type JudgedBy = (Policy, Course, Option<PathBuf>, Pipeline);

fn judged_by(args: &RunArgs, set: &mut Settings<'_>) -> Result<JudgedBy, ConfigError> {
    Ok((
        policy(&args.policy, set)?,
        course(&args.course, set)?,
        log(&args.record, set)?,
        pipeline(&args.pipeline, set)?,
    ))
}

fn policy(args: &PolicyArgs, set: &mut Settings<'_>) -> Result<Policy, ConfigError> {
    let policy = Policy {
        check_seconds: set.value("interval", args.interval.as_deref(), "30s", |text| {
            within(text, 1.0, 86_400.0)
        })?,
        error_limit: set.value("error-limit", args.error_limit.as_deref(), "5%", limit)?,
        latency_limit_seconds: set.value(
            "latency-limit",
            args.latency_limit.as_deref(),
            "1s",
            |text| within(text, 0.001, 3600.0),
        )?,
        slow_limit: set.value(
            "slow-share-limit",
            args.slow_share_limit.as_deref(),
            "5%",
            limit,
        )?,
        warm_up_seconds: set.value("warm-up", args.warm_up.as_deref(), "90s", |text| {
            within(text, 0.0, 86_400.0)
        })?,
        coverage: set.value(
            "min-coverage",
            args.min_coverage.as_deref(),
            "80%",
            |text| units::share(text).map_err(|error| error.to_string()),
        )?,
        ..Policy::default()
    };
    Ok(Policy {
        longest_warm_up_seconds: policy.longest_warm_up_seconds.max(policy.warm_up_seconds),
        ..policy
    })
}

fn course(args: &CourseArgs, set: &mut Settings<'_>) -> Result<Course, ConfigError> {
    let days = 30.0 * 86_400.0;
    let duration = set.value("duration", args.duration.as_deref(), "15m", |text| {
        within(text, 1.0, days)
    })?;
    let weight = set.optional("weight", args.weight.as_deref(), |text| {
        let share = units::share(text).map_err(|error| error.to_string())?;
        if share > 0.0 && share < 1.0 {
            Ok(share)
        } else {
            Err(format!(
                "`{text}` is no weight of a canary: it lies between 0% and 100%"
            ))
        }
    })?;
    let steps = set.list("steps", &args.steps, step)?;
    let step_seconds = set.value(
        "step-duration",
        args.step_duration.as_deref(),
        "5m",
        |text| within(text, 1.0, days),
    )?;
    if steps.windows(2).any(|pair| pair[0] >= pair[1]) || steps.len() > MOST_STEPS {
        return Err(ConfigError::new(format!(
            "--steps: the weights do not grow from step to step, or are more than {MOST_STEPS}"
        ))
        .hint("write --steps 10,25,50"));
    }
    let wait_ready = set.value("wait-ready", args.wait_ready.as_deref(), "30s", |text| {
        wall(text, 0.0, 86_400.0)
    })?;
    let deadline = set.optional("deadline", args.deadline.as_deref(), |text| {
        wall(text, 0.1, 31.0 * 86_400.0)
    })?;
    let time_scale = set.value("time-scale", args.time_scale.as_deref(), "1", |text| {
        let scale: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
        if (1.0..=1000.0).contains(&scale) {
            Ok(scale)
        } else {
            Err(format!("`{text}` does not lie between 1 and 1000"))
        }
    })?;
    let duration_seconds = if steps.is_empty() {
        duration
    } else {
        step_seconds * steps.len() as f64
    };
    Ok(Course {
        duration_seconds,
        weight: weight.filter(|_| steps.is_empty()),
        steps,
        step_seconds,
        wait_ready,
        deadline,
        time_scale,
    })
}

/// A weight in per cent, with or without the sign.
fn step(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim();
    let percent: f64 = number
        .parse()
        .map_err(|_| format!("`{text}` is no weight in per cent: write 10,25,50"))?;
    if percent > 0.0 && percent <= 100.0 {
        Ok(percent / 100.0)
    } else {
        Err(format!("`{text}` does not lie between 0 and 100 per cent"))
    }
}

fn log(args: &RecordArgs, set: &mut Settings<'_>) -> Result<Option<PathBuf>, ConfigError> {
    set.path("log", args.log.as_deref())
}

fn pipeline(args: &PipelineArgs, set: &mut Settings<'_>) -> Result<Pipeline, ConfigError> {
    let words = |text: &str| process::words(text).map_err(|error| error.to_string());
    let hooks = Hooks {
        step: set.optional("on-step", args.on_step.as_deref(), words)?,
        pass: set.optional("on-pass", args.on_pass.as_deref(), words)?,
        fail: set.optional("on-fail", args.on_fail.as_deref(), words)?,
        inconclusive: None,
    };
    let mut ends = Vec::new();
    let mut commands = Vec::new();
    for text in set.list("on-inconclusive", &args.on_inconclusive, |text| {
        Ok::<_, ConfigError>(text.to_owned())
    })? {
        match text.as_str() {
            "hold" => ends.push(NoVerdict::Hold),
            "fail" => ends.push(NoVerdict::Fail),
            "pass" => ends.push(NoVerdict::Pass),
            // It would be run as a command, and only where there is no verdict.
            typo if let Some(end) = did_you_mean(typo, ["hold", "fail", "pass"]) => {
                return Err(ConfigError::new(format!(
                    "--on-inconclusive: `{typo}` is no end: did you mean `{end}`?"
                ))
                .hint(format!("a command of that name is written `./{typo}`")));
            }
            command => commands.push(
                words(command)
                    .map_err(|error| ConfigError::new(format!("--on-inconclusive: {error}")))?,
            ),
        }
    }
    if ends.len() > 1 || commands.len() > 1 {
        return Err(ConfigError::new(
            "--on-inconclusive is given more than one end, or more than one command",
        )
        .hint("give at most one of hold, fail and pass, and at most one command"));
    }
    let hook_timeout = set.value("hook-timeout", args.hook_timeout.as_deref(), "2m", |text| {
        wall(text, 0.1, 86_400.0)
    })?;
    Ok(Pipeline {
        hooks: Hooks {
            inconclusive: commands.pop(),
            ..hooks
        },
        no_verdict: ends.pop().unwrap_or_default(),
        hook_timeout,
        dry_run: set.switch("dry-run", args.dry_run)?,
    })
}

fn wall(text: &str, least: f64, most: f64) -> Result<Duration, String> {
    within(text, least, most).map(Duration::from_secs_f64)
}

fn within(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let seconds = units::duration(text)
        .map_err(|error| error.to_string())?
        .as_secs_f64();
    if (least..=most).contains(&seconds) {
        return Ok(seconds);
    }
    let shown = |seconds: f64| units::show_duration(Duration::from_secs_f64(seconds));
    Err(format!(
        "`{text}` does not lie between {} and {}",
        shown(least),
        shown(most)
    ))
}

fn limit(text: &str) -> Result<f64, String> {
    let share = units::share(text).map_err(|error| error.to_string())?;
    if share > 0.0 && share < 1.0 {
        Ok(share)
    } else {
        Err(format!("`{text}` is no limit: it lies between 0% and 100%"))
    }
}

/// Whether a setting was set by somebody, and not by its default.
fn was_set(rows: &[Row], key: &str) -> bool {
    rows.iter()
        .any(|row| row.key == key && row.origin != Origin::Default)
}
