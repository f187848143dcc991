//! The command lines that pages, workflows and scripts show, taken out of them so that each tool can
//! parse its own. Included by each tool's tests; it depends on nothing of ours.

use std::path::{Path, PathBuf};

/// A command line and where it stands.
#[derive(Debug)]
pub(crate) struct Line {
    /// File and line.
    pub(crate) place: String,
    /// The words, the tool's name first.
    pub(crate) words: Vec<String>,
}

/// Every command line of a tool in the pages, the Makefile, the workflows and the scripts.
pub(crate) fn of(tool: &str) -> Vec<Line> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = vec![
        root.join("README.md"),
        root.join("CONTRIBUTING.md"),
        root.join("Makefile"),
    ];
    for folder in ["docs", ".github", "tools", "deploy"] {
        collect(&root.join(folder), &mut files);
    }
    let mut lines = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        lines.extend(containers(&text, tool).map(|(number, words)| Line {
            place: format!("{}:{number}", file.display()),
            words,
        }));
        let text = text.replace("\\\n", " ");
        for (index, line) in text.lines().enumerate() {
            let place = format!("{}:{}", file.display(), index + 1);
            lines.extend(commands(line, tool).map(|words| Line {
                place: place.clone(),
                words,
            }));
        }
    }
    lines
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| {
            ["md", "yml", "yaml", "sh"]
                .iter()
                .any(|known| end == *known)
        }) {
            files.push(path);
        }
    }
}

/// The commands of a Kubernetes manifest: `command: [...]` that names the tool, and the `args` beside it. Reads
/// the two ways of writing a list that the manifests use, one line `[...]` or an item a line.
fn containers<'a>(text: &'a str, tool: &'a str) -> impl Iterator<Item = (usize, Vec<String>)> + 'a {
    let lines: Vec<&str> = text.lines().collect();
    (0..lines.len()).filter_map(move |at| {
        let line = lines[at];
        let mut words = flow_list(line.trim_start().strip_prefix("command:")?)?;
        if words.first()?.rsplit('/').next() != Some(tool) {
            return None;
        }
        words[0] = tool.to_owned();
        let indent = line.len() - line.trim_start().len();
        let mut inside = false;
        for line in &lines[at + 1..] {
            let (start, deep) = (line.trim_start(), line.len() - line.trim_start().len());
            match start.strip_prefix("args:") {
                _ if start.is_empty() || start.starts_with('#') => {}
                Some(rest) if deep == indent => match flow_list(rest) {
                    Some(more) => words.extend(more),
                    None => inside = true,
                },
                // Items may stand below their key without being indented.
                _ if inside && deep >= indent && start.starts_with("- ") => {
                    let item = split(&start[2..]);
                    words.extend(item.into_iter().take_while(|word| !word.starts_with('#')));
                }
                _ if inside || deep < indent => break,
                _ => {}
            }
        }
        Some((at + 1, words))
    })
}

/// A YAML list on one line, of plain or quoted words without commas in them.
fn flow_list(text: &str) -> Option<Vec<String>> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    Some(inner.split(',').flat_map(split).collect())
}

/// The commands of a line: what starts with the tool's name, after `$`, `run:`, a path, a variable
/// assignment or a helper function, in a code span or alone.
fn commands<'a>(line: &'a str, tool: &'a str) -> impl Iterator<Item = Vec<String>> + 'a {
    let spans: Vec<&str> = if line.contains('`') && !line.trim_start().starts_with("```") {
        line.split('`').skip(1).step_by(2).collect()
    } else {
        vec![line]
    };
    spans.into_iter().filter_map(move |span| {
        let words = split(span);
        let start = words
            .iter()
            .position(|word| word.rsplit('/').next() == Some(tool))?;
        let lead = &words[..start];
        let plain = lead.iter().all(|word| {
            matches!(
                word.as_str(),
                "$" | "run:" | "-" | "exec" | "expect" | "0" | "1" | "3"
            ) || word.contains('=')
        });
        let mut words: Vec<String> = words[start..]
            .iter()
            .take_while(|word| !ends_command(word))
            .cloned()
            .collect();
        words[0] = tool.to_owned();
        // A name alone is a mention, and one with a version the head of recorded output.
        let command = words
            .get(1)
            .is_some_and(|word| !word.starts_with(|c: char| c.is_ascii_digit()));
        (plain && command).then_some(words)
    })
}

/// Splits as a shell does, without expanding anything.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut open = false;
    for c in line.trim().chars() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                open = true;
            }
            (None, c) if c.is_whitespace() => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (None, c) => word.push(c),
        }
    }
    if open || !word.is_empty() {
        words.push(word);
    }
    words
}

/// Whether a word belongs to the shell: a pipe, a redirection, the next command, a comment.
fn ends_command(word: &str) -> bool {
    word.starts_with(['>', '|', '&', ';', '#', '<']) || word.starts_with("2>")
}
