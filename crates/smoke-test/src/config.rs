//! What is meant: everything typed and configured, checked before the first packet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gs_common::config::{ConfigError, Project, Row, Settings};
use gs_common::http::ClientConfig;
use gs_common::redact::Redactor;
use gs_common::units;
use gs_common::way::{SecretHeader, Short, secret_headers, take_credentials, target, unverified};
use url::Url;

use crate::args::{RunArgs, SuiteArgs};
use crate::suite::model::{Template, Uptime, VersionProbe, VersionSource};
use crate::suite::{Inputs, Source, VERSION_MATCHES, json_pointer};

/// A smoke test with nothing left to guess about.
#[derive(Clone, Debug)]
pub struct Config {
    /// The service, without path.
    pub url: Url,
    /// The suite.
    pub source: Source,
    /// What the suite is read with.
    pub inputs: Inputs,
    /// Ids and tags to run; all if empty.
    pub only: Vec<String>,
    /// Ids and tags not to run.
    pub skip: Vec<String>,
    /// The version gate, if one is wanted.
    pub version: Option<VersionProbe>,
    /// Ask what the OpenAPI document declares.
    pub openapi: bool,
    /// A pass after a retry is a failure.
    pub fail_on_flaky: bool,
    /// Run checks that write.
    pub allow_writes: bool,
    /// Compare with this saved run.
    pub diff: Option<PathBuf>,
    /// Must differ from this saved run.
    pub differs_from: Option<PathBuf>,
    /// Limit of the run.
    pub deadline: Duration,
    /// Wait for the service first.
    pub ready: Option<Ready>,
    /// Checks at the same time.
    pub jobs: usize,
    /// Seed of the jitter.
    pub seed: u64,
    /// Largest body.
    pub max_body: usize,
    /// How to connect.
    pub client: ClientConfig,
    /// Headers for every request, whose values are secret.
    pub secret_headers: Vec<SecretHeader>,
    /// What must appear in no output.
    pub redactor: Redactor,
    /// What deserves a look before the run.
    pub warnings: Vec<String>,
    /// Every setting with its origin.
    pub rows: Vec<Row>,
}

/// Waiting for the service to become ready.
#[derive(Clone, Debug)]
pub struct Ready {
    /// At most so long.
    pub within: Duration,
    /// The path that has to answer 2xx.
    pub path: String,
    /// So many times in a row.
    pub matches: u32,
}

/// Settings without the target: what `config` and `validate` need.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The suite.
    pub source: Source,
    /// What it is read with.
    pub inputs: Inputs,
}

impl Config {
    /// Resolves a command line against the configuration file and the environment.
    ///
    /// # Errors
    /// Something typed or configured is wrong, or the target is not named.
    pub fn resolve(
        args: &RunArgs,
        variables: &BTreeMap<String, String>,
        cwd: &Path,
    ) -> Result<Self, ConfigError> {
        let (url, mut config) = Self::settings(args, variables, cwd)?;
        config.url = url.ok_or_else(|| {
            ConfigError::new("no target: which service is to be tested?")
                .hint("name its URL, such as `smoke-test https://staging.goldensignals.ai`, or an environment: `--env staging`")
        })?;
        Ok(config)
    }

