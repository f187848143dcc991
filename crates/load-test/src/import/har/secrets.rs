//! The secrets of a recording: each becomes a variable, and none is written out.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use gs_common::redact::{is_sensitive_header, is_sensitive_parameter, split_scheme};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use toml::{Table, Value as Toml};

use super::{Body, Found};
use crate::import::Unreadable;

/// The name of the variable that stands for a brace which would begin a placeholder.
pub(super) const BRACE: &str = "brace";

/// A secret that is shorter is not looked for in other places: it would be found by chance.
const TELLING: usize = 8;

/// A recording with more of them is hostile, and its personas nobody could use.
const MOST: usize = 200;

/// What is known of secrets.
#[derive(Default)]
pub(super) struct Secrets {
    /// Variable by value.
    by_value: BTreeMap<String, String>,
    /// Variables in the order in which they were first met.
    names: Vec<String>,
    /// Forms to look for in every text, with the variable, the longest first.
    needles: Vec<(String, String)>,
    has_braces: bool,
    /// Variables that something written refers to.
    used: BTreeSet<String>,
}

impl Secrets {
    /// Learns the secrets of a request.
    pub(super) fn learn(&mut self, found: &Found) -> Result<(), Unreadable> {
        for (name, value) in &found.headers {
            if is_sensitive_header(name) {
                let (scheme, secret) = split_scheme(value);
                self.add(name, secret);
                for (name, inner) in inner(name, scheme, secret) {
                    self.add(&name, &inner);
                }
            } else {
                self.tokens(value);
            }
        }
        if let Some(password) = found.url.password() {
            self.add("password", &decoded(password));
        }
        self.tokens(found.url.path());
        for (name, value) in found.url.query_pairs() {
            if is_sensitive_parameter(&name) {
                self.add(&name, &value);
            } else {
                self.tokens(&value);
            }
        }
        match &found.body {
            None => {}
            Some(Body::Json(json)) => self.learn_json(json, None),
            Some(Body::Form(pairs)) => {
                for (name, value) in pairs {
                    if is_sensitive_parameter(name) {
                        self.add(name, value);
                    } else {
                        self.tokens(value);
                    }
                }
            }
            Some(Body::Text { text, .. }) => self.tokens(text),
        }
        if self.names.len() > MOST {
            return Err(
                Unreadable::new(format!("it holds more than {MOST} secrets"))
                    .hint("record a shorter session"),
            );
        }
        self.needles
            .sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.cmp(b)));
        self.needles.dedup();
        Ok(())
    }

    fn learn_json(&mut self, json: &Value, sensitive: Option<&str>) {
        match json {
            Value::Object(members) => {
                for (name, member) in members {
                    self.tokens(name);
                    let below = is_sensitive_parameter(&snake(name)).then_some(name.as_str());
                    self.learn_json(member, below.or(sensitive));
                }
            }
            Value::Array(items) => {
                items
                    .iter()
                    .for_each(|item| self.learn_json(item, sensitive));
            }
            Value::String(text) => match sensitive {
                Some(name) => self.add(name, text),
                None => self.tokens(text),
            },
            Value::Number(number) => {
                if let Some(name) = sensitive {
                    self.add(name, &number.to_string());
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// JSON Web Tokens are secrets wherever they stand: two parts in base64 of `{"` and a signature.
    fn tokens(&mut self, text: &str) {
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
        for word in text.split(|c| !part(c)) {
            if word.len() >= 20 && word.starts_with("eyJ") && word.contains('.') {
                self.add("jwt", word);
            }
        }
    }

    fn add(&mut self, name: &str, value: &str) {
        if value.is_empty() || self.by_value.contains_key(value) || self.names.len() > MOST {
            return;
        }
        let wanted = variable_of(name);
        let mut variable = wanted.clone();
        let mut number = 2;
        while self.names.contains(&variable) {
            variable = format!("{wanted}_{number}");
            number += 1;
        }
        self.names.push(variable.clone());
        self.by_value.insert(value.to_owned(), variable.clone());
        if value.len() >= TELLING {
            let json = Value::from(value).to_string();
            let json = json[1..json.len() - 1].to_owned();
            let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            let percent = form.replace('+', "%20");
            for form in [value.to_owned(), json, form, percent] {
                self.needles.push((form, variable.clone()));
            }
        }
    }

    /// The placeholder of a value that is a secret by its name.
    pub(super) fn hole(&mut self, name: &str, value: &str) -> String {
        if value.is_empty() {
            return String::new();
        }
        self.add(name, value);
        let variable = self.by_value.get(value).cloned();
        let variable = variable.unwrap_or_else(|| variable_of(name));
        self.used.insert(variable.clone());
        format!("{{{{{variable}}}}}")
    }

    /// A header's value; the scheme of an authorization is no secret.
    pub(super) fn header(&mut self, name: &str, value: &str) -> String {
        let (scheme, secret) = split_scheme(value);
        let hole = self.hole(name, secret);
        match scheme {
            "" => hole,
            scheme => format!("{scheme} {hole}"),
        }
    }

    /// A text as a template that means the same, without the secrets that are known.
    pub(super) fn in_text(&mut self, text: &str) -> String {
        self.written(text, |secrets, plain| secrets.braces(plain))
    }

    /// The same for a path, which is percent-encoded already.
    pub(super) fn in_url(&mut self, path: &str) -> String {
        self.written(path, |_, plain| {
            plain.replace('{', "%7B").replace('}', "%7D")
        })
    }

    /// The same for a name or value of a query, which is not encoded yet.
    pub(super) fn in_query(&mut self, value: &str) -> String {
        self.written(value, |_, plain| {
            url::form_urlencoded::byte_serialize(plain.as_bytes()).collect()
        })
    }

    /// A body as TOML, with the media type where the reader would not know it.
    pub(super) fn body(&mut self, body: &Body) -> (Toml, Option<String>) {
        match body {
            Body::Json(json) => {
                let clean = self.without_secrets(json, None);
                match as_toml(&clean, 0) {
                    Some(toml) => (toml, None),
                    // TOML has no null: such a body stays JSON text.
                    None => (
                        Toml::from(clean.to_string()),
                        Some("application/json".to_owned()),
                    ),
                }
            }
            Body::Form(pairs) => {
                let mut text = String::new();
                for (name, value) in pairs {
                    if !text.is_empty() {
                        text.push('&');
                    }
                    let value = match is_sensitive_parameter(name) {
                        true => self.hole(name, value),
                        false => self.in_query(value),
                    };
                    text.push_str(&format!("{}={value}", self.in_query(name)));
                }
                (
                    Toml::from(text),
                    Some("application/x-www-form-urlencoded".to_owned()),
                )
            }
            Body::Text { media, text } => {
                let media = (!media.is_empty() && http::HeaderValue::from_str(media).is_ok())
                    .then(|| self.in_text(media));
                (Toml::from(self.in_text(text)), media)
            }
        }
    }

    fn without_secrets(&mut self, json: &Value, sensitive: Option<&str>) -> Value {
        match json {
            Value::Object(members) => members
                .iter()
                .map(|(name, member)| {
                    let below = is_sensitive_parameter(&snake(name)).then_some(name.as_str());
                    // Keys are no templates, so a known secret in one becomes its variable's name.
                    let key = self.plain_key(name);
                    (key, self.without_secrets(member, below.or(sensitive)))
                })
                .collect(),
            Value::Array(items) => items
                .iter()
                .map(|item| self.without_secrets(item, sensitive))
                .collect(),
            Value::String(text) => Value::from(match sensitive {
                Some(name) => self.hole(name, text),
                None => self.in_text(text),
            }),
            Value::Number(number) => match sensitive {
                Some(name) => Value::from(self.hole(name, &number.to_string())),
                None => json.clone(),
            },
            Value::Bool(_) | Value::Null => json.clone(),
        }
    }

    fn plain_key(&mut self, name: &str) -> String {
        let mut key = name.to_owned();
        for (needle, variable) in &self.needles {
            if key.contains(needle) {
                key = key.replace(needle, variable);
            }
        }
        key
    }

    fn written(&mut self, text: &str, plain: impl Fn(&mut Self, &str) -> String) -> String {
        let mut written = String::new();
        let mut rest = text;
        loop {
            // The first place of any needle; at one place the longest, which comes first.
            let next = self
                .needles
                .iter()
                .filter_map(|(needle, variable)| Some((rest.find(needle)?, needle.len(), variable)))
                .min_by_key(|(place, length, _)| (*place, usize::MAX - length))
                .map(|(place, length, variable)| (place, length, variable.clone()));
            let Some((place, length, variable)) = next else {
                written.push_str(&plain(self, rest));
                return written;
            };
            written.push_str(&plain(self, &rest[..place]));
            self.used.insert(variable.clone());
            written.push_str(&format!("{{{{{variable}}}}}"));
            rest = &rest[place + length..];
        }
    }

    /// Braces that might be taken for the start of a placeholder are written as one.
    fn braces(&mut self, text: &str) -> String {
        if text.contains("{{") || text.ends_with('{') {
            self.has_braces = true;
            return text.replace('{', &format!("{{{{{BRACE}}}}}"));
        }
        text.to_owned()
    }

    /// The table of variables.
    pub(super) fn variables(&self) -> Table {
        let mut table = Table::new();
        if self.has_braces {
            table.insert(BRACE.to_owned(), Toml::from("{"));
        }
        for name in self.names.iter().filter(|name| self.used.contains(*name)) {
            let variable = Table::from_iter([
                (
                    "env".to_owned(),
                    Toml::from(format!("LOAD_{}", name.to_uppercase())),
                ),
                ("secret".to_owned(), Toml::from(true)),
            ]);
            table.insert(name.clone(), Toml::Table(variable));
        }
        table
    }

    /// Whether any secret that is long enough to tell stands in a text.
    pub(super) fn stand_in(&self, text: &str) -> bool {
        self.needles
            .iter()
            .any(|(needle, _)| text.contains(needle.as_str()))
    }
}

/// `accessToken` has the words that `access_token` has.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.ends_with(|c: char| c.is_ascii_uppercase()) {
            snake.push('_');
        }
        snake.push(c);
    }
    snake.to_ascii_lowercase()
}

