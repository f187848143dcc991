//! Walking through a JSON text that need not fit in memory.
//!
//! The walk knows objects and lists and hands out single values, which serde_json then reads into types
//! of ours; what nobody asks for is skipped without being held. So the largest thing in memory is one
//! row, and the bytes are never there twice.

use std::collections::HashSet;
use std::io;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::source::Source;

/// Deeper nesting is no report. serde_json has the same limit for what it reads.
const DEEPEST: usize = 128;

/// Longer than any key of a real report.
const LONGEST_KEY: usize = 64 * 1024;

/// Why a text cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself, its gzip form or its size.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The text ends in the middle.
    #[error("it ends after {offset} bytes in the middle of {inside}: was the scanner stopped?")]
    Truncated {
        /// Bytes of text.
        offset: u64,
        /// What was open.
        inside: &'static str,
    },
    /// The text is not JSON, or not in the shape that the format has.
    #[error("at byte {offset}: {message}")]
    Shape {
        /// Byte of text.
        offset: u64,
        /// What is wrong.
        message: String,
    },
}

/// A place in a JSON text.
#[derive(Debug)]
pub struct Cursor<'s> {
    source: &'s mut Source,
    depth: usize,
}

/// A type that may borrow from the text: `At<'a>` is what is read from a text that lives for `'a`.
pub trait Lends {
    /// The type itself.
    type At<'a>: Deserialize<'a>;
}

/// A type that borrows nothing.
struct Owns<T>(PhantomData<T>);

impl<T: DeserializeOwned> Lends for Owns<T> {
    type At<'a> = T;
}

/// What kind of value comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{`
    Object,
    /// `[`
    List,
    /// `"`
    Text,
    /// `null`
    Null,
    /// A number or a truth value.
    Other,
}

impl<'s> Cursor<'s> {
    /// Starts where the source stands.
    pub fn new(source: &'s mut Source) -> Self {
        Self { source, depth: 0 }
    }

    fn shape<T>(&self, message: impl Into<String>) -> Result<T, ReadError> {
        Err(ReadError::Shape {
            offset: self.source.offset(),
            message: message.into(),
        })
    }

    fn truncated(&self, inside: &'static str) -> ReadError {
        ReadError::Truncated {
            offset: self.source.offset() + self.source.window().len() as u64,
            inside,
        }
    }

