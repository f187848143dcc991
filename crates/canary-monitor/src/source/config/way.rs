//! The way to a source: TLS, proxies, other addresses, beside who we are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gs_common::config::{ConfigError, Settings};
use gs_common::http::{AddressError, ClientConfig, Proxies, Proxy, TlsOptions};
use gs_common::redact::Redactor;

use super::any;
use crate::source::access::{Access, hide, identity, secret_header};
use crate::source::args::AccessArgs;

pub(super) fn access(
    args: &AccessArgs,
    set: &mut Settings<'_>,
    variables: &BTreeMap<String, String>,
    redactor: &Redactor,
) -> Result<Access, ConfigError> {
    let identity = identity(args, set, variables, redactor)?;
    let mut headers = Vec::new();
    for pair in set.list("header-env", &args.header_env, any)? {
        headers.push(secret_header(&pair, variables, redactor)?);
    }
    let file = |text: &str| {
        let path = PathBuf::from(text);
        let found = path.is_file();
        found
            .then_some(path)
            .ok_or_else(|| format!("there is no file `{text}`"))
    };
    let authorities = set.list("cacert", &args.cacert, file)?;
    let certificate = set.optional("cert", args.cert.as_deref(), file)?;
    let key = set.optional("key", args.key.as_deref(), file)?;
    if certificate.is_some() != key.is_some() {
        return Err(
            ConfigError::new("a client certificate needs --cert and --key").hint("give both"),
        );
    }
    let tls = TlsOptions {
        authorities,
        identity: certificate.zip(key),
        insecure: set.switch("insecure", args.insecure)?,
    };
    let client = ClientConfig {
        connect_to: set.list("connect-to", &args.connect_to, str::parse)?,
        resolve: set.list("resolve", &args.resolve, str::parse)?,
        tls,
        proxies: proxies(args, set, variables)?,
        user_agent: concat!("canary-monitor/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..ClientConfig::default()
    };
    for proxy in [&client.proxies.plain, &client.proxies.secure]
        .into_iter()
        .flatten()
    {
        if let Some(authorization) = &proxy.authorization {
            hide(redactor, "the proxy's password", authorization.expose())?;
        }
    }
    Ok(Access {
        client,
        identity,
        headers,
        redactor: redactor.clone(),
    })
}

fn proxies(
    args: &AccessArgs,
    set: &mut Settings<'_>,
    variables: &BTreeMap<String, String>,
) -> Result<Proxies, ConfigError> {
    let proxy = set.optional("proxy", args.proxy.as_deref(), |text| {
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
    let direct = set.optional("no-proxy", args.no_proxy.as_deref(), |text| {
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
    Ok(proxies)
}
