//! What is meant: everything typed and configured, checked before the first packet.

mod http2;
mod load;
mod target;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gs_common::config::{ConfigError, Project, Row, Settings};
use gs_common::http::ClientConfig;
use gs_common::redact::Redactor;
use gs_common::units;
use gs_common::way::{Short, hide, secret_headers, take_credentials, target, unverified};
use url::Url;

use crate::args::{ConnectionArgs, PersonaArgs, RunArgs};
use crate::engine::Plan;
use crate::goal::{self, Goal, Known, with_defaults};
use crate::persona::{Personas, read};
use crate::result::{Model, Stage};
use http2::http2;
use load::load;
use target::{fits_target, host_name, is_here, may_get_load};

/// Longer runs are slips of the keyboard.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// A load test with nothing left to guess about.
#[derive(Clone, Debug)]
pub struct Config {
    /// What to run.
    pub plan: Plan,
    /// What is demanded, defaults included.
    pub goals: Vec<Goal>,
    /// End early after a goal was lost for so long.
    pub abort_after: Option<Duration>,
    /// Limit of the whole run.
    pub deadline: Option<Duration>,
    /// The persona file, if it is not the built-in one.
    pub persona_file: Option<PathBuf>,
    /// What must appear in no output.
    pub redactor: Redactor,
    /// What deserves a look before the run.
    pub warnings: Vec<String>,
    /// Every setting with its origin.
    pub rows: Vec<Row>,
}

/// Which personas, and with what seed.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The personas.
    pub personas: Personas,
    /// Every setting with its origin.
    pub rows: Vec<Row>,
}

impl Config {
    /// Resolves a command line against the configuration file and the environment.
    ///
    /// # Errors
    /// Something typed or configured is wrong, or the target is not named or not allowed.
    pub fn resolve(
        args: &RunArgs,
        variables: &BTreeMap<String, String>,
        cwd: &Path,
    ) -> Result<Self, ConfigError> {
        let (config, url, allowed) = Self::settings(args, variables, cwd, false)?;
        if url.is_none() {
            return Err(
                ConfigError::new("no target: which service is to get the load?").hint(
                    "name its URL, such as `load-test http://127.0.0.1:8000`, or an environment: `--env staging`",
                ),
            );
        }
        may_get_load(&config.plan.target, &config.plan.client, &allowed)?;
        fits_target(
            &args.connection.resolve,
            &config.plan.target,
            &config.plan.client,
        )?;
        Ok(config)
    }

    /// The same where the target may be missing, for `load-test config`.
    ///
    /// # Errors
    /// Something typed or configured is wrong.
    pub fn rows(
        args: &RunArgs,
        variables: &BTreeMap<String, String>,
        cwd: &Path,
    ) -> Result<Vec<Row>, ConfigError> {
        Self::settings(args, variables, cwd, true).map(|(config, _, _)| config.rows)
    }

