//! AWS Signature Version 4: who we are to Amazon's managed Prometheus.
//!
//! The steps and their names are those of "Create a signed AWS API request" in the AWS IAM user guide:
//! canonical request, string to sign, derived key, signature. HMAC-SHA256 throughout.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gs_common::config::ConfigError;
use gs_common::fingerprint::hex;
use gs_common::redact::Redactor;
use gs_common::secret::Secret;
use gs_common::way::hide;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{AUTHORIZATION, HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::SourceError;
use super::access::header_value;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// What the guide's `UriEncode` leaves as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Credentials, and what they sign for.
#[derive(Clone, Debug)]
pub struct Aws {
    access_key: String,
    secret_key: Secret,
    session_token: Option<Secret>,
    region: String,
    service: String,
}

impl Aws {
    /// Takes the credentials from the usual variables.
    pub(super) fn from_variables(
        region: &str,
        service: &str,
        variables: &BTreeMap<String, String>,
        redactor: &Redactor,
    ) -> Result<Self, ConfigError> {
        let set_to = |name: &str| variables.get(name).filter(|value| !value.trim().is_empty());
        let needed = |name: &str| {
            set_to(name).map(|value| value.trim()).ok_or_else(|| {
                ConfigError::new(format!(
                    "--sigv4-region: the environment variable `{name}` is not set"
                ))
                .hint("export the credentials: aws configure export-credentials --format env")
            })
        };
        let named = !region.is_empty()
            && region
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !named {
            return Err(ConfigError::new("--sigv4-region: no region")
                .hint("write the workspace's, such as eu-central-1"));
        }
        let (access_key, secret_key) = (
            needed("AWS_ACCESS_KEY_ID")?,
            needed("AWS_SECRET_ACCESS_KEY")?,
        );
        hide(redactor, "AWS_SECRET_ACCESS_KEY", secret_key)?;
        let session_token = set_to("AWS_SESSION_TOKEN").map(|token| token.trim());
        if let Some(token) = session_token {
            hide(redactor, "AWS_SESSION_TOKEN", token)?;
        }
        Ok(Self {
            access_key: access_key.to_owned(),
            secret_key: Secret::new(secret_key),
            session_token: session_token.map(Secret::new),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }
}

/// Adds `authorization`, `x-amz-date` and, for borrowed credentials, the session's token.
pub(super) fn sign(
    aws: &Aws,
    method: &Method,
    url: &Url,
    body: &[u8],
    headers: &mut HeaderMap,
    now: Timestamp,
) -> Result<(), SourceError> {
    let moment = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = HeaderValue::from_str(&moment).map_err(|error| SourceError {
        what: format!("the time has no header's form: {error}"),
        hint: None,
    })?;
    headers.insert(DATE, date);
    if let Some(token) = &aws.session_token {
        headers.insert(TOKEN, header_value(TOKEN.as_str(), token)?);
    }
    let authorization = authorization(aws, method, url, body, headers, &moment);
    let value = header_value("authorization", &Secret::new(authorization))?;
    headers.insert(AUTHORIZATION, value);
    Ok(())
}

/// The value of `authorization` for headers that are complete but for it and `host`.
fn authorization(
    aws: &Aws,
    method: &Method,
    url: &Url,
    body: &[u8],
    headers: &HeaderMap,
    moment: &str,
) -> String {
    let signed = signed_headers(url, headers);
    let names: Vec<&str> = signed.keys().map(String::as_str).collect();
    let names = names.join(";");
    let canonical = canonical_request(aws, method, url, body, &signed, &names);
    let day = moment.get(..8).unwrap_or(moment);
    let scope = format!("{day}/{}/{}/aws4_request", aws.region, aws.service);
    let to_sign = format!(
        "{ALGORITHM}\n{moment}\n{scope}\n{}",
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let key = format!("AWS4{}", aws.secret_key.expose());
    let steps = [day, &aws.region, &aws.service, "aws4_request"];
    let key = steps
        .iter()
        .fold(key.into_bytes(), |key, step| keyed(&key, step.as_bytes()));
    let signature = hex(&keyed(&key, to_sign.as_bytes()));
    format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        aws.access_key
    )
}

/// Host, content type and all `x-amz-*`, by their lowercase names. Others may be changed by a proxy on
/// the way, and need no signature.
fn signed_headers(url: &Url, headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut signed = BTreeMap::new();
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    signed.insert("host".to_owned(), host.to_owned());
    for (name, value) in headers {
        let name = name.as_str();
        if name == HOST.as_str() || name == "content-type" || name.starts_with("x-amz-") {
            let text = String::from_utf8_lossy(value.as_bytes());
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            signed
                .entry(name.to_owned())
                .and_modify(|other: &mut String| {
                    if name != "host" {
                        other.push(',');
                        other.push_str(&text);
                    } else {
                        other.clone_from(&text);
                    }
                })
                .or_insert(text.clone());
        }
    }
    signed
}

fn canonical_request(
    aws: &Aws,
    method: &Method,
    url: &Url,
    body: &[u8],
    signed: &BTreeMap<String, String>,
    names: &str,
) -> String {
    let mut canonical = format!("{method}\n{}\n", canonical_path(url, &aws.service));
    // Pairs are sorted after encoding, by name and then by value.
    let mut pairs: Vec<(String, String)> = url
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encoded_again(name), encoded_again(value))
        })
        .collect();
    pairs.sort();
    for (index, (name, value)) in pairs.iter().enumerate() {
        let and = if index == 0 { "" } else { "&" };
        let _ = write!(canonical, "{and}{name}={value}");
    }
    canonical.push('\n');
    for (name, value) in signed {
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let _ = write!(canonical, "\n{names}\n{}", hex(&Sha256::digest(body)));
    canonical
}

/// Each segment is encoded once more than it travels, for every service but S3.
fn canonical_path(url: &Url, service: &str) -> String {
    if url.path().is_empty() {
        return "/".to_owned();
    }
    if service == "s3" {
        return url.path().to_owned();
    }
    let segments = url.path().split('/');
    let encoded: Vec<String> = segments
        .map(|segment| utf8_percent_encode(segment, UNRESERVED).to_string())
        .collect();
    encoded.join("/")
}

fn encoded_again(text: &str) -> String {
    let decoded: Vec<u8> = percent_decode_str(text).collect();
    percent_encoding::percent_encode(&decoded, UNRESERVED).to_string()
}

fn keyed(key: &[u8], message: &[u8]) -> Vec<u8> {
    // A key of any length will do for HMAC: the error of this constructor does not occur.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The credentials and the moment of AWS' published test suite (`aws-sig-v4-test-suite`).
    fn suite() -> Aws {
        Aws {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: None,
            region: "us-east-1".to_owned(),
            service: "service".to_owned(),
        }
    }

    const MOMENT: &str = "20150830T123600Z";

    #[track_caller]
    fn check(
        method: Method,
        url: &str,
        more: &[(&'static str, &'static str)],
        body: &str,
        expected: &str,
    ) {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, HeaderValue::from_static(MOMENT));
        for (name, value) in more {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let url = Url::parse(url).unwrap();
        let made = authorization(&suite(), &method, &url, body.as_bytes(), &headers, MOMENT);
        let (_, signature) = made.rsplit_once("Signature=").unwrap();
        assert_eq!(signature, expected, "{method} {url}: {made}");
    }

    #[test]
    fn the_published_vectors_come_out() {
        let get = Method::GET;
        // get-vanilla
        check(
            get.clone(),
            "https://example.amazonaws.com/",
            &[],
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        );
        // get-vanilla-query-order-key-case
        check(
            get.clone(),
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            &[],
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        );
        // get-vanilla-empty-query-key
        check(
            get.clone(),
            "https://example.amazonaws.com/?Param1=value1",
            &[],
            "",
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        );
        // get-unreserved
        check(
            get,
            "https://example.amazonaws.com/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            &[],
            "",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        );
        // post-vanilla
        check(
            Method::POST,
            "https://example.amazonaws.com/",
            &[],
            "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        );
        // post-x-www-form-urlencoded
        check(
            Method::POST,
            "https://example.amazonaws.com/",
            &[("content-type", "application/x-www-form-urlencoded")],
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        );
    }

    #[test]
    fn the_published_derived_key_comes_out() {
        // "Example: signing key" of the guide: 20120215, us-east-1, iam.
        let key = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
        let steps = ["20120215", "us-east-1", "iam", "aws4_request"];
        let key = steps
            .iter()
            .fold(key, |key, step| keyed(&key, step.as_bytes()));
        assert_eq!(
            hex(&key),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
        );
    }

    #[test]
    fn a_session_token_is_sent_and_signed() {
        let aws = Aws {
            session_token: Some(Secret::new("session-token")),
            ..suite()
        };
        let mut headers = HeaderMap::new();
        let url = Url::parse("https://aps.example/workspaces/ws-1/api/v1/query").unwrap();
        let now: Timestamp = "2015-08-30T12:36:00Z".parse().unwrap();
        sign(&aws, &Method::POST, &url, b"query=up", &mut headers, now).unwrap();
        assert_eq!(headers[DATE], MOMENT);
        assert_eq!(headers[TOKEN], "session-token");
        let said = headers[AUTHORIZATION].to_str().unwrap();
        assert!(
            said.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"),
            "{said}"
        );
        assert!(
            said.contains("Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"),
            "{said}"
        );
    }
}
