//! Running an external program: an argument list and never a shell, a process group of its own, a
//! deadline, and an output that cannot fill the memory.
//!
//! When the deadline passes, or somebody cancels, the whole group gets SIGTERM and, after
//! [`Program::grace`], SIGKILL. Whatever is still left of the group when its leader has ended is killed,
//! too: nothing that was started here outlives the call. (A program that makes a session of its own
//! escapes that, as it escapes every supervisor.) Dropping the future kills the group at once, and so does
//! the end of this process by a panic or a second signal.

#[cfg(test)]
mod tests;
mod words;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

#[cfg(unix)]
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep_until, timeout};

#[cfg(unix)]
use crate::outside::{OnCrash, on_crash};

pub use words::{WordsError, words};

/// How long a program may take to end after SIGTERM, unless told otherwise.
const GRACE: Duration = Duration::from_secs(2);

/// How much of each of the two outputs is kept, unless told otherwise.
const MOST_OUTPUT: usize = 1 << 20;

/// A killed process is gone by then, or hangs in the kernel where no signal reaches it.
const REAPED_WITHIN: Duration = Duration::from_secs(5);

/// What to run, and how.
#[derive(Debug)]
pub struct Program {
    program: OsString,
    arguments: Vec<OsString>,
    folder: Option<PathBuf>,
    clear_variables: bool,
    variables: Vec<(OsString, Option<OsString>)>,
    stdin: Vec<u8>,
    stdout: Option<File>,
    deadline: Option<Duration>,
    grace: Duration,
    most_output: usize,
    niceness: Option<i32>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Ran {
    /// How it ended.
    pub ended: Ended,
    /// What it wrote to stdout; nothing where that went to a file.
    pub stdout: Output,
    /// What it wrote to stderr.
    pub stderr: Output,
    /// How long it took.
    pub took: Duration,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By a signal that did not come from here.
    Signal(i32),
    /// The deadline passed; its group was ended.
    TimedOut,
    /// Somebody cancelled; its group was ended.
    Cancelled,
}

impl Ended {
    /// It ended by itself and says that all went well.
    #[must_use]
    pub fn is_good(self) -> bool {
        self == Self::Code(0)
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with code {code}"),
            Self::Signal(signal) => write!(f, "was killed by signal {signal}"),
            Self::TimedOut => f.write_str("did not end in time and was killed"),
            Self::Cancelled => f.write_str("was stopped"),
        }
    }
}

/// The beginning of what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The first bytes, as many as were allowed.
    pub bytes: Vec<u8>,
    /// How many were written in all.
    pub total: u64,
}

impl Output {
    /// Whether more was written than is kept.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.total > self.bytes.len() as u64
    }

    /// As text; what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// A program that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot run `{program}`: {cause}")]
pub struct ProcessError {
    /// Its name.
    pub program: String,
    /// What the system said.
    #[source]
    pub cause: std::io::Error,
}

impl ProcessError {
    /// Whether there is no such program.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.cause.kind() == std::io::ErrorKind::NotFound
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.cause.kind() {
            std::io::ErrorKind::NotFound => {
                "install it, put it on the PATH, or write its whole path"
            }
            std::io::ErrorKind::PermissionDenied => "make it executable",
            _ => "run it by hand to see why",
        }
    }
}

