//! A HAR 1.2 file as a suite: what a browser asked of the service, and what of the answers can be
//! expected again.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use gs_common::config::ConfigError;
use gs_common::har::{self, Content, Entry};
use url::Url;

use super::draft::Draft;
use super::{Body, Found, Learnt, Part, credentials, header_part, learn, query_parts};

/// Makes a suite of a HAR 1.2 file: the requests of its most frequent host, without pictures,
/// scripts and the browser's own headers.
///
/// # Errors
/// It is no HAR, or holds no request that makes a check.
pub fn har(text: &str) -> Result<String, ConfigError> {
    let entries = har::entries(text).map_err(|error| {
        ConfigError::new(format!("--har: it is no HAR 1.2 file: {error}"))
            .hint("save it from the network tab of a browser's developer tools")
    })?;
    let mut draft = Draft::default();
    let mut asked: Vec<(Url, Entry<'_>)> = Vec::new();
    for entry in entries {
        match Url::parse(&entry.request.url) {
            Ok(url) => match entry.unusable(&url) {
                Some(why) => draft.leave_out(why),
                None => asked.push((url, entry)),
            },
            Err(_) => draft.leave_out("a request whose URL is none"),
        }
    }
    let Some(host) = har::most_frequent(asked.iter().map(|(url, _)| url)) else {
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

fn found(url: &Url, mut entry: Entry<'_>) -> Found {
    let mut headers: Vec<(String, Part)> = Vec::new();
    for (name, value) in entry.take_headers() {
        let part = header_part(&name, &value);
        headers.push((name, part));
    }
    let method = entry.method();
    let Entry {
        request, response, ..
    } = entry;
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
        method,
        path: url.path().to_owned(),
        query: query_parts(url.query().unwrap_or_default()),
        headers,
        body,
        expect,
        more: Vec::new(),
    }
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
