//! Where a request really goes: curl's `--connect-to` and `--resolve`, and proxies.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use url::Url;

use crate::secret::Secret;

/// Why an address option is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not understood: write {form}")]
pub struct AddressError {
    text: String,
    form: &'static str,
}

/// `HOST1:PORT1:HOST2:PORT2`: connect to HOST2:PORT2 for what is addressed to HOST1:PORT1. An
/// empty part of the first pair means any, of the second the same. TLS still verifies HOST1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTo {
    from: (Option<String>, Option<u16>),
    to: (Option<String>, Option<u16>),
}

impl FromStr for ConnectTo {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fail = || AddressError {
            text: text.to_owned(),
            form: "HOST1:PORT1:HOST2:PORT2, such as `staging.example:443:127.0.0.1:8443`",
        };
        let parts = split(text)
            .filter(|parts| parts.len() == 4)
            .ok_or_else(fail)?;
        let host = |part: &str| (!part.is_empty()).then(|| part.to_ascii_lowercase());
        let port = |part: &str| match part {
            "" => Ok(None),
            digits => digits.parse().map(Some).map_err(|_| fail()),
        };
        Ok(Self {
            from: (host(parts[0]), port(parts[1])?),
            to: (host(parts[2]), port(parts[3])?),
        })
    }
}

/// `HOST:PORT:ADDRESS`: use this address for HOST:PORT instead of asking the resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    host: String,
    port: u16,
    address: IpAddr,
}

impl FromStr for Resolve {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fail = || AddressError {
            text: text.to_owned(),
            form: "HOST:PORT:ADDRESS, such as `staging.example:443:127.0.0.1`",
        };
        let parts = split(text)
            .filter(|parts| parts.len() == 3)
            .ok_or_else(fail)?;
        Ok(Self {
            host: parts[0].to_ascii_lowercase(),
            port: parts[1].parse().map_err(|_| fail())?,
            address: parts[2].parse().map_err(|_| fail())?,
        })
    }
}

impl Resolve {
    /// The host that is not asked of the resolver, in small letters.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port for which this holds.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address that is dialled instead.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }
}

/// Splits at colons that are not inside `[...]`, and takes the brackets off.
fn split(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        if let Some(inner) = rest.strip_prefix('[') {
            let (address, after) = inner.split_once(']')?;
            parts.push(address);
            match after.strip_prefix(':') {
                Some(after) => rest = after,
                None if after.is_empty() => return Some(parts),
                None => return None,
            }
        } else if let Some((part, after)) = rest.split_once(':') {
            parts.push(part);
            rest = after;
        } else {
            parts.push(rest);
            return Some(parts);
        }
    }
}

/// The first matching `--connect-to` applied to a host and port.
pub(super) fn connect_target(rules: &[ConnectTo], host: &str, port: u16) -> (String, u16) {
    let matching = rules.iter().find(|rule| {
        rule.from.0.as_deref().is_none_or(|wanted| wanted == host)
            && rule.from.1.is_none_or(|wanted| wanted == port)
    });
    match matching {
        Some(rule) => (
            rule.to.0.clone().unwrap_or_else(|| host.to_owned()),
            rule.to.1.unwrap_or(port),
        ),
        None => (host.to_owned(), port),
    }
}

/// The addresses given by `--resolve` for a host and port; empty where the resolver has to be asked.
pub(super) fn pinned(rules: &[Resolve], host: &str, port: u16) -> Vec<IpAddr> {
    rules
        .iter()
        .filter(|rule| rule.host == host && rule.port == port)
        .map(|rule| rule.address)
        .collect()
}

/// An HTTP proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User and password from the URL, as the value of `proxy-authorization`.
    pub authorization: Option<Secret>,
}

impl FromStr for Proxy {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        // The text may hold a password, so the error does not repeat it.
        let fail = || AddressError {
            text: "the proxy's URL".to_owned(),
            form: "http://HOST:PORT or http://USER:PASSWORD@HOST:PORT",
        };
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url = Url::parse(&with_scheme).map_err(|_| fail())?;
        let host = url
            .host_str()
            .filter(|_| url.scheme() == "http")
            .ok_or_else(fail)?;
        let decoded = |part: &str| {
            percent_encoding::percent_decode_str(part)
                .decode_utf8_lossy()
                .into_owned()
        };
        let authorization = (!url.username().is_empty()).then(|| {
            let pair = format!(
                "{}:{}",
                decoded(url.username()),
                decoded(url.password().unwrap_or_default())
            );
            Secret::new(format!("Basic {}", BASE64_STANDARD.encode(pair)))
        });
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            authorization,
        })
    }
}

