//! One flaw, one finding: rows of all inputs that share a package and an id become one vulnerability.
//!
//! Ids are joined transitively inside one package, never across packages: CVE-2021-1 in `a` and in `b` are
//! two things to mend. What is in no package (a line of code, a setting) is the same where rule and place
//! are.

use gs_common::finding::Severity;
use hashbrown::{HashMap, HashSet};

use crate::model::{Class, Disagreement, Format, InputReport, Row, Text, Vulnerability};
use crate::names::fame;
use crate::severity::span;

/// Whose word counts for the severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeverityFrom {
    /// The highest that any source's label or vector gives.
    #[default]
    Highest,
    /// The highest of what the scanners themselves conclude for their rows.
    Scanner,
}

/// Two packages are the same where their names are, unless both name an ecosystem and these differ.
fn same_ecosystem(left: Option<&Text>, right: Option<&Text>) -> bool {
    left.is_none() || right.is_none() || left == right
}

struct Union {
    parent: Vec<usize>,
}

impl Union {
    fn root(&mut self, mut at: usize) -> usize {
        while let Some(&up) = self.parent.get(at)
            && up != at
        {
            // Halves the way for the next one.
            let grand = self.parent.get(up).copied().unwrap_or(up);
            if let Some(slot) = self.parent.get_mut(at) {
                *slot = grand;
            }
            at = grand;
        }
        at
    }

    fn join(&mut self, left: usize, right: usize) {
        let (left, right) = (self.root(left), self.root(right));
        // The earlier row leads, so that the order of the inputs is kept.
        if let Some(slot) = self.parent.get_mut(left.max(right)) {
            *slot = left.min(right);
        }
    }
}

/// Joins the rows of all inputs, which are left without rows. The order is that of first mention.
#[must_use]
pub fn merge(inputs: &mut [InputReport], from: SeverityFrom) -> Vec<Vulnerability> {
    let mut rows: Vec<(usize, Box<Row>)> = Vec::new();
    for (number, input) in inputs.iter_mut().enumerate() {
        rows.extend(
            std::mem::take(&mut input.rows)
                .into_iter()
                .map(|row| (number, row)),
        );
    }
    let groups = groups(&rows);
    // A row is large, and most vulnerabilities have one: each gets the room that it needs.
    let mut sizes = vec![0_usize; rows.len()];
    for group in &groups {
        if let Some(size) = sizes.get_mut(*group) {
            *size += 1;
        }
    }
    let count = sizes.iter().filter(|size| **size > 0).count();
    let mut vulnerabilities: Vec<Vulnerability> = Vec::with_capacity(count);
    let mut place: HashMap<usize, usize> = HashMap::default();
    for ((number, row), group) in rows.into_iter().zip(groups) {
        let at = *place.entry(group).or_insert_with(|| {
            vulnerabilities.push(Vulnerability {
                class: row.class,
                rule: Text::from(""),
                ids: Vec::new(),
                severity: Severity::Unknown,
                disagreement: None,
                malicious: false,
                known_exploited: false,
                rows: Vec::with_capacity(sizes.get(group).copied().unwrap_or(1)),
            });
            vulnerabilities.len() - 1
        });
        if let Some(vulnerability) = vulnerabilities.get_mut(at) {
            vulnerability.rows.push((number, row));
        }
    }
    for vulnerability in &mut vulnerabilities {
        conclude(vulnerability, from);
    }
    vulnerabilities
}

/// What a thing is known by: its class, the package or place, an id, the line.
type Name<'a> = (Class, &'a str, &'a str, Option<u32>);

/// The group of each row, named by the number of its first row.
fn groups(rows: &[(usize, Box<Row>)]) -> Vec<usize> {
    let mut union = Union {
        parent: (0..rows.len()).collect(),
    };
    let mut known: HashMap<Name<'_>, Vec<(Option<&Text>, usize)>> = HashMap::default();
    for (at, (_, row)) in rows.iter().enumerate() {
        let ecosystem = row
            .package
            .as_ref()
            .and_then(|package| package.ecosystem.as_ref());
        let mut meet = |key, union: &mut Union| {
            let there = known.entry(key).or_default();
            for (other, first) in there.iter() {
                if same_ecosystem(*other, ecosystem) {
                    union.join(*first, at);
                }
            }
            if !there.iter().any(|(other, _)| *other == ecosystem) {
                there.push((ecosystem, at));
            }
        };
        match &row.package {
            Some(package) if row.class != Class::License => {
                for id in row.ids() {
                    meet((row.class, &*package.name, id, None), &mut union);
                }
            }
            _ => {
                let place = row
                    .path
                    .as_deref()
                    .or(row.target.as_deref())
                    .unwrap_or_default();
                let name = row.package.as_ref().map_or(place, |package| &*package.name);
                let id = if row.id.is_empty() {
                    row.title.as_deref().unwrap_or_default()
                } else {
                    &*row.id
                };
                meet((row.class, name, id, row.line), &mut union);
            }
        }
    }
    (0..rows.len()).map(|at| union.root(at)).collect()
}

