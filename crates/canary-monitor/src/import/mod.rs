//! A start from what somebody has: an `AnalysisTemplate` of Argo Rollouts, or a canary configuration of
//! Kayenta, becomes a commented section of `goldensignals.toml`. It is a start and no translation: what
//! has no counterpart is said, sentence by sentence, and nothing is guessed in silence.
//!
//! [`argo`] and [`kayenta`] read, [`query`] looks into the PromQL, this module writes.

mod argo;
mod kayenta;
mod query;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use serde_json::Value;

/// A file larger than this is no configuration.
pub const LARGEST: u64 = 1 << 20;

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// What it was: `AnalysisTemplate success-rate`.
    pub from: Vec<String>,
    /// Lines of the section, in the order in which they were found.
    pub settings: Vec<Setting>,
    /// What cannot be carried over, one sentence each.
    pub lost: Vec<String>,
}

/// One line of the section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key of `[canary-monitor]`.
    pub key: &'static str,
    /// Its value, as text.
    pub value: String,
    /// Where it comes from.
    pub why: String,
    /// Whether somebody has to look at it before it holds: then the line is a comment.
    pub open: bool,
}

/// Why a file is no start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImportError(String);

impl Imported {
    /// Takes a setting in. Where two parts of a file ask for different values of one key, the first one
    /// holds and the other is said.
    fn set(&mut self, key: &'static str, value: impl Into<String>, why: impl Into<String>) {
        self.put(Setting {
            key,
            value: value.into(),
            why: why.into(),
            open: false,
        });
    }

    /// The same for a value that somebody has to complete.
    fn propose(&mut self, key: &'static str, value: impl Into<String>, why: impl Into<String>) {
        self.put(Setting {
            key,
            value: value.into(),
            why: why.into(),
            open: true,
        });
    }

    fn put(&mut self, setting: Setting) {
        match self.settings.iter().find(|known| known.key == setting.key) {
            None => self.settings.push(setting),
            Some(known) if known.value == setting.value => {}
            Some(known) => {
                let sentence = format!(
                    "`{}` is `{}` by one part of the file and `{}` by another ({}): the first is kept",
                    setting.key, known.value, setting.value, setting.why
                );
                self.lose(sentence);
            }
        }
    }

    fn lose(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if !self.lost.contains(&sentence) {
            self.lost.push(sentence);
        }
    }

    /// Whether anything could be carried over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty()
    }

    /// The section, with its comments.
    #[must_use]
    pub fn toml(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "# From {}: a start, not a translation.",
            one_line(&self.from.join(", "))
        );
        let _ = writeln!(
            text,
            "# The judge compares canary and stable by counts; `canary-monitor doctor` says what is still missing."
        );
        text.push_str("\n[canary-monitor]\n");
        for setting in &self.settings {
            let _ = writeln!(text, "# {}", one_line(&setting.why));
            let mark = if setting.open { "# " } else { "" };
            let value = toml::Value::String(one_line(&setting.value));
            let _ = writeln!(text, "{mark}{} = {value}", setting.key);
        }
        if !self.lost.is_empty() {
            text.push_str("\n# Not carried over:\n");
            for sentence in &self.lost {
                let _ = writeln!(text, "# - {}", one_line(sentence));
            }
        }
        text
    }
}

/// Foreign text in a comment: on one line, so that it cannot become a setting.
fn one_line(text: &str) -> String {
    let clean = gs_common::render::visible(text);
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads a file, whichever of the two it is.
///
/// # Errors
/// It is neither.
pub fn read(text: &str) -> Result<Imported, ImportError> {
    let documents = if text.trim_start().starts_with(['{', '[']) {
        match serde_json::from_str::<Value>(text) {
            Ok(value) => vec![value],
            Err(error) => return Err(ImportError(format!("it is no JSON: {error}"))),
        }
    } else {
        documents(text)?
    };
    let mut imported = Imported::default();
    for document in documents.iter().flat_map(items) {
        match document.get("kind").and_then(Value::as_str) {
            Some(kind @ ("AnalysisTemplate" | "ClusterAnalysisTemplate" | "AnalysisRun")) => {
                argo::read(kind, document, &mut imported);
            }
            Some(_) => {}
            None => kayenta::read(document, &mut imported),
        }
    }
    if imported.from.is_empty() {
        let kinds: Vec<&str> = documents
            .iter()
            .flat_map(items)
            .filter_map(|document| document.get("kind")?.as_str())
            .collect();
        let found = if kinds.is_empty() {
            "nothing of a known kind".to_owned()
        } else {
            kinds.join(", ")
        };
        return Err(ImportError(format!(
            "it holds {found}, and neither an AnalysisTemplate of Argo Rollouts nor a canary configuration of Kayenta"
        )));
    }
    Ok(imported)
}

/// The documents of a list that `kubectl get -o yaml` makes, or the document itself.
fn items(document: &Value) -> Vec<&Value> {
    match document.get("items").and_then(Value::as_array) {
        Some(items) => items.iter().collect(),
        None => vec![document],
    }
}

/// Reads YAML within bounds that no configuration needs and no bomb fits in.
fn documents(text: &str) -> Result<Vec<Value>, ImportError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 50_000,
            max_nodes: 20_000,
            max_aliases: 500,
            max_anchors: 500,
            max_depth: 40,
            max_documents: 64,
            max_recorded_anchor_events: 20_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 16,
        },
    };
    serde_saphyr::from_multiple_with_options::<Value>(text, options).map_err(|error| {
        // The library's own text shows lines of the file, and there may be a secret in them.
        let place = error.location().map_or_else(String::new, |place| {
            format!(" (line {}, column {})", place.line(), place.column())
        });
        ImportError(format!(
            "it is no YAML that can be read within its bounds{place}"
        ))
    })
}

/// A text member.
fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value
        .pointer(pointer)?
        .as_str()
        .filter(|text| !text.trim().is_empty())
}

/// A member that is a number, or a text that holds one, as `intstr.IntOrString` allows.
fn number(value: &Value, pointer: &str) -> Option<f64> {
    let value = value.pointer(pointer)?;
    let number = value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())?;
    number.is_finite().then_some(number)
}

/// A share as people write it.
fn share(share: f64) -> String {
    gs_common::units::show_share((share * 1e6).round() / 1e6)
}

/// A duration in the form of this suite; `None` for what is none, or nonsense here.
fn duration(text: &str) -> Option<std::time::Duration> {
    gs_common::units::duration(text)
        .ok()
        .filter(|duration| !duration.is_zero())
}
