//! Do the three personas get their answers in time, at 100 users or at a rate?

pub mod engine;
pub mod goal;
pub mod judge;
pub mod persona;
pub mod result;
