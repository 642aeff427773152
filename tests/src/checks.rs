//! What the checker asks: for each exercise first what its statement says, and no more, then what
//! goes further. Each check is a sentence, and the function that tests it.

#![expect(clippy::float_cmp, reason = "random numbers are the same, or they are not")]

use std::fmt::Display;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use echo::preview::Preview;
use shop::Product;

use crate::checker::{ANSWER, Checks, Failure, Hint, Outcome, PACKET, Target, parse};

/// The hint where a client waits in vain while others are connected.
pub(crate) const AT_ONCE: &str = "does each client have a thread of its own?";

/// The shortest delay of a shop from which a lock can be told by the clock.
const MIN_DELAY: Duration = Duration::from_millis(200);

pub(crate) const ECHO: Checks = Checks {
    asked: &[
        ("a string comes back", |target| echo(target, &["bonjour\n"], false)),
        ("the next client's string comes back, too", |target| {
            echo(target, &["a string of several words\n"], false)
        }),
        ("a string with accents comes back", |target| echo(target, &["l'été, déjà\n"], false)),
    ],
    further: &[
        ("four strings come back on one connection", |target| {
            echo(target, &["one\n", "two\n", "three\n", "four\n"], true)
        }),
        ("bytes without a line end come back at once", |target| {
            echo(target, &["no line end"], true)
        }),
        ("bytes of all values come back unchanged", |target| {
            let bytes: Vec<u8> = (0..=u8::MAX).collect();
            echo(target, &[bytes], true)
        }),
        ("100 KB come back unchanged", |target| {
            let mut client = target.connect()?;
            let bytes = "one line of many\n".repeat(6000);
            let stream = client.stream.try_clone();
            let mut stream = stream.map_err(|error| Failure::of("a connection", error, &[]))?;
            let sent = bytes.clone();
            // Both at once: a server need not take all before it gives something back.
            thread::spawn(move || stream.write_all(sent.as_bytes()));
            client.expect_echo(bytes.as_bytes(), true)
        }),
        ("after a half-close everything comes back, then the end", |target| {
            let mut client = target.connect()?;
            client.send("the last line\n")?;
            client.shutdown();
            client.expect_echo(b"the last line\n", true)?;
            client.expect_end()
        }),
        ("four clients at once get their own bytes back", |target| {
            let mut clients = target.connect_all(4)?;
            for _ in 0..2 {
                for (index, client) in clients.iter_mut().enumerate().rev() {
                    client.if_silent = AT_ONCE;
                    let line = format!("client {index}\n");
                    client.send(&line)?;
                    client.expect_echo(line.as_bytes(), true)?;
                }
            }
            Ok(())
        }),
    ],
};

/// Sends each of `messages` on one connection, and waits until it comes back.
fn echo(target: &mut Target, messages: &[impl AsRef<[u8]>], is_exact: bool) -> Outcome {
    let mut client = target.connect()?;
    for message in messages {
        client.send(message)?;
        client.expect_echo(message.as_ref(), is_exact)?;
    }
    Ok(())
}

const NUMBER: &str = "a line with a random number";

