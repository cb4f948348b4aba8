//! Bytes of a stream as lines, each of a bounded length. A part of a line is never handed on.

/// The bytes of a line that has not ended yet.
#[derive(Debug)]
pub(crate) struct Lines {
    begun: Vec<u8>,
    bytes_max: usize,
}

impl Lines {
    pub(crate) const fn new(bytes_max: usize) -> Self {
        Self { begun: Vec::new(), bytes_max }
    }

    /// Takes what came, and hands on each line that ends in it, without its end.
    ///
    /// # Errors
    ///
    /// A line is too long, or `hear` says that something is wrong. Nothing more can be taken then.
    pub(crate) fn take<E: From<TooLong>>(
        &mut self,
        bytes: &[u8],
        mut hear: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        // What is behind the last end of a line, or all of it where there is none.
        let rest = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            self.must_fit(piece)?;
            if self.begun.is_empty() {
                hear(piece)?;
            } else {
                let mut line = std::mem::take(&mut self.begun);
                line.extend_from_slice(piece);
                hear(&line)?;
            }
        }
        self.must_fit(rest)?;
        self.begun.extend_from_slice(rest);
        Ok(())
    }

    /// Whether a line has begun.
    pub(crate) const fn is_inside_a_line(&self) -> bool {
        !self.begun.is_empty()
    }

    fn must_fit(&self, piece: &[u8]) -> Result<(), TooLong> {
        let is_too_long = self.begun.len() + piece.len() > self.bytes_max;
        if is_too_long { Err(TooLong { bytes_max: self.bytes_max }) } else { Ok(()) }
    }
}

/// A line that is too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a line of more than {bytes_max} bytes (`line_bytes_max`)")]
pub(crate) struct TooLong {
    bytes_max: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &mut Lines, bytes: &str) -> (Vec<String>, Result<(), TooLong>) {
        let mut heard = Vec::new();
        let result = lines.take(bytes.as_bytes(), |line| {
            heard.push(String::from_utf8(line.to_vec()).unwrap());
            Ok(())
        });
        (heard, result)
    }

    #[test]
    fn lines_are_the_same_however_they_come() {
        let text = "abc\n\nde\nf";
        for step in 1..=text.len() {
            let mut lines = Lines::new(3);
            let mut all = Vec::new();
            for start in (0..text.len()).step_by(step) {
                let (some, result) = heard(&mut lines, &text[start..text.len().min(start + step)]);
                result.unwrap();
                all.extend(some);
            }
            assert_eq!(all, ["abc", "", "de"], "{step}");
            assert!(lines.is_inside_a_line());
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_an_error_before_it_ends() {
        let error = Err(TooLong { bytes_max: 3 });
        assert_eq!(heard(&mut Lines::new(3), "abc\nabcd"), (vec!["abc".to_owned()], error.clone()));
        assert_eq!(heard(&mut Lines::new(3), "abcd\nabc\n"), (Vec::new(), error.clone()));
        let mut lines = Lines::new(3);
        assert_eq!(heard(&mut lines, "ab"), (Vec::new(), Ok(())));
        assert_eq!(heard(&mut lines, "cd"), (Vec::new(), error));
        assert_eq!(lines.begun.len(), 2);
    }

    #[test]
    fn nothing_is_handed_on_behind_an_error() {
        let mut count = 0;
        let result = Lines::new(1).take(b"a\nb\nlong\n", |_line| {
            count += 1;
            if count == 2 { Err(TooLong { bytes_max: 7 }) } else { Ok(()) }
        });
        assert_eq!((result, count), (Err(TooLong { bytes_max: 7 }), 2));
    }
}
