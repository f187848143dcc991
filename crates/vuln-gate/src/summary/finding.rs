//! A vulnerability as a finding of the report.

use std::collections::HashMap;
use std::sync::Arc;

use gs_common::finding::{Finding, Package, Severity, Spot, Suppressed};
use gs_common::fingerprint;
use gs_common::members::{Member, Members};
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::judge::{Decision, Effect};
use crate::model::{
    Disagreement, Format, InputReport, PackageRef, Row, ScannerSuppression, Scope, Text,
    Vulnerability,
};

/// Places of one finding that are listed; a base image's flaw can be in hundreds of targets.
const MOST_PLACES: usize = 100;

/// Who suppresses what the scanner was told to ignore.
pub(super) const SCANNER: &str = "scanner";

/// Makes findings, which share what many of them say.
pub(super) struct Maker<'a> {
    inputs: &'a [InputReport],
    sources: HashMap<Format, Text>,
    ranges: HashMap<(Severity, Severity), Arc<Value>>,
    days: HashMap<Date, Text>,
}

impl<'a> Maker<'a> {
    /// One for the findings of these inputs.
    pub(super) fn new(inputs: &'a [InputReport]) -> Self {
        Self {
            inputs,
            sources: HashMap::new(),
            ranges: HashMap::new(),
            days: HashMap::new(),
        }
    }

    pub(super) fn finding(
        &mut self,
        vulnerability: &Vulnerability,
        decision: &Decision,
        introduced: Option<bool>,
    ) -> Finding {
        let v = vulnerability;
        let mut places: Vec<Spot> = Vec::with_capacity(v.rows.len().min(MOST_PLACES));
        for (_, row) in &v.rows {
            if let Some(spot) = spot(row)
                && places.len() < MOST_PLACES
                && !places.contains(&spot)
            {
                places.push(spot);
            }
        }
        places.shrink_to_fit();
        let title = v.rows.iter().find_map(|(_, row)| row.title.clone());
        Finding {
            rule: v.rule.clone(),
            title: title.unwrap_or_else(|| v.rule.clone()),
            severity: v.severity,
            ids: v.ids.clone(),
            package: v.package().map(|package| package_of(v, package)),
            place: places.first().cloned(),
            places,
            sources: self.sources(v),
            fingerprint: fingerprint_of(v).into(),
            blocking: decision.effect == Effect::Block,
            suppressed: suppressed(v, decision).map(Box::new),
            message: Some(decision.words.clone()),
            advice: advice(v),
            more: self.more(v, decision, introduced),
        }
    }

    fn sources(&mut self, v: &Vulnerability) -> Vec<Text> {
        let inputs = v.rows.iter();
        let inputs = inputs.filter_map(|(number, _)| self.inputs.get(*number));
        let mut formats: Vec<Format> = Vec::with_capacity(1);
        for input in inputs {
            if !formats.contains(&input.format) {
                formats.push(input.format);
            }
        }
        let mut sources: Vec<Text> = formats
            .into_iter()
            .map(|format| {
                let known = self.sources.entry(format);
                known.or_insert_with(|| format.as_str().into()).clone()
            })
            .collect();
        sources.sort();
        sources
    }

    fn range(&mut self, differs: &Disagreement) -> Member {
        let ends = (differs.lowest, differs.highest);
        let known = self.ranges.entry(ends);
        let range = known.or_insert_with(|| Arc::new(json!([ends.0, ends.1])));
        Member::Other(Arc::clone(range))
    }

    fn day(&mut self, day: Date) -> Text {
        let known = self.days.entry(day);
        known.or_insert_with(|| day.to_string().into()).clone()
    }

