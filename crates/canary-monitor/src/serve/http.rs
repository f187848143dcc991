//! The paths: `/verdict/NAME` for Argo Rollouts and everybody else, `/flagger/TYPE` for Flagger's
//! webhooks, `/metrics`, `/healthz`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

use gs_common::http::{Answer, Incoming};
use gs_common::render::visible;
use gs_common::verdict::Verdict;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::gate::Hook;
use super::standing::{self, Ages, NO_LOG, Standing, State, UNREADABLE};

/// A log larger than this is not read: no run of a day makes one.
const LARGEST: u64 = 1 << 30;

/// A canary that is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Its name: `NAME`, or `NAMESPACE/NAME`.
    pub name: String,
    /// Its decision log, or its report.
    pub path: PathBuf,
}

/// Everything that is served.
#[derive(Debug)]
pub struct Site {
    canaries: Vec<Canary>,
    ages: Ages,
    /// Answers so far, by path and status.
    answered: Mutex<BTreeMap<(&'static str, u16), u64>>,
}

/// Reads a file's text and when it was written. Apart, so that the rest needs no file.
fn file(path: &std::path::Path) -> std::io::Result<(String, Timestamp)> {
    let about = std::fs::metadata(path)?;
    if !about.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    if about.len() > LARGEST {
        return Err(std::io::Error::other("it is larger than 1 GiB"));
    }
    let written = Timestamp::try_from(about.modified()?).map_err(std::io::Error::other)?;
    Ok((std::fs::read_to_string(path)?, written))
}

impl Site {
    /// Serves these.
    #[must_use]
    pub fn new(canaries: Vec<Canary>, ages: Ages) -> Self {
        Self {
            canaries,
            ages,
            answered: Mutex::default(),
        }
    }

    fn standing(&self, canary: &Canary, now: Timestamp) -> Standing {
        match file(&canary.path) {
            Ok((text, written)) => standing::read(&text, written, now, &self.ages),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Standing::unknown(UNREADABLE, "the file is no text")
            }
            Err(error) => Standing::unknown(NO_LOG, format!("{}: {error}", canary.path.display())),
        }
    }

    fn named(&self, name: &str) -> Option<&Canary> {
        self.canaries.iter().find(|canary| canary.name == name)
    }

    /// Answers a request.
    #[must_use]
    pub fn answer(&self, incoming: &Incoming, now: Timestamp) -> Answer {
        let (place, answer) = self.route(incoming, now);
        if let Ok(mut answered) = self.answered.lock() {
            *answered.entry((place, answer.status.as_u16())).or_insert(0) += 1;
        }
        answer
    }

    fn route(&self, incoming: &Incoming, now: Timestamp) -> (&'static str, Answer) {
        let path = incoming.path.trim_end_matches('/');
        let reads = incoming.method == Method::GET;
        match path {
            "/healthz" if reads => return ("/healthz", Answer::text(StatusCode::OK, "ok")),
            "/metrics" if reads => return ("/metrics", Answer::metrics(self.metrics(now))),
            "/healthz" | "/metrics" => return ("/metrics", Answer::wrong_method("GET")),
            "/verdict" if reads => return ("/verdict", self.all(now)),
            "" | "/" if reads => return ("/", self.about()),
            _ => {}
        }
        if let Some(name) = path.strip_prefix("/verdict/") {
            // Argo Rollouts may be told to POST or PUT.
            if !matches!(incoming.method, Method::GET | Method::POST | Method::PUT) {
                return ("/verdict", Answer::wrong_method("GET, POST, PUT"));
            }
            return ("/verdict", self.verdict(&decoded(name), now));
        }
        if let Some(rest) = path.strip_prefix("/flagger/") {
            let (hook, name) = rest.split_once('/').unwrap_or((rest, ""));
            let Some(hook) = Hook::named(hook) else {
                return ("/flagger", nothing_here());
            };
            if incoming.method != Method::POST {
                return ("/flagger", Answer::wrong_method("POST"));
            }
            return (
                "/flagger",
                self.hook(hook, &decoded(name), &incoming.body, now),
            );
        }
        ("other", nothing_here())
    }

