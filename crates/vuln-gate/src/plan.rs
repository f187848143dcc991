//! The least upgrades that clear the gate, as far as the reports tell.
//!
//! Every blocking vulnerability of a package needs one version of it that mends all of them; where the
//! report knows the direct dependency that brings the package in, or the scanner itself proposes an
//! upgrade (npm audit), that one is named. Which version mends is read from what the scanners list as
//! fixed; branches count: of 2.3.1 and 3.0.2, version 3.0.0 is in the second branch and has no fix.
//! Where an ecosystem's order cannot be told, the versions are named as the report writes them, and no
//! least one is claimed.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use gs_common::versions::{compare, is_major_bump, is_prerelease};
use hashbrown::HashMap;
use serde_json::{Value, json};

use crate::model::{Class, FixBy, Vulnerability};

/// Steps, and findings without one, that the report lists; the rest is counted.
const MOST_TOLD: usize = 1_000;

/// Where there are so many, those that are not going to be told are let go: a large report has tens of thousands.
const MOST_HELD: usize = 4 * MOST_TOLD;

/// One upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The package to upgrade.
    pub package: String,
    /// Its type, as in a package URL.
    pub ecosystem: Option<String>,
    /// The versions in use.
    pub from: Vec<String>,
    /// The version to go to; several where their order is not known: the newest of them.
    pub to: Vec<String>,
    /// It may break things; absent where that cannot be told.
    pub major: Option<bool>,
    /// The package is one that the project itself asks for; absent where no report tells.
    pub direct: Option<bool>,
    /// The direct dependencies that bring it in.
    pub parents: Vec<String>,
    /// The vulnerable packages that it mends, where they are others.
    pub mends: Vec<String>,
    /// The ids of the vulnerabilities that it clears.
    pub clears: Vec<String>,
    /// What to type.
    pub command: Option<String>,
}

/// A blocking finding that no upgrade clears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// The vulnerability's id.
    pub rule: String,
    /// The package that it is in, with its version.
    pub package: String,
    /// Why.
    pub why: String,
}

/// What to do so that nothing blocks any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The upgrades, the one that clears most first.
    pub steps: Vec<Step>,
    /// What is left after them.
    pub stuck: Vec<Stuck>,
    /// Upgrades that clear less than those that are told, and are only counted.
    pub steps_left_out: usize,
    /// The same of what is left.
    pub stuck_left_out: usize,
}

/// A package in the versions that are in use, with everything that blocks in it.
#[derive(Default)]
struct Group<'a> {
    found: Vec<&'a Vulnerability>,
    versions: Vec<&'a str>,
    direct: Option<bool>,
    parents: Vec<&'a str>,
}

/// Makes the plan for the vulnerabilities that block.
#[must_use]
pub fn of<'a>(blocking: impl IntoIterator<Item = &'a Vulnerability>) -> Plan {
    let mut plan = Plan::default();
    let mut groups: Vec<((Option<&str>, &str), Group<'_>)> = Vec::new();
    let mut known: HashMap<(Option<&str>, &str), usize> = HashMap::default();
    let mut proposed: BTreeMap<(Option<String>, String, String), Step> = BTreeMap::new();
    for v in blocking {
        let package = v.package();
        let (Class::Vulnerability | Class::Maintenance, Some(package)) = (v.class, package) else {
            let why = format!(
                "a finding of class `{}` is not mended by an upgrade",
                v.class
            );
            plan.add_stuck(stuck(v, why));
            continue;
        };
        if v.malicious {
            let why = "the package itself is malicious: take it out, and rotate what it could read";
            plan.add_stuck(stuck(v, why.to_owned()));
            continue;
        }
        if let Some(fix) = proposal(v) {
            propose(&mut proposed, v, fix);
            continue;
        }
        let name = (package.ecosystem.as_deref(), &*package.name);
        let at = *known.entry(name).or_insert_with(|| {
            groups.push((name, Group::default()));
            groups.len() - 1
        });
        let Some((_, group)) = groups.get_mut(at) else {
            continue;
        };
        group.found.push(v);
        // Old npm reports list all versions in use in one text.
        let versions = v.versions().into_iter();
        group.versions.extend(
            versions
                .flat_map(|text| text.split([',', ' ']))
                .filter(|text| !text.is_empty()),
        );
        for (_, row) in &v.rows {
            group
                .parents
                .extend(row.parents.iter().map(|parent| &**parent));
            // One report that sees it as direct is enough: it can then be upgraded where it is named.
            group.direct = match (group.direct, row.direct) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (one, other) => one.or(other),
            };
        }
    }
    drop(known);
    for mut step in proposed.into_values() {
        step.mends.sort();
        step.mends.dedup();
        plan.add(step);
    }
    for ((ecosystem, name), mut group) in groups {
        for list in [&mut group.versions, &mut group.parents] {
            list.sort_unstable();
            list.dedup();
        }
        upgrade(&mut plan, ecosystem, name, &group);
    }
    plan.rank();
    plan
}

