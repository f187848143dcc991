//! What a suite means once it is read: no `Option` left to guess about, every default applied,
//! every place known. [`super::read()`] makes it, the rest of the crate only reads it.
//!
//! Texts that may hold `{{name}}` are [`Template`]s: they are filled in just before a check is
//! sent, because a capture of an earlier check may be what fills them.

use std::collections::BTreeMap;
use std::time::Duration;

use gs_common::report::Place;
use gs_common::verdict::Verdict;
use regex::Regex;
use serde_json::Value;

/// A whole suite.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Its name: the one in the file, or the file's stem.
    pub name: String,
    /// Sentences about what deserves a look: a secret that is empty.
    pub warnings: Vec<String>,
    /// Variables (captures apart), those of the environment and the command line applied.
    pub variables: BTreeMap<String, Variable>,
    /// The checks in the order of the files.
    pub checks: Vec<Check>,
}

/// A variable's value and whether it may be shown.
#[derive(Clone, Debug)]
pub struct Variable {
    /// The value.
    pub value: String,
    /// It must appear in no output.
    pub secret: bool,
}

/// A text with `{{name}}` in it, checked at read time: every name is a variable or a capture of a
/// check that this one needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(pub String);

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    /// Stable, unique name: lowercase, digits, `-`, `_`, `.`.
    pub id: String,
    /// The same for people.
    pub title: String,
    /// Where it is written.
    pub place: Place,
    /// Its groups.
    pub tags: Vec<String>,
    /// What a broken assertion of it means: `Fail` or `Warn`.
    pub severity: Verdict,
    /// Ids of checks that must pass first.
    pub needs: Vec<String>,
    /// What it asks.
    pub probe: Probe,
    /// What later checks may use of the answer.
    pub captures: Vec<Capture>,
    /// When and how to try again.
    pub retry: Retry,
    /// Limit of one try.
    pub timeout: Duration,
    /// Limit of all tries and waits together.
    pub limit: Duration,
    /// A failure that is accepted on record.
    pub known_failure: Option<KnownFailure>,
}

/// What a check asks.
#[derive(Clone, Debug)]
pub enum Probe {
    /// A request and what its answer must hold.
    Http(Box<HttpProbe>),
    /// A WebSocket conversation.
    WebSocket(Box<WebSocketProbe>),
    /// The OpenAPI document: parses, and no literal path is shadowed by an earlier template.
    Routes(RoutesProbe),
    /// The deployed version, over several fresh connections.
    Version(VersionProbe),
    /// The server's certificate; passes over on plain `http`.
    Certificate(CertificateProbe),
}

/// A request and what its answer must hold.
#[derive(Clone, Debug)]
pub struct HttpProbe {
    /// What is sent.
    pub request: RequestTemplate,
    /// What must hold.
    pub expect: Expect,
    /// Measure the time over several requests instead of one.
    pub samples: Option<Samples>,
    /// The template that answers in this path's place where the service declares its routes in the
    /// wrong order.
    pub shadowed_by: Option<Shadow>,
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct RequestTemplate {
    /// Method in capitals.
    pub method: String,
    /// Path with query, starting with `/`.
    pub path: Template,
    /// Query parameters added to the path, in order, not yet percent-encoded.
    pub query: Vec<(String, Template)>,
    /// Headers.
    pub headers: Vec<(String, Template)>,
    /// Body text (JSON bodies are serialised at read time, with their content type among the headers).
    pub body: Option<Template>,
}

impl RequestTemplate {
    /// Whether the method may change something on the server.
    #[must_use]
    pub fn writes(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }
}

/// What an answer must hold. An empty one is refused at read time.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// Statuses that are right.
    pub status: StatusSet,
    /// Top-level kind of the JSON body. A 2xx answer whose kind or any JSON assertion is given must
    /// be JSON.
    pub kind: Option<Vec<Kind>>,
    /// Accept a 2xx JSON body that is an error object.
    pub allow_error_body: bool,
    /// Members (dotted for nested) that the top-level object must have; `a|b` means either.
    pub required: Vec<String>,
    /// Least number of items of the top-level array, or of the array at `items_at`.
    pub min_items: Option<usize>,
    /// RFC 9535 query of the list that `min_items` and `each` mean; the body itself if absent.
    pub items_at: Option<Path>,
    /// Members that each object of the list must have.
    pub each: Vec<String>,
    /// JSONPath assertions.
    pub json: Vec<JsonAssertion>,
    /// Cross-field comparisons.
    pub invariants: Vec<Invariant>,
    /// JSON Schema of the body.
    pub schema: Option<Schema>,
    /// The body must match all of these.
    pub body_matches: Vec<Regex>,
    /// The body must match none of these.
    pub body_lacks: Vec<Regex>,
    /// Header assertions.
    pub headers: Vec<HeaderAssertion>,
    /// Size limits of the decoded body, in bytes.
    pub min_bytes: Option<u64>,
    /// See `min_bytes`.
    pub max_bytes: Option<u64>,
    /// SHA-256 of the decoded body, lowercase hexadecimal.
    pub sha256: Option<String>,
    /// `HTTP/1.1` or `HTTP/2`.
    pub http_version: Option<String>,
    /// Limits per phase.
    pub timings: Vec<TimingLimit>,
}

