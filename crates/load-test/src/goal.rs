//! Goals: `p95<200ms`, `error-rate<=1% for /api/v1/signals`, `warn:max<=1s for each endpoint`.

use std::time::Duration;

use gs_common::config::did_you_mean;
use gs_common::units;

/// A goal as it was written and as it is meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// As it was written, blanks made even.
    pub text: String,
    /// What is measured.
    pub metric: Metric,
    /// How it is held against the limit.
    pub op: Op,
    /// Milliseconds, a share from 0 to 1, requests a second, or a count: as the metric has it.
    pub limit: f64,
    /// Of what.
    pub scope: Scope,
    /// A miss is a warning only.
    pub warns: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// A quantile, as a share from 0 to 1.
    Quantile(Clock, f64),
    /// The mean.
    Mean(Clock),
    /// The greatest.
    Max(Clock),
    /// The share of failed requests.
    ErrorRate,
    /// Requests a second.
    Rps,
    /// The share of answers whose checks were all good.
    Checks,
    /// The share of arrivals that waited for a connection longer than [`crate::judge::LATE`].
    Late,
    /// Arrivals that never got a connection.
    Dropped,
    /// WebSockets that broke off, as a share of those that opened.
    WsDrops,
}

/// From when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// From the due time to the last byte.
    Response,
    /// From the send to the last byte.
    Service,
    /// From the send to the head of the answer.
    FirstByte,
    /// Name, TCP and TLS.
    Connect,
}

/// How a value is held against a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

/// Of what a goal speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// One endpoint.
    Endpoint(String),
    /// One persona.
    Persona(String),
    /// One stage.
    Stage(String),
    /// Every endpoint for itself.
    EachEndpoint,
    /// Every persona for itself.
    EachPersona,
    /// Every stage for itself.
    EachStage,
}

/// The names that a goal may speak of.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Endpoints.
    pub endpoints: &'a [String],
    /// Personas.
    pub personas: &'a [String],
    /// Stages.
    pub stages: &'a [String],
}

const FORMS: &str = "write METRIC<LIMIT like `p95<200ms`, `mean<=200ms`, `error-rate<1%`, `rps>=50` or `checks>=99%`, \
     with ` for /endpoint`, ` for persona NAME`, ` for stage NAME` or ` for each endpoint` behind it";

const METRICS: [&str; 13] = [
    "p50",
    "p90",
    "p95",
    "p99",
    "p99.9",
    "mean",
    "max",
    "error-rate",
    "rps",
    "checks",
    "late",
    "dropped",
    "ws-drops",
];

impl Op {
    /// As it is written.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        }
    }

    /// Whether a value is as wanted.
    #[must_use]
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
        }
    }

    fn wants_less(self) -> bool {
        matches!(self, Self::Below | Self::AtMost)
    }
}

