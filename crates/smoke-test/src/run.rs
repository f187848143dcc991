//! One smoke test from the first packet to the report.

use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gs_common::cli::Talk;
use gs_common::config::ConfigError;
use gs_common::http::{Client, Limits, Request};
use gs_common::report::{Place, Report};
use gs_common::units::show_duration;
use gs_common::verdict::Verdict;
use gs_common::way::hide;
use http::{HeaderMap, Method};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::config::{Config, Ready};
use crate::judge::reason;
use crate::probe::{World, openapi_checks};
use crate::progress::Ticker;
use crate::schedule::{self, Done, End};
use crate::suite::model::{Check, Probe, Retry, RoutesProbe, Suite, Template};
use crate::suite::{OPT_IN, read};
use crate::{diff, summary};

/// The tag of the gates that the command line adds.
const INFRA: &str = "infra";

/// How a run ended, for the summary.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// Why.
    pub end: End,
    /// The service never became ready: how long was waited, and the last thing it said.
    pub never_ready: Option<String>,
    /// Sentences about what was not looked at.
    pub not_covered: Vec<String>,
}

/// What `watch` keeps from run to run: the read suite.
#[derive(Debug)]
pub struct Session {
    /// The resolved command line.
    pub config: Config,
    suite: Suite,
    checks: Vec<Arc<Check>>,
    not_covered: Vec<String>,
    client: Client,
}

impl Session {
    /// Reads the suite and picks its checks.
    ///
    /// # Errors
    /// The suite is wrong, or a pattern means nothing in it.
    pub fn open(config: Config, talk: &mut Talk) -> Result<Self, ConfigError> {
        let suite = read(&config.source, &config.inputs)?;
        for warning in config.warnings.iter().chain(&suite.warnings) {
            talk.warning(warning);
        }
        for (name, variable) in &suite.variables {
            if variable.secret {
                hide(&config.redactor, name, &variable.value)?;
            }
        }
        let (checks, not_covered) = pick(&config, &suite)?;
        let client = Client::new(config.client.clone());
        Ok(Self {
            config,
            suite,
            checks,
            not_covered,
            client,
        })
    }

    /// Runs the checks once.
    pub async fn run(
        &self,
        talk: &mut Talk,
        quiet: bool,
        interrupt: impl Future<Output = ()>,
    ) -> Report {
        let world = Arc::new(self.world());
        let mut ended = Ended {
            end: End::Done,
            never_ready: None,
            not_covered: self.not_covered.clone(),
        };
        tokio::pin!(interrupt);
        if let Some(ready) = &self.config.ready {
            tokio::select! {
                biased;
                () = &mut interrupt => ended.end = End::Interrupted,
                () = tokio::time::sleep(world.deadline) => ended.end = End::Deadline,
                waited = wait_ready(&world, ready, talk) => ended.never_ready = waited.err(),
            }
        }
        let mut checks = self.checks.clone();
        if ended.end == End::Done && ended.never_ready.is_none() && self.config.openapi {
            self.sweep(&world, &mut checks, &mut ended).await;
        }
        let dones = if ended.end != End::Done || ended.never_ready.is_some() {
            Vec::new()
        } else {
            let ticker = Ticker::new(talk, checks.len(), quiet);
            let (dones, end) =
                schedule::run(&world, checks, self.config.jobs, ticker, interrupt).await;
            ended.end = end;
            dones
        };
        summary::report(&self.config, &world, dones, &ended)
    }

    fn world(&self) -> World {
        let scope = self
            .suite
            .variables
            .iter()
            .map(|(name, variable)| (name.clone(), variable.value.clone()));
        World {
            url: self.config.url.clone(),
            client: self.client.clone(),
            redactor: self.config.redactor.clone(),
            secret_headers: self.config.secret_headers.clone(),
            run_id: format!("smoke-{:016x}", fastrand::u64(..)),
            max_body: self.config.max_body,
            began: Instant::now(),
            began_at: Timestamp::now(),
            deadline: self.config.deadline,
            seed: self.config.seed,
            scope: Mutex::new(scope.collect()),
            alive: AtomicBool::new(false),
            dead_tries: AtomicU32::new(0),
        }
    }

