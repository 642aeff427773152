//! Text from the peer, made safe to show.

use std::fmt;

/// How many characters of a text are shown.
const MAX_LENGTH: usize = 80;

/// Shows text or bytes in quotes, as the log does.
///
/// Line ends and other control characters are escaped, what is not UTF-8 becomes `�`, and
/// after 80 characters the rest becomes `…`.
#[derive(Debug)]
pub struct Preview<T>(pub T);

impl<T: AsRef<[u8]>> fmt::Display for Preview<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A character has at most 4 bytes; an 81st shows that the text goes on.
        let bytes = self.0.as_ref();
        let start = &bytes[..bytes.len().min(4 * (MAX_LENGTH + 1))];
        let text = String::from_utf8_lossy(start);
        let (shown, rest) = cut(&text);
        write!(formatter, "{shown:?}{rest}")
    }
}

/// Shows text without quotes, such as a server's error line: control characters are escaped,
/// and after 80 characters the rest becomes `…`.
pub fn printable(text: &str) -> String {
    let (shown, rest) = cut(text);
    let escaped = shown.escape_debug().to_string();
    // Without quotes around it, a quote or a backslash needs no escape.
    escaped.replace("\\\"", "\"").replace("\\'", "'").replace("\\\\", "\\") + rest
}

/// What is shown of `text`, and what stands for the rest.
fn cut(text: &str) -> (&str, &str) {
    match text.char_indices().nth(MAX_LENGTH) {
        None => (text, ""),
        Some((end, _)) => (&text[..end], "…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(text: impl AsRef<[u8]>) -> String {
        Preview(text).to_string()
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
        for text in [r#"l'été, "\u{1b}""#, r#"\"\\"\\\"#, "l'e\u{301}te\u{301}"] {
            assert_eq!(printable(text), text);
        }
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
