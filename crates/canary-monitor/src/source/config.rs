//! What is meant by [`SourceArgs`]: everything checked, nothing asked yet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gs_common::config::{ConfigError, Settings};
use gs_common::http::{AddressError, ClientConfig, Limits, Proxies, Proxy, TlsOptions};
use gs_common::redact::Redactor;
use gs_common::units;
use url::{Host, Url};

use super::access::{Access, Identity, hide, identity, secret_header};
use super::args::{AccessArgs, KubernetesArgs, MetricArgs, PlaceArgs, SourceArgs};
use super::selector::Selector;
use crate::observations::Side;

/// The labels by which the service's versions are told apart.
const CANARY: &str = r#"namespace="production",deployment="goldensignals-canary""#;
const STABLE: &str = r#"namespace="production",deployment="goldensignals""#;

/// A source with nothing left to guess about.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Where the counters are; absent where nobody said.
    pub kind: Option<Kind>,
    /// What the cluster adds, where that is wanted.
    pub kubernetes: Option<KubernetesConfig>,
    /// What the counters are called.
    pub metrics: MetricConfig,
    /// Who we are and how to get there.
    pub access: Access,
    /// Limits of one request.
    pub limits: Limits,
    /// What deserves a look before the run.
    pub warnings: Vec<String>,
}

/// The kinds of sources.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The query API of Prometheus.
    Prometheus(PrometheusConfig),
    /// The metrics pages of the pods themselves.
    Scrape(ScrapeConfig),
}

/// What is asked of Prometheus.
#[derive(Clone, Debug)]
pub struct PrometheusConfig {
    /// Its address, below which `api/v1/query` lies; ends with a slash.
    pub url: Url,
    /// The canary's series.
    pub canary: Selector,
    /// The series that it is compared with.
    pub stable: Selector,
    /// Those are a baseline of their own, and not the stable version.
    pub baseline: bool,
    /// From one scrape to the next, where that was said.
    pub scrape_interval: Option<Duration>,
    /// How far in the past it is looked at, where that was said.
    pub settle: Option<Duration>,
}

/// The pods that are read.
#[derive(Clone, Debug)]
pub struct ScrapeConfig {
    /// The pods, as typed.
    pub targets: Vec<Target>,
    /// From one look to the next.
    pub interval: Duration,
}

/// A pod's metrics page.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its name in observations and reports.
    pub pod: String,
    /// Which version it runs.
    pub side: Side,
    /// The page.
    pub url: Url,
}

/// What the counters are called; what is absent is found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricConfig {
    /// The counter of requests.
    pub requests: Option<String>,
    /// The histogram, without `_bucket`.
    pub duration: Option<String>,
    /// The label of the status.
    pub status_label: Option<String>,
    /// The label of the pod.
    pub pod_label: Option<String>,
}

/// Which cluster, and which of its pods.
#[derive(Clone, Debug)]
pub struct KubernetesConfig {
    /// Kubeconfig files in the order of their weight; empty inside of a cluster.
    pub files: Vec<PathBuf>,
    /// The context, where that was said.
    pub context: Option<String>,
    /// The namespace, where that was said.
    pub namespace: Option<String>,
    /// Labels of the pods.
    pub selector: Option<String>,
    /// Where a pod finds its service account.
    pub service_account: PathBuf,
    /// `KUBERNETES_SERVICE_HOST` and `..._PORT`, inside of a cluster.
    pub in_cluster: Option<(String, String)>,
}

