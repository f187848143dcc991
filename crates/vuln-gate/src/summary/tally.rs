//! Numbers over all findings.

use std::collections::BTreeMap;

use gs_common::finding::{Finding, Severity};

use crate::model::Class;
use crate::run::Judged;

/// Numbers over all findings.
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
    pub(super) fn of(judged: &Judged, findings: &[Finding], warns: &[bool]) -> Self {
        let mut tally = Self {
            blocking: BTreeMap::new(),
            warning: BTreeMap::new(),
            all: BTreeMap::new(),
            suppressed: BTreeMap::new(),
            rules: BTreeMap::new(),
        };
        let both = judged.vulnerabilities.iter().zip(&judged.decisions);
        for ((finding, warns), (vulnerability, decision)) in findings.iter().zip(warns).zip(both) {
            let class = vulnerability.class;
            *tally
                .all
                .entry(class)
                .or_default()
                .entry(finding.severity)
                .or_default() += 1;
            *tally.rules.entry(decision.rule).or_default() += 1;
            if let Some(suppressed) = &finding.suppressed {
                *tally.suppressed.entry(suppressed.by.clone()).or_default() += 1;
            } else if finding.blocking {
                *tally.blocking.entry(class).or_default() += 1;
            } else if *warns {
                *tally.warning.entry(class).or_default() += 1;
            }
        }
        tally
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
