//! What a Prometheus has of the pods, found out before the run: names, labels, edges, the scrape interval.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::answer::Series;
use super::ask::{MOST_SKEW_SECONDS, range, unix};
use super::containers::METRICS;
use super::pods::{Gathered, PodAt, pods_at};
use super::{PrometheusSource, SIDES};
use crate::observations::{Header, SCHEMA, Side};
use crate::source::counters::{common_edges, edges};
use crate::source::fetch::skew;
use crate::source::names::{CPU, DURATIONS, MEMORY, Names, REQUESTS, START};
use crate::source::notes::Notes;
use crate::source::{Plan, Prepared, SourceError};

/// So far back it is looked for samples.
const SEARCHED_SECONDS: f64 = 300.0;

/// Labels that may name a pod, in the order of their weight.
const POD_LABELS: [&str; 3] = ["pod", "kubernetes_pod_name", "instance"];

/// Skews below this need no word, in seconds.
const NOTED_SKEW_SECONDS: f64 = 2.0;

/// A canary younger than this beside stable pods older than the other one: caches differ.
const YOUNG_SECONDS: f64 = 600.0;
const OLD_SECONDS: f64 = 3600.0;

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub names: [Names; 2],
    pub pod_label: String,
    pub edges: Vec<f64>,
    /// Seconds of the wall clock from one scrape to the next.
    pub interval: f64,
    /// Where in the interval no pod is scraped, so that no scrape is now before and now after a look.
    pub phase: f64,
    /// A look lies so many seconds in the past.
    pub settle: f64,
    /// cAdvisor's or kube-state-metrics' series are there.
    pub containers: bool,
}

impl Setup {
    pub(super) fn names_of(&self, side: Side) -> &Names {
        &self.names[usize::from(side == Side::Stable)]
    }

    /// A sample that is older says nothing of now.
    pub(super) fn fresh(&self) -> f64 {
        1.5 * self.interval
    }

    /// The last moment for a look up to another one.
    pub(super) fn grid_before(&self, at: f64) -> f64 {
        self.phase + ((at - self.phase) / self.interval + 1e-9).floor() * self.interval
    }
}

/// Everything that was found out before the run.
#[derive(Debug)]
pub(super) struct AllFound {
    pub setup: Setup,
    pub prepared: Prepared,
    /// The names of the pods of both sides.
    pub pods: Vec<String>,
}

/// What the search brought of one side.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Samples of all names that may matter, of the last minutes.
    pub series: Vec<Series>,
    pub warnings: Vec<String>,
}

impl Seen {
    /// The newest sample of all, in Unix seconds.
    fn newest(&self) -> f64 {
        let last = self
            .series
            .iter()
            .filter_map(|series| series.samples.last());
        last.map(|(at, _)| *at).fold(f64::MIN, f64::max)
    }

    /// Whether a name is there, not only in the past.
    pub(super) fn has(&self, name: &str, fresh: f64) -> bool {
        let since = self.newest() - fresh;
        // The buckets themselves are many: where the count is, they are.
        let name = match name.strip_suffix("_bucket") {
            Some(histogram) => format!("{histogram}_count"),
            None => name.to_owned(),
        };
        let own = self.series.iter().filter(|series| series.name == name);
        own.filter_map(|series| series.samples.last())
            .any(|(at, _)| *at >= since)
    }
}

impl PrometheusSource {
    /// All names that may matter, without the many buckets.
    fn searched(&self) -> Vec<String> {
        let mut names: Vec<String> = ["up", START, CPU, MEMORY].map(str::to_owned).to_vec();
        match &self.metrics.requests {
            Some(name) => names.push(name.clone()),
            None => names.extend(REQUESTS.map(str::to_owned)),
        }
        let durations = match &self.metrics.duration {
            Some(name) => vec![name.as_str()],
            None => DURATIONS.to_vec(),
        };
        names.extend(durations.iter().map(|name| format!("{name}_count")));
        names
    }

    /// What there is of one side.
    pub(super) async fn search(&self, side: Side, at: f64) -> Result<Seen, SourceError> {
        let names = self.searched();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let back = self
            .config
            .scrape_interval
            .map_or(SEARCHED_SECONDS, |interval| {
                (4.0 * interval.as_secs_f64()).max(10.0)
            });
        let query = format!("{}{}", self.selector(side).of_any(&names), range(back));
        let found = self.asker.series(&query, at).await?;
        Ok(Seen {
            series: found.series,
            warnings: found.warnings,
        })
    }
}

