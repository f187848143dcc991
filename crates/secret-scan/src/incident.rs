//! One finding a secret: rows of all engines, commits and places that are the same secret, joined.
//!
//! Rows are the same secret if one of their readings has the same fingerprint, if one value contains the
//! other at the same place (engines cut the same text out differently), or if they are the two halves of
//! an AWS pair that stand beside each other. Rows whose value was masked by whoever wrote the report are
//! joined by rule and path, which is weaker, and is said.

use std::collections::{BTreeMap, BTreeSet};

use gs_common::finding::Spot;
use gs_common::secret::Secret;
use jiff::Timestamp;

use crate::formats::{Row, Verification};
use crate::value::{Key, is_aws_id, is_aws_secret, parts};

/// The halves of an AWS pair stand at most so many lines apart.
const PAIR_WITHIN_LINES: u32 = 4;

/// So many rows after a row are compared with it.
const MOST_NEIGHBOURS: usize = 64;

/// A value that is contained in another counts as the same from this length.
const SHORTEST_CONTAINED: usize = 8;

/// One secret.
#[derive(Clone, Debug, Default)]
pub struct Incident {
    /// Its identity.
    pub fingerprint: String,
    /// The identities of all readings, this one included, sorted.
    pub fingerprints: Vec<String>,
    /// The rule that tells most.
    pub rule: String,
    /// All rules, sorted.
    pub rules: Vec<String>,
    /// The engines, sorted.
    pub sources: Vec<String>,
    /// Where it stands and stood, sorted, each once.
    pub places: Vec<Spot>,
    /// How many rows of the engines it joins.
    pub rows: usize,
    /// What the issuer says: the worst of all rows.
    pub verification: Verification,
    /// The oldest commit that has it.
    pub first_seen: Option<Timestamp>,
    /// The newest commit that added it.
    pub last_seen: Option<Timestamp>,
    /// Whether HEAD has it; absent where nobody looked.
    pub in_head: Option<bool>,
    /// Joined by rule and path, because the value was masked.
    pub is_weak: bool,
    /// All readings, for hiding them and for looking for them.
    pub values: Vec<Secret>,
}

/// Joins rows. The result is in the order of rule, first place and fingerprint, whatever the order of
/// the rows was.
#[must_use]
pub fn join(rows: &[Row], key: &Key) -> Vec<Incident> {
    let readings: Vec<Readings> = rows.iter().map(|row| Readings::of(row, key)).collect();
    let mut sets = Sets::new(rows.len());
    let mut first_with: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, reading) in readings.iter().enumerate() {
        for fingerprint in &reading.fingerprints {
            let first = *first_with.entry(fingerprint).or_insert(index);
            sets.join(first, index);
        }
    }
    join_neighbours(rows, &mut sets);
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in 0..rows.len() {
        groups.entry(sets.root(index)).or_default().push(index);
    }
    let mut incidents: Vec<Incident> = groups
        .into_values()
        .map(|members| incident(&members, rows, &readings))
        .collect();
    incidents.sort_by(|a, b| {
        (&a.rule, a.places.first(), &a.fingerprint).cmp(&(
            &b.rule,
            b.places.first(),
            &b.fingerprint,
        ))
    });
    incidents
}

struct Readings {
    /// The main one first.
    fingerprints: Vec<String>,
}

impl Readings {
    fn of(row: &Row, key: &Key) -> Self {
        let Some(value) = row.value.as_ref().filter(|_| !row.is_redacted()) else {
            return Self {
                fingerprints: vec![key.of_place(&row.rule, &row.path)],
            };
        };
        let mut fingerprints = Vec::new();
        for text in std::iter::once(value).chain(&row.others) {
            fingerprints.push(key.fingerprint(text.expose()));
            let parts = parts(text.expose());
            fingerprints.extend(parts.iter().map(|part| key.fingerprint(part)));
        }
        let mut seen = BTreeSet::new();
        fingerprints.retain(|one| seen.insert(one.clone()));
        Self { fingerprints }
    }
}

