//! Signals that end a run: the first asks for an end with a report, the second for one at once.

use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::watch;

use super::crash;
use crate::exit::Exit;

/// How long the run may take to write its report after a second signal, before it is cut off.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How urgently somebody wants the run to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    GoOn,
    /// What was found so far is reported.
    End,
    /// Nothing is waited for.
    EndNow,
}

/// Hears of the signals that end a run.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Wish>);

impl Stop {
    /// Listens for Ctrl-C, SIGTERM and SIGHUP (a terminal that is gone; not where the process was started to
    /// outlive it, by `nohup`), from when this returns and for the whole process. It does so in a
    /// thread of its own, so that a run that is held up (by a full pipe that nobody reads) can be ended all
    /// the same: half a second after the second signal the process is over, and what has to be put back is
    /// put back.
    ///
    /// Where the system gives no thread or no signals, a signal ends the process as it does by itself.
    pub fn listen() -> Self {
        static HEARD: OnceLock<Stop> = OnceLock::new();
        HEARD
            .get_or_init(|| start().unwrap_or_else(Self::never))
            .clone()
    }

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

fn start() -> Option<Stop> {
    let (say, hear) = watch::channel(Wish::GoOn);
    let (ready, is_ready) = mpsc::channel();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || super::in_runtime(pass_on(&say, &ready)))
        .ok()?;
    // Without a message the thread had nothing to listen with.
    is_ready.recv().ok()?;
    Some(Stop(hear))
}

async fn pass_on(say: &watch::Sender<Wish>, ready: &mpsc::Sender<()>) {
    let Ok(mut signals) = Signals::new() else {
        return;
    };
    let _ = ready.send(());
    signals.next().await;
    let _ = say.send(Wish::End);
    signals.next().await;
    let _ = say.send(Wish::EndNow);
    tokio::time::sleep(LAST_WORDS).await;
    crash::end(
        Exit::Interrupted,
        "interrupted again: ended without waiting for a report\n",
    );
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: if hangs_up() {
                Some(signal(SignalKind::hangup())?)
            } else {
                None
            },
        })
    }

    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = hangup => {}
        }
    }
}

/// Whether SIGHUP would end this process. To listen to a signal that was ignored would undo what `nohup` did, and
/// only Linux tells without a call of C whether it was.
#[cfg(unix)]
fn hangs_up() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| !ignores(&status, 1))
}

/// Whether a process with this status ignores a signal, by its number (proc(5), `SigIgn`: a mask whose lowest bit
/// is signal 1). What cannot be read is taken for ignored.
#[cfg(unix)]
fn ignores(status: &str, signal: u32) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_none_or(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_told_by_the_mask() {
        let status = |mask: &str| format!("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
        assert!(ignores(&status("0000000000001001"), 1));
        assert!(!ignores(&status("0000000000001000"), 1));
        assert!(ignores(&status("0000000000001000"), 13));
        for unreadable in ["", "SigIgn:\tx\n"] {
            assert!(ignores(unreadable, 1));
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
