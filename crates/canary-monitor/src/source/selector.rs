//! Label matchers as a person types them: read, so that a typo is found before the run and a wrong value
//! can be looked up, and written again inside of queries.

/// Matchers that all have to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    matchers: Vec<Matcher>,
}

/// One matcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    /// The label.
    pub label: String,
    /// How it is compared.
    pub op: Op,
    /// With what.
    pub value: String,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The same text.
    Is,
    /// Another text.
    IsNot,
    /// The whole text matches a regular expression.
    Matches,
    /// It does not.
    MatchesNot,
}

impl Op {
    fn as_str(self) -> &'static str {
        match self {
            Self::Is => "=",
            Self::IsNot => "!=",
            Self::Matches => "=~",
            Self::MatchesNot => "!~",
        }
    }
}

impl Matcher {
    /// `label="value"`.
    #[must_use]
    pub fn is(label: &str, value: &str) -> Self {
        Self {
            label: label.to_owned(),
            op: Op::Is,
            value: value.to_owned(),
        }
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = is_plain_name(&self.label);
        let label = if plain {
            self.label.clone()
        } else {
            quoted(&self.label)
        };
        write!(f, "{label}{}{}", self.op.as_str(), quoted(&self.value))
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, matcher) in self.matchers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{matcher}")?;
        }
        Ok(())
    }
}

/// Whether a label's name needs no quotes in a query.
fn is_plain_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// A text as a query holds it.
#[must_use]
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

impl Selector {
    /// Reads `label="value",other=~"a|b"`, with or without braces around it.
    ///
    /// # Errors
    /// One fragment about what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let inside = match (text.strip_prefix('{'), text.strip_suffix('}')) {
            (Some(_), Some(_)) if text.len() >= 2 => &text[1..text.len() - 1],
            (None, _) => text,
            _ => return Err(format!("`{text}` has one brace only")),
        };
        let mut rest = inside.trim_start();
        let mut matchers = Vec::new();
        while !rest.is_empty() {
            let (matcher, after) = matcher(rest)?;
            matchers.push(matcher);
            rest = after.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after.trim_start(),
                None if rest.is_empty() => {}
                None => return Err(format!("`{rest}` stands where a comma is wanted")),
            }
        }
        if matchers.is_empty() {
            return Err("no matcher: it would mean every series there is".to_owned());
        }
        Ok(Self { matchers })
    }

    /// The matchers.
    #[must_use]
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// The same with one of the matchers left out.
    #[must_use]
    pub fn without(&self, index: usize) -> Self {
        let mut matchers = self.matchers.clone();
        if index < matchers.len() {
            matchers.remove(index);
        }
        Self { matchers }
    }

    /// The series of this name, as a query without a range.
    #[must_use]
    pub fn of(&self, metric: &str) -> String {
        let name = Matcher::is("__name__", metric);
        if self.matchers.is_empty() {
            return format!("{{{name}}}");
        }
        format!("{{{name},{self}}}")
    }

    /// The series of any of these names.
    #[must_use]
    pub fn of_any(&self, metrics: &[&str]) -> String {
        let name = Matcher {
            label: "__name__".to_owned(),
            op: Op::Matches,
            value: alternatives(metrics.iter().copied()),
        };
        if self.matchers.is_empty() {
            return format!("{{{name}}}");
        }
        format!("{{{name},{self}}}")
    }

    /// A selector of these matchers.
    #[must_use]
    pub fn all_of(matchers: Vec<Matcher>) -> Self {
        Self { matchers }
    }
}

/// A regular expression that matches exactly these texts.
pub(super) fn alternatives<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let escaped: Vec<String> = texts
        .into_iter()
        .map(|text| {
            let mut escaped = String::new();
            for letter in text.chars() {
                if "\\.+*?()|[]{}^$".contains(letter) {
                    escaped.push('\\');
                }
                escaped.push(letter);
            }
            escaped
        })
        .collect();
    escaped.join("|")
}

