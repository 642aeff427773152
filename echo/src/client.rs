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
/// Read and write through `&Client`. Each read waits for at most the server's `--timeout`,
/// and so does each write that makes no progress; then they fail with
/// [`ErrorKind::TimedOut`]. The kernel counts long waits coarsely: up to an eighth late.
#[derive(Debug)]
pub struct Client {
    number: u64,
    stream: TcpStream,
    timeout: Duration,
    journal: Journal,
}

impl Client {
    pub(crate) fn new(number: u64, stream: TcpStream, timeout: Duration, journal: Journal) -> Self {
        // These fail only on a connection that is gone, which the first read will find.
        let wait = (!timeout.is_zero()).then_some(timeout);
        let _ = stream.set_read_timeout(wait);
        // A write that ends in mid-buffer cannot tell when it last made progress, so it is
        // cut in eighths of the timeout, and `write` adds up those without any.
        let _ = stream.set_write_timeout(wait.map(|wait| wait / 8));
        // A reply is written whole, so there is nothing to gather (Nagle) it with.
        let _ = stream.set_nodelay(true);
        Self {
            number,
            stream,
            timeout,
            journal,
        }
    }

    /// The stream itself, for one who reads by a clock of their own.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Journals what this client does, or what is done for it.
    pub fn log(&self, event: impl Display) {
        self.journal
            .log(format_args!("client {}: {event}", self.number));
    }

    /// Sends `text` and a line end in one write, hence one segment where it fits.
    ///
    /// # Errors
    ///
    /// When the connection is gone, or the client took nothing for the server's `--timeout`.
    pub fn say(mut self: &Self, text: impl Display) -> io::Result<()> {
        self.write_all(format!("{text}\n").as_bytes())
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
        let left = || end.saturating_duration_since(Instant::now());
        while self.stream.set_read_timeout(Some(left())).is_ok() // A timeout of zero is not.
            && matches!((&self.stream).read(&mut discarded), Ok(1..))
        {}
    }

    fn timed_out(&self, what: &str) -> io::Error {
        let seconds = self.timeout.as_secs_f64();
        io::Error::new(
            ErrorKind::TimedOut,
            format!("timed out: {what} for {seconds} s"),
        )
    }
}

impl Read for &Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&self.stream).read(buffer) {
                Err(error) if is_interrupted(&error) => {}
                Err(error) if is_timeout(&error) => return Err(self.timed_out("nothing received")),
                result => return result,
            }
        }
    }
}

impl Write for &Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let began = Instant::now();
        loop {
            match (&self.stream).write(bytes) {
                Err(error) if is_interrupted(&error) => {}
                Err(error) if is_timeout(&error) => {
                    if began.elapsed() >= self.timeout {
                        return Err(self.timed_out("nothing taken"));
                    }
                }
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A signal came in between: a stopped server that is continued, for one.
fn is_interrupted(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Interrupted
}

/// A socket's timeout ran out; which of the two kinds it is depends on the system.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
