//! Do the three personas get their answers in time, at 100 users or at a rate?
//!
//! The way of the data, in reading order:
//! [`args`] is what was typed, [`config`] what is meant, [`persona`] who uses the service; [`run()`] lets
//! [`engine`] send the load and record a [`RunResult`](result::RunResult), [`judge`] holds it against the
//! [`goal`]s, [`summary`] makes the [`Report`](gs_common::report::Report) of it. [`verbs`] are the smaller
//! jobs.
//!
//! Around it: [`hlog`] and [`export`] write what was recorded, [`shard`] and [`merge`] make one run of
//! several machines, [`compare`] says whether one side is worse than another, [`find_max`] searches
//! the highest rate that holds, [`import`] reads what other tools recorded. [`jobs`] are their verbs, [`extras`]
//! what they add to a run.
//!
//! Response times count from the moment at which a request was due, not from the one at which it was sent: a
//! server that stalls must not hide its own victims.

pub mod args;
pub mod compare;
pub mod config;
pub mod engine;
mod entry;
pub mod export;
pub mod extras;
pub mod find_max;
pub mod goal;
pub mod hlog;
pub mod import;
pub mod jobs;
pub mod judge;
pub mod merge;
pub mod persona;
pub mod result;
mod run;
mod screen;
pub mod shard;
pub mod summary;
pub mod verbs;

pub use entry::command_line;
pub use run::{check, run};
