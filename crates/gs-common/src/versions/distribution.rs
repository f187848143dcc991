//! Versions of distributions' packages: `[epoch:]version[-release]`.
//!
//! Debian: <https://www.debian.org/doc/debian-policy/ch-controlfields.html#version>. RPM:
//! the function `rpmvercmp`, <https://github.com/rpm-software-management/rpm/blob/master/rpmio/rpmvercmp.cc>.
//!
//! Reports do not always write the epoch. A version with one and a version without are compared only where
//! the one that is written is 0: a guess would be wrong by years.

use std::cmp::Ordering;

/// Debian's order.
pub(super) fn deb(left: &str, right: &str) -> Option<Ordering> {
    let (left, right) = (Parts::read(left)?, Parts::read(right)?);
    // An absent revision counts as 0.
    let order = left
        .epochs(&right)?
        .then_with(|| deb_part(left.version, right.version))
        .then_with(|| deb_part(left.release.unwrap_or("0"), right.release.unwrap_or("0")));
    Some(order)
}

/// RPM's order. Where only one has a release, what differs in the release alone is not known.
pub(super) fn rpm(left: &str, right: &str) -> Option<Ordering> {
    let (left, right) = (Parts::read(left)?, Parts::read(right)?);
    let order = left
        .epochs(&right)?
        .then_with(|| rpm_part(left.version, right.version));
    match (order, left.release, right.release) {
        (Ordering::Equal, Some(left), Some(right)) => Some(rpm_part(left, right)),
        (Ordering::Equal, None, None) => Some(Ordering::Equal),
        (Ordering::Equal, _, _) => None,
        (order, _, _) => Some(order),
    }
}

struct Parts<'a> {
    epoch: Option<u64>,
    version: &'a str,
    release: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (Some(super::scheme::number(epoch)?), rest),
            None => (None, text),
        };
        let (version, release) = match rest.rsplit_once('-') {
            Some((version, release)) => (version, Some(release)),
            None => (rest, None),
        };
        let known = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".+~^_-".contains(&byte))
        };
        let starts_well = version.starts_with(|c: char| c.is_ascii_alphanumeric());
        (starts_well && known(version) && release.is_none_or(known)).then_some(Self {
            epoch,
            version,
            release,
        })
    }

    fn epochs(&self, other: &Self) -> Option<Ordering> {
        match (self.epoch, other.epoch) {
            (None, None) => Some(Ordering::Equal),
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            (Some(0), None) | (None, Some(0)) => Some(Ordering::Equal),
            (Some(_), None) | (None, Some(_)) => None,
        }
    }
}

/// A run of digits as a number of any length: without leading zeros, the longer one is the greater.
fn digits(left: &str, right: &str) -> Ordering {
    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// Splits off what is in front as long as it fits.
fn run(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !fits(c)).unwrap_or(text.len()))
}

/// Alternating runs of others and digits; `~` is before the end, the end before letters, letters before the rest.
fn deb_part(mut left: &str, mut right: &str) -> Ordering {
    let weight = |c: Option<char>| match c {
        Some('~') => -1,
        None => 0,
        Some(c) if c.is_ascii_alphabetic() => i32::try_from(u32::from(c)).unwrap_or(0),
        Some(c) => i32::try_from(u32::from(c)).unwrap_or(0) + 256,
    };
    while !left.is_empty() || !right.is_empty() {
        let (words, rest) = run(left, |c| !c.is_ascii_digit());
        let (other_words, other_rest) = run(right, |c| !c.is_ascii_digit());
        let (mut a, mut b) = (words.chars(), other_words.chars());
        for _ in 0..words.len().max(other_words.len()) {
            let order = weight(a.next()).cmp(&weight(b.next()));
            if order.is_ne() {
                return order;
            }
        }
        let (number, rest) = run(rest, |c| c.is_ascii_digit());
        let (other_number, other_rest) = run(other_rest, |c| c.is_ascii_digit());
        let order = digits(number, other_number);
        if order.is_ne() {
            return order;
        }
        (left, right) = (rest, other_rest);
    }
    Ordering::Equal
}

/// Segments of digits or letters; what stands between them only separates, but for `~` (before all) and
/// `^` (after the end, before anything else).
fn rpm_part(mut left: &str, mut right: &str) -> Ordering {
    let separates = |c: char| !c.is_ascii_alphanumeric() && c != '~' && c != '^';
    loop {
        left = left.trim_start_matches(separates);
        right = right.trim_start_matches(separates);
        match (left.starts_with('~'), right.starts_with('~')) {
            (true, true) => {
                (left, right) = (&left[1..], &right[1..]);
                continue;
            }
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        match (left.starts_with('^'), right.starts_with('^')) {
            (true, true) => {
                (left, right) = (&left[1..], &right[1..]);
                continue;
            }
            (true, false) if right.is_empty() => return Ordering::Greater,
            (true, false) => return Ordering::Less,
            (false, true) if left.is_empty() => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        if left.is_empty() || right.is_empty() {
            // The one that has more is the newer one.
            return left.len().min(1).cmp(&right.len().min(1));
        }
        let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let order = match (is_number(left), is_number(right)) {
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (true, true) => {
                let (a, rest) = run(left, |c| c.is_ascii_digit());
                let (b, other_rest) = run(right, |c| c.is_ascii_digit());
                (left, right) = (rest, other_rest);
                digits(a, b)
            }
            (false, false) => {
                let (a, rest) = run(left, |c| c.is_ascii_alphabetic());
                let (b, other_rest) = run(right, |c| c.is_ascii_alphabetic());
                (left, right) = (rest, other_rest);
                a.cmp(b)
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}
