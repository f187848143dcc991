//! Reading a TOML table key by key: gs-common's reader, under the name that this folder uses.

pub(super) use gs_common::config::fields::{Fields, File, Item};
