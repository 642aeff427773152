//! Draws who waited for the shop's lock and who held it, from the server's log.
//!
//! ```text
//! cargo run -p shop --bin server | tee log.txt
//! cargo run -p shop --example timeline < log.txt
//! ```

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal, Read};
use std::mem;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use echo::cli;

/// The most columns of the picture.
const WIDTH: usize = 80;

/// The most bytes of a line that are read at once: no line of a log is longer, in UTF-16 either.
const LONGEST_LINE: u64 = 4096;

/// The most events that a log may tell of the lock.
const MAX_EVENTS: usize = 100_000;

/// What a log tells of the lock.
#[derive(Default)]
struct Story {
    /// When, in seconds, which client does something, and its glyph; a space is a release.
    events: Vec<(f64, u32, char)>,
    last: f64,
    dropped: u64,
}

fn main() -> ExitCode {
    cli::run("shop", "timeline", || {
        let input = io::stdin();
        let expected = "expected a shop server's log on standard input, such as < log.txt";
        ensure!(!input.is_terminal(), expected);
        cli::print(draw(input.lock())?)
    })
}

/// Draws the timeline of a log: a row for each client, a time axis, and the legend.
///
/// Fails when the log cannot be read, is too long, or tells nothing of the lock.
pub fn draw(log: impl BufRead) -> Result<String> {
    let Story { events, last, dropped } = read(log).context("cannot read the log")?;
    let label = events.iter().map(|(_, client, _)| format!("client {client}   ").len()).max();
    let label = label.context("no lock in this log: expected a shop server's log")?;
    let columns = WIDTH - label;
    let first = events[0].0;
    #[expect(clippy::cast_precision_loss, reason = "there are few columns")]
    let scale = columns as f64 / (last - first).max(1e-9);

    let mut rows = BTreeMap::new();
    for (time, client, glyph) in events {
        let new = || Row { glyphs: vec![' '; columns], ..Row::default() };
        rows.entry(client).or_insert_with(new).paint((time - first) * scale, glyph);
    }

    let line = |name: &str, text: &str| format!("{name:label$}{}\n", text.trim_end());
    let mut picture = String::new();
    for (client, row) in rows {
        picture += &line(&format!("client {client}"), &String::from_iter(row.glyphs));
    }
    let (first, last) = (format!("{first:.1}"), format!("{last:.1} s"));
    picture += &line("", &format!("{first}{last:>0$}", columns - first.len()));
    picture += &line("", "· waits   ▒ reads   █ writes   ? checks   ! changes");
    if picture.contains('#') {
        picture += &line("", "# holds the lock and waits for it");
    }
    if dropped > 0 {
        picture += &format!("lines dropped from this log, and so from this picture: {dropped}\n");
    }
    Ok(picture)
}

/// A client's row of the picture.
#[derive(Default)]
struct Row {
    glyphs: Vec<char>,
    /// The glyphs of the holds that have not ended.
    holds: Vec<char>,
    /// The column after the one in which the last hold began: that one stays the hold's, however
    /// short it was.
    free: usize,
    /// The place of the last event.
    last: f64,
}

impl Row {
    /// Paints what the client does from `place` on, in columns, to the right end.
    fn paint(&mut self, place: f64, glyph: char) {
        let columns = self.glyphs.len();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small")]
        let column = |place: f64| (place as usize).min(columns);
        let start = column(place);
        let last = mem::replace(&mut self.last, place);
        // A wait of less than a column is not drawn, nor is what is left of a hold after a change.
        let end = column(if place - last < 1.0 { last } else { place }).max(self.free);
        if glyph == ' ' {
            self.holds.pop();
        }
        let held = *self.holds.last().unwrap_or(&' ');
        match glyph {
            ' ' => self.glyphs[end..].fill(held),
            '·' => {
                let glyph = if held == ' ' { '·' } else { '#' };
                self.glyphs[start.max(self.free).min(columns - 1)..].fill(glyph);
            }
            '▒' | '█' => {
                self.glyphs[end..].fill(held);
                self.holds.push(glyph);
                self.free = start.min(columns - 1) + 1;
                self.glyphs[self.free - 1..].fill(glyph);
            }
            _ if held == ' ' => {} // The log begins within the hold.
            '?' => self.glyphs[self.free - 1] = '?',
            _ => self.glyphs[start.max(self.free) - 1] = '!',
        }
    }
}

/// Reads what the log tells of the lock.
fn read(mut log: impl BufRead) -> Result<Story> {
    let mut story = Story::default();
    loop {
        let mut line = Vec::new();
        if log.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(story);
        }
        line.retain(|byte| *byte != 0); // So the ASCII in UTF-16 reads as such.
        let line = String::from_utf8_lossy(&line);
        let Some((time, subject, event)) = parse(line.trim_end()) else { continue };
        story.last = story.last.max(time);
        if subject == "lines dropped" {
            story.dropped += event.parse::<u32>().map_or(0, u64::from);
        }
        let client = subject.strip_prefix("client ").map(str::parse::<u32>);
        let Some(Ok(client)) = client else { continue };
        let glyph = match event {
            "waits for the read lock" | "waits for the write lock" => '·',
            "has the read lock" => '▒',
            "has the write lock" => '█',
            "releases the read lock" | "releases the write lock" => ' ',
            _ if event.starts_with("checked: ") => '?',
            _ if event.starts_with("changed: ") => '!',
            _ => continue,
        };
        ensure!(story.events.len() < MAX_EVENTS, "more than {MAX_EVENTS} events of the lock");
        story.events.push((time, client, glyph));
    }
}

/// The parts of `[    3.141] client 1: disconnected`, perhaps after a byte-order mark: the time,
/// of whom or what, and what.
fn parse(line: &str) -> Option<(f64, &str, &str)> {
    let (time, event) = line.split_once('[')?.1.split_once("] ")?;
    let time = time.trim().parse().ok().filter(|time| (0.0..1e9).contains(time))?;
    let (subject, event) = event.split_once(": ")?;
    Some((time, subject, event))
}
