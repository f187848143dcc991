//! Steps: method, path, query, headers, body, and what is kept of the answer.

use std::sync::Arc;

use gs_common::config::ConfigError;
use gs_common::config::fields::{Fields, Item};
use http::{HeaderName, Method};

use super::super::expect::{From, Save};
use super::super::model::Step;
use super::super::path::Path;
use super::super::target::Target;
use super::super::template::{Escape, Template, placeholder_name};
use super::{Reader, pause};

impl Reader<'_> {
    pub(super) fn step(&mut self, item: &Item<'_>) -> Result<Step, ConfigError> {
        let fields = item.fields()?;
        let (method, path) = self.method_and_path(&fields)?;
        let text = path.text()?;
        if !text.starts_with('/') {
            return Err(path
                .error(format!("the path `{text}` does not begin with `/`"))
                .hint("host and port are those of the target"));
        }
        let mut target = self.template(&path, &text, Escape::Url)?;
        if let Some(query) = fields.fields("query")? {
            let mut separator = if text.contains('?') { '&' } else { '?' };
            for (name, item) in query.named() {
                let value = match item.json()? {
                    serde_json::Value::String(text) => text,
                    value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
                        value.to_string()
                    }
                    _ => return Err(item.wants("a text or a number")),
                };
                let encoded: String =
                    url::form_urlencoded::byte_serialize(name.get_ref().as_bytes()).collect();
                target.append(Template::literal(format!("{separator}{encoded}=")));
                target.append(self.query_value(&item, &value)?);
                separator = '&';
            }
        }
        let target = Target::new(target).map_err(|error| path.error(error.to_string()))?;
        let name = fields
            .text("name")?
            .unwrap_or_else(|| placeholder_name(&text));
        let endpoint = self.endpoint(name);
        let mut headers = self.headers.clone();
        for (name, template) in self.header_table(&fields)? {
            headers.retain(|(other, _)| *other != name);
            headers.push((name, template));
        }
        let body = match fields.get("body") {
            None => None,
            Some(item) => Some(self.body(&item, &mut headers)?),
        };
        let expect = match fields.get("expect") {
            None => Arc::clone(&self.expect),
            Some(item) => Arc::new(self.expect_table(&item, &self.expect.clone())?),
        };
        let mut save = Vec::new();
        if let Some(table) = fields.fields("save")? {
            for (name, item) in table.named() {
                let from = item.read(save_from)?;
                let slot = self
                    .names
                    .slots
                    .iter()
                    .position(|slot| slot == name.get_ref())
                    .unwrap_or_default();
                save.push(Save { slot, from });
            }
        }
        let pause = fields.get("pause").map(|item| pause(&item)).transpose()?;
        fields.finish()?;
        Ok(Step {
            endpoint,
            method,
            target,
            headers,
            body,
            expect,
            save,
            pause,
        })
    }

    fn query_value(&self, item: &Item<'_>, value: &str) -> Result<Template, ConfigError> {
        // Values drawn are escaped by the template; what is written out is escaped here.
        let mut escaped = String::new();
        let mut rest = value;
        while let Some((before, after)) = rest.split_once("{{") {
            escaped.extend(url::form_urlencoded::byte_serialize(before.as_bytes()));
            let (inner, after) = after.split_once("}}").unwrap_or((after, ""));
            escaped.push_str("{{");
            escaped.push_str(inner);
            escaped.push_str("}}");
            rest = after;
        }
        escaped.extend(url::form_urlencoded::byte_serialize(rest.as_bytes()));
        self.template(item, &escaped, Escape::Url)
    }

    fn method_and_path<'f>(&self, fields: &Fields<'f>) -> Result<(Method, Item<'f>), ConfigError> {
        let short = [
            ("get", Method::GET),
            ("post", Method::POST),
            ("put", Method::PUT),
            ("patch", Method::PATCH),
            ("delete", Method::DELETE),
        ];
        let mut found = None;
        for (key, method) in short {
            if let Some(item) = fields.get(key) {
                if found.is_some() {
                    return Err(item.error("a step has more than one method"));
                }
                found = Some((method, item));
            }
        }
        let method = fields.get("method");
        let path = fields.get("path");
        match (found, method, path) {
            (Some(found), None, None) => Ok(found),
            (Some(_), Some(item), _) | (Some(_), None, Some(item)) => {
                Err(item.error("a step has more than one method or path"))
            }
            (None, Some(method), Some(path)) => {
                let parsed = method.read(|text| {
                    Method::from_bytes(text.to_ascii_uppercase().as_bytes())
                        .map_err(|_| "is no method")
                })?;
                Ok((parsed, path))
            }
            (None, None, Some(path)) => Ok((Method::GET, path)),
            (None, _, None) => Err(fields
                .error("a step says not what to send")
                .hint("write `get = \"/path\"` or `post = \"/path\"`")),
        }
    }

    fn body(
        &self,
        item: &Item<'_>,
        headers: &mut Vec<(HeaderName, Template)>,
    ) -> Result<Template, ConfigError> {
        let value = item.json()?;
        let (template, kind) = match &value {
            serde_json::Value::String(text) => (
                self.template(item, text, Escape::None)?,
                "text/plain; charset=utf-8",
            ),
            _ => (
                Template::json(&value, &self.names).map_err(|why| item.error(why))?,
                "application/json",
            ),
        };
        if !headers
            .iter()
            .any(|(name, _)| name == http::header::CONTENT_TYPE)
        {
            headers.push((http::header::CONTENT_TYPE, Template::literal(kind)));
        }
        Ok(template)
    }
}

impl Step {
    /// The slots that it needs.
    pub fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        self.target
            .slots()
            .chain(self.headers.iter().flat_map(|(_, value)| value.slots()))
            .chain(self.body.iter().flat_map(Template::slots))
    }
}

fn save_from(text: &str) -> Result<From, String> {
    match text.strip_prefix("header:") {
        Some(name) => HeaderName::from_bytes(name.trim().as_bytes())
            .map(From::Header)
            .map_err(|_| format!("`{name}` is no header name")),
        None => Path::parse(text)
            .map(From::Json)
            .map_err(|error| format!("write a JSONPath like `$.token`, or `header:NAME`: {error}")),
    }
}
