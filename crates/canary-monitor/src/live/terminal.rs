//! Keys of a terminal, one at a time and without an echo; the terminal is put back at the end.

use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};

use gs_common::outside::{OnCrash, on_crash};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::sync::mpsc;

use super::operator::{Keys, Order};

/// A terminal that hands over its keys. Dropping it puts the terminal back, and so does a crash.
#[derive(Debug)]
pub(super) struct Terminal {
    before: Termios,
    _put_back: OnCrash,
    /// What was typed so far.
    pub(super) keys: Arc<Mutex<Keys>>,
}

impl Terminal {
    /// Takes the terminal at stdin over, where there is one and this process has it. The orders come
    /// out of the receiver.
    #[must_use]
    pub(super) fn take(keys: Keys) -> (Option<Self>, mpsc::UnboundedReceiver<Order>) {
        let (orders, received) = mpsc::unbounded_channel();
        let Some(before) = ours() else {
            return (None, received);
        };
        let mut raw = before.clone();
        // Line by line and its echo go; Ctrl-C stays a signal.
        raw.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO);
        if tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).is_err() {
            return (None, received);
        }
        let keys = Arc::new(Mutex::new(keys));
        let shared = Arc::clone(&keys);
        // It waits for a key until the process ends, and holds nothing that has to be put back.
        let reading = std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || read(&shared, &orders));
        let last = before.clone();
        let terminal = Self {
            before,
            _put_back: on_crash(move || put_back(&last)),
            keys,
        };
        (reading.is_ok().then_some(terminal), received)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        put_back(&self.before);
    }
}

fn put_back(before: &Termios) {
    // A terminal that is gone needs nothing.
    let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
}

/// The state of the terminal, if it is ours: a process in the background would be stopped for asking.
fn ours() -> Option<Termios> {
    let stdin = std::io::stdin();
    let group = tcgetpgrp(&stdin).ok()?;
    if group != rustix::process::getpgrp() {
        return None;
    }
    tcgetattr(&stdin).ok()
}

fn read(keys: &Mutex<Keys>, orders: &mpsc::UnboundedSender<Order>) {
    let mut stdin = std::io::stdin();
    let mut byte = [0];
    while let Ok(1) = stdin.read(&mut byte) {
        let order = keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .press(byte[0]);
        if let Some(order) = order
            && orders.send(order).is_err()
        {
            return;
        }
    }
}
