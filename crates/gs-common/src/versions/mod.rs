//! Versions of packages: which of two is newer, and whether one lies in a range.
//!
//! Ecosystems order versions differently, and a guess would excuse or block the wrong one. So there are
//! schemes, and where none can tell, the answer is `None`: not known, never "no" or "yes".
//!
//! | ecosystem (as in a package URL) | scheme |
//! |---|---|
//! | `npm`, `cargo`, `golang`, `nuget`, `composer`, `pub`, `hex`, `swift`, `github` | Semantic Versioning 2.0.0, with a leading `v` and one to four numbers allowed |
//! | `pypi` | [PEP 440](https://peps.python.org/pep-0440/) |
//! | `deb` | Debian's, [policy 5.6.12](https://www.debian.org/doc/debian-policy/ch-controlfields.html#version) |
//! | `rpm` | RPM's `rpmvercmp` |
//! | any other, or none | only dotted numbers are compared (`1.2.10`), and what differs in closing zeros alone is not known: `1.0` is older than `1.0.0` for some and the same for others |

mod distribution;
mod scheme;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use scheme::{Pep440, Semver, numbers};

/// Which of two versions is newer; `None` where the ecosystem's order cannot be told.
#[must_use]
pub fn compare(ecosystem: Option<&str>, left: &str, right: &str) -> Option<Ordering> {
    let (left, right) = (left.trim(), right.trim());
    if left == right {
        return (!left.is_empty()).then_some(Ordering::Equal);
    }
    match ecosystem {
        Some("pypi") => Some(Pep440::read(left)?.cmp(&Pep440::read(right)?)),
        Some("deb") => distribution::deb(left, right),
        Some("rpm") => distribution::rpm(left, right),
        Some(
            "npm" | "cargo" | "golang" | "nuget" | "composer" | "pub" | "hex" | "swift" | "github",
        ) => Some(Semver::read(left)?.cmp(&Semver::read(right)?)),
        _ => {
            let order = numbers(left)?.cmp(&numbers(right)?);
            (order != Ordering::Equal).then_some(order)
        }
    }
}

/// The number whose change means that things may break: the first one that is not zero, as Semantic
/// Versioning has it for releases before 1.0; for `pypi` and all others the first one.
#[must_use]
pub fn is_major_bump(ecosystem: Option<&str>, from: &str, to: &str) -> Option<bool> {
    let release = |text: &str| -> Option<Vec<u64>> {
        match ecosystem {
            Some("pypi") => Pep440::read(text).map(|version| version.release),
            _ => Semver::read(text).map(|version| version.numbers),
        }
    };
    let at = |numbers: &[u64], index: usize| numbers.get(index).copied().unwrap_or(0);
    let (from, to) = (release(from)?, release(to)?);
    if at(&from, 0) != at(&to, 0) {
        return Some(true);
    }
    let strict = matches!(ecosystem, Some("npm" | "cargo"));
    if !strict || at(&from, 0) != 0 {
        return Some(false);
    }
    Some(at(&from, 1) != at(&to, 1) || (at(&from, 1) == 0 && at(&from, 2) != at(&to, 2)))
}

/// Whether a release is a pre-release, which nobody should be told to move to unasked.
#[must_use]
pub fn is_prerelease(ecosystem: Option<&str>, version: &str) -> bool {
    match ecosystem {
        Some("pypi") => Pep440::read(version)
            .is_some_and(|version| version.pre.is_some() || version.dev.is_some()),
        _ => Semver::read(version).is_some_and(|version| !version.pre.is_empty()),
    }
}

/// A package's name as its ecosystem compares it: `pypi` by PEP 503 (`Zope.Interface` is
/// `zope-interface`), Maven's `group:artifact` with `/` as in a package URL, GitHub and Composer
/// without regard to case, all others as they are.
#[must_use]
pub fn normal_name(ecosystem: Option<&str>, name: &str) -> String {
    let name = name.trim();
    match ecosystem {
        Some("pypi") => {
            let mut normal = String::with_capacity(name.len());
            for c in name.chars().flat_map(char::to_lowercase) {
                if !matches!(c, '-' | '_' | '.') {
                    normal.push(c);
                } else if !normal.ends_with('-') {
                    normal.push('-');
                }
            }
            normal
        }
        Some("maven") => name.replacen(':', "/", 1),
        Some("github" | "composer") => name.to_lowercase(),
        _ => name.to_owned(),
    }
}

