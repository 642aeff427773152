//! What the checker asks of `random-stream`.

use std::time::{Duration, Instant};

use super::talk::{
    ANSWER, AT_ONCE, Check, Client, Exercise, Failure, Message, Outcome, Target, ensure, not_tried,
    numbers, value, wait,
};

pub(super) struct RandomStream {
    target: Target,
    /// The numbers that came to each client, as they were written.
    streams: Vec<Vec<String>>,
    /// Something that came with a number.
    message: Option<String>,
}

impl Exercise for RandomStream {
    const ASKED: &'static [Check<Self>] = &[
        ("a number comes", |stream| {
            let mut clients = [stream.target.connect()?];
            stream.expect(&mut clients, 1, ANSWER)?;
            stream.message = clients[0].messages.last().map(Message::text);
            Ok(())
        }),
        ("a number comes each second, eight of them by the clock", |stream| {
            let mut clients = stream.connect(1)?;
            stream.expect(&mut clients, 8, Duration::from_secs(14))?;
            stream.streams.push(drawn(&clients[0]));
            let messages = clients[0].messages.iter().filter(|message| has_number(&message.text()));
            let times: Vec<Instant> = messages.map(|message| message.at).take(8).collect();
            let seconds = |from: Instant, to: Instant| (to - from).as_secs_f64();
            let gaps = times.windows(2).map(|pair| seconds(pair[0], pair[1]));
            let (least, most) = gaps
                .fold((f64::MAX, 0.0_f64), |(least, most), gap| (least.min(gap), most.max(gap)));
            let all = seconds(times[0], times[7]);
            let is_right = (6.3..7.7).contains(&all) && least >= 0.5 && most <= 1.5;
            ensure(is_right, || {
                let got = format!("eight numbers in {all:.1} s, {least:.2} s to {most:.2} s apart");
                Failure::new("eight numbers in 7 s, a second apart", got)
            })
        }),
        ("three clients at once get a number a second each", |stream| {
            let mut clients = stream.connect(3)?;
            let began = Instant::now();
            stream.expect(&mut clients, 4, Duration::from_secs(8))?;
            stream.streams.extend(clients.iter().map(drawn));
            let got = format!("four numbers for each in {:.1} s", began.elapsed().as_secs_f64());
            ensure(began.elapsed() < Duration::from_secs(5), || {
                Failure::new("four numbers for each in 3 or 4 s", got)
            })
        }),
        ("the numbers are random", |stream| {
            stream.need(!stream.streams.is_empty())?;
            let got = stream.streams.iter().map(|numbers| numbers.join(" ")).collect::<Vec<_>>();
            // The first one may stand in a greeting.
            let all = |test: fn(&[String]) -> bool| stream.streams.iter().all(|n| test(&n[1..]));
            let are_constant = all(|numbers| numbers.iter().all(|number| *number == numbers[0]));
            let count = all(counts);
            ensure(!are_constant && !count, || {
                Failure::new("numbers that differ, and do not count", got.join("; "))
                    .hint(are_constant, "is each number drawn anew?")
                    .hint(count, "each number follows from the one before it")
            })
        }),
        ("when the first client leaves, the others go on, and new ones come", |stream| {
            let mut clients = stream.connect(2)?;
            stream.expect(&mut clients, 1, ANSWER)?;
            drop(clients.remove(0)); // All is read, so this is an orderly end.
            stream.expect_more(clients)
        }),
        ("when a client has crashed, the others go on, and new ones come", |stream| {
            let mut clients = stream.connect(2)?;
            stream.expect(&mut clients, 1, ANSWER)?;
            let crashed = clients.remove(0);
            stream.expect(&mut clients, 2, ANSWER)?;
            // Closed with a number unread, it is reset, as that of a killed process may be.
            drop(crashed);
            stream.expect_more(clients)
        }),
    ];

    const FURTHER: &'static [Check<Self>] = &[
        ("each number is an integer on a line of its own", |stream| {
            let Some(message) = stream.message.clone() else { return not_tried("no number came") };
            let line = message.strip_suffix('\n').unwrap_or_default();
            let is_line = line.strip_suffix('\r').unwrap_or(line).parse::<i128>().is_ok();
            ensure(is_line, || Failure::new("a line with an integer", format!("{message:?}")))
        }),
        ("each client has numbers of its own", |stream| {
            stream.need(stream.streams.len() == 4)?;
            let own = &stream.streams[1..];
            let differ = own.iter().any(|numbers| *numbers != own[0]);
            ensure(differ, || Failure::new("three streams that differ", format!("{own:?}")))
        }),
        ("what a client sends is thrown away", |stream| {
            let mut clients = stream.connect(1)?;
            stream.expect(&mut clients, 1, ANSWER)?;
            clients[0].ask(&["what a client sends\n".repeat(100)]);
            stream.expect(&mut clients, 3, ANSWER)
        }),
        ("a client that ends its sending gets the end of the numbers", |stream| {
            let mut clients = stream.connect(1)?;
            stream.expect(&mut clients, 1, ANSWER)?;
            clients[0].shut_down();
            let has_ended = wait(&mut clients, ANSWER, |clients| clients[0].end.is_some());
            ensure(has_ended, || {
                let got = "numbers after the end of the sending";
                Failure::new("the end of the stream", got)
                    .hint(true, "does it stop when a read returns 0 bytes?")
            })
        }),
    ];

    const BY_HAND: &'static str = "the log (each client's number, connection, disconnection and \
        numbers), the flag that quiets it, your client, and whether the generation stops when a \
        client is killed: nobody is there to read, so only the log can tell";

    fn target(&mut self) -> &mut Target {
        &mut self.target
    }

    fn speaks(&self) -> Option<String> {
        self.message.as_ref().map(|message| format!("{message:?}"))
    }
}

