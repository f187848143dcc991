//! Who uses the service, and how: the persona file.
//!
//! [`read`](read::read) makes [`Personas`] of a file; [`template`] are texts with drawn values in them,
//! [`expect`] says what a good answer is.

pub mod expect;
mod model;
pub mod path;
pub mod read;
#[cfg(test)]
mod schema;
mod target;
pub mod template;
#[cfg(test)]
mod tests;

pub use model::{Persona, Personas, Step, Task, WebSocket};
pub use target::{NoTarget, Target};
