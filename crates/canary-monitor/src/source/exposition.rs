//! Metrics pages: the text format of Prometheus, and `OpenMetrics`.
//!
//! Whoever judges by such a page must know what of it was not read. So each line is accounted for: a
//! sample, a comment, an empty line, or rejected with its number and the reason. Labels are read with
//! regard to quotes: a value may hold `}`, `,`, `=`, spaces, escaped quotes and line feeds, and any UTF-8.

use std::collections::BTreeMap;

/// Labels by name; an empty value is the same as none.
pub type Labels = BTreeMap<String, String>;

/// A page has fewer samples of what is asked than that.
const MOST_SAMPLES: usize = 500_000;

/// So many rejected lines are kept to be shown; all are counted.
const KEPT_REJECTED: usize = 100;

/// More labels than that are none.
const MOST_LABELS: usize = 128;

/// A page that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The samples of the metrics that were asked for.
    pub samples: Vec<Sample>,
    /// Kinds by the names of the families.
    pub kinds: BTreeMap<String, String>,
    /// The first rejected lines.
    pub rejected: Vec<Rejected>,
    /// What became of the lines.
    pub lines: Lines,
    /// `# EOF` was there, with nothing after it.
    pub ended: bool,
}

/// How many lines became what; the sum is the number of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// Samples, whether asked for or not.
    pub samples: usize,
    /// Comments, with `# HELP` and `# TYPE`.
    pub comments: usize,
    /// Empty ones.
    pub empty: usize,
    /// Those that could not be read.
    pub rejected: usize,
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// Its labels, without the name.
    pub labels: Labels,
    /// Its value; not a number and infinite values are values here.
    pub value: f64,
    /// A time of its own in Unix seconds, which few pages have.
    pub at: Option<f64>,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Counted from 1.
    pub line: usize,
    /// One fragment.
    pub why: &'static str,
    /// Which of the metrics that were asked for stands in it.
    pub needed: Option<String>,
}

/// Reads a page. Of the samples only those of `needed` names are kept; all lines are counted.
/// `open_metrics` says what the times of samples are: seconds there, milliseconds in Prometheus' format.
#[must_use]
pub fn read(page: &[u8], open_metrics: bool, needed: &[&str]) -> Page {
    let mut read = Page::default();
    for (index, line) in page.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if let Err(why) = one_line(line, open_metrics, needed, &mut read) {
            read.lines.rejected += 1;
            let mentions = |name: &str| {
                let name = name.as_bytes();
                !name.is_empty() && line.windows(name.len()).any(|part| part == name)
            };
            let needed = needed.iter().copied().find(|name| mentions(name));
            let needed = needed.map(str::to_owned);
            // One line for each metric that is needed is always kept; of the rest the first ones.
            let new = |needed: &String| {
                let mut others = read.rejected.iter();
                !others.any(|other| other.needed.as_ref() == Some(needed))
            };
            if read.rejected.len() < KEPT_REJECTED || needed.as_ref().is_some_and(new) {
                let line = index + 1;
                read.rejected.push(Rejected { line, why, needed });
            }
        }
    }
    read
}

fn one_line(
    line: &[u8],
    open_metrics: bool,
    needed: &[&str],
    page: &mut Page,
) -> Result<(), &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "it is no UTF-8")?;
    let whole = text.ends_with('\n');
    let text = text.trim_end_matches(['\n', '\r']);
    let text = text.trim_matches([' ', '\t']);
    if text.is_empty() {
        page.lines.empty += 1;
        return Ok(());
    }
    // Nothing follows the end, and only that line may lack its line feed.
    if page.ended {
        return Err("it stands after `# EOF`");
    }
    if text == "# EOF" {
        page.ended = true;
        page.lines.comments += 1;
        return Ok(());
    }
    // `12` of a `123` that was cut is a number, too.
    if !whole {
        return Err("the page ends inside of it");
    }
    if let Some(comment) = text.strip_prefix('#') {
        page.lines.comments += 1;
        take_kind(comment, page);
        return Ok(());
    }
    let sample = sample(text, open_metrics)?;
    page.lines.samples += 1;
    if needed.contains(&sample.name.as_str()) {
        if page.samples.len() == MOST_SAMPLES {
            page.lines.samples -= 1;
            return Err("the page has more samples than a pod can have");
        }
        page.samples.push(sample);
    }
    Ok(())
}

