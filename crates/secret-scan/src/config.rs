//! What is meant: everything typed and configured, checked before the first engine is started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gs_common::config::{ConfigError, Project, Row, Settings, read_text};
use gs_common::suppression::{self, Exceptions, Form, Origin, Policy};
use gs_common::units;
use jiff::civil::Date;

use crate::args::{EngineArgs, RunArgs, SettingArgs};
use crate::engine::{Engine, Kind};
use crate::event;
use crate::judge::FailOn;
use crate::value::Key;

/// The name of the tool and of its section.
pub const TOOL: &str = "secret-scan";

/// The list of accepted secrets, where no other is named.
pub const BASELINE: &str = "secret-baseline.toml";

/// The range that stands for the event of a pipeline.
const EVENT: &str = "event";

/// A file with a key is not larger.
const LARGEST_KEY: u64 = 4096;

/// What the list of accepted secrets looks like.
pub const FORM: Form = Form {
    tool: TOOL,
    keys: &[suppression::Key::Fingerprint],
    any_of: &[suppression::Key::Fingerprint],
    states: &["accepted", "false_positive", "revoked", "test_fixture"],
    justifications: &[],
};

/// What to scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A repository: its history or a range of it, and its tree.
    Repository {
        /// The range, as typed.
        range: Option<String>,
        /// Whether commits are scanned.
        history: bool,
        /// Whether files are scanned.
        tree: bool,
    },
    /// The index.
    Staged,
    /// Reports of other runs.
    Reports {
        /// The files.
        files: Vec<PathBuf>,
        /// How old one may be.
        max_age: Option<Duration>,
    },
}

/// A scan with nothing left to guess about.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of the repository.
    pub path: PathBuf,
    /// What to scan.
    pub what: What,
    /// Where the range comes from, if it was not typed.
    pub range_note: Option<String>,
    /// With what.
    pub engines: Vec<Engine>,
    /// Engines without which a verdict is given, too: written down, so somebody answers for it.
    pub allow_missing: Vec<Kind>,
    /// Whether issuers may be asked whether a secret is live.
    pub verify: bool,
    /// Whether a `gitleaks:allow` in a line counts.
    pub inline_allow: bool,
    /// Rules for Gitleaks.
    pub gitleaks_config: Option<PathBuf>,
    /// Which secrets fail.
    pub fail_on: FailOn,
    /// Limit of the run.
    pub deadline: Duration,
    /// The accepted secrets and the key.
    pub setting: Setting,
    /// Every setting with its origin.
    pub rows: Vec<Row>,
    /// What deserves a look before the run.
    pub warnings: Vec<String>,
}

/// The accepted secrets and the key of the fingerprints.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The key.
    pub key: Key,
    /// The list that new ones are written to.
    pub path: PathBuf,
    /// The accepted ones.
    pub accepted: Exceptions,
    /// Where configuration and list were read from.
    pub origin: Origin,
    /// What the report has to say about where they were read from.
    pub notes: Vec<String>,
}

impl Config {
    /// Resolves a command line against the configuration file and the environment.
    ///
    /// # Errors
    /// Something typed or configured is wrong.
    pub fn resolve(
        args: &RunArgs,
        variables: &BTreeMap<String, String>,
        cwd: &Path,
        today: Date,
    ) -> Result<Self, ConfigError> {
        let path = args.path.clone().unwrap_or_else(|| PathBuf::from("."));
        // The configuration that counts is that of the repository that is scanned.
        let home = cwd.join(&path);
        let (typed, range_note) = match args.what.range.as_deref().map(str::trim) {
            Some(EVENT) => {
                let chosen = event::choose(variables, &home)?;
                (chosen.range, Some(chosen.note))
            }
            _ => (args.what.range.clone(), None),
        };
        let base = typed.as_deref().map(base_of);
        let setting = &args.setting;
        let origin = Origin::of(setting.baseline_from.as_deref().or(base), variables);
        let (project, mut notes) = project(setting, &home, &origin)?;
        let mut set = Settings::new(TOOL, &project, variables)?;
        let what = what(&mut set, args, typed)?;
        let staged = what == What::Staged;
        let default = if staged {
            vec![Kind::Gitleaks]
        } else {
            vec![Kind::Gitleaks, Kind::TruffleHog]
        };
        let mut kinds: Vec<Kind> = set.list("engine", &args.engines.engine, |text| {
            text.trim().parse::<Kind>()
        })?;
        // A hook is quick or it is switched off, so it has its engine whatever the whole scan uses.
        if kinds.is_empty() || (staged && args.engines.engine.is_empty()) {
            kinds = default;
        }
        kinds.sort_unstable();
        kinds.dedup();
        let mut programs = programs(&mut set, args)?;
        programs.retain(|engine| kinds.contains(&engine.kind));
        let engines = programs;
        let allow_missing = set.list("allow-missing", &[], |text| text.trim().parse::<Kind>())?;
        let no_verification = set.switch("no-verification", args.engines.no_verification)?;
        let inline_allow = set.switch("inline-allow", false)?;
        let gitleaks_config =
            set.path("gitleaks-config", args.engines.gitleaks_config.as_deref())?;
        if let Some(path) = &gitleaks_config
            && !path.is_file()
        {
            return Err(ConfigError::new(format!(
                "--gitleaks-config: there is no file `{}`",
                path.display()
            ))
            .hint("name the rules of Gitleaks, or leave it out"));
        }
        let fail_on = set.value("fail-on", args.what.fail_on.as_deref(), "any", |text| {
            text.parse::<FailOn>()
        })?;
        let deadline = set.value("deadline", args.what.deadline.as_deref(), "30m", some_time)?;
        let (key, path_of_list) = key_and_list(&mut set, setting)?;
        let (mut rows, mut warnings) = set.finish()?;
        hide_key(&mut rows);
        let mut setting = load(key, path_of_list, &home, origin, today)?;
        notes.append(&mut setting.notes);
        setting.notes = notes;
        if !setting.key.is_configured() && !setting.accepted.list.is_empty() {
            warnings.push("the fingerprints of accepted secrets have no key of their own: anyone who reads them can try short values; write one with `secret-scan init`".to_owned());
        }
        if inline_allow {
            warnings.push("`gitleaks:allow` counts (inline-allow): a change can excuse its own secrets, without reason, owner or expiry".to_owned());
        }
        Ok(Self {
            path,
            what,
            range_note,
            engines,
            allow_missing,
            verify: !no_verification && !staged,
            inline_allow,
            gitleaks_config,
            fail_on,
            deadline,
            setting,
            rows,
            warnings,
        })
    }
}

