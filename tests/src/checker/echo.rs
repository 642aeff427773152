//! What the checker asks of `echo`.

use super::talk::{
    ANSWER, AT_ONCE, Attempt, Check, Client, Exercise, Failure, GUESS, Outcome, Target, ensure,
    not_tried, wait,
};

/// How the server wants a string to end before it answers.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Lf,
    CrLf,
    /// The end of the sending.
    Stream,
}

pub(super) struct Echo {
    target: Target,
    end: Option<End>,
    /// What stands around a string that comes back, without digits.
    around: String,
    is_exact: bool,
}

impl Exercise for Echo {
    const ASKED: &'static [Check<Self>] = &[
        ("a string comes back", Self::learn),
        ("the next client's string comes back, too", |echo| {
            let mut client = echo.target.connect_greeted()?;
            echo.send(&mut client, "a string of several words")
        }),
        ("a string with accents comes back", |echo| {
            let mut client = echo.target.connect_greeted()?;
            echo.send(&mut client, "l'été, déjà")
        }),
        ("a string of 100 bytes comes back alone after a longer one", |echo| {
            let longer: String = ('a'..='z').cycle().take(120).collect();
            let mut client = echo.target.connect_greeted()?;
            echo.send(&mut client, &longer)?;
            if client.end.is_some() || echo.end == Some(End::Stream) {
                client = echo.target.connect_greeted()?;
            }
            echo.send(&mut client, &longer[..100].to_uppercase())
        }),
    ];

    const FURTHER: &'static [Check<Self>] = &[
        ("a line comes back at once, as it was sent and nothing else", Self::be_exact),
        ("four strings come back on one connection", |echo| {
            let mut client = echo.connect_for_lines()?;
            ["one", "two", "three", "four"].iter().try_for_each(|text| echo.send(&mut client, text))
        }),
        ("four clients at once get their own strings back", |echo| {
            let mut clients = echo.target.connect_all(4)?;
            if echo.target.greets == Some(true) {
                wait(&mut clients, ANSWER, |clients| clients.iter().all(Client::has_replied));
            }
            let mut others = clients.iter_mut().enumerate().rev();
            others.try_for_each(|(index, client)| echo.send(client, &format!("client {index}")))
        }),
        ("bytes without a line end come back at once", |echo| {
            let mut client = echo.connect_for_lines()?;
            client.ask(&["no line end"]);
            let reply = client.reply(ANSWER);
            ensure(reply.contains("no line end"), || {
                let failure = client.failure("the same bytes");
                client.ask(&["\n"]);
                let comes_now = client.reply(ANSWER).contains("no line end");
                failure.hint(comes_now, "it came when the line had ended")
            })
        }),
        ("bytes of all values come back unchanged", |echo| {
            let bytes: Vec<u8> = (0..=u8::MAX).chain(*b"\n").collect();
            let mut client = echo.connect_for_bytes()?;
            client.ask(&[&bytes]);
            expect(&mut client, &bytes)
        }),
        ("100 KB come back unchanged", |echo| {
            let text = "one line of many\n".repeat(6000);
            let mut client = echo.connect_for_bytes()?;
            client.ask(&[&text]);
            expect(&mut client, text.as_bytes())
        }),
        ("after a half-close all comes back, then the end", |echo| {
            let mut client = echo.connect_for_bytes()?;
            client.ask(&["the last line\n"]);
            client.shut_down();
            let bytes = b"the last line\n";
            wait(std::slice::from_mut(&mut client), ANSWER, |clients| clients[0].end.is_some());
            let (has_ended, is_back) = (client.end.is_some(), client.bytes() == bytes);
            ensure(has_ended && is_back, || {
                client
                    .failure("the same bytes, then the end of the stream")
                    .hint(is_back, "no end: does it stop when a read returns 0 bytes?")
                    .hint(
                        client.bytes().is_empty() && has_ended,
                        "does it still send after the client has ended its sending?",
                    )
            })
        }),
    ];

    const BY_HAND: &'static str = "what the server prints (its opening, each connection, \
        disconnection and message), your client, and errors in opening a connection (no server, \
        a port that is taken)";

    fn target(&mut self) -> &mut Target {
        &mut self.target
    }

    fn speaks(&self) -> Option<String> {
        Some(match self.end? {
            End::Lf => "a string and \\n".to_owned(),
            End::CrLf => "a string and \\r\\n".to_owned(),
            End::Stream => "a string, then the end of the sending".to_owned(),
        })
    }
}

