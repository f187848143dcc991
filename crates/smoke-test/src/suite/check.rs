//! Reading one check.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use gs_common::config::ConfigError;
use gs_common::verdict::Verdict;

use super::model::{
    Capture, CaptureSource, CertificateProbe, Check, HttpProbe, KnownFailure, Probe,
    RequestTemplate, Retry, RoutesProbe, Samples, Shadow, Template, Uptime, VersionProbe,
    VersionSource,
};
use super::request::{header_templates, path, request, required_path};
use super::template::is_name;
use super::websocket;
use super::{assertion, expect};
use gs_common::config::fields::{Fields, Item};

/// So many consecutive matches by default: 20 see a version that serves 14% of the answers with a
/// probability of 95% (1 - 0.05^(1/20)).
pub const VERSION_MATCHES: u32 = 20;

/// What a suite says for all of its checks.
#[derive(Clone, Debug)]
pub(super) struct Defaults {
    pub(super) tags: Vec<String>,
    pub(super) severity: Verdict,
    pub(super) headers: Vec<(String, Template)>,
    pub(super) timeout: Duration,
    pub(super) limit: Duration,
    pub(super) retry: Retry,
}

impl Defaults {
    /// Reads the `[defaults]` table, if there is one.
    pub(super) fn read(fields: Option<Fields<'_>>, base: &Self) -> Result<Self, ConfigError> {
        let Some(fields) = fields else {
            return Ok(base.clone());
        };
        let (timeout, limit) = limits(&fields, base.timeout, base.limit)?;
        let defaults = Self {
            tags: tags(&fields)?,
            severity: fields
                .get("severity")
                .map(|item| item.read(assertion::severity))
                .transpose()?
                .unwrap_or(base.severity),
            headers: header_templates(&fields)?,
            timeout,
            limit,
            retry: retry(fields.fields("retry")?, base.retry)?,
        };
        fields.finish()?;
        Ok(defaults)
    }
}

pub(super) fn check(item: &Item<'_>, defaults: &Defaults) -> Result<Check, ConfigError> {
    let fields = item.fields()?;
    let id_item = fields.get("id").ok_or_else(|| {
        fields
            .error("a check has no `id`")
            .hint("write `id = \"a-short-name\"`: reports and `--only` use it")
    })?;
    let id = id_item.read(id)?;
    let severity = match fields.get("severity") {
        Some(item) => item.read(assertion::severity)?,
        None => defaults.severity,
    };
    let mut all_tags = defaults.tags.clone();
    for tag in tags(&fields)? {
        if !all_tags.contains(&tag) {
            all_tags.push(tag);
        }
    }
    let (timeout, limit) = limits(&fields, defaults.timeout, defaults.limit)?;
    let check = Check {
        title: fields.text("title")?.unwrap_or_else(|| id.clone()),
        place: item.file.place(&id_item.value.span()),
        tags: all_tags,
        severity,
        needs: fields.texts("needs")?,
        probe: probe(&fields, defaults, severity)?,
        captures: captures(fields.fields("capture")?)?,
        retry: retry(fields.fields("retry")?, defaults.retry)?,
        timeout,
        limit,
        known_failure: fields
            .fields("known_failure")?
            .map(known_failure)
            .transpose()?,
        id,
    };
    if check.known_failure.is_some() && check.severity != Verdict::Fail {
        return Err(fields
            .error("a `known_failure` accepts a failure, and a check of severity `warn` has none")
            .hint("take one of them out"));
    }
    if !check.captures.is_empty() && !matches!(check.probe, Probe::Http(_)) {
        return Err(fields.error(
            "only requests capture here; in a conversation, `capture` belongs to `expect`",
        ));
    }
    fields.finish()?;
    Ok(check)
}

fn id(text: &str) -> Result<String, &'static str> {
    let right =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || !text.chars().all(right) {
        return Err("an id holds lowercase letters, digits, `-`, `_` and `.`");
    }
    Ok(text.to_owned())
}

