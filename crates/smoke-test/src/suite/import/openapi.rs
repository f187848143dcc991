//! An OpenAPI 3 document (JSON) as a suite: its GETs that need no parameters, or say examples of
//! them. Only GETs: the document does not say what a POST does to the service.

use gs_common::config::ConfigError;
use gs_common::redact::is_sensitive_header;
use serde_json::{Map, Value};
use url::Url;

use super::draft::Draft;
use super::learn::can_be_named;
use super::{BASIC, Found, Learnt, Part};
use crate::suite::template::encoded;

/// A larger document is not read: as values it takes many times its size.
const LARGEST: usize = 16 << 20;

/// References to references are followed so often.
const MOST_HOPS: usize = 16;

/// Makes a suite of an OpenAPI 3 document.
///
/// # Errors
/// It is no such document, or declares no GET that makes a check.
pub fn openapi(text: &str) -> Result<String, ConfigError> {
    let error = |message: String| ConfigError::new(format!("--openapi: {message}"));
    if text.len() > LARGEST {
        return Err(error(format!(
            "the document is larger than {}",
            gs_common::units::show_size(LARGEST as u64)
        )));
    }
    let document: Value = serde_json::from_str(text).map_err(|why| {
        error(format!("it is no JSON: {why}")).hint("a document in YAML has to be converted first")
    })?;
    if document.get("swagger").is_some() {
        return Err(
            error("it is of OpenAPI 2 (Swagger)".to_owned()).hint("convert it to OpenAPI 3")
        );
    }
    if !document
        .get("openapi")
        .and_then(Value::as_str)
        .is_some_and(|version| version.starts_with("3."))
    {
        return Err(error("it does not say `\"openapi\": \"3...\"`".to_owned())
            .hint("name an OpenAPI 3 document"));
    }
    let paths = document
        .get("paths")
        .and_then(Value::as_object)
        .ok_or_else(|| error("it has no `paths`".to_owned()))?;
    let mut draft = Draft::default();
    let (host, base) = server(&document);
    for (path, item) in paths {
        let item = resolved(&document, item);
        for method in ["put", "post", "delete", "patch", "options", "head", "trace"] {
            if item.get(method).is_some() {
                draft.leave_out(&format!(
                    "{} operations: only GETs are imported",
                    method.to_uppercase()
                ));
            }
        }
        let Some(operation) = item.get("get") else {
            continue;
        };
        if operation.get("deprecated") == Some(&Value::Bool(true)) {
            draft.leave_out("a deprecated GET");
            continue;
        }
        let mut found = Found {
            method: "GET".to_owned(),
            ..Found::default()
        };
        match with_examples(
            &document,
            &format!("{base}{path}"),
            item,
            operation,
            &mut found,
        ) {
            Err(missing) => draft.leave_out(&format!("GET {path}: {missing}")),
            Ok(()) => {
                authorize(&document, operation, &mut found);
                found.expect = expected(&document, operation);
                draft.add(found);
            }
        }
    }
    draft.finish("an OpenAPI document", host.as_deref())
}

/// Host and path of the first server that the document names.
fn server(document: &Value) -> (Option<String>, String) {
    let server = document.pointer("/servers/0");
    let mut text = server
        .and_then(|server| server.get("url")?.as_str())
        .unwrap_or_default()
        .to_owned();
    let variables = server.and_then(|server| server.get("variables")?.as_object());
    for (name, variable) in variables.into_iter().flatten() {
        let default = variable
            .get("default")
            .and_then(Value::as_str)
            .unwrap_or_default();
        text = text.replace(&format!("{{{name}}}"), default);
    }
    let (host, path) = match Url::parse(&text) {
        Ok(url) if url.host().is_some() => (
            Some(url.origin().ascii_serialization()),
            url.path().to_owned(),
        ),
        _ if text.starts_with('/') => (None, text),
        _ => (None, String::new()),
    };
    (host, path.trim_end_matches('/').to_owned())
}

