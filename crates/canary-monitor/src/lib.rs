//! May the canary be promoted, must it be rolled back, or is it not known yet?
//!
//! The way of the data, in reading order: [`observations`] are raw counters of each pod at each
//! scrape, [`counts`] makes of them what happened between two looks, [`judge`] decides, [`replay`] does
//! that for files. [`peers`] are other judges for comparison; [`simulate`] and [`selftest`] show how
//! often ours is right. [`args`] is what was typed, [`config`] what is meant.

pub mod args;
pub mod backtest;
pub mod charts;
pub mod config;
pub mod counts;
mod entry;
pub mod import;
pub mod judge;
pub mod observations;
pub mod peers;
pub mod replay;
pub mod selftest;
pub mod serve;
pub mod simulate;
pub mod source;

pub use entry::command_line;
