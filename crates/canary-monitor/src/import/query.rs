//! What a PromQL query asks for, as far as that can be seen from its text. No parser of the language:
//! it finds the first selector, and knows the few shapes in which shares of errors and percentiles are
//! written. What it does not know it does not guess.

use std::sync::LazyLock;

use regex::Regex;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measure {
    /// Failed requests of all.
    ErrorShare,
    /// Good requests of all.
    SuccessShare,
    /// A quantile of the response time.
    Quantile(f64),
    /// Something else.
    Other,
}

/// A query taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Query {
    pub(super) measure: Measure,
    /// The first metric.
    pub(super) metric: Option<String>,
    /// Its label matchers, without those that tell statuses and buckets apart.
    pub(super) matchers: Vec<String>,
    /// Whether statuses below 500 count as errors in it.
    pub(super) counts_4xx: bool,
    /// How many units of its result make a second.
    pub(super) per_second: f64,
}

/// Labels that tell requests of one pod apart.
const INNER_LABELS: [&str; 9] = [
    "status",
    "code",
    "status_code",
    "response_code",
    "le",
    "reporter",
    "method",
    "endpoint",
    "handler",
];

/// Queries are no longer than this.
const LONGEST: usize = 20_000;

static QUANTILE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"histogram_quantile\s*\(\s*(0?\.\d+|1|1\.0+|0)\s*,").ok());

static STATUS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?:status|code|status_code|response_code)\s*(=~|!~|!=|=)\s*["']([^"']{0,60})["']"#,
    )
    .ok()
});

pub(super) fn read(query: &str) -> Query {
    let query = clipped(query);
    let (metric, matchers) = selector(query);
    let status = STATUS.as_ref().and_then(|regex| regex.captures(query));
    let (operator, pattern) = status.map_or(("", ""), |found| {
        (
            found.get(1).map_or("", |part| part.as_str()),
            found.get(2).map_or("", |part| part.as_str()),
        )
    });
    let counts_4xx =
        matches!(operator, "=~" | "!~") && (pattern.contains("4") || pattern.contains("[45]"));
    let five = pattern.contains('5');
    let two = pattern.contains('2') && !five;
    let ratio = query.contains('/');
    let quantile = QUANTILE
        .as_ref()
        .and_then(|regex| regex.captures(query)?.get(1)?.as_str().parse::<f64>().ok());
    let measure = match (quantile, operator) {
        (Some(quantile), _) => Measure::Quantile(quantile),
        (None, "=~" | "=") if five && ratio => Measure::ErrorShare,
        (None, "!~" | "!=") if five && ratio => Measure::SuccessShare,
        (None, "=~" | "=") if two && ratio => Measure::SuccessShare,
        _ => Measure::Other,
    };
    let millis = metric
        .as_deref()
        .is_some_and(|metric| metric.contains("milliseconds") || metric.contains("_ms"));
    Query {
        measure,
        metric,
        matchers,
        counts_4xx,
        per_second: if millis { 1000.0 } else { 1.0 },
    }
}

fn clipped(query: &str) -> &str {
    let mut end = query.len().min(LONGEST);
    while !query.is_char_boundary(end) {
        end -= 1;
    }
    &query[..end]
}

/// The first `name{...}` of a query.
fn selector(query: &str) -> (Option<String>, Vec<String>) {
    let Some(open) = opening(query) else {
        return (None, Vec::new());
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let before = query[..open].trim_end();
    let name = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_name(*c))
        .last()
        .map(|(at, _)| before[at..].to_owned());
    let matchers = split(&query[open + 1..]);
    let outer = matchers.into_iter().filter(|matcher| {
        let label = matcher.split(['=', '!']).next().unwrap_or_default().trim();
        !INNER_LABELS.contains(&label)
    });
    (name, outer.collect())
}

/// The first brace that is neither in a text nor one of a template argument, `{{args.x}}`.
fn opening(query: &str) -> Option<usize> {
    let bytes = query.as_bytes();
    let mut quote = None;
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'"' | b'\'' | b'`')) => quote = Some(byte),
            (None, b'{') if bytes.get(at + 1) == Some(&b'{') => at += 1,
            (None, b'{') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The matchers up to the closing brace, split at commas outside of quotes.
fn split(inside: &str) -> Vec<String> {
    let (mut matchers, mut matcher, mut quote, mut escaped) =
        (Vec::new(), String::new(), None, false);
    for c in inside.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if c == ',' || c == '}' => {
                let whole = matcher.trim();
                if !whole.is_empty() {
                    matchers.push(whole.to_owned());
                }
                matcher.clear();
                if c == '}' {
                    return matchers;
                }
                continue;
            }
            None => {}
        }
        matcher.push(c);
    }
    // It has no end: what it would have matched nobody knows.
    Vec::new()
}
