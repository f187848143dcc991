//! From the text of a persona file to what it means. Every complaint has its place.

mod expect;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gs_common::config::fields::{Fields, File, Item, parse};
use gs_common::config::{ConfigError, did_you_mean, read_text};
use gs_common::fingerprint;
use http::HeaderName;

use super::expect::Expect;
use super::model::{Persona, Personas, Step, Task};
use super::template::{Escape, Names, Template};

/// A persona file is at most so large.
const LARGEST: u64 = 1 << 20;

/// A task is repeated at most so often: more is a slip.
const MOST_REPEATS: u32 = 1000;

/// A weight is at most this: more is a slip.
const MOST_WEIGHT: u32 = 10_000;

/// All tasks of a persona together have at most so many steps, repetitions written out.
const MOST_STEPS: usize = 10_000;

/// The built-in personas.
pub const BUILT_IN: &str = include_str!("../builtin.toml");

/// What the built-in personas are called where a path would stand.
pub const BUILT_IN_NAME: &str = "built-in";

/// What a file is read with.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The process's variables.
    pub process: BTreeMap<String, String>,
    /// A variable that is not set is a warning, not an error: nothing is going to be sent.
    pub dry: bool,
}

/// Reads a persona file, or the built-in one.
///
/// # Errors
/// The file cannot be read, is no TOML, or makes no sense; the error names file and line.
pub fn read(path: Option<&Path>, inputs: &Inputs) -> Result<Personas, ConfigError> {
    match path {
        None => read_str(BUILT_IN_NAME, BUILT_IN, Path::new("."), inputs),
        Some(path) => {
            let text = read_text(path, LARGEST)?;
            let folder = path.parent().unwrap_or(Path::new("."));
            read_str(&path.display().to_string(), &text, folder, inputs)
        }
    }
}

/// Reads the text of a persona file. `folder` is where relative paths in it start.
///
/// # Errors
/// The text is no TOML, or makes no sense.
pub fn read_str(
    name: &str,
    text: &str,
    folder: &Path,
    inputs: &Inputs,
) -> Result<Personas, ConfigError> {
    let file = File {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let root = parse(&file)?;
    let fields = Fields::new(&file, root.get_ref(), 0..0);
    let sha256 = fingerprint::sha256(text.as_bytes());
    let mut reader = Reader {
        inputs,
        folder,
        names: Names::default(),
        headers: Vec::new(),
        expect: Arc::new(Expect::default()),
        compression: None,
        made: Personas {
            from: name.to_owned(),
            sha256,
            endpoints: Vec::new(),
            personas: Vec::new(),
            slots: Vec::new(),
            secrets: Vec::new(),
            warnings: Vec::new(),
        },
        drafts: Vec::new(),
    };
    reader.lists(&fields)?;
    reader.variables(&fields)?;
    reader.slots(&fields)?;
    reader.headers = reader.header_table(&fields)?;
    if let Some(defaults) = fields.fields("defaults")? {
        if let Some(item) = defaults.get("expect") {
            reader.expect = Arc::new(reader.expect_table(&item, &Expect::default())?);
        }
        reader.compression = defaults.truth("compression")?;
        defaults.finish()?;
    }
    for item in fields.items("personas")? {
        reader.persona(&item)?;
    }
    fields.finish()?;
    reader.inherit(&file)?;
    reader.made.slots = reader.names.slots;
    if reader.made.personas.is_empty() {
        return Err(
            ConfigError::new(format!("{name}: there are no personas")).hint(
                "add a `[[personas]]` table, or print the built-in ones with `load-test init -`",
            ),
        );
    }
    Ok(reader.made)
}

/// A persona as written, before it inherits.
struct Draft {
    persona: Persona,
    inherits: Option<(String, std::ops::Range<usize>)>,
    think: Option<(Duration, Duration)>,
    start: Option<Vec<Step>>,
    span: std::ops::Range<usize>,
}

struct Reader<'a> {
    inputs: &'a Inputs,
    folder: &'a Path,
    names: Names,
    headers: Vec<(HeaderName, Template)>,
    expect: Arc<Expect>,
    compression: Option<bool>,
    made: Personas,
    drafts: Vec<Draft>,
}

