//! The closed model: goose starts users, ours do the rest.
//!
//! Every type of goose stays in this file. Goose knows the personas as scenarios with one transaction
//! each; a turn of that transaction is one task of ours, or a slice of a pause. Its own requests, metrics,
//! logs and controllers are off, and the one client that it insists on is shared by all users and never
//! used. A rise of the load is one attack of goose; a fall is ours, for goose 0.19 prints to stdout
//! whenever it is given a plan of several steps, and stdout is the report's.

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
use crate::result::Stage;

/// A pause is cut into slices of this length, after each of which a user may be taken away.
const SLICE: Duration = Duration::from_millis(500);

/// A wake-up that is later than this is late; less is the timer's grain, and belongs to a pause whose
/// length was drawn anyway.
const GRAIN: Duration = Duration::from_millis(2);

/// Goose holds what it has for longer than any run lasts, in seconds; the run is ended by us.
const HELD_SECONDS: u64 = 30 * 86_400;

/// Users a second where all shall start at once.
const AT_ONCE: f64 = 100_000.0;

/// Users by their number, while they are not at work.
pub(crate) type Slots = Mutex<Vec<Option<Box<User>>>>;

/// A rise of the load.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rise {
    /// When it begins.
    at: Duration,
    /// Users that are there already.
    there: usize,
    /// Users that were started before it.
    started: usize,
    /// Users to start.
    users: usize,
    /// Users a second.
    rate: f64,
}

/// The rises of a course.
fn rises(stages: &[Stage]) -> Vec<Rise> {
    let mut all = Vec::new();
    let (mut at, mut there, mut started) = (Duration::ZERO, 0, 0);
    let mut add = |at, there: &mut usize, to: f64, seconds: f64| {
        let to = to.round() as usize;
        if to > *there {
            let users = to - *there;
            let rate = if seconds > 0.0 {
                users as f64 / seconds
            } else {
                AT_ONCE
            };
            all.push(Rise {
                at,
                there: *there,
                started,
                users,
                rate,
            });
            started += users;
        }
        *there = to;
    };
    if let Some(first) = stages.first() {
        add(at, &mut there, first.from, 0.0);
    }
    for stage in stages {
        add(at, &mut there, stage.target, stage.duration.as_secs_f64());
        at += stage.duration;
    }
    all
}

/// How many users may be at work so long after the start. While the load rises that is where it rises to,
/// so that nobody who has just come is sent away.
fn allowed(stages: &[Stage], at: Duration) -> f64 {
    let mut start = Duration::ZERO;
    let mut last = f64::INFINITY;
    for stage in stages {
        let end = start + stage.duration;
        if at < end {
            let share = (at - start).as_secs_f64() / stage.duration.as_secs_f64();
            return if stage.target < stage.from {
                stage.from + (stage.target - stage.from) * share
            } else {
                stage.target
            };
        }
        start = end;
        last = stage.target;
    }
    last
}

/// Starts users as the stages say, until it is dropped.
///
/// # Errors
/// Goose does not take the plan; what it says.
pub(crate) async fn conduct(world: Arc<World>, slots: Arc<Slots>) -> Result<(), String> {
    // Goose would install a logger that writes to stdout, unless there is one already.
    static NOBODY: Nobody = Nobody;
    let _ = log::set_logger(&NOBODY);
    let attacks = rises(&world.plan.stages).into_iter().map(|rise| {
        let (world, slots) = (Arc::clone(&world), Arc::clone(&slots));
        async move {
            if !rise.at.is_zero() && !world.sleep_until(world.began + rise.at).await {
                return Ok(());
            }
            attack(&world, &slots, rise).await
        }
    });
    futures_util::future::try_join_all(attacks)
        .await
        .map(|_| ())
}