impl RandomStream {
    pub fn new(target: Target) -> Self {
        Self { target, streams: Vec::new(), message: None }
    }

    fn need(&self, is_there: bool) -> Outcome {
        if is_there { Ok(()) } else { not_tried("not enough numbers came") }
    }

    fn connect(&mut self, count: usize) -> Outcome<Vec<Client>> {
        if self.message.is_none() {
            return not_tried("no number came");
        }
        self.target.connect_all(count)
    }

    /// Waits until each of the clients has `count` numbers.
    fn expect(&self, clients: &mut [Client], count: usize, patience: Duration) -> Outcome {
        wait(clients, patience, |clients| {
            clients.iter().all(|client| drawn(client).len() >= count || client.end.is_some())
        });
        let lacking = clients.iter().find(|client| drawn(client).len() < count);
        let expected = if count == 1 { "a number".into() } else { format!("{count} numbers") };
        lacking.map_or(Ok(()), |client| {
            let is_alone = clients.iter().all(|client| client.messages.is_empty());
            let is_left_out = client.messages.is_empty() && client.end.is_none() && !is_alone;
            Err(client.failure(expected).hint(is_left_out, AT_ONCE).into())
        })
    }

    /// Those who stay get two more numbers, and a new client gets one.
    fn expect_more(&mut self, mut clients: Vec<Client>) -> Outcome {
        clients.iter_mut().for_each(|client| client.ask(&[""; 0]));
        let more =
            |client: &Client| client.replies().iter().filter(|m| has_number(&m.text())).count();
        let patience = Duration::from_millis(3500);
        let go_on = wait(&mut clients, patience, |clients| clients.iter().all(|c| more(c) >= 2));
        ensure(go_on, || clients[0].failure("two more numbers for the client that stayed"))?;
        let mut new = [self.target.connect()?];
        self.expect(&mut new, 1, ANSWER)
    }
}

/// The last number of each message; a message without one is left out.
fn drawn(client: &Client) -> Vec<String> {
    let last = |text: String| Some(text[numbers(&text, true).pop()?].to_owned());
    client.messages.iter().filter_map(|message| last(message.text())).collect()
}

fn has_number(text: &str) -> bool {
    !numbers(text, true).is_empty()
}

/// Whether the numbers go up or down all the way, or by the same step all but once, as a counter
/// that starts again does.
fn counts(numbers: &[String]) -> bool {
    let values: Vec<f64> = numbers.iter().map(|number| value(number)).collect();
    let steps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let is_same = |step: &&f64| (**step - steps[1]).abs() < 1e-9 && **step != 0.0;
    steps.iter().all(|step| *step > 0.0)
        || steps.iter().all(|step| *step < 0.0)
        || steps.len() > 5 && steps.iter().filter(is_same).count() >= steps.len() - 1
}