/// Joins rows of one file in one commit whose values overlap or are an AWS pair.
fn join_neighbours(rows: &[Row], sets: &mut Sets) {
    let mut by_file: BTreeMap<(&str, Option<&str>), Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        if row.value.is_some() && !row.is_redacted() && row.line.is_some() {
            by_file
                .entry((&row.path, row.commit.as_deref()))
                .or_default()
                .push(index);
        }
    }
    for members in by_file.values_mut() {
        members.sort_by_key(|index| rows[*index].line);
        for (at, &one) in members.iter().enumerate() {
            // A line of a million columns may have more rows than can be compared with each other.
            for &other in members[at + 1..].iter().take(MOST_NEIGHBOURS) {
                let apart = distance(&rows[one], &rows[other]);
                if apart > PAIR_WITHIN_LINES {
                    break;
                }
                if (apart == 0 && overlap(&rows[one], &rows[other]))
                    || pair(&rows[one], &rows[other])
                {
                    sets.join(one, other);
                }
            }
        }
    }
}

fn distance(one: &Row, other: &Row) -> u32 {
    one.line.unwrap_or(0).abs_diff(other.line.unwrap_or(0))
}

fn exposed(row: &Row) -> &str {
    row.value.as_ref().map_or("", Secret::expose)
}

fn overlap(one: &Row, other: &Row) -> bool {
    let (one, other) = (exposed(one), exposed(other));
    let (short, long) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    short.len() >= SHORTEST_CONTAINED && long.contains(short)
}

fn pair(one: &Row, other: &Row) -> bool {
    let halves = |id: &Row, secret: &Row| is_aws_id(exposed(id)) && is_aws_secret(exposed(secret));
    halves(one, other) || halves(other, one)
}

fn incident(members: &[usize], rows: &[Row], readings: &[Readings]) -> Incident {
    let mut members = members.to_vec();
    // The main reading is that of the rule that tells most, then of the longest value.
    members.sort_by(|a, b| {
        let rank = |index: usize| {
            let row = &rows[index];
            (
                is_generic(&row.rule),
                is_aws_secret(exposed(row)),
                std::cmp::Reverse(exposed(row).len()),
                row.engine,
                &readings[index].fingerprints,
                &row.rule,
            )
        };
        rank(*a).cmp(&rank(*b))
    });
    let of = |get: &dyn Fn(&Row) -> String| -> Vec<String> {
        let all: BTreeSet<String> = members.iter().map(|index| get(&rows[*index])).collect();
        all.into_iter().collect()
    };
    let main = members.first().copied().unwrap_or(0);
    let fingerprints: BTreeSet<String> = members
        .iter()
        .flat_map(|index| readings[*index].fingerprints.iter().cloned())
        .collect();
    let places: BTreeSet<Spot> = members.iter().map(|index| spot(&rows[*index])).collect();
    let times = || members.iter().filter_map(|index| rows[*index].at);
    let verification = members.iter().map(|index| rows[*index].verification).max();
    let mut values: BTreeSet<String> = BTreeSet::new();
    for row in members.iter().map(|index| &rows[*index]) {
        if !row.is_redacted() {
            for value in row.value.iter().chain(&row.others) {
                if values.insert(value.expose().to_owned()) {
                    values.extend(parts(value.expose()));
                }
            }
        }
    }
    Incident {
        fingerprint: readings[main]
            .fingerprints
            .first()
            .cloned()
            .unwrap_or_default(),
        fingerprints: fingerprints.into_iter().collect(),
        rule: rows[main].rule.clone(),
        rules: of(&|row| row.rule.clone()),
        sources: of(&|row| row.engine.to_owned()),
        places: places.into_iter().collect(),
        rows: members.len(),
        verification: verification.unwrap_or_default(),
        first_seen: times().min(),
        last_seen: times().max(),
        in_head: None,
        is_weak: members.iter().any(|index| rows[*index].is_redacted()),
        values: values.into_iter().map(Secret::new).collect(),
    }
}

fn spot(row: &Row) -> Spot {
    Spot {
        path: row.path.as_str().into(),
        line: row.line,
        commit: row.commit.as_deref().map(Into::into),
    }
}

/// Rules that only say "looks like one": any other rule tells more.
fn is_generic(rule: &str) -> bool {
    let rule = rule.to_ascii_lowercase();
    rule.contains("generic") || rule.contains("entropy") || rule == "uri"
}

/// Disjoint sets, with path halving.
struct Sets(Vec<usize>);

