//! The way to a service, as it is typed and configured: the target, proxies, TLS, and what has to be
//! secret on it. Every tool that asks one reads them here, so that the same words mean the same.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use url::Url;

use crate::config::{ConfigError, Origin, Project, Row, Settings};
use crate::http::{AddressError, Proxies, Proxy, TlsOptions};
use crate::redact::{Redactor, SHORTEST, redact_url};

/// A header whose value must not be seen: it is marked so, and does not print itself.
pub type SecretHeader = (HeaderName, HeaderValue);

/// Whom to trust, and who we are.
#[derive(Args, Clone, Debug, Default)]
pub struct TlsArgs {
    /// Trust the authorities in this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub cacert: Vec<String>,
    /// Client certificate (PEM), with --key
    #[arg(long, value_name = "FILE")]
    pub cert: Option<String>,
    /// Key of the client certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub key: Option<String>,
    /// Accept every certificate; the report says so
    #[arg(long)]
    pub insecure: bool,
}

impl TlsArgs {
    /// What is meant by them and by the settings of the same names.
    ///
    /// # Errors
    /// A file is not there, or a certificate has no key.
    pub fn resolve(&self, set: &mut Settings<'_>) -> Result<TlsOptions, ConfigError> {
        let file = |text: &str| {
            let path = PathBuf::from(text);
            let found = path.is_file();
            found
                .then_some(path)
                .ok_or_else(|| format!("there is no file `{text}`"))
        };
        let authorities = set.list("cacert", &self.cacert, file)?;
        let certificate = set.optional("cert", self.cert.as_deref(), file)?;
        let key = set.optional("key", self.key.as_deref(), file)?;
        if certificate.is_some() != key.is_some() {
            return Err(
                ConfigError::new("a client certificate needs --cert and --key").hint("give both"),
            );
        }
        Ok(TlsOptions {
            authorities,
            identity: certificate.zip(key),
            insecure: set.switch("insecure", self.insecure)?,
        })
    }
}

/// What to say where certificates are not verified.
#[must_use]
pub fn unverified(tls: &TlsOptions) -> Option<String> {
    tls.insecure.then(|| {
        "certificates are not verified (--insecure): anyone in between can answer".to_owned()
    })
}

/// Who stands between.
#[derive(Args, Clone, Debug, Default)]
pub struct ProxyArgs {
    /// Proxy, `http://HOST:PORT`; else http_proxy, https_proxy, all_proxy; a password only in those
    #[arg(long, value_name = "URL")]
    pub proxy: Option<String>,
    /// Hosts that are asked directly, separated by commas
    #[arg(long, value_name = "HOSTS")]
    pub no_proxy: Option<String>,
}

impl ProxyArgs {
    /// What is meant by them and by the settings of the same names; without a proxy there, by the usual
    /// variables. A password of a proxy is hidden from then on.
    ///
    /// # Errors
    /// One of them is no proxy URL, or a password stands where others can read it.
    pub fn resolve(
        &self,
        set: &mut Settings<'_>,
        variables: &BTreeMap<String, String>,
        redactor: &Redactor,
    ) -> Result<Proxies, ConfigError> {
        let proxy = set.optional("proxy", self.proxy.as_deref(), |text| {
            let proxy: Proxy = text
                .parse()
                .map_err(|error: AddressError| error.to_string())?;
            if proxy.authorization.is_some() {
                return Err(
                    "a password does not belong on a command line or in a file: use https_proxy"
                        .to_owned(),
                );
            }
            Ok(proxy)
        })?;
        let direct = set.optional("no-proxy", self.no_proxy.as_deref(), |text| {
            Ok::<_, ConfigError>(Proxies::direct_from(text))
        })?;
        let mut proxies = match proxy {
            Some(proxy) => Proxies {
                plain: Some(proxy.clone()),
                secure: Some(proxy),
                direct: Vec::new(),
            },
            None => Proxies::from_variables(variables)
                .map_err(|error| ConfigError::new(format!("the proxy variables: {error}")))?,
        };
        if let Some(direct) = direct {
            proxies.direct = direct;
        }
        for proxy in [&proxies.plain, &proxies.secure].into_iter().flatten() {
            if let Some(authorization) = &proxy.authorization {
                hide(redactor, "the proxy's password", authorization.expose())?;
            }
        }
        Ok(proxies)
    }
}