pub(crate) const RANDOM_STREAM: Checks = Checks {
    asked: &[
        ("a number comes, on a line of its own", |target| {
            target.connect()?.number(NUMBER, &[])?;
            Ok(())
        }),
        ("a number comes each second, eight of them by the clock", |target| {
            let mut client = target.connect()?;
            target.numbers = vec![vec![client.number(NUMBER, &[])?]];
            let mut times = vec![Instant::now()];
            for _ in 1..8 {
                target.numbers[0].push(client.number(NUMBER, &[])?);
                times.push(Instant::now());
            }
            let gaps = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64());
            let (least, most) = gaps
                .fold((f64::MAX, 0.0_f64), |(least, most), gap| (least.min(gap), most.max(gap)));
            let got = format!("numbers {least:.2} s to {most:.2} s apart");
            client.ensure(least > 0.5 && most < 1.5, "numbers a second apart", got, &[])
        }),
        ("the numbers differ", |target| {
            let numbers = target.numbers.concat();
            let differ = numbers.windows(2).any(|pair| pair[0] != pair[1]);
            let hint = (numbers.len() > 1, "is each number drawn anew?");
            ensure(differ, "numbers that are not all the same", format!("{numbers:?}"), &[hint])
        }),
        ("three clients at once get a number a second each", |target| {
            let mut clients = target.connect_all(3)?;
            let mut numbers = vec![Vec::new(); 3];
            let began = Instant::now();
            for _ in 0..4 {
                for (client, numbers) in clients.iter_mut().zip(&mut numbers) {
                    client.if_silent = if numbers.is_empty() { AT_ONCE } else { "" };
                    numbers.push(client.number(NUMBER, &[])?);
                }
            }
            target.numbers.extend(numbers);
            let seconds = began.elapsed().as_secs_f64();
            let got = format!("four numbers for each in {seconds:.1} s");
            ensure(seconds < 5.0, "four numbers for each in 3 or 4 s", got, &[])
        }),
        ("when one client has crashed, the others go on, and new ones come", |target| {
            let mut clients = target.connect_all(2)?;
            clients[0].number(NUMBER, &[])?;
            // Closed with a number unread, it is reset, as that of a killed process may be.
            let crashed = clients.remove(0);
            let _ = crashed.stream.set_read_timeout(Some(ANSWER));
            let _ = crashed.stream.peek(&mut [0]);
            drop(crashed);
            for _ in 0..2 {
                clients[0].number(NUMBER, &[])?;
            }
            target.connect()?.number(NUMBER, &[])?;
            Ok(())
        }),
    ],
    further: &[
        ("each client has numbers of its own", |target| {
            let mut own = target.numbers.iter().skip(1).map(|numbers| &numbers[..4]);
            let got = format!("{:?}", target.numbers);
            let first = own.next();
            ensure(own.any(|numbers| Some(numbers) != first), "three streams that differ", got, &[])
        }),
        ("the numbers do not only count up", |target| {
            let counts = |numbers: &Vec<f64>| numbers.windows(2).all(|pair| pair[0] < pair[1]);
            let got = format!("{:?}", target.numbers);
            ensure(!target.numbers.iter().all(counts), "random numbers", got, &[])
        }),
        ("the numbers are integers", |target| {
            let mut numbers = target.numbers.iter().flatten();
            let got = format!("{:?}", target.numbers);
            ensure(numbers.all(|number| number.fract() == 0.0), "integers", got, &[])
        }),
        ("what a client sends is thrown away", |target| {
            let mut client = target.connect()?;
            client.number(NUMBER, &[])?;
            client.send("what a client sends\n".repeat(100))?;
            client.number(NUMBER, &[])?;
            Ok(())
        }),
        ("a client that ends its sending gets the end of the numbers", |target| {
            let mut client = target.connect()?;
            client.number(NUMBER, &[])?;
            client.shutdown();
            client.expect_end()
        }),
    ],
};

/// How a question is laid out: which line each of its tokens is on.
type Layout = fn(&[&str]) -> Vec<String>;

/// The statement leaves open whether the tokens of a question come one a line or share one.
const LAYOUTS: [Layout; 3] = [
    |tokens| tokens.iter().map(|token| format!("{token}\n")).collect(),
    |tokens| vec![tokens.join(" ") + "\n"],
    |tokens| {
        let [action, numbers @ .., equals] = tokens else { return Vec::new() };
        [action, &*numbers.join(" "), equals].map(|line| format!("{line}\n")).to_vec()
    },
];