    fn more(
        &mut self,
        v: &Vulnerability,
        decision: &Decision,
        introduced: Option<bool>,
    ) -> Members {
        let mut more = Members::with_capacity(6);
        more.insert("class", v.class.as_str());
        more.insert("effect", decision.effect.as_str());
        more.insert("decided_by", decision.rule);
        if let Some(differs) = &v.disagreement {
            more.insert("severity_range", self.range(differs));
        }
        if v.malicious {
            more.insert("malicious", Member::Flag(true));
        }
        if v.known_exploited {
            more.insert("known_exploited", Member::Flag(true));
        }
        let epss = v
            .rows
            .iter()
            .filter_map(|(_, row)| row.epss)
            .reduce(f32::max);
        if let Some(epss) = epss {
            // A float of 32 bits widened would show digits that nobody measured.
            let epss = (f64::from(epss) * 1e5).round() / 1e5;
            more.insert("epss", Value::from(epss));
        }
        if let Some(published) = v.published() {
            more.insert("published", self.day(published));
        }
        if let Some(introduced) = introduced {
            let change = if introduced {
                "introduced"
            } else {
                "unchanged"
            };
            more.insert("change", change);
        }
        if v.rows.iter().any(|(_, row)| row.scope != Scope::Unknown) {
            let scope = if v.development_only() {
                "development"
            } else {
                "production"
            };
            more.insert("scope", scope);
        }
        let direct = v.rows.iter().filter_map(|(_, row)| row.direct).max();
        if let Some(direct) = direct {
            more.insert("direct", Member::Flag(direct));
        }
        let mut parents: Vec<&str> = v
            .rows
            .iter()
            .flat_map(|(_, row)| &row.parents)
            .map(|parent| &**parent)
            .collect();
        parents.sort_unstable();
        parents.dedup();
        if !parents.is_empty() {
            parents.truncate(20);
            more.insert("parents", json!(parents));
        }
        let url = v.rows.iter().find_map(|(_, row)| row.url.as_ref());
        if let Some(url) = url {
            more.insert("url", url.clone());
        }
        if v.rows.len() > 1 {
            more.insert("rows", Value::from(v.rows.len()));
        }
        more.shrink_to_fit();
        more
    }
}

fn package_of(v: &Vulnerability, package: &PackageRef) -> Package {
    let join = |list: Vec<&str>| (!list.is_empty()).then(|| Text::from(list.join(", ")));
    let (version, fixed) = match v.rows.as_slice() {
        [(_, row)] if row.fixed.len() < 2 => (package.version.clone(), row.fixed.first().cloned()),
        _ => (join(v.versions()), join(v.fixed())),
    };
    Package {
        ecosystem: package.ecosystem.clone(),
        name: package.name.clone(),
        version,
        fixed,
    }
}

/// What stays the same over runs: class, package, and the id that people know it by; without a package rule
/// and place.
pub(super) fn fingerprint_of(v: &Vulnerability) -> String {
    let place = v
        .rows
        .first()
        .and_then(|(_, row)| row.path.as_deref().or(row.target.as_deref()));
    let line = v
        .rows
        .first()
        .and_then(|(_, row)| row.line)
        .map(|line| line.to_string());
    let title = v.rows.first().and_then(|(_, row)| row.title.as_deref());
    match v.package() {
        Some(package) => fingerprint::plain(
            "vuln-gate/package",
            &[
                v.class.as_str(),
                package.ecosystem.as_deref().unwrap_or_default(),
                &package.name,
                &v.rule,
            ],
        ),
        None => fingerprint::plain(
            "vuln-gate/place",
            &[
                v.class.as_str(),
                &v.rule,
                place.unwrap_or_default(),
                line.as_deref().unwrap_or_default(),
                title.unwrap_or_default(),
            ],
        ),
    }
}

fn spot(row: &Row) -> Option<Spot> {
    let path = row.path.as_ref().or(row.target.as_ref())?;
    Some(Spot {
        path: path.clone(),
        line: row.line,
        commit: None,
    })
}

/// The suppression on the scanner's side that decided on a vulnerability.
pub(super) fn suppression<'a>(
    v: &'a Vulnerability,
    decision: &Decision,
) -> Option<&'a ScannerSuppression> {
    let decided = decision.rule == "scanner_suppressed";
    let mut rows = v.rows.iter().filter(|_| decided);
    rows.find_map(|(_, row)| row.suppressed.as_deref())
}

fn suppressed(v: &Vulnerability, decision: &Decision) -> Option<Suppressed> {
    let known = suppression(v, decision)?;
    Some(Suppressed {
        by: SCANNER.to_owned(),
        reason: known.reason.as_deref().map(str::to_owned),
        owner: None,
        expires: known.expires.map(|day| day.to_string()),
        place: known.place.as_deref().map(str::to_owned),
    })
}

fn advice(v: &Vulnerability) -> Vec<String> {
    let mut advice = Vec::new();
    if v.malicious {
        advice.push(
            "remove the package, and treat every machine that installed it as broken into"
                .to_owned(),
        );
    }
    for (_, row) in &v.rows {
        if let Some(fix) = &row.fix_by {
            let major = if fix.major { " (a major step)" } else { "" };
            let line = format!("upgrade {} to {}{major}", fix.name, fix.version);
            if !advice.contains(&line) {
                advice.push(line);
            }
        }
    }
    advice
}
