//! The metrics pages of the pods themselves, read without a Prometheus in between.

mod doctor;

pub(super) use doctor::traffic_check;

use std::sync::Arc;
use std::time::Duration;

use gs_common::report::Check;
use jiff::Timestamp;
use tokio::task::JoinSet;

use super::config::{MetricConfig, ScrapeConfig, SourceConfig, Target};
use super::counters::{Reading, Track, common_edges, edges};
use super::exposition::{self, Page};
use super::fetch::{Fetched, Fetcher, skew};
use super::names::{CPU, DURATIONS, MEMORY, Names, REQUESTS, START};
use super::notes::Notes;
use super::{Look, Plan, Prepared, Source, SourceError};
use crate::observations::{Header, PodSample, SCHEMA, Scrape};

/// What a page is asked for as; without it many servers answer in Prometheus' text format.
const ACCEPT: &str =
    "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.8,*/*;q=0.1";

/// So many pages are read at the same time.
const AT_ONCE: usize = 64;

/// Clocks that differ by less are the same, in seconds.
const SAME_CLOCK_SECONDS: f64 = 5.0;

/// Pods that are read one by one.
#[derive(Debug)]
pub(super) struct ScrapeSource {
    config: ScrapeConfig,
    metrics: MetricConfig,
    fetcher: Arc<Fetcher>,
    pods: Vec<Pod>,
    /// The edges that all pods have, once they are known.
    edges: Vec<f64>,
    last_at: Option<f64>,
}

/// What is remembered of a pod.
#[derive(Debug, Default)]
struct Pod {
    names: Option<Names>,
    /// The counter was seen: from then on its name stands.
    counted: bool,
    track: Track,
    /// By how many seconds its clock is ahead; frozen, so that start times do not tremble with it.
    ahead_seconds: Option<f64>,
    /// The newest time that its samples had, where they have any.
    last_sample: Option<f64>,
}

/// A page of a pod, or why there is none.
type Got = Result<Read, SourceError>;

#[derive(Debug)]
struct Read {
    page: Page,
    open_metrics: bool,
    ahead_seconds: Option<f64>,
}

impl Read {
    fn has(&self, name: &str) -> bool {
        self.page.samples.iter().any(|sample| sample.name == name) || self.declares(name)
    }

    /// Whether a family of this sample's name is declared, with or without samples.
    fn declares(&self, name: &str) -> bool {
        let families = [
            Some(name),
            name.strip_suffix("_bucket"),
            name.strip_suffix("_total").filter(|_| self.open_metrics),
        ];
        families
            .into_iter()
            .flatten()
            .any(|family| match self.page.kinds.get(family) {
                Some(kind) if name.ends_with("_bucket") => kind == "histogram",
                Some(kind) => kind == "counter",
                None => false,
            })
    }

    fn value(&self, name: &str) -> Option<f64> {
        let mut found = self
            .page
            .samples
            .iter()
            .filter(|sample| sample.name == name);
        let value = found.next().map(|sample| sample.value);
        // Two of them are of two processes.
        value.filter(|value| value.is_finite() && *value >= 0.0 && found.next().is_none())
    }
}

impl ScrapeSource {
    pub(super) fn new(config: &ScrapeConfig, all: &SourceConfig) -> Self {
        let pods = config.targets.iter().map(|_| Pod::default()).collect();
        Self {
            config: config.clone(),
            metrics: all.metrics.clone(),
            fetcher: Arc::new(Fetcher::new("the pod", &all.access, all.limits)),
            pods,
            edges: Vec::new(),
            last_at: None,
        }
    }

    /// The names of the pods.
    pub(super) fn pod_names(&self) -> Vec<String> {
        let targets = self.config.targets.iter();
        targets.map(|target| target.pod.clone()).collect()
    }

