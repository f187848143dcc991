//! Where the faces of a report go, and what GitHub Actions gets beside them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use crate::cli::{OutputArgs, Talk};
use crate::exit::Exit;
use crate::file::{FileError, write_atomic};
use crate::redact::{Redacted, Redactor};
use crate::render::{Format, Look, escape_data, left_out, render, within};
use crate::report::Report;
use crate::verdict::Verdict;

/// A step summary beyond this many bytes is refused whole by GitHub (1 MiB with its own frame).
const LARGEST_SUMMARY: u64 = 1_000_000;

/// Where one face goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The standard output.
    Stdout,
    /// A file, written whole or not at all.
    File(PathBuf),
}

/// The faces of a run with their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sinks {
    faces: Vec<(Format, Place)>,
}

impl Sinks {
    /// Reads the values of `--output`. Where nothing claims stdout, the human face goes there.
    ///
    /// # Errors
    /// An unknown format, two faces for stdout, or two for one file.
    pub fn parse(values: &[String]) -> Result<Self, String> {
        let mut faces: Vec<(Format, Place)> = Vec::new();
        for value in values {
            let (name, path) = value
                .split_once('=')
                .map_or((value.as_str(), "-"), |(name, path)| (name, path));
            let format: Format = name.parse().map_err(|error| format!("--output: {error}"))?;
            let place = match path {
                "" => return Err(format!("--output: `{value}` has no path after `=`")),
                "-" => Place::Stdout,
                path => Place::File(path.into()),
            };
            if faces.iter().any(|(_, other)| *other == place) {
                return Err(match place {
                    Place::Stdout => {
                        "--output: only one face can go to stdout; give the others a path"
                            .to_owned()
                    }
                    Place::File(path) => format!("--output: two faces go to `{}`", path.display()),
                });
            }
            faces.push((format, place));
        }
        if faces.iter().all(|(_, place)| *place != Place::Stdout) {
            faces.push((Format::Human, Place::Stdout));
        }
        Ok(Self { faces })
    }

    /// Whether stdout belongs to people, so that talk and annotations may go there too.
    #[must_use]
    pub fn stdout_is_for_people(&self) -> bool {
        self.faces.contains(&(Format::Human, Place::Stdout))
    }

    /// The first file that gets a format.
    fn file_of(&self, format: Format) -> Option<&Path> {
        self.faces.iter().find_map(|(other, place)| match place {
            Place::File(path) if *other == format => Some(path.as_path()),
            _ => None,
        })
    }
}

/// GitHub Actions, found by its own variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actions {
    summary: Option<PathBuf>,
    output: Option<PathBuf>,
    temp: Option<PathBuf>,
}

