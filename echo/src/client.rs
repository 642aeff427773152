//! The client's side: connecting, sending and receiving at once.

use std::error::Error;
use std::fmt;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::cli;
use crate::lines::read_line;
use crate::preview::{Preview, printable};

/// The longest line that a server may send, in bytes.
const LONGEST_REPLY: usize = 4096;

/// How long to wait for the sender to finish, once the server has closed.
const LAST_SEND: Duration = Duration::from_millis(250);

/// A client's connection to a server.
///
/// Sending goes on in a thread of its own, so that the reader learns at once that the server is
/// gone, and so that neither end waits for the other to read. Nothing has a timeout: if the
/// server's machine vanishes, the client waits until the kernel gives up, or its user does.
#[derive(Debug)]
pub struct Client {
    replies: BufReader<TcpStream>,
    /// Bytes sent, counted just before they are.
    sent: Arc<AtomicU64>,
    /// How the sending ends; `None` before it, and after success.
    sending: Option<Receiver<Result<()>>>,
    /// What ended the connection after that, if it was a reset.
    reset: Option<io::Error>,
}

impl Client {
    /// Connects to the server of `exercise` at `addr`, and says so on standard error.
    ///
    /// # Errors
    ///
    /// When `addr` names no host, nobody listens there, or no answer comes for as long as
    /// the kernel tries: on Linux about two minutes.
    pub fn connect(exercise: &str, addr: &str) -> Result<Self> {
        let stream = TcpStream::connect(addr).map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::ConnectionRefused => {
                    let server = cli::command(exercise, "server");
                    format!("\nstart the server with: {server} -- --addr {addr}")
                }
                ErrorKind::InvalidInput => {
                    "\nexpected HOST:PORT, such as 127.0.0.1:7001".to_owned()
                }
                _ => String::new(),
            };
            anyhow!("cannot connect to {addr}: {error}{hint}")
        })?;
        // On macOS these fail when the server has already gone; the first read reports that.
        let _ = stream.set_nodelay(true);
        if let (Ok(server), Ok(own)) = (stream.peer_addr(), stream.local_addr()) {
            cli::notice(format_args!("connected to {server} as {own}\n"));
        }
        let (replies, sent) = (BufReader::new(stream), Arc::default());
        Ok(Self { replies, sent, sending: None, reset: None })
    }

    /// Sends all of `input`, then shuts down the sending side.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started. An error of `input` ends the sending; it is returned
    /// where the replies end.
    pub fn send(&mut self, mut input: impl Read + Send + 'static) -> Result<()> {
        self.send_with(move |sender| {
            // Not `io::copy`: from a pipe to a socket it calls `splice` on Linux, which holds the
            // pipe's lock while it waits for the server, and so blocks the pipe's writer.
            let mut buffer = vec![0; 64 * 1024];
            loop {
                match input.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(length) => sender.send(&buffer[..length])?,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error).context("cannot read the input"),
                }
            }
        })
    }

    /// Has `work` send, then shuts down the sending side.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    pub fn send_with(
        &mut self,
        work: impl FnOnce(&Sender) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let stream = self.replies.get_ref().try_clone()?;
        let sender = Sender { stream, sent: Arc::clone(&self.sent) };
        let (done, sending) = mpsc::channel();
        self.sending = Some(sending);
        thread::Builder::new().name("sender".to_owned()).spawn(move || {
            let _ = done.send(work(&sender));
            let _ = sender.stream.shutdown(Shutdown::Write);
        })?;
        Ok(())
    }

    /// How many bytes were sent so far, including a send in progress.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Waits for bytes from the server, and returns how many came; 0 is the end.
    ///
    /// A reset is the end, too, when everything was sent: a server that closes before it has
    /// read the last of it resets the connection.
    ///
    /// # Errors
    ///
    /// When the connection ends before everything was sent.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self.replies.read(buffer) {
            Ok(length) if length > 0 => Ok(length),
            end => self.end(end.err()).map(|()| 0),
        }
    }

    /// Waits for a line from the server; `None` is the end.
    ///
    /// # Errors
    ///
    /// As [`Client::receive`], when the stream ends in the middle of the line, and when the line
    /// is longer than 4 KiB.
    pub fn line(&mut self) -> Result<Option<String>> {
        let line = read_line(&mut self.replies, LONGEST_REPLY);
        match line.map_err(anyhow::Error::downcast::<io::Error>) {
            Ok(Some(line)) => Ok(Some(line)),
            Ok(None) => self.end(None).map(|()| None),
            Err(Ok(error)) => self.end(Some(error)).map(|()| None),
            Err(Err(error)) => Err(error.context("invalid reply")),
        }
    }

    /// Waits for a line that is not an error; `None` is the end.
    ///
    /// # Errors
    ///
    /// As [`Client::line`], and with the server's own words when the line begins with
    /// `error:`.
    pub fn reply(&mut self) -> Result<Option<String>> {
        let line = self.line()?;
        let Some(reason) = line.as_deref().and_then(|line| line.strip_prefix("error:")) else {
            return Ok(line);
        };
        // If the input could not be read, that is the cause: the server's error about what was
        // cut only follows from it.
        match self.sending.as_ref().map(Receiver::try_recv) {
            Some(Ok(Err(cause))) if !cause.is::<Closed>() => Err(cause),
            _ => Err(anyhow!(printable(reason.trim_start()))),
        }
    }

    /// Waits for a line that is neither an error nor the end.
    ///
    /// # Errors
    ///
    /// As [`Client::reply`], and when the server closes the connection.
    pub fn expect_reply(&mut self) -> Result<String> {
        Ok(self.reply()?.ok_or_else(|| Closed(self.reset.take()))?)
    }

    /// What the end of the stream, or an `error` of it, means: success, if everything was sent.
    ///
    /// A server that answers and closes at once may be faster than the sender, which has yet to
    /// see the end of its input.
    fn end(&mut self, error: Option<io::Error>) -> Result<()> {
        let is_reset = |error: &io::Error| {
            [ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted].contains(&error.kind())
        };
        let sent = self.sending.as_ref().map(|sending| sending.recv_timeout(LAST_SEND));
        match sent {
            Some(Ok(Err(cause))) if !cause.is::<Closed>() => Err(cause),
            Some(Ok(Ok(()))) if error.as_ref().is_none_or(is_reset) => {
                (self.sending, self.reset) = (None, error);
                Ok(())
            }
            None if error.is_none() => Ok(()), // Nothing is left to send.
            _ => Err(Closed(error).into()),
        }
    }
}

/// The sending side of a [`Client`].
#[derive(Debug)]
pub struct Sender {
    stream: TcpStream,
    sent: Arc<AtomicU64>,
}

impl Sender {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    ///
    /// When the server has closed the connection.
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> Result<(), Closed> {
        let bytes = bytes.as_ref();
        self.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        (&self.stream).write_all(bytes).map_err(|error| Closed(Some(error)))
    }
}

/// The server closed the connection before the conversation was over, and the system's
/// reason, if there is one.
#[derive(Debug)]
pub struct Closed(Option<io::Error>);

impl fmt::Display for Closed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the server closed the connection")?;
        match &self.0 {
            Some(reason) => write!(formatter, ": {reason}"),
            None => Ok(()),
        }
    }
}

impl Error for Closed {}

/// The error for a line other than the `expected` reply.
pub fn unexpected(line: &str, expected: &str) -> anyhow::Error {
    anyhow!("the server sent {}: expected {expected}", Preview(line))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_end_stays_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let mut client = Client::connect("echo", &addr).unwrap();
        client.send(io::empty()).unwrap();
        drop(listener.accept().unwrap());
        for _ in 0..3 {
            assert_eq!(client.line().unwrap(), None);
        }
    }
}
