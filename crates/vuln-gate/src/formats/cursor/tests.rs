//! The walk, its limits, and what is no JSON.

use super::*;
use proptest::prelude::*;

/// Gives one byte at a time, so that every end of a piece is met.
struct Drops(Vec<u8>, usize);

impl io::Read for Drops {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((&byte, room)) = self.0.get(self.1).zip(buffer.first_mut()) else {
            return Ok(0);
        };
        *room = byte;
        self.1 += 1;
        Ok(1)
    }
}

fn walk(cursor: &mut Cursor<'_>, out: &mut Vec<String>) -> Result<(), ReadError> {
    match cursor.kind()? {
        Kind::Object => cursor.object(|cursor, key| {
            out.push(key.to_owned());
            if key == "skip" {
                cursor.skip()
            } else {
                walk(cursor, out)
            }
        }),
        Kind::List => cursor.list(|cursor| walk(cursor, out)),
        _ => {
            let value: serde_json::Value = cursor.value()?;
            out.push(value.to_string());
            Ok(())
        }
    }
}

fn walked(text: &[u8]) -> Result<Vec<String>, ReadError> {
    let mut source = Source::open(Drops(text.to_vec(), 0))?;
    let mut out = Vec::new();
    walk(&mut Cursor::new(&mut source), &mut out)?;
    Ok(out)
}

#[test]
fn a_walk_meets_every_value_and_skips_what_it_is_told_to() {
    let text = br#" {"a": [1, "x\"y\\", null, true], "skip": {"deep": [[["}"]]]}, "b": {}} "#;
    assert_eq!(
        walked(text).unwrap(),
        ["a", "1", r#""x\"y\\""#, "null", "true", "skip", "b"]
    );
}

#[test]
fn a_text_that_is_cut_off_anywhere_is_said_to_be() {
    let text = br#"{"a": [1, "x\"y"], "skip": {"c": [2.5, false]}, "b": null}"#;
    for end in 1..text.len() {
        let error = walked(&text[..end]).unwrap_err();
        assert!(
            matches!(error, ReadError::Truncated { .. } | ReadError::Shape { .. }),
            "{end}: {error}"
        );
    }
}

#[test]
fn what_is_no_json_is_said() {
    for (text, part) in [
        (r#"{"a": 1 "b": 2}"#, "`,` or `}`"),
        (r#"{"a": 1, "a": 2}"#, "twice"),
        (r"{a: 1}", "a key"),
        ("[1,]", "a value"),
        ("[nul]", "while parsing a value"),
        ("[?]", "starts no value"),
        (r#"["a"; 1]"#, "`,` or `]`"),
    ] {
        let error = walked(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn depth_is_limited_whether_walked_or_skipped() {
    let deep = "[".repeat(100_000);
    let error = walked(deep.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("nested deeper"), "{error}");
    let skipped = format!("{{\"skip\": {deep}");
    let error = walked(skipped.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("nested deeper"), "{error}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = walked(&bytes);
    }

    #[test]
    fn json_is_never_refused(text in r#"[ -~]{0,40}"#, number in any::<i64>()) {
        let value = serde_json::json!({"a": [text, number], "skip": {"b": text}, "c": {"d": [[text]]}});
        prop_assert!(walked(value.to_string().as_bytes()).is_ok());
    }

    #[test]
    fn brackets_are_counted(text in prop::collection::vec(any::<u8>(), 0..600)) {
        let plain = text.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
        prop_assert_eq!(brackets(&text), plain);
    }

    #[test]
    fn a_value_is_read_alike_wherever_the_window_ends(list in prop::collection::vec(any::<i32>(), 1..20)) {
        let text = serde_json::to_vec(&list).unwrap();
        let all: Vec<String> = list.iter().map(ToString::to_string).collect();
        prop_assert_eq!(walked(&text).unwrap(), all.clone());
        // In one piece, too.
        let mut source = Source::open(io::Cursor::new(text)).unwrap();
        let mut out = Vec::new();
        walk(&mut Cursor::new(&mut source), &mut out).unwrap();
        prop_assert_eq!(out, all);
    }

    #[test]
    fn the_place_of_a_quote_is_the_first(text in prop::collection::vec(any::<u8>(), 0..100)) {
        let plain = text.iter().position(|&byte| byte == b'"' || byte == b'\\');
        prop_assert_eq!(quote_or_escape(&text), plain);
    }
}
