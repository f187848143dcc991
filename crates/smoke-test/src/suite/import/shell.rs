//! A line of shell as words. Nothing is expanded: what a shell would expand is an error that names
//! it, for a request with a hole in it is another request.

/// Splits a line as a POSIX shell does, with `$'...'` as browsers write it.
///
/// # Errors
/// A quote is not closed, or the shell would do more than part words.
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let text = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("a single quote is not closed")? {
                        '\'' => break,
                        c => text.push(c),
                    }
                }
            }
            '"' => {
                let text = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("a double quote is not closed")? {
                        '"' => break,
                        '\\' => match chars.next().ok_or("a double quote is not closed")? {
                            c @ ('"' | '\\' | '$' | '`') => text.push(c),
                            '\n' => {}
                            c => text.extend(['\\', c]),
                        },
                        '$' if expands(chars.peek().copied()) => return Err(expansion('$')),
                        '`' => return Err(expansion('`')),
                        c => text.push(c),
                    }
                }
            }
            '$' if chars.peek() == Some(&'\'') => {
                chars.next();
                word.get_or_insert_default().push_str(&ansi_c(&mut chars)?);
            }
            '$' if expands(chars.peek().copied()) => return Err(expansion('$')),
            '`' => return Err(expansion('`')),
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some('\r') if chars.next_if_eq(&'\n').is_some() => {}
                Some(c) => word.get_or_insert_default().push(c),
            },
            '|' | ';' | '&' | '<' | '>' | '(' | ')' => {
                return Err(format!(
                    "a shell takes the `{c}` outside of quotes for itself: give one curl command alone, its URL in quotes"
                ));
            }
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn expands(next: Option<char>) -> bool {
    next.is_some_and(|c| {
        c.is_ascii_alphanumeric()
            || matches!(c, '_' | '{' | '(' | '@' | '*' | '?' | '!' | '#' | '$')
    })
}

fn expansion(what: char) -> String {
    format!(
        "a shell would put something in the place of `{what}...`: write the value itself (secrets are left out of the suite)"
    )
}

/// The inside of `$'...'`, up to its quote.
fn ansi_c(chars: &mut impl Iterator<Item = char>) -> Result<String, String> {
    const OPEN: &str = "a quote `$'` is not closed";
    let mut bytes = Vec::new();
    let mut chars = chars.peekable();
    let mut buffer = [0; 4];
    loop {
        let c = chars.next().ok_or(OPEN)?;
        let c = match c {
            '\'' => break,
            '\\' => match chars.next().ok_or(OPEN)? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'a' => '\u{7}',
                'b' => '\u{8}',
                'e' | 'E' => '\u{1b}',
                'f' => '\u{c}',
                'v' => '\u{b}',
                'x' => {
                    bytes.push(u8::try_from(number(&mut chars, 16, 2)?).map_err(|_| OPEN)?);
                    continue;
                }
                'u' => letter(number(&mut chars, 16, 4)?)?,
                'U' => letter(number(&mut chars, 16, 8)?)?,
                '0' => letter(number(&mut chars, 8, 3).unwrap_or(0))?,
                c => c,
            },
            c => c,
        };
        bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| "what `$'...'` holds is no UTF-8 text".to_owned())
}

fn number(
    chars: &mut std::iter::Peekable<impl Iterator<Item = char>>,
    radix: u32,
    most: usize,
) -> Result<u32, String> {
    let mut digits = String::new();
    while digits.len() < most
        && let Some(digit) = chars.next_if(|c| c.is_digit(radix))
    {
        digits.push(digit);
    }
    u32::from_str_radix(&digits, radix)
        .map_err(|_| "an escape in `$'...'` has no digits".to_owned())
}

fn letter(code: u32) -> Result<char, String> {
    char::from_u32(code).ok_or_else(|| "an escape in `$'...'` is no character".to_owned())
}

#[cfg(test)]
mod tests {
    use super::words;
    use proptest::prelude::*;

    #[track_caller]
    fn check(line: &str, expected: &[&str]) {
        assert_eq!(words(line).unwrap(), expected, "{line}");
    }

    #[test]
    fn words_are_parted_as_a_shell_does() {
        check(
            "curl  'a b' \"c \\\"d\\\" \\n\" e\\ f",
            &["curl", "a b", "c \"d\" \\n", "e f"],
        );
        check(
            "curl \\\n  -H 'x: y' \\\r\n z",
            &["curl", "-H", "x: y", "z"],
        );
        check("a'b'\"c\"d ''", &["abcd", ""]);
        check(r"$'it\'s \u0021\x41\n'", &["it's !A\n"]);
        check("'$x' \"\\$x\" a$", &["$x", "$x", "a$"]);
    }

    #[test]
    fn what_a_shell_would_do_beside_is_refused() {
        for (line, said) in [
            ("curl 'a", "not closed"),
            ("curl \"a", "not closed"),
            ("curl $'a", "not closed"),
            ("curl $TOKEN", "in the place of `$"),
            ("curl \"Bearer ${TOKEN}\"", "in the place of `$"),
            ("curl `id`", "in the place of ``"),
            ("curl http://a/?x=1&y=2", "takes the `&`"),
            ("curl http://a | jq .", "takes the `|`"),
            (r"curl $'\xff'", "UTF-8"),
        ] {
            let why = words(line).unwrap_err();
            assert!(why.contains(said), "{line}: {why}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "[-a'\"\\\\$xu0-9 \n&|`{}é]{0,40}") {
            let _ = words(&line).is_ok();
        }
    }
}
