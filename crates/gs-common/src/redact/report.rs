//! A whole report without secrets: the only thing that a face can be made of.

use std::borrow::Cow;
use std::ops::Deref;

use serde_json::{Map, Value};

use super::Redactor;
use crate::finding::{Finding, Package, Spot, Suppressed};
use crate::members::Members;
use crate::report::{Broken, Check, Evidence, Input, Quantity, Report, Series, Subject, Try};

/// A report that has been through a [`Redactor`]. Only [`Redactor::report`] makes one.
#[derive(Clone, Debug)]
pub struct Redacted(Report);

impl Deref for Redacted {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.0
    }
}

impl Redactor {
    /// Redacts every text of a report that can hold foreign words. Verdicts, reason codes and the
    /// tool's name are our own vocabulary and stay, even where a secret happens to be the word `pass`.
    #[must_use]
    pub fn report(&self, mut report: Report) -> Redacted {
        if self.knows_nothing() {
            // Many tools have no secrets at all, and a report may have tens of thousands of findings.
            return Redacted(report);
        }
        // Named member by member, so that a new member does not compile before it was thought of.
        let Report {
            schema: _,
            tool: _,
            subject:
                Subject {
                    kind: _,
                    name,
                    commit,
                },
            started_at: _,
            ended_at: _,
            verdict: _,
            reason: _,
            summary,
            next,
            checks,
            findings,
            inputs,
            not_covered,
            series,
            details,
        } = &mut report;
        self.string(name);
        self.optional(commit);
        self.string(summary);
        self.strings(next);
        checks.iter_mut().for_each(|check| self.check(check));
        for Input {
            path,
            format,
            outcome: _,
            sha256: _,
            age_seconds: _,
            more,
        } in inputs
        {
            self.string(path);
            self.string(format);
            self.members(more);
        }
        findings
            .iter_mut()
            .for_each(|finding| self.finding(finding));
        self.strings(not_covered);
        for Series {
            name,
            unit: _,
            points: _,
        } in series
        {
            self.string(name);
        }
        self.map(details);
        Redacted(report)
    }

    fn finding(&self, finding: &mut Finding) {
        let Finding {
            rule,
            title,
            severity: _,
            ids,
            package,
            place,
            places,
            sources,
            fingerprint: _,
            blocking: _,
            suppressed,
            message,
            advice,
            more,
        } = finding;
        self.string(rule);
        self.string(title);
        self.strings(ids);
        if let Some(Package {
            ecosystem: _,
            name,
            version,
            fixed,
        }) = package
        {
            self.string(name);
            self.optional(version);
            self.optional(fixed);
        }
        for Spot {
            path,
            line: _,
            commit: _,
        } in place.iter_mut().chain(places)
        {
            self.string(path);
        }
        self.strings(sources);
        if let Some(suppressed) = suppressed {
            let Suppressed {
                by: _,
                reason,
                owner,
                expires: _,
                place,
            } = &mut **suppressed;
            self.optional(reason);
            self.optional(owner);
            self.optional(place);
        }
        self.optional(message);
        self.strings(advice);
        self.members(more);
    }

    fn check(&self, check: &mut Check) {
        let Check {
            id,
            title,
            target,
            verdict: _,
            reason: _,
            message,
            observed,
            expected,
            attempts: _,
            duration_ms: _,
            evidence,
            reproduce,
            place,
            tags,
            flaky: _,
            tries,
            broken,
        } = check;
        self.string(id);
        self.string(title);
        self.optional(target);
        self.optional(message);
        self.quantity(observed);
        self.optional(expected);
        for Evidence { label, text } in evidence {
            self.string(label);
            self.string(text);
        }
        self.optional(reproduce);
        if let Some(place) = place {
            self.string(&mut place.path);
        }
        self.strings(tags);
        for Try {
            at_ms: _,
            duration_ms: _,
            outcome: _,
            message,
            phases_ms: _,
        } in tries
        {
            self.optional(message);
        }
        for Broken {
            verdict: _,
            reason: _,
            message,
            observed,
            expected,
        } in broken
        {
            self.string(message);
            self.quantity(observed);
            self.optional(expected);
        }
    }

    fn quantity(&self, quantity: &mut Option<Quantity>) {
        if let Some(Quantity { value, unit: _ }) = quantity {
            self.value(value);
        }
    }

    fn map(&self, members: &mut Map<String, Value>) {
        let mut whole = Value::Object(std::mem::take(members));
        self.value(&mut whole);
        if let Value::Object(clean) = whole {
            *members = clean;
        }
    }

    /// The tool's own members: their values may be shared.
    fn members(&self, members: &mut Members) {
        let mut whole = Map::from(std::mem::take(members));
        self.map(&mut whole);
        *members = whole.into_iter().collect();
    }

    fn strings<T: Deref<Target = str> + From<String>>(&self, texts: &mut [T]) {
        texts.iter_mut().for_each(|text| self.string(text));
    }

    fn optional<T: Deref<Target = str> + From<String>>(&self, text: &mut Option<T>) {
        if let Some(text) = text {
            self.string(text);
        }
    }

    fn string<T: Deref<Target = str> + From<String>>(&self, text: &mut T) {
        if let Cow::Owned(clean) = self.text(text) {
            *text = clean.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_any_text_of_a_report_is_gone() {
        let golden = include_str!("../../tests/golden/report-v1.json");
        let clean: Report = serde_json::from_str(golden).unwrap();
        // Every text member in turn, found by walking the JSON form.
        for word in [
            "staging.example",
            "pipeline",
            "operational",
            "expected 200",
            "services",
        ] {
            assert!(golden.contains(word));
            let redactor = Redactor::new();
            redactor.add("word", word).unwrap();
            let redacted = redactor.report(clean.clone());
            let shown = serde_json::to_string(&*redacted).unwrap();
            assert!(!shown.contains(word), "{word} in {shown}");
        }
    }

    #[test]
    fn our_own_words_stay() {
        let golden = include_str!("../../tests/golden/report-v1.json");
        let redactor = Redactor::new();
        redactor.add("silly", "fail").unwrap();
        redactor.add("silly", "checks_failed").unwrap();
        let redacted = redactor.report(serde_json::from_str(golden).unwrap());
        assert_eq!(redacted.reason, "checks_failed");
        assert_eq!(serde_json::to_value(redacted.verdict).unwrap(), "fail");
    }
}
