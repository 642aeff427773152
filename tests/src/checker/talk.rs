//! How the checker talks to a server, and how a check ends.
//!
//! Nothing is known of how the server writes. A message is what came until the server was quiet
//! for a moment; a reply is all that came since something was asked.

use std::cell::Cell;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::ops::Range;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use echo::cli;
use echo::preview::Preview;

/// The longest wait for an answer; the shop's own delays come on top.
pub(crate) const ANSWER: Duration = Duration::from_secs(3);

/// The longest wait for the answer to a guess.
pub(crate) const GUESS: Duration = Duration::from_millis(400);

/// A server that sends nothing for so long has said what it had to say.
pub(crate) const QUIET: Duration = Duration::from_millis(200);

/// After this long, what is sent goes into a packet of its own.
const PACKET: Duration = Duration::from_millis(50);

/// A message that takes longer is taken as it is.
const REPLY: Duration = Duration::from_secs(1);

/// The longest time that is spent on guesses; a server's own delays come on top.
pub(crate) const LEARN: Duration = Duration::from_secs(40);

/// A check that takes longer is announced.
const LONG: Duration = Duration::from_secs(2);

/// The most bytes that are received on one connection.
const MAX_RECEIVED: usize = 256 * 1024;

/// The hint where one client gets nothing while others are connected.
pub(crate) const AT_ONCE: &str = "does each client have a thread of its own?";

/// One of the four: what it asks, and what goes further.
pub(crate) trait Exercise: Sized + 'static {
    const ASKED: &'static [Check<Self>];
    const FURTHER: &'static [Check<Self>];
    /// What only a person can see.
    const BY_HAND: &'static str;

    fn target(&mut self) -> &mut Target;

    /// How the server speaks, once that is known.
    fn speaks(&self) -> Option<String>;

    /// How much longer than other exercises it may take.
    fn own_delays(&self) -> Duration {
        Duration::ZERO
    }
}

/// A sentence that is true of a right server, and what tries it.
pub(crate) type Check<E> = (&'static str, fn(&mut E) -> Outcome);

pub(crate) type Outcome<T = ()> = Result<T, Stop>;

/// Why a check does not hold.
pub(crate) enum Stop {
    Failed(Failure),
    /// It would only repeat what another one has found.
    NotTried(String),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

pub(crate) fn not_tried<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Stop::NotTried(reason.into()))
}

/// What was sent, and what came of it.
pub(crate) struct Attempt {
    sent: Vec<u8>,
    pub got: String,
}

