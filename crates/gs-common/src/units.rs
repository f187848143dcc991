//! Durations, sizes and shares as people write them: `15m`, `10MiB`, `5%`.
//!
//! A number without a unit is refused: half of its readers would guess wrong.

use std::time::Duration;

/// Why a text is no duration, size or share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind}: {why}; write it like {examples}")]
pub struct UnitError {
    text: String,
    kind: &'static str,
    why: &'static str,
    examples: &'static str,
}

const DURATION_UNITS: [(&str, f64); 7] = [
    ("d", 86_400.0),
    ("h", 3_600.0),
    ("m", 60.0),
    ("s", 1.0),
    ("ms", 1e-3),
    ("us", 1e-6),
    ("ns", 1e-9),
];

const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("TiB", 1 << 40),
];

/// The longest duration that can be written, a hundred years: what is longer is a slip.
const LONGEST_SECONDS: f64 = 100.0 * 365.25 * 86_400.0;

/// Reads a duration: one or more numbers with a unit (`d h m s ms us ns`), largest first, such as
/// `15m`, `2.5s` or `1h30m`.
///
/// # Errors
/// The text is empty, lacks a unit, has an unknown one, or is longer than a hundred years.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    let fail = |why| UnitError {
        text: clip(text),
        kind: "duration",
        why,
        examples: "`500ms`, `30s`, `15m` or `1h30m`",
    };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(fail("it is empty"));
    }
    let mut seconds = 0.0;
    let mut above = f64::INFINITY;
    while !rest.is_empty() {
        let (number, after) = split_number(rest).ok_or_else(|| fail("a number is expected"))?;
        let end = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if unit.is_empty() {
            return Err(fail("the unit is missing"));
        }
        let (_, factor) = DURATION_UNITS
            .into_iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| fail("the unit is not one of d, h, m, s, ms, us, ns"))?;
        if factor >= above {
            return Err(fail("its units do not go from large to small"));
        }
        above = factor;
        seconds += number * factor;
        rest = after.trim_start();
    }
    if seconds > LONGEST_SECONDS {
        return Err(fail("it is longer than a hundred years"));
    }
    // Through whole nanoseconds: 0.1 s is 100 ms, not 100.000001 ms.
    Ok(Duration::from_nanos((seconds * 1e9).round() as u64))
}

/// Reads a size in bytes: a number with `B`, `kB`, `MB`, `GB` (powers of 1000) or `KiB`, `MiB`,
/// `GiB`, `TiB` (powers of 1024).
///
/// # Errors
/// The text lacks a unit, has an unknown one, or is beyond 2^63 bytes.
pub fn size(text: &str) -> Result<u64, UnitError> {
    let fail = |why| UnitError {
        text: clip(text),
        kind: "size",
        why,
        examples: "`512B`, `64KiB` or `5MiB`",
    };
    let (number, unit) = split_number(text.trim()).ok_or_else(|| fail("a number is expected"))?;
    let unit = unit.trim();
    if unit.is_empty() {
        return Err(fail("the unit is missing"));
    }
    let (_, factor) = SIZE_UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| fail("the unit is not one of B, kB, MB, GB, KiB, MiB, GiB, TiB"))?;
    let bytes = number * factor as f64;
    if bytes > i64::MAX as f64 {
        return Err(fail("it is too large"));
    }
    Ok(bytes.round() as u64)
}

/// Reads a share between 0 and 1, written as `5%` or `0.05`.
///
/// # Errors
/// The text is no number, or beyond 100%.
pub fn share(text: &str) -> Result<f64, UnitError> {
    let fail = |why| UnitError {
        text: clip(text),
        kind: "share",
        why,
        examples: "`5%` or `0.05`",
    };
    let (number, unit) = split_number(text.trim()).ok_or_else(|| fail("a number is expected"))?;
    let value = match unit.trim() {
        "%" => number / 100.0,
        "" => number,
        _ => return Err(fail("only `%` may follow the number")),
    };
    if value > 1.0 {
        return Err(fail("it is more than 100%"));
    }
    Ok(value)
}