fn tags(fields: &Fields<'_>) -> Result<Vec<String>, ConfigError> {
    let Some(item) = fields.get("tags") else {
        return Ok(Vec::new());
    };
    let tags = item.texts()?;
    match tags.iter().find(|tag| id(tag).is_err()) {
        // `--only` takes words apart at commas, and `*` is any text there.
        Some(tag) => Err(item.error(format!(
            "`{tag}` is no tag: a tag holds lowercase letters, digits, `-`, `_` and `.`"
        ))),
        None => Ok(tags),
    }
}

/// Limit of a try and of the whole check. A try that may take longer than the inherited limit
/// raises it, for nobody means a try that is cut off.
fn limits(
    fields: &Fields<'_>,
    timeout: Duration,
    limit: Duration,
) -> Result<(Duration, Duration), ConfigError> {
    let (own_timeout, own_limit) = (fields.duration("timeout")?, fields.duration("limit")?);
    if own_timeout.is_some_and(|time| time.is_zero())
        || own_limit.is_some_and(|time| time.is_zero())
    {
        return Err(fields.error("a limit of zero leaves no time to answer"));
    }
    if own_timeout
        .zip(own_limit)
        .is_some_and(|(timeout, limit)| timeout > limit)
    {
        return Err(fields
            .error("one try (`timeout`) may take longer than all of them together (`limit`)")
            .hint("raise `limit`, or lower `timeout`"));
    }
    let timeout = own_timeout.unwrap_or(timeout);
    Ok((timeout, own_limit.unwrap_or(limit.max(timeout))))
}

const PROBES: &str = "`get`, `request`, `websocket`, `routes`, `version` or `certificate`";

fn probe(
    fields: &Fields<'_>,
    defaults: &Defaults,
    severity: Verdict,
) -> Result<Probe, ConfigError> {
    let get = fields.get("get");
    let request_table = fields.fields("request")?;
    let websocket = fields.fields("websocket")?;
    let routes = fields.text("routes")?;
    let version = fields.fields("version")?;
    let certificate = fields.fields("certificate")?;
    let expected = fields.fields("expect")?;
    let samples = fields.count::<u32>("samples")?;
    let shadowed_by = fields.fields("shadowed_by")?.map(shadow).transpose()?;
    let for_requests = expected.is_some() || samples.is_some() || shadowed_by.is_some();

    let request_template = match (&get, request_table) {
        (Some(item), None) => Some(RequestTemplate {
            method: "GET".to_owned(),
            path: path(item)?,
            query: Vec::new(),
            headers: defaults.headers.clone(),
            body: None,
        }),
        (None, Some(table)) => Some(request(table, defaults)?),
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err(fields
                .error("a check has both `get` and `request`")
                .hint("keep one"));
        }
    };
    let given = [
        request_template.is_some(),
        websocket.is_some(),
        routes.is_some(),
        version.is_some(),
        certificate.is_some(),
    ];
    match given.iter().filter(|given| **given).count() {
        1 => {}
        0 => {
            return Err(fields
                .error("a check asks nothing")
                .hint(format!("add one of {PROBES}")));
        }
        _ => {
            return Err(fields
                .error("a check asks more than one thing")
                .hint(format!("keep one of {PROBES}")));
        }
    }
    if let Some(request) = request_template {
        let Some(expected) = expected else {
            return Err(fields
                .error("a check without an assertion proves nothing")
                .hint("add `expect = { status = 200 }` or what the answer must hold"));
        };
        if samples.is_some_and(|count| !(2..=1000).contains(&count)) {
            return Err(fields.error("`samples` is a number from 2 to 1000"));
        }
        let expect = expect::expect(expected, severity)?;
        let quantiles = expect.timings.iter().any(|limit| {
            matches!(
                limit.phase,
                super::model::TimedPhase::P50 | super::model::TimedPhase::P95
            )
        });
        if quantiles && samples.is_none() {
            return Err(fields
                .error("a limit on p50 or p95 needs `samples`")
                .hint("add `samples = 5`"));
        }
        let samples = samples.map(|count| Samples { count });
        return Ok(Probe::Http(Box::new(HttpProbe {
            request,
            expect,
            samples,
            shadowed_by,
        })));
    }
    if for_requests {
        return Err(
            fields.error("`expect`, `samples` and `shadowed_by` belong to `get` and `request`")
        );
    }
    if let Some(table) = websocket {
        return websocket::probe(table, severity, defaults)
            .map(|probe| Probe::WebSocket(Box::new(probe)));
    }
    if let Some(table) = version {
        return version_probe(table).map(Probe::Version);
    }
    if let Some(table) = certificate {
        return certificate_probe(table).map(Probe::Certificate);
    }
    let document = routes.unwrap_or_default();
    if !document.starts_with('/') {
        return Err(fields
            .error("`routes` is the path of the OpenAPI document")
            .hint("write `routes = \"/openapi.json\"`"));
    }
    Ok(Probe::Routes(RoutesProbe {
        path: Template(document),
    }))
}