    fn about(&self) -> Answer {
        let names: Vec<&str> = self
            .canaries
            .iter()
            .map(|canary| canary.name.as_str())
            .collect();
        Answer::text(
            StatusCode::OK,
            format_args!(
                "canary-monitor {}: /verdict/NAME, /flagger/TYPE, /metrics\nknown: {}",
                env!("CARGO_PKG_VERSION"),
                visible(&names.join(", "))
            ),
        )
    }

    fn all(&self, now: Timestamp) -> Answer {
        let all = self
            .canaries
            .iter()
            .map(|canary| document(canary, &self.standing(canary, now)));
        Answer::json(StatusCode::OK, &Value::Array(all.collect()))
    }

    fn verdict(&self, name: &str, now: Timestamp) -> Answer {
        match self.named(name) {
            // Whatever the verdict: an answer that is not 2xx would be an error to Argo Rollouts, and is
            // asked for again.
            Some(canary) => Answer::json(
                StatusCode::OK,
                &document(canary, &self.standing(canary, now)),
            ),
            None => unknown(StatusCode::NOT_FOUND, name),
        }
    }

    fn hook(&self, hook: Hook, name: &str, body: &[u8], now: Timestamp) -> Answer {
        let payload: Value = match serde_json::from_slice(body) {
            Ok(payload @ Value::Object(_)) => payload,
            Ok(_) => return refused("the body is no object"),
            Err(error) => return refused(&format!("the body is no JSON: {error}")),
        };
        let text = |member: &str| {
            payload
                .get(member)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let asked = if name.is_empty() { text("name") } else { name };
        if asked.is_empty() {
            return refused("the body has no name");
        }
        let full = format!("{}/{asked}", text("namespace"));
        let Some(canary) = self.named(&full).or_else(|| self.named(asked)) else {
            return unknown(StatusCode::PRECONDITION_FAILED, asked);
        };
        let standing = self.standing(canary, now);
        let status = if hook.agrees(&standing) {
            StatusCode::OK
        } else {
            StatusCode::PRECONDITION_FAILED
        };
        // Flagger puts the body of a refusal into its events: one sentence for people.
        Answer::text(
            status,
            format_args!(
                "{} ({}): {}",
                standing.state.as_str(),
                standing.reason,
                visible(&standing.sentence)
            ),
        )
    }

    fn metrics(&self, now: Timestamp) -> String {
        let mut text = String::from(
            "# HELP gs_canary_verdict 1 for the verdict that holds, 0 for the others.\n# TYPE gs_canary_verdict gauge\n",
        );
        let standings: Vec<(&Canary, Standing)> = self
            .canaries
            .iter()
            .map(|canary| (canary, self.standing(canary, now)))
            .collect();
        for (canary, standing) in &standings {
            for verdict in ["pass", "warn", "fail", "inconclusive", "running"] {
                let holds = u8::from(standing.state.as_str() == verdict);
                let _ = writeln!(
                    text,
                    "gs_canary_verdict{{canary=\"{}\",verdict=\"{verdict}\"}} {holds}",
                    label(&canary.name)
                );
            }
        }
        text.push_str("# HELP gs_canary_age_seconds Since the run last said something.\n# TYPE gs_canary_age_seconds gauge\n");
        for (canary, standing) in &standings {
            if let Some(age) = standing.age_seconds {
                let _ = writeln!(
                    text,
                    "gs_canary_age_seconds{{canary=\"{}\"}} {age:.3}",
                    label(&canary.name)
                );
            }
        }
        text.push_str("# HELP gs_canary_answers_total Requests answered.\n# TYPE gs_canary_answers_total counter\n");
        if let Ok(answered) = self.answered.lock() {
            for ((place, status), count) in answered.iter() {
                let _ = writeln!(
                    text,
                    "gs_canary_answers_total{{path=\"{place}\",status=\"{status}\"}} {count}"
                );
            }
        }
        text
    }
}

fn document(canary: &Canary, standing: &Standing) -> Value {
    let good = matches!(standing.state, State::Ended(Verdict::Pass | Verdict::Warn));
    let score = match standing.state {
        State::Ended(Verdict::Pass | Verdict::Warn) => 100,
        State::Ended(Verdict::Fail) => 0,
        _ => 50,
    };
    json!({
        "canary": canary.name,
        "verdict": standing.state.as_str(),
        "ok": good,
        "score": score,
        "reason": standing.reason,
        "sentence": visible(&standing.sentence),
        "at_seconds": standing.at_seconds,
        "age_seconds": standing.age_seconds,
    })
}

fn decoded(path: &str) -> String {
    percent_encoding::percent_decode_str(path)
        .decode_utf8_lossy()
        .into_owned()
}

fn nothing_here() -> Answer {
    Answer::text(
        StatusCode::NOT_FOUND,
        "nothing here: /verdict/NAME, /flagger/TYPE, /metrics, /healthz",
    )
}

fn refused(why: &str) -> Answer {
    Answer::text(StatusCode::BAD_REQUEST, visible(why))
}

fn unknown(status: StatusCode, name: &str) -> Answer {
    let name: String = visible(name).chars().take(100).collect();
    Answer::text(status, format_args!("no canary `{name}` is known here"))
}

/// A label's value in the text format of Prometheus.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::standing::tests::{AGES, HEAD, check, outcome};
    use super::*;

