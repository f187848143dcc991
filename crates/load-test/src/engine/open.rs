//! The open model: requests become due by a schedule, whatever the answers do.
//!
//! A thread of its own keeps the time, because the timer of the runtime has a grain of a millisecond. What
//! is due takes an idle connection, else a new one while there may be more, else it waits in line, and its
//! wait counts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver as StopSignal, RecvTimeoutError, Sender as StopSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::recorder::Open;
use super::schedule::DueTimes;
use super::user::{User, mixed};
use super::world::World;
use crate::result::{Arrivals, micros};

/// What is due within this is handed on together: the sleep is no finer anyway (Linux: 50 µs of slack).
const TOGETHER: Duration = Duration::from_micros(60);

/// The persona, the task and the step of a request.
#[derive(Clone, Copy, Debug)]
struct Place {
    persona: usize,
    task: usize,
    step: usize,
}

/// A request that is due, or a row of requests that depend on each other.
#[derive(Debug)]
struct Job {
    number: u64,
    place: Place,
    due: Instant,
    /// The due times of the steps that follow, for steps that depend on each other.
    later: Option<mpsc::UnboundedReceiver<Instant>>,
}

/// Connections, or streams of shared ones, and the line of those who wait for one.
#[derive(Debug)]
pub(crate) struct Pool {
    state: Mutex<State>,
    /// Requests at the same time.
    most: usize,
    /// What the start of each persona saved, for all its requests.
    saved: Vec<Vec<Option<String>>>,
}

