//! The shape of a suite file for editors, as a JSON Schema.
//!
//! The reader works on TOML itself, because it has a place to tell for every mistake; these types
//! exist for the schema alone, and a test holds their keys against those that the reader knows.
//! What only the reader can tell (a cycle of `needs`, a regular expression that is none) is not here.
#![expect(dead_code, reason = "only the shapes and their docs are used")]

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, schema_for};
use serde_json::Value;

/// Where the schema is published, and its name.
pub(super) const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/schemas/smoke-suite.v1.schema.json"
);

/// The schema's text.
pub(super) fn text() -> String {
    let mut schema = schema_for!(SuiteFile).to_value();
    without_null(&mut schema);
    format!("{schema:#}\n")
}

/// TOML has no null: what is optional is absent.
fn without_null(schema: &mut Value) {
    let is_null = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "null");
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
                choices.retain(|choice| !is_null(choice));
                if let [Value::Object(choice)] = choices.as_slice() {
                    let choice = choice.clone();
                    members.remove("anyOf");
                    for (key, value) in choice {
                        members.entry(key).or_insert(value);
                    }
                }
            }
            members.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

fn choice(of: &[Value]) -> Schema {
    Schema::try_from(serde_json::json!({ "anyOf": of })).unwrap()
}

/// A text, or a list of texts.
struct Texts;

impl JsonSchema for Texts {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Texts".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        choice(&[
            serde_json::json!({"type": "string"}),
            serde_json::json!({"type": "array", "items": {"type": "string"}}),
        ])
    }
}

/// A whole suite file.
#[derive(JsonSchema)]
#[schemars(title = "smoke-test suite", deny_unknown_fields)]
struct SuiteFile {
    /// The suite's name in reports; the file's name if absent.
    name: Option<String>,
    /// Suite files to read first, relative to this one.
    include: Option<Texts>,
    /// What `{{name}}` stands for.
    variables: Option<BTreeMap<String, Variable>>,
    /// Variables that differ by environment (`--env`).
    environments: Option<BTreeMap<String, Environment>>,
    /// What holds for every check of this file that does not say otherwise.
    defaults: Option<Defaults>,
    /// The checks.
    checks: Option<Vec<Check>>,
}

