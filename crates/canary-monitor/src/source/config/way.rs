//! The way to a source: TLS, proxies, other addresses, beside who we are.

use std::collections::BTreeMap;

use gs_common::config::{ConfigError, Settings};
use gs_common::http::ClientConfig;
use gs_common::redact::Redactor;
use gs_common::way::{Short, secret_headers};

use super::any;
use crate::source::access::{Access, identity};
use crate::source::args::AccessArgs;

pub(super) fn access(
    args: &AccessArgs,
    set: &mut Settings<'_>,
    variables: &BTreeMap<String, String>,
    redactor: &Redactor,
) -> Result<Access, ConfigError> {
    let identity = identity(args, set, variables, redactor)?;
    let pairs = set.list("header-env", &args.header_env, any)?;
    let headers = secret_headers(&pairs, variables, Short::Plain, redactor)?;
    let client = ClientConfig {
        connect_to: set.list("connect-to", &args.connect_to, str::parse)?,
        resolve: set.list("resolve", &args.resolve, str::parse)?,
        tls: args.tls.resolve(set)?,
        proxies: args.proxies.resolve(set, variables, redactor)?,
        user_agent: concat!("canary-monitor/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..ClientConfig::default()
    };
    Ok(Access {
        client,
        identity,
        headers,
        redactor: redactor.clone(),
    })
}
