//! Did a secret get into the history or the tree?
//!
//! The way of the data, in reading order: [`args`] is what was typed, [`config`] what is meant
//! ([`event`]: what a pipeline means).
//! [`repo`] looks at the repository first and counts what there is to scan; [`engine`] runs Gitleaks,
//! TruffleHog and others over it and proves that they did their work; [`formats`] reads what they (or the
//! same engines elsewhere) reported. [`value`] gives every secret its fingerprint, [`incident`] makes
//! one finding of all rows that are the same secret, [`baseline`] holds the accepted ones, [`judge`]
//! says what it all means, and [`summary`] makes the [`Report`](gs_common::report::Report) of it.
//! [`ending`] sees to it that nothing stays of a run, however it ends.
//!
//! No value of a secret leaves this crate: rows hold them in a type that does not print itself, the
//! report has fingerprints only, and what engines say on stderr goes through a redactor that knows
//! every value that was found.

pub mod advice;
pub mod args;
pub mod baseline;
pub mod config;
mod doctor;
pub mod ending;
pub mod engine;
mod entry;
pub mod event;
pub mod formats;
pub mod incident;
pub mod judge;
pub mod repo;
mod reports;
mod run;
mod summary;
pub mod value;
mod verbs;

pub use entry::command_line;
