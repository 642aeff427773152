//! What the checker asks of `shop`. In a list only numbers matter: which of them is the quantity
//! shows when it falls by what was ordered, and an order was carried out if a later list shows it.

use std::slice;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::talk::{
    ANSWER, Check, Client, Exercise, Failure, GUESS, LEARN, Outcome, Stop, Target, ensure,
    not_tried, numbers, wait,
};

/// The longest wait for the first list, which the exercise has come after 5 s.
const FIRST_LIST: Duration = Duration::from_secs(8);

/// The shortest delay from which a lock can be told by the clock.
const MIN_DELAY: Duration = Duration::from_millis(200);

/// How many delays of the server a run may take, and how many of them the guesses.
const DELAYS: u32 = 80;
const LEARN_DELAYS: u32 = 50;

const HELD: &str = "does a client wait for a lock that it holds, or has its thread ended?";
const SAY: &str = "show how three of product 1 are ordered, such as --say '1 3\\n'";

/// How an order may be written, the most usual ways first. What follows a line end goes into a
/// packet of its own.
const ORDERS: &[&str] = &[
    "{id} {quantity}\n",
    "{id}\n{quantity}\n",
    "{id},{quantity}\n",
    "{id}:{quantity}\n",
    "{id};{quantity}\n",
    "{id}, {quantity}\n",
    "{id}\t{quantity}\n",
    "{id}-{quantity}\n",
    "{id}x{quantity}\n",
    "{id}/{quantity}\n",
    "{id}|{quantity}\n",
    "{id} x {quantity}\n",
    "{id} {quantity}\r\n",
    "{id} {quantity}",
    "{id},{quantity}",
    "{id}:{quantity}",
    "{id};{quantity}",
];

/// A row of a list: its numbers.
type Row = Vec<i64>;

/// Which number of a row is the quantity. A name may hold numbers, too, so what stands after it is
/// counted from the end.
#[derive(Clone, Copy)]
enum Column {
    Second,
    FromEnd(usize),
}

/// What was learnt from the first order that a later list shows.
struct Dialect {
    order: String,
    column: Column,
    /// What comes at once, before the answer itself, as `One moment…` does.
    notice: Option<String>,
    /// From the order to the end of its answer, in delays.
    took: f64,
}

pub(super) struct Shop {
    target: Target,
    example: Option<String>,
    dialect: Option<Dialect>,
    /// How long the shop takes for a list.
    delay: Duration,
    /// How many rows a list has at least.
    rows: usize,
    /// The fewest that were left in any list.
    lowest: i64,
    /// Why nothing more can be learnt.
    is_stuck: bool,
}

