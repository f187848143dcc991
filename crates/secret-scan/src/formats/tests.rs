//! Reports of every kind and age, cut and bent.

use proptest::prelude::*;

use super::*;

const GITLEAKS: &str = include_str!("../../fixtures/gitleaks-8.json");
const GITLEAKS_OLD: &str = include_str!("../../fixtures/gitleaks-6.json");
const TRUFFLEHOG: &str = include_str!("../../fixtures/trufflehog-3.json");

#[track_caller]
fn check(text: &str, format: Format, rows: usize, unique: usize) -> Reading {
    let reading = read(text.as_bytes()).unwrap();
    assert_eq!(
        (reading.format, reading.rows.len(), reading.unique()),
        (format, rows, unique)
    );
    reading
}

#[test]
fn real_reports_are_read_whole() {
    let reading = check(GITLEAKS, Format::Gitleaks, 4, 3);
    assert_eq!(reading.rows[0].line, Some(2));
    check(GITLEAKS_OLD, Format::Gitleaks7, 2, 2);
    let reading = check(TRUFFLEHOG, Format::TruffleHog, 4, 3);
    assert!(
        reading
            .rows
            .iter()
            .all(|row| row.verification == Verification::Verified)
    );
    assert_eq!(
        reading.rows[0].at.unwrap().to_string(),
        "2022-06-16T17:17:40Z"
    );
}

#[test]
fn clean_runs_of_old_and_new() {
    for text in ["[]", "null", " [ ]\n", "\u{feff}[]"] {
        check(text, Format::Gitleaks, 0, 0);
    }
}

#[test]
fn a_log_around_the_report_is_no_part_of_it() {
    let noisy = format!(
        "\u{1b}[90m3:53AM\u{1b}[0m \u{1b}[32mINF\u{1b}[0m 34 commits scanned.\n{GITLEAKS}\n3:53AM WRN leaks found: 4\n"
    );
    let reading = check(&noisy, Format::Gitleaks, 4, 3);
    assert_eq!(reading.stated.commits, Some(34));
    let info = r#"{"level":"info-0","ts":"2026-11-26T03:53:29Z","logger":"trufflehog","msg":"running source"}"#;
    let done = r#"{"level":"info-0","ts":"2026-11-26T03:53:29Z","logger":"trufflehog","msg":"finished scanning","chunks":11,"bytes":235,"trufflehog_version":"3.97.0"}"#;
    let noisy =
        format!("🐷🔑🐷  TruffleHog. Unearth your secrets. 🐷🔑🐷\n{info}\n{TRUFFLEHOG}\n{done}\n");
    let reading = check(&noisy, Format::TruffleHog, 4, 3);
    assert!(reading.stated.finished && reading.stated.chunks == Some(11));
    let reading = check(&format!("{info}\n{done}"), Format::TruffleHog, 0, 0);
    assert_eq!(reading.stated.version.as_deref(), Some("3.97.0"));
    let reading = check(done, Format::TruffleHog, 0, 0);
    assert!(reading.stated.finished);
}

#[test]
fn lines_gathered_into_an_array_are_read_too() {
    let array = format!("[{}]", TRUFFLEHOG.trim().replace('\n', ","));
    check(&array, Format::TruffleHog, 4, 3);
}

#[test]
fn gitleaks_own_sarif_is_read() {
    let row = r#"{"ruleId":"github-pat","message":{"text":"x"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.py"},"region":{"startLine":3,"snippet":{"text":"VALUE"}}}}],"partialFingerprints":{"commitSha":"c0ffee","date":"2026-01-01T00:00:00Z"}}"#;
    let of = |rows: &str| {
        format!(
            r#"{{"version":"2.1.0","runs":[{{"tool":{{"driver":{{"name":"gitleaks"}}}},"results":[{rows}]}}]}}"#
        )
    };
    let reading = check(&of(&format!("{row},{row}")), Format::GitleaksSarif, 2, 1);
    assert_eq!(reading.rows[0].commit.as_deref(), Some("c0ffee"));
    check(&of(""), Format::GitleaksSarif, 0, 0);
    assert!(read(of(&row.replace("ruleId", "rule")).as_bytes()).is_err());
    assert!(read(of(row).replace("gitleaks", "other").as_bytes()).is_err());
}

#[test]
fn a_sarif_without_results_is_no_scan() {
    for text in [
        r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "gitleaks"}}}]}"#,
        r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "gitleaks"}}, "results": null}]}"#,
    ] {
        let error = read(text.as_bytes()).unwrap_err();
        assert_eq!(error, NoReport::NoResults("Gitleaks"), "{text}");
    }
}

