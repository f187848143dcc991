//! A vulnerability as a finding of the report.

use gs_common::finding::{Finding, Package, Spot, Suppressed};
use gs_common::fingerprint;
use serde_json::{Map, Value, json};

use crate::judge::{Decision, Effect};
use crate::model::{Row, Scope, Vulnerability};
use crate::run::Judged;

/// Places of one finding that are listed; a base image's flaw can be in hundreds of targets.
const MOST_PLACES: usize = 100;

pub(super) fn finding(
    vulnerability: &Vulnerability,
    decision: &Decision,
    introduced: Option<bool>,
    judged: &Judged,
) -> Finding {
    let v = vulnerability;
    let package = v.package().map(|package| {
        let join = |list: Vec<&str>| (!list.is_empty()).then(|| list.join(", "));
        Package {
            ecosystem: package.ecosystem.as_deref().map(str::to_owned),
            name: package.name.to_string(),
            version: join(v.versions()),
            fixed: join(v.fixed()),
        }
    });
    let mut places: Vec<Spot> = Vec::new();
    for (_, row) in &v.rows {
        if let Some(spot) = spot(row)
            && places.len() < MOST_PLACES
            && !places.contains(&spot)
        {
            places.push(spot);
        }
    }
    let mut sources: Vec<String> = v
        .rows
        .iter()
        .filter_map(|(number, _)| judged.inputs.get(*number))
        .map(|input| input.format.as_str().to_owned())
        .collect();
    sources.sort();
    sources.dedup();
    let title = v.rows.iter().find_map(|(_, row)| row.title.as_deref());
    Finding {
        rule: v.rule.to_string(),
        title: title.unwrap_or(&v.rule).to_owned(),
        severity: v.severity,
        ids: v.ids.iter().map(|id| id.to_string()).collect(),
        place: places.first().cloned(),
        places,
        sources,
        fingerprint: fingerprint_of(v),
        blocking: decision.effect == Effect::Block,
        suppressed: suppressed(v, decision),
        message: Some(decision.words.clone()),
        advice: advice(v),
        more: more(v, decision, introduced),
        package,
    }
}

/// What stays the same over runs: class, package, and the id that people know it by; without a package rule
/// and place.
fn fingerprint_of(v: &Vulnerability) -> String {
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
    let path = row.path.as_deref().or(row.target.as_deref())?;
    Some(Spot {
        path: path.to_owned(),
        line: row.line,
        commit: None,
    })
}

fn suppressed(v: &Vulnerability, decision: &Decision) -> Option<Suppressed> {
    if decision.rule != "scanner_suppressed" {
        return None;
    }
    let known = v.rows.iter().find_map(|(_, row)| row.suppressed.as_ref())?;
    Some(Suppressed {
        by: "scanner".to_owned(),
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

fn more(v: &Vulnerability, decision: &Decision, introduced: Option<bool>) -> Map<String, Value> {
    let mut more = Map::new();
    more.insert("class".to_owned(), v.class.as_str().into());
    more.insert("effect".to_owned(), decision.effect.as_str().into());
    more.insert("decided_by".to_owned(), decision.rule.into());
    if let Some(differs) = &v.disagreement {
        more.insert(
            "severity_range".to_owned(),
            json!([differs.lowest, differs.highest]),
        );
    }
    if v.malicious {
        more.insert("malicious".to_owned(), true.into());
    }
    if v.known_exploited {
        more.insert("known_exploited".to_owned(), true.into());
    }
    let epss = v
        .rows
        .iter()
        .filter_map(|(_, row)| row.epss)
        .reduce(f32::max);
    if let Some(epss) = epss {
        // A float of 32 bits widened would show digits that nobody measured.
        let epss = (f64::from(epss) * 1e5).round() / 1e5;
        more.insert("epss".to_owned(), epss.into());
    }
    if let Some(published) = v.published() {
        more.insert("published".to_owned(), published.to_string().into());
    }
    if let Some(introduced) = introduced {
        let change = if introduced {
            "introduced"
        } else {
            "unchanged"
        };
        more.insert("change".to_owned(), change.into());
    }
    if v.rows.iter().any(|(_, row)| row.scope != Scope::Unknown) {
        let scope = if v.development_only() {
            "development"
        } else {
            "production"
        };
        more.insert("scope".to_owned(), scope.into());
    }
    let direct = v.rows.iter().filter_map(|(_, row)| row.direct).max();
    if let Some(direct) = direct {
        more.insert("direct".to_owned(), direct.into());
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
        more.insert("parents".to_owned(), json!(parents));
    }
    let url = v.rows.iter().find_map(|(_, row)| row.url.as_deref());
    if let Some(url) = url {
        more.insert("url".to_owned(), url.into());
    }
    if v.rows.len() > 1 {
        more.insert("rows".to_owned(), v.rows.len().into());
    }
    more
}