    fn settings(
        args: &RunArgs,
        variables: &BTreeMap<String, String>,
        cwd: &Path,
        dry: bool,
    ) -> Result<(Self, Option<Url>, Vec<String>), ConfigError> {
        let project = Project::find(args.personas.config.config.as_deref(), cwd)?;
        let mut set = Settings::new("load-test", &project, variables)?;
        let redactor = Redactor::new();
        let (mut url, row) = target(
            args.url.as_deref(),
            args.env.as_deref(),
            &project,
            "the personas' paths",
        )?;
        let any = |text: &str| Ok::<_, ConfigError>(text.to_owned());

        let load = load(&mut set, &args.load)?;
        let warm_up = set.value(
            "warm-up",
            args.load.warm_up.as_deref(),
            "0s",
            units::duration,
        )?;
        let drain = set.value("drain", args.load.drain.as_deref(), "10s", units::duration)?;
        let deadline = set.optional("deadline", args.load.deadline.as_deref(), some_time)?;
        let threads = set.value("threads", args.load.threads.as_deref(), "1", |text| {
            number(text, 1, 256)
        })?;
        let (mut personas, persona_file) = personas(&mut set, &args.personas, variables, dry)?;
        let seed = set.optional("seed", args.personas.seed.as_deref(), |text| {
            text.parse::<u64>().map_err(|_| "a whole number is wanted")
        })?;
        let given = set.list("goal", &args.goals.goal, Goal::parse)?;
        let slow = set.value("slow", args.goals.slow.as_deref(), "1s", some_time)?;
        let abort_after =
            set.optional("abort-after", args.goals.abort_after.as_deref(), some_time)?;
        let allowed = set.list("allow-host", &args.safety.allow_host, host_name)?;
        let max_rate = set.value("max-rate", args.safety.max_rate.as_deref(), "20000", rate)?;
        let lateness_limit = set.value(
            "max-lateness",
            args.safety.max_lateness.as_deref(),
            "100ms",
            some_time,
        )?;
        let connection = connection(
            &mut set,
            &args.connection,
            url.as_ref(),
            variables,
            &redactor,
        )?;
        let timeout = set.value(
            "timeout",
            args.connection.timeout.as_deref(),
            "10s",
            some_time,
        )?;
        let keep_alive = !set.switch("no-keep-alive", args.connection.no_keep_alive)?;
        let compression = set.switch("compression", args.connection.compression)?;
        for persona in &mut personas.personas {
            persona.compression.get_or_insert(compression);
        }
        let http2 = http2(&mut set, &args.connection, url.as_ref(), keep_alive)?;
        let max_body = set.value(
            "max-body",
            args.connection.max_body.as_deref(),
            "8MiB",
            units::size,
        )?;
        let pairs = set.list("header-env", &args.connection.header_env, any)?;
        let mut headers = secret_headers(&pairs, variables, Short::Refused, &redactor)?;
        if let Some(url) = &mut url {
            headers.extend(take_credentials(url, &redactor)?);
        }
        let (more, mut warnings) = set.finish()?;
        let mut rows = vec![row];
        rows.extend(more);

        for (name, value) in std::mem::take(&mut personas.secrets) {
            hide(&redactor, &format!("the variable `{name}`"), &value)?;
        }
        warnings.append(&mut personas.warnings);
        warnings.extend(unverified(&connection.tls));
        warnings.extend(http2.warning.map(str::to_owned));
        let (model, stages) = load;
        fits(&model, &stages, &personas, warm_up, max_rate)?;
        let at_a_rate = matches!(model, Model::Open { .. });
        let websockets = personas
            .personas
            .iter()
            .any(|persona| persona.websocket.is_some());
        goal::fits(&given, at_a_rate, websockets)
            .map_err(|why| ConfigError::new(format!("--goal {why}")))?;
        let goals = with_defaults(given, slow);
        knows(&goals, &personas, &stages)?;
        let mut plan = Plan {
            target: Url::parse("http://unknown.invalid")
                .map_err(|error| ConfigError::new(error.to_string()))?,
            personas: Arc::new(personas),
            model,
            stages,
            warm_up,
            // Whole numbers up to 2^53 survive every JSON reader.
            seed: seed.unwrap_or_else(|| fastrand::u64(..1 << 53)),
            timeout,
            drain,
            max_rate: Some(max_rate),
            threads: threads as usize,
            keep_alive,
            http2: http2.offered,
            prior_knowledge: http2.prior_knowledge,
            streams: http2.streams,
            client: connection,
            headers,
            max_body: usize::try_from(max_body).unwrap_or(usize::MAX / 2),
            slow_limit: slow,
            lateness_limit,
            shard: None,
        };
        if let Some(url) = &url {
            plan.target = url.clone();
        }
        let config = Self {
            plan,
            goals,
            abort_after,
            deadline,
            persona_file,
            redactor,
            warnings,
            rows,
        };
        Ok((config, url, allowed))
    }
}

impl Chosen {
    /// Resolves which personas are meant; a secret that is not set is only told.
    ///
    /// # Errors
    /// Something typed or configured is wrong.
    pub fn resolve(
        args: &PersonaArgs,
        variables: &BTreeMap<String, String>,
        cwd: &Path,
    ) -> Result<Self, ConfigError> {
        let run = RunArgs {
            personas: args.clone(),
            ..RunArgs::default()
        };
        let (config, _, _) = Config::settings(&run, variables, cwd, true)?;
        let mut personas = Personas::clone(&config.plan.personas);
        personas.warnings = config.warnings;
        Ok(Self {
            personas,
            rows: config.rows,
        })
    }
}