fn conclude(vulnerability: &mut Vulnerability, from: SeverityFrom) {
    let rows = &vulnerability.rows;
    let mut ids: Vec<Text> = rows
        .iter()
        .flat_map(|(_, row)| row.ids().cloned())
        .collect();
    ids.sort();
    ids.dedup();
    let first = rows
        .first()
        .map(|(_, row)| row.id.clone())
        .unwrap_or_default();
    vulnerability.rule = ids
        .iter()
        .min_by_key(|id| (fame(id), **id != first))
        .cloned()
        .unwrap_or(first);
    let said = rows
        .iter()
        .map(|(_, row)| row.severity)
        .max()
        .unwrap_or_default();
    let all = span(
        rows.iter()
            .flat_map(|(_, row)| row.ratings.iter().map(|rating| &**rating)),
    );
    let highest = all.map_or(said, |(_, high)| high.max(said));
    vulnerability.disagreement = all
        .filter(|(low, high)| low != high)
        .map(|(lowest, highest)| Disagreement { lowest, highest });
    vulnerability.malicious = rows.iter().any(|(_, row)| row.malicious());
    vulnerability.known_exploited = rows.iter().any(|(_, row)| row.known_exploited);
    vulnerability.severity = if vulnerability.malicious || vulnerability.known_exploited {
        Severity::Critical
    } else {
        match from {
            SeverityFrom::Highest => highest,
            SeverityFrom::Scanner => said,
        }
    };
    vulnerability.ids = ids;
}

/// What names a vulnerability across two sets of reports: every id in its package, or rule and place
/// without the line, which moves with every change above it.
fn identities(vulnerability: &Vulnerability) -> Vec<(Class, String, String)> {
    let class = vulnerability.class;
    match vulnerability.package() {
        Some(package) => vulnerability
            .ids
            .iter()
            .map(|id| (class, package.name.to_string(), id.to_string()))
            .collect(),
        None => vulnerability
            .rows
            .iter()
            .map(|(_, row)| {
                let place = row.path.as_deref().or(row.target.as_deref());
                let title = row.title.as_deref().unwrap_or_default();
                (
                    class,
                    format!("{} {}", row.id, place.unwrap_or_default()),
                    title.to_owned(),
                )
            })
            .collect(),
    }
}

/// What a change brought and took away.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// For each vulnerability now: it is not in the base.
    pub introduced: Vec<bool>,
    /// Those of the base that are gone.
    pub fixed: Vec<Vulnerability>,
}

/// Compares what is with what was.
#[must_use]
pub fn compare(now: &[Vulnerability], base: Vec<Vulnerability>) -> Change {
    let set = |list: &[Vulnerability]| -> HashSet<_> { list.iter().flat_map(identities).collect() };
    let (old, new) = (set(&base), set(now));
    let known = |vulnerability: &Vulnerability, set: &HashSet<_>| {
        identities(vulnerability)
            .iter()
            .any(|identity| set.contains(identity))
    };
    Change {
        introduced: now.iter().map(|one| !known(one, &old)).collect(),
        fixed: base.into_iter().filter(|one| !known(one, &new)).collect(),
    }
}

/// The numbers of a report's own rows, as its scanner would count them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows as the report lists them.
    pub rows: u64,
    /// Distinct ones.
    pub unique: u64,
    /// Rows by severity, in the order of [`Severity::ALL`].
    pub severities: [u64; 6],
    /// Rows that are counted apart: misconfigurations and so on, by class and severity.
    pub apart: Vec<(Class, Severity, u64)>,
    /// Rows that the scanner itself suppresses.
    pub suppressed: u64,
    /// Every id that is named, sorted.
    pub ids: Vec<Text>,
}

/// Counts the rows of an input; before [`merge`], which takes them.
#[must_use]
pub fn counts(input: &InputReport) -> Counts {
    let mut counts = Counts::default();
    let mut unique: HashSet<_> = HashSet::default();
    let mut ids: HashSet<&Text> = HashSet::default();
    for row in &input.rows {
        ids.extend(row.ids());
        if row.suppressed.is_some() {
            counts.suppressed += 1;
            continue;
        }
        if !crate::formats::sink::Sink::counted(input.format, row) {
            let there = counts
                .apart
                .iter_mut()
                .find(|(class, severity, _)| (*class, *severity) == (row.class, row.severity));
            match there {
                Some((_, _, count)) => *count += 1,
                None => counts.apart.push((row.class, row.severity, 1)),
            }
            continue;
        }
        counts.rows += 1;
        let at = Severity::ALL
            .iter()
            .position(|severity| *severity == row.severity);
        if let Some(count) = at.and_then(|at| counts.severities.get_mut(at)) {
            *count += 1;
        }
        let package = row.package.as_ref();
        unique.insert(if input.format == Format::Sarif {
            (&*row.id, row.path.as_deref(), None, None, row.line)
        } else {
            (
                &*row.id,
                package.map(|package| &*package.name),
                package.and_then(|package| package.version.as_deref()),
                row.target.as_deref(),
                None,
            )
        });
    }
    counts.unique = unique.len() as u64;
    counts.ids = ids.into_iter().cloned().collect();
    counts.ids.sort();
    counts.apart.sort();
    counts
}

#[cfg(test)]
mod tests;