/// What becomes of a header's value that is too short to be hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// It is refused: it was meant to be a secret.
    Refused,
    /// It is no secret: a tenant's number, for one.
    Plain,
}

/// The headers that `--header-env NAME=VARIABLE` asks for; their values are hidden from then on.
///
/// # Errors
/// A pair is none, its variable is not set, or it holds what cannot be a header's value.
pub fn secret_headers(
    pairs: &[String],
    variables: &BTreeMap<String, String>,
    short: Short,
    redactor: &Redactor,
) -> Result<Vec<SecretHeader>, ConfigError> {
    let one = |pair: &String| secret_header(pair, variables, short, redactor);
    pairs.iter().map(one).collect()
}

fn secret_header(
    pair: &str,
    variables: &BTreeMap<String, String>,
    short: Short,
    redactor: &Redactor,
) -> Result<SecretHeader, ConfigError> {
    let form = "write --header-env authorization=API_AUTHORIZATION, with the name of a variable";
    let (name, variable) = pair
        .split_once('=')
        .ok_or_else(|| ConfigError::new("--header-env is no NAME=VARIABLE").hint(form))?;
    let name = name.trim().to_ascii_lowercase();
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        ConfigError::new(format!("--header-env: `{name}` is no header's name")).hint(form)
    })?;
    let value = variables
        .get(variable)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| {
            ConfigError::new(format!(
                "--header-env: the environment variable `{variable}` is not set"
            ))
            .hint("set it, or leave the header out")
        })?;
    let header = sensitive(value).ok_or_else(|| {
        ConfigError::new(format!(
            "--header-env: what `{variable}` holds is no header's value"
        ))
        .hint("write it on one line, in ASCII")
    })?;
    let is_long = |text: &str| text.chars().count() >= SHORTEST;
    if short == Short::Refused || is_long(value) {
        hide(redactor, variable, value)?;
    }
    // `Bearer TOKEN`: the token is the secret, wherever it turns up alone.
    if let Some((_, token)) = value.split_once(' ').filter(|(_, token)| is_long(token)) {
        hide(redactor, variable, token)?;
    }
    Ok((name, header))
}

/// Hides a value from all output.
///
/// # Errors
/// It is too short to be hidden.
pub fn hide(redactor: &Redactor, name: &str, value: &str) -> Result<(), ConfigError> {
    redactor
        .add(name, value)
        .map(|_| ())
        .map_err(|error| ConfigError::new(error.to_string()).hint("use a longer one"))
}

/// A target: what was typed, or else the `url` of an environment in goldensignals.toml; none where
/// neither is given. `paths` are those that begin at its root: `the suite's paths`.
///
/// # Errors
/// There is no such environment, or the target is more or less than scheme, host and port.
pub fn target(
    typed: Option<&str>,
    environment: Option<&str>,
    project: &Project,
    paths: &str,
) -> Result<(Option<Url>, Row), ConfigError> {
    let row = |value: String, origin| Row {
        key: "url".to_owned(),
        value,
        origin,
    };
    let (text, origin) = match (typed, environment) {
        (Some(url), _) => (url.to_owned(), Origin::Flag("URL".to_owned())),
        (None, Some(name)) => {
            let environment = project.environment(name)?;
            let file = project
                .path()
                .map_or_else(String::new, |path| path.display().to_string());
            let origin = Origin::File(file, environment.line);
            (environment.url.clone(), origin)
        }
        (None, None) => return Ok((None, row(String::new(), Origin::Default))),
    };
    let url = parse_target(&text, paths)?;
    let shown = redact_url(&url);
    Ok((Some(url), row(shown, origin)))
}