/// One rise, conducted by goose.
async fn attack(world_all: &Arc<World>, slots_all: &Arc<Slots>, rise: Rise) -> Result<(), String> {
    let said = |error: goose::GooseError| error.to_string();
    let client = GooseClientBuilder::new()
        .without_cookies()
        .accept_invalid_certs(true);
    let mut configuration = GooseConfiguration::default();
    // Never connected to: requests are ours.
    configuration.host = Some("http://127.0.0.1:9/".to_owned());
    configuration.users = Some(rise.users);
    configuration.increase_rate = Some(format!("{:.6}", rise.rate.max(0.000_02)));
    configuration.run_time = Some(HELD_SECONDS.to_string());
    configuration.no_telnet = true;
    configuration.no_metrics = true;
    configuration.no_print_metrics = true;
    configuration.quiet = 2;
    let mut attack = GooseAttack::initialize_with_config(configuration)
        .and_then(|attack| attack.set_client_builder_without_cookies(client))
        .map_err(said)?;
    for (index, persona) in world_all.plan.personas.personas.iter().enumerate() {
        let (world, slots) = (Arc::clone(world_all), Arc::clone(slots_all));
        let function: TransactionFunction = Arc::new(move |goose: &mut GooseUser| {
            let (world, slots) = (Arc::clone(&world), Arc::clone(&slots));
            let index_of_goose = goose.weighted_users_index;
            Box::pin(async move {
                let seat = Seat {
                    number: rise.started + index_of_goose,
                    rank: rise.there + index_of_goose,
                    persona: index,
                };
                turn(&world, &slots, seat).await;
                Ok(())
            }) as Pin<Box<dyn Future<Output = TransactionResult> + Send + '_>>
        });
        let weight = usize::try_from(persona.weight).unwrap_or(1);
        let scenario = Scenario::new(&persona.name)
            .set_weight(weight)
            .map_err(said)?
            .register_transaction(Transaction::new(function));
        attack = attack.register_scenario(scenario);
    }
    attack.execute().await.map(|_| ()).map_err(said)
}

/// Who a user is.
#[derive(Clone, Copy, Debug)]
struct Seat {
    /// Its number among all that were ever started.
    number: usize,
    /// Its place among those at work: the last to come is the first to go.
    rank: usize,
    /// Index of its persona.
    persona: usize,
}

/// Hears what goose logs, and lets it be.
struct Nobody;

impl log::Log for Nobody {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        false
    }

    fn log(&self, _: &log::Record<'_>) {}

    fn flush(&self) {}
}

/// One turn of a user: enter, or go on with its pause, or do a task.
async fn turn(world: &World, slots: &Slots, seat: Seat) {
    let taken = {
        let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() <= seat.number {
            slots.resize_with(seat.number + 1, || None);
        }
        slots[seat.number].take()
    };
    let gone = seat.rank as f64 >= allowed(&world.plan.stages, world.began.elapsed());
    if gone && taken.is_some() {
        world.user_ended();
    }
    if gone || world.is_stopping() {
        drop(taken);
        // Goose would call again at once. The task waits to be dropped with the run.
        return std::future::pending().await;
    }
    let mut user = taken.unwrap_or_else(|| {
        world.user_began();
        Box::new(User::new(world, seat.number as u64, seat.persona))
    });
    // Most users think most of the time: what acting takes is kept only while one acts.
    if pause_over(world, &user).await {
        Box::pin(act(world, &mut user)).await;
    }
    let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(slot) = slots.get_mut(seat.number) {
        *slot = Some(user);
    }
}

/// Spends a slice of a user's pause; whether the pause is over.
async fn pause_over(world: &World, user: &User) -> bool {
    let now = Instant::now();
    if user.next <= now {
        return true;
    }
    let slice = user.next.min(now + SLICE);
    world.sleep_until(slice).await && slice >= user.next
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

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(from: f64, target: f64, seconds: u64) -> Stage {
        Stage {
            name: "stage".to_owned(),
            from,
            target,
            duration: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn a_thinking_user_is_small() {
        let world = World::new(crate::engine::Plan::for_tests(), Instant::now());
        let slots = Slots::default();
        let seat = Seat {
            number: 0,
            rank: 0,
            persona: 0,
        };
        let size = size_of_val(&turn(&world, &slots, seat));
        assert!(size <= 1024, "{size} bytes");
    }

    #[test]
    fn a_course_is_cut_into_rises() {
        let stages = [
            stage(0.0, 100.0, 10),
            stage(100.0, 100.0, 60),
            stage(100.0, 40.0, 10),
            stage(40.0, 50.0, 5),
        ];
        let all = rises(&stages);
        let shown: Vec<_> = all
            .iter()
            .map(|rise| {
                (
                    rise.at.as_secs(),
                    rise.there,
                    rise.started,
                    rise.users,
                    rise.rate,
                )
            })
            .collect();
        assert_eq!(shown, [(0, 0, 0, 100, 10.0), (80, 40, 100, 10, 2.0)]);
        let at_once = rises(&[stage(30.0, 30.0, 5)]);
        assert_eq!(
            (at_once.len(), at_once[0].users, at_once[0].rate),
            (1, 30, AT_ONCE)
        );
    }

    #[test]
    fn users_leave_while_the_load_falls_and_never_while_it_rises() {
        let stages = [
            stage(0.0, 10.0, 10),
            stage(10.0, 0.0, 10),
            stage(0.0, 4.0, 10),
        ];
        let at = |seconds| allowed(&stages, Duration::from_secs(seconds));
        assert_eq!(
            [at(0), at(9), at(10), at(15), at(20), at(40)],
            [10.0, 10.0, 10.0, 5.0, 4.0, 4.0]
        );
    }
}
