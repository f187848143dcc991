//! How ecosystems order versions.

use std::cmp::Ordering;

/// Dotted numbers and nothing else, closing zeros dropped.
pub(super) fn numbers(text: &str) -> Option<Vec<u64>> {
    let mut numbers = text.split('.').map(number).collect::<Option<Vec<u64>>>()?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    Some(numbers)
}

/// Digits alone: `parse` would take a sign.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Semver {
    pub(super) numbers: Vec<u64>,
    pub(super) pre: Vec<Identifier>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Identifier {
    // The order of variants is that of the specification: numbers are lower than words.
    Number(u64),
    Word(String),
}

impl Semver {
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        // Build metadata takes no part in the order; Go writes `+incompatible` there.
        let text = text.split_once('+').map_or(text, |(before, _)| before);
        let (release, pre) = match text.split_once('-') {
            Some((release, pre)) => (release, Some(pre)),
            None => (text, None),
        };
        let numbers = numbers(release)?;
        if release.split('.').count() > 4 {
            return None;
        }
        let pre = match pre {
            None => Vec::new(),
            Some(pre) => pre
                .split('.')
                .map(|part| match number(part) {
                    Some(value) => Some(Identifier::Number(value)),
                    None if part.is_empty() => None,
                    None => Some(Identifier::Word(part.to_owned())),
                })
                .collect::<Option<_>>()?,
        };
        Some(Self { numbers, pre })
    }
}

impl Ord for Semver {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| {
            match (self.pre.is_empty(), other.pre.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => self.pre.cmp(&other.pre),
            }
        })
    }
}

impl PartialOrd for Semver {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A version by PEP 440. The order is that of the document's section "Summary of permitted suffixes
/// and relative ordering": dev of a release, its pre-releases, itself, its post-releases.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pep440 {
    epoch: u64,
    pub(super) release: Vec<u64>,
    pub(super) pre: Option<(char, u64)>,
    post: Option<u64>,
    pub(super) dev: Option<u64>,
    local: Vec<Local>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Local {
    // The order of variants is that of the document: words are lower than numbers.
    Word(String),
    Number(u64),
}

impl Pep440 {
    pub(super) fn read(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let text = lower.strip_prefix('v').unwrap_or(&lower);
        let (text, local) = match text.split_once('+') {
            Some((text, local)) => (text, Some(local)),
            None => (text, None),
        };
        let (epoch, text) = match text.split_once('!') {
            Some((epoch, text)) => (number(epoch)?, text),
            None => (0, text),
        };
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        // `1.0.dev1`: the dot before the word is a separator, not part of the release.
        let release = numbers(text[..end].trim_end_matches('.'))?;
        let mut version = Self {
            epoch,
            release,
            pre: None,
            post: None,
            dev: None,
            local: Vec::new(),
        };
        let mut rest = &text[end..];
        while !rest.is_empty() {
            rest = version.suffix(rest)?;
        }
        if let Some(local) = local {
            version.local = local
                .split(['.', '-', '_'])
                .map(|part| match number(part) {
                    Some(value) => Some(Local::Number(value)),
                    None if part.is_empty() => None,
                    None => Some(Local::Word(part.to_owned())),
                })
                .collect::<Option<_>>()?;
        }
        Some(version)
    }

    /// Takes one suffix off the front.
    fn suffix<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let body = text.strip_prefix(['.', '-', '_']).unwrap_or(text);
        let word_end = body
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(body.len());
        let (word, after) = body.split_at(word_end);
        // The number may be separated, or absent, which is 0.
        let numbered = after.strip_prefix(['.', '-', '_']).unwrap_or(after);
        let digits = numbered
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(numbered.len());
        let (value, rest) = if digits == 0 {
            (0, after)
        } else {
            (number(&numbered[..digits])?, &numbered[digits..])
        };
        let pre = match word {
            "a" | "alpha" => Some('a'),
            "b" | "beta" => Some('b'),
            "c" | "rc" | "pre" | "preview" => Some('c'),
            _ => None,
        };
        let nothing_after_pre = self.pre.is_none() && self.post.is_none() && self.dev.is_none();
        match word {
            _ if pre.is_some() && nothing_after_pre => self.pre = pre.map(|kind| (kind, value)),
            "post" | "rev" | "r" if self.post.is_none() && self.dev.is_none() => {
                self.post = Some(value);
            }
            // `1.0-1` is the implicit form of a post-release.
            "" if text.starts_with('-')
                && digits > 0
                && self.post.is_none()
                && self.dev.is_none() =>
            {
                self.post = Some(value);
            }
            "dev" if self.dev.is_none() => self.dev = Some(value),
            _ => return None,
        }
        Some(rest)
    }

    /// Before all pre-releases, a pre-release, or neither: a dev-release alone comes first.
    fn stage(&self) -> u8 {
        match (self.pre, self.post, self.dev) {
            (Some(_), _, _) => 1,
            (None, None, Some(_)) => 0,
            (None, _, _) => 2,
        }
    }
}

impl Ord for Pep440 {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| self.release.cmp(&other.release))
            .then_with(|| self.stage().cmp(&other.stage()))
            .then_with(|| self.pre.cmp(&other.pre))
            .then_with(|| self.post.cmp(&other.post))
            // Without a dev number it is the finished one.
            .then_with(|| self.dev.is_none().cmp(&other.dev.is_none()))
            .then_with(|| self.dev.cmp(&other.dev))
            .then_with(|| self.local.cmp(&other.local))
    }
}

impl PartialOrd for Pep440 {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
