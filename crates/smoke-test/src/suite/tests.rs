//! The laws of reading a suite, told by files that keep or break them.

use std::path::PathBuf;

use gs_common::config::ConfigError;
use proptest::prelude::*;

use super::model::{Demand, Kind, Probe, Suite};
use super::{Inputs, Source, read};

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            gs_common::file::write_atomic(&folder.path().join(name), |out| {
                out.write_all(text.as_bytes())
            })
            .unwrap();
        }
        Self(folder)
    }

    fn read(&self, inputs: &Inputs) -> Result<Suite, ConfigError> {
        read(&Source::File(self.path("suite.toml")), inputs)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn suite(text: &str) -> Result<Suite, ConfigError> {
    Folder::with(&[("suite.toml", text)]).read(&Inputs::default())
}

/// A suite of one check with these lines in it.
fn one(lines: &str) -> String {
    format!("[[checks]]\nid = \"a\"\n{lines}\n")
}

#[track_caller]
fn refuses(text: &str, said: &str, hint: &str) {
    let error = suite(text).unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains(said), "{shown}");
    assert!(shown.contains("suite.toml"), "no file: {shown}");
    let advice = error.hint.unwrap_or_default();
    assert!(advice.contains(hint), "hint: {advice}");
}

#[test]
fn the_built_in_suite_is_read() {
    let suite = read(&Source::BuiltIn, &Inputs::default()).unwrap();
    assert_eq!(suite.name, "goldensignals");
    for tag in ["core", "services", "errors", "ws", "infra"] {
        assert!(
            suite
                .checks
                .iter()
                .any(|check| check.tags.iter().any(|t| t == tag)),
            "{tag}"
        );
    }
    let all = suite.select(&[], &[]).unwrap();
    assert!(
        all.iter()
            .all(|check| check.id != "ws-broadcast" && check.id != "kubernetes-health"),
        "slow ones wait to be named"
    );
    assert_eq!(suite.select(&["slow".to_owned()], &[]).unwrap().len(), 1);
    let root = all.first().unwrap();
    assert_eq!(
        (root.id.as_str(), root.place.path.as_str()),
        ("root", "built-in:goldensignals.toml")
    );
    assert!(root.place.line.unwrap() > 10);
}

#[test]
fn a_check_is_read_with_its_defaults() {
    let text = "[variables]\ns = 'SPY'\n[defaults]\ntags = ['t']\ntimeout = '3s'\nheaders = { Accept = 'x' }\n"
        .to_owned()
        + &one("get = '/q/{{s}}'\ntags = ['u']\nexpect = { json = [{ path = '$.a', equals = 1 }] }");
    let suite = suite(&text).unwrap();
    let check = &suite.checks[0];
    assert_eq!(check.tags, ["t", "u"]);
    assert_eq!(check.timeout.as_secs(), 3);
    let Probe::Http(probe) = &check.probe else {
        panic!()
    };
    assert_eq!(probe.request.headers[0].0, "accept");
    assert!(matches!(&probe.expect.json[0].demand, Demand::Equals(value) if value == 1));
}

