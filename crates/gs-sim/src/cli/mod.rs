//! The command line: a simulation in the foreground, and orders to a running one.

mod args;
mod order;
mod rollout;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

pub use args::{AwayArg, Cli, Order, RolloutArgs, To, Verb};

use crate::plan::{Plan, Pod};
use crate::sim::{Sim, write_whole};

/// Why a command line was not carried out.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// What was typed makes no sense.
    #[error("{what}")]
    Usage { what: String, hint: &'static str },
    /// What was typed is right, but the world is not.
    #[error("{what}")]
    World { what: String, hint: &'static str },
}

/// Runs a command line: 0 done, 2 typed wrongly, 3 could not be done.
#[must_use]
#[expect(
    clippy::print_stderr,
    reason = "the one place of this crate that talks"
)]
pub fn run(cli: &Cli) -> ExitCode {
    let done = match &cli.verb {
        Some(Verb::Rollout(arguments)) => rollout::simulate(arguments),
        Some(Verb::Order(order)) => order::send(order).and_then(|answer| say(&answer)),
        None => simulate(cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let (code, hint) = match failure {
                Failure::Usage { hint, .. } => (2, hint),
                Failure::World { hint, .. } => (3, hint),
            };
            eprintln!("error: {failure}\n\nhint: {hint}");
            ExitCode::from(code)
        }
    }
}

fn simulate(cli: &Cli) -> Result<(), Failure> {
    let plan = plan(cli)?;
    let world = |what: String| Failure::World {
        what,
        hint: "take another address, or port 0 for a free one",
    };
    // Caught before the start, so that no signal is lost between the two.
    let ending = Ending::new(cli.exit_after)
        .map_err(|error| world(format!("cannot wait for signals: {error}")))?;
    let sim = Sim::start(&plan).map_err(|error| world(format!("cannot start: {error}")))?;
    if let Some(path) = &cli.authority {
        let pem = sim.authority_pem().unwrap_or_default();
        write(path, pem)?;
    }
    let mut ready = format!("url={}\ncontrol={}\n", sim.url(), sim.control_url());
    if let Some(path) = &cli.authority {
        ready.push_str(&format!("authority={}\n", path.display()));
    }
    announce(&ready, cli.ready_file.as_deref())?;
    ending.wait();
    sim.stop();
    Ok(())
}

/// Says that all is ready, to the script that reads us and in the file.
fn announce(ready: &str, file: Option<&Path>) -> Result<(), Failure> {
    say(ready)?;
    file.map_or(Ok(()), |path| write(path, ready))
}

/// The plan file, if there is one, and what the command line says on top of it.
fn plan(cli: &Cli) -> Result<Plan, Failure> {
    let usage = |what: String| Failure::Usage {
        what,
        hint: "`gs-sim --help` has examples, docs/gs-sim.md all kinds of faults",
    };
    let mut plan = match &cli.plan {
        None => Plan::default(),
        Some(path) => read_plan(path)?,
    };
    if let Some(address) = cli.listen {
        plan.listen = address.to_string();
    }
    if let Some(address) = cli.control {
        plan.control = address.to_string();
    }
    if !cli.pods.is_empty() {
        plan.pods = cli.pods.iter().map(|version| Pod::new(version)).collect();
    }
    plan.seed = cli.seed.unwrap_or(plan.seed);
    plan.tls = cli.tls.or(plan.tls);
    plan.metrics_prefix = cli.metrics_prefix.clone().unwrap_or(plan.metrics_prefix);
    plan.faults.extend(cli.fault.iter().cloned());
    plan.check().map_err(usage)?;
    if cli.authority.is_some() && plan.tls.is_none() {
        return Err(usage("--authority: there is none without --tls".to_owned()));
    }
    for (name, address) in [("listen", &plan.listen), ("control", &plan.control)] {
        let parsed: SocketAddr = address
            .parse()
            .map_err(|_| usage(format!("{name}: `{address}` is no ADDRESS:PORT")))?;
        if !parsed.ip().is_loopback() && !cli.allow_remote {
            let what = format!("{name}: {parsed} can be reached from other machines");
            return Err(Failure::Usage {
                what,
                hint: "listen on 127.0.0.1, or say --allow-remote",
            });
        }
    }
    Ok(plan)
}

fn read_plan(path: &Path) -> Result<Plan, Failure> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| Failure::Usage {
        what: format!("cannot read `{shown}`: {error}"),
        hint: "check the path of the plan",
    })?;
    let hint = "docs/gs-sim.md has a plan to start from, and all kinds of faults";
    Plan::parse(&shown, &text).map_err(|error| Failure::Usage {
        what: error.to_string(),
        hint,
    })
}

/// Says something to the script that reads us.
fn say(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::World {
            what: format!("cannot write to stdout: {error}"),
            hint: "check where it leads",
        }),
        // Whoever closed the pipe has read enough.
        _ => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    write_whole(path, text).map_err(|error| Failure::World {
        what: format!("cannot write `{}`: {error}", path.display()),
        hint: "check that its folder exists and can be written",
    })
}

/// What ends a simulation: Ctrl-C, SIGTERM, or the time.
struct Ending {
    runtime: tokio::runtime::Runtime,
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
    exit_after: Option<Duration>,
}

impl Ending {
    fn new(exit_after: Option<Duration>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        #[cfg(unix)]
        let signals = {
            use tokio::signal::unix::{SignalKind, signal};
            let _inside = runtime.enter();
            [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            ]
        };
        Ok(Self {
            runtime,
            #[cfg(unix)]
            signals,
            exit_after,
        })
    }

    fn wait(self) {
        let over = async move {
            match self.exit_after {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        self.runtime.block_on(async move {
            #[cfg(unix)]
            let signalled = async {
                let [mut interrupt, mut terminate] = self.signals;
                tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            };
            #[cfg(not(unix))]
            let signalled = tokio::signal::ctrl_c();
            tokio::select! { () = over => {}, _ = signalled => {} }
        });
    }
}
