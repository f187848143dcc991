//! The pods' counters as a Prometheus has stored them.
//!
//! Only raw samples are asked for (`metric{...}[range]`), never a rate: counts of requests are whole numbers,
//! and resets are repaired here. Looks lie on a grid of the scrape interval, and some way in the past, so
//! that all scrapes up to a look have arrived: a look is a function of its moment, the same live and
//! years later.

pub mod answer;
mod ask;
mod containers;
mod doctor;
mod pods;
mod setup;

use std::collections::BTreeMap;

use gs_common::report::Check;
use jiff::Timestamp;

use self::answer::Series;
use self::ask::{Asker, Found, MOST_SKEW_SECONDS, one_of, range, unix};
use self::containers::{FRESH_SECONDS, METRICS, containers_at};
use self::pods::{Gathered, PodAt, pods_at};
use self::setup::Setup;
use super::config::{MetricConfig, PrometheusConfig, SourceConfig};
use super::counters::Track;
use super::fetch::{Fetcher, said};
use super::kills::Kills;
use super::names::{CPU, MEMORY, START};
use super::notes::Notes;
use super::selector::Selector;
use super::{Look, Plan, Prepared, Source, SourceError};
use crate::observations::{PodSample, Scrape, Side};

const SIDES: [Side; 2] = [Side::Canary, Side::Stable];

/// So many looks of the past are asked for at once.
const LOOKS_AT_ONCE: usize = 16;

/// A look that is late by so many intervals is left out.
const MOST_LATE: f64 = 2.0;

/// A pod that is gone is listed as down for so many looks: after that it was taken away on purpose.
const LISTED_AFTER: u32 = 5;

/// A Prometheus.
#[derive(Debug)]
pub(super) struct PrometheusSource {
    config: PrometheusConfig,
    metrics: MetricConfig,
    asker: Asker,
    setup: Option<Setup>,
    pods: BTreeMap<(Side, String), Pod>,
    /// The moment of the last look, in Unix seconds.
    last_look: Option<f64>,
    /// The newest scrape that was seen, in Unix seconds.
    newest: f64,
}

/// What is remembered of a pod.
#[derive(Debug, Default)]
struct Pod {
    track: Track,
    kills: Kills,
    /// Where its CPU and memory come from; never both in turn, for they differ.
    containers: Option<bool>,
    /// Looks since it was there.
    away: u32,
}

/// Everything that one or more looks are made of.
#[derive(Debug, Default)]
struct World {
    sides: [Gathered; 2],
    containers: Vec<Series>,
    warnings: Vec<String>,
    lost: Vec<String>,
    ahead_seconds: Option<f64>,
}

impl PrometheusSource {
    pub(super) fn new(config: &PrometheusConfig, all: &SourceConfig) -> Self {
        let fetcher = Fetcher::new("Prometheus", &all.access, all.limits);
        Self {
            config: config.clone(),
            metrics: all.metrics.clone(),
            asker: Asker::new(fetcher, config.url.clone()),
            setup: None,
            pods: BTreeMap::new(),
            last_look: None,
            newest: f64::MIN,
        }
    }

    /// The names of the pods that are there; none where that cannot be found out.
    pub(super) async fn pod_names(&self, plan: &Plan, now: Timestamp) -> Vec<String> {
        let found = setup::find(self, plan, now).await;
        found.map_or_else(|_| Vec::new(), |found| found.pods)
    }

    fn selector(&self, side: Side) -> &Selector {
        match side {
            Side::Canary => &self.config.canary,
            Side::Stable => &self.config.stable,
        }
    }

    /// The queries of one side, without their range.
    fn queries(&self, setup: &Setup, side: Side) -> [String; 3] {
        let (names, selector) = (setup.names_of(side), self.selector(side));
        [
            selector.of(&names.requests),
            selector.of(&names.bucket()),
            selector.of_any(&["up", START, CPU, MEMORY]),
        ]
    }

    /// The query for containers of pods that are known.
    fn containers_query(&self, setup: &Setup, pods: &[&str]) -> Option<String> {
        if !setup.containers || pods.is_empty() {
            return None;
        }
        let metrics = one_of("__name__", METRICS);
        Some(format!(
            "{{{metrics},{}}}",
            one_of("pod", pods.iter().copied())
        ))
    }

