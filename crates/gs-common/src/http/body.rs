//! The body of an answer: bounded on the wire and after decoding.

use std::io::Read;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::{FailureKind, Phase, classify};
use crate::units::show_size;

/// What came of a body.
pub(super) struct Received {
    /// The bytes on the wire, as many as were kept.
    pub(super) raw: Bytes,
    /// How many came.
    pub(super) wire_bytes: u64,
    /// What broke, if anything.
    pub(super) broken: Option<(FailureKind, String)>,
}

/// Reads a body until its end, the limit in bytes, or the limit in time. Never holds more than the
/// limit and one chunk.
pub(super) async fn receive(mut body: Incoming, largest: usize, until: Instant) -> Received {
    let mut raw = BytesMut::new();
    let mut wire_bytes = 0_u64;
    let broken = loop {
        let frame = match timeout_at(until, body.frame()).await {
            Err(_) => {
                let message = format!("the body did not end in time, {wire_bytes} bytes came");
                break Some((FailureKind::Timeout, message));
            }
            Ok(None) => break None,
            Ok(Some(Err(error))) => {
                let kind = classify::hyper_error(&error, Phase::Body);
                let message = format!("the body broke off after {wire_bytes} bytes");
                break Some((kind, message));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Some(data) = frame.data_ref() else {
            continue;
        };
        wire_bytes += data.len() as u64;
        if raw.len() + data.len() > largest {
            let room = largest - raw.len();
            raw.extend_from_slice(&data[..room]);
            break Some((FailureKind::TooLarge, too_large(largest)));
        }
        raw.extend_from_slice(data);
    };
    Received {
        raw: raw.freeze(),
        wire_bytes,
        broken,
    }
}

fn too_large(largest: usize) -> String {
    format!("the body is larger than {}", show_size(largest as u64))
}

/// Undoes `content-encoding`. At most `largest` bytes come out, whatever goes in.
///
/// # Errors
/// The body is not what it says, or more than `largest` bytes: the kind, and a lowercase fragment.
pub fn decode(
    headers: &HeaderMap,
    raw: Bytes,
    largest: usize,
) -> Result<Bytes, (FailureKind, String)> {
    let mut body = raw;
    let named: Vec<String> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("unreadable").split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty() && name != "identity")
        .collect();
    // The last one was applied last (RFC 9110, section 8.4).
    for name in named.iter().rev() {
        // A HEAD or a 204 has none, and what an encoding yields may be empty again.
        let Some(&first) = body.first() else {
            return Ok(body);
        };
        body = match name.as_str() {
            "gzip" | "x-gzip" => inflate(flate2::read::MultiGzDecoder::new(&body[..]), largest)?,
            // Some servers mean the raw format by `deflate`; the zlib header tells which it is.
            "deflate" if first & 0x0f == 8 => {
                inflate(flate2::read::ZlibDecoder::new(&body[..]), largest)?
            }
            "deflate" => inflate(flate2::read::DeflateDecoder::new(&body[..]), largest)?,
            other => {
                let shown: String = other.chars().take(40).collect();
                let message =
                    format!("the content-encoding `{shown}` was not asked for and is not known");
                return Err((FailureKind::BadEncoding, message));
            }
        };
    }
    Ok(body)
}

fn inflate(decoder: impl Read, largest: usize) -> Result<Bytes, (FailureKind, String)> {
    let mut decoded = Vec::new();
    decoder
        .take(largest as u64 + 1)
        .read_to_end(&mut decoded)
        .map_err(|error| {
            (
                FailureKind::BadEncoding,
                format!("the body does not decode: {error}"),
            )
        })?;
    if decoded.len() > largest {
        return Err((
            FailureKind::TooLarge,
            format!("{} after decoding", too_large(largest)),
        ));
    }
    Ok(decoded.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn headers(encoding: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_ENCODING, encoding.parse().unwrap())])
    }

    fn gzipped(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn encodings_are_undone() {
        assert_eq!(
            decode(&headers("gzip"), gzipped(b"hello"), 100).unwrap(),
            "hello"
        );
        let twice = gzipped(&gzipped(b"hello"));
        assert_eq!(decode(&headers("gzip, gzip"), twice, 100).unwrap(), "hello");
        assert_eq!(
            decode(&HeaderMap::new(), "plain".into(), 100).unwrap(),
            "plain"
        );
    }

    #[test]
    fn what_decodes_to_nothing_is_empty() {
        let empty = decode(&headers("deflate, gzip"), gzipped(b""), 100);
        assert_eq!(empty.unwrap(), "");
        assert_eq!(decode(&headers("gzip"), Bytes::new(), 100).unwrap(), "");
    }

    #[test]
    fn a_bomb_stays_small() {
        let bomb = gzipped(&vec![0; 10 << 20]);
        assert!(bomb.len() < 20_000);
        let (kind, message) = decode(&headers("gzip"), bomb, 1 << 20).unwrap_err();
        assert_eq!(kind, FailureKind::TooLarge);
        assert_eq!(message, "the body is larger than 1MiB after decoding");
    }

    #[test]
    fn what_is_not_as_announced_is_said() {
        let not_gzip = decode(&headers("gzip"), "not gzip".into(), 100).unwrap_err();
        assert_eq!(not_gzip.0, FailureKind::BadEncoding);
        let cut = gzipped(b"hello hello hello").slice(..12);
        assert_eq!(
            decode(&headers("gzip"), cut, 100).unwrap_err().0,
            FailureKind::BadEncoding
        );
        let unknown = decode(&headers("br"), "x".into(), 100).unwrap_err();
        assert_eq!(unknown.0, FailureKind::BadEncoding);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_grow(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            encoding in prop::sample::select(vec!["gzip", "deflate", "gzip, deflate"]),
        ) {
            if let Ok(decoded) = decode(&headers(encoding), bytes.into(), 1000) {
                prop_assert!(decoded.len() <= 1000);
            }
        }
    }
}
