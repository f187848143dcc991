//! The end of a process that cannot go on: what a panic leaves behind, and what it says.
//!
//! A panic is a fault of ours, so nothing was judged: "no verdict", never an exit code that could be
//! taken for one. Its message may hold what it stumbled over, a secret too, so only its place is told.
//! Builds for release abort where others unwind; neither runs the destructors that count here, so what
//! has to be put back is kept in a list.

use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::exit::Exit;

type Undo = Box<dyn FnOnce() + Send>;

/// What has to be put back, the newest last.
static UNDO: Mutex<Undos> = Mutex::new(Undos {
    next: 0,
    list: Vec::new(),
});

struct Undos {
    next: u64,
    list: Vec<(u64, Undo)>,
}

/// Something is put back in a crash as long as this lives.
#[derive(Debug)]
#[must_use = "nothing is put back once this is dropped"]
pub struct OnCrash(u64);

/// Has this done where the process ends without its destructors: by a panic, or by a second signal.
/// Nothing in it may panic or wait.
pub fn on_crash(undo: impl FnOnce() + Send + 'static) -> OnCrash {
    let mut undos = UNDO.lock().unwrap_or_else(PoisonError::into_inner);
    let number = undos.next;
    undos.next += 1;
    undos.list.push((number, Box::new(undo)));
    OnCrash(number)
}

/// Has a file or a folder removed there: what an engine or a key left in it may be a secret.
pub fn removed_on_crash(path: &Path) -> OnCrash {
    let path = path.to_owned();
    on_crash(move || remove(&path))
}

#[expect(
    clippy::disallowed_methods,
    reason = "no clock but the system's is left in a panic, or beside a main thread that is held up"
)]
fn remove(path: &Path) {
    // What was just killed may still be writing its last file.
    for _ in 0..50 {
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(path)
        } else {
            std::fs::remove_file(path)
        };
        if removed.is_ok() || !path.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for OnCrash {
    fn drop(&mut self) {
        let mut undos = UNDO.lock().unwrap_or_else(PoisonError::into_inner);
        undos.list.retain(|(number, _)| *number != self.0);
    }
}

/// Puts back what is there to be put back, the newest first, and ends the process.
#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "there is no way back to main from here, and no report that could be written whole"
)]
pub(super) fn end(exit: Exit, told: &str) -> ! {
    let list = std::mem::take(&mut UNDO.lock().unwrap_or_else(PoisonError::into_inner).list);
    for (_, undo) in list.into_iter().rev() {
        undo();
    }
    // Nobody listens any more: the exit code says it all the same.
    let _ = std::io::stderr().write_all(told.as_bytes());
    std::process::exit(exit.code().into());
}

/// Makes every panic of this process end it.
pub(super) fn watch() {
    std::panic::set_hook(Box::new(|panic| end(Exit::NoVerdict, &told(panic))));
}

fn told(panic: &PanicHookInfo<'_>) -> String {
    let place = panic
        .location()
        .map_or("an unknown place".to_owned(), |place| {
            format!("{}:{}", place.file(), place.line())
        });
    format!(
        "error: internal error at {place}: there is no verdict\n\n\
         hint: this is a fault of the tool, not of what it looked at; report it with this place, the version and the command line\n"
    )
}
