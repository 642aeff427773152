//! Cutting a stream of bytes into tokens.

use std::io::{BufRead, BufReader, Read};
use std::mem;

use anyhow::{Result, ensure};
use echo::preview::Preview;

/// The longest token, in bytes.
const LONGEST: usize = 4096;

/// The most bytes that are read at once.
const CAPACITY: usize = 64 * 1024;

/// The tokens of a stream: words separated by white space, and each `=`, which needs no space
/// around it.
///
/// How the bytes arrived makes no difference: a token that was cut in two by the end of a packet
/// is whole again here, and many that came in one packet are taken one by one. A `=` is taken
/// as soon as it arrives.
#[derive(Debug)]
pub struct Tokens<R> {
    input: BufReader<R>,
    /// Whole tokens and the space between them.
    text: String,
    /// How many bytes at its end have not been taken.
    left: usize,
    /// A token whose end has not arrived yet.
    cut: Vec<u8>,
}

impl<R: Read> Tokens<R> {
    /// Tokens of `input`, read up to 64 KiB at a time.
    pub fn new(input: R) -> Self {
        let input = BufReader::with_capacity(CAPACITY, input);
        Self { input, text: String::new(), left: 0, cut: Vec::new() }
    }

    /// The next token; `None` at the end of the stream. Each byte that is not UTF-8 becomes `?`.
    /// It is an error when reading fails, or when the token is longer than 4 KiB.
    #[expect(clippy::inline_always, reason = "a call for each number takes 5 % of the time")]
    #[inline(always)]
    pub fn next_token(&mut self) -> Result<Option<&str>> {
        while self.left == 0 {
            if !self.read()? {
                return Ok(None);
            }
        }
        let unread = &self.text[self.text.len() - self.left..];
        let length = match token_length(unread.as_bytes()) {
            Some(0) => 1, // It is a `=`.
            Some(length) => length,
            None => unread.len(),
        };
        let (token, rest) = unread.split_at(length);
        ensure!(length <= LONGEST, "a token of more than {LONGEST} bytes: {}", Preview(token));
        self.left = rest.trim_ascii_start().len();
        Ok(Some(token))
    }

    /// Reads once, and turns all tokens that are whole now into text together, which is much
    /// faster than one by one; `false` at the end of the stream.
    fn read(&mut self) -> Result<bool> {
        let bytes = self.input.fill_buf()?;
        let length = bytes.len();
        let end = bytes.iter().rposition(|byte| ends_token(*byte));
        let mut end = end.map_or(0, |last| self.cut.len() + last + 1);
        self.cut.extend_from_slice(bytes);
        self.input.consume(length);
        // What follows may go on, unless the stream has ended, or it is too long already.
        if length == 0 || self.cut.len() - end > LONGEST {
            end = self.cut.len();
        }
        let rest = self.cut.split_off(end);
        let whole = String::from_utf8(mem::replace(&mut self.cut, rest));
        self.text = whole.unwrap_or_else(|error| with_question_marks(error.as_bytes()));
        self.left = self.text.trim_ascii_start().len();
        Ok(length > 0 || end > 0)
    }
}

/// Whether a token ends before `byte`.
fn ends_token(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b'='
}

/// How many of `bytes` come before the first that ends a token; `None` if none does.
///
/// One byte after the other, each number takes the server a sixth longer. So the first 16 are
/// compared at once, and the loop starts at the first that is no greater than a space, is a `=`, or
/// is not ASCII (after Anderson, *Bit Twiddling Hacks*, "Determine if a word has a byte less than
/// n").
fn token_length(bytes: &[u8]) -> Option<usize> {
    const ONES: u128 = u128::MAX / 0xff; // Each byte is 1.
    let start = bytes.first_chunk().map_or(0, |first| {
        let first = u128::from_le_bytes(*first);
        // The highest bit of a byte is set if less was there than is subtracted.
        let spaces = first.wrapping_sub(ONES * u128::from(b' ' + 1));
        let equals = (first ^ (ONES * u128::from(b'='))).wrapping_sub(ONES);
        // Without any, 16 bytes come before.
        ((spaces | equals) & (ONES << 7)).trailing_zeros() as usize / 8
    });
    let length = bytes[start..].iter().position(|byte| ends_token(*byte))?;
    Some(start + length)
}

