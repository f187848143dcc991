//! Headers, parameters and URLs that hold secrets by their name, whatever their value.

use url::Url;

use super::MASK;

/// Whether the value of a header with this name must not be shown.
#[must_use]
pub fn is_sensitive_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(
        name.as_str(),
        "authorization" | "proxy-authorization" | "cookie" | "set-cookie" | "x-amz-security-token"
    ) || is_sensitive_parameter(&name)
}

/// Schemes that may stand before the secret of an `authorization` header.
const SCHEMES: [&str; 7] = [
    "basic",
    "bearer",
    "token",
    "apikey",
    "digest",
    "negotiate",
    "jwt",
];

/// Scheme and secret of a sensitive header's value; the scheme is no secret, and is empty where there is
/// none.
#[must_use]
pub fn split_scheme(value: &str) -> (&str, &str) {
    match value.split_once(' ') {
        Some((scheme, rest)) if SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) => {
            (scheme, rest.trim())
        }
        _ => ("", value),
    }
}

/// Whether the value of a query or form parameter with this name must not be shown.
#[must_use]
pub fn is_sensitive_parameter(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(['-', '_', '.']).collect();
    words.iter().any(|word| {
        matches!(
            *word,
            "token"
                | "secret"
                | "password"
                | "passwd"
                | "pwd"
                | "signature"
                | "sig"
                | "apikey"
                | "key"
                | "auth"
                | "credential"
                | "credentials"
                | "session"
                | "sessionid"
                | "jwt"
        )
    }) || ["token", "secret", "password"]
        .iter()
        .any(|word| name.ends_with(word))
}

/// The URL as text, with a password and the values of sensitive parameters masked.
#[must_use]
pub fn redact_url(url: &Url) -> String {
    let mut shown = url.clone();
    if shown.password().is_some() {
        // Refused only by URLs that cannot have a password, which this one has.
        let _ = shown.set_password(Some(MASK));
    }
    if shown
        .query_pairs()
        .any(|(name, _)| is_sensitive_parameter(&name))
    {
        let query: Vec<String> = shown
            .query()
            .unwrap_or_default()
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) if is_sensitive_parameter(name) => format!("{name}={MASK}"),
                _ => pair.to_owned(),
            })
            .collect();
        shown.set_query(Some(&query.join("&")));
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_hold_secrets_are_known_by_name() {
        for name in [
            "Authorization",
            "cookie",
            "Set-Cookie",
            "X-Api-Key",
            "X-CSRF-Token",
            "x-auth",
        ] {
            assert!(is_sensitive_header(name), "{name}");
        }
        for name in [
            "content-type",
            "x-request-id",
            "etag",
            "retry-after",
            "monkey",
            "author",
        ] {
            assert!(!is_sensitive_header(name), "{name}");
        }
    }

    #[test]
    fn a_url_hides_its_password_and_tokens() {
        let url = Url::parse("https://me:pw@host/a?symbol=SPY&access_token=abc&x=1").unwrap();
        assert_eq!(
            redact_url(&url),
            "https://me:***@host/a?symbol=SPY&access_token=***&x=1"
        );
    }
}
