//! What the checker asks of `random-stream`.

use std::mem;
use std::time::{Duration, Instant};

use super::talk::{
    ANSWER, AT_ONCE, Check, Client, Exercise, Failure, Message, Outcome, Target, ensure, need,
    not_tried, numbers, value, wait,
};

/// How long a server may take to notice that a client has ended its sending.
const SOON: Duration = Duration::from_secs(2);

pub struct RandomStream {
    target: Target,
    /// Those who go on receiving from one check to the next.
    clients: Vec<Client>,
    /// One who has received numbers, and reads no more.
    unread: Option<Client>,
    /// The numbers that came to each client, as they were written.
    streams: Vec<Vec<String>>,
    /// Whether numbers before the last of each message are random: a rank or a date may follow.
    earlier_are_random: bool,
    /// Something that came with a number.
    message: Option<String>,
}

impl Exercise for RandomStream {
    const ASKED: &'static [Check<Self>] = &[
        ("a number comes", |stream| {
            stream.clients.push(stream.target.connect()?);
            stream.expect(1, ANSWER)?;
            stream.message = stream.clients[0].replies().last().map(Message::text);
            Ok(())
        }),
        ("a number comes each second, eight of them by the clock", |stream| {
            stream.need_clients(1)?;
            let mut gaps = Vec::new();
            // Where a machine was busy, another eight are a second apart.
            for count in [8, 16] {
                stream.expect(count, Duration::from_secs(9))?;
                gaps = gaps_before(&stream.clients[0], count);
                if are_seconds(&gaps) {
                    break;
                }
            }
            let client = stream.clients.remove(0);
            stream.message = client.replies().last().map(Message::text); // The first may be a greeting.
            stream.earlier_are_random = (1..10).any(|after| are_random(&client, after));
            stream.streams.push(drawn(&client));
            ensure(are_seconds(&gaps), || {
                Failure::new("eight numbers, a second apart", format!("after {gaps:.2?} s"))
            })
        }),
        ("three clients at once get a number a second each", |stream| {
            need(stream.message.is_some(), "no number came")?;
            stream.clients = stream.target.connect_all(3)?;
            stream.expect(3, Duration::from_millis(4500))?;
            stream.streams.extend(stream.clients.iter().map(drawn));
            Ok(())
        }),
        ("the numbers are random", |stream| {
            need(!stream.streams.is_empty(), "not enough numbers came")?;
            // The first one may stand in a greeting.
            let all = |test: fn(&[String]) -> bool| stream.streams.iter().all(|n| test(&n[1..]));
            let are_constant = all(|numbers| numbers.iter().all(|number| *number == numbers[0]));
            let are_counters = stream.streams.iter().any(|n| n.len() > 4) && all(counts);
            ensure(stream.earlier_are_random || !are_constant && !are_counters, || {
                let got: Vec<_> = stream.streams.iter().map(|numbers| numbers.join(" ")).collect();
                Failure::new("numbers that differ, and do not count", got.join("; "))
                    .hint(are_constant, "is each number drawn anew?")
                    .hint(are_counters, "each number follows from the one before it")
            })
        }),
        ("when the first client leaves, the others go on, and new ones come", |stream| {
            stream.need_clients(3)?;
            drop(stream.clients.remove(0)); // All is read, so this is an orderly end.
            stream.unread = stream.clients.pop();
            stream.expect_more(2)
        }),
        ("when a client has crashed, the others go on, and new ones come", |stream| {
            stream.need_clients(2)?;
            // Closed with numbers unread, it is reset, as that of a killed process may be.
            drop(stream.unread.take());
            stream.expect_more(2)
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
            let Some(own) = stream.streams.get(1..4) else { return not_tried("too few came") };
            let differ = own.iter().any(|numbers| *numbers != own[0]);
            ensure(differ, || Failure::new("three streams that differ", format!("{own:?}")))
        }),
        ("what a client sends is thrown away", |stream| {
            stream.need_clients(1)?;
            stream.clients[0].ask(&["what a client sends\n".repeat(100)]);
            stream.expect_more(2)
        }),
        ("a client that ends its sending gets the end of the numbers", |stream| {
            stream.need_clients(1)?;
            let client = &mut stream.clients[0];
            client.ask(&[""]);
            client.end_sending();
            client.reply_until(SOON, |_| false); // Until the end.
            ensure(client.end.is_some(), || {
                let hint = "does it stop when a read returns 0 bytes?";
                client.failure("the end of the stream").hint(true, hint)
            })
        }),
    ];

    const BY_HAND: &'static str = "the log (each client's number, connection, disconnection and \
        numbers), the flag that quiets it, your client, and whether the generation stops when a \
        client is killed: nobody is there to read, so only the log can tell";

    fn speaks(&self) -> Option<String> {
        self.message.as_ref().map(|message| format!("{message:?}"))
    }
}

impl RandomStream {
    pub fn new(target: Target) -> Self {
        let (clients, unread, streams, message) = (Vec::new(), None, Vec::new(), None);
        Self { target, clients, unread, streams, earlier_are_random: false, message }
    }

