//! Found requests as the text of a suite.

use std::collections::{BTreeMap, BTreeSet};

use gs_common::config::ConfigError;
use gs_common::redact::{SHORTEST, is_sensitive_parameter};
use serde_json::Value;

use super::secrets::Secrets;
use super::toml_text::{self, comment, quoted};
use super::{BASIC, Body, Found, Learnt, Part, query_parts};

/// So many requests become checks.
const MOST: usize = 500;

/// So many kinds of what is left out are told.
const MOST_KINDS: usize = 40;

/// The name of the variable that stands for a brace which is none of ours.
pub(super) const BRACE: &str = "brace";

/// A suite that is being made.
#[derive(Default)]
pub(super) struct Draft {
    found: Vec<Found>,
    /// What is left out, with how often.
    left_out: BTreeMap<String, usize>,
    notes: BTreeSet<String>,
    secrets: Secrets,
    has_braces: bool,
}

/// Where a text is going to stand.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// In a path, a query or a form.
    Url,
    /// Anywhere else, or where the reader adds the escape by itself.
    Plain,
}

impl Draft {
    /// Adds a request, unless there is the same already.
    pub(super) fn add(&mut self, found: Found) {
        let same = |other: &Found| {
            (&other.method, &other.path, &other.query, &other.body)
                == (&found.method, &found.path, &found.query, &found.body)
        };
        if self.found.iter().any(same) {
            self.leave_out("a request that is there already");
        } else if self.found.len() >= MOST {
            self.leave_out(&format!("a request beyond the first {MOST}"));
        } else {
            self.found.push(found);
        }
    }

    /// Counts something that makes no check.
    pub(super) fn leave_out(&mut self, what: &str) {
        *self.left_out.entry(what.to_owned()).or_insert(0) += 1;
    }

    /// A sentence for the head of the file.
    pub(super) fn note(&mut self, sentence: impl Into<String>) {
        self.notes.insert(sentence.into());
    }

    /// The suite's text. `source` says what it was made of, `host` whom to run it against.
    pub(super) fn finish(
        mut self,
        source: &str,
        host: Option<&str>,
    ) -> Result<String, ConfigError> {
        if self.found.is_empty() {
            let mut why: Vec<String> = self.left_out.keys().cloned().collect();
            why.extend(self.notes);
            let error = ConfigError::new(format!("{source} holds no request to make a check of"));
            return Err(if why.is_empty() {
                error
            } else {
                error.hint(format!("left out: {}", why.join("; ")))
            });
        }
        let found = std::mem::take(&mut self.found);
        // All secrets first: one may stand, undeclared, in a request before the one that names it.
        for found in &found {
            self.secrets_of(found);
        }
        if !self.secrets.look_for_them() {
            return Err(ConfigError::new(format!(
                "{source} holds more secrets than can be left out"
            )));
        }
        let mut ids = BTreeMap::new();
        let checks: Vec<String> = found
            .iter()
            .map(|found| self.check(found, &mut ids))
            .collect();
        let mut text = self.head(source, host);
        text.extend(checks);
        Ok(text)
    }

    fn head(&self, source: &str, host: Option<&str>) -> String {
        let mut text = format!(
            "# Made of {source}. A status proves little: say of each answer what it must hold.\n"
        );
        if let Some(host) = host {
            text.push_str(&format!(
                "#\n#   smoke-test {} --suite THIS_FILE\n",
                comment(host)
            ));
        }
        if !self.notes.is_empty() || !self.left_out.is_empty() {
            text.push_str("#\n");
        }
        for note in &self.notes {
            text.push_str(&format!("# Note: {}.\n", comment(note)));
        }
        for (what, count) in self.left_out.iter().take(MOST_KINDS) {
            let times = if *count == 1 {
                "once".to_owned()
            } else {
                format!("{count} times")
            };
            text.push_str(&format!("# Left out: {} ({times}).\n", comment(what)));
        }
        if self.left_out.len() > MOST_KINDS {
            text.push_str(&format!(
                "# Left out: {} more kinds of requests.\n",
                self.left_out.len() - MOST_KINDS
            ));
        }
        if !self.secrets.is_empty() || self.has_braces {
            text.push_str("\n[variables]\n");
        }
        if self.has_braces {
            text.push_str(&format!("{BRACE} = \"{{\" # a brace that opens no name\n"));
        }
        if !self.secrets.is_empty() {
            text.push_str("# Secrets come from the environment; none was written here.\n");
        }
        for (variable, value) in self.secrets.variables() {
            // A shorter one cannot be hidden in reports, and would be refused.
            let short = !value.is_empty() && value.chars().count() < SHORTEST;
            let secret = if short { "" } else { ", secret = true" };
            let env = format!("SMOKE_{}", variable.to_uppercase());
            let means = if variable.starts_with(BASIC) {
                " # base64 of USER:PASSWORD"
            } else {
                ""
            };
            text.push_str(&format!(
                "{variable} = {{ env = {}{secret} }}{means}\n",
                quoted(&env)
            ));
        }
        text
    }