impl Echo {
    pub fn new(target: Target) -> Self {
        Self { target, end: None, around: String::new(), is_exact: false }
    }

    /// Finds out after what the server answers.
    fn learn(&mut self) -> Outcome {
        let mut attempts = Vec::new();
        let mut client = self.target.connect_greeted()?;
        for end in [End::Lf, End::CrLf, End::Stream] {
            if end == End::CrLf {
                // So a server that waits for the end of the first can answer it.
                client.shut_down();
                client.reply(GUESS);
                client = self.target.connect_greeted()?;
            }
            // The last way ends the sending of the string before it.
            match end {
                End::Lf => client.ask(&["bonjour\n"]),
                End::CrLf => client.ask(&["bonjour\r\n"]),
                End::Stream => client.shut_down(),
            }
            let reply = client.reply(ANSWER);
            attempts.push(client.attempt());
            if let Some(around) = around(&reply, "bonjour") {
                (self.end, self.around) = (Some(end), around);
                return Ok(());
            }
            if !reply.is_empty() {
                break;
            }
        }
        let is_capital = attempts.iter().any(|attempt: &Attempt| attempt.got.contains("BONJOUR"));
        let failure = Failure::of_attempts("the string `bonjour`", &attempts);
        Err(failure.hint(is_capital, "capitals are another string").into())
    }

    /// Sends `text`, and waits until it comes back, with no more around it than before.
    fn send(&mut self, client: &mut Client, text: &str) -> Outcome {
        let Some(end) = self.end else { return not_tried("no string came back") };
        client.ask(&[text.to_owned() + if end == End::CrLf { "\r\n" } else { "\n" }]);
        if end == End::Stream {
            client.shut_down();
        }
        let reply = client.reply(ANSWER);
        let around = around(&reply, text);
        ensure(around.as_ref() == Some(&self.around), || {
            client
                .failure("the same string")
                .hint(around.is_some(), "what comes with it did not come with the first string")
                .hint(reply.is_empty() && client.end.is_none(), AT_ONCE)
        })
    }

    /// Whether a line comes back as it is: what stands in the way is one failure.
    fn be_exact(&mut self) -> Outcome {
        let Some(end) = self.end else { return not_tried("no string came back") };
        let mut client = self.target.connect_greeted()?;
        let greeting = client.text();
        client.ask(&["bonjour\n"]);
        let text = client.reply(ANSWER);
        self.is_exact = text == "bonjour\n" && greeting.is_empty();
        ensure(self.is_exact, || {
            let is_greeted = self.target.greets == Some(true);
            let failure = if is_greeted {
                Failure::new("nothing before a string is sent", format!("{greeting:?}"))
            } else {
                client.failure("the same bytes")
            };
            failure
                .hint(is_greeted, "a greeting came first")
                .hint(end == End::Stream, "nothing comes until the sending has ended")
                .hint(end == End::CrLf, "nothing comes until \\r\\n")
                .hint(text.starts_with('\u{feff}'), "a byte-order mark came first")
                .hint(text == "bonjour", "the line end is missing")
                .hint(text == "bonjour\r\n", "\\n has become \\r\\n")
                .hint(text.contains("bonjour"), "something was added")
        })
    }

    fn connect_for_lines(&mut self) -> Outcome<Client> {
        match self.end {
            None => not_tried("no string came back"),
            Some(End::Stream) => not_tried("it answers when the sending has ended"),
            Some(_) => self.target.connect_greeted(),
        }
    }

    fn connect_for_bytes(&mut self) -> Outcome<Client> {
        if !self.is_exact {
            return not_tried("a line does not come back as it was sent");
        }
        self.target.connect_greeted()
    }
}

/// What stands around the first `text` in `reply`, without digits (there may be a count) and white
/// space.
fn around(reply: &str, text: &str) -> Option<String> {
    let (before, after) = reply.split_once(text)?;
    let around = before.chars().chain(after.chars());
    Some(around.filter(|char| !char.is_ascii_digit() && !char.is_whitespace()).collect())
}

/// Waits for these bytes and nothing else.
fn expect(client: &mut Client, bytes: &[u8]) -> Outcome {
    wait(std::slice::from_mut(client), ANSWER, |clients| {
        let client = &clients[0];
        client.end.is_some() || client.is_over() && client.bytes().len() >= bytes.len()
    });
    ensure(client.bytes() == bytes, || client.failure("the same bytes"))
}