/// `# TYPE name kind`; other comments say nothing here.
fn take_kind(comment: &str, page: &mut Page) {
    let Some(mut rest) = comment.trim_start().strip_prefix("TYPE") else {
        return;
    };
    skip_blanks(&mut rest);
    let name = if rest.starts_with('"') {
        take_quoted(&mut rest).unwrap_or_default()
    } else {
        take_name(&mut rest, true).to_owned()
    };
    if !name.is_empty() && rest.starts_with([' ', '\t']) {
        page.kinds.insert(name, rest.trim().to_owned());
    }
}

fn sample(text: &str, open_metrics: bool) -> Result<Sample, &'static str> {
    let mut rest = text;
    let mut name = take_name(&mut rest, true).to_owned();
    skip_blanks(&mut rest);
    let mut labels = Labels::new();
    if let Some(after) = rest.strip_prefix('{') {
        rest = after;
        let quoted = take_labels(&mut rest, &mut labels)?;
        match (name.is_empty(), quoted) {
            (true, Some(quoted)) => name = quoted,
            (false, Some(_)) => return Err("it has two names"),
            (_, None) => {}
        }
    }
    if name.is_empty() {
        return Err("it has no metric's name");
    }
    let (before, exemplar) = match rest.split_once('#') {
        Some((before, exemplar)) => (before, Some(exemplar)),
        None => (rest, None),
    };
    let mut words = before.split([' ', '\t']).filter(|word| !word.is_empty());
    let value = words.next().and_then(number).ok_or("it has no value")?;
    let at = match words.next() {
        None => None,
        Some(word) => {
            let time = word.parse::<f64>().ok().filter(|time| time.is_finite());
            let time = time.ok_or("its time is no number")?;
            Some(if open_metrics { time } else { time / 1e3 })
        }
    };
    if words.next().is_some() {
        return Err("something follows the value and the time");
    }
    if let Some(exemplar) = exemplar {
        let mut rest = exemplar.trim_start_matches([' ', '\t']);
        let whole = rest.strip_prefix('{').ok_or("its exemplar has no labels")?;
        rest = whole;
        take_labels(&mut rest, &mut Labels::new())?;
        if rest.split_whitespace().next().and_then(number).is_none() {
            return Err("its exemplar has no value");
        }
    }
    Ok(Sample {
        name,
        labels,
        value,
        at,
    })
}

/// A number as Go writes and reads it.
#[must_use]
pub fn number(text: &str) -> Option<f64> {
    // Rust also knows `infinity` in every case, as Go does, but Go has no other words.
    text.parse().ok()
}

fn skip_blanks(rest: &mut &str) {
    *rest = rest.trim_start_matches([' ', '\t']);
}

/// The name at the start, possibly empty. Names of metrics may hold colons.
fn take_name<'a>(rest: &mut &'a str, colons: bool) -> &'a str {
    let end = rest
        .char_indices()
        .find(|(at, letter)| {
            let letters = letter.is_ascii_alphabetic() || *letter == '_';
            let known =
                letters || (*at > 0 && letter.is_ascii_digit()) || (colons && *letter == ':');
            !known
        })
        .map_or(rest.len(), |(at, _)| at);
    let (name, after) = rest.split_at(end);
    *rest = after;
    name
}