    /// The same where the target may be missing, for `smoke-test config`.
    ///
    /// # Errors
    /// Something typed or configured is wrong.
    pub fn settings(
        args: &RunArgs,
        variables: &BTreeMap<String, String>,
        cwd: &Path,
    ) -> Result<(Option<Url>, Self), ConfigError> {
        let project = Project::find(args.suite.config.config.as_deref(), cwd)?;
        let mut set = Settings::new("smoke-test", &project, variables)?;
        let RunArgs {
            url: _,
            suite: picked,
            judging,
            timing,
            route,
            output: _,
        } = args;
        let redactor = Redactor::new();

        let (url, row) = target(
            args.url.as_deref(),
            picked.env.as_deref(),
            &project,
            "the suite's paths",
        )?;
        let source = set
            .path("suite", picked.suite.as_deref())?
            .map_or(Source::BuiltIn, Source::File);
        let any = |text: &str| Ok::<_, ConfigError>(text.to_owned());
        let only = set.list("only", &picked.only, any)?;
        let skip = set.list("skip", &picked.skip, any)?;
        let version = version(&mut set, judging)?;
        let openapi = set.switch("openapi", judging.openapi)?;
        let fail_on_flaky = set.switch("fail-on-flaky", judging.fail_on_flaky)?;
        let allow_writes = set.switch("allow-writes", judging.allow_writes)?;
        let diff = set.path("diff", judging.diff.as_deref())?;
        let differs_from = set.path("differs-from", judging.differs_from.as_deref())?;
        if differs_from.is_some() && version.is_none() {
            return Err(
                ConfigError::new("--differs-from compares what the version gate saw")
                    .hint("add --expect-version"),
            );
        }
        let deadline = set.value("deadline", timing.deadline.as_deref(), "5m", some_time)?;
        let timeout = set.optional("timeout", timing.timeout.as_deref(), some_time)?;
        let retries = set.optional("retries", timing.retries.as_deref(), |text| {
            number(text, 0, 100)
        })?;
        let ready = ready(&mut set, timing)?;
        let jobs = set.value("jobs", timing.jobs.as_deref(), "16", |text| {
            number(text, 1, 1000)
        })?;
        let seed = set.optional("seed", timing.seed.as_deref(), |text| {
            text.parse::<u64>().map_err(|_| "a whole number is wanted")
        })?;
        let max_body = set.value("max-body", route.max_body.as_deref(), "5MiB", units::size)?;
        let client = ClientConfig {
            connect_to: set.list("connect-to", &route.connect_to, str::parse)?,
            resolve: set.list("resolve", &route.resolve, str::parse)?,
            host: set.optional("host", route.host.as_deref(), any)?,
            sni: set.optional("sni", route.sni.as_deref(), any)?,
            tls: route.tls.resolve(&mut set)?,
            proxies: route.proxies.resolve(&mut set, variables, &redactor)?,
            user_agent: concat!("smoke-test/", env!("CARGO_PKG_VERSION")).to_owned(),
            http1_only: set.switch("http1", route.http1)?,
        };
        let pairs_of_headers = set.list("header-env", &route.header_env, any)?;
        let mut secret_headers =
            secret_headers(&pairs_of_headers, variables, Short::Refused, &redactor)?;
        let (more, mut warnings) = set.finish()?;
        let mut rows = vec![row];
        rows.extend(more);
        warnings.extend(unverified(&client.tls));
        let inputs = Inputs {
            environment: picked.env.clone(),
            process: variables.clone(),
            variables: pairs(&picked.var)?,
            timeout,
            retries: retries.and_then(|count| u32::try_from(count).ok()),
            dry: false,
        };
        let url = match url {
            Some(mut url) => {
                secret_headers.extend(take_credentials(&mut url, &redactor)?);
                Some(url)
            }
            None => None,
        };
        let config = Self {
            url: Url::parse("http://unknown.invalid")
                .map_err(|error| ConfigError::new(error.to_string()))?,
            source,
            inputs,
            only,
            skip,
            version,
            openapi,
            fail_on_flaky,
            allow_writes,
            diff,
            differs_from,
            deadline,
            ready,
            jobs,
            seed: seed.unwrap_or_else(|| fastrand::u64(..)),
            max_body: usize::try_from(max_body).unwrap_or(usize::MAX / 2),
            client,
            secret_headers,
            redactor,
            warnings,
            rows,
        };
        Ok((url, config))
    }
}

