//! The identity of a secret: a keyed hash of its normalised value.
//!
//! Two engines cut the same secret out of the same line in different ways: with quotes or without,
//! with the line ends of a key or without, decoded or still in base64. [`normalise`] undoes that, and
//! [`Key::fingerprint`] makes an identity of it that says nothing about the value to whoever lacks the
//! key, and does not change when the secret moves, is renamed or gets other lines around it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use gs_common::fingerprint::{self, ShortKey};

/// What goes into every fingerprint first, so that it is never that of another kind of thing.
const DOMAIN: &str = "gs.secret";

/// The key where none is configured. Everybody knows it.
const PUBLIC_KEY: &[u8] = b"gs.secret-scan/v1: no key of its own";

/// A password counts as a secret of its own from this length.
const SHORTEST_PASSWORD: usize = 8;

/// The fewest characters of a text that is taken for base64 of something else.
const SHORTEST_ENCODED: usize = 16;

/// The key of the fingerprints of one repository.
#[derive(Clone, Debug)]
pub struct Key {
    key: Option<fingerprint::Key>,
    configured: bool,
}

impl Default for Key {
    /// The key of repositories that have configured none. Everybody knows it, so a fingerprint made
    /// with it can be checked against guesses.
    fn default() -> Self {
        Self {
            key: fingerprint::Key::new(PUBLIC_KEY).ok(),
            configured: false,
        }
    }
}

impl Key {
    /// A key of the repository's own.
    ///
    /// # Errors
    /// It is too short.
    pub fn new(text: &str) -> Result<Self, ShortKey> {
        Ok(Self {
            key: Some(fingerprint::Key::new(text.as_bytes())?),
            configured: true,
        })
    }

    /// Whether it is the repository's own.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.configured
    }

    /// The identity of a value: `k1-` and a keyed hash of the normalised value.
    #[must_use]
    pub fn fingerprint(&self, value: &str) -> String {
        self.hash("value", &[&normalise(value)])
    }

    /// The identity of a place, for rows whose value was taken out before the report was written.
    #[must_use]
    pub fn of_place(&self, rule: &str, path: &str) -> String {
        self.hash("place", &[rule, path])
    }

    fn hash(&self, kind: &str, texts: &[&str]) -> String {
        let mut parts = vec![kind.as_bytes()];
        parts.extend(texts.iter().map(|text| text.as_bytes()));
        // The public key is long enough, so there always is one.
        self.key
            .as_ref()
            .map_or_else(String::new, |key| key.of(DOMAIN, &parts))
    }
}

/// The value that all forms of one secret have in common.
///
/// White space and quotes around it go. Of a PEM text only the kind and the body are left, without
/// line ends, written out or escaped. Of an AWS pair the key id is left, since every engine reports
/// that. A text that is base64 of a printable text is that text.
#[must_use]
pub fn normalise(value: &str) -> String {
    let mut text = unquoted(value).to_owned();
    // Nobody encodes a secret more often than this.
    for _ in 0..3 {
        match decoded(&text) {
            Some(inner) => text = unquoted(&inner).to_owned(),
            None => break,
        }
    }
    if let Some(body) = pem_body(&text) {
        return body;
    }
    if let Some((id, _)) = aws_pair(&text) {
        return id.to_owned();
    }
    if let Some(address) = Address::of(&text) {
        return address.normal();
    }
    text
}

/// The parts of a value that are secrets by themselves: the second half of an AWS pair, the password in
/// an address. A short password stands in many addresses that have nothing to do with each other.
#[must_use]
pub fn parts(value: &str) -> Vec<String> {
    let text = unquoted(value);
    if let Some((_, secret)) = aws_pair(text) {
        return vec![secret.to_owned()];
    }
    let password = Address::of(text).map(|address| address.password());
    password
        .into_iter()
        .filter(|password| password.len() >= SHORTEST_PASSWORD)
        .collect()
}

