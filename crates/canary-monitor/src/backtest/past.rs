//! Windows from a source that remembers.

use jiff::{SignedDuration, Timestamp};

use super::{Window, shifted, window};
use crate::judge::Policy;
use crate::observations::Scrape;
use crate::source::{Plan, Source, SourceError};

/// The stretches of the past that a source is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Past {
    /// The beginning of the first window.
    pub from: Timestamp,
    /// No window ends after it.
    pub to: Timestamp,
    /// How long a canary is watched, in seconds.
    pub seconds: f64,
    /// The limit that an edge of the histogram has to tell, in seconds.
    pub latency_limit_seconds: f64,
}

impl Past {
    /// How many windows there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        let whole = self.to.duration_since(self.from).as_secs_f64();
        (whole / self.seconds).floor().max(0.0) as u32
    }

    fn plan(&self, window: u32) -> Plan {
        let start = f64::from(window) * self.seconds;
        Plan {
            started_at: self.from + SignedDuration::from_secs_f64(start),
            duration_seconds: self.seconds,
            canary_weight: None,
            latency_limit_seconds: self.latency_limit_seconds,
            time_scale: 1.0,
        }
    }
}

/// Judges the past that a source remembers, window by window; `tell` hears of each. A window that cannot
/// be read is lost and said, the others are judged all the same.
///
/// # Errors
/// The source cannot be asked at all, or remembers nothing.
pub async fn remembered<S: Source>(
    source: &mut S,
    name: &str,
    past: &Past,
    policy: &Policy,
    mut tell: impl FnMut(u32, u32),
) -> Result<Vec<Window>, SourceError> {
    let count = past.count();
    let header = source.prepare(&past.plan(0)).await?.header;
    let interval = header.scrape_interval_seconds;
    let (mut windows, mut base) = (Vec::new(), None::<Scrape>);
    for index in 0..count {
        tell(index, count);
        let plan = past.plan(index);
        let start = plan.started_at;
        let looked = source
            .past(
                &plan,
                start - SignedDuration::from_secs_f64(1.5 * interval),
                start + SignedDuration::from_secs_f64(past.seconds),
            )
            .await;
        let shown = format!("{start:.0}");
        let lost = |why: String| Window {
            source: name.to_owned(),
            start: shown.clone(),
            trials: Vec::new(),
            lost: Some(why),
        };
        let looks = match looked {
            Ok(Some(looks)) => looks,
            Ok(None) => {
                return Err(SourceError {
                    what: format!("{name} remembers nothing: it can only be looked at now"),
                    hint: Some("give --prometheus, or recorded files".to_owned()),
                });
            }
            Err(error) => {
                windows.push(lost(error.to_string()));
                base = None;
                continue;
            }
        };
        // The last look of a window is the base of the next one's counters.
        let mut scrapes: Vec<Scrape> = base.take().into_iter().collect();
        let newest = scrapes
            .last()
            .map_or(f64::NEG_INFINITY, |scrape| scrape.at_seconds);
        let new = looks.into_iter().filter_map(|look| look.scrape);
        scrapes.extend(new.filter(|scrape| scrape.at_seconds > newest));
        base = scrapes.last().map(|scrape| shifted(scrape, past.seconds));
        if scrapes.is_empty() {
            windows.push(lost("nothing was to be seen".to_owned()));
        } else {
            windows.push(window(name, shown, &header, &scrapes, past.seconds, policy));
        }
    }
    Ok(windows)
}
