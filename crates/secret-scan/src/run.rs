//! The scan: a look at the repository, then all engines at once, then what HEAD still has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gs_common::cli::Talk;
use gs_common::redact::Redactor;
use gs_common::suppression::Origin;
use jiff::Timestamp;
use serde_json::json;

use crate::config::{Config, What};
use crate::engine::{Engine, Expected, Job, Kind, Pass, PassRun, Setup};
use crate::formats::Row;
use crate::incident;
use crate::judge::reason;
use crate::repo::{
    self, FileCount, Git, GitError, History, Merges, Problem, Repository, Selection,
};
use crate::reports;
use crate::summary::{Facts, shown};

/// A line at least this often, so that nobody thinks that it hangs.
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// What all parts of a scan have in common.
struct Scan<'a> {
    config: &'a Config,
    setup: Setup<'a>,
    repository: Repository,
    selection: Selection,
    merges: Merges,
}

/// Scans, or judges reports. `folder` is this run's own.
pub(crate) async fn run(
    config: &mut Config,
    variables: &BTreeMap<String, String>,
    folder: &Path,
    redactor: &Redactor,
    talk: &mut Talk,
) -> Facts {
    let mut facts = match config.what.clone() {
        What::Reports { files, max_age } => judge_reports(&files, max_age, config),
        What::Staged => staged(config, variables, folder).await,
        What::Repository {
            range,
            history,
            tree,
        } => repository(config, variables, folder, range, history, tree, talk).await,
    };
    let rows: Vec<Row> = facts
        .passes
        .iter()
        .flat_map(|pass| pass.rows.clone())
        .collect();
    redactor.add_all(reports::values(&rows).map(|value| value.expose()));
    if !config.setting.key.is_configured() && !facts.incidents.is_empty() {
        facts.not_covered.push("the fingerprints have no key of their own: before they are kept in a baseline, make one with `secret-scan init`".to_owned());
    }
    redactor.add_all(
        facts
            .incidents
            .iter()
            .flat_map(|one| &one.values)
            .map(|value| value.expose()),
    );
    facts
}

fn judge_reports(files: &[PathBuf], max_age: Option<Duration>, config: &Config) -> Facts {
    let now = Timestamp::now();
    let mut facts = Facts {
        subject: ("reports".to_owned(), names(files), None),
        ..Facts::default()
    };
    let mut rows = Vec::new();
    for file in files {
        let judged = reports::judge(file, now, max_age);
        facts.inputs.push(judged.input);
        facts.input_codes.push(judged.code);
        facts.not_covered.extend(judged.sentences);
        rows.extend(judged.rows);
    }
    facts.incidents = incident::join(&rows, &config.setting.key);
    facts
}

fn names(files: &[PathBuf]) -> String {
    let names: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    names.join(", ")
}

fn subject(config: &Config, commit: Option<String>) -> (String, String, Option<String>) {
    ("repository".to_owned(), shown(&config.path), commit)
}

