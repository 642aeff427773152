//! The server's side of one connection.

use std::any::Any;
use std::fmt::Display;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::log::Log;
use crate::lines::ERROR;
use crate::socket::{is_timeout, without_waiting};

/// The longest lingering close.
const LINGER: Duration = Duration::from_secs(1);

/// The server's side of one connection: the client's number, its stream, its lines in the log.
///
/// Read and write through `&Session`. A read that receives nothing for `--timeout`, or a write
/// of which the client takes nothing for that long, fails with [`ErrorKind::TimedOut`]. A write
/// that times out halfway returns how much it sent, and the next one waits again: up to two
/// timeouts after the last byte moved.
#[derive(Debug)]
pub struct Session {
    number: u64,
    stream: TcpStream,
    timeout: Duration,
    log: Log,
}

impl Session {
    /// Sets the options of the stream. On macOS that fails when the client has already gone; the
    /// first read or write reports that, so it is no error here.
    pub(super) fn new(number: u64, stream: TcpStream, timeout: Duration, log: Log) -> Self {
        // Each reply is written whole: Nagle's algorithm could only delay it.
        let _ = stream.set_nodelay(true);
        let limit = (!timeout.is_zero()).then_some(timeout);
        let _ = stream.set_read_timeout(limit);
        let _ = stream.set_write_timeout(limit);
        Self { number, stream, timeout, log }
    }

    /// The stream itself, for a conversation that sets its own timeouts.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Logs an event of this client.
    pub fn log(&self, event: impl Display) {
        self.log.event(format_args!("client {}: {event}", self.number));
    }

    /// Sends `text` and a line end in one write, hence in one segment where it fits. Fails when the
    /// connection is gone, or the client takes nothing for `--timeout`.
    pub fn send_line(&self, text: impl Display) -> io::Result<()> {
        let mut session = self;
        session.write_all(format!("{text}\n").as_bytes())
    }

    /// Runs the conversation, then logs how it ended. The client is told of an error, too.
    pub(super) fn serve(&self, converse: impl Fn(&Self) -> Result<()>) {
        let result = panic::catch_unwind(AssertUnwindSafe(|| converse(self)))
            .unwrap_or_else(|panic| Err(anyhow!("panicked: {}", panic_message(&*panic))));
        match result {
            Ok(()) => self.log("disconnected"),
            Err(error) => {
                // The message of a panic may have several lines.
                let reason = format!("{error:#}").replace(['\n', '\r'], " ");
                self.log(format_args!("lost: {reason}"));
                self.send_error(&reason);
                self.drain();
            }
        }
    }

    /// Refuses the client, and tells it why. That never blocks the accept loop: the send buffer of a
    /// new connection is empty.
    pub(super) fn refuse(&self, reason: &anyhow::Error) {
        self.log(format_args!("refused: {reason:#}"));
        self.send_error(&format!("{reason:#}"));
    }

    /// Sends a last line, and shuts down the sending side.
    fn send_error(&self, reason: &str) {
        // The connection itself may be what failed: then there is nobody to tell.
        let _ = self.stream.set_write_timeout(Some(LINGER));
        let _ = self.send_line(format_args!("{ERROR} {reason}"));
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The lingering close: discards what the client still sends, until it closes, for a second
    /// at most.
    ///
    /// Closing with unread input resets the connection, and the reset may overtake the error
    /// line.
    pub(super) fn drain(&self) {
        let end = Instant::now() + LINGER;
        let left = || Some(end.saturating_duration_since(Instant::now()));
        let mut discarded = [0; 4096];
        // With no time left, the timeout would be zero, which cannot be set.
        while self.stream.set_read_timeout(left()).is_ok() {
            match (&self.stream).read(&mut discarded) {
                Ok(0) => return,
                Err(error) if error.kind() != ErrorKind::Interrupted => return,
                _ => {}
            }
        }
    }

    /// Reads or writes, again after an interruption; a timeout's error says `what`, and for how
    /// long.
    fn attempt(
        &self,
        what: &str,
        mut operation: impl FnMut() -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            match operation() {
                // A signal interrupted it, such as the one that continues a stopped server. The
                // client may have sent something meanwhile, so the wait starts again.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => {
                    let seconds = self.timeout.as_secs_f64();
                    let reason = format!("timed out: {what} for {seconds} s");
                    return Err(io::Error::new(ErrorKind::TimedOut, reason));
                }
                result => return result,
            }
        }
    }
}

