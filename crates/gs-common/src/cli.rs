//! What all command lines have in common: shared arguments, the verbs `config`, `completions` and
//! `man`, colour, and how a tool talks on stderr.
//!
//! Nothing here prints: [`parse`] hands back what clap wants to say, and [`Talk`] writes to what
//! its owner gave it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use clap::builder::Styles;
use clap::{Args, CommandFactory, Parser, ValueEnum};

use crate::config::{ConfigError, Row};
use crate::exit::Exit;
use crate::redact::Redactor;

/// Where the report goes and what the exit code makes of it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// A face of the report and its place; may be repeated, `-` or no path is stdout
    ///
    /// FORMAT is one of human, json, junit, markdown, github, html, prometheus, tap,
    /// sarif. Without a face for stdout, the human one goes there.
    #[arg(long, short = 'o', value_name = "FORMAT[=PATH]")]
    pub output: Vec<String>,
    /// A verdict of `warn` ends with exit code 1
    #[arg(long)]
    pub strict: bool,
    /// A verdict of `warn` or `fail` ends with exit code 0, and this is said aloud
    ///
    /// No verdict stays exit code 3.
    #[arg(long)]
    pub report_only: bool,
    /// Only the verdict
    #[arg(long, short = 'q', conflicts_with = "verbose")]
    pub quiet: bool,
    /// More detail; twice for everything
    #[arg(long, short = 'v', action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// When to use colour
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        env = "GS_COLOR",
        default_value_t
    )]
    pub color: Color,
}

/// Which configuration file.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// Read this file instead of the nearest goldensignals.toml
    #[arg(long, value_name = "FILE", env = "GS_CONFIG", global = true)]
    pub config: Option<PathBuf>,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether to colour what goes to a stream, by <https://no-color.org>.
    #[must_use]
    pub fn wanted(self, variables: &BTreeMap<String, String>, is_terminal: bool) -> bool {
        let set = |name: &str| variables.get(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if set("NO_COLOR") => false,
            Self::Auto if variables.get("TERM").is_some_and(|term| term == "dumb") => false,
            Self::Auto => is_terminal,
        }
    }
}

/// The shells that completions can be made for.
pub use clap_complete::Shell;

/// The verbs that every tool has.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum CommonVerb {
    /// Print every setting with its value and origin
    Config {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// Colours of the help text.
#[must_use]
pub fn styles() -> Styles {
    Styles::styled()
        .header(AnsiColor::Green.on_default().bold())
        .usage(AnsiColor::Green.on_default().bold())
        .literal(AnsiColor::Cyan.on_default().bold())
        .placeholder(AnsiColor::Cyan.on_default())
}

/// A command line that ends the run before it began: help, version, or a mistake.
#[derive(Debug)]
pub struct Early {
    /// What to say, coloured; the stream decides whether colour stays.
    pub text: String,
    /// Data for stdout (help that was asked for), else talk for stderr.
    pub to_stdout: bool,
    /// How to end.
    pub exit: Exit,
}

impl Early {
    /// The text as a stream gets it: with colour where that is wanted.
    #[must_use]
    pub fn shown(&self, variables: &BTreeMap<String, String>, is_terminal: bool) -> String {
        if Color::Auto.wanted(variables, is_terminal) {
            self.text.clone()
        } else {
            anstream::adapter::strip_str(&self.text).to_string()
        }
    }
}

/// Reads a command line.
///
/// # Errors
/// There is nothing to run: help or version was asked for, or the line is wrong.
pub fn parse<T: Parser>(line: impl IntoIterator<Item = OsString>) -> Result<T, Early> {
    T::try_parse_from(line).map_err(|error| {
        let to_stdout = !error.use_stderr();
        Early {
            text: error.render().ansi().to_string(),
            to_stdout,
            exit: if to_stdout { Exit::Good } else { Exit::Usage },
        }
    })
}

/// Writes the completion script of a tool.
///
/// # Errors
/// The writer fails.
pub fn completions<T: CommandFactory>(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    let mut command = T::command();
    let name = command.get_name().to_owned();
    // The generator panics where its writer fails, so it never sees ours.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    out.write_all(&script)
}

/// Writes the manual page of a tool, its verbs included.
///
/// # Errors
/// The writer fails.
pub fn man<T: CommandFactory>(out: &mut dyn Write) -> io::Result<()> {
    let mut command = T::command().disable_help_subcommand(true);
    command.build();
    clap_mangen::Man::new(command.clone()).render(out)?;
    for verb in command.get_subcommands() {
        writeln!(out, ".SH \"VERB {}\"", verb.get_name().to_uppercase())?;
        let page = clap_mangen::Man::new(verb.clone());
        page.render_description_section(out)?;
        page.render_options_section(out)?;
    }
    Ok(())
}

/// Writes what `TOOL config` shows: key, value and origin of each setting.
///
/// # Errors
/// The writer fails.
pub fn show_settings(rows: &[Row], json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        let values: Vec<serde_json::Value> = rows
            .iter()
            .map(|Row { key, value, origin }| {
                serde_json::json!({"key": key, "value": value, "origin": origin.to_string()})
            })
            .collect();
        return writeln!(out, "{:#}", serde_json::Value::Array(values));
    }
    let width = |text: fn(&Row) -> &str| rows.iter().map(|row| text(row).chars().count()).max();
    let keys = width(|row| &row.key).unwrap_or(0);
    let values = width(|row| &row.value).unwrap_or(0).min(60);
    for Row { key, value, origin } in rows {
        let value = if value.is_empty() { "-" } else { value };
        writeln!(out, "{key:keys$}  {value:values$}  {origin}")?;
    }
    Ok(())
}