pub(crate) const MATH: Checks = Checks {
    asked: &[
        ("`somme` adds numbers, and `=` gets the answer", |target| {
            let mut failures = Vec::new();
            for layout in 0..LAYOUTS.len() {
                target.layout = layout;
                let mut client = target.connect()?;
                let sent = client.send_parts(&lines(target, "somme 1 2 3 ="));
                match sent.and_then(|()| client.expect_answers(&[6.0])) {
                    Ok(()) => return Ok(()),
                    Err(failure) => failures.push((client.has_answered(), failure)),
                }
            }
            // The failure with an answer tells more than one with silence.
            failures.sort_by_key(|(has_answered, _)| !has_answered);
            Err(failures.remove(0).1)
        }),
        ("`moyenne` is the mean", |target| ask(target, "moyenne 3 -2 8 =", &[3.0])),
        ("`écart-type` is the standard deviation", |target| {
            let mut client = target.connect()?;
            client.send_parts(&lines(target, "écart-type 2 4 4 4 5 5 7 9 ="))?;
            client.number("the answer 2, or 2.138", &[2.0, 2.138])?;
            Ok(())
        }),
        ("`min` is the smallest", |target| {
            ask(target, "min 3 -2 7 =", &[-2.0])?;
            ask(target, "min 5 3 7 =", &[3.0]) // One that starts from 0 has found 0.
        }),
        ("`max` is the largest", |target| {
            ask(target, "max 3 -2 7 =", &[7.0])?;
            ask(target, "max -5 -3 -7 =", &[-3.0])
        }),
        ("an answer may have decimals", |target| ask(target, "moyenne 1 2 =", &[1.5])),
        ("numbers may have decimals", |target| {
            // The statement leaves open which mark they have.
            ask(target, "somme 1.5 2.25 =", &[3.75])
                .or_else(|failure| ask(target, "somme 1,5 2,25 =", &[3.75]).map_err(|_| failure))
        }),
        ("two clients at once each get their own answer", |target| {
            let mut clients = target.connect_all(2)?;
            let questions = ["somme 1 2 =", "somme 10 20 ="].map(|text| lines(target, text));
            for half in 0..2 {
                for (client, question) in clients.iter_mut().zip(&questions) {
                    client.if_silent = AT_ONCE;
                    let (first, second) = question.split_at(question.len() / 2);
                    client.send_parts(if half == 0 { first } else { second })?;
                }
                thread::sleep(PACKET);
            }
            clients[1].expect_answers(&[30.0])?;
            clients[0].expect_answers(&[3.0])
        }),
        ("a client that breaks off, or says `deux`, disturbs nobody after it", |target| {
            let question = lines(target, "somme 1 2 =").concat();
            target.connect()?.send(question.trim_end().trim_end_matches('='))?;
            let mut two = target.connect()?;
            // What it gets, if anything, is left open.
            let _ = two.send_parts(&lines(target, "somme deux ="));
            thread::sleep(PACKET);
            drop(two);
            ask(target, "somme 4 5 =", &[9.0])
        }),
    ],
    further: &[
        ("tokens may be on one line or on several", |target| {
            LAYOUTS.iter().try_for_each(|layout| {
                let mut client = target.connect()?;
                client.send_parts(&layout(&["somme", "1", "2", "="]))?;
                client.expect_answers(&[3.0])
            })
        }),
        ("actions have English names, too, in any letter case", |target| {
            let asked = [("SUM 5", 5.0), ("mean 5", 5.0), ("stddev 5", 0.0), ("Moyenne 5", 5.0)];
            asked
                .iter()
                .try_for_each(|(text, answer)| ask(target, &format!("{text} ="), &[*answer]))
        }),
        ("the standard deviation is the population's", |target| {
            ask(target, "écart-type 2 4 4 4 5 5 7 9 =", &[2.0])
        }),
        ("numbers may be negative, and have exponents", |target| {
            ask(target, "somme -1.5 +2 1e3 25e-2 =", &[1000.75])
        }),
        ("the answer has all its digits, and a decimal point", |target| {
            let mut client = target.connect()?;
            client.send_parts(&lines(target, "moyenne 1 2 2 ="))?;
            let line = client.line("the answer 1.6666666666666667")?;
            let number = parse(&line).unwrap_or(f64::NAN);
            let is_exact = (number - 5.0 / 3.0).abs() < 1e-12 && !line.contains(',');
            let hint = (line.contains(','), "it has a comma for a point");
            client.ensure(is_exact, "the answer 1.6666666666666667", Preview(line), &[hint])
        }),
        ("several questions are answered on one connection, also in one packet", |target| {
            let mut client = target.connect()?;
            client.send_parts(&lines(target, "somme 1 2 ="))?;
            client.expect_answers(&[3.0])?;
            client
                .send(lines(target, "somme 4 =").concat() + &lines(target, "max 5 6 =").concat())?;
            client.expect_answers(&[4.0, 6.0])
        }),
        ("a number cut in two packets is one number", |target| {
            let mut client = target.connect()?;
            let question = lines(target, "somme 12 =").concat();
            let (first, second) = question.split_at("somme 1".len());
            client.send_parts(&[first, second])?;
            client.expect_answers(&[12.0])
        }),
        ("a line may end with CR LF", |target| {
            let mut client = target.connect()?;
            client.send(lines(target, "somme 1 2 =").concat().replace('\n', "\r\n"))?;
            client.expect_answers(&[3.0])
        }),
    ],
};