impl SourceConfig {
    /// Resolves what was typed against the configuration file and the environment: keys of the section
    /// `[canary-monitor]`. Every secret is told to `redactor`, also one that a file brings later.
    ///
    /// # Errors
    /// Something typed or configured is wrong. That no source is named is an error of [`super::open`]
    /// only, so that `config` can show the rest.
    pub fn resolve(
        args: &SourceArgs,
        set: &mut Settings<'_>,
        variables: &BTreeMap<String, String>,
        redactor: &Redactor,
    ) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let kind = kind(&args.place, set)?;
        let timeout = set.value(
            "timeout",
            args.place.timeout.as_deref(),
            "10s",
            seconds(0.01, 300.0),
        )?;
        let largest = set.value(
            "max-answer",
            args.place.max_answer.as_deref(),
            "32MiB",
            |text| {
                let size = units::size(text).map_err(|error| error.to_string())?;
                usize::try_from(size).map_err(|error| error.to_string())
            },
        )?;
        let metrics = metrics(&args.metrics, set)?;
        let kubernetes = kubernetes(&args.kubernetes, set, variables)?;
        let access = access(&args.access, set, variables, redactor)?;
        if access.client.tls.insecure {
            warnings.push(
                "certificates are not verified (--insecure): anyone in between can answer"
                    .to_owned(),
            );
        }
        if let Some(Kind::Scrape(_)) = kind
            && matches!(access.identity, Identity::Aws(_))
        {
            return Err(ConfigError::new(
                "--sigv4-region is for Prometheus: a pod does not check signatures",
            )
            .hint("leave it out, or name --prometheus"));
        }
        Ok(Self {
            kind,
            kubernetes,
            metrics,
            access,
            limits: Limits {
                total: timeout,
                connect: timeout,
                body: largest,
            },
            warnings,
        })
    }

    /// Every address that is asked, for people: without credentials.
    #[must_use]
    pub fn targets(&self) -> Vec<Url> {
        match &self.kind {
            None => Vec::new(),
            Some(Kind::Prometheus(prometheus)) => vec![prometheus.url.clone()],
            Some(Kind::Scrape(scrape)) => {
                let urls = scrape.targets.iter().map(|target| target.url.clone());
                urls.collect()
            }
        }
    }

    /// Whether everything that is asked is on this machine. A cluster never is.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let local = |url: &Url| match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let targets = self.targets();
        !targets.is_empty() && self.kubernetes.is_none() && targets.iter().all(local)
    }

    /// What the report names as its subject: the canary's selector or the first canary's page.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        match self.kind.as_ref()? {
            Kind::Prometheus(prometheus) => {
                let deployment = prometheus.canary.matchers().iter().find(|matcher| {
                    matcher.op == super::selector::Op::Is && matcher.label == "deployment"
                });
                Some(deployment.map_or_else(
                    || prometheus.canary.to_string(),
                    |matcher| matcher.value.clone(),
                ))
            }
            Kind::Scrape(scrape) => {
                let mut canaries = scrape
                    .targets
                    .iter()
                    .filter(|target| target.side == Side::Canary);
                canaries.next().map(|target| target.pod.clone())
            }
        }
    }
}

fn any(text: &str) -> Result<String, ConfigError> {
    Ok(text.to_owned())
}

fn seconds(least: f64, most: f64) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| {
        let time = units::duration(text).map_err(|error| error.to_string())?;
        if (least..=most).contains(&time.as_secs_f64()) {
            return Ok(time);
        }
        let shown = |seconds| units::show_duration(Duration::from_secs_f64(seconds));
        let (least, most) = (shown(least), shown(most));
        Err(format!("`{text}` does not lie between {least} and {most}"))
    }
}

