//! A simulated user, and one request of it from its due time to its record.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http::header::SET_COOKIE;
use tokio::time::Sleep;

use super::recorder::{Done, Failed, Key, Open};
use super::request::Message;
use super::sender::{Answer, Broken, Link, Unanswered};
use super::trunk::Trunk;
use super::websocket::Held;
use super::world::World;
use crate::persona::Step;
use crate::persona::template::Draw;
use crate::result::ErrorKind;

/// A simulated user: who it is, what it knows, and its connection.
#[derive(Debug)]
pub(crate) struct User {
    /// Its number, from 0.
    pub(crate) number: u64,
    /// Index of its persona.
    pub(crate) persona: usize,
    /// Its own stream of draws.
    pub(crate) random: fastrand::Rng,
    /// Saved values by slot.
    pub(crate) saved: Vec<Option<String>>,
    /// It has done its start.
    pub(crate) entered: bool,
    /// When it goes on.
    pub(crate) next: Instant,
    /// The channel that it holds.
    pub(crate) held: Option<Box<Held>>,
    cookies: Vec<(String, String)>,
    link: Option<Link>,
    deadline: Deadline,
    /// The connection that it shares with others, instead of one of its own.
    trunk: Option<Arc<Trunk>>,
}

/// A seed for one of many streams (SplitMix64's mixing, Steele et al. 2014).
pub(crate) fn mixed(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A timer that is set again for every request: a later moment costs nothing, where a timer made anew would be
/// put into the runtime's list and taken out each time.
#[derive(Debug, Default)]
struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    /// The timer, set.
    fn at(&mut self, moment: Instant) -> Pin<&mut Sleep> {
        let moment = moment.into();
        let mut timer = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(moment)))
            .as_mut();
        if timer.deadline() != moment {
            timer.as_mut().reset(moment);
        }
        timer
    }
}

/// A step that was taken on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) key: Key,
    trace: u128,
}

impl User {
    pub(crate) fn new(world: &World, number: u64, persona: usize) -> Self {
        Self {
            number,
            persona,
            random: fastrand::Rng::with_seed(mixed(world.plan.seed, number)),
            saved: vec![None; world.plan.personas.slots.len()],
            entered: false,
            next: Instant::now(),
            held: None,
            cookies: Vec::new(),
            link: None,
            deadline: Deadline::default(),
            trunk: world.trunk(number),
        }
    }

    /// A pause between the two ends.
    pub(crate) fn pause(&mut self, (min, max): (Duration, Duration)) -> Duration {
        if max <= min {
            return min;
        }
        min + (max - min).mul_f64(self.random.f64())
    }

    /// Sends one request that was due at `due`, and records it. `false` where it went wrong.
    pub(crate) async fn step(&mut self, world: &World, step: &Step, due: Instant) -> bool {
        let begun = self.begin(world, step, due);
        self.carry_out(world, step, begun).await
    }

    /// Takes a step on: from here on it is counted, whatever becomes of it.
    pub(crate) fn begin(&self, world: &World, step: &Step, due: Instant) -> Begun {
        let trace = world.trace();
        let key = world.recorder(self.number).begin(Open {
            persona: self.persona,
            endpoint: step.endpoint,
            due,
            trace,
        });
        Begun { key, trace }
    }

    /// Does what was taken on.
    pub(crate) async fn carry_out(&mut self, world: &World, step: &Step, begun: Begun) -> bool {
        let Begun { key, trace } = begun;
        let done = self.attempt(world, step, trace).await;
        let good = done.error.is_none();
        self.end(world, key, done);
        good
    }

    fn end(&self, world: &World, key: Key, done: Done) {
        world.recorder(self.number).end(key, done);
    }

    pub(super) async fn attempt(&mut self, world: &World, step: &Step, trace: u128) -> Done {
        let mut draw = Draw {
            random: &mut self.random,
            user: self.number,
            saved: &self.saved,
        };
        let message = match Message::new(step, &mut draw) {
            Ok(message) => message,
            Err(why) => {
                return failed(ErrorKind::Unset, why, step.method.as_str(), &[]);
            }
        };
        let mut connect = None;
        let mut retry = true;
        loop {
            let mut link = match self.link.take() {
                Some(mut link) => {
                    if link.ready().await {
                        link
                    } else {
                        continue;
                    }
                }
                None => match self.open(world).await {
                    Ok((link, took)) => {
                        connect = took;
                        link
                    }
                    Err(Broken { kind, message: why }) => {
                        return failed(kind, why, &message.shown(), &[]);
                    }
                },
            };
            let http2 = link.is_http2();
            let request = match message.request(world, self.persona, &self.cookies, trace, http2) {
                Ok(request) => request,
                Err(why) => return failed(ErrorKind::Unset, why, &message.shown(), &[]),
            };
            let sent = Instant::now();
            let deadline = self.deadline.at(sent + world.plan.timeout);
            let work = link.exchange(request, sent, world.plan.max_body);
            let outcome = tokio::select! {
                biased;
                outcome = work => Some(outcome),
                () = deadline => None,
            };
            match outcome {
                Some(Ok(answer)) => {
                    if world.plan.keep_alive {
                        self.link = Some(link);
                    }
                    return self.judge(world, step, &message, answer, sent, connect);
                }
                Some(Err(Unanswered { stale: true, .. })) if retry && repeatable(&step.method) => {
                    retry = false;
                    world.recorder(self.number).retried += 1;
                    self.forget(&link).await;
                }
                Some(Err(unanswered)) => {
                    if unanswered.lost {
                        self.forget(&link).await;
                    }
                    let Broken { kind, message: why } = unanswered.broken;
                    return Done {
                        sent: Some(sent),
                        first_byte: unanswered.first_byte,
                        status: unanswered.status.map(|status| status.as_u16()),
                        connect,
                        ..failed(kind, why, &message.shown(), &[])
                    };
                }
                None => {
                    let allowed = gs_common::units::show_duration(world.plan.timeout);
                    return Done {
                        sent: Some(sent),
                        connect,
                        ..failed(
                            ErrorKind::Timeout,
                            format!("no whole answer within {allowed}"),
                            &message.shown(),
                            &[],
                        )
                    };
                }
            }
        }
    }

