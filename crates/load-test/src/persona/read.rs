//! From the text of a persona file to what it means. Every complaint has its place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gs_common::config::fields::{Fields, File, Item, parse};
use gs_common::config::{ConfigError, did_you_mean, read_text};
use gs_common::units;
use http::{HeaderName, Method};
use serde_json_path::JsonPath;
use sha2::{Digest as _, Sha256};

use super::expect::{Demand, Expect, From, JsonDemand, Save};
use super::model::{Persona, Personas, Step, Task, WebSocket};
use super::template::{Escape, Names, Template, placeholder_name};

/// A persona file is at most so large.
const LARGEST: u64 = 1 << 20;

/// A task is repeated at most so often: more is a slip.
const MOST_REPEATS: u32 = 1000;

/// Goose writes out the weights of personas, so that they must not be boundless.
const MOST_WEIGHT: u32 = 10_000;

/// All tasks of a persona together have at most so many steps, repetitions written out.
const MOST_STEPS: usize = 10_000;

/// The built-in personas.
pub const BUILT_IN: &str = include_str!("builtin.toml");

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
    let sha256 = Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut reader = Reader {
        inputs,
        folder,
        names: Names::default(),
        headers: Vec::new(),
        expect: Arc::new(Expect::default()),
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

    fn step(&mut self, item: &Item<'_>) -> Result<Step, ConfigError> {
        let fields = item.fields()?;
        let (method, path) = self.method_and_path(&fields)?;
        let text = path.text()?;
        if !text.starts_with('/') {
            return Err(path
                .error(format!("the path `{text}` does not begin with `/`"))
                .hint("host and port are those of the target"));
        }
        let mut target = self.template(&path, &text, Escape::Url)?;
        if let Some(query) = fields.fields("query")? {
            let mut separator = if text.contains('?') { '&' } else { '?' };
            for (name, item) in query.named() {
                let value = match item.json()? {
                    serde_json::Value::String(text) => text,
                    value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
                        value.to_string()
                    }
                    _ => return Err(item.wants("a text or a number")),
                };
                let encoded: String =
                    url::form_urlencoded::byte_serialize(name.get_ref().as_bytes()).collect();
                target.append(Template::literal(format!("{separator}{encoded}=")));
                target.append(self.query_value(&item, &value)?);
                separator = '&';
            }
        }
        if let Some(fixed) = target.fixed()
            && fixed.parse::<http::Uri>().is_err()
        {
            return Err(path.error(format!("`{fixed}` is no path")));
        }
        let name = fields
            .text("name")?
            .unwrap_or_else(|| placeholder_name(&text));
        let endpoint = self.endpoint(name);
        let mut headers = self.headers.clone();
        for (name, template) in self.header_table(&fields)? {
            headers.retain(|(other, _)| *other != name);
            headers.push((name, template));
        }
        let body = match fields.get("body") {
            None => None,
            Some(item) => Some(self.body(&item, &mut headers)?),
        };
        let expect = match fields.get("expect") {
            None => Arc::clone(&self.expect),
            Some(item) => Arc::new(self.expect_table(&item, &self.expect.clone())?),
        };
        let mut save = Vec::new();
        if let Some(table) = fields.fields("save")? {
            for (name, item) in table.named() {
                let from = item.read(save_from)?;
                let slot = self
                    .names
                    .slots
                    .iter()
                    .position(|slot| slot == name.get_ref())
                    .unwrap_or_default();
                save.push(Save { slot, from });
            }
        }
        let pause = fields.get("pause").map(|item| pause(&item)).transpose()?;
        fields.finish()?;
        Ok(Step {
            endpoint,
            method,
            target,
            headers,
            body,
            expect,
            save,
            pause,
        })
    }

    fn query_value(&self, item: &Item<'_>, value: &str) -> Result<Template, ConfigError> {
        // Values drawn are escaped by the template; what is written out is escaped here.
        let mut escaped = String::new();
        let mut rest = value;
        while let Some((before, after)) = rest.split_once("{{") {
            escaped.extend(url::form_urlencoded::byte_serialize(before.as_bytes()));
            let (inner, after) = after.split_once("}}").unwrap_or((after, ""));
            escaped.push_str("{{");
            escaped.push_str(inner);
            escaped.push_str("}}");
            rest = after;
        }
        escaped.extend(url::form_urlencoded::byte_serialize(rest.as_bytes()));
        self.template(item, &escaped, Escape::Url)
    }

    fn method_and_path<'f>(&self, fields: &Fields<'f>) -> Result<(Method, Item<'f>), ConfigError> {
        let short = [
            ("get", Method::GET),
            ("post", Method::POST),
            ("put", Method::PUT),
            ("patch", Method::PATCH),
            ("delete", Method::DELETE),
        ];
        let mut found = None;
        for (key, method) in short {
            if let Some(item) = fields.get(key) {
                if found.is_some() {
                    return Err(item.error("a step has more than one method"));
                }
                found = Some((method, item));
            }
        }
        let method = fields.get("method");
        let path = fields.get("path");
        match (found, method, path) {
            (Some(found), None, None) => Ok(found),
            (Some(_), Some(item), _) | (Some(_), None, Some(item)) => {
                Err(item.error("a step has more than one method or path"))
            }
            (None, Some(method), Some(path)) => {
                let parsed = method.read(|text| {
                    Method::from_bytes(text.to_ascii_uppercase().as_bytes())
                        .map_err(|_| "is no method")
                })?;
                Ok((parsed, path))
            }
            (None, None, Some(path)) => Ok((Method::GET, path)),
            (None, _, None) => Err(fields
                .error("a step says not what to send")
                .hint("write `get = \"/path\"` or `post = \"/path\"`")),
        }
    }

    fn body(
        &self,
        item: &Item<'_>,
        headers: &mut Vec<(HeaderName, Template)>,
    ) -> Result<Template, ConfigError> {
        let value = item.json()?;
        let (template, kind) = match &value {
            serde_json::Value::String(text) => (
                self.template(item, text, Escape::None)?,
                "text/plain; charset=utf-8",
            ),
            _ => (
                Template::json(&value, &self.names).map_err(|why| item.error(why))?,
                "application/json",
            ),
        };
        if !headers
            .iter()
            .any(|(name, _)| name == http::header::CONTENT_TYPE)
        {
            headers.push((http::header::CONTENT_TYPE, Template::literal(kind)));
        }
        Ok(template)
    }

    fn expect_table(&self, item: &Item<'_>, base: &Expect) -> Result<Expect, ConfigError> {
        let fields = item.fields()?;
        let mut expect = base.clone();
        if let Some(item) = fields.get("status") {
            let items = item.items().unwrap_or_else(|_| vec![item.clone()]);
            expect.statuses = items
                .iter()
                .map(|item| {
                    item.count::<u16>().and_then(|status| {
                        if (100..=599).contains(&status) {
                            Ok(status)
                        } else {
                            Err(item.error(format!("{status} is no status")))
                        }
                    })
                })
                .collect::<Result<_, _>>()?;
            // An answer that is expected to be an error may well say so in its body.
            if expect.statuses.iter().all(|status| *status >= 400) {
                expect.api = false;
            }
        }
        if let Some(api) = fields.truth("api")? {
            expect.api = api;
        }
        let size = |key| {
            fields
                .get(key)
                .map(|item| item.read(units::size))
                .transpose()
        };
        expect.min_size = size("min_size")?.or(expect.min_size);
        expect.max_size = size("max_size")?.or(expect.max_size);
        expect.contains.extend(fields.texts("contains")?);
        for item in fields.items("json")? {
            expect.json.push(demand(&item)?);
        }
        if let Some(item) = fields.get("schema") {
            expect.schema = Some(Arc::new(self.schema(&item)?));
        }
        fields.finish()?;
        Ok(expect)
    }

    fn schema(&self, item: &Item<'_>) -> Result<jsonschema::Validator, ConfigError> {
        let value = if item.is_table() {
            item.json()?
        } else {
            let path: PathBuf = self.folder.join(item.text()?);
            let text = read_text(&path, LARGEST).map_err(|error| item.error(error.message))?;
            serde_json::from_str(&text)
                .map_err(|error| item.error(format!("`{}` is no JSON: {error}", path.display())))?
        };
        jsonschema::validator_for(&value)
            .map_err(|error| item.error(format!("this is no JSON Schema: {error}")))
    }

    fn websocket(&mut self, item: &Item<'_>) -> Result<WebSocket, ConfigError> {
        let fields = item.fields()?;
        let path = fields.get("path").ok_or_else(|| {
            fields
                .error("a websocket has no `path`")
                .hint("write `path = \"/ws\"`")
        })?;
        let text = path.text()?;
        if !text.starts_with('/') {
            return Err(path.error(format!("the path `{text}` does not begin with `/`")));
        }
        let target = self.template(&path, &text, Escape::Url)?;
        let name = fields
            .text("name")?
            .unwrap_or_else(|| format!("WS {}", placeholder_name(&text)));
        let mut headers = self.headers.clone();
        headers.extend(self.header_table(&fields)?);
        let mut send = Vec::new();
        for item in fields.items("send")? {
            let value = item.json()?;
            send.push(match &value {
                serde_json::Value::String(text) => self.template(&item, text, Escape::None)?,
                _ => Template::json(&value, &self.names).map_err(|why| item.error(why))?,
            });
        }
        let mut expect = Expect::default();
        for item in fields.items("expect")? {
            expect.json.push(demand(&item)?);
        }
        let some = |key| -> Result<Option<Duration>, ConfigError> {
            match fields.get(key) {
                None => Ok(None),
                Some(item) => item.duration().and_then(|duration| {
                    if duration.is_zero() {
                        Err(item.error(format!("`{key}` is zero")))
                    } else {
                        Ok(Some(duration))
                    }
                }),
            }
        };
        let made = WebSocket {
            endpoint: self.endpoint(name),
            target,
            headers,
            send,
            expect,
            within: some("within")?.unwrap_or(Duration::from_secs(5)),
            ping: some("ping")?,
            hold: some("hold")?,
            reconnect: some("reconnect")?.unwrap_or(Duration::from_secs(1)),
            max_silence: some("max_silence")?,
            time: fields
                .get("time")
                .map(|item| item.read(|text| JsonPath::parse(text)))
                .transpose()?,
        };
        fields.finish()?;
        Ok(made)
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
                if persona.websocket.is_none() {
                    persona.websocket.clone_from(&ancestor.persona.websocket);
                }
            }
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

