//! Checks of a server of one of the four exercises, in whatever language it is written, as
//! long as it speaks the README's conversation.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use echo::preview::Preview;
use echo::server::is_timeout;
use shop::Product;

/// The longest wait for an answer; the shop's own delay comes on top.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest wait for the first list of a shop, from which its delay is known.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// The shortest delay from which a lock can be told by the clock.
const MIN_DELAY: Duration = Duration::from_millis(200);

/// How long a packet takes at most, so that what follows does not share it.
const PACKET: Duration = Duration::from_millis(100);

/// The most bytes that are received while an answer is waited for.
const MAX_ANSWER: usize = 64 * 1024;

/// The checks of an exercise, in their order: each is a sentence, and what tries it.
type Checks = &'static [(&'static str, fn(&mut Target) -> Outcome)];

type Outcome<T = ()> = Result<T, Failure>;

/// The exercises that can be checked.
pub const EXERCISES: [&str; 4] = ["echo", "random-stream", "math", "shop"];

const ECHO: Checks = &[
    ("a line comes back", |target| {
        let mut client = target.connect()?;
        client.send("bonjour\n")?;
        client.expect(b"bonjour\n", "the same bytes")
    }),
    ("a second line comes back on the same connection", |target| {
        let mut client = target.connect()?;
        for line in ["one\n", "two\n"] {
            client.send(line)?;
            client.expect(line.as_bytes(), "the same bytes")?;
        }
        Ok(())
    }),
    ("bytes without a line end come back at once", |target| {
        let mut client = target.connect()?;
        client.send("no line end")?;
        client.expect(b"no line end", "the same bytes, without a line end")
    }),
    ("two clients take turns", |target| {
        let (mut one, mut two) = (target.connect()?, target.connect()?);
        for client in [&mut two, &mut one] {
            client.send("bonjour\n")?;
            let expected = "the same bytes, while another client is connected";
            client.expect(b"bonjour\n", expected)?;
        }
        Ok(())
    }),
    ("after a half-close everything comes back, then the end", |target| {
        let mut client = target.connect()?;
        client.send("the last line\n")?;
        client.shutdown()?;
        client.expect(b"the last line\n", "the same bytes")?;
        client.expect_end()
    }),
    ("binary bytes come back unchanged", |target| {
        let mut bytes: Vec<u8> = (0..=u8::MAX).collect();
        bytes.push(b'\n');
        let mut client = target.connect()?;
        client.send(&bytes)?;
        client.expect(&bytes, "the same bytes")
    }),
];

const RANDOM_STREAM: Checks = &[
    ("a number comes, on a line of its own", |target| {
        target.connect()?.number()?;
        Ok(())
    }),
    ("numbers come one a second, five of them by the clock", |target| {
        let mut client = target.connect()?;
        let mut times = Vec::new();
        for _ in 0..5 {
            target.numbers.push(client.number()?);
            times.push(Instant::now());
        }
        let seconds = (times[4] - times[0]).as_secs_f64();
        let expected = "5 numbers in 4 seconds";
        let got = format!("5 numbers in {seconds:.2} seconds");
        let is_regular = times.windows(2).all(|pair| pair[1] - pair[0] > PACKET);
        client.ensure((3.5..4.5).contains(&seconds) && is_regular, expected, &got, "")
    }),
    ("the numbers differ", |target| {
        let numbers = &target.numbers;
        let got = format!("{numbers:?}");
        let differ = numbers.iter().any(|number| *number != numbers[0]);
        ensure_that(differ, "five random numbers", &got, "is each number drawn anew?")
    }),
    ("three clients at once have numbers of their own", |target| {
        let mut clients = [target.connect()?, target.connect()?, target.connect()?];
        let mut numbers = [const { Vec::new() }; 3];
        for _ in 0..3 {
            for (client, numbers) in clients.iter_mut().zip(&mut numbers) {
                numbers.push(client.number()?);
            }
        }
        let differ = numbers[0] != numbers[1] || numbers[1] != numbers[2];
        let expected = "three times three random numbers";
        ensure_that(differ, expected, &format!("{numbers:?}"), "is each number drawn anew?")
    }),
    ("the others go on when one is killed", |target| {
        let (killed, mut other) = (target.connect()?, target.connect()?);
        // Closed with a number unread, it is reset, as that of a killed process.
        let _ = killed.stream.peek(&mut [0]);
        drop(killed);
        for _ in 0..3 {
            other.number()?;
        }
        Ok(())
    }),
];

