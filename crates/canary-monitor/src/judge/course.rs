//! What a run around the judge has to know and may change: where it stands, when it is over, and an end
//! before that.

use gs_common::verdict::Verdict;

use super::tally::Cell;
use super::watch::Watch;
use super::{Decision, Policy, reason};

impl Watch {
    /// Moves the end of the watch, in seconds of the run: a person asked for more time, or the steps of a
    /// rollout took longer. Only what comes later is judged by it.
    ///
    /// The number of starts that the evidence averages over stays the planned one. It was fixed in
    /// advance, so that a longer watch keeps its ceiling on false alarms.
    pub fn watch_until(&mut self, seconds: f64) {
        if seconds.is_finite() {
            self.ends_at = seconds.max(self.at_seconds);
        }
    }

    /// When the watch is over, in seconds of the run.
    #[must_use]
    pub fn ends_at_seconds(&self) -> f64 {
        self.ends_at
    }

    /// Whether the watch is not over yet; a look that comes a little early counts as the last one.
    #[must_use]
    pub fn is_early(&self) -> bool {
        self.is_early_at(self.at_seconds)
    }

    /// Whether a look at this second would not be the last one.
    #[must_use]
    pub fn is_early_at(&self, seconds: f64) -> bool {
        seconds + 0.2 * self.header.scrape_interval_seconds < self.ends_at
    }

    /// The edge that tells which requests are slower than the limit.
    #[must_use]
    pub fn limit_edge(&self) -> Option<usize> {
        self.limit_edges.1
    }

    /// Whether any canary pod told its memory.
    #[must_use]
    pub fn knows_memory(&self) -> bool {
        self.guards.knows_memory()
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How many checks there were.
    #[must_use]
    pub fn checks(&self) -> usize {
        self.history.newest().count()
    }

    /// What was counted between the last two checks.
    #[must_use]
    pub fn newest_cell(&self) -> Option<&Cell> {
        self.history.newest().next()
    }

    /// Whether some evidence against the canary is over its line at the moment.
    #[must_use]
    pub fn is_suspicious(&self) -> bool {
        self.streaks.iter().any(|streak| *streak > 0)
    }

    /// Ends a run before its time: what is not already decided against the canary is no verdict, however
    /// good it looked. A pass needs the whole watch.
    pub fn cut_short(&mut self, why: &str) -> Decision {
        let decision = self.finish();
        if decision.verdict == Verdict::Fail {
            return decision;
        }
        let (at, of) = (self.at_seconds.max(0.0), self.ends_at);
        let sentence = format!("the watch ended after {at:.0} s of {of:.0} s: {why}");
        let decision = self.inconclusive(reason::CUT_SHORT, sentence);
        self.decision = Some(decision.clone());
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Policy;
    use crate::simulate::{World, make, scenario};

    fn world(
        name: &str,
    ) -> (
        crate::observations::Header,
        Vec<crate::observations::Scrape>,
    ) {
        let size = World {
            rate: 20.0,
            stable_pods: 6,
            duration_seconds: 900.0,
            extra_seconds: 600.0,
            seed: 5,
        };
        make(scenario::find(name).unwrap(), &size)
    }

    #[test]
    fn a_watch_that_is_made_longer_ends_later() {
        let (header, scrapes) = world("healthy");
        let mut watch = Watch::new(Policy::default(), &header);
        for scrape in scrapes.iter().filter(|scrape| scrape.at_seconds < 450.0) {
            assert_eq!(watch.step(scrape), None);
        }
        watch.watch_until(1200.0);
        let decision = scrapes
            .iter()
            .filter(|scrape| scrape.at_seconds >= 450.0)
            .find_map(|scrape| watch.step(scrape))
            .unwrap();
        assert_eq!(decision.verdict, Verdict::Pass);
        assert!(decision.at_seconds > 1190.0, "{}", decision.at_seconds);
    }

    #[test]
    fn what_is_cut_short_never_passes_and_what_is_found_stays_found() {
        for (name, verdict) in [
            ("healthy", Verdict::Inconclusive),
            ("crash-loop", Verdict::Fail),
        ] {
            let (header, scrapes) = world(name);
            let mut watch = Watch::new(Policy::default(), &header);
            // All but the last look: 98% of the looks were had.
            for scrape in scrapes.iter().filter(|scrape| scrape.at_seconds < 880.0) {
                watch.step(scrape);
            }
            assert_eq!(
                watch.cut_short("somebody wanted it").verdict,
                verdict,
                "{name}"
            );
            // And later looks do not change that.
            assert_eq!(watch.finish().verdict, verdict, "{name}");
        }
    }
}