/// Which proxy is for which target.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// For `http` and `ws`.
    pub plain: Option<Proxy>,
    /// For `https` and `wss`.
    pub secure: Option<Proxy>,
    /// Hosts that are asked directly: names with their subdomains, addresses, or `*`.
    pub direct: Vec<String>,
}

impl Proxies {
    /// From `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in either case, the lower one
    /// first, as curl reads them.
    ///
    /// # Errors
    /// One of them is no proxy URL.
    pub fn from_variables(variables: &BTreeMap<String, String>) -> Result<Self, AddressError> {
        let read = |name: &str| {
            variables
                .get(name)
                .or_else(|| variables.get(&name.to_uppercase()))
                .filter(|value| !value.is_empty())
        };
        let proxy = |name: &str| {
            read(name)
                .or_else(|| read("all_proxy"))
                .map(|text| text.parse())
                .transpose()
        };
        Ok(Self {
            plain: proxy("http_proxy")?,
            secure: proxy("https_proxy")?,
            direct: read("no_proxy")
                .map(|list| Self::direct_from(list))
                .unwrap_or_default(),
        })
    }

    /// Reads a `no_proxy` list: commas between the hosts.
    #[must_use]
    pub fn direct_from(list: &str) -> Vec<String> {
        list.split([',', ' '])
            .map(|host| {
                host.trim()
                    .trim_start_matches("*.")
                    .trim_start_matches('.')
                    .to_ascii_lowercase()
            })
            .filter(|host| !host.is_empty())
            .collect()
    }

    /// The proxy for a host, if it is not to be asked directly.
    #[must_use]
    pub fn of(&self, secure: bool, host: &str) -> Option<&Proxy> {
        let proxy = if secure { &self.secure } else { &self.plain };
        let direct = self.direct.iter().any(|rule| {
            rule == "*"
                || rule == host
                || host
                    .strip_suffix(rule.as_str())
                    .is_some_and(|rest| rest.ends_with('.'))
        });
        proxy.as_ref().filter(|_| !direct)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn connects(rule: &str, host: &str, port: u16, expected: (&str, u16)) {
        let target = connect_target(&[rule.parse().unwrap()], host, port);
        assert_eq!((target.0.as_str(), target.1), expected, "{rule}");
    }

    #[test]
    fn connect_to_is_read_as_curl_reads_it() {
        connects(
            "a.example:443:127.0.0.1:8443",
            "a.example",
            443,
            ("127.0.0.1", 8443),
        );
        connects(
            "a.example:443:127.0.0.1:8443",
            "b.example",
            443,
            ("b.example", 443),
        );
        connects("::127.0.0.1:8443", "any.example", 1, ("127.0.0.1", 8443));
        connects("a.example::[::1]:", "a.example", 80, ("::1", 80));
        assert!("a.example:443".parse::<ConnectTo>().is_err());
        assert!("a:x:b:1".parse::<ConnectTo>().is_err());
    }

    #[test]
    fn resolve_pins_an_address() {
        let rule: Resolve = "a.example:443:[::1]".parse().unwrap();
        assert_eq!(
            pinned(std::slice::from_ref(&rule), "a.example", 443).len(),
            1
        );
        assert!(pinned(&[rule], "a.example", 80).is_empty());
        assert!("a.example:443:nowhere".parse::<Resolve>().is_err());
    }

    #[test]
    fn proxies_are_chosen_by_scheme_and_host() {
        let variables = BTreeMap::from([
            (
                "https_proxy".to_owned(),
                "http://me:p%40ss@proxy:3128".to_owned(),
            ),
            ("NO_PROXY".to_owned(), ".internal, 127.0.0.1".to_owned()),
        ]);
        let proxies = Proxies::from_variables(&variables).unwrap();
        let proxy = proxies.of(true, "goldensignals.ai").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy", 3128));
        let sent = proxy.authorization.as_ref().unwrap().expose();
        assert_eq!(sent, format!("Basic {}", BASE64_STANDARD.encode("me:p@ss")));
        assert!(!format!("{proxy:?}").contains("Basic"));
        assert!(proxies.of(false, "goldensignals.ai").is_none());
        assert!(
            proxies.of(true, "api.internal").is_none() && proxies.of(true, "internal").is_none()
        );
        assert!(proxies.of(true, "notinternal").is_some());
        assert!("https://p".parse::<Proxy>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in ".{0,60}") {
            let _ = (text.parse::<ConnectTo>().is_ok(), text.parse::<Resolve>().is_ok(), text.parse::<Proxy>().is_ok());
        }
    }
}
