use proptest::prelude::*;

use super::*;
use crate::simulate::{World, make, scenario};

/// A log of a short run, as its lines.
fn sample() -> Vec<String> {
    let size = World {
        rate: 20.0,
        stable_pods: 2,
        duration_seconds: 900.0,
        extra_seconds: 0.0,
        seed: 1,
    };
    let (header, scrapes) = make(scenario::find("healthy").unwrap(), &size);
    let log = LogHeader {
        schema: SCHEMA.to_owned(),
        tool: crate::summary::tool(),
        run: "r".to_owned(),
        subject: "canary-0".to_owned(),
        started_at: "2026-11-24T02:00:00Z".parse().unwrap(),
        observations: header,
        policy: Policy::default(),
        settings: BTreeMap::from([("interval".to_owned(), "30s".to_owned())]),
        settings_sha256: "0".to_owned(),
        queries: Vec::new(),
        steps: vec![0.1, 0.25],
        time_scale: 1.0,
        warnings: Vec::new(),
    };
    let at = "2026-11-24T02:01:00Z".parse().unwrap();
    let lines = [
        Line::Scrape(scrapes[0].clone()),
        Line::Lost {
            at_seconds: 15.0,
            what: "a \"quoted\"\nline".to_owned(),
        },
        Line::Operator {
            at_seconds: 20.0,
            at,
            who: "me".to_owned(),
            action: "note".to_owned(),
            text: Some("é".to_owned()),
        },
        Line::Scrape(scrapes[1].clone()),
        Line::Step {
            at_seconds: 30.0,
            step: 1,
            weight: 0.1,
        },
        Line::Until {
            at_seconds: 30.0,
            until_seconds: 1200.0,
            why: "x".to_owned(),
        },
        Line::End {
            at_seconds: 31.0,
            short: true,
            reason: "deadline".to_owned(),
            why: "x".to_owned(),
        },
    ];
    let first = serde_json::to_string(&log).unwrap() + "\n";
    std::iter::once(first)
        .chain(lines.iter().map(|line| line.encode().unwrap()))
        .collect()
}

#[test]
fn every_line_comes_back_as_it_was_written() {
    let lines = sample();
    let recording = read(&lines.concat()).unwrap();
    assert!(recording.log.is_some() && recording.lost.is_empty());
    assert_eq!(recording.lines.len(), lines.len() - 1);
    for (line, text) in recording.lines.iter().zip(&lines[1..]) {
        assert_eq!(line.encode().unwrap(), *text);
    }
}

#[test]
fn a_log_that_is_cut_anywhere_keeps_its_whole_lines_and_says_what_is_torn() {
    let text = sample().concat();
    let first = text.find('\n').unwrap();
    for at in 0..=text.len() {
        if !text.is_char_boundary(at) {
            continue;
        }
        match read(&text[..at]) {
            Err(_) => assert!(at <= first, "cut at {at}"),
            Ok(recording) => {
                assert!(at > first);
                let whole = text[..at].rfind('\n').unwrap() + 1;
                assert_eq!(recording.whole_bytes, whole as u64);
                assert_eq!(recording.lost.is_empty(), whole == at);
            }
        }
    }
}

#[test]
fn what_is_no_log_is_refused_with_its_line() {
    let lines = sample();
    let refuses = |lines: Vec<String>, line: usize, said: &str| {
        let error = read(&lines.concat()).unwrap_err();
        assert!(
            error.line == line && error.message.contains(said),
            "{error}"
        );
    };
    let with = |index: usize, text: &str| {
        let mut lines = sample();
        lines[index] = format!("{text}\n");
        lines
    };
    refuses(with(2, "{}"), 3, "no type");
    refuses(with(2, "{\"type\":\"lost\"}"), 3, "no line of a log");
    refuses(with(4, lines[1].trim_end()), 5, "does not come after");
    refuses(
        with(
            0,
            &lines[0].trim_end().replace("\"subject\":\"canary-0\",", ""),
        ),
        1,
        "no header of a log",
    );
    refuses(
        with(
            0,
            &lines[0]
                .trim_end()
                .replace("\"duration_seconds\":900.0", "\"duration_seconds\":-1"),
        ),
        1,
        "observations",
    );
    // A later version may write lines that this one does not know.
    let recording = read(&with(2, "{\"type\":\"weather\",\"sunny\":true}").concat()).unwrap();
    assert_eq!(recording.lines[1], Line::Unknown);
}

#[test]
fn a_parameter_that_an_older_log_does_not_have_has_its_default() {
    let mut lines = sample();
    lines[0] = lines[0].replace("\"restarts\":3,", "");
    let recording = read(&lines.concat()).unwrap();
    assert_eq!(recording.log.unwrap().policy, Policy::default());
}

#[test]
fn an_end_that_was_followed_by_a_resume_was_none() {
    let mut lines = sample();
    let decision = "{\"type\":\"decision\",\"verdict\":\"inconclusive\",\"reason\":\"cut_short\",\"at_seconds\":30.0,\"sentence\":\"x\"}\n";
    lines.push(decision.to_owned());
    assert!(read(&lines.concat()).unwrap().decision().is_some());
    lines.push("{\"type\":\"resumed\",\"at\":\"2026-11-24T02:02:00Z\",\"from_seconds\":30.0,\"to_seconds\":60.0}\n".to_owned());
    let recording = read(&lines.concat()).unwrap();
    assert!(recording.decision().is_none());
    assert!(!standing(&recording.lines).any(|line| matches!(line, Line::End { .. })));
}

#[test]
fn the_log_of_a_killed_run_never_passes() {
    let size = World {
        rate: 20.0,
        stable_pods: 6,
        duration_seconds: 900.0,
        extra_seconds: 0.0,
        seed: 1,
    };
    let (header, scrapes) = make(scenario::find("healthy").unwrap(), &size);
    let mut log: LogHeader = serde_json::from_str(&sample()[0]).unwrap();
    log.observations = header;
    let mut recording = Recording {
        header: log.observations.clone(),
        log: Some(log),
        lines: scrapes.into_iter().map(Line::Scrape).collect(),
        lost: Vec::new(),
        whole_bytes: 0,
    };
    assert_eq!(
        judge(&recording, &Policy::default()).0.verdict,
        Verdict::Pass
    );
    // 98% of the looks are more than the least coverage: the run was killed all the same.
    recording.lines.pop();
    let (decision, _) = judge(&recording, &Policy::default());
    assert_eq!(
        (decision.verdict, decision.reason),
        (Verdict::Inconclusive, "cut_short")
    );
}

#[test]
fn two_runs_do_not_write_one_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = Log::create(&path).unwrap();
    assert!(matches!(Log::resume(&path), Err(OpenError::Busy(_))));
    drop(log);
    assert!(matches!(Log::resume(&path), Ok((_, None))));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,300}", index in 0_usize..8) {
        let _ = read(&text).is_ok();
        let mut lines = sample();
        let index = index.min(lines.len() - 1);
        lines[index] = text + "\n";
        let _ = read(&lines.concat()).is_ok();
    }

    #[test]
    fn no_damage_makes_reader_or_judge_panic(at in 0_usize..6000, byte in any::<u8>(), more in 0_usize..4) {
        let mut bytes = sample().concat().into_bytes();
        let place = at % bytes.len();
        bytes[place] = byte;
        let end = (place + more).min(bytes.len());
        bytes.drain(place..end);
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(recording) = read(&text) {
            for line in &recording.lines {
                let again = read_line(&line.encode().unwrap(), &recording.header);
                prop_assert!(again.is_ok(), "{:?}", again);
            }
            let _ = judge(&recording, &Policy::default());
        }
    }
}
