//! Cutting a stream of bytes into tokens.

use std::io::{self, Read};

use anyhow::{Context, Result, ensure};
use echo::Excerpt;

/// The longest token, in bytes.
const LONGEST: usize = 4096;

/// Bytes that are read at once, at most.
const CAPACITY: usize = 64 * 1024;

/// The tokens of a stream: what stands between white space.
///
/// How the bytes arrived makes no difference: a token that is cut in two by a packet's end
/// is whole again here, and many that came in one packet are taken one by one.
#[derive(Debug)]
pub struct Tokens<R> {
    input: R,
    /// What has been read and not yet taken is `buffer[start..end]`.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<R: Read> Tokens<R> {
    /// Tokens of `input`, through a buffer of 64 KiB.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; CAPACITY].into(),
            start: 0,
            end: 0,
        }
    }

    /// The next token; `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// When reading fails, or when the token is longer than 4 KiB or is not UTF-8.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator cannot lend its items"
    )]
    pub fn next(&mut self) -> Result<Option<&str>> {
        let length = loop {
            let unread = &self.buffer[self.start..self.end];
            let space = unread
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count();
            self.start += space;
            let unread = &unread[space..];
            if let Some(length) = unread.iter().position(u8::is_ascii_whitespace) {
                break length;
            }
            let length = unread.len();
            if length > LONGEST || !self.fill()? {
                break length;
            }
        };
        let token = &self.buffer[self.start..self.start + length];
        self.start += length;
        let excerpt = || Excerpt(token);
        ensure!(
            length <= LONGEST,
            "{} is longer than {LONGEST} bytes",
            excerpt()
        );
        let token = str::from_utf8(token)
            .ok()
            .with_context(|| format!("{} is not UTF-8", excerpt()))?;
        Ok((length > 0).then_some(token))
    }

    /// Reads more, behind what is not yet taken; `false` at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let length = self.input.read(&mut self.buffer[self.end..])?;
        self.end += length;
        Ok(length > 0)
    }
}

#[cfg(test)]
mod tests {
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

    /// The tokens of `input`, up to the first error.
    fn tokens(input: impl Read) -> Vec<String> {
        let mut tokens = Tokens::new(input);
        let mut list = Vec::new();
        loop {
            match tokens.next() {
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
    fn white_space_separates() {
        let expected = ["sum", "1", "-2.5", "=", "écart-type", "="];
        assert_eq!(
            tokens(&b"\r\n sum\t1\n\n-2.5  =\x0c\xc3\xa9cart-type ="[..]),
            expected
        );
        assert_eq!(tokens(&b" \n "[..]), [""; 0]);
        assert_eq!(tokens(&b""[..]), [""; 0]);
    }

    #[test]
    fn a_cut_anywhere_makes_no_difference() {
        let input = "  sum 1 22 333\r\n= écart-type 4\n=".as_bytes();
        let whole = tokens(input);
        assert_eq!(whole.len(), 8);
        for cut in 1..input.len() {
            assert_eq!(
                tokens(Pieces {
                    input,
                    cuts: [cut].into_iter()
                }),
                whole,
                "cut at {cut}"
            );
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
            assert!(
                all[1..].iter().all(|token| token == "1234567"),
                "{skipped} skipped"
            );
            assert_eq!(
                all.len(),
                CAPACITY / 4 - usize::from(skipped == 7),
                "{skipped} skipped"
            );
        }
    }

    #[test]
    fn a_token_is_at_most_4_kib_long() {
        let longest = "9".repeat(LONGEST);
        assert_eq!(tokens(longest.as_bytes()), [longest.as_str()]);
        for length in [LONGEST + 1, CAPACITY, 2 * CAPACITY] {
            let found = tokens("9".repeat(length).as_bytes());
            assert!(found[0].starts_with("error: \"999"), "{found:?}");
            assert!(
                found[0].ends_with("\"… is longer than 4096 bytes"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn what_is_not_utf_8_is_an_error() {
        let expected = ["sum", "error: \"1\u{fffd}\" is not UTF-8"];
        assert_eq!(tokens(&b"sum 1\xff 2"[..]), expected);
    }
}