/// What a check found wrong, a line for each part, such as `expected: …`.
pub(crate) struct Failure(Vec<(&'static str, String)>);

impl Failure {
    pub fn new(expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self(vec![("expected", expected.to_string()), ("got", got.to_string())])
    }

    /// Says first what was sent, unless that is nothing.
    pub fn sent(mut self, sent: &[u8]) -> Self {
        if !sent.is_empty() {
            self.0.insert(0, ("sent", Preview(sent).to_string()));
        }
        self
    }

    /// What came of several attempts; those with the same outcome are told once.
    pub fn of_attempts(expected: &str, attempts: &[Attempt]) -> Self {
        let mut failure = Self(vec![("expected", expected.to_owned())]);
        for (index, Attempt { sent, got }) in attempts.iter().enumerate() {
            if attempts[..index].iter().any(|other| other.got == *got) {
                continue;
            }
            let others = attempts[index + 1..].iter().filter(|other| other.got == *got).count();
            let rest = if others > 0 { format!(", and for {others} more") } else { String::new() };
            failure.0.push(("sent", Preview(sent).to_string() + &rest));
            failure.0.push(("got", got.clone()));
        }
        failure
    }

    /// Adds a hint if it is true, and none was before.
    pub fn hint(mut self, is_true: bool, hint: impl Into<String>) -> Self {
        if is_true && self.0.iter().all(|(label, _)| *label != "hint") {
            self.0.push(("hint", hint.into()));
        }
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(label, text)| writeln!(formatter, "{label:>12}: {text}"))
    }
}

/// Fails unless it `holds`.
pub(crate) fn ensure(holds: bool, failure: impl FnOnce() -> Failure) -> Outcome {
    if holds { Ok(()) } else { Err(failure().into()) }
}

/// The server that is checked.
pub(crate) struct Target {
    addr: SocketAddr,
    /// The connection that shows that somebody listens, for the first check to use: one more
    /// client could take a lock in its way.
    first: Option<TcpStream>,
    clients: u32,
    is_gone: bool,
    /// Whether it speaks first, once that is known.
    pub greets: Option<bool>,
    /// What is being checked, and since when; `None` once that has been announced.
    task: Rc<Cell<Option<(&'static str, Instant)>>>,
}

impl Target {
    pub fn find(addr: &str) -> io::Result<Self> {
        let mut result = Err(ErrorKind::InvalidInput.into());
        for addr in addr.to_socket_addrs()? {
            result = TcpStream::connect_timeout(&addr, ANSWER).map(|stream| (addr, stream));
            if result.is_ok() {
                break;
            }
        }
        let (addr, stream) = result?;
        let (first, task) = (Some(stream), Rc::default());
        Ok(Self { addr, first, clients: 0, is_gone: false, greets: None, task })
    }

    /// Begins a check, which is announced if it takes long.
    pub fn begin(&self, check: &'static str) {
        self.task.set(Some((check, Instant::now())));
    }

    /// A new client.
    pub fn connect(&mut self) -> Outcome<Client> {
        if self.is_gone {
            return not_tried("the server is gone");
        }
        let connect = || TcpStream::connect_timeout(&self.addr, ANSWER);
        let stream = self.first.take().map_or_else(connect, Ok);
        let stream = stream.and_then(|stream| stream.set_nonblocking(true).map(|()| stream));
        let stream = stream.map_err(|error| {
            // Any other error, such as the checker's own lack of descriptors, says nothing of it.
            self.is_gone = error.kind() == ErrorKind::ConnectionRefused;
            let who = if self.clients == 1 { "the first client" } else { "a client" };
            let hint = format!("{who} has left, and the server with it");
            Failure::new("a connection", error).hint(self.is_gone, hint)
        })?;
        self.clients += 1;
        let _ = stream.set_nodelay(true); // On macOS it fails when the server has closed.
        let now = Instant::now();
        Ok(Client {
            stream,
            outgoing: Vec::new(),
            ends_sending: false,
            sent: Vec::new(),
            messages: Vec::new(),
            asked: now,
            first_reply: 0,
            last_byte: now,
            is_between: true,
            length: 0,
            end: None,
            task: Rc::clone(&self.task),
        })
    }

    pub fn connect_all(&mut self, count: usize) -> Outcome<Vec<Client>> {
        (0..count).map(|_| self.connect()).collect()
    }

    /// A new client, once the server has greeted it, if it is one that greets.
    pub fn connect_greeted(&mut self) -> Outcome<Client> {
        let mut client = self.connect()?;
        let patience = match self.greets {
            None => GUESS,
            Some(true) => ANSWER,
            Some(false) => Duration::ZERO,
        };
        let is_greeted = !client.reply(patience).is_empty();
        self.greets.get_or_insert(is_greeted);
        Ok(client)
    }
}

/// What came without a pause.
pub(crate) struct Message {
    /// When it began.
    pub at: Instant,
    bytes: Vec<u8>,
}

impl Message {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A client, which remembers what it sent and what came. It sends and receives in [`wait`].
pub(crate) struct Client {
    stream: TcpStream,
    outgoing: Vec<u8>,
    ends_sending: bool,
    sent: Vec<u8>,
    pub messages: Vec<Message>,
    pub asked: Instant,
    /// Which message is the first since something was asked.
    first_reply: usize,
    last_byte: Instant,
    /// Whether the next byte begins a message.
    is_between: bool,
    length: usize,
    /// How the stream ended.
    pub end: Option<String>,
    task: Rc<Cell<Option<(&'static str, Instant)>>>,
}

impl Client {
    /// Asks something: each of `parts` goes in a packet of its own.
    pub fn ask(&mut self, parts: &[impl AsRef<[u8]>]) {
        self.sent.clear();
        self.first_reply = self.messages.len();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                wait(std::slice::from_mut(self), PACKET, |_| false);
            }
            self.sent.extend_from_slice(part.as_ref());
            self.outgoing.extend_from_slice(part.as_ref());
            self.send_and_receive();
            self.is_between = true;
        }
        self.asked = Instant::now();
    }

    /// Shuts down the sending side, once all is sent.
    pub fn shut_down(&mut self) {
        self.ends_sending = true;
        self.asked = Instant::now();
    }

    fn send_and_receive(&mut self) {
        let would_block = |error: &io::Error| {
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
        };
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(length) => drop(self.outgoing.drain(..length)),
                Err(error) if would_block(&error) => break,
                Err(_) => self.outgoing.clear(), // The server has closed; a read tells.
            }
        }
        if self.ends_sending && self.outgoing.is_empty() {
            let _ = self.stream.shutdown(Shutdown::Write);
            self.ends_sending = false;
        }
        let mut buffer = [0; 4096];
        while self.end.is_none() {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.end = Some("the end of the stream".to_owned()),
                Ok(length) => self.take(&buffer[..length]),
                Err(error) if would_block(&error) => break,
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
        let at = Instant::now();
        if self.is_between || at - self.last_byte >= QUIET {
            self.messages.push(Message { at, bytes: Vec::new() });
        }
        let message = self.messages.last_mut().expect("one was pushed before the first byte");
        message.bytes.extend_from_slice(bytes);
        (self.last_byte, self.is_between) = (at, false);
        self.length += bytes.len();
        if self.length > MAX_RECEIVED {
            self.end = Some(format!("no end of it in {MAX_RECEIVED} bytes"));
        }
    }

    /// Waits until a reply has come and the server is quiet, or has closed.
    pub fn reply(&mut self, patience: Duration) -> String {
        wait(std::slice::from_mut(self), patience, |clients| clients[0].has_replied());
        self.text()
    }

    pub fn has_replied(&self) -> bool {
        self.end.is_some() || self.messages.len() > self.first_reply && self.is_over()
    }

    /// Whether the last message is over, or as long as one may be.
    pub fn is_over(&self) -> bool {
        let began = self.messages.last().map(|message| message.at.elapsed());
        self.last_byte.elapsed() >= QUIET || began.is_some_and(|began| began >= REPLY)
    }

    /// The messages that are over, as text.
    pub fn settled(&self) -> String {
        let over = self.messages.len() - usize::from(!self.messages.is_empty() && !self.is_over());
        self.messages[..over].iter().map(Message::text).collect()
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

    /// How long ago something was asked.
    pub fn seconds(&self) -> f64 {
        self.asked.elapsed().as_secs_f64()
    }

    pub fn attempt(&self) -> Attempt {
        Attempt { sent: self.sent.clone(), got: self.got() }
    }

    /// What came since something was asked, to be shown: the last two messages.
    fn got(&self) -> String {
        let replies = self.replies();
        let last = &replies[replies.len().saturating_sub(2)..];
        let shown = last.iter().map(|message| Preview(&message.bytes).to_string());
        let nothing = || format!("nothing for {:.1} s", self.seconds());
        let end = self.end.clone().or_else(|| replies.is_empty().then(nothing));
        shown.chain(end).collect::<Vec<_>>().join(", then ")
    }

    pub fn failure(&self, expected: impl fmt::Display) -> Failure {
        Failure::new(expected, self.got()).sent(&self.sent)
    }
}

/// Lets the clients send and receive until it is `done`, or at most for `patience`; returns
/// whether it is.
pub(crate) fn wait(
    clients: &mut [Client],
    patience: Duration,
    done: impl Fn(&[Client]) -> bool,
) -> bool {
    let began = Instant::now();
    loop {
        clients.iter_mut().for_each(Client::send_and_receive);
        if done(clients) {
            return true;
        }
        if began.elapsed() >= patience {
            return false;
        }
        let task = clients.first().and_then(|client| client.task.get().zip(Some(&client.task)));
        if let Some(((check, _), task)) = task.filter(|((_, since), _)| since.elapsed() >= LONG) {
            cli::notice(format_args!("waiting: {check}\n"));
            task.set(None);
        }
        match clients {
            [client] if client.end.is_none() => client.wait_for_byte(Duration::from_millis(40)),
            _ => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Where the numbers stand in a text. A decimal number may have a point or a comma, and an
/// exponent.
pub(crate) fn numbers(text: &str, are_decimal: bool) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let after_digits = |mut at: usize| {
        while is_digit(at) {
            at += 1;
        }
        at
    };
    let is_sign = |at: usize| matches!(bytes.get(at), Some(b'-' | b'+'));
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if !is_digit(at) {
            at += 1;
            continue;
        }
        // In `1-Clavier` and `a-1` it is no sign.
        let has_sign = at > 0
            && bytes[at - 1] == b'-'
            && !at.checked_sub(2).is_some_and(|before| is_word(&bytes[before]));
        let start = at - usize::from(has_sign);
        at = after_digits(at);
        if are_decimal && matches!(bytes.get(at), Some(b'.' | b',')) && is_digit(at + 1) {
            at = after_digits(at + 1);
        }
        if are_decimal && matches!(bytes.get(at), Some(b'e' | b'E')) {
            let digits = at + 1 + usize::from(is_sign(at + 1));
            at = if is_digit(digits) { after_digits(digits) } else { at };
        }
        found.push(start..at);
    }
    found
}

/// The value of a number that [`numbers`] has found.
pub(crate) fn value(number: &str) -> f64 {
    number.replace(',', ".").parse().unwrap_or(f64::NAN)
}
