//! The closed model: goose starts and stops users, ours do the rest.
//!
//! Every type of goose stays in this file. Goose knows the personas as scenarios with one transaction
//! each; a turn of that transaction is one task of ours, or a slice of a pause, so that goose can take a
//! user away within half a second. Its own requests, metrics, logs and controllers are off; the one
//! client that it insists on is shared by all users and never used.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use goose::GooseAttack;
use goose::client::GooseClientBuilder;
use goose::config::GooseConfiguration;
use goose::goose::{GooseUser, Scenario, Transaction, TransactionFunction, TransactionResult};

use super::user::User;
use super::websocket;
use super::world::World;

/// A pause is cut into slices of this length, after each of which goose may take the user away.
const SLICE: Duration = Duration::from_millis(500);

/// A wake-up that is later than this is late; less is the timer's grain, and belongs to a pause whose
/// length was drawn anyway.
const GRAIN: Duration = Duration::from_millis(2);

/// Users by their number, while they are not at work.
pub(crate) type Slots = Mutex<Vec<Option<Box<User>>>>;

/// Starts and stops users as the stages say, until it is dropped.
///
/// # Errors
/// Goose does not take the plan; what it says.
pub(crate) async fn conduct(world_all: Arc<World>, slots_all: Arc<Slots>) -> Result<(), String> {
    let configuration = configuration(&world_all)?;
    let said = |error: goose::GooseError| error.to_string();
    let client = GooseClientBuilder::new()
        .without_cookies()
        .accept_invalid_certs(true);
    let mut attack = GooseAttack::initialize_with_config(configuration)
        .and_then(|attack| attack.set_client_builder_without_cookies(client))
        .map_err(said)?;
    for (index, persona) in world_all.plan.personas.personas.iter().enumerate() {
        let (world, slots) = (Arc::clone(&world_all), Arc::clone(&slots_all));
        let function: TransactionFunction = Arc::new(move |goose: &mut GooseUser| {
            let (world, slots) = (Arc::clone(&world), Arc::clone(&slots));
            let number = goose.weighted_users_index;
            Box::pin(async move {
                turn(&world, &slots, number, index).await;
                Ok(())
            }) as Pin<Box<dyn Future<Output = TransactionResult> + Send + '_>>
        });
        let (world, slots) = (Arc::clone(&world_all), Arc::clone(&slots_all));
        let leave: TransactionFunction = Arc::new(move |goose: &mut GooseUser| {
            end(&world, &slots, goose.weighted_users_index);
            Box::pin(async { Ok(()) })
                as Pin<Box<dyn Future<Output = TransactionResult> + Send + '_>>
        });
        let weight = usize::try_from(persona.weight).unwrap_or(1);
        let scenario = Scenario::new(&persona.name)
            .set_weight(weight)
            .map_err(said)?
            .register_transaction(Transaction::new(function))
            .register_transaction(Transaction::new(leave).set_on_stop());
        attack = attack.register_scenario(scenario);
    }
    attack.execute().await.map(|_| ()).map_err(said)
}

/// Goose's plan in milliseconds. The command line that goose reads knows whole seconds only, and the
/// member itself is private, so the plan goes in by the configuration's own serialised form.
fn configuration(world: &World) -> Result<GooseConfiguration, String> {
    let mut value = serde_json::to_value(GooseConfiguration::default())
        .map_err(|error| format!("goose's configuration has no JSON form: {error}"))?;
    let mut steps: Vec<(u64, u64)> = Vec::new();
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4);
    if let Some(first) = world.plan.stages.first()
        && first.from > 0.0
    {
        steps.push((first.from.round() as u64, 0));
    }
    for stage in &world.plan.stages {
        steps.push((stage.target.round() as u64, millis(stage.duration)));
    }
    // The run is ended by us; until then goose holds what there is.
    if let Some(last) = steps.last().copied() {
        steps.push((last.0, 86_400_000));
    }
    let members = [
        (
            "test_plan",
            serde_json::json!({"steps": steps, "current": 0}),
        ),
        // Never connected to: requests are ours.
        ("host", "http://127.0.0.1:9/".into()),
        ("no_telnet", true.into()),
        ("no_websocket", true.into()),
        ("no_metrics", true.into()),
        ("no_print_metrics", true.into()),
        ("quiet", 2.into()),
    ];
    for (name, member) in members {
        let Some(place) = value.get_mut(name) else {
            return Err(format!("goose's configuration has no `{name}`"));
        };
        *place = member;
    }
    serde_json::from_value(value).map_err(|error| format!("goose does not take the plan: {error}"))
}

/// One turn of a user: enter, or go on with its pause, or do a task.
async fn turn(world: &World, slots: &Slots, number: usize, persona: usize) {
    if world.is_stopping() {
        // Goose would call again at once; the run is being wound up, and this task with it.
        return std::future::pending().await;
    }
    let mut user = {
        let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() <= number {
            slots.resize_with(number + 1, || None);
        }
        slots[number].take()
    }
    .unwrap_or_else(|| {
        world.user_began();
        Box::new(User::new(world, number as u64, persona))
    });
    act(world, &mut user).await;
    let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(slot) = slots.get_mut(number) {
        *slot = Some(user);
    }
}

/// Goose takes a user away: its connection goes with it.
fn end(world: &World, slots: &Slots, number: usize) {
    let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
    if slots.get_mut(number).and_then(Option::take).is_some() {
        world.user_ended();
    }
}

async fn act(world: &World, user: &mut User) {
    let persona = &world.plan.personas.personas[user.persona];
    if !user.entered {
        user.entered = true;
        for step in &persona.start {
            let due = before_step(world, user, step.pause, Instant::now()).await;
            user.step(world, step, due).await;
            if world.is_stopping() {
                return;
            }
        }
        user.next = Instant::now() + user.pause(persona.think);
        return;
    }
    if let Some(channel) = &persona.websocket {
        return websocket::hold(world, user, channel, Instant::now() + SLICE).await;
    }
    let now = Instant::now();
    if user.next > now {
        let slice = user.next.min(now + SLICE);
        if !world.sleep_until(slice).await || slice < user.next {
            return;
        }
    }
    let planned = user.next;
    let late = Instant::now().saturating_duration_since(planned);
    world
        .recorder(user.number)
        .lateness
        .saturating_record(crate::result::micros(late));
    let mut due = if late > GRAIN {
        planned
    } else {
        Instant::now()
    };
    let Some(task) = persona.draw(&mut user.random) else {
        return;
    };
    for step in &task.steps {
        due = before_step(world, user, step.pause, due).await;
        if world.is_stopping() {
            return;
        }
        let good = user.step(world, step, due).await;
        due = Instant::now();
        // What comes after needs what this one should have saved.
        if !good && task.chained {
            break;
        }
    }
    user.next = Instant::now() + user.pause(persona.think);
}

/// Waits for a step's own pause and for the cap on the rate; the moment from which it is due.
async fn before_step(
    world: &World,
    user: &mut User,
    pause: Option<(Duration, Duration)>,
    mut due: Instant,
) -> Instant {
    if let Some(pause) = pause {
        let until = due + user.pause(pause);
        world.sleep_until(until).await;
        due = Instant::now();
    }
    if let Some(until) = world.held_until(Instant::now()) {
        world.recorder(user.number).held_back += 1;
        world.sleep_until(until).await;
        due = Instant::now();
    }
    due
}
