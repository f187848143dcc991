//! The one choke point for secrets: whatever a tool says goes through a [`Redactor`], and a face
//! can only be made of a [`Redacted`] report.
//!
//! A secret is looked for in every form in which it can turn up in a log: raw, percent-encoded,
//! base64 alone or inside a longer text such as `user:pass`, JSON-, HTML- and shell-escaped. The
//! forms are made once per secret ([`variants`]); all of them are searched for in one pass.

mod headers;
mod report;
mod variants;

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::AhoCorasick;
use serde_json::Value;

pub use headers::{is_sensitive_header, is_sensitive_parameter, redact_url, split_scheme};
pub use report::Redacted;

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// The least number of characters of a secret: a shorter one stands in half of all words, and
/// hiding it would make a report unreadable without hiding anything.
pub const SHORTEST: usize = 4;

/// What became of a secret that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is hidden from now on.
    Hidden,
    /// It is empty: there is nothing to hide, which deserves a warning.
    Empty,
}

/// A secret that cannot be hidden.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret `{name}` has fewer than {SHORTEST} characters: it cannot be hidden in reports")]
pub struct RedactError {
    /// Name of the variable, not its value.
    pub name: String,
}

/// Knows the secrets of a run. Clones share what they know, so that a value captured in mid-run is
/// hidden everywhere from then on.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    secrets: Vec<String>,
    needles: Vec<String>,
    search: Option<AhoCorasick>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets().len())
    }
}

impl Redactor {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hides a secret from now on. `name` is what an error or warning calls it.
    ///
    /// # Errors
    /// The secret is shorter than [`SHORTEST`] characters.
    pub fn add(&self, name: &str, secret: &str) -> Result<Added, RedactError> {
        if secret.is_empty() {
            return Ok(Added::Empty);
        }
        if secret.chars().count() < SHORTEST {
            return Err(RedactError {
                name: name.to_owned(),
            });
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if !known.secrets.iter().any(|other| other == secret) {
            known.secrets.push(secret.to_owned());
            known.needles.extend(variants::of(secret));
            known.needles.sort();
            known.needles.dedup();
            // Building fails only beyond 2^31 states; then every text is withheld rather than shown.
            known.search = AhoCorasick::new(&known.needles).ok();
        }
        Ok(Added::Hidden)
    }

    /// Hides many at once, in one step instead of one for each. What is too short to be hidden is left
    /// out, and counted.
    pub fn add_all<'a>(&self, secrets: impl IntoIterator<Item = &'a str>) -> usize {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut before: std::collections::BTreeSet<String> =
            known.secrets.iter().cloned().collect();
        let mut short = 0;
        for secret in secrets {
            if secret.chars().count() < SHORTEST {
                short += 1;
            } else if before.insert(secret.to_owned()) {
                known.secrets.push(secret.to_owned());
                known.needles.extend(variants::of(secret));
            }
        }
        known.needles.sort();
        known.needles.dedup();
        known.search = AhoCorasick::new(&known.needles).ok();
        short
    }