impl Read for &Session {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.attempt("nothing received", || (&self.stream).read(buffer))
    }
}

impl Write for &Session {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stream = &self.stream;
        let written = self.attempt("nothing could be sent", || match stream.write(bytes) {
            // Linux wakes a blocked write only when a third of its buffer is free. If the client
            // has taken less meanwhile, there is room all the same. (On Windows, nobody knows how
            // much a write sent that timed out.)
            Err(error) if is_timeout(&error) && !cfg!(windows) => {
                without_waiting(stream, || stream.write(bytes))
            }
            result => result,
        });
        if written.is_err() {
            // Nothing may follow a reply that was cut: an error line would run into it.
            let _ = stream.shutdown(Shutdown::Write);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    match panic.downcast_ref::<String>() {
        Some(message) => message,
        None => panic.downcast_ref::<&str>().copied().unwrap_or("no message"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::thread;

    use anyhow::bail;

    use super::*;

    /// A session, and its client's side.
    fn session(timeout: Duration) -> (Session, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let log = Log::open(io::sink()).unwrap();
        (Session::new(1, stream, timeout, log), client)
    }

    #[test]
    fn after_an_error_a_client_that_goes_on_sending_is_left_after_a_second() {
        let (session, mut client) = session(Duration::from_secs(30));
        let sender = thread::spawn(move || {
            while client.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
        });
        let began = Instant::now();
        session.serve(|_| bail!("it broke the protocol"));
        let took = began.elapsed().as_secs_f64();
        drop(session);
        assert!((1.0..5.0).contains(&took), "{took} s");
        sender.join().unwrap();
    }

    /// The partial write has waited one timeout; the next waits one more, not two.
    #[test]
    fn a_client_that_takes_nothing_is_dropped_after_one_more_timeout() {
        let (session, mut client) = session(Duration::from_millis(500));
        let bytes = vec![b'x'; 1 << 20];
        let error = loop {
            let began = Instant::now();
            if let Err(error) = (&session).write(&bytes) {
                assert!(began.elapsed() < session.timeout * 7 / 4, "{:?}", began.elapsed());
                break error;
            }
        };
        assert_eq!(error.to_string(), "timed out: nothing could be sent for 0.5 s");
        session.send_error("this would join what was cut");
        drop(session);
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        assert!(!received.is_empty() && received.iter().all(|byte| *byte == b'x'));
    }

    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "elsewhere, a blocked write wakes sooner")]
    fn a_client_that_takes_a_little_within_the_timeout_is_kept() {
        let (session, mut client) = session(Duration::from_millis(350));
        let bytes = vec![b'x'; 1 << 20];
        let (full, is_full) = mpsc::channel();
        let _client = thread::spawn(move || {
            client.read_exact(&mut vec![0; 32 << 20]).unwrap(); // The buffers grow.
            is_full.recv().unwrap();
            client.read_exact(&mut vec![0; 640 << 10]).unwrap(); // Less than a third of them.
            client
        });
        (0..32).for_each(|_| (&session).write_all(&bytes).unwrap());
        while (&session.stream).write(&bytes).is_ok() {} // Until there is no room at all.
        full.send(()).unwrap();
        let began = Instant::now();
        assert!((&session).write(&bytes).unwrap() > 0);
        assert!(began.elapsed() >= session.timeout, "it did not block: {:?}", began.elapsed());
        // The socket still blocks: a client that now takes nothing has a whole timeout again.
        let began = Instant::now();
        while (&session).write(&bytes).is_ok() {}
        assert!(began.elapsed() >= session.timeout, "dropped after {:?}", began.elapsed());
    }
}