    /// Reads all pages, each within `most`, in the order of the targets.
    async fn pages(&self, most: Duration) -> Vec<Got> {
        let wanted: Arc<Vec<String>> = Arc::new(self.wanted());
        let mut reading = JoinSet::new();
        let mut got: Vec<Option<Got>> = self.config.targets.iter().map(|_| None).collect();
        let mut take = |done: Option<Result<(usize, Got), tokio::task::JoinError>>| match done {
            Some(Ok((index, page))) => {
                if let Some(place) = got.get_mut(index) {
                    *place = Some(page);
                }
                true
            }
            Some(Err(_)) => true,
            None => false,
        };
        for (index, target) in self.config.targets.iter().enumerate() {
            if reading.len() == AT_ONCE {
                take(reading.join_next().await);
            }
            let (fetcher, wanted) = (Arc::clone(&self.fetcher), Arc::clone(&wanted));
            let url = target.url.clone();
            reading.spawn(async move {
                let fetched = fetcher.within(most).get(&url, ACCEPT).await;
                let page = match fetched {
                    Ok(fetched) => read(&fetcher, &url, &fetched, &wanted),
                    Err(refused) => Err(refused.error),
                };
                (index, page)
            });
        }
        while take(reading.join_next().await) {}
        let missing = || SourceError {
            what: "the pod was not asked".to_owned(),
            hint: None,
        };
        got.into_iter()
            .map(|page| page.unwrap_or_else(|| Err(missing())))
            .collect()
    }

    /// All names that may matter.
    fn wanted(&self) -> Vec<String> {
        let mut wanted: Vec<String> = [START, CPU, MEMORY].map(str::to_owned).to_vec();
        let requests = self
            .metrics
            .requests
            .clone()
            .map_or_else(|| REQUESTS.map(str::to_owned).to_vec(), |name| vec![name]);
        wanted.extend(requests);
        let durations = self
            .metrics
            .duration
            .clone()
            .map_or_else(|| DURATIONS.map(str::to_owned).to_vec(), |name| vec![name]);
        for name in durations {
            wanted.extend([format!("{name}_bucket"), format!("{name}_count")]);
        }
        wanted
    }

    /// Chooses the names of pods that have none yet.
    fn choose(&mut self, got: &[Got], notes: &mut Notes) {
        for ((pod, target), got) in self.pods.iter_mut().zip(&self.config.targets).zip(got) {
            if let (false, Ok(read)) = (pod.counted, got) {
                let (names, warnings) = Names::choose(&self.metrics, &|name| read.has(name));
                for warning in warnings {
                    notes.add(target.side, &target.pod, warning);
                }
                // A name that was configured is no proof that it is there.
                pod.names =
                    names.filter(|names| read.has(&names.requests) || read.has(&names.bucket()));
                pod.counted = pod
                    .names
                    .as_ref()
                    .is_some_and(|names| read.has(&names.requests));
            }
        }
    }

    fn sample(
        &mut self,
        index: usize,
        got: &Got,
        plan: &Plan,
        notes: &mut Notes,
    ) -> Option<PodSample> {
        let (target, pod) = (self.config.targets.get(index)?, self.pods.get_mut(index)?);
        let Target {
            pod: name, side, ..
        } = target;
        let read = match got {
            Ok(read) => read,
            Err(error) => {
                notes.add(*side, name, error.what.clone());
                pod.track.away();
                return Some(PodSample::down(name, *side));
            }
        };
        let mut sample = PodSample {
            up: true,
            cpu_seconds: read.value(CPU),
            memory_bytes: read.value(MEMORY),
            ..PodSample::down(name, *side)
        };
        let started = pod.started(read);
        sample.started_at_seconds = started.and_then(|unix| {
            let at = Timestamp::from_microsecond((unix * 1e6) as i64).ok()?;
            Some(plan.seconds_at(at))
        });
        let Some(names) = &pod.names else {
            let wanted = self
                .metrics
                .requests
                .clone()
                .unwrap_or_else(|| REQUESTS.join(" or "));
            notes.add(
                *side,
                name,
                format!("its page has no counter of requests: {wanted}"),
            );
            return Some(sample);
        };
        let mut said = Vec::new();
        let reading = pod_reading(read, names, started, &mut pod.last_sample, &mut said);
        let sums = pod
            .track
            .take(&reading, names, &self.metrics, &self.edges, &mut said);
        if let Some(other) = renamed(read, names) {
            said.push(format!(
                "{} is gone from its page, and {other} is there instead: it was renamed",
                names.requests
            ));
        }
        for what in said {
            notes.add(*side, name, what);
        }
        sample.requests = sums.requests;
        sample.errors = sums.errors;
        sample.timed = sums.timed.filter(|timed| Some(*timed) != sums.requests);
        sample.le = sums.le.filter(|_| !self.edges.is_empty());
        Some(sample)
    }
}