#[test]
fn a_mistake_is_said_with_its_place_and_mend() {
    refuses("", "has no checks", "[[checks]]");
    refuses(
        "[[check]]\nid = 'a'\n",
        ":1:3: unknown key `check`",
        "did you mean `checks`?",
    );
    refuses("nonsense", ":1:", "");
    refuses(
        &one("gte = '/'\nexpect = { status = 200 }"),
        "asks nothing",
        "`get`",
    );
    refuses(&one("get = '/'"), "proves nothing", "expect");
    refuses(&one("get = '/'\nexpect = {}"), "proves nothing", "status");
    refuses(
        &one("get = '/'\nexpect = { staus = 200 }"),
        "unknown key `staus`",
        "did you mean `status`?",
    );
    refuses(&one("get = '/'\nexpect = { status = '20x' }"), ":4:", "200");
    refuses(
        &one("get = 7\nexpect = { status = 200 }"),
        "`get` is a number",
        "text",
    );
    refuses(
        &one("get = 'x'\nexpect = { status = 200 }"),
        "no path",
        "host",
    );
    refuses(
        &one("get = '/'\nrequest = { path = '/' }\nexpect = { status = 200 }"),
        "both",
        "keep one",
    );
    refuses(
        &one("get = '/'\ntimeout = 5\nexpect = { status = 200 }"),
        "`timeout` is a number",
        "unit",
    );
    refuses(
        &one("get = '/'\ntimeout = '5'\nexpect = { status = 200 }"),
        "the unit is missing",
        "",
    );
    refuses(
        &one("get = '/'\nseverity = 'high'\nexpect = { status = 200 }"),
        "neither `fail` nor `warn`",
        "",
    );
    refuses(
        &one("get = '/'\nexpect = { body_matches = '(' }"),
        "unclosed group",
        "",
    );
    refuses(
        &one("get = '/'\nexpect = { json = [{ path = '$.[' }] }"),
        "no JSONPath",
        "",
    );
    refuses(
        &one("get = '/'\nexpect = { schema = { type = 'objekt' } }"),
        "no JSON Schema",
        "",
    );
    refuses(
        &one("get = '/'\nexpect = { schema = 'none.json' }"),
        "none.json",
        "",
    );
    refuses(
        &one("get = '/'\nexpect = { invariants = ['$.a'] }"),
        "compares nothing",
        "",
    );
    refuses(
        &one("get = '/'\nexpect = { timings = { p95 = { max = '1s' } } }"),
        "needs `samples`",
        "samples",
    );
    refuses(
        &one("get = '/'\nexpect = { timings = { total = { warn = '2s', max = '1s' } } }"),
        "not below",
        "",
    );
    refuses(
        &one("websocket = { path = '/ws', steps = [{ send = 'x' }] }"),
        "listens to nothing",
        "expect",
    );
    refuses(
        &one("websocket = { path = '/ws', steps = [{ sned = 'x' }, { ping = '1s' }] }"),
        "unknown key `sned`",
        "`send`",
    );
    refuses(&one("certificate = {}"), "proves nothing", "min_days");
    refuses(
        &one(
            "get = '/'\nexpect = { status = 200 }\nknown_failure = { reason = 'r', expires = 2026-12-31 }",
        ),
        "no `owner`",
        "owner",
    );
    refuses(
        "[[checks]]\nid = 'A b'\nget = '/'\nexpect = { status = 200 }",
        "lowercase",
        "",
    );
    refuses(
        &(one("get = '/'\nexpect = { status = 200 }")
            + &one("get = '/'\nexpect = { status = 200 }")),
        "is taken by the check at",
        "another id",
    );
}

#[test]
fn what_no_answer_can_fulfil_is_refused() {
    let expect = |lines: &str| one(&format!("get = '/'\nexpect = {{ {lines} }}"));
    refuses(
        &expect("kind = 'array', required = ['a']"),
        "`kind` allows none",
        "`each`",
    );
    refuses(
        &expect("kind = 'object', min_items = 1"),
        "`kind` allows none",
        "items_at",
    );
    refuses(
        &expect("items_at = '$.a'"),
        "nothing is said of them",
        "min_items",
    );
    refuses(
        &expect("json = [{ path = '$.a', one_of = [] }]"),
        "empty list",
        "",
    );
    refuses(
        &expect("json = [{ path = '$.a', min = 2, max = 1 }]"),
        "no number fits",
        "",
    );
    refuses(
        &expect("json = [{ path = '$.a', min = 1, equals = 1 }]"),
        "more than one demand",
        "one table",
    );
    refuses(
        &expect("min_bytes = '2KiB', max_bytes = '1KiB'"),
        "no body fits",
        "",
    );
    refuses(&expect("status = []"), "empty list", "");
    refuses(
        &one("get = '/a#b'\nexpect = { status = 200 }"),
        "`#`",
        "%23",
    );
    refuses(
        &one("get = '/'\ntimeout = '9s'\nlimit = '5s'\nexpect = { status = 200 }"),
        "all of them together",
        "raise",
    );
    refuses(
        &one("get = '/'\ntags = ['a,b']\nexpect = { status = 200 }"),
        "no tag",
        "",
    );
    refuses(
        &one("certificate = { min_days = 14, warn_days = 7 }"),
        "never warn",
        "",
    );
    let known = "known_failure = { reason = 'r', owner = 'o', expires = 2026-12-31 }";
    refuses(
        &one(&format!(
            "get = '/'\nseverity = 'warn'\n{known}\nexpect = {{ status = 200 }}"
        )),
        "of severity `warn`",
        "take one",
    );
    refuses(
        &one("websocket = { path = '/ws', steps = [{ ping = '0s' }] }"),
        "no time",
        "",
    );
    refuses(
        &one("websocket = { path = '/ws', steps = [{ close = {} }, { send = 'x' }] }"),
        "end of the connection",
        "reconnect",
    );
}

