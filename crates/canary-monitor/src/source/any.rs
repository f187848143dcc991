//! The one source of a run: counters from Prometheus or from the pods themselves.

use gs_common::config::ConfigError;
use gs_common::report::Check;
use jiff::Timestamp;

use super::config::{Kind, SourceConfig};
use super::prometheus::PrometheusSource;
use super::scrape::ScrapeSource;
use super::{Look, Plan, Prepared, Source, SourceError};

/// Any source that can be configured.
#[derive(Debug)]
pub struct AnySource {
    counters: Counters,
}

#[derive(Debug)]
enum Counters {
    Prometheus(Box<PrometheusSource>),
    Scrape(Box<ScrapeSource>),
}

/// Makes the source that is configured. Asks nothing yet.
///
/// # Errors
/// No source is named.
pub fn open(config: &SourceConfig) -> Result<AnySource, ConfigError> {
    let counters = match &config.kind {
        None => {
            return Err(ConfigError::new("no source: where are the counters of the pods?").hint(
                "name --prometheus URL, or each pod's page: --scrape canary=URL --scrape stable=URL",
            ));
        }
        Some(Kind::Prometheus(_)) => Counters::Prometheus(Box::new(PrometheusSource {})),
        Some(Kind::Scrape(_)) => Counters::Scrape(Box::new(ScrapeSource {})),
    };
    Ok(AnySource { counters })
}

impl Source for AnySource {
    async fn prepare(&mut self, plan: &Plan) -> Result<Prepared, SourceError> {
        match &mut self.counters {
            Counters::Prometheus(source) => source.prepare(plan).await,
            Counters::Scrape(source) => source.prepare(plan).await,
        }
    }

    async fn look(&mut self, plan: &Plan, now: Timestamp) -> Result<Look, SourceError> {
        match &mut self.counters {
            Counters::Prometheus(source) => source.look(plan, now).await,
            Counters::Scrape(source) => source.look(plan, now).await,
        }
    }

    async fn past(
        &mut self,
        plan: &Plan,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Vec<Look>>, SourceError> {
        match &mut self.counters {
            Counters::Prometheus(source) => source.past(plan, from, to).await,
            Counters::Scrape(source) => source.past(plan, from, to).await,
        }
    }

    async fn doctor(&mut self, plan: &Plan, now: Timestamp) -> Vec<Check> {
        match &mut self.counters {
            Counters::Prometheus(source) => source.doctor(plan, now).await,
            Counters::Scrape(source) => source.doctor(plan, now).await,
        }
    }
}
