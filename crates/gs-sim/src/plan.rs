//! What to simulate: a TOML file, or the same values as JSON over the control listener.

use serde::{Deserialize, Serialize};

/// A whole plan. The default is one healthy pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Where to listen; port 0 takes a free one.
    pub listen: String,
    /// Where to take orders; port 0 takes a free one.
    pub control: String,
    /// The pods behind the address, one after the other, per request.
    pub pods: Vec<Pod>,
    /// Prefix of the metrics: empty, or `goldensignals_`.
    pub metrics_prefix: String,
    /// Speak TLS.
    pub tls: Option<TlsMode>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            listen: "127.0.0.1:0".to_owned(),
            control: "127.0.0.1:0".to_owned(),
            pods: vec![Pod::default()],
            metrics_prefix: String::new(),
            tls: None,
            faults: Vec::new(),
        }
    }
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pod {
    /// The version that it answers.
    pub version: String,
    /// How long it has been running when the simulation starts, in seconds.
    pub age_seconds: u64,
}

impl Default for Pod {
    fn default() -> Self {
        Self {
            version: "2.0.0".to_owned(),
            age_seconds: 60,
        }
    }
}

/// Which certificate is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// By our own authority, for `localhost` and the loopback, for 90 days.
    Valid,
    /// It ended yesterday.
    Expired,
    /// It is for another name.
    WrongName,
    /// By nobody that the authority file names.
    SelfSigned,
}

/// A fault: what goes wrong, where, and when.
///
/// serde cannot refuse unknown members of a flattened kind; [`unknown_members`] does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: Kind,
    /// Path, with `*` for any text. Absent: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Only this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only this pod, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<usize>,
    /// From this second of the simulation on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_seconds: Option<f64>,
    /// Until this second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_seconds: Option<f64>,
    /// Only the first so many requests that it would meet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// Only each so-many-th request that it would meet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// Only this share of the requests, drawn with the seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

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
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case"
)]
pub enum Kind {
    /// This status, with a JSON `detail`, and `retry-after` if given.
    Status {
        /// The status.
        status: u16,
        /// Seconds for `retry-after`.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// A wait before the answer.
    Delay {
        /// The least wait, in milliseconds.
        millis: f64,
        /// How the wait beyond it is distributed.
        #[serde(default)]
        spread: Spread,
    },
    /// `{"error": ...}` with status 200.
    ErrorBody {
        /// The text of it.
        #[serde(default = "not_available")]
        message: String,
    },
    /// `[]`, or the route's list member emptied.
    EmptyList,
    /// `recommendation: NO_DATA`.
    NoData,
    /// Quotes whose values contradict each other.
    Incoherent,
    /// Unknown symbols get an invented quote.
    Invented,
    /// `/signals/{symbol}` is declared before the literal routes and takes their paths.
    ShadowedRoute,
    /// Another version is answered.
    Version {
        /// The version.
        version: String,
    },
    /// A redirect to elsewhere.
    Redirect {
        /// The `location`.
        to: String,
    },
    /// The connection is closed without an answer.
    Drop,
    /// The connection is reset without an answer.
    Reset,
    /// The answer never comes, the connection stays.
    Silent,
    /// Our side is shut for writing after the head; the body never comes.
    HalfClosed,
    /// The body ends before its announced length.
    Truncated,
    /// The same with chunks.
    TruncatedChunks,
    /// The body never ends.
    Endless,
    /// The body comes byte by byte.
    SlowDrip {
        /// Milliseconds between two bytes.
        millis: u64,
    },
    /// What comes is not HTTP.
    Malformed,
    /// A head with a header of many kilobytes.
    HugeHead,
    /// A small gzip body that becomes a huge one.
    GzipBomb,
    /// The body is not gzip, although it says so.
    BadGzip,
    /// The right body with `text/html`.
    WrongContentType,
    /// An HTML page with status 200 and the JSON content type.
    NotJson,
    /// The WebSocket opens and says nothing, not even a pong.
    WsSilent,
    /// The WebSocket answers after this wait.
    WsLate {
        /// Milliseconds.
        millis: u64,
    },
    /// The WebSocket is closed after the first message.
    WsClosed {
        /// The close code.
        code: u16,
    },
    /// The WebSocket breaks off without a close frame after the first message.
    WsDropped,
    /// The WebSocket sends bytes that are no frame.
    WsGarbage,
    /// The handshake is refused with this status.
    WsRefused {
        /// The status.
        status: u16,
    },
    /// The whole process stalls: nothing is answered, on any connection.
    Stall,
}

fn not_available() -> String {
    "Monitoring service not available".to_owned()
}

/// How a wait beyond its least is distributed; all with the seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "distribution", rename_all = "kebab-case")]
pub enum Spread {
    /// Not at all.
    #[default]
    Fixed,
    /// Evenly up to so many milliseconds more.
    Uniform {
        /// The most.
        millis: f64,
    },
    /// Exponentially with this mean.
    Exponential {
        /// The mean.
        millis: f64,
    },
    /// Log-normally: median and sigma of the logarithm.
    LogNormal {
        /// The median.
        millis: f64,
        /// Sigma.
        sigma: f64,
    },
}

impl Spread {
    /// Draws a wait in milliseconds.
    pub fn draw(&self, random: &mut fastrand::Rng) -> f64 {
        match *self {
            Self::Fixed => 0.0,
            Self::Uniform { millis } => millis * random.f64(),
            Self::Exponential { millis } => -millis * (1.0 - random.f64()).ln(),
            Self::LogNormal { millis, sigma } => {
                // Box and Muller, 1958: two even draws make a normal one.
                let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
                let normal = radius * (std::f64::consts::TAU * random.f64()).cos();
                millis * (sigma * normal).exp()
            }
        }
    }
}

/// A plan that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct PlanError {
    /// File and line.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

impl Plan {
    /// Reads a plan file's text; `name` is what complaints call it.
    ///
    /// # Errors
    /// It is no TOML, has an unknown key, or asks for something impossible.
    pub fn parse(name: &str, text: &str) -> Result<Self, PlanError> {
        let plan: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                text[..span.start.min(text.len())].matches('\n').count() + 1
            });
            PlanError {
                place: format!("{name}:{line}"),
                message: error.message().replace('\n', ", "),
            }
        })?;
        let whole = |message| PlanError {
            place: name.to_owned(),
            message,
        };
        plan.check().map_err(whole)?;
        let given: serde_json::Value =
            toml::from_str(text).map_err(|error| whole(error.message().to_owned()))?;
        unknown_members(&plan.faults, given.get("faults")).map_err(whole)?;
        Ok(plan)
    }

    /// The laws across members.
    ///
    /// # Errors
    /// One sentence about what is impossible.
    pub fn check(&self) -> Result<(), String> {
        if self.pods.is_empty() {
            return Err("a service without pods answers nothing: name at least one".to_owned());
        }
        if !matches!(self.metrics_prefix.as_str(), "" | "goldensignals_") {
            return Err(format!(
                "metrics_prefix `{}` is neither empty nor `goldensignals_`",
                self.metrics_prefix
            ));
        }
        self.faults.iter().try_for_each(check_fault)
    }
}

