//! Do the scanners' reports allow this release?
//!
//! The way of the data, in reading order: [`args`] is what was typed, [`config`] what is meant;
//! [`formats`] reads reports into [`model`], with [`names`] and [`severity`] to make them comparable;
//! [`merge`] joins rows that are the same flaw, [`judge`] says what each of them means, and [`run`] is all of
//! that in order. [`accept`] is what somebody accepted: exceptions and [`vex`], with [`import`] from the files
//! of other tools; [`sla`] gives days to mend, [`plan`] the upgrades that clear the gate. [`summary`] makes the [`Report`](gs_common::report::Report) of it, [`explain`] the story of
//! one id.

pub mod accept;
pub mod args;
pub mod config;
mod entry;
pub mod explain;
pub mod formats;
pub mod import;
pub mod init;
pub mod judge;
pub mod merge;
pub mod model;
pub mod names;
pub mod plan;
pub mod run;
pub mod severity;
pub mod sla;
pub mod summary;
pub mod vex;

pub use entry::command_line;