#[test]
fn the_items_of_a_named_list_are_its_own() {
    // Were the list itself taken for an item, an empty one would have one.
    let suite = suite(&one(
        "get = '/'\nexpect = { items_at = '$.data', min_items = 1 }",
    ))
    .unwrap();
    let Probe::Http(probe) = &suite.checks[0].probe else {
        panic!()
    };
    assert_eq!(probe.expect.items_at.as_ref().unwrap().text, "$.data[*]");
    assert!(
        matches!(&probe.expect.json[0].demand, Demand::IsA(Kind::Array)),
        "it has to be a list"
    );
}

#[test]
fn a_try_may_take_as_long_as_it_is_allowed() {
    let suite = suite(&one("get = '/'\ntimeout = '2m'\nexpect = { status = 200 }")).unwrap();
    assert_eq!(
        (
            suite.checks[0].timeout.as_secs(),
            suite.checks[0].limit.as_secs()
        ),
        (120, 120)
    );
}

#[test]
fn all_mistakes_in_checks_are_told_at_once() {
    let text =
        one("get = '/'") + &one("get = 7\nexpect = { status = 200 }").replace("\"a\"", "\"b\"");
    let error = suite(&text).unwrap_err();
    assert!(error.message.contains("proves nothing"), "{error}");
    let hint = error.hint.unwrap();
    assert!(
        hint.contains("1 more") && hint.contains(":6:7: `get` is a number"),
        "{hint}"
    );
}

#[test]
fn needs_have_to_make_sense() {
    let a = "[[checks]]\nid = 'a'\nneeds = ['b']\nget = '/'\nexpect = { status = 200 }\n";
    let b = "[[checks]]\nid = 'b'\nneeds = ['a']\nget = '/'\nexpect = { status = 200 }\n";
    refuses(&format!("{a}{b}"), "a circle of needs: a -> b -> a", "out");
    refuses(
        &a.replace("'b'", "'aa'"),
        "needs `aa`, which does not exist",
        "did you mean `a`?",
    );
}

#[test]
fn a_name_in_a_text_has_to_have_a_value() {
    refuses(
        &one("get = '/{{x}}'\nexpect = { status = 200 }"),
        "nothing gives `{{x}}`",
        "[variables]",
    );
    let login = "[[checks]]\nid = 'login'\nget = '/'\nexpect = { status = 200 }\ncapture = { token = { json = '$.t', secret = true } }\n";
    let user = |needs: &str| {
        one(&format!(
            "{needs}get = '/{{{{token}}}}'\nexpect = {{ status = 200 }}"
        ))
    };
    refuses(
        &(login.to_owned() + &user("")),
        "nothing gives",
        "needs = [\"login\"]",
    );
    assert!(suite(&(login.to_owned() + &user("needs = ['login']\n"))).is_ok());
}