const MATH: Checks = &[
    ("each action is known, in English and in French", |target| {
        for (actions, answer) in [
            (&["sum", "somme", "SUM"][..], 15.0),
            (&["mean", "average", "moyenne", "min", "max"], 5.0),
            (&["stddev", "écart-type", "ecart-type"], 0.0),
        ] {
            for action in actions {
                target.ask(&format!("{action} 5 5 5 =\n"), &[answer], "")?;
            }
        }
        target.ask("min 3 -2 7 =\n", &[-2.0], "")?;
        target.ask("max 3 -2 7 =\n", &[7.0], "")
    }),
    ("tokens come one a line", |target| target.ask("sum\n1\n2\n3\n=\n", &[6.0], "")),
    ("tokens share a line, with any white space", |target| {
        target.ask("sum  1\t2 3   =\r\n", &[6.0], "")
    }),
    ("a number cut in two packets is one number", |target| {
        let mut client = target.connect()?;
        client.send("sum 1")?;
        thread::sleep(PACKET);
        client.send("2 =\n")?;
        client
            .expect_answers(&[12.0], "a packet's end is not a token's end: read on to white space")
    }),
    ("several questions are answered on one connection, also in one packet", |target| {
        let mut client = target.connect()?;
        for (question, answers) in [("sum 1 =\n", &[1.0][..]), ("sum 2 =\nsum 3 =\n", &[2.0, 3.0])]
        {
            client.send(question)?;
            client.expect_answers(answers, "what follows a = is the next question")?;
        }
        Ok(())
    }),
    ("the standard deviation is the population's", |target| {
        let hint = "divide by n, not by n - 1";
        target.ask("stddev 2 4 4 4 5 5 7 9 =\n", &[2.0], hint)
    }),
    ("a mean need not be an integer", |target| {
        target.ask("mean 1 2 =\n", &[1.5], "is it an integer division?")
    }),
    ("two clients at once are served", |target| {
        let (mut one, mut two) = (target.connect()?, target.connect()?);
        for (client, question) in [(&mut two, "sum 1 =\n"), (&mut one, "sum 2 =\n")] {
            client.send(question)?;
            let answer = if question == "sum 1 =\n" { 1.0 } else { 2.0 };
            client.expect_answers(&[answer], "does each client have a thread of its own?")?;
        }
        Ok(())
    }),
    ("numbers are forgotten between questions", |target| {
        let mut client = target.connect()?;
        for answer in [3.0, 4.0] {
            client.send(format!("sum 0 {answer} =\n"))?;
            client.expect_answers(&[answer], "begin each question with a new list")?;
        }
        Ok(())
    }),
];

const SHOP: Checks = &[
    ("the list comes, a product a line, then an empty line", |target| {
        let began = Instant::now();
        target.list()?;
        target.delay = began.elapsed();
        Ok(())
    }),
    ("four lists at once take the time of one", |target| {
        target.ensure_delay()?;
        let began = Instant::now();
        target.shoppers(4)?;
        let (elapsed, one) = (began.elapsed(), target.delay);
        let expected = format!("four lists in about {:.1} s", one.as_secs_f64());
        let got = format!("four lists in {:.1} s", elapsed.as_secs_f64());
        let hint = "is the list made under a read lock? a write lock is exclusive";
        ensure_that(elapsed < one * 5 / 2, &expected, &got, hint)
    }),
    ("an order is confirmed, and a new list shows what is left", |target| {
        let (mut client, stock) = target.list()?;
        let product = most(&stock, 1)?;
        client.order(product.id, 1)?;
        client.expect_confirmation()?;
        let expected = Product { quantity: product.quantity - 1, ..product.clone() };
        let hint = "the change must be made before the confirmation";
        target.expect_product(&expected, hint)
    }),
    ("orders of too many, of none, or of no product are refused and change nothing", |target| {
        let (mut client, stock) = target.list()?;
        let product = most(&stock, 1)?;
        let unknown = stock.iter().map(|product| product.id).max().unwrap_or(0) + 1;
        for (id, quantity) in
            [(product.id, product.quantity + 1), (unknown, 1), (product.id, 0), (product.id, -1)]
        {
            client.order(id, quantity)?;
            client.expect_refusal()?;
        }
        target.expect_product(product, "check the order before you change the quantity")
    }),
    ("two buyers of all that is left: one gets it", |target| {
        let mut buyers = target.shoppers(2)?;
        let stock = &buyers[0].1;
        let left = stock.iter().filter(|product| product.quantity > 0);
        let product = left.min_by_key(|product| product.quantity);
        let Product { id, quantity, .. } = product.ok_or_else(sold_out)?.clone();
        for (client, _) in &mut buyers {
            client.order(id, quantity)?;
        }
        let mut answers = Vec::new();
        for (client, _) in &mut buyers {
            answers.push(client.line("an answer")?);
        }
        let sold = answers.iter().filter(|answer| answer.starts_with("confirmed: ")).count();
        let got = format!("{} and {}", Preview(&answers[0]), Preview(&answers[1]));
        let hint = match sold {
            2 => "the check and the change belong under one write lock",
            _ => "",
        };
        buyers[0].0.ensure(sold == 1, "one confirmation and one refusal", &got, hint)
    }),
    ("two orders at once take turns", |target| {
        target.ensure_delay()?;
        let mut buyers = target.shoppers(2)?;
        let id = most(&buyers[0].1, 2)?.id;
        let began = Instant::now();
        for (client, _) in &mut buyers {
            client.order(id, 1)?;
        }
        let times: Vec<_> = thread::scope(|scope| {
            let confirm = |client: &mut Client| -> Outcome<f64> {
                client.expect_confirmation()?;
                Ok(began.elapsed().as_secs_f64())
            };
            let threads: Vec<_> =
                buyers.iter_mut().map(|(client, _)| scope.spawn(move || confirm(client))).collect();
            threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
        });
        let mut times = times.into_iter().collect::<Outcome<Vec<_>>>()?;
        times.sort_by(f64::total_cmp);
        let got = format!("one confirmation after {:.1} s, one after {:.1} s", times[0], times[1]);
        let expected = "a second confirmation after twice the time of the first";
        let hint = "is the write lock held during the wait?";
        buyers[0].0.ensure(times[1] > 1.5 * times[0], expected, &got, hint)
    }),
    ("nothing is ever below zero", |target| {
        target.list()?;
        let got = target.lowest.as_ref().map(Product::to_string).unwrap_or_default();
        let is_sold = target.lowest.as_ref().is_none_or(|product| product.quantity >= 0);
        let hint = "an order was checked before another one's change";
        ensure_that(is_sold, "no quantity below 0 in any list", &Preview(got).to_string(), hint)
    }),
];

