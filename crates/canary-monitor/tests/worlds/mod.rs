//! Worlds made otherwise than the built-in simulator makes them: request by request, with latencies
//! drawn from a mixture of gamma and bimodal shapes, traffic that goes up and down, errors that come in
//! clumps, scrapes that jitter or are lost, members that are absent, several canaries, other edges.
//! Nothing of `simulate` is used, so that a mistake there cannot hide one in the judge.

use canary_monitor::observations::{Header, PodSample, SCHEMA, Scrape, Side};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, Gamma, LogNormal, Poisson};

/// How long requests take.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Gamma with a mean of 90 ms: no heavy tail.
    Gamma,
    /// Nine of ten from a cache in 15 ms, the others from a database in 300 ms.
    Bimodal,
    /// A log-normal with a tail that is heavier than the simulator's.
    Heavy,
}

/// What happens. Times are seconds of the run.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) shape: Shape,
    pub(crate) edges: Vec<f64>,
    pub(crate) interval: f64,
    pub(crate) duration: f64,
    pub(crate) canaries: usize,
    pub(crate) stables: usize,
    /// Requests a second of each pod.
    pub(crate) rate: f64,
    pub(crate) weight: Option<f64>,
    /// Traffic swings by this share over ten minutes.
    pub(crate) swing: f64,
    pub(crate) errors: f64,
    /// Each failure takes so many others with it, on the same pod.
    pub(crate) clump: u32,
    pub(crate) canary_errors: Option<(f64, f64)>,
    pub(crate) canary_slower: Option<(f64, f64)>,
    pub(crate) cold_until: f64,
    /// From, to, share of errors, factor of latency: everywhere.
    pub(crate) burst: Option<(f64, f64, f64, f64)>,
    /// MiB a minute.
    pub(crate) leak: f64,
    /// Seconds until the memory has settled.
    pub(crate) cache: f64,
    pub(crate) restarts_every: Option<f64>,
    /// Every pod counts from zero again at this moment.
    pub(crate) reset_at: Option<f64>,
    /// All pods but the first stable one get new names at this moment; the old ones stay listed as down.
    pub(crate) replaced_at: Option<f64>,
    /// Share of scrapes that is lost whole, and of pods that do not answer.
    pub(crate) lost: f64,
    pub(crate) silent: f64,
    /// Share of samples without errors, and without a histogram.
    pub(crate) untold: f64,
    /// Scrapes come late or early by at most so many seconds.
    pub(crate) jitter: f64,
}

impl World {
    pub(crate) fn healthy(seed: u64) -> Self {
        Self {
            seed,
            shape: Shape::Gamma,
            edges: vec![
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
            ],
            interval: 15.0,
            duration: 900.0,
            canaries: 1,
            stables: 6,
            rate: 10.0,
            weight: None,
            swing: 0.0,
            errors: 0.002,
            clump: 0,
            canary_errors: None,
            canary_slower: None,
            cold_until: 0.0,
            burst: None,
            leak: 0.0,
            cache: 60.0,
            restarts_every: None,
            reset_at: None,
            replaced_at: None,
            lost: 0.0,
            silent: 0.0,
            untold: 0.0,
            jitter: 0.0,
        }
    }
}

struct Pod {
    name: String,
    side: Side,
    first_stable: bool,
    started: f64,
    requests: u64,
    errors: u64,
    le: Vec<u64>,
    cpu: f64,
    until: f64,
}

impl Pod {
    fn anew(&mut self, at: f64) {
        self.started = at;
        (self.requests, self.errors, self.cpu) = (0, 0, 0.0);
        self.le.fill(0);
    }
}

