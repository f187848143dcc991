//! A command line as text, split into its words.

/// Why a text is no command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// There is nothing in it.
    #[error("the command is empty")]
    Empty,
    /// A quote is not closed.
    #[error("the quote {0} is not closed")]
    Open(char),
    /// It ends with a backslash.
    #[error("the backslash at the end has nothing to protect")]
    Backslash,
}

/// Splits a command line into words as a POSIX shell does, and expands nothing: quotes and backslashes
/// protect, everything else (`$`, `|`, `*`, `>`) stands for itself.
///
/// # Errors
/// It is empty, a quote is open, or a backslash stands at the end.
pub fn words(text: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        None => return Err(WordsError::Open('\'')),
                        Some('\'') => break,
                        Some(letter) => word.push(letter),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        None => return Err(WordsError::Open('"')),
                        Some('"') => break,
                        Some('\\') => match letters.next() {
                            None => return Err(WordsError::Open('"')),
                            Some(letter @ ('"' | '\\' | '$' | '`')) => word.push(letter),
                            Some(letter) => word.extend(['\\', letter]),
                        },
                        Some(letter) => word.push(letter),
                    }
                }
            }
            '\\' => word
                .get_or_insert_default()
                .push(letters.next().ok_or(WordsError::Backslash)?),
            letter if letter.is_whitespace() => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    if words.first().is_none_or(String::is_empty) {
        return Err(WordsError::Empty);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn splits(text: &str, expected: &[&str]) {
        assert_eq!(words(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn words_are_split_as_a_shell_does_and_nothing_is_expanded() {
        splits(
            "kubectl scale  x --replicas=3",
            &["kubectl", "scale", "x", "--replicas=3"],
        );
        splits(
            r#"a 'b "c"' "d 'e'" f\ g"#,
            &["a", "b \"c\"", "d 'e'", "f g"],
        );
        splits(r#"a "x\"y\\z\n" '' p'q'r"#, &["a", r#"x"y\z\n"#, "", "pqr"]);
        splits("echo $HOME * | cat", &["echo", "$HOME", "*", "|", "cat"]);
        assert_eq!(words("  "), Err(WordsError::Empty));
        assert_eq!(words("'' a"), Err(WordsError::Empty));
        assert_eq!(words("a 'b"), Err(WordsError::Open('\'')));
        assert_eq!(words("a \"b\\"), Err(WordsError::Open('"')));
        assert_eq!(words("a \\"), Err(WordsError::Backslash));
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(parts in prop::collection::vec("[^']{1,12}", 1..6)) {
            let line = parts.iter().map(|part| format!("'{part}'")).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(words(&line).unwrap(), parts);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = words(&text).is_ok();
        }
    }
}
