//! A simulated GoldenSignals service: every path of the real one with right bodies, several pods of
//! several versions behind one address, metrics of what was really served, and faults on request.
//!
//! ```
//! use gs_sim::{Fault, Kind, Plan, Sim};
//!
//! let sim = Sim::start(&Plan::default())?;
//! println!("{} is healthy", sim.url());
//! sim.set_faults([Fault::on(Kind::error_body(), "/api/v1/pipeline/stats")]);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! In reading order: [`plan`] is what to simulate (pods, faults, TLS); `service` makes the right
//! answers, `fault` decides which of them go wrong, `server` speaks HTTP byte by byte (so that it can
//! also speak it wrongly), `ws` the WebSocket channels; `metrics` counts, `tls` makes certificates,
//! `control` takes orders at run time. `world` is what they share, [`Sim`] puts them together.
//!
//! Beside the service, and without its traffic: [`rollout`] simulates stable and canary pods whose
//! counters a scraper reads, [`prometheus`] is a query listener that answers from their history, or
//! misbehaves. `exchange` speaks plain HTTP for both.
//!
//! For development and tests only. It knows none of our other crates, so that a mistake in shared
//! parsing cannot cancel itself out in a test.

pub mod cli;
mod control;
mod exchange;
mod fault;
mod metrics;
pub mod plan;
pub mod prometheus;
pub mod rollout;
mod server;
mod service;
mod sim;
mod tls;
mod world;
mod ws;

pub use metrics::Served;
pub use plan::{Balance, Fault, Kind, Plan, PlanError, Pod, Spread, TlsMode};
pub use sim::Sim;
pub use world::World;
