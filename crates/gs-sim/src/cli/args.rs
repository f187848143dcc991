//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};

use crate::plan::{Fault, TlsMode};
use crate::rollout::Behaviour;

const EXAMPLES: &str = "\
Examples:
  gs-sim --listen 127.0.0.1:8080
      one healthy pod
  gs-sim --pods 2.0.0,2.0.0,1.9.9 --tls expired
      three pods, one of them old, and a certificate that ended yesterday
  gs-sim --fault error-body,route=/api/v1/pipeline/stats --fault drop,probability=0.05
      one route answers an error object with 200, and a twentieth of all connections is dropped
  gs-sim fault --control http://127.0.0.1:9090 status,status=503,first=2
      the same while it runs; `gs-sim fault --control URL --clear` ends it
  gs-sim rollout --stable 6 --canary 1 --rate 20 --behaviour slow --factor 2 --time-scale 20
      the counters of six stable pods and a slow canary, for scrapers; 15 minutes pass in 45 seconds

A fault is KIND[,MEMBER=VALUE]...: docs/gs-sim.md has all kinds, members and conditions.
Exit codes: 0 ended as told, 2 typed wrongly or a plan that makes no sense, 3 could not be done.";

const ROLLOUT_EXAMPLES: &str = "\
Examples:
  gs-sim rollout --behaviour error-step --at 5m
      no errors for five minutes, then 8%, in real time
  gs-sim behave --control URL slow,factor=3 --pod canary-0
      another behaviour while it runs; URL is what was printed as url=

It prints url=, targets= (for Prometheus' http_sd_configs), and canary= or stable= for the page of
each pod. With a time scale above 1, rates are so many times higher: docs/gs-sim.md.";

/// The command line.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "gs-sim",
    version,
    about = "A simulated GoldenSignals service with pods, metrics and faults, for development and tests",
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
pub struct Cli {
    /// Another job than the simulated service
    #[command(subcommand)]
    pub verb: Option<Verb>,
    /// Where to listen [default: a free port of the loopback]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Where to take orders [default: a free port of the loopback]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub control: Option<SocketAddr>,
    /// A plan (TOML): pods, faults, seed; flags win over it, faults add up
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Seed of everything that is drawn [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Versions of the pods, separated by commas [default: 2.0.0]
    #[arg(long, value_name = "VERSIONS", value_delimiter = ',')]
    pub pods: Vec<String>,
    /// A fault: KIND[,MEMBER=VALUE]...; may be repeated
    #[arg(long, value_name = "FAULT", value_parser = Fault::parse_short)]
    pub fault: Vec<Fault>,
    /// Speak TLS, with a certificate that is right or wrong
    #[arg(long, value_name = "valid|expired|wrong-name|self-signed", value_parser = tls_mode)]
    pub tls: Option<TlsMode>,
    /// Write the authority that clients have to trust to this file
    #[arg(long, value_name = "FILE")]
    pub authority: Option<PathBuf>,
    /// Prefix of the HTTP metrics: empty, or goldensignals_
    #[arg(long, value_name = "PREFIX")]
    pub metrics_prefix: Option<String>,
    /// Write what is printed to this file too, whole, when ready
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// End by itself after this time, such as 90s or 5m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub exit_after: Option<Duration>,
    /// Listen beyond the loopback
    #[arg(long)]
    pub allow_remote: bool,
}

/// Other jobs than the simulated service.
#[derive(Subcommand, Clone, Debug)]
pub enum Verb {
    /// Simulate stable and canary pods with traffic of their own, for scrapers
    Rollout(RolloutArgs),
    /// An order.
    #[command(flatten)]
    Order(Order),
}

/// What `gs-sim rollout` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = ROLLOUT_EXAMPLES)]
pub struct RolloutArgs {
    /// How many stable pods
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = value_parser!(u16).range(0..=500))]
    pub stable: u16,
    /// How many canary pods
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u16).range(0..=500))]
    pub canary: u16,
    /// Requests a second of each pod
    #[arg(long, value_name = "RATE", default_value_t = 20.0)]
    pub rate: f64,
    /// KIND[,MEMBER=VALUE]... of the canary: healthy, slow, errors, error-step, leak, crash-loop,
    /// cold-start, no-traffic, down; or of all pods: shared-bursts, pod-bursts
    #[arg(long, value_name = "BEHAVIOUR", default_value = "healthy", value_parser = Behaviour::parse_short)]
    pub behaviour: Behaviour,
    /// How many times slower (slow, cold-start)
    #[arg(long, value_name = "TIMES")]
    pub factor: Option<f64>,
    /// Which share of requests fails, from 0 to 1 (errors, error-step, bursts)
    #[arg(long, value_name = "SHARE")]
    pub share: Option<f64>,
    /// From when on, in simulated time (slow, error-step)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub at: Option<Duration>,
    /// How many times faster than the wall clock; 1 is exact
    #[arg(long, value_name = "TIMES", default_value_t = 1.0)]
    pub time_scale: f64,
    /// How a pod that is away answers: 503, or the connection breaks
    #[arg(long, value_enum, default_value = "refuses")]
    pub away: AwayArg,
    /// Prefix of the HTTP metrics: empty, or goldensignals_
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub metrics_prefix: String,
    /// Give one route a label with braces, commas, quotes, a backslash, a line feed and UTF-8
    #[arg(long)]
    pub nasty_labels: bool,
    /// Also answer Prometheus' query API from what scrapes would have found
    #[arg(long)]
    pub prometheus: bool,
    /// Time between two scrapes of that
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration, requires = "prometheus")]
    pub scrape_interval: Duration,
    /// Seed of everything that is drawn
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Where to listen, on the loopback [default: a free port]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Write what is printed to this file too, whole, when ready
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// End by itself after this time, such as 90s or 5m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub exit_after: Option<Duration>,
}