impl Suite {
    /// Resolves which suite is meant.
    ///
    /// # Errors
    /// Something typed or configured is wrong.
    pub fn resolve(
        args: &SuiteArgs,
        variables: &BTreeMap<String, String>,
        cwd: &Path,
    ) -> Result<Self, ConfigError> {
        let run = RunArgs {
            suite: args.clone(),
            ..RunArgs::default()
        };
        let (_, config) = Config::settings(&run, variables, cwd)?;
        Ok(Self {
            source: config.source,
            inputs: Inputs {
                dry: true,
                ..config.inputs
            },
        })
    }
}

fn version(
    set: &mut Settings<'_>,
    args: &crate::args::JudgingArgs,
) -> Result<Option<VersionProbe>, ConfigError> {
    let any = |text: &str| Ok::<_, ConfigError>(text.to_owned());
    let expect = set.optional("expect-version", args.expect_version.as_deref(), any)?;
    let source = set.value(
        "version-from",
        args.version_from.as_deref(),
        "/version",
        |text| match text {
            "openapi" => Ok(VersionSource::OpenApi),
            _ => match text.strip_prefix("header:") {
                Some(name) if !name.is_empty() => {
                    Ok(VersionSource::Header(name.to_ascii_lowercase()))
                }
                Some(_) => Err("the header's name is missing"),
                None => json_pointer(text).map(VersionSource::Pointer),
            },
        },
    )?;
    let default_path = if matches!(source, VersionSource::OpenApi) {
        "/openapi.json"
    } else {
        "/"
    };
    let path = set.value(
        "version-path",
        args.version_path.as_deref(),
        default_path,
        absolute_path,
    )?;
    let default = VERSION_MATCHES.to_string();
    let matches = set.value(
        "version-matches",
        args.version_matches.as_deref(),
        &default,
        |text| number(text, 1, 1000),
    )?;
    let max_uptime = set
        .optional("max-uptime", args.max_uptime.as_deref(), some_time)?
        .map(|max| Uptime {
            path: "/api/v1/performance".to_owned(),
            pointer: "/uptime".to_owned(),
            max,
        });
    let Some(expect) = expect else {
        if max_uptime.is_some() {
            return Err(ConfigError::new("--max-uptime is part of the version gate")
                .hint("add --expect-version"));
        }
        return Ok(None);
    };
    if expect.trim().is_empty() {
        return Err(
            ConfigError::new("--expect-version is empty").hint("is the pipeline's variable set?")
        );
    }
    Ok(Some(VersionProbe {
        path: Template(path),
        source,
        expect: Template(expect),
        matches: matches as u32,
        max_uptime,
    }))
}

fn ready(
    set: &mut Settings<'_>,
    args: &crate::args::TimingArgs,
) -> Result<Option<Ready>, ConfigError> {
    let within = set.optional("wait-ready", args.wait_ready.as_deref(), some_time)?;
    let path = set.value("ready-path", args.ready_path.as_deref(), "/", absolute_path)?;
    let matches = set.value(
        "ready-matches",
        args.ready_matches.as_deref(),
        "1",
        |text| number(text, 1, 100),
    )?;
    Ok(within.map(|within| Ready {
        within,
        path,
        matches: matches as u32,
    }))
}

fn pairs(typed: &[String]) -> Result<Vec<(String, String)>, ConfigError> {
    typed
        .iter()
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(
                ConfigError::new(format!("--var: `{pair}` is no NAME=VALUE"))
                    .hint("write --var symbol=AAPL"),
            ),
        })
        .collect()
}

fn some_time(text: &str) -> Result<Duration, String> {
    let time = units::duration(text).map_err(|error| error.to_string())?;
    if time.is_zero() {
        Err("no time at all is too little".to_owned())
    } else {
        Ok(time)
    }
}

fn number(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = text
        .parse::<usize>()
        .ok()
        .filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("`{text}` is no whole number from {least} to {most}"))
}

fn absolute_path(text: &str) -> Result<String, &'static str> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err("a path starts with `/`")
    }
}
