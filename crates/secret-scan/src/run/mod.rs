//! The scan: a look at the repository, then all engines at once, then what HEAD still has.

mod after;
mod rules;
mod work;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gs_common::cli::Talk;
use gs_common::outside::Stop;
use gs_common::redact::Redactor;
use gs_common::suppression::Origin;
use jiff::Timestamp;

use after::{cover, finish};
use rules::rules;
use work::{judge_history, unreadable};

use crate::config::{Config, What};
use crate::engine::binary::{self, Binary};
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
    /// Whether TruffleHog may read the repository where it lies.
    in_place: bool,
}

/// Scans, or judges reports. `folder` is this run's own.
pub(crate) async fn run(
    config: &mut Config,
    variables: &BTreeMap<String, String>,
    folder: &Path,
    redactor: &Redactor,
    stop: &Stop,
    talk: &mut Talk,
) -> Facts {
    let path_variable = variables.get("PATH").map(String::as_str);
    let mut facts = match config.what.clone() {
        What::Reports { files, max_age } => judge_reports(&files, max_age, config),
        what => {
            let mut binaries = binary::look(&mut config.engines, path_variable).await;
            let scan = async {
                match what {
                    What::Repository {
                        range,
                        history,
                        tree,
                    } => {
                        let selection = Wanted {
                            range,
                            history,
                            tree,
                        };
                        repository(config, variables, folder, selection, stop.clone(), talk).await
                    }
                    _ => staged(config, variables, folder, stop.clone()).await,
                }
            };
            let (mut facts, ()) = tokio::join!(scan, binary::hash(&mut binaries));
            for (pass, binary) in passes_of(&mut facts.passes, &binaries) {
                if let Some(message) = binary.replaced() {
                    pass.replaced(message);
                }
            }
            facts.binaries = binaries;
            facts.interrupted = stop.is_asked();
            facts
        }
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

fn passes_of<'a>(
    passes: &'a mut [PassRun],
    binaries: &'a [Binary],
) -> impl Iterator<Item = (&'a mut PassRun, &'a Binary)> {
    passes.iter_mut().filter_map(|pass| {
        let binary = binaries.iter().find(|binary| binary.kind == pass.kind)?;
        Some((pass, binary))
    })
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

async fn staged(
    config: &Config,
    variables: &BTreeMap<String, String>,
    folder: &Path,
    stop: Stop,
) -> Facts {
    let ends_at = Instant::now() + config.deadline;
    let git = Git::new(&config.path, variables, config.deadline).until(stop);
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

/// What of a repository is to be scanned.
struct Wanted {
    range: Option<String>,
    history: bool,
    tree: bool,
}

async fn repository(
    config: &mut Config,
    variables: &BTreeMap<String, String>,
    folder: &Path,
    wanted: Wanted,
    stop: Stop,
    talk: &mut Talk,
) -> Facts {
    let Wanted {
        range,
        history,
        tree,
    } = wanted;
    let ends_at = Instant::now() + config.deadline;
    let git = Git::new(&config.path, variables, config.deadline).until(stop);
    let mut facts = Facts {
        subject: subject(config, None),
        ..Facts::default()
    };
    facts.not_covered.extend(config.range_note.clone());
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
    let (merges, in_place) = if history {
        tokio::join!(
            repo::merges_shown(&scan_git),
            repo::reads_the_same_in_place(&repository)
        )
    } else {
        (Merges::Remerge, false)
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
        in_place,
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
            path: place.path.into(),
            line: place.line,
            commit: place.commit.map(Into::into),
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
        let job = |in_place| Job::Commits {
            git_dir: repository.git_dir.clone(),
            source: repository
                .root
                .clone()
                .unwrap_or_else(|| repository.git_dir.clone()),
            selection: scan.selection.clone(),
            merges: scan.merges,
            in_place,
        };
        let pass = if is_range { Pass::Range } else { Pass::History };
        let run = engine.run(pass, &job(scan.in_place), &scan.setup).await;
        if scan.in_place && run.wants_a_clone {
            return Some(engine.run(pass, &job(false), &scan.setup).await);
        }
        Some(run)
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
