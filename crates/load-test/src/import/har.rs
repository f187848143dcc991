//! A browser's recording (HAR 1.2) as a draft of a persona file: what was asked of the most frequent
//! host, each distinct request a task whose weight is how often it came.
//!
//! Two laws. A secret is never written: what is one by its name (of a header, a parameter, a
//! member), or by its form (a JSON Web Token), becomes a variable that the environment has to set,
//! wherever else its value turns up. And nothing is left out silently: the head of the file counts it.

use std::collections::BTreeMap;

use gs_common::har::{self, Entry};
use gs_common::redact::{is_sensitive_header, is_sensitive_parameter};
use serde_json::Value;
use toml::{Table, Value as Toml};
use url::Url;

use super::Unreadable;

mod secrets;

use secrets::Secrets;

/// So many distinct requests become tasks.
const MOST_TASKS: usize = 500;

/// A longer body is an upload, and no draft is better for it.
const LONGEST_BODY: usize = 64 << 10;

/// So many kinds of what is left out are told.
const MOST_KINDS: usize = 40;

/// A request that becomes a task.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    method: String,
    url: Url,
    headers: Vec<(String, String)>,
    body: Option<Body>,
}

#[derive(Clone, Debug, PartialEq)]
enum Body {
    Json(Value),
    Form(Vec<(String, String)>),
    Text { media: String, text: String },
}

/// Makes the text of a persona file.
///
/// # Errors
/// It is no HAR, holds no request that makes a task, or too many secrets.
pub fn draft(text: &str) -> Result<String, Unreadable> {
    let entries = har::entries(text).map_err(|error| {
        Unreadable::new(format!("it is no HAR 1.2 file: {error}"))
            .hint("save it from the network tab of a browser's developer tools")
    })?;
    let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
    let mut leave_out = |why: String| {
        let why = if left_out.len() < MOST_KINDS || left_out.contains_key(&why) {
            why
        } else {
            "more of other kinds".to_owned()
        };
        *left_out.entry(why).or_default() += 1;
    };
    let mut asked: Vec<(Found, Option<f64>)> = Vec::new();
    for entry in entries {
        match found(entry) {
            Ok(found) => asked.push(found),
            Err(why) => leave_out(why.to_owned()),
        }
    }
    let Some(host) = har::most_frequent(asked.iter().map(|(found, _)| &found.url)) else {
        let why: Vec<String> = left_out.keys().cloned().collect();
        let error = Unreadable::new("it holds no request that makes a task");
        return Err(if why.is_empty() {
            error
        } else {
            error.hint(format!("left out: {}", why.join("; ")))
        });
    };
    let mut tasks: Vec<(Found, u32)> = Vec::new();
    let mut times = Vec::new();
    for (found, time) in asked {
        let origin = found.url.origin().ascii_serialization();
        if origin != host {
            leave_out(format!("a request to {origin}"));
            continue;
        }
        times.extend(time);
        if let Some((_, weight)) = tasks.iter_mut().find(|(other, _)| *other == found) {
            *weight += 1;
        } else if tasks.len() < MOST_TASKS {
            tasks.push((found, 1));
        } else {
            leave_out(format!("a request beyond the first {MOST_TASKS}"));
        }
    }
    // All secrets first: one may stand, by another name, in a request before the one that names it.
    let mut secrets = Secrets::default();
    for (found, _) in &tasks {
        secrets.learn(found)?;
    }
    let tasks: Vec<Toml> = tasks
        .iter()
        .scan(BTreeMap::new(), |names, (found, weight)| {
            Some(task(found, *weight, names, &mut secrets))
        })
        .collect();
    let persona = Table::from_iter([
        ("name".to_owned(), Toml::from("recorded")),
        ("weight".to_owned(), Toml::from(1)),
        ("think".to_owned(), think(&mut times)),
        ("tasks".to_owned(), Toml::Array(tasks)),
    ]);
    let mut file = Table::new();
    let variables = secrets.variables();
    if !variables.is_empty() {
        file.insert("variables".to_owned(), Toml::Table(variables));
    }
    file.insert(
        "personas".to_owned(),
        Toml::Array(vec![Toml::Table(persona)]),
    );
    let body = toml::to_string(&file)
        .map_err(|error| Unreadable::new(format!("it cannot be written as TOML: {error}")))?;
    if secrets.stand_in(&body) {
        return Err(Unreadable::new("a secret could not be taken out")
            .hint("remove the sensitive requests from the recording, and import it again"));
    }
    Ok(format!("{}{body}", head(&host, &left_out, &secrets)))
}