impl Pod {
    /// When its process started, in Unix seconds of this machine's clock.
    fn started(&mut self, read: &Read) -> Option<f64> {
        let ahead = *self
            .ahead_seconds
            .get_or_insert(read.ahead_seconds.unwrap_or(0.0));
        let started = read.value(START).filter(|unix| *unix > 0.0)?;
        Some(if ahead.abs() < SAME_CLOCK_SECONDS {
            started
        } else {
            started - ahead
        })
    }
}

fn read(
    fetcher: &Fetcher,
    url: &url::Url,
    fetched: &Fetched,
    wanted: &[String],
) -> Result<Read, SourceError> {
    let open_metrics = fetched
        .content_type
        .starts_with("application/openmetrics-text");
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let page = exposition::read(&fetched.body, open_metrics, &wanted);
    let html = fetched.content_type.starts_with("text/html")
        || fetched.body.trim_ascii_start().starts_with(b"<");
    if html || page.lines.samples == 0 {
        return Err(fetcher.wrong_kind(url, fetched, "a metrics page"));
    }
    if open_metrics && !page.ended {
        return Err(SourceError {
            what: format!("the page at {url} ends without `# EOF`: it was cut"),
            hint: Some("look at the pod's log, and at proxies on the way".to_owned()),
        });
    }
    Ok(Read {
        page,
        open_metrics,
        ahead_seconds: fetched.ahead_seconds,
    })
}

/// What a page says of the counters; what a rejected line may have said is not known.
fn pod_reading(
    read: &Read,
    names: &Names,
    started: Option<f64>,
    last_sample: &mut Option<f64>,
    said: &mut Vec<String>,
) -> Reading {
    let bucket = names.bucket();
    let count = format!("{}_count", names.duration);
    let mut reading = Reading {
        started,
        requests_declared: read.declares(&names.requests),
        buckets_declared: read.declares(&bucket),
        ..Reading::default()
    };
    let mut newest: Option<f64> = None;
    for sample in &read.page.samples {
        let into = if sample.name == names.requests {
            &mut reading.requests
        } else if sample.name == bucket {
            &mut reading.buckets
        } else if sample.name == count {
            &mut reading.counts
        } else {
            continue;
        };
        let mut labels = sample.labels.clone();
        labels.retain(|_, value| !value.is_empty());
        into.push((labels, sample.value));
        newest = newest
            .into_iter()
            .chain(sample.at)
            .reduce(f64::max)
            .or(newest);
    }
    for rejected in &read.page.rejected {
        let Some(name) = &rejected.needed else {
            continue;
        };
        said.push(format!(
            "line {} of its page is not read, and {name} stands in it: {}",
            rejected.line, rejected.why
        ));
        if *name == names.requests {
            reading.requests_broken = true;
        }
        if *name == bucket || *name == count {
            reading.buckets_broken = true;
        }
    }
    if let (Some(newest), Some(last)) = (newest, *last_sample)
        && newest <= last
    {
        said.push("its samples are not newer than those of the last look".to_owned());
        reading.requests_broken = true;
        reading.buckets_broken = true;
    }
    *last_sample = newest.or(*last_sample);
    reading
}

