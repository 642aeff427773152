//! The server's log: one line per event.

use std::fmt::{Display, Write as _};
use std::io::{self, BufWriter, Write};
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

/// How many lines may wait to be written.
const CAPACITY: usize = 4096;

/// The wait between two batches: waking the thread for every line would cost a busy server a
/// third of its speed.
const BATCH_INTERVAL: Duration = Duration::from_millis(10);

/// The server's log.
///
/// Each line is the time in seconds since the log was opened, then an event:
/// `[    3.141] client 1: disconnected`.
///
/// Logging never blocks: lines go through a bounded channel to one thread, which writes them in
/// batches, 10 ms apart. Up to 4096 lines wait for it. Lines that find the channel full, because
/// nobody reads the output or because too many come at once, are dropped, and a line says how
/// many. A closed output or a full disk loses its lines, and stops nobody.
///
/// The lines of the last 10 ms may be lost when the process is ended, by Ctrl-C for example: std
/// cannot handle signals.
#[derive(Clone, Debug)]
pub struct Log {
    opened: Instant,
    lines: SyncSender<String>,
    dropped: Arc<AtomicU64>,
}

impl Log {
    /// Opens the log, and starts the thread that writes it to `output`; fails when that cannot be
    /// started.
    pub fn open(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, receiver) = mpsc::sync_channel(CAPACITY);
        let log = Self { opened: Instant::now(), lines, dropped: Arc::default() };
        let (opened, dropped) = (log.opened, Arc::clone(&log.dropped));
        let thread = thread::Builder::new().name("log".to_owned());
        thread.spawn(move || write_batches(opened, &receiver, &dropped, output))?;
        Ok(log)
    }

    /// Logs an event.
    pub fn event(&self, event: impl Display) {
        if self.lines.try_send(line(self.opened, event)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn line(opened: Instant, event: impl Display) -> String {
    let time = opened.elapsed();
    let mut line = String::with_capacity(128); // Most lines fit.
    let _ = writeln!(line, "[{:5}.{:03}] {event}", time.as_secs(), time.subsec_millis());
    line
}

/// Writes the lines as they come, until the last [`Log`] is dropped.
fn write_batches(
    opened: Instant,
    lines: &Receiver<String>,
    dropped: &AtomicU64,
    output: impl Write,
) {
    let mut output = BufWriter::with_capacity(64 * 1024, output);
    while let Ok(first) = lines.recv() {
        // An error has nowhere to go: a closed or full output loses its lines.
        for line in iter::once(first).chain(lines.try_iter().take(CAPACITY)) {
            let _ = output.write_all(line.as_bytes());
        }
        let dropped = dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let event = format_args!("lines dropped: {dropped}");
            let _ = output.write_all(line(opened, event).as_bytes());
        }
        let _ = output.flush();
        thread::sleep(BATCH_INTERVAL);
    }
}
