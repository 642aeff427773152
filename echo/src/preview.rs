//! Text from the other side, made safe to show.

use std::fmt;

/// The most characters of a text that are shown.
const LENGTH: usize = 80;

/// Shows bytes in quotes, as the log does.
///
/// Line ends and other control characters are escaped, what is not UTF-8 becomes `�`, and
/// after 80 characters the rest becomes `…`.
#[derive(Clone, Copy, Debug)]
pub struct Preview<'a>(pub &'a [u8]);

impl fmt::Display for Preview<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A character has at most 4 bytes; one more shows whether the text goes on.
        let start = &self.0[..self.0.len().min(4 * (LENGTH + 1))];
        let text = String::from_utf8_lossy(start);
        let (shown, rest) = cut(&text);
        write!(formatter, "{shown:?}{rest}")
    }
}

/// Text that is a message in itself, such as a server's error line: as it is, up to 80
/// characters, but for control characters, which are escaped.
pub fn printable(text: &str) -> String {
    let (shown, rest) = cut(text);
    let mut printable = String::new();
    for character in shown.chars() {
        match character {
            '"' | '\'' | '\\' => printable.push(character),
            _ => printable.extend(character.escape_debug()),
        }
    }
    printable + rest
}

/// What is shown of `text`, and what stands for the rest.
fn cut(text: &str) -> (&str, &str) {
    match text.char_indices().nth(LENGTH) {
        None => (text, ""),
        Some((end, _)) => (&text[..end], "…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(bytes: impl AsRef<[u8]>) -> String {
        Preview(bytes.as_ref()).to_string()
    }

    #[test]
    fn line_ends_are_shown() {
        assert_eq!(preview("bonjour\r\n"), r#""bonjour\r\n""#);
        assert_eq!(preview(""), r#""""#);
    }

    #[test]
    fn no_control_character_gets_through() {
        assert_eq!(preview("\x1b[2J\t\"l'été\"\0"), r#""\u{1b}[2J\t\"l'été\"\0""#);
        assert_eq!(preview(b"\xff\xfeA"), "\"\u{fffd}\u{fffd}A\"");
        // The C1 controls, and the marks that reverse the reading direction.
        assert_eq!(preview("\u{9b}2J \u{202e}"), r#""\u{9b}2J \u{202e}""#);

        assert_eq!(printable("\x1b[2J\u{9b}\u{202e}\r\n"), r"\u{1b}[2J\u{9b}\u{202e}\r\n");
        assert_eq!(printable(r#"l'été, "\u{1b}""#), r#"l'été, "\u{1b}""#);
    }

    #[test]
    fn a_text_is_cut_after_eighty_characters() {
        assert_eq!(preview("é".repeat(80)), format!("\"{}\"", "é".repeat(80)));
        for character in ["a", "é", "€", "🦀"] {
            let shown = character.repeat(80);
            for length in [81, 100_000] {
                assert_eq!(preview(character.repeat(length)), format!("\"{shown}\"…"));
                assert_eq!(printable(&character.repeat(length)), format!("{shown}…"));
            }
        }
    }
}
