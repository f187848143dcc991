//! Where the load goes, and whether it may go there.

use std::net::IpAddr;

use gs_common::config::ConfigError;
use gs_common::http::{AddressError, ClientConfig, Resolve};
use url::{Host, Url};

use crate::engine::dialled::{Dialled, is_local_name};

/// Whether a host is this machine, by its address or by a name that is reserved for it.
pub(super) fn is_here(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => IpAddr::V6(*ip).to_canonical().is_loopback(),
        Host::Domain(name) => is_local_name(name),
    }
}

/// Load goes to this machine, or to where somebody has said that it may go. That holds for what is really
/// dialled: the address that `--resolve` gives, and the proxy as well as the target behind it.
pub(super) fn may_get_load(
    url: &Url,
    client: &ClientConfig,
    allowed: &[String],
) -> Result<(), ConfigError> {
    let Some(host) = url.host() else {
        return Err(ConfigError::new("the target has no host"));
    };
    let dialled = Dialled::of(url, client);
    let pins = dialled.pins(client);
    for pin in &pins {
        may_get_pinned(pin, allowed)?;
    }
    if let Some(proxy) = dialled.proxy
        && pins.is_empty()
    {
        let host = Host::parse(&bracketed(&proxy.host)).map_err(|error| {
            ConfigError::new(format!("the proxy `{}` is no host: {error}", proxy.host))
        })?;
        let host = borrowed(&host);
        let name = name_of(&host);
        allowed_or(
            is_here(&host),
            &name,
            allowed,
            &format!("the proxy `{name}`"),
        )?;
    }
    // A name whose address is given is not asked for; behind a proxy it is.
    if dialled.proxy.is_some() || pins.is_empty() {
        let name = name_of(&host);
        allowed_or(is_here(&host), &name, allowed, &format!("`{name}`"))?;
    }
    Ok(())
}

fn may_get_pinned(pin: &Resolve, allowed: &[String]) -> Result<(), ConfigError> {
    let address = pin.address().to_canonical();
    let what = format!("`{address}` (the address of `{}` by --resolve)", pin.host());
    allowed_or(address.is_loopback(), &address.to_string(), allowed, &what)
}

fn allowed_or(here: bool, host: &str, allowed: &[String], what: &str) -> Result<(), ConfigError> {
    if here || allowed.iter().any(|one| one == host) {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "{what} is not this machine, and nobody has allowed load on it"
    ))
    .hint(format!(
        "if it may get this load: `--allow-host {host}`, or `allow-host = [\"{host}\"]` in section `[load-test]`"
    )))
}

fn name_of(host: &Host<&str>) -> String {
    match host {
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
        Host::Domain(name) => name.trim_end_matches('.').to_ascii_lowercase(),
    }
}

