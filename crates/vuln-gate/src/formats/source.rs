//! Bytes of a report, whatever they are wrapped in: gzip, a byte order mark, UTF-16.
//!
//! The file is read once, in pieces; its hash is made on the way. Nothing here knows a format.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use super::ahead::{Ahead, Tally};

/// So much is read at once.
pub(super) const PIECE: usize = 256 * 1024;

/// More than this out of one file is no report: a gzip bomb, or the wrong file.
pub const LARGEST: u64 = 8 << 30;

/// The largest part of a report that is ever held at once: one row with everything in it.
pub const LARGEST_VALUE: usize = 16 << 20;

/// What the file was, once it has been read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Lowercase hexadecimal SHA-256 of the bytes as they are on disk.
    pub sha256: String,
    /// How many there were.
    pub bytes: u64,
}

/// UTF-16 as UTF-8; a half of a pair that stands alone becomes the replacement character.
struct Utf16<R> {
    inner: R,
    big: bool,
    raw: Vec<u8>,
    out: Vec<u8>,
    given: usize,
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.out.len() {
            let held = self.raw.len();
            self.raw.resize(held + PIECE, 0);
            let count = self
                .inner
                .read(self.raw.get_mut(held..).unwrap_or_default())?;
            self.raw.truncate(held + count);
            self.out.clear();
            self.given = 0;
            if count == 0 {
                if self.raw.is_empty() {
                    return Ok(0);
                }
                // An odd byte or half a pair at the very end.
                self.raw.clear();
                self.out.extend_from_slice("\u{fffd}".as_bytes());
                continue;
            }
            let unit = |pair: &[u8]| match *pair {
                [a, b] if self.big => u16::from_be_bytes([a, b]),
                [a, b] => u16::from_le_bytes([a, b]),
                _ => 0,
            };
            let mut whole = self.raw.len() / 2 * 2;
            // The first half of a pair waits for the second.
            if whole >= 2 && (0xd800..0xdc00).contains(&unit(&self.raw[whole - 2..whole])) {
                whole -= 2;
            }
            let units = self.raw[..whole].chunks_exact(2).map(unit);
            let mut text = [0; 4];
            for character in char::decode_utf16(units) {
                let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                self.out
                    .extend_from_slice(character.encode_utf8(&mut text).as_bytes());
            }
            self.raw.drain(..whole);
        }
        let ready = self.out.get(self.given..).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.given += count;
        Ok(count)
    }
}

/// The bytes of a report as UTF-8, buffered, with a window that can be looked at before it is used.
pub struct Source {
    inner: Box<dyn Read>,
    tally: Tally,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes given away before `start`.
    passed: u64,
    ended: bool,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}

impl Source {
    /// Unwraps what a reader gives.
    ///
    /// # Errors
    /// The reader fails.
    pub fn open(reader: impl Read + Send + 'static) -> io::Result<Self> {
        let tally = Tally::default();
        let mut inner: Box<dyn Read> = Box::new(Ahead::new(reader, tally.clone()));
        let mut head = start_of(&mut inner)?;
        if head.starts_with(&[0x1f, 0x8b]) {
            inner = Box::new(MultiGzDecoder::new(io::Cursor::new(head).chain(inner)));
            head = start_of(&mut inner)?;
        }
        let (skip, wide) = match head.as_slice() {
            [0xef, 0xbb, 0xbf, ..] => (3, None),
            [0xff, 0xfe, ..] => (2, Some(false)),
            [0xfe, 0xff, ..] => (2, Some(true)),
            // No mark, but a first character of ASCII in two bytes.
            [first, 0, ..] if first.is_ascii_graphic() => (0, Some(false)),
            [0, first, ..] if first.is_ascii_graphic() => (0, Some(true)),
            _ => (0, None),
        };
        head.drain(..skip);
        let inner = io::Cursor::new(head).chain(inner);
        let inner: Box<dyn Read> = match wide {
            None => Box::new(inner),
            Some(big) => Box::new(Utf16 {
                inner,
                big,
                raw: Vec::new(),
                out: Vec::new(),
                given: 0,
            }),
        };
        Ok(Self {
            inner,
            tally,
            buffer: vec![0; PIECE],
            start: 0,
            end: 0,
            passed: 0,
            ended: false,
        })
    }

