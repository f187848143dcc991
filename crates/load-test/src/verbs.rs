//! The smaller jobs: each makes a text for stdout, or an error for exit code 2.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use gs_common::config::ConfigError;
use gs_common::file::write_atomic;
use gs_common::units::show_duration;
use serde_json::json;

use crate::args::PersonaArgs;
use crate::config::Chosen;
use crate::persona::{Persona, read};

/// Writes the built-in personas to a file, or returns them for `-`.
///
/// # Errors
/// The file exists, or cannot be written.
pub fn init(path: &Path) -> Result<String, ConfigError> {
    if path == Path::new("-") {
        return Ok(read::BUILT_IN.to_owned());
    }
    let shown = path.display();
    if path.exists() {
        return Err(ConfigError::new(format!("`{shown}` exists already"))
            .hint("name another file; nothing is overwritten"));
    }
    write_atomic(path, |out| out.write_all(read::BUILT_IN.as_bytes()))
        .map_err(|error| ConfigError::new(error.to_string()).hint(error.hint()))?;
    Ok(format!(
        "wrote {shown}\nnext: edit it, then `load-test validate --personas {shown}` and `load-test check URL --personas {shown}`\n"
    ))
}

/// Reads a persona file and says what is in it.
///
/// # Errors
/// It makes no sense.
pub fn validate(
    args: &PersonaArgs,
    variables: &BTreeMap<String, String>,
    cwd: &Path,
) -> Result<String, ConfigError> {
    let chosen = Chosen::resolve(args, variables, cwd)?;
    let personas = &chosen.personas;
    let tasks: usize = personas
        .personas
        .iter()
        .map(|persona| persona.tasks.len())
        .sum();
    let mut text = format!(
        "{} is valid: {} personas, {tasks} tasks, {} endpoints\n",
        personas.from,
        personas.personas.len(),
        personas.endpoints.len()
    );
    for warning in &personas.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    Ok(text)
}

/// Shows how likely each persona, task and endpoint is drawn.
///
/// # Errors
/// The file makes no sense.
pub fn dry_run(
    args: &PersonaArgs,
    as_json: bool,
    variables: &BTreeMap<String, String>,
    cwd: &Path,
) -> Result<String, ConfigError> {
    let chosen = Chosen::resolve(args, variables, cwd)?;
    let personas = &chosen.personas;
    let weights: u64 = personas
        .personas
        .iter()
        .map(|persona| u64::from(persona.weight))
        .sum();
    let share = |persona: &Persona| 100.0 * f64::from(persona.weight) / weights.max(1) as f64;
    let round = |value: f64| (value * 100.0).round() / 100.0;
    if as_json {
        let rows: Vec<_> = personas
            .personas
            .iter()
            .map(|persona| {
                let total = persona.task_weights().max(1) as f64;
                json!({
                    "name": persona.name, "weight": persona.weight, "percent": round(share(persona)),
                    "think_ms": {"min": persona.think.0.as_millis() as u64, "max": persona.think.1.as_millis() as u64},
                    "websocket": persona.websocket.is_some(),
                    "tasks": persona.tasks.iter().map(|task| json!({
                        "name": task.name, "weight": task.weight,
                        "percent": round(100.0 * f64::from(task.weight) / total),
                        "requests": task.steps.len(),
                    })).collect::<Vec<_>>(),
                    "requests": persona.request_shares(&personas.endpoints).into_iter()
                        .map(|(name, percent)| json!({"name": name, "percent": round(percent)})).collect::<Vec<_>>(),
                })
            })
            .collect();
        let value = json!({"from": personas.from, "sha256": personas.sha256, "personas": rows});
        return Ok(format!("{value:#}\n"));
    }
    let mut text = String::new();
    for persona in &personas.personas {
        describe(persona, share(persona), &personas.endpoints, &mut text);
    }
    for warning in &personas.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    Ok(text)
}

fn describe(persona: &Persona, share: f64, endpoints: &[String], text: &mut String) {
    let (min, max) = persona.think;
    let _ = writeln!(
        text,
        "{}: weight {}, {share:.1}% of the users, thinks {} to {}",
        persona.name,
        persona.weight,
        show_duration(min),
        show_duration(max)
    );
    if let Some(channel) = &persona.websocket {
        let _ = writeln!(text, "  holds {}", endpoints[channel.endpoint]);
    }
    for step in &persona.start {
        let _ = writeln!(
            text,
            "  first, once        {} {}",
            step.method, endpoints[step.endpoint]
        );
    }
    let total = persona.task_weights().max(1) as f64;
    for task in &persona.tasks {
        let _ = writeln!(
            text,
            "  {:>6.2}% of tasks    {} ({} {})",
            100.0 * f64::from(task.weight) / total,
            task.name,
            task.steps.len(),
            if task.steps.len() == 1 {
                "request"
            } else {
                "requests"
            }
        );
    }
    for (name, percent) in persona.request_shares(endpoints) {
        let _ = writeln!(text, "  {percent:>6.2}% of requests {name}");
    }
    text.push('\n');
}
