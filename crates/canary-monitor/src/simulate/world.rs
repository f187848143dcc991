//! Observations of a scenario, as a scraper sees them.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Binomial, Distribution as _, Exp, Normal, Poisson};

use super::scenario::{Bursts, Scenario};
use crate::observations::{Header, PodSample, SCHEMA, Scrape, Side};

/// The edges of the Prometheus clients' default histogram, in seconds.
const EDGES: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// From one scrape to the next, in seconds.
const SCRAPE_SECONDS: f64 = 15.0;

const MIB: f64 = 1_048_576.0;

/// The sizes of a world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct World {
    /// Requests a second of each pod.
    pub rate: f64,
    /// Stable pods; there is one canary pod.
    pub stable_pods: usize,
    /// How long the canary is to be watched, in seconds.
    pub duration_seconds: f64,
    /// So much longer the observations go on, in seconds.
    pub extra_seconds: f64,
    /// Everything that is drawn is drawn from it.
    pub seed: u64,
}

/// Makes the observations of a scenario.
#[must_use]
pub fn make(scenario: &Scenario, world: &World) -> (Header, Vec<Scrape>) {
    let header = Header {
        schema: SCHEMA.to_owned(),
        edges_seconds: EDGES.to_vec(),
        scrape_interval_seconds: SCRAPE_SECONDS,
        canary_weight: Some(1.0 / (world.stable_pods as f64 + 1.0)),
        duration_seconds: world.duration_seconds,
    };
    let mut random = Xoshiro256PlusPlus::seed_from_u64(world.seed);
    let mut shared = Weather::new(scenario.shared_bursts, &mut random);
    let mut pods: Vec<Pod> = (0..=world.stable_pods)
        .map(|index| Pod::new(index, scenario, &mut random))
        .collect();
    let looks = ((world.duration_seconds + world.extra_seconds) / SCRAPE_SECONDS).floor() as u32;
    let scrapes = (1..=looks)
        .map(|look| {
            let at = f64::from(look) * SCRAPE_SECONDS;
            let everywhere = shared.during(at, &mut random);
            let pods = pods
                .iter_mut()
                .map(|pod| pod.look(scenario, world, at, everywhere, &mut random))
                .collect();
            Scrape {
                at_seconds: at,
                pods,
            }
        })
        .collect();
    (header, scrapes)
}

/// Bursts over time.
struct Weather {
    bursts: Option<Bursts>,
    on: bool,
    until: f64,
}

/// Which part of a stretch was spent in a burst, and in which.
type Burst = Option<(f64, Bursts)>;

impl Weather {
    fn new(bursts: Option<Bursts>, random: &mut Xoshiro256PlusPlus) -> Self {
        let mut weather = Self {
            bursts,
            on: false,
            until: 0.0,
        };
        if let Some(bursts) = bursts {
            let on = bursts.on_seconds / (bursts.on_seconds + bursts.off_seconds);
            weather.on = random.random::<f64>() < on;
            weather.until = weather.length(random);
        }
        weather
    }

    fn length(&self, random: &mut Xoshiro256PlusPlus) -> f64 {
        let mean = self.bursts.map_or(1.0, |bursts| {
            if self.on {
                bursts.on_seconds
            } else {
                bursts.off_seconds
            }
        });
        Exp::new(1.0 / mean).map_or(mean, |lengths| lengths.sample(random))
    }

    /// The scrape interval that ends at `at`.
    fn during(&mut self, at: f64, random: &mut Xoshiro256PlusPlus) -> Burst {
        let bursts = self.bursts?;
        let mut from = at - SCRAPE_SECONDS;
        let mut on_seconds = 0.0;
        while from < at {
            let to = self.until.min(at);
            if self.on {
                on_seconds += (to - from).max(0.0);
            }
            from = to.max(from);
            if self.until <= at {
                self.on = !self.on;
                self.until += self.length(random).max(1e-3);
            }
        }
        Some((on_seconds / SCRAPE_SECONDS, bursts))
    }
}

struct Pod {
    name: String,
    side: Side,
    started: f64,
    up: bool,
    requests: u64,
    errors: u64,
    le: Vec<u64>,
    cpu_seconds: f64,
    weather: Weather,
}

