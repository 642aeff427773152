//! What a client sent, fit to be shown.

use std::fmt;

/// Characters of the text that are shown at most.
const LENGTH: usize = 80;

/// Shows what a client sent, in quotes, safe for a terminal.
///
/// Control characters are escaped, what is not UTF-8 becomes `�`, a final line end is left
/// out, and after 80 characters the rest becomes `…`.
#[derive(Clone, Copy, Debug)]
pub struct Excerpt<'a>(pub &'a [u8]);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.0.strip_suffix(b"\n").unwrap_or(self.0);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // A character is at most 4 bytes long; one more shows that there is a rest.
        let start = &line[..line.len().min(4 * (LENGTH + 1))];
        let text = String::from_utf8_lossy(start);
        match text.char_indices().nth(LENGTH) {
            None => write!(formatter, "{text:?}"),
            Some((end, _)) => write!(formatter, "{:?}…", &text[..end]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(bytes: impl AsRef<[u8]>) -> String {
        Excerpt(bytes.as_ref()).to_string()
    }

    #[test]
    fn leaves_out_the_line_end() {
        assert_eq!(excerpt("bonjour\n"), r#""bonjour""#);
        assert_eq!(excerpt("bonjour\r\n"), r#""bonjour""#);
        assert_eq!(excerpt("\n\n"), r#""\n""#);
        assert_eq!(excerpt(""), r#""""#);
    }

    #[test]
    fn lets_no_control_character_through() {
        assert_eq!(excerpt("\x1b[2J\t\"l'été\"\0"), r#""\u{1b}[2J\t\"l'été\"\0""#);
        assert_eq!(excerpt(b"\xff\xfeA"), "\"\u{fffd}\u{fffd}A\"");
        // The C1 controls and the marks that reverse the reading direction.
        assert_eq!(excerpt("\u{9b}2J \u{202e}"), r#""\u{9b}2J \u{202e}""#);
    }

    #[test]
    fn is_cut_after_eighty_characters() {
        assert_eq!(excerpt("é".repeat(80)), format!("\"{}\"", "é".repeat(80)));
        for character in ["a", "é", "€", "🦀"] {
            let expected = format!("\"{}\"…", character.repeat(80));
            assert_eq!(excerpt(character.repeat(81)), expected);
            assert_eq!(excerpt(character.repeat(100_000)), expected);
        }
    }
}
