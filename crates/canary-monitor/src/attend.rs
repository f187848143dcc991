//! Looking on at a run by its log, read-only, until it ends. The judge here reads what the other one
//! wrote down, and so knows what it knows.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gs_common::cli::Talk;
use gs_common::config::ConfigError;
use gs_common::exit::Exit;
use gs_common::outside::{Outside, in_runtime, interrupted};
use gs_common::redact::Redactor;
use gs_common::report::{INTERRUPTED, Input, Report, SCHEMA, Subject};
use gs_common::units;
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::args::WatchArgs;
use crate::judge::reason;
use crate::live::face::Face;
use crate::live::state::{Extras, State};
use crate::live::{frame, moment_seconds};
use crate::log::{Line, Reader};
use crate::summary;

/// How often the log is looked at for more.
const EVERY: Duration = Duration::from_millis(500);

/// A line longer than this is none of ours.
const LONGEST_LINE: u64 = 64 << 20;

/// Why looking on ended.
enum Ending {
    /// The run is over.
    Over,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// `--deadline` passed.
    Deadline,
    /// The log cannot be read any more: why.
    Unreadable(String),
}

/// The verb `watch`.
pub(crate) fn command(args: &WatchArgs, outside: &Outside<'_>) -> Result<Exit, ConfigError> {
    let sinks = outside.sinks()?;
    let deadline = args
        .deadline
        .as_deref()
        .map(units::duration)
        .transpose()
        .map_err(|error| ConfigError::new(format!("--deadline: {error}")))?;
    let mut follower = Follower::open(&args.log)?;
    let mut talk = outside.talk(Redactor::new());
    let mut face = if outside.output.quiet {
        Face::Quiet
    } else if outside.has_screen() {
        Face::screen(frame(outside), None)
    } else {
        Face::lines(outside.output.verbose > 0)
    };
    let started_at = Timestamp::now();
    let ending = in_runtime(async {
        let until = deadline.map(|deadline| Instant::now() + deadline);
        let late = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ending = follower.follow(&mut face, &mut talk) => ending,
            () = interrupted() => Ending::Interrupted,
            () = late => Ending::Deadline,
        }
    })?;
    face.clear(&mut talk);
    let report = report(&args.log, follower.state.as_ref(), &ending, started_at);
    Ok(outside.finish(report, &Redactor::new(), &sinks, &mut talk))
}

/// A log that is read while it grows.
struct Follower {
    file: BufReader<File>,
    reader: Reader,
    state: Option<State>,
    begun: String,
    /// The whole lines so far: a run that is resumed after an end is told anew without that end.
    path: PathBuf,
    consumed: usize,
}

impl Follower {
    fn open(path: &Path) -> Result<Self, ConfigError> {
        let file = File::open(path).map_err(|error| {
            ConfigError::new(format!("cannot read `{}`: {error}", path.display()))
                .hint("name the file that the run writes with --log")
        })?;
        Ok(Self {
            file: BufReader::new(file),
            reader: Reader::default(),
            state: None,
            begun: String::new(),
            path: path.to_owned(),
            consumed: 0,
        })
    }

    async fn follow(&mut self, face: &mut Face, talk: &mut Talk) -> Ending {
        loop {
            if let Err(why) = self.read_on(face, talk) {
                return Ending::Unreadable(why);
            }
            let Some(state) = &self.state else {
                sleep(EVERY).await;
                continue;
            };
            // An interrupted run may be resumed: its end is one all the same.
            if state.outcome.is_some() {
                return Ending::Over;
            }
            face.tick(state, moment_seconds(&state.header, Timestamp::now()), talk);
            sleep(EVERY).await;
        }
    }