#[derive(Debug, Default)]
struct State {
    line: VecDeque<Job>,
    /// What was given to a connection that has not begun with it yet, by the number of the job.
    handed: BTreeMap<u64, (Place, Instant)>,
    idle: Vec<oneshot::Sender<Job>>,
    open: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(most: usize, saved: Vec<Vec<Option<String>>>) -> Self {
        Self {
            state: Mutex::default(),
            most,
            saved,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests in line.
    pub(crate) fn waiting(&self) -> usize {
        self.state().line.len()
    }

    /// Requests with which no connection has begun: in line, or just given to one.
    pub(crate) fn not_begun(&self) -> usize {
        let state = self.state();
        state.line.len() + state.handed.len()
    }

    /// Counts those with which nobody has begun as dropped, and lets nobody in any more.
    pub(crate) fn close(&self, world: &World, at: Instant) {
        let (line, handed) = {
            let mut state = self.state();
            state.closed = true;
            state.idle.clear();
            (
                std::mem::take(&mut state.line),
                std::mem::take(&mut state.handed),
            )
        };
        let line = line.into_iter().map(|job| (job.number, job.place, job.due));
        let handed = handed
            .into_iter()
            .map(|(number, (place, due))| (number, place, due));
        for (number, place, due) in line.chain(handed) {
            let open = Open {
                persona: place.persona,
                endpoint: step_of(world, place).endpoint,
                due,
                trace: world.trace(),
            };
            world.recorder(number).drop_waiting(&open, at);
        }
    }

    /// A connection begins with what it was given; `false` where that was counted as dropped already.
    fn begins(&self, number: u64) -> bool {
        self.state().handed.remove(&number).is_some()
    }

    /// Gives a job to an idle connection or a new one, or puts it in line.
    fn take_on(self: &Arc<Self>, world: &Arc<World>, mut job: Job) {
        let dispatched = Instant::now();
        let mut state = self.state();
        let handed = (job.number, (job.place, job.due));
        while let Some(idle) = state.idle.pop() {
            // A connection that has just ended hands the job back.
            match idle.send(job) {
                Ok(()) => {
                    state.handed.insert(handed.0, handed.1);
                    return;
                }
                Err(back) => job = back,
            }
        }
        if state.open < self.most {
            let connection = state.open as u64;
            state.open += 1;
            state.handed.insert(handed.0, handed.1);
            drop(state);
            let (pool, world) = (Arc::clone(self), Arc::clone(world));
            drop(tokio::spawn(async move {
                serve(pool, world, connection, job).await
            }));
            return;
        }
        let late = dispatched.saturating_duration_since(job.due);
        let number = job.number;
        state.line.push_back(job);
        drop(state);
        let mut recorder = world.recorder(number);
        recorder.waited += 1;
        recorder.lateness.saturating_record(micros(late));
    }
}

fn step_of(world: &World, place: Place) -> &crate::persona::Step {
    &world.plan.personas.personas[place.persona].tasks[place.task].steps[place.step]
}

/// The life of a connection: one job after another.
async fn serve(pool: Arc<Pool>, world: Arc<World>, connection: u64, first: Job) {
    let mut user = User::new(&world, connection, 0);
    let mut job = first;
    let mut waited = false;
    loop {
        perform(&pool, &world, &mut user, job, waited).await;
        let idle = {
            let mut state = pool.state();
            if state.closed {
                return;
            }
            match state.line.pop_front() {
                Some(next) => {
                    state.handed.insert(next.number, (next.place, next.due));
                    Err(next)
                }
                None => {
                    let (sender, receiver) = oneshot::channel();
                    state.idle.push(sender);
                    Ok(receiver)
                }
            }
        };
        match idle {
            Err(next) => {
                waited = true;
                job = next;
            }
            Ok(receiver) => match receiver.await {
                Ok(next) => {
                    waited = false;
                    job = next;
                }
                Err(_) => return,
            },
        }
    }
}

async fn perform(pool: &Pool, world: &World, user: &mut User, job: Job, waited: bool) {
    let Job {
        number,
        mut place,
        due,
        later,
    } = job;
    let started = Instant::now();
    let wait = started.saturating_duration_since(due);
    {
        let mut recorder = world.recorder(number);
        if waited {
            recorder.wait.saturating_record(micros(wait));
        } else {
            recorder.lateness.saturating_record(micros(wait));
        }
    }
    user.number = number;
    user.persona = place.persona;
    user.random = fastrand::Rng::with_seed(mixed(world.plan.seed ^ 0x6f70_656e, number));
    user.saved.clone_from(&pool.saved[place.persona]);
    let mut begun = user.begin(world, step_of(world, place), due);
    if !pool.begins(number) {
        world.recorder(number).forget(begun.key);
        return;
    }
    let Some(mut later) = later else {
        user.carry_out(world, step_of(world, place), begun).await;
        return;
    };
    let steps = world.plan.personas.personas[place.persona].tasks[place.task]
        .steps
        .len();
    loop {
        user.carry_out(world, step_of(world, place), begun).await;
        place.step += 1;
        if place.step >= steps {
            return;
        }
        let due = match later.recv().await {
            Some(next) => next,
            // The schedule ended in the middle of the task.
            None => return,
        };
        if !world.sleep_until(due).await && world.is_stopping() {
            return;
        }
        begun = user.begin(world, step_of(world, place), due);
    }
}

/// Sends what becomes due until the schedule ends or the run stops.
pub(crate) async fn conduct(world: Arc<World>, pool: Arc<Pool>, arrivals: Arrivals) {
    let times = DueTimes::new(&world.plan.stages, arrivals, world.plan.seed);
    let (mut due, _clock) = match start_clock(times, world.began) {
        Ok(clock) => clock,
        Err(_) => return,
    };
    let mut random = fastrand::Rng::with_seed(mixed(world.plan.seed, u64::MAX));
    let mut number = 0_u64;
    // The task whose steps are being handed out.
    let mut current: Option<Place> = None;
    let mut chain: Option<mpsc::UnboundedSender<Instant>> = None;
    while let Some(batch) = due.recv().await {
        for due in batch {
            if world.is_stopping() {
                return;
            }
            let place = match current {
                Some(place) => place,
                None => {
                    let Some(place) = draw(&world, &mut random) else {
                        return;
                    };
                    place
                }
            };
            let task = &world.plan.personas.personas[place.persona].tasks[place.task];
            let next = Place {
                step: place.step + 1,
                ..place
            };
            current = (next.step < task.steps.len()).then_some(next);
            if let Some(sender) = &chain
                && place.step > 0
            {
                // The one who does the task may have been cut off; then so is its rest.
                let _ = sender.send(due);
                if current.is_none() {
                    chain = None;
                }
                continue;
            }
            let later = (task.chained && current.is_some()).then(|| {
                let (sender, receiver) = mpsc::unbounded_channel();
                chain = Some(sender);
                receiver
            });
            let job = Job {
                number,
                place,
                due,
                later,
            };
            number += 1;
            pool.take_on(&world, job);
        }
    }
}

fn draw(world: &World, random: &mut fastrand::Rng) -> Option<Place> {
    let personas = &world.plan.personas;
    let persona = personas.draw(random);
    let chosen = personas.personas.get(persona)?;
    let drawn = chosen.draw(random)?;
    let task = chosen
        .tasks
        .iter()
        .position(|task| std::ptr::eq(task, drawn))?;
    Some(Place {
        persona,
        task,
        step: 0,
    })
}

type Clock = (mpsc::UnboundedReceiver<Vec<Instant>>, StopSender<()>);

/// A thread that hands on due times when they come. It ends with the schedule, or when either end of the
/// returned pair is dropped.
fn start_clock(times: DueTimes, began: Instant) -> std::io::Result<Clock> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (stop, stopped) = std::sync::mpsc::channel();
    std::thread::Builder::new()
        .name("load-test-clock".to_owned())
        .spawn(move || keep_time(times, began, &sender, &stopped))?;
    Ok((receiver, stop))
}

fn keep_time(
    times: DueTimes,
    began: Instant,
    to: &mpsc::UnboundedSender<Vec<Instant>>,
    stopped: &StopSignal<()>,
) {
    let mut times = times
        .map(|at| began + Duration::try_from_secs_f64(at).unwrap_or_default())
        .peekable();
    while let Some(next) = times.peek().copied() {
        let wait = next.saturating_duration_since(Instant::now());
        if wait > TOGETHER {
            // A wait on a channel, so that the end of the run ends it.
            match stopped.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return,
            }
        }
        let now = Instant::now() + TOGETHER;
        let mut batch = Vec::new();
        while let Some(due) = times.next_if(|due| *due <= now) {
            batch.push(due);
        }
        if !batch.is_empty() && to.send(batch).is_err() {
            return;
        }
    }
}
