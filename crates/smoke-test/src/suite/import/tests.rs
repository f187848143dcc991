//! The laws of importing: what is made can be read, holds no secret, and leaves nothing out silently.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{curl, har, openapi};
use crate::suite::model::{Probe, RequestTemplate, Suite};
use crate::suite::{Inputs, Scope, Source, read};

const SECRET: &str = "s3cret-Value/1";

/// Every suite that is made has to be readable.
#[track_caller]
fn readable(text: &str) -> Suite {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    gs_common::file::write_atomic(file.path(), |out| out.write_all(text.as_bytes())).unwrap();
    let variables = text
        .lines()
        .filter_map(|line| line.split("env = \"").nth(1)?.split('"').next());
    let process: BTreeMap<_, _> = variables
        .map(|name| (name.to_owned(), SECRET.to_owned()))
        .collect();
    let inputs = Inputs {
        process,
        ..Inputs::default()
    };
    read(&Source::File(file.path().to_owned()), &inputs)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn request(suite: &Suite, index: usize) -> &RequestTemplate {
    let Probe::Http(probe) = &suite.checks[index].probe else {
        panic!("no request")
    };
    &probe.request
}

/// The request as it is sent where every secret has [`SECRET`] as its value.
fn sent(suite: &Suite, index: usize) -> (String, BTreeMap<String, String>, Option<String>) {
    let scope: Scope = suite
        .variables
        .iter()
        .map(|(name, variable)| (name.clone(), variable.value.clone()))
        .collect();
    let request = request(suite, index);
    let headers = request
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.fill(&scope).unwrap()));
    (
        request.path.fill(&scope).unwrap(),
        headers.collect(),
        request.body.as_ref().map(|body| body.fill(&scope).unwrap()),
    )
}

#[track_caller]
fn from_curl(line: &str) -> (String, BTreeMap<String, String>, Option<String>) {
    sent(&readable(&curl(line).unwrap()), 0)
}

