//! The small jobs: `fingerprint`, `explain`, `init`.

use std::fmt::Write as _;
use std::path::Path;

use gs_common::config::{ConfigError, FILE_NAME};
use gs_common::file::write_atomic;
use gs_common::finding::Finding;
use gs_common::fingerprint;
use gs_common::report::Report;

use crate::config::TOOL;
use crate::value::Key;

/// A saved report larger than this is not one of ours.
const LARGEST_REPORT: u64 = 1 << 28;

/// The fingerprint of the value that came on stdin.
pub(crate) fn fingerprint(bytes: &[u8], key: &Key) -> Result<String, ConfigError> {
    let hint = "write the value to stdin: `secret-scan fingerprint < FILE`";
    if bytes.len() > 1 << 20 {
        return Err(ConfigError::new("stdin holds more than 1 MiB: that is no value").hint(hint));
    }
    let text = String::from_utf8_lossy(bytes);
    if text.trim().is_empty() {
        return Err(ConfigError::new("stdin holds no value").hint(hint));
    }
    Ok(format!("{}\n", key.fingerprint(&text)))
}

/// Reads a saved report of this tool.
pub(crate) fn saved(path: &Path) -> Result<Report, ConfigError> {
    let shown = path.display();
    let hint = "save one with `secret-scan --output json=FILE`";
    let text =
        gs_common::config::read_text(path, LARGEST_REPORT).map_err(|error| error.hint(hint))?;
    let report: Report = serde_json::from_str(&text).map_err(|error| {
        // What serde says may quote the file.
        let place = format!("line {}, column {}", error.line(), error.column());
        ConfigError::new(format!("`{shown}` is no saved report: {place}")).hint(hint)
    })?;
    if report.tool.name != TOOL {
        return Err(ConfigError::new(format!(
            "`{shown}` is a report of {}, not of {TOOL}",
            report.tool.name
        ))
        .hint(hint));
    }
    Ok(report)
}

/// Whether a finding goes by this fingerprint, whole or its beginning.
pub(crate) fn goes_by(finding: &Finding, wanted: &str) -> bool {
    let readings = finding.more.get("fingerprints");
    let readings = readings
        .as_ref()
        .and_then(|all| all.as_array())
        .into_iter()
        .flatten()
        .filter_map(|one| one.as_str());
    let digits = |text: &str| {
        text.split_once('-')
            .map_or(text.to_owned(), |(_, digits)| digits.to_owned())
    };
    std::iter::once(finding.fingerprint.as_str())
        .chain(readings)
        .any(|one| one.starts_with(wanted) || digits(one).starts_with(wanted))
}

/// All that a saved report tells about one secret.
pub(crate) fn explain(wanted: &str, from: &Path) -> Result<String, ConfigError> {
    let report = saved(from)?;
    let wanted = wanted.trim().trim_start_matches('*');
    if wanted.len() < 4 {
        return Err(
            ConfigError::new("four characters of a fingerprint are the least")
                .hint("copy it from the report"),
        );
    }
    let found: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|finding| goes_by(finding, wanted))
        .collect();
    let finding = match found.as_slice() {
        [one] => one,
        [] => {
            return Err(ConfigError::new(format!(
                "`{}` has no secret with the fingerprint `{wanted}`",
                from.display()
            ))
            .hint("copy it from that report"));
        }
        many => {
            return Err(ConfigError::new(format!(
                "{} secrets in `{}` have a fingerprint that begins with `{wanted}`",
                many.len(),
                from.display()
            ))
            .hint("give more of it"));
        }
    };
    let mut text = String::new();
    let mut say = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<14} {value}");
        }
    };
    let more = |name: &str| match finding.more.get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Array(items)) => items
            .iter()
            .filter_map(|item| item.as_str())
            .collect::<Vec<_>>()
            .join(", "),
        Some(serde_json::Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let shown = crate::value::mask(&finding.fingerprint);
    say("secret", &format!("{} {shown}", finding.title));
    say("fingerprint", &finding.fingerprint);
    say("severity", finding.severity.as_str());
    say("verification", &more("verification"));
    say("rules", &more("rules"));
    say("found by", &finding.sources.join(", "));
    say("in HEAD", &more("in_head"));
    say("first seen", &more("first_seen"));
    say("last seen", &more("last_seen"));
    match &finding.suppressed {
        Some(accepted) => {
            let of = |text: &Option<String>| text.clone().unwrap_or_default();
            say(
                "accepted",
                &format!(
                    "{} ({}), by {}, until {}, in {}",
                    more("state"),
                    of(&accepted.reason),
                    of(&accepted.owner),
                    of(&accepted.expires),
                    of(&accepted.place)
                ),
            );
        }
        None if finding.blocking => say("counts", "against the verdict: nothing accepts it"),
        None => say("counts", "not: the policy excuses it"),
    }
    for place in &finding.places {
        say("place", &place.to_string());
    }
    for advice in &finding.advice {
        say("what to do", advice);
    }
    for input in &report.inputs {
        say("reported in", &input.path);
    }
    Ok(text)
}

/// 192 bits from the system's own source.
fn random_bytes() -> Result<[u8; 24], ConfigError> {
    let mut bytes = [0; 24];
    let got = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty());
    match got {
        Ok(count) if count == bytes.len() => Ok(bytes),
        _ => Err(
            ConfigError::new("the system gives no random bytes for a key")
                .hint("write a key of at least 16 characters by hand"),
        ),
    }
}

/// Writes a commented start with a key of its own.
pub(crate) fn init(path: &Path) -> Result<String, ConfigError> {
    let key = fingerprint::hex(&random_bytes()?);
    let text = format!(
        "# What secret-scan goes by; `secret-scan config` shows every value with its origin.\n\
         [secret-scan]\n\
         # The key of the fingerprints. It is no password, but keep it: another key makes other fingerprints,\n\
         # and then nothing in the baseline fits any more.\n\
         key = \"{key}\"\n\
         # engine = [\"gitleaks\", \"trufflehog\"]\n\
         # Engines that may be missing; the verdict is a warning then.\n\
         # allow-missing = [\"trufflehog\"]\n\
         # Which files the engines may be; `secret-scan doctor` shows what they are.\n\
         # gitleaks-sha256 = [\"...\"]\n\
         # trufflehog-sha256 = [\"...\"]\n\
         # Ask no issuer whether a secret is live.\n\
         # no-verification = true\n\
         # Which secrets fail: any, or possibly-live.\n\
         # fail-on = \"any\"\n\
         # baseline = \"{}\"\n\
         # deadline = \"30m\"\n",
        crate::config::BASELINE
    );
    if path == Path::new("-") {
        return Ok(text);
    }
    if path.exists() {
        return Err(
            ConfigError::new(format!("`{}` is there already", path.display()))
                .hint("print the start with `secret-scan init -`, and copy the section"),
        );
    }
    write_atomic(path, |out| out.write_all(text.as_bytes()))
        .map_err(|error| ConfigError::new(error.to_string()).hint(error.hint()))?;
    let name = if path.file_name().is_some_and(|name| name == FILE_NAME) {
        String::new()
    } else {
        format!("; use it with `--config {}`", path.display())
    };
    Ok(format!("wrote {}{name}\n", path.display()))
}
