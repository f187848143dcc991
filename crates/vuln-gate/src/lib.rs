//! Do the scanners' reports allow this release?
//!
//! The way of the data, in reading order: [`model`] is what reports say, in one form; [`formats`] reads
//! them, with [`names`] and [`severity`] to make them comparable.

pub mod formats;
pub mod model;
pub mod names;
pub mod severity;