fn shadow(fields: Fields<'_>) -> Result<Shadow, ConfigError> {
    let template = fields
        .text("template")?
        .ok_or_else(|| fields.error("`shadowed_by` has no `template`"))?;
    let kind = fields
        .get("kind")
        .ok_or_else(|| fields.error("`shadowed_by` has no `kind`"))?
        .read(assertion::kind)?;
    fields.finish()?;
    Ok(Shadow { template, kind })
}

fn version_probe(fields: Fields<'_>) -> Result<VersionProbe, ConfigError> {
    let pointer = fields
        .get("pointer")
        .map(|item| item.read(json_pointer))
        .transpose()?;
    let header = fields.text("header")?;
    let openapi = fields.truth("openapi")?.unwrap_or(false);
    let source = match (pointer, header, openapi) {
        (Some(pointer), None, false) => VersionSource::Pointer(pointer),
        (None, Some(header), false) => VersionSource::Header(header.to_ascii_lowercase()),
        (None, None, true) => VersionSource::OpenApi,
        _ => {
            return Err(fields.error("the version has no single source").hint(
                "write one of `pointer = \"/version\"`, `header = \"x-version\"`, `openapi = true`",
            ));
        }
    };
    let expect = fields.text("expect")?.ok_or_else(|| {
        fields
            .error("the version has no `expect`")
            .hint("write `expect = \"{{version}}\"` and give the variable")
    })?;
    let max_uptime = match fields.fields("max_uptime")? {
        None => None,
        Some(table) => {
            let max = table
                .duration("max")?
                .ok_or_else(|| table.error("`max_uptime` has no `max`"))?;
            let pointer = table
                .get("pointer")
                .map(|item| item.read(json_pointer))
                .transpose()?;
            let uptime = Uptime {
                path: table
                    .text("path")?
                    .unwrap_or_else(|| "/api/v1/performance".to_owned()),
                pointer: pointer.unwrap_or_else(|| "/uptime".to_owned()),
                max,
            };
            table.finish()?;
            Some(uptime)
        }
    };
    let matches = fields.count("matches")?.unwrap_or(VERSION_MATCHES);
    if !(1..=1000).contains(&matches) {
        return Err(fields.error("`matches` is a number from 1 to 1000"));
    }
    let probe = VersionProbe {
        path: required_path(&fields)?,
        source,
        expect: Template(expect),
        matches,
        max_uptime,
    };
    fields.finish()?;
    Ok(probe)
}

pub(crate) fn json_pointer(text: &str) -> Result<String, &'static str> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err("a JSON pointer (RFC 6901) starts with `/`")
    }
}

