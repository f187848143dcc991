//! Asking a server, and saying in one sentence what came instead of an answer.

use std::time::Duration;

use bytes::Bytes;
use gs_common::http::{Client, Failure, FailureKind, Limits, Request, Response};
use gs_common::redact::redact_url;
use gs_common::units::{show_duration, show_size};
use http::header::{ACCEPT, CONTENT_TYPE, DATE, LOCATION};
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use url::Url;

use super::SourceError;
use super::access::{Access, Identity};

/// As much of what a server says is repeated.
const QUOTED_LETTERS: usize = 200;

/// Sends requests to one source.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    client: Client,
    access: Access,
    limits: Limits,
    /// What people call the server, at the start of sentences.
    who: &'static str,
}

/// A whole answer with a status of 200 and its kind.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub body: Bytes,
    pub content_type: String,
    /// By how many seconds the server's `date` is ahead of this machine's clock.
    pub ahead_seconds: Option<f64>,
}

/// An answer that is none, with what is needed to say more about it.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub error: SourceError,
    /// The status, where a head came.
    pub status: Option<u16>,
}

impl From<Refused> for SourceError {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

impl From<SourceError> for Refused {
    fn from(error: SourceError) -> Self {
        Self {
            error,
            status: None,
        }
    }
}

impl Fetcher {
    pub(super) fn new(who: &'static str, access: &Access, limits: Limits) -> Self {
        Self {
            client: Client::new(access.client.clone()),
            access: access.clone(),
            limits,
            who,
        }
    }

    /// The same with no more time than that for a request.
    pub(super) fn within(&self, most: Duration) -> Self {
        let limits = self.limits;
        Self {
            limits: Limits {
                total: limits.total.min(most),
                connect: limits.connect.min(most),
                ..limits
            },
            ..self.clone()
        }
    }

    pub(super) async fn get(&self, url: &Url, accept: &'static str) -> Result<Fetched, Refused> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        self.send(Method::GET, url, headers, Bytes::new()).await
    }

    pub(super) async fn post(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        accept: &'static str,
    ) -> Result<Fetched, Refused> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        self.send(Method::POST, url, headers, form.into()).await
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Fetched, Refused> {
        self.access
            .sign(&method, url, &body, &mut headers, Timestamp::now())?;
        let mut request = Request {
            method,
            url: url.clone(),
            headers,
            body,
            limits: self.limits,
            fresh: false,
        };
        let mut sent = self.client.send(&request).await;
        // The server may close an idle connection at any time; a query changes nothing, and may be asked
        // again, whatever its method.
        if let Err(failure) = &sent
            && failure.connection.reused
            && matches!(failure.kind, FailureKind::Closed | FailureKind::Reset)
        {
            request.fresh = true;
            sent = self.client.send(&request).await;
        }
        match sent {
            Ok(response) => self.judged(url, response),
            Err(failure) => Err(self.failed(url, &failure).into()),
        }
    }

    fn judged(&self, url: &Url, response: Response) -> Result<Fetched, Refused> {
        let text = |name| {
            let value = response.headers.get(name).map(HeaderValue::as_bytes);
            String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
        };
        let status = response.status.as_u16();
        if status == 200 {
            let ahead_seconds = date(&text(DATE)).map(|date| {
                // The date has whole seconds: half of one is what it lacks in the middle.
                date.duration_since(Timestamp::now()).as_secs_f64() + 0.5
            });
            return Ok(Fetched {
                content_type: text(CONTENT_TYPE),
                body: response.body,
                ahead_seconds,
            });
        }
        let (what, hint) = self.of_status(status, &text(LOCATION), &response.body);
        Err(Refused {
            error: SourceError {
                what: format!("{} at {} {what}", self.who, redact_url(url)),
                hint: Some(hint),
            },
            status: Some(status),
        })
    }

    fn of_status(&self, status: u16, location: &str, body: &[u8]) -> (String, String) {
        let known = match &self.access.identity {
            Identity::None => "none were sent",
            Identity::Bearer(_) => "a bearer token was sent",
            Identity::Basic(..) => "user and password were sent",
            Identity::Aws(_) => "an AWS signature was sent",
        };
        match status {
            300..=399 => (
                format!(
                    "redirects to `{}` ({status}) instead of answering, as a login page in front of it does",
                    said(location)
                ),
                "authenticate (--bearer-env, --basic-user, --header-env), or name the address behind the login"
                    .to_owned(),
            ),
            401 => (
                format!("wants other credentials ({status}): {known}"),
                "check --bearer-env, --bearer-file, --basic-user or --header-env; has the token expired?"
                    .to_owned(),
            ),
            403 => (
                format!("does not allow this ({status}): {known}"),
                "the credentials are known, but lack the right to read: ask whoever grants it"
                    .to_owned(),
            ),
            404 => (
                format!("does not know this path ({status})"),
                "check the address: is a path prefix missing, or one too many?".to_owned(),
            ),
            422 => (
                format!("cannot execute the query ({status}): {}", said_by(body)),
                "narrow the selectors, or raise the server's limit on samples".to_owned(),
            ),
            429 => (
                format!("is asked too often ({status}): {}", said_by(body)),
                "raise --scrape-interval, or the server's limit".to_owned(),
            ),
            400 => (
                format!("does not understand the query ({status}): {}", said_by(body)),
                "check the selectors and the names of the metrics".to_owned(),
            ),
            503 => (
                format!("is not able to answer now ({status}): {}", said_by(body)),
                "it is overloaded, starting or in maintenance: look at its own page".to_owned(),
            ),
            500..=599 => (
                format!("or a proxy before it failed ({status}): {}", said_by(body)),
                "look at the server's log, and at the proxy's".to_owned(),
            ),
            _ => (
                format!("answered with the status {status}: {}", said_by(body)),
                "check the address".to_owned(),
            ),
        }
    }

