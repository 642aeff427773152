//! Checks a server against its exercise: how the checker asks, waits, reads and reports. What it
//! asks is in `checks.rs`.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use echo::cli;
use echo::preview::Preview;
use echo::server::is_timeout;
use shop::Product;

use crate::checks::{AT_ONCE, ECHO, MATH, RANDOM_STREAM, SHOP};

/// The longest wait for an answer; the shop's own delays come on top.
pub(crate) const ANSWER: Duration = Duration::from_secs(3);

/// The longest delay of a shop: twice what the exercise asks.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// A wait after which what is sent goes into a packet of its own.
pub(crate) const PACKET: Duration = Duration::from_millis(50);

/// After this long, no other check begins; the shop's own delays come on top.
const RUN: Duration = Duration::from_secs(30);

/// How many of a shop's delays a run may take before that.
const DELAYS: u32 = 40;

/// A wait that is longer than this says what is waited for.
const QUIET: Duration = Duration::from_secs(2);

/// The hint where nothing comes although nobody else should hold the shop's lock.
const SAME_LOCK: &str = "does a client wait for the lock that it holds?";

const BYTE_ORDER_MARK: &str = "a byte-order mark came first";
const CLOSED: &str = "the server closed after it had answered";
const NO_LINE_END: &str = "a line ends with \\n, and none came";

/// The most bytes of an answer.
const MAX_ANSWER: usize = 256 * 1024;

/// The exercises that can be checked.
pub const EXERCISES: [&str; 4] = ["echo", "random-stream", "math", "shop"];

/// What an exercise asks, and what goes further: each check is a sentence and its test.
pub(crate) struct Checks {
    pub asked: &'static [Check],
    pub further: &'static [Check],
}