    fn secrets_of(&mut self, found: &Found) {
        let headers = found.headers.iter().map(|(_, part)| part);
        for part in found.query.iter().chain(headers) {
            if let Part::Secret {
                before,
                name,
                value,
            } = part
            {
                self.secrets.add(before, name, value);
            }
        }
        match body_of(found) {
            Some(Content::Json(json)) => drop(self.without_secrets(&json, None)),
            Some(Content::Form(pairs)) => {
                for part in &pairs {
                    if let Part::Secret { name, value, .. } = part {
                        self.secrets.variable(name, value);
                    }
                }
            }
            _ => {}
        }
    }

    fn check(&mut self, found: &Found, ids: &mut BTreeMap<String, usize>) -> String {
        let path = self.path(found);
        // Without the secrets that a path may hold, like all that is written.
        let shown = self.written(&found.path, Place::Url).replace("|url", "");
        let mut head = vec![
            format!("id = {}", quoted(&id(&found.method, &shown, ids))),
            format!("title = {}", quoted(&format!("{} {shown}", found.method))),
        ];
        if !matches!(found.method.as_str(), "GET" | "HEAD" | "OPTIONS") {
            head.push("tags = [\"writes\"]".to_owned());
        }
        head.extend(found.more.iter().cloned());
        let mut request = Vec::new();
        let body = self.body(found);
        let headers = self.headers(
            found,
            body.as_deref()
                .is_some_and(|line| line.starts_with("json = ")),
        );
        if found.method == "GET" && headers.is_none() && body.is_none() {
            head.push(format!("get = {}", quoted(&path)));
        } else {
            request.push("[checks.request]".to_owned());
            if found.method != "GET" {
                request.push(format!("method = {}", quoted(&found.method)));
            }
            request.push(format!("path = {}", quoted(&path)));
            request.extend(headers);
            request.extend(body);
        }
        format!(
            "\n[[checks]]\n{}\n{}\n",
            [head, request].concat().join("\n"),
            expect(&found.expect)
        )
    }

    fn path(&mut self, found: &Found) -> String {
        let mut path = self.written(&found.path, Place::Url);
        for (index, part) in found.query.iter().enumerate() {
            path.push(if index == 0 { '?' } else { '&' });
            path.push_str(&self.part(part, Place::Url));
        }
        path
    }

    fn headers(&mut self, found: &Found, json_body: bool) -> Option<String> {
        let mut lines: Vec<String> = Vec::new();
        for (name, part) in &found.headers {
            // `json` says so by itself.
            let said = json_body
                && name == "content-type"
                && *part == Part::Plain("application/json".to_owned());
            if !said {
                lines.push(format!(
                    "{} = {}",
                    toml_text::key(name),
                    quoted(&self.part(part, Place::Plain))
                ));
            }
        }
        (!lines.is_empty()).then(|| format!("headers = {{ {} }}", lines.join(", ")))
    }

    fn body(&mut self, found: &Found) -> Option<String> {
        match body_of(found)? {
            Content::File(name) => Some(format!("body_file = {}", quoted(&name))),
            Content::Json(json) => {
                let json = self.without_secrets(&json, None);
                if let Some(text) = toml_text::value(&json) {
                    return Some(format!("json = {text}"));
                }
                let text = crate::suite::template::escaping_json(json).to_string();
                Some(format!("body = {}", quoted(&text)))
            }
            Content::Form(pairs) => {
                let pairs: Vec<String> = pairs
                    .iter()
                    .map(|part| self.part(part, Place::Url))
                    .collect();
                Some(format!("body = {}", quoted(&pairs.join("&"))))
            }
            Content::Text(text) => {
                self.note("a body that is neither JSON nor a form was taken over as it is: look for secrets in it");
                Some(format!(
                    "body = {}",
                    quoted(&self.written(&text, Place::Plain))
                ))
            }
        }
    }

