//! Selectors of PromQL, and nothing else of it: `metric{label="value"}[5m] offset 1m`.

use regex::Regex;

/// A query that can be answered.
#[derive(Clone, Debug)]
pub(super) enum Query {
    /// A number, or `time()`, which is none here.
    Number(Option<f64>),
    /// Series.
    Series(Selector),
}

/// Which series, and how far back.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    matchers: Vec<Matcher>,
    pub range_seconds: Option<f64>,
    pub offset_seconds: f64,
}

#[derive(Clone, Debug)]
struct Matcher {
    label: String,
    test: Test,
    negative: bool,
}

#[derive(Clone, Debug)]
enum Test {
    Equal(String),
    Like(Regex),
}

/// The label that holds the metric's name.
const NAME: &str = "__name__";

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// It is none of those that can be answered, or it is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let compact: String = trimmed.split_whitespace().collect();
        if compact == "time()" {
            return Ok(Self::Number(None));
        }
        if trimmed.starts_with(|first: char| first.is_ascii_digit())
            && let Ok(number) = trimmed.parse()
        {
            return Ok(Self::Number(Some(number)));
        }
        let mut reader = Reader { rest: trimmed };
        let selector = reader.selector().map_err(|why| {
            let at = trimmed.len() - reader.rest.len() + 1;
            format!(
                "1:{at}: parse error: {why} (this listener knows selectors, numbers and time())"
            )
        })?;
        Ok(Self::Series(selector))
    }
}

impl Selector {
    /// Whether a series is meant.
    pub(super) fn matches(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.matchers.iter().all(|matcher| {
            let value = if matcher.label == NAME {
                name
            } else {
                // A label that is absent is an empty one.
                let found = labels.iter().find(|(label, _)| *label == matcher.label);
                found.map_or("", |(_, value)| *value)
            };
            let hit = match &matcher.test {
                Test::Equal(text) => text == value,
                Test::Like(regex) => regex.is_match(value),
            };
            hit != matcher.negative
        })
    }
}