/// A range of versions: `<4.17.21`, `>=1.2, <1.5`, `=1.0 || >=2.0`. A bare version is that version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    text: String,
    any_of: Vec<Vec<Bound>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    relation: Relation,
    version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Range {
    /// Exactly this version.
    #[must_use]
    pub fn exactly(version: &str) -> Self {
        Self {
            text: version.to_owned(),
            any_of: vec![vec![Bound {
                relation: Relation::Equal,
                version: version.to_owned(),
            }]],
        }
    }

    /// Whether a version lies in it; `None` where its ecosystem's order cannot be told.
    #[must_use]
    pub fn contains(&self, ecosystem: Option<&str>, version: &str) -> Option<bool> {
        let mut known = true;
        for bounds in &self.any_of {
            let held: Vec<Option<bool>> = bounds
                .iter()
                .map(|bound| bound.holds(ecosystem, version))
                .collect();
            if held.iter().all(|held| *held == Some(true)) {
                return Some(true);
            }
            // One bound that surely does not hold decides, whatever the others are.
            known &= held.contains(&Some(false));
        }
        known.then_some(false)
    }
}

impl Bound {
    fn holds(&self, ecosystem: Option<&str>, version: &str) -> Option<bool> {
        let order = compare(ecosystem, version, &self.version);
        let Some(order) = order else {
            // Without an order there is still the text: another one is surely not "this version".
            return (self.relation == Relation::Equal).then_some(false);
        };
        Some(match self.relation {
            Relation::Equal => order.is_eq(),
            Relation::NotEqual => order.is_ne(),
            Relation::Less => order.is_lt(),
            Relation::AtMost => order.is_le(),
            Relation::Greater => order.is_gt(),
            Relation::AtLeast => order.is_ge(),
        })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut any_of = Vec::new();
        for alternative in text.split("||") {
            let mut bounds = Vec::new();
            let mut rest = alternative.trim_start_matches([' ', ',']);
            while !rest.is_empty() {
                let (relation, after) = relation(rest);
                let after = after.trim_start();
                let end = after.find([' ', ',']).unwrap_or(after.len());
                let version = &after[..end];
                readable(version)?;
                bounds.push(Bound {
                    relation,
                    version: version.to_owned(),
                });
                rest = after[end..].trim_start_matches([' ', ',']);
            }
            if bounds.is_empty() {
                return Err(
                    "an empty range names no version; leave the key out to mean all of them"
                        .to_owned(),
                );
            }
            any_of.push(bounds);
        }
        Ok(Self {
            text: text.trim().to_owned(),
            any_of,
        })
    }
}

fn relation(text: &str) -> (Relation, &str) {
    for (sign, relation) in [
        ("==", Relation::Equal),
        ("!=", Relation::NotEqual),
        ("<=", Relation::AtMost),
        (">=", Relation::AtLeast),
        ("=", Relation::Equal),
        ("<", Relation::Less),
        (">", Relation::Greater),
    ] {
        if let Some(rest) = text.strip_prefix(sign) {
            return (relation, rest);
        }
    }
    (Relation::Equal, text)
}

