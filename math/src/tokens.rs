//! Cutting a stream of bytes into tokens.

use std::io::{BufRead, BufReader, Read};

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
/// as soon as it arrives. What is not UTF-8 becomes `?`.
#[derive(Debug)]
pub struct Tokens<R> {
    input: BufReader<R>,
    /// Whole tokens and the space between them.
    text: String,
    /// Where the next token starts.
    start: usize,
    /// A token whose end has not arrived yet.
    cut: Vec<u8>,
}

impl<R: Read> Tokens<R> {
    /// Tokens of `input`, read up to 64 KiB at a time.
    pub fn new(input: R) -> Self {
        let input = BufReader::with_capacity(CAPACITY, input);
        Self { input, text: String::new(), start: 0, cut: Vec::new() }
    }

    /// The next token; `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// When reading fails, or when the token is longer than 4 KiB.
    pub fn next_token(&mut self) -> Result<Option<&str>> {
        while self.start == self.text.len() {
            if !self.read()? {
                return Ok(None);
            }
        }
        let unread = &self.text[self.start..];
        let end = unread.bytes().position(|byte| byte.is_ascii_whitespace());
        let (token, rest) = unread.split_at(end.unwrap_or(unread.len()));
        check_length(token.as_bytes())?;
        self.start = self.text.len() - rest.trim_ascii_start().len();
        Ok(Some(token))
    }

    /// Reads on until there are whole tokens; `false` at the end of the stream.
    ///
    /// They are turned into text together, which is much faster than one by one.
    fn read(&mut self) -> Result<bool> {
        loop {
            check_length(&self.cut)?;
            let bytes = self.input.fill_buf()?;
            let length = bytes.len();
            self.cut.extend_from_slice(bytes);
            self.input.consume(length);
            let end = self.cut.iter().rposition(|byte| byte.is_ascii_whitespace() || *byte == b'=');
            // What follows may go on, unless the stream has ended.
            let end = if length == 0 { self.cut.len() } else { end.map_or(0, |last| last + 1) };
            let text = String::from_utf8(self.cut.drain(..end).collect());
            // `?` has one byte, so that no token is longer than what was sent.
            let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\u{fffd}', "?");
            let text = text.unwrap_or_else(|error| lossy(error.as_bytes()));
            self.text = text.replace('=', " = ");
            self.start = self.text.len() - self.text.trim_ascii_start().len();
            if end > 0 || length == 0 {
                return Ok(end > 0);
            }
        }
    }
}

fn check_length(token: &[u8]) -> Result<()> {
    ensure!(token.len() <= LONGEST, "a token of more than {LONGEST} bytes: {}", Preview(token));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Gives `input` in pieces of the lengths that `cuts` gives in turn.
    struct Pieces<'a, C> {
        input: &'a [u8],
        cuts: C,
    }

    impl<C: Iterator<Item = usize>> Read for Pieces<'_, C> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.cuts.next().unwrap_or(usize::MAX).min(buffer.len());
            self.input.read(&mut buffer[..length])
        }
    }

    struct NeverRead;

    impl Read for NeverRead {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("it is read")
        }
    }

    /// The tokens of `input`, up to the first error.
    fn tokens(input: impl Read) -> Vec<String> {
        let mut tokens = Tokens::new(input);
        let mut list = Vec::new();
        loop {
            match tokens.next_token() {
                Ok(Some(token)) => list.push(token.to_owned()),
                Ok(None) => return list,
                Err(error) => {
                    list.push(format!("error: {error}"));
                    return list;
                }
            }
        }
    }

    #[test]
    fn white_space_separates_and_an_equals_sign_stands_alone() {
        let expected = ["sum", "1", "-2.5", "=", "écart-type", "="];
        assert_eq!(tokens(&b"\r\n sum\t1\n\n-2.5  =\x0c\xc3\xa9cart-type ="[..]), expected);
        assert_eq!(tokens(&b"sum 1=min 2 =="[..]), ["sum", "1", "=", "min", "2", "=", "="]);
        assert_eq!(tokens(&b" \n "[..]), [""; 0]);
        assert_eq!(tokens(&b""[..]), [""; 0]);
    }

    #[test]
    fn a_cut_anywhere_makes_no_difference() {
        let input = "  sum 1 22 333\r\n= écart-type 4\n=max 5==".as_bytes();
        let whole = tokens(input);
        assert_eq!(whole.len(), 12);
        for cut in 1..input.len() {
            assert_eq!(tokens(Pieces { input, cuts: [cut].into_iter() }), whole, "cut at {cut}");
        }
        for length in 1..input.len() {
            let cuts = std::iter::repeat(length);
            assert_eq!(tokens(Pieces { input, cuts }), whole, "pieces of {length}");
        }
    }

    #[test]
    fn a_token_across_the_buffers_end_is_whole() {
        let input = "1234567 ".repeat(CAPACITY / 4);
        for skipped in 0..8 {
            let all = tokens(&input.as_bytes()[skipped..]);
            assert!(all[1..].iter().all(|token| token == "1234567"), "{skipped} skipped");
            assert_eq!(all.len(), CAPACITY / 4 - usize::from(skipped == 7), "{skipped} skipped");
        }
    }

    #[test]
    fn a_token_is_at_most_4_kib_long() {
        let longest = "9".repeat(LONGEST);
        assert_eq!(tokens(longest.as_bytes()), [longest.as_str()]);
        for length in [LONGEST + 1, CAPACITY, 2 * CAPACITY] {
            let found = tokens("9".repeat(length).as_bytes());
            let error = "error: a token of more than 4096 bytes: \"999";
            assert!(found[0].starts_with(error), "{found:?}");
        }
        // What came before it is taken first, and no more has to come.
        let start = format!("sum 1 = {}", "9".repeat(LONGEST + 1));
        let found = tokens(start.as_bytes().chain(NeverRead));
        assert_eq!((&found[..3], found.len()), (&["sum", "1", "="].map(str::to_owned)[..], 4));
    }

    #[test]
    fn bytes_that_are_not_utf_8_never_grow_a_token() {
        assert_eq!(tokens(&[0xff; LONGEST][..]), ["?".repeat(LONGEST)]);
        let input = b"sum 1\xff \xc3 2\xc3";
        for length in 1..=input.len() {
            let cuts = std::iter::repeat(length);
            assert_eq!(tokens(Pieces { input, cuts }), ["sum", "1?", "?", "2?"], "by {length}");
        }
    }
}
