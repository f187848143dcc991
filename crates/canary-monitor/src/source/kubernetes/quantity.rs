//! Amounts as Kubernetes writes them: `250m`, `1.5`, `128974848n`, `512Mi`, `2e9`.
//!
//! The grammar is that of `apimachinery/pkg/api/resource` ("Quantity"): a signed decimal number, and a binary
//! suffix (`Ki` to `Ei`), a decimal one (`n` to `E`), or an exponent.

/// Suffixes and what they stand for.
const SUFFIXES: [(&str, f64); 16] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("", 1.0),
];

/// Reads an amount. `None` where it is none, or negative.
#[must_use]
pub fn read(text: &str) -> Option<f64> {
    let digits = |text: &str| {
        let mut dots = 0;
        let known = text.bytes().all(|byte| {
            dots += usize::from(byte == b'.');
            byte.is_ascii_digit() || byte == b'.'
        });
        known && dots <= 1 && text.bytes().any(|byte| byte.is_ascii_digit())
    };
    let text = text.strip_prefix('+').unwrap_or(text);
    // `E` and `Ei` are suffixes; an exponent is a number.
    if let Some((number, exponent)) = text.split_once(['e', 'E'])
        && digits(number)
        && let Ok(exponent) = exponent.parse::<i32>()
    {
        let number: f64 = number.parse().ok()?;
        return Some(number * 10_f64.powi(exponent)).filter(|amount| amount.is_finite());
    }
    let (number, factor) = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)))?;
    if !digits(number) {
        return None;
    }
    Some(number.parse::<f64>().ok()? * factor).filter(|amount| amount.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Option<f64>) {
        match (read(text), expected) {
            (Some(read), Some(expected)) => {
                assert!(
                    (read - expected).abs() <= 1e-12 * expected.abs(),
                    "{text}: {read}"
                );
            }
            (read, expected) => assert_eq!(read, expected, "{text}"),
        }
    }

    #[test]
    fn amounts_are_read() {
        check("0", Some(0.0));
        check("2", Some(2.0));
        check("250m", Some(0.25));
        check("1.5", Some(1.5));
        check(".5", Some(0.5));
        check("128974848n", Some(0.128_974_848));
        check("100u", Some(1e-4));
        check("512Mi", Some(536_870_912.0));
        check("123456Ki", Some(126_418_944.0));
        check("1Ei", Some(1_152_921_504_606_846_976.0));
        check("2E", Some(2e18));
        check("2e9", Some(2e9));
        check("12E3", Some(12e3));
        check("5e-3", Some(5e-3));
        check("+7k", Some(7e3));
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for text in [
            "", "m", "-1", "1..2", "1.2.3", "Mi", "1Mib", "1 Mi", "1e", "1e9e9", "NaN", "inf",
            "0x10", "1e999",
        ] {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            prop_assert!(read(&text).is_none_or(|amount| amount.is_finite() && amount >= 0.0));
        }

        #[test]
        fn a_milli_is_a_thousandth(amount in 0_u32..1_000_000) {
            let (milli, whole) = (read(&format!("{amount}m")).unwrap(), read(&amount.to_string()).unwrap());
            prop_assert!((milli * 1e3 - whole).abs() < 1e-6);
        }
    }
}