fn readable(version: &str) -> Result<(), String> {
    if version.is_empty() {
        return Err("a sign without a version; write for example `<4.17.21`".to_owned());
    }
    if version.starts_with(['^', '~', '!']) || version.contains(['*', '<', '>', '=', '|']) {
        return Err(format!(
            "`{version}` is no version; ranges are written with =, !=, <, <=, >, >=, a comma for `and` and || for `or`"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each of a list is older than the next.
    #[track_caller]
    fn rising(ecosystem: &str, versions: &[&str]) {
        for (index, older) in versions.iter().enumerate() {
            for newer in &versions[index + 1..] {
                assert_eq!(
                    compare(Some(ecosystem), older, newer),
                    Some(Ordering::Less),
                    "{older} < {newer}"
                );
                assert_eq!(
                    compare(Some(ecosystem), newer, older),
                    Some(Ordering::Greater)
                );
            }
        }
    }

    #[test]
    fn semantic_versions_rise_as_the_specification_lists_them() {
        rising(
            "npm",
            &[
                "1.0.0-alpha",
                "1.0.0-alpha.1",
                "1.0.0-alpha.beta",
                "1.0.0-beta",
                "1.0.0-beta.2",
                "1.0.0-beta.11",
                "1.0.0-rc.1",
                "1.0.0",
                "1.2",
                "1.10.0",
                "2.0.0",
            ],
        );
        let same = |a, b| assert_eq!(compare(Some("golang"), a, b), Some(Ordering::Equal));
        same("v1.2.3+incompatible", "1.2.3");
        same("1.0", "v1.0.0");
    }

    #[test]
    fn python_versions_rise_as_pep_440_lists_them() {
        rising(
            "pypi",
            &[
                "1.dev0",
                "1.0.dev456",
                "1.0a1",
                "1.0a2.dev456",
                "1.0a12.dev456",
                "1.0a12",
                "1.0b1.dev456",
                "1.0b2",
                "1.0b2.post345.dev456",
                "1.0b2.post345",
                "1.0rc1.dev456",
                "1.0rc1",
                "1.0",
                "1.0+abc.5",
                "1.0+abc.7",
                "1.0+5",
                "1.0.post456.dev34",
                "1.0.post456",
                "1.0.15",
                "1.1.dev1",
                "1!0.1",
            ],
        );
        let same = |a, b| assert_eq!(compare(Some("pypi"), a, b), Some(Ordering::Equal));
        same("1.0", "1");
        same("1.0-1", "1.0.post1");
        same("1.0alpha1", "1.0a1");
        same("1.0.preview_2", "v1.0RC2");
    }

    #[test]
    fn versions_of_distributions_rise_as_their_own_tools_have_it() {
        rising(
            "deb",
            &[
                "1.0~~",
                "1.0~rc1-1",
                "1.0~rc1-2",
                "1.0",
                "1.0-0ubuntu1",
                "1.0-1",
                "1.0-1ubuntu1",
                "1.0-1ubuntu1.1",
                "1.0-1ubuntu1.10",
                "1.0-2",
                "1.0+dfsg-1",
                "1.0.0-1",
                "1.10-1",
            ],
        );
        rising("deb", &["0:9", "1:0.1-1", "2:0.1-1"]);
        rising(
            "rpm",
            &[
                "1.0~rc1-1",
                "1.0~rc1^git1-1",
                "1.0-1",
                "1.0-1.el8_7.2",
                "1.0-1.el8_10",
                "1.0-2",
                "1.0^git1-1",
                "1.0a-1",
                "1.0b2-1",
                "1.0.1-1",
                "1.01.2-1",
                "5.5p1-1",
                "5.5p10-1",
                "5.6p1-1",
                "10xyz-1",
                "10.1xyz-1",
            ],
        );
        rising("rpm", &["xyz10-1", "xyz10.1-1", "8-1"]);
        let same = |a, b| assert_eq!(compare(Some("rpm"), a, b), Some(Ordering::Equal));
        same("2_0-1", "2.0-1");
        same("1.05-1", "1.5-1");
    }

    #[test]
    fn what_no_scheme_knows_is_not_known() {
        for (ecosystem, a, b) in [
            (Some("deb"), "1:2.3-1", "2.4"),
            (Some("rpm"), "1:2.3-1", "2.4-1"),
            (Some("rpm"), "2.3", "2.3-1"),
            (Some("apk"), "1.0", "1.0.0"),
            (None, "1.0-rc1", "1.0"),
            (Some("npm"), "latest", "1.0.0"),
            (Some("pypi"), "1.0.banana", "1.0"),
            (Some("npm"), "", ""),
        ] {
            assert_eq!(compare(ecosystem, a, b), None, "{a} and {b}");
        }
        assert_eq!(compare(None, "1.9", "1.10"), Some(Ordering::Less));
        assert_eq!(
            compare(Some("deb"), "1:2.3-1", "1:2.3-1"),
            Some(Ordering::Equal)
        );
    }

    #[track_caller]
    fn lies(range: &str, version: &str, expected: Option<bool>) {
        let range: Range = range.parse().unwrap();
        assert_eq!(
            range.contains(Some("npm"), version),
            expected,
            "{version} in {range}"
        );
    }

    #[test]
    fn ranges() {
        lies("<4.17.21", "4.17.20", Some(true));
        lies("<4.17.21", "4.17.21", Some(false));
        lies(">=1.2, <1.5", "1.4.9", Some(true));
        lies(">= 1.2 < 1.5", "1.5.0", Some(false));
        lies("=1.0.0 || >=2", "1.0", Some(true));
        lies("1.0.0", "1.0.1", Some(false));
        lies("!=1.0.0", "1.0.1", Some(true));
        lies("<2 || >=3", "banana", None);
        // One bound that surely does not hold decides.
        lies(">=2.0.0, <x", "1.0.0", Some(false));
        for wrong in [
            "", "*", "^1.2", "~1", "<", "1.*", "<1 ||", "1.0 || *", "=>1",
        ] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn bumps_that_may_break() {
        let bump = |ecosystem, from, to| is_major_bump(Some(ecosystem), from, to);
        assert_eq!(bump("npm", "1.2.3", "2.0.0"), Some(true));
        assert_eq!(bump("npm", "1.2.3", "1.9.0"), Some(false));
        assert_eq!(bump("npm", "0.2.3", "0.3.0"), Some(true));
        assert_eq!(bump("cargo", "0.0.3", "0.0.4"), Some(true));
        assert_eq!(bump("pypi", "0.2", "0.3"), Some(false));
        assert_eq!(bump("npm", "1.0.0", "x"), None);
        assert!(is_prerelease(Some("npm"), "2.0.0-rc.1") && is_prerelease(Some("pypi"), "2.0b1"));
        assert!(!is_prerelease(Some("npm"), "2.0.0+build"));
    }

    #[test]
    fn names_compare_as_their_ecosystem_has_it() {
        assert_eq!(
            normal_name(Some("pypi"), "Zope._.Interface"),
            "zope-interface"
        );
        assert_eq!(normal_name(Some("maven"), "org.a:b"), "org.a/b");
        assert_eq!(normal_name(Some("npm"), "@scope/Name"), "@scope/Name");
    }

    fn version() -> impl Strategy<Value = String> {
        "v?[0-9]{1,2}(\\.[0-9]{1,2}){0,3}(-?(rc|a|dev|post)\\.?[0-9]?)?(\\+[a-z0-9]{1,3})?"
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(a in ".{0,20}", b in ".{0,20}") {
            for ecosystem in [None, Some("npm"), Some("pypi"), Some("deb"), Some("rpm")] {
                let order = compare(ecosystem, &a, &b);
                prop_assert_eq!(order.map(Ordering::reverse), compare(ecosystem, &b, &a));
                let _ = is_major_bump(ecosystem, &a, &b);
                if let Ok(range) = a.parse::<Range>() {
                    let _ = range.contains(ecosystem, &b);
                }
            }
        }

        #[test]
        fn the_order_is_one(a in version(), b in version(), c in version()) {
            for ecosystem in [Some("npm"), Some("pypi"), Some("deb"), Some("rpm"), None] {
                let order = |x: &str, y: &str| compare(ecosystem, x, y);
                if let (Some(ab), Some(bc)) = (order(&a, &b), order(&b, &c))
                    && ab.is_le() && bc.is_le()
                    && let Some(ac) = order(&a, &c)
                {
                    prop_assert!(ac.is_le(), "{} {} {}", a, b, c);
                }
            }
        }

        #[test]
        fn a_range_and_its_opposite_never_both_hold(version in version(), limit in version()) {
            let below: Range = format!("<{limit}").parse().unwrap();
            let above: Range = format!(">={limit}").parse().unwrap();
            let (below, above) = (below.contains(Some("pypi"), &version), above.contains(Some("pypi"), &version));
            prop_assert_eq!(below.map(|held| !held), above);
        }
    }
}