/// Statuses that are right, e.g. `200`, `[200, 204]`, `"2xx"`. The empty set accepts none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusSet(pub Vec<std::ops::RangeInclusive<u16>>);

/// The kind of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{}`
    Object,
    /// `[]`
    Array,
    /// `"text"`
    String,
    /// `1`, `1.5`
    Number,
    /// `true`
    Boolean,
    /// `null`
    Null,
}

/// A compiled RFC 9535 query with its text.
#[derive(Clone, Debug)]
pub struct Path {
    /// As written.
    pub text: String,
    /// Ready to run.
    pub query: serde_json_path::JsonPath,
}

/// What the values that a query selects must be. Selecting nothing breaks every assertion but
/// `Absent`.
#[derive(Clone, Debug)]
pub struct JsonAssertion {
    /// The query.
    pub path: Path,
    /// The demand on every selected value.
    pub demand: Demand,
    /// `Fail` or `Warn`, never worse than the check's severity.
    pub severity: Verdict,
    /// Selecting nothing is fine: the member need not be there, but if it is, the demand holds.
    pub optional: bool,
}

/// A demand on a value.
#[derive(Clone, Debug)]
pub enum Demand {
    /// At least one value is selected.
    Exists,
    /// None is selected.
    Absent,
    /// Equal to this JSON value (strings may hold `{{name}}`).
    Equals(Value),
    /// Not equal to this.
    Differs(Value),
    /// One of these.
    OneOf(Vec<Value>),
    /// A string that matches.
    Matches(Regex),
    /// A number of at least, and at most.
    Between(Option<f64>, Option<f64>),
    /// A value of this kind.
    IsA(Kind),
    /// A string, array or object with at least so many characters, items or members.
    MinLength(usize),
    /// At most so many.
    MaxLength(usize),
    /// An RFC 3339 time (UTC where it names no offset) or Unix seconds, not older than this.
    Younger(Duration),
}

/// `LEFT OP RIGHT` over JSON values, each side a JSONPath, a number, a string, or `sign(JSONPath)`.
#[derive(Clone, Debug)]
pub struct Invariant {
    /// As written.
    pub text: String,
    /// Left side.
    pub left: Operand,
    /// Comparison.
    pub op: Op,
    /// Right side.
    pub right: Operand,
    /// Hold the sides against each other per item of this list, with `@` for the item.
    pub each: Option<Path>,
    /// `Fail` or `Warn` (the default: data is not the deployment).
    pub severity: Verdict,
    /// A side that selects nothing is fine.
    pub optional: bool,
}

/// One side of an invariant.
#[derive(Clone, Debug)]
pub enum Operand {
    /// The one value that a query selects.
    Path(Path),
    /// -1, 0 or 1 by the sign of the value that a query selects.
    Sign(Path),
    /// A literal.
    Literal(Value),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// A compiled JSON Schema.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Where it came from: a file's name, or `inline`.
    pub origin: String,
    /// Ready to run.
    pub validator: std::sync::Arc<jsonschema::Validator>,
}

/// What a header must be.
#[derive(Clone, Debug)]
pub struct HeaderAssertion {
    /// Name in lowercase.
    pub name: String,
    /// The demand.
    pub demand: HeaderDemand,
    /// `Fail` or `Warn`.
    pub severity: Verdict,
}

/// A demand on a header.
#[derive(Clone, Debug)]
pub enum HeaderDemand {
    /// It is there.
    Exists,
    /// It is not.
    Absent,
    /// Some value of it equals.
    Equals(Template),
    /// No value of it equals; it may be absent.
    Differs(Template),
    /// Some value of it matches.
    Matches(Regex),
}

/// Two levels for one phase.
#[derive(Clone, Copy, Debug)]
pub struct TimingLimit {
    /// Which time.
    pub phase: TimedPhase,
    /// Over this: a warning.
    pub warn: Option<Duration>,
    /// Over this: broken.
    pub max: Option<Duration>,
}

/// What can be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimedPhase {
    /// Resolving the name.
    Dns,
    /// The TCP connection.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// To the head of the answer.
    FirstByte,
    /// From the head to the end of the body.
    Body,
    /// Everything.
    Total,
    /// Median of the samples' totals.
    P50,
    /// 95th percentile of the samples' totals (nearest rank).
    P95,
}

/// Several requests instead of one.
#[derive(Clone, Copy, Debug)]
pub struct Samples {
    /// How many, one after the other; at least 2.
    pub count: u32,
}

