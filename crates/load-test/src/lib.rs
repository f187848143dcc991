//! Do the three personas get their answers in time, at 100 users or at a rate?

pub mod persona;
pub mod result;