fn borrowed(host: &Host<String>) -> Host<&str> {
    match host {
        Host::Ipv4(ip) => Host::Ipv4(*ip),
        Host::Ipv6(ip) => Host::Ipv6(*ip),
        Host::Domain(name) => Host::Domain(name),
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// A `--resolve` that was typed for another host or port than the one that is dialled is a slip, and the
/// load would go where nobody meant it to.
pub(super) fn fits_target(
    typed: &[String],
    url: &Url,
    client: &ClientConfig,
) -> Result<(), ConfigError> {
    let dialled = Dialled::of(url, client);
    for text in typed {
        let rule: Resolve = text
            .parse()
            .map_err(|error: AddressError| ConfigError::new(format!("--resolve: {error}")))?;
        if !dialled.is(&rule) {
            let asked = format!("{}:{}", dialled.host, dialled.port);
            let why = match dialled.proxy {
                Some(_) => format!("{asked}, the proxy, is what is dialled"),
                None => format!("the target is {asked}"),
            };
            return Err(
                ConfigError::new(format!("--resolve {text} changes nothing: {why}"))
                    .hint(format!("write --resolve {asked}:ADDRESS, or leave it away")),
            );
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn may(url: &str, allowed: &[&str], expected: bool) {
        let allowed: Vec<String> = allowed
            .iter()
            .map(|host| host_name(host).unwrap())
            .collect();
        let client = ClientConfig::default();
        let outcome = may_get_load(&Url::parse(url).unwrap(), &client, &allowed);
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

    #[track_caller]
    fn may_by(url: &str, change: impl FnOnce(&mut ClientConfig), allowed: &[&str], said: &str) {
        let allowed: Vec<String> = allowed
            .iter()
            .map(|host| host_name(host).unwrap())
            .collect();
        let mut client = ClientConfig::default();
        change(&mut client);
        match may_get_load(&Url::parse(url).unwrap(), &client, &allowed) {
            Ok(()) => assert_eq!(said, "", "{url}"),
            Err(error) => assert!(
                !said.is_empty() && error.to_string().contains(said),
                "{url}: {error}"
            ),
        }
    }

    #[test]
    fn what_is_really_dialled_has_to_be_allowed() {
        let pin = |rule: &str| {
            let rule: Resolve = rule.parse().unwrap();
            move |client: &mut ClientConfig| client.resolve.push(rule)
        };
        // A name that is given an address of this machine is not asked for.
        may_by("http://gs.ai", pin("gs.ai:80:127.0.0.1"), &[], "");
        may_by("http://gs.ai", pin("gs.ai:80:[::1]"), &[], "");
        // The permission for a name is none for an address that somebody typed.
        let refused = "`10.0.0.1` (the address of `gs.ai` by --resolve)";
        may_by(
            "http://gs.ai",
            pin("gs.ai:80:10.0.0.1"),
            &["gs.ai"],
            refused,
        );
        may_by("http://gs.ai", pin("gs.ai:80:10.0.0.1"), &["10.0.0.1"], "");
        let refused = "`10.0.0.1` (the address of `localhost` by --resolve)";
        may_by(
            "http://localhost",
            pin("localhost:80:10.0.0.1"),
            &[],
            refused,
        );
        // A rule for another port is no rule.
        may_by("http://gs.ai", pin("gs.ai:81:127.0.0.1"), &[], "`gs.ai`");
    }

    #[test]
    fn a_proxy_and_the_target_behind_it_have_to_be_allowed() {
        let by = |proxy: &str| {
            let proxy: gs_common::http::Proxy = proxy.parse().unwrap();
            move |client: &mut ClientConfig| client.proxies.plain = Some(proxy)
        };
        let target = "http://gs.ai";
        may_by(target, by("http://127.0.0.1:3128"), &["gs.ai"], "");
        may_by(target, by("http://[::1]:3128"), &["gs.ai"], "");
        may_by(target, by("http://127.0.0.1:3128"), &[], "`gs.ai`");
        may_by(
            target,
            by("http://squid:3128"),
            &["gs.ai"],
            "the proxy `squid`",
        );
        may_by(target, by("http://squid:3128"), &["gs.ai", "squid"], "");
        let pinned = |client: &mut ClientConfig| {
            by("http://squid:3128")(client);
            client.resolve.push("squid:3128:127.0.0.1".parse().unwrap());
            // Nobody dials this: the proxy asks the resolver itself.
            client.resolve.push("gs.ai:80:127.0.0.1".parse().unwrap());
        };
        may_by(target, pinned, &["gs.ai"], "");
        may_by(target, pinned, &[], "`gs.ai`");
    }

    #[test]
    fn a_rule_for_something_else_is_a_slip() {
        let client = ClientConfig::default();
        let url = Url::parse("https://gs.ai").unwrap();
        let fits = |rule: &str| fits_target(&[rule.to_owned()], &url, &client);
        assert!(fits("gs.ai:443:127.0.0.1").is_ok());
        for wrong in ["gs.ai:80:127.0.0.1", "gs.io:443:127.0.0.1", "gs.ai"] {
            assert!(fits(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hosts_are_plain() {
        for bad in ["", "http://x", "x:80", "*.x", "x/y"] {
            assert!(host_name(bad).is_err(), "{bad}");
        }
        assert_eq!(host_name("[::1]").unwrap(), "::1");
    }
}
