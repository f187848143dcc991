//! A browser's recording of a page (HAR 1.2, <http://www.softwareishard.com/blog/har-12-spec/>): what of it
//! an application asked of a service.
//!
//! Only what is used is kept in memory: a HAR holds every picture of every page.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

use crate::redact::is_sensitive_header;

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

/// A request with its answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry<'a> {
    /// When it was sent, as ISO 8601.
    pub started_date_time: Option<String>,
    /// What was asked.
    #[serde(borrow)]
    pub request: Request<'a>,
    /// What came back.
    #[serde(borrow, default)]
    pub response: Response<'a>,
}

/// What was asked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    /// As it was sent.
    pub method: String,
    /// Absolute.
    #[serde(borrow)]
    pub url: Cow<'a, str>,
    #[serde(default)]
    headers: Vec<Header>,
    /// The body.
    #[serde(borrow)]
    pub post_data: Option<PostData<'a>>,
}

#[derive(Debug, Deserialize)]
struct Header {
    name: String,
    value: String,
}

/// A request's body.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostData<'a> {
    /// Its media type.
    #[serde(default)]
    pub mime_type: String,
    /// Absent where it was no text.
    #[serde(borrow)]
    pub text: Option<Cow<'a, str>>,
}

/// What came back.
#[derive(Debug, Default, Deserialize)]
pub struct Response<'a> {
    /// 0 where no answer came.
    #[serde(default)]
    pub status: i64,
    /// The body.
    #[serde(borrow, default)]
    pub content: Content<'a>,
}

/// An answer's body.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content<'a> {
    /// Its media type, with parameters.
    #[serde(default)]
    pub mime_type: String,
    /// Absent where it was not kept.
    #[serde(borrow)]
    pub text: Option<Cow<'a, str>>,
    /// `base64`, or absent.
    pub encoding: Option<String>,
}

/// The entries of a recording.
///
/// # Errors
/// It is no HAR 1.2.
pub fn entries(text: &str) -> Result<Vec<Entry<'_>>, serde_json::Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str::<Har<'_>>(text).map(|har| har.log.entries)
}

/// Media types of what a page is made of.
const FILES: [&str; 7] = [
    "image/",
    "font/",
    "audio/",
    "video/",
    "text/css",
    "application/font",
    "application/wasm",
];

impl Entry<'_> {
    /// Why an entry is none that an application sent over HTTP and got an answer to. A refusal (4xx) is an
    /// answer.
    #[must_use]
    pub fn unusable(&self, url: &Url) -> Option<&'static str> {
        let mime = self.response.content.mime_type.to_ascii_lowercase();
        let is_file =
            FILES.iter().any(|media| mime.starts_with(media)) || mime.contains("javascript");
        let method = self.method();
        match (url.scheme(), self.response.status) {
            ("ws" | "wss", _) | (_, 101) => Some("a WebSocket: write it by hand"),
            (scheme, _) if !matches!(scheme, "http" | "https") => {
                Some("what is not of the web, such as `data:`")
            }
            _ if method == "OPTIONS" => Some("a browser's preflight (OPTIONS)"),
            (_, 500..=599) => Some("a request that the service failed to answer (5xx)"),
            (_, status) if !(200..=499).contains(&status) => Some("a request without an answer"),
            _ if is_file => Some("a picture, font, style or script"),
            _ if http::Method::from_bytes(method.as_bytes()).is_err() => {
                Some("a request whose method is none")
            }
            _ => None,
        }
    }

    /// The method in capitals.
    #[must_use]
    pub fn method(&self) -> String {
        self.request.method.to_ascii_uppercase()
    }

    /// The headers that an application sets, each once, in lower case; all others speak of the browser or
    /// the connection.
    pub fn take_headers(&mut self) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> = Vec::new();
        for Header { name, value } in std::mem::take(&mut self.request.headers) {
            let name = name.to_ascii_lowercase();
            let known = headers.iter().any(|(other, _)| *other == name);
            if is_ours(&name) && !known && http::HeaderValue::from_str(&value).is_ok() {
                headers.push((name, value));
            }
        }
        headers
    }
}

fn is_ours(name: &str) -> bool {
    http::HeaderName::from_bytes(name.as_bytes()).is_ok()
        && (matches!(name, "accept" | "content-type")
            || name.starts_with("x-")
            || is_sensitive_header(name))
        && !matches!(name, "proxy-authorization" | "sec-websocket-key")
}

/// The origin that was asked most, the first of several.
pub fn most_frequent<'u>(urls: impl Iterator<Item = &'u Url>) -> Option<String> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (place, url) in urls.enumerate() {
        let origin = url.origin().ascii_serialization();
        counts.entry(origin).or_insert((0, place)).0 += 1;
    }
    counts
        .into_iter()
        .min_by_key(|(_, (count, place))| (usize::MAX - count, *place))
        .map(|(origin, _)| origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(url: &str, method: &str, status: i64, mime: &str) -> Option<&'static str> {
        let text = serde_json::json!({"log": {"entries": [{
            "request": {"method": method, "url": url},
            "response": {"status": status, "content": {"mimeType": mime}}
        }]}})
        .to_string();
        let url = Url::parse(url).unwrap();
        entries(&format!("\u{feff}{text}")).unwrap()[0].unusable(&url)
    }

    #[test]
    fn what_an_application_asked_is_usable_and_what_a_page_is_made_of_is_not() {
        assert_eq!(one("http://a/", "get", 200, "application/json"), None);
        assert_eq!(one("http://a/", "POST", 404, "application/json"), None);
        for (url, method, status, mime) in [
            ("wss://a/ws", "GET", 101, ""),
            ("data:text/plain,1", "GET", 200, ""),
            ("http://a/", "OPTIONS", 204, ""),
            ("http://a/", "GET", 503, "application/json"),
            ("http://a/", "GET", 0, ""),
            ("http://a/", "GET", 200, "image/png"),
            ("http://a/", "GET", 200, "text/javascript; charset=utf-8"),
            ("http://a/", "G T", 200, ""),
        ] {
            assert!(
                one(url, method, status, mime).is_some(),
                "{url} {method} {status} {mime}"
            );
        }
    }

    #[test]
    fn headers_of_the_application_come_once_and_in_lower_case() {
        let text = r#"{"log": {"entries": [{"request": {"method": "GET", "url": "http://a/", "headers": [
            {"name": "X-Api-Key", "value": "k"}, {"name": "x-api-key", "value": "again"},
            {"name": "Accept", "value": "a/b"}, {"name": "User-Agent", "value": "browser"},
            {"name": ":authority", "value": "a"}, {"name": "x-broken", "value": "a\nb"}]}}]}}"#;
        let headers = entries(text).unwrap()[0].take_headers();
        let expected = [("x-api-key", "k"), ("accept", "a/b")];
        assert_eq!(
            headers,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn the_first_of_the_most_frequent_origins_is_taken() {
        let urls = ["http://b/", "https://a/1", "https://a/2", "http://b/2"];
        let urls = urls.map(|url| Url::parse(url).unwrap());
        assert_eq!(most_frequent(urls.iter()), Some("http://b".to_owned()));
        assert_eq!(most_frequent([].iter()), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = entries(&text);
        }
    }
}
