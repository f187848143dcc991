//! Sentences about pods, with those that say the same made one: a hundred pods that are away are one thing.

use std::collections::BTreeMap;

use crate::observations::Side;

/// So many pods are named.
const NAMED: usize = 3;

/// Sentences about pods.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(BTreeMap<(Side, String), Vec<String>>);

impl Notes {
    /// Says something about a pod: a fragment.
    pub(super) fn add(&mut self, side: Side, pod: &str, what: impl Into<String>) {
        let pods = self.0.entry((side, what.into())).or_default();
        if !pods.iter().any(|other| other == pod) {
            pods.push(pod.to_owned());
        }
    }

    /// The sentences.
    pub(super) fn sentences(&self) -> Vec<String> {
        let of = self.0.iter().map(|((side, what), pods)| {
            let side = side.as_str();
            let named = pods[..pods.len().min(NAMED)].join(", ");
            match pods.len() {
                1 => format!("{side} pod {named}: {what}"),
                few if few <= NAMED => format!("{side} pods {named}: {what}"),
                many => format!("{side} pods {named} and {} more: {what}", many - NAMED),
            }
        });
        of.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_said_once() {
        let mut notes = Notes::default();
        notes.add(Side::Stable, "a", "is away");
        notes.add(Side::Stable, "a", "is away");
        notes.add(Side::Canary, "c", "is away");
        assert_eq!(
            notes.sentences(),
            ["canary pod c: is away", "stable pod a: is away"]
        );
        for pod in ["b", "d", "e", "f"] {
            notes.add(Side::Stable, pod, "is away");
        }
        assert_eq!(
            notes.sentences()[1],
            "stable pods a, b, d and 2 more: is away"
        );
    }
}