fn personas(
    set: &mut Settings<'_>,
    args: &PersonaArgs,
    variables: &BTreeMap<String, String>,
    dry: bool,
) -> Result<(Personas, Option<PathBuf>), ConfigError> {
    let file = set.path("personas", args.personas.as_deref())?;
    let choice = set.list("persona", &args.persona, |text| {
        let (name, weight) = match text.split_once('=') {
            None => (text, None),
            Some((name, weight)) => {
                let weight = number(weight, 0, 10_000)? as u32;
                (name, Some(weight))
            }
        };
        Ok::<_, String>((name.to_owned(), weight))
    })?;
    let inputs = read::Inputs {
        process: variables.clone(),
        dry,
    };
    let mut personas = read::read(file.as_deref(), &inputs)?;
    personas
        .choose(&choice)
        .map_err(|why| ConfigError::new(why).hint("`load-test dry-run` lists the personas"))?;
    Ok((personas, file))
}

fn connection(
    set: &mut Settings<'_>,
    args: &ConnectionArgs,
    target: Option<&Url>,
    variables: &BTreeMap<String, String>,
    redactor: &Redactor,
) -> Result<ClientConfig, ConfigError> {
    let none = BTreeMap::new();
    // For a proxy somewhere else, "this machine" is another one.
    let here = target
        .and_then(Url::host)
        .is_some_and(|host| is_here(&host));
    let variables = if here { &none } else { variables };
    Ok(ClientConfig {
        tls: args.tls.resolve(set)?,
        resolve: set.list("resolve", &args.resolve, str::parse)?,
        proxies: args.proxies.resolve(set, variables, redactor)?,
        user_agent: concat!("load-test/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..ClientConfig::default()
    })
}

/// What has to fit together across settings.
fn fits(
    model: &Model,
    stages: &[Stage],
    personas: &Personas,
    warm_up: Duration,
    max_rate: f64,
) -> Result<(), ConfigError> {
    let length = crate::engine::schedule::length(stages);
    if length > LONGEST {
        return Err(ConfigError::new("the run takes longer than a week").hint("shorten it"));
    }
    if warm_up >= length {
        return Err(
            ConfigError::new("the warm-up takes the whole run: nothing would be measured")
                .hint("shorten `--warm-up`, or lengthen `--duration`"),
        );
    }
    if let Model::Open { rate, .. } = model {
        if *rate > max_rate {
            return Err(ConfigError::new(format!(
                "a rate of {rate} is over the cap of {max_rate} requests a second"
            ))
            .hint("if that is meant, raise `--max-rate`"));
        }
        let channel = personas
            .personas
            .iter()
            .find(|persona| persona.websocket.is_some());
        if let Some(persona) = channel {
            return Err(ConfigError::new(format!(
                "`{}` holds a WebSocket, which a rate of requests cannot do",
                persona.name
            ))
            .hint("leave it out, or use `--users`"));
        }
    }
    Ok(())
}

fn knows(goals: &[Goal], personas: &Personas, stages: &[Stage]) -> Result<(), ConfigError> {
    let names: Vec<String> = personas
        .personas
        .iter()
        .map(|persona| persona.name.clone())
        .collect();
    let stages: Vec<String> = stages.iter().map(|stage| stage.name.clone()).collect();
    let known = Known {
        endpoints: &personas.endpoints,
        personas: &names,
        stages: &stages,
    };
    for goal in goals {
        goal.know(known)
            .map_err(|why| ConfigError::new(format!("--goal {why}")))?;
    }
    Ok(())
}

fn some_time(text: &str) -> Result<Duration, String> {
    let duration = units::duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() {
        return Err(format!("`{text}` is no time at all"));
    }
    Ok(duration)
}

fn number(text: &str, least: u64, most: u64) -> Result<u64, String> {
    text.parse::<u64>()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("`{text}` is no whole number from {least} to {most}"))
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|rate| rate.is_finite() && *rate > 0.0 && *rate <= 1e6)
        .ok_or_else(|| format!("`{text}` is no rate: write requests a second, above 0"))
}