impl Program {
    /// A program by its path, or by a name that is looked for on the PATH. Without a deadline, nothing
    /// on stdin, with the caller's environment and folder.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            folder: None,
            clear_variables: false,
            variables: Vec::new(),
            stdin: Vec::new(),
            stdout: None,
            deadline: None,
            grace: GRACE,
            most_output: MOST_OUTPUT,
            niceness: None,
        }
    }

    /// More arguments.
    #[must_use]
    pub fn args<T: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        let more = arguments
            .into_iter()
            .map(|argument| argument.as_ref().to_owned());
        self.arguments.extend(more);
        self
    }

    /// The folder to run in.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Starts from an empty environment.
    #[must_use]
    pub fn without_variables(mut self) -> Self {
        self.clear_variables = true;
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), Some(value.into())));
        self
    }

    /// Takes a variable away.
    #[must_use]
    pub fn without_variable(mut self, name: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), None));
        self
    }

    /// What it reads on stdin.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Lets stdout go to a file instead of the memory.
    #[must_use]
    pub fn stdout_to(mut self, file: File) -> Self {
        self.stdout = Some(file);
        self
    }

    /// How long it may take.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How long it may take to end after SIGTERM; 2 s by default.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Lets others go first, by so many steps from 0 to 19 (`nice`), with all that it starts. Where the
    /// system has no such thing, nothing changes.
    #[must_use]
    pub fn niceness(mut self, steps: i32) -> Self {
        self.niceness = Some(steps);
        self
    }

    /// How many bytes of each output are kept, from their beginning; 1 MiB by default. The rest is read,
    /// counted and dropped, so that the program is never held up.
    #[must_use]
    pub fn most_output(mut self, bytes: usize) -> Self {
        self.most_output = bytes;
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn run(self) -> Result<Ran, ProcessError> {
        self.run_until(std::future::pending()).await
    }

    /// Runs it to its end, or until `cancelled` is ready.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn run_until(
        mut self,
        cancelled: impl Future<Output = ()>,
    ) -> Result<Ran, ProcessError> {
        let began = Instant::now();
        let mut child = self.spawn()?;
        let group = Group::of(&child);
        if let Some(steps) = self.niceness {
            group.step_back(steps);
        }
        let (mut stdout, mut stderr) = (Output::default(), Output::default());
        let ended = {
            let (most, stdin) = (self.most_output, std::mem::take(&mut self.stdin));
            let (input, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let mut pipes = pin!(async {
                tokio::join!(
                    feed(input, &stdin),
                    capture(out, &mut stdout, most),
                    capture(err, &mut stderr, most)
                );
            });
            let mut drained = false;
            let mut late = pin!(async {
                match self.deadline {
                    Some(deadline) => sleep_until(began + deadline).await,
                    None => std::future::pending().await,
                }
            });
            let mut cancelled = pin!(cancelled);
            let ended = loop {
                tokio::select! {
                    biased;
                    status = child.wait() => break of(status),
                    () = &mut late => break Ended::TimedOut,
                    () = &mut cancelled => break Ended::Cancelled,
                    () = &mut pipes, if !drained => drained = true,
                }
            };
            if matches!(ended, Ended::TimedOut | Ended::Cancelled) {
                group
                    .end(&mut child, self.grace, async {
                        if !drained {
                            pipes.as_mut().await;
                            drained = true;
                        }
                    })
                    .await;
            }
            // A child of it that lives on may hold the pipes open.
            if !drained {
                drained = timeout(self.grace, pipes.as_mut()).await.is_ok();
            }
            group.kill();
            if !drained {
                // Cut off where something outside of the group holds on to them.
                let _ = timeout(Duration::from_secs(1), pipes.as_mut()).await;
            }
            ended
        };
        Ok(Ran {
            ended,
            stdout,
            stderr,
            took: began.elapsed(),
        })
    }

    fn spawn(&mut self) -> Result<Child, ProcessError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).kill_on_drop(true);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if self.clear_variables {
            command.env_clear();
        }
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(if self.stdin.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        });
        command.stdout(self.stdout.take().map_or_else(Stdio::piped, Stdio::from));
        command.stderr(Stdio::piped());
        #[cfg(unix)]
        command.process_group(0);
        command.spawn().map_err(|cause| ProcessError {
            program: self.program.to_string_lossy().into_owned(),
            cause,
        })
    }
}

fn of(status: std::io::Result<ExitStatus>) -> Ended {
    let Ok(status) = status else {
        // Somebody else took the status of our child: how it ended is not known, so it was not good.
        return Ended::Code(-1);
    };
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Ended::Signal(signal);
    }
    Ended::Code(status.code().unwrap_or(-1))
}

async fn feed(stdin: Option<ChildStdin>, bytes: &[u8]) {
    if let Some(mut stdin) = stdin {
        // A program that does not want its input says so by its exit code.
        let _ = stdin.write_all(bytes).await;
    }
}

async fn capture(from: Option<impl AsyncRead + Unpin>, into: &mut Output, most: usize) {
    let Some(mut from) = from else {
        return;
    };
    // Not in the future itself, which callers nest and move about: some of them run many programs at once.
    let mut chunk = vec![0; 8192];
    // A pipe that breaks has said all that it will say.
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        let room = most.saturating_sub(into.bytes.len()).min(count);
        into.bytes
            .extend_from_slice(chunk.get(..room).unwrap_or_default());
        into.total += count as u64;
    }
}

/// The process group of a program. Dropping it kills what is left.
struct Group {
    #[cfg(unix)]
    leader: Option<Pid>,
    #[cfg(unix)]
    _killed: Option<OnCrash>,
}

impl Group {
    #[cfg(unix)]
    fn of(child: &Child) -> Self {
        let leader = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Self {
            leader,
            _killed: leader.map(|leader| on_crash(move || signal_group(leader, Signal::KILL))),
        }
    }

    #[cfg(not(unix))]
    fn of(_: &Child) -> Self {
        Self {}
    }

    /// SIGTERM, time to tidy up, SIGKILL. `pipes` are read meanwhile, so that nobody waits for a reader.
    async fn end(&self, child: &mut Child, grace: Duration, pipes: impl Future<Output = ()>) {
        self.ask();
        let gone = async {
            let mut pipes = pin!(pipes);
            let mut read = false;
            loop {
                tokio::select! {
                    _ = child.wait() => return,
                    () = &mut pipes, if !read => read = true,
                }
            }
        };
        let _ = timeout(grace, gone).await;
        self.kill();
        // Where there are no groups.
        let _ = child.start_kill();
        let _ = timeout(REAPED_WITHIN, child.wait()).await;
    }

    fn step_back(&self, steps: i32) {
        #[cfg(unix)]
        if let Some(leader) = self.leader {
            // A program that runs as fast as others is no error.
            let _ = rustix::process::setpriority_pgrp(Some(leader), steps);
        }
        #[cfg(not(unix))]
        let _ = steps;
    }

    fn ask(&self) {
        #[cfg(unix)]
        self.signal(Signal::TERM);
    }

    fn kill(&self) {
        #[cfg(unix)]
        self.signal(Signal::KILL);
    }

    #[cfg(unix)]
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            signal_group(leader, signal);
        }
    }
}

/// The number of a group stays taken while it has a member, and numbers go round slowly: an empty
/// group cannot have become somebody else's in the moment since its leader ended.
#[cfg(unix)]
fn signal_group(leader: Pid, signal: Signal) {
    // Nobody left is what is wanted.
    let _ = rustix::process::kill_process_group(leader, signal);
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
