//! The closed model: users who act one after another's answer, started and taken away as the stages say.
//!
//! A user is one task. It sleeps until it acts next or has to leave, whichever comes first; both moments are
//! known beforehand, so that a user who thinks costs neither time nor more than its own few hundred bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::user::User;
use super::world::World;
use super::{FOREVER, websocket};
use crate::persona::Persona;
use crate::result::Stage;

/// A wake-up that is later than this is late; less is the timer's grain, and belongs to a pause whose
/// length was drawn anyway.
const GRAIN: Duration = Duration::from_millis(2);

/// A rise of the load.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rise {
    /// When it begins.
    at: Duration,
    /// Users that are there already.
    there: usize,
    /// Users to start.
    users: usize,
    /// Time between two of them.
    apart: Duration,
}

/// The rises of a course.
fn rises(stages: &[Stage]) -> Vec<Rise> {
    let mut all = Vec::new();
    let (mut at, mut there) = (Duration::ZERO, 0);
    let mut add = |at, there: &mut usize, to: f64, length: Duration| {
        let to = to.round() as usize;
        if to > *there {
            let users = to - *there;
            all.push(Rise {
                at,
                there: *there,
                users,
                apart: length.div_f64(users as f64),
            });
        }
        *there = to;
    };
    if let Some(first) = stages.first() {
        add(at, &mut there, first.from, Duration::ZERO);
    }
    for stage in stages {
        add(at, &mut there, stage.target, stage.duration);
        at += stage.duration;
    }
    all
}

/// When the user at this place leaves, who came at `came`; the last to come is the first to go. While the
/// load falls linearly from `a` to `b` users within `d`, place `r` is left at `d (a - r) / (a - b)`.
fn leaves(stages: &[Stage], rank: usize, came: Duration) -> Option<Duration> {
    let rank = rank as f64;
    let mut start = Duration::ZERO;
    for stage in stages {
        let end = start + stage.duration;
        if stage.target < stage.from && rank >= stage.target && end > came {
            let share = ((stage.from - rank) / (stage.from - stage.target)).clamp(0.0, 1.0);
            return Some(came.max(start + stage.duration.mul_f64(share)));
        }
        start = end;
    }
    None
}

/// Whose turn it is to come, so that the personas are there by their weights at any time: the one that is
/// owed most (smooth weighted round-robin).
#[derive(Debug)]
struct Turns {
    weights: Vec<i64>,
    owed: Vec<i64>,
}

impl Turns {
    fn new(personas: &[Persona]) -> Self {
        Self::of(personas.iter().map(|persona| i64::from(persona.weight)))
    }

    fn of(weights: impl Iterator<Item = i64>) -> Self {
        let weights: Vec<i64> = weights.collect();
        Self {
            owed: vec![0; weights.len()],
            weights,
        }
    }

    /// Index of the persona; the first of those that are owed the same.
    fn next(&mut self) -> usize {
        for (owed, weight) in self.owed.iter_mut().zip(&self.weights) {
            *owed += weight;
        }
        let most = self.owed.iter().copied().max().unwrap_or(0);
        let index = self.owed.iter().position(|owed| *owed == most).unwrap_or(0);
        if let Some(owed) = self.owed.get_mut(index) {
            *owed -= self.weights.iter().sum::<i64>();
        }
        index
    }
}

/// Starts users as the stages say, and waits until all have left; whoever is there when this is dropped is
/// cut off.
///
/// # Errors
/// A user's task broke, which is a bug of ours; what it says.
pub(crate) async fn conduct(world: Arc<World>) -> Result<(), String> {
    let mut users = JoinSet::new();
    let mut turns = Turns::new(&world.plan.personas.personas);
    let mut number = 0;
    for rise in rises(&world.plan.stages) {
        for index in 0..rise.users {
            let due = rise.at + rise.apart.mul_f64(index as f64);
            if !world.sleep_until(world.began + due).await {
                break;
            }
            let leave = leaves(&world.plan.stages, rise.there + index, due);
            let user = live(
                Arc::clone(&world),
                number,
                turns.next(),
                leave.map(|leave| world.began + leave),
            );
            users.spawn(user);
            number += 1;
        }
    }
    while let Some(ended) = users.join_next().await {
        ended.map_err(|error| format!("a user broke off: {error}"))?;
    }
    Ok(())
}

/// The life of a user, until it leaves or the run stops.
async fn live(world: Arc<World>, number: u64, persona: usize, leave: Option<Instant>) {
    world.user_began();
    let mut user = Box::new(User::new(&world, number, persona));
    let leave = leave.unwrap_or_else(|| world.began + FOREVER);
    while world.sleep_until(user.next.min(leave)).await {
        if Instant::now() >= leave {
            world.user_ended();
            return;
        }
        // Most users think most of the time: what acting takes is kept only while one acts.
        Box::pin(act(&world, &mut user, leave)).await;
    }
}

/// What a user does until it has to wait or to leave.
async fn act(world: &World, user: &mut User, leave: Instant) {
    let mut now = Instant::now();
    loop {
        now = turn(world, user, leave, now).await;
        if user.next > now || user.next.max(now) >= leave || world.is_stopping() {
            return;
        }
    }
}

