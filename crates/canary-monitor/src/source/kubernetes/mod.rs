//! What the cluster tells of the pods that another source counts: CPU and memory, limits, starts, kills.
//!
//! Read only, two lists at each look: the pods of the core API, and their usage of `metrics.k8s.io/v1beta1`.
//! `deploy/canary-monitor-rbac.yaml` has the rights that this takes.

pub mod answer;
mod connect;
pub mod kubeconfig;
pub mod quantity;

use std::collections::{BTreeMap, BTreeSet};

use gs_common::config::ConfigError;
use gs_common::report::Check;
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use url::Url;

use self::answer::{PodFacts, PodUsage, read_pods, read_usage};
use super::config::SourceConfig;
use super::diagnosis::{self as of, bad, good, seen, unreachable};
use super::fetch::{Fetched, Fetcher, Refused};
use super::kills::Kills;
use super::{Look, Plan, SourceError};
use crate::observations::PodSample;

const ACCEPT: &str = "application/json";

/// Usage that is older says nothing of now, in seconds.
const FRESH_SECONDS: f64 = 180.0;

/// Pods in one page of a list, and most pages.
const IN_A_PAGE: &str = "500";
const MOST_PAGES: usize = 20;

/// A cluster, beside another source.
#[derive(Debug)]
pub(super) struct Cluster {
    fetcher: Fetcher,
    base: Url,
    namespace: String,
    selector: Option<String>,
    context: String,
    /// Hosts of pods that are read one by one, by the pods' names.
    hosts: BTreeMap<String, String>,
    pods: BTreeMap<String, Remembered>,
    /// Certificates and keys that came inside of a kubeconfig, for as long as they are needed.
    _files: Vec<connect::Unpacked>,
}

/// What is remembered of a pod.
#[derive(Debug, Default)]
struct Remembered {
    kills: Kills,
    /// When its usage was measured last, and the CPU time since it was first seen: the API tells a mean
    /// over a stretch, observations hold a counter.
    measured: Option<(Timestamp, f64)>,
}

/// What the API told at one moment.
#[derive(Debug, Default)]
struct Told {
    pods: Vec<PodFacts>,
    usage: Vec<PodUsage>,
    lost: Vec<String>,
}

impl Cluster {
    /// The cluster that is configured, where one is.
    pub(super) fn open(config: &SourceConfig) -> Result<Option<Self>, ConfigError> {
        let Some(wanted) = &config.kubernetes else {
            return Ok(None);
        };
        let way = connect::way(wanted, &config.access)?;
        let hosts = match &config.kind {
            Some(super::config::Kind::Scrape(scrape)) => scrape
                .targets
                .iter()
                .filter_map(|target| {
                    let host = target.url.host_str()?.trim_matches(['[', ']']);
                    Some((target.pod.clone(), host.to_owned()))
                })
                .collect(),
            _ => BTreeMap::new(),
        };
        Ok(Some(Self {
            fetcher: Fetcher::new("the Kubernetes API", &way.access, config.limits),
            base: way.server,
            namespace: way.namespace,
            selector: wanted.selector.clone(),
            context: way.context,
            hosts,
            pods: BTreeMap::new(),
            _files: way.files,
        }))
    }

    fn url(&self, group: &str, next: Option<&str>) -> Result<Url, SourceError> {
        let mut url = self
            .base
            .join(&format!("{group}/namespaces/{}/pods", self.namespace))
            .map_err(|error| SourceError {
                what: format!(
                    "the namespace `{}` makes no address: {error}",
                    self.namespace
                ),
                hint: Some("check --namespace".to_owned()),
            })?;
        {
            let mut query = url.query_pairs_mut();
            if let Some(selector) = &self.selector {
                query.append_pair("labelSelector", selector);
            }
            if group == "api/v1" {
                query.append_pair("limit", IN_A_PAGE);
            }
            if let Some(next) = next {
                query.append_pair("continue", next);
            }
        }
        if url.query().is_some_and(str::is_empty) {
            url.set_query(None);
        }
        Ok(url)
    }

