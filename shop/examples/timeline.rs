//! Draws who waited for the shop's lock and who held it, from the server's log.
//!
//! ```text
//! cargo run -p shop --bin server | tee log.txt
//! cargo run -p shop --example timeline < log.txt
//! ```

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use echo::cli;

/// The most columns of the picture.
const WIDTH: usize = 80;

/// The most bytes of a line that are read at once: no line of a log is longer, in UTF-16 either.
const LONGEST_LINE: u64 = 4096;

/// The most waits and holds of a log.
const MAX_SPANS: usize = 100_000;

const WAITS: char = '·';
const READS: char = '▒';
const WRITES: char = '█';
const HOLDS_AND_WAITS: char = '#';
const LEGEND: &str = "· waits   ▒ reads   █ writes   ? checks   ! changes";

/// What a client did for a while, in seconds of the log.
struct Span {
    client: u64,
    start: f64,
    /// Infinite until it ends.
    end: f64,
    glyph: char,
    has_checked: bool,
    has_changed: bool,
}

fn is_wait(span: &Span) -> bool {
    [WAITS, HOLDS_AND_WAITS].contains(&span.glyph)
}

/// What a log says of the lock.
#[derive(Default)]
struct Story {
    spans: Vec<Span>,
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
/// # Errors
///
/// When the log cannot be read or is too long, or has no wait and no hold.
pub fn draw(log: impl BufRead) -> Result<String> {
    let Story { mut spans, last, dropped } = read(log).context("cannot read the log")?;
    let label = spans.iter().map(|span| format!("client {}   ", span.client).len()).max();
    let label = label.context("no lock in this log: expected a shop server's log")?;
    let columns = WIDTH - label;
    let first = spans.iter().map(|span| span.start).fold(f64::INFINITY, f64::min);
    #[expect(clippy::cast_precision_loss, reason = "there are few columns")]
    let seconds = ((last - first) / columns as f64).max(1e-9);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small")]
    let column = |time: f64| (((time - first) / seconds) as usize).min(columns);

    let mut rows = BTreeMap::new();
    // What sorts later is drawn on top: a hold over a wait that has ended.
    spans.sort_by_key(|span| {
        (span.end.is_infinite(), span.glyph != WAITS, span.glyph == HOLDS_AND_WAITS)
    });
    for span in &spans {
        let row = rows.entry(span.client).or_insert_with(|| vec![' '; columns]);
        let start = column(span.start).min(columns - 1);
        if is_wait(span) && span.end - span.start < seconds {
            continue;
        }
        // It has at least one column; the column in which it ends is the next hold's.
        let end = column(span.end).max(start + 1);
        row[start..end].fill(span.glyph);
        if span.has_checked {
            row[start] = '?';
        }
        if span.has_changed {
            row[end - 1] = '!';
        }
    }

    let mut picture = String::new();
    for (client, row) in rows {
        let (name, row) = (format!("client {client}"), String::from_iter(row));
        picture += &format!("{name:label$}{}\n", row.trim_end());
    }
    let (first, last) = (format!("{first:.1}"), format!("{last:.1} s"));
    let rest = columns - first.len();
    picture += &format!("{:label$}{first}{last:>rest$}\n{:label$}{LEGEND}\n", "", "");
    if picture.contains(HOLDS_AND_WAITS) {
        picture += &format!("{:label$}{HOLDS_AND_WAITS} holds the lock and waits for it\n", "");
    }
    if dropped > 0 {
        picture += &format!("lines dropped from this log, and so from this picture: {dropped}\n");
    }
    Ok(picture)
}

/// Reads what the log tells of the lock.
fn read(mut log: impl BufRead) -> Result<Story> {
    let (mut story, mut count) = (Story::default(), 0);
    // What each client does: what began last ends first.
    let mut open: BTreeMap<u64, Vec<Span>> = BTreeMap::new();
    loop {
        let mut line = Vec::new();
        if log.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        line.retain(|byte| *byte != 0); // So the ASCII in UTF-16 reads as such.
        let line = String::from_utf8_lossy(&line);
        let Some((time, client, event)) = parse(line.trim_end()) else { continue };
        story.last = story.last.max(time);
        let mut begin = |glyph| {
            count += 1;
            let (start, end) = (time, f64::INFINITY);
            Span { client, start, end, glyph, has_checked: false, has_changed: false }
        };
        let mut ended = None;
        match event {
            "waits for the read lock" | "waits for the write lock" => {
                let spans = open.entry(client).or_default();
                let is_idle = spans.iter().all(is_wait);
                spans.push(begin(if is_idle { WAITS } else { HOLDS_AND_WAITS }));
            }
            "has the read lock" | "has the write lock" => {
                let spans = open.entry(client).or_default();
                ended = if spans.last().is_some_and(is_wait) { spans.pop() } else { None };
                spans.push(begin(if event.contains("read") { READS } else { WRITES }));
            }
            "releases the read lock" | "releases the write lock" => {
                ended = open.get_mut(&client).and_then(Vec::pop);
            }
            _ => {
                let dropped = event.strip_prefix("lines dropped: ");
                let dropped = dropped.and_then(|count| count.parse::<u32>().ok());
                story.dropped += u64::from(dropped.unwrap_or(0));
                let span = open.get_mut(&client).and_then(|spans| spans.last_mut());
                if let Some(Span { has_checked, has_changed, .. }) = span {
                    *has_checked |= event.starts_with("checked: ");
                    *has_changed |= event.starts_with("changed: ");
                }
            }
        }
        story.spans.extend(ended.map(|span| Span { end: time, ..span }));
        ensure!(count <= MAX_SPANS, "more than {MAX_SPANS} waits and holds");
    }
    story.spans.extend(open.into_values().flatten());
    Ok(story)
}

/// The time, the client's number and the event of `[    3.141] client 1: disconnected`, perhaps
/// after a byte-order mark; the number is 0 where there is no client.
fn parse(line: &str) -> Option<(f64, u64, &str)> {
    let (time, event) = line.split_once('[')?.1.split_once("] ")?;
    let time = time.trim().parse().ok().filter(|time| (0.0..1e9).contains(time))?;
    let Some(client) = event.strip_prefix("client ") else { return Some((time, 0, event)) };
    let (client, event) = client.split_once(": ")?;
    Some((time, client.parse().ok()?, event))
}
