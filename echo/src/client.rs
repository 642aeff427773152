//! The client's side: connecting, sending and receiving at once.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::cli;
use crate::lines::{ERROR, text};
use crate::preview::{Preview, printable};
use crate::socket::is_timeout;

/// The longest line that a server may send, in bytes.
const LONGEST_REPLY: usize = 4096;

/// What counts as a silence; it ends a line where that is asked for.
const PAUSE: Duration = Duration::from_millis(250);

/// After so many such silences, two seconds in all, a client that has sent everything says what it
/// waits for.
const MAX_PAUSES: u32 = 8;

/// How long the end of the stream waits for the sender: a server that answers and closes at once
/// may be faster than the sender, which has yet to see that its input has ended.
const MAX_WAIT_FOR_SENDER: Duration = Duration::from_millis(250);

/// A client's connection to a server.
///
/// Sending goes on in a thread of its own, so that the reader learns at once that the server is
/// gone, and so that neither end waits for the other to read. No wait has a limit: if the server's
/// machine vanishes, the client waits until the kernel gives up, or its user does.
#[derive(Debug)]
pub struct Client {
    replies: BufReader<Replies>,
    sender: Arc<Sender>,
    sending: Sending,
    /// What it waits for, until it has said so.
    awaited: Option<&'static str>,
    /// Whether a silence ends a line, too.
    splits_at_pauses: bool,
    /// What ended the connection after everything was sent, if it was a reset.
    reset: Option<io::Error>,
}

/// How the sending has ended.
#[derive(Debug)]
enum Sending {
    /// It goes on, and its end will be reported here.
    Unfinished(Receiver<Sending>),
    /// Everything was sent, or there was nothing to send.
    Complete,
    /// The input could not be read.
    Failed(anyhow::Error),
    /// A send failed, for the server had closed the connection. If that was a reset, the system may
    /// have told this side alone, and the receiving side just the end of the stream.
    Closed(ServerError),
}

