//! Which file judged: where each engine's program lies, and the SHA-256 of what is in it.
//!
//! The file is looked at before the engine starts and again when it has ended. It is hashed in between,
//! beside the scan, so that nobody waits for it; a file that the configuration pins is hashed first, and
//! an engine with another file than that is not run at all.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gs_common::fingerprint::sha256_of;

use super::{Engine, Kind, Outcome, find};

/// The file of an engine's program. A script that calls another program is the file, not the other one.
#[derive(Clone, Debug)]
pub struct Binary {
    /// The engine.
    pub kind: Kind,
    /// The file, as it was found.
    pub path: PathBuf,
    /// The SHA-256 of its content, or why there is none.
    pub sha256: Result<String, String>,
    stamp: Option<Stamp>,
}

/// What a file cannot keep when another one takes its place, or its content changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    /// Device, number, and the time of the last change of either, which no program can set.
    #[cfg(unix)]
    identity: (u64, u64, i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let file = path.metadata().ok()?;
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Some(Self {
            length: file.len(),
            modified: file.modified().ok(),
            #[cfg(unix)]
            identity: (file.dev(), file.ino(), file.ctime(), file.ctime_nsec()),
        })
    }
}

/// Finds the file of each engine, makes the engine run that very file, and refuses those whose file is
/// not one of those pinned. What is not pinned has no hash yet: [`hash`] makes it.
pub async fn look(engines: &mut [Engine], path_variable: Option<&str>) -> Vec<Binary> {
    let mut found = Vec::new();
    for engine in engines {
        let Some(path) = find(&engine.program, path_variable) else {
            let why = format!("there is no program `{}`", engine.program.display());
            engine.refused = Some((Outcome::Missing, why));
            continue;
        };
        engine.program.clone_from(&path);
        let mut binary = Binary {
            kind: engine.kind,
            stamp: Stamp::of(&path),
            path,
            sha256: Err("it was not read to its end".to_owned()),
        };
        if !engine.pins.is_empty() {
            binary.sha256 = hashed(&binary.path).await;
            engine.refused = refusal(&binary, &engine.pins).map(|why| (Outcome::Replaced, why));
        }
        found.push(binary);
    }
    found
}

/// Hashes the files that have no hash yet, in threads of their own.
pub async fn hash(binaries: &mut [Binary]) {
    for binary in binaries.iter_mut().filter(|one| one.sha256.is_err()) {
        binary.sha256 = hashed(&binary.path).await;
    }
}

async fn hashed(path: &Path) -> Result<String, String> {
    let path = path.to_owned();
    let read = move || -> io::Result<String> { sha256_of(File::open(path)?) };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(hash)) => Ok(hash),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it was not read to its end".to_owned()),
    }
}

/// Why an engine is not run.
fn refusal(binary: &Binary, pins: &[String]) -> Option<String> {
    let name = binary.kind.as_str();
    let path = binary.path.display();
    match &binary.sha256 {
        Ok(hash) if pins.contains(hash) => None,
        Ok(hash) => Some(format!(
            "`{path}` is another file than {name}-sha256 says, so it was not run: its SHA-256 is {hash}"
        )),
        Err(why) => Some(format!(
            "{name}-sha256 says which file it has to be, and `{path}` cannot be read: {why}"
        )),
    }
}

impl Binary {
    /// What there is to say where the file is no longer what it was when the engine started.
    #[must_use]
    pub fn replaced(&self) -> Option<String> {
        (self.stamp.is_none() || Stamp::of(&self.path) != self.stamp).then(|| {
            format!(
                "`{}` changed while it ran: which program judged is not known",
                self.path.display()
            )
        })
    }
}
