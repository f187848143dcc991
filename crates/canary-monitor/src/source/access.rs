//! Who we are to a source: tokens, passwords, headers and signatures. Secrets come from the environment or
//! from files, which are read anew for each request, so that a token that is rotated in mid-run goes on
//! working.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use gs_common::config::{ConfigError, Settings};
use gs_common::http::ClientConfig;
use gs_common::redact::Redactor;
use gs_common::secret::Secret;
use gs_common::way::{SecretHeader, hide};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use url::Url;

use super::SourceError;
use super::args::AccessArgs;
use super::sigv4::{self, Aws};

/// A file of a secret is not larger.
const LARGEST_SECRET: u64 = 64 << 10;

/// Who we are and how to get there.
#[derive(Clone, Debug)]
pub struct Access {
    /// TLS, proxies, other addresses.
    pub client: ClientConfig,
    /// Who we are.
    pub identity: Identity,
    /// Headers for every request; the values are secret.
    pub headers: Vec<SecretHeader>,
    /// What must appear in no output; files tell it what they hold when they are read.
    pub redactor: Redactor,
}

/// How a request is authenticated.
#[derive(Clone, Debug, Default)]
pub enum Identity {
    /// Not at all, or by a client certificate.
    #[default]
    None,
    /// By a bearer token.
    Bearer(Held),
    /// By user and password.
    Basic(String, Held),
    /// By AWS Signature Version 4.
    Aws(Aws),
}

/// Where a secret is.
#[derive(Clone, Debug)]
pub enum Held {
    /// Here: it came from the environment.
    Here(Secret),
    /// In a file, which may change.
    File(PathBuf),
}

impl Held {
    fn read(&self, redactor: &Redactor) -> Result<Secret, SourceError> {
        match self {
            Self::Here(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let secret = read_secret(path).map_err(|why| SourceError {
                    what: format!("`{}` holds no secret: {why}", path.display()),
                    hint: Some("is the file still there, and may it be read?".to_owned()),
                })?;
                redactor
                    .add(&path.display().to_string(), secret.expose())
                    .map_err(|error| SourceError {
                        what: error.to_string(),
                        hint: Some("use a longer one".to_owned()),
                    })?;
                Ok(secret)
            }
        }
    }
}