impl Client {
    /// Connects to the server of `exercise` at `addr`, and says so on standard error; fails when
    /// `addr` names no host, nobody listens there, or the kernel gives up.
    pub fn connect(exercise: &str, addr: &str) -> Result<Self> {
        cli::check_addr(exercise, addr).with_context(|| format!("cannot connect to {addr}"))?;
        let stream = TcpStream::connect(addr).map_err(|error| {
            let server = cli::command(exercise, "server");
            let hint = match error.kind() {
                ErrorKind::ConnectionRefused => {
                    // To zsh, a bare `[::1]:7001` is a pattern.
                    let quote = if addr.starts_with('[') { "'" } else { "" };
                    format!("\nstart the server with: {server} -- --addr {quote}{addr}{quote}")
                }
                _ => String::new(),
            };
            anyhow!("cannot connect to {addr}: {error}{hint}")
        })?;
        let receiver = stream.try_clone().context("cannot receive")?;
        // On macOS these fail when the server has already gone; the first read reports that.
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(PAUSE));
        if let (Ok(server), Ok(own)) = (stream.peer_addr(), stream.local_addr()) {
            cli::notice(format_args!("connected to {server} as {own}\n"));
        }
        Ok(Self {
            replies: BufReader::with_capacity(64 * 1024, Replies(receiver)),
            sender: Arc::new(Sender { stream, sent: 0.into(), outstanding: 1.into() }),
            sending: Sending::Complete,
            awaited: None,
            splits_at_pauses: false,
            reset: None,
        })
    }

    /// What the end of the stream, or a read's `error`, means: success, if everything was sent.
    /// A reset is such an end, too: a server that closes before it has read the last of it resets
    /// the connection.
    fn end(&mut self, error: Option<io::Error>) -> Result<()> {
        let is_reset = |error: &io::Error| {
            [ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted].contains(&error.kind())
        };
        match self.wait_for_sender(MAX_WAIT_FOR_SENDER) {
            Sending::Complete if error.as_ref().is_none_or(is_reset) => {
                self.reset = error;
                Ok(())
            }
            Sending::Failed(cause) => Err(anyhow!("{cause:#}")),
            Sending::Closed(reason) if error.is_none() => Err(reason.clone().into()),
            _ => Err(closed(error).into()),
        }
    }

    fn wait_for_sender(&mut self, time: Duration) -> &Sending {
        if let Sending::Unfinished(report) = &self.sending {
            if let Ok(sending) = report.recv_timeout(time) {
                self.sending = sending;
            }
        }
        &self.sending
    }

    /// Names what the client waits for. It says so once, after two seconds of silence since
    /// everything was sent.
    pub fn set_awaited(&mut self, what: &'static str) {
        self.awaited = Some(what);
    }

    /// Sends all of `input` on a thread of its own. The sending ends when every byte is settled;
    /// [`Client::receive`] settles as many as it receives. Whatever receives returns an error of
    /// `input`.
    pub fn send(&mut self, input: impl Read + Send + 'static) -> Result<()> {
        self.send_with(move |sender| sender.send_all(input))
    }

    /// As [`Client::send`], with `work` that sends.
    pub fn send_with(
        &mut self,
        work: impl FnOnce(&Sender) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let (report, reports) = mpsc::channel();
        self.sending = Sending::Unfinished(reports);
        let sender = Arc::clone(&self.sender);
        let thread = thread::Builder::new().spawn(move || {
            let _ = report.send(match work(&sender) {
                Ok(()) => Sending::Complete,
                Err(error) => error.downcast().map_or_else(Sending::Failed, Sending::Closed),
            });
            sender.settle(1);
        });
        thread.map(drop).context("cannot start a thread for sending")
    }

    /// How many bytes were sent so far, including a send in progress.
    pub fn sent(&self) -> u64 {
        self.sender.sent.load(Ordering::SeqCst)
    }

    fn tell_what_is_awaited(&mut self) {
        if let Some(what) = self.awaited.take() {
            cli::notice(format_args!("waiting for {what}\n"));
        }
    }

    /// Waits for bytes from the server; `false` is the end, or a silence of two seconds when nothing
    /// is outstanding. In any other silence of two seconds, says once what it waits for.
    fn wait(&mut self, on_silence: fn(&Sender)) -> Result<bool> {
        let mut pauses = 0; // Since everything was sent.
        loop {
            match self.replies.fill_buf().map(<[u8]>::len) {
                Ok(length) if length > 0 => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => match self.wait_for_sender(Duration::ZERO) {
                    Sending::Unfinished(_) => {}
                    Sending::Complete if pauses < MAX_PAUSES => pauses += 1,
                    Sending::Complete => {
                        if self.sender.outstanding.load(Ordering::SeqCst) == 0 {
                            return Ok(false);
                        }
                        self.tell_what_is_awaited();
                        on_silence(&self.sender);
                    }
                    Sending::Failed(_) | Sending::Closed(_) => {
                        return self.end(None).map(|()| false);
                    }
                },
                end => return self.end(end.err()).map(|()| false),
            }
        }
    }

    /// Waits for bytes from the server, and returns how many came, which settles as many; 0 is the
    /// end. If more is outstanding after two seconds of silence, the sending ends: some servers
    /// answer only then. Fails when the connection ends before everything was sent.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if !self.wait(Sender::end_sending)? {
            return Ok(0);
        }
        let length = self.replies.read(buffer)?;
        self.sender.settle(length);
        Ok(length)
    }

    /// Lets a silence of 250 ms end a line, too, for answers that are apart in time. A line that a
    /// slow network cuts in two would then be two, so this is for short ones.
    pub fn split_at_pauses(&mut self) {
        self.splits_at_pauses = true;
    }

    /// Waits for a line that is not an error, and returns it without its end; `None` is the end of
    /// the stream, which may also end a line. Fails as [`Client::receive`] does, when the line is
    /// longer than 4 KiB, and with the server's own words when it begins with `error:`.
    pub fn line(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") && line.len() < LONGEST_REPLY + 2 {
            if line.is_empty() && !self.wait(|_| {})? {
                return Ok(None);
            }
            let room = LONGEST_REPLY + 2 - line.len();
            match self.replies.by_ref().take(room as u64).read_until(b'\n', &mut line) {
                Err(error) if !is_timeout(&error) => return Err(closed(Some(error)).into()),
                Err(_) if self.splits_at_pauses => break,
                Err(_) => self.tell_what_is_awaited(),
                // A line that ends with the stream is whole if the stream ended in order.
                Ok(0) => match self.wait_for_sender(MAX_WAIT_FOR_SENDER) {
                    Sending::Closed(reason) => return Err(reason.clone().into()),
                    _ => break,
                },
                Ok(_) => {}
            }
        }
        let line = text(&line, LONGEST_REPLY)
            .map_err(|error| ServerError::Broke(format!("invalid reply: {error}")))?;
        match line.trim().strip_prefix(ERROR) {
            Some(reason) => Err(ServerError::Said(printable(reason.trim_start())).into()),
            None => Ok(Some(line)),
        }
    }

    /// Waits for an answer, the first line that is neither an error nor blank, and returns it
    /// without the white space around it; `None` is the end. Fails as [`Client::line`] does.
    pub fn reply(&mut self) -> Result<Option<String>> {
        while let Some(line) = self.line()? {
            if !line.trim().is_empty() {
                return Ok(Some(line.trim().to_owned()));
            }
        }
        Ok(None)
    }

    /// Waits for an answer, as [`Client::reply`] does; the end of the stream is an error, too.
    pub fn expect_reply(&mut self) -> Result<String> {
        Ok(self.reply()?.ok_or_else(|| self.closed())?)
    }

    /// The error for a stream that ended before what was expected.
    pub fn closed(&mut self) -> ServerError {
        closed(self.reset.take())
    }
}

