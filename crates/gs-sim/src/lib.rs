//! A simulated GoldenSignals service: every path of the real one with right bodies, several pods of
//! several versions behind one address, metrics of what was really served, and faults on request.
//!
//! In reading order: [`plan`] is what to simulate (pods, faults, TLS), [`service`] makes the right
//! answers, [`fault`] decides which of them go wrong and how, [`server`] speaks HTTP byte by byte (so
//! that it can also speak it wrongly), [`ws`] the WebSocket channels, [`metrics`] counts, [`control`]
//! takes orders at run time, [`tls`] makes certificates. [`Sim`] puts them together.
//!
//! For development and tests only. It knows none of our other crates, so that a mistake in shared
//! parsing cannot cancel itself out in a test.

pub mod cli;
pub mod control;
pub mod fault;
pub mod metrics;
pub mod plan;
pub mod server;
pub mod service;
mod sim;
pub mod tls;
pub mod ws;

pub use plan::{Fault, Kind, Plan, PlanError, Pod, TlsMode};
pub use sim::{Sim, World};