/// The lines of a question, laid out as the server understands it.
fn lines(target: &Target, question: &str) -> Vec<String> {
    LAYOUTS[target.layout](&question.split(' ').collect::<Vec<_>>())
}

/// Asks on a new connection, and waits for the answers.
fn ask(target: &mut Target, question: &str, answers: &[f64]) -> Outcome {
    let mut client = target.connect()?;
    client.send_parts(&lines(target, question))?;
    client.expect_answers(answers)
}

pub(crate) const SHOP: Checks = Checks {
    asked: &[
        ("the list comes, a product a line, then an empty line", |target| {
            let (client, stock) = target.list()?;
            client.ensure(!stock.is_empty(), "a list of products", "an empty list", &[])
        }),
        ("four lists at once take the time of one", |target| {
            ensure_delay(target)?;
            let began = Instant::now();
            target.shoppers(4)?;
            let lists = delays(target, began);
            let hint = (lists > 3.5, "one after the other: is it a write lock?");
            ensure(lists < 2.5, "four lists in the time of one", took(lists), &[hint])
        }),
        ("an order takes as long, and a later list shows it", |target| {
            let (mut client, stock) = target.list()?;
            let product = most(&stock, 1)?;
            let began = Instant::now();
            client.order(product.id, 1)?;
            client.expect("confirmed")?;
            let order = delays(target, began);
            let expected = Product { quantity: product.quantity - 1, ..product.clone() };
            expect_product(target, &expected)?;
            ensure_delay(target)?;
            let is_right = (0.5..1.75).contains(&order);
            client.ensure(is_right, "an order in the time of a list", took(order), &[])
        }),
        ("an order of too many is refused, and changes nothing", |target| {
            let (mut client, stock) = target.list()?;
            let product = most(&stock, 0)?;
            client.order(product.id, product.quantity + 1)?;
            client.expect("error")?;
            expect_product(target, product)
        }),
        ("two orders at once take turns", |target| {
            ensure_delay(target)?;
            let mut buyers = target.shoppers(2)?;
            let id = most(&buyers[0].1, 2)?.id;
            let began = Instant::now();
            for (client, _) in &mut buyers {
                client.order(id, 1)?;
            }
            for (client, _) in &mut buyers {
                client.expect("confirmed")?;
            }
            let orders = delays(target, began);
            let hints = [
                (orders < 0.5, "is there a wait between the check and the change?"),
                (true, "is the write lock held during the wait?"),
            ];
            let expected = "both confirmed in twice the time of a list";
            ensure(orders > 1.5, expected, took(orders), &hints)
        }),
        ("a list that comes during an order waits for it", |target| {
            ensure_delay(target)?;
            let (mut buyer, stock) = target.list()?;
            let began = Instant::now();
            buyer.order(most(&stock, 1)?.id, 1)?;
            thread::sleep(target.delay / 4);
            target.list()?;
            let both = delays(target, began);
            buyer.expect("confirmed")?;
            let hint = (both < 1.5, "does the list wait for the lock that the order holds?");
            let expected = "the order's wait, then the list's, twice a list";
            ensure(both > 1.75, expected, took(both), &[hint])
        }),
        ("an order that comes during a list waits for it", |target| {
            ensure_delay(target)?;
            let (mut buyer, stock) = target.list()?;
            let began = Instant::now();
            let mut lister = target.connect()?;
            thread::sleep(target.delay / 4);
            buyer.order(most(&stock, 1)?.id, 1)?;
            buyer.expect("confirmed")?;
            let both = delays(target, began);
            lister.list()?;
            let hint = (both < 1.5, "does the list hold its lock while it waits?");
            let expected = "the list's wait, then the order's, twice a list";
            ensure(both > 1.75, expected, took(both), &[hint])
        }),
        ("two buyers of all that is left: one gets it", |target| {
            let mut buyers = target.shoppers(2)?;
            let left = buyers[0].1.iter().filter(|product| product.quantity > 0);
            let product = left.min_by_key(|product| product.quantity).ok_or_else(sold_out)?;
            let Product { id, quantity, .. } = *product;
            for (client, _) in &mut buyers {
                client.order(id, quantity)?;
            }
            let mut answers = Vec::new();
            for (client, _) in &mut buyers {
                answers.push(client.line("confirmed: … or error: …")?);
            }
            let count =
                |beginning| answers.iter().filter(|line| line.starts_with(beginning)).count();
            let (confirmed, refused) = (count("confirmed"), count("error"));
            let got = format!("{confirmed} confirmed, {refused} refused");
            target.list()?;
            let hint = (confirmed == 2, "are the check and the change under one write lock?");
            let is_right = (confirmed, refused) == (1, 1);
            buyers[0].0.ensure(is_right, "1 confirmed, 1 refused", got, &[hint])
        }),
        ("nothing is ever below zero", |target| {
            target.list()?;
            let lowest = target.lowest.as_ref().filter(|product| product.quantity < 0);
            let got = lowest.map(Product::to_string).unwrap_or_default();
            ensure(lowest.is_none(), "no quantity below 0 in any list", Preview(got), &[])
        }),
    ],
    further: &[
        ("orders of nothing, of less, and of no product are refused", |target| {
            let (mut client, stock) = target.list()?;
            let product = most(&stock, 0)?;
            let unknown = (1..=u32::MAX).find(|id| stock.iter().all(|product| product.id != *id));
            for (id, quantity) in [(unknown.unwrap_or(0), 1), (product.id, 0), (product.id, -1)] {
                client.order(id, quantity)?;
                client.expect("error")?;
            }
            expect_product(target, product)
        }),
        ("after a line that is no order, the next one is taken", |target| {
            let (mut client, stock) = target.list()?;
            client.send("deux\n")?;
            client.expect("error")?;
            client.order(most(&stock, 1)?.id, 1)?;
            client.expect("confirmed")
        }),
        ("several orders are taken on one connection, and CR LF too", |target| {
            let (mut client, stock) = target.list()?;
            let id = most(&stock, 2)?.id;
            client.send(format!("{id} 1\r\n{id} 1\r\n"))?;
            client.expect("confirmed")?;
            client.expect("confirmed")
        }),
    ],
};