/// An address with user and password. Engines report it with or without path, options and port.
struct Address<'a> {
    scheme: &'a str,
    user: &'a str,
    password: &'a str,
    host: &'a str,
    port: Option<&'a str>,
}

impl<'a> Address<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-');
        if scheme.is_empty() || !scheme.chars().all(letters) || text.contains(char::is_whitespace) {
            return None;
        }
        // A password may hold what ends a host, but no host holds an `@`.
        let (account, rest) = rest.rsplit_once('@')?;
        let (user, password) = account.split_once(':')?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let place = rest.get(..end)?;
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (host, Some(port))
            }
            _ => (place, None),
        };
        (!password.is_empty() && !host.is_empty()).then_some(Self {
            scheme,
            user,
            password,
            host,
            port,
        })
    }

    fn password(&self) -> String {
        percent_encoding::percent_decode_str(self.password)
            .decode_utf8_lossy()
            .into_owned()
    }

    /// Scheme, account, host, and a port that is not the usual one.
    fn normal(&self) -> String {
        let scheme = self.scheme.to_ascii_lowercase();
        let scheme = match scheme.split_once('+') {
            // `postgresql+asyncpg` names the driver, too.
            Some((scheme, _)) if !scheme.is_empty() => scheme,
            _ => scheme.as_str(),
        };
        let (scheme, usual) = match scheme {
            "postgres" | "postgresql" => ("postgres", "5432"),
            "mysql" | "mariadb" => ("mysql", "3306"),
            "mongodb" => (scheme, "27017"),
            "redis" => (scheme, "6379"),
            "amqp" => (scheme, "5672"),
            "http" => (scheme, "80"),
            "https" => (scheme, "443"),
            _ => (scheme, ""),
        };
        let port = self.port.filter(|port| *port != usual && !port.is_empty());
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let (user, password, host) = (self.user, self.password(), self.host.to_ascii_lowercase());
        format!("{scheme}://{user}:{password}@{host}{port}")
    }
}

fn unquoted(text: &str) -> &str {
    let mut text = text.trim();
    for quote in ['"', '\'', '`'] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner.filter(|inner| !inner.is_empty()) {
            text = inner.trim();
        }
    }
    text
}

/// The text that this is base64 of, if it is one that people can read. The bytes of a random token
/// are practically never printable when they are decoded, so a token is not mistaken for base64.
fn decoded(text: &str) -> Option<String> {
    if text.len() < SHORTEST_ENCODED || !text.len().is_multiple_of(4) {
        return None;
    }
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    let inner = String::from_utf8(bytes).ok()?;
    let printable = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    (!inner.trim().is_empty() && inner.chars().all(printable)).then_some(inner)
}

fn pem_body(text: &str) -> Option<String> {
    let text = text.replace("\\n", "\n").replace("\\r", "");
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (kind, rest) = rest.split_once("-----")?;
    let body = rest.split("-----END").next().unwrap_or(rest);
    let body: String = body.split_whitespace().collect();
    // A bare header is what some rules report: all such rows look alike, and stay apart from keys.
    Some(format!("pem:{kind}:{body}"))
}

/// Key id and secret of an AWS pair, as TruffleHog joins them.
#[must_use]
pub fn aws_pair(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.split_at_checked(20)?;
    if !is_aws_id(id) {
        return None;
    }
    let secret = secret.trim_start_matches([':', ',', ';', ' ', '\t', '\n', '\r', '|']);
    is_aws_secret(secret.trim()).then_some((id, secret.trim()))
}

/// Whether this has the form of an AWS access key id.
#[must_use]
pub fn is_aws_id(text: &str) -> bool {
    const PREFIXES: [&str; 5] = ["AKIA", "ASIA", "ABIA", "ACCA", "A3T"];
    text.len() == 20
        && PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// Whether this has the form of an AWS secret access key.
#[must_use]
pub fn is_aws_secret(text: &str) -> bool {
    text.len() == 40
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'+' | b'='))
}