/// What a local `$ref` points to; anything else is itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let mut value = value;
    for _ in 0..MOST_HOPS {
        let target = value
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|to| document.pointer(to.strip_prefix('#')?));
        match target {
            Some(target) => value = target,
            None => break,
        }
    }
    value
}

/// Fills the path and adds the query from examples. The error says which required parameter has none.
fn with_examples(
    document: &Value,
    path: &str,
    item: &Value,
    operation: &Value,
    found: &mut Found,
) -> Result<(), String> {
    let mut path = path.to_owned();
    for parameter in parameters(document, item, operation) {
        let text = |key: &str| {
            parameter
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (name, place) = (text("name"), text("in"));
        // Sent or not, an optional parameter must change nothing about whether the route works.
        if place != "path" && parameter.get("required") != Some(&Value::Bool(true)) {
            continue;
        }
        let secret = place == "header" && is_sensitive_header(name);
        let example = match example(document, parameter) {
            Some(example) => example,
            None if secret => String::new(),
            None => return Err(format!("the {place} parameter `{name}` has no example")),
        };
        match place {
            "path" => path = path.replace(&format!("{{{name}}}"), &encoded(&example)),
            "query" if gs_common::redact::is_sensitive_parameter(name) => {
                found.query.push(Part::Secret {
                    before: format!("{}=", encoded(name)),
                    name: name.to_owned(),
                    value: String::new(),
                })
            }
            "query" => found.query.push(Part::Plain(format!(
                "{}={}",
                encoded(name),
                encoded(&example)
            ))),
            "header" if http::HeaderName::from_bytes(name.as_bytes()).is_ok() => {
                let part = if secret {
                    unknown("", name)
                } else {
                    Part::Plain(example)
                };
                found.headers.push((name.to_ascii_lowercase(), part));
            }
            _ => return Err(format!("the {place} parameter `{name}` is required")),
        }
    }
    if path.contains('{') || !path.starts_with('/') || path.contains(['?', '#']) {
        return Err("its path is none, or has a parameter that is not declared".to_owned());
    }
    found.path = path;
    Ok(())
}

/// The parameters of a path and of its operation, which may override them.
fn parameters<'a>(document: &'a Value, item: &'a Value, operation: &'a Value) -> Vec<&'a Value> {
    let mut all: Vec<&Value> = Vec::new();
    for owner in [item, operation] {
        let own = owner
            .get("parameters")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for parameter in own.map(|parameter| resolved(document, parameter)) {
            let same = |other: &&Value| {
                (other.get("name"), other.get("in")) == (parameter.get("name"), parameter.get("in"))
            };
            all.retain(|other| !same(other));
            all.push(parameter);
        }
    }
    all
}

/// A value that the document itself gives for a parameter.
fn example(document: &Value, parameter: &Value) -> Option<String> {
    let schema = parameter
        .get("schema")
        .map(|schema| resolved(document, schema));
    let of_schema = |pointer: &str| schema.and_then(|schema| schema.pointer(pointer));
    let named = parameter
        .get("examples")
        .and_then(Value::as_object)
        .and_then(|all| all.values().next());
    let named = named.and_then(|named| resolved(document, named).get("value"));
    let candidates = [
        parameter.get("example"),
        named,
        of_schema("/example"),
        of_schema("/examples/0"),
        of_schema("/default"),
        of_schema("/const"),
        of_schema("/enum/0"),
    ];
    candidates
        .into_iter()
        .flatten()
        .find_map(|value| match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            _ => None,
        })
}

fn unknown(before: &str, name: &str) -> Part {
    Part::Secret {
        before: before.to_owned(),
        name: name.to_owned(),
        value: String::new(),
    }
}