    /// Asks for all samples of `seconds` up to a moment.
    async fn gather(&self, setup: &Setup, until: f64, seconds: f64) -> Result<World, SourceError> {
        let world = self.gather_unchecked(setup, until, seconds).await?;
        self.clock(&world).await?;
        Ok(world)
    }

    /// The same from a server whose clock may be off.
    async fn gather_unchecked(
        &self,
        setup: &Setup,
        until: f64,
        seconds: f64,
    ) -> Result<World, SourceError> {
        let window = range(seconds + setup.fresh());
        let [canary, stable] = SIDES.map(|side| {
            self.queries(setup, side)
                .map(|query| format!("{query}{window}"))
        });
        let ask = |query: String| async move { self.asker.series(&query, until).await };
        let [a, b, c] = canary;
        let [d, e, f] = stable;
        let (a, b, c, d, e, f) = tokio::try_join!(ask(a), ask(b), ask(c), ask(d), ask(e), ask(f))?;
        let mut world = World::default();
        for (index, [requests, buckets, process]) in [[a, b, c], [d, e, f]].into_iter().enumerate()
        {
            world.sides[index] = Gathered {
                requests: world.take(requests),
                buckets: world.take(buckets),
                process: world.take(process),
            };
        }
        let pods: std::collections::BTreeSet<&str> = world
            .sides
            .iter()
            .flat_map(|side| side.requests.iter().chain(&side.process))
            .filter_map(|series| series.labels.get(&setup.pod_label).map(String::as_str))
            .collect();
        let pods: Vec<&str> = pods.into_iter().collect();
        if let Some(query) = self.containers_query(setup, &pods) {
            let window = range(seconds + FRESH_SECONDS);
            match self.asker.series(&format!("{query}{window}"), until).await {
                Ok(found) => {
                    let containers = world.take(found);
                    world.containers = containers;
                }
                // What they use is a guard: without it the rest can be judged.
                Err(error) => world
                    .lost
                    .push(format!("CPU and memory of containers: {}", error.what)),
            }
        }
        Ok(world)
    }

    /// A `date` that is off is a server whose clock is off, or a proxy's.
    async fn clock(&self, world: &World) -> Result<(), SourceError> {
        if world
            .ahead_seconds
            .is_none_or(|ahead| ahead.abs() <= MOST_SKEW_SECONDS)
        {
            return Ok(());
        }
        let ahead = self.asker.clock().await?;
        if ahead.abs() > MOST_SKEW_SECONDS {
            return Err(self.asker.off(ahead));
        }
        Ok(())
    }

    /// What was to be seen at a moment.
    fn look_at(&mut self, world: &World, plan: &Plan, until: f64) -> Look {
        let Some(setup) = self.setup.take() else {
            return Look {
                scrape: None,
                lost: Vec::new(),
            };
        };
        let look = self.look_with(&setup, world, plan, until);
        self.setup = Some(setup);
        look
    }

    fn look_with(&mut self, setup: &Setup, world: &World, plan: &Plan, until: f64) -> Look {
        let mut lost = world.lost.clone();
        if !world.warnings.is_empty() {
            // Counters of which a part is missing would come back as a burst.
            let warnings: Vec<String> = world.warnings.iter().map(|text| said(text)).collect();
            lost.push(format!(
                "Prometheus says that data are missing: {}; the look is lost",
                warnings.join("; ")
            ));
            return Look { scrape: None, lost };
        }
        let [(canary, canary_nameless), (stable, stable_nameless)] = SIDES.map(|side| {
            let gathered = &world.sides[usize::from(side == Side::Stable)];
            let names = setup.names_of(side);
            pods_at(gathered, names, &setup.pod_label, until, setup.fresh())
        });
        if canary_nameless + stable_nameless > 0 {
            lost.push(format!(
                "{} series have no label `{}`, and are left out",
                canary_nameless + stable_nameless,
                setup.pod_label
            ));
        }
        if let Some(both) = canary.keys().find(|pod| stable.contains_key(*pod)) {
            lost.push(format!(
                "pod {both} is canary and stable at once: the selectors overlap; the look is lost"
            ));
            return Look { scrape: None, lost };
        }
        let all = canary.values().chain(stable.values());
        let newest = all.map(|pod| pod.scraped).fold(f64::MIN, f64::max);
        // A moment that went through seconds of the run and back is off by a rounding.
        if newest <= self.newest + 0.002 {
            lost.push(if newest == f64::MIN {
                "Prometheus has no sample of any pod".to_owned()
            } else {
                "Prometheus has no sample that is newer than those of the last look".to_owned()
            });
            return Look { scrape: None, lost };
        }
        let first = self.pods.is_empty();
        self.newest = newest;
        let mut notes = Notes::default();
        let mut samples = Vec::new();
        for (side, found) in [(Side::Canary, canary), (Side::Stable, stable)] {
            self.gone(side, &found, &mut notes, &mut samples);
            for (name, pod) in &found {
                if !first && !self.pods.contains_key(&(side, name.clone())) {
                    notes.add(side, name, "is new");
                }
                samples.push(self.sample(setup, world, plan, (side, name, pod), until, &mut notes));
            }
        }
        lost.extend(notes.sentences());
        Look {
            scrape: Some(Scrape {
                at_seconds: plan.seconds_at(moment(newest)),
                pods: samples,
            }),
            lost,
        }
    }