fn stuck(v: &Vulnerability, why: String) -> Stuck {
    let package = v.package().map_or_else(String::new, |package| {
        let versions = v.versions().join(", ");
        format!("{} {versions}", package.name).trim_end().to_owned()
    });
    Stuck {
        rule: v.rule.to_string(),
        package,
        why,
    }
}

/// The scanner's own proposal, where every row that has one agrees.
fn proposal(v: &Vulnerability) -> Option<&FixBy> {
    let mut fixes = v.rows.iter().filter_map(|(_, row)| row.fix_by.as_ref());
    let first = fixes.next()?;
    fixes.all(|fix| fix == first).then_some(first)
}

fn propose(
    proposed: &mut BTreeMap<(Option<String>, String, String), Step>,
    v: &Vulnerability,
    fix: &FixBy,
) {
    let ecosystem = v
        .package()
        .and_then(|package| package.ecosystem.as_deref())
        .map(str::to_owned);
    let own = v.package().map(|package| package.name.to_string());
    let same = own.as_deref() == Some(&*fix.name);
    let key = (
        ecosystem.clone(),
        fix.name.to_string(),
        fix.version.to_string(),
    );
    let step = proposed.entry(key).or_insert_with(|| Step {
        package: fix.name.to_string(),
        ecosystem: ecosystem.clone(),
        from: Vec::new(),
        to: vec![fix.version.to_string()],
        major: Some(fix.major),
        // npm proposes upgrades of what the project itself asks for.
        direct: Some(true),
        parents: Vec::new(),
        mends: Vec::new(),
        clears: Vec::new(),
        command: command(ecosystem.as_deref(), &fix.name, &fix.version, Some(true)),
    });
    if same {
        step.from
            .extend(v.versions().into_iter().map(str::to_owned));
        step.from.sort();
        step.from.dedup();
    } else {
        step.mends.extend(own);
    }
    step.clears.push(v.rule.to_string());
}

fn upgrade(plan: &mut Plan, ecosystem: Option<&str>, name: &str, group: &Group<'_>) {
    let mut wanted: Vec<(&Vulnerability, Vec<&str>)> = Vec::new();
    for v in group.found.iter().copied() {
        let fixed = fixed_versions(v);
        if fixed.is_empty() {
            plan.add_stuck(stuck(
                v,
                "no report names a version that mends it: replace the package, or accept it on record with an expiry".to_owned(),
            ));
        } else {
            wanted.push((v, fixed));
        }
    }
    if wanted.is_empty() {
        return;
    }
    let newest = newest(ecosystem, &group.versions);
    let target = if newest.is_none() && !group.versions.is_empty() {
        Least::OrderUnknown
    } else {
        least(ecosystem, newest, &wanted)
    };
    let (target, to) = match target {
        Least::Version(version) => (Some(version), vec![version.to_owned()]),
        Least::OrderUnknown => {
            let all: BTreeSet<&str> = wanted
                .iter()
                .flat_map(|(_, fixed)| fixed.iter().copied())
                .collect();
            (None, all.into_iter().map(str::to_owned).collect())
        }
        Least::NoneAbove => {
            for (v, fixed) in &wanted {
                let why = format!(
                    "fixed in {}, which is not above the version in use",
                    fixed.join(", ")
                );
                plan.add_stuck(stuck(v, why));
            }
            return;
        }
    };
    let major = match (target, newest) {
        (Some(to), Some(from)) => is_major_bump(ecosystem, from, to),
        _ => None,
    };
    plan.add(Step {
        package: name.to_owned(),
        ecosystem: ecosystem.map(str::to_owned),
        from: group
            .versions
            .iter()
            .map(|version| (*version).to_owned())
            .collect(),
        major,
        direct: group.direct,
        parents: group
            .parents
            .iter()
            .filter(|parent| **parent != name)
            .map(|parent| (*parent).to_owned())
            .collect(),
        mends: Vec::new(),
        clears: wanted.iter().map(|(v, _)| v.rule.to_string()).collect(),
        command: target.and_then(|version| command(ecosystem, name, version, group.direct)),
        to,
    });
}

/// The newest version in use. All of them have to be raised, so the upgrade is measured from it.
fn newest<'a>(ecosystem: Option<&str>, versions: &[&'a str]) -> Option<&'a str> {
    let mut all = versions.iter().copied();
    let mut newest = all.next()?;
    for version in all {
        match compare(ecosystem, version, newest)? {
            Ordering::Greater => newest = version,
            Ordering::Less | Ordering::Equal => {}
        }
    }
    Some(newest)
}