/// Adds what the first way of authorization asks for, unless one of the ways is to have none.
fn authorize(document: &Value, operation: &Value, found: &mut Found) {
    let ways = operation
        .get("security")
        .or_else(|| document.get("security"))
        .and_then(Value::as_array);
    let ways: Vec<&Map<String, Value>> = ways
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .collect();
    if ways.iter().any(|way| way.is_empty()) {
        return;
    }
    let schemes = document.pointer("/components/securitySchemes");
    for scheme in ways.first().into_iter().flat_map(|way| way.keys()) {
        let Some(scheme) = schemes
            .and_then(|schemes| schemes.get(scheme))
            .map(|scheme| resolved(document, scheme))
        else {
            continue;
        };
        let text = |key: &str| scheme.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = text("name");
        match (text("type"), text("in")) {
            ("apiKey", "query") => found
                .query
                .push(unknown(&format!("{}=", encoded(name)), name)),
            ("apiKey", "cookie") => found
                .headers
                .push(("cookie".to_owned(), unknown(&format!("{name}="), name))),
            ("apiKey", _) if http::HeaderName::from_bytes(name.as_bytes()).is_ok() => {
                found
                    .headers
                    .push((name.to_ascii_lowercase(), unknown("", name)));
            }
            ("http", _) if text("scheme").eq_ignore_ascii_case("basic") => {
                found
                    .headers
                    .push(("authorization".to_owned(), unknown("Basic ", BASIC)));
            }
            ("http" | "oauth2" | "openIdConnect", _) => {
                found.headers.push((
                    "authorization".to_owned(),
                    unknown("Bearer ", "access_token"),
                ));
            }
            _ => {}
        }
    }
}

/// What the document promises of the first success.
fn expected(document: &Value, operation: &Value) -> Learnt {
    let responses = operation.get("responses").and_then(Value::as_object);
    let success = responses.and_then(|all| all.iter().find(|(status, _)| status.starts_with('2')));
    let code = success
        .and_then(|(status, _)| status.parse::<u16>().ok())
        .filter(|code| (200..=299).contains(code));
    let mut learnt = Learnt {
        status: code.map_or_else(|| "\"2xx\"".to_owned(), |code| code.to_string()),
        ..Learnt::default()
    };
    let response = success.map(|(_, response)| resolved(document, response));
    let Some(contents) = response.and_then(|response| response.get("content")?.as_object()) else {
        return learnt;
    };
    // Several media types are the client's choice, and we make none.
    let Some((media, content)) = contents.iter().next().filter(|_| contents.len() == 1) else {
        return learnt;
    };
    if media.is_ascii() && !media.contains('*') {
        learnt.media = media.split(';').next().map(str::to_ascii_lowercase);
    }
    if let Some(schema) = content.get("schema").filter(|_| media.contains("json")) {
        from_schema(document, resolved(document, schema), &mut learnt);
    }
    learnt
}

fn from_schema(document: &Value, schema: &Value, learnt: &mut Learnt) {
    let kind = |word: &str| match word {
        "object" => Some("object"),
        "array" => Some("array"),
        "string" => Some("string"),
        "number" | "integer" => Some("number"),
        "boolean" => Some("boolean"),
        "null" => Some("null"),
        _ => None,
    };
    let words: Vec<&str> = match schema.get("type") {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    for word in words.into_iter().filter_map(kind) {
        if !learnt.kinds.contains(&word) {
            learnt.kinds.push(word);
        }
    }
    if schema.get("nullable") == Some(&Value::Bool(true)) && !learnt.kinds.is_empty() {
        learnt.kinds.push("null");
    }
    match learnt.kinds.as_slice() {
        ["object"] => learnt.required = required(schema),
        ["array"] => {
            let items = schema.get("items").map(|items| resolved(document, items));
            learnt.each = items.map(required).unwrap_or_default();
        }
        _ => {}
    }
}

fn required(schema: &Value) -> Vec<String> {
    let names = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    names
        .filter(|name| can_be_named(name))
        .map(str::to_owned)
        .collect()
}
