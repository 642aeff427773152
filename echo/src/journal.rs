//! What happens, one event a line, on standard output.

use std::fmt::{Display, Write as _};
use std::io::{self, ErrorKind, Write as _};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of journal that wait while standard output takes nothing; more is left out.
const CAPACITY: usize = 256 * 1024;

/// Of these, what is kept for milestones.
const RESERVE: usize = CAPACITY / 2;

/// The rest after each write, in which lines gather: to be woken for every line of a busy
/// server would take a tenth of its speed.
const BREATH: Duration = Duration::from_millis(1);

/// The wait before a standard output that does not block, and is full, is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// The server's journal.
///
/// A line is one event, begun with the seconds since the journal was opened:
/// `[    3.141] client 1: disconnected`.
///
/// Nobody waits for standard output except the journal's own thread, which writes each
/// line at once, or with others a millisecond later. While standard output takes nothing (a full pipe whose reader
/// is stopped, a terminal after Ctrl-S), up to 256 KiB of lines wait, half of them for
/// milestones alone; later ones are left out, and a line says how many. What a closed
/// standard output or a full disk refuses is gone, and the server goes on.
#[derive(Clone, Debug)]
pub struct Journal {
    opened: Instant,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

/// What has happened and is not yet written.
#[derive(Debug, Default)]
struct Waiting {
    lines: String,
    left_out: u64,
}

impl Journal {
    /// Opens the journal and starts its thread.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub fn open() -> io::Result<Self> {
        let journal = Self { opened: Instant::now(), shared: Arc::default() };
        let writer = journal.clone();
        thread::Builder::new().name("journal".to_owned()).spawn(move || writer.write())?;
        Ok(journal)
    }

    /// Journals an event, at once and without waiting for standard output.
    pub fn log(&self, event: impl Display) {
        self.log_within(CAPACITY - RESERVE, &event.to_string());
    }

    /// Journals an opening or an ending, which all the chatter between leaves room for.
    pub fn log_milestone(&self, event: impl Display) {
        self.log_within(CAPACITY, &event.to_string());
    }

    fn log_within(&self, capacity: usize, event: &str) {
        let mut waiting = self.lock();
        if waiting.lines.len() >= capacity {
            waiting.left_out += 1;
            return;
        }
        let is_first = waiting.lines.is_empty();
        self.write_line(&mut waiting.lines, event);
        drop(waiting);
        if is_first {
            self.shared.filled.notify_one();
        }
    }

    /// Writes what is waiting, for ever.
    fn write(&self) {
        let mut lines = String::new();
        loop {
            let mut waiting = self
                .shared
                .filled
                .wait_while(self.lock(), |waiting| waiting.lines.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            mem::swap(&mut lines, &mut waiting.lines);
            let left_out = mem::take(&mut waiting.left_out);
            drop(waiting);

            if left_out > 0 {
                let event = format!("{left_out} lines left out: standard output was full");
                self.write_line(&mut lines, &event);
            }
            write_out(lines.as_bytes());
            lines.clear();
            thread::sleep(BREATH);
        }
    }

    fn write_line(&self, lines: &mut String, event: &str) {
        let seconds = self.opened.elapsed().as_secs_f64();
        writeln!(lines, "[{seconds:9.3}] {event}").expect("a string takes every line");
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes to standard output, also to one that does not block. An error needs no report:
/// whoever closed standard output does not want to read.
fn write_out(mut lines: &[u8]) {
    let mut output = io::stdout().lock();
    loop {
        let written = output.write(lines).and_then(|length| {
            lines = &lines[length..];
            output.flush()
        });
        match written {
            Ok(()) if lines.is_empty() => return,
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(_) => return,
        }
    }
}