/// The versions that the rows name as fixed, taken out of lists and ranges: `>=1.2.3`, `1.2.3, 2.0.1`.
/// npm writes `<0.0.0` for "none".
fn fixed_versions(v: &Vulnerability) -> Vec<&str> {
    let mut versions: Vec<&str> = Vec::new();
    for text in v.fixed() {
        for part in text.split([',', '|', ' ']).filter(|part| !part.is_empty()) {
            let version = part.trim_start_matches(['>', '=', '^', '~']);
            // OSV lists commits of the repository beside releases.
            let is_commit =
                version.len() >= 40 && version.bytes().all(|byte| byte.is_ascii_hexdigit());
            let bound = is_commit
                || part.starts_with('<')
                || (part.starts_with('>') && !part.starts_with(">="));
            if bound
                || version.is_empty()
                || !version.starts_with(|c: char| c.is_ascii_alphanumeric())
            {
                continue;
            }
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
    }
    versions
}

/// What the least version is that mends all.
enum Least<'a> {
    Version(&'a str),
    /// The order of the ecosystem's versions cannot be told.
    OrderUnknown,
    /// No listed version is above the one in use and mends all.
    NoneAbove,
}

/// The least version above the one in use that mends all.
fn least<'a>(
    ecosystem: Option<&str>,
    from: Option<&str>,
    wanted: &[(&'a Vulnerability, Vec<&'a str>)],
) -> Least<'a> {
    match least_of(ecosystem, from, wanted) {
        Some(Some(version)) => Least::Version(version),
        Some(None) => Least::NoneAbove,
        None => Least::OrderUnknown,
    }
}

fn least_of<'a>(
    ecosystem: Option<&str>,
    from: Option<&str>,
    wanted: &[(&'a Vulnerability, Vec<&'a str>)],
) -> Option<Option<&'a str>> {
    let mut candidates: Vec<&'a str> = Vec::new();
    for version in wanted.iter().flat_map(|(_, fixed)| fixed.iter().copied()) {
        let above = match from {
            Some(from) => compare(ecosystem, version, from)?.is_gt(),
            None => true,
        };
        if above {
            candidates.push(version);
        }
    }
    candidates.sort();
    candidates.dedup();
    // In rising order the first that mends all is the least. A pre-release is nothing to move to unasked
    // where there is a release.
    let (early, mut candidates): (Vec<&'a str>, Vec<&'a str>) = candidates
        .into_iter()
        .partition(|version| is_prerelease(ecosystem, version));
    candidates = rising(ecosystem, &candidates)?;
    candidates.extend(rising(ecosystem, &early)?);
    // Many flaws of a package are mended in the same versions, and what one candidate fails at the next one
    // often does too: that one is asked first.
    let mut lists: Vec<&Vec<&str>> = wanted.iter().map(|(_, fixed)| fixed).collect();
    lists.sort();
    lists.dedup();
    for candidate in candidates {
        let mut failed = None;
        for (index, fixed) in lists.iter().enumerate() {
            if !mends(ecosystem, candidate, fixed)? {
                failed = Some(index);
                break;
            }
        }
        match failed {
            None => return Some(Some(candidate)),
            Some(index) => lists.swap(0, index),
        }
    }
    Some(None)
}

/// The versions in rising order, merged half by half; `None` where two of them cannot be compared. The
/// standard library's sort may panic where an order is not total, and this one is not where versions are strange.
fn rising<'a>(ecosystem: Option<&str>, versions: &[&'a str]) -> Option<Vec<&'a str>> {
    if versions.len() < 2 {
        return Some(versions.to_vec());
    }
    let (left, right) = versions.split_at(versions.len() / 2);
    let left = rising(ecosystem, left)?;
    let right = rising(ecosystem, right)?;
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    let mut merged = Vec::with_capacity(versions.len());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if compare(ecosystem, a, b)?.is_le() {
            left.next()
        } else {
            right.next()
        };
        merged.extend(next);
    }
    merged.extend(left.chain(right));
    Some(merged)
}

/// Whether a version has the fix of a vulnerability that is fixed in these: at or above the fix of its own
/// major branch, or, where that has none, above all fixes, so that its branch began after them.
fn mends(ecosystem: Option<&str>, version: &str, fixed: &[&str]) -> Option<bool> {
    let mut own_branch: Option<bool> = None;
    let mut above_all = true;
    for fix in fixed {
        let at_or_above = compare(ecosystem, version, fix)?.is_ge();
        above_all &= at_or_above;
        if *fix == version || is_major_bump(ecosystem, fix, version) == Some(false) {
            own_branch = Some(own_branch.unwrap_or(false) || at_or_above);
        }
    }
    Some(own_branch.unwrap_or(above_all))
}

