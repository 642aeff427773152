//! Lines of bounded length.

use std::io::{BufRead, Read};

use anyhow::{Result, ensure};

/// How a line that reports an error begins: `error: REASON`.
pub const ERROR: &str = "error:";

/// Reads a line of at most `limit` bytes, without its end (LF or CR LF); `None` is the end
/// of the stream. What is not UTF-8 becomes `�`.
///
/// Fails when reading fails, when the line is longer, and when the stream ends in the middle of
/// the line: it may have been cut, as `1 10` may be to `1 1`.
pub fn read_line(reader: &mut impl BufRead, limit: usize) -> Result<Option<String>> {
    let mut line = Vec::new();
    let with_end = limit as u64 + 2;
    if reader.take(with_end).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let text = text(&line, limit)?;
    ensure!(line.ends_with(b"\n"), "the stream ended in the middle of a line");
    Ok(Some(text))
}

/// The text of a line, without its end; fails when it is longer than `limit` bytes.
pub(crate) fn text(line: &[u8], limit: usize) -> Result<String> {
    let without_end = line.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line = without_end.unwrap_or(line);
    ensure!(line.len() <= limit, "a line of more than {limit} bytes");
    Ok(String::from_utf8_lossy(line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `text`, each at most 4 bytes long, up to the first error.
    fn lines(mut text: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match read_line(&mut text, 4) {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => return lines,
                Err(error) => {
                    lines.push(format!("error: {error}"));
                    return lines;
                }
            }
        }
    }

    #[test]
    fn a_line_ends_with_lf_or_cr_lf() {
        assert_eq!(lines(b"one\ntwo\r\n\n\r\n"), ["one", "two", "", ""]);
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_with_either_end() {
        let too_long = "error: a line of more than 4 bytes";
        assert_eq!(lines(b"four\nfour\r\n"), ["four", "four"]);
        assert_eq!(lines(b"fives\n"), [too_long]);
        assert_eq!(lines(b"fives\r\n"), [too_long]);
        assert_eq!(lines(&[b'x'; 100]), [too_long]);
    }

    #[test]
    fn a_line_without_an_end_is_an_error_and_what_is_not_utf_8_is_replaced() {
        let cut = "error: the stream ended in the middle of a line";
        assert_eq!(lines(b"a\xffb\n1 1"), ["a\u{fffd}b", cut]);
    }
}
