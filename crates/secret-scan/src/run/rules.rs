//! Which rules of Gitleaks count.

use std::path::{Path, PathBuf};

use gs_common::suppression::Origin;

use crate::config::Config;
use crate::repo::Repository;

/// Gitleaks' rules: those that were named, else those of the repository, in a change those of its base.
pub(super) fn rules(
    config: &Config,
    repository: &Repository,
    folder: &Path,
) -> (Option<PathBuf>, Option<String>) {
    const NAME: &str = ".gitleaks.toml";
    if let Some(path) = &config.gitleaks_config {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        return (Some(path), None);
    }
    let Some(root) = &repository.root else {
        return (None, None);
    };
    let here = root.join(NAME);
    let note = || format!("the repository's own `{NAME}` says which rules of Gitleaks count");
    match &config.setting.origin {
        Origin::WorkTree => {
            if here.is_file() {
                (Some(here), Some(note()))
            } else {
                (None, None)
            }
        }
        base => {
            let Ok(loaded) = base.load(&here) else {
                return (None, None);
            };
            let edited = (!loaded.notes.is_empty()).then(|| {
                format!(
                    "this change edits `{NAME}`: the rules of `{}` counted",
                    loaded.name
                )
            });
            // Where the base has none, Gitleaks' own rules count, and not those of the change.
            let text = if loaded.text.is_empty() {
                "[extend]\nuseDefault = true\n".to_owned()
            } else {
                loaded.text
            };
            let path = folder.join("gitleaks.toml");
            let written = gs_common::file::write_atomic(&path, |out| {
                std::io::Write::write_all(out, text.as_bytes())
            });
            (written.is_ok().then_some(path), edited)
        }
    }
}
