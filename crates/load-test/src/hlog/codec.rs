//! One histogram as the text of an interval log: V2 with DEFLATE, in base64.
//!
//! Writing leaves everything to the hdrhistogram crate. Reading checks each length and count first:
//! the crate reserves whatever a length in the data asks for, up to 4 GiB.

use std::io::Read as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use hdrhistogram::{Counter, Histogram};

use crate::result::{HIGHEST_MICROS, LOWEST_MICROS};

/// First word of a compressed V2 histogram (HdrHistogram, `V2CompressedEncodingCookieBase` with the
/// word size of 0x10).
const COMPRESSED: u32 = 0x1c84_9314;

/// First word of the plain V2 histogram inside.
const PLAIN: u32 = 0x1c84_9313;

/// Bytes before the counts of a plain histogram.
const HEADER: usize = 40;

/// No histogram with our bounds is longer, even if no two counts were alike.
const LONGEST_TEXT: usize = 1 << 20;

/// Writes a histogram with our bounds, whatever bounds it grew to: the same counts always give the
/// same text.
///
/// # Errors
/// A count is too large for the format.
pub fn encode<T: Counter>(histogram: &Histogram<T>) -> Result<String, String> {
    let digits = histogram.sigfig();
    let mut whole = empty::<T>(digits)?;
    whole.add(histogram).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(&whole, &mut bytes)
        .map_err(|error| error.to_string())?;
    Ok(BASE64_STANDARD.encode(bytes))
}

/// Reads a histogram that has our bounds and so many significant digits.
///
/// # Errors
/// It is no such histogram; the fragment says why.
pub fn decode<T: Counter>(text: &str, digits: u8) -> Result<Histogram<T>, String> {
    if text.len() > LONGEST_TEXT {
        return Err("the histogram is longer than any with these bounds".to_owned());
    }
    let bytes = BASE64_STANDARD
        .decode(text)
        .map_err(|error| format!("the histogram is no base64: {error}"))?;
    let (cookie, rest) = word(&bytes).ok_or("the histogram ends early")?;
    if cookie != COMPRESSED {
        return Err("the histogram is not of the form V2 with DEFLATE".to_owned());
    }
    let (length, deflated) = word(rest).ok_or("the histogram ends early")?;
    if length as usize != deflated.len() {
        return Err("the histogram is not as long as it says".to_owned());
    }
    let slots = empty::<T>(digits)?.distinct_values();
    let most = HEADER + 9 * slots;
    let mut plain = Vec::new();
    let mut inflater = ZlibDecoder::new(deflated).take(most as u64 + 1);
    inflater
        .read_to_end(&mut plain)
        .map_err(|error| format!("the histogram cannot be inflated: {error}"))?;
    if plain.len() > most {
        return Err("the histogram is longer than any with these bounds".to_owned());
    }
    check(&plain, digits, slots)?;
    Deserializer::new()
        .deserialize(&mut plain.as_slice())
        .map_err(|error| error.to_string())
}

fn empty<T: Counter>(digits: u8) -> Result<Histogram<T>, String> {
    Histogram::new_with_bounds(LOWEST_MICROS, HIGHEST_MICROS, digits)
        .map_err(|error| error.to_string())
}

/// Whether a plain histogram has our bounds, and counts that fit into them and can be added up.
fn check(plain: &[u8], digits: u8, slots: usize) -> Result<(), String> {
    let short = || "the histogram ends early".to_owned();
    let (cookie, rest) = word(plain).ok_or_else(short)?;
    let (length, rest) = word(rest).ok_or_else(short)?;
    let (offset, rest) = word(rest).ok_or_else(short)?;
    let (has_digits, rest) = word(rest).ok_or_else(short)?;
    let (lowest, rest) = long(rest).ok_or_else(short)?;
    let (highest, rest) = long(rest).ok_or_else(short)?;
    let (ratio, counts) = long(rest).ok_or_else(short)?;
    if cookie != PLAIN || offset != 0 || ratio != 1.0_f64.to_bits() {
        return Err("the histogram is not of the form V2".to_owned());
    }
    if (lowest, highest, has_digits) != (LOWEST_MICROS, HIGHEST_MICROS, u32::from(digits)) {
        return Err(format!(
            "the histogram has other bounds: {lowest} to {highest} with {has_digits} digits, not {LOWEST_MICROS} to {HIGHEST_MICROS} with {digits}"
        ));
    }
    if length as usize != counts.len() {
        return Err("the histogram is not as long as it says".to_owned());
    }
    let mut rest = counts;
    let (mut index, mut total) = (0_usize, 0_i64);
    while !rest.is_empty() {
        let (number, after) = zigzag(rest).ok_or_else(short)?;
        rest = after;
        let step = if number < 0 {
            usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX)
        } else {
            total = total.checked_add(number).ok_or("the counts overflow")?;
            1
        };
        index = index.saturating_add(step);
        if index > slots {
            return Err("the histogram has counts beyond its bounds".to_owned());
        }
    }
    Ok(())
}

fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (head, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*head), rest))
}

fn long(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*head), rest))
}

/// A signed number in LEB128 of at most nine bytes, the ninth whole, with the sign in its lowest bit.
fn zigzag(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0_u64;
    for place in 0..9 {
        let byte = *bytes.get(place)?;
        let ends = place == 8 || byte & 0x80 == 0;
        let bits = if place == 8 { byte } else { byte & 0x7f };
        value |= u64::from(bits) << (7 * place);
        if ends {
            let number = (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
            return Some((number, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{DIGITS, INTERVAL_DIGITS, interval_histogram, micros_histogram};
    use proptest::prelude::*;
    use std::io::Write as _;

    fn packed(plain: &[u8]) -> String {
        let mut deflater =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        deflater.write_all(plain).unwrap();
        let deflated = deflater.finish().unwrap();
        let mut bytes = COMPRESSED.to_be_bytes().to_vec();
        bytes.extend((deflated.len() as u32).to_be_bytes());
        bytes.extend(deflated);
        BASE64_STANDARD.encode(bytes)
    }

    fn plain(counts: &[u8]) -> Vec<u8> {
        let mut bytes = PLAIN.to_be_bytes().to_vec();
        bytes.extend((counts.len() as u32).to_be_bytes());
        bytes.extend(0_u32.to_be_bytes());
        bytes.extend(u32::from(DIGITS).to_be_bytes());
        bytes.extend(LOWEST_MICROS.to_be_bytes());
        bytes.extend(HIGHEST_MICROS.to_be_bytes());
        bytes.extend(1.0_f64.to_be_bytes());
        bytes.extend(counts);
        bytes
    }

    #[test]
    fn hostile_lengths_and_counts_are_refused() {
        let fails = |counts: &[u8]| decode::<u64>(&packed(&plain(counts)), DIGITS).unwrap_err();
        // A run of 2^62 zeros; the least number there is; two counts that overflow together.
        assert!(fails(&[0xff; 9]).contains("beyond its bounds"));
        let most = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(fails(&[most, most].concat()).contains("overflow"));
        assert!(fails(&[0x80]).contains("ends early"));
        // Says that it is 4 GiB long.
        let mut long = plain(&[2]);
        long[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(
            decode::<u64>(&packed(&long), DIGITS)
                .unwrap_err()
                .contains("as long as it says")
        );
        // A bomb: a megabyte of zeros is a kilobyte of DEFLATE.
        let bomb = plain(&vec![0; 8 << 20]);
        assert!(
            decode::<u64>(&packed(&bomb), DIGITS)
                .unwrap_err()
                .contains("longer than any")
        );
        let mut wide = plain(&[2]);
        wide[24..32].copy_from_slice(&u64::MAX.to_be_bytes());
        assert!(
            decode::<u64>(&packed(&wide), DIGITS)
                .unwrap_err()
                .contains("other bounds")
        );
        // A count that does not fit into 32 bits is refused where those are asked for.
        let mut narrow = plain(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0x7f]);
        narrow[15] = INTERVAL_DIGITS;
        assert!(decode::<u32>(&packed(&narrow), INTERVAL_DIGITS).is_err());
    }

    #[test]
    fn the_same_counts_give_the_same_text_however_the_histogram_grew() {
        let (mut small, mut large) = (interval_histogram(), interval_histogram());
        small.record(500).unwrap();
        large.record(3_000_000_000).unwrap();
        large.reset();
        large.record(500).unwrap();
        assert_eq!(encode(&small).unwrap(), encode(&large).unwrap());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            times in prop::collection::vec((1..=HIGHEST_MICROS, 1..1_000_000_u64), 0..40),
        ) {
            let mut histogram = micros_histogram();
            for (time, count) in &times {
                histogram.record_n(*time, *count).unwrap();
            }
            let read: Histogram<u64> = decode(&encode(&histogram).unwrap(), DIGITS).unwrap();
            prop_assert_eq!(&read, &histogram);
            prop_assert_eq!(encode(&read).unwrap(), encode(&histogram).unwrap());
        }

        #[test]
        fn no_counts_make_it_panic(counts in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode::<u64>(&packed(&plain(&counts)), DIGITS);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[A-Za-z0-9+/=]{0,80}") {
            let _ = decode::<u32>(&text, INTERVAL_DIGITS);
        }
    }
}
