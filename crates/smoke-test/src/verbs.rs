//! The smaller jobs: each makes a text for stdout, or an error for exit code 2.

use std::collections::BTreeMap;
use std::path::Path;

use gs_common::config::{ConfigError, read_text};
use gs_common::file::write_atomic;
use serde_json::json;

use crate::args::{ImportArgs, SuiteArgs};
use crate::config::Suite as Meant;
use crate::suite::model::{Check, Probe};
use crate::suite::{Source, builtin, import, read};

/// A file to import is at most so large.
const LARGEST_IMPORT: u64 = 64 << 20;

/// Writes the built-in suite to a file, or returns it for `-`.
///
/// # Errors
/// The file exists, or cannot be written.
pub fn init(path: &Path) -> Result<String, ConfigError> {
    if path == Path::new("-") {
        return Ok(builtin::TEXT.to_owned());
    }
    let shown = path.display();
    if path.exists() {
        return Err(ConfigError::new(format!("`{shown}` exists already"))
            .hint("name another file; nothing is overwritten"));
    }
    write_atomic(path, |out| out.write_all(builtin::TEXT.as_bytes()))
        .map_err(|error| ConfigError::new(error.to_string()).hint(error.hint()))?;
    Ok(format!(
        "wrote {shown}\nnext: edit it, then `smoke-test validate --suite {shown}` and `smoke-test URL --suite {shown}`\n"
    ))
}

/// Reads a suite and says what is in it.
///
/// # Errors
/// It makes no sense.
pub fn validate(
    args: &SuiteArgs,
    variables: &BTreeMap<String, String>,
    cwd: &Path,
) -> Result<String, ConfigError> {
    let (suite, chosen) = selected(args, variables, cwd)?;
    let checks = if suite.1 == 1 { "check" } else { "checks" };
    let mut text = format!("{} is valid: {} {checks}", suite.0, suite.1);
    if chosen.len() != suite.1 {
        text.push_str(&format!(", {} of them selected", chosen.len()));
    }
    for warning in suite.2 {
        text.push_str(&format!("\nwarning: {warning}"));
    }
    text.push('\n');
    Ok(text)
}

/// Lists the checks of a suite.
///
/// # Errors
/// The suite makes no sense.
pub fn list(
    args: &SuiteArgs,
    as_json: bool,
    variables: &BTreeMap<String, String>,
    cwd: &Path,
) -> Result<String, ConfigError> {
    let (_, chosen) = selected(args, variables, cwd)?;
    if as_json {
        let rows: Vec<_> = chosen
            .iter()
            .map(|check| {
                json!({
                    "id": check.id, "title": check.title, "target": target(check), "tags": check.tags,
                    "severity": check.severity.as_str(), "needs": check.needs, "place": check.place.to_string(),
                })
            })
            .collect();
        return Ok(format!("{:#}\n", serde_json::Value::Array(rows)));
    }
    let id = chosen.iter().map(|check| check.id.len()).max().unwrap_or(0);
    let tags = chosen
        .iter()
        .map(|check| check.tags.join(",").len())
        .max()
        .unwrap_or(0);
    let lines = chosen.iter().map(|check| {
        format!(
            "{:id$}  {:tags$}  {:4}  {}\n",
            check.id,
            check.tags.join(","),
            check.severity,
            target(check)
        )
    });
    Ok(lines.collect())
}

/// The target as written, before variables are filled in.
fn target(check: &Check) -> String {
    match &check.probe {
        Probe::Http(probe) => format!("{} {}", probe.request.method, probe.request.path.0),
        Probe::WebSocket(probe) => format!("WS {}", probe.path.0),
        Probe::Routes(probe) => format!("GET {} (routes)", probe.path.0),
        Probe::Version(probe) => format!("GET {} (version)", probe.path.0),
        Probe::Certificate(_) => "TLS".to_owned(),
    }
}

/// Name, number of checks and warnings of a suite, and the chosen checks.
type Selected = ((String, usize, Vec<String>), Vec<Check>);

fn selected(
    args: &SuiteArgs,
    variables: &BTreeMap<String, String>,
    cwd: &Path,
) -> Result<Selected, ConfigError> {
    let meant = Meant::resolve(args, variables, cwd)?;
    let suite = read(&meant.source, &meant.inputs)?;
    let chosen = if args.only.is_empty() && args.skip.is_empty() {
        suite.checks.clone()
    } else {
        suite
            .select(&args.only, &args.skip)?
            .into_iter()
            .cloned()
            .collect()
    };
    let name = match &meant.source {
        Source::BuiltIn => builtin::NAME.to_owned(),
        Source::File(path) => path.display().to_string(),
    };
    Ok(((name, suite.checks.len(), suite.warnings), chosen))
}

/// Makes a suite of another tool's file.
///
/// # Errors
/// It cannot be read or understood.
pub fn import(args: &ImportArgs) -> Result<String, ConfigError> {
    let file = |path: &Path| read_text(path, LARGEST_IMPORT);
    match (&args.curl, &args.har, &args.openapi) {
        (Some(line), _, _) => import::curl(line),
        (_, Some(path), _) => import::har(&file(path)?),
        (_, _, Some(path)) => import::openapi(&file(path)?),
        _ => Err(ConfigError::new("nothing to import").hint("give --curl, --har or --openapi")),
    }
}