impl Setting {
    /// Resolves only the accepted secrets and the key, for the verbs that need no more.
    ///
    /// # Errors
    /// Something typed or configured is wrong.
    pub fn resolve(
        args: &SettingArgs,
        variables: &BTreeMap<String, String>,
        cwd: &Path,
        today: Date,
    ) -> Result<Self, ConfigError> {
        let run = RunArgs {
            setting: args.clone(),
            ..RunArgs::default()
        };
        Ok(Config::resolve(&run, variables, cwd, today)?.setting)
    }
}

/// The first end of a range.
fn base_of(range: &str) -> &str {
    let end = range.split_once("..").map_or(range, |(base, _)| base);
    if end.trim().is_empty() {
        "HEAD"
    } else {
        end.trim()
    }
}

/// The configuration file: of the base of a change, so that it cannot excuse itself.
fn project(
    args: &SettingArgs,
    home: &Path,
    origin: &Origin,
) -> Result<(Project, Vec<String>), ConfigError> {
    let here = Project::find(args.config.config.as_deref(), home);
    if *origin == Origin::WorkTree {
        return Ok((here?, Vec::new()));
    }
    let path = match &here {
        Ok(project) => project.path().map(Path::to_owned),
        Err(_) => args.config.config.clone(),
    };
    let path = path.unwrap_or_else(|| root_of(home).join(gs_common::config::FILE_NAME));
    let Ok(loaded) = origin.load(&path) else {
        // Outside of a repository, or a base that is not here: the look at the repository says so.
        return Ok((here?, Vec::new()));
    };
    let mut notes = Vec::new();
    if !loaded.notes.is_empty() {
        notes.push(format!(
            "this change edits `{}`: the scan went by `{}`",
            path.display(),
            loaded.name
        ));
    }
    Ok((Project::of_text(&path, loaded.text)?, notes))
}

fn what(
    set: &mut Settings<'_>,
    args: &RunArgs,
    range: Option<String>,
) -> Result<What, ConfigError> {
    let scope = set.list("scope", &args.what.scope, |text| match text.trim() {
        known @ ("history" | "tree") => Ok(known.to_owned()),
        other => Err(format!("`{other}` is no scope: there are history, tree")),
    })?;
    let max_age = set.optional("max-age", args.what.max_age.as_deref(), some_time)?;
    if !args.what.report.is_empty() {
        return Ok(What::Reports {
            files: args.what.report.clone(),
            max_age,
        });
    }
    if args.what.staged {
        return Ok(What::Staged);
    }
    if range
        .as_deref()
        .is_some_and(|range| range.trim().is_empty())
    {
        return Err(ConfigError::new("--range is empty").hint("is the pipeline's variable set?"));
    }
    if range.as_deref().is_some_and(|range| range.starts_with('-')) {
        return Err(ConfigError::new("--range begins with `-`").hint("write --range BASE..HEAD"));
    }
    let has = |word: &str| scope.iter().any(|one| one == word);
    // The files of a change are those that its commits add.
    let (history, tree) = if scope.is_empty() {
        (true, range.is_none())
    } else {
        (has("history"), has("tree"))
    };
    if args.what.range.is_some() && !history {
        return Err(
            ConfigError::new("--range means commits, and --scope leaves them out")
                .hint("leave out one of the two"),
        );
    }
    Ok(What::Repository {
        range,
        history,
        tree,
    })
}