/// The laws of one fault.
///
/// # Errors
/// One sentence about what is impossible.
pub fn check_fault(fault: &Fault) -> Result<(), String> {
    if fault
        .probability
        .is_some_and(|share| !(0.0..=1.0).contains(&share))
    {
        return Err("a probability lies between 0 and 1".to_owned());
    }
    if fault.every == Some(0) {
        return Err("`every` counts from 1".to_owned());
    }
    match &fault.kind {
        Kind::Status { status, .. } | Kind::WsRefused { status }
            if !(200..=599).contains(status) =>
        {
            Err(format!("{status} is no status to answer with"))
        }
        Kind::Delay { millis, .. } if !millis.is_finite() || *millis < 0.0 => {
            Err("a delay is a number of milliseconds".to_owned())
        }
        Kind::WsClosed { code } if !(1000..=4999).contains(code) => {
            Err(format!("{code} is no close code"))
        }
        _ => Ok(()),
    }
}

/// Refuses members of the given faults that the read ones do not have.
///
/// # Errors
/// One sentence that names the member.
pub fn unknown_members(read: &[Fault], given: Option<&serde_json::Value>) -> Result<(), String> {
    const COMMON: [&str; 8] = [
        "route",
        "method",
        "pod",
        "from_seconds",
        "until_seconds",
        "first",
        "every",
        "probability",
    ];
    let given = given
        .and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten();
    for (index, (fault, given)) in read.iter().zip(given).enumerate() {
        let known = serde_json::to_value(&fault.kind).unwrap_or_default();
        for name in given
            .as_object()
            .into_iter()
            .flat_map(serde_json::Map::keys)
        {
            if !COMMON.contains(&name.as_str()) && known.get(name).is_none() {
                return Err(format!("fault {}: unknown member `{name}`", index + 1));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plan_is_read() {
        let text = "seed = 7\n[[pods]]\nversion = '2.1.0'\n[[faults]]\nkind = 'delay'\nmillis = 5\nspread = { distribution = 'log-normal', millis = 20, sigma = 0.5 }\nroute = '/api/*'\nfirst = 2\n";
        let plan = Plan::parse("plan.toml", text).unwrap();
        assert_eq!(
            (
                plan.seed,
                plan.pods[0].version.as_str(),
                plan.faults[0].first
            ),
            (7, "2.1.0", Some(2))
        );
    }

    #[track_caller]
    fn refuses(text: &str, said: &str) {
        let error = Plan::parse("plan.toml", text).unwrap_err().to_string();
        assert!(
            error.starts_with("plan.toml") && error.contains(said),
            "{error}"
        );
    }

    #[test]
    fn a_mistake_is_said_with_its_line() {
        refuses("seed = 1\nsede = 2\n", "plan.toml:2: unknown field `sede`");
        refuses("[[faults]]\nkind = 'rest'\n", "unknown variant `rest`");
        refuses(
            "[[faults]]\nkind = 'drop'\nroot = '/a'\n",
            "fault 1: unknown member `root`",
        );
        refuses("pods = []\n", "without pods");
        refuses(
            "[[faults]]\nkind = 'status'\nstatus = 99\n",
            "99 is no status",
        );
        refuses(
            "[[faults]]\nkind = 'drop'\nprobability = 2.0\n",
            "between 0 and 1",
        );
    }

    #[test]
    fn draws_repeat_with_their_seed() {
        let draws = |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            let spread = Spread::LogNormal {
                millis: 100.0,
                sigma: 0.5,
            };
            (0..5).map(|_| spread.draw(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(draws(3), draws(3));
        assert_ne!(draws(3), draws(4));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(?s).{0,80}") {
            let _ = Plan::parse("x", &text).is_ok();
        }
    }
}
