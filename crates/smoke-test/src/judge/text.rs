//! Foreign texts, cut to a length that a person reads.

/// The longest observed value that is quoted in a sentence, in characters.
const QUOTED: usize = 200;

/// The first bytes of a body as text: lossy, whole characters, with a mark where it was cut.
#[must_use]
pub fn excerpt(body: &[u8], bytes: usize) -> String {
    let cut = &body[..body.len().min(bytes)];
    let mut text = String::from_utf8_lossy(cut).into_owned();
    if cut.len() < body.len() {
        // The last character may have been cut in half.
        while text.ends_with('\u{fffd}') {
            text.pop();
        }
        text.push_str(&format!("… ({} of {} bytes)", cut.len(), body.len()));
    }
    text
}

/// A text on one line, cut to what fits into a sentence.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .take(QUOTED)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(QUOTED).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_marked_and_never_splits_a_character() {
        assert_eq!(excerpt(b"short", 10), "short");
        assert_eq!(excerpt("äöü".as_bytes(), 3), "ä… (3 of 6 bytes)");
        assert_eq!(one_line("a\nb"), "a b");
        assert!(one_line(&"x".repeat(300)).ends_with("x…"));
    }
}
