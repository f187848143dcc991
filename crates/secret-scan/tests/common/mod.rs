//! A repository made by the test, planted values made of parts, engines of our own writing, and the
//! binary from outside.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests, each of which uses a part of this"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::prelude::*;
use serde_json::Value;

/// A folder with a repository and with room for what is not in it.
pub(crate) struct World {
    folder: tempfile::TempDir,
    clock: u64,
}

/// What a run left.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) report: Value,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["repo", "bin", "tmp", "home"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut world = Self { folder, clock: 0 };
        world.git(&["init", "--quiet", "--initial-branch", "main"]);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    /// Git in the repository, with times that go up by one minute each.
    pub(crate) fn git(&mut self, words: &[&str]) -> String {
        self.clock += 60;
        let at = format!("{} +0000", 1_700_000_000 + self.clock);
        let output = Command::new("git")
            .args(words)
            .current_dir(self.repo())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.com")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.com")
            .env("GIT_AUTHOR_DATE", &at)
            .env("GIT_COMMITTER_DATE", &at)
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let ends_well = output.status.success() || words[0] == "merge";
        assert!(
            ends_well,
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        out.trim().to_owned()
    }

    pub(crate) fn write(&self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        let path = self.repo().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Writes a file and commits everything; hands back the commit.
    pub(crate) fn commit(&mut self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) -> String {
        let name = name.as_ref();
        self.write(name, text);
        self.commit_all(&format!("change {}", name.display()))
    }

    pub(crate) fn commit_all(&mut self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// An engine of our own writing: a shell script.
    pub(crate) fn engine(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The binary with our engines only.
    pub(crate) fn run(&self, words: &[&str]) -> Run {
        self.run_with(words, "", &[])
    }

    pub(crate) fn run_with(&self, words: &[&str], stdin: &str, variables: &[(&str, &str)]) -> Run {
        let path = format!(
            "{}:/usr/local/bin:/usr/bin:/bin",
            self.path("bin").display()
        );
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("secret-scan"));
        command
            .args(words)
            .current_dir(self.repo())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let fed = std::io::Write::write_all(&mut child.stdin.take().unwrap(), stdin.as_bytes());
        // It need not read to the end what it refuses.
        let refused = std::io::ErrorKind::BrokenPipe;
        assert!(
            fed.as_ref().is_ok() || fed.as_ref().is_err_and(|error| error.kind() == refused),
            "{fed:?}"
        );
        let run = of(child.wait_with_output().unwrap());
        let left: Vec<_> = std::fs::read_dir(self.path("tmp"))
            .unwrap()
            .flatten()
            .collect();
        assert!(left.is_empty(), "left in the temporary folder: {left:?}");
        run
    }

    /// The same with a report on stdout.
    pub(crate) fn scan(&self, words: &[&str]) -> Run {
        let words = [words, &["--no-verification", "--output", "json"]].concat();
        let run = self.run(&words);
        assert!(
            run.report.is_object(),
            "exit {}: {}{}",
            run.code,
            run.out,
            run.err
        );
        run
    }

    pub(crate) fn fingerprint(&self, value: &str) -> String {
        let run = self.run_with(&["fingerprint"], value, &[]);
        assert_eq!(run.code, 0, "{}", run.err);
        run.out.trim().to_owned()
    }

    /// Puts the real engines in.
    pub(crate) fn with_real(&self) -> &Self {
        for name in ["gitleaks", "trufflehog"] {
            let real =
                real(name).unwrap_or_else(|| panic!("{name} is not there: run `make tools`"));
            let link = self.path("bin").join(name);
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(real, link).unwrap();
        }
        self
    }
}

fn of(output: Output) -> Run {
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    Run {
        code: output.status.code().unwrap_or(-1),
        report: serde_json::from_str(&out).unwrap_or_default(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        out,
    }
}

/// A real engine: on the PATH, or in `.tools/bin` of the workspace.
pub(crate) fn real(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push(root);
    let found = folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.map(|path| path.canonicalize().unwrap())
}

impl Run {
    #[track_caller]
    pub(crate) fn is(&self, code: i32, verdict: &str, reason: &str) {
        assert_eq!(
            (
                self.code,
                self.report["verdict"].as_str(),
                self.report["reason"].as_str()
            ),
            (code, Some(verdict), Some(reason)),
            "{}\n{}\n{}",
            self.report["summary"],
            self.report["details"],
            self.err
        );
    }

    pub(crate) fn engine(&self, name: &str) -> &Value {
        let engines = self.report["details"]["engines"].as_array().unwrap();
        engines
            .iter()
            .find(|engine| engine["name"] == name)
            .unwrap_or(&Value::Null)
    }

    pub(crate) fn finding(&self, fingerprint: &str) -> Option<&Value> {
        let findings = self.report["findings"].as_array().unwrap();
        findings.iter().find(|finding| {
            finding["fingerprint"] == fingerprint
                || finding["fingerprints"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|one| one == fingerprint))
        })
    }
}

/// Text that no two calls with other seeds have in common, of the given alphabet.
pub(crate) fn noise(seed: u64, length: usize, alphabet: &str) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            // xorshift64*, by Vigna (2016).
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            let index = (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % alphabet.len();
            alphabet[index]
        })
        .collect()
}