impl Exercise for Shop {
    const ASKED: &'static [Check<Self>] = &[
        ("the list comes", |shop| shop.list().map(drop)),
        ("an order is carried out, and answered", Self::learn),
        ("an order takes the time of a list", |shop| {
            let took = shop.dialect()?.took;
            shop.ensure_delay()?;
            ensure((0.5..1.75).contains(&took), || {
                Failure::new("an order in the time of a list", times(took))
                    .hint(took < 0.5, "is there a wait between the check and the change?")
            })
        }),
        ("four lists at once take the time of one", |shop| {
            shop.ensure_delay()?;
            let began = Instant::now();
            let (clients, _) = shop.lists(4)?;
            let lists = shop.since(began, &clients);
            ensure(lists < 2.5, || {
                Failure::new("four lists in the time of one", times(lists))
                    .hint(lists > 3.5, "one after the other: is it a write lock?")
            })
        }),
        ("an order of too many is refused, and changes nothing", |shop| {
            let (client, list) = shop.list()?;
            let (id, quantity) = shop.most(&list, 0)?;
            let mut clients = [client];
            shop.order(&mut clients[0], id, quantity + 1)?;
            shop.expect_answers(&mut clients)?;
            let left = shop.left(id)?;
            ensure(left == quantity, || {
                clients[0]
                    .failure("an answer, and the same quantity")
                    .hint(true, format!("there were {quantity}, and then {left}"))
            })
        }),
        ("two orders at once take turns", |shop| {
            shop.ensure_delay()?;
            let (mut buyers, list) = shop.lists(2)?;
            let (id, quantity) = shop.most(&list, 2)?;
            let began = Instant::now();
            for buyer in &mut buyers {
                shop.order(buyer, id, 1)?;
            }
            shop.expect_answers(&mut buyers)?;
            let orders = shop.since(began, &buyers);
            let left = shop.left(id)?;
            ensure(orders > 1.5 && left == quantity - 2, || {
                let got = format!("{}; {quantity} before, {left} after", times(orders));
                Failure::new("two orders in twice the time of a list, and two fewer", got)
                    .hint(orders < 0.5, "is there a wait between the check and the change?")
                    .hint(orders <= 1.5, "is the write lock held during the wait?")
            })
        }),
        ("a list that comes while an order is carried out waits for it", |shop| {
            shop.ensure_delay()?;
            let (client, list) = shop.list()?;
            let (id, _) = shop.most(&list, 1)?;
            let mut buyer = [client];
            let began = Instant::now();
            shop.order(&mut buyer[0], id, 1)?;
            wait(&mut buyer, shop.delay / 4, |_| false);
            let (lister, _) = shop.list()?;
            let both = shop.since(began, &[lister]);
            shop.expect_answers(&mut buyer)?;
            ensure(both > 1.75, || {
                Failure::new("the order's wait, then the list's: twice a list", times(both))
                    .hint(both < 1.5, "does the list wait for the lock that the order holds?")
            })
        }),
        ("an order that comes while a list is read waits for it", |shop| {
            shop.ensure_delay()?;
            let (client, list) = shop.list()?;
            let (id, _) = shop.most(&list, 1)?;
            let mut clients = [client, shop.target.connect()?];
            let began = Instant::now();
            wait(&mut clients, shop.delay / 4, |_| false);
            shop.order(&mut clients[0], id, 1)?;
            shop.expect_answers(&mut clients[..1])?;
            let both = shop.since(began, &clients[..1]);
            ensure(both > 1.75, || {
                Failure::new("the list's wait, then the order's: twice a list", times(both))
                    .hint(both < 1.5, "does the list hold its lock while it waits?")
            })
        }),
        ("two buyers of all that is left: one gets it", |shop| {
            let (mut buyers, list) = shop.lists(2)?;
            let left = shop.quantities(&list);
            let product = left.into_iter().filter(|(_, quantity)| *quantity > 0);
            let (id, quantity) = product.min_by_key(|(_, left)| *left).map_or_else(sold_out, Ok)?;
            for buyer in &mut buyers {
                shop.order(buyer, id, quantity)?;
            }
            shop.expect_answers(&mut buyers)?;
            let left = shop.left(id)?;
            ensure(left == 0, || {
                let failure = buyers[0].failure("one of them gets it: 0 left");
                let got = format!("each ordered all {quantity}, and then {left} were left");
                failure
                    .hint(left < 0, format!("{got}: are check and change under one write lock?"))
                    .hint(true, got)
            })
        }),
        ("nothing is ever below zero", |shop| {
            shop.dialect()?;
            shop.list()?;
            ensure(shop.lowest >= 0, || {
                Failure::new("no quantity below 0 in any list", shop.lowest)
            })
        }),
    ];

    const FURTHER: &'static [Check<Self>] = &[
        ("the list is a line ID<TAB>QUANTITY<TAB>NAME a product, then an empty line", |shop| {
            let (client, _) = shop.list()?;
            let text = client.text();
            let is_list = text.strip_suffix("\n\n").is_some_and(|lines| {
                lines.lines().all(|line| line.parse::<::shop::Product>().is_ok())
            });
            ensure(is_list, || client.failure("such lines"))
        }),
        ("orders of nothing, of less, and of no product are refused", |shop| {
            let (mut client, list) = shop.list()?;
            let (id, quantity) = shop.most(&list, 0)?;
            let unknown = list.iter().map(|row| row[0]).max().unwrap_or(0).saturating_add(1);
            for (id, quantity) in [(unknown, 1), (id, 0), (id, -1)] {
                if client.end.is_some() {
                    client = shop.list()?.0;
                }
                shop.order(&mut client, id, quantity)?;
                shop.expect_answers(slice::from_mut(&mut client))?;
            }
            let left = shop.left(id)?;
            ensure(left == quantity, || {
                Failure::new(format!("still {quantity} of product {id}"), left)
            })
        }),
        ("after a line that is no order, the next one is taken", |shop| {
            let (mut client, list) = shop.list()?;
            let (id, _) = shop.most(&list, 1)?;
            client.ask(&["deux\n"]);
            client.reply(shop.patience(1));
            shop.buy_more(client, id, 1, "\n")
        }),
        ("several orders are taken on one connection, and CR LF too", |shop| {
            let (client, list) = shop.list()?;
            let (id, _) = shop.most(&list, 2)?;
            shop.buy_more(client, id, 2, "\r\n")
        }),
    ];

    const BY_HAND: &'static str = "what the server prints, if it prints anything, your client, \
        and what happens without the lock: the quantity can then go below zero";

    fn target(&mut self) -> &mut Target {
        &mut self.target
    }

    fn speaks(&self) -> Option<String> {
        let order = &self.dialect.as_ref()?.order;
        Some(format!("{:?} orders three of product 1", write(order, 1, 3).concat()))
    }

    fn own_delays(&self) -> Duration {
        DELAYS * self.delay
    }
}

