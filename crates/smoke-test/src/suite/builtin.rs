//! The built-in GoldenSignals suite: the same TOML that `smoke-test init` writes.

/// What reports call the file.
pub const NAME: &str = "built-in:goldensignals.toml";

/// The text.
pub const TEXT: &str = include_str!("builtin.toml");