/// Every engine that there is, with its program.
fn programs(set: &mut Settings<'_>, args: &RunArgs) -> Result<Vec<Engine>, ConfigError> {
    let EngineArgs {
        gitleaks_bin,
        trufflehog_bin,
        kingfisher_bin,
        ..
    } = &args.engines;
    let mut programs = Vec::new();
    for (kind, key, typed, pin) in [
        (
            Kind::Gitleaks,
            "gitleaks-bin",
            gitleaks_bin,
            "gitleaks-sha256",
        ),
        (
            Kind::TruffleHog,
            "trufflehog-bin",
            trufflehog_bin,
            "trufflehog-sha256",
        ),
        (
            Kind::Kingfisher,
            "kingfisher-bin",
            kingfisher_bin,
            "kingfisher-sha256",
        ),
    ] {
        let program = set.value(key, typed.as_deref(), kind.as_str(), |text| {
            if text.trim().is_empty() {
                return Err("a program has a name");
            }
            Ok(PathBuf::from(text))
        })?;
        // Engines run in a folder of their own, so a relative path has to be made whole.
        let program = if program.components().count() > 1 {
            std::path::absolute(&program).unwrap_or(program)
        } else {
            program
        };
        let pins = set.list(pin, &[], sha256)?;
        programs.push(Engine {
            kind,
            program,
            pins,
            refused: None,
        });
    }
    Ok(programs)
}

fn sha256(text: &str) -> Result<String, &'static str> {
    let text = text.trim().to_ascii_lowercase();
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text)
    } else {
        Err("a SHA-256 has 64 hexadecimal digits: `secret-scan doctor` shows it")
    }
}

fn key_and_list(
    set: &mut Settings<'_>,
    args: &SettingArgs,
) -> Result<(Key, Option<PathBuf>), ConfigError> {
    let hint =
        "make one with `secret-scan init`, and keep it: another key makes other fingerprints";
    let long_enough = |text: &str| Key::new(text.trim()).map_err(|error| error.to_string());
    let written = set.optional("key", None, long_enough)?;
    let file = set.path("key-file", args.key_file.as_deref())?;
    let list = set.path("baseline", args.baseline.as_deref())?;
    let key = match (written, file) {
        (Some(_), Some(_)) => {
            return Err(ConfigError::new("`key` and `key-file` are both given").hint(hint));
        }
        (Some(key), None) => key,
        (None, Some(path)) => {
            let text = read_text(&path, LARGEST_KEY)?;
            let line = text.lines().next().unwrap_or_default();
            Key::new(line.trim()).map_err(|error| {
                ConfigError::new(format!("`{}`: {error}", path.display())).hint(hint)
            })?
        }
        (None, None) => Key::default(),
    };
    Ok((key, list))
}

/// What `config` shows of the key is that there is one.
fn hide_key(rows: &mut [Row]) {
    for row in rows.iter_mut().filter(|row| row.key == "key") {
        if !row.value.is_empty() {
            row.value = "***".to_owned();
        }
    }
}

fn load(
    key: Key,
    named: Option<PathBuf>,
    home: &Path,
    origin: Origin,
    today: Date,
) -> Result<Setting, ConfigError> {
    let path = named
        .clone()
        .unwrap_or_else(|| root_of(home).join(BASELINE));
    let mut setting = Setting {
        key,
        path: path.clone(),
        accepted: Exceptions::default(),
        origin,
        notes: Vec::new(),
    };
    // Nobody named the list, and there is none: nothing is accepted.
    if named.is_none() && !path.exists() {
        match &setting.origin {
            Origin::WorkTree => return Ok(setting),
            base => match base.load(&path) {
                Ok(loaded) => return accept(setting, &loaded, today),
                Err(_) => return Ok(setting),
            },
        }
    }
    let loaded = match setting.origin.load(&path) {
        Ok(loaded) => loaded,
        // The look at the repository says that the base is not there, and then there is no verdict.
        Err(_) if named.is_none() && setting.origin != Origin::WorkTree => {
            setting.notes.push(format!(
                "`{}` was not read: the base of the change is not in this clone",
                path.display()
            ));
            return Ok(setting);
        }
        Err(error) => return Err(error),
    };
    accept(setting, &loaded, today)
}

fn accept(
    mut setting: Setting,
    loaded: &suppression::Loaded,
    today: Date,
) -> Result<Setting, ConfigError> {
    setting.accepted = suppression::read(&loaded.name, &loaded.text, &FORM, &Policy::on(today))?;
    setting.notes.extend(loaded.notes.iter().cloned());
    Ok(setting)
}

/// The root of the repository around a folder, or the folder itself.
fn root_of(folder: &Path) -> PathBuf {
    let root = folder
        .ancestors()
        .find(|folder| folder.join(".git").exists());
    root.unwrap_or(folder).to_owned()
}

fn some_time(text: &str) -> Result<Duration, String> {
    let time = units::duration(text).map_err(|error| error.to_string())?;
    if time.is_zero() {
        Err("no time at all is too little".to_owned())
    } else {
        Ok(time)
    }
}
