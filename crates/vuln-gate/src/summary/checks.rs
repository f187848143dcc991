//! What was asked, and what the answer is: a check for each input, for what is asked of all of them, and for
//! each class with findings.

use gs_common::report::{Check, Quantity};
use gs_common::verdict::Verdict;

use super::tally::Tally;
use crate::accept::Accepted;
use crate::config::Config;
use crate::judge::{self, Doubt, reason};
use crate::model::Class;
use crate::run::Judged;

/// Doubts about one input that are listed; a scanner may skip hundreds of packages.
const MOST_EVIDENCE: usize = 50;

/// One check for each input, for what is asked of all of them, and for each class with findings.
pub(super) fn checks(config: &Config, judged: &Judged, tally: &Tally) -> Vec<Check> {
    let mut checks = Vec::new();
    for class in Class::ALL {
        if let Some(check) = class_check(config, tally, class) {
            checks.push(check);
        }
    }
    for (at, input) in judged.inputs.iter().enumerate() {
        let mut check = Check::passed(
            format!("input:{}", judge::shown(input)),
            format!(
                "the {} report was made by a whole scan, and lately",
                input.format
            ),
        );
        check.observed = Some(Quantity::bare(input.outcome.as_str()));
        check.expected = Some("clean or findings".to_owned());
        let mine: Vec<&Doubt> = judged
            .doubts
            .iter()
            .filter(|doubt| doubt.input == Some(at))
            .collect();
        doubt(&mut check, &mine);
        checks.push(check);
    }
    for required in &config.policy.required {
        let mut check = Check::passed(
            format!("require:{required}"),
            format!("there is a report of {required}"),
        );
        let words = format!("no report of {required} ");
        let mine: Vec<&Doubt> = judged
            .doubts
            .iter()
            .filter(|doubt| {
                doubt.code == reason::REQUIRED_MISSING && doubt.words.starts_with(&words)
            })
            .collect();
        doubt(&mut check, &mine);
        checks.push(check);
    }
    for other in [reason::TARGET_MISSING, reason::BASE_UNUSABLE] {
        let mine: Vec<&Doubt> = judged
            .doubts
            .iter()
            .filter(|doubt| doubt.code == other)
            .collect();
        if !mine.is_empty() {
            let mut check = Check::passed(
                other.to_owned(),
                "the reports are about what is released".to_owned(),
            );
            doubt(&mut check, &mine);
            checks.push(check);
        }
    }
    checks
}

/// Whether the exceptions are in order; absent where there is no file of them.
pub(super) fn exceptions_check(accepted: &Accepted) -> Option<Check> {
    if !accepted.given {
        return None;
    }
    let sentences = accepted.applied.sentences();
    let mut check = Check::passed(
        "exceptions".to_owned(),
        "every exception still holds and is still needed".to_owned(),
    );
    check.observed = Some(Quantity::of(accepted.applied.uses.len(), "exceptions"));
    if let Some(first) = sentences.first() {
        check.verdict = Verdict::Warn;
        check.reason = Some(reason::EXCEPTIONS_STALE.to_owned());
        check.message = Some(match sentences.len() - 1 {
            0 => first.clone(),
            more => format!("{first} (and {more} more)"),
        });
        check.evidence = sentences
            .into_iter()
            .take(50)
            .map(|text| gs_common::report::Evidence {
                label: "exception".to_owned(),
                text,
            })
            .collect();
    }
    Some(check)
}

fn class_check(config: &Config, tally: &Tally, class: Class) -> Option<Check> {
    let found: u64 = tally.all.get(&class)?.values().sum();
    let threshold = config.policy.fail_on.get(&class).copied().flatten();
    let words = threshold.map_or("never blocks".to_owned(), |severity| {
        format!("none at {severity} or above")
    });
    let mut check = Check::passed(
        format!("gate:{class}"),
        format!("no finding of class {class} blocks"),
    );
    let blocking = tally.blocking.get(&class).copied().unwrap_or(0);
    let warning = tally.warning.get(&class).copied().unwrap_or(0);
    check.observed = Some(Quantity::of(blocking, "blocking"));
    check.expected = Some(words);
    if blocking > 0 {
        check.verdict = Verdict::Fail;
        check.reason = Some(reason::FINDINGS_BLOCK.to_owned());
        check.message = Some(format!(
            "{blocking} of {found} findings of class {class} block"
        ));
    } else if warning > 0 {
        check.verdict = Verdict::Warn;
        check.reason = Some(reason::FINDINGS_WARN.to_owned());
        check.message = Some(format!(
            "{warning} of {found} findings of class {class} are warned of"
        ));
    }
    Some(check)
}

fn doubt(check: &mut Check, doubts: &[&Doubt]) {
    let Some(first) = doubts
        .iter()
        .find(|doubt| !doubt.accepted)
        .or(doubts.first())
    else {
        return;
    };
    check.verdict = if first.accepted {
        Verdict::Warn
    } else {
        Verdict::Inconclusive
    };
    check.reason = Some(first.code.to_owned());
    let more = doubts.len() - 1;
    check.message = Some(if more > 0 {
        format!("{} (and {more} more of this input)", first.words)
    } else {
        first.words.clone()
    });
    // One alone is the message.
    if doubts.len() > 1 {
        check.evidence = doubts
            .iter()
            .take(MOST_EVIDENCE)
            .map(|doubt| gs_common::report::Evidence {
                label: doubt.code.to_owned(),
                text: doubt.words.clone(),
            })
            .collect();
    }
}