/// Whether a report shows this in the place of a value: Gitleaks with `--redact`, Trivy, masks.
#[must_use]
pub fn is_redacted(text: &str) -> bool {
    let text = text.trim();
    text.contains("REDACTED")
        || text.ends_with("...")
        || (!text.is_empty() && text.chars().all(|c| c == '*'))
}

/// What people see of a secret: nothing of its value, and enough to tell two apart.
#[must_use]
pub fn mask(fingerprint: &str) -> String {
    let digits = fingerprint.rsplit('-').next().unwrap_or(fingerprint);
    format!("***{}", digits.get(..6).unwrap_or(digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn same(one: &str, other: &str) {
        let key = Key::new("a salt for tests only").unwrap();
        assert_eq!(
            key.fingerprint(one),
            key.fingerprint(other),
            "{one} {other}"
        );
    }

    #[track_caller]
    fn differ(one: &str, other: &str) {
        let key = Key::new("a salt for tests only").unwrap();
        assert_ne!(
            key.fingerprint(one),
            key.fingerprint(other),
            "{one} {other}"
        );
    }

    #[test]
    fn forms_of_one_secret_are_one() {
        same("abc-token-1234", " \"abc-token-1234\"\n");
        same("correct horse battery", "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5");
        let id = format!("AKIA{}", "QYLPMN5HFIQR7XYA");
        same(&id, &format!("{id}:{}", "a/b+".repeat(10)));
        let pem = |end: &str| {
            format!(
                "-----BEGIN {0}-----{end}MIIB{end}Vg=={end}-----END {0}-----{end}",
                "RSA PRIVATE KEY"
            )
        };
        same(&pem("\n"), &pem("\r\n"));
        same(&pem("\n"), &pem("\\n"));
        same(&pem("\n"), pem("\n").trim_end());
    }

    #[test]
    fn forms_of_one_address_are_one() {
        let at = |rest: &str| format!("{}://trader:{}@{rest}", "postgres", "long%2Fpassword");
        same(
            &at("db.example.com:5432"),
            &at("DB.example.com/trading?sslmode=require"),
        );
        same(&at("h"), &at("h").replace("postgres", "postgresql+asyncpg"));
        differ(&at("h:5433"), &at("h"));
        differ(&at("h"), &at("other"));
        assert_eq!(parts(&at("h")), ["long/password"]);
        assert!(parts("https://hooks.example.com/a/b").is_empty());
        assert!(parts("redis://u:short@h").is_empty());
        differ(
            "https://hooks.example.com/a/b",
            "https://hooks.example.com/a/c",
        );
    }

    #[test]
    fn different_secrets_and_keys_differ() {
        differ("abc-token-1234", "abc-token-1235");
        let header = format!("-----BEGIN {}-----", "RSA PRIVATE KEY");
        differ(&header, &format!("{header}\nMIIB\n"));
        assert_ne!(
            Key::new("the first of two keys")
                .unwrap()
                .fingerprint("abcdef"),
            Key::new("the second of two keys")
                .unwrap()
                .fingerprint("abcdef")
        );
        assert_ne!(
            Key::default().fingerprint("a"),
            Key::default().of_place("a", "")
        );
    }

    #[test]
    fn masks_are_known() {
        for text in ["REDACTED", "REDACTEDJ", "abcd...", "*****"] {
            assert!(is_redacted(text), "{text}");
        }
        assert!(!is_redacted("") && !is_redacted("hunter2"));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "[ -~\n]{0,80}") {
            let once = normalise(&text);
            prop_assert_eq!(normalise(&once).len() <= once.len(), true);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = (normalise(&text), aws_pair(&text).is_some(), is_redacted(&text), mask(&text));
        }

        #[test]
        fn a_mask_shows_nothing_of_the_value(value in "[g-z]{12,40}") {
            let shown = mask(&Key::default().fingerprint(&value));
            for start in 0..value.len() - 3 {
                prop_assert!(!shown.contains(&value[start..start + 4]));
            }
        }
    }
}
