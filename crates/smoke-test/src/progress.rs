//! What a person or a log sees while a run goes on.

use std::io::IsTerminal as _;
use std::time::Duration;

use gs_common::cli::Talk;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// A log hears of a run that goes on at least so often.
const LINES_EVERY: Duration = Duration::from_secs(30);

/// A terminal shows a run that goes on after so long.
const BAR_AFTER: Duration = Duration::from_secs(1);

/// Tells of open checks: a bar on a terminal, plain lines elsewhere.
#[derive(Debug)]
pub(crate) struct Ticker<'a> {
    talk: &'a mut Talk,
    bar: Option<ProgressBar>,
    total: usize,
    began: Instant,
    interval: Interval,
}

impl<'a> Ticker<'a> {
    /// For so many checks; `quiet` shows nothing.
    pub(crate) fn new(talk: &'a mut Talk, total: usize, quiet: bool) -> Self {
        let live = !quiet && std::io::stderr().is_terminal();
        let every = if live {
            Duration::from_millis(200)
        } else {
            LINES_EVERY
        };
        let first = if live { BAR_AFTER } else { LINES_EVERY };
        let mut interval = interval_at(Instant::now() + first, every);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let bar = live.then(|| {
            let style =
                ProgressStyle::with_template("{spinner} {pos}/{len} checks, {elapsed}: {wide_msg}");
            let bar = ProgressBar::hidden();
            bar.set_length(total as u64);
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        });
        Self {
            talk,
            bar,
            total,
            began: Instant::now(),
            interval,
        }
    }

    /// Waits for the next moment to tell something.
    pub(crate) async fn tick(&mut self) {
        self.interval.tick().await;
    }

    /// Tells what is open.
    pub(crate) fn tell(&mut self, open: &[&str]) {
        let shown = open.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        let more = if open.len() > 5 { ", …" } else { "" };
        match &self.bar {
            Some(bar) => {
                bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
                bar.set_position((self.total - open.len()) as u64);
                bar.set_message(format!("waiting for {shown}{more}"));
                bar.tick();
            }
            None => {
                let seconds = self.began.elapsed().as_secs();
                self.talk.note(&format!(
                    "{seconds} s: {} of {} checks done, waiting for {shown}{more}",
                    self.total - open.len(),
                    self.total
                ));
            }
        }
    }

    /// Takes the bar away.
    pub(crate) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
