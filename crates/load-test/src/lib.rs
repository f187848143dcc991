//! Do the three personas get their answers in time, at 100 users or at a rate?

pub mod compare;
pub mod find_max;
pub mod hlog;
pub mod import;
pub mod merge;
pub mod persona;
pub mod result;
pub mod shard;