    /// Bytes that are there without reading on.
    #[must_use]
    pub fn window(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// How many bytes, of the unwrapped text, have been used.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.passed
    }

    /// Uses the first bytes of the window.
    pub fn advance(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.passed += count as u64;
    }

    /// Reads on, so that the window grows by at least one byte; false at the end.
    ///
    /// # Errors
    /// The reader fails, the window would become larger than [`LARGEST_VALUE`], or the whole larger than
    /// [`LARGEST`].
    pub fn grow(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            if self.buffer.len() >= LARGEST_VALUE {
                return Err(io::Error::other(format!(
                    "one value is larger than {} MiB",
                    LARGEST_VALUE >> 20
                )));
            }
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.inner.read(room) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(false);
                }
                Ok(count) => {
                    self.end += count;
                    if self.passed + self.end as u64 > LARGEST {
                        return Err(io::Error::other(format!(
                            "more than {} GiB come out of it",
                            LARGEST >> 30
                        )));
                    }
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads until the window has so many bytes or the input ends.
    ///
    /// # Errors
    /// As [`Source::grow`].
    pub fn want(&mut self, count: usize) -> io::Result<()> {
        while self.end - self.start < count && self.grow()? {}
        Ok(())
    }

    /// Uses everything that is left, so that the hash is that of the whole file.
    ///
    /// # Errors
    /// The reader fails.
    pub fn finish(mut self) -> io::Result<Seen> {
        loop {
            self.advance(self.end - self.start);
            if !self.grow()? {
                break;
            }
        }
        Ok(self.tally.seen())
    }
}

impl io::BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.grow()?;
        }
        Ok(self.window())
    }

    fn consume(&mut self, count: usize) {
        self.advance(count);
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use io::BufRead as _;
        let ready = self.fill_buf()?;
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// The first few bytes, less only where there are no more.
fn start_of(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(4).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gs_common::fingerprint;
    use std::io::Write as _;

    fn text(bytes: Vec<u8>) -> String {
        let mut source = Source::open(io::Cursor::new(bytes)).unwrap();
        while source.grow().unwrap() {}
        String::from_utf8(source.window().to_vec()).unwrap()
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn every_wrapping_gives_the_same_text() {
        let plain = "{\"name\": \"日本 🦀\"}";
        let marked = format!("\u{feff}{plain}");
        let little: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = marked.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let bare: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [
            plain.as_bytes().to_vec(),
            marked.clone().into_bytes(),
            little.clone(),
            big,
            bare,
            gz(plain.as_bytes()),
            gz(&little),
        ] {
            assert_eq!(text(bytes), plain);
        }
    }

    #[test]
    fn two_gzip_members_are_one_text() {
        assert_eq!(text([gz(b"[1,"), gz(b"2]")].concat()), "[1,2]");
    }

    #[test]
    fn a_gzip_that_is_cut_off_is_an_error() {
        let mut whole = gz(b"{\"a\": 1}");
        whole.truncate(whole.len() - 9);
        let mut source = Source::open(io::Cursor::new(whole)).unwrap();
        let ended = loop {
            match source.grow() {
                Ok(true) => {}
                other => break other,
            }
        };
        assert!(ended.is_err());
    }

    #[test]
    fn the_hash_is_that_of_the_bytes_on_disk() {
        let bytes = gz(b"[]");
        let source = Source::open(io::Cursor::new(bytes.clone())).unwrap();
        let seen = source.finish().unwrap();
        assert_eq!(seen.sha256, fingerprint::sha256(&bytes));
        assert_eq!(seen.bytes, bytes.len() as u64);
    }

    #[test]
    fn no_bytes_are_an_empty_window() {
        assert_eq!(text(Vec::new()), "");
        assert_eq!(text(vec![0xef, 0xbb, 0xbf]), "");
    }
}