/// The request of an entry with its time in seconds, or why it makes no task.
fn found(mut entry: Entry<'_>) -> Result<(Found, Option<f64>), &'static str> {
    let url = Url::parse(&entry.request.url).map_err(|_| "a request whose URL is none")?;
    match (entry.unusable(&url), entry.response.status) {
        (Some(why), _) => return Err(why),
        (None, 400..) => return Err("a request that was refused (4xx)"),
        (None, _) => {}
    }
    let (method, headers) = (entry.method(), entry.take_headers());
    let body = match entry
        .request
        .post_data
        .and_then(|post| Some((post.mime_type, post.text?)))
    {
        None => None,
        Some((_, text)) if text.len() > LONGEST_BODY => return Err("a request with a large body"),
        Some((media, text)) => Some(body(media.to_ascii_lowercase(), &text)),
    };
    let time = entry
        .started_date_time
        .and_then(|text| text.parse::<jiff::Timestamp>().ok())
        .map(|time| time.as_microsecond() as f64 / 1e6);
    let found = Found {
        method,
        url,
        headers,
        body,
    };
    Ok((found, time))
}

fn body(media: String, text: &str) -> Body {
    match serde_json::from_str::<Value>(text) {
        Ok(json) if json.is_object() || json.is_array() => Body::Json(json),
        _ if media.starts_with("application/x-www-form-urlencoded") => Body::Form(
            url::form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        ),
        _ => Body::Text {
            media,
            text: text.to_owned(),
        },
    }
}

fn task(
    found: &Found,
    weight: u32,
    names: &mut BTreeMap<String, usize>,
    secrets: &mut Secrets,
) -> Toml {
    let path = found.url.path();
    let mut target = secrets.in_url(path);
    for (place, (name, value)) in found.url.query_pairs().enumerate() {
        let separator = if place == 0 { '?' } else { '&' };
        let key = secrets.in_query(&name);
        let value = match is_sensitive_parameter(&name) {
            true => secrets.hole(&name, &value),
            false => secrets.in_query(&value),
        };
        target.push_str(&format!("{separator}{key}={value}"));
    }
    let mut step = Table::new();
    match found.method.as_str() {
        "GET" | "POST" | "PUT" | "PATCH" | "DELETE" => {
            step.insert(found.method.to_ascii_lowercase(), Toml::from(target));
        }
        method => {
            step.insert("method".to_owned(), Toml::from(method));
            step.insert("path".to_owned(), Toml::from(target));
        }
    }
    // Secrets in a path are in its name too, and so they are taken out of both.
    step.insert(
        "name".to_owned(),
        Toml::from(
            secrets
                .in_url(&pattern(path))
                .replace("{{", "[")
                .replace("}}", "]"),
        ),
    );
    let mut headers = Table::new();
    for (name, value) in &found.headers {
        let text = if is_sensitive_header(name) {
            secrets.header(name, value)
        } else {
            secrets.in_text(value)
        };
        headers.insert(name.clone(), Toml::from(text));
    }
    let is_json = matches!(found.body, Some(Body::Json(_)));
    if let Some(body) = &found.body {
        let (value, media) = secrets.body(body);
        step.insert("body".to_owned(), value);
        if let Some(media) = media {
            headers
                .entry("content-type")
                .or_insert_with(|| Toml::from(media));
        } else if is_json {
            headers.remove("content-type");
        }
    }
    if !headers.is_empty() {
        step.insert("headers".to_owned(), Toml::Table(headers));
    }
    let slug = slug(&found.method, &pattern(path));
    let slug = secrets.in_text(&slug).replace(['{', '}'], "");
    let count = names.entry(slug.clone()).or_default();
    *count += 1;
    let name = if *count > 1 {
        format!("{slug}.{count}")
    } else {
        slug
    };
    Toml::Table(Table::from_iter([
        ("name".to_owned(), Toml::from(name)),
        ("weight".to_owned(), Toml::from(i64::from(weight))),
        ("steps".to_owned(), Toml::Array(vec![Toml::Table(step)])),
    ]))
}

/// A path whose numbers and identifiers are placeholders, so that all of them count as one endpoint.
fn pattern(path: &str) -> String {
    let is_id = |segment: &str| {
        let hex = segment
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        !segment.is_empty()
            && (segment.bytes().all(|byte| byte.is_ascii_digit())
                || hex && segment.len() >= 16
                || segment.len() >= 40)
    };
    path.split('/')
        .map(|segment| if is_id(segment) { "[id]" } else { segment })
        .collect::<Vec<_>>()
        .join("/")
}

/// `get` is the rule and not named: `api-v1-signals`, `post-api-v1-signals-batch`.
fn slug(method: &str, path: &str) -> String {
    let mut words: Vec<String> = path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .take(12)
        .collect();
    if words.is_empty() {
        words.push("root".to_owned());
    }
    if method != "GET" {
        words.insert(0, method.to_ascii_lowercase());
    }
    words.join("-").chars().take(80).collect()
}

/// The quartiles of the pauses between requests, within reason: what came within a tenth of a second
/// was the browser's doing.
fn think(times: &mut [f64]) -> Toml {
    times.sort_by(f64::total_cmp);
    let mut gaps: Vec<f64> = times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|gap| (0.1..=60.0).contains(gap))
        .collect();
    gaps.sort_by(f64::total_cmp);
    let (min, max) = if gaps.len() < 4 {
        ("1s".to_owned(), "3s".to_owned())
    } else {
        let at = |share: f64| {
            format!(
                "{:.0}ms",
                gaps[((gaps.len() - 1) as f64 * share) as usize] * 1e3
            )
        };
        (at(0.25), at(0.75))
    };
    Toml::Table(Table::from_iter([
        ("min".to_owned(), Toml::from(min)),
        ("max".to_owned(), Toml::from(max)),
    ]))
}

fn head(host: &str, left_out: &BTreeMap<String, usize>, secrets: &Secrets) -> String {
    let mut head = format!(
        "# A draft of personas made from a browser's recording of {host}: look it over before it is used.\n# Weights are how often a request came, think times the middle half of the pauses.\n"
    );
    if !secrets.variables().is_empty() {
        head.push_str("# Secrets were taken out: set the variables below before a run.\n");
    }
    if !left_out.is_empty() {
        head.push_str("#\n# Left out:\n");
        for (why, count) in left_out {
            let clean: String = why
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            head.push_str(&format!("# - {count} x {clean}\n"));
        }
    }
    head.push('\n');
    head
}

#[cfg(test)]
mod tests;