#[test]
fn what_is_no_report_is_said_to_be_none() {
    for text in ["", " \n\t", "\u{feff}"] {
        assert_eq!(
            read(text.as_bytes()).unwrap_err(),
            NoReport::Empty,
            "{text:?}"
        );
    }
    for text in [
        "hello",
        "{}",
        "[1]",
        "{\"a\":1}",
        "<xml/>",
        "[{\"RuleID\":1}]",
        "true",
        "{\"vulnerabilities\":{}}",
    ] {
        assert_eq!(
            read(text.as_bytes()).unwrap_err(),
            NoReport::Unknown,
            "{text:?}"
        );
    }
    let two = format!("{}\n{{\"other\":1}}\n", TRUFFLEHOG.trim());
    assert!(read(two.as_bytes()).is_err());
}

#[test]
fn a_report_that_is_cut_anywhere_is_no_report() {
    let text = GITLEAKS.trim_end();
    for end in 1..text.len() {
        assert!(read(&text.as_bytes()[..end]).is_err(), "{end}");
    }
    // Of JSON lines a cut between two of them cannot be seen in the lines alone.
    let text = TRUFFLEHOG.trim_end();
    let whole: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    for end in 1..text.len() {
        let read = read(&text.as_bytes()[..end]);
        let at_a_seam = whole.iter().any(|at| end == *at || end == at + 1);
        assert_eq!(read.is_ok(), at_a_seam, "{end}");
    }
}

#[test]
fn a_row_that_is_none_spoils_the_whole() {
    let bent = GITLEAKS.replacen("\"RuleID\"", "\"Rule\"", 1);
    assert!(read(bent.as_bytes()).is_err());
}

#[test]
fn errors_of_git_and_of_the_scan_are_told_apart() {
    let stated =
        log::read("3:53AM ERR [git] fatal: bad revision 'x'\n3:53AM INF 0 commits scanned.\n");
    assert_eq!((stated.git_errors.len(), stated.commits), (1, Some(0)));
    let stated = log::read("fatal: not a git repository\n");
    assert_eq!(stated.git_errors.len(), 1);
    let stated = log::read("error: no such option\n3:53AM ERR could not read file\n");
    assert_eq!((stated.git_errors.len(), stated.errors.len()), (0, 1));
    let stated = log::read("panic: runtime error: index out of range\n\ngoroutine 1 [running]:\n");
    assert!(stated.panicked);
    let stated = log::read(
        r#"{"level":"info-2","ts":"x","logger":"trufflehog","msg":"Error waiting for git command to complete.","error":"exit status 128"}"#,
    );
    assert_eq!(stated.git_errors.len(), 1);
    let stated = log::read(
        r#"{"level":"error","ts":"x","logger":"trufflehog","msg":"error scanning chunk","error":"boom"}"#,
    );
    assert_eq!((stated.git_errors.len(), stated.errors.len()), (0, 1));
}

#[test]
fn depth_and_size_are_no_danger() {
    let deep = "[".repeat(100_000);
    assert!(read(deep.as_bytes()).is_err());
    let deep = "{\"a\":".repeat(100_000);
    assert!(read(deep.as_bytes()).is_err());
    let huge = format!(
        r#"[{{"RuleID":"r","File":"f","Secret":"{}","Secret":"twice"}}]"#,
        "x".repeat(1 << 20)
    );
    assert_eq!(read(huge.as_bytes()).unwrap().rows.len(), 1);
}

#[test]
fn utf_16_is_read() {
    let mut bytes = vec![0xff, 0xfe];
    for unit in GITLEAKS.encode_utf16() {
        bytes.extend(unit.to_le_bytes());
    }
    assert_eq!(read(&bytes).unwrap().rows.len(), 4);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes).is_ok();
    }

    #[test]
    fn no_change_of_a_byte_makes_it_panic(at in 0..GITLEAKS.len(), byte in any::<u8>()) {
        let mut bytes = GITLEAKS.as_bytes().to_vec();
        bytes[at] = byte;
        let _ = read(&bytes).is_ok();
    }

    #[test]
    fn no_log_makes_it_panic(text in "[ -~\n]{0,300}") {
        let (rest, split) = log::split(&text);
        prop_assert_eq!(log::read(&text), split);
        prop_assert!(rest.len() <= text.len() + 1);
    }

    /// What is read of a bent report is joined without losing a row.
    #[test]
    fn bent_reports_are_joined_whole(
        edits in prop::collection::vec((0..TRUFFLEHOG.len(), 32..127u8), 0..6),
        which in 0..3usize,
    ) {
        let mut bytes = [GITLEAKS, GITLEAKS_OLD, TRUFFLEHOG][which].as_bytes().to_vec();
        for (at, byte) in edits {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Ok(reading) = read(&bytes) {
            let joined = crate::incident::join(&reading.rows, &crate::value::Key::default());
            prop_assert_eq!(joined.iter().map(|one| one.rows).sum::<usize>(), reading.rows.len());
            prop_assert!(reading.unique() <= reading.rows.len());
        }
    }
}
