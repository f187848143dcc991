//! What an engine says on stderr, without anything in it that could be a secret.
//!
//! A run that broke may have reported nothing, and then nobody knows which words of its error are values
//! that it had just found. So every word that is not plainly language or a path is masked.

use gs_common::redact::MASK;

/// A word that mixes letters and digits is masked from this length.
const SHORTEST_MIXED: usize = 6;

/// Any other word is masked from this length.
const LONGEST_PLAIN: usize = 32;

/// The text with masks.
#[must_use]
pub fn text(text: &str) -> String {
    let one_line: Vec<String> = text.split_whitespace().map(word).collect();
    one_line.join(" ")
}

fn word(word: &str) -> String {
    if let Some((scheme, rest)) = word.split_once("://") {
        // User and password of an address stand before the last `@` of its first part.
        let (host, path) = rest
            .split_once('/')
            .map_or((rest, None), |(host, path)| (host, Some(path)));
        let host = host
            .rsplit_once('@')
            .map_or_else(|| host.to_owned(), |(_, host)| format!("{MASK}@{host}"));
        return match path {
            Some(path) => format!("{scheme}://{host}/{}", pieces(path)),
            None => format!("{scheme}://{host}"),
        };
    }
    pieces(word)
}

/// A path is judged folder by folder, an assignment side by side.
fn pieces(word: &str) -> String {
    let mut shown = String::new();
    let mut piece = String::new();
    for c in word.chars() {
        if matches!(
            c,
            '/' | '='
                | ':'
                | '\''
                | '"'
                | '`'
                | ','
                | ';'
                | '('
                | ')'
                | '['
                | ']'
                | '<'
                | '>'
                | '|'
        ) {
            shown.push_str(&judged(&piece));
            shown.push(c);
            piece.clear();
        } else {
            piece.push(c);
        }
    }
    shown.push_str(&judged(&piece));
    shown
}

fn judged(piece: &str) -> String {
    let length = piece.chars().count();
    let has = |of: fn(&char) -> bool| piece.chars().any(|c| of(&c));
    let mixed = has(char::is_ascii_digit) && has(|c| c.is_alphabetic());
    if (mixed && length >= SHORTEST_MIXED) || length >= LONGEST_PLAIN {
        MASK.to_owned()
    } else {
        piece.chars().filter(|c| !c.is_control()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(said: &str, shown: &str) {
        assert_eq!(text(said), shown);
    }

    #[test]
    fn language_stays_and_values_go() {
        check(
            "fatal: detected dubious ownership in repository at '/srv/app'",
            "fatal: detected dubious ownership in repository at '/srv/app'",
        );
        check(
            "fatal: ambiguous argument 'nosuchbranch': unknown revision",
            "fatal: ambiguous argument 'nosuchbranch': unknown revision",
        );
        check(
            "cannot clone https://bob:hunter22@host.example/x",
            "cannot clone https://***@host.example/x",
        );
        check("panic at password=hunter22", "panic at password=***");
        check(
            &format!("found ghp_{} in it", "A1b2".repeat(9)),
            "found *** in it",
        );
        check("exit status 128", "exit status 128");
    }

    proptest! {
        #[test]
        fn a_token_never_survives(token in "[A-Za-z]{2,10}[0-9]{2,6}[A-Za-z0-9]{2,20}") {
            let shown = text(&format!("error near {token} end"));
            prop_assert!(!shown.contains(&token));
        }
    }
}
