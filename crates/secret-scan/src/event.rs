//! `--range event`: the commits that the event brought for which GitHub Actions runs this step.
//!
//! The event is a JSON file that `GITHUB_EVENT_PATH` names (GitHub, "Webhook events and payloads"). What it
//! says is never taken for less than it means: where it names no commits, or names one that is not here any
//! more, more is scanned, and the report says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gs_common::config::{ConfigError, read_text};
use serde_json::Value;

/// GitHub delivers no larger event.
const LARGEST: u64 = 25 << 20;

/// What to scan on behalf of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// A range; absent is everything.
    pub range: Option<String>,
    /// What the report says about it.
    pub note: String,
}

/// What an event names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    /// A change with both of its ends.
    Change { base: String, head: String },
    /// A push to a branch or tag.
    Push {
        before: String,
        after: String,
        default_branch: Option<String>,
    },
    /// One that brings no commits, such as a schedule.
    Other,
}

/// Reads the event and decides. `home` is the folder of the repository.
///
/// # Errors
/// There is no event, or it cannot be read.
pub fn choose(variables: &BTreeMap<String, String>, home: &Path) -> Result<Chosen, ConfigError> {
    let hint = "it is for steps of GitHub Actions; elsewhere write --range BASE..HEAD";
    let path = variables
        .get("GITHUB_EVENT_PATH")
        .filter(|path| !path.is_empty());
    let Some(path) = path else {
        return Err(ConfigError::new("--range event: GITHUB_EVENT_PATH names no event").hint(hint));
    };
    let path = PathBuf::from(path);
    let text = read_text(&path, LARGEST)?;
    let name = variables
        .get("GITHUB_EVENT_NAME")
        .map_or("", String::as_str);
    let event = read(&text, name).map_err(|why| {
        ConfigError::new(format!("the event `{}` {why}", path.display()))
            .hint("name the commits yourself: --range BASE..HEAD")
    })?;
    let shown = if name.is_empty() { "unnamed" } else { name };
    Ok(decide(event, shown, &Here { folder: home }))
}

/// What can be asked about the clone.
trait Commits {
    /// Whether this commit is in it.
    fn has(&self, commit: &str) -> bool;
    /// Where a commit left a branch; absent where that is not known.
    fn left(&self, branch: &str, commit: &str) -> Option<String>;
}

fn decide(event: Event, name: &str, clone: &impl Commits) -> Chosen {
    let everything = |why: &str| Chosen {
        range: None,
        note: format!(
            "no commit was left out: the event `{name}` {why}, so everything was scanned"
        ),
    };
    let (before, after, default_branch) = match event {
        Event::Other => return everything("names no commits"),
        Event::Change { base, head } => {
            return Chosen {
                note: format!(
                    "what is not in the range {base}..{head}, which the event `{name}` names"
                ),
                range: Some(format!("{base}..{head}")),
            };
        }
        Event::Push {
            before,
            after,
            default_branch,
        } => (before, after, default_branch),
    };
    if !is_zero(&before) && clone.has(&before) {
        return Chosen {
            note: format!(
                "what is not in the range {before}..{after}, which the event `{name}` names"
            ),
            range: Some(format!("{before}..{after}")),
        };
    }
    let why = if is_zero(&before) {
        "is that of a new branch".to_owned()
    } else {
        // A forced push leaves the old commits to be forgotten.
        format!("names {before} as the commit before it, which is not in this clone")
    };
    let Some(branch) = default_branch else {
        return everything(&format!("{why} and names no default branch"));
    };
    match clone.left(&branch, &after) {
        // With nothing of its own the branch is the default branch, or an old state of it.
        Some(fork) if fork != after => Chosen {
            note: format!(
                "what is not in the range {fork}..{after}: the event `{name}` {why}, so that the range begins where it left `{branch}`"
            ),
            range: Some(format!("{fork}..{after}")),
        },
        Some(_) => everything(&format!("{why} and brings nothing that `{branch}` has not")),
        None => everything(&format!("{why}, and `{branch}` is not in this clone")),
    }
}

fn read(text: &str, name: &str) -> Result<Event, String> {
    let event: Value =
        serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
    if !event.is_object() {
        return Err("is no JSON object".to_owned());
    }
    let commit = |pointer: &str| -> Result<String, String> {
        let text = event.pointer(pointer).and_then(Value::as_str);
        let text = text.ok_or_else(|| format!("has no `{}`", dotted(pointer)))?;
        let is_hash = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hash {
            Ok(text.to_owned())
        } else {
            Err(format!("has a `{}` that is no commit", dotted(pointer)))
        }
    };
    for (kind, base, head) in [
        (
            "pull_request",
            "/pull_request/base/sha",
            "/pull_request/head/sha",
        ),
        (
            "merge_group",
            "/merge_group/base_sha",
            "/merge_group/head_sha",
        ),
    ] {
        let is_meant = matches!(name, "pull_request_target") && kind == "pull_request";
        if event.get(kind).is_some() || name == kind || is_meant {
            return Ok(Event::Change {
                base: commit(base)?,
                head: commit(head)?,
            });
        }
    }
    let is_push = event.get("before").is_some() && event.get("after").is_some();
    if !is_push && name != "push" {
        return Ok(Event::Other);
    }
    let after = commit("/after")?;
    if is_zero(&after) {
        return Err("is that of a branch that was deleted: it brings no commit".to_owned());
    }
    let default_branch = event
        .pointer("/repository/default_branch")
        .and_then(Value::as_str);
    Ok(Event::Push {
        before: commit("/before")?,
        after,
        default_branch: default_branch
            .filter(|name| !name.is_empty())
            .map(str::to_owned),
    })
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

/// Zeros stand where there is no commit.
fn is_zero(commit: &str) -> bool {
    commit.bytes().all(|byte| byte == b'0')
}

struct Here<'a> {
    folder: &'a Path,
}

