//! One fault: a kind, and the conditions under which it happens.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::kind::{Kind, Scope};

/// A fault: what goes wrong, where, and when. All conditions have to hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: Kind,
    /// Path without query, with `*` for any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Only this method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only this pod, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<usize>,
    /// From this second of the simulation on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_seconds: Option<f64>,
    /// Until this second of the simulation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_seconds: Option<f64>,
    /// Only the first so many of the requests for which all of the above holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// Only each so-many-th of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// Only this share of what is left, drawn with the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

const CONDITIONS: [&str; 8] = [
    "route",
    "method",
    "pod",
    "from_seconds",
    "until_seconds",
    "first",
    "every",
    "probability",
];

impl Fault {
    /// A fault everywhere and always.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            route: None,
            method: None,
            pod: None,
            from_seconds: None,
            until_seconds: None,
            first: None,
            every: None,
            probability: None,
        }
    }

    /// The same on one route only.
    #[must_use]
    pub fn on(kind: Kind, route: &str) -> Self {
        Self {
            route: Some(route.to_owned()),
            ..Self::new(kind)
        }
    }

    /// The same for the first requests only.
    #[must_use]
    pub fn first(mut self, requests: u64) -> Self {
        self.first = Some(requests);
        self
    }

    /// The same for each so-many-th request only.
    #[must_use]
    pub fn every(mut self, requests: u64) -> Self {
        self.every = Some(requests);
        self
    }

    /// The same at one pod only, counted from 0.
    #[must_use]
    pub fn at_pod(mut self, pod: usize) -> Self {
        self.pod = Some(pod);
        self
    }

    /// The same for a share of the requests only.
    #[must_use]
    pub fn with_probability(mut self, share: f64) -> Self {
        self.probability = Some(share);
        self
    }

    /// Reads the short form of a command line: `KIND[,MEMBER=VALUE]...`, a nested member with a dot.
    ///
    /// # Errors
    /// One sentence about what makes no sense.
    pub fn parse_short(text: &str) -> Result<Self, String> {
        let (kind, rest) = text
            .split_once(',')
            .map_or((text, None), |(kind, rest)| (kind, Some(rest)));
        let mut members = Map::from_iter([("kind".to_owned(), Value::from(kind.trim()))]);
        for member in rest.into_iter().flat_map(|rest| rest.split(',')) {
            let (name, value) = member.split_once('=').ok_or_else(|| {
                format!("`{member}` is no MEMBER=VALUE: write for example route=/api/v1/signals")
            })?;
            // Numbers and booleans are such; all else is text. A version looks like a number, but is none.
            let value = match serde_json::from_str(value) {
                Ok(scalar @ (Value::Number(_) | Value::Bool(_))) if name != "version" => scalar,
                _ => Value::from(value),
            };
            match name.split_once('.') {
                None => drop(members.insert(name.to_owned(), value)),
                Some((outer, inner)) => {
                    let nested = members
                        .entry(outer)
                        .or_insert_with(|| Value::Object(Map::new()));
                    let nested = nested
                        .as_object_mut()
                        .ok_or_else(|| format!("`{outer}` has a value already"))?;
                    nested.insert(inner.to_owned(), value);
                }
            }
        }
        Self::try_from(members)
    }

    /// The laws across members.
    ///
    /// # Errors
    /// One sentence about what is impossible.
    pub fn check(&self) -> Result<(), String> {
        let Self {
            route,
            method,
            pod,
            from_seconds,
            until_seconds,
            first,
            every,
            probability,
            kind,
        } = self;
        if probability.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err("`probability` lies between 0 and 1".to_owned());
        }
        if *every == Some(0) || *first == Some(0) {
            return Err("`first` and `every` count from 1".to_owned());
        }
        for (name, edge) in [
            ("from_seconds", from_seconds),
            ("until_seconds", until_seconds),
        ] {
            if edge.is_some_and(|edge| !(edge.is_finite() && edge >= 0.0)) {
                return Err(format!("`{name}` is a number of seconds from 0 on"));
            }
        }
        if let (Some(from), Some(until)) = (from_seconds, until_seconds)
            && from >= until
        {
            return Err(
                "`from_seconds` is not before `until_seconds`: this fault never happens".to_owned(),
            );
        }
        if route
            .as_ref()
            .is_some_and(|route| !route.starts_with(['/', '*']))
        {
            return Err("`route` begins with `/` or `*`".to_owned());
        }
        if kind.scope() == Scope::Process {
            let bare = route.is_none() && method.is_none() && pod.is_none();
            if !bare || first.is_some() || every.is_some() || probability.is_some() {
                return Err("a stall takes the whole process: only `from_seconds` and `until_seconds` fit it".to_owned());
            }
        }
        kind.check()
    }
}

impl TryFrom<Map<String, Value>> for Fault {
    type Error = String;

