//! Do the scanners' reports allow this release?
//!
//! The way of the data, in reading order: [`model`] is what reports say, in one form.

pub mod model;