impl Metric {
    /// `ms`, `share`, `requests/s`, or none for a count.
    #[must_use]
    pub fn unit(self) -> Option<&'static str> {
        match self {
            Self::Quantile(..) | Self::Mean(_) | Self::Max(_) => Some("ms"),
            Self::ErrorRate | Self::Checks | Self::Late | Self::WsDrops => Some("share"),
            Self::Rps => Some("requests/s"),
            Self::Dropped => None,
        }
    }

    /// Whether it speaks of time, which a generator that is itself late cannot tell.
    #[must_use]
    pub fn is_time(self) -> bool {
        matches!(
            self,
            Self::Quantile(..) | Self::Mean(_) | Self::Max(_) | Self::Rps | Self::Late
        )
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (clock, name) = match text.split_once('-') {
            Some(("service", rest)) => (Clock::Service, rest),
            Some(("connect", rest)) => (Clock::Connect, rest),
            Some(("first", rest)) if rest.starts_with("byte-") => (Clock::FirstByte, &rest[5..]),
            Some(("response", rest)) => (Clock::Response, rest),
            _ => (Clock::Response, text),
        };
        let timed = match name {
            "mean" | "avg" | "average" => Some(Self::Mean(clock)),
            "max" => Some(Self::Max(clock)),
            "median" => Some(Self::Quantile(clock, 0.5)),
            _ => None,
        };
        if let Some(metric) = timed {
            return Ok(metric);
        }
        let percent = name
            .strip_prefix('p')
            .filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))
            .and_then(|digits| digits.parse::<f64>().ok());
        if let Some(percent) = percent {
            if percent > 0.0 && percent < 100.0 {
                return Ok(Self::Quantile(clock, percent / 100.0));
            }
            return Err(format!("`{text}`: a percentile lies between p0 and p100"));
        }
        if clock == Clock::Response && !text.starts_with("response-") {
            match name {
                "error-rate" | "failure-rate" => return Ok(Self::ErrorRate),
                "rps" => return Ok(Self::Rps),
                "checks" => return Ok(Self::Checks),
                "late" => return Ok(Self::Late),
                "dropped" => return Ok(Self::Dropped),
                "ws-drops" => return Ok(Self::WsDrops),
                _ => {}
            }
        }
        Err(match did_you_mean(text, METRICS) {
            Some(word) => format!("there is no metric `{text}`: did you mean `{word}`?"),
            None => format!("there is no metric `{text}`: {FORMS}"),
        })
    }

    fn limit(self, text: &str) -> Result<f64, String> {
        match self.unit() {
            Some("ms") => units::duration(text)
                .map(|limit| limit.as_secs_f64() * 1e3)
                .map_err(|error| error.to_string()),
            Some("share") => units::share(text).map_err(|error| error.to_string()),
            _ => text
                .parse::<f64>()
                .ok()
                .filter(|limit| limit.is_finite() && *limit >= 0.0)
                .ok_or_else(|| format!("`{text}` is no number from 0 on")),
        }
    }
}

impl Goal {
    /// Reads a goal.
    ///
    /// # Errors
    /// It is not understood, or could never be missed or met; the text says why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (warns, rest) = match text.trim().strip_prefix("warn:") {
            Some(rest) => (true, rest.trim()),
            None => (false, text.trim()),
        };
        let (rule, scope) = match rest.split_once(" for ") {
            Some((rule, scope)) => (rule.trim(), Scope::parse(scope.trim())?),
            None => (rest, Scope::All),
        };
        let at = rule
            .find(['<', '>'])
            .ok_or_else(|| format!("`{text}` compares nothing: {FORMS}"))?;
        let name = rule[..at].trim();
        let (op, limit) = match (&rule[at..at + 1], rule[at + 1..].strip_prefix('=')) {
            ("<", Some(limit)) => (Op::AtMost, limit),
            ("<", None) => (Op::Below, &rule[at + 1..]),
            (_, Some(limit)) => (Op::AtLeast, limit),
            (_, None) => (Op::Above, &rule[at + 1..]),
        };
        let metric = Metric::parse(name)?;
        let limit_text = limit.trim();
        let limit = metric.limit(limit_text)?;
        let goal = Self {
            text: format!(
                "{}{name}{}{limit_text}{}",
                if warns { "warn:" } else { "" },
                op.sign(),
                match &scope {
                    Scope::All => String::new(),
                    scope => format!(" for {scope}"),
                }
            ),
            metric,
            op,
            limit,
            scope,
            warns,
        };
        goal.makes_sense()?;
        Ok(goal)
    }

    fn makes_sense(&self) -> Result<(), String> {
        let text = &self.text;
        let more_is_better = matches!(self.metric, Metric::Rps | Metric::Checks);
        if self.op.wants_less() == more_is_better && self.metric != Metric::Rps {
            let sign = if more_is_better { ">=" } else { "<" };
            return Err(format!("`{text}` asks for the worse: write `{sign}`"));
        }
        if self.op == Op::Below && self.limit <= 0.0 {
            return Err(format!("`{text}` can never be met"));
        }
        if self.op == Op::Above && self.metric == Metric::Checks && self.limit >= 1.0 {
            return Err(format!("`{text}` can never be met"));
        }
        let whole_only = matches!(
            self.metric,
            Metric::Late | Metric::Dropped | Metric::WsDrops
        );
        if whole_only && self.scope != Scope::All {
            return Err(format!("`{text}`: this metric is one of the whole run"));
        }
        Ok(())
    }

    /// Holds the names in it against those that there are.
    ///
    /// # Errors
    /// A name does not exist.
    pub fn know(&self, known: Known<'_>) -> Result<(), String> {
        let (kind, name, names) = match &self.scope {
            Scope::Endpoint(name) => ("endpoint", name, known.endpoints),
            Scope::Persona(name) => ("persona", name, known.personas),
            Scope::Stage(name) => ("stage", name, known.stages),
            _ => return Ok(()),
        };
        if names.iter().any(|other| other == name) {
            return Ok(());
        }
        let hint = match did_you_mean(name, names.iter().map(String::as_str)) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("there are {}", names.join(", ")),
        };
        Err(format!(
            "`{}`: there is no {kind} `{name}`: {hint}",
            self.text
        ))
    }

    /// The limit for people.
    #[must_use]
    pub fn limit_text(&self) -> String {
        let limit = match self.metric.unit() {
            Some("ms") => units::show_duration(Duration::from_nanos((self.limit * 1e6) as u64)),
            Some("share") => units::show_share(self.limit),
            Some(unit) => format!("{} {unit}", self.limit),
            None => format!("{}", self.limit),
        };
        format!("{} {limit}", self.op.sign())
    }
}

