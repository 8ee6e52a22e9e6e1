//! Lines out of chunks.

/// Bytes of a line that are read; what is beyond passes through all the same. Agents print whole files in one line, and
/// nothing beyond ingest's own limit could be reported.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What was printed and not taken as a line yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Where looking for the next line's end goes on.
    looked: usize,
    /// The rest of a line that was too long is coming.
    skipping: bool,
}

impl Lines {
    pub(super) fn take(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// Something between was passed over: of the line it stood in, neither beginning nor end is a line.
    pub(super) fn gap(&mut self) {
        self.buffer.clear();
        self.looked = 0;
        self.skipping = true;
    }

    /// The next whole line, without its end. Empty lines are none.
    pub(super) fn next(&mut self) -> Option<String> {
        loop {
            let Some(end) = self.buffer[self.looked..].iter().position(|byte| *byte == b'\n') else {
                self.looked = self.buffer.len();
                if self.looked > LINE_BYTES_MAX {
                    self.skipping = true;
                    self.buffer.clear();
                    self.looked = 0;
                }
                return None;
            };
            let line: Vec<u8> = self.buffer.drain(..=self.looked + end).collect();
            self.looked = 0;
            if !std::mem::take(&mut self.skipping)
                && let Some(line) = text(&line)
            {
                return Some(line);
            }
        }
    }

    /// What was printed after the last line's end.
    pub(super) fn rest(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.buffer);
        self.looked = 0;
        if self.skipping { None } else { text(&line) }
    }
}

fn text(line: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_end_matches(['\n', '\r']);
    (!line.trim().is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &mut Lines) -> Vec<String> {
        std::iter::from_fn(|| lines.next()).collect()
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        let mut lines = Lines::default();
        lines.take(b"on");
        assert!(all(&mut lines).is_empty());
        lines.take(b"e\r\ntwo\n\n  \nth");
        assert_eq!(all(&mut lines), ["one", "two"]);
        assert_eq!(lines.rest().as_deref(), Some("th"));
        assert_eq!(lines.rest(), None);
    }

    #[test]
    fn a_gap_makes_no_line_of_two_halves() {
        let mut lines = Lines::default();
        lines.take(b"be");
        lines.gap();
        lines.take(b"nd\nnext\n");
        assert_eq!(all(&mut lines), ["next"]);
    }

    #[test]
    fn a_line_beyond_reason_is_passed_over() {
        let mut lines = Lines::default();
        lines.take(&vec![b'x'; LINE_BYTES_MAX + 1]);
        assert!(all(&mut lines).is_empty());
        lines.take(b"xxx\nnext\n");
        assert_eq!(all(&mut lines), ["next"]);
    }
}
