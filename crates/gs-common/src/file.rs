//! Whole files or none: what stands under its final name was written to its last byte.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`: {cause}", path.display())]
pub struct FileError {
    /// The path that was asked for.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub cause: io::Error,
}

impl FileError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.cause.kind() {
            io::ErrorKind::NotFound => "create the folder first",
            io::ErrorKind::PermissionDenied => "name a folder that this user may write to",
            io::ErrorKind::StorageFull => "make room on the disk, or name a path on another one",
            io::ErrorKind::IsADirectory => "name a file in that folder",
            _ => "name another path",
        }
    }
}

/// Writes a file beside its final place, then renames it into it. On any failure the final name is
/// as it was before, and nothing is left beside it.
///
/// A device or a pipe (`/dev/stdout`, `/dev/null`, a FIFO) is written to directly: a rename would put a
/// file in its place, which root is allowed to do even in `/dev`.
///
/// # Errors
/// The folder is missing or not writable, the disk is full, or `write` itself failed.
pub fn write_atomic(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let attempt = || {
        if path.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            let mut device =
                io::BufWriter::new(std::fs::OpenOptions::new().write(true).open(path)?);
            write(&mut device)?;
            return device.flush();
        }
        let mut beside = beside(path)?;
        {
            let mut buffered = io::BufWriter::new(beside.as_file_mut());
            write(&mut buffered)?;
            buffered.flush()?;
        }
        beside.as_file().sync_all()?;
        beside.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    attempt().map_err(|cause| FileError {
        path: path.to_owned(),
        cause,
    })
}

/// Whether [`write_atomic`] could write there now, for whoever has long work before that. It tries what a write
/// needs, a file beside the final place, and leaves nothing behind; a device or a pipe is not touched.
///
/// # Errors
/// The folder is missing or not writable, or the path is a folder.
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    let attempt = || match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        Ok(found) if !found.is_file() => Ok(()),
        _ => beside(path)?.close(),
    };
    attempt().map_err(|cause| FileError {
        path: path.to_owned(),
        cause,
    })
}

/// A new file in the folder of another one, which goes away unless it is renamed.
fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".gs-").suffix(".part");
    // A temporary file is private by default; a report is not. The process' umask still holds.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        write_atomic(&path, |out| out.write_all(b"one")).unwrap();
        write_atomic(&path, |out| out.write_all(b"two")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["report.json"]);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        write_atomic(&path, |out| out.write_all(b"old")).unwrap();
        let full = write_atomic(&path, |out| {
            out.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        let error = full.unwrap_err();
        assert_eq!(
            error.hint(),
            "make room on the disk, or name a path on another one"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["report.json"]);
    }

    /// As root, a rename onto `/dev/full` once took the device away from the whole machine.
    #[cfg(unix)]
    #[test]
    fn a_pipe_is_written_to_and_stays_a_pipe() {
        use std::os::unix::fs::FileTypeExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let reader = std::thread::spawn({
            let path = path.clone();
            move || std::fs::read(path).unwrap()
        });
        write_atomic(&path, |out| out.write_all(b"through")).unwrap();
        assert!(std::fs::metadata(&path).unwrap().file_type().is_fifo());
        assert_eq!(reader.join().unwrap(), b"through");
        assert_eq!(names(folder.path()), ["pipe"]);
    }

    #[test]
    fn a_missing_folder_is_said_and_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no/such/report.json");
        let error = write_atomic(&path, |out| out.write_all(b"x")).unwrap_err();
        assert!(error.to_string().contains("report.json"), "{error}");
        assert_eq!(error.hint(), "create the folder first");
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_folder_in_the_place_of_the_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomic(folder.path(), |_| Ok(())).unwrap_err();
        assert_eq!(error.hint(), "name a file in that folder");
    }

    #[test]
    fn whether_a_file_could_be_written_is_known_without_writing_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        check_writable(&path).unwrap();
        assert!(names(folder.path()).is_empty());
        write_atomic(&path, |out| out.write_all(b"old")).unwrap();
        check_writable(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["report.json"]);
        #[cfg(unix)]
        check_writable(Path::new("/dev/null")).unwrap();
        let missing = check_writable(&folder.path().join("no/such/report.json")).unwrap_err();
        assert_eq!(missing.hint(), "create the folder first");
        let taken = check_writable(folder.path()).unwrap_err();
        assert_eq!(taken.hint(), "name a file in that folder");
    }
}
