//! Days in which a vulnerability of a severity has to be mended, counted from its publication.
//!
//! Within its days a vulnerability only warns; when they are over it blocks, also where its severity alone
//! would not. Malicious packages and what is known to be exploited have no days. Where no report says when it
//! was published there is nothing to count from: it is treated as if it had no days, so that a missing date
//! never buys time.

use std::collections::BTreeMap;

use gs_common::finding::Severity;
use gs_common::units;
use jiff::civil::Date;

use crate::model::{Class, Vulnerability};

/// Days by severity; a severity without any goes by the threshold alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sla {
    days: BTreeMap<Severity, u32>,
}

/// What a table says of a vulnerability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The table says nothing of it.
    None,
    /// It has days left: the last one, and how many until then, 0 on that day.
    Within {
        /// The last day.
        last: Date,
        /// Days left.
        left: i32,
    },
    /// Its days are over: the last one, and how many since then.
    Over {
        /// The last day.
        last: Date,
        /// Days since.
        past: i32,
    },
    /// It has days, and no report says when they began.
    NoDate,
}

impl Sla {
    /// Reads one entry, `critical=7d`.
    ///
    /// # Errors
    /// The severity or the duration cannot be read, or is no whole number of days.
    pub fn entry(text: &str) -> Result<(Severity, u32), String> {
        let (severity, time) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is no SEVERITY=DAYS, such as `critical=7d`"))?;
        let severity: Severity = severity.trim().parse()?;
        let time = units::duration(time.trim()).map_err(|error| error.to_string())?;
        let seconds = time.as_secs();
        if seconds % 86_400 != 0 || time.subsec_nanos() != 0 {
            return Err(format!("`{text}`: write whole days, such as `30d`"));
        }
        let days = u32::try_from(seconds / 86_400)
            .ok()
            .filter(|days| *days <= 36_500);
        days.map(|days| (severity, days))
            .ok_or_else(|| format!("`{text}` is longer than a hundred years"))
    }

    /// A table of entries.
    ///
    /// # Errors
    /// A severity has two entries, or a worse one has more days than a lesser one.
    pub fn of(entries: &[(Severity, u32)]) -> Result<Self, String> {
        let mut days: BTreeMap<Severity, u32> = BTreeMap::new();
        for (severity, given) in entries {
            if days.insert(*severity, *given).is_some() {
                return Err(format!("`{severity}` has two entries"));
            }
        }
        let known: Vec<(Severity, u32)> = days
            .iter()
            .filter(|(severity, _)| **severity != Severity::Unknown)
            .map(|(severity, days)| (*severity, *days))
            .collect();
        for pair in known.windows(2) {
            if let [(lesser, more), (worse, days)] = pair
                && days > more
            {
                return Err(format!(
                    "`{worse}` has {days} days and `{lesser}` only {more}: the worse one has to be mended first"
                ));
            }
        }
        Ok(Self { days })
    }

    /// Whether it says anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// What it says of a vulnerability on a day.
    #[must_use]
    pub fn standing(&self, vulnerability: &Vulnerability, today: Date) -> Standing {
        let v = vulnerability;
        if v.class != Class::Vulnerability || v.malicious || v.known_exploited {
            return Standing::None;
        }
        let Some(days) = self.days.get(&v.severity) else {
            return Standing::None;
        };
        let Some(published) = v.published() else {
            return Standing::NoDate;
        };
        let last = published
            .checked_add(jiff::Span::new().days(i64::from(*days)))
            .unwrap_or(Date::MAX);
        let left = (last - today).get_days();
        if left >= 0 {
            Standing::Within { last, left }
        } else {
            Standing::Over { last, past: -left }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Row;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn vulnerability(severity: Severity, published: Option<Date>) -> Vulnerability {
        Vulnerability {
            class: Class::Vulnerability,
            rule: "CVE-1".into(),
            ids: vec!["CVE-1".into()],
            severity,
            disagreement: None,
            malicious: false,
            known_exploited: false,
            rows: vec![(
                0,
                Box::new(Row {
                    published,
                    ..Row::default()
                }),
            )],
        }
    }

    fn table(entries: &[&str]) -> Result<Sla, String> {
        let entries: Result<Vec<_>, _> = entries.iter().map(|entry| Sla::entry(entry)).collect();
        Sla::of(&entries?)
    }

    #[test]
    fn the_last_day_is_still_within() {
        let sla = table(&["critical=7d", "high=30d"]).unwrap();
        let published = date(2026, 11, 1);
        let on = |day, severity| {
            sla.standing(
                &vulnerability(severity, Some(published)),
                date(2026, 11, day),
            )
        };
        let last = date(2026, 11, 8);
        assert_eq!(
            on(8, Severity::Critical),
            Standing::Within { last, left: 0 }
        );
        assert_eq!(on(9, Severity::Critical), Standing::Over { last, past: 1 });
        assert_eq!(on(9, Severity::Low), Standing::None);
        let undated = vulnerability(Severity::Critical, None);
        assert_eq!(sla.standing(&undated, published), Standing::NoDate);
    }

    #[test]
    fn what_is_exploited_or_malicious_has_no_days() {
        let sla = table(&["critical=7d"]).unwrap();
        let mut known = vulnerability(Severity::Critical, Some(date(2026, 11, 1)));
        known.known_exploited = true;
        assert_eq!(sla.standing(&known, date(2026, 11, 2)), Standing::None);
        known.known_exploited = false;
        known.malicious = true;
        assert_eq!(sla.standing(&known, date(2026, 11, 2)), Standing::None);
    }

    #[test]
    fn a_table_that_makes_no_sense_is_refused() {
        for wrong in [
            "critical",
            "critical=soon",
            "severe=7d",
            "high=12h",
            "low=99999d",
        ] {
            assert!(table(&[wrong]).is_err(), "{wrong}");
        }
        assert!(table(&["high=7d", "high=8d"]).is_err());
        assert!(table(&["critical=30d", "high=7d"]).is_err());
        assert!(table(&["critical=7d", "high=7d", "unknown=1d"]).is_ok());
    }

    proptest! {
        #[test]
        fn a_later_day_never_gives_time_back(days in 0_u32..200, age in 0_i64..400, more in 0_i64..400) {
            let sla = Sla::of(&[(Severity::High, days)]).unwrap();
            let v = vulnerability(Severity::High, Some(date(2026, 1, 1)));
            let on = |age: i64| sla.standing(&v, date(2026, 1, 1) + jiff::Span::new().days(age));
            if matches!(on(age), Standing::Over { .. }) {
                let later_is_over = matches!(on(age + more), Standing::Over { .. });
                prop_assert!(later_is_over);
            }
        }
    }
}