/// Seconds of a PromQL duration, such as `5m` or `1h30m`.
pub(super) fn duration(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|next: char| !next.is_ascii_digit())?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest
            .find(|next: char| next.is_ascii_digit())
            .unwrap_or(rest.len());
        seconds += number
            * match &rest[..end] {
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                "w" => 604_800.0,
                "y" => 31_536_000.0,
                _ => return None,
            };
        rest = &rest[end..];
    }
    (seconds > 0.0).then_some(seconds)
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn selector(&mut self) -> Result<Selector, String> {
        let mut matchers = Vec::new();
        let name = self.word(true);
        if !name.is_empty() {
            matchers.push(Matcher {
                label: NAME.to_owned(),
                test: Test::Equal(name.to_owned()),
                negative: false,
            });
        }
        if self.eat("{") {
            while !self.eat("}") {
                matchers.push(self.matcher()?);
                if !self.eat(",") {
                    self.expect("}")?;
                    break;
                }
            }
        }
        if matchers.is_empty() {
            return Err("no metric and no label".to_owned());
        }
        let mut selector = Selector {
            matchers,
            range_seconds: None,
            offset_seconds: 0.0,
        };
        if self.eat("[") {
            selector.range_seconds = Some(self.duration()?);
            self.expect("]")?;
        }
        if self.eat("offset") {
            selector.offset_seconds = self.duration()?;
        }
        self.space();
        if self.rest.is_empty() {
            Ok(selector)
        } else {
            Err(format!("unexpected `{:.20}`", self.rest))
        }
    }

    fn matcher(&mut self) -> Result<Matcher, String> {
        let label = self.word(false).to_owned();
        if label.is_empty() {
            return Err("a label is missing".to_owned());
        }
        let (like, negative) = if self.eat("=~") {
            (true, false)
        } else if self.eat("!~") {
            (true, true)
        } else if self.eat("!=") {
            (false, true)
        } else {
            self.expect("=")?;
            (false, false)
        };
        let text = self.text()?;
        let test = if like {
            // Prometheus' expressions match whole values.
            let whole = Regex::new(&format!("^(?s:{text})$"));
            Test::Like(whole.map_err(|error| format!("no regular expression: {error}"))?)
        } else {
            Test::Equal(text)
        };
        Ok(Matcher {
            label,
            test,
            negative,
        })
    }

    /// A quoted string with Go's escapes, or a raw one in backticks.
    fn text(&mut self) -> Result<String, String> {
        self.space();
        let mut letters = self.rest.chars();
        let quote = letters
            .next()
            .filter(|quote| ['"', '\'', '`'].contains(quote))
            .ok_or("a value has to stand in quotes")?;
        let mut text = String::new();
        loop {
            match letters.next().ok_or("a quote is not closed")? {
                end if end == quote => break,
                '\\' if quote != '`' => text.push(match letters.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(same @ ('\\' | '"' | '\'')) => same,
                    _ => return Err("an escape that is not known".to_owned()),
                }),
                letter => text.push(letter),
            }
        }
        self.rest = letters.as_str();
        Ok(text)
    }

    fn duration(&mut self) -> Result<f64, String> {
        let text = self.word(false);
        duration(text).ok_or_else(|| format!("`{text}` is no duration"))
    }

    /// A name, with colons where they may stand.
    fn word(&mut self, colons: bool) -> &'a str {
        self.space();
        let part = |letter: char| {
            letter.is_ascii_alphanumeric() || letter == '_' || colons && letter == ':'
        };
        let end = self
            .rest
            .find(|letter| !part(letter))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn eat(&mut self, token: &str) -> bool {
        self.space();
        self.rest
            .strip_prefix(token)
            .map(|rest| self.rest = rest)
            .is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(format!("`{token}` is missing"))
        }
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LABELS: [(&str, &str); 2] = [("endpoint", "/a/{b},c=\"d\"\\\n"), ("status", "500")];

    #[track_caller]
    fn matches(text: &str, expected: bool) {
        match Query::parse(text).unwrap() {
            Query::Series(selector) => {
                assert_eq!(selector.matches("m:x", &LABELS), expected, "{text}")
            }
            Query::Number(_) => panic!("{text} is a number"),
        }
    }

    #[test]
    fn a_selector_matches_as_prometheus_says() {
        matches("m:x", true);
        matches("other", false);
        matches("{__name__=~\"m:.\"}", true);
        matches("m:x{status=~'5..|5xx'}", true);
        matches("m:x{status=~'5'}", false);
        matches("m:x{status!~'4..', status != \"200\",}", true);
        matches("m:x{absent=\"\"}", true);
        matches("m:x{absent!=\"\"}", false);
        matches(
            r#"m:x { endpoint = "/a/{b},c=\"d\"\\\n" } [5m] offset 1m"#,
            true,
        );
        matches("m:x{status=`500`}", true);
    }

    #[test]
    fn ranges_and_offsets_are_read() {
        let Query::Series(selector) = Query::parse("a[1h30m] offset 500ms").unwrap() else {
            panic!("a number");
        };
        assert_eq!(
            (selector.range_seconds, selector.offset_seconds),
            (Some(5400.0), 0.5)
        );
        assert!(matches!(Query::parse(" time( ) "), Ok(Query::Number(None))));
        assert!(matches!(Query::parse("1.5"), Ok(Query::Number(Some(1.5)))));
    }

    #[track_caller]
    fn refuses(text: &str, said: &str) {
        let error = Query::parse(text).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
    }

    #[test]
    fn all_else_is_refused() {
        refuses("", "no metric");
        refuses("{}", "no metric");
        refuses("sum(rate(a[5m]))", "1:4: parse error: unexpected `(rate");
        refuses("a{b}", "`=` is missing");
        refuses("a{b=c}", "in quotes");
        refuses("a{b=\"c}", "not closed");
        refuses("a{b=~\"(\"}", "no regular expression");
        refuses("a[5]", "no duration");
        refuses("a[5m", "`]` is missing");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(.{0,30}|[a-z]{1,3}[{\\[][a-z=~!\"'`\\\\,}\\]0-9é ]{0,20})") {
            let _ = Query::parse(&text).is_ok();
        }
    }
}
