//! What a good answer is, and the channel that a user holds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gs_common::config::fields::Item;
use gs_common::config::{ConfigError, read_text};
use gs_common::units;

use super::super::expect::{Demand, Expect, JsonDemand};
use super::super::model::WebSocket;
use super::super::path::Path;
use super::super::template::{Escape, Template, placeholder_name};
use super::{LARGEST, Reader};

impl Reader<'_> {
    pub(super) fn expect_table(
        &self,
        item: &Item<'_>,
        base: &Expect,
    ) -> Result<Expect, ConfigError> {
        let fields = item.fields()?;
        let mut expect = base.clone();
        if let Some(item) = fields.get("status") {
            let items = item.items().unwrap_or_else(|_| vec![item.clone()]);
            expect.statuses = items
                .iter()
                .map(|item| {
                    item.count::<u16>().and_then(|status| {
                        if (100..=599).contains(&status) {
                            Ok(status)
                        } else {
                            Err(item.error(format!("{status} is no status")))
                        }
                    })
                })
                .collect::<Result<_, _>>()?;
            // An answer that is expected to be an error may well say so in its body.
            if expect.statuses.iter().all(|status| *status >= 400) {
                expect.api = false;
            }
        }
        if let Some(api) = fields.truth("api")? {
            expect.api = api;
        }
        let size = |key| {
            fields
                .get(key)
                .map(|item| item.read(units::size))
                .transpose()
        };
        expect.min_size = size("min_size")?.or(expect.min_size);
        expect.max_size = size("max_size")?.or(expect.max_size);
        expect.contains.extend(fields.texts("contains")?);
        for item in fields.items("json")? {
            expect.json.push(demand(&item)?);
        }
        if let Some(item) = fields.get("schema") {
            expect.schema = Some(Arc::new(self.schema(&item)?));
        }
        fields.finish()?;
        Ok(expect)
    }

    fn schema(&self, item: &Item<'_>) -> Result<jsonschema::Validator, ConfigError> {
        let value = if item.is_table() {
            item.json()?
        } else {
            let path: PathBuf = self.folder.join(item.text()?);
            let text = read_text(&path, LARGEST).map_err(|error| item.error(error.message))?;
            serde_json::from_str(&text)
                .map_err(|error| item.error(format!("`{}` is no JSON: {error}", path.display())))?
        };
        jsonschema::validator_for(&value)
            .map_err(|error| item.error(format!("this is no JSON Schema: {error}")))
    }

    pub(super) fn websocket(&mut self, item: &Item<'_>) -> Result<WebSocket, ConfigError> {
        let fields = item.fields()?;
        let path = fields.get("path").ok_or_else(|| {
            fields
                .error("a websocket has no `path`")
                .hint("write `path = \"/ws\"`")
        })?;
        let text = path.text()?;
        if !text.starts_with('/') {
            return Err(path.error(format!("the path `{text}` does not begin with `/`")));
        }
        let target = self.template(&path, &text, Escape::Url)?;
        let name = fields
            .text("name")?
            .unwrap_or_else(|| format!("WS {}", placeholder_name(&text)));
        let mut headers = self.headers.clone();
        headers.extend(self.header_table(&fields)?);
        let mut send = Vec::new();
        for item in fields.items("send")? {
            let value = item.json()?;
            send.push(match &value {
                serde_json::Value::String(text) => self.template(&item, text, Escape::None)?,
                _ => Template::json(&value, &self.names).map_err(|why| item.error(why))?,
            });
        }
        let mut expect = Expect::default();
        for item in fields.items("expect")? {
            expect.json.push(demand(&item)?);
        }
        let some = |key| -> Result<Option<Duration>, ConfigError> {
            match fields.get(key) {
                None => Ok(None),
                Some(item) => item.duration().and_then(|duration| {
                    if duration.is_zero() {
                        Err(item.error(format!("`{key}` is zero")))
                    } else {
                        Ok(Some(duration))
                    }
                }),
            }
        };
        let made = WebSocket {
            endpoint: self.endpoint(name),
            target,
            headers,
            send,
            expect,
            within: some("within")?.unwrap_or(Duration::from_secs(5)),
            ping: some("ping")?,
            hold: some("hold")?,
            reconnect: some("reconnect")?.unwrap_or(Duration::from_secs(1)),
            max_silence: some("max_silence")?,
            time: fields
                .get("time")
                .map(|item| item.read(Path::parse))
                .transpose()?,
        };
        fields.finish()?;
        Ok(made)
    }
}

fn demand(item: &Item<'_>) -> Result<JsonDemand, ConfigError> {
    let fields = item.fields()?;
    let path = fields
        .get("path")
        .ok_or_else(|| {
            fields
                .error("a JSON demand has no `path`")
                .hint("write `path = \"$.member\"`")
        })?
        .read(Path::parse)?;
    let mut demands = Vec::new();
    if let Some(exists) = fields.truth("exists")? {
        demands.push(if exists {
            Demand::Exists
        } else {
            Demand::Absent
        });
    }
    if let Some(item) = fields.get("equals") {
        demands.push(Demand::Equals(item.json()?));
    }
    if let Some(length) = fields.count("min_length")? {
        demands.push(Demand::MinLength(length));
    }
    if demands.len() > 1 {
        return Err(fields
            .error("a JSON demand says more than one thing")
            .hint("write one table for each"));
    }
    fields.finish()?;
    Ok(JsonDemand {
        path,
        demand: demands.pop().unwrap_or(Demand::Exists),
    })
}
