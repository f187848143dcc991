//! A HAR 1.2 file as a suite: what a browser asked of the service, and what of the answers can be
//! expected again.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use gs_common::config::ConfigError;
use gs_common::redact::is_sensitive_header;
use serde::Deserialize;
use url::Url;

use super::draft::Draft;
use super::{Body, Found, Learnt, Part, credentials, header_part, learn, query_parts};

// Only what is used is kept in memory: a HAR holds every picture of every page.
#[derive(Deserialize)]
struct Har<'a> {
    #[serde(borrow)]
    log: Log<'a>,
}

#[derive(Deserialize)]
struct Log<'a> {
    #[serde(borrow)]
    entries: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    request: Request<'a>,
    #[serde(borrow, default)]
    response: Response<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    method: String,
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(borrow)]
    post_data: Option<PostData<'a>>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostData<'a> {
    #[serde(default)]
    mime_type: String,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Response<'a> {
    #[serde(default)]
    status: i64,
    #[serde(borrow, default)]
    content: Content<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    #[serde(default)]
    mime_type: String,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    encoding: Option<String>,
}

/// Makes a suite of a HAR 1.2 file: the requests of its most frequent host, without pictures,
/// scripts and the browser's own headers.
///
/// # Errors
/// It is no HAR, or holds no request that makes a check.
pub fn har(text: &str) -> Result<String, ConfigError> {
    let har: Har<'_> = serde_json::from_str(text).map_err(|error| {
        ConfigError::new(format!("--har: it is no HAR 1.2 file: {error}"))
            .hint("save it from the network tab of a browser's developer tools")
    })?;
    let mut draft = Draft::default();
    let mut asked: Vec<(Url, Entry<'_>)> = Vec::new();
    for entry in har.log.entries {
        match Url::parse(&entry.request.url) {
            Ok(url) => match no_check(&url, &entry) {
                Some(why) => draft.leave_out(why),
                None => asked.push((url, entry)),
            },
            Err(_) => draft.leave_out("a request whose URL is none"),
        }
    }
    let Some(host) = most_frequent(
        asked
            .iter()
            .map(|(url, _)| url.origin().ascii_serialization()),
    ) else {
        return draft.finish("--har: the file", None);
    };
    for (url, entry) in asked {
        let origin = url.origin().ascii_serialization();
        if origin == host {
            draft.add(found(&url, entry));
        } else {
            draft.leave_out(&format!("a request to {origin}"));
        }
    }
    draft.finish("a HAR file", Some(&host))
}

/// Why an entry makes no check.
fn no_check(url: &Url, entry: &Entry<'_>) -> Option<&'static str> {
    let mime = entry.response.content.mime_type.to_ascii_lowercase();
    let is_file = [
        "image/",
        "font/",
        "audio/",
        "video/",
        "text/css",
        "application/font",
        "application/wasm",
    ]
    .iter()
    .any(|media| mime.starts_with(media))
        || mime.contains("javascript");
    match (url.scheme(), entry.response.status) {
        ("ws" | "wss", _) | (_, 101) => Some("a WebSocket: write the conversation by hand"),
        (scheme, _) if !matches!(scheme, "http" | "https") => {
            Some("what is not of the web, such as `data:`")
        }
        _ if entry.request.method == "OPTIONS" => Some("a browser's preflight (OPTIONS)"),
        (_, 500..=599) => Some("a request that the service failed to answer (5xx)"),
        (_, status) if !(200..=499).contains(&status) => Some("a request without an answer"),
        _ if is_file => Some("a picture, font, style or script"),
        _ if http::Method::from_bytes(entry.request.method.to_ascii_uppercase().as_bytes())
            .is_err() =>
        {
            Some("a request whose method is none")
        }
        _ => None,
    }
}

/// The most frequent of some texts, the first of several.
fn most_frequent(texts: impl Iterator<Item = String>) -> Option<String> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (place, text) in texts.enumerate() {
        counts.entry(text).or_insert((0, place)).0 += 1;
    }
    counts
        .into_iter()
        .min_by_key(|(_, (count, place))| (usize::MAX - count, *place))
        .map(|(text, _)| text)
}

fn found(url: &Url, entry: Entry<'_>) -> Found {
    let Entry { request, response } = entry;
    let mut headers: Vec<(String, Part)> = Vec::new();
    for Header { name, value } in request.headers {
        let name = name.to_ascii_lowercase();
        let known = headers.iter().any(|(other, _)| *other == name);
        if is_ours(&name) && !known && http::HeaderValue::from_str(&value).is_ok() {
            let part = header_part(&name, &value);
            headers.push((name, part));
        }
    }
    if headers.iter().all(|(name, _)| name != "authorization") {
        headers.extend(credentials(url));
    }
    let body = request.post_data.and_then(|post| {
        let text = post.text?.into_owned();
        Some(Body::Text {
            media: post.mime_type.to_ascii_lowercase(),
            text,
        })
    });
    // Without the browser's cache, what was "not modified" is there again.
    let status = if response.status == 304 {
        200
    } else {
        response.status
    };
    let mut expect = Learnt {
        status: status.to_string(),
        ..Learnt::default()
    };
    let media = response
        .content
        .mime_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if response.status != 304 && media.contains('/') && media.is_ascii() {
        expect.media = Some(media.clone());
    }
    if media.ends_with("json")
        && let Some(text) = text_of(&response.content)
    {
        learn::from_body(&text, &mut expect);
    }
    Found {
        method: request.method.to_ascii_uppercase(),
        path: url.path().to_owned(),
        query: query_parts(url.query().unwrap_or_default()),
        headers,
        body,
        expect,
        more: Vec::new(),
    }
}

/// Headers that an application sets; all others speak of the browser or the connection.
fn is_ours(name: &str) -> bool {
    http::HeaderName::from_bytes(name.as_bytes()).is_ok()
        && (matches!(name, "accept" | "content-type")
            || name.starts_with("x-")
            || is_sensitive_header(name))
        && !matches!(name, "proxy-authorization" | "sec-websocket-key")
}

fn text_of<'a>(content: &'a Content<'_>) -> Option<Cow<'a, str>> {
    let text = content.text.as_deref()?;
    match content.encoding.as_deref() {
        None | Some("") => Some(Cow::Borrowed(text)),
        Some("base64") => String::from_utf8(BASE64_STANDARD.decode(text).ok()?)
            .ok()
            .map(Cow::Owned),
        Some(_) => None,
    }
}
