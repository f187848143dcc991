//! What a person at the terminal can do, and the keys for it.

/// Something that a person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// End the run at once: the canary is not wanted.
    Abort,
    /// Do not pass, and go to no further step, until it is released. Failing stays possible.
    Hold,
    /// The opposite.
    Release,
    /// Watch five minutes longer.
    Extend,
    /// Remember this.
    Note(String),
}

impl Order {
    /// The word in the log.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Extend => "extend",
            Self::Note(_) => "note",
        }
    }
}

/// How much longer [`Order::Extend`] makes the watch, in seconds of the run.
pub const EXTEND_SECONDS: f64 = 300.0;

/// A note longer than this is cut.
const LONGEST_NOTE: usize = 500;

const ESCAPE: u8 = 0x1b;
const BACKSPACE: [u8; 2] = [0x08, 0x7f];

/// The keys that were pressed so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    state: State,
    held: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    /// `a` was pressed: a slip of the finger must not roll a canary back.
    Aborting,
    /// A note is being typed, as UTF-8.
    Typing(Vec<u8>),
}

impl Keys {
    /// For a run that is held, or not.
    #[must_use]
    pub fn of(held: bool) -> Self {
        Self {
            held,
            ..Self::default()
        }
    }

    /// Takes one byte from the terminal.
    pub fn press(&mut self, byte: u8) -> Option<Order> {
        match (&mut self.state, byte) {
            (State::Typing(text), b'\r' | b'\n') => {
                let text = String::from_utf8_lossy(text).trim().to_owned();
                self.state = State::Idle;
                (!text.is_empty()).then_some(Order::Note(text))
            }
            (State::Typing(_) | State::Aborting, ESCAPE) => {
                self.state = State::Idle;
                None
            }
            (State::Typing(text), byte) if BACKSPACE.contains(&byte) => {
                // The bytes that continue a letter go with its first.
                while text.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
                None
            }
            (State::Typing(text), byte) => {
                if byte >= b' ' && text.len() < LONGEST_NOTE {
                    text.push(byte);
                }
                None
            }
            (State::Aborting, byte) => {
                self.state = State::Idle;
                (byte == b'y').then_some(Order::Abort)
            }
            (State::Idle, b'a') => {
                self.state = State::Aborting;
                None
            }
            (State::Idle, b'n') => {
                self.state = State::Typing(Vec::new());
                None
            }
            (State::Idle, b'h') => {
                self.held = !self.held;
                Some(if self.held {
                    Order::Hold
                } else {
                    Order::Release
                })
            }
            (State::Idle, b'e') => Some(Order::Extend),
            (State::Idle, _) => None,
        }
    }

    /// What the keys do now, for the last line of the screen.
    #[must_use]
    pub fn prompt(&self) -> String {
        match &self.state {
            State::Idle => {
                let hold = if self.held { "release" } else { "hold" };
                format!(
                    "[a] abort  [h] {hold}  [e] extend by 5m  [n] note  [Ctrl-C] end without verdict"
                )
            }
            State::Aborting => {
                "abort, and count the canary as failed? [y] yes, any other key: no".to_owned()
            }
            State::Typing(text) => {
                format!(
                    "note: {}_   [Enter] keep  [Esc] drop",
                    String::from_utf8_lossy(text)
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(typed: &str, expected: &[Order]) {
        let mut keys = Keys::default();
        let orders: Vec<Order> = typed.bytes().filter_map(|byte| keys.press(byte)).collect();
        assert_eq!(orders, expected, "{typed:?}");
    }

    #[test]
    fn keys_become_orders() {
        check("e", &[Order::Extend]);
        check("hh", &[Order::Hold, Order::Release]);
        check("ay", &[Order::Abort]);
        check("an", &[]);
        check("a\u{1b}y", &[]);
        check("xyz\n", &[]);
    }

    #[test]
    fn a_note_is_typed_and_its_letters_are_no_keys() {
        check(
            "nah, é fine\u{8}\u{8}\u{8}\u{8}\u{8}ok\r",
            &[Order::Note("ah, éok".to_owned())],
        );
        check("né\u{7f}x\n", &[Order::Note("x".to_owned())]);
        check("nabort\u{1b}", &[]);
        check("n  \n", &[]);
    }
}