    /// Adds the checks that the OpenAPI document asks for.
    async fn sweep(&self, world: &World, checks: &mut Vec<Arc<Check>>, ended: &mut Ended) {
        let like = self.added(
            "openapi",
            "the OpenAPI document is served",
            Probe::Routes(RoutesProbe {
                path: Template("/openapi.json".to_owned()),
            }),
        );
        match openapi_checks(world, &like, "/openapi.json").await {
            Ok(more) => checks.extend(more.into_iter().map(Arc::new)),
            Err(broken) => {
                // Asked for and not possible: the check itself says so, with the same words.
                ended
                    .not_covered
                    .push(format!("--openapi: {}", broken.message));
                checks.push(Arc::new(like));
            }
        }
    }

    fn added(&self, id: &str, title: &str, probe: Probe) -> Check {
        added(&self.config, id, title, probe)
    }
}

/// Runs a smoke test.
///
/// # Errors
/// The suite or a demand makes no sense; nothing was sent.
pub async fn run(
    config: Config,
    talk: &mut Talk,
    quiet: bool,
    interrupt: impl Future<Output = ()>,
) -> Result<Report, ConfigError> {
    let before = config.diff.as_deref().map(diff::load).transpose()?;
    let other = config.differs_from.as_deref().map(diff::load).transpose()?;
    let session = Session::open(config, talk)?;
    let mut report = session.run(talk, quiet, interrupt).await;
    if let Some(before) = before {
        diff::fold(&before, &mut report);
    }
    if let Some(other) = other {
        diff::must_differ(&other, &mut report);
    }
    Ok(report)
}

/// The checks to run, and sentences about those that are not.
fn pick(config: &Config, suite: &Suite) -> Result<(Vec<Arc<Check>>, Vec<String>), ConfigError> {
    let mut left_out = Vec::new();
    let mut checks: Vec<Arc<Check>> = Vec::new();
    let (mut writes, mut certificates) = (Vec::new(), Vec::new());
    for check in suite.select(&config.only, &config.skip)? {
        match &check.probe {
            Probe::Http(probe) if probe.request.writes() && !config.allow_writes => {
                writes.push(check.id.as_str())
            }
            Probe::Certificate(_) if config.url.scheme() != "https" => {
                certificates.push(check.id.as_str())
            }
            _ => checks.push(Arc::new(check.clone())),
        }
    }
    if !writes.is_empty() {
        left_out.push(format!(
            "checks that may change something ({}): --allow-writes runs them",
            writes.join(", ")
        ));
    }
    if !certificates.is_empty() {
        left_out.push(format!(
            "the certificate ({}): the target is plain http",
            certificates.join(", ")
        ));
    }
    let opt_in: Vec<&str> = suite
        .checks
        .iter()
        .filter(|check| config.only.is_empty() && check.is_opt_in())
        .map(|check| check.id.as_str())
        .collect();
    if !opt_in.is_empty() {
        let (checks, tags) = (opt_in.join(", "), OPT_IN.join(","));
        left_out.push(format!(
            "checks that have to be named ({checks}): --only {tags} runs them"
        ));
    }
    if !config.only.is_empty() || !config.skip.is_empty() {
        let rest = suite.checks.len() - checks.len();
        left_out.push(format!(
            "{rest} of {} checks of the suite: not selected",
            suite.checks.len()
        ));
    }
    if config.client.tls.insecure {
        left_out.push("certificates: --insecure accepts all".to_owned());
    }
    if let Some(version) = &config.version {
        let check = added(
            config,
            "deployed-version",
            "every answer comes from the deployed version",
            Probe::Version(version.clone()),
        );
        if checks.iter().all(|other| other.id != check.id) {
            checks.push(Arc::new(check));
        }
    }
    Ok((checks, left_out))
}

/// A check that the command line asks for.
fn added(config: &Config, id: &str, title: &str, probe: Probe) -> Check {
    Check {
        id: id.to_owned(),
        title: title.to_owned(),
        place: Place {
            path: "built-in:command-line".to_owned(),
            line: None,
        },
        tags: vec![INFRA.to_owned()],
        severity: Verdict::Fail,
        needs: Vec::new(),
        probe,
        captures: Vec::new(),
        retry: Retry {
            retries: config.inputs.retries.unwrap_or(2),
            base: Duration::from_millis(200),
            cap: Duration::from_secs(5),
            until: false,
        },
        timeout: config.inputs.timeout.unwrap_or(Duration::from_secs(10)),
        limit: Duration::from_secs(30),
        known_failure: None,
    }
}