#[test]
fn a_curl_line_becomes_the_request_it_sends() {
    let (path, headers, body) = from_curl(
        "curl -sSL https://gs.example/api/v1/signals?limit=5 -H 'Accept: application/json'",
    );
    assert_eq!((path.as_str(), body), ("/api/v1/signals?limit=5", None));
    assert_eq!(headers["accept"], "application/json");

    let (path, headers, body) = from_curl("curl -d a=1 --data-urlencode 'b=x y' gs.example/f");
    assert_eq!(
        (path.as_str(), body.as_deref()),
        ("/f", Some("a=1&b=x%20y"))
    );
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");

    let (path, _, body) = from_curl("curl -G -d a=1 'http://gs.example/f?b=2'");
    assert_eq!((path.as_str(), body), ("/f?b=2&a=1", None));

    let (_, headers, body) =
        from_curl(r#"curl --json '{"a":[1,null,"{{x}}"]}' http://gs.example/"#);
    assert_eq!(body.as_deref(), Some(r#"{"a":[1,null,"{{x}}"]}"#));
    assert_eq!(headers["accept"], "application/json");

    let suite = readable(&curl("curl -XDELETE -m 2.5 --retry 3 http://gs.example/a").unwrap());
    let check = &suite.checks[0];
    assert_eq!(
        (
            request(&suite, 0).method.as_str(),
            check.timeout.as_millis(),
            check.retry.retries
        ),
        ("DELETE", 2500, 3)
    );
    assert_eq!(check.tags, ["writes"]);
}

#[test]
fn secrets_of_a_curl_line_become_variables() {
    for line in [
        format!("curl -H 'Authorization: Bearer {SECRET}' http://gs.example/"),
        format!("curl -H 'X-Api-Key: {SECRET}' http://gs.example/"),
        format!("curl --oauth2-bearer {SECRET} http://gs.example/"),
        format!("curl -u me:{SECRET} http://gs.example/"),
        format!("curl -b 'sid={SECRET}' http://gs.example/"),
        "curl 'http://gs.example/?access_token=s3cret-Value%2F1'".to_owned(),
        "curl http://me:s3cret-Value%2F1@gs.example/".to_owned(),
        format!(r#"curl --json '{{"user":"me","password":"{SECRET}"}}' http://gs.example/"#),
        format!(r#"curl --json '{{"a":null,"password":"{SECRET}"}}' http://gs.example/"#),
        format!("curl -d 'user=me&password={SECRET}' http://gs.example/"),
        // Undeclared, but the same as a declared one.
        format!(
            "curl 'http://gs.example/{SECRET}' -H 'x-note: {SECRET}' -H 'x-token: {SECRET}' -d 'a {SECRET}' -H 'content-type: text/plain'"
        ),
    ] {
        let text = curl(&line).unwrap();
        for leak in [
            SECRET,
            "s3cret-Value%2F1",
            "czNjcmV0",
            "bWU6czNjcmV0LVZhbHVlLzE",
        ] {
            assert!(!text.contains(leak), "{leak} in\n{text}");
        }
        let suite = readable(&text);
        assert!(
            suite.variables.values().any(|variable| variable.secret),
            "{text}"
        );
    }
    let (_, headers, body) = from_curl(&format!(
        r#"curl -H 'authorization: Bearer {SECRET}' --json '{{"password":"{SECRET}"}}' gs.example"#
    ));
    assert_eq!(headers["authorization"], format!("Bearer {SECRET}"));
    assert_eq!(body.unwrap(), json!({"password": SECRET}).to_string());
}

#[test]
fn what_is_not_understood_of_a_curl_line_is_named() {
    for (line, said) in [
        ("curl --ntlm http://a/", "`--ntlm`"),
        ("curl -F a=b http://a/", "`-F`"),
        ("curl --request=POST http://a/", "`--request`"),
        ("curl -sZ http://a/", "`-Z`"),
        ("curl -H 'no colon' http://a/", "no `:`"),
        ("curl -H", "no value"),
        ("curl -d @- http://a/", "@FILE"),
        ("curl -u me http://a/", "no password"),
        ("curl -b jar.txt http://a/", "reads a file"),
        ("curl http://a/ http://b/", "more than one URL"),
        ("curl 'http://a/{b,c}'", "several URLs"),
        ("curl ftp://a/", "`ftp`"),
        ("curl -s", "no URL"),
        ("wget http://a/", "does not start with `curl`"),
        ("curl 'http://a", "not closed"),
        ("curl -m never http://a/", "seconds"),
    ] {
        let error = curl(line).unwrap_err();
        assert!(error.to_string().contains(said), "{line}: {error}");
    }
    let typo = curl("curl --requets POST http://a/").unwrap_err();
    assert!(typo.hint.unwrap().contains("did you mean `--request`?"));
    let text = curl("curl -k -L --cacert ca.pem -H 'Host: b' http://a/").unwrap();
    for note in ["--insecure", "redirects", "--cacert", "--host"] {
        assert!(text.contains(note), "{note} in\n{text}");
    }
}

fn entry(method: &str, url: &str, status: i64, mime: &str, body: &str) -> Value {
    json!({"request": {"method": method, "url": url, "headers": [{"name": "X-Auth-Token", "value": SECRET}, {"name": "User-Agent", "value": "b"}]},
           "response": {"status": status, "content": {"mimeType": mime, "text": body}}})
}

fn har_of(entries: Vec<Value>) -> String {
    json!({"log": {"version": "1.2", "entries": entries}}).to_string()
}

#[test]
fn a_har_becomes_checks_of_its_main_host() {
    let mut encoded = entry(
        "GET",
        "https://gs.example/list",
        200,
        "application/json",
        "W3siYSI6MSwiYiI6Mn0seyJhIjozfV0=",
    );
    encoded["response"]["content"]["encoding"] = json!("base64");
    let mut post = entry(
        "POST",
        "https://gs.example/login",
        201,
        "application/json",
        "{}",
    );
    post["request"]["postData"] =
        json!({"mimeType": "application/json", "text": format!(r#"{{"password":"{SECRET}"}}"#)});
    let text = har(&har_of(vec![
        entry(
            "GET",
            "https://gs.example/api?x=1&token=abcd1234",
            200,
            "application/json; charset=utf-8",
            r#"{"a": 1, "b.c": 2}"#,
        ),
        entry(
            "GET",
            "https://gs.example/api?x=2",
            404,
            "application/json",
            r#"{"detail": "x"}"#,
        ),
        encoded,
        post,
        entry(
            "GET",
            "https://gs.example/api?x=2",
            404,
            "application/json",
            r#"{"detail": "x"}"#,
        ),
        entry("GET", "https://gs.example/logo.png", 200, "image/png", ""),
        entry("GET", "https://gs.example/gone", 0, "", ""),
        entry("GET", "https://gs.example/down", 503, "text/html", ""),
        entry("GET", "wss://gs.example/ws", 101, "", ""),
        entry(
            "GET",
            "https://cdn.example/data",
            200,
            "application/json",
            "{}",
        ),
    ]))
    .unwrap();
    assert!(
        !text.contains(SECRET) && !text.contains("abcd1234") && !text.contains("user-agent"),
        "{text}"
    );
    for left in [
        "cdn.example (once)",
        "there already",
        "picture",
        "without an answer",
        "5xx",
        "WebSocket",
    ] {
        assert!(text.contains(left), "{left} in\n{text}");
    }
    let suite = readable(&text);
    let ids: Vec<&str> = suite.checks.iter().map(|check| check.id.as_str()).collect();
    assert_eq!(ids, ["api", "api.2", "list", "post-login"]);
    let expect = |index: usize| {
        let Probe::Http(probe) = &suite.checks[index].probe else {
            panic!()
        };
        &probe.expect
    };
    assert_eq!(
        expect(0).required,
        ["a"],
        "a name with a dot cannot be asked for"
    );
    assert_eq!(
        (expect(2).min_items, expect(2).each.as_slice()),
        (Some(1), ["a".to_owned()].as_slice())
    );
    assert!(har(&har_of(vec![])).is_err());
    assert!(har("{}").unwrap_err().to_string().contains("no HAR"));
}

#[test]
fn an_openapi_document_becomes_its_gets_with_examples() {
    let document = json!({"openapi": "3.1.0", "servers": [{"url": "https://gs.example/api/{v}", "variables": {"v": {"default": "v1"}}}],
        "security": [{"key": []}],
        "paths": {
            "/": {"get": {"security": [], "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Root"}}}}}}},
            "/q/{s}": {
                "parameters": [{"$ref": "#/components/parameters/s"}],
                "get": {"parameters": [
                    {"name": "days", "in": "query", "required": true, "schema": {"enum": [5, 7]}},
                    {"name": "page", "in": "query", "schema": {"type": "integer"}}],
                    "responses": {"2XX": {"content": {"application/json": {"schema": {"type": "array", "items": {"required": ["a"]}}}}}}},
                "post": {}},
            "/r/{s}": {"get": {"parameters": [{"name": "s", "in": "path", "required": true}]}},
            "/t/{s}": {"get": {}}},
        "components": {
            "parameters": {"s": {"name": "s", "in": "path", "required": true, "example": "BRK/B"}},
            "schemas": {"Root": {"type": ["object", "null"]}},
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}}}});
    let text = openapi(&document.to_string()).unwrap();
    for left in [
        "POST operations",
        "GET /r/{s}: the path parameter `s` has no example",
        "GET /t/{s}",
    ] {
        assert!(text.contains(left), "{left} in\n{text}");
    }
    let suite = readable(&text);
    assert_eq!(suite.checks.len(), 2);
    assert_eq!(sent(&suite, 0).0, "/api/v1/");
    let (path, headers, _) = sent(&suite, 1);
    assert_eq!(
        (path.as_str(), headers["x-api-key"].as_str()),
        ("/api/v1/q/BRK%2FB?days=5", SECRET)
    );
    let Probe::Http(probe) = &suite.checks[1].probe else {
        panic!()
    };
    assert_eq!(probe.expect.each, ["a"]);
    for (wrong, said) in [
        ("{}", "does not say"),
        ("openapi: 3.0.0", "no JSON"),
        (r#"{"swagger": "2.0", "paths": {}}"#, "Swagger"),
        (r#"{"openapi": "3.0.0"}"#, "no `paths`"),
        (r#"{"openapi": "3.0.0", "paths": {}}"#, "no request"),
        (
            r##"{"openapi": "3.0.0", "paths": {"/": {"$ref": "#/paths/~1"}}}"##,
            "no request",
        ),
    ] {
        let error = openapi(wrong).unwrap_err();
        assert!(error.to_string().contains(said), "{wrong}: {error}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[{}a\"\\\\\u{7f}\n]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-c{}. ]{0,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_recorded_is_readable_and_sent_as_it_was(
        path in "[ -~]{0,20}", header in "[!-~]{0,20}", body in any_json(), answer in any_json(),
    ) {
        let document = har_of(vec![json!({
            "request": {"method": "POST", "url": format!("http://h/{path}"), "headers": [{"name": "x-a", "value": header}],
                        "postData": {"mimeType": "application/json", "text": body.to_string()}},
            "response": {"status": 200, "content": {"mimeType": "application/json", "text": answer.to_string()}}})]);
        if let Ok(text) = har(&document) {
            let (_, headers, sent) = sent(&readable(&text), 0);
            prop_assert_eq!(&headers["x-a"], &header);
            let sent: Value = serde_json::from_str(&sent.unwrap()).unwrap();
            prop_assert_eq!(sent, body);
        }
    }

    #[test]
    fn a_secret_is_never_written_out(secret in "[a-zA-Z0-9_.-]{8,30}", place in 0_usize..5) {
        // A secret that is a word of the suite's own would be found by chance.
        let secret = format!("Zq{secret}9");
        let line = match place {
            0 => format!("curl -H 'Cookie: a={secret}' http://h/{secret}"),
            1 => format!("curl 'http://h/?api_key={secret}&other={secret}'"),
            2 => format!(r#"curl --json '{{"token":{{"a":["{secret}"]}},"note":"is {secret}"}}' http://h/"#),
            3 => format!("curl -u '{secret}:{secret}' http://h/"),
            _ => format!("curl -d 'password={secret}' http://h/"),
        };
        let text = curl(&line).unwrap();
        prop_assert!(!text.contains(&secret), "{}", text);
        readable(&text);
    }

    #[test]
    fn no_text_makes_an_importer_panic(text in "(?s).{0,80}") {
        let _ = (curl(&format!("curl {text}")).is_ok(), har(&text).is_ok(), openapi(&text).is_ok());
    }

    #[test]
    fn no_document_makes_the_openapi_importer_panic(item in any_json(), schema in any_json()) {
        let document = json!({"openapi": "3.0.0", "servers": [item], "paths": {"/a/{b}": {"get": {
            "parameters": [{"name": "b", "in": "path", "example": "x", "schema": schema}, item],
            "responses": {"200": {"content": {"application/json": {"schema": schema}}}}}}}, "components": item});
        if let Ok(text) = openapi(&document.to_string()) {
            readable(&text);
        }
    }
}
