//! What was to be seen of a run and was not.

use std::collections::BTreeMap;

/// Different sentences about lost looks that are kept; more are only counted.
const MOST_LOST: usize = 40;

/// What was to be seen and was not.
#[derive(Clone, Debug, Default)]
pub struct Lost {
    /// How often.
    pub count: u64,
    /// The sentences, with how often and when first and last.
    pub sentences: BTreeMap<String, (u64, f64, f64)>,
    /// The last one.
    pub last: Option<String>,
}

impl Lost {
    pub(super) fn add(&mut self, at: f64, what: &str) {
        self.count += 1;
        self.last = Some(what.to_owned());
        if let Some((count, _, last)) = self.sentences.get_mut(what) {
            *count += 1;
            *last = at;
        } else if self.sentences.len() < MOST_LOST {
            self.sentences.insert(what.to_owned(), (1, at, at));
        }
    }

    /// The sentences, most frequent first, with how often and when.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let mut all: Vec<_> = self.sentences.iter().collect();
        all.sort_by_key(|(_, (count, ..))| std::cmp::Reverse(*count));
        let mut told: Vec<String> = all
            .into_iter()
            .map(|(what, (count, first, last))| match count {
                1 => format!("at {first:.0} s: {what}"),
                _ => format!("{count} times between {first:.0} s and {last:.0} s: {what}"),
            })
            .collect();
        let kept: u64 = self.sentences.values().map(|(count, ..)| count).sum();
        if kept < self.count {
            told.push(format!("{} more losses of other kinds", self.count - kept));
        }
        told
    }
}
