//! The bytes of a file, hashed as they come. Where there are many, a thread of its own reads and hashes them, while
//! what came before is parsed.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use gs_common::fingerprint;
use sha2::{Digest as _, Sha256};

use super::source::{PIECE, Seen};

/// Pieces that wait to be parsed.
const WAITING: usize = 2;

type Reader = Box<dyn Read + Send>;

/// What has been read, of a file that may go on.
#[derive(Clone, Default)]
pub(super) struct Tally(Arc<Mutex<(Sha256, u64)>>);

impl Tally {
    fn add(&self, piece: &[u8]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.0.update(piece);
        all.1 += piece.len() as u64;
    }

    /// Hash and size of all that was read.
    pub(super) fn seen(&self) -> Seen {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Seen {
            sha256: fingerprint::hex(&all.0.clone().finalize()),
            bytes: all.1,
        }
    }
}

/// Where the next piece comes from.
enum Next {
    /// It is read when it is wanted.
    Reader(Reader),
    /// A thread has read it, or will. Pieces that were used go back. An empty one is the end.
    Thread(Receiver<io::Result<Vec<u8>>>, SyncSender<Vec<u8>>),
    /// There is none.
    End,
    /// It could not be read, which must never look like an end.
    Failed,
}

/// A reader that hashes what passes, and reads ahead.
pub(super) struct Ahead {
    next: Next,
    piece: Vec<u8>,
    used: usize,
    tally: Tally,
}

impl Ahead {
    pub(super) fn new(reader: impl Read + Send + 'static, tally: Tally) -> Self {
        Self {
            next: Next::Reader(Box::new(reader)),
            piece: Vec::new(),
            used: 0,
            tally,
        }
    }

    /// Gets a piece that is not empty, except at the end.
    fn advance(&mut self) -> io::Result<()> {
        // Whatever happens, what was given is not given again.
        let mut before = std::mem::take(&mut self.piece);
        self.used = 0;
        match std::mem::replace(&mut self.next, Next::Failed) {
            Next::Reader(mut reader) => {
                let is_first = before.is_empty();
                fill(&mut reader, &mut before)?;
                self.piece = before;
                self.tally.add(&self.piece);
                self.next = match self.piece.len() {
                    0 => Next::End,
                    PIECE if is_first => read_ahead(reader, self.tally.clone()),
                    // What is small needs no thread.
                    _ => Next::Reader(reader),
                };
            }
            Next::Thread(pieces, used) => {
                let next = pieces.recv().unwrap_or_else(|_| {
                    Err(io::Error::other("the thread that reads it has ended early"))
                });
                self.piece = next?;
                self.next = if self.piece.is_empty() {
                    Next::End
                } else {
                    // Where nobody takes it back, the thread has read all there is.
                    let _ = used.try_send(before);
                    Next::Thread(pieces, used)
                };
            }
            Next::End => self.next = Next::End,
            Next::Failed => {
                return Err(io::Error::other("an earlier part of it could not be read"));
            }
        }
        Ok(())
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.used == self.piece.len() {
            self.advance()?;
        }
        let ready = self.piece.get(self.used..).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.used += count;
        Ok(count)
    }
}

/// Reads until the piece is full or the reader ends.
fn fill(reader: &mut Reader, piece: &mut Vec<u8>) -> io::Result<()> {
    piece.clear();
    reader.take(PIECE as u64).read_to_end(piece)?;
    Ok(())
}

/// Lets a thread go on with a reader; where there is no thread to be had, it is read as it is wanted.
fn read_ahead(reader: Reader, tally: Tally) -> Next {
    let (full, pieces) = sync_channel(WAITING);
    let (used, empty) = sync_channel(WAITING);
    let given = Arc::new(Mutex::new(Some(reader)));
    let take =
        |given: &Mutex<Option<Reader>>| given.lock().unwrap_or_else(PoisonError::into_inner).take();
    let taken = Arc::clone(&given);
    let work = move || {
        if let Some(reader) = take(&taken) {
            read_all(reader, &tally, &full, &empty);
        }
    };
    let name = "reads ahead".to_owned();
    match std::thread::Builder::new().name(name).spawn(work) {
        Ok(_) => Next::Thread(pieces, used),
        Err(_) => take(&given).map_or(Next::Failed, Next::Reader),
    }
}

/// Reads to the end, which is an empty piece, or to an error. Where nobody wants any more, it ends as well.
fn read_all(
    mut reader: Reader,
    tally: &Tally,
    full: &SyncSender<io::Result<Vec<u8>>>,
    empty: &Receiver<Vec<u8>>,
) {
    loop {
        let mut piece = empty.try_recv().unwrap_or_default();
        let read = fill(&mut reader, &mut piece);
        tally.add(&piece);
        let ends = piece.is_empty() || read.is_err();
        if full.send(read.map(|()| piece)).is_err() || ends {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a text in steps of odd sizes, then an end or an error.
    struct Steps {
        text: Vec<u8>,
        at: usize,
        fails: bool,
    }

    impl Read for Steps {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let rest = &self.text[self.at..];
            if rest.is_empty() && self.fails {
                return Err(io::Error::other("the disk is gone"));
            }
            let count = rest.len().min(buffer.len()).min(10_007);
            buffer[..count].copy_from_slice(&rest[..count]);
            self.at += count;
            Ok(count)
        }
    }

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn all_bytes_come_in_order_and_are_hashed() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 7 * PIECE, 7 * PIECE + 3] {
            let text = text(length);
            let tally = Tally::default();
            let steps = Steps {
                text: text.clone(),
                at: 0,
                fails: false,
            };
            let mut ahead = Ahead::new(steps, tally.clone());
            let mut read = Vec::new();
            ahead.read_to_end(&mut read).unwrap();
            assert!(read == text, "{length}");
            assert_eq!(ahead.read(&mut [0; 4]).unwrap(), 0, "the end stays the end");
            let seen = tally.seen();
            assert_eq!(seen.bytes, length as u64);
            assert_eq!(seen.sha256, fingerprint::sha256(&text));
        }
    }

    #[test]
    fn a_read_that_fails_is_no_end() {
        for length in [0, 5, PIECE, 3 * PIECE + 1] {
            let steps = Steps {
                text: text(length),
                at: 0,
                fails: true,
            };
            let mut ahead = Ahead::new(steps, Tally::default());
            let error = ahead.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.to_string(), "the disk is gone", "{length}");
            assert!(ahead.read(&mut [0; 4]).is_err(), "nor does it become one");
        }
    }

    #[test]
    fn what_nobody_reads_holds_up_nobody() {
        let steps = Steps {
            text: text(40 * PIECE),
            at: 0,
            fails: false,
        };
        let mut ahead = Ahead::new(steps, Tally::default());
        let mut some = vec![0; 2 * PIECE];
        ahead.read_exact(&mut some).unwrap();
        drop(ahead);
    }
}