fn kind(args: &PlaceArgs, set: &mut Settings<'_>) -> Result<Option<Kind>, ConfigError> {
    let typed_scrape = !args.scrape.is_empty();
    let url = set.optional("prometheus", args.prometheus.as_deref(), prometheus_url)?;
    let targets = set.list("scrape", &args.scrape, target)?;
    let canary = set.value(
        "canary-selector",
        args.canary_selector.as_deref(),
        CANARY,
        Selector::parse,
    )?;
    let stable = set.value(
        "stable-selector",
        args.stable_selector.as_deref(),
        STABLE,
        Selector::parse,
    )?;
    let baseline = set.optional(
        "baseline-selector",
        args.baseline_selector.as_deref(),
        Selector::parse,
    )?;
    let interval = set.optional(
        "scrape-interval",
        args.scrape_interval.as_deref(),
        seconds(0.05, 600.0),
    )?;
    let settle = set.optional("settle", args.settle.as_deref(), seconds(0.0, 600.0))?;
    // A place that was typed outweighs the other one of the file.
    let (url, targets) = match (url, targets) {
        (Some(_), targets) if !targets.is_empty() && typed_scrape && args.prometheus.is_none() => {
            (None, targets)
        }
        (Some(url), targets) if !targets.is_empty() && !typed_scrape => {
            if args.prometheus.is_none() {
                return Err(two_sources());
            }
            (Some(url), Vec::new())
        }
        (Some(_), targets) if !targets.is_empty() => return Err(two_sources()),
        other => other,
    };
    if let Some(url) = url {
        let compared = baseline.clone().unwrap_or(stable);
        if compared == canary {
            return Err(ConfigError::new(format!(
                "canary and stable have the same selector, `{canary}`: each would be compared with itself"
            ))
            .hint("name the labels that tell them apart with --canary-selector and --stable-selector"));
        }
        return Ok(Some(Kind::Prometheus(PrometheusConfig {
            url,
            canary,
            stable: compared,
            baseline: baseline.is_some(),
            scrape_interval: interval,
            settle,
        })));
    }
    if targets.is_empty() {
        return Ok(None);
    }
    check_targets(&targets)?;
    Ok(Some(Kind::Scrape(ScrapeConfig {
        targets,
        interval: interval.unwrap_or(Duration::from_secs(15)),
    })))
}

fn two_sources() -> ConfigError {
    ConfigError::new("both --prometheus and --scrape are named: the counters come from one place")
        .hint("leave one of them out")
}

fn check_targets(targets: &[Target]) -> Result<(), ConfigError> {
    for side in [Side::Canary, Side::Stable] {
        if !targets.iter().any(|target| target.side == side) {
            let side = side.as_str();
            return Err(
                ConfigError::new(format!("no pod of {side} is named")).hint(format!(
                    "add --scrape {side}=URL: the two versions are compared"
                )),
            );
        }
    }
    let twice = |same: &dyn Fn(&Target, &Target) -> bool| {
        let mut pairs = targets.iter().enumerate();
        pairs.find(|(index, one)| targets[..*index].iter().any(|other| same(one, other)))
    };
    if let Some((_, target)) = twice(&|a, b| a.url == b.url) {
        return Err(ConfigError::new(format!(
            "`{}` is named twice: its requests would count twice",
            target.url
        ))
        .hint("name each pod once"));
    }
    if let Some((_, target)) = twice(&|a, b| a.pod == b.pod) {
        return Err(
            ConfigError::new(format!("two pods are called `{}`", target.pod))
                .hint("write --scrape canary:NAME=URL to give each its own name"),
        );
    }
    Ok(())
}

/// A URL without credentials, of a kind that is spoken here. What was typed is not repeated: it may hold
/// a password.
fn web_address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("no web address: write http:// or https:// in front".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "a password does not belong in a URL: use --basic-user with --basic-password-env"
                .to_owned(),
        );
    }
    Ok(url)
}

fn prometheus_url(text: &str) -> Result<Url, String> {
    let mut url = web_address(text)?;
    url.set_fragment(None);
    if url.query().is_some() {
        return Err("a query does not belong in Prometheus' address".to_owned());
    }
    let path = url.path().trim_end_matches('/');
    // Pasted from a query that worked.
    let path = path.strip_suffix("/api/v1/query").unwrap_or(path);
    let path = format!("{}/", path.strip_suffix("/api/v1").unwrap_or(path));
    url.set_path(&path);
    Ok(url)
}