/// A value, or where it comes from.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Variable {
    Text(String),
    Number(f64),
    Truth(bool),
    Elsewhere(VariableSource),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct VariableSource {
    /// The environment variable that holds it.
    env: Option<String>,
    /// The value where the environment variable is not set.
    default: Option<String>,
    /// It must appear in no output. Secrets come from `env` only and have at least 4 characters.
    secret: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Environment {
    /// Values in this environment.
    variables: Option<BTreeMap<String, Variable>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Defaults {
    /// Tags of every check, beside its own.
    tags: Option<Texts>,
    /// What a broken assertion means.
    severity: Option<Severity>,
    /// Headers of every request, beside its own.
    headers: Option<BTreeMap<String, String>>,
    /// Limit of one try.
    timeout: Option<Duration>,
    /// Limit of all tries and waits together.
    limit: Option<Duration>,
    /// When and how to try again.
    retry: Option<Retry>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Severity {
    Fail,
    Warn,
}

/// With its unit: `500ms`, `10s`, `15m`, `1h30m`.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Duration(#[schemars(regex(pattern = r"^[0-9]"))] String);

/// With its unit: `512B`, `64KiB`, `5MB`.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Size(#[schemars(regex(pattern = r"^[0-9]"))] String);

/// A path on the target, with its query.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Path(#[schemars(regex(pattern = r"^(/|\{\{)"))] String);

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Retry {
    /// At most so many further tries.
    retries: Option<u32>,
    /// First wait at most; doubles with every try, with full jitter.
    base: Option<Duration>,
    /// One wait at most.
    cap: Option<Duration>,
    /// Try again on a wrong answer too: wait until something becomes so.
    until: Option<bool>,
}

/// One check: an id, one thing that it asks, what must hold.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = [
    {"required": ["get"]}, {"required": ["request"]}, {"required": ["websocket"]},
    {"required": ["routes"]}, {"required": ["version"]}, {"required": ["certificate"]}
]))]
struct Check {
    /// Stable, unique name: lowercase letters, digits, `-`, `_`, `.`.
    #[schemars(regex(pattern = r"^[a-z0-9._-]+$"))]
    id: String,
    /// The same for people.
    title: Option<String>,
    /// Groups for `--only` and `--skip`.
    tags: Option<Texts>,
    /// What a broken assertion means.
    severity: Option<Severity>,
    /// Ids of checks that must pass first.
    needs: Option<Texts>,
    /// Ask this path with GET.
    get: Option<Path>,
    /// Ask this.
    request: Option<Request>,
    /// Talk over a WebSocket.
    websocket: Option<WebSocket>,
    /// Path of the OpenAPI document: no literal route may be shadowed by an earlier template.
    routes: Option<Path>,
    /// The deployed version, over fresh connections.
    version: Option<Version>,
    /// The server's certificate.
    certificate: Option<Certificate>,
    /// What the answer must hold.
    expect: Option<Expect>,
    /// Measure the time over so many requests.
    #[schemars(range(min = 2, max = 1000))]
    samples: Option<u32>,
    /// The route that answers instead where the routes are declared in the wrong order.
    shadowed_by: Option<ShadowedBy>,
    /// What later checks may use of the answer.
    capture: Option<BTreeMap<String, Capture>>,
    /// When and how to try again.
    retry: Option<Retry>,
    /// Limit of one try.
    timeout: Option<Duration>,
    /// Limit of all tries and waits together.
    limit: Option<Duration>,
    /// A failure that is accepted on record.
    known_failure: Option<KnownFailure>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Request {
    /// In capitals; GET if absent. Others than GET, HEAD and OPTIONS need `--allow-writes`.
    method: Option<String>,
    /// The path.
    path: Path,
    /// Parameters beside those in the path.
    query: Option<BTreeMap<String, Value>>,
    /// Headers.
    headers: Option<BTreeMap<String, String>>,
    /// Body as JSON.
    json: Option<Value>,
    /// Body as a form.
    form: Option<BTreeMap<String, Value>>,
    /// Body as text.
    body: Option<String>,
    /// Body from a file, relative to this one.
    body_file: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Expect {
    /// A status, a class such as `2xx`, or a list of them; 200 if absent.
    status: Option<StatusOrList>,
    /// Kind of the JSON body, or a list of kinds.
    kind: Option<KindOrList>,
    /// Members that the object must have; dots lead inward, `a|b` means either.
    required: Option<Texts>,
    /// Least number of items.
    min_items: Option<u32>,
    /// JSONPath of the list; the body itself if absent.
    items_at: Option<String>,
    /// Members that every item must have.
    each: Option<Texts>,
    /// Demands on what JSONPath queries select.
    json: Option<Vec<JsonAssertion>>,
    /// Comparisons such as `$.low <= $.price`.
    invariants: Option<Vec<Invariant>>,
    /// JSON Schema of the body: a file's name, relative to this one, or the schema itself.
    schema: Option<SchemaOrFile>,
    /// Regular expressions that the body must match.
    body_matches: Option<Texts>,
    /// Regular expressions that the body must not match.
    body_lacks: Option<Texts>,
    /// Demands on headers.
    headers: Option<BTreeMap<String, Header>>,
    /// Least size of the body.
    min_bytes: Option<Size>,
    /// Largest size of the body.
    max_bytes: Option<Size>,
    /// SHA-256 of the body.
    #[schemars(regex(pattern = r"^[0-9A-Fa-f]{64}$"))]
    sha256: Option<String>,
    /// The protocol that was spoken.
    http_version: Option<HttpVersion>,
    /// Limits on the time of each phase.
    timings: Option<Timings>,
    /// Accept a 2xx answer whose body is an error object.
    allow_error_body: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum StatusOrList {
    One(Status),
    List(#[schemars(length(min = 1))] Vec<Status>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Status {
    Code(#[schemars(range(min = 100, max = 599))] u16),
    Class(#[schemars(regex(pattern = r"^[1-5]xx$"))] String),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum KindOrList {
    One(Kind),
    List(#[schemars(length(min = 1))] Vec<Kind>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Kind {
    Object,
    Array,
    String,
    Number,
    Boolean,
    Null,
}

/// A query and one demand on every value that it selects; without a demand, that it selects one.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct JsonAssertion {
    /// JSONPath (RFC 9535).
    path: String,
    /// Something is selected, or nothing is.
    exists: Option<bool>,
    /// Equal to this.
    equals: Option<Value>,
    /// Not equal to this.
    differs: Option<Value>,
    /// One of these.
    #[schemars(length(min = 1))]
    one_of: Option<Vec<Value>>,
    /// A text that matches this regular expression.
    matches: Option<String>,
    /// A number of at least this.
    min: Option<f64>,
    /// A number of at most this.
    max: Option<f64>,
    /// A value of this kind.
    is: Option<Kind>,
    /// A text, list or object of at least this length.
    min_length: Option<u32>,
    /// A text, list or object of at most this length.
    max_length: Option<u32>,
    /// A time that is not older.
    younger_than: Option<Duration>,
    /// What a breach means, at most the check's severity.
    severity: Option<Severity>,
    /// Selecting nothing is fine.
    optional: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Invariant {
    Short(String),
    Long(LongInvariant),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LongInvariant {
    /// `LEFT OP RIGHT`: JSONPath, `sign(JSONPath)`, number or text in quotes.
    that: String,
    /// JSONPath of a list: holds for each item, which is `@`.
    each: Option<String>,
    /// What a breach means; `warn` if absent.
    severity: Option<Severity>,
    /// A side that selects nothing is fine.
    optional: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum SchemaOrFile {
    File(String),
    Inline(BTreeMap<String, Value>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Header {
    /// It has this value.
    Equals(String),
    Demand(HeaderDemand),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct HeaderDemand {
    /// It has this value.
    equals: Option<String>,
    /// It does not have this value.
    differs: Option<String>,
    /// It matches this regular expression.
    matches: Option<String>,
    /// It is there, or it is not.
    exists: Option<bool>,
    /// What a breach means, at most the check's severity.
    severity: Option<Severity>,
}

#[derive(JsonSchema)]
enum HttpVersion {
    #[schemars(rename = "HTTP/1.0")]
    Http10,
    #[schemars(rename = "HTTP/1.1")]
    Http11,
    #[schemars(rename = "HTTP/2")]
    Http2,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Timings {
    /// Resolving the name.
    dns: Option<Levels>,
    /// The TCP connection.
    tcp: Option<Levels>,
    /// The TLS handshake.
    tls: Option<Levels>,
    /// To the head of the answer.
    first_byte: Option<Levels>,
    /// From the head to the end of the body.
    body: Option<Levels>,
    /// Everything.
    total: Option<Levels>,
    /// Median of the samples.
    p50: Option<Levels>,
    /// 95th percentile of the samples.
    p95: Option<Levels>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Levels {
    /// Over this: a warning.
    warn: Option<Duration>,
    /// Over this: broken.
    max: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ShadowedBy {
    /// Such as `/api/v1/signals/{symbol}`.
    template: String,
    /// The kind that it answers.
    kind: Kind,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Capture {
    /// JSONPath that selects one text, number or truth value.
    json: Option<String>,
    /// A header.
    header: Option<String>,
    /// The first group of a regular expression's match in the body.
    regex: Option<String>,
    /// The status.
    status: Option<bool>,
    /// It must appear in no output.
    secret: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct KnownFailure {
    /// Why it is accepted.
    reason: String,
    /// Who answers for it.
    owner: String,
    /// The last day on which it is accepted, such as 2026-12-31.
    expires: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct WebSocket {
    /// The path.
    path: Path,
    /// Headers of the handshake.
    headers: Option<BTreeMap<String, String>>,
    /// Subprotocols to offer.
    subprotocols: Option<Texts>,
    /// Status of the handshake: 101 unless a refusal is wanted.
    status: Option<u16>,
    /// The conversation.
    steps: Option<Vec<Step>>,
    /// Limits on the time of each phase.
    timings: Option<Timings>,
}

/// One of its keys.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Step {
    /// Send a text.
    send: Option<String>,
    /// Send JSON as a text.
    send_json: Option<Value>,
    /// Send bytes.
    send_base64: Option<String>,
    /// Wait for a message.
    expect: Option<Message>,
    /// Send a ping and wait at most so long for its pong.
    ping: Option<Duration>,
    /// Close, and wait for the other side to do so.
    close: Option<Close>,
    /// Wait for the other side to close.
    expect_close: Option<Close>,
    /// Drop the connection and open it again.
    reconnect: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Message {
    /// Wait at most so long; 5 seconds if absent.
    within: Option<Duration>,
    /// Skip at most so many other messages; 100 if absent.
    skip: Option<u32>,
    /// Demands on a JSON message.
    json: Option<Vec<JsonAssertion>>,
    /// A regular expression that the message matches.
    matches: Option<String>,
    /// Any message will do.
    anything: Option<bool>,
    /// What later steps and checks may use of it.
    capture: Option<BTreeMap<String, Capture>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Close {
    /// The code that must come.
    code: Option<u16>,
    /// Wait at most so long; 5 seconds if absent.
    within: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Version {
    /// The path that is asked.
    path: Path,
    /// JSON pointer (RFC 6901) to the version.
    pointer: Option<String>,
    /// The header that holds it.
    header: Option<String>,
    /// It is `info.version` of an OpenAPI document.
    openapi: Option<bool>,
    /// What it must be.
    expect: String,
    /// So many matches in a row.
    #[schemars(range(min = 1, max = 1000))]
    matches: Option<u32>,
    /// The process may have run at most so long.
    max_uptime: Option<MaxUptime>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct MaxUptime {
    /// At most this.
    max: Duration,
    /// The path that tells; `/api/v1/performance` if absent.
    path: Option<String>,
    /// JSON pointer to seconds; `/uptime` if absent.
    pointer: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Certificate {
    /// Fewer days left: broken.
    min_days: Option<u32>,
    /// Fewer days left: a warning.
    warn_days: Option<u32>,
    /// Names that it must be for, beside the host.
    names: Option<Texts>,
    /// The oldest TLS that may be spoken.
    min_version: Option<TlsVersion>,
}

#[derive(JsonSchema)]
enum TlsVersion {
    #[schemars(rename = "TLS 1.2")]
    Tls12,
    #[schemars(rename = "TLS 1.3")]
    Tls13,
}
