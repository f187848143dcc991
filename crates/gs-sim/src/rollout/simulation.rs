//! All pods in simulated time, without a clock and without I/O.

use fastrand::Rng;

use super::page::{self, Names};
use super::plan::{PodPlan, RolloutPlan, check_prefix};
use super::pod::{Look, Pod};
use super::{Behaviour, Side};

/// How simulated time and the wall clock's time belong together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// Unix time at which the simulation began, in seconds.
    pub began_unix_seconds: f64,
    /// How many times faster the simulated time runs.
    pub time_scale: f64,
}

impl Clock {
    /// Unix time of a simulated moment.
    #[must_use]
    pub fn unix(&self, seconds: f64) -> f64 {
        self.began_unix_seconds + seconds / self.time_scale
    }

    /// The simulated moment at a Unix time.
    #[must_use]
    pub fn simulated(&self, unix_seconds: f64) -> f64 {
        (unix_seconds - self.began_unix_seconds) * self.time_scale
    }
}

/// The pods of a rollout. The same plan and the same orders at the same moments give the same
/// counters, however often somebody looks.
#[derive(Clone, Debug)]
pub struct Simulation {
    pods: Vec<Pod>,
    now: f64,
    names: Names,
    random: Rng,
    shared_seed: u64,
    /// How many pods there ever were: the number of the next one.
    born: usize,
}

impl Simulation {
    /// A rollout at its beginning.
    ///
    /// # Errors
    /// The plan makes no sense.
    pub fn new(plan: &RolloutPlan) -> Result<Self, String> {
        plan.check()?;
        let mut random = Rng::with_seed(plan.seed);
        let shared_seed = random.u64(..);
        let pods: Vec<Pod> = plan
            .pods
            .iter()
            .map(|pod| Pod::new(pod, 0.0, &mut random, shared_seed))
            .collect();
        Ok(Self {
            born: pods.len(),
            pods,
            now: 0.0,
            names: Names {
                prefix: plan.metrics_prefix.clone(),
                nasty: plan.nasty_labels,
            },
            random,
            shared_seed,
        })
    }

    /// The simulated moment, in seconds since the beginning.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.now
    }

    /// Goes on to a moment; one that has passed changes nothing.
    pub fn advance(&mut self, to_seconds: f64) {
        if to_seconds > self.now && to_seconds.is_finite() {
            self.now = to_seconds;
            self.pods.iter_mut().for_each(|pod| pod.advance(to_seconds));
        }
    }

    /// The state of all pods.
    #[must_use]
    pub fn looks(&self) -> Vec<Look> {
        self.pods.iter().map(Pod::look).collect()
    }

    /// The state of a pod.
    #[must_use]
    pub fn look(&self, pod: &str) -> Option<Look> {
        self.pods
            .iter()
            .find(|other| *other.name == *pod)
            .map(Pod::look)
    }

    /// How a pod behaves.
    #[must_use]
    pub fn behaviour(&self, pod: &str) -> Option<Behaviour> {
        let found = self.pods.iter().find(|other| *other.name == *pod);
        found.map(|pod| pod.behaviour)
    }

    /// What a scraper of a pod gets now. `None`: there is no such pod, or it is down.
    #[must_use]
    pub fn page(&self, pod: &str, clock: &Clock) -> Option<String> {
        let look = self.look(pod).filter(|look| look.up)?;
        Some(page::of_pod(&look, &self.names, clock))
    }

    /// What a scraper of the kubelet's cAdvisor and of kube-state-metrics gets now, about all pods.
    #[must_use]
    pub fn containers_page(&self) -> String {
        page::of_containers(&self.looks())
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// Changes the behaviour of a pod, or of the rollout: then canaries take what is the canary's
    /// doing, all pods what is the environment's, and whoever takes nothing is healthy.
    ///
    /// # Errors
    /// There is no such pod, or the behaviour makes no sense.
    pub fn behave(&mut self, pod: Option<&str>, behaviour: Behaviour) -> Result<(), String> {
        behaviour.check()?;
        match pod {
            Some(name) => self.find(name)?.behave(behaviour),
            None => {
                for pod in &mut self.pods {
                    let concerned = pod.side == Side::Canary || behaviour.is_everywhere();
                    let next = if concerned {
                        behaviour
                    } else {
                        Behaviour::Healthy
                    };
                    if next != pod.behaviour || concerned {
                        pod.behave(next);
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends the process of a pod and starts it again: its counters begin at zero.
    ///
    /// # Errors
    /// There is no such pod.
    pub fn restart(&mut self, pod: &str) -> Result<(), String> {
        let now = self.now;
        self.find(pod)?.restart(now);
        Ok(())
    }

    /// Replaces a pod by a new one of the same version, as a deployment does with one that is gone.
    /// Its name, with a number that no pod had before, is the answer.
    ///
    /// # Errors
    /// There is no such pod.
    pub fn replace(&mut self, pod: &str) -> Result<String, String> {
        let old = self.find(pod)?;
        let plan = PodPlan {
            name: String::new(),
            side: old.side,
            rate: old.rate,
            age_seconds: 0.0,
            behaviour: old.behaviour,
        };
        let name = loop {
            let name = format!("{}-{}", plan.side.as_str(), self.born);
            self.born += 1;
            if self.look(&name).is_none() {
                break name;
            }
        };
        let plan = PodPlan {
            name: name.clone(),
            ..plan
        };
        let new = Pod::new(&plan, self.now, &mut self.random, self.shared_seed);
        *self.find(pod)? = new;
        Ok(name)
    }

    /// Renames the HTTP metrics, as a new version of a library may.
    ///
    /// # Errors
    /// The prefix is neither empty nor `goldensignals_`.
    pub fn rename(&mut self, prefix: &str) -> Result<(), String> {
        check_prefix(prefix)?;
        prefix.clone_into(&mut self.names.prefix);
        Ok(())
    }

    fn find(&mut self, name: &str) -> Result<&mut Pod, String> {
        let found = self.pods.iter_mut().find(|pod| *pod.name == *name);
        found.ok_or_else(|| format!("there is no pod `{name}`"))
    }
}