fn read_secret(path: &Path) -> Result<Secret, String> {
    let size = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if size > LARGEST_SECRET {
        return Err(format!("it has {size} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let text = text.trim();
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(Secret::new(text))
}

impl Access {
    /// Adds to a request's headers whatever says who we are.
    ///
    /// # Errors
    /// A file cannot be read, or what it holds is no header's value.
    pub fn sign(
        &self,
        method: &http::Method,
        url: &Url,
        body: &[u8],
        headers: &mut HeaderMap,
        now: Timestamp,
    ) -> Result<(), SourceError> {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        let authorization = match &self.identity {
            Identity::None => return Ok(()),
            Identity::Bearer(held) => {
                Secret::new(format!("Bearer {}", held.read(&self.redactor)?.expose()))
            }
            Identity::Basic(user, held) => {
                let password = held.read(&self.redactor)?;
                let pair = BASE64_STANDARD.encode(format!("{user}:{}", password.expose()));
                Secret::new(format!("Basic {pair}"))
            }
            Identity::Aws(aws) => return sigv4::sign(aws, method, url, body, headers, now),
        };
        headers.insert(
            AUTHORIZATION,
            header_value("authorization", &authorization)?,
        );
        Ok(())
    }
}

pub(super) fn header_value(name: &str, value: &Secret) -> Result<HeaderValue, SourceError> {
    let mut made = HeaderValue::from_str(value.expose()).map_err(|_| SourceError {
        what: format!("the secret for the header `{name}` holds a line feed or another character that no header may have"),
        hint: Some("write it on one line".to_owned()),
    })?;
    made.set_sensitive(true);
    Ok(made)
}

/// Reads who we are from what was typed and configured.
pub(super) fn identity(
    args: &AccessArgs,
    set: &mut Settings<'_>,
    variables: &BTreeMap<String, String>,
    redactor: &Redactor,
) -> Result<Identity, ConfigError> {
    let any = |text: &str| Ok::<_, ConfigError>(text.to_owned());
    let bearer_env = set.optional("bearer-env", args.bearer_env.as_deref(), any)?;
    let bearer_file = set.path("bearer-file", args.bearer_file.as_deref())?;
    let user = set.optional("basic-user", args.basic_user.as_deref(), |text| {
        if text.is_empty() || text.contains(':') {
            return Err("a user has a name, without a colon");
        }
        Ok(text.to_owned())
    })?;
    let password_env = set.optional(
        "basic-password-env",
        args.basic_password_env.as_deref(),
        any,
    )?;
    let password_file = set.path("basic-password-file", args.basic_password_file.as_deref())?;
    let region = set.optional("sigv4-region", args.sigv4_region.as_deref(), any)?;
    let service = set.value(
        "sigv4-service",
        args.sigv4_service.as_deref(),
        "aps",
        |text| {
            let known = text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if known && !text.is_empty() {
                Ok(text.to_owned())
            } else {
                Err("no AWS service")
            }
        },
    )?;
    let ways = [
        ("--bearer-env", bearer_env.is_some()),
        ("--bearer-file", bearer_file.is_some()),
        ("--basic-user", user.is_some()),
        ("--sigv4-region", region.is_some()),
    ];
    let mut chosen = ways
        .iter()
        .filter(|(_, chosen)| *chosen)
        .map(|(name, _)| *name);
    if let (Some(first), Some(second)) = (chosen.next(), chosen.next()) {
        return Err(ConfigError::new(format!(
            "{first} and {second} both say who we are: a request has one `authorization`"
        ))
        .hint("leave one of them out"));
    }
    let from_env = |flag: &str, name: &str| {
        let value = variables.get(name).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| {
            ConfigError::new(format!(
                "{flag}: the environment variable `{name}` is not set"
            ))
            .hint("set it; the flag takes the variable's name, not its value")
        })?;
        hide(redactor, name, value.trim())?;
        Ok::<_, ConfigError>(Held::Here(Secret::new(value.trim())))
    };
    let from_file = |flag: &str, path: PathBuf| {
        let secret = read_secret(&path)
            .map_err(|why| ConfigError::new(format!("{flag}: `{}`: {why}", path.display())))?;
        hide(redactor, flag, secret.expose())?;
        Ok::<_, ConfigError>(Held::File(path))
    };
    if let Some(name) = bearer_env {
        return from_env("--bearer-env", &name).map(Identity::Bearer);
    }
    if let Some(path) = bearer_file {
        return from_file("--bearer-file", path).map(Identity::Bearer);
    }
    let password = match (password_env, password_file) {
        (Some(_), Some(_)) => {
            return Err(ConfigError::new(
                "the password has two places: --basic-password-env and --basic-password-file",
            )
            .hint("leave one of them out"));
        }
        (Some(name), None) => Some(from_env("--basic-password-env", &name)?),
        (None, Some(path)) => Some(from_file("--basic-password-file", path)?),
        (None, None) => None,
    };
    match (user, password, region) {
        (Some(user), Some(password), _) => {
            // The pair is what travels, and what a server's complaint may repeat.
            if let Ok(secret) = password.read(redactor) {
                let pair = BASE64_STANDARD.encode(format!("{user}:{}", secret.expose()));
                hide(redactor, "the basic authentication", &pair)?;
            }
            Ok(Identity::Basic(user, password))
        }
        (Some(_), None, _) => Err(ConfigError::new("--basic-user has no password")
            .hint("add --basic-password-env VARIABLE or --basic-password-file FILE")),
        (None, Some(_), _) => {
            Err(ConfigError::new("a password without a user").hint("add --basic-user NAME"))
        }
        (None, None, Some(region)) => {
            Aws::from_variables(&region, &service, variables, redactor).map(Identity::Aws)
        }
        (None, None, None) => Ok(Identity::None),
    }
}
