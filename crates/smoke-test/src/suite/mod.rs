//! Suites: what to ask and what the answers must hold.
//!
//! [`model`] is what a suite means, [`read()`] makes it of TOML, [`builtin`] is the one for
//! GoldenSignals, [`import`] makes new ones of other tools' files.

mod assertion;
pub mod builtin;
mod check;
#[cfg(test)]
mod documented;
mod expect;
pub mod import;
pub mod model;
mod read;
mod request;
#[cfg(test)]
mod schema;
mod select;
mod template;
#[cfg(test)]
mod tests;
mod websocket;
mod whole;

pub use check::VERSION_MATCHES;
pub(crate) use check::json_pointer;
pub use read::{Inputs, Source, read};
pub use select::OPT_IN;
pub use template::{Scope, fill};
