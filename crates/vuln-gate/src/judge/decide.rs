//! What one vulnerability means.

use gs_common::finding::Severity;
use jiff::civil::Date;

use super::{Decision, Effect, Policy};
use crate::model::{Class, Status, Vulnerability};
use crate::sla::Standing;

/// Whether the rows say that no fix exists. What they do not tell counts as fixable.
#[must_use]
pub fn unfixed(vulnerability: &Vulnerability) -> bool {
    vulnerability.class == Class::Vulnerability
        && vulnerability.rows.iter().all(|(_, row)| {
            row.fixed.is_empty()
                && row.fix_by.is_none()
                && !matches!(row.status, Status::Unknown | Status::Fixed)
        })
}

/// Decides on one vulnerability. `introduced` is absent where there is no base to compare with. The first
/// rule that applies decides; exceptions and VEX come after.
#[must_use]
pub fn decide(
    policy: &Policy,
    vulnerability: &Vulnerability,
    introduced: Option<bool>,
    today: Date,
) -> Decision {
    let v = vulnerability;
    if let Some(decision) = set_aside(policy, v, introduced, today) {
        return decision;
    }
    let threshold = policy.fail_on.get(&v.class).copied().flatten();
    let Some(threshold) = threshold else {
        let words = format!("findings of class `{}` never block", v.class);
        // Below "never" a severe one still deserves to be seen.
        let effect = if v.severity >= Severity::High {
            Effect::Warn
        } else {
            Effect::Ignore
        };
        return Decision::new(effect, "class_never_blocks", words);
    };
    let severe = if v.malicious {
        Decision::new(
            Effect::Block,
            "malicious",
            "the package itself is malicious (MAL-)",
        )
    } else if v.known_exploited {
        Decision::new(
            Effect::Block,
            "known_exploited",
            "it is known to be exploited",
        )
    } else if v.severity == Severity::Unknown {
        let words = format!(
            "no source gives a severity, and `unknown` is set to `{}`",
            policy.unknown.as_str()
        );
        Decision::new(policy.unknown, "unknown_severity", words)
    } else if v.severity >= threshold {
        let words = format!(
            "{} is at or above the threshold `{threshold}` of class `{}`",
            v.severity, v.class
        );
        Decision::new(Effect::Block, "threshold", words)
    } else {
        let words = format!(
            "{} is below the threshold `{threshold}` of class `{}`",
            v.severity, v.class
        );
        Decision::new(Effect::Ignore, "below_threshold", words)
    };
    let severe = in_days(policy, v, severe, today);
    if severe.effect == Effect::Ignore {
        return severe;
    }
    if v.malicious {
        return severe;
    }
    if v.development_only() && policy.development < severe.effect {
        let words = format!(
            "only development needs it, and `development` is set to `{}`",
            policy.development.as_str()
        );
        return Decision::new(policy.development, "development", words);
    }
    if unfixed(v) && policy.unfixed < severe.effect {
        return match grace(policy, v, today) {
            Ok(words) => Decision::new(policy.unfixed, "unfixed", words),
            Err(words) => Decision::new(severe.effect, "grace_over", words),
        };
    }
    severe
}

/// What the days to mend make of a decision by severity.
fn in_days(policy: &Policy, v: &Vulnerability, decision: Decision, today: Date) -> Decision {
    match policy.sla.standing(v, today) {
        Standing::None => decision,
        Standing::Within { last, left } => {
            let words = format!("{} has to be mended by {last}, in {left} days", v.severity);
            Decision::new(decision.effect.min(Effect::Warn), "sla_within", words)
        }
        Standing::Over { last, past } => {
            let words = format!("{} had to be mended by {last}, {past} days ago", v.severity);
            Decision::new(Effect::Block, "sla_over", words)
        }
        Standing::NoDate => {
            let words = format!(
                "{}; it has days to be mended, and no report says when they began",
                decision.words
            );
            Decision::new(decision.effect.max(Effect::Warn), "sla_no_date", words)
        }
    }
}

/// What keeps a finding out of the gate whatever its severity.
fn set_aside(
    policy: &Policy,
    v: &Vulnerability,
    introduced: Option<bool>,
    today: Date,
) -> Option<Decision> {
    let ignore = |rule, words: &str| Some(Decision::new(Effect::Ignore, rule, words));
    let live = |row: &crate::model::Row| {
        row.suppressed.as_ref().is_none_or(|known| {
            // A suppression whose last day is over suppresses nothing.
            known.expires.is_some_and(|last| last < today)
        })
    };
    if v.rows.iter().all(|(_, row)| row.withdrawn) {
        return ignore("withdrawn", "its source withdrew the advisory");
    }
    if !v.malicious
        && v.rows
            .iter()
            .all(|(_, row)| row.status == Status::NotAffected)
    {
        return ignore(
            "not_affected",
            "the vendor says that this package is not affected",
        );
    }
    if !v.rows.iter().any(|(_, row)| live(row)) {
        return ignore(
            "scanner_suppressed",
            "every scanner that found it was told to ignore it",
        );
    }
    let out = |row: &crate::model::Row| {
        let places = [row.target.as_deref(), row.path.as_deref()];
        places
            .into_iter()
            .flatten()
            .any(|place| policy.ignored_targets.iter().any(|glob| glob.fits(place)))
    };
    if !policy.ignored_targets.is_empty() && v.rows.iter().all(|(_, row)| out(row)) {
        return ignore("ignored_target", "all its places are among `ignore-target`");
    }
    if introduced == Some(false) {
        return ignore("unchanged", "the base has it already");
    }
    None
}

/// Whether an unfixed vulnerability is still within its days of grace, in words either way.
fn grace(policy: &Policy, v: &Vulnerability, today: Date) -> Result<String, String> {
    let setting = policy.unfixed.as_str();
    let Some(days) = policy.unfixed_grace_days else {
        return Ok(format!(
            "there is no fix, and `unfixed` is set to `{setting}`"
        ));
    };
    let Some(published) = v.published() else {
        return Err(
            "there is no fix, but no report says when it was published, so it has no days of grace"
                .to_owned(),
        );
    };
    let past = published.duration_until(today).as_hours() / 24;
    if past <= i64::from(days) {
        Ok(format!(
            "there is no fix, and it was published {past} days ago: `{setting}` for {days} days"
        ))
    } else {
        Err(format!(
            "there is no fix, but the {days} days of grace since its publication ({published}) are over"
        ))
    }
}