impl Pod {
    fn new(index: usize, scenario: &Scenario, random: &mut Xoshiro256PlusPlus) -> Self {
        let side = if index == 0 {
            Side::Canary
        } else {
            Side::Stable
        };
        Self {
            name: if index == 0 {
                "canary-0".to_owned()
            } else {
                format!("stable-{}", index - 1)
            },
            side,
            started: if index == 0 {
                0.0
            } else {
                -3600.0 * index as f64
            },
            up: true,
            requests: 0,
            errors: 0,
            le: vec![0; EDGES.len()],
            cpu_seconds: 0.0,
            weather: Weather::new(scenario.pod_bursts, random),
        }
    }

    fn look(
        &mut self,
        scenario: &Scenario,
        world: &World,
        at: f64,
        everywhere: Burst,
        random: &mut Xoshiro256PlusPlus,
    ) -> PodSample {
        let alone = self.weather.during(at, random);
        let canary = self.side == Side::Canary;
        if canary && let Some((lives, away)) = scenario.crash_loop {
            let phase = (at - SCRAPE_SECONDS).rem_euclid(lives + away);
            let up = phase < lives;
            if up && !self.up {
                self.started = at - phase - 0.5;
                (self.requests, self.errors, self.cpu_seconds) = (0, 0, 0.0);
                self.le.fill(0);
            }
            self.up = up;
            if !up {
                return PodSample::down(&self.name, self.side);
            }
        }
        if !canary || scenario.canary_traffic {
            self.serve(scenario, world.rate, at, [everywhere, alone], random);
        }
        self.sample(scenario, at, random)
    }

    /// Serves a scrape interval: in and out of bursts apart.
    fn serve(
        &mut self,
        scenario: &Scenario,
        rate: f64,
        at: f64,
        bursts: [Burst; 2],
        random: &mut Xoshiro256PlusPlus,
    ) {
        let canary = self.side == Side::Canary;
        let begin = at - SCRAPE_SECONDS;
        let mut error_share = scenario.error_share;
        let mut factor = 1.0;
        if canary {
            if let Some((from, share)) = scenario.canary_errors
                && begin >= from
            {
                error_share = share;
            }
            if let Some((from, times)) = scenario.canary_latency
                && begin >= from
            {
                factor *= times;
            }
            if let Some((until, times)) = scenario.cold_start
                && begin < until
            {
                factor *= times;
            }
        }
        let expected = rate * SCRAPE_SECONDS;
        let mut left = 1.0;
        for burst in bursts.into_iter().flatten() {
            let part = burst.0.min(left);
            left -= part;
            let worse = error_share.max(burst.1.error_share);
            self.requests_of(
                expected * part,
                worse,
                factor * burst.1.latency_factor,
                scenario,
                random,
            );
        }
        self.requests_of(expected * left, error_share, factor, scenario, random);
    }

    fn requests_of(
        &mut self,
        expected: f64,
        error_share: f64,
        factor: f64,
        scenario: &Scenario,
        random: &mut Xoshiro256PlusPlus,
    ) {
        let count = Poisson::new(expected).map_or(0, |counts| counts.sample(random) as u64);
        let draw = |count: u64, share: f64, random: &mut Xoshiro256PlusPlus| {
            Binomial::new(count, share.clamp(0.0, 1.0)).map_or(0, |draws| draws.sample(random))
        };
        self.requests += count;
        self.errors += draw(count, error_share, random);
        self.cpu_seconds += 0.01 * count as f64;
        // Bucket by bucket: of those above the last edge, so many are within this one.
        let mu = scenario.p95_seconds.ln() - 1.644_854 * scenario.sigma + factor.ln();
        let (mut above, mut share_above, mut within) = (count, 1.0, 0);
        for (edge, le) in EDGES.iter().zip(&mut self.le) {
            let share = upper_tail((edge.ln() - mu) / scenario.sigma);
            if above > 0 && share_above > 1e-12 {
                let inside = draw(above, 1.0 - share / share_above, random);
                within += inside;
                above -= inside;
                share_above = share;
            }
            *le += within;
        }
    }

