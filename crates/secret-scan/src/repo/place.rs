//! Whether an engine may read a repository where it lies, instead of a clone that it makes for itself.
//!
//! TruffleHog clones by default, which takes as long as its scan. Where it lies, it calls git with an empty
//! environment, so that none of our settings hold: nothing in the repository may then bend what git shows.
//! Where there is the slightest doubt, it clones.

use super::git::Git;
use super::preflight::Repository;

/// Settings of a repository's own configuration that do not touch what `git log` shows: whole sections, and
/// single keys. What is included by `include` and `includeif` is listed, too, and held against this.
const HARMLESS_SECTIONS: [&str; 23] = [
    "advice",
    "branch",
    "credential",
    "fetch",
    "gc",
    "http",
    "https",
    "include",
    "includeif",
    "init",
    "lfs",
    "maintenance",
    "pack",
    "protocol",
    "pull",
    "push",
    "rebase",
    "receive",
    "remote",
    "safe",
    "submodule",
    "url",
    "user",
];
const HARMLESS_KEYS: [&str; 12] = [
    "core.autocrlf",
    "core.bare",
    "core.eol",
    "core.filemode",
    "core.hookspath",
    "core.ignorecase",
    "core.logallrefupdates",
    "core.precomposeunicode",
    "core.repositoryformatversion",
    "core.sparsecheckout",
    "core.sshcommand",
    "core.symlinks",
];

/// Whether the history reads the same in place, with nothing lost. A clone also shows what is staged, so
/// with something staged the answer is no.
pub async fn reads_the_same_in_place(repository: &Repository) -> bool {
    let git = &repository.git;
    let folder = &repository.git_dir;
    // A linked work tree or a submodule has its folder elsewhere.
    let is_plain = match &repository.root {
        Some(root) => *folder == root.join(".git") && folder.is_dir(),
        None => true,
    };
    let changes_the_view = ["info/attributes", "info/grafts", "reftable"];
    if !is_plain
        || !folder.join("objects").is_dir()
        || changes_the_view
            .iter()
            .any(|name| folder.join(name).exists())
    {
        return false;
    }
    let (settings, replaced, staged) = tokio::join!(
        git.run(&[
            "config",
            "--local",
            "--includes",
            "--list",
            "--name-only",
            "-z"
        ]),
        git.run(&["for-each-ref", "--count=1", "refs/replace"]),
        nothing_staged(repository, git),
    );
    let harmless = settings.is_ok_and(|names| {
        names
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
            .all(is_harmless)
    });
    harmless && replaced.is_ok_and(|refs| refs.is_empty()) && staged
}

async fn nothing_staged(repository: &Repository, git: &Git) -> bool {
    match (&repository.root, &repository.head) {
        (None, _) => true,
        (Some(_), Some(_)) => {
            let differs = git
                .asked(
                    &["diff", "--staged", "--quiet", "--no-ext-diff"],
                    Vec::new(),
                )
                .await;
            matches!(differs, Ok(Some(_)))
        }
        (Some(_), None) => false,
    }
}

fn is_harmless(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let section = name.split('.').next().unwrap_or_default();
    HARMLESS_SECTIONS.contains(&section) || HARMLESS_KEYS.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, harmless: bool) {
        assert_eq!(is_harmless(name.as_bytes()), harmless, "{name}");
    }

    #[test]
    fn only_what_is_known_not_to_bend_the_log_is_harmless() {
        check("core.bare", true);
        check("remote.origin.url", true);
        check("http.https://github.com/.extraheader", true);
        check("includeif.gitdir:/x/.git.path", true);
        check("Branch.main.Remote", true);
        check("diff.noprefix", false);
        check("log.showsignature", false);
        check("core.attributesfile", false);
        check("core.worktree", false);
        check("extensions.worktreeconfig", false);
        check("diff.x.textconv", false);
        check("remotely", false);
        check("color.ui", false);
    }
}
