//! What is really dialled: the target, or a proxy in front of it, at the resolver's address or a given one.

use std::time::Duration;

use gs_common::http::{ClientConfig, Proxy, Resolve};
use url::Url;

use super::{NoStart, Plan};

/// The host and port that connections are opened to.
#[derive(Clone, Debug)]
pub(crate) struct Dialled<'a> {
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The proxy that this is, if it is one.
    pub(crate) proxy: Option<&'a Proxy>,
}

impl<'a> Dialled<'a> {
    pub(crate) fn of(url: &Url, client: &'a ClientConfig) -> Self {
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let port = url.port_or_known_default().unwrap_or(80);
        match client.proxies.of(url.scheme() == "https", &host) {
            Some(proxy) => Self {
                host: proxy.host.clone(),
                port: proxy.port,
                proxy: Some(proxy),
            },
            None => Self {
                host,
                port,
                proxy: None,
            },
        }
    }

    /// Whether an address is given for it.
    pub(crate) fn is(&self, rule: &Resolve) -> bool {
        rule.host() == self.host && rule.port() == self.port
    }

    /// The addresses that are given for it.
    pub(crate) fn pins<'b>(&self, client: &'b ClientConfig) -> Vec<&'b Resolve> {
        client.resolve.iter().filter(|rule| self.is(rule)).collect()
    }
}

/// A name that always means this machine (RFC 6761, section 6.3).
pub(crate) fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Asks the resolver once: a name server is not what is tested. Of a name that means this machine, only this
/// machine's addresses are taken, whatever the resolver says: nobody has allowed load on others.
pub(super) async fn pin_addresses(plan: &mut Plan) -> Result<(), NoStart> {
    let dialled = Dialled::of(&plan.target, &plan.client);
    let (host, port) = (dialled.host.as_str(), dialled.port);
    if host.parse::<std::net::IpAddr>().is_ok() || !dialled.pins(&plan.client).is_empty() {
        return Ok(());
    }
    let what = if dialled.proxy.is_some() {
        "the proxy's name"
    } else {
        "the name"
    };
    let asked = tokio::time::timeout(
        plan.timeout.min(Duration::from_secs(5)),
        tokio::net::lookup_host((host, port)),
    );
    let found = match asked.await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            return Err(NoStart::Unreachable(format!(
                "{what} `{host}` does not resolve: {error}"
            )));
        }
        Err(_) => {
            return Err(NoStart::Unreachable(format!(
                "{what} `{host}` was not resolved in time"
            )));
        }
    };
    let here = is_local_name(host);
    let pins: Vec<Resolve> = found
        .map(|address| address.ip())
        .filter(|ip| !here || ip.to_canonical().is_loopback())
        .filter_map(|ip| {
            let ip = match ip {
                std::net::IpAddr::V4(ip) => ip.to_string(),
                std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            };
            format!("{host}:{port}:{ip}").parse().ok()
        })
        .collect();
    if pins.is_empty() {
        let of = if here { " on this machine" } else { "" };
        return Err(NoStart::Unreachable(format!(
            "{what} `{host}` has no address{of}"
        )));
    }
    plan.client.resolve.extend(pins);
    Ok(())
}