pub(crate) fn make(world: &World) -> (Header, Vec<Scrape>) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(world.seed ^ 0x9e37_79b9);
    let header = Header {
        schema: SCHEMA.to_owned(),
        edges_seconds: world.edges.clone(),
        scrape_interval_seconds: world.interval,
        canary_weight: world.weight,
        duration_seconds: world.duration,
    };
    let pod = |side, index: usize| Pod {
        name: format!("{side:?}-{index}").to_lowercase(),
        side,
        first_stable: side == Side::Stable && index == 0,
        started: if side == Side::Canary {
            0.0
        } else {
            -7200.0 - index as f64
        },
        requests: if side == Side::Canary { 0 } else { 5000 },
        errors: if side == Side::Canary { 0 } else { 11 },
        le: vec![if side == Side::Canary { 0 } else { 4000 }; world.edges.len()],
        cpu: 0.0,
        until: 0.0,
    };
    let mut pods: Vec<Pod> = (0..world.canaries)
        .map(|index| pod(Side::Canary, index))
        .chain((0..world.stables).map(|index| pod(Side::Stable, index)))
        .collect();
    let mut gone: Vec<(String, Side)> = Vec::new();
    let mut scrapes = Vec::new();
    let (mut replaced, mut reset) = (false, false);
    for look in 0..=(world.duration / world.interval).round() as u32 {
        let planned = f64::from(look) * world.interval;
        let at = planned + world.jitter * (random.random::<f64>() - 0.5) * 2.0;
        let at = if look == 0 { planned } else { at };
        if world.replaced_at.is_some_and(|moment| planned >= moment) && !replaced {
            replaced = true;
            for pod in pods.iter_mut().filter(|pod| !pod.first_stable) {
                gone.push((pod.name.clone(), pod.side));
                pod.name = format!("{}-new", pod.name);
                pod.anew(planned - 1.0);
            }
        }
        if world.reset_at.is_some_and(|moment| planned >= moment) && !reset {
            reset = true;
            pods.iter_mut().for_each(|pod| pod.anew(planned - 1.0));
        }
        let mut samples = Vec::new();
        for pod in &mut pods {
            serve(pod, world, at, &mut random);
            let away = random.random::<f64>() < world.silent;
            if away {
                samples.push(PodSample::down(&pod.name, pod.side));
                continue;
            }
            let untold = |random: &mut Xoshiro256PlusPlus| random.random::<f64>() < world.untold;
            let age = at - pod.started;
            let canary = pod.side == Side::Canary;
            let leak = if canary { world.leak * age / 60.0 } else { 0.0 };
            let memory = 500.0 - 150.0 * (-age / world.cache).exp()
                + leak
                + 4.0 * (random.random::<f64>() - 0.5);
            samples.push(PodSample {
                up: true,
                started_at_seconds: Some(pod.started + 0.3 * random.random::<f64>()),
                requests: Some(pod.requests),
                errors: (!untold(&mut random)).then_some(pod.errors),
                le: (!untold(&mut random)).then(|| pod.le.clone()),
                cpu_seconds: Some(pod.cpu),
                memory_bytes: Some((memory * 1_048_576.0).round()),
                memory_limit_bytes: Some(2_147_483_648.0),
                ..PodSample::down(&pod.name, pod.side)
            });
        }
        samples.extend(gone.iter().map(|(name, side)| PodSample::down(name, *side)));
        if look == 0 || random.random::<f64>() >= world.lost {
            scrapes.push(Scrape {
                at_seconds: at,
                pods: samples,
            });
        }
    }
    (header, scrapes)
}

fn serve(pod: &mut Pod, world: &World, at: f64, random: &mut Xoshiro256PlusPlus) {
    let canary = pod.side == Side::Canary;
    let from = pod.until;
    pod.until = at;
    if canary
        && let Some(every) = world.restarts_every
        && (at / every).floor() > (from / every).floor()
    {
        pod.anew((at / every).floor() * every);
    }
    let swing = 1.0 + world.swing * (at / 600.0 * std::f64::consts::TAU).sin();
    let expected = world.rate * (at - from) * swing;
    if expected <= 0.0 {
        return;
    }
    let count = Poisson::new(expected).unwrap().sample(random) as u64;
    let (mut share, mut factor) = (world.errors, 1.0);
    if canary {
        if let Some((since, worse)) = world.canary_errors
            && at > since
        {
            share = worse;
        }
        if let Some((since, slower)) = world.canary_slower
            && at > since
        {
            factor *= slower;
        }
        if at <= world.cold_until {
            factor *= 6.0;
        }
    }
    if let Some((begin, end, errors, slower)) = world.burst
        && at > begin
        && at <= end
    {
        share = share.max(errors);
        factor *= slower;
    }
    let chance = share / f64::from(1 + world.clump);
    let mut failing = 0_u32;
    for _ in 0..count {
        if failing == 0 && random.random::<f64>() < chance {
            failing = 1 + world.clump;
        }
        pod.requests += 1;
        pod.cpu += 0.004;
        if failing > 0 {
            failing -= 1;
            pod.errors += 1;
        }
        let seconds = factor * latency(world.shape, random);
        for (edge, le) in world.edges.iter().zip(&mut pod.le) {
            *le += u64::from(seconds <= *edge);
        }
    }
}

fn latency(shape: Shape, random: &mut Xoshiro256PlusPlus) -> f64 {
    match shape {
        Shape::Gamma => Gamma::new(3.0, 0.03).unwrap().sample(random),
        Shape::Bimodal if random.random::<f64>() < 0.9 => {
            LogNormal::new(0.015_f64.ln(), 0.4).unwrap().sample(random)
        }
        Shape::Bimodal => LogNormal::new(0.3_f64.ln(), 0.3).unwrap().sample(random),
        Shape::Heavy => LogNormal::new(0.05_f64.ln(), 0.9).unwrap().sample(random),
    }
}
