//! What is not a whole report must never look like one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::HashSet;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use vuln_gate::formats::read;
use vuln_gate::model::{Format, Gap, InputReport, Outcome};

fn fixtures() -> Vec<PathBuf> {
    fn below(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, into);
            } else if !matches!(
                path.extension().and_then(|name| name.to_str()),
                Some("tsv" | "md")
            ) {
                into.push(path);
            }
        }
    }
    let mut files = Vec::new();
    below(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"),
        &mut files,
    );
    files.sort();
    files
}

fn of(bytes: Vec<u8>) -> Vec<InputReport> {
    read("test", Cursor::new(bytes), None)
}

/// Whether a run over this could be green: something was looked at, and nothing is said to be missing.
fn could_be_green(inputs: &[InputReport]) -> bool {
    inputs
        .iter()
        .all(|input| input.outcome.looked_at() && input.notes.is_empty())
}

/// Where a sample is cut: at every byte, or at places that are spread over it and at each of its last bytes.
fn cuts(whole: usize, all: bool) -> Vec<usize> {
    const SPREAD: usize = 200;
    const LAST: usize = 50;
    if all {
        return (0..whole).collect();
    }
    // An odd step meets the bytes of a regular text in every position.
    let step = (whole / SPREAD) | 1;
    let spread = (0..whole).step_by(step);
    spread.chain(whole.saturating_sub(LAST)..whole).collect()
}

/// What a cut leaves depends on what it goes through: so every byte of the smallest sample of each format is met, and
/// of every sample that is small; the others add their length.
#[test]
fn a_report_that_is_cut_off_at_any_byte_is_never_a_whole_one() {
    const SMALL: usize = 1_500;
    let mut samples: Vec<(PathBuf, Vec<u8>)> = fixtures()
        .into_iter()
        // Yarn writes a document a line: a cut between two lines is told by the missing summary, which
        // yarn 4 does not have.
        .filter(|path| !path.ends_with("made/yarn-4.ndjson"))
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            let whole = bytes.trim_ascii_end().len();
            (path, bytes[..whole].to_vec())
        })
        .collect();
    samples.sort_by_key(|(_, bytes)| bytes.len());
    let mut met: HashSet<Format> = HashSet::new();
    let mut work: Vec<(&Path, &[u8], usize)> = Vec::new();
    for (path, bytes) in &samples {
        let whole = of(bytes.clone());
        let first = whole.first().filter(|input| input.outcome.looked_at());
        let is_new = first.is_some_and(|input| met.insert(input.format));
        let ends = cuts(bytes.len(), is_new || bytes.len() <= SMALL);
        work.extend(
            ends.into_iter()
                .map(|end| (path.as_path(), &bytes[..], end)),
        );
    }
    for format in Format::ALL {
        assert!(met.contains(&format), "no sample of {format}");
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let part = work.iter().skip(thread).step_by(threads);
            scope.spawn(move || {
                for (path, bytes, end) in part {
                    let inputs = of(bytes[..*end].to_vec());
                    assert!(
                        !could_be_green(&inputs),
                        "{} cut at {end} of {}: {:?}",
                        path.display(),
                        bytes.len(),
                        inputs.iter().map(|input| input.outcome).collect::<Vec<_>>()
                    );
                }
            });
        }
    });
}

#[test]
fn a_gzip_that_is_cut_off_at_any_byte_is_never_a_whole_report() {
    let path = fixtures()
        .into_iter()
        .find(|path| path.ends_with("npm_audit/no_vuln.json"))
        .unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(&std::fs::read(path).unwrap()).unwrap();
    let bytes = gz.finish().unwrap();
    assert!(could_be_green(&of(bytes.clone())));
    for end in 0..bytes.len() {
        assert!(
            !could_be_green(&of(bytes[..end].to_vec())),
            "cut at {end} of {}",
            bytes.len()
        );
    }
}

#[track_caller]
fn refused(text: impl Into<Vec<u8>>, part: &str) {
    let inputs = of(text.into());
    let last = inputs.last().unwrap();
    assert_eq!(last.outcome, Outcome::NotAReport);
    let why = last.why.as_deref().unwrap();
    assert!(why.contains(part), "{why}");
}

#[test]
fn depth_size_and_repetition_have_limits() {
    refused("[".repeat(100_000), "nested deeper");
    refused(
        format!("{{\"SchemaVersion\": 2, \"x\": {}", "[".repeat(100_000)),
        "nested deeper",
    );
    refused(
        format!("{{\"runs\": [{{\"results\": [{}", "{\"a\":".repeat(100_000)),
        "nested deeper",
    );
    refused(
        format!(
            "{{\"SchemaVersion\": 2, \"ArtifactName\": \"{}\"}}",
            "x".repeat(20 << 20)
        ),
        "larger than 16 MiB",
    );
    refused(
        r#"{"SchemaVersion": 2, "Results": [], "Results": [{"Target": "x"}]}"#,
        "twice",
    );
    refused(
        r#"{"matches": [{"vulnerability": {"id": "CVE-1", "id": "CVE-2"}, "artifact": {}}], "descriptor": {}}"#,
        "duplicate field",
    );
    refused(
        r#"{"SchemaVersion": 2, "Results": {"Target": "x"}}"#,
        "`[` is wanted",
    );
    refused(
        r#"{"SchemaVersion": 2, "Results": [{"Vulnerabilities": ["CVE-1"]}]}"#,
        "invalid type",
    );
}