/// Checks the server at `addr`, and writes a line for each check, with what went wrong, and
/// a last one that counts. Returns the checks that do not hold.
///
/// # Errors
///
/// When `exercise` is not one of [`EXERCISES`], nobody listens at `addr`, or `output` fails.
pub fn check(exercise: &str, addr: &str, mut output: impl Write) -> Result<Vec<&'static str>> {
    let checks = match exercise {
        "echo" => ECHO,
        "random-stream" => RANDOM_STREAM,
        "math" => MATH,
        _ => SHOP,
    };
    ensure!(EXERCISES.contains(&exercise), "expected one of {}", EXERCISES.join(", "));
    let first = TcpStream::connect(addr).with_context(|| format!("cannot connect to {addr}"))?;
    let mut target = Target {
        addr: addr.to_owned(),
        first: Some(first),
        numbers: Vec::new(),
        delay: MAX_DELAY,
        lowest: None,
    };
    let mut failed = Vec::new();
    for (name, run) in checks {
        match run(&mut target) {
            Ok(()) => writeln!(output, "✔ {name}")?,
            Err(failure) => {
                writeln!(output, "✘ {name}\n{failure}")?;
                failed.push(*name);
            }
        }
        output.flush()?;
    }
    writeln!(output, "{} of {} hold", checks.len() - failed.len(), checks.len())?;
    Ok(failed)
}

/// The server that is checked, and what is known of it.
struct Target {
    addr: String,
    /// The connection that shows that somebody listens, for the first check to use: one more
    /// client could take a lock in its way.
    first: Option<TcpStream>,
    /// Random numbers that came.
    numbers: Vec<i64>,
    /// How long the shop takes for a list.
    delay: Duration,
    /// The product of which the fewest were left in any list.
    lowest: Option<Product>,
}

impl Target {
    fn connect(&mut self) -> Outcome<Client> {
        let stream = self.first.take().map_or_else(|| TcpStream::connect(&self.addr), Ok);
        let stream = stream.and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        let stream = stream.map_err(|error| {
            Failure::of("a connection", &error.to_string(), "has the server ended?")
        })?;
        Ok(Client { stream, sent: String::new(), received: Vec::new(), patience: PATIENCE })
    }

    /// Asks on a new connection, and waits for the answers.
    fn ask(&mut self, question: &str, answers: &[f64], hint: &'static str) -> Outcome {
        let mut client = self.connect()?;
        client.send(question)?;
        client.expect_answers(answers, hint)
    }

    /// A new client of the shop, and its list.
    fn list(&mut self) -> Outcome<(Client, Vec<Product>)> {
        Ok(self.shoppers(1)?.remove(0))
    }

