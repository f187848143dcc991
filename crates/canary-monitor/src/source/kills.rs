//! Kills for want of memory, where only restarts and the reason of the last end are told.

use std::collections::BTreeMap;

/// Counts restarts whose last end was for want of memory, container by container.
#[derive(Clone, Debug, Default)]
pub(super) struct Kills {
    restarts: BTreeMap<String, u64>,
    counted: u64,
}

impl Kills {
    /// How many there were since the first look, where anything tells of them: restarts so far by container,
    /// with whether the last end was for want of memory.
    pub(super) fn take<'a>(
        &mut self,
        now: impl IntoIterator<Item = (&'a str, u64, bool)>,
    ) -> Option<u64> {
        for (container, restarts, killed) in now {
            let before = self.restarts.insert(container.to_owned(), restarts);
            if let Some(before) = before
                && killed
            {
                self.counted += restarts.saturating_sub(before);
            }
        }
        (!self.restarts.is_empty()).then_some(self.counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_restarts_after_an_end_for_want_of_memory() {
        let mut kills = Kills::default();
        assert_eq!(kills.take([("app", 7, true)]), Some(0));
        assert_eq!(kills.take([("app", 8, true)]), Some(1));
        assert_eq!(kills.take([("app", 9, false)]), Some(1));
        assert_eq!(Kills::default().take([]), None);
    }
}