/// How a tool talks to people beside its report: on stderr, redacted, by level.
pub struct Talk {
    out: Box<dyn Write + Send>,
    redactor: Redactor,
    color: bool,
    quiet: bool,
    verbose: u8,
}

impl std::fmt::Debug for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Talk")
            .field("color", &self.color)
            .finish_non_exhaustive()
    }
}

impl Talk {
    /// Talks to `out`, hiding what `redactor` knows.
    pub fn new(
        out: impl Write + Send + 'static,
        redactor: Redactor,
        color: bool,
        output: &OutputArgs,
    ) -> Self {
        Self {
            out: Box::new(out),
            redactor,
            color,
            quiet: output.quiet,
            verbose: output.verbose,
        }
    }

    /// What was lost, its causes and what to do. Never silenced.
    pub fn error(&mut self, message: &str, hint: Option<&str>) {
        self.say("error", AnsiColor::Red, message);
        if let Some(hint) = hint {
            self.line("");
            self.say("hint", AnsiColor::Cyan, hint);
        }
    }

    /// A configuration error.
    pub fn config_error(&mut self, error: &ConfigError) {
        self.error(&error.to_string(), error.hint.as_deref());
    }

    /// Something that deserves a look. Never silenced.
    pub fn warning(&mut self, message: &str) {
        self.say("warning", AnsiColor::Yellow, message);
    }

    /// What is going on; silenced by `-q`.
    pub fn note(&mut self, message: &str) {
        if !self.quiet {
            self.line(message);
        }
    }

    /// Detail for `-v`.
    pub fn detail(&mut self, message: &str) {
        if self.verbose > 0 {
            self.line(message);
        }
    }

    fn say(&mut self, level: &str, color: AnsiColor, message: &str) {
        let style = if self.color {
            Style::new().bold().fg_color(Some(color.into()))
        } else {
            Style::new()
        };
        let clean = self.redactor.text(message).into_owned();
        self.write(&format!("{style}{level}:{style:#} {clean}\n"));
    }

    fn line(&mut self, message: &str) {
        let clean = format!("{}\n", self.redactor.text(message));
        self.write(&clean);
    }

    fn write(&mut self, text: &str) {
        // Nobody listens any more: there is no one left to tell, and the report has its own way out.
        let _ = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Parser, Debug)]
    #[command(name = "demo", version, styles = styles())]
    struct Demo {
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        config: ConfigArgs,
        #[command(subcommand)]
        verb: Option<CommonVerb>,
    }

    fn early(line: &[&str]) -> Early {
        let line = std::iter::once("demo").chain(line.iter().copied());
        parse::<Demo>(line.map(OsString::from)).unwrap_err()
    }

    #[test]
    fn help_is_data_and_a_mistake_is_talk() {
        let help = early(&["--help"]);
        assert!(help.to_stdout && help.exit == Exit::Good);
        let mistake = early(&["--no-such-option"]);
        assert!(!mistake.to_stdout && mistake.exit == Exit::Usage);
        assert!(!mistake.text.is_empty());
    }

    #[test]
    fn colour_obeys_the_terminal_and_no_color() {
        let none = BTreeMap::new();
        let no_color = BTreeMap::from([("NO_COLOR".to_owned(), "1".to_owned())]);
        let empty = BTreeMap::from([("NO_COLOR".to_owned(), String::new())]);
        let dumb = BTreeMap::from([("TERM".to_owned(), "dumb".to_owned())]);
        assert!(Color::Auto.wanted(&none, true) && !Color::Auto.wanted(&none, false));
        assert!(!Color::Auto.wanted(&no_color, true) && Color::Always.wanted(&no_color, false));
        assert!(Color::Auto.wanted(&empty, true) && !Color::Auto.wanted(&dumb, true));
        assert!(!Color::Never.wanted(&none, true));
    }

    #[test]
    fn completions_and_the_manual_name_the_tool() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            completions::<Demo>(*shell, &mut script).unwrap();
            assert!(
                String::from_utf8(script).unwrap().contains("demo"),
                "{shell}"
            );
        }
        let mut page = Vec::new();
        man::<Demo>(&mut page).unwrap();
        assert!(String::from_utf8(page).unwrap().contains("VERB CONFIG"));
    }

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<u8>>>);

    impl Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn talk_hides_secrets_and_obeys_quiet() {
        let heard = Heard::default();
        let redactor = Redactor::new();
        redactor.add("token", "tok-12345").unwrap();
        let output = OutputArgs {
            quiet: true,
            ..OutputArgs::default()
        };
        let mut talk = Talk::new(heard.clone(), redactor, false, &output);
        talk.note("silenced");
        talk.error("no verdict: tok-12345 was refused", Some("renew it"));
        let said = String::from_utf8(heard.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            said,
            "error: no verdict: *** was refused\n\nhint: renew it\n"
        );
    }
}
