//! Foreign text made harmless and readable.

/// The text with everything that a terminal could obey, or that turns the reading direction round,
/// shown as `\u{..}`. Line feeds and tabs stay.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        let hostile = (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if hostile && c != '\r' {
            clean.extend(c.escape_default());
        } else if c != '\r' {
            clean.push(c);
        }
    }
    clean
}

/// The same on one line.
pub(super) fn line(text: &str) -> String {
    visible(text).replace(['\n', '\t'], " ")
}

/// Milliseconds as people say them.
pub(super) fn millis(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

/// `1 check`, `2 checks`.
pub(super) fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