/// What to type, where the ecosystem has one command for it. Names of foreign reports are only quoted into a
/// command where they hold nothing that a shell would read.
fn command(
    ecosystem: Option<&str>,
    name: &str,
    version: &str,
    direct: Option<bool>,
) -> Option<String> {
    let harmless = |text: &str| {
        !text.starts_with('-')
            && !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"@/._+-".contains(&byte))
    };
    if !harmless(name) || !harmless(version) {
        return None;
    }
    let bare = version.trim_start_matches('v');
    Some(match (ecosystem?, direct) {
        ("npm", Some(true)) => format!("npm install {name}@{version}"),
        ("npm", _) => format!("npm update {name}"),
        ("cargo", _) => format!("cargo update -p {name} --precise {bare}"),
        ("golang", _) => format!("go get {name}@v{bare}"),
        ("pypi", _) => format!("pip install '{name}>={version}'"),
        ("gem", _) => format!("bundle update {name}"),
        ("composer", _) => format!("composer update {name} --with-dependencies"),
        ("nuget", Some(true)) => format!("dotnet add package {name} --version {version}"),
        _ => return None,
    })
}

impl Step {
    /// One sentence: `upgrade lodash 4.17.20 to 4.17.21 (clears 3: CVE-..., ...)`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let from = self.from.join(", ");
        let from = if from.is_empty() {
            String::new()
        } else {
            format!(" {from}")
        };
        let to = match self.to.as_slice() {
            [one] => one.clone(),
            several => format!("the newest of {}", several.join(", ")),
        };
        let mut text = format!("upgrade {}{from} to {to}", self.package);
        match self.major {
            Some(true) => text.push_str(", a major step that may break things"),
            Some(false) => {}
            None => text.push_str(", and look whether it is a major step"),
        }
        if !self.parents.is_empty() && self.direct != Some(true) {
            text.push_str(&format!("; {} brings it in", self.parents.join(", ")));
        }
        if !self.mends.is_empty() {
            text.push_str(&format!("; it brings in {}", self.mends.join(", ")));
        }
        let mut clears: Vec<&str> = self.clears.iter().take(3).map(String::as_str).collect();
        if self.clears.len() > 3 {
            clears.push("...");
        }
        text.push_str(&format!(
            " (clears {}: {})",
            self.clears.len(),
            clears.join(", ")
        ));
        text
    }
}

impl Plan {
    fn add(&mut self, mut step: Step) {
        step.clears.sort();
        step.clears.dedup();
        self.steps.push(step);
        if self.steps.len() > MOST_HELD {
            self.rank();
            self.steps_left_out += self.steps.len() - MOST_TOLD;
            self.steps.truncate(MOST_TOLD);
        }
    }

    fn add_stuck(&mut self, stuck: Stuck) {
        self.stuck.push(stuck);
        if self.stuck.len() > MOST_HELD {
            self.rank();
            self.stuck_left_out += self.stuck.len() - MOST_TOLD;
            self.stuck.truncate(MOST_TOLD);
        }
    }

    /// Puts what clears most, and what is left, in the order in which they are told.
    fn rank(&mut self) {
        self.steps.sort_by(|a, b| {
            b.clears
                .len()
                .cmp(&a.clears.len())
                .then_with(|| a.package.cmp(&b.package))
                .then_with(|| a.ecosystem.cmp(&b.ecosystem))
        });
        self.stuck
            .sort_by(|a, b| (&a.package, &a.rule).cmp(&(&b.package, &b.rule)));
    }

    /// For `details.plan`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let left_out = self.steps_left_out + self.steps.len().saturating_sub(MOST_TOLD);
        let steps: Vec<Value> = self
            .steps
            .iter()
            .take(MOST_TOLD)
            .map(|step| {
                json!({
                    "package": step.package,
                    "ecosystem": step.ecosystem,
                    "from": step.from,
                    "to": step.to,
                    "major": step.major,
                    "direct": step.direct,
                    "parents": step.parents,
                    "mends": step.mends,
                    "clears": step.clears,
                    "command": step.command,
                    "sentence": step.sentence(),
                })
            })
            .collect();
        let stuck: Vec<Value> = self
            .stuck
            .iter()
            .take(MOST_TOLD)
            .map(|stuck| json!({"rule": stuck.rule, "package": stuck.package, "why": stuck.why}))
            .collect();
        let stuck_left_out = self.stuck_left_out + self.stuck.len().saturating_sub(MOST_TOLD);
        json!({
            "steps": steps, "steps_left_out": left_out,
            "without_fix": stuck, "without_fix_left_out": stuck_left_out,
        })
    }

    /// What to type next, at most so many lines, the upgrade that clears most first.
    #[must_use]
    pub fn next(&self, most: usize) -> Vec<String> {
        let steps = self.steps.iter().take(most);
        steps
            .map(|step| match &step.command {
                Some(command) => format!("{command}   # {}", step.sentence()),
                None => step.sentence(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
