//! What is wrong with a canary without a statistic: restarts, kills, a leak, and too little CPU.

use std::collections::BTreeMap;

use super::leak::{LEAST_POINTS, Leak, MOST_LONG_SECONDS, Memory, growing, median, slope, thinned};
use super::policy::Policy;
use crate::counts::{Event, EventKind, SAME_START_SECONDS};
use crate::observations::{PodSample, Scrape, Side};

/// Growth that stable shows too is not the canary's: it has to exceed it by this factor.
const BEYOND_STABLE: f64 = 2.0;

/// Checks in a row for which it has to grow.
const LEAK_CHECKS: u32 = 3;

/// A pod that uses this share of its CPU limit between two looks is near it.
const NEAR_LIMIT: f64 = 0.9;

/// Near the limit, or throttled, for this share of the time is worth a warning. The alert
/// `CPUThrottlingHigh` of the kubernetes-mixin warns at a quarter too.
const SHORT_OF_CPU: f64 = 0.25;

/// Fewer seconds of pods than this tell nothing of their CPU.
const LEAST_CPU_SECONDS: f64 = 120.0;

/// What is remembered for the guards.
#[derive(Clone, Debug, Default)]
pub struct Guards {
    restarts: [u64; 2],
    oom_kills: [u64; 2],
    memory: BTreeMap<(Side, String), Memory>,
    growing_checks: u32,
    cpu: BTreeMap<(Side, String), CpuLook>,
    cpu_time: [CpuTime; 2],
}

/// The last look at a pod's CPU.
#[derive(Clone, Copy, Debug)]
struct CpuLook {
    at_seconds: f64,
    cpu_seconds: Option<f64>,
    throttled_seconds: Option<f64>,
}

/// How the pods of a side spent their time, in seconds of pods.
#[derive(Clone, Copy, Debug, Default)]
struct CpuTime {
    limited: f64,
    near_limit: f64,
    told_throttled: f64,
    throttled: f64,
}

/// How short of CPU a side is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cpu {
    /// Share of the time in which its pods used 90% of their limit and more; absent without a limit.
    pub near_limit_share: Option<f64>,
    /// Share of the time in which its pods were not allowed to run; absent where nobody told.
    pub throttled_share: Option<f64>,
}

impl Guards {
    /// Takes one look in.
    pub fn take(&mut self, scrape: &Scrape, events: &[Event], policy: &Policy) {
        for event in events {
            match event.kind {
                EventKind::Restart => self.restarts[index(event.side)] += 1,
                EventKind::OomKills(kills) => self.oom_kills[index(event.side)] += kills,
            }
        }
        for sample in scrape.pods.iter().filter(|sample| sample.up) {
            self.take_cpu(scrape.at_seconds, sample);
            self.take_memory(scrape.at_seconds, sample, policy);
        }
        // A pod that is gone leaks no more.
        let oldest = scrape.at_seconds - policy.leak_seconds;
        let here = |last: Option<&(f64, f64)>| last.is_some_and(|(at, _)| *at >= oldest);
        self.memory.retain(|_, memory| here(memory.points.back()));
        self.cpu.retain(|_, look| look.at_seconds >= oldest);
    }

    fn take_memory(&mut self, at_seconds: f64, sample: &PodSample, policy: &Policy) {
        let Some(bytes) = sample.memory_bytes else {
            return;
        };
        let key = (sample.side, sample.pod.clone());
        let memory = self.memory.entry(key).or_default();
        memory.limit = sample.memory_limit_bytes.or(memory.limit);
        // A process that starts anew starts its memory anew.
        let later = matches!(
            (memory.started_at_seconds, sample.started_at_seconds),
            (Some(before), Some(now)) if now > before + SAME_START_SECONDS
        );
        let fell = memory
            .points
            .back()
            .is_some_and(|(_, last)| bytes < 0.5 * last);
        if later || fell {
            memory.points.clear();
        }
        memory.started_at_seconds = sample.started_at_seconds.or(memory.started_at_seconds);
        memory.points.push_back((at_seconds, bytes));
        let oldest = at_seconds - MOST_LONG_SECONDS.max(policy.leak_seconds) - 1.0;
        while memory.points.front().is_some_and(|(at, _)| *at < oldest) {
            memory.points.pop_front();
        }
    }