    /// Pods that were there at an earlier look and are no more.
    fn gone(
        &mut self,
        side: Side,
        found: &BTreeMap<String, PodAt>,
        notes: &mut Notes,
        samples: &mut Vec<PodSample>,
    ) {
        // A new pod stands in the place of one that is gone.
        let mut new = found
            .keys()
            .filter(|name| !self.pods.contains_key(&(side, (*name).clone())))
            .count();
        self.pods.retain(|(own, name), pod| {
            if *own != side || found.contains_key(name) {
                return true;
            }
            if pod.away == 0 {
                notes.add(side, name, "is gone from Prometheus");
            }
            pod.away += 1;
            pod.track.away();
            if new > 0 {
                new -= 1;
                return false;
            }
            samples.push(PodSample::down(name, side));
            pod.away < LISTED_AFTER
        });
    }

    fn sample(
        &mut self,
        setup: &Setup,
        world: &World,
        plan: &Plan,
        (side, name, found): (Side, &String, &PodAt),
        until: f64,
        notes: &mut Notes,
    ) -> PodSample {
        let pod = self.pods.entry((side, name.clone())).or_default();
        pod.away = 0;
        if found.down {
            notes.add(side, name, "did not answer Prometheus");
            pod.track.away();
            return PodSample::down(name, side);
        }
        if let Some(twice) = &found.twice {
            notes.add(
                side,
                name,
                format!("is scraped by several, and read from the first of them: {twice}"),
            );
        }
        let mut wrong = Vec::new();
        let names = setup.names_of(side);
        if found.reading.requests.is_empty() {
            wrong.push(format!("has no series of {} any more", names.requests));
        }
        let sums = pod.track.take(
            &found.reading,
            names,
            &self.metrics,
            &setup.edges,
            &mut wrong,
        );
        if sums.requests.is_some() && found.reading.requests.is_empty() {
            wrong.retain(|what| !what.starts_with("has no series"));
        }
        for what in wrong {
            notes.add(side, name, what);
        }
        let namespace = found.namespace.as_deref();
        let used = containers_at(&world.containers, name, &setup.pod_label, namespace, until);
        let by_containers = *pod
            .containers
            .get_or_insert(used.cpu_seconds.is_some() || used.memory_bytes.is_some());
        let (cpu_seconds, memory_bytes) = if by_containers {
            (used.cpu_seconds, used.memory_bytes)
        } else {
            (found.cpu_seconds, found.memory_bytes)
        };
        let started = found.reading.started.or(used.started);
        let restarts = used.restarts.iter();
        let restarts =
            restarts.map(|(container, (count, killed))| (container.as_str(), *count, *killed));
        let oom_kills = used.oom_events.or_else(|| pod.kills.take(restarts));
        PodSample {
            up: true,
            started_at_seconds: started.map(|unix| plan.seconds_at(moment(unix))),
            requests: sums.requests,
            errors: sums.errors,
            timed: sums.timed.filter(|timed| Some(*timed) != sums.requests),
            le: sums.le.filter(|_| !setup.edges.is_empty()),
            cpu_seconds,
            cpu_limit_cores: used.cpu_limit_cores,
            throttled_seconds: used.throttled_seconds,
            memory_bytes,
            memory_limit_bytes: used.memory_limit_bytes,
            oom_kills,
            ..PodSample::down(name, side)
        }
    }