pub(crate) type Check = (&'static str, fn(&mut Target) -> Outcome);

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// The checks that do not hold, including those not tried.
#[derive(Debug, Default)]
pub struct Report {
    /// Of what the exercise asks.
    pub asked: Vec<&'static str>,
    /// Of what goes further.
    pub further: Vec<&'static str>,
}

impl Report {
    /// Whether all that the exercise asks holds and, if `is_strict`, all that goes further.
    pub fn holds(&self, is_strict: bool) -> bool {
        self.asked.is_empty() && (self.further.is_empty() || !is_strict)
    }
}

/// Checks the server at `addr`, and writes a line for each check, with what went wrong.
///
/// The first check finds out what all others need; if it does not hold, they are not tried. A
/// run takes at most a minute beyond the shop's own delays.
///
/// # Errors
///
/// When `exercise` is not one of [`EXERCISES`], nobody listens at `addr`, or `output` fails.
pub fn check(exercise: &str, addr: &str, mut output: impl Write) -> Result<Report> {
    let checks = match exercise {
        "echo" => ECHO,
        "random-stream" => RANDOM_STREAM,
        "math" => MATH,
        "shop" => SHOP,
        _ => bail!("expected one of {}", EXERCISES.join(", ")),
    };
    let mut target = Target::find(addr).with_context(|| format!("cannot connect to {addr}"))?;
    let mut report = Report::default();
    let first = checks.asked[0].0;
    for (title, checks, failed) in [
        ("The exercise asks:", checks.asked, &mut report.asked),
        ("Goes further:", checks.further, &mut report.further),
    ] {
        writeln!(output, "{title}")?;
        for (name, run) in checks {
            if target.began.elapsed() > RUN + DELAYS * target.delay {
                target.stopped = Some("the run has taken too long");
            }
            if target.stopped.is_some() {
                writeln!(output, "- {name}")?;
                failed.push(*name);
                continue;
            }
            match run(&mut target) {
                Ok(()) => writeln!(output, "✔ {name}")?,
                Err(failure) => {
                    write!(output, "✘ {name}\n{failure}")?;
                    failed.push(*name);
                    if *name == first {
                        target.stopped = Some("it needs the first");
                    }
                }
            }
            output.flush()?;
        }
        write!(output, "{} of {} hold", checks.len() - failed.len(), checks.len())?;
        match target.stopped {
            None => writeln!(output)?,
            Some(reason) => writeln!(output, "; - was not tried: {reason}")?,
        }
    }
    writeln!(
        output,
        "Check by hand what cannot be seen from outside: the log, its numbers, its flag,\n\
         errors in opening, the client, and whether a crashed client's work stops\n\
         (tests/README.md)."
    )?;
    Ok(report)
}

/// The server that is checked, and what is known of it.
pub(crate) struct Target {
    addr: SocketAddr,
    began: Instant,
    /// The connection that shows that somebody listens, for the first check to use: one more
    /// client could take a lock in its way.
    first: Option<TcpStream>,
    /// Which of the ways to lay out a question `math` understands.
    pub layout: usize,
    /// Random numbers that came to each client.
    pub numbers: Vec<Vec<f64>>,
    /// How long the shop takes for one list; zero before the first.
    pub delay: Duration,
    /// Why no other check makes sense.
    stopped: Option<&'static str>,
    /// The product of which the fewest were left in any list.
    pub lowest: Option<Product>,
}

impl Target {
    fn find(addr: &str) -> io::Result<Self> {
        let mut result = Err(io::ErrorKind::InvalidInput.into());
        for addr in addr.to_socket_addrs()? {
            result = TcpStream::connect_timeout(&addr, ANSWER).map(|stream| (addr, stream));
            if result.is_ok() {
                break;
            }
        }
        let (addr, stream) = result?;
        Ok(Self {
            addr,
            began: Instant::now(),
            first: Some(stream),
            layout: 0,
            numbers: Vec::new(),
            delay: Duration::ZERO,
            stopped: None,
            lowest: None,
        })
    }

    /// A new client.
    pub fn connect(&mut self) -> Outcome<Client> {
        let connect = || TcpStream::connect_timeout(&self.addr, ANSWER);
        let stream = self.first.take().map_or_else(connect, Ok);
        let stream = stream.map_err(|error| {
            self.stopped = Some("the server is gone");
            Failure::of("a connection", error, &[])
        })?;
        // On macOS these fail when the server has already closed: the first read tells.
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(ANSWER));
        Ok(Client {
            stream,
            sent: Vec::new(),
            received: Vec::new(),
            has_ended: false,
            has_answered: false,
            reads_lines: true,
            patience: ANSWER,
            if_silent: "",
        })
    }

    /// Several new clients.
    pub fn connect_all(&mut self, count: u32) -> Outcome<Vec<Client>> {
        (0..count).map(|_| self.connect()).collect()
    }

    /// New clients of the shop, all at once, and their lists.
    pub fn shoppers(&mut self, count: u32) -> Outcome<Vec<(Client, Vec<Product>)>> {
        let began = Instant::now();
        let clients = self.connect_all(count)?;
        let mut shoppers = Vec::new();
        for mut client in clients {
            (client.patience, client.if_silent) = match (self.delay, count) {
                (Duration::ZERO, _) => (MAX_DELAY + ANSWER, ""),
                (delay, 1) => (ANSWER + delay * 3, SAME_LOCK),
                (delay, _) => (ANSWER + delay * (count + 2), AT_ONCE),
            };
            let stock = client.list().inspect_err(|_| {
                self.stopped = (!client.has_answered()).then_some("no list comes");
            })?;
            client.if_silent = "";
            let lowest = stock.iter().chain(&self.lowest).min_by_key(|product| product.quantity);
            self.lowest = lowest.cloned();
            shoppers.push((client, stock));
        }
        // The least of all: on a busy machine, one of them may be late.
        let elapsed = began.elapsed();
        if count == 1 && (self.delay.is_zero() || elapsed < self.delay) {
            self.delay = elapsed;
        }
        Ok(shoppers)
    }

    /// A new client of the shop, and its list.
    pub fn list(&mut self) -> Outcome<(Client, Vec<Product>)> {
        Ok(self.shoppers(1)?.remove(0))
    }
}

/// A client that remembers what it sent.
pub(crate) struct Client {
    pub stream: TcpStream,
    sent: Vec<u8>,
    /// What has come, and is not yet taken for an answer.
    received: Vec<u8>,
    has_ended: bool,
    has_answered: bool,
    /// Whether what it waits for has a line end.
    reads_lines: bool,
    /// The longest wait for an answer, however it trickles in.
    pub patience: Duration,
    /// The hint when nothing at all comes.
    pub if_silent: &'static str,
}

impl Client {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Outcome {
        self.sent.extend_from_slice(bytes.as_ref());
        let sent = self.stream.write_all(bytes.as_ref());
        sent.map_err(|error| self.failure("that it is read", error, &[]))
    }

    /// Whether anything has come.
    pub fn has_answered(&self) -> bool {
        self.has_answered || !self.received.is_empty()
    }