impl Shop {
    pub fn new(target: Target, example: Option<&str>) -> Result<Self> {
        let example = example.map(order_of_example).transpose()?;
        let (dialect, delay) = (None, Duration::ZERO);
        Ok(Self { target, example, dialect, delay, rows: 2, lowest: 0, is_stuck: false })
    }

    fn dialect(&self) -> Outcome<&Dialect> {
        self.dialect.as_ref().ok_or(Stop::NotTried("no order was carried out and answered".into()))
    }

    /// The longest wait for what takes so many delays.
    fn patience(&self, delays: u32) -> Duration {
        if self.delay.is_zero() { FIRST_LIST } else { ANSWER + self.delay * (delays + 1) }
    }

    /// How many times the delay of the shop it is from `began` to the last message that came to
    /// the clients.
    fn since(&self, began: Instant, clients: &[Client]) -> f64 {
        let last = clients.iter().filter_map(|client| Some(client.replies().last()?.at)).max();
        (last.unwrap_or(began) - began).as_secs_f64() / self.delay.as_secs_f64()
    }

    /// Fails when the shop is too fast for its lock to be told by the clock.
    fn ensure_delay(&self) -> Outcome {
        if self.delay.is_zero() {
            return not_tried("no list came");
        }
        let hint = "make the simulated database slower, and start the server again";
        ensure(self.delay >= MIN_DELAY, || {
            let got = format!("one in {:.3} s", self.delay.as_secs_f64());
            Failure::new("a list that takes 0.2 s or more", got).hint(true, hint)
        })
    }

    /// New clients, all at once, and the list of the first.
    fn lists(&mut self, count: usize) -> Outcome<(Vec<Client>, Vec<Row>)> {
        if self.is_stuck {
            return not_tried("no list comes");
        }
        let began = Instant::now();
        let mut clients = self.target.connect_all(count)?;
        let is_first = self.delay.is_zero();
        let patience = self.patience(u32::try_from(count).unwrap_or(1) + 1);
        let min_rows = self.rows;
        wait(&mut clients, patience, |clients| {
            let has_list = |client: &Client| rows(&client.settled()).len() >= min_rows;
            clients.iter().all(|client| client.end.is_some() || has_list(client))
        });
        for client in &mut clients {
            let list = rows(&client.text());
            if list.is_empty() {
                self.is_stuck = client.end.is_none();
                let failure = client.failure("a list of products, with their numbers");
                if !is_first {
                    return Err(failure.hint(self.is_stuck, HELD).into());
                }
                client.ask(&["\n"]);
                let speaks_second = !rows(&client.reply(2 * ANSWER)).is_empty();
                let hint = "the list came when something had been sent: it must come unasked";
                return Err(failure
                    .hint(speaks_second, hint)
                    .hint(self.is_stuck, "is a lock held that is never released?")
                    .into());
            }
            self.rows = self.rows.min(list.len());
            let quantities = self.quantities(&list).into_iter().map(|(_, quantity)| quantity);
            self.lowest = quantities.chain([self.lowest]).min().unwrap_or(0);
        }
        if let (1, Some(list)) = (count, clients[0].messages.last()) {
            // The least of all: on a busy machine, one of them may be late.
            let took = list.at - began;
            self.delay = if is_first { took } else { took.min(self.delay) };
            self.delay = self.delay.clamp(Duration::from_millis(1), FIRST_LIST);
        }
        let list = rows(&clients[0].text());
        Ok((clients, list))
    }