    /// Asked once more where the answer is none: the addresses, for people.
    pub(super) fn queries(&self) -> Vec<String> {
        let urls = [self.url("api/v1", None), self.url(USAGE, None)];
        urls.into_iter()
            .flatten()
            .map(|url| format!("GET {url}"))
            .collect()
    }

    async fn facts(&self) -> Result<Vec<PodFacts>, SourceError> {
        let mut pods = Vec::new();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let url = self.url("api/v1", next.as_deref())?;
            let fetched = self.get(&url, "list pods").await?;
            let page = read_pods(&fetched.body)
                .map_err(|_| self.fetcher.wrong_kind(&url, &fetched, "a list of pods"))?;
            pods.extend(page.pods);
            next = page.next;
            if next.is_none() {
                return Ok(pods);
            }
        }
        Err(SourceError {
            what: format!("namespace `{}` has more pods than are read", self.namespace),
            hint: Some("narrow them with --pod-selector".to_owned()),
        })
    }

    async fn usage(&self) -> Result<Vec<PodUsage>, SourceError> {
        let url = self.url(USAGE, None)?;
        let fetched = self.get(&url, "list pods.metrics.k8s.io").await?;
        read_usage(&fetched.body).map_err(|_| {
            let wanted = "a list of what pods use";
            self.fetcher.wrong_kind(&url, &fetched, wanted)
        })
    }

    async fn get(&self, url: &Url, right: &str) -> Result<Fetched, SourceError> {
        self.fetcher
            .get(url, ACCEPT)
            .await
            .map_err(|refused| self.explained(refused, right))
    }

    /// The same error with what to do in a cluster.
    fn explained(&self, Refused { mut error, status }: Refused, right: &str) -> SourceError {
        let namespace = &self.namespace;
        let hint = match status {
            Some(401) => format!(
                "has the token of context `{}` expired? kubectl create token canary-monitor -n {namespace}",
                self.context
            ),
            Some(403) => format!(
                "it lacks the right to {right} in namespace `{namespace}`: kubectl apply -n {namespace} -f deploy/canary-monitor-rbac.yaml"
            ),
            Some(404 | 503) if right.contains("metrics") => {
                "is metrics-server installed and ready? kubectl get apiservice v1beta1.metrics.k8s.io"
                    .to_owned()
            }
            _ => return error,
        };
        error.hint = Some(hint);
        error
    }

    async fn ask(&self) -> Told {
        let (facts, usage) = tokio::join!(self.facts(), self.usage());
        let mut told = Told::default();
        let mut lose = |error: SourceError| told.lost.push(error.what);
        let pods = facts.map_err(&mut lose).unwrap_or_default();
        let usage = usage.map_err(&mut lose).unwrap_or_default();
        told.pods = pods;
        told.usage = usage;
        told
    }

    /// Adds to a look what the cluster tells of its pods.
    pub(super) async fn enrich(&mut self, look: &mut Look, plan: &Plan, now: Timestamp) {
        let Some(scrape) = &mut look.scrape else {
            return;
        };
        let told = self.ask().await;
        look.lost.extend(told.lost.iter().cloned());
        let mut old = BTreeSet::new();
        for sample in &mut scrape.pods {
            // One origin for the whole run: the process' own numbers are others.
            sample.cpu_seconds = None;
            sample.memory_bytes = None;
            let facts = self.facts_of(sample, &told);
            let name = facts.map_or(sample.pod.as_str(), |facts| facts.name.as_str());
            let usage = told.usage.iter().find(|usage| usage.name == name);
            let remembered = self.pods.entry(sample.pod.clone()).or_default();
            if let Some(facts) = facts {
                remembered.facts(facts, sample, plan);
            }
            if let Some(usage) = usage.filter(|_| sample.up) {
                let age = now.duration_since(usage.at).as_secs_f64();
                if age.abs() > FRESH_SECONDS {
                    old.insert(usage.name.clone());
                } else {
                    remembered.usage(usage, sample);
                }
            }
        }
        if let Some(pod) = old.first() {
            look.lost.push(format!(
                "what {} pods use was measured too long ago, that of {pod} among them",
                old.len()
            ));
        }
    }

    fn facts_of<'a>(&self, sample: &PodSample, told: &'a Told) -> Option<&'a PodFacts> {
        let host = self.hosts.get(&sample.pod);
        let named = told.pods.iter().find(|pod| pod.name == sample.pod);
        named.or_else(|| {
            let mut pods = told.pods.iter();
            pods.find(|pod| host.is_some() && pod.address.as_ref() == host)
        })
    }

    /// Whether the cluster knows these pods, and may be asked.
    pub(super) async fn doctor(&self, names: &[String]) -> Vec<Check> {
        let shown = gs_common::redact::redact_url(&self.base);
        let mut checks = Vec::new();
        let titles = [
            "the cluster tells limits and restarts",
            "the cluster tells CPU and memory",
        ];
        match self.facts().await {
            Err(error) => checks.push(refused("kubernetes-pods", titles[0], &shown, &error)),
            Ok(pods) => {
                checks.push(seen(
                    good("kubernetes-pods", titles[0], &shown),
                    pods.len(),
                    "pods",
                ));
                checks.push(self.known(names, &pods));
            }
        }
        match self.usage().await {
            Err(error) => checks.push(refused("kubernetes-usage", titles[1], &shown, &error)),
            Ok(usage) if usage.is_empty() => checks.push(bad(
                "kubernetes-usage",
                titles[1],
                &shown,
                Verdict::Warn,
                of::NO_RESOURCES,
                format!("no pod in namespace `{}` has any", self.namespace),
            )),
            Ok(usage) => {
                checks.push(seen(
                    good("kubernetes-usage", titles[1], &shown),
                    usage.len(),
                    "pods",
                ));
            }
        }
        checks
    }

    fn known(&self, names: &[String], pods: &[PodFacts]) -> Check {
        const ID: &str = "kubernetes-known";
        let title = format!("the pods are in namespace `{}`", self.namespace);
        let told = Told {
            pods: pods.to_vec(),
            ..Told::default()
        };
        let strange: Vec<&str> = names
            .iter()
            .filter(|name| {
                let sample = PodSample::down(name, crate::observations::Side::Canary);
                self.facts_of(&sample, &told).is_none()
            })
            .map(String::as_str)
            .collect();
        if strange.is_empty() {
            return good(ID, title, "");
        }
        let message = format!(
            "the cluster does not know {}: check --namespace, or name the pods (--scrape canary:NAME=URL)",
            strange.join(", ")
        );
        bad(ID, title, "", Verdict::Warn, of::NO_RESOURCES, message)
    }
}

