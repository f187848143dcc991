use std::path::Path;

use gs_common::config::ConfigError;
use proptest::prelude::*;
use serde_json::Value;

use super::read::{BUILT_IN, Inputs, read, read_str};
use super::{Personas, schema};

/// Every key that there is.
const EVERYTHING: &str = include_str!("../../tests/fixtures/everything.toml");

fn inputs() -> Inputs {
    Inputs {
        process: [("LOAD_TOKEN".to_owned(), "s3cr3t-s3cr3t".to_owned())].into(),
        dry: false,
    }
}

fn of(text: &str) -> Result<Personas, ConfigError> {
    read_str("p.toml", text, Path::new("."), &inputs())
}

/// As JSON, for the schema.
fn json(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

#[test]
fn the_built_in_personas_have_the_weights_of_the_guide() {
    let personas = read(None, &inputs()).unwrap();
    let names: Vec<_> = personas
        .personas
        .iter()
        .map(|persona| {
            (
                persona.name.as_str(),
                persona.weight,
                persona.task_weights(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("regular", 1, 44),
            ("power", 1, 67),
            ("mobile", 1, 79),
            ("live", 0, 0)
        ]
    );
    for name in [
        "/",
        "/api/v1/market-data/[symbol]",
        "/api/v1/market-data/[symbol]/historical",
        "/api/v1/signals/batch",
    ] {
        assert!(
            personas.endpoints.iter().any(|other| other == name),
            "{name}"
        );
    }
    let power = &personas.personas[1];
    let polling = power
        .tasks
        .iter()
        .find(|task| task.name == "rapid-polling")
        .unwrap();
    assert_eq!((polling.steps.len(), polling.chained), (10, false));
    assert_eq!(power.start.len(), 1, "inherited");
}

#[test]
fn draws_follow_the_weights_and_repeat_with_the_seed() {
    let personas = read(None, &inputs()).unwrap();
    let regular = &personas.personas[0];
    let draws = |seed| -> Vec<String> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..44_000)
            .map(|_| regular.draw(&mut random).unwrap().name.clone())
            .collect()
    };
    let once = draws(1);
    assert_eq!(once, draws(1));
    assert_ne!(once, draws(2));
    for task in &regular.tasks {
        let seen = once.iter().filter(|name| **name == task.name).count() as f64;
        let wanted = f64::from(task.weight) * 1000.0;
        // Five standard deviations of a binomial count.
        let allowed = 5.0 * (wanted * (1.0 - wanted / 44_000.0)).sqrt();
        assert!(
            (seen - wanted).abs() < allowed,
            "{}: {seen} of {wanted}",
            task.name
        );
    }
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let published = std::fs::read_to_string(schema::PATH).unwrap_or_default();
    if std::env::var_os("GS_UPDATE").is_some() {
        gs_common::file::write_atomic(Path::new(schema::PATH), |out| {
            out.write_all(schema::text().as_bytes())
        })
        .unwrap();
        return;
    }
    assert_eq!(
        published,
        schema::text(),
        "run the test with GS_UPDATE=1 and look at the difference"
    );
}

#[test]
fn schema_and_reader_know_the_same_keys() {
    let schema: Value = serde_json::from_str(&schema::text()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for text in [BUILT_IN, EVERYTHING] {
        let errors: Vec<String> = validator
            .iter_errors(&json(text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    let read = of(EVERYTHING).unwrap();
    assert_eq!(read.personas.len(), 3);
    // Every key of the schema is used in the file that the reader has just understood.
    let mut missing = Vec::new();
    keys(&schema, &mut |key| {
        if !EVERYTHING.contains(&format!("{key} ="))
            && !EVERYTHING.contains(&format!("[{key}]"))
            && !EVERYTHING.contains(&format!("{key}]]"))
            && !EVERYTHING.contains(&format!(".{key}]"))
        {
            missing.push(key.to_owned());
        }
    });
    assert!(missing.is_empty(), "{missing:?}");
}

fn keys(schema: &Value, tell: &mut impl FnMut(&str)) {
    if let Value::Object(members) = schema {
        if let Some(Value::Object(properties)) = members.get("properties") {
            properties.keys().for_each(|key| tell(key));
        }
        members.values().for_each(|member| keys(member, tell));
    }
}

#[track_caller]
fn fails(text: &str, line: u32, said: &str) {
    let error = of(text).unwrap_err();
    let shown = format!("{error} {}", error.hint.clone().unwrap_or_default());
    assert!(shown.contains(said), "{shown}");
    let at = error.at.unwrap_or_else(|| panic!("no place: {shown}"));
    assert_eq!((at.path.as_str(), at.line), ("p.toml", line), "{shown}");
}

#[test]
fn every_mistake_has_its_place() {
    let task = "[[personas.tasks]]\nname = \"t\"\n";
    let head = "[[personas]]\nname = \"a\"\n";
    fails("[[persona]]\n", 1, "did you mean `personas`?");
    fails(&format!("{head}wieght = 2\n"), 3, "did you mean `weight`?");
    fails(&format!("{head}{task}"), 3, "no steps");
    fails(
        &format!("{head}{task}steps = [{{ get = \"x\" }}]"),
        5,
        "does not begin with `/`",
    );
    fails(
        &format!("{head}{task}steps = [{{ get = \"/\", post = \"/\" }}]"),
        5,
        "more than one method",
    );
    fails(
        &format!("{head}{task}steps = [{{ name = \"x\" }}]"),
        5,
        "says not what to send",
    );
    fails(
        &format!("{head}{task}steps = [{{ get = \"/{{{{pick:L}}}}\" }}]"),
        5,
        "no list `L`",
    );
    fails(
        &format!("{head}{task}steps = [{{ get = \"/{{{{x}}}}\" }}]"),
        5,
        "nothing gives",
    );
    fails(
        &format!("{head}{task}steps = [{{ get = \"/\", expect = {{ status = 99 }} }}]"),
        5,
        "no status",
    );
    fails(
        &format!("{head}{task}steps = [{{ get = \"/\", expect = {{ schema = {{ type = 3 }} }} }}]"),
        5,
        "no JSON Schema",
    );
    fails(
        &format!(
            "{head}{task}steps = [{{ get = \"/\", expect = {{ json = [{{ path = \"x\" }}] }} }}]"
        ),
        5,
        "path",
    );
    fails(
        &format!("{head}{task}repeat = 0\nsteps = [{{ get = \"/\" }}]"),
        3,
        "repeat",
    );
    fails(&format!("{head}think = \"5\"\n"), 3, "the unit is missing");
    fails(
        &format!("{head}think = {{ min = \"2s\", max = \"1s\" }}\n"),
        3,
        "above",
    );
    fails(head, 1, "nothing to do");
    fails(&format!("{head}inherits = \"b\"\n"), 3, "no persona `b`");
    fails(
        &format!("{head}inherits = \"a\"\n"),
        3,
        "inherits from itself",
    );
    fails(&format!("{head}{head}"), 3, "two personas");
    fails(
        "[variables]\nx = { env = \"NOT_SET\" }\n",
        2,
        "NOT_SET is not set",
    );
    fails(
        "[variables]\nx = { env = \"A\", default = \"b\", secret = true }\n",
        2,
        "has a default",
    );
    fails("[lists]\nx = []\n", 2, "is empty");
    fails(
        "[headers]\ncontent-length = \"1\"\n",
        2,
        "for the tool to set",
    );
    fails("personas = 3", 1, "a number");
    fails("[[personas]", 1, "");
    let late = "[[personas.tasks]]\nname = \"u\"\nsteps = [{ get = \"/{{id}}\" }]\n";
    let saves =
        "[[personas.tasks]]\nname = \"t\"\nsteps = [{ get = \"/\", save = { id = \"$.id\" } }]\n";
    fails(&format!("{head}{saves}{late}"), 1, "before it is saved");
}

#[test]
fn no_personas_is_an_error() {
    let error = of("").unwrap_err();
    assert!(
        error.message.contains("p.toml: there are no personas"),
        "{error}"
    );
}

#[test]
fn secrets_come_from_the_environment_and_are_told_apart() {
    let personas = of(EVERYTHING).unwrap();
    assert_eq!(
        personas.secrets,
        [("TOKEN".to_owned(), "s3cr3t-s3cr3t".to_owned())]
    );
}

#[test]
fn a_choice_names_personas_that_exist() {
    let mut personas = read(None, &inputs()).unwrap();
    personas.choose(&[]).unwrap();
    assert_eq!(personas.personas.len(), 3, "live has weight 0");
    let mut personas = read(None, &inputs()).unwrap();
    personas.choose(&[("live".to_owned(), None)]).unwrap();
    assert_eq!(
        (personas.personas.len(), personas.personas[0].weight),
        (1, 1)
    );
    let mut personas = read(None, &inputs()).unwrap();
    let error = personas.choose(&[("pwoer".to_owned(), None)]).unwrap_err();
    assert!(error.contains("did you mean `power`"), "{error}");
}

#[test]
fn a_file_cut_anywhere_is_an_error_or_a_file() {
    for end in 0..EVERYTHING.len() {
        if EVERYTHING.is_char_boundary(end) {
            let _ = of(&EVERYTHING[..end]).map_err(|error| error.to_string());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s).{0,200}") {
        let _ = of(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn no_damaged_file_makes_the_reader_panic(at in 0..EVERYTHING.len(), length in 0_usize..40, with in "[\\[\\]{}=\"a0\n.]{0,6}") {
        let mut text = EVERYTHING.as_bytes().to_vec();
        let end = (at + length).min(text.len());
        text.splice(at..end, with.bytes());
        if let Ok(text) = String::from_utf8(text) {
            let _ = of(&text).map_err(|error| error.to_string());
        }
    }
}
