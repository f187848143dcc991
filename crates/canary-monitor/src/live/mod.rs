//! The main job: watching a canary beside stable, now.
//!
//! In reading order: [`state`] is the run as it stands, with what
//! was [`lost`] of it and its [`steps`], [`run`] the loop that waits, looks and hears, [`events`]
//! what it hears,
//! [`outcome`] how a run ends, [`hooks`] the commands of a pipeline, [`operator`] what a person can do,
//! [`face`], [`screen`] and [`terminal`] what is seen of it, [`clock`] its time.

pub mod clock;
pub mod events;
pub mod face;
pub mod hooks;
pub mod lost;
pub mod operator;
pub mod outcome;
pub mod run;
pub mod screen;
pub mod state;
pub mod steps;
mod terminal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::Arc;

use gs_common::cli::Talk;
use gs_common::config::ConfigError;
use gs_common::exit::Exit;
use gs_common::outside::{Outside, in_runtime, interrupted, removed_on_crash};
use gs_common::report::Report;
use jiff::Timestamp;

use crate::args::RunArgs;
use crate::config::{Config, fingerprint};
use crate::log::{self, HookLine, Log, LogHeader, Recording};
use crate::source::{self, Plan, Prepared, Source};
use crate::summary;
use clock::Steady;
use events::{Events, NotReady};
use face::Face;
use hooks::{Call, Done};
use operator::Keys;
use outcome::Outcome;
use run::Session;
use screen::Frame;
use state::{Extras, State};
use terminal::Terminal;

/// The main job of the command line.
pub(crate) fn command(args: &RunArgs, outside: &Outside<'_>) -> Result<Exit, ConfigError> {
    let sinks = outside.sinks()?;
    let config = Config::resolve(args, outside.variables, outside.cwd)?;
    let mut source = source::open(&config.source)?;
    let mut talk = outside.talk(config.redactor.clone());
    for warning in &config.warnings {
        talk.warning(warning);
    }
    let start = Start::open(&config)?;
    let folder = tempfile::Builder::new()
        .prefix("canary-monitor-")
        .tempdir()
        .map_err(|error| ConfigError::new(format!("cannot make a temporary folder: {error}")))?;
    let _gone = removed_on_crash(folder.path());
    let person = Person::of(outside, start.was_held());
    let report = in_runtime(async {
        let events = |orders| Events::new(interrupted(), config.course.deadline, orders);
        let Person {
            terminal,
            orders,
            face,
            who,
        } = person;
        let began = Timestamp::now();
        let session = start
            .session(
                &mut source,
                &config,
                Steady::start(),
                events(orders),
                &mut talk,
            )
            .await?;
        let report = match session {
            Err(why) => {
                let nothing = Nothing {
                    config: &config,
                    why,
                    began,
                    folder: folder.path(),
                };
                nothing
                    .conclude(Timestamp::now, interrupted(), &mut talk)
                    .await
            }
            Ok(ready) => {
                let session = Session {
                    config: &config,
                    state: ready.state,
                    plan: ready.plan,
                    clock: ready.clock,
                    events: ready.events,
                    face,
                    folder: folder.path(),
                    who,
                    log_was_told: false,
                };
                watched(session, &mut source, ready.resumed, &mut talk).await
            }
        };
        drop(terminal);
        Ok::<_, ConfigError>(report)
    })??;
    Ok(outside.finish(report, &config.redactor, &sinks, &mut talk))
}

/// Watches to the end and makes the report.
pub(crate) async fn watched(
    mut session: Session<'_>,
    source: &mut impl Source,
    resumed: bool,
    talk: &mut Talk,
) -> Report {
    let mut ended = session.state.ended_before();
    if ended.is_none() && resumed {
        ended = session.back_fill(source, talk).await;
    }
    let ended = match ended {
        Some(ended) => ended,
        None => session.watch(source, talk).await,
    };
    let (_, outcome) = session.conclude(&ended, talk).await;
    summary::of(
        session.config,
        &session.state,
        Some(&outcome),
        session.clock.now(),
    )
}

/// The log of a run, new or gone on with.
pub(crate) struct Start {
    log: Option<Log>,
    recording: Option<Recording>,
}

/// A run that can begin.
pub(crate) struct Ready {
    pub(crate) state: State,
    pub(crate) plan: Plan,
    pub(crate) clock: Steady,
    pub(crate) events: Events,
    pub(crate) resumed: bool,
}