impl Here<'_> {
    /// A line of git's; absent where it says no, or cannot be asked: then more is scanned, and the look at
    /// the repository says what is wrong with it.
    fn line(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("git")
            .arg("-C")
            .arg(self.folder)
            .args(arguments)
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let line = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !line.is_empty()).then_some(line)
    }
}

impl Commits for Here<'_> {
    fn has(&self, commit: &str) -> bool {
        let wanted = format!("{commit}^{{commit}}");
        self.line(&["rev-parse", "--verify", "--quiet", &wanted])
            .is_some()
    }

    fn left(&self, branch: &str, commit: &str) -> Option<String> {
        // What was fetched comes first: a local branch of that name may be old.
        let tips = [
            format!("refs/remotes/origin/{branch}"),
            format!("refs/heads/{branch}"),
        ];
        let tip = tips.iter().find(|tip| self.has(tip))?;
        self.line(&["merge-base", tip, commit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const FORK: &str = "ffffffffffffffffffffffffffffffffffffffff";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    struct Known {
        commits: &'static [&'static str],
        fork: Option<&'static str>,
    }

    impl Commits for Known {
        fn has(&self, commit: &str) -> bool {
            self.commits.contains(&commit)
        }

        fn left(&self, _: &str, _: &str) -> Option<String> {
            self.fork.map(str::to_owned)
        }
    }

    fn push(before: &str) -> Value {
        json!({"before": before, "after": B, "repository": {"default_branch": "main"}})
    }

    #[track_caller]
    fn check(event: &Value, known: &Known, range: Option<&str>, said: &str) {
        let event = read(&event.to_string(), "push").unwrap();
        let chosen = decide(event, "push", known);
        assert_eq!(chosen.range.as_deref(), range, "{}", chosen.note);
        assert!(chosen.note.contains(said), "{}", chosen.note);
    }

    #[test]
    fn a_push_is_what_it_brings_and_in_doubt_more() {
        let whole = Known {
            commits: &[A, B],
            fork: Some(FORK),
        };
        check(&push(A), &whole, Some(&format!("{A}..{B}")), "the event");
        check(
            &push(ZERO),
            &whole,
            Some(&format!("{FORK}..{B}")),
            "new branch",
        );
        let forced = Known {
            commits: &[B],
            fork: Some(FORK),
        };
        check(&push(A), &forced, Some(&format!("{FORK}..{B}")), A);
        let nothing_new = Known {
            commits: &[B],
            fork: Some(B),
        };
        check(&push(ZERO), &nothing_new, None, "everything");
        let no_branch = Known {
            commits: &[B],
            fork: None,
        };
        check(&push(A), &no_branch, None, "everything");
        let mut nameless = push(ZERO);
        nameless["repository"] = Value::Null;
        check(&nameless, &whole, None, "everything");
    }

    #[test]
    fn a_pull_request_and_a_merge_queue_name_both_ends() {
        // An update of a pull request has a `before` and an `after` of its own.
        let update = json!({"before": B, "after": A,
            "pull_request": {"base": {"sha": A}, "head": {"sha": B}}});
        let queue = json!({"merge_group": {"base_sha": A, "head_sha": B}});
        for event in [update, queue] {
            let event = read(&event.to_string(), "").unwrap();
            let known = Known {
                commits: &[],
                fork: None,
            };
            let chosen = decide(event, "pull_request", &known);
            assert_eq!(chosen.range, Some(format!("{A}..{B}")));
        }
    }

    #[test]
    fn an_event_without_commits_means_everything() {
        assert_eq!(
            read("{\"schedule\": \"0 0 * * *\"}", "schedule"),
            Ok(Event::Other)
        );
    }

    #[track_caller]
    fn refused(text: &str, name: &str, why: &str) {
        let error = read(text, name).unwrap_err();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn an_event_that_is_broken_is_refused() {
        refused("", "push", "no JSON");
        refused("[]", "push", "no JSON object");
        refused("{}", "push", "has no `after`");
        refused("{}", "pull_request", "has no `pull_request.base.sha`");
        refused(
            "{}",
            "pull_request_target",
            "has no `pull_request.base.sha`",
        );
        refused(&json!({"after": B}).to_string(), "push", "has no `before`");
        let option = json!({"before": "--output=x", "after": B});
        refused(&option.to_string(), "push", "`before` that is no commit");
        let deleted = json!({"before": A, "after": ZERO});
        refused(&deleted.to_string(), "push", "deleted");
        refused(&push(A).to_string()[..60], "push", "no JSON");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = read(&text, "push").is_ok();
        }

        /// A range is only ever one of whole commits.
        #[test]
        fn nothing_but_commits_gets_into_a_range(before in "[0-9a-f-]{38,42}", after in "[0-9a-f-]{40}") {
            let event = json!({"before": before, "after": after});
            if let Ok(Event::Push { before, after, .. }) = read(&event.to_string(), "push") {
                prop_assert!(!before.contains('-') && !after.contains('-'));
            }
        }
    }
}