    /// A new client and its list.
    fn list(&mut self) -> Outcome<(Client, Vec<Row>)> {
        let (mut clients, list) = self.lists(1)?;
        Ok((clients.remove(0), list))
    }

    /// Finds out how an order is written, and which number is the quantity.
    fn learn(&mut self) -> Outcome {
        let (mut client, mut before) = self.list()?;
        // There is surely enough of it, and its row has the most numbers: so it shows whether the
        // quantity comes before or after those of a name.
        let least = |row: &Row| row[1..].iter().min().copied();
        let best = before.iter().max_by_key(|row| (least(row) > Some(0), row.len(), least(row)));
        let id = best.map_or(0, |row| row[0]);
        let guesses = match &self.example {
            Some(order) => vec![order.clone()],
            None => ORDERS.iter().map(|order| (*order).to_owned()).collect(),
        };
        let (began, mut attempts) = (Instant::now(), Vec::new());
        for order in guesses {
            if began.elapsed() > LEARN + LEARN_DELAYS * self.delay {
                break;
            }
            client.ask(&write(&order, id, 1));
            let (notice, took) = self.hear(&mut client);
            attempts.push(client.attempt());
            let (next, after) = match self.list() {
                Err(Stop::Failed(_)) => {
                    let failure =
                        Failure::of_attempts("an answer, and then another list", &attempts);
                    let hint = format!("no list came after that: {HELD}");
                    return Err(failure.hint(true, hint).into());
                }
                other => other?,
            };
            if let Some(column) = fallen(&before, &after, id) {
                let is_answered = !client.text().is_empty();
                ensure(is_answered, || {
                    self.is_stuck = true;
                    client
                        .failure("a confirmation")
                        .hint(true, "a later list shows the order, but no answer came")
                })?;
                self.dialect = Some(Dialect { order, column, notice, took });
                return Ok(());
            }
            (client, before) = (next, after);
        }
        let expected = format!("an order of one of product {id}, and a later list that shows it");
        Err(Failure::of_attempts(&expected, &attempts)
            .hint(self.example.is_none(), SAY)
            .hint(true, "no quantity has fallen by what was ordered")
            .into())
    }

    /// Waits for the answer to the first order. Where something comes at once, the answer itself
    /// may still follow. Returns what came at once, and how many delays the answer took.
    fn hear(&self, client: &mut Client) -> (Option<String>, f64) {
        client.reply(GUESS + self.delay * 2);
        let began = client.asked;
        let took = self.since(began, slice::from_ref(client));
        let first = client.text();
        if took < 0.5 && client.end.is_none() && !first.is_empty() {
            let rest = (self.delay * 3 / 2).saturating_sub(began.elapsed());
            wait(slice::from_mut(client), rest, |clients| {
                clients[0].end.is_some() || clients[0].replies().len() > 1 && clients[0].is_over()
            });
        }
        let has_more = client.replies().len() > 1;
        (has_more.then_some(first), self.since(began, slice::from_ref(client)))
    }

    fn order(&self, client: &mut Client, id: i64, quantity: i64) -> Outcome {
        client.ask(&write(&self.dialect()?.order, id, quantity));
        Ok(())
    }

    /// Waits until each client has its answer, whatever it is.
    fn expect_answers(&mut self, clients: &mut [Client]) -> Outcome {
        let notice = self.dialect()?.notice.clone();
        let is_answered = |client: &Client| {
            client.has_replied() && (client.end.is_some() || Some(client.text()) != notice)
        };
        let count = u32::try_from(clients.len()).unwrap_or(1);
        wait(clients, self.patience(count + 1), |clients| clients.iter().all(is_answered));
        let silent = clients.iter().find(|client| client.text().is_empty());
        silent.map_or(Ok(()), |client| {
            Err(client.failure("an answer").hint(client.end.is_none(), HELD).into())
        })
    }

