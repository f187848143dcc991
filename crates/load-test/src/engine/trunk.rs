//! A connection that several users share, since HTTP/2 carries many requests at a time. It is opened by
//! whoever comes first, and anew once it is lost.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::sender::{Broken, Dialer, Link};
use crate::result::ErrorKind;

/// A shared connection.
#[derive(Debug, Default)]
pub(crate) struct Trunk {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    link: Option<Link>,
    /// When the last one could not be opened, and why.
    failed: Option<(Instant, Broken)>,
}

impl Trunk {
    /// A way to send over it; how long it took to open is told to the one who opened it.
    pub(crate) async fn link(&self, dialer: &Dialer) -> Result<(Link, Option<Duration>), Broken> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(link) = state.link.as_ref().and_then(Link::another) {
            return Ok((link, None));
        }
        // Who waited while another one failed would otherwise wait as long again, one after another.
        if let Some((at, broken)) = &state.failed
            && *at >= asked
        {
            return Err(broken.clone());
        }
        state.link = None;
        let opened = dialer.link().await.and_then(|(link, took)| {
            let kept = link.another().ok_or_else(|| Broken {
                kind: ErrorKind::Malformed,
                message: "the target does not speak HTTP/2, which `--streams` needs".to_owned(),
            })?;
            Ok((link, took, kept))
        });
        match opened {
            Ok((link, took, kept)) => {
                state.link = Some(kept);
                Ok((link, Some(took)))
            }
            Err(broken) => {
                state.failed = Some((Instant::now(), broken.clone()));
                Err(broken)
            }
        }
    }

    /// Nobody else gets this connection: it is over, though its library may not have noticed yet.
    pub(crate) async fn forget(&self, lost: &Link) {
        let mut state = self.state.lock().await;
        if state.link.as_ref().is_some_and(|link| link.is_same(lost)) {
            state.link = None;
        }
    }
}