impl Step {
    /// The slots that it needs.
    pub fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        self.target
            .slots()
            .chain(self.headers.iter().flat_map(|(_, value)| value.slots()))
            .chain(self.body.iter().flat_map(Template::slots))
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

fn demand(item: &Item<'_>) -> Result<JsonDemand, ConfigError> {
    let fields = item.fields()?;
    let path = fields
        .get("path")
        .ok_or_else(|| {
            fields
                .error("a JSON demand has no `path`")
                .hint("write `path = \"$.member\"`")
        })?
        .read(|text| JsonPath::parse(text))?;
    let mut demands = Vec::new();
    if let Some(exists) = fields.truth("exists")? {
        demands.push(if exists {
            Demand::Exists
        } else {
            Demand::Absent
        });
    }
    if let Some(item) = fields.get("equals") {
        demands.push(Demand::Equals(item.json()?));
    }
    if let Some(length) = fields.count("min_length")? {
        demands.push(Demand::MinLength(length));
    }
    if demands.len() > 1 {
        return Err(fields
            .error("a JSON demand says more than one thing")
            .hint("write one table for each"));
    }
    fields.finish()?;
    Ok(JsonDemand {
        path,
        demand: demands.pop().unwrap_or(Demand::Exists),
    })
}

fn save_from(text: &str) -> Result<From, String> {
    match text.strip_prefix("header:") {
        Some(name) => HeaderName::from_bytes(name.trim().as_bytes())
            .map(From::Header)
            .map_err(|_| format!("`{name}` is no header name")),
        None => JsonPath::parse(text)
            .map(From::Json)
            .map_err(|error| format!("write a JSONPath like `$.token`, or `header:NAME`: {error}")),
    }
}
