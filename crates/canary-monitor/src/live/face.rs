//! What a person or a log sees while a canary is watched: one screen on a terminal, plain lines elsewhere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gs_common::cli::Talk;
use tokio::time::Instant;

use super::operator::Keys;
use super::screen::{self, Frame};
use super::state::State;

/// A log hears of a run that goes on at least so often,
const LINES_EVERY: Duration = Duration::from_secs(30);

/// and at most so often.
const LINES_APART: Duration = Duration::from_secs(5);

/// The screen is drawn anew so often.
const FRAMES_EVERY: Duration = Duration::from_millis(500);

/// Where a run shows itself.
#[derive(Debug)]
pub enum Face {
    /// Nowhere.
    Quiet,
    /// Plain lines.
    Lines {
        /// When the last one was said.
        last: Option<Instant>,
        /// Every check is said.
        verbose: bool,
    },
    /// One screen, drawn again and again.
    Screen {
        /// The keys, as far as they were pressed.
        keys: Option<Arc<Mutex<Keys>>>,
        /// How the screen looks.
        frame: Frame,
        /// Lines of the last drawing that stand above the cursor.
        drawn: usize,
        /// When that was.
        last: Option<Instant>,
    },
}

impl Face {
    /// Plain lines.
    #[must_use]
    pub fn lines(verbose: bool) -> Self {
        Self::Lines {
            last: None,
            verbose,
        }
    }

    /// A screen.
    #[must_use]
    pub fn screen(frame: Frame, keys: Option<Arc<Mutex<Keys>>>) -> Self {
        Self::Screen {
            keys,
            frame,
            drawn: 0,
            last: None,
        }
    }

    /// A look was had.
    pub fn looked(&mut self, state: &State, now: f64, checked: bool, talk: &mut Talk) {
        match self {
            Self::Quiet => {}
            Self::Lines { last, verbose } => {
                let apart = last.is_none_or(|last| last.elapsed() >= LINES_APART);
                if checked && (apart || *verbose) {
                    talk.note(&screen::line(state, now));
                    *last = Some(Instant::now());
                }
            }
            Self::Screen { .. } => self.draw(state, now, talk),
        }
    }

    /// Some time has passed.
    pub fn tick(&mut self, state: &State, now: f64, talk: &mut Talk) {
        match self {
            Self::Quiet => {}
            Self::Lines { last, .. } => {
                let last = last.get_or_insert_with(Instant::now);
                if last.elapsed() >= LINES_EVERY {
                    talk.note(&screen::line(state, now));
                    *last = Instant::now();
                }
            }
            Self::Screen { last, .. } => {
                if last.is_none_or(|last| last.elapsed() >= FRAMES_EVERY) {
                    self.draw(state, now, talk);
                }
            }
        }
    }

    fn draw(&mut self, state: &State, now: f64, talk: &mut Talk) {
        let Self::Screen {
            keys,
            frame,
            drawn,
            last,
        } = self
        else {
            return;
        };
        let prompt = keys.as_ref().map(|keys| {
            let keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
            keys.prompt()
        });
        let text = frame.draw(state, now, prompt.as_deref());
        talk.note(&format!("{}{text}", over(*drawn)));
        *drawn = text.lines().count();
        *last = Some(Instant::now());
    }

    /// Takes the screen away, before something else is said.
    pub fn clear(&mut self, talk: &mut Talk) {
        if let Self::Screen { drawn, .. } = self
            && *drawn > 0
        {
            // The note ends its own line, which is one of those that were taken away.
            talk.note(&format!("\u{1b}[{}A\u{1b}[J\u{1b}[1A", *drawn));
            *drawn = 0;
        }
    }
}

/// Moves over what was drawn before, and takes it away.
fn over(lines: usize) -> String {
    if lines == 0 {
        String::new()
    } else {
        format!("\u{1b}[{lines}A\u{1b}[J")
    }
}