pub(crate) const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// A GitHub token with the right checksum: base62 of the CRC-32 of its first part.
pub(crate) fn github_token(seed: u64) -> String {
    const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let body = noise(seed, 30, LETTERS);
    let mut crc = u32::MAX;
    for byte in body.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    let mut rest = !crc;
    let mut sum = Vec::new();
    for _ in 0..6 {
        sum.push(BASE62[(rest % 62) as usize]);
        rest /= 62;
    }
    sum.reverse();
    format!(
        "{}{body}{}",
        ["gh", "p_"].concat(),
        String::from_utf8(sum).unwrap()
    )
}

pub(crate) fn aws_id(seed: u64) -> String {
    format!(
        "{}{}",
        ["AK", "IA"].concat(),
        noise(seed, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    )
}

pub(crate) fn private_key(seed: u64) -> String {
    let kind = ["RSA ", "PRIVATE", " KEY"].concat();
    let body: Vec<String> = (0..13)
        .map(|line| noise(seed + line, 64, LETTERS))
        .collect();
    format!(
        "-----BEGIN {kind}-----\n{}\n-----END {kind}-----",
        body.join("\n")
    )
}

pub(crate) fn slack_webhook(seed: u64) -> String {
    let upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    format!(
        "https://hooks.{}.com/services/T{}/B{}/{}",
        ["sla", "ck"].concat(),
        noise(seed, 10, upper),
        noise(seed + 1, 10, upper),
        noise(seed + 2, 24, LETTERS)
    )
}

pub(crate) fn stripe_test_key(seed: u64) -> String {
    format!("{}{}", ["sk_", "test_"].concat(), noise(seed, 32, LETTERS))
}

pub(crate) fn jwt(seed: u64) -> String {
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let head = part(r#"{"alg":"HS256","typ":"JWT"}"#);
    let body = part(&format!(
        r#"{{"sub":"{}","iat":1700000000}}"#,
        noise(seed, 12, LETTERS)
    ));
    format!("{head}.{body}.{}", noise(seed + 1, 43, LETTERS))
}

/// Every form in which a value must be in no output.
pub(crate) fn forms(value: &str) -> Vec<String> {
    let mut forms = vec![
        value.to_owned(),
        BASE64_STANDARD.encode(value),
        BASE64_URL_SAFE_NO_PAD.encode(value),
        percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
            .to_string(),
        value.replace('\n', "\\n"),
    ];
    // Of a key any of its lines is too much.
    forms.extend(
        value
            .lines()
            .filter(|line| line.len() > 30 && !line.starts_with("-----"))
            .map(str::to_owned),
    );
    forms.sort();
    forms.dedup();
    forms
}

// Engines that do their work.

pub(crate) const COUNT: &str =
    r#"echo "3:53AM INF $(git -C "$TOP" rev-list --all --count) commits scanned." >&2"#;
pub(crate) const BYTES: &str = r#"echo "3:53AM INF scanned ~100 bytes (100 bytes) in 1ms" >&2"#;
pub(crate) const FINISHED: &str = r#"echo '{"level":"info-0","ts":"2026-01-01T00:00:00Z","logger":"trufflehog","msg":"finished scanning","chunks":50,"bytes":900,"trufflehog_version":"3.97.0"}' >&2"#;

/// Two commits with text, and engines that find nothing in them.
pub(crate) fn world() -> World {
    let mut world = World::new();
    world.commit("one.txt", "hello\n");
    world.commit("two.txt", "world\n");
    healthy(&world);
    world
}

pub(crate) fn healthy(world: &World) {
    gitleaks(world, &format!("{COUNT}; {BYTES}; echo '[]'"));
    world.engine("trufflehog", &format!("{FINISHED}; exit 0"));
}

/// A Gitleaks whose work over the history is this; over the files it is well.
pub(crate) fn gitleaks(world: &World, history: &str) {
    let top = world.repo().display().to_string();
    let script = format!(
        "TOP='{top}'\ncase \"$1\" in\nversion) echo 8.30.1 ;;\ngit) {history} ;;\n*) {BYTES}; echo '[]' ;;\nesac"
    );
    world.engine("gitleaks", &script);
}