impl Scope {
    fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.splitn(2, char::is_whitespace);
        let (first, rest) = (
            words.next().unwrap_or_default(),
            words.next().map(str::trim),
        );
        Ok(match (first, rest) {
            ("", _) => return Err(format!("nothing stands behind `for`: {FORMS}")),
            ("each", Some("endpoint")) => Self::EachEndpoint,
            ("each", Some("persona")) => Self::EachPersona,
            ("each", Some("stage")) => Self::EachStage,
            ("all", None) => Self::All,
            ("persona", Some(name)) => Self::Persona(name.to_owned()),
            ("stage", Some(name)) => Self::Stage(name.to_owned()),
            ("endpoint", Some(name)) => Self::Endpoint(name.to_owned()),
            _ => Self::Endpoint(text.to_owned()),
        })
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            // An endpoint may be called like another scope.
            Self::Endpoint(name) if Self::parse(name).as_ref() != Ok(self) => {
                write!(f, "endpoint {name}")
            }
            Self::Endpoint(name) => f.write_str(name),
            Self::Persona(name) => write!(f, "persona {name}"),
            Self::Stage(name) => write!(f, "stage {name}"),
            Self::EachEndpoint => f.write_str("each endpoint"),
            Self::EachPersona => f.write_str("each persona"),
            Self::EachStage => f.write_str("each stage"),
        }
    }
}

/// Whether a run can say anything of what its goals ask for; a goal that nobody could judge must not vanish.
///
/// # Errors
/// A goal is about arrivals, and there is no rate, or about WebSockets, and no persona holds one.
pub fn fits(goals: &[Goal], at_a_rate: bool, websockets: bool) -> Result<(), String> {
    for goal in goals {
        let without = match goal.metric {
            Metric::Late | Metric::Dropped if !at_a_rate => "a rate (`--rate`)",
            Metric::WsDrops if !websockets => "a persona with a `websocket`",
            _ => continue,
        };
        return Err(format!(
            "`{}`: without {without} there is nothing that it could be held against",
            goal.text
        ));
    }
    Ok(())
}

/// Whether a metric speaks of what a default speaks of.
type About = fn(Metric) -> bool;