/// The label that names pods: the first that all series have.
pub(super) fn pod_label(configured: Option<&str>, seen: &[Seen; 2]) -> Option<String> {
    if let Some(label) = configured {
        return Some(label.to_owned());
    }
    let all = || seen.iter().flat_map(|seen| &seen.series);
    POD_LABELS
        .into_iter()
        .find(|label| {
            all().next().is_some() && all().all(|series| series.labels.contains_key(*label))
        })
        .map(str::to_owned)
}

/// The median of the spacings between samples, in seconds; one close to a whole second is that second.
pub(super) fn interval(seen: &[Seen; 2]) -> Option<f64> {
    let mut spacings: Vec<f64> = seen
        .iter()
        .flat_map(|seen| &seen.series)
        .flat_map(|series| series.samples.windows(2).map(|pair| pair[1].0 - pair[0].0))
        .filter(|spacing| *spacing > 0.0)
        .collect();
    spacings.sort_by(f64::total_cmp);
    let median = *spacings.get(spacings.len() / 2)?;
    let whole = median.round();
    if whole >= 1.0 && (median - whole).abs() < 0.02 * whole {
        return Some(whole);
    }
    Some(median)
}

/// The middle of the longest stretch of the interval in which no pod is scraped.
fn phase(scraped: &[f64], interval: f64) -> f64 {
    let mut phases: Vec<f64> = scraped.iter().map(|at| at.rem_euclid(interval)).collect();
    phases.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (phases.first(), phases.last()) else {
        return 0.0;
    };
    let around = (
        last + (first + interval - last) / 2.0,
        first + interval - last,
    );
    let gaps = phases
        .windows(2)
        .map(|pair| ((pair[0] + pair[1]) / 2.0, pair[1] - pair[0]));
    let (middle, _) = gaps.fold(around, |best, gap| if gap.1 > best.1 { gap } else { best });
    middle.rem_euclid(interval)
}

/// Finds everything out.
pub(super) async fn find(
    source: &PrometheusSource,
    plan: &Plan,
    now: Timestamp,
) -> Result<AllFound, SourceError> {
    let ahead = source.asker.clock().await?;
    if ahead.abs() > MOST_SKEW_SECONDS {
        return Err(source.asker.off(ahead));
    }
    // A server that is behind has nothing yet at our time.
    let at = unix(now) + ahead.min(0.0);
    let seen = [
        source.search(Side::Canary, at).await?,
        source.search(Side::Stable, at).await?,
    ];
    let mut warnings = noted(source, &seen, ahead)?;
    let interval = match source.config.scrape_interval {
        Some(interval) => interval.as_secs_f64(),
        None => interval(&seen).ok_or_else(no_interval)?,
    };
    let pod_label =
        pod_label(source.metrics.pod_label.as_deref(), &seen).ok_or_else(no_pod_label)?;
    let names = names_of_sides(source, &seen, interval, &mut warnings)?;
    let mut setup = Setup {
        names,
        pod_label,
        edges: Vec::new(),
        interval,
        phase: 0.0,
        settle: source.config.settle.map_or_else(
            || interval + interval.min(2.0),
            |settle| settle.as_secs_f64(),
        ) + (-ahead).max(0.0),
        containers: false,
    };
    let pods = first_look(source, &mut setup, at, &mut warnings).await?;
    setup.containers = containers_there(source, &setup, &pods, at, &mut warnings).await;
    ages(&pods, unix(now), &mut warnings);
    let prepared = Prepared {
        header: Header {
            schema: SCHEMA.to_owned(),
            edges_seconds: setup.edges.clone(),
            scrape_interval_seconds: interval * plan.time_scale,
            canary_weight: plan.canary_weight,
            duration_seconds: plan.duration_seconds,
        },
        queries: resolved(source, &setup, &pods),
        warnings,
    };
    Ok(AllFound {
        setup,
        prepared,
        pods: pods.iter().flat_map(BTreeMap::keys).cloned().collect(),
    })
}

/// Sentences about the clock and warnings of the server; no series at all is an error.
fn noted(
    source: &PrometheusSource,
    seen: &[Seen; 2],
    ahead: f64,
) -> Result<Vec<String>, SourceError> {
    let mut warnings = Vec::new();
    if ahead.abs() > NOTED_SKEW_SECONDS {
        warnings.push(format!(
            "the clock of Prometheus is {} this machine's",
            skew(ahead)
        ));
    }
    for (side, seen) in SIDES.into_iter().zip(seen) {
        for warning in &seen.warnings {
            warnings.push(format!(
                "Prometheus says that data are missing: {}",
                crate::source::fetch::said(warning)
            ));
        }
        if seen.series.is_empty() {
            return Err(SourceError {
                what: format!(
                    "Prometheus at {} has no series of {} with {{{}}} in the last minutes",
                    source.asker.shown(),
                    side.as_str(),
                    source.selector(side)
                ),
                hint: Some(format!(
                    "check --{0}-selector: `canary-monitor doctor` looks for typos; is {0} deployed and scraped?",
                    side.as_str()
                )),
            });
        }
    }
    if source.config.baseline {
        warnings.push(
            "the canary is compared with the baseline's pods; stable itself is not looked at"
                .to_owned(),
        );
    }
    Ok(warnings)
}

