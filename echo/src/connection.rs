//! The client's side of a connection.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::{io, thread};

use anyhow::{Context, Error, Result, anyhow, bail};

use crate::read_line;

/// The longest line that a server says, in bytes.
const LONGEST_REPLY: usize = 4096;

/// A client's connection to a server.
///
/// Sending goes on in a thread of its own, so that whoever reads learns at once that the
/// server is gone, and so that neither end waits for the other to read.
#[derive(Debug)]
pub struct Connection {
    replies: BufReader<TcpStream>,
    sent: Option<Receiver<Result<()>>>,
}

impl Connection {
    /// Connects to the server of `exercise` at `addr`.
    ///
    /// # Errors
    ///
    /// When `addr` names no host, nobody listens there, or no answer comes for as long as
    /// the kernel tries: on Linux about two minutes.
    pub fn open(addr: &str, exercise: &str) -> Result<Self> {
        let stream = TcpStream::connect(addr).map_err(|error| {
            anyhow!(
                "cannot connect to {addr}: {error}\n\
                 start the server with: cargo run -p {exercise} --bin server -- --addr {addr}"
            )
        })?;
        stream.set_nodelay(true)?;
        Ok(Self { replies: BufReader::new(stream), sent: None })
    }

    /// Sends all of `input`, then shuts down the sending side.
    ///
    /// # Errors
    ///
    /// When there is no thread or no file descriptor to be had. An error of `input` ends the
    /// sending, and is returned in place of the replies to come.
    pub fn send(&mut self, mut input: impl Read + Send + 'static) -> Result<()> {
        self.send_with(move |sender| {
            // Not `io::copy`: from a pipe it splices, and a splice that waits for the server
            // holds the pipe's lock, on which the pipe's writer then waits, too.
            let mut buffer = vec![0; 64 * 1024];
            loop {
                match input.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(length) => sender.send(&buffer[..length])?,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error).context("cannot read the input"),
                }
            }
        })
    }

    /// Has `work` send, then shuts down the sending side.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    pub fn send_with(
        &mut self,
        work: impl FnOnce(&Sender) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let sender = Sender(self.replies.get_ref().try_clone()?);
        let (done, sent) = mpsc::channel();
        self.sent = Some(sent);
        thread::Builder::new().name("sender".to_owned()).spawn(move || {
            let outcome = work(&sender);
            // After an error, the end comes from this side: nothing is left to ask the server.
            let how = if outcome.is_ok() { Shutdown::Write } else { Shutdown::Read };
            // Told first, for the shutdown is what makes the replies end.
            let _ = done.send(outcome);
            let _ = sender.0.shutdown(how);
        })?;
        Ok(())
    }

    /// Waits for bytes from the server, and returns how many came; 0 is the end.
    ///
    /// # Errors
    ///
    /// When the server closes the connection before everything was sent, or resets it.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self.replies.read(buffer) {
            Ok(0) => self.end().map(|()| 0),
            Ok(length) => Ok(length),
            Err(_) => Err(closed()),
        }
    }

    /// Waits for a line from the server; `None` is the end.
    ///
    /// # Errors
    ///
    /// As [`Connection::receive`], and when the line is longer than 4 KiB.
    pub fn line(&mut self) -> Result<Option<String>> {
        match read_line(&mut self.replies, LONGEST_REPLY) {
            Ok(Some(line)) => Ok(Some(line)),
            Ok(None) => self.end().map(|()| None),
            Err(error) if error.is::<io::Error>() => Err(closed()),
            Err(error) => Err(error.context("the server sent something other than a reply")),
        }
    }

    /// Waits for a line that is not an error.
    ///
    /// # Errors
    ///
    /// As [`Connection::line`], and with the server's own words when the line begins with
    /// `error:`.
    pub fn reply(&mut self) -> Result<Option<String>> {
        let line = self.line()?;
        match line.as_deref().and_then(|line| line.strip_prefix("error:")) {
            Some(reason) => bail!("{}", reason.trim_start()),
            None => Ok(line),
        }
    }

    /// What the end of the stream means: success, once everything was sent.
    fn end(&self) -> Result<()> {
        match self.sent.as_ref().map(Receiver::try_recv) {
            Some(Ok(outcome)) => outcome,
            _ => Err(closed()),
        }
    }
}

/// The sending side of a [`Connection`].
#[derive(Debug)]
pub struct Sender(TcpStream);

impl Sender {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    ///
    /// When the server has closed the connection.
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        (&self.0).write_all(bytes).map_err(|_| closed())
    }
}

/// What a client says of a server that left before the end.
pub fn closed() -> Error {
    anyhow!("the server closed the connection")
}