    fn failed(&self, url: &Url, failure: &Failure) -> SourceError {
        let (what, hint) = match failure.kind {
            FailureKind::Refused => (
                "refuses connections".to_owned(),
                "is it running, and is this its port?",
            ),
            FailureKind::NameNotResolved => (
                "has a name that does not resolve".to_owned(),
                "check the name; inside of a cluster it is SERVICE.NAMESPACE.svc",
            ),
            FailureKind::NoRoute => (
                "cannot be reached".to_owned(),
                "check the network between this machine and it",
            ),
            FailureKind::Proxy => (
                "is behind a proxy that does not let us through".to_owned(),
                "check --proxy and --no-proxy, http_proxy and no_proxy",
            ),
            FailureKind::Local => (
                "was not asked, for want of something of our own".to_owned(),
                "check the descriptor limit (ulimit -n), --cacert, --cert and --key",
            ),
            FailureKind::Timeout | FailureKind::ConnectTimeout => (
                format!("did not answer within {}", show_duration(self.limits.total)),
                "narrow the selectors, or raise --timeout",
            ),
            FailureKind::Truncated => (
                "broke off in the middle of its answer".to_owned(),
                "look at its log, and at proxies with a limit on time or size",
            ),
            FailureKind::TooLarge => (
                format!(
                    "answered with more than {}",
                    show_size(u64::try_from(self.limits.body).unwrap_or(u64::MAX))
                ),
                "narrow the selectors, or raise --max-answer",
            ),
            FailureKind::Tls => (
                "has no TLS that is accepted".to_owned(),
                "name its authority with --cacert; a client certificate with --cert and --key",
            ),
            FailureKind::Reset | FailureKind::Closed => (
                "closed the connection without an answer".to_owned(),
                "is it starting, or is http:// mistaken for https://?",
            ),
            FailureKind::Malformed | FailureKind::BadEncoding => (
                "does not answer in HTTP".to_owned(),
                "check the address and the port",
            ),
        };
        SourceError {
            what: format!(
                "{} at {} {what}: {}",
                self.who,
                redact_url(url),
                failure.message
            ),
            hint: Some(hint.to_owned()),
        }
    }

    /// An error about an answer that came, but is not what was asked for.
    pub(super) fn wrong_kind(&self, url: &Url, fetched: &Fetched, wanted: &str) -> SourceError {
        let start = fetched.body.trim_ascii_start();
        let html = fetched.content_type.starts_with("text/html") || start.starts_with(b"<");
        let (what, hint) = if html {
            (
                format!("answered with a page for people (HTML), not with {wanted}"),
                "it is a login page or another server: check the address, and authenticate",
            )
        } else if start.is_empty() {
            (
                format!("answered with nothing, not with {wanted}"),
                "check the address, and proxies on the way",
            )
        } else {
            (
                format!(
                    "answered with `{}`, which is not {wanted}",
                    said_by(&fetched.body)
                ),
                "check the address: is it the server that is meant?",
            )
        };
        SourceError {
            what: format!("{} at {} {what}", self.who, redact_url(url)),
            hint: Some(hint.to_owned()),
        }
    }
}

/// A date of HTTP. One far from any clock's is none.
fn date(text: &str) -> Option<Timestamp> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(zoned.timestamp())
}

/// The `error` of Prometheus' JSON or `message` of Kubernetes', or the start of the text.
fn said_by(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let member = json.as_ref().and_then(|json| {
        let named = ["error", "message"].iter().find_map(|name| json.get(name));
        named.and_then(serde_json::Value::as_str)
    });
    if let Some(text) = member {
        return said(text);
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * QUOTED_LETTERS)]);
    if text.trim_start().starts_with('<') {
        return "a page for people (HTML)".to_owned();
    }
    match text.trim() {
        "" => "it says nothing about why".to_owned(),
        text => said(text),
    }
}

/// What a server says, on one line and not without end.
pub(super) fn said(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(QUOTED_LETTERS)
        .collect();
    if text.chars().nth(QUOTED_LETTERS).is_some() {
        line.push('…');
    }
    line
}

/// A difference of clocks for people.
pub(super) fn skew(ahead_seconds: f64) -> String {
    let shown = show_duration(Duration::from_secs_f64(
        ahead_seconds.abs().round().min(1e9),
    ));
    if ahead_seconds > 0.0 {
        format!("{shown} ahead of")
    } else {
        format!("{shown} behind")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_quoted_on_one_line() {
        assert_eq!(said_by(br#"{"status":"error","error":"a\nb"}"#), "a b");
        assert_eq!(said_by(b"<html>"), "a page for people (HTML)");
        assert_eq!(said_by(b" \n"), "it says nothing about why");
        assert_eq!(said_by(&[b'x'; 10_000]).chars().count(), QUOTED_LETTERS + 1);
    }

    #[test]
    fn dates_of_http_are_read() {
        let read = date("Tue, 14 Nov 2023 22:13:20 GMT").unwrap();
        assert_eq!(read.as_second(), 1_700_000_000);
        assert_eq!(date(""), None);
        assert_eq!(skew(600.2), "10m ahead of");
        assert_eq!(skew(-3.0), "3s behind");
    }
}