/// Name and value of the secrets inside of a header's secret.
fn inner(name: &str, scheme: &str, value: &str) -> Vec<(String, String)> {
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = BASE64_STANDARD
            .decode(value)
            .ok()
            .and_then(|pair| String::from_utf8(pair).ok())
            .unwrap_or_default();
        return pair
            .split_once(':')
            .map(|(_, password)| ("password".to_owned(), password.to_owned()))
            .into_iter()
            .filter(|(_, password)| password.len() >= TELLING)
            .collect();
    }
    if name != "cookie" {
        return Vec::new();
    }
    value
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .filter(|(_, value)| value.len() >= TELLING)
        .collect()
}

fn variable_of(name: &str) -> String {
    let word = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    let mut variable: String = name.chars().map(word).take(60).collect();
    let is_verb = matches!(
        variable.as_str(),
        BRACE | "uuid" | "now" | "user" | "pick" | "sample" | "int" | "number"
    );
    if !variable.starts_with(|c: char| c.is_ascii_alphabetic()) || is_verb {
        variable.insert_str(0, "secret_");
    }
    variable
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A JSON value as TOML; nothing where TOML has no such value: null, a number beyond 64 bits.
fn as_toml(json: &Value, depth: usize) -> Option<Toml> {
    if depth > 32 {
        return None;
    }
    Some(match json {
        Value::Null => return None,
        Value::Bool(truth) => Toml::from(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Toml::from(whole),
            (None, Some(real)) if number.is_f64() => Toml::from(real),
            _ => return None,
        },
        Value::String(text) => Toml::from(text.clone()),
        Value::Array(items) => Toml::Array(
            items
                .iter()
                .map(|item| as_toml(item, depth + 1))
                .collect::<Option<_>>()?,
        ),
        Value::Object(members) => Toml::Table(
            members
                .iter()
                .map(|(name, member)| Some((name.clone(), as_toml(member, depth + 1)?)))
                .collect::<Option<_>>()?,
        ),
    })
}
