//! Draws who waited for the shop's lock and who held it, from the server's log.
//!
//! ```text
//! cargo run -p shop --bin server | tee target/log
//! cargo run -p shop --example timeline < target/log
//! ```

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;

/// The most columns of the picture.
const WIDTH: usize = 80;

/// The most bytes of a line that are read at once: the pieces of a longer line are skipped,
/// as all lines are that say nothing of the lock.
const LONGEST_LINE: u64 = 1024;

const WAITS: char = '·';
const READS: char = '▒';
const WRITES: char = '█';
const LEGEND: &str = "· waits   ▒ reads   █ writes   ? checks   ! changes";

/// What a client did for a while, in seconds of the log.
struct Span {
    client: u64,
    start: f64,
    end: f64,
    glyph: char,
    has_checked: bool,
    has_changed: bool,
}

fn main() -> ExitCode {
    let input = io::stdin();
    let picture = if input.is_terminal() {
        Err("expected a shop server's log on standard input, such as < target/log".to_owned())
    } else {
        draw(input.lock())
    };
    match picture {
        Ok(picture) => {
            let _ = io::stdout().write_all(picture.as_bytes()); // Closed, it needs no more.
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Draws the timeline of a log: a row for each client, a time axis, and the legend.
///
/// # Errors
///
/// When the log cannot be read, or nobody waited for a lock in it.
pub fn draw(log: impl BufRead) -> Result<String, String> {
    let mut spans = read(log).map_err(|error| format!("cannot read the log: {error}"))?;
    let label = spans.iter().map(|span| format!("client {}   ", span.client).len()).max();
    let label = label.ok_or("no lock in this log: expected that of a shop server")?;
    let columns = WIDTH - label;
    let first = spans.iter().map(|span| span.start).fold(f64::INFINITY, f64::min);
    let last = spans.iter().map(|span| span.end).fold(0.0, f64::max);
    #[expect(clippy::cast_precision_loss, reason = "there are few columns")]
    let seconds = ((last - first) / columns as f64).max(1e-9);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small")]
    let column = |time: f64| (((time - first) / seconds) as usize).min(columns);

    let mut rows = BTreeMap::new();
    spans.sort_by_key(|span| span.glyph != WAITS); // Waits first: a hold is drawn over them.
    for span in &spans {
        let row = rows.entry(span.client).or_insert_with(|| vec![' '; columns]);
        let start = column(span.start).min(columns - 1);
        if span.glyph == WAITS {
            if span.end - span.start >= seconds {
                row[start..column(span.end)].fill(WAITS);
            }
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
    Ok(picture + &format!("{:label$}{first}{last:>rest$}\n{:label$}{LEGEND}\n", "", ""))
}

/// Reads what the log tells of the lock. What has not ended goes on to the last line.
fn read(mut log: impl BufRead) -> io::Result<Vec<Span>> {
    let (mut spans, mut open) = (Vec::new(), BTreeMap::new());
    let mut now = 0.0;
    loop {
        let mut line = Vec::new();
        if log.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let line = String::from_utf8_lossy(&line);
        let Some((time, client, event)) = parse(line.trim_end()) else { continue };
        now = f64::max(now, time);
        let glyph = match event {
            "waits for the read lock" | "waits for the write lock" => Some(WAITS),
            "has the read lock" => Some(READS),
            "has the write lock" => Some(WRITES),
            "releases the read lock" | "releases the write lock" => None,
            _ => {
                if let Some(Span { has_checked, has_changed, .. }) = open.get_mut(&client) {
                    *has_checked |= event.starts_with("checked: ");
                    *has_changed |= event.starts_with("changed: ");
                }
                continue;
            }
        };
        // Each of these events ends what the client did before.
        spans.extend(open.remove(&client).map(|span| Span { end: time, ..span }));
        if let Some(glyph) = glyph {
            let (start, end) = (time, time);
            let span = Span { client, start, end, glyph, has_checked: false, has_changed: false };
            open.insert(client, span);
        }
    }
    spans.extend(open.into_values().map(|span| Span { end: now, ..span }));
    Ok(spans)
}

/// The time, the client's number and the event of `[    3.141] client 1: disconnected`.
fn parse(line: &str) -> Option<(f64, u64, &str)> {
    let (time, rest) = line.strip_prefix('[')?.split_once("] client ")?;
    let (client, event) = rest.split_once(": ")?;
    let time = time.trim().parse().ok().filter(|time| (0.0..1e9).contains(time))?;
    Some((time, client.parse().ok()?, event))
}