/// How many times the delay of the shop it is since `began`.
fn delays(target: &Target, began: Instant) -> f64 {
    began.elapsed().as_secs_f64() / target.delay.as_secs_f64()
}

fn took(delays: f64) -> String {
    format!("{delays:.2} times that of a list")
}

/// Fails when the shop is too fast for its lock to be told by the clock.
fn ensure_delay(target: &Target) -> Outcome {
    let got = format!("one in {:.3} s", target.delay.as_secs_f64());
    let hint = (true, "make the simulated database slower, and start the server again");
    ensure(target.delay >= MIN_DELAY, "a list that takes 0.2 s or more", got, &[hint])
}

/// Waits for a new list, in which `expected` must be.
fn expect_product(target: &mut Target, expected: &Product) -> Outcome {
    let (client, stock) = target.list()?;
    let got = stock.iter().find(|product| product.id == expected.id);
    let line = got.map(Product::to_string).unwrap_or_default();
    client.ensure(got == Some(expected), Preview(expected.to_string()), Preview(line), &[])
}

/// The product of which most are left, and at least so many.
fn most(stock: &[Product], at_least: i64) -> Outcome<&Product> {
    // One more than there are must be a number, too.
    let enough = stock.iter().filter(|product| (at_least..i64::MAX).contains(&product.quantity));
    enough.max_by_key(|product| product.quantity).ok_or_else(sold_out)
}

fn sold_out() -> Failure {
    let hint = (true, "put more in stock, or start the server again");
    Failure::of("enough left to buy", "a list in which there is not enough", &[hint])
}

fn ensure(holds: bool, expected: &str, got: impl Display, hints: &[Hint]) -> Outcome {
    if holds { Ok(()) } else { Err(Failure::of(expected, got, hints)) }
}