/// Labels up to and with the brace at the end. A quoted text alone at the start is the metric's name.
fn take_labels(rest: &mut &str, labels: &mut Labels) -> Result<Option<String>, &'static str> {
    let mut name = None;
    let mut first = true;
    loop {
        skip_blanks(rest);
        if let Some(after) = rest.strip_prefix('}') {
            *rest = after;
            return Ok(name);
        }
        let quoted = rest.starts_with('"');
        let label = if quoted {
            take_quoted(rest)?
        } else {
            take_name(rest, false).to_owned()
        };
        if label.is_empty() {
            return Err("a label has no name");
        }
        skip_blanks(rest);
        if let Some(after) = rest.strip_prefix('=') {
            *rest = after;
            skip_blanks(rest);
            let value = take_quoted(rest)?;
            if labels.len() == MOST_LABELS {
                return Err("it has too many labels");
            }
            if labels.insert(label, value).is_some() {
                return Err("a label stands there twice");
            }
        } else if quoted && first {
            name = Some(label);
        } else {
            return Err("a label has no value");
        }
        first = false;
        skip_blanks(rest);
        match rest.strip_prefix(',') {
            Some(after) => *rest = after,
            None if rest.starts_with('}') => {}
            None => return Err("the labels are not closed"),
        }
    }
}

