//! The one source of a run: counters from Prometheus or from the pods themselves.

use gs_common::config::ConfigError;
use gs_common::report::Check;
use jiff::Timestamp;

use super::config::{Kind, SourceConfig};
use super::kubernetes::Cluster;
use super::prometheus::PrometheusSource;
use super::scrape::ScrapeSource;
use super::{Look, Plan, Prepared, Source, SourceError};

/// Any source that can be configured.
#[derive(Debug)]
pub struct AnySource {
    counters: Counters,
    cluster: Option<Cluster>,
}

#[derive(Debug)]
enum Counters {
    Prometheus(Box<PrometheusSource>),
    Scrape(Box<ScrapeSource>),
}

/// Makes the source that is configured. Asks nothing yet.
///
/// # Errors
/// No source is named, or a kubeconfig is of no use.
pub fn open(config: &SourceConfig) -> Result<AnySource, ConfigError> {
    let counters = match &config.kind {
        None => {
            return Err(ConfigError::new("no source: where are the counters of the pods?").hint(
                "name --prometheus URL, or each pod's page: --scrape canary=URL --scrape stable=URL",
            ));
        }
        Some(Kind::Prometheus(prometheus)) => {
            Counters::Prometheus(Box::new(PrometheusSource::new(prometheus, config)))
        }
        Some(Kind::Scrape(scrape)) => Counters::Scrape(Box::new(ScrapeSource::new(scrape, config))),
    };
    Ok(AnySource {
        counters,
        cluster: Cluster::open(config)?,
    })
}

impl Source for AnySource {
    async fn prepare(&mut self, plan: &Plan) -> Result<Prepared, SourceError> {
        let mut prepared = match &mut self.counters {
            Counters::Prometheus(source) => source.prepare(plan).await,
            Counters::Scrape(source) => source.prepare(plan).await,
        }?;
        if let Some(cluster) = &self.cluster {
            prepared.queries.extend(cluster.queries());
            let checks = cluster.doctor(&[]).await;
            let wrong = checks.into_iter().filter_map(|check| check.message);
            prepared.warnings.extend(wrong);
        }
        Ok(prepared)
    }

    async fn look(&mut self, plan: &Plan, now: Timestamp) -> Result<Look, SourceError> {
        let mut look = match &mut self.counters {
            Counters::Prometheus(source) => source.look(plan, now).await,
            Counters::Scrape(source) => source.look(plan, now).await,
        }?;
        if let Some(cluster) = &mut self.cluster {
            cluster.enrich(&mut look, plan, now).await;
        }
        Ok(look)
    }

    async fn past(
        &mut self,
        plan: &Plan,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Vec<Look>>, SourceError> {
        let mut past = match &mut self.counters {
            Counters::Prometheus(source) => source.past(plan, from, to).await,
            Counters::Scrape(source) => source.past(plan, from, to).await,
        }?;
        if self.cluster.is_some() {
            // The cluster remembers nothing, and what others tell of CPU and memory is counted otherwise.
            let scrapes = past.iter_mut().flatten();
            let pods = scrapes.filter_map(|look| look.scrape.as_mut());
            for pod in pods.flat_map(|scrape| &mut scrape.pods) {
                pod.cpu_seconds = None;
                pod.memory_bytes = None;
            }
        }
        Ok(past)
    }

    async fn doctor(&mut self, plan: &Plan, now: Timestamp) -> Vec<Check> {
        let mut checks = match &mut self.counters {
            Counters::Prometheus(source) => source.doctor(plan, now).await,
            Counters::Scrape(source) => source.doctor(plan, now).await,
        };
        if let Some(cluster) = &self.cluster {
            let names = match &self.counters {
                Counters::Prometheus(source) => source.pod_names(plan, now).await,
                Counters::Scrape(source) => source.pod_names(),
            };
            checks.extend(cluster.doctor(&names).await);
        }
        checks
    }
}