    /// New clients of the shop, all at once, and their lists.
    fn shoppers(&mut self, count: u32) -> Outcome<Vec<(Client, Vec<Product>)>> {
        let clients = (0..count).map(|_| self.connect()).collect::<Outcome<Vec<_>>>()?;
        let mut shoppers = Vec::new();
        for mut client in clients {
            client.patience = PATIENCE + self.delay * (count + 1);
            let stock = client.list()?;
            let lowest = stock.iter().chain(&self.lowest).min_by_key(|product| product.quantity);
            self.lowest = lowest.cloned();
            shoppers.push((client, stock));
        }
        Ok(shoppers)
    }

    /// Waits for a new list, in which `expected` must be.
    fn expect_product(&mut self, expected: &Product, hint: &'static str) -> Outcome {
        let (client, stock) = self.list()?;
        let got = stock.iter().find(|product| product.id == expected.id);
        let line = got.map(Product::to_string).unwrap_or_default();
        let expected_line = Preview(expected.to_string()).to_string();
        client.ensure(got == Some(expected), &expected_line, &Preview(line).to_string(), hint)
    }

    fn ensure_delay(&self) -> Outcome {
        let got = format!("one in {:.3} s", self.delay.as_secs_f64());
        let hint = "make the simulated database slower, and start the server again";
        ensure_that(self.delay >= MIN_DELAY, "a list that takes 0.2 s or more", &got, hint)
    }
}

/// The product of which most are left, and at least so many.
fn most(stock: &[Product], at_least: i64) -> Outcome<&Product> {
    let most = stock.iter().max_by_key(|product| product.quantity);
    most.filter(|product| product.quantity >= at_least).ok_or_else(sold_out)
}

fn sold_out() -> Failure {
    Failure::of("something left to buy", "a list of what is sold out", "start the server again")
}

/// A client that remembers what it sent.
struct Client {
    stream: TcpStream,
    sent: String,
    /// What has come, and is not yet taken for an answer.
    received: Vec<u8>,
    patience: Duration,
}

impl Client {
    fn send(&mut self, bytes: impl AsRef<[u8]>) -> Outcome {
        if !self.sent.is_empty() {
            self.sent += ", then ";
        }
        self.sent += &Preview(&bytes).to_string();
        let sent = self.stream.write_all(bytes.as_ref());
        sent.map_err(|error| self.failure("that it is read", Symptom::Error(error)))
    }

    fn shutdown(&mut self) -> Outcome {
        self.sent += ", then the end";
        let ended = self.stream.shutdown(Shutdown::Write);
        ended.map_err(|error| self.failure("an open connection", Symptom::Error(error)))
    }

