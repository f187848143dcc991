//! What is not a whole report must never look like one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use vuln_gate::formats::read;
use vuln_gate::model::{Gap, InputReport, Outcome};

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

#[test]
fn a_report_that_is_cut_off_at_any_byte_is_never_a_whole_one() {
    let mut cuts = 0;
    for path in fixtures() {
        let bytes = std::fs::read(&path).unwrap();
        let whole = bytes.trim_ascii_end().len();
        // Yarn writes a document a line: a cut between two lines is told by the missing summary, which
        // yarn 4 does not have.
        if path.ends_with("made/yarn-4.ndjson") {
            continue;
        }
        // Every byte of a small sample, and of a large one so many that every part of it is met.
        let step = (whole / 1500).max(1);
        for end in (0..whole)
            .step_by(step)
            .chain(whole.saturating_sub(50)..whole)
        {
            cuts += 1;
            let inputs = of(bytes[..end].to_vec());
            assert!(
                !could_be_green(&inputs),
                "{} cut at {end} of {whole}: {:?}",
                path.display(),
                inputs.iter().map(|input| input.outcome).collect::<Vec<_>>()
            );
        }
    }
    assert!(cuts > 1_500, "{cuts}");
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