/// What nobody asks for has the same limit as what is read, and brackets in a text are no levels.
#[test]
fn a_row_has_the_depth_that_a_report_has() {
    let row = |more: &str| {
        format!(
            r#"{{"SchemaVersion": 2, "Results": [{{"Target": "x", "Vulnerabilities": [{{"VulnerabilityID": "CVE-1", "PkgName": "a", "X": {more}}}]}}]}}"#
        )
    };
    let levels = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
    refused(row(&levels(150)), "nested deeper");
    for more in [levels(100), format!("\"{}\"", "[{".repeat(1000))] {
        let inputs = of(row(&more).into_bytes());
        assert_eq!(inputs[0].outcome, Outcome::Findings, "{:?}", inputs[0].why);
    }
}

#[test]
fn a_huge_text_that_nobody_asks_for_is_passed_over() {
    let text = format!(
        "{{\"SchemaVersion\": 2, \"Notes\": \"{}\", \"Results\": [{{\"Target\": \"x\"}}]}}",
        "x".repeat(40 << 20)
    );
    let inputs = of(text.into_bytes());
    assert_eq!(inputs.first().unwrap().outcome, Outcome::Clean);
}

#[test]
fn entities_and_document_types_are_refused() {
    refused(
        "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\">]><analysis>&lol;</analysis>",
        "document type",
    );
    refused(
        "<analysis><projectInfo><name>&lol;</name></projectInfo></analysis>",
        "none of XML's own",
    );
    refused("<html><body/></html>", "root element is `html`");
    refused(
        "<analysis><dependencies/></analysis><analysis/>",
        "more after the root",
    );
    refused(
        format!("<analysis>{}", "<a>".repeat(100_000)),
        "nested deeper",
    );
    refused("<analysis><dependencies></analysis>", "no XML");
}

#[test]
fn several_documents_are_several_inputs() {
    let one = r#"{"SchemaVersion": 2, "Results": [{"Target": "x"}]}"#;
    let two = r#"{"auditReportVersion": 2, "vulnerabilities": {}, "metadata": {}}"#;
    let inputs = of(format!("{one}\n{two}\n").into_bytes());
    let formats: Vec<&str> = inputs.iter().map(|input| input.format.as_str()).collect();
    assert_eq!(formats, ["trivy", "npm-audit"]);
    assert_eq!(inputs[1].document, 2);
    // Rubbish after a report is not passed over.
    let inputs = of(format!("{one} trailing").into_bytes());
    assert_eq!(inputs[1].outcome, Outcome::NotAReport);
}

#[test]
fn a_report_that_counts_more_than_it_lists_is_not_whole() {
    for text in [
        r#"{"auditReportVersion": 2, "vulnerabilities": {}, "metadata": {"vulnerabilities": {"high": 3, "total": 3}}}"#,
        r#"{"database": {"advisory-count": 5}, "vulnerabilities": {"found": true, "count": 2, "list": []}}"#,
        r#"{"report_meta": {"packages_found": 9, "vulnerabilities_found": 4}, "vulnerabilities": []}"#,
    ] {
        let inputs = of(text.as_bytes().to_vec());
        let notes = &inputs.first().unwrap().notes;
        assert!(
            notes.iter().any(|note| note.gap == Gap::MissingRows),
            "{text}: {notes:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = of(bytes);
    }

    #[test]
    fn no_change_of_a_byte_makes_it_panic(pick in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let files = fixtures();
        let mut bytes = std::fs::read(&files[pick.index(files.len())]).unwrap();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = of(bytes);
    }

    #[test]
    fn junk_that_looks_like_a_report_does_not_panic(
        key in prop::sample::select(vec!["SchemaVersion", "Results", "runs", "matches", "results", "vulnerabilities", "advisories", "dependencies", "report_meta", "scanInfo", "Resources", "warnings", "database"]),
        other in prop::sample::select(vec!["Results", "runs", "matches", "results", "vulnerabilities", "advisories", "dependencies", "metadata", "descriptor"]),
        value in prop::sample::select(vec!["null", "[]", "{}", "[null]", "[[]]", "[{}]", "{\"a\": {}}", "\"x\"", "1", "[{\"packages\": [{}]}]", "[{\"vulnerability\": {}}]", "[{\"results\": [{}]}]"]),
    ) {
        if key != other {
            let _ = of(format!("{{\"{key}\": {value}, \"{other}\": {value}}}").into_bytes());
        }
    }
}