    /// Takes in every whole line that is there now.
    fn read_on(&mut self, face: &mut Face, talk: &mut Talk) -> Result<(), String> {
        loop {
            let read = self
                .file
                .by_ref_limited(&mut self.begun)
                .map_err(|error| error.to_string())?;
            if self.begun.len() as u64 >= LONGEST_LINE {
                return Err("a line has no end".to_owned());
            }
            if read == 0 || !self.begun.ends_with('\n') {
                return Ok(());
            }
            let text = std::mem::take(&mut self.begun);
            self.consumed += text.len();
            let line = self.reader.take(&text).map_err(|error| error.to_string())?;
            if self.state.is_none() {
                self.state = self.reader.header().cloned().map(State::attended);
            }
            let (Some(line), Some(state)) = (line, &mut self.state) else {
                continue;
            };
            let looked = matches!(line, Line::Scrape(_));
            let checked = matches!(line, Line::Check(_));
            if matches!(line, Line::Resumed { .. }) && state.end.is_some() {
                *state = retold(&self.path, self.consumed)?;
                continue;
            }
            state.attend(&line);
            if looked || checked {
                let now = state.last_look().unwrap_or(0.0);
                face.looked(state, now, checked, talk);
            }
        }
    }
}

/// The run up to a place in its log, without an end that was none.
fn retold(path: &Path, consumed: usize) -> Result<State, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let told = text.get(..consumed).ok_or("the log became shorter")?;
    let recording = crate::log::read(told).map_err(|error| error.to_string())?;
    let header = recording.log.clone().ok_or("it is no log any more")?;
    Ok(State::resumed(header, &recording, None, Extras::default()))
}

/// Reads up to the end of a line, or of what is there.
trait ReadSome {
    fn by_ref_limited(&mut self, into: &mut String) -> std::io::Result<usize>;
}

impl ReadSome for BufReader<File> {
    fn by_ref_limited(&mut self, into: &mut String) -> std::io::Result<usize> {
        let mut bytes = Vec::new();
        let count = std::io::Read::take(&mut *self, LONGEST_LINE).read_until(b'\n', &mut bytes)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => into.push_str(text),
            // A letter of several bytes may be half written: it comes whole the next time.
            Err(error) if error.error_len().is_none() => {
                let back = i64::try_from(count).unwrap_or(0);
                self.seek(SeekFrom::Current(-back))?;
                return Ok(0);
            }
            Err(error) => return Err(std::io::Error::other(error)),
        }
        Ok(count)
    }
}

fn report(path: &Path, state: Option<&State>, ending: &Ending, started_at: Timestamp) -> Report {
    let shown = path.display().to_string();
    let (verdict, code, sentence) = match (ending, state.and_then(|state| state.outcome.clone())) {
        (Ending::Over, Some(outcome)) => outcome,
        (Ending::Unreadable(why), _) => (
            Verdict::Inconclusive,
            reason::UNREADABLE.to_owned(),
            format!("{shown}: {why}"),
        ),
        (Ending::Deadline, _) => (
            Verdict::Inconclusive,
            reason::DEADLINE.to_owned(),
            "the run that was watched goes on".to_owned(),
        ),
        _ => (
            Verdict::Inconclusive,
            INTERRUPTED.to_owned(),
            "nobody looks on any more; the run itself was not touched".to_owned(),
        ),
    };
    // The run was interrupted, and not this look at it.
    let code = match ending {
        Ending::Over if code == INTERRUPTED => reason::CUT_SHORT.to_owned(),
        _ => code,
    };
    Report {
        schema: SCHEMA.to_owned(),
        tool: summary::tool(),
        subject: Subject {
            kind: "canary".to_owned(),
            name: state.map_or_else(|| shown.clone(), |state| state.header.subject.clone()),
            commit: None,
        },
        started_at: state.map_or(started_at, |state| state.header.started_at),
        ended_at: Timestamp::now(),
        verdict,
        reason: code,
        summary: sentence,
        next: vec![format!("canary-monitor replay {shown}")],
        checks: Vec::new(),
        findings: Vec::new(),
        inputs: vec![Input {
            path: shown,
            format: crate::log::SCHEMA.to_owned(),
            outcome: "followed".to_owned(),
            ..Input::default()
        }],
        not_covered: state.map(|state| state.lost.told()).unwrap_or_default(),
        series: Vec::new(),
        details: serde_json::Map::new(),
    }
}

impl State {
    /// A run that another process judges.
    fn attended(header: crate::log::LogHeader) -> Self {
        Self::new(header, None, Extras::default())
    }
}