impl Source for ScrapeSource {
    async fn prepare(&mut self, plan: &Plan) -> Result<Prepared, SourceError> {
        let got = self
            .pages(self.config.interval.max(Duration::from_secs(1)))
            .await;
        let mut notes = Notes::default();
        self.choose(&got, &mut notes);
        let mut common: Option<Vec<f64>> = None;
        let mut differ = false;
        for (index, got) in got.iter().enumerate() {
            let target = &self.config.targets[index];
            let note = |notes: &mut Notes, what: String| notes.add(target.side, &target.pod, what);
            let read = match got {
                Ok(read) => read,
                Err(error) => {
                    note(&mut notes, error.what.clone());
                    continue;
                }
            };
            if let Some(ahead) = read.ahead_seconds
                && ahead.abs() >= SAME_CLOCK_SECONDS
            {
                note(
                    &mut notes,
                    format!(
                        "its clock is {} this machine's; its start time is corrected by that",
                        skew(ahead)
                    ),
                );
            }
            let Some(names) = &self.pods[index].names else {
                note(&mut notes, "its page has no counter of requests".to_owned());
                continue;
            };
            let reading = pod_reading(read, names, None, &mut None, &mut Vec::new());
            match edges(&reading) {
                Ok(Some(edges)) => {
                    common = Some(match common {
                        None => edges,
                        Some(before) => {
                            differ |= before != edges;
                            common_edges(&before, &edges)
                        }
                    });
                }
                Ok(None) if reading.buckets_declared => {}
                Ok(None) => note(
                    &mut notes,
                    format!("its page has no histogram {}", names.bucket()),
                ),
                Err(why) => note(&mut notes, format!("{}: {why}", names.duration)),
            }
        }
        if !self.pods.iter().any(|pod| pod.names.is_some()) {
            return Err(nothing(&got, &self.metrics));
        }
        self.edges = common.unwrap_or_default();
        let mut warnings = notes.sentences();
        if differ {
            warnings.push(
                "the pods' histograms have different edges: only those that all have are judged"
                    .to_owned(),
            );
        }
        Ok(Prepared {
            header: Header {
                schema: SCHEMA.to_owned(),
                edges_seconds: self.edges.clone(),
                scrape_interval_seconds: self.config.interval.as_secs_f64() * plan.time_scale,
                canary_weight: plan.canary_weight,
                duration_seconds: plan.duration_seconds,
            },
            queries: self
                .config
                .targets
                .iter()
                .map(|target| {
                    let (side, url) = (
                        target.side.as_str(),
                        gs_common::redact::redact_url(&target.url),
                    );
                    format!("{side} {}: GET {url}", target.pod)
                })
                .collect(),
            warnings,
        })
    }

    async fn look(&mut self, plan: &Plan, now: Timestamp) -> Result<Look, SourceError> {
        let at_seconds = plan.seconds_at(now);
        if self.last_at.is_some_and(|last| at_seconds <= last) {
            return Ok(Look {
                scrape: None,
                lost: Vec::new(),
            });
        }
        let got = self.pages(self.config.interval).await;
        let mut notes = Notes::default();
        self.choose(&got, &mut notes);
        let pods = (0..got.len())
            .filter_map(|index| self.sample(index, &got[index], plan, &mut notes))
            .collect();
        self.last_at = Some(at_seconds);
        Ok(Look {
            scrape: Some(Scrape { at_seconds, pods }),
            lost: notes.sentences(),
        })
    }

    async fn past(
        &mut self,
        _plan: &Plan,
        _from: Timestamp,
        _to: Timestamp,
    ) -> Result<Option<Vec<Look>>, SourceError> {
        Ok(None)
    }

    async fn doctor(&mut self, plan: &Plan, _now: Timestamp) -> Vec<Check> {
        let got = self
            .pages(self.config.interval.max(Duration::from_secs(1)))
            .await;
        self.choose(&got, &mut Notes::default());
        let again = self
            .pages(self.config.interval.max(Duration::from_secs(1)))
            .await;
        doctor::checks(self, &got, &again, plan)
    }
}

/// Another counter of requests on a page that lacks the one that was chosen.
fn renamed(read: &Read, names: &Names) -> Option<&'static str> {
    if read.has(&names.requests) {
        return None;
    }
    REQUESTS.into_iter().find(|name| read.has(name))
}

/// No pod tells its requests: the first reason.
fn nothing(got: &[Got], metrics: &MetricConfig) -> SourceError {
    let mut errors = got.iter().filter_map(|got| got.as_ref().err());
    match errors.next() {
        Some(error) if got.iter().all(Result::is_err) => error.clone(),
        _ => SourceError {
            what: format!(
                "no pod has a counter of requests: {}",
                metrics
                    .requests
                    .clone()
                    .unwrap_or_else(|| REQUESTS.join(" or "))
            ),
            hint: Some(
                "name it with --requests-metric; `canary-monitor doctor` shows what is there"
                    .to_owned(),
            ),
        },
    }
}
