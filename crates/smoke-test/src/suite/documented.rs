//! The reference page and the JSON Schema against the reader: what is documented can be read, what
//! can be read is documented.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::schema;
use super::{Inputs, Source, builtin, read};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/smoke-suites.md");

fn page() -> String {
    gs_common::config::read_text(Path::new(PAGE), 1 << 20).unwrap()
}

/// The TOML blocks of the page with their first lines. Those that are only checks get a frame.
fn examples(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in page.lines().enumerate() {
        match (&mut open, line) {
            (None, "```toml") => open = Some((index + 2, String::new())),
            (Some(_), "```") => found.extend(open.take()),
            (Some((_, text)), line) => text.extend([line, "\n"]),
            (None, _) => {}
        }
    }
    found
}

fn as_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(as_json).collect(),
        toml::Value::Table(table) => Value::Object(
            table
                .into_iter()
                .map(|(key, value)| (key, as_json(value)))
                .collect(),
        ),
    }
}

fn document(text: &str) -> Value {
    as_json(toml::Value::Table(toml::from_str(text).unwrap()))
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(&schema::text()).unwrap()).unwrap()
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let path = Path::new(schema::PATH);
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        gs_common::file::write_atomic(path, |out| out.write_all(schema::text().as_bytes()))
            .unwrap();
    }
    let committed = gs_common::config::read_text(path, 1 << 20).unwrap();
    assert_eq!(committed, schema::text(), "run UPDATE_SCHEMAS=1 make test");
}

#[test]
fn every_example_of_the_page_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        gs_common::file::write_atomic(&path, |out| out.write_all(text.as_bytes())).unwrap();
        path
    };
    // Files that the examples name.
    write(
        "login.toml",
        "[[checks]]\nid = 'login-included'\nget = '/login'\nexpect = { status = 200 }\n",
    );
    write("quote.schema.json", "{\"type\": \"object\"}");
    write("order.xml", "<order/>");
    let process = BTreeMap::from([
        ("API_TOKEN".to_owned(), "token-1234".to_owned()),
        ("SHOP_PASSWORD".to_owned(), "word-1234".to_owned()),
    ]);
    let validator = validator();
    let page = page();
    let examples = examples(&page);
    assert!(examples.len() > 15, "the page has its examples");
    for (line, text) in examples {
        // An example about variables or defaults alone has no check of its own.
        let whole = if text.contains("[[checks]]") {
            text
        } else {
            format!("{text}\n[[checks]]\nid = 'example'\nget = '/'\nexpect = {{ status = 200 }}\n")
        };
        let inputs = Inputs {
            process: process.clone(),
            ..Inputs::default()
        };
        let path = write("suite.toml", &whole);
        if let Err(error) = read(&Source::File(path), &inputs) {
            panic!("docs/smoke-suites.md:{line}: {error}");
        }
        if let Err(error) = validator.validate(&document(&whole)) {
            panic!(
                "docs/smoke-suites.md:{line}: schema: {error} at {}",
                error.instance_path()
            );
        }
    }
}

#[test]
fn the_schema_takes_the_built_in_suite_and_no_typo() {
    let validator = validator();
    assert!(validator.is_valid(&document(builtin::TEXT)));
    for wrong in [
        "[[check]]\nid = 'a'",
        "[[checks]]\nid = 'a'\nget = '/'\nrequest = { path = '/' }",
        "[[checks]]\nid = 'a'\nget = '/'\nexpect = { staus = 200 }",
        "[[checks]]\nid = 'a'\nget = '/'\ntimeout = 5",
        "[[checks]]\nid = 'A'\nget = '/'",
        "[[checks]]\nid = 'a'\nget = '/'\nexpect = { kind = 'list' }",
    ] {
        assert!(!validator.is_valid(&document(wrong)), "{wrong}");
    }
}

