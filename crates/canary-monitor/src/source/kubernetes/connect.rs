//! The way to the cluster: a kubeconfig, or the service account of the pod that we run in.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use gs_common::config::ConfigError;
use gs_common::http::{ClientConfig, Proxies, TlsOptions};
use gs_common::outside::{OnCrash, removed_on_crash};
use gs_common::secret::Secret;
use gs_common::way::hide;
use tempfile::TempPath;
use url::Url;

use super::kubeconfig::{self, Kubeconfig, Meant};
use crate::source::access::{Access, Held, Identity};
use crate::source::config::KubernetesConfig;

/// The namespace of whom nobody has told another.
const DEFAULT_NAMESPACE: &str = "default";

/// Where the API is and who we are to it.
pub(super) struct Way {
    pub server: Url,
    pub access: Access,
    pub namespace: String,
    pub context: String,
    pub files: Vec<Unpacked>,
}

pub(super) fn way(config: &KubernetesConfig, access: &Access) -> Result<Way, ConfigError> {
    if config.files.is_empty() {
        return in_cluster(config, access);
    }
    let mut all: Option<Kubeconfig> = None;
    let mut last = PathBuf::new();
    for path in config
        .files
        .iter()
        .filter(|path| !path.as_os_str().is_empty())
    {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            // A list in KUBECONFIG may name files that are not there.
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && config.files.len() > 1 =>
            {
                continue;
            }
            Err(error) => {
                return Err(wrong(path, format!("cannot be read: {error}"))
                    .hint("name the file that kubectl uses with --kubeconfig"));
            }
        };
        let file = kubeconfig::read(&text)
            .map_err(|useless| wrong(path, useless.message).hint(useless.hint))?;
        all = Some(match all {
            None => file,
            Some(all) => all.or(file),
        });
        last.clone_from(path);
    }
    let all = all.ok_or_else(|| {
        ConfigError::new("none of the files that KUBECONFIG names is there")
            .hint("name one with --kubeconfig")
    })?;
    let meant = all
        .meant(config.context.as_deref())
        .map_err(|useless| wrong(&last, useless.message).hint(useless.hint))?;
    by_kubeconfig(config, access, &meant, &last)
}

fn wrong(path: &Path, why: impl std::fmt::Display) -> ConfigError {
    ConfigError::new(format!("kubeconfig `{}`: {why}", path.display()))
}

fn by_kubeconfig(
    config: &KubernetesConfig,
    access: &Access,
    meant: &Meant,
    path: &Path,
) -> Result<Way, ConfigError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut files = Vec::new();
    let mut file = |what: &str, named: &Option<String>, data: &Option<String>| match (named, data) {
        (_, Some(data)) if !data.is_empty() => {
            let kept = unpacked(data).map_err(|why| {
                wrong(path, format!("its {what} {why}"))
                    .hint("compare it with what `kubectl config view --raw` shows")
            })?;
            let place = kept.path.to_path_buf();
            files.push(kept);
            Ok(Some(place))
        }
        (Some(named), _) if !named.is_empty() => Ok(Some(folder.join(named))),
        _ => Ok::<_, ConfigError>(None),
    };
    let (cluster, user) = (&meant.cluster, &meant.user);
    let authority = file(
        "certificate-authority-data",
        &cluster.certificate_authority,
        &cluster.certificate_authority_data,
    )?;
    let certificate = file(
        "client-certificate-data",
        &user.client_certificate,
        &user.client_certificate_data,
    )?;
    let key = file("client-key-data", &user.client_key, &user.client_key_data)?;
    if certificate.is_some() != key.is_some() {
        return Err(wrong(
            path,
            "its user has a client certificate without a key, or the reverse",
        )
        .hint("give both"));
    }
    let identity = match (&user.token, &user.token_file) {
        (Some(token), _) if !token.is_empty() => {
            hide(&access.redactor, "the kubeconfig's token", token)?;
            Identity::Bearer(Held::Here(Secret::new(token.clone())))
        }
        (_, Some(named)) if !named.is_empty() => Identity::Bearer(Held::File(folder.join(named))),
        _ => Identity::None,
    };
    let tls = TlsOptions {
        authorities: authority.into_iter().collect(),
        identity: certificate.zip(key),
        insecure: cluster.insecure_skip_tls_verify == Some(true),
    };
    let proxies = match &cluster.proxy_url {
        Some(proxy) if !proxy.is_empty() => {
            let proxy: gs_common::http::Proxy = proxy.parse().map_err(|_| {
                wrong(path, "its proxy-url is no HTTP proxy").hint("write http://HOST:PORT")
            })?;
            Proxies {
                plain: Some(proxy.clone()),
                secure: Some(proxy),
                direct: Vec::new(),
            }
        }
        _ => access.client.proxies.clone(),
    };
    let server = server(&cluster.server).map_err(|why| {
        wrong(path, format!("its server is {why}")).hint("write https://HOST:PORT")
    })?;
    let namespace = config
        .namespace
        .clone()
        .or_else(|| meant.namespace.clone())
        .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    Ok(Way {
        server,
        access: Access {
            client: ClientConfig {
                tls,
                proxies,
                sni: cluster.tls_server_name.clone(),
                user_agent: access.client.user_agent.clone(),
                connect_to: access.client.connect_to.clone(),
                resolve: access.client.resolve.clone(),
                ..ClientConfig::default()
            },
            identity,
            headers: Vec::new(),
            redactor: access.redactor.clone(),
        },
        namespace: checked(&namespace)?,
        context: meant.context.clone(),
        files,
    })
}

