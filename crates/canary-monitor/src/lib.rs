//! May the canary be promoted, must it be rolled back, or is it not known yet?
//!
//! The way of the data, in reading order: [`source`] is the world, [`observations`] are raw counters of
//! each pod at each scrape, [`counts`] makes of them what happened between two looks, [`judge`] decides.
//! [`live`] is the main job: the loop around the judge. Everything that it sees and does goes through the
//! decision [`mod@log`]; [`replay`] judges such a log again, [`attend`] looks on at one that grows.
//! [`summary`] makes the report, [`charts`] its numbers over time. [`serve`], [`import`] and [`backtest`] are
//! for pipelines. [`peers`] are other judges for comparison; [`simulate`] and [`selftest`]
//! show how often ours is right. [`args`] is what was typed, [`config`] what is meant.

pub mod args;
pub mod attend;
pub mod backtest;
pub mod charts;
pub mod config;
pub mod counts;
mod doctor;
mod entry;
pub mod import;
pub mod judge;
pub mod live;
pub mod log;
pub mod observations;
pub mod peers;
pub mod replay;
pub mod selftest;
pub mod serve;
pub mod simulate;
pub mod source;
pub mod summary;
pub mod verbs;

pub use entry::command_line;
