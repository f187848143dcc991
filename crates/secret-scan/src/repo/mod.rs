//! The repository: what can be scanned at all, what there is to scan, and where a secret still is.
//!
//! Git is called as `git`, through [`Git`], from inside the repository's own folder (`.git`). From there
//! no `.gitattributes` of the work tree can hide a file's text as "binary", and no `.gitleaks.toml` or
//! `.gitleaksignore` of a change can switch rules off, neither for us nor for the engines.

mod count;
mod git;
mod lines;
mod place;
mod preflight;
mod tree;

pub use count::{
    Commit, History, LOG_OPTIONS, Merges, Selection, history, merges_shown, staged_adds_text,
};
pub use git::{Git, GitError};
pub use lines::{Added, added_lines, show_path};
pub use place::reads_the_same_in_place;
pub use preflight::{Problem, Range, Repository, look};
pub use tree::{FileCount, holds, work_tree_files};