    /// Sends each of `parts` in a packet of its own.
    pub fn send_parts(&mut self, parts: &[impl AsRef<[u8]>]) -> Outcome {
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                thread::sleep(PACKET);
            }
            self.send(part)?;
        }
        Ok(())
    }

    pub fn shutdown(&self) {
        let _ = self.stream.shutdown(Shutdown::Write); // If the server has closed, a read tells.
    }

    /// Waits until `find` tells how many of the bytes received make the answer, and takes them.
    fn wait(
        &mut self,
        what: &str,
        find: impl Fn(&[u8], bool) -> Option<usize>,
    ) -> Outcome<Vec<u8>> {
        let began = Instant::now();
        let mut has_told = false;
        loop {
            if let Some(length) = find(&self.received, self.has_ended) {
                self.has_answered = true;
                return Ok(self.received.drain(..length).collect());
            }
            let waited = began.elapsed();
            if waited >= QUIET && !has_told {
                cli::notice(format_args!("waiting for {what}\n"));
                has_told = true;
            }
            let is_silent = waited >= self.patience;
            let symptom = if self.has_ended {
                "the end of the stream".to_owned()
            } else if self.received.len() > MAX_ANSWER {
                format!("no end of it in {} bytes", self.received.len())
            } else if is_silent {
                let none = if self.received.is_empty() { "nothing for" } else { "no end of it in" };
                format!("{none} {:.1} s", self.patience.as_secs_f64())
            } else {
                let until = if has_told { self.patience } else { self.patience.min(QUIET) };
                match self.receive(until.saturating_sub(waited)) {
                    Ok(()) => continue,
                    Err(error) => error.to_string(),
                }
            };
            let (got, hint) = match &self.received[..] {
                [] if self.has_ended => (symptom, (self.has_answered, CLOSED)),
                [] => (symptom, (is_silent, self.if_silent)),
                received => {
                    let lacks_end = self.reads_lines && !received.contains(&b'\n');
                    (format!("{}, then {symptom}", Preview(received)), (lacks_end, NO_LINE_END))
                }
            };
            return Err(self.failure(what, got, &[hint]));
        }
    }

    /// Receives what comes within `wait`, if anything does.
    fn receive(&mut self, wait: Duration) -> io::Result<()> {
        // On macOS this fails when both sides have closed: the read tells.
        let _ = self.stream.set_read_timeout(Some(wait.max(Duration::from_millis(1))));
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.has_ended = true,
            Ok(length) => self.received.extend_from_slice(&buffer[..length]),
            Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Waits for these bytes, then a moment for more; an extra or missing line end matters only if
    /// it `is_exact`.
    pub fn expect_echo(&mut self, bytes: &[u8], is_exact: bool) -> Outcome {
        self.reads_lines = false;
        let text = if is_exact { bytes } else { bytes.trim_ascii_end() };
        let expected = if is_exact { "the same bytes" } else { "the same string" };
        self.wait(expected, |received, _| (received.len() >= text.len()).then_some(0))?;
        let end = Instant::now() + PACKET;
        while Instant::now() < end && !self.has_ended && self.received.len() <= MAX_ANSWER {
            let _ = self.receive(end - Instant::now());
        }
        let received = std::mem::take(&mut self.received);
        let is_same = received == bytes || !is_exact && received.trim_ascii_end() == text;
        let more = received.strip_prefix(text);
        let hints = [
            (received.starts_with(b"\xef\xbb\xbf"), BYTE_ORDER_MARK),
            (matches!(more, Some(b"\n" | b"\r\n")), "a line end was added"),
            (more.is_some(), "something was added"),
            (received.eq_ignore_ascii_case(bytes), "capitals are another string"),
        ];
        self.ensure(is_same, expected, Preview(&received), &hints)
    }

    pub fn expect_end(&mut self) -> Outcome {
        self.wait("the end of the stream", |_, has_ended| has_ended.then_some(0))?;
        let received = std::mem::take(&mut self.received);
        self.ensure(received.is_empty(), "nothing but the end", Preview(received), &[])
    }

    /// Waits for a line, and returns it without its end: LF, CR LF or the end of the stream.
    pub fn line(&mut self, expected: &str) -> Outcome<String> {
        let line = self.wait(expected, |received, has_ended| {
            let end = received.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            end.or((has_ended && !received.is_empty()).then_some(received.len()))
        })?;
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Waits for a line with a number, with either decimal mark; if there are `answers`, it must be
    /// one of them, to two decimals.
    pub fn number(&mut self, expected: &str, answers: &[f64]) -> Outcome<f64> {
        let line = self.line(expected)?;
        let is_near = |answer: &f64, number: f64| (answer - number).abs() < 0.01;
        let is_right = |number: f64| {
            answers.is_empty() || answers.iter().any(|answer| is_near(answer, number))
        };
        let numbers: Vec<_> = line.split([' ', ':', '=', '\t']).filter_map(parse).collect();
        let has_more = parse(&line).is_none() && numbers.len() == 1 && is_right(numbers[0]);
        let hints = [
            (line.starts_with('\u{feff}'), BYTE_ORDER_MARK),
            (has_more, "one number, with nothing around it"),
        ];
        let number = parse(&line).filter(|number| is_right(*number));
        number.ok_or_else(|| self.failure(expected, Preview(&line), &hints))
    }

    /// Waits for these numbers.
    pub fn expect_answers(&mut self, answers: &[f64]) -> Outcome {
        for answer in answers {
            self.number(&format!("the answer {answer}"), &[*answer])?;
        }
        Ok(())
    }

    pub fn list(&mut self) -> Outcome<Vec<Product>> {
        let list = self.wait("the list, and the empty line that ends it", |received, _| {
            let mut start = 0;
            received.split_inclusive(|byte| *byte == b'\n').find_map(|line| {
                start += line.len();
                matches!(line, b"\n" | b"\r\n").then_some(start)
            })
        })?;
        let list = String::from_utf8_lossy(&list);
        let lines = list.lines().filter(|line| !line.is_empty());
        let product = |line: &str| {
            let hint = (!line.contains('\t'), "a tab belongs between the fields");
            let failure = || self.failure("ID<TAB>QUANTITY<TAB>NAME", Preview(line), &[hint]);
            line.parse::<Product>().map_err(|_| failure())
        };
        lines.map(product).collect()
    }

    pub fn order(&mut self, id: u32, quantity: i64) -> Outcome {
        self.if_silent = SAME_LOCK;
        self.send(format!("{id} {quantity}\n"))
    }

    /// Waits for the answer to an order, which begins with `confirmed` or with `error`.
    pub fn expect(&mut self, beginning: &str) -> Outcome {
        let expected = format!("{beginning}: …");
        let line = self.line(&expected)?;
        self.ensure(line.starts_with(beginning), expected, Preview(&line), &[])
    }

    /// Fails unless it `holds`.
    pub fn ensure(
        &self,
        holds: bool,
        expected: impl fmt::Display,
        got: impl fmt::Display,
        hints: &[Hint],
    ) -> Outcome {
        if holds { Ok(()) } else { Err(self.failure(expected, got, hints)) }
    }

    /// A failure, with what was sent.
    fn failure(
        &self,
        expected: impl fmt::Display,
        got: impl fmt::Display,
        hints: &[Hint],
    ) -> Failure {
        let sent =
            if self.sent.is_empty() { String::new() } else { Preview(&self.sent).to_string() };
        Failure { sent, ..Failure::of(expected, got, hints) }
    }
}

/// Reads a finite number with either decimal mark.
pub(crate) fn parse(text: &str) -> Option<f64> {
    text.replace(',', ".").parse().ok().filter(|number: &f64| number.is_finite())
}

/// What a check found wrong; what is empty is not shown.
pub(crate) struct Failure {
    sent: String,
    expected: String,
    got: String,
    hint: &'static str,
}

/// A hint, and whether it is true.
pub(crate) type Hint = (bool, &'static str);

impl Failure {
    /// A failure, with the first of the `hints` that is true.
    pub fn of(expected: impl fmt::Display, got: impl fmt::Display, hints: &[Hint]) -> Self {
        let hint = hints.iter().find(|(is_true, _)| *is_true).map_or("", |(_, hint)| hint);
        Self { sent: String::new(), expected: expected.to_string(), got: got.to_string(), hint }
    }
}

impl fmt::Display for Failure {
    /// A line for each part, such as `expected: …`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (label, text) in [
            ("sent", &*self.sent),
            ("expected", &self.expected),
            ("got", &self.got),
            ("hint", self.hint),
        ] {
            if !text.is_empty() {
                writeln!(formatter, "{label:>12}: {text}")?;
            }
        }
        Ok(())
    }
}