/// The goals of a run: those that were given, and those of the guide where nothing was said about the
/// same thing. A run whose requests fail is never good, whatever goals were given.
#[must_use]
pub fn with_defaults(given: Vec<Goal>, slow: Duration) -> Vec<Goal> {
    let about = |goals: &[Goal], test: About| {
        goals
            .iter()
            .any(|goal| goal.scope == Scope::All && !goal.warns && test(goal.metric))
    };
    let mut goals = given;
    let slow = format!("warn:max<={}", units::show_duration(slow));
    let defaults: [(&str, About); 6] = [
        ("mean<=200ms", |metric| {
            matches!(
                metric,
                Metric::Quantile(Clock::Response, _)
                    | Metric::Mean(Clock::Response)
                    | Metric::Max(Clock::Response)
            )
        }),
        (&slow, |metric| metric == Metric::Max(Clock::Response)),
        ("error-rate<=1%", |metric| metric == Metric::ErrorRate),
        ("late<=1%", |metric| metric == Metric::Late),
        ("dropped<=0", |metric| metric == Metric::Dropped),
        ("ws-drops<=1%", |metric| metric == Metric::WsDrops),
    ];
    let missing: Vec<Goal> = defaults
        .into_iter()
        .filter(|(_, test)| !about(&goals, *test))
        .filter_map(|(text, _)| Goal::parse(text).ok())
        .collect();
    goals.extend(missing);
    goals
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, metric: Metric, op: Op, limit: f64, scope: Scope) {
        let goal = Goal::parse(text).unwrap();
        assert_eq!(
            (goal.metric, goal.op, goal.scope.clone()),
            (metric, op, scope),
            "{text}"
        );
        assert!((goal.limit - limit).abs() < 1e-9, "{text}: {}", goal.limit);
    }

    #[test]
    fn goals_are_read() {
        let p95 = Metric::Quantile(Clock::Response, 0.95);
        check("p95<200ms", p95, Op::Below, 200.0, Scope::All);
        check("p95 <= 1.5s", p95, Op::AtMost, 1500.0, Scope::All);
        check(
            "service-p95<1s",
            Metric::Quantile(Clock::Service, 0.95),
            Op::Below,
            1000.0,
            Scope::All,
        );
        check(
            "first-byte-mean<1s",
            Metric::Mean(Clock::FirstByte),
            Op::Below,
            1000.0,
            Scope::All,
        );
        check(
            "error-rate<1%",
            Metric::ErrorRate,
            Op::Below,
            0.01,
            Scope::All,
        );
        check("rps>=50", Metric::Rps, Op::AtLeast, 50.0, Scope::All);
        check("checks>=99%", Metric::Checks, Op::AtLeast, 0.99, Scope::All);
        check(
            "mean<200ms for /a b",
            Metric::Mean(Clock::Response),
            Op::Below,
            200.0,
            Scope::Endpoint("/a b".into()),
        );
        check(
            "mean<200ms for persona mobile",
            Metric::Mean(Clock::Response),
            Op::Below,
            200.0,
            Scope::Persona("mobile".into()),
        );
        check(
            "max<2s for stage hold",
            Metric::Max(Clock::Response),
            Op::Below,
            2000.0,
            Scope::Stage("hold".into()),
        );
        check(
            "p95<1s for each endpoint",
            p95,
            Op::Below,
            1000.0,
            Scope::EachEndpoint,
        );
        assert!(Goal::parse("warn:p95<200ms").unwrap().warns);
        let Metric::Quantile(_, q) = Goal::parse("p99.9<1s").unwrap().metric else {
            panic!("a quantile")
        };
        assert!((q - 0.999).abs() < 1e-12);
    }

    #[track_caller]
    fn fails(text: &str, said: &str) {
        let error = Goal::parse(text).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
    }

    #[test]
    fn an_endpoint_that_is_called_like_another_scope_is_written_so_that_it_is_read_again() {
        for name in ["all", "each endpoint", "persona a", "stage a", "endpoint a"] {
            let goal = Goal::parse(&format!("p95<1s for endpoint {name}")).unwrap();
            assert_eq!(goal.scope, Scope::Endpoint(name.to_owned()));
            assert_eq!(goal.text, format!("p95<1s for endpoint {name}"));
            assert_eq!(Goal::parse(&goal.text), Ok(goal));
        }
        for text in ["p95<1s for /a", "p95<1s for endpoint", "p95<1s for persona"] {
            assert_eq!(Goal::parse(text).unwrap().text, text);
        }
    }

    #[test]
    fn what_is_no_goal_is_said() {
        fails("p95", "compares nothing");
        fails("p95<200", "the unit is missing");
        fails("p95>200ms", "asks for the worse");
        fails("checks<99%", "asks for the worse");
        fails("p100<1s", "between p0 and p100");
        fails("p0<1s", "between p0 and p100");
        fails("eror-rate<1%", "did you mean `error-rate`");
        fails("error-rate<0%", "can never be met");
        fails("checks>100%", "can never be met");
        fails("dropped<=0 for /a", "whole run");
        fails("latency<1s", "no metric `latency`");
        fails("rps>=many", "no number");
        fails("p95<1s for ", "is no duration");
    }

    #[test]
    fn a_goal_that_nothing_can_be_held_against_is_refused() {
        let said = |text: &str, at_a_rate, websockets| {
            let goals = [Goal::parse("p95<1s").unwrap(), Goal::parse(text).unwrap()];
            fits(&goals, at_a_rate, websockets)
        };
        for text in ["late<1%", "dropped<1"] {
            assert!(said(text, false, true).unwrap_err().contains(text));
            assert_eq!(said(text, true, false), Ok(()));
        }
        assert!(
            said("ws-drops<1%", true, false)
                .unwrap_err()
                .contains("websocket")
        );
        assert_eq!(said("ws-drops<1%", false, true), Ok(()));
    }

    #[test]
    fn unknown_names_get_a_hint() {
        let names = ["/api/v1/signals".to_owned()];
        let known = Known {
            endpoints: &names,
            personas: &["mobile".to_owned()],
            stages: &["hold".to_owned()],
        };
        let hint = |text: &str| Goal::parse(text).unwrap().know(known).unwrap_err();
        assert!(hint("p95<1s for /api/v1/signal").contains("did you mean `/api/v1/signals`"));
        assert!(hint("p95<1s for persona moblie").contains("did you mean `mobile`"));
        assert!(hint("p95<1s for stage x").contains("there are hold"));
        assert_eq!(
            Goal::parse("p95<1s for /api/v1/signals")
                .unwrap()
                .know(known),
            Ok(())
        );
    }

    #[test]
    fn defaults_fill_what_was_not_said() {
        let texts = |given: &[&str]| -> Vec<String> {
            let given = given
                .iter()
                .map(|text| Goal::parse(text).unwrap())
                .collect();
            with_defaults(given, Duration::from_secs(1))
                .into_iter()
                .map(|goal| goal.text)
                .collect()
        };
        assert_eq!(
            texts(&[]),
            [
                "mean<=200ms",
                "warn:max<=1s",
                "error-rate<=1%",
                "late<=1%",
                "dropped<=0",
                "ws-drops<=1%"
            ]
        );
        assert_eq!(
            texts(&["p95<200ms", "error-rate<5%"])[..3],
            ["p95<200ms", "error-rate<5%", "warn:max<=1s"]
        );
        assert!(texts(&["p95<200ms for /a"]).contains(&"mean<=200ms".to_owned()));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(warn:)?(p|service-|error-rate|rps|mean|[a-z<>=%. 0-9é-]){0,12}( for .{0,10})?") {
            if let Ok(goal) = Goal::parse(&text) {
                // What was read is read the same again.
                prop_assert_eq!(Goal::parse(&goal.text), Ok(goal));
            }
        }
    }
}
