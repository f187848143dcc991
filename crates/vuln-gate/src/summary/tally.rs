//! Numbers over all findings.

use std::collections::BTreeMap;

use gs_common::finding::Severity;

use crate::judge::{Decision, Effect};
use crate::model::{Class, Vulnerability};

/// Numbers over all findings.
#[derive(Default)]
pub(super) struct Tally {
    /// Findings that block, by class.
    pub(super) blocking: BTreeMap<Class, u64>,
    /// Findings that warn, by class.
    pub(super) warning: BTreeMap<Class, u64>,
    /// Findings by class and severity, suppressed ones included.
    pub(super) all: BTreeMap<Class, BTreeMap<Severity, u64>>,
    pub(super) suppressed: BTreeMap<String, u64>,
    pub(super) rules: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts one, with what accepts it.
    pub(super) fn add(&mut self, v: &Vulnerability, decision: &Decision, by: Option<&str>) {
        let class = v.class;
        let by_severity = self.all.entry(class).or_default();
        *by_severity.entry(v.severity).or_default() += 1;
        *self.rules.entry(decision.rule).or_default() += 1;
        if let Some(by) = by {
            *self.suppressed.entry(by.to_owned()).or_default() += 1;
        } else if decision.effect == Effect::Block {
            *self.blocking.entry(class).or_default() += 1;
        } else if decision.effect == Effect::Warn {
            *self.warning.entry(class).or_default() += 1;
        }
    }

    pub(super) fn blocking(&self) -> u64 {
        self.blocking.values().sum()
    }

    pub(super) fn warning(&self) -> u64 {
        self.warning.values().sum()
    }

    pub(super) fn total(&self) -> u64 {
        self.all.values().flat_map(BTreeMap::values).sum()
    }
}