fn no_interval() -> SourceError {
    SourceError {
        what: "no series has two samples in the last minutes: the scrape interval is not known"
            .to_owned(),
        hint: Some("wait for the second scrape, or name it with --scrape-interval".to_owned()),
    }
}

fn no_pod_label() -> SourceError {
    SourceError {
        what: format!(
            "the series have no label that names their pod ({})",
            POD_LABELS.join(", ")
        ),
        hint: Some("name it with --pod-label".to_owned()),
    }
}

fn names_of_sides(
    source: &PrometheusSource,
    seen: &[Seen; 2],
    interval: f64,
    warnings: &mut Vec<String>,
) -> Result<[Names; 2], SourceError> {
    let choose = |seen: &Seen| {
        let has = |name: &str| seen.has(name, 1.5 * interval);
        let (names, warnings) = Names::choose(&source.metrics, &has);
        // A name that was configured is no proof that it is there.
        (names.filter(|names| has(&names.requests)), warnings)
    };
    let [(canary, one), (stable, other)] = [choose(&seen[0]), choose(&seen[1])];
    let mut said: Vec<String> = one;
    said.extend(other);
    said.dedup();
    warnings.extend(said);
    // A canary that has served nothing has no series yet: it will be called as stable's.
    match (canary, stable) {
        (Some(canary), Some(stable)) => {
            if canary != stable {
                warnings.push(format!(
                    "canary and stable count by different names: {} and {}",
                    canary.requests, stable.requests
                ));
            }
            Ok([canary, stable])
        }
        (None, Some(names)) | (Some(names), None) => Ok([names.clone(), names]),
        (None, None) => Err(SourceError {
            what: format!(
                "Prometheus has no counter of requests for these pods: {}",
                source
                    .metrics
                    .requests
                    .clone()
                    .unwrap_or_else(|| REQUESTS.join(" or "))
            ),
            hint: Some(
                "name it with --requests-metric; has any pod served a request yet?".to_owned(),
            ),
        }),
    }
}

/// Pods of both sides.
type Pods = [BTreeMap<String, PodAt>; 2];

/// Finds edges and the phase of the scrapes.
async fn first_look(
    source: &PrometheusSource,
    setup: &mut Setup,
    at: f64,
    warnings: &mut Vec<String>,
) -> Result<Pods, SourceError> {
    // Two intervals back, so that every pod's newest scrape has arrived.
    let world = source.gather(setup, at, setup.interval).await?;
    let [canary, stable] = SIDES.map(|side| {
        let gathered: &Gathered = &world.sides[usize::from(side == Side::Stable)];
        let names = setup.names_of(side);
        pods_at(gathered, names, &setup.pod_label, at, 2.5 * setup.interval).0
    });
    if let Some(both) = canary.keys().find(|pod| stable.contains_key(*pod)) {
        return Err(SourceError {
            what: format!("pod {both} is canary and stable at once: the selectors overlap"),
            hint: Some(
                "narrow --stable-selector, so that it does not match the canary's pods".to_owned(),
            ),
        });
    }
    let pods = [canary, stable];
    let mut notes = Notes::default();
    let mut common: Option<Vec<f64>> = None;
    let mut differ = false;
    for (side, pods) in SIDES.into_iter().zip(&pods) {
        let names = setup.names_of(side);
        for (name, pod) in pods.iter().filter(|(_, pod)| !pod.down) {
            if pod.reading.requests.is_empty() {
                let what = format!("has no series of {} yet", names.requests);
                notes.add(side, name, what);
            }
            match edges(&pod.reading) {
                Ok(Some(own)) => {
                    differ |= common.as_ref().is_some_and(|common| *common != own);
                    common = Some(match common {
                        None => own,
                        Some(before) => common_edges(&before, &own),
                    });
                }
                Ok(None) => notes.add(side, name, format!("has no series of {}", names.bucket())),
                Err(why) => notes.add(side, name, format!("{}: {why}", names.duration)),
            }
            if let Some(twice) = &pod.twice {
                let what = format!("is scraped by several, and read from the first: {twice}");
                notes.add(side, name, what);
            }
        }
    }
    warnings.extend(notes.sentences());
    if differ {
        warnings.push(
            "the pods' histograms have different edges: only those that all have are judged"
                .to_owned(),
        );
    }
    if world.sides.iter().any(|side| {
        let mut all = side.requests.iter().chain(&side.buckets);
        all.any(|series| series.native)
    }) {
        warnings
            .push("native histograms are there, and not read: only classic buckets are".to_owned());
    }
    let scraped: Vec<f64> = pods
        .iter()
        .flat_map(BTreeMap::values)
        .map(|pod| pod.scraped)
        .collect();
    setup.phase = phase(&scraped, setup.interval);
    setup.edges = common.unwrap_or_default();
    Ok(pods)
}