    fn take_cpu(&mut self, at_seconds: f64, sample: &PodSample) {
        let now = CpuLook {
            at_seconds,
            cpu_seconds: sample.cpu_seconds,
            throttled_seconds: sample.throttled_seconds,
        };
        let before = self.cpu.insert((sample.side, sample.pod.clone()), now);
        let Some(before) = before else { return };
        let seconds = at_seconds - before.at_seconds;
        let time = &mut self.cpu_time[index(sample.side)];
        if let (Some(limit), Some(was), Some(is)) =
            (sample.cpu_limit_cores, before.cpu_seconds, now.cpu_seconds)
            && limit > 0.0
            && is >= was
        {
            time.limited += seconds;
            if is - was >= NEAR_LIMIT * limit * seconds {
                time.near_limit += seconds;
            }
        }
        if let (Some(was), Some(is)) = (before.throttled_seconds, now.throttled_seconds)
            && is >= was
        {
            time.told_throttled += seconds;
            // It is a sum over threads: a pod is at most throttled all the time.
            time.throttled += (is - was).min(seconds);
        }
    }

    /// How short of CPU a side was so far.
    #[must_use]
    pub fn cpu(&self, side: Side) -> Cpu {
        let time = self.cpu_time[index(side)];
        let share = |part: f64, of: f64| (of >= LEAST_CPU_SECONDS).then(|| part / of);
        Cpu {
            near_limit_share: share(time.near_limit, time.limited),
            throttled_share: share(time.throttled, time.told_throttled),
        }
    }

    /// What is to be said of the canary's CPU: never a reason to roll back, for a limit that is too low
    /// shows in errors and latency if it harms.
    #[must_use]
    pub fn short_of_cpu(&self) -> Option<String> {
        let (canary, stable) = (self.cpu(Side::Canary), self.cpu(Side::Stable));
        let short = |own: Option<f64>, usual: Option<f64>| {
            own.filter(|own| *own >= SHORT_OF_CPU && *own > BEYOND_STABLE * usual.unwrap_or(0.0))
        };
        let usual = |share: Option<f64>| {
            share.map_or_else(String::new, |share| {
                format!(", stable {:.0}%", share * 100.0)
            })
        };
        if let Some(share) = short(canary.throttled_share, stable.throttled_share) {
            return Some(format!(
                "the canary is throttled for {:.0}% of the time{}",
                share * 100.0,
                usual(stable.throttled_share)
            ));
        }
        let share = short(canary.near_limit_share, stable.near_limit_share)?;
        Some(format!(
            "the canary runs near its CPU limit for {:.0}% of the time{}",
            share * 100.0,
            usual(stable.near_limit_share)
        ))
    }

    /// Restarts of a side so far.
    #[must_use]
    pub fn restarts(&self, side: Side) -> u64 {
        self.restarts[index(side)]
    }

    /// Kills for want of memory of a side so far.
    #[must_use]
    pub fn oom_kills(&self, side: Side) -> u64 {
        self.oom_kills[index(side)]
    }

    /// Whether any canary pod told its memory.
    #[must_use]
    pub fn knows_memory(&self) -> bool {
        self.memory.keys().any(|(side, _)| *side == Side::Canary)
    }

    /// Looks for a leak at a check; it has to be there at several in a row. `interval` is that of the
    /// looks, `since` the end of the warm-up, in seconds.
    pub fn leak(&mut self, policy: &Policy, interval: f64, since: f64) -> Option<Leak> {
        // Sparse looks need a longer window to be told from noise.
        let window = policy.leak_seconds.max(LEAST_POINTS as f64 * interval);
        let of = |side| self.memory.iter().filter(move |((own, _), _)| *own == side);
        let found = of(Side::Canary)
            .find_map(|((_, pod), memory)| {
                growing(pod, memory, window, since, policy.leak_horizon_seconds)
            })
            .filter(|leak| {
                let slopes = of(Side::Stable)
                    .filter_map(|(_, memory)| slope(&thinned(&memory.points, window)));
                let usual = median(slopes.collect()).unwrap_or(0.0);
                leak.slope > BEYOND_STABLE * usual.max(0.0)
            });
        self.growing_checks = if found.is_some() {
            self.growing_checks + 1
        } else {
            0
        };
        found.filter(|_| self.growing_checks >= LEAK_CHECKS)
    }
}

