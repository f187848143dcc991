use proptest::prelude::*;

use super::*;

const HEADER: &str = r#"{"schema":"gs.observations/v1","edges_seconds":[0.1,1],"scrape_interval_seconds":15,"canary_weight":0.1,"duration_seconds":900}"#;
const LOOK: &str = r#"{"at_seconds":15,"pods":[{"pod":"c","side":"canary","up":true,"started_at_seconds":-9,"requests":12.0,"errors":1,"le":[3,12]}]}"#;

#[track_caller]
fn refuses(text: &str, line: usize, said: &str) {
    let error = read(text).unwrap_err();
    assert!(
        error.line == line && error.message.contains(said),
        "{error}"
    );
}

#[test]
fn a_file_is_read_and_written_back() {
    let read = read(&format!("{HEADER}\n{LOOK}\n")).unwrap();
    assert_eq!(read.scrapes[0].pods[0].requests, Some(12));
    let again = serde_json::to_string(&read.header).unwrap();
    assert_eq!(read_header(&again).as_ref(), Ok(&read.header));
    let again = serde_json::to_string(&read.scrapes[0]).unwrap();
    assert_eq!(
        read_scrape(&again, &read.header).as_ref(),
        Ok(&read.scrapes[0])
    );
}

#[test]
fn a_torn_last_line_is_lost_and_said() {
    let read = read(&format!("{HEADER}\n{LOOK}\n{{\"at_seconds\":30,\"po")).unwrap();
    assert_eq!((read.scrapes.len(), read.lost.len()), (1, 1));
}

#[test]
fn what_breaks_the_laws_of_counters_is_refused_with_its_line() {
    refuses("", 1, "empty");
    refuses("{}\n", 1, "no schema");
    refuses("not json\n", 1, "no JSON");
    refuses(&HEADER.replace("[0.1,1]", "[1,0.1]"), 1, "does not grow");
    refuses(&HEADER.replace("900", "-1"), 1, "duration_seconds");
    let look = |from: &str, to: &str| format!("{HEADER}\n{}\n", LOOK.replace(from, to));
    refuses(&look("[3,12]", "[12,3]"), 2, "le falls");
    refuses(&look("[3,12]", "[3]"), 2, "1 counts for 2 edges");
    refuses(
        &look("\"errors\":1", "\"errors\":13"),
        2,
        "13 errors of 12 requests",
    );
    refuses(&look("[3,12]", "[3,13]"), 2, "le counts 13");
    refuses(&look("12.0", "-1"), 2, "no scrape");
    refuses(&look("\"canary\"", "\"blue\""), 2, "no scrape");
    refuses(
        &format!("{HEADER}\n{LOOK}\n{LOOK}\n"),
        3,
        "does not come after",
    );
    refuses(&format!("{HEADER}\n{{\"at_seco\n"), 2, "no JSON");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,300}") {
        let _ = read(&text).is_ok();
        let _ = read(&format!("{HEADER}\n{text}")).is_ok();
    }

    #[test]
    fn no_cut_makes_it_panic_or_invent(at in 0_usize..200) {
        let whole = format!("{HEADER}\n{LOOK}\n");
        let cut = whole.get(..at.min(whole.len())).unwrap_or_default();
        if let Ok(read) = read(cut) {
            prop_assert!(read.scrapes.len() <= 1);
        }
    }
}