fn matcher(text: &str) -> Result<(Matcher, &str), String> {
    let (label, rest) = if text.starts_with(['"', '\'', '`']) {
        string(text)?
    } else {
        let end = text
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
            .unwrap_or(text.len());
        (text[..end].to_owned(), &text[end..])
    };
    let rest = rest.trim_start();
    if label.is_empty() || (is_digit_first(&label) && !text.starts_with(['"', '\'', '`'])) {
        return Err(format!("`{text}` does not begin with a label's name"));
    }
    let ops = [
        ("=~", Op::Matches),
        ("!~", Op::MatchesNot),
        ("!=", Op::IsNot),
        ("=", Op::Is),
    ];
    let Some((op, rest)) = ops
        .iter()
        .find_map(|(sign, op)| rest.strip_prefix(sign).map(|rest| (*op, rest)))
    else {
        return Err(format!("`{label}` is followed by none of =, !=, =~ and !~"));
    };
    let rest = rest.trim_start();
    if !rest.starts_with(['"', '\'', '`']) {
        return Err(format!("the value of `{label}` stands in no quotes"));
    }
    let (value, rest) = string(rest)?;
    if matches!(op, Op::Matches | Op::MatchesNot) {
        regex::Regex::new(&value)
            .map_err(|_| format!("`{value}` is no regular expression (label `{label}`)"))?;
    }
    Ok((Matcher { label, op, value }, rest))
}

fn is_digit_first(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// A text in quotes at the start, with the escapes that PromQL has between double or single ones.
fn string(text: &str) -> Result<(String, &str), String> {
    let mut letters = text.char_indices();
    let quote = letters.next().map_or('"', |(_, quote)| quote);
    let mut value = String::new();
    while let Some((at, letter)) = letters.next() {
        if letter == quote {
            return Ok((value, &text[at + letter.len_utf8()..]));
        }
        if letter != '\\' || quote == '`' {
            value.push(letter);
            continue;
        }
        match letters.next() {
            Some((_, 'n')) => value.push('\n'),
            Some((_, 't')) => value.push('\t'),
            Some((_, same @ ('\\' | '"' | '\''))) => value.push(same),
            Some((_, other)) => return Err(format!("the escape `\\{other}` is not known")),
            None => break,
        }
    }
    Err(format!("the quote before `{value}` is not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn matchers_are_read_and_written_again() {
        let read = Selector::parse(
            r#"{ deployment = "goldensignals-canary" , zone=~'a|b', x!="", y!~`\d`, }"#,
        )
        .unwrap();
        assert_eq!(
            read.to_string(),
            r#"deployment="goldensignals-canary",zone=~"a|b",x!="",y!~"\\d""#
        );
        assert_eq!(
            read.of("up"),
            format!("{{__name__=\"up\",{read}}}"),
            "the name stands among the matchers, so that any name can"
        );
        assert_eq!(read.without(0).matchers().len(), 3);
        assert_eq!(
            Selector::parse(r#"a="1""#).unwrap().of_any(&["b.c", "d"]),
            r#"{__name__=~"b\\.c|d",a="1"}"#
        );
    }

    #[track_caller]
    fn refuses(text: &str, said: &str) {
        let error = Selector::parse(text).unwrap_err();
        assert!(error.contains(said), "{error}");
    }

    #[test]
    fn a_typo_is_found() {
        refuses("", "every series");
        refuses("{}", "every series");
        refuses("a=b", "no quotes");
        refuses("a", "none of =");
        refuses("a=\"b", "not closed");
        refuses("{a=\"b\"", "one brace");
        refuses("a=\"b\" b=\"c\"", "comma");
        refuses("a=~\"(\"", "no regular expression");
        refuses("=\"b\"", "label's name");
        refuses("a=\"\\q\"", "escape");
    }

    proptest! {
        #[test]
        fn any_value_survives_being_quoted(label in "[a-z_][a-z0-9_]{0,8}", value in any::<String>()) {
            let selector = Selector::all_of(vec![Matcher::is(&label, &value)]);
            prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = Selector::parse(&text).is_ok();
        }
    }
}
