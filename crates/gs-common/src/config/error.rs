//! Complaints about what was typed or configured: always exit code 2.

use std::fmt::Write as _;
use std::ops::Range;

/// Something that was configured wrongly, with its place where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What is wrong and why, one lowercase fragment.
    pub message: String,
    /// The place, where there is one.
    pub at: Option<At>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A place in a file, with the line itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The path as given.
    pub path: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// The offending line.
    pub text: String,
    /// How many characters of it are meant, at least 1.
    pub width: usize,
}

impl ConfigError {
    /// A complaint without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            at: None,
            hint: None,
        }
    }

    /// A complaint about a stretch of a file's text.
    pub fn at(path: &str, source: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let (line, column) = line_and_column(source, span.start);
        let text = source.lines().nth(line as usize - 1).unwrap_or_default();
        let room = text.chars().count().saturating_sub(column as usize - 1);
        let meant = source.get(span).map_or(1, |meant| {
            meant.lines().next().map_or(1, |l| l.chars().count())
        });
        Self {
            message: message.into(),
            at: Some(At {
                path: path.to_owned(),
                line,
                column,
                text: text.chars().take(160).collect(),
                width: meant.min(room).clamp(1, 80),
            }),
            hint: None,
        }
    }

    /// The same with a hint: an action.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a hint where there is one to give.
    #[must_use]
    pub fn maybe_hint(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

impl std::error::Error for ConfigError {}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(At {
            path,
            line,
            column,
            text,
            width,
        }) = &self.at
        else {
            return f.write_str(&self.message);
        };
        write!(f, "{path}:{line}:{column}: {}", self.message)?;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let mut before = String::new();
        for c in text.chars().take(*column as usize - 1) {
            before.push(if c == '\t' { '\t' } else { ' ' });
        }
        let shown: String = text
            .chars()
            .map(|c| {
                if c.is_control() && c != '\t' {
                    '\u{fffd}'
                } else {
                    c
                }
            })
            .collect();
        write!(
            f,
            "\n{margin} |\n{number} | {shown}\n{margin} | {before}{}",
            "^".repeat(*width)
        )
    }
}

/// Line and column, both from 1, of a byte offset. An offset beyond the end is the end.
#[must_use]
pub fn line_and_column(source: &str, offset: usize) -> (u32, u32) {
    let mut end = offset.min(source.len());
    while !source.is_char_boundary(end) {
        end -= 1;
    }
    let before = &source[..end];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[line_start..].chars().count() + 1;
    (
        u32::try_from(line).unwrap_or(u32::MAX),
        u32::try_from(column).unwrap_or(u32::MAX),
    )
}

/// The known word nearest to what was typed, if one is near enough to be meant: at most a third of
/// its letters differ (Damerau-Levenshtein), whatever their case.
pub fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    known
        .into_iter()
        .map(|word| {
            (
                strsim::damerau_levenshtein(&typed, &word.to_lowercase()),
                word,
            )
        })
        .filter(|(distance, word)| *distance <= word.chars().count().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// A TOML error as a [`ConfigError`], with "did you mean" for an unknown key or variant.
#[must_use]
pub fn toml_error(path: &str, source: &str, error: &toml::de::Error) -> ConfigError {
    let message = error.message().trim().replace('\n', ", ");
    let (message, hint) = match unknown(&message) {
        Some((typed, known)) => explain_unknown(&message, &typed, &known),
        None => (message, None),
    };
    match error.span() {
        Some(span) => ConfigError::at(path, source, span, message),
        None => ConfigError::new(format!("{path}: {message}")),
    }
    .maybe_hint(hint)
}

/// Takes serde's "unknown field `x`, expected one of `a`, `b`" apart.
fn unknown(message: &str) -> Option<(String, Vec<String>)> {
    let (start, expected) = message.split_once(", expected ")?;
    if !start.starts_with("unknown ") {
        return None;
    }
    let mut quoted = start.split('`');
    let typed = quoted.nth(1)?.to_owned();
    Some((
        typed,
        expected
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect(),
    ))
}

fn explain_unknown(message: &str, typed: &str, known: &[String]) -> (String, Option<String>) {
    let what = if message.starts_with("unknown variant") {
        "value"
    } else {
        "key"
    };
    let hint = did_you_mean(typed, known.iter().map(String::as_str))
        .map(|word| format!("did you mean `{word}`?"))
        .or_else(|| Some(known_words(known.iter().map(String::as_str))));
    (format!("unknown {what} `{typed}`"), hint)
}

/// `known here: a, b, c`, in the order of their names.
pub(super) fn known_words<'a>(known: impl IntoIterator<Item = &'a str>) -> String {
    let mut words: Vec<&str> = known.into_iter().collect();
    words.sort_unstable();
    let mut text = "known here: ".to_owned();
    for (index, word) in words.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let _ = write!(text, "{separator}{word}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_complaint_points_at_the_line() {
        let source = "[environments.staging]\nulr = \"x\"\n";
        let error = ConfigError::at("gs.toml", source, 23..26, "unknown key `ulr`");
        assert_eq!(
            error.to_string(),
            "gs.toml:2:1: unknown key `ulr`\n  |\n2 | ulr = \"x\"\n  | ^^^"
        );
    }

    #[test]
    fn the_nearest_word_is_offered_and_a_far_one_is_not() {
        let known = ["environments", "smoke-test", "load-test"];
        assert_eq!(did_you_mean("environmnets", known), Some("environments"));
        assert_eq!(did_you_mean("Smoke-Tset", known), Some("smoke-test"));
        assert_eq!(did_you_mean("colour", known), None);
    }

    #[test]
    fn an_unknown_field_of_serde_gets_its_hint() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Demo {
            #[expect(dead_code, reason = "only its name matters")]
            timeout: Option<String>,
        }
        let source = "timeuot = '5s'\n";
        let error = toml::from_str::<Demo>(source).unwrap_err();
        let error = toml_error("demo.toml", source, &error);
        assert_eq!(error.message, "unknown key `timeuot`");
        assert_eq!(error.hint.as_deref(), Some("did you mean `timeout`?"));
        assert_eq!(
            error.at.as_ref().map(|at| (at.line, at.column)),
            Some((1, 1))
        );
    }

    proptest! {
        #[test]
        fn no_offset_is_out_of_bounds(source in "(?s).{0,40}", start in 0_usize..80, length in 0_usize..80) {
            let _ = ConfigError::at("x", &source, start..start + length, "m").to_string();
        }
    }
}
