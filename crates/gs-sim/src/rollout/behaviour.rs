//! How a pod behaves: a value that is typed as `KIND[,MEMBER=VALUE]...` or written as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How a pod behaves. All times are seconds of simulated time, all shares lie between 0 and 1.
///
/// As JSON it is `{"behaviour": "slow", "factor": 3}`; members that are not given have the defaults of
/// `docs/gs-sim.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Map<String, Value>", try_from = "Map<String, Value>")]
pub enum Behaviour {
    /// 0.1% errors, a P95 of 200 ms, memory that fills and then stays.
    #[default]
    Healthy,
    /// Latencies so many times longer, from a moment on.
    Slow {
        /// How many times.
        factor: f64,
        /// From when on, since the start of the simulation.
        at_seconds: f64,
    },
    /// So many of the requests fail.
    Errors {
        /// Which share.
        share: f64,
    },
    /// No request fails, until so many do.
    ErrorStep {
        /// Which share.
        share: f64,
        /// From when on, since the start of the simulation.
        at_seconds: f64,
    },
    /// Memory grows without end.
    Leak {
        /// MiB a minute.
        mib_per_minute: f64,
    },
    /// The process lives and is away, in turn; each life begins with counters at zero.
    CrashLoop {
        /// How long it lives.
        up_seconds: f64,
        /// How long it is away.
        down_seconds: f64,
    },
    /// Latencies so many times longer at the start of each process.
    ColdStart {
        /// How many times.
        factor: f64,
        /// How long.
        seconds: f64,
    },
    /// Nobody asks this pod for anything.
    NoTraffic,
    /// Errors come in bursts, at the same time on every pod that behaves so.
    SharedBursts(Bursts),
    /// Errors come in bursts, on each pod at times of its own.
    PodBursts(Bursts),
    /// It cannot be reached at all, and serves nobody.
    Down,
}

/// Errors that come and go. How long they stay and stay away is exponential.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    /// Which share of requests fails in a burst.
    pub share: f64,
    /// How long a burst takes in the mean.
    pub on_seconds: f64,
    /// How long it is from the end of one to the next in the mean.
    pub off_seconds: f64,
}

/// A member and its default.
type Member = (&'static str, f64);

/// The kinds that can be typed, with their members in the order of their values.
const KINDS: [(&str, &[Member]); 11] = [
    ("healthy", &[]),
    ("slow", &[("factor", 2.0), ("at_seconds", 0.0)]),
    ("errors", &[("share", 0.03)]),
    ("error-step", &[("share", 0.08), ("at_seconds", 300.0)]),
    ("leak", &[("mib_per_minute", 20.0)]),
    (
        "crash-loop",
        &[("up_seconds", 45.0), ("down_seconds", 45.0)],
    ),
    ("cold-start", &[("factor", 8.0), ("seconds", 60.0)]),
    ("no-traffic", &[]),
    (
        "shared-bursts",
        &[
            ("share", 0.08),
            ("on_seconds", 120.0),
            ("off_seconds", 360.0),
        ],
    ),
    (
        "pod-bursts",
        &[
            ("share", 0.08),
            ("on_seconds", 60.0),
            ("off_seconds", 600.0),
        ],
    ),
    ("down", &[]),
];

/// More makes no sense, and numbers stay such that can be added up.
const LARGEST: f64 = 1e6;

/// Cycles and bursts are not shorter: each is a step of the simulation.
const SHORTEST_SECONDS: f64 = 0.1;

impl Behaviour {
    /// Reads `KIND[,MEMBER=VALUE]...`, such as `slow,factor=3,at_seconds=60`.
    ///
    /// # Errors
    /// One sentence about what makes no sense.
    pub fn parse_short(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let kind = parts.next().unwrap_or_default().trim();
        let mut members = Map::from_iter([("behaviour".to_owned(), Value::from(kind))]);
        for member in parts {
            let (name, value) = member.split_once('=').ok_or_else(|| {
                format!("`{member}` is no MEMBER=VALUE: write for example factor=3")
            })?;
            let number: f64 = value
                .trim()
                .parse()
                .map_err(|_| format!("{name}: `{value}` is no number"))?;
            members.insert(name.trim().to_owned(), Value::from(number));
        }
        Self::try_from(members)
    }

    /// The same with another value of one member.
    ///
    /// # Errors
    /// This kind has no such member, or the value makes no sense.
    pub fn with(self, member: &str, value: f64) -> Result<Self, String> {
        let mut members = Map::from(self);
        members.insert(member.to_owned(), value.into());
        Self::try_from(members)
    }

    /// Its name, as it is typed.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.parts().0
    }

    /// Whether it is the environment's doing, so that stable pods behave so too.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        matches!(self, Self::SharedBursts(_) | Self::PodBursts(_))
    }

    pub(super) fn bursts(&self) -> Option<Bursts> {
        match self {
            Self::SharedBursts(bursts) | Self::PodBursts(bursts) => Some(*bursts),
            _ => None,
        }
    }

    /// Its name, and the values of its members in the order of [`KINDS`].
    fn parts(&self) -> (&'static str, [f64; 3]) {
        let bursts = |bursts: Bursts| [bursts.share, bursts.on_seconds, bursts.off_seconds];
        match *self {
            Self::Healthy => ("healthy", [0.0; 3]),
            Self::Slow { factor, at_seconds } => ("slow", [factor, at_seconds, 0.0]),
            Self::Errors { share } => ("errors", [share, 0.0, 0.0]),
            Self::ErrorStep { share, at_seconds } => ("error-step", [share, at_seconds, 0.0]),
            Self::Leak { mib_per_minute } => ("leak", [mib_per_minute, 0.0, 0.0]),
            Self::CrashLoop {
                up_seconds,
                down_seconds,
            } => ("crash-loop", [up_seconds, down_seconds, 0.0]),
            Self::ColdStart { factor, seconds } => ("cold-start", [factor, seconds, 0.0]),
            Self::NoTraffic => ("no-traffic", [0.0; 3]),
            Self::SharedBursts(some) => ("shared-bursts", bursts(some)),
            Self::PodBursts(some) => ("pod-bursts", bursts(some)),
            Self::Down => ("down", [0.0; 3]),
        }
    }

    fn build(kind: &str, [first, second, third]: [f64; 3]) -> Self {
        let bursts = Bursts {
            share: first,
            on_seconds: second,
            off_seconds: third,
        };
        match kind {
            "slow" => Self::Slow {
                factor: first,
                at_seconds: second,
            },
            "errors" => Self::Errors { share: first },
            "error-step" => Self::ErrorStep {
                share: first,
                at_seconds: second,
            },
            "leak" => Self::Leak {
                mib_per_minute: first,
            },
            "crash-loop" => Self::CrashLoop {
                up_seconds: first,
                down_seconds: second,
            },
            "cold-start" => Self::ColdStart {
                factor: first,
                seconds: second,
            },
            "no-traffic" => Self::NoTraffic,
            "shared-bursts" => Self::SharedBursts(bursts),
            "pod-bursts" => Self::PodBursts(bursts),
            "down" => Self::Down,
            _ => Self::Healthy,
        }
    }

    /// The laws of the values, also for one that was made in code.
    pub(super) fn check(self) -> Result<(), String> {
        Self::try_from(Map::from(self)).map(drop)
    }
}