/// A text between double quotes. Only `\\`, `\"` and `\n` are escapes; before anything else a backslash
/// is a backslash, as Prometheus reads it.
fn take_quoted(rest: &mut &str) -> Result<String, &'static str> {
    let inside = rest
        .strip_prefix('"')
        .ok_or("a value stands in no quotes")?;
    let mut text = String::new();
    let mut letters = inside.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => {
                *rest = &inside[at + 1..];
                return Ok(text);
            }
            '\\' => match letters.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, same @ ('\\' | '"'))) => text.push(same),
                Some((_, other)) => text.extend(['\\', other]),
                None => break,
            },
            other => text.push(other),
        }
    }
    Err("a quote is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: &[&str] = &["a_total", "a:b", "h_bucket", "name with spaces"];

    fn page(text: &str) -> Page {
        read(text.as_bytes(), false, ALL)
    }

    #[track_caller]
    fn labels_of(line: &str, expected: &[(&str, &str)]) {
        let read = page(&format!("{line}\n"));
        assert_eq!(read.rejected, []);
        let labels: Vec<(&str, &str)> = read.samples[0]
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(labels, expected, "{line}");
    }

    #[test]
    fn a_label_may_hold_whatever_a_careless_reader_trips_over() {
        labels_of(
            r#"a_total{handler="/s/{symbol}"} 1"#,
            &[("handler", "/s/{symbol}")],
        );
        labels_of(
            r#"a_total{a="x,y=z} 7",b="q\"q\\n\n", } 1"#,
            &[("a", "x,y=z} 7"), ("b", "q\"q\\n\n")],
        );
        labels_of(r#"a_total { a = "é # \d" } 1 1000"#, &[("a", "é # \\d")]);
        labels_of(r#"{"name with spaces","a b"="c"} 1"#, &[("a b", "c")]);
        labels_of(
            r#"a:b{le="+Inf"} NaN # {id="}# "} 0.5 1.5"#,
            &[("le", "+Inf")],
        );
        labels_of("a_total{} 1", &[]);
    }

    #[test]
    fn values_and_times_are_read() {
        let read = page("a_total 1.5e3 1700000000123\na_total{x=\"\"} +Inf\n");
        let [first, second] = &read.samples[..] else {
            panic!("{read:?}");
        };
        assert_eq!((first.value, first.at), (1500.0, Some(1_700_000_000.123)));
        assert_eq!(second.value, f64::INFINITY);
        let open = super::read(b"a_total 1 1700000000.5\n# EOF\n", true, ALL);
        assert_eq!(
            (open.samples[0].at, open.ended),
            (Some(1_700_000_000.5), true)
        );
    }

    #[track_caller]
    fn rejects(line: &str, why: &str, needed: bool) {
        let read = page(&format!("ok 1\n{line}\nok 2\n"));
        assert_eq!(read.lines.rejected, 1, "{line}: {read:?}");
        assert_eq!(
            (read.rejected[0].line, read.rejected[0].needed.is_some()),
            (2, needed)
        );
        assert!(
            read.rejected[0].why.contains(why),
            "{}",
            read.rejected[0].why
        );
        assert_eq!(read.lines.samples, 2);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_rejected_and_said() {
        rejects("a_total", "no value", true);
        rejects("other", "no value", false);
        rejects("a_total{a=\"b} 1", "not closed", true);
        rejects("a_total{a=\"b\" 1", "labels are not closed", true);
        rejects("a_total{a=b} 1", "no quotes", true);
        rejects("a_total{a} 1", "no value", true);
        rejects("a_total{a=\"1\",a=\"2\"} 1", "twice", true);
        rejects("a_total 1 2 3", "something follows", true);
        rejects("a_total 1 noon", "time", true);
        rejects("{a=\"a_total\"} 1", "no metric's name", true);
        rejects("a_total 1 # x", "exemplar", true);
        rejects("h_bucket{\"x\",le=\"1\"} 1", "two names", true);
    }

    #[test]
    fn the_end_is_watched() {
        let cut = page("a_total 1\na_total{x=\"1\"} 12");
        assert_eq!((cut.samples.len(), cut.lines.rejected), (1, 1));
        assert_eq!(cut.rejected[0].needed.as_deref(), Some("a_total"));
        let after = page("# EOF\na_total 1\n");
        assert_eq!((after.samples.len(), after.lines.rejected), (0, 1));
        let bytes = super::read(b"a_total{x=\"\xff\"} 1\n", false, ALL);
        assert_eq!(bytes.rejected[0].why, "it is no UTF-8");
    }

    #[test]
    fn kinds_are_known_also_without_samples() {
        let read = page("# HELP a_total x\n# TYPE a_total counter\n\n# TYPE \"b c\" gauge\n");
        assert_eq!(read.kinds["a_total"], "counter");
        assert_eq!(read.kinds["b c"], "gauge");
        assert_eq!((read.lines.comments, read.lines.empty), (3, 1));
    }

    fn written(name: &str, labels: &Labels, value: f64) -> String {
        let mut text = format!("{name}{{");
        for (name, value) in labels {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            text.push_str(&format!("{name}=\"{value}\","));
        }
        format!("{text}}} {value}\n")
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_every_line_is_accounted_for(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            open in any::<bool>(),
        ) {
            let read = read(&bytes, open, ALL);
            let lines = bytes.split_inclusive(|byte| *byte == b'\n').count();
            let Lines { samples, comments, empty, rejected } = read.lines;
            prop_assert_eq!(samples + comments + empty + rejected, lines);
        }

        #[test]
        fn what_looks_like_a_page_does_not_panic(text in "([a_:{}=\",# \\\\\\n0-9é]|a_total|NaN|# EOF){0,80}") {
            let read = page(&text);
            let Lines { samples, comments, empty, rejected } = read.lines;
            prop_assert_eq!(samples + comments + empty + rejected, text.split_inclusive('\n').count());
        }

        #[test]
        fn what_is_written_is_read(
            labels in prop::collection::btree_map("[a-z_][a-z0-9_]{0,5}", any::<String>(), 0..5),
            value in 0_u64..1 << 53,
        ) {
            // A bare carriage return or another control letter is part of a value as any other.
            let read = page(&written("a_total", &labels, value as f64));
            prop_assert_eq!(&read.rejected, &[]);
            prop_assert_eq!(&read.samples[0].labels, &labels);
            prop_assert_eq!(read.samples[0].value, value as f64);
        }

        #[test]
        fn no_cut_invents_a_sample(at in 0_usize..120) {
            let whole = "# TYPE a_total counter\na_total{e=\"/s/{x}\",s=\"200\"} 1234\na_total{e=\"b\"} 56\nh_bucket{le=\"1\"} 7\n";
            let all = page(whole).samples;
            let cut = page(whole.get(..at).unwrap_or(whole));
            prop_assert!(cut.samples.iter().all(|sample| all.contains(sample)));
        }
    }
}
