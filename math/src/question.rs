//! What the client sends for an action.

use std::io::{self, Read};

/// Numbers, and the `=` that ends them unless they end with one.
#[derive(Debug)]
pub struct Question<R> {
    numbers: R,
    /// The last byte that was not white space.
    last: u8,
    has_ended: bool,
}

impl<R: Read> Question<R> {
    /// The question that `numbers` make.
    pub fn new(numbers: R) -> Self {
        Self { numbers, last: 0, has_ended: false }
    }
}

impl<R: Read> Read for Question<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.has_ended {
            return Ok(0); // A terminal would be read again after its end.
        }
        let length = self.numbers.read(buffer)?;
        let last = buffer[..length].iter().rfind(|byte| !byte.is_ascii_whitespace());
        self.last = *last.unwrap_or(&self.last);
        if length > 0 {
            return Ok(length);
        }
        self.has_ended = true;
        let mut end: &[u8] = if self.last == b'=' { b"\n" } else { b" =\n" };
        end.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(numbers: impl Read) -> String {
        io::read_to_string(Question::new(numbers)).unwrap()
    }

    #[test]
    fn an_equals_sign_is_added_unless_it_is_there() {
        assert_eq!(question(&b"1 2"[..]), "1 2 =\n");
        assert_eq!(question(&b""[..]), " =\n");
        assert_eq!(question(&b"1 2 ="[..]), "1 2 =\n");
        assert_eq!(question((&b"1 2 =\n"[..]).chain(&b" \n"[..])), "1 2 =\n \n\n");
        assert_eq!(question(&b"1 = max 2"[..]), "1 = max 2 =\n");
    }

    /// A terminal: Ctrl-D ends a read, and the next one waits for more.
    struct Terminal(std::vec::IntoIter<&'static str>);

    impl Read for Terminal {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.next().expect("it is not read after its end").as_bytes().read(buffer)
        }
    }

    #[test]
    fn a_terminal_is_not_read_after_its_end() {
        assert_eq!(question(Terminal(vec!["1 2\n", ""].into_iter())), "1 2\n =\n");
    }
}
