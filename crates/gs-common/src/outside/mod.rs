//! Where a process meets the world: its arguments, variables, streams, signals and its end. A tool's
//! `main` is [`run`], its command line is [`command_line`], and everything else gets an [`Outside`].
//!
//! This is the only place, beside a tool's own `entry`, that knows the real stdout and stderr.

mod crash;
mod stop;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{self, Early, OutputArgs, Talk};
use crate::config::ConfigError;
use crate::exit::Exit;
use crate::redact::Redactor;
use crate::render::Look;
use crate::report::Report;
use crate::sink::{Sinks, conclude};

pub use crash::{OnCrash, on_crash, removed_on_crash};
pub use stop::Stop;

/// The environment's variables.
pub type Variables = BTreeMap<String, String>;

/// Columns of the human face where nobody says how many there are.
const COLUMNS: usize = 100;

/// Narrower than this a table cannot be read, and wider than this a line cannot.
const COLUMNS_OF_A_TERMINAL: std::ops::RangeInclusive<usize> = 40..=160;

/// What a `main` does: runs a tool's command line and ends with its code. A fault of our own ends with
/// "no verdict" from here on, and says where it is.
pub fn run(tool: impl FnOnce(std::env::ArgsOs, Variables) -> Exit) -> ExitCode {
    crash::watch();
    // A name or a value that is no Unicode is none that any tool asks for.
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    tool(std::env::args_os(), variables).into()
}

/// Reads a command line and does what it asks for. Help goes to stdout, a mistake to stderr.
pub fn command_line<T: Parser>(
    line: impl IntoIterator<Item = OsString>,
    variables: &Variables,
    dispatch: impl FnOnce(&T) -> Exit,
) -> Exit {
    match cli::parse::<T>(line) {
        Ok(cli) => dispatch(&cli),
        Err(early) => say_early(&early, variables),
    }
}

fn say_early(early: &Early, variables: &Variables) -> Exit {
    // A closed pipe has nobody left who could be told.
    if early.to_stdout {
        let text = early.shown(variables, io::stdout().is_terminal());
        let _ = io::stdout().lock().write_all(text.as_bytes());
    } else {
        let text = early.shown(variables, io::stderr().is_terminal());
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
    early.exit
}

/// Writes a text to stdout; a reader that has seen enough is no failure.
pub fn print(text: &[u8]) -> Exit {
    let _ = io::stdout().lock().write_all(text);
    Exit::Good
}

/// Makes a text and writes it to stdout once it is whole.
///
/// # Errors
/// The text cannot be made.
pub fn say(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Exit, ConfigError> {
    let mut text = Vec::new();
    write(&mut text).map_err(|error| ConfigError::new(error.to_string()))?;
    Ok(print(&text))
}

/// What every verb gets from outside.
#[derive(Clone, Copy, Debug)]
pub struct Outside<'a> {
    /// The environment.
    pub variables: &'a Variables,
    /// The folder that relative paths begin in.
    pub cwd: &'a Path,
    /// Where the report goes.
    pub output: &'a OutputArgs,
}

impl Outside<'_> {
    /// Where the faces of the report go.
    ///
    /// # Errors
    /// `--output` asks for what cannot be.
    pub fn sinks(&self) -> Result<Sinks, ConfigError> {
        Sinks::parse(&self.output.output).map_err(|error| {
            ConfigError::new(error).hint("write --output FORMAT or --output FORMAT=PATH")
        })
    }

    /// How to talk to people, on stderr.
    #[must_use]
    pub fn talk(&self, redactor: Redactor) -> Talk {
        let color = self
            .output
            .color
            .wanted(self.variables, io::stderr().is_terminal());
        Talk::new(io::stderr(), redactor, color, self.output)
    }

    /// Whether stderr is a screen that somebody looks at, and that can move its cursor.
    #[must_use]
    pub fn has_screen(&self) -> bool {
        let dumb = |term: &String| term == "dumb";
        io::stderr().is_terminal()
            && !self.output.quiet
            && !self.variables.get("TERM").is_none_or(dumb)
    }

    /// How the human face looks on a stream.
    #[must_use]
    pub fn look(&self, is_terminal: bool) -> Look {
        let columns = self
            .variables
            .get("COLUMNS")
            .and_then(|columns| columns.parse().ok());
        Look {
            color: self.output.color.wanted(self.variables, is_terminal),
            width: columns.unwrap_or_else(|| columns_of(is_terminal)),
            verbose: self.output.verbose,
            quiet: self.output.quiet,
        }
    }

    /// Delivers a report and turns it into an exit code.
    pub fn finish(
        &self,
        report: Report,
        redactor: &Redactor,
        sinks: &Sinks,
        talk: &mut Talk,
    ) -> Exit {
        let mut stdout = io::stdout().lock();
        let look = self.look(stdout.is_terminal());
        conclude(
            report,
            redactor,
            sinks,
            self.output,
            self.variables,
            &look,
            &mut stdout,
            &mut io::stderr(),
            talk,
        )
    }

    /// The end of a verb: its own, or a mistake that is told. Before the configuration is read no
    /// secret is known; from then on it is [`told`] by who knows them.
    pub fn end(&self, done: Result<Exit, ConfigError>) -> Exit {
        told(done, &mut self.talk(Redactor::new()))
    }
}

/// An end, or a mistake that is told.
pub fn told(done: Result<Exit, ConfigError>, talk: &mut Talk) -> Exit {
    done.unwrap_or_else(|error| {
        talk.config_error(&error);
        Exit::Usage
    })
}

fn columns_of(is_terminal: bool) -> usize {
    if !is_terminal {
        return COLUMNS;
    }
    console::Term::stdout()
        .size_checked()
        .map_or(COLUMNS, |(_, columns)| usize::from(columns))
        .clamp(*COLUMNS_OF_A_TERMINAL.start(), *COLUMNS_OF_A_TERMINAL.end())
}

/// Runs a future on one thread: the work waits, it does not compute.
///
/// # Errors
/// The system gives nothing to wait with.
pub fn in_runtime<T>(work: impl Future<Output = T>) -> Result<T, ConfigError> {
    in_runtime_of(&mut tokio::runtime::Builder::new_current_thread(), work)
}

/// Runs a future as a builder of runtimes says.
///
/// # Errors
/// The system gives nothing to wait with.
pub fn in_runtime_of<T>(
    builder: &mut tokio::runtime::Builder,
    work: impl Future<Output = T>,
) -> Result<T, ConfigError> {
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| ConfigError::new(format!("cannot start: {error}")))?;
    let done = runtime.block_on(work);
    // A resolver that hangs in its own thread, or a task that was cut off, must not hold up the end.
    runtime.shutdown_background();
    Ok(done)
}

/// Ends with the first Ctrl-C or SIGTERM, which are listened for as soon as this is called.
pub fn interrupted() -> impl Future<Output = ()> + Send + 'static {
    Stop::listen().asked()
}