/// Asks until the service is ready. The error says how long was waited and what came last.
async fn wait_ready(world: &World, ready: &Ready, talk: &mut Talk) -> Result<(), String> {
    let until = Instant::now() + ready.within;
    let mut in_a_row = 0;
    let mut told = Instant::now();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let limits = Limits {
            total: left
                .min(Duration::from_secs(5))
                .max(Duration::from_millis(1)),
            connect: Duration::from_secs(5),
            body: world.max_body,
        };
        let url = world
            .url
            .join(&ready.path)
            .map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::new();
        for (name, value) in &world.secret_headers {
            headers.insert(name, value.clone());
        }
        let request = Request {
            method: Method::GET,
            url,
            headers,
            body: bytes::Bytes::new(),
            limits,
            fresh: true,
        };
        let said = match world.client.send(&request).await {
            Ok(response) if response.status.is_success() => {
                in_a_row += 1;
                if in_a_row >= ready.matches {
                    return Ok(());
                }
                format!("ready {in_a_row} of {} times", ready.matches)
            }
            Ok(response) => {
                in_a_row = 0;
                format!("status {}", response.status.as_u16())
            }
            Err(failure) => {
                in_a_row = 0;
                failure.message
            }
        };
        if Instant::now() >= until {
            return Err(format!(
                "GET {} was not ready within {}: {said}",
                ready.path,
                show_duration(ready.within)
            ));
        }
        if told.elapsed() >= Duration::from_secs(5) {
            let left = show_duration(Duration::from_secs(
                until.saturating_duration_since(Instant::now()).as_secs(),
            ));
            talk.note(&format!(
                "waiting for GET {} to be ready, {left} left: {said}",
                ready.path
            ));
            told = Instant::now();
        }
        let pause = if in_a_row > 0 {
            Duration::from_millis(100)
        } else {
            Duration::from_secs(1)
        };
        tokio::time::sleep_until(until.min(Instant::now() + pause)).await;
    }
}

/// The reason of a whole run by how it ended and what its checks came to.
pub(crate) fn verdict_of(
    dones: &[Done],
    ended: &Ended,
    judged: &[(Verdict, Option<String>)],
) -> (Verdict, &'static str) {
    let worst = judged.iter().map(|(verdict, _)| *verdict).max();
    let any = |verdict: Verdict, code: &str| {
        judged
            .iter()
            .any(|(other, reason)| *other == verdict && reason.as_deref() == Some(code))
    };
    let all_failed_by = |code: &str| {
        judged
            .iter()
            .filter(|(verdict, _)| *verdict == Verdict::Fail)
            .all(|(_, reason)| reason.as_deref() == Some(code))
    };
    let verdict = worst.unwrap_or(Verdict::Inconclusive);
    let code = match (verdict, ended.end) {
        (_, End::Interrupted) => gs_common::report::INTERRUPTED,
        (Verdict::Fail, _) if all_failed_by(reason::WRONG_VERSION) => reason::WRONG_VERSION,
        (Verdict::Fail, _) if all_failed_by(reason::FLAKY) => reason::FLAKY,
        (Verdict::Fail, _) => reason::CHECKS_FAILED,
        (_, End::Deadline) => reason::DEADLINE,
        (_, _) if ended.never_ready.is_some() => reason::NEVER_READY,
        (_, _) if dones.is_empty() => reason::NOTHING_MEASURED,
        (Verdict::Inconclusive, _) if any(Verdict::Inconclusive, reason::TARGET_UNREACHABLE) => {
            reason::TARGET_UNREACHABLE
        }
        (Verdict::Inconclusive, _) => reason::NOTHING_MEASURED,
        (Verdict::Warn, _) => reason::WARNINGS,
        (Verdict::Pass, _) => reason::ALL_PASSED,
    };
    let verdict = if matches!(code, reason::DEADLINE)
        || ended.end == End::Interrupted && verdict < Verdict::Fail
    {
        Verdict::Inconclusive
    } else {
        verdict
    };
    (verdict, code)
}