    /// The next byte that is no blank; `None` at the end.
    ///
    /// # Errors
    /// The source fails.
    pub fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        loop {
            let window = self.source.window();
            let blanks = window
                .iter()
                .position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
            match blanks {
                Some(blanks) => {
                    let byte = window.get(blanks).copied();
                    self.source.advance(blanks);
                    return Ok(byte);
                }
                None => {
                    self.source.advance(window.len());
                    if !self.source.grow()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn must(&mut self, inside: &'static str) -> Result<u8, ReadError> {
        match self.peek()? {
            Some(byte) => Ok(byte),
            None => Err(self.truncated(inside)),
        }
    }

    fn eat(&mut self, wanted: u8, inside: &'static str) -> Result<(), ReadError> {
        let byte = self.must(inside)?;
        if byte != wanted {
            return self.shape(format!(
                "`{}` is wanted, not `{}`",
                wanted as char,
                byte.escape_ascii()
            ));
        }
        self.source.advance(1);
        Ok(())
    }

    /// What comes next.
    ///
    /// # Errors
    /// The text ends.
    pub fn kind(&mut self) -> Result<Kind, ReadError> {
        Ok(match self.must("a value")? {
            b'{' => Kind::Object,
            b'[' => Kind::List,
            b'"' => Kind::Text,
            b'n' => Kind::Null,
            _ => Kind::Other,
        })
    }

    fn deeper(&mut self) -> Result<(), ReadError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.shape(format!("it is nested deeper than {DEEPEST} levels"));
        }
        Ok(())
    }

    /// Walks through an object: `member` gets each key and has to use or [`Cursor::skip`] its value.
    /// `null` is an object without members.
    ///
    /// # Errors
    /// The text is no object, has a key twice, ends early, or `member` fails.
    pub fn object<E: From<ReadError>>(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.kind()? == Kind::Null {
            return Ok(self.skip()?);
        }
        self.eat(b'{', "an object")?;
        self.deeper()?;
        let mut seen: HashSet<String> = HashSet::new();
        if self.must("an object")? == b'}' {
            self.source.advance(1);
        } else {
            loop {
                let key = self.key()?;
                self.eat(b':', "an object")?;
                member(self, &key)?;
                if seen.contains(&key) {
                    return Ok(
                        self.shape(format!("the key `{}` stands there twice", shortened(&key)))?
                    );
                }
                seen.insert(key);
                match self.must("an object")? {
                    b',' => self.source.advance(1),
                    b'}' => {
                        self.source.advance(1);
                        break;
                    }
                    byte => {
                        let byte = byte.escape_ascii();
                        return Ok(self.shape(format!("`,` or `}}` is wanted, not `{byte}`"))?);
                    }
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Walks through a list: `element` has to use or skip each value. `null` is an empty list.
    ///
    /// # Errors
    /// The text is no list, ends early, or `element` fails.
    pub fn list<E: From<ReadError>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.kind()? == Kind::Null {
            return Ok(self.skip()?);
        }
        self.eat(b'[', "a list")?;
        self.deeper()?;
        if self.must("a list")? == b']' {
            self.source.advance(1);
        } else {
            loop {
                element(self)?;
                match self.must("a list")? {
                    b',' => self.source.advance(1),
                    b']' => {
                        self.source.advance(1);
                        break;
                    }
                    byte => {
                        let byte = byte.escape_ascii();
                        return Ok(self.shape(format!("`,` or `]` is wanted, not `{byte}`"))?);
                    }
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads each element of a list into a type.
    ///
    /// # Errors
    /// As [`Cursor::list`] and [`Cursor::value`].
    pub fn each<T: DeserializeOwned>(
        &mut self,
        mut use_it: impl FnMut(T),
    ) -> Result<(), ReadError> {
        self.list(|cursor| {
            use_it(cursor.value()?);
            Ok(())
        })
    }

    /// The same for a type whose texts stay where they are: for rows of which a report has tens of thousands.
    ///
    /// # Errors
    /// As [`Cursor::list`] and [`Cursor::value`].
    pub fn each_lent<B: Lends>(
        &mut self,
        mut use_it: impl for<'a> FnMut(B::At<'a>),
    ) -> Result<(), ReadError> {
        self.list(|cursor| cursor.lend::<B, ()>(&mut use_it))
    }

    fn key(&mut self) -> Result<String, ReadError> {
        if self.must("an object")? != b'"' {
            return self.shape("a key is wanted");
        }
        let length = self.measure(true)?;
        if length > LONGEST_KEY {
            return self.shape("a key is longer than any report has");
        }
        self.read::<Owns<String>, String>(length, |key| key)
    }

    /// Reads the next value into a type; a member that the type does not name costs nothing but its
    /// bytes.
    ///
    /// # Errors
    /// The value is not of that shape, or the text ends.
    pub fn value<T: DeserializeOwned>(&mut self) -> Result<T, ReadError> {
        self.lend::<Owns<T>, T>(|value| value)
    }

    /// Reads the next value into a type that may borrow, and hands it to `use_it`.
    fn lend<B: Lends, R>(
        &mut self,
        mut use_it: impl for<'a> FnMut(B::At<'a>) -> R,
    ) -> Result<R, ReadError> {
        self.must("a value")?;
        let room = DEEPEST.saturating_sub(self.depth);
        // Nearly every value is whole, in the window and shallow: then one look at its bytes is enough. Whatever
        // is not is measured first, which also finds the words for what is wrong with it.
        let there = at_once::<B::At<'_>>(self.source.window(), room);
        if let Some((result, length)) = there.map(|(value, length)| (use_it(value), length)) {
            self.source.advance(length);
            return Ok(result);
        }
        let length = self.measure(true)?;
        self.read::<B, R>(length, use_it)
    }

    fn read<B: Lends, R>(
        &mut self,
        length: usize,
        use_it: impl for<'a> FnMut(B::At<'a>) -> R,
    ) -> Result<R, ReadError> {
        let bytes = self.source.window().get(..length).unwrap_or_default();
        let read = serde_json::from_slice::<B::At<'_>>(bytes).map(use_it);
        match read {
            Ok(result) => {
                self.source.advance(length);
                Ok(result)
            }
            Err(error) => {
                let text = error.to_string();
                // Lines and columns count from the start of this value, which nobody can find.
                let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
                self.shape(message)
            }
        }
    }

    /// Skips the next value without holding it.
    ///
    /// # Errors
    /// The text ends, or is no JSON.
    pub fn skip(&mut self) -> Result<(), ReadError> {
        self.must("a value")?;
        let left = self.measure(false)?;
        self.source.advance(left);
        Ok(())
    }

    /// Finds the end of the value that starts here. With `hold` the whole value is in the window, and
    /// its length is the answer; else what has been looked at is let go, and the answer is the rest.
    fn measure(&mut self, hold: bool) -> Result<usize, ReadError> {
        let mut at = 0;
        let mut depth = self.depth;
        let outside = depth;
        let mut in_text = false;
        let mut in_word = false;
        loop {
            let window = self.source.window();
            while let Some(rest) = window.get(at..).filter(|rest| !rest.is_empty()) {
                if in_text {
                    let Some(next) = quote_or_escape(rest) else {
                        at = window.len();
                        break;
                    };
                    if rest[next] == b'\\' {
                        if next + 1 == rest.len() {
                            // The escaped byte is not there yet.
                            at += next;
                            break;
                        }
                        at += next + 2;
                        continue;
                    }
                    at += next + 1;
                    in_text = false;
                    if depth == outside {
                        return Ok(at);
                    }
                    continue;
                }
                let byte = rest[0];
                if in_word {
                    match byte {
                        b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' | b':' => {
                            in_word = false;
                            if depth == outside {
                                return Ok(at);
                            }
                        }
                        _ => {
                            at += 1;
                            continue;
                        }
                    }
                }
                at += 1;
                match byte {
                    b'"' => in_text = true,
                    b'{' | b'[' => {
                        depth += 1;
                        if depth > DEEPEST {
                            return self
                                .shape(format!("it is nested deeper than {DEEPEST} levels"));
                        }
                    }
                    b'}' | b']' => {
                        if depth == outside {
                            return self
                                .shape(format!("a value is wanted, not `{}`", byte as char));
                        }
                        depth -= 1;
                        if depth == outside {
                            return Ok(at);
                        }
                    }
                    b' ' | b'\n' | b'\r' | b'\t' => {}
                    b',' | b':' if depth > outside => {}
                    b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => in_word = true,
                    _ => {
                        return self.shape(format!("`{}` starts no value", byte.escape_ascii()));
                    }
                }
            }
            if !hold {
                self.source.advance(at);
                at = 0;
            }
            if !self.source.grow()? {
                // A number ends where the text ends.
                if in_word && depth == outside {
                    return Ok(at);
                }
                return Err(self.truncated(if in_text { "a text" } else { "a value" }));
            }
        }
    }
}

/// The value at the start of a window and its length, where it surely ends there and surely has no more levels
/// than there is room for.
fn at_once<'a, T: Deserialize<'a>>(window: &'a [u8], room: usize) -> Option<(T, usize)> {
    let mut values = serde_json::Deserializer::from_slice(window).into_iter::<T>();
    let value = values.next()?.ok()?;
    let length = values.byte_offset();
    let bytes = window.get(..length)?;
    // A number at the very end of the window may go on behind it. What nobody asks for is read by serde_json to any
    // depth; a value cannot be deeper than it has brackets.
    (length < window.len() && brackets(bytes) <= room).then_some((value, length))
}

/// How many `[` and `{` there are, in texts too. Counted in bytes for so many as a byte can count, which the compiler
/// turns into vector instructions.
fn brackets(bytes: &[u8]) -> usize {
    let opens = |byte: &u8| u8::from(byte & !0x20 == b'[');
    bytes
        .chunks(192)
        .map(|some| usize::from(some.iter().map(opens).sum::<u8>()))
        .sum()
}

/// The place of the first `"` or `\`. Looks at 32 bytes at a time, which the compiler turns into vector
/// instructions: most of a report is text.
fn quote_or_escape(bytes: &[u8]) -> Option<usize> {
    let ends = |byte: u8| (byte == b'"') | (byte == b'\\');
    let mut at = 0;
    for block in bytes.chunks_exact(32) {
        if block.iter().fold(false, |any, &byte| any | ends(byte)) {
            break;
        }
        at += 32;
    }
    let rest = bytes.get(at..)?;
    rest.iter()
        .position(|&byte| ends(byte))
        .map(|next| at + next)
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests;
