//! One request for each step of each task: does the persona file fit the service?

use std::time::{Duration, Instant};

use super::user::User;
use super::world::World;
use super::{NoStart, Plan, prepare};
use crate::persona::Step;
use crate::result::ErrorKind;

/// What one request of a check came to.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The persona.
    pub persona: String,
    /// The task; `start` for the persona's start.
    pub task: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// Method and path as they were sent, where anything was.
    pub request: String,
    /// The status, where one came.
    pub status: Option<u16>,
    /// From the start of the attempt to its end.
    pub took: Duration,
    /// What went wrong.
    pub error: Option<(ErrorKind, String)>,
    /// The start of a bad body, not yet redacted.
    pub body: String,
}

/// Sends one request for each step of each task; repetitions are left out. Channels are left out too.
///
/// # Errors
/// The target is not there.
pub async fn check(
    mut plan: Plan,
    cancel: impl Future<Output = ()>,
) -> Result<(Vec<Checked>, bool), NoStart> {
    let mut cancel = std::pin::pin!(cancel);
    tokio::select! {
        biased;
        () = &mut cancel => return Err(NoStart::Cancelled),
        prepared = prepare(&mut plan) => drop(prepared?),
    }
    let world = World::new(plan, Instant::now());
    let mut all = Vec::new();
    let work = async {
        for (index, persona) in world.plan.personas.personas.iter().enumerate() {
            let mut user = User::new(&world, index as u64, index);
            for step in &persona.start {
                all.push(one(&world, &mut user, "start", step).await);
            }
            for task in &persona.tasks {
                let mut seen = Vec::new();
                for step in &task.steps {
                    if seen.contains(&step.endpoint) {
                        continue;
                    }
                    seen.push(step.endpoint);
                    all.push(one(&world, &mut user, &task.name, step).await);
                }
            }
        }
    };
    let whole = tokio::select! {
        () = work => true,
        () = &mut cancel => false,
    };
    Ok((all, whole))
}

async fn one(world: &World, user: &mut User, task: &str, step: &Step) -> Checked {
    let began = Instant::now();
    let done = user.attempt(world, step, world.trace()).await;
    let personas = &world.plan.personas;
    Checked {
        persona: personas.personas[user.persona].name.clone(),
        task: task.to_owned(),
        endpoint: personas.endpoints[step.endpoint].clone(),
        request: done
            .error
            .as_ref()
            .map_or_else(String::new, |error| error.request.clone()),
        status: done.status,
        took: began.elapsed(),
        body: done.error.as_ref().map_or_else(String::new, |error| {
            String::from_utf8_lossy(&error.body).into_owned()
        }),
        error: done.error.map(|error| (error.kind, error.message)),
    }
}
