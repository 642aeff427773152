//! How the checker talks to a server, and how a check ends.
//!
//! Nothing is known of how the server writes. A message is what came until the server was quiet
//! for a moment; a reply is all that came since something was asked.

use std::fmt::{self, Display};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::slice;
use std::thread;
use std::time::{Duration, Instant};

use echo::preview::Preview;

/// The longest wait for an answer; the shop's own delays come on top.
pub const ANSWER: Duration = Duration::from_secs(3);

/// The longest wait for the answer to a guess.
pub const GUESS: Duration = Duration::from_millis(400);

/// The longest wait for a server's first greeting.
const GREETING: Duration = Duration::from_secs(1);

/// A server that sends nothing for so long has said what it had to say.
const QUIET: Duration = Duration::from_millis(200);

/// A pause that separates two messages; longer than `QUIET`, so that the first is seen to end.
const PAUSE: Duration = Duration::from_millis(250);

/// A message that takes longer is taken as it is.
const MESSAGE: Duration = Duration::from_secs(1);

/// After this long, what is sent goes into a packet of its own.
const PACKET: Duration = Duration::from_millis(50);

/// The longest time that is spent on guesses; a server's own delays come on top.
pub const LEARN: Duration = Duration::from_secs(40);

/// The most outcomes of attempts that are told.
const MAX_TOLD: usize = 12;

/// The most bytes that are received on one connection.
const MAX_RECEIVED: usize = 128 * 1024;

/// The hint where one client gets nothing while others are connected.
pub const AT_ONCE: &str = "does each client have a thread, or a timer, of its own?";

/// One of the four exercises: what it asks, and what goes further.
pub trait Exercise: Sized + 'static {
    const ASKED: &'static [Check<Self>];
    const FURTHER: &'static [Check<Self>];
    /// What only a person can see.
    const BY_HAND: &'static str;

    /// How the server speaks, once that is known.
    fn speaks(&self) -> Option<String>;

    /// How much longer a run may take because of the server's own delays.
    fn own_delays(&self) -> Duration {
        Duration::ZERO
    }
}

/// A sentence that is true of a right server, and what tries it.
pub type Check<E> = (&'static str, fn(&mut E) -> Outcome);

pub type Outcome<T = ()> = Result<T, Stop>;

/// Why a check does not hold.
pub enum Stop {
    Failed(Failure),
    /// It would only repeat what another one has found.
    NotTried(String),
}

impl Stop {
    /// Tells first what came of earlier attempts, of which the last may have ended the server.
    pub fn after(mut self, attempts: &[Attempt], is_gone: bool) -> Self {
        if let Self::Failed(failure) = &mut self {
            failure.attempts.splice(0..0, attempts.iter().cloned());
            if is_gone && attempts.last().is_some_and(|last| last.is_over) {
                failure.hints = vec!["it ended when that was sent: start it again".to_owned()];
            }
        }
        self
    }

    /// Adds a hint, if it is true, to those that are there.
    pub fn and_hint(mut self, is_true: bool, hint: impl Into<String>) -> Self {
        if let (Self::Failed(failure), true) = (&mut self, is_true) {
            failure.hints.push(hint.into());
        }
        self
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

pub fn not_tried<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Stop::NotTried(reason.into()))
}

/// The check is not tried unless it `holds`.
pub fn need(holds: bool, reason: &str) -> Outcome {
    if holds { Ok(()) } else { not_tried(reason) }
}

/// Fails unless it `holds`.
pub fn ensure(holds: bool, failure: impl FnOnce() -> Failure) -> Outcome {
    if holds { Ok(()) } else { Err(failure().into()) }
}

/// What was sent, if anything, and what came of it, both as they are shown.
#[derive(Clone)]
pub struct Attempt {
    sent: Option<String>,
    pub got: String,
    /// Whether the server has closed.
    is_over: bool,
}

/// What a check found wrong.
pub struct Failure {
    expected: String,
    attempts: Vec<Attempt>,
    hints: Vec<String>,
}

impl Failure {
    pub fn new(expected: impl Display, got: impl Display) -> Self {
        let attempt = Attempt { sent: None, got: got.to_string(), is_over: false };
        Self::of_attempts(expected, vec![attempt])
    }

    pub fn of_attempts(expected: impl Display, attempts: Vec<Attempt>) -> Self {
        Self { expected: expected.to_string(), attempts, hints: Vec::new() }
    }

    /// Adds a hint if it is true, and none was before.
    pub fn hint(mut self, is_true: bool, hint: impl Into<String>) -> Self {
        if is_true && self.hints.is_empty() {
            self.hints.push(hint.into());
        }
        self
    }
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "    expected: {}", self.expected)?;
        // Attempts with the same outcome are told once.
        let mut told = Vec::<(&Attempt, usize)>::new();
        for attempt in &self.attempts {
            match told.iter_mut().find(|(first, _)| first.got == attempt.got) {
                Some((_, more)) => *more += 1,
                None => told.push((attempt, 0)),
            }
        }
        for (Attempt { sent, got, .. }, more) in told.iter().take(MAX_TOLD) {
            if let Some(sent) = sent {
                let others =
                    if *more > 0 { format!(", and for {more} more") } else { String::new() };
                writeln!(formatter, "        sent: {sent}{others}")?;
            }
            writeln!(formatter, "         got: {got}")?;
        }
        if told.len() > MAX_TOLD {
            writeln!(formatter, "         and {} more", told.len() - MAX_TOLD)?;
        }
        self.hints.iter().try_for_each(|hint| writeln!(formatter, "        hint: {hint}"))
    }
}

