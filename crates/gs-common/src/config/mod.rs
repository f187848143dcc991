//! What was configured, from where, and what is wrong with it.
//!
//! [`Project`] is the file `goldensignals.toml`; [`Settings`] resolves one tool's values with the
//! order flag over `GS_*` variable over file over default, and remembers the origin of each for
//! `TOOL config`. [`ConfigError`] is the one form of every complaint about a file: what, where, why
//! and what to do; [`toml_error`] makes it of a TOML error, and [`fields`] reads a table key by key, for
//! suites, personas and exceptions alike.

mod error;
pub mod fields;
mod project;
mod settings;

pub use error::{ConfigError, did_you_mean, line_and_column, toml_error};
pub use project::{Environment, FILE_NAME, Project, TOOLS, read_text};
pub use settings::{Origin, Row, Settings};
