//! Writing a log: one line at a time, each handed to the system at once, so that a process that is killed
//! loses nothing that it had seen.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::{Line, LogHeader, Recording, read};

/// A log larger than this is not resumed.
const LARGEST: u64 = 1 << 30;

/// A log that is written.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    broken: Option<String>,
}

/// Why a log cannot be started or continued.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is one, and nobody asked to go on with it.
    #[error("`{}` is there already: the log of a run is only ever appended to", .0.display())]
    Exists(PathBuf),
    /// The system says no.
    #[error("cannot open the log `{}`: {cause}", path.display())]
    Io {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another process writes it.
    #[error("another run writes the log `{}`", .0.display())]
    Busy(PathBuf),
    /// It is there, and is no log.
    #[error("`{}` cannot be resumed: {why}", path.display())]
    Unreadable {
        /// The path as given.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl OpenError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Exists(_) => "add --resume to go on with that run, or name another file",
            Self::Io { .. } => "name a file in a folder that is there and may be written to",
            Self::Busy(_) => "wait for it, or look on with `canary-monitor watch`",
            Self::Unreadable { .. } => "name another file to start a new run",
        }
    }
}

impl Log {
    /// Starts a log. What is no regular file, such as a pipe, may be there already, and so may a file
    /// without a byte: a run that found nothing to watch leaves one.
    ///
    /// # Errors
    /// The file is there, or cannot be made.
    pub fn create(path: &Path) -> Result<Self, OpenError> {
        let failed = |cause| OpenError::Io {
            path: path.to_owned(),
            cause,
        };
        let free = std::fs::metadata(path)
            .is_ok_and(|found| !found.is_dir() && (!found.is_file() || found.len() == 0));
        let mut options = OpenOptions::new();
        options.append(true).create_new(!free);
        let file = options.open(path).map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => OpenError::Exists(path.to_owned()),
            _ => failed(cause),
        })?;
        alone(&file, path)?;
        Ok(Self::of(path, file))
    }

    /// Goes on with a log, if there is one, else starts it. A torn last line is cut off.
    ///
    /// # Errors
    /// It cannot be read or written, is no decision log, or another process writes it.
    pub fn resume(path: &Path) -> Result<(Self, Option<Recording>), OpenError> {
        let failed = |cause| OpenError::Io {
            path: path.to_owned(),
            cause,
        };
        let unreadable = |why: String| OpenError::Unreadable {
            path: path.to_owned(),
            why,
        };
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Self::create(path)?, None));
            }
            Err(error) => return Err(failed(error)),
        };
        alone(&file, path)?;
        let size = file.metadata().map_err(failed)?.len();
        if size > LARGEST {
            return Err(unreadable(format!("it is larger than {LARGEST} bytes")));
        }
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|error| unreadable(error.to_string()))?;
        if text.is_empty() {
            return Ok((Self::of(path, file), None));
        }
        let recording = read(&text).map_err(|error| unreadable(error.to_string()))?;
        if recording.log.is_none() {
            return Err(unreadable(
                "it holds observations alone, and not who judges them how".to_owned(),
            ));
        }
        file.set_len(recording.whole_bytes).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok((Self::of(path, file), Some(recording)))
    }

    fn of(path: &Path, file: File) -> Self {
        Self {
            path: path.to_owned(),
            file,
            broken: None,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the first line.
    pub fn start(&mut self, header: &LogHeader) {
        match serde_json::to_string(header) {
            Ok(text) => self.append(&(text + "\n")),
            Err(error) => self.broken = Some(error.to_string()),
        }
    }

    /// Writes a line. After a failure nothing more is written: a log with a hole would tell another
    /// story.
    pub fn write(&mut self, line: &Line) {
        match line.encode() {
            Ok(text) => self.append(&text),
            Err(error) => {
                self.broken.get_or_insert(error.to_string());
            }
        }
    }

    /// Writes the text of a line, its end included.
    pub fn append(&mut self, text: &str) {
        if self.broken.is_some() {
            return;
        }
        if let Err(error) = self.file.write_all(text.as_bytes()) {
            self.broken = Some(error.to_string());
        }
    }

    /// Why it is not whole, if it is not.
    #[must_use]
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }
}

/// Two runs in one log would make a story that nobody lived. The lock ends with the process.
fn alone(file: &File, path: &Path) -> Result<(), OpenError> {
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::Busy(path.to_owned())),
        // Where there are no locks, there are none.
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => Ok(()),
    }
}
