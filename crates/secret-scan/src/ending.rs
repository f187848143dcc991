//! However a run ends, nothing of it stays: no engine, no temporary folder, and no word of what it read.
//!
//! Values unwind in a run that comes to its end. They do not where a bug panics (released binaries abort),
//! nor where a second signal ends the process: what has to be undone then is known here.

use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gs_common::exit::Exit;
use gs_common::process;
use tokio::sync::watch;

/// How long the run may take to write its report after a second signal, before it is cut off.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The temporary folder of the run.
static FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);

/// How urgently somebody wants the run to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    GoOn,
    /// Engines may tidy up, and what they found so far is reported.
    End,
    /// Nothing is waited for.
    EndNow,
}

/// Hears of the signals that end a run.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Wish>);

impl Stop {
    /// Nobody stops this.
    #[must_use]
    pub fn never() -> Self {
        Self(watch::channel(Wish::GoOn).1)
    }

    /// Whether somebody wants the end.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        *self.0.borrow() > Wish::GoOn
    }

    /// Waits for the first signal.
    pub async fn asked(self) {
        self.hear(Wish::End).await;
    }

    /// Waits for the second signal.
    pub async fn at_once(self) {
        self.hear(Wish::EndNow).await;
    }

    async fn hear(mut self, wish: Wish) {
        // Fails only where nobody is left who could ask.
        if self.0.wait_for(|said| *said >= wish).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Remembers the folder.
pub fn uses(folder: &Path) {
    *FOLDER.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.to_owned());
}

/// Kills every engine and removes the temporary folder, with whatever an engine left in it.
#[expect(
    clippy::disallowed_methods,
    reason = "no clock but the system's is left in a panic, or beside a main thread that is held up"
)]
pub fn tidy() {
    process::kill_all();
    let folder = FOLDER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let Some(folder) = folder else { return };
    // What was just killed may still be writing its last file.
    for _ in 0..50 {
        if std::fs::remove_dir_all(&folder).is_ok() || !folder.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Listens for Ctrl-C and SIGTERM, in a thread of its own, so that a run that is held up (by a full pipe
/// that nobody reads) can be ended all the same. From when this returns, no signal ends the process
/// without tidying up.
///
/// # Errors
/// The system gives no thread, or no signals.
pub fn listen() -> std::io::Result<Stop> {
    let (say, hear) = watch::channel(Wish::GoOn);
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => runtime.block_on(pass_on(&say, &ready)),
                Err(error) => drop(ready.send(Err(error))),
            }
        })?;
    match is_ready.recv() {
        Ok(begun) => begun.map(|()| Stop(hear)),
        Err(_) => Err(std::io::Error::other("signals cannot be heard")),
    }
}

type Ready = std::sync::mpsc::Sender<std::io::Result<()>>;

#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "a second signal ends a process whose main thread may be held up"
)]
async fn pass_on(say: &watch::Sender<Wish>, ready: &Ready) {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let _ = ready.send(Ok(()));
    signals.next().await;
    let _ = say.send(Wish::End);
    signals.next().await;
    process::kill_all();
    let _ = say.send(Wish::EndNow);
    tokio::time::sleep(LAST_WORDS).await;
    tidy();
    std::process::exit(Exit::Interrupted.code().into());
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        let _ = self.0.recv().await;
    }
}

/// A bug ends the process, and takes all of the run with it. Its message is never shown: that of a text
/// that is cut in the middle of a letter, for one, has the text in it.
pub fn on_panic(say: impl Fn(&str) + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |panic| {
        say(&words(panic));
        tidy();
    }));
}

fn words(panic: &PanicHookInfo<'_>) -> String {
    let place = panic
        .location()
        .map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
    format!(
        "error: no verdict: secret-scan fell over{place}; this is a bug\n\nhint: report that place; what was read there is not shown, since it may be a secret\n"
    )
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "what an engine leaves is written by it"
)]
mod tests {
    use super::*;

    const VALUE: &str = "pässwort-hunter22-hunter22";

    /// What the next test starts as a process of its own; by itself it has nothing to do.
    #[test]
    fn falls_over() {
        let Some(folder) = std::env::var_os("GS_TEST_FOLDER") else {
            return;
        };
        on_panic(|said| {
            let mut err = std::io::stderr();
            let _ = std::io::Write::write_all(&mut err, said.as_bytes());
        });
        let folder = PathBuf::from(folder).join("run");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("-"), VALUE).unwrap();
        uses(&folder);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mark = folder.with_file_name("pid");
            let script = format!(
                "echo $$ > {0}.new; mv {0}.new {0}; sleep 600",
                mark.display()
            );
            let engine = process::Program::new("sh").args(["-c", &script]).run();
            let falls = async {
                while !mark.exists() {
                    tokio::task::yield_now().await;
                }
                // In the middle of a letter.
                let _ = &VALUE[..2];
            };
            let _ = tokio::join!(engine, falls);
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_bug_shows_no_value_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ending::tests::falls_over", "--nocapture"])
            .env("GS_TEST_FOLDER", folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(
            said.contains("no verdict: secret-scan fell over at"),
            "{said}"
        );
        for stream in [&output.stdout, &output.stderr] {
            assert!(
                !String::from_utf8_lossy(stream).contains("hunter22"),
                "{said}"
            );
        }
        assert!(!folder.path().join("run").exists(), "the folder stayed");
        let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
        let engine = format!("/proc/{}/exe", pid.trim());
        let began = std::time::Instant::now();
        while Path::new(&engine).exists() {
            assert!(began.elapsed() < Duration::from_secs(60), "it lives on");
            std::thread::yield_now();
        }
    }
}
