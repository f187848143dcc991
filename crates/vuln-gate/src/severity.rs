//! How bad: CVSS scores of vectors, and what they mean for one row.
//!
//! The base scores come from the crate `cvss`, which follows the specifications of FIRST
//! (<https://www.first.org/cvss/>); the tests hold its numbers against those of NVD, GitHub and Red Hat in
//! real reports.

use std::str::FromStr as _;
use std::sync::Arc;

use gs_common::finding::Severity;

use crate::model::Rating;

/// The version (2, 3 or 4) and base score (0 to 10) of a vector; `None` where it is none.
#[must_use]
pub fn score(vector: &str) -> Option<(u8, f32)> {
    let vector = vector.trim().trim_start_matches('(').trim_end_matches(')');
    if vector.len() > 512 {
        return None;
    }
    let (version, score) = if vector.starts_with("CVSS:4") {
        (4, cvss::v4::Vector::from_str(vector).ok()?.score().value())
    } else if vector.starts_with("CVSS:3") {
        // The base score: temporal metrics only ever lower it.
        (
            3,
            cvss::v3::Vector::from_str(vector)
                .ok()?
                .base_score()
                .value(),
        )
    } else {
        let plain = vector.strip_prefix("CVSS:2.0/").unwrap_or(vector);
        (2, cvss::v2::Vector::from_str(plain).ok()?.score().value())
    };
    (0.0..=10.0)
        .contains(&score)
        .then_some((version, score as f32))
}

/// The severity of a row that has no label: of the newest CVSS version that any rating has, the highest
/// score.
#[must_use]
pub fn of_scores(ratings: &[Arc<Rating>]) -> Severity {
    let scored = ratings.iter().filter(|rating| rating.score.is_some());
    let Some(newest) = scored.clone().map(|rating| rating.cvss).max() else {
        return Severity::Unknown;
    };
    scored
        .filter(|rating| rating.cvss == newest)
        .map(|rating| rating.severity)
        .max()
        .unwrap_or_default()
}

/// The lowest and the highest that any rating says.
#[must_use]
pub fn span<'a>(ratings: impl Iterator<Item = &'a Rating>) -> Option<(Severity, Severity)> {
    ratings
        .map(|rating| rating.severity)
        .filter(|severity| *severity != Severity::Unknown)
        .fold(None, |span, severity| match span {
            None => Some((severity, severity)),
            Some((low, high)) => Some((severity.min(low), severity.max(high))),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scores_of_all_versions() {
        for (vector, expected) in [
            ("AV:N/AC:L/Au:N/C:P/I:P/A:P", Some((2, 7.5))),
            ("(AV:N/AC:M/Au:N/C:N/I:P/A:N)", Some((2, 4.3))),
            (
                "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
                Some((3, 9.8)),
            ),
            (
                "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N",
                Some((3, 6.1)),
            ),
            (
                "CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:N/VC:L/VI:L/VA:N/SC:N/SI:N/SA:N",
                Some((4, 6.3)),
            ),
            ("CVSS:3.1/AV:X", None),
            ("", None),
            ("high", None),
        ] {
            assert_eq!(score(vector), expected, "{vector}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = score(&text);
            let _ = score(&format!("CVSS:4.0/{text}"));
            let _ = score(&format!("CVSS:3.1/{text}"));
        }
    }
}