impl Start {
    /// Opens the log that is wanted, if one is.
    ///
    /// # Errors
    /// It cannot be opened, or belongs to another run.
    pub(crate) fn open(config: &Config) -> Result<Self, ConfigError> {
        let nothing = Self {
            log: None,
            recording: None,
        };
        let Some(path) = &config.log else {
            return Ok(nothing);
        };
        let opened = if config.resume {
            Log::resume(path)
        } else {
            Log::create(path).map(|log| (log, None))
        };
        let (log, recording) =
            opened.map_err(|error| ConfigError::new(error.to_string()).hint(error.hint()))?;
        if let Some(recording) = &recording {
            same_run(recording, config)?;
        }
        Ok(Self {
            log: Some(log),
            recording,
        })
    }

    fn was_held(&self) -> bool {
        let lines = self.recording.iter().flat_map(|recording| &recording.lines);
        lines.fold(false, |held, line| match line {
            log::Line::Operator { action, .. } if action == "hold" => true,
            log::Line::Operator { action, .. } if action == "release" => false,
            _ => held,
        })
    }

    /// Prepares the source and the state, or says why there is nothing to watch.
    pub(crate) async fn session(
        self,
        source: &mut impl Source,
        config: &Config,
        clock: Steady,
        mut events: Events,
        talk: &mut Talk,
    ) -> Result<Result<Ready, NotReady>, ConfigError> {
        let header = self
            .recording
            .as_ref()
            .and_then(|recording| recording.log.clone());
        let plan = || Plan {
            started_at: header
                .as_ref()
                .map_or_else(|| clock.now(), |header| header.started_at),
            duration_seconds: config.course.duration_seconds,
            canary_weight: config.course.weight,
            latency_limit_seconds: config.policy.latency_limit_seconds,
            time_scale: config.course.time_scale,
        };
        let (plan, prepared) = match events::prepare(source, plan, config, &mut events, talk).await
        {
            Ok(prepared) => prepared,
            Err(why) => return Ok(Err(why)),
        };
        for warning in &prepared.warnings {
            talk.warning(warning);
        }
        let extras = Extras {
            step_seconds: config.course.step_seconds,
            legacy: config.legacy_view,
        };
        let (state, resumed) = match (header, &self.recording) {
            (Some(header), Some(recording)) => {
                let edges = &header.observations.edges_seconds;
                if *edges != prepared.header.edges_seconds {
                    let error = source::SourceError {
                        what: "the histogram's edges are not those of the log any more".to_owned(),
                        hint: Some("start a new run with a new log".to_owned()),
                    };
                    return Ok(Err(NotReady::Source(error, 1)));
                }
                for lost in &recording.lost {
                    talk.warning(&format!("the log: {lost}"));
                }
                (State::resumed(header, recording, self.log, extras), true)
            }
            _ => {
                let header = header_of(config, &plan, prepared)
                    .settled()
                    .map_err(|error| ConfigError::new(format!("cannot write a log: {error}")))?;
                (State::new(header, self.log, extras), false)
            }
        };
        Ok(Ok(Ready {
            state,
            plan,
            clock,
            events,
            resumed,
        }))
    }
}

/// A run that found nothing to watch. What the pipeline chose holds for it, too.
pub(crate) struct Nothing<'a> {
    pub(crate) config: &'a Config,
    pub(crate) why: NotReady,
    pub(crate) began: Timestamp,
    pub(crate) folder: &'a std::path::Path,
}

impl Nothing<'_> {
    /// Runs the command that follows from no verdict, and makes the report.
    pub(crate) async fn conclude(
        self,
        now: impl Fn() -> Timestamp,
        interrupted: impl Future<Output = ()>,
        talk: &mut Talk,
    ) -> Report {
        let pipeline = &self.config.pipeline;
        let (decision, ended) = self.why.decision();
        let mut outcome = Outcome::of(&decision, &ended, None, pipeline.no_verdict);
        let mut hooks = Vec::new();
        let report = |outcome: &Outcome, hooks: &[HookLine]| {
            summary::of_nothing(self.config, &self.why, outcome, hooks, self.began, now())
        };
        if let Some((when, command)) = pipeline.hooks.after(&outcome) {
            let run = format!("{:016x}", fastrand::u64(..));
            let call = Call::new(when, command, &run, None, Some(outcome.told()));
            if pipeline.dry_run {
                hooks.push(call.line(0.0, "dry_run"));
            } else {
                let done =
                    match hooks::write_report(self.config, self.folder, report(&outcome, &hooks)) {
                        Err(why) => Done::never(call, why),
                        Ok(path) => {
                            hooks::run(
                                call,
                                &path,
                                pipeline.hook_timeout,
                                &self.config.redactor,
                                interrupted,
                            )
                            .await
                        }
                    };
                hooks.push(done.line(0.0));
                outcome = outcome.after(&done, done.was_cancelled);
            }
        }
        for sentence in &outcome.aloud {
            talk.warning(sentence);
        }
        report(&outcome, &hooks)
    }
}