    /// Orders one of `id` so often on one connection.
    fn buy_more(&mut self, mut client: Client, id: i64, count: i64, end: &str) -> Outcome {
        let before = self.left(id)?;
        let order = self.dialect()?.order.replace('\n', end);
        for _ in 0..count {
            client.ask(&write(&order, id, 1));
            self.expect_answers(slice::from_mut(&mut client))?;
        }
        let left = self.left(id)?;
        ensure(left == before - count, || {
            client
                .failure(format!("{count} sold"))
                .hint(true, format!("{before} before, {left} after"))
        })
    }

    /// Each product of a list, and how many are left of it.
    fn quantities(&self, list: &[Row]) -> Vec<(i64, i64)> {
        let Some(Dialect { column, .. }) = self.dialect else { return Vec::new() };
        let quantity = |row: &Row| {
            let at = match column {
                Column::Second => 1,
                Column::FromEnd(at) => row.len().checked_sub(at + 1)?,
            };
            Some((row[0], *row.get(at)?))
        };
        list.iter().filter_map(quantity).collect()
    }

    /// How many of a product a new list shows; a product that is sold out may be missing.
    fn left(&mut self, id: i64) -> Outcome<i64> {
        let (_, list) = self.list()?;
        let of_id = self.quantities(&list).into_iter().find(|(known, _)| *known == id);
        Ok(of_id.map_or(0, |(_, quantity)| quantity))
    }

    /// The product of which most are left, and at least so many.
    fn most(&self, list: &[Row], at_least: i64) -> Outcome<(i64, i64)> {
        self.dialect()?;
        let quantities = self.quantities(list).into_iter();
        let enough = quantities.filter(|(_, left)| (at_least..i64::MAX).contains(left));
        enough.max_by_key(|(_, left)| *left).map_or_else(sold_out, Ok)
    }
}

fn sold_out<T>() -> Outcome<T> {
    not_tried("not enough is left: put ten of one product in stock, and start the server again")
}

fn times(delays: f64) -> String {
    format!("{delays:.2} times that of a list")
}

/// An order, in the packets that it is sent in.
fn write(order: &str, id: i64, quantity: i64) -> Vec<String> {
    let quantity = quantity.to_string();
    let order = order.replace("{id}", &id.to_string()).replace("{quantity}", &quantity);
    order.split_inclusive('\n').map(str::to_owned).collect()
}

/// From how three of product 1 are ordered.
fn order_of_example(example: &str) -> Result<String> {
    let found = numbers(example, false);
    let find =
        |number| found.iter().rposition(|at| example[at.clone()].trim_start_matches('-') == number);
    let places = find("1").zip(find("3"));
    let (id, quantity) = places.context("--say: expected how three of product 1 are ordered")?;
    let mut order = example.to_owned();
    let mut replaced = [(&found[id], "{id}"), (&found[quantity], "{quantity}")];
    replaced.sort_by_key(|(at, _)| std::cmp::Reverse(at.end));
    for (at, name) in replaced {
        order.replace_range(at.end - 1..at.end, name);
    }
    Ok(order)
}

/// The rows of a list: pieces with two numbers or more, between line ends or, where a list has
/// other ends, between those.
fn rows(text: &str) -> Vec<Row> {
    let row = |piece: &str| -> Row {
        numbers(piece, false).into_iter().filter_map(|at| piece[at].parse().ok()).collect()
    };
    let pieces =
        |end: &str| -> Vec<Row> { text.split(end).map(row).filter(|row| row.len() >= 2).collect() };
    let ends = ["\n", "}", ")", "]", "\n\n", ";", "|"];
    let all: Vec<_> = ends.iter().map(|end| pieces(end)).collect();
    let many = all.iter().find(|rows| rows.len() >= 2).or(all.iter().find(|rows| !rows.is_empty()));
    many.cloned().unwrap_or_else(|| row(text).chunks_exact(2).map(<[i64]>::to_vec).collect())
}

/// The column in which the quantity of `id` has fallen by one.
fn fallen(before: &[Row], after: &[Row], id: i64) -> Option<Column> {
    let of = |list: &[Row]| list.iter().find(|row| row[0] == id).cloned();
    let (old, new) = (of(before)?, of(after)?);
    let at = old.iter().zip(&new).position(|(old, new)| new.checked_add(1) == Some(*old))?;
    Some(if at == 1 { Column::Second } else { Column::FromEnd(new.len() - at - 1) })
}