/// How a pod that is away answers.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwayArg {
    /// With 503
    Refuses,
    /// Not at all
    Breaks,
}

/// Orders to a running simulation.
#[derive(Subcommand, Clone, Debug)]
pub enum Order {
    /// Replace the faults, or show them
    Fault {
        /// The running simulation.
        #[command(flatten)]
        to: To,
        /// Faults: KIND[,MEMBER=VALUE]..., or one JSON list; none shows those in force
        #[arg(value_name = "FAULT")]
        faults: Vec<String>,
        /// Take the faults of a plan file
        #[arg(long, value_name = "FILE", conflicts_with_all = ["faults", "clear"])]
        file: Option<PathBuf>,
        /// End all faults
        #[arg(long, conflicts_with = "faults")]
        clear: bool,
    },
    /// Replace the pods, or show them
    Pods {
        /// The running simulation.
        #[command(flatten)]
        to: To,
        /// Versions, separated by commas; none shows those that run
        #[arg(value_delimiter = ',')]
        versions: Vec<String>,
    },
    /// Change how the pods of a running rollout behave, or show them
    Behave {
        /// The running rollout.
        #[command(flatten)]
        to: To,
        /// KIND[,MEMBER=VALUE]..., such as slow,factor=3; none shows the pods
        #[arg(value_name = "BEHAVIOUR", value_parser = Behaviour::parse_short)]
        behaviour: Option<Behaviour>,
        /// This pod alone
        #[arg(long, value_name = "NAME", requires = "behaviour")]
        pod: Option<String>,
    },
    /// Show how often each route answered with each status
    Served {
        /// The running simulation.
        #[command(flatten)]
        to: To,
    },
}

/// Which simulation is meant.
#[derive(Args, Clone, Debug)]
pub struct To {
    /// The control listener's URL, as printed at the start; of a rollout, its url
    #[arg(long, value_name = "URL")]
    pub control: String,
}

fn tls_mode(text: &str) -> Result<TlsMode, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "it is none of valid, expired, wrong-name, self-signed".to_owned())
}

/// A whole number and a unit. (The shelf of the tools has a richer one; this crate leans on none of them.)
fn duration(text: &str) -> Result<Duration, String> {
    let unit = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let number: Option<u64> = text[..unit].parse().ok();
    let millis = match &text[unit..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    number
        .and_then(|number| number.checked_mul(millis))
        .filter(|millis| *millis > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| "write a whole number with ms, s, m or h, such as 90s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[track_caller]
    fn check(text: &str, millis: Option<u64>) {
        assert_eq!(
            duration(text).ok(),
            millis.map(Duration::from_millis),
            "{text}"
        );
    }

    #[test]
    fn durations_have_a_unit() {
        check("90s", Some(90_000));
        check("5m", Some(300_000));
        check("20ms", Some(20));
        check("90", None);
        check("s", None);
        check("0s", None);
        check("1.5s", None);
        check("99999999999999999999h", None);
        check("18446744073709551615h", None);
    }
}