/// Where each kind of table stands in a suite: `@` is the place of one more key.
const TABLES: [(&str, &str); 23] = [
    ("SuiteFile", "@"),
    (
        "VariableSource",
        "[variables]\na = { env = 'A', default = 'x', @ }",
    ),
    ("Environment", "[environments.e]\n@"),
    ("Defaults", "[defaults]\n@"),
    ("Retry", "[defaults]\nretry = { retries = 1, @ }"),
    (
        "Check",
        "[[checks]]\nid = 'a'\nget = '/'\nexpect = { status = 200 }\n@",
    ),
    (
        "Request",
        "[[checks]]\nid = 'a'\nrequest = { path = '/', @ }\nexpect = { status = 200 }",
    ),
    (
        "Expect",
        "[[checks]]\nid = 'a'\nget = '/'\nexpect = { status = 200, @ }",
    ),
    (
        "JsonAssertion",
        "[[checks]]\nid = 'a'\nget = '/'\nexpect = { json = [{ path = '$.a', @ }] }",
    ),
    (
        "LongInvariant",
        "[[checks]]\nid = 'a'\nget = '/'\nexpect = { invariants = [{ that = '$.a < 1', @ }] }",
    ),
    (
        "HeaderDemand",
        "[[checks]]\nid = 'a'\nget = '/'\nexpect = { headers = { a = { equals = 'b', @ } } }",
    ),
    (
        "Timings",
        "[[checks]]\nid = 'a'\nget = '/'\nexpect = { timings = { total = { max = '1s' }, @ } }",
    ),
    (
        "Levels",
        "[[checks]]\nid = 'a'\nget = '/'\nexpect = { timings = { total = { max = '1s', @ } } }",
    ),
    (
        "ShadowedBy",
        "[[checks]]\nid = 'a'\nget = '/'\nshadowed_by = { template = '/{a}', kind = 'array', @ }\nexpect = { status = 200 }",
    ),
    (
        "Capture",
        "[[checks]]\nid = 'a'\nget = '/'\nexpect = { status = 200 }\ncapture = { a = { status = true, @ } }",
    ),
    (
        "KnownFailure",
        "[[checks]]\nid = 'a'\nget = '/'\nexpect = { status = 200 }\nknown_failure = { reason = 'r', owner = 'o', expires = 2026-12-31, @ }",
    ),
    (
        "WebSocket",
        "[[checks]]\nid = 'a'\nwebsocket = { path = '/', steps = [{ ping = '1s' }], @ }",
    ),
    (
        "Step",
        "[[checks]]\nid = 'a'\nwebsocket = { path = '/', steps = [{ ping = '1s', @ }] }",
    ),
    (
        "Message",
        "[[checks]]\nid = 'a'\nwebsocket = { path = '/', steps = [{ expect = { anything = true, @ } }] }",
    ),
    (
        "Close",
        "[[checks]]\nid = 'a'\nwebsocket = { path = '/', steps = [{ close = { code = 1000, @ } }] }",
    ),
    (
        "Version",
        "[[checks]]\nid = 'a'\nversion = { path = '/', pointer = '/version', expect = '1', @ }",
    ),
    (
        "MaxUptime",
        "[[checks]]\nid = 'a'\nversion = { path = '/', pointer = '/version', expect = '1', max_uptime = { max = '1h', @ } }",
    ),
    (
        "Certificate",
        "[[checks]]\nid = 'a'\ncertificate = { min_days = 1, @ }",
    ),
];

#[test]
fn the_schema_and_the_page_know_every_key_that_the_reader_knows() {
    let schema: Value = serde_json::from_str(&schema::text()).unwrap();
    let page = page();
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in TABLES {
        let path = folder.path().join("suite.toml");
        // No known key is near enough to be meant, so the reader lists all of them.
        let text = text.replace('@', "qqqqqqqqqqqqqqqqqq = 1");
        gs_common::file::write_atomic(&path, |out| out.write_all(text.as_bytes())).unwrap();
        let error = read(&Source::File(path), &Inputs::default()).unwrap_err();
        let hint = error.hint.clone().unwrap_or_default();
        let known = hint
            .strip_prefix("known here: ")
            .unwrap_or_else(|| panic!("{name}: {error}: {hint}"));
        let known: BTreeSet<&str> = known.split(", ").collect();
        let definition = if name == "SuiteFile" {
            &schema
        } else {
            &schema["$defs"][name]
        };
        let properties = definition["properties"]
            .as_object()
            .unwrap_or_else(|| panic!("{name} is in the schema"));
        let declared: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(declared, known, "{name}");
        for key in known {
            assert!(
                ["`", " ="]
                    .iter()
                    .any(|end| page.contains(&format!("`{key}{end}"))),
                "docs/smoke-suites.md says nothing of `{key}` ({name})"
            );
        }
    }
    assert_eq!(
        schema["$defs"]
            .as_object()
            .unwrap()
            .values()
            .filter(|value| value.get("properties").is_some())
            .count(),
        TABLES.len() - 1,
        "every table is looked at"
    );
}
