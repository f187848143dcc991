//! How much can the target take? The highest rate at which the goals hold.

pub mod search;
