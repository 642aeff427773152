//! What a client asks: counted, and ended.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the questions of a client's input, and adds a final `=` if it has none. (One more than
/// is needed could meet a server that has answered and closed.)
pub struct Questions<R> {
    input: R,
    asked: Arc<AtomicU64>,
    /// The last byte so far, white space aside.
    last: u8,
    has_ended: bool,
}

impl<R: Read> Questions<R> {
    /// Counts those of `input`, as they are read, in `asked`.
    pub fn new(input: R, asked: Arc<AtomicU64>) -> Self {
        Self { input, asked, last: b'=', has_ended: false }
    }
}

impl<R: Read> Read for Questions<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A terminal's input may be read on after its end.
        let mut length = if self.has_ended { 0 } else { self.input.read(buffer)? };
        self.has_ended = length == 0;
        if self.has_ended && self.last != b'=' {
            length = (&b" =\n"[..]).read(buffer)?;
        }
        for byte in buffer[..length].iter().filter(|byte| !byte.is_ascii_whitespace()) {
            if *byte == b'=' && self.last != b'=' {
                self.asked.fetch_add(1, Ordering::SeqCst);
            }
            self.last = *byte;
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Input that goes on after an end, as a terminal's does.
    struct Typed(Vec<&'static [u8]>);

    impl Read for Typed {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.remove(0).read(buffer)
        }
    }

    #[test]
    fn a_final_equals_sign_is_added_once_and_what_is_typed_after_the_end_is_not_read() {
        for (typed, sent, count) in [
            (&b"sum 1 2\n"[..], "sum 1 2\n =\n", 1),
            (b"sum 1 2 =\n", "sum 1 2 =\n", 1),
            (b"sum 1 = max 2 == \n= min 3", "sum 1 = max 2 == \n= min 3 =\n", 3),
            (b" \n", " \n", 0),
            (b"= \n", "= \n", 0),
        ] {
            let asked = Arc::new(AtomicU64::new(0));
            let input = Typed(vec![typed, b"", b"more"]);
            let mut text = String::new();
            Questions::new(input, Arc::clone(&asked)).read_to_string(&mut text).unwrap();
            assert_eq!((text.as_str(), asked.load(Ordering::SeqCst)), (sent, count));
        }
    }
}