    /// Receives more, until `deadline`.
    fn receive(&mut self, deadline: Instant) -> Result<(), Symptom> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Symptom::Silence);
        }
        if self.received.len() > MAX_ANSWER {
            return Err(Symptom::Flood);
        }
        self.stream.set_read_timeout(Some(left)).map_err(Symptom::Error)?;
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(Symptom::End),
            Ok(length) => {
                self.received.extend_from_slice(&buffer[..length]);
                Ok(())
            }
            Err(error) if is_timeout(&error) => Err(Symptom::Silence),
            Err(error) => Err(Symptom::Error(error)),
        }
    }

    /// Waits for these bytes, and whether more follow in their packet.
    fn expect(&mut self, bytes: &[u8], expected: &str) -> Outcome {
        let deadline = Instant::now() + self.patience;
        while self.received.len() < bytes.len() {
            self.receive(deadline).map_err(|symptom| self.failure(expected, symptom))?;
        }
        while self.receive(Instant::now() + PACKET).is_ok() {}
        let received = std::mem::take(&mut self.received);
        let hint = match received.strip_prefix(bytes) {
            Some(b"\n" | b"\r\n") => "a line end was added",
            Some(_) => "something was added",
            None => "",
        };
        self.ensure(received == bytes, expected, &Preview(&received).to_string(), hint)
    }

    fn expect_end(&mut self) -> Outcome {
        match self.receive(Instant::now() + self.patience) {
            Err(Symptom::End) => Ok(()),
            Err(symptom) => Err(self.failure("the end of the stream", symptom)),
            Ok(()) => Err(self.failure("the end of the stream", Symptom::Silence)),
        }
    }

    /// Waits for a line, and returns it without its end.
    fn line(&mut self, expected: &str) -> Outcome<String> {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.receive(deadline).map_err(|symptom| self.failure(expected, symptom))?;
        }
    }

    fn number(&mut self) -> Outcome<i64> {
        let expected = "a line with an integer";
        let line = self.line(expected)?;
        let wrong = || self.wrong(expected, &Preview(&line).to_string(), "");
        line.parse().map_err(|_| wrong())
    }

    fn expect_answers(&mut self, answers: &[f64], hint: &'static str) -> Outcome {
        for answer in answers {
            let expected = format!("the answer {answer}");
            let line = self.line(&expected)?;
            let is_right = line.parse::<f64>().is_ok_and(|line| (line - answer).abs() < 1e-6);
            self.ensure(is_right, &expected, &Preview(&line).to_string(), hint)?;
        }
        Ok(())
    }

    fn list(&mut self) -> Outcome<Vec<Product>> {
        let mut stock = Vec::new();
        loop {
            let line = self.line("ID<TAB>QUANTITY<TAB>NAME, or an empty line")?;
            if line.is_empty() {
                return Ok(stock);
            }
            let product = line.parse::<Product>();
            let wrong = || self.wrong("ID<TAB>QUANTITY<TAB>NAME", &Preview(&line).to_string(), "");
            stock.push(product.map_err(|_| wrong())?);
        }
    }

    fn order(&mut self, id: u32, quantity: i64) -> Outcome {
        self.send(format!("{id} {quantity}\n"))
    }

    fn expect_confirmation(&mut self) -> Outcome {
        let line = self.line("confirmed: …")?;
        self.ensure(line.starts_with("confirmed: "), "confirmed: …", &Preview(line).to_string(), "")
    }

    fn expect_refusal(&mut self) -> Outcome {
        let line = self.line("error: …")?;
        self.ensure(line.starts_with("error: "), "error: …", &Preview(line).to_string(), "")
    }

    fn ensure(&self, holds: bool, expected: &str, got: &str, hint: &'static str) -> Outcome {
        if holds { Ok(()) } else { Err(self.wrong(expected, got, hint)) }
    }

    /// The failure of an answer.
    fn wrong(&self, expected: &str, got: &str, hint: &'static str) -> Failure {
        Failure { sent: self.sent.clone(), ..Failure::of(expected, got, hint) }
    }

    /// The failure of an answer that did not come.
    fn failure(&self, expected: &str, symptom: Symptom) -> Failure {
        let (what, hint) = match symptom {
            Symptom::Silence => (
                format!("nothing for {:.1} s", self.patience.as_secs_f64()),
                "does it wait for something else: more bytes, a line end, another client?",
            ),
            Symptom::End => (
                "the end of the stream".to_owned(),
                "the server closed: does it go on after its first answer?",
            ),
            Symptom::Flood => ("no end of it".to_owned(), "does every line have its end?"),
            Symptom::Error(error) => {
                (error.to_string(), "a reset: the server crashed, or closed with bytes unread")
            }
        };
        let got = match &self.received[..] {
            [] => what,
            received => format!("{}, then {what}", Preview(received)),
        };
        self.wrong(expected, &got, hint)
    }
}

/// What came in place of an answer.
enum Symptom {
    Silence,
    End,
    Flood,
    Error(io::Error),
}

/// What a check found wrong; what is empty is not shown.
struct Failure {
    sent: String,
    expected: String,
    got: String,
    hint: &'static str,
}

impl Failure {
    fn of(expected: &str, got: &str, hint: &'static str) -> Self {
        Self { sent: String::new(), expected: expected.to_owned(), got: got.to_owned(), hint }
    }
}

fn ensure_that(holds: bool, expected: &str, got: &str, hint: &'static str) -> Outcome {
    if holds { Ok(()) } else { Err(Failure::of(expected, got, hint)) }
}

impl fmt::Display for Failure {
    /// A line for each part, `expected: …`, and more where 80 columns are too few.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const COLUMNS: usize = 80 - 14;
        let parts = [
            ("sent", &*self.sent),
            ("expected", &self.expected),
            ("got", &self.got),
            ("hint", self.hint),
        ];
        let mut lines = Vec::new();
        for (label, text) in parts.into_iter().filter(|(_, text)| !text.is_empty()) {
            let mut line = format!("{label:>12}:");
            let mut length = 0;
            for word in text.split(' ') {
                let word: Vec<char> = word.chars().collect();
                for piece in word.chunks(COLUMNS) {
                    if length + 1 + piece.len() > COLUMNS && length > 0 {
                        lines.push(std::mem::replace(&mut line, " ".repeat(13)));
                        length = 0;
                    }
                    line.push(' ');
                    line.extend(piece);
                    length += 1 + piece.len();
                }
            }
            lines.push(line);
        }
        formatter.write_str(&lines.join("\n"))
    }
}
