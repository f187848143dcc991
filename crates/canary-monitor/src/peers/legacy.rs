//! The plain rule of the guide beside the verdict (`--legacy-view`), so that who comes from it sees
//! where the two differ, and why. It decides nothing.

use gs_common::report::Evidence;
use gs_common::verdict::Verdict;
use serde_json::{Value, json};

use super::limits::Limits;
use crate::judge::{Decision, Policy};
use crate::observations::{Header, Scrape};

/// The rule, fed with the same looks as the judge. A run that ends early ends it early too: it says
/// then what it had said by that moment.
#[derive(Clone, Debug)]
pub struct Legacy {
    limits: Limits,
    words: String,
    decision: Option<Decision>,
}

impl Legacy {
    /// Starts beside a run of the judge, with the limits and the check interval of its policy.
    #[must_use]
    pub fn new(policy: &Policy, header: &Header) -> Self {
        Self {
            words: format!(
                "errors over {}%, P95 over {:.0} ms, every {:.0} s, 3 in a row",
                policy.error_limit * 100.0,
                policy.latency_limit_seconds * 1e3,
                policy.check_seconds
            ),
            limits: Limits::new(policy.clone(), header),
            decision: None,
        }
    }

    /// Takes one look in.
    pub fn step(&mut self, scrape: &Scrape) {
        if self.decision.is_none() {
            self.decision = self.limits.step(scrape);
        }
    }

    /// What the rule says, or would say if nothing more came.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.decision
            .clone()
            .unwrap_or_else(|| self.limits.clone().finish())
    }

    /// One line for a live view: the rule's own figures at its latest check.
    #[must_use]
    pub fn line(&self) -> String {
        let now = match self.limits.latest {
            None => "no data".to_owned(),
            Some((errors, p95)) => format!(
                "{:.2}% errors, P95 {}, {} of 3 bad checks",
                errors * 100.0,
                p95.map_or_else(|| "?".to_owned(), |p95| format!("{:.0} ms", p95 * 1e3)),
                self.limits.bad_in_a_row()
            ),
        };
        match &self.decision {
            Some(decision) if decision.verdict == Verdict::Fail => format!(
                "plain rule: fail since {:.0} s ({})",
                decision.at_seconds, decision.reason
            ),
            _ => format!("plain rule: {now}"),
        }
    }

    /// The proof for the report, held against what our judge says.
    #[must_use]
    pub fn evidence(&self, ours: &Decision) -> Evidence {
        let theirs = self.decision();
        let same = theirs.verdict == ours.verdict
            || (theirs.verdict == Verdict::Pass && ours.verdict == Verdict::Warn);
        let beside = if same {
            "the same verdict".to_owned()
        } else {
            format!("this judge says {} ({})", ours.verdict, ours.reason)
        };
        Evidence {
            label: "the plain rule".to_owned(),
            text: format!(
                "{}: {} at {:.0} s, {}; {beside}",
                self.words, theirs.verdict, theirs.at_seconds, theirs.sentence
            ),
        }
    }

    /// The same for machines: the member `legacy` of the details.
    #[must_use]
    pub fn details(&self) -> Value {
        let theirs = self.decision();
        json!({
            "rule": self.words,
            "verdict": theirs.verdict,
            "reason": theirs.reason,
            "decided_at_seconds": theirs.at_seconds,
            "sentence": theirs.sentence,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{World, make, scenario};

    fn beside(name: &str) -> (Legacy, Decision) {
        let size = World {
            rate: 20.0,
            stable_pods: 6,
            duration_seconds: 900.0,
            extra_seconds: 0.0,
            seed: 4,
        };
        let (header, scrapes) = make(scenario::find(name).unwrap(), &size);
        let policy = Policy::default();
        let mut legacy = Legacy::new(&policy, &header);
        let mut watch = crate::judge::Watch::new(policy, &header);
        let mut ours = None;
        for scrape in &scrapes {
            legacy.step(scrape);
            ours = watch.step(scrape);
            if ours.is_some() {
                break;
            }
        }
        (legacy, ours.unwrap_or_else(|| watch.finish()))
    }

    #[test]
    fn it_shows_where_the_two_differ() {
        let (legacy, ours) = beside("errors-1-to-3");
        assert_eq!(legacy.decision().verdict, Verdict::Pass);
        let text = legacy.evidence(&ours).text;
        assert!(text.contains("this judge says fail (error_rate)"), "{text}");
        assert!(
            legacy.line().contains("of 3 bad checks"),
            "{}",
            legacy.line()
        );
        let (legacy, ours) = beside("healthy");
        assert!(legacy.evidence(&ours).text.ends_with("the same verdict"));
        assert_eq!(legacy.details()["verdict"], "pass");
    }

    #[test]
    fn what_it_says_does_not_change_when_it_is_asked() {
        let (legacy, _) = beside("cold-start");
        assert_eq!(legacy.decision(), legacy.decision());
        assert!(legacy.line().contains("fail since"), "{}", legacy.line());
    }
}
