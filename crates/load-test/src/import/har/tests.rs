use super::*;
use std::path::Path;

use proptest::prelude::*;

use crate::persona::read::{Inputs, read_str};

const SESSION: &str = include_str!("../../../tests/fixtures/foreign/session.har");

/// Everything in the recording that nobody may see.
const SECRETS: [&str; 6] = [
    "tok-3f9a8b7c6d5e4f",
    "sess-0123456789abcdef",
    "hunter2-hunter2",
    "key-99887766",
    "pw-abcdefgh",
    "eyJzdWIiOiJtZSJ9",
];

fn inputs() -> Inputs {
    Inputs {
        dry: true,
        ..Inputs::default()
    }
}

#[test]
fn a_recording_becomes_personas_that_can_be_read() {
    let text = draft(SESSION).unwrap();
    let personas = read_str("draft.toml", &text, Path::new("."), &inputs())
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let persona = &personas.personas[0];
    let tasks: Vec<(&str, u32)> = persona
        .tasks
        .iter()
        .map(|task| (task.name.as_str(), task.weight))
        .collect();
    assert!(tasks.contains(&("api-v1-signals", 2)), "{tasks:?}");
    assert!(tasks.contains(&("post-api-v1-login", 1)), "{tasks:?}");
    assert!(
        personas
            .endpoints
            .contains(&"/api/v1/orders/[id]".to_owned()),
        "{:?}",
        personas.endpoints
    );
    assert!(
        persona.think.0 >= std::time::Duration::from_millis(100)
            && persona.think.0 <= persona.think.1
    );
    for told in [
        "1 x a picture, font, style or script",
        "1 x a request to https://cdn.example",
        "1 x a WebSocket",
        "1 x a request that the service failed to answer (5xx)",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[test]
fn no_secret_lands_in_the_file() {
    let text = draft(SESSION).unwrap();
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    // One value has one variable, wherever it turns up: the login's answer is the later bearer.
    assert!(text.contains("Bearer {{accesstoken}}"), "{text}");
    assert!(text.contains("env = \"LOAD_ACCESSTOKEN\""), "{text}");
    assert!(
        // A table, a text in double quotes, or one in single quotes: TOML's writer chooses.
        text.contains("copy = \"{{session}}\"")
            || text.contains(r#"\"copy\":\"{{session}}\""#)
            || text.contains(r#""copy":"{{session}}""#),
        "{text}"
    );
    // A secret that nothing refers to needs no variable.
    let personas = read_str("draft.toml", &text, Path::new("."), &inputs()).unwrap();
    for warning in &personas.warnings {
        let name = warning
            .split("LOAD_")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .to_lowercase();
        assert!(text.contains(&format!("{{{{{name}}}}}")), "{name}");
    }
}

#[test]
fn what_is_sent_is_what_was_recorded() {
    let process: BTreeMap<String, String> = [
        ("LOAD_AUTHORIZATION", "tok-3f9a8b7c6d5e4f"),
        ("LOAD_SESSION", "sess-0123456789abcdef"),
        ("LOAD_PASSWORD", "hunter2-hunter2"),
        ("LOAD_API_KEY", "key-99887766"),
        ("LOAD_PWD", "pw-abcdefgh"),
        (
            "LOAD_JWT",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJlLW9mLWl0",
        ),
        ("LOAD_COOKIE", "session=sess-0123456789abcdef; theme=dark"),
        ("LOAD_ACCESSTOKEN", "tok-3f9a8b7c6d5e4f"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let text = draft(SESSION).unwrap();
    let personas = read_str(
        "draft.toml",
        &text,
        Path::new("."),
        &Inputs {
            process,
            dry: false,
        },
    )
    .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let steps: Vec<_> = personas.personas[0]
        .tasks
        .iter()
        .flat_map(|task| &task.steps)
        .collect();
    let sent: Vec<&str> = steps
        .iter()
        .filter_map(|step| step.target.fixed())
        .collect();
    assert!(
        sent.contains(&"/api/v1/market-data/AAPL?period=1d&api_key=key-99887766&note=a+b"),
        "{sent:?}"
    );
    let body = |path: &str| {
        let step = steps
            .iter()
            .find(|step| step.target.fixed() == Some(path))
            .unwrap();
        step.body
            .as_ref()
            .and_then(|body| body.fixed())
            .unwrap()
            .to_owned()
    };
    assert_eq!(body("/form"), "pwd=pw-abcdefgh&q=caf%C3%A9+%7B%7Bx%7D%7D");
    let echo: Value = serde_json::from_str(&body("/api/v1/echo")).unwrap();
    assert_eq!(echo["text"], "tail {");
    assert_eq!(echo["copy"], "sess-0123456789abcdef");
    let login: Value = serde_json::from_str(&body("/api/v1/login")).unwrap();
    assert_eq!(login["nested"]["accessToken"], "tok-3f9a8b7c6d5e4f");
}

#[test]
fn what_is_no_recording_is_refused() {
    for (text, why) in [
        ("", "no HAR"),
        ("{}", "no HAR"),
        (r#"{"log": {"entries": []}}"#, "no request"),
        (
            r#"{"log": {"entries": [{"request": {"method": "GET", "url": "data:,x"}, "response": {"status": 200}}]}}"#,
            "no request",
        ),
    ] {
        let error = draft(text).unwrap_err();
        assert!(error.message.contains(why), "{text}: {error}");
    }
    for end in 0..SESSION.trim_end().len() {
        assert!(draft(&SESSION[..end]).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_secret_looks_like_it_is_taken_out(
        secret in "[ -~é\n]{8,30}", path in "[a-z{}%/ ]{0,20}", word in "[ -~]{0,12}",
    ) {
        prop_assume!(secret.trim() == secret && !secret.contains(';'));
        let entry = |url: String, body: Value| serde_json::json!({
            "request": {
                "method": "POST", "url": url,
                "headers": [{"name": "X-Api-Key", "value": secret.replace('\n', " ")}],
                "postData": {"mimeType": "application/json", "text": body.to_string()},
            },
            "response": {"status": 200, "content": {"mimeType": "application/json"}},
        });
        let mut url = Url::parse("http://h.example/").unwrap();
        url.set_path(&path);
        url.query_pairs_mut().append_pair("q", &word).append_pair("copy", &secret);
        let har = serde_json::json!({"log": {"entries": [
            entry(url.to_string(), serde_json::json!({"password": secret, "other": [word, secret], "n": null})),
        ]}});
        // A secret that is made of what the file is made of cannot be hidden: that is an error, not a file.
        if let Ok(text) = draft(&har.to_string()) {
            prop_assert!(!text.contains(&secret), "{text}");
            let read = read_str("draft.toml", &text, Path::new("."), &inputs());
            prop_assert!(read.is_ok(), "{}\n{text}", read.unwrap_err());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = SESSION.as_bytes().to_vec();
        for (place, byte) in noise {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let _ = draft(text);
        }
    }
}
