//! The shape of a persona file for editors, as a JSON Schema. The reader works on TOML itself, because it
//! has a place to tell for every mistake; these types exist for the schema alone, and tests hold them
//! to the reader.
#![expect(dead_code, reason = "only the shapes and their docs are used")]

use std::collections::BTreeMap;

use schemars::{JsonSchema, schema_for};
use serde_json::Value;

/// Where the schema is published.
pub(super) const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/schemas/load-personas.v1.schema.json"
);

/// The schema's text.
pub(super) fn text() -> String {
    let mut schema = schema_for!(PersonaFile).to_value();
    without_null(&mut schema);
    format!("{schema:#}\n")
}

/// TOML has no null: what is optional is absent.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(kinds)) = members.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [kind] = kinds.as_slice() {
                    let kind = kind.clone();
                    members.insert("type".to_owned(), kind);
                }
            }
            if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
            }
            members.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// A whole persona file.
#[derive(JsonSchema)]
#[schemars(title = "load-test personas", deny_unknown_fields)]
struct PersonaFile {
    /// Lists that `{{pick:NAME}}` and `{{sample:NAME:N}}` draw from.
    lists: Option<BTreeMap<String, Vec<Scalar>>>,
    /// What `{{NAME}}` stands for.
    variables: Option<BTreeMap<String, Variable>>,
    /// Headers of every request.
    headers: Option<BTreeMap<String, String>>,
    /// What holds for every step that does not say otherwise.
    defaults: Option<Defaults>,
    /// The personas.
    personas: Vec<Persona>,
}

/// A text, a number or a truth value.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Scalar {
    Text(String),
    Number(f64),
    Truth(bool),
}

/// A value, or an environment variable.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Variable {
    Text(String),
    Number(f64),
    Truth(bool),
    Env(EnvVariable),
}

/// A value from the environment.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct EnvVariable {
    /// The environment variable.
    env: String,
    /// The value where it is not set.
    default: Option<String>,
    /// It is hidden in all outputs, and may have no default.
    secret: Option<bool>,
}

/// What holds for every step that does not say otherwise.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Defaults {
    /// What a good answer is.
    expect: Option<Expect>,
    /// Ask for compressed answers, as `--compression` does.
    compression: Option<bool>,
}

/// A kind of user.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Persona {
    /// Its name.
    name: String,
    /// Its share among the personas (1 if absent); 0 takes part only when it is chosen.
    weight: Option<u32>,
    /// Take over tasks, think time and start of another persona.
    inherits: Option<String>,
    /// The pause between two tasks.
    think: Option<Pause>,
    /// What each user does once, first: a login.
    start: Option<Vec<Step>>,
    /// What it does again and again, drawn by weight.
    tasks: Option<Vec<Task>>,
    /// A channel that it holds instead of doing tasks.
    websocket: Option<WebSocket>,
    /// It asks for compressed answers.
    compression: Option<bool>,
}

/// A duration, or a range from which one is drawn.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Pause {
    Fixed(Duration),
    Drawn(Range),
}

/// A range of durations.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Range {
    /// The shortest.
    min: Duration,
    /// The longest.
    max: Duration,
}

/// A number with its unit: `500ms`, `1.5s`, `2m`.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Duration(#[schemars(regex(pattern = r"^[0-9]"))] String);

/// A number with its unit: `512B`, `64KiB`, `5MiB`.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Size(#[schemars(regex(pattern = r"^[0-9]"))] String);

/// One thing that a user does.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Task {
    /// Its name within the persona; a task of the same name replaces an inherited one.
    name: String,
    /// Its share among the tasks (1 if absent).
    weight: Option<u32>,
    /// The steps are done so often in a row (1 if absent).
    repeat: Option<u32>,
    /// The requests, in order.
    steps: Vec<Step>,
}

/// One request: `get = "/path"` and the like, or `method` and `path`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Step {
    /// GET this path.
    get: Option<String>,
    /// POST to this path.
    post: Option<String>,
    /// PUT to this path.
    put: Option<String>,
    /// PATCH this path.
    patch: Option<String>,
    /// DELETE this path.
    delete: Option<String>,
    /// Another method.
    method: Option<String>,
    /// Its path.
    path: Option<String>,
    /// What the endpoint is called in reports; the path with its draws in brackets if absent.
    name: Option<String>,
    /// Parameters of the query.
    query: Option<BTreeMap<String, Scalar>>,
    /// Headers.
    headers: Option<BTreeMap<String, String>>,
    /// A text as it is, anything else as JSON.
    body: Option<Value>,
    /// What a good answer is, beside the defaults.
    expect: Option<Expect>,
    /// Values to keep: a JSONPath into the body, or `header:NAME`.
    save: Option<BTreeMap<String, String>>,
    /// A pause before it.
    pause: Option<Pause>,
}

/// What a good answer is.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Expect {
    /// The good statuses; all below 400 if absent.
    status: Option<Statuses>,
    /// JSON without an `error` member, and no HTML page.
    api: Option<bool>,
    /// The least size of the body.
    min_size: Option<Size>,
    /// The greatest size of the body.
    max_size: Option<Size>,
    /// Texts that the body holds.
    contains: Option<Texts>,
    /// Demands on JSON members.
    json: Option<Vec<Demand>>,
    /// A JSON Schema, or the path of one, relative to this file.
    schema: Option<SchemaOrPath>,
}

/// A status, or several.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Statuses {
    One(u16),
    Several(Vec<u16>),
}

/// A text, or several.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Texts {
    One(String),
    Several(Vec<String>),
}

/// A JSON Schema, or the path of one.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum SchemaOrPath {
    Path(String),
    Schema(BTreeMap<String, Value>),
}

/// A demand on the first value that a JSONPath finds; without more, that there is one.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Demand {
    /// The JSONPath (RFC 9535).
    path: String,
    /// There is one and it is not null, or there is none.
    exists: Option<bool>,
    /// It is this value.
    equals: Option<Value>,
    /// It has at least so many items, members or characters.
    min_length: Option<u64>,
}

/// A channel that a user holds.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct WebSocket {
    /// Path and query.
    path: String,
    /// What the endpoint is called in reports; `WS` and the path if absent.
    name: Option<String>,
    /// Headers of the upgrade.
    headers: Option<BTreeMap<String, String>>,
    /// Messages that are sent after it opened: a text as it is, anything else as JSON.
    send: Option<Vec<Value>>,
    /// Demands on the message that answers the last send.
    expect: Option<Vec<Demand>>,
    /// It comes at most so long after the last send (5 s if absent).
    within: Option<Duration>,
    /// A ping is sent so often.
    ping: Option<Duration>,
    /// It is closed in good order after so long, and opened again; held to the end if absent.
    hold: Option<Duration>,
    /// The pause before it is opened again (1 s if absent).
    reconnect: Option<Duration>,
    /// A longer silence is counted as a gap.
    max_silence: Option<Duration>,
    /// Where a message bears its own time: RFC 3339, or seconds or milliseconds since 1970.
    time: Option<String>,
}