    struct Place {
        folder: tempfile::TempDir,
        site: Site,
    }

    fn place(log: Option<String>) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        if let Some(log) = log {
            gs_common::file::write_atomic(&path, |out| out.write_all(log.as_bytes())).unwrap();
        }
        let canary = |name: &str| Canary {
            name: name.to_owned(),
            path: path.clone(),
        };
        let site = Site::new(vec![canary("test/podinfo"), canary("a \"b")], AGES);
        Place { folder, site }
    }

    fn running() -> String {
        HEAD.to_owned() + &check("90", 0)
    }

    fn ended(verdict: &str) -> String {
        // Written a moment ago by the clock of this test, which is the real one here.
        let line = outcome(verdict, 0);
        let at = super::super::standing::tests::now().to_string();
        HEAD.to_owned() + &line.replace(&at, &Timestamp::now().to_string())
    }

    fn get(site: &Site, path: &str) -> (u16, Value) {
        let incoming = Incoming {
            path: path.to_owned(),
            ..Incoming::default()
        };
        let answer = site.answer(&incoming, Timestamp::now());
        let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        (answer.status.as_u16(), body)
    }

    /// The request as Flagger's documentation shows it.
    fn post(site: &Site, path: &str, body: &str) -> (u16, String) {
        let incoming = Incoming {
            method: Method::POST,
            path: path.to_owned(),
            body: body.to_owned().into(),
            ..Incoming::default()
        };
        let answer = site.answer(&incoming, Timestamp::now());
        (
            answer.status.as_u16(),
            String::from_utf8(answer.body.to_vec()).unwrap(),
        )
    }

    const PAYLOAD: &str = r#"{"name":"podinfo","namespace":"test","phase":"Progressing","checksum":"85d557f47b","metadata":{"test":"all","token":"16688eb5e9f289f1991c"}}"#;

    #[test]
    fn argo_gets_200_whatever_the_verdict() {
        for (log, verdict, ok, score) in [
            (Some(ended("pass")), "pass", true, 100),
            (Some(ended("warn")), "warn", true, 100),
            (Some(ended("fail")), "fail", false, 0),
            (Some(ended("inconclusive")), "inconclusive", false, 50),
            (Some(running()), "running", false, 50),
            (Some("junk".to_owned()), "inconclusive", false, 50),
            (None, "inconclusive", false, 50),
        ] {
            let place = place(log);
            let (status, body) = get(&place.site, "/verdict/test/podinfo");
            assert_eq!(status, 200);
            assert_eq!(
                (&body["verdict"], &body["ok"], &body["score"]),
                (&json!(verdict), &json!(ok), &json!(score))
            );
        }
        let place = place(Some(ended("pass")));
        assert_eq!(get(&place.site, "/verdict/other").0, 404);
        assert_eq!(get(&place.site, "/verdict/test%2Fpodinfo").0, 200);
        let put = Incoming {
            method: Method::PUT,
            path: "/verdict/test/podinfo".to_owned(),
            ..Incoming::default()
        };
        assert_eq!(place.site.answer(&put, Timestamp::now()).status, 200);
        let delete = Incoming {
            method: Method::DELETE,
            ..put
        };
        assert_eq!(place.site.answer(&delete, Timestamp::now()).status, 405);
    }

    #[test]
    fn flagger_goes_and_holds_by_the_state_of_the_run() {
        let place_of = |log| place(Some(log));
        let all = |place: &Place| -> Vec<u16> {
            Hook::ALL
                .iter()
                .map(|(_, name)| post(&place.site, &format!("/flagger/{name}"), PAYLOAD).0)
                .collect()
        };
        assert_eq!(
            all(&place_of(running())),
            [200, 200, 200, 200, 412, 200, 412, 200]
        );
        assert_eq!(
            all(&place_of(ended("pass"))),
            [200, 200, 200, 200, 200, 200, 412, 200]
        );
        assert_eq!(
            all(&place_of(ended("fail"))),
            [412, 412, 412, 412, 412, 200, 200, 200]
        );
        assert_eq!(
            all(&place_of(ended("inconclusive"))),
            [412, 412, 412, 412, 412, 200, 412, 200]
        );
        assert_eq!(all(&place(None)), [412, 412, 412, 412, 412, 200, 412, 200]);
    }

    #[test]
    fn nobody_unknown_ever_goes() {
        let place = place(Some(ended("pass")));
        for (_, name) in Hook::ALL {
            let (status, said) = post(
                &place.site,
                &format!("/flagger/{name}"),
                &PAYLOAD.replace("podinfo", "other"),
            );
            assert_eq!(
                (status, said.as_str()),
                (412, "no canary `other` is known here\n")
            );
        }
        let (status, _) = post(
            &place.site,
            "/flagger/confirm-promotion",
            &PAYLOAD.replace("\"test\",", "\"prod\","),
        );
        assert_eq!(status, 412, "another namespace is another canary");
        assert_eq!(
            post(
                &place.site,
                "/flagger/confirm-promotion/test%2Fpodinfo",
                "{}"
            )
            .0,
            200
        );
        for body in ["", "[]", "{", "{\"name\":3}"] {
            assert_eq!(
                post(&place.site, "/flagger/confirm-promotion", body).0,
                400,
                "{body}"
            );
        }
        assert_eq!(post(&place.site, "/flagger/approve-all", PAYLOAD).0, 404);
        assert_eq!(get(&place.site, "/flagger/rollout").0, 405);
        drop(place.folder);
    }

    #[test]
    fn its_own_metrics_tell_the_verdict_and_count_answers() {
        let place = place(Some(ended("fail")));
        get(&place.site, "/verdict/test/podinfo");
        let incoming = Incoming {
            path: "/metrics".to_owned(),
            ..Incoming::default()
        };
        let text = String::from_utf8(place.site.answer(&incoming, Timestamp::now()).body.to_vec())
            .unwrap();
        assert!(
            text.contains("gs_canary_verdict{canary=\"test/podinfo\",verdict=\"fail\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("canary=\"a \\\"b\",verdict=\"pass\"} 0"),
            "{text}"
        );
        assert!(
            text.contains("gs_canary_answers_total{path=\"/verdict\",status=\"200\"} 1"),
            "{text}"
        );
    }
}