async fn staged(config: &Config, variables: &BTreeMap<String, String>, folder: &Path) -> Facts {
    let ends_at = Instant::now() + config.deadline;
    let git = Git::new(&config.path, variables, config.deadline);
    let found = repo::look(&config.path, &git, None, false).await;
    let mut facts = Facts {
        subject: subject(config, None),
        ..Facts::default()
    };
    let repository = match found {
        Ok(repository) => repository,
        Err(problem) => {
            facts.problem = Some(problem);
            return facts;
        }
    };
    facts.subject.2.clone_from(&repository.head);
    // A hook of `git commit FILE` has an index of its own, named relative to the work tree.
    let index = variables
        .get("GIT_INDEX_FILE")
        .filter(|index| !index.is_empty());
    let index =
        index.map(|index| std::path::absolute(index).unwrap_or_else(|_| PathBuf::from(index)));
    let git = repository.git.with_index(index);
    let adds_text = match repo::staged_adds_text(&git).await {
        Ok(Some(adds_text)) => adds_text,
        Ok(None) => {
            facts.problem = Some(Problem {
                reason: reason::NOTHING_STAGED,
                message: "nothing is staged".to_owned(),
                fix: "stage something: `git add -p`".to_owned(),
            });
            return facts;
        }
        Err(error) => {
            facts.problem = Some(unreadable(&error));
            return facts;
        }
    };
    facts.adds_nothing = !adds_text;
    let (rules, note) = rules(config, &repository, folder);
    facts.not_covered.extend(note);
    let setup = Setup {
        folder,
        git: &git,
        ends_at,
        verify: false,
        gitleaks_config: rules.as_deref(),
        inline_allow: config.inline_allow,
        is_shared: config.engines.len() > 1,
    };
    for engine in &config.engines {
        if engine.kind != Kind::Gitleaks {
            facts.not_covered.push(format!(
                "{} has no way to look at staged changes alone",
                engine.kind.as_str()
            ));
            continue;
        }
        let job = Job::Staged {
            git_dir: repository.git_dir.clone(),
        };
        let (mut pass, version) = tokio::join!(
            engine.run(Pass::Staged, &job, &setup),
            engine.version(&setup)
        );
        pass.prove(Expected {
            something: adds_text,
            ..Expected::default()
        });
        facts.versions.push((engine.kind, version));
        facts.passes.push(pass);
    }
    facts
        .not_covered
        .push("files that are not staged, and the history".to_owned());
    finish(&mut facts, config, Some(&repository), &BTreeMap::new()).await;
    facts
}

async fn repository(
    config: &mut Config,
    variables: &BTreeMap<String, String>,
    folder: &Path,
    range: Option<String>,
    history: bool,
    tree: bool,
    talk: &mut Talk,
) -> Facts {
    let ends_at = Instant::now() + config.deadline;
    let git = Git::new(&config.path, variables, config.deadline);
    let mut facts = Facts {
        subject: subject(config, None),
        ..Facts::default()
    };
    let repository = match repo::look(&config.path, &git, range.as_deref(), history).await {
        Ok(repository) => repository,
        // A plain folder has files, too.
        Err(problem)
            if !history && problem.reason == "not_a_repository" && config.path.is_dir() =>
        {
            let root = std::path::absolute(&config.path).unwrap_or_else(|_| config.path.clone());
            Repository {
                root: Some(root),
                git_dir: config.path.clone(),
                git,
                head: None,
                range: None,
                version: String::new(),
            }
        }
        Err(problem) => {
            facts.problem = Some(problem);
            return facts;
        }
    };
    let tip = repository.range.as_ref().map(|range| range.head.clone());
    facts.subject.2 = tip.or_else(|| repository.head.clone());
    let (rules, note) = rules(config, &repository, folder);
    if let Some(note) = note {
        // Rules that a change edits are part of what it is judged by.
        if config.setting.origin == Origin::WorkTree {
            facts.not_covered.push(note);
        } else {
            config.setting.notes.push(note);
        }
    }
    let scan_git = repository.git.clone();
    let selection = match repository.range.clone() {
        Some(range) => Selection::Range(range),
        None => Selection::All,
    };
    let merges = if history {
        repo::merges_shown(&scan_git).await
    } else {
        Merges::Remerge
    };
    let scan = Scan {
        setup: Setup {
            folder,
            git: &scan_git,
            ends_at,
            verify: config.verify,
            gitleaks_config: rules.as_deref(),
            inline_allow: config.inline_allow,
            is_shared: config.engines.len() > 1,
        },
        config,
        repository,
        selection,
        merges,
    };
    let files = match (&scan.repository.root, tree) {
        (Some(root), true) => Some(repo::work_tree_files(root)),
        _ => None,
    };
    let work = all(&scan, history, files);
    let (counted, passes, versions) = told(work, &scan, talk).await;
    facts.versions = versions;
    facts.passes = passes;
    let commits = judge_history(&mut facts, &scan, history, counted.as_ref(), files);
    cover(&mut facts, &scan, counted.as_ref(), files, tree);
    let repository = scan.repository.clone();
    finish(&mut facts, config, Some(&repository), &commits).await;
    facts
}