/// Shows a duration in the form that [`duration`] reads, with as many units as it needs.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let mut nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut shown = String::new();
    for (unit, factor) in DURATION_UNITS {
        let factor = (factor * 1e9).round() as u128;
        let count = nanos / factor;
        if count > 0 {
            shown.push_str(&format!("{count}{unit}"));
            nanos %= factor;
        }
    }
    shown
}

/// Shows a size in the form that [`size`] reads: the largest binary unit that keeps it exact.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    for (unit, factor) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    format!("{bytes}B")
}

/// Shows a share in per cent: `0.05` is `5%`.
#[must_use]
pub fn show_share(share: f64) -> String {
    // Ten decimals are enough for any share a person writes and hide the noise of binary floats.
    let text = format!("{:.10}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Splits a plain decimal number off the front; no sign, no exponent, so never NaN or infinite.
fn split_number(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    // More digits than that are no measurement, and would overflow.
    if number.len() > 30 {
        return None;
    }
    number.parse().ok().map(|number| (number, rest))
}

/// What is typed may be anything; an error message quotes only so much of it.
fn clip(text: &str) -> String {
    let mut clipped: String = text.chars().take(40).collect();
    if clipped.len() < text.len() {
        clipped.push('…');
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn reads(text: &str, expected: Duration) {
        assert_eq!(duration(text), Ok(expected), "{text}");
    }

    #[track_caller]
    fn refuses<T: std::fmt::Debug>(result: Result<T, UnitError>, why: &str) {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        reads("15m", Duration::from_secs(900));
        reads("1h30m", Duration::from_secs(5_400));
        reads("1m 5s", Duration::from_secs(65));
        reads("2.5s", Duration::from_millis(2_500));
        reads("0.1s", Duration::from_millis(100));
        reads("250us", Duration::from_micros(250));
        reads("0s", Duration::ZERO);
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_reason() {
        refuses(duration("15"), "the unit is missing");
        refuses(duration(""), "it is empty");
        refuses(duration("-5s"), "a number is expected");
        refuses(duration("5 minutes"), "the unit is missing");
        refuses(duration("5minutes"), "the unit is not one of");
        refuses(duration("5s5m"), "large to small");
        refuses(duration("1e9s"), "the unit is not one of");
        refuses(duration("NaNs"), "a number is expected");
        refuses(duration("99999999d"), "a hundred years");
    }

    #[test]
    fn sizes_know_both_families() {
        assert_eq!(size("5MiB"), Ok(5 << 20));
        assert_eq!(size("5 MB"), Ok(5_000_000));
        assert_eq!(size("1.5KiB"), Ok(1_536));
        refuses(size("5"), "the unit is missing");
        refuses(size("5mb"), "the unit is not one of");
        refuses(size("999999999999GB"), "it is too large");
    }

    #[test]
    fn shares_are_parts_of_one() {
        assert_eq!(share("5%"), Ok(0.05));
        assert_eq!(share("0.05"), Ok(0.05));
        assert_eq!(share("100%"), Ok(1.0));
        refuses(share("5"), "more than 100%");
        refuses(share("-1%"), "a number is expected");
    }

    proptest! {
        #[test]
        fn a_duration_survives_being_shown(nanos in 0..u64::MAX / 1_000_000) {
            // Beyond 2^53 ns a float cannot hold every nanosecond; such a duration is 104 days long.
            let wanted = Duration::from_nanos(nanos.min(1 << 53));
            let read = duration(&show_duration(wanted)).unwrap();
            prop_assert!(read.abs_diff(wanted) <= Duration::from_nanos(1));
        }

        #[test]
        fn a_size_survives_being_shown(bytes in 0..1_u64 << 50) {
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }

        #[test]
        fn a_share_survives_being_shown(tenths in 0..=1000_u32) {
            let wanted = f64::from(tenths) / 1000.0;
            let read = share(&show_share(wanted)).unwrap();
            prop_assert!((read - wanted).abs() < 1e-12);
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in ".{0,60}") {
            let _ = (duration(&text).is_ok(), size(&text).is_ok(), share(&text).is_ok());
        }
    }
}