    fn need_clients(&self, count: usize) -> Outcome {
        need(self.clients.len() >= count, "not enough numbers came")
    }

    /// Waits until each client has `count` numbers since it connected, or asked for something. If
    /// that fails, none of them is of use to later checks.
    fn expect(&mut self, count: usize, patience: Duration) -> Outcome {
        wait(&mut self.clients, patience, |client| {
            drawn(client).len() >= count || client.end.is_some()
        });
        let came: Vec<usize> = self.clients.iter().map(|client| drawn(client).len()).collect();
        let Some(lacking) = came.iter().position(|came| *came < count) else { return Ok(()) };
        let client = mem::take(&mut self.clients).swap_remove(lacking);
        if client.end.is_some() {
            self.target.connect()?; // Where the server is gone, this says so.
        }
        if count == 1 && came.len() == 1 {
            return Err(client.failure("a number").into());
        }
        let (took, last) = (client.asked.elapsed(), client.attempt().got);
        let got = format!("{came:?} in {:.1} s; the last: {last}", took.as_secs_f64());
        let is_one_ticker = !self.streams.is_empty()
            && came.iter().all(|came| (1..count).contains(came))
            && came.iter().sum::<usize>() as u64 <= took.as_secs() + 2;
        Err(Failure::new(format!("{count} numbers for each client"), got)
            .hint(came[lacking] == 0 && came.iter().any(|came| *came > 0), AT_ONCE)
            .hint(came.len() > 1 && is_one_ticker, "do all clients share one ticker?")
            .into())
    }

    /// Those who are there get `count` more numbers, and so does a new client.
    fn expect_more(&mut self, count: usize) -> Outcome {
        for client in &mut self.clients {
            client.ask(&[""]);
        }
        self.clients.push(self.target.connect()?);
        self.expect(count, Duration::from_secs(4))
    }
}

/// The numbers since the client asked for something.
fn drawn(client: &Client) -> Vec<String> {
    client.replies().iter().filter_map(|message| number(message, 0)).collect()
}

/// How many seconds are between the eight numbers of a client up to the `count`th.
fn gaps_before(client: &Client, count: usize) -> Vec<f64> {
    let messages = client.replies().iter().filter(|message| number(message, 0).is_some());
    let times: Vec<Instant> = messages.map(|message| message.began).collect();
    let last = &times[count - 8..count];
    last.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect()
}

/// The number of a message that so many others follow.
fn number(message: &Message, after: usize) -> Option<String> {
    let text = message.text();
    numbers(&text, true).iter().nth_back(after).map(|(_, number)| (*number).to_owned())
}

/// Whether the numbers that so many others follow change more than once, as a minute does not,
/// and do not count.
fn are_random(client: &Client, after: usize) -> bool {
    let messages = client.replies().iter().skip(1);
    let numbers: Vec<_> = messages.filter_map(|message| number(message, after)).collect();
    numbers.windows(2).filter(|pair| pair[0] != pair[1]).count() > 1 && !counts(&numbers)
}

/// Whether numbers so far apart come every second: all are a second apart on average, within a
/// tenth, and any two within half a second.
fn are_seconds(gaps: &[f64]) -> bool {
    (6.3..=7.7).contains(&gaps.iter().sum()) && gaps.iter().all(|gap| (0.5..=1.5).contains(gap))
}

/// Whether the numbers go up or down all the way, or by the same step all but once, as a counter
/// that starts again does.
fn counts(numbers: &[String]) -> bool {
    let values: Vec<f64> = numbers.iter().map(|number| value(number)).collect();
    let steps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The seconds of a clock may have decimals.
    let is_same = |step: &&f64| (**step - steps[1]).abs() <= 0.05 * step.abs() && **step != 0.0;
    steps.iter().all(|step| *step > 0.0)
        || steps.iter().all(|step| *step < 0.0)
        || steps.len() > 5 && steps.iter().filter(is_same).count() >= steps.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_neither_longer_nor_shorter_nor_two_at_a_time() {
        assert!(are_seconds(&[1.0, 1.02, 0.98, 1.3, 0.7, 1.0, 1.0]));
        for gap in [0.6, 0.85, 1.15, 1.4] {
            assert!(!are_seconds(&[gap; 7]), "{gap}");
        }
        assert!(!are_seconds(&[2.0, 0.0, 2.0, 0.0, 2.0, 0.0, 1.0]));
    }

    #[test]
    fn a_counter_is_not_random_and_dice_are() {
        let counts = |text: &str| counts(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for text in ["1 2 3 4 5 6 7", "10 20 30 45 46", "7 6 5", "7 8 9 0 1 2 3", "0,5 1,5 2,5"] {
            assert!(counts(text), "{text}");
        }
        for text in ["3 1 4 1 5 2 6", "0 0 0 0 1 1 1", "1 1 1 1 1 1 1", "0.5 0.25 0.75"] {
            assert!(!counts(text), "{text}");
        }
    }
}