/// Says now and then that it still goes on.
async fn told<T>(work: impl Future<Output = T>, scan: &Scan<'_>, talk: &mut Talk) -> T {
    let names: Vec<&str> = scan
        .config
        .engines
        .iter()
        .map(|engine| engine.kind.as_str())
        .collect();
    talk.detail(&format!("running {}", names.join(", ")));
    let began = Instant::now();
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(TOLD_EVERY) => talk.note(&format!(
                "{} s: {} still at work",
                began.elapsed().as_secs(),
                names.join(", ")
            )),
        }
    }
}

type Counted = Option<Result<History, GitError>>;

/// The count and all engines, at once.
async fn all(
    scan: &Scan<'_>,
    history: bool,
    files: Option<FileCount>,
) -> (Counted, Vec<PassRun>, Vec<(Kind, Option<String>)>) {
    let engine = |index: usize| async move {
        match scan.config.engines.get(index) {
            Some(engine) => engine_passes(scan, engine, history, files).await,
            None => (Vec::new(), None),
        }
    };
    let ((counted, merges), one, two, three) =
        tokio::join!(count(scan, history), engine(0), engine(1), engine(2));
    let mut passes = Vec::new();
    let mut versions = Vec::new();
    for (runs, version) in [one, two, three] {
        passes.extend(runs);
        versions.extend(version);
    }
    passes.extend(merges);
    passes.sort_by_key(|pass| (pass.kind, pass.pass));
    (counted, passes, versions)
}

/// Our own count, and then the merge commits for engines that show nothing of them.
async fn count(scan: &Scan<'_>, history: bool) -> (Counted, Vec<PassRun>) {
    if !history {
        return (None, Vec::new());
    }
    let git = scan.setup.git;
    let counted = repo::history(git, &scan.selection, scan.merges).await;
    let mut passes = Vec::new();
    let all = matches!(scan.selection, Selection::All);
    if let Ok(history) = &counted
        && all
        && history.merges_with_text() > 0
    {
        for engine in &scan.config.engines {
            // Gitleaks gets them with the history, and Kingfisher reads objects, not patches.
            if engine.kind == Kind::TruffleHog {
                passes.push(text_pass(scan, engine, Pass::Merges, true).await);
            }
        }
    }
    (Some(counted), passes)
}

/// Lets an engine look at added lines that it gets on stdin, and puts what it finds back to its place.
async fn text_pass(scan: &Scan<'_>, engine: &Engine, pass: Pass, only_merges: bool) -> PassRun {
    let git = scan.setup.git;
    let added = repo::added_lines(git, &scan.selection, scan.merges, only_merges).await;
    let added = match added {
        Ok(added) => added,
        Err(error) => return PassRun::without_git(engine.kind, pass, &error),
    };
    let mut run = engine
        .run(pass, &Job::Text(added.text.clone()), &scan.setup)
        .await;
    let mut placed = Vec::new();
    for row in &run.rows {
        let places = row
            .value
            .as_ref()
            .map(|value| added.places_of(value.expose()));
        let places = places.unwrap_or_default();
        if places.is_empty() {
            // A decoded value stands nowhere as it is: it is found all the same.
            placed.push(row.clone());
        }
        placed.extend(places.into_iter().map(|place| Row {
            path: place.path,
            line: place.line,
            commit: place.commit,
            ..row.clone()
        }));
    }
    run.rows = placed;
    run
}

