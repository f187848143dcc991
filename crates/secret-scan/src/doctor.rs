//! `doctor`: is everything there that a scan needs, in which version, and what to type where it is not?

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use gs_common::report::{Check, Evidence, Quantity, Report, SCHEMA, Subject, Tool};
use gs_common::verdict::Verdict;
use jiff::Timestamp;
use serde_json::json;

use crate::config::{Config, TOOL};
use crate::engine::binary::{self, Binary};
use crate::engine::{Engine, Kind, Outcome, Setup};
use crate::repo::Git;

/// The oldest git that can show what a merge commit alone adds.
const REMERGE_SINCE: (u32, u32) = (2, 35);

/// Looks.
pub(crate) async fn examine(
    config: &Config,
    variables: &BTreeMap<String, String>,
    folder: &Path,
) -> Report {
    let started_at = Timestamp::now();
    let git = Git::new(folder, variables, config.deadline);
    let mut checks = vec![examine_git(&git).await];
    let mut engines = Vec::new();
    let mut next = Vec::new();
    let setup = Setup {
        folder,
        git: &git,
        ends_at: Instant::now() + config.deadline,
        verify: false,
        gitleaks_config: None,
        inline_allow: false,
        is_shared: false,
    };
    let mut programs = config.engines.clone();
    let path = variables.get("PATH").map(String::as_str);
    let mut binaries = binary::look(&mut programs, path).await;
    binary::hash(&mut binaries).await;
    for one in &programs {
        let binary = binaries.iter().find(|binary| binary.kind == one.kind);
        let version = match binary {
            Some(_) => one.version(&setup).await,
            None => None,
        };
        let (check, fix) = examine_engine(one, binary, version.as_deref(), config);
        next.extend(fix);
        engines.push(json!({
            "name": one.kind.as_str(),
            "path": binary.map(|binary| binary.path.display().to_string()),
            "sha256": binary.and_then(|binary| binary.sha256.as_ref().ok()),
            "version": version,
            "outcome": check.reason.as_deref().unwrap_or("complete"),
        }));
        checks.push(check);
    }
    let verdict = Verdict::over(checks.iter().map(|check| check.verdict));
    let worst = checks.iter().find(|check| check.verdict == verdict);
    let reason = match verdict {
        Verdict::Pass => "healthy".to_owned(),
        Verdict::Warn => crate::judge::reason::ENGINE_MISSING.to_owned(),
        _ => worst
            .and_then(|check| check.reason.clone())
            .unwrap_or_else(|| "missing".to_owned()),
    };
    let there = checks
        .iter()
        .filter(|check| check.verdict == Verdict::Pass)
        .count();
    let mut details = serde_json::Map::new();
    details.insert("engines".to_owned(), engines.into());
    Report {
        schema: SCHEMA.to_owned(),
        tool: Tool {
            name: TOOL.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        subject: Subject {
            kind: "machine".to_owned(),
            name: "engines".to_owned(),
            commit: None,
        },
        started_at,
        ended_at: Timestamp::now(),
        verdict,
        reason,
        summary: format!(
            "{there} of {} programs that a scan needs are there",
            checks.len()
        ),
        next,
        checks,
        findings: Vec::new(),
        inputs: Vec::new(),
        not_covered: Vec::new(),
        series: Vec::new(),
        details,
    }
}

/// Whether an engine is there and what it is, and what to do where it is not.
fn examine_engine(
    engine: &Engine,
    binary: Option<&Binary>,
    version: Option<&str>,
    config: &Config,
) -> (Check, Option<String>) {
    let name = engine.kind.as_str();
    let mut check = Check::passed(name, format!("engine {name}"));
    check.observed = version.map(|version| Quantity::bare(version.to_owned()));
    check.expected = Some(wanted(engine.kind).to_owned());
    let Some(binary) = binary else {
        check.verdict = if config.allow_missing.contains(&engine.kind) {
            Verdict::Warn
        } else {
            Verdict::Inconclusive
        };
        check.reason = Some(Outcome::Missing.as_str().to_owned());
        check.message = engine.refused.as_ref().map(|(_, why)| why.clone());
        check.reproduce = Some(engine.kind.install().to_owned());
        let fix = format!("get {name}: {}", engine.kind.install());
        return (check, Some(fix));
    };
    let path = binary.path.display();
    if let Some((outcome, why)) = &engine.refused {
        check.verdict = Verdict::Inconclusive;
        check.reason = Some(outcome.as_str().to_owned());
        check.message = Some(why.clone());
        let fix =
            format!("get the {name} that {name}-sha256 names, or write there which one it is");
        return (check, Some(fix));
    }
    if version.is_none() {
        check.verdict = Verdict::Inconclusive;
        check.reason = Some("crashed".to_owned());
        check.message = Some(format!("`{path}` does not say its version"));
        let fix = format!("run `{path} --version` to see why");
        return (check, Some(fix));
    }
    check.title = format!("engine {name} {}", version.unwrap_or_default());
    let hash = match &binary.sha256 {
        Ok(hash) => hash.clone(),
        Err(why) => format!("cannot be read: {why}"),
    };
    check.message = Some(path.to_string());
    let lines = [("file", path.to_string()), ("sha256", hash)];
    check.evidence = lines
        .map(|(label, text)| Evidence {
            label: label.to_owned(),
            text,
        })
        .into();
    (check, None)
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Gitleaks => "8.19 or later (tested with 8.30.1)",
        Kind::TruffleHog => "3.60 or later (tested with 3.97.0)",
        Kind::Kingfisher => "2.x (tested with 2.14.0)",
    }
}

async fn examine_git(git: &Git) -> Check {
    let mut check = Check::passed("git", "git");
    check.expected = Some(format!("{}.{} or later", REMERGE_SINCE.0, REMERGE_SINCE.1));
    match git.line(&["--version"]).await {
        Ok(said) => {
            let version = said.replace("git version ", "");
            let mut numbers = version
                .split('.')
                .map(|number| number.parse::<u32>().unwrap_or(0));
            let version_of = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            if version_of < REMERGE_SINCE {
                check.verdict = Verdict::Warn;
                check.reason = Some("old".to_owned());
                check.message = Some(
                    "merge commits are compared with each parent, which shows more than they add"
                        .to_owned(),
                );
            }
            check.title = format!("git {version}");
            check.observed = Some(Quantity::bare(version));
        }
        Err(error) => {
            check.verdict = Verdict::Inconclusive;
            check.reason = Some("git_missing".to_owned());
            check.message = Some(error.to_string());
            check.reproduce = Some("apt-get install git".to_owned());
        }
    }
    check
}