fn header_of(config: &Config, plan: &Plan, prepared: Prepared) -> LogHeader {
    let settings = config.identity();
    let clean = |text: String| config.redactor.text(&text).into_owned();
    LogHeader {
        schema: log::SCHEMA.to_owned(),
        tool: summary::tool(),
        run: format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
        subject: summary::subject(config),
        started_at: plan.started_at,
        observations: prepared.header,
        policy: config.policy.clone(),
        settings_sha256: fingerprint(&settings),
        settings,
        queries: prepared.queries.into_iter().map(clean).collect(),
        steps: config.course.steps.clone(),
        time_scale: config.course.time_scale,
        warnings: prepared.warnings.into_iter().map(clean).collect(),
    }
}

/// Refuses a log that tells of another run, or of one that is over.
fn same_run(recording: &Recording, config: &Config) -> Result<(), ConfigError> {
    let Some(header) = &recording.log else {
        return Ok(());
    };
    if let Some((verdict, reason, _)) = recording.outcome()
        && reason != crate::judge::reason::INTERRUPTED
    {
        return Err(
            ConfigError::new(format!("the run of this log is over: {verdict} ({reason})"))
                .hint("read it with `canary-monitor replay`, or name another log for a new run"),
        );
    }
    let settings = config.identity();
    if header.settings_sha256 == fingerprint(&settings) {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "the log belongs to a run with other settings: {}",
        differences(&header.settings, &settings).join(", ")
    ))
    .hint("resume with the settings that it was started with, or name another log for a new run"))
}

fn differences(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let shown = |value: Option<&String>| match value.map(String::as_str) {
        None | Some("") => "nothing".to_owned(),
        Some(value) => format!("`{value}`"),
    };
    keys.into_iter()
        .filter(|key| before.get(*key) != now.get(*key))
        .map(|key| {
            format!(
                "{key} was {}, now {}",
                shown(before.get(key)),
                shown(now.get(key))
            )
        })
        .collect()
}

/// Who looks on, and what they can type.
struct Person {
    terminal: Option<Terminal>,
    orders: tokio::sync::mpsc::UnboundedReceiver<operator::Order>,
    face: Face,
    who: String,
}

impl Person {
    fn of(outside: &Outside<'_>, held: bool) -> Self {
        let output = outside.output;
        let live = outside.has_screen();
        let (terminal, orders) = if live {
            Terminal::take(Keys::of(held))
        } else {
            // Nobody will ever send anything.
            (None, tokio::sync::mpsc::unbounded_channel().1)
        };
        let keys = terminal.as_ref().map(|terminal| Arc::clone(&terminal.keys));
        let face = if output.quiet {
            Face::Quiet
        } else if live {
            Face::screen(frame(outside), keys)
        } else {
            Face::lines(output.verbose > 0)
        };
        let names = ["SUDO_USER", "USER", "LOGNAME", "GITHUB_ACTOR"];
        let mut known = names.iter().filter_map(|name| outside.variables.get(*name));
        let who = known
            .find(|name| !name.is_empty())
            .cloned()
            .unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()));
        Self {
            terminal,
            orders,
            face,
            who,
        }
    }
}

/// How a screen on stderr looks.
pub(crate) fn frame(outside: &Outside<'_>) -> Frame {
    let width = console::Term::stderr()
        .size_checked()
        .map_or(80, |(_, columns)| usize::from(columns));
    let color = outside
        .output
        .color
        .wanted(outside.variables, std::io::stderr().is_terminal());
    Frame { color, width }
}

/// Seconds of a run at a moment of the wall clock.
pub(crate) fn moment_seconds(header: &LogHeader, moment: Timestamp) -> f64 {
    moment.duration_since(header.started_at).as_secs_f64() * header.time_scale
}