    /// Reads a fault's members. Written by hand because serde lets unknown members of flattened and of
    /// tagged unit variants pass, and a typo must not make a fault that never happens.
    fn try_from(mut members: Map<String, Value>) -> Result<Self, String> {
        let fault = Self {
            kind: Kind::Drop,
            route: take(&mut members, "route")?,
            method: take(&mut members, "method")?,
            pod: take(&mut members, "pod")?,
            from_seconds: take(&mut members, "from_seconds")?,
            until_seconds: take(&mut members, "until_seconds")?,
            first: take(&mut members, "first")?,
            every: take(&mut members, "every")?,
            probability: take(&mut members, "probability")?,
        };
        if !members.contains_key("kind") {
            return Err("a fault has a `kind`".to_owned());
        }
        let name = members["kind"].as_str().unwrap_or_default().to_owned();
        let given: Vec<String> = members.keys().cloned().collect();
        let kind: Kind =
            serde_json::from_value(members.into()).map_err(|error| format!("{name}: {error}"))?;
        let known = serde_json::to_value(&kind).unwrap_or_default();
        if let Some(unknown) = given.iter().find(|given| known.get(given).is_none()) {
            let own: Vec<&str> = known
                .as_object()
                .into_iter()
                .flat_map(Map::keys)
                .map(String::as_str)
                .filter(|own| *own != "kind")
                .collect();
            return Err(format!(
                "unknown member `{unknown}`: `{name}` takes {}",
                own.into_iter()
                    .chain(CONDITIONS)
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
        }
        let fault = Self { kind, ..fault };
        fault.check()?;
        Ok(fault)
    }
}

/// Takes one condition out of a fault's members.
fn take<T: DeserializeOwned>(
    members: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<T>, String> {
    let Some(value) = members.remove(name) else {
        return Ok(None);
    };
    serde_json::from_value(value)
        .map(Some)
        .map_err(|error| format!("`{name}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn reads(text: &str, fault: &Fault) {
        assert_eq!(Fault::parse_short(text).as_ref(), Ok(fault), "{text}");
    }

    #[test]
    fn the_short_form_says_the_same_as_the_long() {
        reads("drop", &Fault::new(Kind::Drop));
        reads(
            "error-body,route=/api/v1/pipeline/stats",
            &Fault::on(Kind::error_body(), "/api/v1/pipeline/stats"),
        );
        reads(
            "status,status=503,first=2",
            &Fault::new(Kind::status(503)).first(2),
        );
        reads(
            "version,version=1.9,pod=2",
            &Fault::new(Kind::Version {
                version: "1.9".into(),
            })
            .at_pod(2),
        );
        reads(
            "delay,millis=5,spread.distribution=uniform,spread.millis=20",
            &Fault::new(Kind::Delay {
                millis: 5.0,
                spread: super::super::Spread::Uniform { millis: 20.0 },
            }),
        );
    }

    #[track_caller]
    fn refuses(text: &str, said: &str) {
        let error = Fault::parse_short(text).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        refuses("rest", "unknown variant `rest`");
        refuses("drop,root=/a", "unknown member `root`");
        refuses("drop,route", "is no MEMBER=VALUE");
        refuses("drop,route=api", "`route` begins with");
        refuses("status", "missing field `status`");
        refuses("status,status=99", "99 is no final status");
        refuses("status,status=101", "101 is no final status");
        refuses("answer,headers.content-length=x", "no header to add");
        refuses("delay,millis=-1", "from 0 on");
        refuses(
            "delay,spread.distribution=uniform,spread.millis=3,spread.mean=2",
            "unknown field `mean`",
        );
        refuses("drop,probability=2", "between 0 and 1");
        refuses("drop,every=0", "count from 1");
        refuses("drop,from_seconds=5,until_seconds=5", "never happens");
        refuses("ws-closed,code=1006", "no close code");
        refuses("stall,route=/a", "whole process");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_short_form_panic(text in "([a-z-]{1,10}(,[a-z_.]{1,8}=?.{0,6}){0,4}|.{0,40})") {
            let _ = Fault::parse_short(&text).is_ok();
        }

        #[test]
        fn what_is_written_is_read_again(
            status in 200_u16..600, route in proptest::option::of("[/*][a-z*/{}]{0,10}"), first in proptest::option::of(1_u64..9),
            every in proptest::option::of(1_u64..9), eighths in proptest::option::of(0_u8..=8), pod in proptest::option::of(0_usize..5),
        ) {
            // Exact in binary: the last digit of others may change on the way through JSON.
            let probability = eighths.map(|eighths| f64::from(eighths) / 8.0);
            let fault = Fault { route, first, every, probability, pod,  ..Fault::new(Kind::status(status)) };
            let text = serde_json::to_string(&fault).unwrap();
            prop_assert_eq!(serde_json::from_str::<Fault>(&text).unwrap(), fault);
        }
    }
}
