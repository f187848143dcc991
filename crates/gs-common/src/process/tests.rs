use super::*;

fn shell(script: &str) -> Program {
    // A shell as an arbitrary program; what it runs is the test's own text.
    Program::new("/bin/sh").args(["-c", script])
}

#[tokio::test]
async fn codes_signals_and_outputs_are_told() {
    let ran = shell("cat; echo err >&2; exit 3")
        .stdin("hello")
        .run()
        .await
        .unwrap();
    assert_eq!(ran.ended, Ended::Code(3));
    assert_eq!(
        (ran.stdout.text(), ran.stderr.text()),
        ("hello".into(), "err\n".into())
    );
    let ran = shell("kill -9 $$").run().await.unwrap();
    assert_eq!(ran.ended, Ended::Signal(9));
    assert!(shell("true").run().await.unwrap().ended.is_good());
}

#[tokio::test]
async fn arguments_reach_the_program_as_they_are() {
    let ran = Program::new("printf")
        .args(["%s|", "$HOME", "a b", "*", ";"])
        .run()
        .await
        .unwrap();
    assert_eq!(ran.stdout.text(), "$HOME|a b|*|;|");
}

#[tokio::test]
async fn the_environment_is_what_was_said() {
    let show = || shell("echo $ONE-$HOME");
    let ran = show()
        .variable("ONE", "1")
        .without_variable("HOME")
        .run()
        .await
        .unwrap();
    assert_eq!(ran.stdout.text(), "1-\n");
    let ran = show().without_variables().run().await.unwrap();
    assert_eq!(ran.stdout.text(), "-\n");
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_can_let_others_go_first() {
    // Its stdin is fed after its priority was set.
    let before = shell("nice")
        .run()
        .await
        .unwrap()
        .stdout
        .text()
        .trim()
        .parse::<i32>();
    let ran = shell("read _; nice")
        .stdin("\n")
        .niceness(19)
        .run()
        .await
        .unwrap();
    assert_eq!(ran.stdout.text().trim(), "19", "{before:?}");
}

#[tokio::test]
async fn a_missing_program_is_said_with_a_hint() {
    let error = Program::new("/no/such/program").run().await.unwrap_err();
    assert!(error.is_missing() && error.to_string().contains("/no/such/program"));
    assert!(error.hint().contains("install"));
    let error = Program::new("/dev/null").run().await.unwrap_err();
    assert_eq!(error.hint(), "make it executable");
}

#[tokio::test]
async fn output_beyond_the_limit_is_counted_and_dropped() {
    let ran = shell("head -c 300000 /dev/zero")
        .most_output(10)
        .run()
        .await
        .unwrap();
    assert_eq!(
        (
            ran.stdout.bytes.len(),
            ran.stdout.total,
            ran.stdout.is_cut()
        ),
        (10, 300_000, true)
    );
}

/// The child of the child holds a lock file open; when it is gone, `flock` gets it.
#[tokio::test]
async fn at_the_deadline_the_whole_group_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lived");
    // Neither of the two obeys SIGTERM; the child would leave a mark if it outlived the call.
    let script = format!(
        "trap '' TERM; (trap '' TERM; echo up; sleep 3; touch {0}) & wait; sleep 3; touch {0}",
        path.display()
    );
    let ran = shell(&script)
        .deadline(Duration::from_millis(300))
        .grace(Duration::from_millis(200))
        .run()
        .await
        .unwrap();
    assert_eq!(ran.ended, Ended::TimedOut);
    assert_eq!(ran.stdout.text(), "up\n");
    assert!(ran.took < Duration::from_secs(3), "{:?}", ran.took);
    tokio::time::sleep(Duration::from_millis(3200)).await;
    assert!(!path.exists(), "a child outlived the call");
}

#[tokio::test]
async fn a_gentle_program_may_tidy_up() {
    let ran = shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")
        .deadline(Duration::from_millis(400))
        .grace(Duration::from_secs(10))
        .run()
        .await
        .unwrap();
    assert_eq!(
        (ran.ended, ran.stdout.text()),
        (Ended::TimedOut, "up\nbye\n".into())
    );
    assert!(ran.took < Duration::from_secs(9));
}

#[tokio::test]
async fn whoever_cancels_does_not_wait_for_the_deadline() {
    let soon = tokio::time::sleep(Duration::from_millis(100));
    let ran = shell("sleep 60").run_until(soon).await.unwrap();
    assert_eq!(ran.ended, Ended::Cancelled);
    assert!(ran.took < Duration::from_secs(30));
}

#[tokio::test]
async fn a_child_that_holds_the_pipes_does_not_hold_up_the_caller() {
    let ran = shell("sleep 60 & echo done")
        .grace(Duration::from_millis(200))
        .run()
        .await
        .unwrap();
    assert_eq!(
        (ran.ended, ran.stdout.text()),
        (Ended::Code(0), "done\n".into())
    );
    assert!(ran.took < Duration::from_secs(30));
}

#[tokio::test]
async fn stdout_may_go_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let file = File::create(&path).unwrap();
    let ran = shell("echo text").stdout_to(file).run().await.unwrap();
    assert_eq!(
        (ran.stdout.total, std::fs::read_to_string(&path).unwrap()),
        (0, "text\n".to_owned())
    );
}
