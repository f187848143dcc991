//! Which of the looks that were to be had were had.

use std::collections::BTreeMap;

use crate::observations::{PodSample, Scrape, Side};

/// Which looks were had.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks {
    pub(super) canary: f64,
    pub(super) stable: f64,
    pub(super) canary_seen: bool,
    pub(super) stable_seen: bool,
    /// When each side was last seen, in seconds of the run.
    pub(super) canary_last: f64,
    pub(super) stable_last: f64,
    /// When each pod was first and last up.
    up: BTreeMap<String, (f64, f64)>,
}

impl Looks {
    /// Takes one look in.
    pub(super) fn take(&mut self, scrape: &Scrape) {
        let now = scrape.at_seconds;
        let told = |pod: &PodSample| pod.up && pod.requests.is_some();
        for pod in scrape.pods.iter().filter(|pod| told(pod)) {
            match self.up.get_mut(&pod.pod) {
                Some(up) => up.1 = now,
                None => {
                    self.up.insert(pod.pod.clone(), (now, now));
                }
            }
        }
        let (canary, stable) = (
            self.had(scrape, Side::Canary),
            self.had(scrape, Side::Stable),
        );
        self.canary += canary;
        self.stable += stable;
        self.canary_seen |= canary > 0.0;
        self.stable_seen |= stable > 0.0;
        if canary > 0.0 {
            self.canary_last = now;
        }
        if stable > 0.0 {
            self.stable_last = now;
        }
    }

    /// The share of the pods of a side that told something. A pod that is gone for good is not waited
    /// for once another that came after it stands in its place.
    fn had(&self, scrape: &Scrape, side: Side) -> f64 {
        let (mut told, mut silent, mut gone, mut came) = (0_u32, 0_u32, Vec::new(), Vec::new());
        for pod in scrape.pods.iter().filter(|pod| pod.side == side) {
            match self.up.get(&pod.pod) {
                Some((first, last)) if *last >= scrape.at_seconds => {
                    told += 1;
                    came.push(*first);
                }
                Some((_, last)) => {
                    silent += 1;
                    gone.push(*last);
                }
                None => silent += 1,
            }
        }
        gone.sort_by(f64::total_cmp);
        came.sort_by(f64::total_cmp);
        let mut came = came.into_iter();
        let replaced = gone
            .into_iter()
            .filter(|left| came.any(|first| first > *left))
            .count();
        let all = told + silent.saturating_sub(replaced as u32);
        if all > 0 {
            f64::from(told) / f64::from(all)
        } else {
            0.0
        }
    }
}