async fn engine_passes(
    scan: &Scan<'_>,
    engine: &Engine,
    history: bool,
    files: Option<FileCount>,
) -> (Vec<PassRun>, Option<(Kind, Option<String>)>) {
    let commits = async {
        if !history {
            return None;
        }
        let is_range = matches!(scan.selection, Selection::Range(_));
        if is_range && engine.kind != Kind::Gitleaks {
            // These walk back from the head until they meet the base, and miss what lies beside.
            return Some(text_pass(scan, engine, Pass::Range, false).await);
        }
        let repository = &scan.repository;
        let job = Job::Commits {
            git_dir: repository.git_dir.clone(),
            source: repository
                .root
                .clone()
                .unwrap_or_else(|| repository.git_dir.clone()),
            selection: scan.selection.clone(),
            merges: scan.merges,
        };
        let pass = if is_range { Pass::Range } else { Pass::History };
        Some(engine.run(pass, &job, &scan.setup).await)
    };
    let tree = async {
        let root = scan.repository.root.as_ref()?;
        // One engine over the files is enough, and Gitleaks is the quickest.
        let first = scan.config.engines.first().map(|engine| engine.kind);
        if files.is_none_or(|files| files.files == 0) || first != Some(engine.kind) {
            return None;
        }
        let job = Job::Tree { root: root.clone() };
        Some(engine.run(Pass::Tree, &job, &scan.setup).await)
    };
    let version = async {
        match engine.kind {
            // It takes seconds to start, and says its version at the end of a scan.
            Kind::TruffleHog => None,
            _ => engine.version(&scan.setup).await,
        }
    };
    let (commits, tree, version) = tokio::join!(commits, tree, version);
    let passes = commits.into_iter().chain(tree).collect();
    (passes, Some((engine.kind, version)))
}

fn unreadable(error: &GitError) -> Problem {
    Problem {
        reason: match error {
            GitError::TimedOut => "timed_out",
            GitError::Missing => "git_missing",
            _ => reason::HISTORY_UNREADABLE,
        },
        message: format!(
            "what there is to scan cannot be counted: {}",
            crate::engine::scrub::text(&error.to_string())
        ),
        fix: "run `git fsck` and `git log --all --numstat` there to see why".to_owned(),
    }
}

/// Holds every pass against the count. Hands back when each commit was made.
fn judge_history(
    facts: &mut Facts,
    scan: &Scan<'_>,
    wanted: bool,
    counted: Option<&Result<History, GitError>>,
    files: Option<FileCount>,
) -> BTreeMap<String, Timestamp> {
    let history = match counted {
        Some(Err(error)) => {
            facts.problem = Some(unreadable(error));
            None
        }
        Some(Ok(history)) => Some(history),
        None => None,
    };
    let is_range = scan.repository.range.is_some();
    let has_files = files.is_some_and(|files| files.files > 0);
    if let Some(history) = history {
        let adds_text = history.commits.values().any(|commit| commit.adds_text);
        facts.adds_nothing = is_range && !adds_text;
        if !is_range && history.with_text() == 0 && !has_files {
            facts.problem = Some(nothing());
        }
    } else if !wanted && !has_files {
        facts.problem = Some(nothing());
    }
    for pass in &mut facts.passes {
        let expected = match pass.pass {
            Pass::Tree => Expected {
                files: files.map(|files| files.files),
                something: has_files,
                ..Expected::default()
            },
            Pass::Merges => Expected {
                commits: history.map(History::merges_with_text),
                something: true,
                ..Expected::default()
            },
            _ => of_commits(pass, history, is_range),
        };
        pass.prove(expected);
    }
    let commits = history.map(|history| &history.commits);
    let times = commits.into_iter().flatten();
    times
        .filter_map(|(hash, commit)| Some((hash.clone(), commit.at?)))
        .collect()
}

fn of_commits(pass: &PassRun, history: Option<&History>, is_range: bool) -> Expected {
    let Some(history) = history else {
        // Not known, so that nothing less than some work counts.
        return Expected {
            something: true,
            ..Expected::default()
        };
    };
    let (commits, chunks) = match pass.kind {
        Kind::Gitleaks => (history.with_text(), None),
        _ if is_range => (history.with_text(), None),
        Kind::TruffleHog => (history.plain_with_text(), history.cloned_plain_text),
        Kind::Kingfisher => (history.plain_with_text(), None),
    };
    let adds = |commit: &repo::Commit| commit.adds_text || (commit.has_text && !is_range);
    Expected {
        commits: Some(commits),
        chunks,
        files: None,
        something: match pass.kind {
            Kind::Gitleaks => commits > 0,
            _ => history.commits.values().any(adds),
        },
    }
}

