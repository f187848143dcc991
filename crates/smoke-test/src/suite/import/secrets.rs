//! The secrets of a foreign file: each becomes a variable, and none is written out.

use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use super::draft::BRACE;
use crate::suite::template::encoded;

/// A secret that is shorter is not looked for in other places: it would be found by chance.
const TELLING: usize = 8;

/// A file with more of them is hostile, and its suite nobody could use.
const MOST: usize = 1000;

/// What is known of secrets.
#[derive(Default)]
pub(super) struct Secrets {
    /// Variables in the order of their first use, with their values (empty where not known).
    variables: Vec<(String, String)>,
    by_value: BTreeMap<String, String>,
    /// Secrets inside of secrets, name and value: of a cookie, the password of a pair. They get a
    /// variable of their own only where they turn up alone.
    inner: Vec<(String, String)>,
    too_many: bool,
    /// Finds all of them in one pass, however often they come: a file may be hostile.
    finder: Option<AhoCorasick>,
    /// Name and value by the finder's patterns.
    patterns: Vec<(String, String)>,
}

impl Secrets {
    /// Variables with their values, in the order of their first use.
    pub(super) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    /// Adds a secret of a header or a query with those inside of it.
    pub(super) fn add(&mut self, before: &str, name: &str, value: &str) {
        self.variable(name, value);
        self.inner.extend(inner(before, name, value));
        self.too_many |= self.inner.len() > MOST;
    }

    /// The variable for a secret: one for each value.
    pub(super) fn variable(&mut self, name: &str, value: &str) -> String {
        let wanted = variable_of(name);
        // A value that is not known is told apart by its name.
        let key = if value.is_empty() {
            format!("\0{wanted}")
        } else {
            value.to_owned()
        };
        if let Some(variable) = self.by_value.get(&key) {
            return variable.clone();
        }
        if self.variables.len() >= MOST {
            self.too_many = true;
            return wanted;
        }
        let taken = |name: &String| self.variables.iter().any(|(variable, _)| variable == name);
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let free = std::iter::once(wanted.clone())
            .chain(numbered)
            .find(|name| !taken(name));
        let variable = free.unwrap_or(wanted);
        self.by_value.insert(key, variable.clone());
        self.variables.push((variable.clone(), value.to_owned()));
        variable
    }

    /// The call after the last secret was added: from now on [`find`](Self::find) finds them.
    /// `false` where there are too many.
    pub(super) fn look_for_them(&mut self) -> bool {
        let all = self
            .variables
            .iter()
            .chain(&self.inner)
            .filter(|(_, value)| value.len() >= TELLING);
        let (forms, patterns): (Vec<String>, Vec<_>) = all
            .flat_map(|(name, value)| {
                [value.clone(), encoded(value)].map(|form| (form, (name.clone(), value.clone())))
            })
            .unzip();
        self.finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(forms)
            .ok();
        self.patterns = patterns;
        self.finder.is_some() && !self.too_many
    }

    /// Where secrets stand in a text, as they are or percent-encoded, with their variables.
    pub(super) fn find(&mut self, text: &str) -> Vec<(Range<usize>, String)> {
        let Some(finder) = self.finder.take() else {
            return Vec::new();
        };
        let found = finder
            .find_iter(text)
            .map(|place| {
                let (name, value) = self.patterns[place.pattern().as_usize()].clone();
                (place.range(), self.variable(&name, &value))
            })
            .collect();
        self.finder = Some(finder);
        found
    }
}

fn variable_of(name: &str) -> String {
    let word = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    let mut variable: String = name.chars().map(word).take(60).collect();
    if !variable.starts_with(|c: char| c.is_ascii_alphabetic()) || variable == BRACE {
        variable.insert_str(0, "secret_");
    }
    variable
}

/// Name and value of the secrets inside of a header's secret.
fn inner(before: &str, name: &str, value: &str) -> Vec<(String, String)> {
    use base64::Engine as _;
    let owned = |name: &str, value: &str| (name.trim().to_owned(), value.trim().to_owned());
    if before.trim().eq_ignore_ascii_case("basic") {
        let pair = base64::prelude::BASE64_STANDARD.decode(value).ok();
        let pair = pair
            .and_then(|pair| String::from_utf8(pair).ok())
            .unwrap_or_default();
        return pair
            .split_once(':')
            .map(|(_, password)| owned("password", password))
            .into_iter()
            .collect();
    }
    if name == "cookie" {
        let pairs = value.split(';').filter_map(|pair| pair.split_once('='));
        return pairs.map(|(name, value)| owned(name, value)).collect();
    }
    Vec::new()
}