    /// The value with a variable in the place of each secret. Everything below a member that is
    /// sensitive by its name is one.
    fn without_secrets(&mut self, json: &Value, sensitive: Option<&str>) -> Value {
        match json {
            Value::Object(members) => members
                .iter()
                .map(|(name, member)| {
                    let below = if is_sensitive_parameter(name) {
                        Some(name.as_str())
                    } else {
                        sensitive
                    };
                    (
                        self.written(name, Place::Plain),
                        self.without_secrets(member, below),
                    )
                })
                .collect(),
            Value::Array(items) => items
                .iter()
                .map(|item| self.without_secrets(item, sensitive))
                .collect(),
            Value::String(text) => Value::from(match sensitive {
                Some(name) => format!("{{{{{}}}}}", self.secrets.variable(name, text)),
                None => self.written(text, Place::Plain),
            }),
            Value::Number(number) => match sensitive {
                Some(name) => {
                    self.note(format!("the number in `{name}` of a body became a text, so that it could be left out"));
                    Value::from(format!(
                        "{{{{{}}}}}",
                        self.secrets.variable(name, &number.to_string())
                    ))
                }
                None => json.clone(),
            },
            Value::Bool(_) | Value::Null => json.clone(),
        }
    }

    fn part(&mut self, part: &Part, place: Place) -> String {
        match part {
            Part::Plain(text) => self.written(text, place),
            Part::Secret {
                before,
                name,
                value,
            } => {
                let variable = self.secrets.variable(name, value);
                format!("{}{}", self.written(before, place), hole(&variable, place))
            }
        }
    }

    /// A foreign text as a template that means the same, without the secrets that are known.
    fn written(&mut self, text: &str, place: Place) -> String {
        let found = self.secrets.find(text);
        let mut written = String::new();
        let mut end = 0;
        for (range, variable) in found {
            let hole = hole(&variable, place);
            written.push_str(&self.braces(&text[end..range.start], place));
            written.push_str(&hole);
            end = range.end;
        }
        written.push_str(&self.braces(&text[end..], place));
        written
    }

    /// Braces that might be taken for the start of a name are written as a variable.
    fn braces(&mut self, text: &str, place: Place) -> String {
        if place == Place::Url {
            return text.replace('{', "%7B").replace('}', "%7D");
        }
        if text.contains("{{") || text.ends_with('{') {
            self.has_braces = true;
            return text.replace('{', &hole(BRACE, place));
        }
        text.to_owned()
    }
}

fn hole(variable: &str, place: Place) -> String {
    match place {
        Place::Url => format!("{{{{{variable}|url}}}}"),
        Place::Plain => format!("{{{{{variable}}}}}"),
    }
}

/// A body by what it is.
enum Content {
    Json(Value),
    Form(Vec<Part>),
    Text(String),
    File(String),
}

fn body_of(found: &Found) -> Option<Content> {
    match found.body.as_ref()? {
        Body::File(name) => Some(Content::File(name.clone())),
        Body::Text { media, text } => Some(match serde_json::from_str::<Value>(text) {
            Ok(json) if json.is_object() || json.is_array() => Content::Json(json),
            _ if media.starts_with("application/x-www-form-urlencoded") => {
                Content::Form(query_parts(text))
            }
            _ => Content::Text(text.clone()),
        }),
    }
}

/// `get` is the rule and not named: `api-v1-signals`, `post-api-v1-signals-batch`.
fn id(method: &str, path: &str, ids: &mut BTreeMap<String, usize>) -> String {
    let mut id = if method == "GET" {
        String::new()
    } else {
        method.to_ascii_lowercase()
    };
    for word in path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        if !id.is_empty() {
            id.push('-');
        }
        id.push_str(&word.to_ascii_lowercase());
        if id.len() > 80 {
            break;
        }
    }
    if id.is_empty() {
        id.push_str("root");
    }
    id.truncate(100);
    let seen = ids.entry(id.clone()).or_insert(0);
    *seen += 1;
    // A dot comes from no path, so that the number makes no other's id.
    if *seen > 1 {
        format!("{id}.{seen}")
    } else {
        id
    }
}

fn expect(learnt: &Learnt) -> String {
    let mut lines = vec![
        "[checks.expect]".to_owned(),
        format!("status = {}", learnt.status),
    ];
    match learnt.kinds.as_slice() {
        [] => {}
        [kind] => lines.push(format!("kind = {}", quoted(kind))),
        kinds => lines.push(format!("kind = {}", toml_text::list(kinds))),
    }
    if !learnt.required.is_empty() {
        lines.push(format!("required = {}", toml_text::list(&learnt.required)));
    }
    if learnt.some_items {
        lines.push("min_items = 1".to_owned());
    }
    if !learnt.each.is_empty() {
        lines.push(format!("each = {}", toml_text::list(&learnt.each)));
    }
    if let Some(media) = &learnt.media {
        let matches = format!("^{}", regex::escape(media));
        lines.push(format!(
            "headers = {{ content-type = {{ matches = {} }} }}",
            quoted(&matches)
        ));
    }
    lines.join("\n")
}