/// The receiving side of a [`Client`]. On Windows, a read that times out may lose what arrives at
/// that moment. A peek cannot, so that is what waits.
#[derive(Debug)]
struct Replies(TcpStream);

impl Read for Replies {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.peek(&mut [0]).and_then(|_| self.0.read(buffer))
    }
}

/// The sending side of a [`Client`].
#[derive(Debug)]
pub struct Sender {
    stream: TcpStream,
    /// Bytes sent, counted just before they are.
    sent: AtomicU64,
    /// Of these, the bytes that are not settled, and one more until all are sent.
    outstanding: AtomicU64,
}

impl Sender {
    /// Sends all of `bytes`; fails when the server has closed the connection.
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> Result<(), ServerError> {
        let bytes = bytes.as_ref();
        self.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        self.outstanding.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        (&self.stream).write_all(bytes).map_err(|error| closed(Some(error)))
    }

    /// Sends all of `input`.
    pub fn send_all(&self, mut input: impl Read) -> Result<()> {
        // Not `io::copy`: from a pipe to a socket it calls `splice` on Linux, which holds the
        // pipe's lock while it waits for the server, and so blocks the pipe's writer.
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match input.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => self.send(&buffer[..length])?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot read the input"),
            }
        }
    }

    /// Ends the sending. Many forwarders, and some servers, then drop what is still to come back,
    /// so this is for when nothing more is awaited.
    pub fn end_sending(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Marks `length` of the bytes sent as settled: nothing more is awaited for them. Settling the
    /// last one ends the sending.
    pub fn settle(&self, length: usize) {
        let length = length as u64;
        if self.outstanding.fetch_sub(length, Ordering::SeqCst) == length {
            self.end_sending();
        }
    }
}

/// What a server did to a conversation.
#[derive(Clone, Debug)]
pub enum ServerError {
    /// It reported an error, in a line `error: REASON`.
    Said(String),
    /// It broke the conversation: it closed the connection early, or sent something other than
    /// was expected.
    Broke(String),
}

impl fmt::Display for ServerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Said(reason) | Self::Broke(reason)) = self;
        formatter.write_str(reason)
    }
}

impl Error for ServerError {}

/// The error for a connection that the server closed, with the system's reason, if there is one.
fn closed(reason: Option<io::Error>) -> ServerError {
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    ServerError::Broke(format!("the server closed the connection{reason}"))
}

/// The error for a line other than the `expected` reply.
pub fn unexpected(line: &str, expected: &str) -> ServerError {
    ServerError::Broke(format!("the server sent {}: expected {expected}", Preview(line)))
}