/// Whether anything tells of the pods' containers.
async fn containers_there(
    source: &PrometheusSource,
    setup: &Setup,
    pods: &Pods,
    at: f64,
    warnings: &mut Vec<String>,
) -> bool {
    let names: BTreeSet<&str> = pods
        .iter()
        .flat_map(BTreeMap::keys)
        .map(String::as_str)
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    let all = Setup {
        containers: setup.pod_label != "instance",
        ..setup.clone()
    };
    let Some(query) = source.containers_query(&all, &names) else {
        return false;
    };
    let window = range(super::FRESH_SECONDS);
    match source.asker.series(&format!("{query}{window}"), at).await {
        Ok(found) if found.series.is_empty() => {
            warnings.push(format!(
                "no series of the pods' containers ({}, ...): CPU and memory are the process' own, and no limit is known",
                METRICS[0]
            ));
            false
        }
        Ok(_) => true,
        Err(error) => {
            warnings.push(format!("CPU and memory of containers: {}", error.what));
            false
        }
    }
}

fn ages(pods: &Pods, now: f64, warnings: &mut Vec<String>) {
    let [canary, stable] = pods;
    let oldest = |pods: &BTreeMap<String, PodAt>| {
        let starts = pods.values().filter_map(|pod| pod.reading.started);
        starts.map(|start| now - start).reduce(f64::max)
    };
    if let (Some(canary), Some(stable)) = (oldest(canary), oldest(stable))
        && canary < YOUNG_SECONDS
        && stable > OLD_SECONDS
    {
        warnings.push(
            "stable pods are much older than the canary: their caches are warm; a fresh baseline (--baseline-selector) compares like with like"
                .to_owned(),
        );
    }
}

fn resolved(source: &PrometheusSource, setup: &Setup, pods: &Pods) -> Vec<String> {
    let window = range(setup.fresh());
    let mut queries: Vec<String> = SIDES
        .into_iter()
        .flat_map(|side| source.queries(setup, side))
        .map(|query| format!("{query}{window}"))
        .collect();
    let names: Vec<&str> = pods
        .iter()
        .flat_map(BTreeMap::keys)
        .map(String::as_str)
        .collect();
    if let Some(query) = source.containers_query(setup, &names) {
        queries.push(format!("{query}{}", range(super::FRESH_SECONDS)));
    }
    queries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(samples: &[f64]) -> Seen {
        Seen {
            series: vec![Series {
                name: "up".to_owned(),
                labels: BTreeMap::from([("instance".to_owned(), "a:1".to_owned())]),
                samples: samples.iter().map(|at| (*at, 1.0)).collect(),
                native: false,
            }],
            warnings: Vec::new(),
        }
    }

    #[test]
    fn the_scrape_interval_is_that_of_the_samples() {
        let both = [seen(&[1.0, 16.001, 31.0, 61.0]), seen(&[5.0])];
        assert_eq!(interval(&both), Some(15.0));
        assert_eq!(interval(&[seen(&[0.0, 0.75, 1.5]), seen(&[])]), Some(0.75));
        assert_eq!(interval(&[seen(&[1.0]), seen(&[])]), None);
    }

    #[test]
    fn looks_lie_where_no_pod_is_scraped() {
        // Scraped at 11 and 12 of 15: the gap from 12 round to 11 is 14 long.
        assert!((phase(&[101.0, 102.0], 15.0) - 4.0).abs() < 1e-9);
        let middle = phase(&[100.0, 104.0, 112.0], 15.0);
        assert!(
            (middle - 108.0_f64.rem_euclid(15.0)).abs() < 1e-9,
            "{middle}"
        );
        assert_eq!(phase(&[], 15.0), 0.0);
    }

    #[test]
    fn the_first_label_that_all_have_names_the_pods() {
        let both = [seen(&[1.0]), seen(&[1.0])];
        assert_eq!(pod_label(None, &both).as_deref(), Some("instance"));
        assert_eq!(pod_label(Some("x"), &both).as_deref(), Some("x"));
        assert_eq!(pod_label(None, &[Seen::default(), Seen::default()]), None);
    }
}