#[test]
fn a_name_in_an_expected_value_has_to_have_one_too() {
    for demand in [
        "differs = '{{x}}'",
        "one_of = ['a', '{{x}}']",
        "equals = { a = ['{{x}}'] }",
    ] {
        refuses(
            &one(&format!(
                "get = '/'\nexpect = {{ json = [{{ path = '$.a', {demand} }}] }}"
            )),
            "nothing gives `{{x}}`",
            "",
        );
    }
    refuses(
        &one("get = '/{{x|html}}'\nexpect = { status = 200 }"),
        "after `|` stands",
        "",
    );
}

#[test]
fn a_name_has_one_source() {
    let check = |id: &str| {
        format!(
            "[[checks]]\nid = '{id}'\nget = '/'\nexpect = {{ status = 200 }}\ncapture = {{ t = {{ header = 'x' }} }}\n"
        )
    };
    refuses(
        &(check("a") + &check("b")),
        "`b` captures `t`, and so does `a` at",
        "another name",
    );
    refuses(
        &("[variables]\nt = 1\n".to_owned() + &check("a")),
        "a variable already",
        "another name",
    );
}

#[test]
fn a_value_in_a_body_cannot_break_out_of_it() {
    let text = "[variables]\nx = 'a\"b'\n".to_owned()
        + &one("request = { method = 'POST', path = '/', json = { '{{x}}' = ['{{x}}'] } }\nexpect = { status = 200 }")
        + &one("request = { method = 'POST', path = '/', form = { a = '{{x}}&' } }\nexpect = { status = 200 }").replace("\"a\"", "\"b\"");
    let suite = suite(&text).unwrap();
    let scope = suite
        .variables
        .iter()
        .map(|(name, variable)| (name.clone(), variable.value.clone()))
        .collect();
    let body = |index: usize| {
        let Probe::Http(probe) = &suite.checks[index].probe else {
            panic!()
        };
        probe.request.body.as_ref().unwrap().fill(&scope).unwrap()
    };
    assert_eq!(body(0), r#"{"a\"b":["a\"b"]}"#);
    assert_eq!(body(1), "a=a%22b%26");
}

#[test]
fn includes_are_followed_and_circles_refused() {
    let leaf = "[[checks]]\nid = 'b'\nget = '/'\nexpect = { status = 200 }\n";
    let root = "include = ['leaf.toml']\n".to_owned()
        + &one("get = '/'\nneeds = ['b']\nexpect = { status = 200 }");
    let both = Folder::with(&[("suite.toml", &root), ("leaf.toml", leaf)]);
    let read = both.read(&Inputs::default()).unwrap();
    assert_eq!(
        read.checks
            .iter()
            .map(|check| check.id.as_str())
            .collect::<Vec<_>>(),
        ["b", "a"]
    );
    refuses(&root, "leaf.toml` does not exist", "relative to the file");
    let circle = Folder::with(&[
        ("suite.toml", &root),
        ("leaf.toml", "include = 'suite.toml'\n"),
    ]);
    let error = circle.read(&Inputs::default()).unwrap_err().to_string();
    assert!(
        error.contains("suite.toml -> leaf.toml -> suite.toml"),
        "{error}"
    );
}

#[test]
fn variables_come_from_the_process_and_the_command_line() {
    let text = "[variables]\ntoken = { env = 'TOKEN', secret = true }\nhost = { default = 'h' }\n[environments.staging.variables]\nhost = 's'\n".to_owned()
        + &one("get = '/{{host}}'\nexpect = { status = 200 }");
    let folder = Folder::with(&[("suite.toml", &text)]);
    let error = folder.read(&Inputs::default()).unwrap_err();
    assert!(error.to_string().contains("TOKEN is not set"), "{error}");
    let process = [("TOKEN".to_owned(), "tok-1234".to_owned())].into();
    let mut inputs = Inputs {
        process,
        environment: Some("staging".to_owned()),
        ..Inputs::default()
    };
    let read = folder.read(&inputs).unwrap();
    assert!(read.variables["token"].secret && read.variables["host"].value == "s");
    inputs.variables = vec![("host".to_owned(), "c".to_owned())];
    assert_eq!(folder.read(&inputs).unwrap().variables["host"].value, "c");
    inputs.variables = vec![("token".to_owned(), "typed".to_owned())];
    assert!(
        folder
            .read(&inputs)
            .unwrap_err()
            .to_string()
            .contains("is a secret")
    );
    inputs.variables = vec![("hots".to_owned(), "c".to_owned())];
    assert_eq!(
        folder.read(&inputs).unwrap_err().hint.as_deref(),
        Some("did you mean `host`?")
    );
    inputs.variables.clear();
    inputs.environment = Some("stagign".to_owned());
    assert!(
        folder
            .read(&inputs)
            .unwrap_err()
            .to_string()
            .contains("no environment `stagign`")
    );
    inputs.environment = None;
    inputs.process.insert("TOKEN".to_owned(), "abc".to_owned());
    assert!(
        folder
            .read(&inputs)
            .unwrap_err()
            .to_string()
            .contains("cannot be hidden")
    );
}

#[test]
fn a_value_from_elsewhere_stands_in_for_one_that_is_not_set() {
    let text = "[variables]\na = { env = 'A' }\nb = { env = 'B', secret = true }\n[environments.e.variables]\na = '1'\n".to_owned()
        + &one("get = '/{{a}}{{b}}'\nexpect = { status = 200 }");
    let folder = Folder::with(&[("suite.toml", &text)]);
    let mut inputs = Inputs::default();
    let error = folder.read(&inputs).unwrap_err();
    assert!(error.message.contains("A is not set") && error.hint.unwrap().contains("B is not set"));
    inputs.environment = Some("e".to_owned());
    assert!(
        folder
            .read(&inputs)
            .unwrap_err()
            .message
            .contains("B is not set")
    );
    inputs.dry = true;
    assert!(
        folder.read(&inputs).unwrap().warnings[0]
            .contains(":3: the environment variable B is not set")
    );
}

#[test]
fn a_chain_as_long_as_the_suite_is_followed() {
    let chain: String = (0..3000).map(|number| format!("[[checks]]\nid = '{number}'\nneeds = ['{}']\nget = '/'\nexpect = {{ status = 200 }}\n", (number + 1) % 3000)).collect();
    refuses(&chain, "a circle of needs", "out");
    let nested = format!("a = {}{}", "[".repeat(50_000), "]".repeat(50_000));
    assert!(
        suite(&nested).is_err(),
        "and no depth is too deep to refuse"
    );
}

#[test]
fn selection_keeps_order_and_brings_needs() {
    let text = "[[checks]]\nid = 'a'\ntags = ['x']\nget = '/'\nexpect = { status = 200 }\n\
                [[checks]]\nid = 'b'\nneeds = ['a']\ntags = ['y']\nget = '/'\nexpect = { status = 200 }\n";
    let suite = suite(text).unwrap();
    let ids = |only: &[&str], skip: &[&str]| {
        let owned = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let chosen = suite.select(&owned(only), &owned(skip)).unwrap();
        chosen
            .iter()
            .map(|check| check.id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&["y"], &[]), ["a", "b"]);
    assert_eq!(ids(&[], &["x"]), [""; 0]);
    assert_eq!(ids(&[], &["b"]), ["a"]);
    assert!(suite.select(&["z".to_owned()], &[]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_suite_makes_the_reader_panic(text in "(\\[\\[checks\\]\\]\n)?([a-z]{1,6} ?= ?['\"\\[{]?[a-z0-9/$.=, ]{0,12}['\"\\]}]?\n){0,5}") {
        let _ = suite(&text).is_ok();
    }

    #[test]
    fn a_broken_built_in_suite_never_panics(at in 0_usize..6000, junk in "[\\[\\]{}='\"a-z\n]{0,4}") {
        let text = super::builtin::TEXT;
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) { at -= 1; }
        let _ = suite(&format!("{}{junk}{}", &text[..at], &text[at..])).is_ok();
    }
}