    /// The secrets themselves, for the masks that a CI system wants to be told.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .secrets
            .clone()
    }

    /// Whether there is nothing to hide, so far.
    fn knows_nothing(&self) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.needles.is_empty()
    }

    /// The text with every form of every secret replaced by [`MASK`]. Overlapping forms are
    /// replaced together, so that no end of one is left over.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let Some(search) = &known.search else {
            return if known.needles.is_empty() {
                text.into()
            } else {
                MASK.into()
            };
        };
        let mut ranges: Vec<(usize, usize)> = search
            .find_overlapping_iter(text)
            .map(|found| (found.start(), found.end()))
            .collect();
        if ranges.is_empty() {
            return text.into();
        }
        ranges.sort_unstable();
        let mut clean = String::with_capacity(text.len());
        let mut done = 0;
        for (start, end) in ranges {
            if end <= done {
                continue;
            }
            if start > done || done == 0 {
                clean.push_str(&text[done..start]);
                clean.push_str(MASK);
            }
            done = end;
        }
        clean.push_str(&text[done..]);
        // Closing a gap may join two halves into a new match; each round makes the text shorter
        // or leaves only masks, so this ends.
        if clean.len() < text.len() && search.is_match(&clean) {
            drop(known);
            return self.text(&clean).into_owned().into();
        }
        clean.into()
    }

    /// Redacts every key, text and number of a JSON value in place.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(clean) = self.text(text) {
                    *text = clean;
                }
            }
            Value::Number(number) => {
                if let Cow::Owned(clean) = self.text(&number.to_string()) {
                    *value = Value::String(clean);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(members) => {
                let clean = std::mem::take(members)
                    .into_iter()
                    .map(|(key, mut member)| {
                        self.value(&mut member);
                        (self.text(&key).into_owned(), member)
                    });
                *members = clean.collect();
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn knowing(secrets: &[&str]) -> Redactor {
        let redactor = Redactor::new();
        for secret in secrets {
            assert_eq!(redactor.add("test", secret), Ok(Added::Hidden));
        }
        redactor
    }

    #[track_caller]
    fn check(secret: &str, text: &str, expected: &str) {
        assert_eq!(knowing(&[secret]).text(text), expected);
    }

    #[test]
    fn the_forms_of_a_secret_are_hidden() {
        check("s3cr3t/x", "raw s3cr3t/x.", "raw ***.");
        check("s3cr3t/x", "?key=s3cr3t%2Fx&b", "?key=***&b");
        check("s3cr3t/x", "?key=s3cr3t%2fx&b", "?key=***&b");
        check("a b+c&d", "form a+b%2Bc%26d", "form ***");
        check("say \"hi\"", r#"{"a":"say \"hi\""}"#, r#"{"a":"***"}"#);
        check("a<b>&c", "<p>a&lt;b&gt;&amp;c</p>", "<p>***</p>");
        check("it's1", r"curl 'it'\''s1'", "curl '***'");
    }

    #[test]
    fn basic_auth_is_hidden_whatever_the_user_is_called() {
        use base64::prelude::*;
        for user in ["", "a", "ab", "abc", "admin"] {
            let header = BASE64_STANDARD.encode(format!("{user}:hunter2-hunter2"));
            let redactor = knowing(&["hunter2-hunter2"]);
            let clean = redactor.text(&header).into_owned();
            assert!(clean.contains(MASK), "{user}: {clean}");
            // What is left around the mask is the user's own bytes and at most six bits of the secret.
            let rest = header.len() - (clean.len() - MASK.len());
            assert!(rest >= 18, "{user}: {clean}");
        }
    }

    #[test]
    fn overlapping_secrets_leave_no_remainder() {
        let redactor = knowing(&["abcdef", "efghij"]);
        assert_eq!(redactor.text("xabcdefghijy"), "x***y");
    }

    #[test]
    fn adjacent_secrets_are_hidden_too() {
        assert_eq!(knowing(&["abcd"]).text("abcdabcd"), "***");
    }

    #[test]
    fn a_line_of_a_key_is_hidden_too() {
        let key = "-----BEGIN KEY-----\nMIIBVgIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----";
        check(key, "found hkiG9w0BAQEFAASC in it", "found *** in it");
    }

    #[test]
    fn short_secrets_are_refused_and_empty_ones_told() {
        let redactor = Redactor::new();
        assert_eq!(
            redactor.add("PIN", "123"),
            Err(RedactError {
                name: "PIN".to_owned()
            })
        );
        assert_eq!(redactor.add("EMPTY", ""), Ok(Added::Empty));
        assert_eq!(redactor.text("123"), "123");
    }

    #[test]
    fn many_at_once_are_hidden_like_one_by_one() {
        let redactor = Redactor::new();
        assert_eq!(
            redactor.add_all(["token-one", "abc", "token-two", "token-one"]),
            1
        );
        assert_eq!(redactor.text("token-one token-two abc"), "*** *** abc");
        assert_eq!(redactor.secrets().len(), 2);
        assert_eq!(Redactor::new().add_all([]), 0);
    }

    #[test]
    fn keys_texts_and_numbers_of_json_are_hidden() {
        let mut value = serde_json::json!({"tok1234": ["a tok1234 b", 91234567, 1, null]});
        let redactor = knowing(&["tok1234", "91234567"]);
        redactor.value(&mut value);
        assert_eq!(
            value,
            serde_json::json!({"***": ["a *** b", "***", 1, null]})
        );
    }

    #[test]
    fn a_secret_learned_later_is_known_to_all_clones() {
        let redactor = Redactor::new();
        let clone = redactor.clone();
        redactor.add("captured", "late-token").unwrap();
        assert_eq!(clone.text("late-token"), MASK);
    }

    proptest! {
        #[test]
        fn no_form_survives(secret in "[ -~äß\n]{4,40}", before in "[a-z ]{0,5}", after in "[a-z ]{0,5}") {
            let redactor = knowing(&[&secret]);
            for form in variants::of(&secret) {
                let clean = redactor.text(&format!("{before}{form}{after}")).into_owned();
                for other in variants::of(&secret) {
                    prop_assert!(!clean.contains(&other), "{other:?} in {clean:?}");
                }
            }
        }

        #[test]
        fn what_holds_no_secret_is_not_touched(text in "[a-f ]{0,200}") {
            prop_assert_eq!(&*knowing(&["XYZ-123-SECRET"]).text(&text), &*text);
        }

        #[test]
        fn redacting_twice_changes_nothing(secret in "[ab]{4,6}", text in "[ab]{0,60}") {
            let redactor = knowing(&[&secret]);
            let once = redactor.text(&text).into_owned();
            prop_assert_eq!(&*redactor.text(&once), &*once);
        }
    }
}
