//! The command line: a simulation in the foreground, and orders to a running one.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::plan::{Fault, Plan, Pod, TlsMode};
use crate::sim::Sim;

const EXAMPLES: &str = "\
Examples:
  gs-sim --listen 127.0.0.1:8080
      one healthy pod
  gs-sim --pods 2.0.0,2.0.0,1.9.9 --tls expired
      three pods, one of them old, and a certificate that ended yesterday
  gs-sim fault --control http://127.0.0.1:9090 '[{\"kind\": \"error-body\", \"route\": \"/api/v1/pipeline/stats\"}]'
      inject a fault while it runs; `gs-sim fault --control URL '[]'` clears all";

/// The command line.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "gs-sim", version,
    about = "A simulated GoldenSignals service with pods, metrics and faults, for development and tests",
    after_help = EXAMPLES, args_conflicts_with_subcommands = true, max_term_width = 100
)]
pub struct Cli {
    /// An order to a running simulation
    #[command(subcommand)]
    pub order: Option<Order>,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Where to take orders; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    pub control: Option<SocketAddr>,
    /// A plan (TOML): pods, faults, seed
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Seed of everything that is drawn
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Versions of the pods, separated by commas
    #[arg(long, value_name = "VERSIONS", value_delimiter = ',')]
    pub pods: Vec<String>,
    /// Speak TLS, with a certificate that is right or wrong
    #[arg(long, value_name = "valid|expired|wrong-name|self-signed", value_parser = tls_mode)]
    pub tls: Option<TlsMode>,
    /// Write the authority that clients have to trust to this file
    #[arg(long, value_name = "FILE")]
    pub authority: Option<PathBuf>,
    /// Write the two URLs to this file when ready
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// End by itself after so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub exit_after: Option<u64>,
    /// Listen beyond the loopback
    #[arg(long)]
    pub allow_remote: bool,
}

/// Orders to a running simulation.
#[derive(Subcommand, Clone, Debug)]
pub enum Order {
    /// Replace the faults
    Fault {
        /// The control listener's URL
        #[arg(long, value_name = "URL")]
        control: String,
        /// A JSON list of faults; `[]` clears all
        faults: String,
    },
    /// Replace the pods
    Pods {
        /// The control listener's URL
        #[arg(long, value_name = "URL")]
        control: String,
        /// Versions, separated by commas
        #[arg(value_delimiter = ',')]
        versions: Vec<String>,
    },
}

fn tls_mode(text: &str) -> Result<TlsMode, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "it is none of valid, expired, wrong-name, self-signed".to_owned())
}

/// Runs a command line.
#[must_use]
#[expect(
    clippy::print_stderr,
    reason = "the one place of this crate that talks"
)]
pub fn run(cli: &Cli) -> ExitCode {
    let done = match &cli.order {
        Some(Order::Fault { control, faults }) => {
            parse_faults(faults).and_then(|faults| order(control, "/faults", &faults))
        }
        Some(Order::Pods { control, versions }) => {
            let pods: Vec<Pod> = versions
                .iter()
                .map(|version| Pod {
                    version: version.clone(),
                    age_seconds: 0,
                })
                .collect();
            serde_json::to_string(&pods)
                .map_err(|error| error.to_string())
                .and_then(|pods| order(control, "/pods", &pods))
        }
        None => simulate(cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

fn parse_faults(text: &str) -> Result<String, String> {
    let faults: Vec<Fault> = serde_json::from_str(text)
        .map_err(|error| format!("the faults are no JSON list: {error}"))?;
    faults.iter().try_for_each(crate::plan::check_fault)?;
    Ok(text.to_owned())
}

/// Sends an order and waits for the answer.
fn order(control: &str, path: &str, body: &str) -> Result<(), String> {
    let host = control.trim_start_matches("http://").trim_end_matches('/');
    let address: SocketAddr = host
        .parse()
        .map_err(|_| format!("`{control}` is no control URL: write http://127.0.0.1:PORT"))?;
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "PUT {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer =
        exchange().map_err(|error| format!("no simulation takes orders at {control}: {error}"))?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    let said = answer.split("\r\n\r\n").nth(1).unwrap_or_default().trim();
    Err(format!("the simulation refused: {said}"))
}

fn plan(cli: &Cli) -> Result<Plan, String> {
    let mut plan = match &cli.plan {
        None => Plan::default(),
        Some(path) => {
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read `{shown}`: {error}"))?;
            Plan::parse(&shown, &text).map_err(|error| error.to_string())?
        }
    };
    if let Some(address) = cli.listen {
        plan.listen = address.to_string();
    }
    if let Some(address) = cli.control {
        plan.control = address.to_string();
    }
    if let Some(seed) = cli.seed {
        plan.seed = seed;
    }
    if !cli.pods.is_empty() {
        plan.pods = cli
            .pods
            .iter()
            .map(|version| Pod {
                version: version.clone(),
                ..Pod::default()
            })
            .collect();
    }
    plan.tls = cli.tls.or(plan.tls);
    for (name, address) in [("listen", &plan.listen), ("control", &plan.control)] {
        let parsed: SocketAddr = address
            .parse()
            .map_err(|_| format!("{name}: `{address}` is no ADDRESS:PORT"))?;
        if !parsed.ip().is_loopback() && !cli.allow_remote {
            return Err(format!(
                "{name}: {parsed} is not on the loopback; --allow-remote means it"
            ));
        }
    }
    Ok(plan)
}

#[expect(clippy::print_stdout, reason = "the two URLs are what a script reads")]
fn simulate(cli: &Cli) -> Result<(), String> {
    let plan = plan(cli)?;
    let sim =
        Sim::start(&plan).map_err(|error| format!("cannot listen on {}: {error}", plan.listen))?;
    if let (Some(path), Some(pem)) = (&cli.authority, sim.authority_pem()) {
        whole(path, pem)?;
    }
    let ready = format!("url={}\ncontrol={}\n", sim.url(), sim.control_url());
    print!("{ready}");
    // Whoever closed the pipe has read enough.
    let _ = std::io::stdout().flush();
    if let Some(path) = &cli.ready_file {
        whole(path, &ready)?;
    }
    wait(cli.exit_after)
}

/// Waits for a signal, or for the time to be over.
fn wait(exit_after: Option<u64>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let over = async {
            match exit_after {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        #[cfg(unix)]
        let terminated = async {
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(mut signal) => drop(signal.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        #[cfg(not(unix))]
        let terminated = std::future::pending::<()>();
        tokio::select! {
            () = over => {}
            () = terminated => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    });
    Ok(())
}

/// Writes a file beside its place and renames it, so that a script never reads half of it.
fn whole(path: &std::path::Path, text: &str) -> Result<(), String> {
    let beside = path.with_extension("part");
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}
