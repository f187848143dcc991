//! What to simulate: a TOML file, or the same values as JSON over the control listener.

mod fault;
mod kind;
mod spread;

use serde::de::IntoDeserializer as _;
use serde::{Deserialize, Serialize};

pub use fault::Fault;
pub use kind::Kind;
pub(crate) use kind::Scope;
pub use spread::Spread;

/// A whole plan. The default is one healthy pod on free ports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Where to listen; port 0 takes a free one.
    pub listen: String,
    /// Where to take orders; port 0 takes a free one.
    pub control: String,
    /// The pods behind the address; they answer one after the other.
    pub pods: Vec<Pod>,
    /// When the next pod's turn comes.
    pub balance: Balance,
    /// `/api/v1/signals` answers `{"signals": [...]}`, as newer builds do, instead of a list.
    pub wrapped_signals: bool,
    /// Prefix of the HTTP metrics: empty, or `goldensignals_`.
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
            balance: Balance::default(),
            wrapped_signals: false,
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
    /// How long it has been running when it is added, in seconds.
    pub age_seconds: u64,
}

impl Default for Pod {
    fn default() -> Self {
        Self::new("2.0.0")
    }
}

impl Pod {
    /// A pod of this version that has been running for a minute.
    #[must_use]
    pub fn new(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            age_seconds: 60,
        }
    }
}

/// When the next pod's turn comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// With each request, also on one connection, as behind an ingress that pools its own.
    #[default]
    Request,
    /// With each connection, as behind a plain Kubernetes service.
    Connection,
}

/// Which certificate is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// By our own authority, for `localhost`, the loopback and `gs.example`, for 90 days.
    Valid,
    /// It ended yesterday.
    Expired,
    /// It is for another name.
    WrongName,
    /// By nobody that the authority file names.
    SelfSigned,
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
    /// A healthy pod but for these faults.
    #[must_use]
    pub fn with_faults(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self {
            faults: faults.into_iter().collect(),
            ..Self::default()
        }
    }

    /// One healthy pod of each of these versions.
    #[must_use]
    pub fn with_pods(versions: &[&str]) -> Self {
        Self {
            pods: versions.iter().map(|version| Pod::new(version)).collect(),
            ..Self::default()
        }
    }

    /// Reads a plan file's text; `name` is what complaints call it.
    ///
    /// # Errors
    /// It is no TOML, has an unknown key, or asks for something impossible.
    pub fn parse(name: &str, text: &str) -> Result<Self, PlanError> {
        let plan: Self = toml::from_str(text).map_err(|error| {
            let (at, message) = wrong_fault(text).unwrap_or_else(|| {
                (
                    error.span().map_or(0, |span| span.start),
                    error.message().to_owned(),
                )
            });
            let line = text[..at.min(text.len())].matches('\n').count() + 1;
            PlanError {
                place: format!("{name}:{line}"),
                message: message.replace('\n', ", "),
            }
        })?;
        plan.check().map_err(|message| PlanError {
            place: name.to_owned(),
            message,
        })?;
        Ok(plan)
    }

    /// The laws across members.
    ///
    /// # Errors
    /// One sentence about what is impossible.
    pub fn check(&self) -> Result<(), String> {
        check_pods(&self.pods)?;
        if !matches!(self.metrics_prefix.as_str(), "" | "goldensignals_") {
            return Err(format!(
                "metrics_prefix `{}` is neither empty nor `goldensignals_`",
                self.metrics_prefix
            ));
        }
        self.faults.iter().try_for_each(Fault::check)
    }
}

/// The first fault of a plan that makes no sense: the byte where it stands, and why. The reader itself
/// only knows where the list of them begins.
fn wrong_fault(text: &str) -> Option<(usize, String)> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let faults = document.get_ref().get("faults")?.get_ref().as_array()?;
    faults.iter().find_map(|fault| {
        let error = Fault::deserialize(fault.clone().into_deserializer()).err()?;
        // The member that the complaint names, if it stands there.
        let named = error.message().split('`').nth(1).unwrap_or_default();
        let members = fault.get_ref().as_table().into_iter().flatten();
        let member = members
            .map(|(name, _)| name)
            .find(|name| name.get_ref().as_ref() == named);
        Some((
            member.map_or(fault.span().start, |name| name.span().start),
            error.message().to_owned(),
        ))
    })
}

/// The laws of a set of pods.
///
/// # Errors
/// One sentence about what is impossible.
pub fn check_pods(pods: &[Pod]) -> Result<(), String> {
    if pods.is_empty() {
        return Err("a service without pods answers nothing: name at least one".to_owned());
    }
    pods.iter()
        .try_for_each(|pod| kind::check_version(&pod.version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plan_is_read() {
        let text = "
            seed = 7
            balance = 'connection'
            [[pods]]
            version = '2.1.0'
            [[faults]]
            kind = 'delay'
            millis = 5
            spread = { distribution = 'log-normal', millis = 20, sigma = 0.5 }
            route = '/api/*'
            first = 2
        ";
        let plan = Plan::parse("plan.toml", text).unwrap();
        assert_eq!(
            (plan.seed, plan.balance, plan.pods[0].version.as_str()),
            (7, Balance::Connection, "2.1.0")
        );
        assert_eq!(plan.faults[0].first, Some(2));
    }

    #[track_caller]
    fn refuses(text: &str, said: &str) {
        let error = Plan::parse("plan.toml", text).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }

    #[test]
    fn a_mistake_is_said_with_its_line() {
        refuses("seed = 1\nsede = 2\n", "plan.toml:2: unknown field `sede`");
        refuses(
            "seed = 1\n\n[[faults]]\nkind = 'drop'\n\n[[faults]]\nkind = 'rest'\n",
            "plan.toml:6: rest: unknown variant `rest`",
        );
        refuses(
            "[[faults]]\nkind = 'drop'\nroot = '/a'\n",
            "plan.toml:3: unknown member `root`",
        );
        refuses(
            "[[faults]]\nkind = 'status'\nstatus = 99\n",
            "plan.toml:1: 99 is no final status",
        );
        refuses(
            "[[faults]]\nkind = 'drop'\nprobability = 2.0\n",
            "plan.toml:3: `probability` lies between 0 and 1",
        );
        refuses("pods = []\n", "plan.toml: a service without pods");
        refuses("tls = 'none'\n", "plan.toml:1: unknown variant `none`");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(?s).{0,80}") {
            let _ = Plan::parse("x", &text).is_ok();
        }

        #[test]
        fn no_value_makes_the_reader_panic(
            name in "(seed|pods|faults|tls|balance|listen)", value in "(\\[\\[?\\{?kind ?= ?'[a-z-]{0,9}'\\}?\\]?|-?[0-9.e]{1,12}|'[^']{0,5}'|\\{\\})",
        ) {
            let _ = Plan::parse("x", &format!("{name} = {value}")).is_ok();
        }
    }
}
