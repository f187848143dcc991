//! Reading what is sent.

use gs_common::config::ConfigError;
use serde_json::Value;

use super::check::Defaults;
use super::model::{RequestTemplate, Template};
use super::template::{encoded, encoded_template, escaping_json};
use gs_common::config::fields::{Fields, Item};

/// A body read from a file may be so large.
const LARGEST_BODY: u64 = 5 << 20;

pub(super) fn path(item: &Item<'_>) -> Result<Template, ConfigError> {
    let text = item.text()?;
    if !text.starts_with('/') && !text.starts_with("{{") {
        return Err(item
            .error(format!(
                "`{}` is no path: it does not start with `/`",
                item.name
            ))
            .hint("write the path only; the host is the tool's argument"));
    }
    if text.contains('#') {
        return Err(item
            .error(format!(
                "`{}` has a `#`: what follows it is never sent",
                item.name
            ))
            .hint("take it out, or write `%23` for the character itself"));
    }
    Ok(Template(text))
}

pub(super) fn required_path(fields: &Fields<'_>) -> Result<Template, ConfigError> {
    match fields.get("path") {
        Some(item) => path(&item),
        None => Err(fields
            .error("`path` is missing")
            .hint("write `path = \"/...\"`")),
    }
}

pub(super) fn request(
    fields: Fields<'_>,
    defaults: &Defaults,
) -> Result<RequestTemplate, ConfigError> {
    let method = fields.text("method")?.unwrap_or_else(|| "GET".to_owned());
    if http::Method::from_bytes(method.as_bytes()).is_err() || method != method.to_uppercase() {
        return Err(fields
            .error(format!("`{method}` is no method"))
            .hint("write it in capitals: \"POST\""));
    }
    let mut headers = defaults.headers.clone();
    merge_headers(&mut headers, header_templates(&fields)?);
    let mut body = None;
    let mut bodies = 0;
    if let Some(item) = fields.get("json") {
        bodies += 1;
        body = Some(Template(escaping_json(item.json()?).to_string()));
        default_type(&mut headers, "application/json");
    }
    if let Some(form) = fields.fields("form")? {
        bodies += 1;
        let pairs = form
            .named()
            .map(|(name, item)| {
                Ok(format!(
                    "{}={}",
                    encoded(name.get_ref()),
                    encoded_template(&scalar(&item)?)
                ))
            })
            .collect::<Result<Vec<_>, ConfigError>>()?;
        body = Some(Template(pairs.join("&")));
        default_type(&mut headers, "application/x-www-form-urlencoded");
    }
    if let Some(text) = fields.text("body")? {
        bodies += 1;
        body = Some(Template(text));
    }
    if let Some(item) = fields.get("body_file") {
        bodies += 1;
        let folder = std::path::Path::new(&item.file.name)
            .parent()
            .unwrap_or(std::path::Path::new("."));
        let text = gs_common::config::read_text(&folder.join(item.text()?), LARGEST_BODY)
            .map_err(|error| item.error(format!("`body_file`: {}", error.message)))?;
        body = Some(Template(text));
    }
    if bodies > 1 {
        return Err(fields
            .error("a request has more than one body")
            .hint("keep one of `json`, `form`, `body`, `body_file`"));
    }
    let query = match fields.fields("query")? {
        None => Vec::new(),
        Some(table) => table
            .named()
            .map(|(name, item)| Ok((name.into_inner(), Template(scalar(&item)?))))
            .collect::<Result<_, ConfigError>>()?,
    };
    let request = RequestTemplate {
        method,
        path: required_path(&fields)?,
        query,
        headers,
        body,
    };
    fields.finish()?;
    Ok(request)
}

/// A text, number or truth value as it stands in a URL.
fn scalar(item: &Item<'_>) -> Result<String, ConfigError> {
    match item.json()? {
        Value::String(text) => Ok(text),
        value @ (Value::Number(_) | Value::Bool(_)) => Ok(value.to_string()),
        _ => Err(item.wants("a text or a number")),
    }
}

pub(super) fn header_templates(
    fields: &Fields<'_>,
) -> Result<Vec<(String, Template)>, ConfigError> {
    let Some(table) = fields.fields("headers")? else {
        return Ok(Vec::new());
    };
    table
        .named()
        .map(|(name, item)| {
            let name_text = name.get_ref().to_ascii_lowercase();
            http::HeaderName::from_bytes(name_text.as_bytes())
                .map_err(|_| item.error(format!("`{}` is no header's name", name.get_ref())))?;
            Ok((name_text, Template(item.text()?)))
        })
        .collect()
}

pub(super) fn merge_headers(base: &mut Vec<(String, Template)>, own: Vec<(String, Template)>) {
    base.retain(|(name, _)| own.iter().all(|(other, _)| other != name));
    base.extend(own);
}

fn default_type(headers: &mut Vec<(String, Template)>, media: &str) {
    if headers.iter().all(|(name, _)| name != "content-type") {
        headers.push(("content-type".to_owned(), Template(media.to_owned())));
    }
}