const USAGE: &str = "apis/metrics.k8s.io/v1beta1";

fn refused(id: &str, title: &str, shown: &str, error: &SourceError) -> Check {
    let mut check = unreachable(id, title, shown, error);
    // A right that is missing is an answer.
    if error.what.contains("(403)") || error.what.contains("(401)") {
        check.verdict = Verdict::Fail;
        check.reason = Some(of::RIGHTS.to_owned());
    }
    check
}

impl Remembered {
    fn facts(&mut self, facts: &PodFacts, sample: &mut PodSample, plan: &Plan) {
        sample.memory_limit_bytes = facts.memory_limit_bytes;
        sample.cpu_limit_cores = facts.cpu_limit_cores;
        if sample.up && sample.started_at_seconds.is_none() {
            sample.started_at_seconds = facts.started.map(|at| plan.seconds_at(at));
        }
        let restarts = facts.restarts.iter();
        let restarts = restarts.map(|(name, count, killed)| (name.as_str(), *count, *killed));
        sample.oom_kills = self.kills.take(restarts);
    }

    fn usage(&mut self, usage: &PodUsage, sample: &mut PodSample) {
        let (at, counted) = self.measured.unwrap_or((usage.at, 0.0));
        let passed = usage.at.duration_since(at).as_secs_f64();
        let new = self.measured.is_none() || passed > 0.0;
        let counted = match usage.cpu_cores {
            Some(cores) if new => counted + cores * passed,
            _ => counted,
        };
        if new {
            self.measured = Some((usage.at, counted));
            // The same measurement again would look like memory that stands still.
            sample.memory_bytes = usage.memory_bytes;
        }
        sample.cpu_seconds = usage.cpu_cores.map(|_| counted);
    }
}
