//! What a run says, for those who ask over HTTP: the web metric provider of Argo Rollouts, and the
//! webhooks of Flagger. Nothing is judged here: the answers come from the decision log of a run, or from
//! its report, and from how old those are.
//!
//! In reading order: [`standing`] reads a file, [`gate`] says what that means for each webhook, [`http`]
//! puts both behind paths. Whoever is unknown, unreadable, silent for too long or from another day never
//! goes.

pub mod gate;
pub mod http;
pub mod standing;

pub use http::{Canary, Site};