fn index(side: Side) -> usize {
    usize::from(side == Side::Stable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observations::PodSample;

    const MIB: f64 = 1_048_576.0;

    /// Whether a canary whose memory goes like this, in MiB at each second, is ever called leaking.
    #[track_caller]
    fn check(memory: impl Fn(f64) -> f64, limit: Option<f64>, expected: bool) {
        let (mut guards, policy) = (Guards::default(), Policy::default());
        let mut seen = false;
        for look in 1..=60 {
            let at_seconds = f64::from(look) * 15.0;
            let sample = PodSample {
                up: true,
                memory_bytes: Some(memory(at_seconds) * MIB),
                memory_limit_bytes: limit,
                ..PodSample::down("c", Side::Canary)
            };
            let scrape = Scrape {
                at_seconds,
                pods: vec![sample],
            };
            guards.take(&scrape, &[], &policy);
            seen |= look % 2 == 0 && guards.leak(&policy, 15.0, 90.0).is_some();
        }
        assert_eq!(seen, expected);
    }

    fn ripple(at: f64) -> f64 {
        3.0 * (at / 7.0).sin()
    }

    #[test]
    fn steady_growth_is_a_leak() {
        check(|at| 600.0 + at / 3.0 + ripple(at), Some(2048.0 * MIB), true);
        check(|at| 600.0 + at / 3.0, None, true);
    }

    #[test]
    fn a_slow_cache_is_none_and_a_leak_beside_a_cache_is_one() {
        let cache = |length: f64| move |at: f64| 600.0 - 250.0 * (-at / length).exp() + ripple(at);
        check(cache(150.0), Some(2048.0 * MIB), false);
        check(cache(300.0), Some(2048.0 * MIB), false);
        check(|at| cache(60.0)(at) + at / 4.0, Some(2048.0 * MIB), true);
    }

    #[test]
    fn sparse_looks_find_it_too() {
        let (mut guards, policy) = (Guards::default(), Policy::default());
        let mut seen = false;
        for look in 1..=15 {
            let at_seconds = f64::from(look) * 60.0;
            let sample = PodSample {
                up: true,
                memory_bytes: Some((600.0 + at_seconds / 4.0 + ripple(at_seconds)) * MIB),
                ..PodSample::down("c", Side::Canary)
            };
            let pods = vec![sample];
            guards.take(&Scrape { at_seconds, pods }, &[], &policy);
            seen |= guards.leak(&policy, 60.0, 120.0).is_some();
        }
        assert!(seen);
    }

    #[test]
    fn a_pod_that_is_gone_leaks_no_more() {
        let (mut guards, policy) = (Guards::default(), Policy::default());
        let sample = |pod: &str, mib: f64| PodSample {
            up: true,
            memory_bytes: Some(mib * MIB),
            ..PodSample::down(pod, Side::Canary)
        };
        for look in 1..=80 {
            let at_seconds = f64::from(look) * 15.0;
            let pods = if look <= 24 {
                vec![sample("old", 600.0 + at_seconds / 3.0)]
            } else {
                vec![sample("new", 600.0)]
            };
            guards.take(&Scrape { at_seconds, pods }, &[], &policy);
            if look > 45 {
                assert_eq!(guards.leak(&policy, 15.0, 90.0), None);
            }
        }
    }

    #[test]
    fn short_of_cpu_is_said_when_stable_is_not() {
        let told = |canary: f64, stable: f64| {
            let (mut guards, policy) = (Guards::default(), Policy::default());
            for look in 1..=20 {
                let at_seconds = f64::from(look) * 15.0;
                let sample = |pod: &str, side, cores: f64| PodSample {
                    up: true,
                    cpu_seconds: Some(cores * at_seconds),
                    cpu_limit_cores: Some(1.0),
                    ..PodSample::down(pod, side)
                };
                let pods = vec![
                    sample("c", Side::Canary, canary),
                    sample("s", Side::Stable, stable),
                ];
                guards.take(&Scrape { at_seconds, pods }, &[], &policy);
            }
            guards.short_of_cpu()
        };
        assert!(
            told(0.97, 0.3)
                .unwrap()
                .contains("near its CPU limit for 100%")
        );
        assert_eq!(told(0.5, 0.3), None);
        assert_eq!(told(0.97, 0.95), None);
    }

    #[test]
    fn a_cache_that_fills_is_none() {
        check(
            |at| 600.0 - 200.0 * (-at / 60.0).exp() + ripple(at),
            Some(2048.0 * MIB),
            false,
        );
        check(
            |at| 400.0 + (at / 0.9).min(200.0) + ripple(at),
            Some(2048.0 * MIB),
            false,
        );
    }

    #[test]
    fn a_saw_is_none_and_slow_growth_is_for_others() {
        check(|at| 600.0 + at % 120.0, Some(2048.0 * MIB), false);
        check(|at| 600.0 + at / 300.0, Some(2048.0 * MIB), false);
    }

    #[test]
    fn what_stable_does_too_is_not_the_canarys() {
        let (mut guards, policy) = (Guards::default(), Policy::default());
        for look in 1..=60 {
            let at_seconds = f64::from(look) * 15.0;
            let sample = |pod: &str, side| PodSample {
                up: true,
                memory_bytes: Some((600.0 + at_seconds / 3.0) * MIB),
                ..PodSample::down(pod, side)
            };
            let pods = vec![sample("c", Side::Canary), sample("s", Side::Stable)];
            guards.take(&Scrape { at_seconds, pods }, &[], &policy);
            assert_eq!(guards.leak(&policy, 15.0, 90.0), None);
        }
    }
}