    /// The moment of the next look that is due at `now`, and how many were left out.
    fn next_look(&self, setup: &Setup, plan: &Plan, now: f64) -> Option<(f64, u64)> {
        let due = setup.grid_before(now - setup.settle);
        let (wanted, had_one) = match self.last_look {
            Some(last) => (setup.grid_before(last + 1.5 * setup.interval), true),
            // The baseline: what the counters were when the run began.
            None => (setup.grid_before(unix(plan.started_at)), false),
        };
        if wanted > due + 1e-6 {
            return None;
        }
        let late = ((due - wanted) / setup.interval).round();
        if late > MOST_LATE {
            return Some((due, if had_one { late as u64 } else { 0 }));
        }
        Some((wanted, 0))
    }
}

impl World {
    fn take(&mut self, found: Found) -> Vec<Series> {
        for warning in found.warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        let far = |ahead: Option<f64>| ahead.map_or(0.0, f64::abs);
        if far(found.ahead_seconds) > far(self.ahead_seconds) {
            self.ahead_seconds = found.ahead_seconds;
        }
        found.series
    }
}

/// A Unix time as a moment; one beyond all clocks is the first of them.
fn moment(unix: f64) -> Timestamp {
    Timestamp::from_microsecond((unix * 1e6).round() as i64).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn not_prepared() -> SourceError {
    SourceError {
        what: "Prometheus was not asked what there is".to_owned(),
        hint: None,
    }
}

impl Source for PrometheusSource {
    async fn prepare(&mut self, plan: &Plan) -> Result<Prepared, SourceError> {
        let found = setup::find(self, plan, Timestamp::now()).await?;
        self.setup = Some(found.setup);
        self.pods.clear();
        self.last_look = None;
        self.newest = f64::MIN;
        Ok(found.prepared)
    }

    async fn look(&mut self, plan: &Plan, now: Timestamp) -> Result<Look, SourceError> {
        let setup = self.setup.as_ref().ok_or_else(not_prepared)?;
        let Some((until, left_out)) = self.next_look(setup, plan, unix(now)) else {
            return Ok(Look {
                scrape: None,
                lost: Vec::new(),
            });
        };
        let world = self.gather(setup, until, 0.0).await?;
        self.last_look = Some(until);
        let mut look = self.look_at(&world, plan, until);
        if left_out > 0 {
            look.lost
                .insert(0, format!("{left_out} looks were too late, and are lost"));
        }
        Ok(look)
    }

    async fn past(
        &mut self,
        plan: &Plan,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Vec<Look>>, SourceError> {
        let setup = self.setup.as_ref().ok_or_else(not_prepared)?;
        let interval = setup.interval;
        let first = setup.grid_before(unix(from) + interval);
        // What has not settled is not past yet: a live look will see it.
        let to = unix(to).min(unix(Timestamp::now()) - setup.settle);
        let count = ((to - first) / interval).floor();
        let moments: Vec<f64> = (0..=count.clamp(-1.0, 1e6) as i64)
            .map(|index| first + index as f64 * interval)
            .filter(|moment| count >= 0.0 && *moment <= to + 1e-6)
            .collect();
        // Samples up to `from` are known already.
        self.newest = self.newest.max(unix(from));
        let mut looks = Vec::new();
        let mut at_once = LOOKS_AT_ONCE;
        let mut rest = moments.as_slice();
        while let Some(first) = rest.first() {
            let last = rest[..at_once.min(rest.len())].last().unwrap_or(first);
            let setup = self.setup.as_ref().ok_or_else(not_prepared)?;
            let world = match self.gather(setup, *last, last - first).await {
                Ok(world) => world,
                // Too much for one answer: fewer looks at once.
                Err(_) if at_once > 1 => {
                    at_once = (at_once / 4).max(1);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let (now, later) = rest.split_at(at_once.min(rest.len()));
            for until in now {
                self.last_look = Some(*until);
                let look = self.look_at(&world, plan, *until);
                // The first moment may lie before the first scrape after `from`.
                if !looks.is_empty() || look.scrape.is_some() || *until > unix(from) + interval {
                    looks.push(look);
                }
            }
            rest = later;
        }
        Ok(Some(looks))
    }

    async fn doctor(&mut self, plan: &Plan, now: Timestamp) -> Vec<Check> {
        doctor::checks(self, plan, now).await
    }
}
