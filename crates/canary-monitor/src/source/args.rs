//! What can be typed about where observations come from. Checked in [`super::config`].

use clap::Args;
use gs_common::way::{ProxyArgs, TlsArgs};

/// Where observations come from, and how to get there.
#[derive(Args, Clone, Debug, Default)]
pub struct SourceArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub place: PlaceArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub metrics: MetricArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub kubernetes: KubernetesArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub access: AccessArgs,
}

/// Where the counters are.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Source")]
pub struct PlaceArgs {
    /// Ask this Prometheus, or what answers its query API
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    /// Read this pod's metrics page; may be repeated, `canary=http://10.0.0.7:8000/metrics`
    ///
    /// SIDE is canary or stable. `canary:NAME=URL` gives the pod a name. A URL without a path means
    /// /metrics.
    #[arg(long, value_name = "SIDE=URL")]
    pub scrape: Vec<String>,
    /// Label matchers of the canary's series
    #[arg(long, value_name = "MATCHERS")]
    pub canary_selector: Option<String>,
    /// Label matchers of the stable version's series
    #[arg(long, value_name = "MATCHERS")]
    pub stable_selector: Option<String>,
    /// Compare with these pods instead of stable: the old version, started together with the canary
    #[arg(long, value_name = "MATCHERS")]
    pub baseline_selector: Option<String>,
    /// From one look to the next; Prometheus' own is found from its samples
    #[arg(long, value_name = "DURATION")]
    pub scrape_interval: Option<String>,
    /// Look at Prometheus so far in the past, so that slow scrapes have arrived
    #[arg(long, value_name = "DURATION")]
    pub settle: Option<String>,
    /// Limit of one request
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Largest answer that is read
    #[arg(long, value_name = "SIZE")]
    pub max_answer: Option<String>,
}

/// What the counters are called.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Metrics")]
pub struct MetricArgs {
    /// The counter of requests; without it http_requests_total, also with the prefix goldensignals_
    #[arg(long, value_name = "NAME")]
    pub requests_metric: Option<String>,
    /// The histogram of response times in seconds, without _bucket; found as the requests are
    #[arg(long, value_name = "NAME")]
    pub duration_metric: Option<String>,
    /// The label that holds the status of an answer; without it status, status_code or code
    #[arg(long, value_name = "LABEL")]
    pub status_label: Option<String>,
    /// The label that names a pod; without it pod, kubernetes_pod_name or instance
    #[arg(long, value_name = "LABEL")]
    pub pod_label: Option<String>,
}

/// CPU, memory, limits and restarts from the cluster.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Kubernetes")]
pub struct KubernetesArgs {
    /// Ask the Kubernetes API for CPU, memory, limits and restarts of the pods
    #[arg(long)]
    pub kubernetes: bool,
    /// This kubeconfig instead of KUBECONFIG, ~/.kube/config or the pod's own service account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<String>,
    /// The context in the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub kube_context: Option<String>,
    /// The namespace of the pods
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Only pods with these labels, such as app=goldensignals
    #[arg(long, value_name = "LABELS")]
    pub pod_selector: Option<String>,
}

/// Who we are to the source, and the way there.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Access to the source")]
pub struct AccessArgs {
    /// The environment variable that holds a bearer token
    #[arg(long, value_name = "VARIABLE")]
    pub bearer_env: Option<String>,
    /// A file that holds a bearer token; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub bearer_file: Option<String>,
    /// User for basic authentication
    #[arg(long, value_name = "NAME")]
    pub basic_user: Option<String>,
    /// The environment variable that holds the user's password
    #[arg(long, value_name = "VARIABLE")]
    pub basic_password_env: Option<String>,
    /// A file that holds the user's password; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub basic_password_file: Option<String>,
    /// A header whose value stands in an environment variable, and is a secret
    #[arg(long, value_name = "NAME=VARIABLE")]
    pub header_env: Vec<String>,
    /// Sign for this AWS region (Signature Version 4), with the credentials of the AWS_* variables
    #[arg(long, value_name = "REGION")]
    pub sigv4_region: Option<String>,
    /// The AWS service that is signed for: aps for Amazon's managed Prometheus
    #[arg(long, value_name = "NAME")]
    pub sigv4_service: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub tls: TlsArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc would become the help heading's text")]
    pub proxies: ProxyArgs,
    /// Connect to HOST2:PORT2 for what is addressed to HOST1:PORT1
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2")]
    pub connect_to: Vec<String>,
    /// Use this address for HOST:PORT instead of the resolver's
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    pub resolve: Vec<String>,
}
