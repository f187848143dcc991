//! Where the load goes, and whether it may go there.

use std::net::IpAddr;

use gs_common::config::{ConfigError, Origin, Project, Row};
use gs_common::redact::Redactor;
use http::{HeaderName, HeaderValue};
use url::{Host, Url};

use super::hide;
use crate::args::RunArgs;

pub(super) fn target(args: &RunArgs, project: &Project) -> Result<(Option<Url>, Row), ConfigError> {
    let (text, origin) = match (&args.url, &args.env) {
        (Some(url), _) => (url.clone(), Origin::Flag("URL".to_owned())),
        (None, Some(name)) => {
            let environment = project.environment(name)?;
            let file = project
                .path()
                .map_or_else(String::new, |path| path.display().to_string());
            (
                environment.url.clone(),
                Origin::File(file, environment.line),
            )
        }
        (None, None) => {
            let row = Row {
                key: "url".to_owned(),
                value: String::new(),
                origin: Origin::Default,
            };
            return Ok((None, row));
        }
    };
    let url = parse_url(&text)?;
    let value = gs_common::redact::redact_url(&url);
    Ok((
        Some(url),
        Row {
            key: "url".to_owned(),
            value,
            origin,
        },
    ))
}

fn parse_url(text: &str) -> Result<Url, ConfigError> {
    let hint = "write scheme, host and port, such as http://127.0.0.1:8000";
    // What was typed may hold a password, and is not repeated.
    let url = Url::parse(text)
        .map_err(|error| ConfigError::new(format!("the target is no URL: {error}")).hint(hint))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(ConfigError::new(
            "the target is no web address: it wants `http://` or `https://` and a host",
        )
        .hint(hint));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(ConfigError::new(format!(
            "the target has a path, `{}`: the personas' paths start at the root",
            url.path()
        ))
        .hint("name scheme, host and port only"));
    }
    Ok(url)
}

/// Load goes to this machine, or to where somebody has said that it may go.
pub(super) fn may_get_load(url: &Url, allowed: &[String]) -> Result<(), ConfigError> {
    let (loopback, host) = match url.host() {
        Some(Host::Ipv4(ip)) => (ip.is_loopback(), ip.to_string()),
        Some(Host::Ipv6(ip)) => (IpAddr::V6(ip).to_canonical().is_loopback(), ip.to_string()),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            // RFC 6761, section 6.3.
            (
                name == "localhost" || name.ends_with(".localhost"),
                name.clone(),
            )
        }
        None => (false, String::new()),
    };
    if loopback || allowed.contains(&host) {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "`{host}` is not this machine, and nobody has allowed load on it"
    ))
    .hint(format!(
        "if it may get this load: `--allow-host {host}`, or `allow-host = [\"{host}\"]` in section `[load-test]`"
    )))
}

pub(super) fn host_name(text: &str) -> Result<String, String> {
    let plain = text.trim().trim_matches(['[', ']']).trim_end_matches('.');
    if plain.is_empty() || plain.contains('/') || plain.contains('*') {
        return Err(format!(
            "`{text}` is no host: write a name or an address, without scheme and port"
        ));
    }
    if let Ok(ip) = plain.parse::<IpAddr>() {
        return Ok(ip.to_string());
    }
    if plain.contains(':') {
        return Err(format!("`{text}` is no host: leave the port away"));
    }
    Ok(plain.to_ascii_lowercase())
}

/// User and password of the URL become a header, and the URL loses them.
pub(super) fn take_credentials(
    mut url: Url,
    redactor: &Redactor,
    headers: &mut Vec<(HeaderName, HeaderValue)>,
) -> Result<Url, ConfigError> {
    use base64::Engine as _;
    if url.username().is_empty() && url.password().is_none() {
        return Ok(url);
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
    let pair = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
    hide(redactor, "the URL's credentials", &pair)?;
    if let Ok(value) = HeaderValue::try_from(format!("Basic {pair}")) {
        headers.push((http::header::AUTHORIZATION, value));
    }
    // Refused only by URLs without a host, which ours has.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn may(url: &str, allowed: &[&str], expected: bool) {
        let allowed: Vec<String> = allowed
            .iter()
            .map(|host| host_name(host).unwrap())
            .collect();
        let outcome = may_get_load(&Url::parse(url).unwrap(), &allowed);
        assert_eq!(outcome.is_ok(), expected, "{url}: {outcome:?}");
    }

    #[test]
    fn load_goes_to_this_machine_or_where_it_is_allowed() {
        may("http://127.0.0.1:1", &[], true);
        may("http://127.9.9.9", &[], true);
        may("http://[::1]:1", &[], true);
        may("http://[::ffff:127.0.0.1]:1", &[], true);
        may("http://localhost:8000", &[], true);
        may("http://goldensignals.ai", &[], false);
        may("http://GoldenSignals.AI", &["goldensignals.ai"], true);
        may("http://api.goldensignals.ai", &["goldensignals.ai"], false);
        may("http://10.0.0.1", &[], false);
        may("http://10.0.0.1", &["10.0.0.1"], true);
        may("http://127.0.0.1.evil.example", &[], false);
        may("http://localhost.evil.example", &[], false);
        may("http://0.0.0.0:1", &[], false);
        may("http://2130706433", &[], true);
    }

    #[test]
    fn hosts_are_plain() {
        for bad in ["", "http://x", "x:80", "*.x", "x/y"] {
            assert!(host_name(bad).is_err(), "{bad}");
        }
        assert_eq!(host_name("[::1]").unwrap(), "::1");
    }
}