fn nothing() -> Problem {
    Problem {
        reason: reason::NOTHING_TO_SCAN,
        message: "there is no commit with text and no file with content".to_owned(),
        fix: "is it the right folder?".to_owned(),
    }
}

/// Gitleaks' rules: those that were named, else those of the repository, in a change those of its base.
fn rules(
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

/// What was not looked at.
fn cover(
    facts: &mut Facts,
    scan: &Scan<'_>,
    counted: Option<&Result<History, GitError>>,
    files: Option<FileCount>,
    tree: bool,
) {
    let say = &mut facts.not_covered;
    if let Some(Ok(history)) = counted {
        if history.binaries > 0 {
            say.push(format!(
                "{} binary files in the history: engines look at text",
                history.binaries
            ));
        }
        if history.merges == Merges::Separate {
            say.push(
                "merge commits were compared with each parent: this git cannot redo them here"
                    .to_owned(),
            );
        }
        facts.details.insert(
            "history".to_owned(),
            json!({
                "commits": history.total,
                "commits_with_text": history.with_text(),
                "merges_with_text": history.merges_with_text(),
                "binary_files": history.binaries,
            }),
        );
    }
    if let Some(range) = &scan.repository.range {
        facts.details.insert(
            "range".to_owned(),
            json!({"base": range.base, "head": range.head, "fork": range.fork}),
        );
    }
    if let Some(files) = files {
        if files.unreadable > 0 {
            say.push(format!("{} folders that cannot be read", files.unreadable));
        }
        facts.details.insert(
            "tree".to_owned(),
            json!({"files": files.files, "bytes": files.bytes}),
        );
    }
    if !tree {
        say.push("files of the work tree that are not committed".to_owned());
    }
    if let Some(root) = &scan.repository.root {
        if root.join(".gitmodules").exists() {
            say.push("submodules: each is a repository of its own".to_owned());
        }
        if tree && root.join(".gitleaksignore").exists() {
            say.push("lines of files that `.gitleaksignore` names and that are not committed yet: import it with `secret-scan baseline import`, then delete it".to_owned());
        }
    }
    let skipped: u64 = facts.passes.iter().map(|pass| pass.stated.skipped).sum();
    if skipped > 0 {
        say.push(format!(
            "{skipped} files or folders that an engine left out, aloud"
        ));
    }
}

/// Joins the rows to incidents and looks for them in HEAD.
async fn finish(
    facts: &mut Facts,
    config: &Config,
    repository: Option<&Repository>,
    commits: &BTreeMap<String, Timestamp>,
) {
    let mut rows: Vec<Row> = Vec::new();
    for pass in &facts.passes {
        for row in &pass.rows {
            let mut row = row.clone();
            // The commit itself knows best when it was made.
            let known = row.commit.as_ref().and_then(|commit| commits.get(commit));
            row.at = known.copied().or(row.at);
            rows.push(row);
        }
    }
    facts.incidents = incident::join(&rows, &config.setting.key);
    let Some(repository) = repository else { return };
    let head = match (&repository.range, &repository.head) {
        (Some(range), _) => range.head.clone(),
        (None, Some(head)) => head.clone(),
        (None, None) => return,
    };
    let mut values = Vec::new();
    let mut owners = Vec::new();
    for (index, one) in facts.incidents.iter().enumerate() {
        for value in &one.values {
            values.push(value);
            owners.push(index);
        }
    }
    match repo::holds(&repository.git, &head, &values).await {
        Ok(found) => {
            let held: Vec<usize> = found
                .into_iter()
                .filter_map(|index| owners.get(index).copied())
                .collect();
            for (index, one) in facts.incidents.iter_mut().enumerate() {
                if !one.values.is_empty() {
                    one.in_head = Some(held.contains(&index));
                }
            }
        }
        Err(error) => facts.not_covered.push(format!(
            "whether HEAD still has what was found: {}",
            crate::engine::scrub::text(&error.to_string())
        )),
    }
}
