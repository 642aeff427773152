//! One client, as the server's thread for it sees it.

use std::fmt::Display;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Journal;

/// How long a dismissed client may take to read its last line.
const LINGER: Duration = Duration::from_secs(1);

/// A client of the server: its number, its stream, its lines in the journal.
///
/// Read and write through `&Client`. A read that gets nothing and a write that gets rid of
/// nothing for the server's `--timeout`, or about an eighth longer, fail with
/// [`ErrorKind::TimedOut`].
#[derive(Debug)]
pub struct Client {
    number: u64,
    stream: TcpStream,
    timeout: Duration,
    journal: Journal,
}

impl Client {
    pub(crate) fn new(number: u64, stream: TcpStream, timeout: Duration, journal: Journal) -> Self {
        Self { number, stream, timeout, journal }
    }

    /// Sets up the stream for a conversation.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        // A reply is written whole, so there is nothing to gather (Nagle) it with.
        self.stream.set_nodelay(true)?;
        if !self.timeout.is_zero() {
            // In eighths, which `wait` adds up: a write that ends in mid-buffer, and a wait
            // that a signal cut, have waited for they cannot tell how long.
            let eighth = (self.timeout / 8).max(Duration::from_micros(1));
            self.stream.set_read_timeout(Some(eighth))?;
            self.stream.set_write_timeout(Some(eighth))?;
        }
        Ok(())
    }

    /// The stream itself, for one who reads by a clock of their own.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Journals what this client does, or what is done for it.
    pub fn log(&self, event: impl Display) {
        self.journal.log(format_args!("client {}: {event}", self.number));
    }

    /// Journals that this client has come or gone.
    pub(crate) fn log_milestone(&self, event: impl Display) {
        self.journal.log_milestone(format_args!("client {}: {event}", self.number));
    }

    /// Sends `text` and a line end in one write, hence one segment where it fits.
    ///
    /// # Errors
    ///
    /// When the connection is gone, or the client took nothing for the server's `--timeout`.
    pub fn say(&self, text: impl Display) -> io::Result<()> {
        let mut client = self;
        client.write_all(format!("{text}\n").as_bytes())
    }

    /// Says why this client is dismissed, as its last line; waits for at most [`LINGER`],
    /// and on a new connection, whose buffer is empty, not at all.
    pub(crate) fn say_last(&self, reason: &str) {
        let _ = self.stream.set_write_timeout(Some(LINGER));
        let _ = (&self.stream).write_all(format!("error: {reason}\n").as_bytes());
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads away what a dismissed client still sends, until it closes, for at most [`LINGER`].
    ///
    /// To close with unread input is to reset the connection, and a reset may overtake the
    /// last line.
    pub(crate) fn linger(&self, _place: Arc<()>) {
        let end = Instant::now() + LINGER;
        let mut discarded = [0; 4096];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.stream.set_read_timeout(Some(left)).is_err() {
                return; // No time is left, for a timeout of zero is an error.
            }
            match (&self.stream).read(&mut discarded) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Attempts to read or write until it succeeds, fails, or the server's `--timeout` is over.
    fn wait<T>(&self, what: &str, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let began = Instant::now();
        loop {
            match attempt() {
                Err(error) if is_to_retry(&error) => {}
                result => return result,
            }
            if !self.timeout.is_zero() && began.elapsed() >= self.timeout {
                let seconds = self.timeout.as_secs_f64();
                let reason = format!("timed out: {what} for {seconds} s");
                return Err(io::Error::new(ErrorKind::TimedOut, reason));
            }
        }
    }
}

impl Read for &Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait("nothing received", || (&self.stream).read(buffer))
    }
}

impl Write for &Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait("nothing taken", || (&self.stream).write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a read or a write that failed may succeed yet: its timeout was over (which kind
/// of error that is depends on the system), or a signal cut it, such as that which continues
/// a stopped server.
pub fn is_to_retry(error: &io::Error) -> bool {
    use ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock | Interrupted)
}