impl Reader<'_> {
    fn lists(&mut self, root: &Fields<'_>) -> Result<(), ConfigError> {
        let Some(lists) = root.fields("lists")? else {
            return Ok(());
        };
        for (name, item) in lists.named() {
            let mut texts = Vec::new();
            for item in item.items()? {
                texts.push(match item.json()? {
                    serde_json::Value::String(text) => text,
                    value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
                        value.to_string()
                    }
                    _ => return Err(item.wants("a text or a number")),
                });
            }
            if texts.is_empty() {
                return Err(item.error(format!(
                    "the list `{}` is empty: nothing could be drawn",
                    item.name
                )));
            }
            self.names.lists.insert(name.into_inner(), texts.into());
        }
        Ok(())
    }

    fn variables(&mut self, root: &Fields<'_>) -> Result<(), ConfigError> {
        let Some(variables) = root.fields("variables")? else {
            return Ok(());
        };
        for (name, item) in variables.named() {
            let name = name.into_inner();
            let value = if item.is_table() {
                self.process_variable(&name, item.fields()?)?
            } else {
                match item.json()? {
                    serde_json::Value::String(text) => text,
                    value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
                        value.to_string()
                    }
                    _ => return Err(item.wants("a text, a number, or `{ env = \"NAME\" }`")),
                }
            };
            self.names.variables.insert(name, value);
        }
        Ok(())
    }

    fn process_variable(&mut self, name: &str, fields: Fields<'_>) -> Result<String, ConfigError> {
        let env = fields.text("env")?;
        let default = fields.text("default")?;
        let secret = fields.truth("secret")?.unwrap_or(false);
        let Some(env) = env else {
            return Err(fields
                .error(format!(
                    "the variable `{name}` names no environment variable"
                ))
                .hint("write `env = \"NAME\"`"));
        };
        if secret && default.is_some() {
            return Err(fields
                .error(format!("the secret `{name}` has a default in the file"))
                .hint("secrets come from the environment only"));
        }
        let unset = fields
            .error(format!("the environment variable {env} is not set"))
            .hint("set it, or give the variable a `default`");
        fields.finish()?;
        let set = self
            .inputs
            .process
            .get(&env)
            .filter(|value| !value.is_empty());
        match (set, default) {
            (Some(value), _) => {
                if secret {
                    self.made.secrets.push((name.to_owned(), value.clone()));
                }
                Ok(value.clone())
            }
            (None, Some(default)) => Ok(default),
            (None, None) if self.inputs.dry => {
                self.made
                    .warnings
                    .push(format!("the environment variable {env} is not set"));
                Ok(format!("${env}"))
            }
            (None, None) => Err(unset),
        }
    }

    /// The names that any step saves, before steps are read: a task may stand before the login.
    fn slots(&mut self, root: &Fields<'_>) -> Result<(), ConfigError> {
        let mut found: Vec<String> = Vec::new();
        let steps_of = |fields: &Fields<'_>, key| -> Result<Vec<String>, ConfigError> {
            let mut names = Vec::new();
            for step in fields.items(key)? {
                if let Some(save) = step.fields()?.fields("save")? {
                    names.extend(save.named().map(|(name, _)| name.into_inner()));
                }
            }
            Ok(names)
        };
        for persona in root.items("personas")? {
            let fields = persona.fields()?;
            found.extend(steps_of(&fields, "start")?);
            for task in fields.items("tasks")? {
                found.extend(steps_of(&task.fields()?, "steps")?);
            }
        }
        for name in found {
            if !self.names.slots.contains(&name) {
                self.names.slots.push(name);
            }
        }
        Ok(())
    }

    fn header_table(
        &self,
        fields: &Fields<'_>,
    ) -> Result<Vec<(HeaderName, Template)>, ConfigError> {
        let Some(table) = fields.fields("headers")? else {
            return Ok(Vec::new());
        };
        let mut headers = Vec::new();
        for (name, item) in table.named() {
            let parsed = HeaderName::from_bytes(name.get_ref().as_bytes())
                .map_err(|_| item.error(format!("`{}` is no header name", name.get_ref())))?;
            if parsed == http::header::CONTENT_LENGTH
                || parsed == http::header::TRANSFER_ENCODING
                || parsed == http::header::CONNECTION
            {
                return Err(item.error(format!("`{parsed}` is for the tool to set")));
            }
            let template = self.template(&item, &item.text()?, Escape::None)?;
            headers.push((parsed, template));
        }
        Ok(headers)
    }

    fn template(
        &self,
        item: &Item<'_>,
        text: &str,
        escape: Escape,
    ) -> Result<Template, ConfigError> {
        Template::compile(text, escape, &self.names).map_err(|why| item.error(why))
    }

    fn endpoint(&mut self, name: String) -> usize {
        let known = self.made.endpoints.iter().position(|other| *other == name);
        known.unwrap_or_else(|| {
            self.made.endpoints.push(name);
            self.made.endpoints.len() - 1
        })
    }

    fn persona(&mut self, item: &Item<'_>) -> Result<(), ConfigError> {
        let fields = item.fields()?;
        let name = fields
            .text("name")?
            .filter(|name| !name.trim().is_empty())
            .ok_or_else(|| {
                fields
                    .error("a persona has no `name`")
                    .hint("write `name = \"...\"`")
            })?;
        if self.drafts.iter().any(|other| other.persona.name == name) {
            return Err(fields.error(format!("there are two personas `{name}`")));
        }
        let weight = fields.count::<u32>("weight")?.unwrap_or(1);
        if weight > MOST_WEIGHT {
            return Err(fields.error(format!("`weight` is {weight}: write 0 to {MOST_WEIGHT}")));
        }
        let inherits = fields
            .get("inherits")
            .map(|item| Ok::<_, ConfigError>((item.text()?, item.value.span())))
            .transpose()?;
        let think = fields.get("think").map(|item| pause(&item)).transpose()?;
        let start = match fields.get("start") {
            None => None,
            Some(item) => {
                let mut steps = Vec::new();
                for item in item.items()? {
                    steps.push(self.step(&item)?);
                }
                Some(steps)
            }
        };
        let mut tasks: Vec<Task> = Vec::new();
        for item in fields.items("tasks")? {
            let task = self.task(&item)?;
            if tasks.iter().any(|other| other.name == task.name) {
                return Err(item.error(format!("`{name}` has two tasks `{}`", task.name)));
            }
            tasks.push(task);
        }
        let websocket = match fields.get("websocket") {
            None => None,
            Some(item) => Some(Arc::new(self.websocket(&item)?)),
        };
        let compression = fields.truth("compression")?;
        let place = fields.file.place(&item.value.span());
        let span = fields.span.start..fields.span.start + 1;
        fields.finish()?;
        self.drafts.push(Draft {
            persona: Persona {
                name,
                weight,
                think: (Duration::ZERO, Duration::ZERO),
                start: Vec::new(),
                tasks,
                websocket,
                compression,
                line: place.line.unwrap_or(0),
            },
            inherits,
            think,
            start,
            span,
        });
        Ok(())
    }

    fn task(&mut self, item: &Item<'_>) -> Result<Task, ConfigError> {
        let fields = item.fields()?;
        let name = fields.text("name")?.ok_or_else(|| {
            fields
                .error("a task has no `name`")
                .hint("write `name = \"...\"`")
        })?;
        let weight = fields.count::<u32>("weight")?.unwrap_or(1);
        let repeat = fields.count::<u32>("repeat")?.unwrap_or(1);
        if !(1..=MOST_REPEATS).contains(&repeat) {
            return Err(fields.error(format!("`repeat` is {repeat}: write 1 to {MOST_REPEATS}")));
        }
        let mut once = Vec::new();
        for item in fields.items("steps")? {
            once.push(self.step(&item)?);
        }
        if once.is_empty() {
            return Err(fields
                .error(format!("the task `{name}` has no steps"))
                .hint("write `steps = [{ get = \"/path\" }]`"));
        }
        if once.len() * repeat as usize > MOST_STEPS {
            return Err(fields.error(format!(
                "the task `{name}` has more than {MOST_STEPS} steps"
            )));
        }
        fields.finish()?;
        let saved: BTreeSet<usize> = once
            .iter()
            .flat_map(|step| step.save.iter().map(|save| save.slot))
            .collect();
        let chained = once
            .iter()
            .any(|step| step.slots().any(|slot| saved.contains(&slot)));
        let steps = std::iter::repeat_n(once, repeat as usize)
            .flatten()
            .collect();
        Ok(Task {
            name,
            weight,
            steps,
            chained,
        })
    }

    /// Gives each persona what it inherits, parents first.
    fn inherit(&mut self, file: &File) -> Result<(), ConfigError> {
        let drafts = std::mem::take(&mut self.drafts);
        let by_name: BTreeMap<&str, &Draft> = drafts
            .iter()
            .map(|draft| (draft.persona.name.as_str(), draft))
            .collect();
        for draft in &drafts {
            let mut line = vec![draft];
            let mut at = draft;
            while let Some((parent, span)) = &at.inherits {
                let Some(found) = by_name.get(parent.as_str()) else {
                    let hint = match did_you_mean(parent, by_name.keys().copied()) {
                        Some(word) => format!("did you mean `{word}`?"),
                        None => "name another persona of this file".to_owned(),
                    };
                    return Err(file
                        .error(span.clone(), format!("there is no persona `{parent}`"))
                        .hint(hint));
                };
                if line
                    .iter()
                    .any(|other| other.persona.name == found.persona.name)
                {
                    return Err(file.error(
                        span.clone(),
                        format!("`{}` inherits from itself", found.persona.name),
                    ));
                }
                line.push(found);
                at = found;
            }
            let mut persona = draft.persona.clone();
            persona.tasks.clear();
            for ancestor in line.iter().rev() {
                for task in &ancestor.persona.tasks {
                    match persona.tasks.iter_mut().find(|own| own.name == task.name) {
                        Some(own) => *own = task.clone(),
                        None => persona.tasks.push(task.clone()),
                    }
                }
                if let Some(think) = ancestor.think {
                    persona.think = think;
                }
                if let Some(start) = &ancestor.start {
                    persona.start.clone_from(start);
                }
                if ancestor.persona.compression.is_some() {
                    persona.compression = ancestor.persona.compression;
                }
                if persona.websocket.is_none() {
                    persona.websocket.clone_from(&ancestor.persona.websocket);
                }
            }
            persona.compression = persona.compression.or(self.compression);
            self.holds_together(&persona, draft, file)?;
            self.made.personas.push(persona);
        }
        Ok(())
    }

    fn holds_together(
        &self,
        persona: &Persona,
        draft: &Draft,
        file: &File,
    ) -> Result<(), ConfigError> {
        let name = &persona.name;
        let at = || draft.span.clone();
        if persona.websocket.is_some() && !persona.tasks.is_empty() {
            return Err(file
                .error(at(), format!("`{name}` has tasks and a websocket"))
                .hint("make two personas of it"));
        }
        if persona.websocket.is_none() && persona.task_weights() == 0 {
            return Err(file
                .error(at(), format!("`{name}` has nothing to do"))
                .hint("add a `[[personas.tasks]]` table with a weight, or a `websocket`"));
        }
        let mut known = BTreeSet::new();
        for step in &persona.start {
            self.is_saved(step, &known, name, draft, file)?;
            known.extend(step.save.iter().map(|save| save.slot));
        }
        for task in &persona.tasks {
            let mut within = known.clone();
            for step in &task.steps {
                self.is_saved(step, &within, name, draft, file)?;
                within.extend(step.save.iter().map(|save| save.slot));
            }
        }
        Ok(())
    }

    /// A step uses only what its own task or the start of its persona saved before it.
    fn is_saved(
        &self,
        step: &Step,
        known: &BTreeSet<usize>,
        persona: &str,
        draft: &Draft,
        file: &File,
    ) -> Result<(), ConfigError> {
        match step.slots().find(|slot| !known.contains(slot)) {
            None => Ok(()),
            Some(slot) => Err(file
                .error(
                    draft.span.clone(),
                    format!(
                        "`{persona}` uses `{{{{{}}}}}` in `{}` before it is saved",
                        self.names.slots.get(slot).map_or("?", String::as_str),
                        self.made.endpoints[step.endpoint]
                    ),
                )
                .hint("save it in `start`, or in an earlier step of the same task")),
        }
    }
}

/// `"2s"`, or `{ min = "1s", max = "3s" }`.
fn pause(item: &Item<'_>) -> Result<(Duration, Duration), ConfigError> {
    if !item.is_table() {
        let fixed = item.duration()?;
        return Ok((fixed, fixed));
    }
    let fields = item.fields()?;
    let (min, max) = (fields.duration("min")?, fields.duration("max")?);
    let (Some(min), Some(max)) = (min, max) else {
        return Err(item
            .error(format!("`{}` needs `min` and `max`", item.name))
            .hint("write `{ min = \"1s\", max = \"3s\" }`"));
    };
    if min > max {
        return Err(item.error(format!("`{}`: `min` is above `max`", item.name)));
    }
    fields.finish()?;
    Ok((min, max))
}
