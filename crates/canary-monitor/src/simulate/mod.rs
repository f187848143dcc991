//! A simulator of canaries, for `selftest` only: it makes observations as a scraper would see them,
//! from a seed, and the judge that is tested on them cannot tell the difference.
//!
//! In reading order: [`scenario`] is what happens, [`world`] makes the observations of it.

pub mod scenario;
pub mod world;

pub use scenario::{ALL, Scenario, Use, Wanted};
pub use world::{World, make};
