//! The forms in which one secret can turn up in a text.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// What `encodeURIComponent` leaves alone: unreserved characters and `!~*'()`.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'!')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// What RFC 3986 leaves alone: unreserved characters.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What URL parsers escape in a query (WHATWG URL, "query percent-encode set").
const QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\'');

/// What URL parsers escape in a path (WHATWG URL, "path percent-encode set").
const PATH: &AsciiSet = &QUERY
    .remove(b'\'')
    .add(b'?')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// What URL parsers escape in user and password (WHATWG URL, "userinfo percent-encode set").
const USERINFO: &AsciiSet = &PATH
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'=')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'|');

/// Pieces shorter than this say too little about a secret and too much about everything else.
const SHORTEST_PIECE: usize = 4;

/// A line of a longer secret counts as a secret of its own from this length.
const SHORTEST_LINE: usize = 8;

/// Every form of `secret`, each at least [`SHORTEST_PIECE`] bytes long, without order.
pub(super) fn of(secret: &str) -> Vec<String> {
    let mut forms = Vec::new();
    whole(secret, &mut forms);
    let trimmed = secret.trim();
    if trimmed != secret && trimmed.chars().count() >= super::SHORTEST {
        whole(trimmed, &mut forms);
    }
    if secret.contains('\n') {
        for line in secret.lines().map(str::trim) {
            // The frame of a PEM file is no secret, and hiding it would hide what was leaked.
            if line.len() >= SHORTEST_LINE && !line.starts_with("-----") {
                whole(line, &mut forms);
            }
        }
    }
    forms.retain(|form| form.len() >= SHORTEST_PIECE);
    forms.sort();
    forms.dedup();
    forms
}

fn whole(secret: &str, forms: &mut Vec<String>) {
    forms.push(secret.to_owned());
    percent(secret, forms);
    base64(secret.as_bytes(), forms);
    escapes(secret, forms);
}

fn percent(secret: &str, forms: &mut Vec<String>) {
    for set in [COMPONENT, UNRESERVED, QUERY, PATH, USERINFO] {
        let upper = utf8_percent_encode(secret, set).to_string();
        forms.push(upper.replace("%20", "+"));
        forms.push(lower_hex(&upper));
        forms.push(lower_hex(&upper).replace("%20", "+"));
        forms.push(upper);
    }
    let all: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    forms.push(lower_hex(&all));
    forms.push(all);
}

/// `%2F` as `%2f`; nothing else changes its case.
fn lower_hex(encoded: &str) -> String {
    let mut lower = String::with_capacity(encoded.len());
    let mut in_escape = 0;
    for c in encoded.chars() {
        if c == '%' {
            in_escape = 2;
            lower.push(c);
        } else if in_escape > 0 {
            in_escape -= 1;
            lower.push(c.to_ascii_lowercase());
        } else {
            lower.push(c);
        }
    }
    lower
}

/// Base64 of the secret alone, and the part of it that stays the same wherever it stands in a
/// longer text. Base64 turns three bytes into four characters, so there are three alignments; the
/// characters at either end that also hold bits of the neighbours are left out.
fn base64(secret: &[u8], forms: &mut Vec<String>) {
    for engine in [&BASE64_STANDARD, &BASE64_URL_SAFE] {
        let alone = engine.encode(secret);
        forms.push(alone.trim_end_matches('=').to_owned());
        forms.push(alone);
        for before in 0..3 {
            let mut text = vec![0; before];
            text.extend_from_slice(secret);
            let first = (before * 8).div_ceil(6);
            let last = text.len() * 8 / 6;
            let encoded = engine.encode(&text);
            if let Some(core) = encoded.get(first..last) {
                forms.push(core.to_owned());
            }
        }
    }
}

fn escapes(secret: &str, forms: &mut Vec<String>) {
    let json = json_escaped(secret);
    forms.push(json_escaped(&json));
    forms.push(json.replace('/', "\\/"));
    forms.push(ascii_json(&json));
    forms.push(json);
    forms.push(secret.escape_debug().to_string());
    forms.push(secret.replace('\'', "'\\''"));
    let html = secret
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    for (double, single) in [
        ("\"", "'"),
        ("&quot;", "'"),
        ("&quot;", "&#39;"),
        ("&quot;", "&#x27;"),
        ("&quot;", "&apos;"),
    ] {
        forms.push(html.replace('"', double).replace('\'', single));
    }
}

/// A JSON text without its quotes.
fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The same with `\uXXXX` for everything beyond ASCII, as Python writes it.
fn ascii_json(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn has(secret: &str, form: &str) {
        assert!(
            of(secret).iter().any(|known| known == form),
            "{form} of {secret}"
        );
    }

    #[test]
    fn each_encoding_is_among_the_forms() {
        has("p@ss/word", "p%40ss%2Fword");
        has("p@ss/word", "p%40ss%2fword");
        has("p@ss word", "p%40ss+word");
        has("p@ss/word", r"p@ss\/word");
        has("pässword", r"p\u00e4ssword");
        has("p@ss/word", "cEBzcy93b3Jk");
        has("p@ss/word", "%70%40%73%73%2F%77%6F%72%64");
    }

    #[test]
    fn the_base64_core_is_found_in_each_alignment() {
        for before in ["", "u", "us", "usr"] {
            let whole = BASE64_STANDARD.encode(format!("{before}:correct horse battery~"));
            let hit = of("correct horse battery")
                .iter()
                .any(|form| whole.contains(form.as_str()));
            assert!(hit, "{before}");
        }
    }
}
