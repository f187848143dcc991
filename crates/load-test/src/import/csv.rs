//! Comma-separated values as RFC 4180 has them: quotes around what holds a comma, a quote or a line
//! end, and quotes inside doubled.

/// The records of a text, each with the line on which it begins, counted from 1. Empty lines are
/// left out.
///
/// # Errors
/// A quote is not closed, or something follows a closing quote; the line is named.
pub fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = Vec::new();
    let mut fields: Vec<String> = Vec::new();
    let mut field = String::new();
    let (mut line, mut began) = (1, 1);
    let mut state = State::Start;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        match (state, c) {
            (State::Quoted, '"') if chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            (State::Quoted, '"') => state = State::Closed,
            (State::Quoted, c) => field.push(c),
            (State::Start, '"') => state = State::Quoted,
            (_, ',') => {
                fields.push(std::mem::take(&mut field));
                state = State::Start;
            }
            (_, '\r') if chars.peek() == Some(&'\n') => {}
            (_, '\n') => {
                end(&mut records, began, &mut fields, &mut field);
                began = line;
                state = State::Start;
            }
            (State::Closed, _) => return Err(format!("line {line}: text after a closing quote")),
            (_, c) => {
                field.push(c);
                state = State::Plain;
            }
        }
    }
    if state == State::Quoted {
        return Err(format!("line {began}: a quote is not closed"));
    }
    end(&mut records, began, &mut fields, &mut field);
    Ok(records)
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Start,
    Plain,
    Quoted,
    Closed,
}

fn end(
    records: &mut Vec<(usize, Vec<String>)>,
    line: usize,
    fields: &mut Vec<String>,
    field: &mut String,
) {
    if fields.is_empty() && field.is_empty() {
        return;
    }
    fields.push(std::mem::take(field));
    records.push((line, std::mem::take(fields)));
}

/// A field as it is written: in quotes only where it needs them.
#[must_use]
pub fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_commas_and_line_ends_are_understood() {
        let text = "\u{feff}a,\"b \"\"c\"\", d\"\r\n\n\"x\ny\",\n1";
        assert_eq!(
            records(text).unwrap(),
            [
                (1, vec!["a".to_owned(), "b \"c\", d".to_owned()]),
                (3, vec!["x\ny".to_owned(), String::new()]),
                (5, vec!["1".to_owned()]),
            ]
        );
        assert_eq!(
            records("a\n\"b").unwrap_err(),
            "line 2: a quote is not closed"
        );
        assert!(records("\"a\"b").is_err());
        assert_eq!(records("").unwrap(), []);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            rows in prop::collection::vec(prop::collection::vec("[ -~\n\"]{1,6}", 1..4), 1..4),
        ) {
            let text: String = rows
                .iter()
                .map(|row| row.iter().map(|text| field(text)).collect::<Vec<_>>().join(",") + "\n")
                .collect();
            let read: Vec<Vec<String>> = records(&text).unwrap().into_iter().map(|(_, row)| row).collect();
            prop_assert_eq!(read, rows);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,60}") {
            let _ = records(&text);
        }
    }
}