/// Text as long as `bytes`, so that no token becomes longer or shorter than what was sent.
fn with_question_marks(bytes: &[u8]) -> String {
    let chunks = bytes.utf8_chunks();
    chunks.flat_map(|chunk| [chunk.valid().to_owned(), "?".repeat(chunk.invalid().len())]).collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Bytes that arrive in pieces of this length.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(self.1);
            self.0.read(&mut buffer[..length])
        }
    }

    /// All tokens of `input`.
    fn tokens(input: impl Read) -> Result<Vec<String>> {
        let mut tokens = Tokens::new(input);
        let mut list = Vec::new();
        while let Some(token) = tokens.next_token()? {
            list.push(token.to_owned());
        }
        Ok(list)
    }

    #[test]
    fn white_space_separates_and_an_equals_sign_stands_alone_wherever_the_stream_is_cut() {
        for (input, expected) in [
            (
                &b"\r\n sum\t1\n\n-2.5  =\x0c\xc3\xa9cart-type ="[..],
                &["sum", "1", "-2.5", "=", "écart-type", "="][..],
            ),
            (b"sum 1=min 22 ==333", &["sum", "1", "=", "min", "22", "=", "=", "333"]),
            (
                b"0123456789abcde 0123456789abcdef=0123456789abcdefg\n",
                &["0123456789abcde", "0123456789abcdef", "=", "0123456789abcdefg"],
            ),
            // Neither white space nor a `=`, though near them: a token goes on.
            (b"\0\x08\x0b\x0e\x1f!<>\x7f 1", &["\0\x08\x0b\x0e\x1f!<>\x7f", "1"]),
            (b" \n ", &[]),
            (b"", &[]),
            // What is not UTF-8, beside a U+FFFD that was sent.
            (
                b"\xef\xbf\xbd\xff 1\xc3 \xe2\x82 2\xef\xbf\xbd \xc3",
                &["\u{fffd}?", "1?", "??", "2\u{fffd}", "?"],
            ),
        ] {
            for length in 1..=input.len().max(1) {
                let found = tokens(Pieces(input, length)).unwrap();
                assert_eq!(found, expected, "in pieces of {length}");
            }
        }
    }

    #[test]
    fn a_token_is_at_most_4_kib_long_as_it_was_sent() {
        for (sent, shown) in [(&b"9"[..], "9"), (b"\xff", "?"), (b"\xe2\x82", "??")] {
            let longest = sent.repeat(LONGEST / sent.len());
            let error =
                format!("a token of more than 4096 bytes: \"{}\"…", &shown.repeat(80)[..80]);
            for length in [1, 3, LONGEST, CAPACITY] {
                assert_eq!(tokens(Pieces(&longest, length)).unwrap()[0].len(), LONGEST);
                for more in ["9", "9 ", &"9".repeat(CAPACITY)] {
                    let longer = [&longest, more.as_bytes()].concat();
                    let found = tokens(Pieces(&longer, length)).unwrap_err();
                    assert_eq!(found.to_string(), error, "{} in pieces of {length}", longer.len());
                }
            }
        }
    }

    #[test]
    fn what_came_before_an_error_is_taken_first_and_nothing_more_has_to_come() {
        let (input, mut more) = (format!("sum 1={}", "9".repeat(LONGEST + 1)), &b"more"[..]);
        let mut tokens = Tokens::new(input.as_bytes().chain(&mut more));
        for token in ["sum", "1", "="] {
            assert_eq!(tokens.next_token().unwrap(), Some(token));
        }
        assert!(tokens.next_token().is_err());
        assert_eq!(more, b"more");
    }
}