    fn sample(&self, scenario: &Scenario, at: f64, random: &mut Xoshiro256PlusPlus) -> PodSample {
        let age = at - self.started;
        let leak = if self.side == Side::Canary {
            scenario.leak_mib_per_minute
        } else {
            0.0
        };
        let noise = Normal::new(0.0, 4.0).map_or(0.0, |noise| noise.sample(random));
        let memory = 600.0 - 200.0 * (-age / 60.0).exp() + leak * age / 60.0 + noise;
        PodSample {
            up: true,
            started_at_seconds: Some(self.started),
            requests: Some(self.requests),
            errors: Some(self.errors),
            le: Some(self.le.clone()),
            cpu_seconds: Some(self.cpu_seconds),
            memory_bytes: Some((memory * MIB).round()),
            memory_limit_bytes: Some(2048.0 * MIB),
            ..PodSample::down(&self.name, self.side)
        }
    }
}

/// `P(Z > z)` of a standard normal, by summing its series or its continued fraction: the judge's own
/// approximation is not used, so that a mistake there cannot cancel itself out.
fn upper_tail(z: f64) -> f64 {
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z.abs() < 3.0 {
        let (mut term, mut sum, mut k) = (z, z, 1.0);
        while term.abs() > 1e-15 {
            k += 2.0;
            term *= z * z / k;
            sum += term;
        }
        0.5 - density * sum
    } else {
        let x = z.abs();
        let fraction = (1..=60)
            .rev()
            .fold(0.0, |fraction, k| f64::from(k) / (x + fraction));
        let tail = density / (x + fraction);
        if z > 0.0 { tail } else { 1.0 - tail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::scenario::{ALL, find};

    const SMALL: World = World {
        rate: 20.0,
        stable_pods: 3,
        duration_seconds: 300.0,
        extra_seconds: 0.0,
        seed: 5,
    };

    #[test]
    fn the_seed_makes_the_world() {
        let scenario = find("pod-bursts").unwrap();
        assert_eq!(make(scenario, &SMALL), make(scenario, &SMALL));
        let other = World { seed: 6, ..SMALL };
        assert_ne!(make(scenario, &SMALL), make(scenario, &other));
    }

    #[test]
    fn every_world_obeys_the_laws_of_counters() {
        for scenario in &ALL {
            let (header, scrapes) = make(scenario, &SMALL);
            let lines = std::iter::once(serde_json::to_string(&header).unwrap()).chain(
                scrapes
                    .iter()
                    .map(|scrape| serde_json::to_string(scrape).unwrap()),
            );
            let text: String = lines.map(|line| line + "\n").collect();
            let read = crate::observations::read(&text).unwrap();
            assert_eq!(read.scrapes.len(), scrapes.len(), "{}", scenario.name);
        }
    }

    #[test]
    fn shares_come_out_as_told() {
        let (_, scrapes) = make(
            find("errors-1-to-3").unwrap(),
            &World {
                rate: 500.0,
                ..SMALL
            },
        );
        let last = scrapes.last().unwrap();
        let share = |pod: &PodSample| pod.errors.unwrap() as f64 / pod.requests.unwrap() as f64;
        assert!((share(&last.pods[0]) - 0.03).abs() < 0.003);
        assert!((share(&last.pods[1]) - 0.01).abs() < 0.002);
        let slow = |pod: &PodSample| {
            1.0 - pod.le.as_ref().unwrap()[5] as f64 / pod.requests.unwrap() as f64
        };
        // A log-normal with P95 at 0.2 s and sigma 0.557 exceeds 0.25 s in 2.0% of cases.
        assert!(
            (slow(&last.pods[1]) - 0.0204).abs() < 0.002,
            "{}",
            slow(&last.pods[1])
        );
    }

    #[test]
    fn tails_meet_the_printed_tables() {
        for (z, tail) in [(1.644_854, 0.05), (4.0, 3.167_124e-5), (-1.0, 0.841_344_7)] {
            assert!((upper_tail(z) / tail - 1.0).abs() < 1e-5);
        }
    }
}
