//! The end of a process that cannot go on. Each case runs in a process of its own: this test binary,
//! started again with the name of the case.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::tests_outside_test_module,
    reason = "tests"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use gs_common::exit::Exit;
use gs_common::outside::{in_runtime, interrupted, on_crash, removed_on_crash, run};
use gs_common::process::Program;

const PLACE: &str = "GS_TEST_PLACE";
const SECRET: &str = "hunter2-and-more";

/// Is the process of a case, or the command that starts it with a folder of its own.
fn case(name: &str, inside: impl FnOnce(&Path) -> Exit) -> Option<(Command, tempfile::TempDir)> {
    if let Some(place) = std::env::var_os(PLACE) {
        // The harness goes on after a case that should have ended the process, and says "good".
        let _ = run(|_, _| inside(Path::new(&place)));
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(PLACE, folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Some((command, folder))
}

#[track_caller]
fn assert_broke(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("error: internal error at "), "{told}");
    assert!(told.contains("outside.rs:"), "{told}");
    assert!(!told.contains(SECRET), "{told}");
    told
}

#[test]
fn a_panic_is_no_verdict_and_says_where_but_not_what() {
    let name = "a_panic_is_no_verdict_and_says_where_but_not_what";
    if let Some((mut command, _folder)) = case(name, |_| panic!("{SECRET}")) {
        assert_broke(&command.output().unwrap());
    }
}

#[test]
fn a_panic_in_another_thread_ends_the_process_too() {
    let name = "a_panic_in_another_thread_ends_the_process_too";
    let inside = |_: &Path| {
        let _ = std::thread::spawn(|| panic!("{SECRET}")).join();
        Exit::Good
    };
    if let Some((mut command, _folder)) = case(name, inside) {
        assert_broke(&command.output().unwrap());
    }
}

#[test]
fn what_has_to_be_put_back_is_put_back_the_newest_first() {
    let name = "what_has_to_be_put_back_is_put_back_the_newest_first";
    let inside = |place: &Path| {
        let folder = place.join("engine");
        let file = place.join("key.pem");
        std::fs::create_dir(&folder).unwrap();
        std::fs::copy(std::env::current_exe().unwrap(), folder.join("report")).unwrap();
        std::fs::File::create(&file).unwrap();
        let _folder = removed_on_crash(&folder);
        let _file = removed_on_crash(&file);
        let _first = on_crash(|| eprintln!("first"));
        let _second = on_crash(|| eprintln!("second"));
        drop(on_crash(|| eprintln!("forgotten")));
        panic!("{SECRET}")
    };
    if let Some((mut command, folder)) = case(name, inside) {
        let told = assert_broke(&command.output().unwrap());
        let (first, second) = (told.find("first"), told.find("second"));
        assert!(second.is_some() && second < first, "{told}");
        assert!(!told.contains("forgotten"), "{told}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_that_was_started_is_killed() {
    let name = "a_program_that_was_started_is_killed";
    let inside = |place: &Path| {
        let mark = place.join("pid");
        let script = format!(
            "echo $$ > {0}.new; mv {0}.new {0}; sleep 600",
            mark.display()
        );
        let _ = in_runtime(async {
            let engine = Program::new("sh").args(["-c", &script]).run();
            let falls = async {
                while !mark.exists() {
                    tokio::task::yield_now().await;
                }
                panic!("{SECRET}")
            };
            tokio::join!(engine, falls)
        });
        Exit::Good
    };
    if let Some((mut command, folder)) = case(name, inside) {
        assert_broke(&command.output().unwrap());
        let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
        let engine = Path::new("/proc").join(pid.trim()).join("exe");
        let until = Instant::now() + Duration::from_secs(60);
        while engine.exists() {
            assert!(Instant::now() < until, "it lives on");
            std::thread::yield_now();
        }
    }
}

#[cfg(unix)]
#[test]
fn who_interrupts_twice_does_not_wait() {
    let name = "who_interrupts_twice_does_not_wait";
    let inside = |_: &Path| {
        let _ = in_runtime(async {
            tokio::select! {
                biased;
                () = interrupted() => {}
                // It listens by now.
                () = async { eprintln!("ready"); std::future::pending().await } => {}
            }
            eprintln!("tidying up");
            // Whatever this is, it takes too long.
            std::future::pending::<()>().await;
        });
        Exit::Good
    };
    let Some((mut command, _folder)) = case(name, inside) else {
        return;
    };
    let mut child = command.spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut hear = |what: &str| lines.by_ref().map(Result::unwrap).any(|line| line == what);
    let ask = || rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    assert!(hear("ready"));
    ask().unwrap();
    assert!(hear("tidying up"));
    ask().unwrap();
    // Its main thread waits for ever; the thread that hears signals does not.
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(hear(
        "interrupted again: ended without waiting for a report"
    ));
}
