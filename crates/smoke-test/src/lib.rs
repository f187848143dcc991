//! Is the service that was just deployed the right one, and does it work?
//!
//! The way of the data, in reading order:
//! [`args`] is what was typed, [`config`] what is meant, [`suite`] what to ask; [`run()`] opens the
//! run, [`schedule`] sends the checks through [`probe`], [`judge`] says what of the answers does not
//! hold, [`summary`] makes the [`Report`](gs_common::report::Report) of it. [`verbs`] are the smaller
//! jobs, [`diff`] compares two runs, [`watch`] repeats one.

pub mod args;
pub mod config;
pub mod diff;
mod entry;
pub mod judge;
pub mod probe;
mod progress;
mod reproduce;
mod run;
mod schedule;
pub mod suite;
mod summary;
pub mod verbs;
pub mod watch;

pub use entry::command_line;
pub use run::{Session, run};