fn target(text: &str) -> Result<Target, String> {
    let form = "write canary=URL or stable=URL, such as canary=http://10.0.0.7:8000/metrics";
    let (left, url) = text
        .split_once('=')
        .filter(|(left, _)| !left.contains('/'))
        .ok_or_else(|| format!("no side is named: {form}"))?;
    let (side, name) = match left.split_once(':') {
        Some((side, name)) => (side, Some(name)),
        None => (left, None),
    };
    let side = match side.trim() {
        "canary" => Side::Canary,
        "stable" => Side::Stable,
        other => return Err(format!("`{other}` is no side: {form}")),
    };
    let mut url = web_address(url.trim())?;
    url.set_fragment(None);
    if url.path() == "/" {
        url.set_path("/metrics");
    }
    let pod = match name.map(str::trim) {
        Some("") => return Err(format!("the pod's name is empty: {form}")),
        Some(name) => name.to_owned(),
        None => {
            let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
            let path = url.path().trim_end_matches("/metrics");
            format!("{host}{path}")
        }
    };
    Ok(Target { pod, side, url })
}

fn metrics(args: &MetricArgs, set: &mut Settings<'_>) -> Result<MetricConfig, ConfigError> {
    let name = |text: &str| match text.trim() {
        "" => Err("the name is empty"),
        name => Ok(name.to_owned()),
    };
    Ok(MetricConfig {
        requests: set.optional("requests-metric", args.requests_metric.as_deref(), name)?,
        duration: set.optional("duration-metric", args.duration_metric.as_deref(), |text| {
            let name = name(text)?;
            Ok::<_, &str>(name.strip_suffix("_bucket").unwrap_or(&name).to_owned())
        })?,
        status_label: set.optional("status-label", args.status_label.as_deref(), name)?,
        pod_label: set.optional("pod-label", args.pod_label.as_deref(), name)?,
    })
}

fn kubernetes(
    args: &KubernetesArgs,
    set: &mut Settings<'_>,
    variables: &BTreeMap<String, String>,
) -> Result<Option<KubernetesConfig>, ConfigError> {
    let wanted = set.switch("kubernetes", args.kubernetes)?;
    let typed = set.path("kubeconfig", args.kubeconfig.as_deref())?;
    let context = set.optional("kube-context", args.kube_context.as_deref(), any)?;
    let namespace = set.optional("namespace", args.namespace.as_deref(), any)?;
    let selector = set.optional("pod-selector", args.pod_selector.as_deref(), any)?;
    if !wanted {
        return Ok(None);
    }
    let set_to = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    let files = match (&typed, set_to("KUBECONFIG")) {
        (Some(file), _) => vec![file.clone()],
        (None, Some(list)) => std::env::split_paths(list).collect(),
        (None, None) => {
            let home = set_to("HOME").map(|home| Path::new(home).join(".kube/config"));
            let found = home.filter(|file| file.is_file());
            found.into_iter().collect()
        }
    };
    for file in files.iter().filter(|_| typed.is_some()) {
        if !file.is_file() {
            return Err(
                ConfigError::new(format!("there is no kubeconfig `{}`", file.display()))
                    .hint("name the file that kubectl uses: kubectl config view"),
            );
        }
    }
    let port = set_to("KUBERNETES_SERVICE_PORT").map_or("443", String::as_str);
    let in_cluster = set_to("KUBERNETES_SERVICE_HOST").map(|host| (host.clone(), port.to_owned()));
    if files.is_empty() && in_cluster.is_none() {
        return Err(ConfigError::new(
            "--kubernetes finds no cluster: no kubeconfig, and this is no pod",
        )
        .hint("name one with --kubeconfig or KUBECONFIG, or leave --kubernetes out"));
    }
    Ok(Some(KubernetesConfig {
        files,
        service_account: PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount"),
        context,
        namespace,
        selector,
        in_cluster,
    }))
}

fn access(
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
