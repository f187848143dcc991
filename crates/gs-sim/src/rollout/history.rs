//! What scrapes of the pods would have found, over time: what a query listener answers from.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::page::{self, Names};
use super::plan::RolloutPlan;
use super::pod::Look;
use super::simulation::{Clock, Simulation};

/// Pods in all scrapes together: about 30 MB. The oldest scrapes go first.
const MOST_LOOKS: usize = 60_000;

/// A scrape of all pods at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Scrape {
    pub at_unix_seconds: f64,
    instance: Arc<str>,
    names: Names,
    clock: Clock,
    looks: Vec<Look>,
}

/// Who takes samples of a scrape: name, labels, value.
pub(crate) type Taker<'t> = &'t mut dyn FnMut(&str, &[(&str, &str)], f64);

impl Scrape {
    /// All samples, with the labels that a Prometheus adds.
    pub(crate) fn samples(&self, take: Taker<'_>) {
        for look in &self.looks {
            let mut labels = vec![("instance", &*self.instance), ("job", "goldensignals")];
            labels.extend(page::target_labels(&look.pod, look.side));
            take("up", &labels, f64::from(u8::from(look.up)));
            if look.up {
                page::samples(
                    look,
                    &self.names,
                    &self.clock,
                    &mut |_, name, own, value| {
                        let mut all: Vec<(&str, &str)> = labels.clone();
                        all.extend_from_slice(own);
                        take(name, &all, value);
                    },
                );
            }
        }
        page::container_samples(&self.looks, &mut |_, name, labels, value| {
            let mut all = vec![("instance", "node-0"), ("job", "kubelet")];
            all.extend_from_slice(labels);
            take(name, &all, value);
        });
    }
}

#[derive(Debug, Default)]
struct Kept {
    scrapes: VecDeque<Arc<Scrape>>,
    looks: usize,
}

/// A history that is shared by all its clones, and bounded. The default is empty.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<Kept>>);

impl History {
    /// The history of a whole rollout at once: scrapes every `interval_seconds` of the wall clock,
    /// over `seconds` of it, the last one at `end_unix_seconds`.
    ///
    /// # Errors
    /// The plan makes no sense, or so many scrapes cannot be kept.
    pub fn of(
        plan: &RolloutPlan,
        end_unix_seconds: f64,
        seconds: f64,
        interval_seconds: f64,
    ) -> Result<Self, String> {
        let mut simulation = Simulation::new(plan)?;
        let count = (seconds / interval_seconds).floor();
        let most = (MOST_LOOKS / plan.pods.len().max(1)) as f64;
        if !(interval_seconds > 0.0 && (0.0..=most).contains(&count)) {
            return Err(format!(
                "a history of these pods has at most {most} scrapes"
            ));
        }
        let clock = Clock {
            began_unix_seconds: end_unix_seconds - seconds,
            time_scale: plan.time_scale,
        };
        let history = Self::default();
        let first = seconds - count * interval_seconds;
        for index in 0..=count as u64 {
            let at = first + index as f64 * interval_seconds;
            simulation.advance(at * plan.time_scale);
            history.record(
                &simulation,
                clock,
                clock.began_unix_seconds + at,
                "127.0.0.1:80",
            );
        }
        Ok(history)
    }

    /// Adds what a scrape finds now.
    pub(super) fn record(
        &self,
        simulation: &Simulation,
        clock: Clock,
        at_unix_seconds: f64,
        instance: &str,
    ) {
        let scrape = Scrape {
            // Prometheus stamps with milliseconds.
            at_unix_seconds: (at_unix_seconds * 1e3).round() / 1e3,
            instance: instance.into(),
            names: simulation.names().clone(),
            clock,
            looks: simulation.looks(),
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.looks += scrape.looks.len();
        kept.scrapes.push_back(Arc::new(scrape));
        while kept.looks > MOST_LOOKS
            && let Some(oldest) = kept.scrapes.pop_front()
        {
            kept.looks -= oldest.looks.len();
        }
    }

    /// How many scrapes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .scrapes
            .len()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The scrapes after one Unix time and up to another, in the order of time.
    pub(crate) fn between(&self, after: f64, until: f64) -> Vec<Arc<Scrape>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.scrapes
            .iter()
            .filter(|scrape| scrape.at_unix_seconds > after && scrape.at_unix_seconds <= until)
            .map(Arc::clone)
            .collect()
    }
}
