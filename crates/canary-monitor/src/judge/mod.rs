//! The judge: observations go in one by one, a decision comes out. Pure: no clock, no I/O, no
//! randomness; the same observations always make the same decision.
//!
//! In reading order: [`policy`] holds every parameter, [`tally`] counts, [`evidence`] is the
//! sequential test, [`noise`] what healthy pods differ by, [`tolerance`] what a tolerable slowdown does
//! to the tail, [`guards`] the rules without a statistic, [`watch`] puts them together, [`ending`] is
//! the judgement at the end, [`power`] what could have been seen. `docs/canary-monitor.md` tells it
//! on one page.

mod course;
mod ending;
pub mod evidence;
pub mod guards;
pub mod noise;
pub mod numeric;
pub mod policy;
pub mod power;
pub mod reason;
pub mod tally;
pub mod tolerance;
mod view;
mod watch;

use gs_common::verdict::Verdict;

pub use guards::Cpu;
pub use policy::Policy;
pub use reason::Reason;
pub use view::{SideView, TestView, View};
pub use watch::Watch;

/// A judgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Pass, fail or inconclusive.
    pub verdict: Verdict,
    /// The code of [`reason`].
    pub reason: Reason,
    /// When it was made, in seconds of the run.
    pub at_seconds: f64,
    /// One sentence with the numbers behind it.
    pub sentence: String,
}
