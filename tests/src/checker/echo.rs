//! What the checker asks of `echo`.

use ::echo::preview::Preview;

use super::talk::{
    ANSWER, AT_ONCE, Attempt, Check, Client, Exercise, Failure, GUESS, Outcome, Stop, Target,
    ensure, need,
};

/// How the server wants a string to end before it answers.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Lf,
    CrLf,
    /// The end of the sending.
    Stream,
}

pub struct Echo {
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
            let mut client = echo.connect()?;
            echo.send(&mut client, "a string of several words")
        }),
        ("a string with accents comes back", |echo| {
            let mut client = echo.connect()?;
            echo.send(&mut client, "l'été, déjà")
        }),
        ("a string of 100 bytes comes back alone after a longer one", |echo| {
            let longer: String = ('a'..='z').cycle().take(120).collect();
            let mut client = echo.connect()?;
            echo.send(&mut client, &longer)?;
            if client.end.is_some() || echo.end == Some(End::Stream) {
                client = echo.connect()?;
            }
            echo.send(&mut client, &longer[..100].to_uppercase())
        }),
    ];

    const FURTHER: &'static [Check<Self>] = &[
        ("a line comes back at once, as it was sent and nothing else", Self::check_exactness),
        ("four strings come back on one connection", |echo| {
            let mut client = echo.connect_for_lines()?;
            ["one", "two", "three", "four"].iter().try_for_each(|text| echo.send(&mut client, text))
        }),
        ("four clients at once get their own strings back", |echo| {
            let clients: Outcome<Vec<_>> = (0..4).map(|_| echo.connect()).collect();
            let mut others = clients?.into_iter().enumerate().rev();
            others.try_for_each(|(index, mut client)| {
                let outcome = echo.send(&mut client, &format!("client {index}"));
                let is_silent = client.replies().is_empty() && client.end.is_none();
                outcome.map_err(|stop| stop.and_hint(is_silent, AT_ONCE))
            })
        }),
        ("bytes without a line end come back at once", |echo| {
            let mut client = echo.connect_for_lines()?;
            client.ask(&["no line end"]);
            let is_back = |reply: &str| reply.contains("no line end");
            let is_back_at_once = client.reply_until(ANSWER, is_back);
            ensure(is_back_at_once, || {
                let failure = client.failure("the same bytes");
                client.ask(&["\n"]);
                let comes_now = client.reply_until(ANSWER, is_back);
                failure.hint(comes_now, "it came when the line had ended")
            })
        }),
        ("bytes of all values come back unchanged", |echo| {
            let bytes: Vec<u8> = (0..=u8::MAX).chain(*b"\n").collect();
            echo.send_bytes(&bytes).map(drop)
        }),
        ("100 KB come back unchanged", |echo| {
            echo.send_bytes("one line of many\n".repeat(6000).as_bytes()).map(drop)
        }),
        ("after a half-close all comes back, then the end", |echo| {
            echo.need_exact()?;
            let mut client = echo.connect()?;
            client.ask(&["the last line\n"]);
            client.end_sending();
            client.reply_until(ANSWER, |_| false); // Until the end.
            let is_back = client.text() == "the last line\n";
            ensure(is_back && client.end.is_some(), || {
                let lacks_end = is_back && client.end.is_none();
                let lacks_all = client.replies().is_empty() && client.end.is_some();
                client
                    .failure("the same bytes, then the end of the stream")
                    .hint(lacks_end, "no end: does it stop when a read returns 0 bytes?")
                    .hint(lacks_all, "does it still send after the client has ended its sending?")
            })
        }),
    ];

    const BY_HAND: &'static str = "what the server prints (its opening, each connection, \
        disconnection and message), your client, and errors in opening a connection (no server, \
        a port that is taken)";

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

    /// Finds out which end of a string the server waits for before it answers.
    fn learn(&mut self) -> Outcome {
        let mut attempts = Vec::<Attempt>::new();
        let mut client = self.target.connect_greeted()?;
        for end in [End::Lf, End::CrLf, End::Stream] {
            match end {
                End::Lf => client.ask(&["bonjour\n"]),
                End::CrLf => {
                    // So a server that waits for the end of the first can answer it.
                    client.end_sending();
                    client.reply(GUESS);
                    let next = self.target.connect_greeted();
                    client = next.map_err(|stop| stop.after(&attempts, self.target.is_gone))?;
                    client.ask(&["bonjour\r\n"]);
                }
                // This ends the sending of the string before it.
                End::Stream => client.end_sending(),
            }
            client.reply_until(ANSWER, |reply| reply.contains("bonjour"));
            let reply = client.text();
            attempts.push(client.attempt());
            if let Some(around) = around(&reply, "bonjour") {
                (self.end, self.around) = (Some(end), around);
                return Ok(());
            }
            if !reply.is_empty() {
                break;
            }
        }
        let all_got = |text| attempts.iter().all(|attempt| attempt.got.contains(text));
        let (is_silent, is_capital) = (all_got("nothing for"), all_got("BONJOUR"));
        Err(Failure::of_attempts("the string `bonjour`", attempts)
            .hint(is_capital, "it came back in capitals, which is another string")
            .hint(is_silent, "does it send what it has read, and flush it?")
            .into())
    }

    /// A new client, once it is known how the server speaks.
    fn connect(&mut self) -> Outcome<Client> {
        self.end.ok_or(Stop::NotTried("the string did not come back".to_owned()))?;
        self.target.connect_greeted()
    }

    fn connect_for_lines(&mut self) -> Outcome<Client> {
        need(self.end != Some(End::Stream), "it answers when the sending has ended")?;
        self.connect()
    }

    fn need_exact(&self) -> Outcome {
        need(self.is_exact, "a line does not come back as it was sent")
    }

    /// Sends `text`, and waits until it comes back, with no more around it than before.
    fn send(&mut self, client: &mut Client, text: &str) -> Outcome {
        client.ask(&[text.to_owned() + if self.end == Some(End::CrLf) { "\r\n" } else { "\n" }]);
        if self.end == Some(End::Stream) {
            client.end_sending();
        }
        let is_right = |reply: &str| around(reply, text).as_ref() == Some(&self.around);
        let is_back = client.reply_until(ANSWER, is_right);
        ensure(is_back, || {
            let others = around(&client.text(), text);
            let now = Preview(others.as_deref().unwrap_or_default()).to_string();
            let hint = format!("what comes with it is {now}, and was {}", Preview(&self.around));
            client.failure("the same string").hint(others.is_some(), hint)
        })
    }

    /// Sends bytes, and waits for these and nothing else.
    fn send_bytes(&mut self, bytes: &[u8]) -> Outcome {
        self.need_exact()?;
        let mut client = self.connect()?;
        client.ask(&[bytes]);
        client.reply_until(ANSWER, |reply| reply.len() >= bytes.len());
        ensure(client.bytes() == bytes, || client.failure("the same bytes"))
    }

    /// Whether a line comes back as it is: what stands in the way is one failure.
    fn check_exactness(&mut self) -> Outcome {
        let mut client = self.connect()?;
        let greeting = client.text();
        client.ask(&["bonjour\n"]);
        let is_back = client.reply_until(ANSWER, |reply| reply == "bonjour\n");
        self.is_exact = is_back && greeting.is_empty();
        let text = client.text();
        ensure(self.is_exact, || {
            let failure = if greeting.is_empty() {
                client.failure("the same bytes")
            } else {
                Failure::new("nothing before a string is sent", Preview(&greeting))
            };
            failure
                .hint(!greeting.is_empty(), "a greeting came first")
                .hint(self.end == Some(End::Stream), "nothing comes until the sending has ended")
                .hint(self.end == Some(End::CrLf), "nothing comes until \\r\\n")
                .hint(text.starts_with('\u{feff}'), "a byte-order mark came first")
                .hint(text == "bonjour", "the line end is missing")
                .hint(text == "bonjour\r\n", "\\n has become \\r\\n")
                .hint(text.contains("bonjour"), "something was added")
        })
    }
}

/// What stands around the first `text` in `reply`, without digits (there may be a count) and white
/// space.
fn around(reply: &str, text: &str) -> Option<String> {
    let (before, after) = reply.split_once(text)?;
    let around = before.chars().chain(after.chars());
    Some(around.filter(|char| !char.is_ascii_digit() && !char.is_whitespace()).collect())
}