/// The pod's own service account: a token that the kubelet renews, and the cluster's authority.
fn in_cluster(config: &KubernetesConfig, access: &Access) -> Result<Way, ConfigError> {
    let Some((host, port)) = &config.in_cluster else {
        return Err(
            ConfigError::new("there is no kubeconfig, and this is no pod")
                .hint("name one with --kubeconfig"),
        );
    };
    let folder = &config.service_account;
    let token = folder.join("token");
    if !token.is_file() {
        return Err(ConfigError::new(format!(
            "this pod has no service account: `{}` is missing",
            token.display()
        ))
        .hint("set serviceAccountName, and not automountServiceAccountToken: false"));
    }
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let server = server(&format!("https://{host}:{port}"))
        .map_err(|why| ConfigError::new(format!("KUBERNETES_SERVICE_HOST is {why}")))?;
    let own = std::fs::read_to_string(folder.join("namespace")).ok();
    let own = own.map(|text| text.trim().to_owned());
    let namespace = config
        .namespace
        .clone()
        .or_else(|| own.filter(|name| !name.is_empty()))
        .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    Ok(Way {
        server,
        access: Access {
            client: ClientConfig {
                tls: TlsOptions {
                    authorities: vec![folder.join("ca.crt")],
                    ..TlsOptions::default()
                },
                user_agent: access.client.user_agent.clone(),
                ..ClientConfig::default()
            },
            identity: Identity::Bearer(Held::File(token)),
            headers: Vec::new(),
            redactor: access.redactor.clone(),
        },
        namespace: checked(&namespace)?,
        context: "in-cluster".to_owned(),
        files: Vec::new(),
    })
}

fn server(text: &str) -> Result<Url, &'static str> {
    let mut url = Url::parse(text).map_err(|_| "no URL")?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("no web address");
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// A namespace is a DNS label, and nothing else may stand in a path.
fn checked(namespace: &str) -> Result<String, ConfigError> {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !namespace.is_empty() && namespace.len() <= 63 && namespace.bytes().all(known) {
        return Ok(namespace.to_owned());
    }
    Err(ConfigError::new(format!("`{namespace}` is no namespace"))
        .hint("it has lowercase letters, digits and hyphens"))
}

/// A file that goes with this, however that comes about: a key may be in it.
#[derive(Debug)]
pub(super) struct Unpacked {
    path: TempPath,
    _gone: OnCrash,
}

/// Base64 as a file that only we may read: TLS reads files.
fn unpacked(data: &str) -> Result<Unpacked, String> {
    let packed: String = data.split_whitespace().collect();
    let bytes = BASE64_STANDARD
        .decode(packed)
        .map_err(|_| "is no base64".to_owned())?;
    let kept = tempfile::NamedTempFile::new().and_then(|mut file| {
        file.write_all(&bytes)?;
        file.flush()?;
        let path = file.into_temp_path();
        Ok(Unpacked {
            _gone: removed_on_crash(&path),
            path,
        })
    });
    kept.map_err(|error| format!("cannot be unpacked: {error}"))
}