impl Actions {
    /// The runner that these variables speak of, if they do.
    #[must_use]
    pub fn detect(variables: &BTreeMap<String, String>) -> Option<Self> {
        let path = |name: &str| {
            variables
                .get(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        (variables.get("GITHUB_ACTIONS").map(String::as_str) == Some("true")).then(|| Self {
            summary: path("GITHUB_STEP_SUMMARY"),
            output: path("GITHUB_OUTPUT"),
            temp: path("RUNNER_TEMP"),
        })
    }

    /// The workflow commands that make the runner hide the secrets of this run in its own log.
    #[must_use]
    pub fn masks(redactor: &Redactor) -> String {
        let secrets = redactor.secrets();
        // The runner masks line by line.
        let lines = secrets
            .iter()
            .flat_map(|secret| secret.lines())
            .filter(|line| !line.trim().is_empty());
        lines
            .map(|line| format!("::add-mask::{}\n", escape_data(line)))
            .collect()
    }
}

/// What could not be delivered. Everything else was.
#[derive(Debug, thiserror::Error)]
#[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct SinkError {
    /// The places that failed, with the reason.
    pub problems: Vec<FileError>,
}

/// Redacts a report and writes each face to its place. A face that cannot be written does not keep
/// the others back. A closed stdout is a quiet end.
///
/// # Errors
/// Some file could not be written; the error names all of them.
pub fn deliver(
    report: Report,
    redactor: &Redactor,
    sinks: &Sinks,
    look: &Look,
    actions: Option<&Actions>,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> Result<(), SinkError> {
    // The process ends after this: to let go of tens of thousands of findings one by one takes as long as to judge them.
    let report = ManuallyDrop::new(redactor.report(report));
    let mut problems = Vec::new();
    for (format, place) in &sinks.faces {
        let written = match place {
            Place::Stdout => quiet_when_closed(stdout_face(
                *format, &report, look, actions, stdout,
            ))
            .map_err(|cause| FileError {
                path: "stdout".into(),
                cause,
            }),
            Place::File(path) => {
                let plain = Look {
                    color: false,
                    ..*look
                };
                write_atomic(path, |out| render(*format, &report, &plain, out))
            }
        };
        problems.extend(written.err());
    }
    if sinks
        .faces
        .iter()
        .any(|(format, _)| *format == Format::Sarif)
        && let Ok(Some(told)) = left_out(&report)
    {
        // Nobody listens any more: the file itself says it too.
        let _ = writeln!(stderr, "warning: {told}");
    }
    if let Some(actions) = actions {
        let told = if sinks.stdout_is_for_people() {
            tell_actions(actions, &report, sinks, stdout)
        } else {
            tell_actions(actions, &report, sinks, stderr)
        };
        problems.extend(told);
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(SinkError { problems })
    }
}

/// Delivers a report and says how the process has to end. What cannot be delivered turns a good end
/// into none: nobody could read about it.
#[expect(
    clippy::too_many_arguments,
    reason = "a tool's last act needs all that it was given"
)]
pub fn conclude(
    report: Report,
    redactor: &Redactor,
    sinks: &Sinks,
    output: &OutputArgs,
    variables: &BTreeMap<String, String>,
    look: &Look,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
    talk: &mut Talk,
) -> Exit {
    let actions = Actions::detect(variables);
    if actions.is_some() {
        // The runner has to know the secrets before it sees any output that could hold one.
        let _ = stderr.write_all(Actions::masks(redactor).as_bytes());
    }
    let exit = Exit::of(&report, output.strict, output.report_only);
    let verdict = report.verdict;
    let delivered = deliver(
        report,
        redactor,
        sinks,
        look,
        actions.as_ref(),
        stdout,
        stderr,
    );
    if output.report_only && verdict >= Verdict::Warn && exit == Exit::Good {
        talk.warning(&format!(
            "--report-only: the verdict is {verdict}, the exit code says 0 all the same"
        ));
    }
    let Err(error) = delivered else {
        return exit;
    };
    for problem in &error.problems {
        talk.error(
            &format!("the report is not complete: {problem}"),
            Some(problem.hint()),
        );
    }
    if exit == Exit::Good {
        Exit::NoVerdict
    } else {
        exit
    }
}

fn stdout_face(
    format: Format,
    report: &Redacted,
    look: &Look,
    actions: Option<&Actions>,
    out: &mut dyn Write,
) -> io::Result<()> {
    // Of its own, stdout writes at every line: a system call each for the half a million lines of a large report.
    let mut out = io::BufWriter::with_capacity(64 * 1024, out);
    // A body that holds `::set-output` must not be obeyed by the runner that reads this log.
    let token = (format == Format::Human && actions.is_some()).then(|| token("stop"));
    if let Some(token) = &token {
        writeln!(out, "::stop-commands::{token}")?;
    }
    render(format, report, look, &mut out)?;
    if let Some(token) = &token {
        writeln!(out, "::{token}::")?;
    }
    out.flush()
}

fn tell_actions(
    actions: &Actions,
    report: &Redacted,
    sinks: &Sinks,
    talk: &mut dyn Write,
) -> Vec<FileError> {
    let mut problems = Vec::new();
    let annotated = quiet_when_closed(
        render(Format::Github, report, &Look::default(), talk).and_then(|()| talk.flush()),
    );
    problems.extend(annotated.err().map(|cause| FileError {
        path: "annotations".into(),
        cause,
    }));
    if let Some(path) = &actions.summary {
        let there = std::fs::metadata(path).map_or(0, |file| file.len());
        let room = usize::try_from(LARGEST_SUMMARY.saturating_sub(there)).unwrap_or(0);
        problems.extend(append(path, &format!("{}\n", within(report, room))).err());
    }
    let file = match (sinks.file_of(Format::Json), &actions.temp) {
        (Some(path), _) => Some(path.to_owned()),
        (None, Some(temp)) => {
            let path = temp.join(format!("{}-report.json", report.tool.name));
            match write_atomic(&path, |out| {
                render(Format::Json, report, &Look::default(), out)
            }) {
                Ok(()) => Some(path),
                Err(problem) => {
                    problems.push(problem);
                    None
                }
            }
        }
        (None, None) => None,
    };
    if let Some(path) = &actions.output {
        let mut outputs =
            output("verdict", report.verdict.as_str()) + &output("reason", &report.reason);
        if let Some(file) = file {
            outputs += &output("report", &file.display().to_string());
        }
        problems.extend(append(path, &outputs).err());
    }
    problems
}