fn certificate_probe(fields: Fields<'_>) -> Result<CertificateProbe, ConfigError> {
    let min_days = fields.count("min_days")?.unwrap_or(0);
    let probe = CertificateProbe {
        min_days,
        warn_days: fields.count("warn_days")?.unwrap_or(min_days),
        names: fields.texts("names")?,
        min_version: fields
            .get("min_version")
            .map(|item| {
                item.read(|text| match text {
                    "TLS 1.2" | "TLS 1.3" => Ok(text.to_owned()),
                    _ => Err("it is neither `TLS 1.2` nor `TLS 1.3`"),
                })
            })
            .transpose()?,
    };
    if probe.warn_days < probe.min_days {
        return Err(fields
            .error("`warn_days` is below `min_days`: it could never warn")
            .hint("let it be larger"));
    }
    if probe.warn_days == 0 && probe.names.is_empty() && probe.min_version.is_none() {
        return Err(fields
            .error("a check without an assertion proves nothing")
            .hint("add `min_days = 14`"));
    }
    fields.finish()?;
    Ok(probe)
}

pub(super) fn captures(fields: Option<Fields<'_>>) -> Result<Vec<Capture>, ConfigError> {
    let Some(table) = fields else {
        return Ok(Vec::new());
    };
    table
        .named()
        .map(|(name, item)| {
            if !is_name(name.get_ref()) {
                return Err(item.error(format!("`{}` is no name for a capture", name.get_ref())));
            }
            let fields = item.fields()?;
            let mut sources = Vec::new();
            if let Some(item) = fields.get("json") {
                sources.push(CaptureSource::Json(assertion::path(&item)?));
            }
            if let Some(header) = fields.text("header")? {
                sources.push(CaptureSource::Header(header.to_ascii_lowercase()));
            }
            if let Some(item) = fields.get("regex") {
                sources.push(CaptureSource::Regex(assertion::regex(&item)?));
            }
            if fields.truth("status")? == Some(true) {
                sources.push(CaptureSource::Status);
            }
            let secret = fields.truth("secret")?.unwrap_or(false);
            let from = match (sources.len(), sources.pop()) {
                (1, Some(source)) => source,
                _ => {
                    return Err(fields
                        .error("a capture has one source")
                        .hint("write one of `json`, `header`, `regex`, `status`"));
                }
            };
            fields.finish()?;
            Ok(Capture {
                name: name.into_inner(),
                from,
                secret,
            })
        })
        .collect()
}

fn retry(fields: Option<Fields<'_>>, base: Retry) -> Result<Retry, ConfigError> {
    let Some(fields) = fields else {
        return Ok(base);
    };
    let retry = Retry {
        retries: fields.count("retries")?.unwrap_or(base.retries),
        base: fields.duration("base")?.unwrap_or(base.base),
        cap: fields.duration("cap")?.unwrap_or(base.cap),
        until: fields.truth("until")?.unwrap_or(base.until),
    };
    fields.finish()?;
    Ok(retry)
}

fn known_failure(fields: Fields<'_>) -> Result<KnownFailure, ConfigError> {
    let wanted =
        "write `known_failure = { reason = \"...\", owner = \"...\", expires = 2026-12-31 }`";
    let text = |key| {
        fields
            .text(key)?
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| {
                fields
                    .error(format!("a known failure has no `{key}`"))
                    .hint(wanted)
            })
    };
    let known = KnownFailure {
        reason: text("reason")?,
        owner: text("owner")?,
        expires: match fields.get("expires") {
            None => {
                return Err(fields
                    .error("a known failure has no `expires`")
                    .hint(wanted));
            }
            Some(item) => item.day()?,
        },
    };
    fields.finish()?;
    Ok(known)
}

/// Bytes written as base64.
pub(super) fn base64_bytes(text: &str) -> Result<Vec<u8>, String> {
    BASE64_STANDARD
        .decode(text)
        .map_err(|error| format!("it is no base64: {error}"))
}
