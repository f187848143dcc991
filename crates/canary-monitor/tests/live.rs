//! The main job from outside: the real binary beside a simulated rollout whose time runs faster.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use gs_sim::prometheus::Misbehaving;
use gs_sim::rollout::{Behaviour, Rollout, RolloutPlan};
use serde_json::Value;

/// Four minutes pass in four seconds.
const SCALE: &str = "60";

/// A rollout and a folder for what a run writes.
struct Stage {
    scale: &'static str,
    rollout: Rollout,
    pods: Vec<(String, String)>,
    folder: tempfile::TempDir,
}

impl Stage {
    fn of(behaviour: &str) -> Self {
        Self::at(behaviour, SCALE)
    }

    /// Prometheus has to answer several questions in the time of one scrape: its runs are slower.
    fn at(behaviour: &str, scale: &'static str) -> Self {
        let factor: f64 = scale.parse().unwrap();
        let plan = RolloutPlan {
            scrape_interval: Duration::from_secs_f64(15.0 / factor),
            ..RolloutPlan::new(5, 1, 20.0, Behaviour::parse_short(behaviour).unwrap())
                .with_time_scale(factor)
        };
        let rollout = Rollout::start(&plan).unwrap();
        let pods = plan
            .pods
            .iter()
            .map(|pod| (pod.side.as_str().to_owned(), rollout.page_url(&pod.name)));
        Self {
            pods: pods.collect(),
            scale,
            rollout,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A run by direct scrape of all pods.
    fn command(&self, flags: &[&str]) -> Command {
        let mut command = self.bare();
        for (side, url) in &self.pods {
            command.args(["--scrape", &format!("{side}={url}")]);
        }
        self.short(&mut command, flags);
        command
    }

    /// What makes a run short, where the flags do not say otherwise.
    fn short(&self, command: &mut Command, flags: &[&str]) {
        command.args(["--time-scale", self.scale, "--output", "json"]);
        for (flag, value) in [
            ("--duration", "4m"),
            ("--warm-up", "30s"),
            ("--interval", "15s"),
            ("--wait-ready", "10s"),
        ] {
            if !flags.contains(&flag) {
                command.args([flag, value]);
            }
        }
        command.args(flags);
    }

    fn bare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_canary-monitor"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("USER", "tester")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, flags: &[&str]) -> Ran {
        Ran::of(self.command(flags).output().unwrap())
    }

    /// A script that a hook runs.
    fn script(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    /// Waits until the log has so many looks.
    fn wait_for_looks(&self, log: &str, looks: usize) {
        let until = Instant::now() + Duration::from_secs(60);
        while lines(&self.path(log), "scrape").len() < looks {
            assert!(Instant::now() < until, "no {looks} looks in {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

struct Ran {
    code: Option<i32>,
    report: Value,
    stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self {
            code: output.status.code(),
            report: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
            stderr,
        }
    }

    #[track_caller]
    fn is(&self, code: i32, verdict: &str, reason: &str) {
        let said = (
            self.code,
            self.report["verdict"].as_str(),
            self.report["reason"].as_str(),
        );
        assert_eq!(
            said,
            (Some(code), Some(verdict), Some(reason)),
            "{}\n{}",
            self.report["summary"],
            self.stderr
        );
    }
}

/// The lines of a type in a log.
fn lines(log: &Path, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["type"] == kind)
        .collect()
}

fn interrupt(child: &Child) {
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_healthy_canary_passes_and_its_command_is_told() {
    let stage = Stage::of("healthy");
    let told = stage.path("told");
    let hook = stage.script(
        "promote",
        &format!("echo $GS_HOOK $GS_VERDICT $GS_REASON \"$1\" > {}; grep -c gs.report/v1 $GS_REPORT >> {0}", told.display()),
    );
    let flags = [
        "--log",
        "canary.jsonl",
        "--legacy-view",
        "--weight",
        "17%",
        "--on-pass",
    ];
    let ran = stage.run(&[&flags[..], &[&format!("{hook} 'two words'")]].concat());
    ran.is(0, "pass", "healthy");
    assert_eq!(
        std::fs::read_to_string(&told).unwrap(),
        "on-pass pass healthy two words\n1\n"
    );
    // The same verdict from the log alone, byte for byte.
    let log = stage.path("canary.jsonl");
    let decision = lines(&log, "decision");
    let flags = [
        "replay",
        "canary.jsonl",
        "--recorded-policy",
        "--output",
        "json",
    ];
    let replayed = Ran::of(stage.bare().args(flags).output().unwrap());
    replayed.is(0, "pass", "healthy");
    let recorded = &replayed.report["details"]["replays"][0]["recorded"];
    assert_eq!(recorded["same_decision"], true);
    assert_eq!(
        (decision.len(), &recorded["decision"]["sentence"]),
        (1, &decision[0]["sentence"])
    );
    assert_eq!(lines(&log, "outcome").len(), 1);
    // A replay by another policy says that it is one.
    let replayed = Ran::of(
        stage
            .bare()
            .args(["replay", "canary.jsonl", "--output", "json"])
            .output()
            .unwrap(),
    );
    assert!(
        replayed.report["not_covered"]
            .to_string()
            .contains("another policy"),
        "{}",
        replayed.report
    );
    // Charts, the plain rule, and what the run could have seen.
    assert!(ran.report["series"].as_array().unwrap().len() > 5);
    assert_eq!(ran.report["details"]["legacy"]["verdict"], "pass");
    assert!(
        ran.report["summary"]
            .as_str()
            .unwrap()
            .contains("80% probability")
    );
    assert!(
        ran.report["not_covered"]
            .to_string()
            .contains("judges a simulation")
    );
}

#[test]
fn a_slow_canary_fails_early_and_a_rollback_that_fails_is_named() {
    let stage = Stage::of("slow,factor=2.5");
    let hook = stage.script("rollback", "echo cannot reach the cluster >&2; exit 9");
    let ran = stage.run(&["--on-fail", &hook, "--duration", "15m"]);
    ran.is(1, "fail", "latency");
    assert!(
        ran.report["summary"]
            .as_str()
            .unwrap()
            .contains("ended with code 9")
    );
    let checks = ran.report["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|check| check["id"] == "on-fail")
        .unwrap();
    assert!(
        check["evidence"]
            .to_string()
            .contains("cannot reach the cluster"),
        "{check}"
    );
}

#[test]
fn errors_fail_and_an_absent_canary_is_no_verdict() {
    Stage::of("errors,share=0.04")
        .run(&[])
        .is(1, "fail", "error_rate");
    let stage = Stage::of("no-traffic");
    stage.run(&[]).is(3, "inconclusive", "no_traffic");
    let stage = Stage::of("down");
    let ran = stage.run(&["--wait-ready", "1s", "--log", "x.jsonl"]);
    ran.is(3, "inconclusive", "metrics_unavailable");
}

#[test]
fn a_promotion_that_fails_or_hangs_is_no_pass() {
    let stage = Stage::of("healthy");
    let hook = stage.script("promote", "exit 1");
    let hang = stage.script("hang", "sleep 300 & sleep 300");
    let (fails, hangs) = std::thread::scope(|scope| {
        let fails = scope.spawn(|| stage.run(&["--on-pass", &hook]));
        let hangs = scope.spawn(|| stage.run(&["--on-pass", &hang, "--hook-timeout", "500ms"]));
        (fails.join().unwrap(), hangs.join().unwrap())
    });
    fails.is(3, "inconclusive", "hook_failed");
    assert_eq!(fails.report["details"]["computed"]["verdict"], "pass");
    hangs.is(3, "inconclusive", "hook_failed");
    assert!(
        hangs.stderr.contains("was killed with its process group"),
        "{}",
        hangs.stderr
    );
}

#[test]
fn a_dry_run_runs_nothing_and_says_what_it_would_have_run() {
    let stage = Stage::of("healthy");
    let told = stage.path("told");
    let hook = stage.script("any", &format!("touch {}", told.display()));
    let steps = [
        "--dry-run",
        "--on-pass",
        &hook,
        "--on-step",
        &hook,
        "--on-fail",
        &hook,
    ];
    let mut command = stage.bare();
    for (side, url) in &stage.pods {
        command.args(["--scrape", &format!("{side}={url}")]);
    }
    command
        .args([
            "--time-scale",
            SCALE,
            "--steps",
            "10,17",
            "--step-duration",
            "2m",
        ])
        .args(["--warm-up", "30s", "--interval", "15s", "--output", "json"])
        .args(steps);
    let ran = Ran::of(command.output().unwrap());
    ran.is(0, "pass", "healthy");
    assert!(!told.exists());
    let said = ran.report["not_covered"].to_string();
    assert_eq!(
        said.matches("would have run --on-step").count(),
        2,
        "{said}"
    );
    assert!(said.contains("would have run --on-pass"), "{said}");
}

#[test]
fn steps_are_set_one_after_the_other_and_a_step_that_cannot_be_set_ends_the_rollout() {
    let stage = Stage::of("healthy");
    let told = stage.path("told");
    let set = stage.script(
        "set",
        &format!("echo $GS_STEP $GS_WEIGHT >> {}", told.display()),
    );
    let bad = stage.script("bad", "[ $GS_STEP = 1 ] || exit 4");
    let held = stage.script(
        "held",
        &format!(
            "echo held $GS_REASON > {}",
            stage.path("held-told").display()
        ),
    );
    let steps = |hook: &str| {
        let mut command = stage.bare();
        for (side, url) in &stage.pods {
            command.args(["--scrape", &format!("{side}={url}")]);
        }
        command
            .args([
                "--time-scale",
                SCALE,
                "--steps",
                "10,17,25",
                "--step-duration",
                "2m",
            ])
            .args(["--warm-up", "30s", "--interval", "15s", "--output", "json"])
            .args([
                "--on-step",
                hook,
                "--on-inconclusive",
                "hold",
                "--on-inconclusive",
                &held,
            ]);
        Ran::of(command.output().unwrap())
    };
    let (good, bad) = std::thread::scope(|scope| {
        let good = scope.spawn(|| steps(&set));
        let bad = scope.spawn(|| steps(&bad));
        (good.join().unwrap(), bad.join().unwrap())
    });
    good.is(0, "pass", "healthy");
    assert_eq!(
        std::fs::read_to_string(&told).unwrap(),
        "1 10\n2 17\n3 25\n"
    );
    assert_eq!(good.report["details"]["steps"]["reached"], 3);
    bad.is(3, "inconclusive", "hook_failed");
    assert_eq!(
        std::fs::read_to_string(stage.path("held-told")).unwrap(),
        "held hook_failed\n"
    );
}

#[test]
fn a_runner_that_was_killed_is_followed_by_another() {
    let stage = Stage::of("healthy");
    let mut child = stage.command(&["--log", "canary.jsonl"]).spawn().unwrap();
    stage.wait_for_looks("canary.jsonl", 6);
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = Ran::of(
        stage
            .bare()
            .args(["replay", "canary.jsonl", "--output", "json"])
            .output()
            .unwrap(),
    );
    killed.is(3, "inconclusive", "cut_short");
    let ran = stage.run(&["--log", "canary.jsonl", "--resume"]);
    ran.is(0, "pass", "healthy");
    assert_eq!(ran.report["details"]["resumes"], 1);
    let replayed = Ran::of(
        stage
            .bare()
            .args([
                "replay",
                "canary.jsonl",
                "--recorded-policy",
                "--output",
                "json",
            ])
            .output()
            .unwrap(),
    );
    assert_eq!(
        replayed.report["details"]["replays"][0]["recorded"]["same_decision"],
        true
    );
}

#[test]
fn a_runner_that_was_killed_fills_the_gap_from_prometheus() {
    let stage = Stage::at("healthy", "10");
    let prometheus = Misbehaving::start(stage.rollout.history()).unwrap();
    let command = || {
        let mut command = stage.bare();
        command.args(["--prometheus", &prometheus.url()]);
        stage.short(
            &mut command,
            &["--log", "canary.jsonl", "--resume", "--duration", "3m"],
        );
        command
    };
    // Two looks have to be there before the interval between them can be seen.
    let mut child = command().spawn().unwrap();
    stage.wait_for_looks("canary.jsonl", 4);
    child.kill().unwrap();
    child.wait().unwrap();
    std::thread::sleep(Duration::from_secs(5));
    let ran = Ran::of(command().output().unwrap());
    ran.is(0, "pass", "healthy");
    let resumed = lines(&stage.path("canary.jsonl"), "resumed");
    // What happened while nobody ran stands in the log, look by look.
    let gap =
        resumed[0]["from_seconds"].as_f64().unwrap()..resumed[0]["to_seconds"].as_f64().unwrap();
    let scrapes = lines(&stage.path("canary.jsonl"), "scrape");
    let filled = scrapes.iter().filter(|scrape| {
        let at = scrape["at_seconds"].as_f64().unwrap();
        at > gap.start && at <= gap.end
    });
    assert!(filled.count() >= 2, "{resumed:?}");
}

#[test]
fn an_interrupt_leaves_a_whole_report_and_a_log_that_goes_on() {
    let stage = Stage::of("healthy");
    let hook = stage.script("any", &format!("touch {}", stage.path("told").display()));
    let flags = ["--log", "canary.jsonl", "--on-inconclusive", &hook];
    let child = stage.command(&flags).spawn().unwrap();
    stage.wait_for_looks("canary.jsonl", 4);
    interrupt(&child);
    let ran = Ran::of(child.wait_with_output().unwrap());
    ran.is(130, "inconclusive", "interrupted");
    let log = stage.path("canary.jsonl");
    assert_eq!(lines(&log, "end")[0]["reason"], "interrupted");
    assert_eq!(lines(&log, "outcome")[0]["reason"], "interrupted");
    assert!(
        !stage.path("told").exists(),
        "a command was run after an interrupt"
    );
    let watch = || {
        let words = ["watch", "canary.jsonl", "--output", "json"];
        Ran::of(stage.bare().args(words).output().unwrap())
    };
    watch().is(3, "inconclusive", "cut_short");
    let ran = stage.run(&[&flags[..], &["--resume"]].concat());
    ran.is(0, "pass", "healthy");
    watch().is(0, "pass", "healthy");
    let replayed = Ran::of(
        stage
            .bare()
            .args([
                "replay",
                "canary.jsonl",
                "--recorded-policy",
                "--output",
                "json",
            ])
            .output()
            .unwrap(),
    );
    replayed.is(0, "pass", "healthy");
}

#[test]
fn a_full_disk_is_said_and_takes_the_pass() {
    let stage = Stage::of("healthy");
    let ran = stage.run(&["--log", "/dev/full"]);
    ran.is(3, "inconclusive", "log_lost");
    assert!(
        ran.stderr.contains("cannot be written any more"),
        "{}",
        ran.stderr
    );
}

#[test]
fn others_look_on_by_the_log_and_change_nothing() {
    let stage = Stage::of("slow,factor=3");
    let child = stage
        .command(&["--log", "canary.jsonl", "--duration", "15m"])
        .spawn()
        .unwrap();
    stage.wait_for_looks("canary.jsonl", 2);
    let busy = stage.run(&["--log", "canary.jsonl", "--resume", "--duration", "15m"]);
    assert_eq!(busy.code, Some(2));
    assert!(
        busy.stderr.contains("another run writes the log"),
        "{}",
        busy.stderr
    );
    let watch = |flags: &[&str]| {
        let words = [&["watch", "canary.jsonl", "--output", "json"], flags].concat();
        Ran::of(stage.bare().args(words).output().unwrap())
    };
    watch(&["--deadline", "200ms"]).is(3, "inconclusive", "deadline");
    watch(&[]).is(1, "fail", "latency");
    Ran::of(child.wait_with_output().unwrap()).is(1, "fail", "latency");
    watch(&[]).is(1, "fail", "latency");
}

/// `script` gives the run a terminal, and hands over what is typed.
#[test]
fn a_person_at_the_terminal_can_end_the_run() {
    use std::io::Write as _;
    let stage = Stage::of("healthy");
    let run = stage.command(&["--log", "canary.jsonl", "--duration", "15m"]);
    let words = std::iter::once(run.get_program()).chain(run.get_args());
    let words: Vec<String> = words
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let mut child = Command::new("script")
        .args([
            "--quiet",
            "--return",
            "--command",
            &words.join(" "),
            "/dev/null",
        ])
        .env_clear()
        .envs([
            ("PATH", "/usr/bin:/bin"),
            ("TERM", "xterm"),
            ("USER", "tester"),
        ])
        .current_dir(stage.folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    stage.wait_for_looks("canary.jsonl", 3);
    let mut keys = child.stdin.take().unwrap();
    keys.write_all(b"nlooks odd\ray").unwrap();
    let output = child.wait_with_output().unwrap();
    drop(keys);
    let screen = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{screen}");
    let actions = lines(&stage.path("canary.jsonl"), "operator");
    let told: Vec<_> = actions
        .iter()
        .map(|one| {
            (
                one["who"].as_str().unwrap(),
                one["action"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("tester", "note"), ("tester", "abort")]);
    assert_eq!(actions[0]["text"], "looks odd");
    // One screen: drawn again and again over itself, with both sides and the keys.
    assert!(
        screen.contains("errors vs stable") && screen.contains("[a] abort"),
        "{screen}"
    );
    assert!(screen.contains("\u{1b}[J"), "{screen}");
    assert!(screen.contains("aborted_by_operator"), "{screen}");
}

#[test]
fn the_doctor_asks_everything_once() {
    let stage = Stage::of("healthy");
    let mut command = stage.bare();
    command.arg("doctor");
    for (side, url) in &stage.pods {
        command.args(["--scrape", &format!("{side}={url}")]);
    }
    let ran = Ran::of(command.args(["--output", "json"]).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.report);
    assert!(ran.report["checks"].as_array().unwrap().len() > 3);
    let mut command = stage.bare();
    command.args([
        "doctor",
        "--scrape",
        "canary=http://127.0.0.1:1",
        "--scrape",
        "stable=http://127.0.0.1:2",
    ]);
    let ran = Ran::of(command.args(["--output", "json"]).output().unwrap());
    assert!(matches!(ran.code, Some(1 | 3)), "{}", ran.report);
}

#[test]
fn what_is_typed_wrong_is_exit_2_and_asks_nothing() {
    let stage = Stage::of("healthy");
    let usage = |flags: &[&str], said: &str| {
        let output = stage.bare().args(flags).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {stderr}");
        assert!(
            output.stdout.is_empty() && stderr.contains(said),
            "{flags:?}: {stderr}"
        );
    };
    usage(&[], "no source");
    let here = [
        "--scrape",
        "canary=http://127.0.0.1:1",
        "--scrape",
        "stable=http://127.0.0.1:2",
    ];
    let with = |more: &[&'static str]| [&here[..], more].concat();
    usage(&with(&["--duration", "5"]), "the unit is missing");
    usage(
        &with(&["--log", "/no/such/folder/log"]),
        "cannot open the log",
    );
    usage(&with(&["--resume"]), "--log");
    usage(&with(&["--output", "jsn"]), "did you mean `json`?");
    usage(&["watch", "/no/such/log"], "cannot read");
    usage(
        &[
            "--prometheus",
            "http://prometheus.example:9090",
            "--time-scale",
            "20",
        ],
        "real canaries",
    );
}