/// A typed output. The delimiter is random, so that no value can end itself and add another.
fn output(name: &str, value: &str) -> String {
    let delimiter = token("value");
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

fn token(what: &str) -> String {
    format!(
        "gs-{what}-{:016x}{:016x}",
        fastrand::u64(..),
        fastrand::u64(..)
    )
}

fn append(path: &Path, text: &str) -> Result<(), FileError> {
    let written = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|cause| FileError {
        path: path.to_owned(),
        cause,
    })
}

/// A reader that has seen enough is no failure.
fn quiet_when_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        serde_json::from_str(include_str!("../tests/golden/report-v1.json")).unwrap()
    }

    fn delivered(
        values: &[&str],
        variables: &[(&str, String)],
    ) -> (Result<(), SinkError>, String, String) {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let variables = variables
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect();
        let actions = Actions::detect(&variables);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let sinks = Sinks::parse(&values).unwrap();
        let done = deliver(
            report(),
            &Redactor::new(),
            &sinks,
            &Look::default(),
            actions.as_ref(),
            &mut out,
            &mut err,
        );
        (
            done,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    #[test]
    fn json_on_stdout_is_alone_there() {
        let (done, out, err) = delivered(&["json"], &[]);
        done.unwrap();
        assert!(serde_json::from_str::<Report>(&out).is_ok() && err.is_empty());
    }

    #[test]
    fn people_get_the_human_face_beside_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.xml");
        let (done, out, _) = delivered(&[&format!("junit={}", path.display())], &[]);
        done.unwrap();
        assert!(
            out.contains("FAIL")
                && std::fs::read_to_string(path)
                    .unwrap()
                    .contains("<testsuites")
        );
    }

    #[test]
    fn a_place_is_for_one_face() {
        let parse = |values: &[&str]| {
            Sinks::parse(&values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>())
        };
        assert!(
            parse(&["json", "human"])
                .unwrap_err()
                .contains("only one face")
        );
        assert!(
            parse(&["json=a", "junit=a"])
                .unwrap_err()
                .contains("two faces")
        );
        assert!(
            parse(&["jsn"])
                .unwrap_err()
                .contains("did you mean `json`?")
        );
        assert!(
            parse(&["yaml"])
                .unwrap_err()
                .contains("unknown format `yaml`")
        );
        assert!(parse(&["json="]).unwrap_err().contains("no path"));
    }

    #[test]
    fn one_broken_place_does_not_keep_the_others_back() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good.json");
        let bad = folder.path().join("none/bad.xml");
        let (done, out, _) = delivered(
            &[
                &format!("junit={}", bad.display()),
                &format!("json={}", good.display()),
            ],
            &[],
        );
        assert_eq!(done.unwrap_err().problems.len(), 1);
        assert!(good.exists() && out.contains("FAIL"));
    }

    #[test]
    fn actions_get_annotations_a_summary_and_outputs() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let variables = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_STEP_SUMMARY", path("summary")),
            ("GITHUB_OUTPUT", path("output")),
            ("RUNNER_TEMP", folder.path().display().to_string()),
        ];
        let (done, out, err) = delivered(&["json"], &variables);
        done.unwrap();
        assert!(
            serde_json::from_str::<Report>(&out).is_ok(),
            "stdout is data"
        );
        assert!(
            err.starts_with("::error title=smoke-test%3A pipeline-stats::"),
            "{err}"
        );
        assert!(
            std::fs::read_to_string(path("summary"))
                .unwrap()
                .starts_with("## ❌ smoke-test: fail")
        );
        let outputs = std::fs::read_to_string(path("output")).unwrap();
        assert!(
            outputs.starts_with("verdict<<gs-value-") && outputs.contains("\nfail\n"),
            "{outputs}"
        );
        assert!(
            outputs.contains("smoke-test-report.json")
                && Path::new(&path("smoke-test-report.json")).exists()
        );

        let (_, out, _) = delivered(&[], &variables);
        assert!(out.starts_with("::stop-commands::gs-stop-"), "{out}");
    }

    #[test]
    fn a_summary_that_is_nearly_full_gets_whole_sections_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary");
        write_atomic(&path, |out| out.write_all(&vec![b'x'; 999_300])).unwrap();
        let variables = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_STEP_SUMMARY", path.display().to_string()),
        ];
        delivered(&["json"], &variables).0.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("left out: the page would be too large"),
            "{}",
            &text[999_300..]
        );
    }

    #[test]
    fn masks_name_every_line_of_every_secret() {
        let redactor = Redactor::new();
        redactor.add("key", "line-one\nline%two").unwrap();
        assert_eq!(
            Actions::masks(&redactor),
            "::add-mask::line-one\n::add-mask::line%25two\n"
        );
    }
}