    /// A new connection, or a way into the shared one.
    async fn open(&self, world: &World) -> Result<(Link, Option<Duration>), Broken> {
        match &self.trunk {
            Some(trunk) => trunk.link(&world.dialer).await,
            None => {
                let (link, took) = world.dialer.link().await?;
                Ok((link, Some(took)))
            }
        }
    }

    /// A connection is over; those who share it are told.
    async fn forget(&self, lost: &Link) {
        if let Some(trunk) = &self.trunk {
            trunk.forget(lost).await;
        }
    }

    /// Looks at a whole answer.
    fn judge(
        &mut self,
        world: &World,
        step: &Step,
        message: &Message<'_>,
        answer: Answer,
        sent: Instant,
        connect: Option<Duration>,
    ) -> Done {
        self.take_cookies(&answer);
        let expect = &step.expect;
        let mut checks = None;
        let good = expect.status_is_good(answer.status);
        // Only a body that somebody looks at is decoded: the time for it is the generator's.
        let body = if !good || expect.looks_at_body() || !step.save.is_empty() {
            answer.decoded(world.plan.max_body)
        } else {
            Ok(Bytes::new())
        };
        let error = if !good {
            Some((ErrorKind::Status, format!("status {}", answer.status)))
        } else if let Err(Broken { kind, message }) = &body {
            Some((*kind, message.clone()))
        } else {
            let body = body.as_deref().unwrap_or_default();
            let mut outcome = Ok(());
            if expect.looks_at_body() {
                outcome = expect.body(&answer.headers, body);
                checks = Some(outcome.is_ok());
            }
            for save in &step.save {
                let found = save.from.find(&answer.headers, body);
                if found.is_none() && outcome.is_ok() {
                    outcome = Err("a value that is to be saved is not in the answer".to_owned());
                    checks = Some(false);
                }
                self.saved[save.slot] = found;
            }
            outcome.err().map(|why| (ErrorKind::Check, why))
        };
        Done {
            sent: Some(sent),
            ended: answer.ended,
            first_byte: Some(answer.first_byte),
            connect,
            status: Some(answer.status.as_u16()),
            body_bytes: answer.body.len() as u64,
            checks,
            error: error.map(|(kind, message_text)| Failed {
                kind,
                message: message_text,
                request: message.shown(),
                body: {
                    let shown = body.as_ref().unwrap_or(&answer.body);
                    shown[..shown.len().min(2048)].to_vec()
                },
            }),
        }
    }

    /// Keeps cookies by name for the one host that there is; a lifetime of zero or an empty value takes
    /// one away (RFC 6265, section 5.3, without paths and domains).
    fn take_cookies(&mut self, answer: &Answer) {
        for header in answer.headers.get_all(SET_COOKIE) {
            let Ok(text) = header.to_str() else { continue };
            let mut parts = text.split(';');
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            let expired = parts.any(|part| {
                part.trim()
                    .to_ascii_lowercase()
                    .strip_prefix("max-age=")
                    .is_some_and(|age| age.parse::<i64>().is_ok_and(|age| age <= 0))
            });
            self.cookies.retain(|(other, _)| *other != name);
            if !expired && !value.is_empty() {
                self.cookies.push((name, value));
            }
        }
    }
}

/// Repeating it is harmless (RFC 9110, section 9.2.2).
fn repeatable(method: &Method) -> bool {
    method.is_idempotent()
}

/// A request that went wrong before an answer came.
pub(crate) fn failed(kind: ErrorKind, message: String, request: &str, body: &[u8]) -> Done {
    Done {
        sent: None,
        ended: Instant::now(),
        first_byte: None,
        connect: None,
        status: None,
        body_bytes: 0,
        checks: None,
        error: Some(Failed {
            kind,
            message,
            request: request.to_owned(),
            body: body.to_vec(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_draws_differ_and_repeat() {
        let seeds: std::collections::BTreeSet<u64> = (0..1000).map(|user| mixed(7, user)).collect();
        assert_eq!(seeds.len(), 1000);
        assert_eq!(mixed(7, 3), mixed(7, 3));
        assert_ne!(mixed(7, 3), mixed(8, 3));
    }
}