impl From<Behaviour> for Map<String, Value> {
    fn from(behaviour: Behaviour) -> Self {
        let (kind, values) = behaviour.parts();
        let members = KINDS
            .iter()
            .find(|(known, _)| *known == kind)
            .map_or(&[][..], |(_, members)| members);
        // What is no number becomes null, which is then refused.
        let values = members
            .iter()
            .zip(values)
            .map(|((name, _), value)| ((*name).to_owned(), Value::from(value)));
        std::iter::once(("behaviour".to_owned(), Value::from(kind)))
            .chain(values)
            .collect()
    }
}

impl TryFrom<Map<String, Value>> for Behaviour {
    type Error = String;

    fn try_from(written: Map<String, Value>) -> Result<Self, String> {
        let kind = written.get("behaviour").and_then(Value::as_str);
        let kind = kind.ok_or("`behaviour` is missing: name a kind, such as \"slow\"")?;
        let names = || KINDS.map(|(name, _)| name).join(", ");
        let (_, members) = KINDS
            .iter()
            .find(|(known, _)| *known == kind)
            .ok_or_else(|| format!("unknown behaviour `{kind}`: there are {}", names()))?;
        let mut values = [0.0; 3];
        for ((_, default), value) in members.iter().zip(&mut values) {
            *value = *default;
        }
        for (name, value) in written.iter().filter(|(name, _)| *name != "behaviour") {
            let place = members.iter().position(|(member, _)| member == name);
            let place = place.ok_or_else(|| format!("{kind} has no `{name}`"))?;
            values[place] = value
                .as_f64()
                .ok_or_else(|| format!("{name}: {value} is no number"))?;
            check_member(name, values[place])?;
        }
        Ok(Self::build(kind, values))
    }
}

fn check_member(name: &str, value: f64) -> Result<(), String> {
    let (least, most) = match name {
        "share" => (0.0, 1.0),
        "factor" => (0.001, 1000.0),
        "at_seconds" | "seconds" | "mib_per_minute" => (0.0, LARGEST),
        _ => (SHORTEST_SECONDS, LARGEST),
    };
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(format!(
            "{name}: {value} does not lie between {least} and {most}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn reads(text: &str, behaviour: Behaviour) {
        assert_eq!(Behaviour::parse_short(text), Ok(behaviour), "{text}");
        let json = serde_json::to_string(&behaviour).unwrap();
        assert_eq!(
            serde_json::from_str::<Behaviour>(&json).unwrap(),
            behaviour,
            "{json}"
        );
        assert_eq!(text.split(',').next(), Some(behaviour.kind()));
    }

    #[test]
    fn every_kind_is_read_and_written() {
        for (kind, _) in KINDS {
            reads(kind, Behaviour::parse_short(kind).unwrap());
        }
        let slow = Behaviour::Slow {
            factor: 3.0,
            at_seconds: 60.0,
        };
        reads("slow,factor=3,at_seconds=60", slow);
        assert_eq!(
            Behaviour::parse_short("slow")
                .unwrap()
                .with("factor", 3.0)
                .unwrap()
                .with("at_seconds", 60.0),
            Ok(slow)
        );
    }

    #[track_caller]
    fn refuses(text: &str, said: &str) {
        let error = Behaviour::parse_short(text).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        refuses("slw", "unknown behaviour `slw`");
        refuses("healthy,factor=2", "healthy has no `factor`");
        refuses("slow,factor", "is no MEMBER=VALUE");
        refuses("slow,factor=much", "`much` is no number");
        refuses("slow,factor=0", "does not lie between");
        refuses("slow,factor=nan", "no number");
        refuses("slow,factor=inf", "no number");
        refuses("errors,share=1.5", "does not lie between 0 and 1");
        refuses("crash-loop,up_seconds=0", "does not lie between");
        assert!(Behaviour::Errors { share: f64::NAN }.check().is_err());
        assert!(serde_json::from_str::<Behaviour>("{}").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_short_form_panic(text in "([a-z-]{1,12}(,[a-z_]{1,8}=?.{0,6}){0,4}|.{0,40})") {
            let _ = Behaviour::parse_short(&text).is_ok();
        }
    }
}
