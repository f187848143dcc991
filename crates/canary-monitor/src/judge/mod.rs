//! The judge: observations go in one by one, a decision comes out. Pure: no clock, no I/O, no
//! randomness; the same observations always make the same decision.
//!
//! In reading order: [`policy`] holds every parameter, [`tally`] counts, [`evidence`] is the sequential
//! test, [`noise`] what healthy pods differ by, [`tolerance`] what a tolerable slowdown does to the tail,
//! [`guards`] the rules without a statistic, [`leak`] the longest of them, `watch` puts them together,
//! `conviction` says when that fails a canary, `ending` is the judgement at the end, `course` what a run
//! around it may change, [`power`] what could have been seen. `docs/canary-judge.md` tells it on one page.

mod conviction;
mod course;
mod ending;
pub mod evidence;
pub mod guards;
pub mod leak;
mod looks;
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