/// What a user does at once: its start, its channel, or a task; and when it was done with it.
async fn turn(world: &World, user: &mut User, leave: Instant, mut now: Instant) -> Instant {
    let persona = &world.plan.personas.personas[user.persona];
    if !user.entered {
        user.entered = true;
        for step in &persona.start {
            let due = before_step(world, user, step.pause, now, now).await;
            user.step(world, step, due).await;
            now = Instant::now();
            if world.is_stopping() {
                return now;
            }
        }
        user.next = now + user.pause(persona.think);
        return now;
    }
    if let Some(channel) = &persona.websocket {
        websocket::hold(world, user, channel, leave).await;
        return Instant::now();
    }
    let planned = user.next;
    let late = now.saturating_duration_since(planned);
    world
        .recorder(user.number)
        .lateness
        .saturating_record(crate::result::micros(late));
    let mut due = if late > GRAIN { planned } else { now };
    let Some(task) = persona.draw(&mut user.random) else {
        user.next = leave;
        return now;
    };
    for step in &task.steps {
        due = before_step(world, user, step.pause, due, now).await;
        if world.is_stopping() {
            return now;
        }
        let good = user.step(world, step, due).await;
        now = Instant::now();
        due = now;
        // What comes after needs what this one should have saved.
        if !good && task.chained {
            break;
        }
    }
    user.next = now + user.pause(persona.think);
    now
}

/// Waits for a step's own pause and for the cap on the rate; the moment from which it is due.
async fn before_step(
    world: &World,
    user: &mut User,
    pause: Option<(Duration, Duration)>,
    mut due: Instant,
    mut now: Instant,
) -> Instant {
    if let Some(pause) = pause {
        let until = due + user.pause(pause);
        world.sleep_until(until).await;
        now = Instant::now();
        due = now;
    }
    if let Some(until) = world.held_until(now) {
        world.recorder(user.number).held_back += 1;
        world.sleep_until(until).await;
        due = Instant::now();
    }
    due
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        let world = Arc::new(World::new(crate::engine::Plan::for_tests(), Instant::now()));
        let size = size_of_val(&live(world, 0, 0, None));
        assert!(size <= 512, "{size} bytes");
    }

    #[test]
    fn a_course_is_cut_into_rises() {
        let stages = [
            stage(0.0, 100.0, 10),
            stage(100.0, 100.0, 60),
            stage(100.0, 40.0, 10),
            stage(40.0, 50.0, 5),
        ];
        let rise = |at, there, users, apart| Rise {
            at: Duration::from_secs(at),
            there,
            users,
            apart: Duration::from_millis(apart),
        };
        assert_eq!(
            rises(&stages),
            [rise(0, 0, 100, 100), rise(80, 40, 10, 500)]
        );
        assert_eq!(rises(&[stage(30.0, 30.0, 5)]), [rise(0, 0, 30, 0)]);
    }

    #[test]
    fn users_leave_while_the_load_falls_and_never_while_it_rises() {
        let stages = [
            stage(0.0, 10.0, 10),
            stage(10.0, 0.0, 10),
            stage(0.0, 4.0, 10),
        ];
        let at = |rank, came| leaves(&stages, rank, Duration::from_secs(came));
        assert_eq!(at(9, 9), Some(Duration::from_secs(11)));
        assert_eq!(at(5, 5), Some(Duration::from_secs(15)));
        assert_eq!(at(0, 0), Some(Duration::from_secs(20)));
        assert_eq!(at(0, 20), None);
        assert_eq!(leaves(&[stage(5.0, 5.0, 10)], 4, Duration::ZERO), None);
    }

    proptest! {
        // What stages ask for at a moment is who is there: those who have come and have not left.
        #[test]
        fn as_many_are_there_as_the_stages_ask_for(
            targets in prop::collection::vec((0_u32..50, 1_u64..100), 1..6),
            share in 0.0..1.0_f64,
        ) {
            let mut from = 0.0;
            let stages: Vec<Stage> = targets
                .iter()
                .map(|(target, seconds)| {
                    let stage = stage(from, f64::from(*target), *seconds);
                    from = stage.target;
                    stage
                })
                .collect();
            let whole: Duration = stages.iter().map(|stage| stage.duration).sum();
            let now = whole.mul_f64(share);
            let mut there = 0;
            for rise in rises(&stages) {
                for index in 0..rise.users {
                    let came = rise.at + rise.apart.mul_f64(index as f64);
                    let left = leaves(&stages, rise.there + index, came);
                    there += i32::from(came <= now && left.is_none_or(|left| left > now));
                }
            }
            let mut start = Duration::ZERO;
            let mut asked = 0.0;
            for stage in &stages {
                if now >= start {
                    let share = (now - start).as_secs_f64() / stage.duration.as_secs_f64();
                    asked = stage.from + (stage.target - stage.from) * share.min(1.0);
                }
                start += stage.duration;
            }
            prop_assert!((f64::from(there) - asked).abs() <= 1.0 + 1e-6, "{there} of {asked}");
        }

        // Nobody is owed, and nobody ahead by, more than one turn for every other persona.
        #[test]
        fn personas_come_by_their_weights(
            weights in prop::collection::vec(1_i64..20, 1..6),
            users in 1_usize..200,
        ) {
            let all: i64 = weights.iter().sum();
            let mut turns = Turns::of(weights.iter().copied());
            let mut came = vec![0_i64; weights.len()];
            for user in 1..=users as i64 {
                came[turns.next()] += 1;
                for (came, weight) in came.iter().zip(&weights) {
                    let fair = user as f64 * *weight as f64 / all as f64;
                    prop_assert!((*came as f64 - fair).abs() < weights.len() as f64);
                }
            }
        }
    }
}
