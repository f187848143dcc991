//! What every GoldenSignals CI/CD tool shares: a shelf of small modules, each with one reason to
//! change.
//!
//! In reading order: [`verdict`] and [`exit`] say what a judgement is, [`finding`] what is wrong at a
//! place, [`report`] is the one value that every tool's `run` returns, [`render`] turns it into its
//! faces and [`sink`] puts those in their places. [`suppression`] accepts findings on record,
//! [`text`] and [`members`] hold what they say, [`fingerprint`] tells them apart, [`purl`] and [`versions`]
//! name the packages that they are in. [`config`], [`cli`], [`units`], [`secret`] and [`redact`] are what a
//! tool reads and must not print; [`mod@file`] writes whole files or none; [`process`] runs other programs;
//! [`way`], [`http`] and [`backoff`] are how it asks the network; [`har`] reads what a browser recorded.
//! [`outside`] is where a process begins, hears signals and ends.
//!
//! Nothing in this crate prints or ends the process: callers own both streams.

pub mod backoff;
pub mod cli;
pub mod config;
pub mod exit;
pub mod file;
pub mod finding;
pub mod fingerprint;
pub mod har;
pub mod http;
pub mod members;
pub mod outside;
pub mod process;
pub mod purl;
pub mod redact;
pub mod render;
pub mod report;
pub mod secret;
pub mod sink;
pub mod suppression;
pub mod text;
pub mod units;
pub mod verdict;
pub mod versions;
pub mod way;
