//! A run that goes on from the log of a lost one.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_lost_runner_that_fills_the_gap_decides_as_if_it_had_never_been_lost() {
    for (name, lost_after) in [
        ("healthy", 437.0),
        ("healthy", 20.0),
        ("latency-doubled", 130.0),
    ] {
        let whole = Bench::new();
        let log = whole.log();
        let mut source = Script {
            remembers: true,
            ..Script::of(name)
        };
        whole
            .run(&mut source, &["--log", &log], Vec::new(), None)
            .await
            .unwrap()
            .unwrap();

        let killed = Bench::new();
        let log = killed.log();
        let flags = ["--log", log.as_str(), "--resume"];
        let mut source = Script {
            remembers: true,
            ..Script::of(name)
        };
        let none = killed
            .run(&mut source, &flags, Vec::new(), Some(lost_after))
            .await
            .unwrap();
        assert!(none.is_none(), "{name} ended before it was killed");
        // What a killed process may leave behind: half a line.
        let mut text = std::fs::read_to_string(&log).unwrap();
        text.push_str("{\"type\":\"scrape\",\"at_sec");
        gs_common::file::write_atomic(Path::new(&log), |out| out.write_all(text.as_bytes()))
            .unwrap();
        let later = Bench {
            folder: killed.folder,
            base: killed
                .base
                .checked_add(jiff::SignedDuration::from_secs_f64(lost_after + 95.0))
                .unwrap(),
        };
        let mut source = Script {
            remembers: true,
            ..Script::of(name)
        };
        let report = later
            .run(&mut source, &flags, Vec::new(), None)
            .await
            .unwrap()
            .unwrap();
        assert!(
            report
                .not_covered
                .iter()
                .any(|told| told.contains("resumed 1 times"))
        );
        assert_eq!(later.decisions().0, whole.decisions().0, "{name}");
        assert_eq!(later.decisions().0, later.decisions().1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_nobody_can_fill_is_lost_coverage() {
    for (gap, verdict, code) in [
        (60.0, Verdict::Pass, "healthy"),
        (400.0, Verdict::Inconclusive, "coverage"),
    ] {
        let bench = Bench::new();
        let log = bench.log();
        let flags = ["--log", log.as_str(), "--resume"];
        let mut source = Script::of("healthy");
        bench
            .run(&mut source, &flags, Vec::new(), Some(300.0))
            .await
            .unwrap();
        let later = Bench {
            folder: bench.folder,
            base: bench
                .base
                .checked_add(jiff::SignedDuration::from_secs_f64(300.0 + gap))
                .unwrap(),
        };
        let mut source = Script::of("healthy");
        source.given = 300.0 + gap;
        let report = later
            .run(&mut source, &flags, Vec::new(), None)
            .await
            .unwrap()
            .unwrap();
        says(&report, verdict, code);
        assert!(
            report
                .not_covered
                .iter()
                .any(|told| told.contains("has no memory")),
            "{:?}",
            report.not_covered
        );
        assert_eq!(later.decisions().0, later.decisions().1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_belongs_to_one_run() {
    let bench = Bench::new();
    let log = bench.log();
    let mut source = Script::of("healthy");
    let flags = ["--log", log.as_str()];
    bench
        .run(&mut source, &flags, Vec::new(), Some(100.0))
        .await
        .unwrap();
    let refused = async |flags: &[&str]| {
        let mut source = Script::of("healthy");
        bench
            .run(&mut source, flags, Vec::new(), None)
            .await
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&flags).await.contains("is there already"));
    let other = refused(&["--log", &log, "--resume", "--error-limit", "3%"]).await;
    assert!(other.contains("error-limit was `5%`, now `3%`"), "{other}");
    // How long a request may take is no part of what is judged.
    let mut source = Script {
        remembers: true,
        ..Script::of("healthy")
    };
    let report = bench
        .run(
            &mut source,
            &["--log", &log, "--resume", "--timeout", "3s"],
            Vec::new(),
            None,
        )
        .await
        .unwrap()
        .unwrap();
    says(&report, Verdict::Pass, "healthy");
    assert!(
        refused(&["--log", &log, "--resume"])
            .await
            .contains("is over")
    );
    assert!(
        refused(&["--log", bench.folder.path().to_str().unwrap(), "--resume"])
            .await
            .contains("cannot open the log")
    );
}
