//! New suites of what others have: a curl command line, a HAR file, an OpenAPI document.
//!
//! [`curl()`], [`har()`] and [`openapi()`] find requests, [`draft`] writes them down. Two laws: a
//! secret is never written out (what holds one by its name becomes a variable that the environment
//! has to set), and nothing is left out silently (an option of curl that is not understood is an
//! error, requests that make no check are counted at the head of the file).

mod curl;
mod draft;
mod har;
mod learn;
mod openapi;
mod secrets;
mod shell;
#[cfg(test)]
mod tests;
mod toml_text;

pub use curl::curl;
pub use har::har;
pub use openapi::openapi;

use gs_common::redact::is_sensitive_parameter;
use url::Url;

/// A request found in a foreign file, and what is known of its answer.
#[derive(Clone, Debug, Default, PartialEq)]
struct Found {
    method: String,
    /// Percent-encoded, without query.
    path: String,
    query: Vec<Part>,
    headers: Vec<(String, Part)>,
    body: Option<Body>,
    expect: Learnt,
    /// Further lines of the check, as TOML.
    more: Vec<String>,
}

/// A text that may hold a secret.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    /// It holds none.
    Plain(String),
    /// It does; only what stands before it may be written.
    Secret {
        before: String,
        name: String,
        /// Empty where it is not known, as in an OpenAPI document.
        value: String,
    },
}

/// A request's body.
#[derive(Clone, Debug, PartialEq)]
enum Body {
    /// A text, with its media type in lowercase.
    Text { media: String, text: String },
    /// A file that curl would have read, relative to where it ran.
    File(String),
}

/// What an answer must hold, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq)]
struct Learnt {
    /// As TOML: `200` or `"2xx"`.
    status: String,
    /// Top-level kinds of the JSON body.
    kinds: Vec<&'static str>,
    /// Members of an object.
    required: Vec<String>,
    /// A list that is not empty.
    some_items: bool,
    /// Members of each item of a list.
    each: Vec<String>,
    /// Media type of the body.
    media: Option<String>,
}

/// The pairs of a query, still encoded; values of sensitive parameters are secrets.
fn query_parts(query: &str) -> Vec<Part> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if is_sensitive_parameter(&decoded(name)) => Part::Secret {
                before: format!("{name}="),
                name: decoded(name),
                value: decoded(value),
            },
            _ => Part::Plain(pair.to_owned()),
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8_lossy()
        .into_owned()
}

/// A header's value; the scheme of an authorization is no secret.
fn header_part(name: &str, value: &str) -> Part {
    if !gs_common::redact::is_sensitive_header(name) {
        return Part::Plain(value.to_owned());
    }
    let (scheme, secret) = gs_common::redact::split_scheme(value);
    Part::Secret {
        before: if scheme.is_empty() {
            String::new()
        } else {
            format!("{scheme} ")
        },
        name: name.to_owned(),
        value: secret.to_owned(),
    }
}

/// The variable of a user and a password, as `Basic` wants them.
const BASIC: &str = "basic_authorization";

/// User and password of a URL as the header that a client makes of them.
fn basic_authorization(user: &str, password: &str) -> (String, Part) {
    use base64::Engine as _;
    let value = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
    let part = Part::Secret {
        before: "Basic ".to_owned(),
        name: BASIC.to_owned(),
        value,
    };
    ("authorization".to_owned(), part)
}

fn credentials(url: &Url) -> Option<(String, Part)> {
    let password = url.password().unwrap_or_default();
    (!url.username().is_empty() || !password.is_empty()).then(|| {
        let plain = |text| percent_encoding::percent_decode_str(text).decode_utf8_lossy();
        basic_authorization(&plain(url.username()), &plain(password))
    })
}
