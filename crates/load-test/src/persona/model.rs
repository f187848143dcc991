//! What a persona file means, with nothing left to guess about.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};

use super::expect::{Expect, Save};
use super::path::Path;
use super::target::Target;
use super::template::Template;

/// A whole persona file.
#[derive(Clone, Debug)]
pub struct Personas {
    /// A path, or `built-in`.
    pub from: String,
    /// SHA-256 of the text, lowercase hexadecimal.
    pub sha256: String,
    /// The names of requests, in the order of their first use; steps refer to them by index.
    pub endpoints: Vec<String>,
    /// The personas, without those that are only inherited from.
    pub personas: Vec<Persona>,
    /// The names of saved values; a value lives in the slot of its index.
    pub slots: Vec<String>,
    /// Every value of a secret variable: none may appear in an output.
    pub secrets: Vec<(String, String)>,
    /// What deserves a look.
    pub warnings: Vec<String>,
}

/// A kind of user.
#[derive(Clone, Debug)]
pub struct Persona {
    /// Its name.
    pub name: String,
    /// Its share among the personas; 0 is only run when it is chosen by name.
    pub weight: u32,
    /// The shortest and the longest pause between two tasks.
    pub think: (Duration, Duration),
    /// What each user does once, first.
    pub start: Vec<Step>,
    /// What it does again and again, drawn by weight.
    pub tasks: Vec<Task>,
    /// A channel that it holds instead of doing tasks.
    pub websocket: Option<Arc<WebSocket>>,
    /// It asks for compressed answers; `None` where the file does not say.
    pub compression: Option<bool>,
    /// The line in the file.
    pub line: u32,
}

/// One thing that a user does.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name within the persona.
    pub name: String,
    /// Its share among the tasks of the persona.
    pub weight: u32,
    /// The requests, in order, repetitions written out.
    pub steps: Vec<Step>,
    /// Steps depend on each other by saved values, so that they cannot be sent apart.
    pub chained: bool,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Step {
    /// Index into [`Personas::endpoints`].
    pub endpoint: usize,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: Target,
    /// Headers.
    pub headers: Vec<(HeaderName, Template)>,
    /// The body.
    pub body: Option<Template>,
    /// What a good answer is.
    pub expect: Arc<Expect>,
    /// What is kept of the answer.
    pub save: Vec<Save>,
    /// A pause before it, within the task.
    pub pause: Option<(Duration, Duration)>,
}

/// A channel that a user holds.
#[derive(Clone, Debug)]
pub struct WebSocket {
    /// Index into [`Personas::endpoints`].
    pub endpoint: usize,
    /// Path and query.
    pub target: Template,
    /// Headers of the upgrade.
    pub headers: Vec<(HeaderName, Template)>,
    /// What is sent after it opened, in order.
    pub send: Vec<Template>,
    /// What the first awaited message must hold.
    pub expect: Expect,
    /// The awaited message comes at most so long after the last send.
    pub within: Duration,
    /// A ping is sent after so much silence of ours; none if absent.
    pub ping: Option<Duration>,
    /// The socket is closed in good order after so long, and opened again; held to the end if absent.
    pub hold: Option<Duration>,
    /// The pause before it is opened again.
    pub reconnect: Duration,
    /// A longer silence is a gap.
    pub max_silence: Option<Duration>,
    /// Where a message bears its own time (RFC 3339, or seconds or milliseconds since 1970).
    pub time: Option<Path>,
}

impl Persona {
    /// The sum of the weights of its tasks.
    #[must_use]
    pub fn task_weights(&self) -> u64 {
        self.tasks.iter().map(|task| u64::from(task.weight)).sum()
    }

    /// Draws a task by weight; `None` where it has none.
    pub fn draw(&self, random: &mut fastrand::Rng) -> Option<&Task> {
        let total = self.task_weights();
        if total == 0 {
            return None;
        }
        let mut at = random.u64(..total);
        self.tasks.iter().find(|task| {
            let weight = u64::from(task.weight);
            let hit = at < weight;
            at = at.saturating_sub(weight);
            hit
        })
    }

    /// The share of each endpoint among the requests that its tasks send, in percent, the most first.
    #[must_use]
    pub fn request_shares(&self, endpoints: &[String]) -> Vec<(String, f64)> {
        let mut counts = vec![0_f64; endpoints.len()];
        for task in &self.tasks {
            for step in &task.steps {
                counts[step.endpoint] += f64::from(task.weight);
            }
        }
        let total: f64 = counts.iter().sum();
        let mut shares: Vec<(String, f64)> = endpoints
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0.0)
            .map(|(name, count)| (name.clone(), 100.0 * count / total))
            .collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares
    }
}

impl Personas {
    /// Keeps the chosen personas with their weights; without a choice those whose weight is not 0.
    ///
    /// # Errors
    /// A name does not exist, or nothing is left.
    pub fn choose(&mut self, choice: &[(String, Option<u32>)]) -> Result<(), String> {
        for (name, weight) in choice {
            let known = || self.personas.iter().map(|persona| persona.name.as_str());
            let Some(index) = self
                .personas
                .iter()
                .position(|persona| persona.name == *name)
            else {
                return Err(match gs_common::config::did_you_mean(name, known()) {
                    Some(word) => format!("there is no persona `{name}`: did you mean `{word}`?"),
                    None => format!(
                        "there is no persona `{name}`: there are {}",
                        known().collect::<Vec<_>>().join(", ")
                    ),
                });
            };
            let persona = &mut self.personas[index];
            persona.weight = weight.unwrap_or(persona.weight.max(1));
        }
        if !choice.is_empty() {
            self.personas
                .retain(|persona| choice.iter().any(|(name, _)| *name == persona.name));
        }
        self.personas.retain(|persona| persona.weight > 0);
        if self.personas.is_empty() {
            return Err("no persona is left: all weights are 0".to_owned());
        }
        Ok(())
    }

    /// Draws a persona by weight.
    pub fn draw(&self, random: &mut fastrand::Rng) -> usize {
        let total: u64 = self
            .personas
            .iter()
            .map(|persona| u64::from(persona.weight))
            .sum();
        let mut at = random.u64(..total.max(1));
        for (index, persona) in self.personas.iter().enumerate() {
            let weight = u64::from(persona.weight);
            if at < weight {
                return index;
            }
            at -= weight;
        }
        0
    }
}
