//! Reading a WebSocket conversation.

use std::time::Duration;

use gs_common::config::ConfigError;
use gs_common::verdict::Verdict;

use super::check::{Defaults, base64_bytes, captures};
use super::model::{ExpectMessage, Step, Template, WebSocketProbe};
use super::request::{header_templates, merge_headers};
use super::template::escaping_json;
use super::{assertion, expect};
use gs_common::config::fields::{Fields, Item};

/// How long a step waits where the suite does not say.
const WITHIN: Duration = Duration::from_secs(5);

/// So many unrelated messages are skipped where the suite does not say.
const SKIP: u32 = 100;

pub(super) fn probe(
    fields: Fields<'_>,
    severity: Verdict,
    defaults: &Defaults,
) -> Result<WebSocketProbe, ConfigError> {
    let path = fields
        .text("path")?
        .filter(|path| path.starts_with('/'))
        .ok_or_else(|| {
            fields
                .error("a conversation has no `path`")
                .hint("write `path = \"/ws\"`")
        })?;
    let status = fields.count("status")?.unwrap_or(101);
    let steps: Vec<Step> = fields
        .items("steps")?
        .iter()
        .map(|item| step(item, severity))
        .collect::<Result<_, _>>()?;
    for (step, next) in steps.iter().zip(steps.iter().skip(1)) {
        if matches!(step, Step::Close { .. } | Step::ExpectClose { .. })
            && !matches!(next, Step::Reconnect)
        {
            return Err(fields
                .error("a step follows the end of the connection")
                .hint("put `{ reconnect = true }` between them"));
        }
    }
    let listens = steps.iter().any(|step| {
        !matches!(
            step,
            Step::SendText(_) | Step::SendBinary(_) | Step::Reconnect
        )
    });
    if status == 101 && !listens {
        return Err(fields.error("a conversation that listens to nothing proves nothing")
            .hint("add a step such as `{ expect = { matches = \"confirmed\" } }` or `{ ping = \"2s\" }`"));
    }
    if status != 101 && !steps.is_empty() {
        return Err(fields.error(format!("a handshake refused with {status} has no steps")));
    }
    let mut headers = defaults.headers.clone();
    merge_headers(&mut headers, header_templates(&fields)?);
    let probe = WebSocketProbe {
        path: Template(path),
        headers,
        subprotocols: fields.texts("subprotocols")?,
        status,
        steps,
        timings: expect::timings(&fields)?,
    };
    fields.finish()?;
    Ok(probe)
}

fn step(item: &Item<'_>, severity: Verdict) -> Result<Step, ConfigError> {
    let fields = item.fields()?;
    let mut steps = Vec::new();
    if let Some(text) = fields.text("send")? {
        steps.push(Step::SendText(Template(text)));
    }
    if let Some(item) = fields.get("send_json") {
        steps.push(Step::SendText(Template(
            escaping_json(item.json()?).to_string(),
        )));
    }
    if let Some(item) = fields.get("send_base64") {
        steps.push(Step::SendBinary(item.read(base64_bytes)?));
    }
    if let Some(table) = fields.fields("expect")? {
        steps.push(Step::Expect(message(table, severity)?));
    }
    if let Some(within) = some_time(&fields, "ping")? {
        steps.push(Step::Ping { within });
    }
    if let Some(table) = fields.fields("close")? {
        let (code, within) = closing(table)?;
        steps.push(Step::Close { code, within });
    }
    if let Some(table) = fields.fields("expect_close")? {
        let (code, within) = closing(table)?;
        steps.push(Step::ExpectClose { code, within });
    }
    if fields.truth("reconnect")? == Some(true) {
        steps.push(Step::Reconnect);
    }
    match (steps.len(), steps.pop()) {
        (1, Some(step)) => {
            fields.finish()?;
            Ok(step)
        }
        (0, _) => {
            let error = fields.error("a step does nothing").hint(
                "write one of `send`, `send_json`, `send_base64`, `expect`, `ping`, `close`, `expect_close`, `reconnect`",
            );
            // A misspelt key is the likelier mistake, and has the better hint.
            fields.finish()?;
            Err(error)
        }
        _ => Err(fields
            .error("a step does more than one thing")
            .hint("write a table for each step")),
    }
}

fn message(fields: Fields<'_>, severity: Verdict) -> Result<ExpectMessage, ConfigError> {
    let message = ExpectMessage {
        within: some_time(&fields, "within")?.unwrap_or(WITHIN),
        skip: fields.count("skip")?.unwrap_or(SKIP),
        json: fields
            .items("json")?
            .iter()
            .map(|item| assertion::json_assertion(item, severity))
            .collect::<Result<_, _>>()?,
        matches: fields
            .get("matches")
            .map(|item| assertion::regex(&item))
            .transpose()?,
        captures: captures(fields.fields("capture")?)?,
    };
    let anything = fields.truth("anything")?.unwrap_or(false);
    if message.json.is_empty() && message.matches.is_none() && !anything {
        return Err(fields
            .error("a message is waited for, and nothing is said of it")
            .hint("write `json`, `matches`, or `anything = true`"));
    }
    fields.finish()?;
    Ok(message)
}

fn closing(fields: Fields<'_>) -> Result<(Option<u16>, Duration), ConfigError> {
    let closing = (
        fields.count("code")?,
        some_time(&fields, "within")?.unwrap_or(WITHIN),
    );
    fields.finish()?;
    Ok(closing)
}

fn some_time(fields: &Fields<'_>, key: &'static str) -> Result<Option<Duration>, ConfigError> {
    let time = fields.duration(key)?;
    if time.is_some_and(|time| time.is_zero()) {
        return Err(fields.error(format!("`{key}` is zero: nothing can come in no time")));
    }
    Ok(time)
}