fn parse_target(text: &str, paths: &str) -> Result<Url, ConfigError> {
    let hint = "write scheme, host and port, such as https://staging.goldensignals.ai";
    // What was typed may hold a password, and is not repeated.
    let url = Url::parse(text)
        .map_err(|error| ConfigError::new(format!("the target is no URL: {error}")).hint(hint))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        let known = if url.host().is_none() {
            "it has no `http://` or `https://` in front"
        } else {
            "only http and https are spoken here"
        };
        return Err(ConfigError::new(format!("the target is no web address: {known}")).hint(hint));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(ConfigError::new(format!(
            "the target has a path, `{}`: {paths} start at the root",
            url.path()
        ))
        .hint("name scheme, host and port only"));
    }
    Ok(url)
}

/// User and password of a target as a header; the target loses them, and they are hidden from then on.
///
/// # Errors
/// The password is too short to be hidden.
pub fn take_credentials(
    url: &mut Url,
    redactor: &Redactor,
) -> Result<Option<SecretHeader>, ConfigError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let (user, password) = (
        decoded(url.username()),
        decoded(url.password().unwrap_or_default()),
    );
    hide(redactor, "the URL's password", &password)?;
    let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
    hide(redactor, "the URL's credentials", &pair)?;
    // Refused only by URLs without a host, which a target has.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    Ok(sensitive(&format!("Basic {pair}")).map(|value| (AUTHORIZATION, value)))
}

fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(value: &str, short: Short) -> Result<(Vec<SecretHeader>, Redactor), ConfigError> {
        let variables = BTreeMap::from([("TOKEN".to_owned(), value.to_owned())]);
        let redactor = Redactor::new();
        let pairs = ["Authorization=TOKEN".to_owned()];
        let headers = secret_headers(&pairs, &variables, short, &redactor)?;
        Ok((headers, redactor))
    }

    #[test]
    fn a_secret_header_is_hidden_and_so_is_its_token_alone() {
        let (headers, redactor) = header("Bearer abcd-1234", Short::Refused).unwrap();
        let (name, value) = &headers[0];
        assert_eq!(name, AUTHORIZATION);
        assert_eq!(value, "Bearer abcd-1234");
        assert!(!format!("{value:?}").contains("abcd"));
        let told = redactor.text("it said abcd-1234").into_owned();
        assert!(!told.contains("abcd-1234"), "{told}");
    }

    #[test]
    fn a_short_value_is_refused_or_no_secret_and_an_empty_one_is_not_set() {
        assert!(header("17", Short::Refused).is_err());
        let (headers, redactor) = header("17", Short::Plain).unwrap();
        assert_eq!(headers[0].1, "17");
        assert_eq!(redactor.text("17 pods"), "17 pods");
        for (value, why) in [("", "is not set"), ("a\nbcde", "no header's value")] {
            let told = header(value, Short::Plain).unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn a_target_is_scheme_host_and_port_and_loses_its_password() {
        let parse = |text: &str| parse_target(text, "the paths");
        for text in [
            "example.org",
            "ftp://a",
            "http://a/b",
            "http://a/?q",
            "http://a/#f",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let mut url = parse("https://me:s%20cret@a:8443/").unwrap();
        let redactor = Redactor::new();
        let (name, value) = take_credentials(&mut url, &redactor).unwrap().unwrap();
        assert_eq!(url.as_str(), "https://a:8443/");
        assert_eq!(
            (name, value),
            (
                AUTHORIZATION,
                HeaderValue::from_static("Basic bWU6cyBjcmV0")
            )
        );
        let told = redactor.text("s cret bWU6cyBjcmV0").into_owned();
        assert!(!told.contains("cret") && !told.contains("bWU6"), "{told}");
        let mut plain = parse("http://a").unwrap();
        assert!(take_credentials(&mut plain, &redactor).unwrap().is_none());
    }
}