/// A templated route that would match a literal path too, and by what its answer is told from the
/// right one.
#[derive(Clone, Debug)]
pub struct Shadow {
    /// The template: `/api/v1/signals/{symbol}`.
    pub template: String,
    /// The kind that the template answers, and the right route does not.
    pub kind: Kind,
}

/// A WebSocket conversation.
#[derive(Clone, Debug)]
pub struct WebSocketProbe {
    /// Path with query.
    pub path: Template,
    /// Headers of the handshake.
    pub headers: Vec<(String, Template)>,
    /// Subprotocols to offer.
    pub subprotocols: Vec<String>,
    /// Expected handshake status: 101 unless the check wants a refusal (`403`).
    pub status: u16,
    /// The steps in order.
    pub steps: Vec<Step>,
    /// Limits on connecting and on the whole conversation (`Total`).
    pub timings: Vec<TimingLimit>,
}

/// One step of a conversation.
#[derive(Clone, Debug)]
pub enum Step {
    /// Send text.
    SendText(Template),
    /// Send bytes.
    SendBinary(Vec<u8>),
    /// Wait for a message that fulfils everything; others are skipped and counted.
    Expect(ExpectMessage),
    /// Send a ping and wait for its pong.
    Ping {
        /// At most so long.
        within: Duration,
    },
    /// Close and wait for the other side's close frame; `code` is what it must carry.
    Close {
        /// The code that must come back.
        code: Option<u16>,
        /// At most so long.
        within: Duration,
    },
    /// The other side must close, with this code if given.
    ExpectClose {
        /// The code.
        code: Option<u16>,
        /// At most so long.
        within: Duration,
    },
    /// Drop the connection and open it again.
    Reconnect,
}

/// A message that is waited for.
#[derive(Clone, Debug)]
pub struct ExpectMessage {
    /// At most so long.
    pub within: Duration,
    /// At most so many unrelated messages are skipped.
    pub skip: u32,
    /// JSONPath demands on a JSON message.
    pub json: Vec<JsonAssertion>,
    /// The text (lossy for binary frames) matches.
    pub matches: Option<Regex>,
    /// What later steps and checks may use of it.
    pub captures: Vec<Capture>,
}

/// The OpenAPI document.
#[derive(Clone, Debug)]
pub struct RoutesProbe {
    /// Its path.
    pub path: Template,
}

/// The deployed version.
#[derive(Clone, Debug)]
pub struct VersionProbe {
    /// Path that is asked.
    pub path: Template,
    /// Where the version stands in the answer.
    pub source: VersionSource,
    /// What it must be.
    pub expect: Template,
    /// So many consecutive matches over fresh connections.
    pub matches: u32,
    /// The process may have run at most so long.
    pub max_uptime: Option<Uptime>,
}

/// Where the age of the process stands, for services whose version says nothing.
#[derive(Clone, Debug)]
pub struct Uptime {
    /// Path that is asked.
    pub path: String,
    /// JSON pointer (RFC 6901) to seconds.
    pub pointer: String,
    /// At most this.
    pub max: Duration,
}

/// Where a version stands.
#[derive(Clone, Debug)]
pub enum VersionSource {
    /// JSON pointer (RFC 6901) into the body.
    Pointer(String),
    /// A header.
    Header(String),
    /// `info.version` of the OpenAPI document.
    OpenApi,
}

/// The certificate.
#[derive(Clone, Debug)]
pub struct CertificateProbe {
    /// Least days left before it is broken.
    pub min_days: u32,
    /// Fewer days than this: a warning.
    pub warn_days: u32,
    /// Names that it must be for, beside the host that is asked.
    pub names: Vec<String>,
    /// Least protocol version: `TLS 1.2` or `TLS 1.3`.
    pub min_version: Option<String>,
}

/// What later checks may use of an answer.
#[derive(Clone, Debug)]
pub struct Capture {
    /// The name to use as `{{name}}`.
    pub name: String,
    /// Where it comes from.
    pub from: CaptureSource,
    /// It must appear in no output.
    pub secret: bool,
}

/// Where a capture comes from.
#[derive(Clone, Debug)]
pub enum CaptureSource {
    /// The one value that a query selects.
    Json(Path),
    /// A header.
    Header(String),
    /// First group of a match in the body.
    Regex(Regex),
    /// The status.
    Status,
}

/// When and how to try again.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// At most so many further tries.
    pub retries: u32,
    /// Base of the exponential backoff.
    pub base: Duration,
    /// Cap of one wait.
    pub cap: Duration,
    /// Try again on a wrong body or status too (waiting for something to become so).
    pub until: bool,
}

/// A failure that is accepted on record.
#[derive(Clone, Debug)]
pub struct KnownFailure {
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Last day on which it holds, UTC.
    pub expires: jiff::civil::Date,
}