/// The server that is checked.
pub struct Target {
    addr: SocketAddr,
    /// The connection that showed that a server listens. The first check uses it, for one more
    /// client might hold a lock that the check needs.
    first: Option<(Instant, TcpStream)>,
    clients: u32,
    pub is_gone: bool,
    /// Whether it speaks first, once that is known.
    greets: Option<bool>,
}

impl Target {
    pub fn find(addr: &str) -> io::Result<Self> {
        let mut first = Err(ErrorKind::InvalidInput.into());
        for addr in addr.to_socket_addrs()? {
            first = first.or_else(|_: io::Error| connect_to(&addr));
        }
        let (asked, stream) = first?;
        let (addr, first) = (stream.peer_addr()?, Some((asked, stream)));
        Ok(Self { addr, first, clients: 0, is_gone: false, greets: None })
    }

    /// A new client.
    pub fn connect(&mut self) -> Outcome<Client> {
        need(!self.is_gone, "the server is gone")?;
        let connected = self.first.take().map_or_else(|| connect_to(&self.addr), Ok);
        let (asked, stream) = connected.map_err(|error| match error.kind() {
            ErrorKind::ConnectionRefused => {
                self.is_gone = true;
                let who = if self.clients == 1 { "the first client" } else { "a client" };
                let hint = format!("{who} has left, and the server with it");
                Failure::new("a connection", error).hint(true, hint).into()
            }
            ErrorKind::TimedOut => {
                let hint = "does it accept clients while others are connected?";
                Failure::new("a connection", error).hint(true, hint).into()
            }
            // The checker's own lack of descriptors, for example, says nothing of the server.
            _ => Stop::NotTried(format!("the checker cannot connect: {error}")),
        })?;
        self.clients += 1;
        let _ = stream.set_nodelay(true); // On macOS it fails when the server has closed.
        let (sent, messages, first_reply, end) = (Vec::new(), Vec::new(), 0, None);
        Ok(Client { stream, sent, unsent: 0, asked, messages, first_reply, end })
    }

    pub fn connect_all(&mut self, count: usize) -> Outcome<Vec<Client>> {
        (0..count).map(|_| self.connect()).collect()
    }