impl Sets {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.0[index] != index {
            self.0[index] = self.0[self.0[index]];
            index = self.0[index];
        }
        index
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.0[one.max(other)] = one.min(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(engine: &'static str, rule: &str, value: &str, place: (&str, u32, &str)) -> Row {
        Row {
            engine,
            rule: rule.to_owned(),
            value: Some(Secret::new(value)),
            path: place.0.to_owned(),
            line: Some(place.1),
            commit: (!place.2.is_empty()).then(|| place.2.to_owned()),
            ..Row::default()
        }
    }

    fn id() -> String {
        format!("AKIA{}", "QYLPMN5HFIQR7XYA")
    }

    #[track_caller]
    fn check(rows: &[Row], incidents: usize) -> Vec<Incident> {
        let joined = join(rows, &Key::default());
        assert_eq!(joined.len(), incidents, "{joined:?}");
        assert_eq!(joined.iter().map(|one| one.rows).sum::<usize>(), rows.len());
        joined
    }

    #[test]
    fn the_same_value_anywhere_is_one_secret() {
        let joined = check(
            &[
                row("gitleaks", "github-pat", "token-token-1", ("a", 1, "c1")),
                row("trufflehog", "Github", "token-token-1", ("b", 9, "c2")),
                row("gitleaks", "github-pat", "token-token-2", ("a", 1, "c2")),
            ],
            2,
        );
        assert_eq!(joined[0].sources, ["gitleaks", "trufflehog"]);
        assert_eq!(joined[0].places.len(), 2);
    }

    #[test]
    fn an_aws_pair_is_one_secret() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzzzzzzzzzz";
        let mut pair = row("trufflehog", "AWS", &id(), ("a", 3, "c1"));
        pair.others = vec![Secret::new(format!("{}:{secret}", id()))];
        let joined = check(
            &[
                row("gitleaks", "generic-api-key", secret, ("a", 4, "c1")),
                row("gitleaks", "aws-access-token", &id(), ("a", 3, "c1")),
                pair,
            ],
            1,
        );
        let key = Key::default();
        assert_eq!(joined[0].fingerprint, key.fingerprint(&id()));
        assert!(joined[0].fingerprints.contains(&key.fingerprint(secret)));
        // The halves far apart are two things to look at.
        check(
            &[
                row("gitleaks", "generic-api-key", secret, ("a", 40, "c1")),
                row("gitleaks", "aws-access-token", &id(), ("a", 3, "c1")),
            ],
            2,
        );
    }

    #[test]
    fn engines_that_cut_differently_mean_one_secret() {
        let joined = check(
            &[
                row(
                    "trufflehog",
                    "Postgres",
                    "postgres://u:longpassword@h/db",
                    ("a", 1, "c"),
                ),
                row("gitleaks", "generic-api-key", "longpassword", ("a", 1, "c")),
            ],
            1,
        );
        assert_eq!(joined[0].rule, "Postgres");
    }

    #[test]
    fn masked_rows_are_joined_by_rule_and_path_and_say_so() {
        let joined = check(
            &[
                row("gitleaks", "r", "REDACTED", ("a", 1, "c")),
                row("gitleaks", "r", "REDACTED", ("a", 7, "d")),
                row("gitleaks", "r", "REDACTED", ("b", 1, "c")),
            ],
            2,
        );
        assert!(
            joined
                .iter()
                .all(|one| one.is_weak && one.values.is_empty())
        );
    }

    #[test]
    fn the_worst_verification_counts() {
        let mut rows = [
            row("trufflehog", "r", "value-value", ("a", 1, "c")),
            row("trufflehog", "r", "value-value", ("b", 1, "c")),
        ];
        rows[0].verification = Verification::Verified;
        rows[1].verification = Verification::Failed;
        assert_eq!(check(&rows, 1)[0].verification, Verification::Verified);
    }

    proptest! {
        #[test]
        fn the_order_of_rows_does_not_matter(
            picks in prop::collection::vec((0..4usize, 0..3usize, 1..6u32), 0..30),
            turn in 0..30usize,
        ) {
            let rows: Vec<Row> = picks
                .iter()
                .map(|(value, path, line)| {
                    row("gitleaks", "r", &format!("value-{value}-{value}"), (["a", "b", "c"][*path], *line, "c"))
                })
                .collect();
            let mut turned = rows.clone();
            if !turned.is_empty() {
                let by = turn % turned.len();
                turned.rotate_left(by);
            }
            let key = Key::default();
            prop_assert_eq!(format!("{:?}", join(&rows, &key)), format!("{:?}", join(&turned, &key)));
        }
    }
}
