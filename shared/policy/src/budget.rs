//! How much of a call is read.
//!
//! What a model writes may be made to be read for ever: texts within texts within texts. So everything that reading or
//! classing a call does is paid from one budget, whatever it is nested in. Who cannot pay stops, and the call counts as what
//! breaks most ([`Budget::is_over`]): nobody knows what else it says.

/// What one call may cost: about a thousand ordinary commands, or a text of 1 MiB. No model writes that much at once.
pub(crate) const STEPS_MAX: usize = 1 << 20;
/// A word that is kept, beside the reading of its letters: it is compared with the tables' and told to the rules.
pub(crate) const WORD: usize = 64;
/// A command that is kept, beside its words: it is looked for in the tables.
pub(crate) const COMMAND: usize = 512;
/// A member or element of a tool's input, which becomes a value for the rules.
pub(crate) const VALUE: usize = 64;

/// What is left to read.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
    over: bool,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self {
            left: STEPS_MAX,
            over: false,
        }
    }

    /// Pays for something that is about to be done. It must not be done where this is refused.
    pub(crate) fn spend(&mut self, steps: usize) -> bool {
        match self.left.checked_sub(steps) {
            Some(left) if !self.over => {
                self.left = left;
                true
            }
            _ => {
                self.exceed();
                false
            }
        }
    }

    /// Something was left unread for another reason than its length: it is nested too deep, say.
    pub(crate) fn exceed(&mut self) {
        self.over = true;
    }

    #[cfg(test)]
    pub(crate) fn spent(&self) -> usize {
        STEPS_MAX - self.left
    }

    /// Whether something was left unread.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }
}