    /// A new client, once the server has greeted it, if it is one that greets.
    pub fn connect_greeted(&mut self) -> Outcome<Client> {
        let mut client = self.connect()?;
        let patience = match self.greets {
            None => GREETING,
            Some(true) => ANSWER,
            Some(false) => Duration::ZERO,
        };
        let is_greeted = !client.reply(patience).is_empty();
        self.greets.get_or_insert(is_greeted);
        Ok(client)
    }
}

/// Connects, and returns when it began to, so that no time is measured too short.
fn connect_to(addr: &SocketAddr) -> io::Result<(Instant, TcpStream)> {
    let asked = Instant::now();
    let stream = TcpStream::connect_timeout(addr, ANSWER)?;
    stream.set_nonblocking(true)?;
    Ok((asked, stream))
}

/// What came without a pause.
pub struct Message {
    pub began: Instant,
    pub last_byte: Instant,
    bytes: Vec<u8>,
}

impl Message {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A client, which remembers what it sent and what came. It sends and receives in [`wait`].
pub struct Client {
    stream: TcpStream,
    /// What it asked last, and how many bytes of that have yet to go out.
    sent: Vec<u8>,
    unsent: usize,
    /// When it last sent something or ended its sending; before that, when it began to connect.
    pub asked: Instant,
    messages: Vec<Message>,
    /// Which message is the first since something was asked.
    first_reply: usize,
    /// How the stream ended.
    pub end: Option<String>,
}

impl Client {
    /// Asks something: each of `parts` goes in a packet of its own.
    pub fn ask(&mut self, parts: &[impl AsRef<[u8]>]) {
        (self.sent, self.unsent) = (Vec::new(), 0);
        self.first_reply = self.messages.len();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.pause(PACKET);
            }
            self.sent.extend_from_slice(part.as_ref());
            self.unsent += part.as_ref().len();
            self.asked = Instant::now();
            self.send_and_receive();
        }
    }

    /// Shuts down the sending side.
    pub fn end_sending(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write); // If the server has closed, a read tells.
        self.asked = Instant::now();
    }

    fn send_and_receive(&mut self) {
        let is_wait = |error: &io::Error| {
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
        };
        while self.unsent > 0 {
            match self.stream.write(&self.sent[self.sent.len() - self.unsent..]) {
                Ok(length) => self.unsent -= length,
                Err(error) if is_wait(&error) => break,
                Err(_) => self.unsent = 0, // The server has closed; a read tells.
            }
        }
        let mut buffer = [0; 4096];
        while self.end.is_none() {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.end = Some("the end of the stream".to_owned()),
                Ok(length) => self.take(&buffer[..length]),
                Err(error) if is_wait(&error) => break,
                Err(error) => self.end = Some(error.to_string()),
            }
        }
    }

    /// Waits until something has come, for `patience` at most.
    fn wait_for_byte(&self, patience: Duration) {
        // On macOS these fail when the server has closed; the next read tells.
        let _ = self.stream.set_nonblocking(false);
        let _ = self.stream.set_read_timeout(Some(patience));
        let _ = self.stream.peek(&mut [0]);
        let _ = self.stream.set_nonblocking(true);
    }

    fn take(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        let is_new = |last: &Message| now - last.last_byte >= PAUSE;
        if self.replies().last().is_none_or(is_new) {
            self.messages.push(Message { began: now, last_byte: now, bytes: Vec::new() });
        }
        let message = self.messages.last_mut().expect("one was pushed before the first byte");
        message.bytes.extend_from_slice(bytes);
        message.last_byte = now;
        if self.messages.iter().map(|message| message.bytes.len()).sum::<usize>() > MAX_RECEIVED {
            self.end = Some(format!("no end of it in {MAX_RECEIVED} bytes"));
        }
    }

    /// Waits until a reply has come and the server is quiet, or has closed.
    pub fn reply(&mut self, patience: Duration) -> String {
        self.reply_until(patience, |_| true);
        self.text()
    }

    /// Waits until the reply `is_right`, or the server has closed; returns whether it is. Where a
    /// machine is busy, a reply may come with pauses.
    pub fn reply_until(&mut self, patience: Duration, is_right: impl Fn(&str) -> bool) -> bool {
        wait(slice::from_mut(self), patience, |client| {
            client.end.is_some() || client.has_replied() && is_right(&client.text())
        });
        is_right(&self.text())
    }

    /// Receives for so long.
    pub fn pause(&mut self, time: Duration) {
        wait(slice::from_mut(self), time, |_| false);
    }

    /// Whether a reply has come and the server is quiet, or has closed.
    pub fn has_replied(&self) -> bool {
        let is_over =
            |last: &Message| last.last_byte.elapsed() >= QUIET || last.began.elapsed() >= MESSAGE;
        self.end.is_some() || self.replies().last().is_some_and(is_over)
    }

    /// The messages since something was asked.
    pub fn replies(&self) -> &[Message] {
        &self.messages[self.first_reply..]
    }

    /// What came since something was asked.
    pub fn bytes(&self) -> Vec<u8> {
        self.replies().iter().flat_map(|message| message.bytes.iter().copied()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// What was asked and the last two messages of the reply, to be shown.
    pub fn attempt(&self) -> Attempt {
        let replies = self.replies();
        let last = &replies[replies.len().saturating_sub(2)..];
        let shown = last.iter().map(|message| Preview(&message.bytes).to_string());
        let nothing = || format!("nothing for {:.1} s", self.asked.elapsed().as_secs_f64());
        let end = self.end.clone().or_else(|| replies.is_empty().then(nothing));
        let got = shown.chain(end).collect::<Vec<_>>().join(", then ");
        let sent = (!self.sent.is_empty()).then(|| Preview(&self.sent).to_string());
        Attempt { sent, got, is_over: self.end.is_some() }
    }

    pub fn failure(&self, expected: impl Display) -> Failure {
        Failure::of_attempts(expected, vec![self.attempt()])
    }
}

/// Lets the clients send and receive until each is `done`, or at most for `patience`.
pub fn wait(clients: &mut [Client], patience: Duration, done: impl Fn(&Client) -> bool) {
    let began = Instant::now();
    loop {
        clients.iter_mut().for_each(Client::send_and_receive);
        if clients.iter().all(&done) || began.elapsed() >= patience {
            return;
        }
        match clients {
            // It wakes as soon as something comes.
            [client] if client.end.is_none() => client.wait_for_byte(Duration::from_millis(40)),
            _ => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The numbers in a text, and where each begins. A decimal number may have a point or a comma, and
/// an exponent.
pub fn numbers(text: &str, are_decimal: bool) -> Vec<(usize, &str)> {
    let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let (mut found, mut end) = (Vec::new(), 0);
    while let Some(distance) = text[end..].find(|char: char| char.is_ascii_digit()) {
        let mut start = end + distance;
        end = start + digits(start);
        // In `1-Clavier`, `a-1` and `)-1` it is no sign.
        let is_word = |char: char| char.is_alphanumeric() || char == ')';
        let before = text[..start].strip_suffix('-');
        start -= usize::from(before.is_some_and(|text| !text.ends_with(is_word)));
        if are_decimal && text[end..].starts_with(['.', ',']) && digits(end + 1) > 0 {
            end += 1 + digits(end + 1);
        }
        if are_decimal && text[end..].starts_with(['e', 'E']) {
            let exponent = end + 1 + usize::from(text[end + 1..].starts_with(['-', '+']));
            end = if digits(exponent) > 0 { exponent + digits(exponent) } else { end };
        }
        found.push((start, &text[start..end]));
    }
    found
}

/// The value of a number that [`numbers`] has found.
pub fn value(number: &str) -> f64 {
    number.replace(',', ".").parse().unwrap_or(f64::NAN)
}
