//! Is the new side worse than the base? Runs of two sides, whoever recorded them, and a judgement
//! that says *worse* only where noise cannot explain it.
//!
//! [`model`] is what a run is here, [`stats`] the statistics, [`judge`] the judgement, [`stored`]
//! reads and compares files, [`summary`] makes a report of it all.

pub mod judge;
pub mod model;
pub mod reason;
pub mod stats;
pub mod stored;
pub mod summary;
