//! What the checker asks of `shop`. In a list only numbers matter: which of them is a product's
//! quantity shows when it falls by what was ordered, and an order was carried out if a later list
//! shows it.

mod list;

use std::slice;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use self::list::{Cell, Product, cells, likely_ids, ordered};
use super::talk::{
    ANSWER, Check, Client, Exercise, Failure, GUESS, LEARN, Outcome, Stop, Target, ensure, need,
    not_tried, numbers, wait,
};

/// The longest wait for the first list: the exercise's own wait is 5 s.
const FIRST_LIST: Duration = Duration::from_secs(8);

/// The shortest delay from which a lock can be told by the clock.
const MIN_DELAY: Duration = Duration::from_millis(200);

/// How many of a product are enough for all checks.
const ENOUGH: i64 = 8;

/// How many delays of the server a run may take, and how many of them the guesses.
const DELAYS: u32 = 80;
const LEARN_DELAYS: u32 = 50;

/// How three of product 1 may be ordered, the most usual ways first. What follows a line end goes
/// into a packet of its own.
const EXAMPLES: &[&str] = &[
    "1 3\n", "1\n3\n", "1,3\n", "1:3\n", "1;3\n", "1, 3\n", "1\t3\n", "1-3\n", "1x3\n", "1/3\n",
    "1|3\n", "1 x 3\n", "1 3\r\n", "1 3", "1,3", "1:3", "1;3",
];

const HELD: &str = "does each client have a thread of its own? \
    has it ended, or does it wait for a lock that it holds?";
const NO_WAIT: &str = "is there a wait between the check and the change?";
const OVERLAP: &str = "the order's wait and the list's overlap: is each inside its lock?";
const SAY: &str = "show how three of product 1 are ordered, such as --say '1 3\\n'";

/// What was learnt from the first order that a later list shows.
struct Dialect {
    /// How an order is written, with `{id}` and `{quantity}`.
    order: String,
    /// What comes at once, before the answer itself, as `One moment…` does.
    notice: Option<String>,
    /// From the order to the end of its answer, in delays.
    took: f64,
}

pub struct Shop {
    target: Target,
    /// How an order is written, if that was shown.
    example: Option<String>,
    dialect: Option<Dialect>,
    /// How long the shop takes for a list; zero before the first one.
    delay: Duration,
    /// Those that were ordered, so that it is known where their quantities are.
    products: Vec<Product>,
    /// How many numbers a list has at least.
    numbers: usize,
    /// Whether it sells more than there is.
    oversells: bool,
    /// The fewest that were left in any list.
    lowest: i64,
    /// Whether nothing comes any more.
    is_stuck: bool,
}

impl Exercise for Shop {
    const ASKED: &'static [Check<Self>] = &[
        ("the list comes, after a wait", |shop| {
            shop.list()?;
            let got = format!("one in {:.3} s", shop.delay.as_secs_f64());
            let hint = "make the simulated database slower, and start the server again";
            ensure(shop.delay >= MIN_DELAY, || {
                Failure::new("a list that takes 0.2 s or more", got).hint(true, hint)
            })
        }),
        ("an order is carried out, and answered", Self::learn),
        ("an order takes the time of a list", |shop| {
            let (mut took, is_right) = (shop.dialect()?.took, 0.5..1.75);
            shop.need_delay()?;
            if !is_right.contains(&took) {
                // Where a machine was busy, another one takes the time of a list.
                let (mut buyers, id, _) = shop.buyers(1, 1)?;
                shop.buy(&mut buyers, id, 1)?;
                took = shop.delays(buyers[0].asked, &buyers);
            }
            ensure(is_right.contains(&took), || {
                Failure::new("an order in the time of a list", times(took))
                    .hint(took < 0.5, NO_WAIT)
            })
        }),
        ("four lists at once take the time of one", |shop| {
            shop.need_delay()?;
            let mut took = shop.four_lists()?;
            if took >= 2.5 {
                took = shop.four_lists()?; // Where a machine was busy, another four are faster.
            }
            ensure(took < 2.5, || {
                Failure::new("four lists in the time of one", times(took))
                    .hint(took > 3.5, "one after the other: is it a write lock?")
            })
        }),
        ("an order of too many is refused, and changes nothing", |shop| {
            let (mut buyers, list) = shop.lists(1)?;
            let (id, before) = shop.least(&list)?;
            shop.buy(&mut buyers, id, before + 1)?;
            let after = shop.left(id)?;
            shop.oversells = after != before;
            ensure(!shop.oversells, || {
                buyers[0]
                    .failure("an answer, and the same quantity")
                    .hint(true, format!("there were {before}, and then {after}"))
            })
        }),
        ("two orders at once take turns", |shop| {
            shop.need_delay()?;
            let (mut buyers, id, before) = shop.buyers(2, 2)?;
            shop.buy(&mut buyers, id, 1)?;
            let (took, after) = (shop.delays(buyers[0].asked, &buyers), shop.left(id)?);
            ensure(took > 1.5 && after == before - 2, || {
                let got = format!("{}; {before} before, {after} after", times(took));
                Failure::new("two orders in twice the time of a list, and two fewer", got)
                    .hint(took < 0.5, NO_WAIT)
                    .hint(took <= 1.5, "is the write lock held during the wait?")
            })
        }),
        ("a list that comes while an order is carried out waits for it", |shop| {
            shop.take_turns("the order's wait, then the list's: twice a list", |shop| {
                let (mut buyers, id, _) = shop.buyers(1, 1)?;
                shop.order(&mut buyers, id, 1)?;
                buyers[0].pause(shop.delay / 4);
                let (lister, _) = shop.list()?;
                let took = shop.delays(buyers[0].asked, &[lister]);
                shop.expect_answers(&mut buyers).map(|()| took)
            })
        }),
        ("an order that comes while a list is read waits for it", |shop| {
            shop.take_turns("the list's wait, then the order's: twice a list", |shop| {
                let (mut buyers, id, _) = shop.buyers(1, 1)?;
                let mut lister = shop.target.connect()?;
                lister.pause(shop.delay / 4);
                shop.buy(&mut buyers, id, 1)?;
                Ok(shop.delays(lister.asked, &buyers))
            })
        }),
        ("two buyers of all that is left: one gets it", |shop| {
            shop.need_refusals()?;
            let (mut buyers, list) = shop.lists(3)?;
            let (id, left) = shop.least(&list)?;
            // Both wait while another order is carried out, and are let in together.
            let ((other, _), mut others) = (shop.most(&list, 2)?, buyers.split_off(2));
            shop.order(&mut others, other, 1)?;
            others[0].pause(shop.delay / 4);
            let all = left - i64::from(id == other);
            shop.buy(&mut buyers, id, all)?;
            let left = shop.left(id)?;
            ensure(left == 0, || {
                let answers: Vec<_> = buyers.iter().map(|buyer| buyer.attempt().got).collect();
                let got = format!("{}, and {left} left of {all}", answers.join(" and "));
                Failure::new("that one of them gets it, and 0 left", got)
                    .hint(left < 0, "are check and change under one write lock?")
            })?;
            ensure(buyers[0].text() != buyers[1].text(), || {
                buyers[1].failure("a confirmation for one of them, and an error for the other")
            })
        }),
        ("nothing is ever below zero", |shop| {
            shop.dialect()?;
            shop.need_refusals()?;
            shop.list()?;
            let lowest = shop.lowest;
            ensure(lowest >= 0, || Failure::new("no quantity below 0 in any list", lowest))
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
            let (mut buyers, list) = shop.lists(1)?;
            let (id, before) = shop.most(&list, 0)?;
            let unknown =
                list.iter().map(|(_, number)| *number).max().unwrap_or(0).saturating_add(1);
            for (id, quantity) in [(unknown, 1), (id, 0), (id, -1)] {
                if buyers[0].end.is_some() {
                    buyers = shop.lists(1)?.0;
                }
                shop.buy(&mut buyers, id, quantity)?;
            }
            shop.expect_left(&buyers[0], id, before)
        }),
        ("after a line that is no order, the next one is taken", |shop| {
            let (mut buyers, id, before) = shop.buyers(1, 1)?;
            buyers[0].ask(&["deux\n"]);
            buyers[0].reply(shop.patience(1));
            shop.buy(&mut buyers, id, 1)?;
            shop.expect_left(&buyers[0], id, before - 1)
        }),
        ("several orders are taken on one connection, and CR LF too", |shop| {
            let (mut buyers, id, before) = shop.buyers(1, 2)?;
            shop.buy(&mut buyers, id, 1)?;
            if let Some(Dialect { order, .. }) = &mut shop.dialect {
                *order = order.replace('\n', "\r\n");
            }
            shop.buy(&mut buyers, id, 1)?;
            shop.expect_left(&buyers[0], id, before - 2)
        }),
    ];

    const BY_HAND: &'static str = "what the server prints, if it prints anything, your client, \
        and what happens without the lock: the quantity can then go below zero";

    fn speaks(&self) -> Option<String> {
        let order = &self.dialect.as_ref()?.order;
        Some(format!("{:?} orders three of product 1", packets(order, 1, 3).concat()))
    }

    fn own_delays(&self) -> Duration {
        DELAYS * self.delay
    }
}

impl Shop {
    pub fn new(target: Target, example: Option<&str>) -> Result<Self> {
        let example = example.map(order_of_example).transpose()?;
        let (dialect, delay, products) = (None, Duration::ZERO, Vec::new());
        let (numbers, oversells, lowest, is_stuck) = (4, false, 0, false); // Two products or more.
        Ok(Self { target, example, dialect, delay, products, numbers, oversells, lowest, is_stuck })
    }

    fn dialect(&self) -> Outcome<&Dialect> {
        self.dialect.as_ref().ok_or(Stop::NotTried("no order was carried out and answered".into()))
    }

    /// The longest wait for what takes so many delays.
    fn patience(&self, delays: usize) -> Duration {
        ANSWER + self.delay * u32::try_from(delays + 1).unwrap_or(u32::MAX)
    }

    /// How many delays it is from `began` to the last byte that came to the clients.
    fn delays(&self, began: Instant, clients: &[Client]) -> f64 {
        let last = clients.iter().filter_map(|client| Some(client.replies().last()?.last_byte));
        (last.max().unwrap_or(began) - began).as_secs_f64() / self.delay.as_secs_f64()
    }

    /// A shop that is too fast has a lock that cannot be told by the clock.
    fn need_delay(&self) -> Outcome {
        need(self.delay >= MIN_DELAY, "no list took 0.2 s or more")
    }

    fn need_refusals(&self) -> Outcome {
        need(!self.oversells, "an order of too many was carried out")
    }

    /// Whether a list and an order, which together take so many delays, wait for each other.
    fn take_turns(&mut self, expected: &str, delays: fn(&mut Self) -> Outcome<f64>) -> Outcome {
        self.need_delay()?;
        let mut took = delays(self)?;
        if took <= 1.75 {
            took = delays(self)?; // Where a machine was busy, the second may have come first.
        }
        let has_no_wait = self.dialect()?.took < 0.5;
        ensure(took > 1.75, || {
            Failure::new(expected, times(took)).hint(has_no_wait, NO_WAIT).hint(took < 1.5, OVERLAP)
        })
    }

    /// A new client and its list.
    fn list(&mut self) -> Outcome<(Client, Vec<Cell>)> {
        let (mut clients, list) = self.lists(1)?;
        Ok((clients.remove(0), list))
    }

    /// New clients, all at once, and the list of the first.
    fn lists(&mut self, count: usize) -> Outcome<(Vec<Client>, Vec<Cell>)> {
        need(!self.is_stuck, "nothing comes any more")?;
        let is_first = self.delay.is_zero();
        let patience = if is_first { FIRST_LIST } else { self.patience(count + 1) };
        let mut clients = self.target.connect_all(count)?;
        wait(&mut clients, patience, |client| {
            let has_list = || cells(&client.text()).len() >= self.numbers;
            client.end.is_some() || client.has_replied() && has_list()
        });
        let lists: Vec<_> = clients.iter().map(|client| cells(&client.text())).collect();
        if let Some(at) = lists.iter().position(|list| list.len() < 2) {
            let client = &mut clients[at];
            let failure = client.failure("a list of products, with their numbers");
            self.is_stuck = client.end.is_none();
            if !is_first {
                return Err(failure.hint(self.is_stuck, HELD).into());
            }
            client.ask(&["\n"]);
            let speaks_second = cells(&client.reply(2 * ANSWER)).len() >= 2;
            let hint = "the list came when something had been sent: it must come unasked";
            return Err(failure
                .hint(speaks_second, hint)
                .hint(self.is_stuck, "is a lock held that is never released?")
                .into());
        }
        for list in &lists {
            self.numbers = self.numbers.min(list.len());
            let lowest = self.quantities(list).into_iter().map(|(_, left)| left).min();
            self.lowest = self.lowest.min(lowest.unwrap_or(0));
        }
        if let ([client], Some(list)) = (&*clients, clients[0].replies().last()) {
            // The least of all: on a busy machine, one of them may be late.
            let took = list.last_byte - client.asked;
            let least = if is_first { FIRST_LIST } else { self.delay };
            self.delay = took.clamp(Duration::from_millis(1), least);
        }
        Ok((clients, lists.into_iter().next().unwrap_or_default()))
    }

    /// How many delays four lists at once take.
    fn four_lists(&mut self) -> Outcome<f64> {
        let began = Instant::now();
        let (clients, _) = self.lists(4)?;
        Ok(self.delays(began, &clients))
    }

    /// Finds out how an order is written, and where the quantities of two products are, of one of
    /// which there is enough for all checks.
    fn learn(&mut self) -> Outcome {
        let (mut client, mut before) = self.list()?;
        let ids = likely_ids(&client.text());
        let of_table = || EXAMPLES.iter().filter_map(|it| order_of_example(it).ok()).collect();
        let orders = self.example.clone().map_or_else(of_table, |order| vec![order]);
        let guesses = ids.iter().enumerate().flat_map(|(index, id)| {
            let count = if index == 0 { orders.len() } else { 4 };
            orders.iter().take(count).map(|order| (order, *id))
        });
        let (began, mut attempts) = (Instant::now(), Vec::new());
        for (order, id) in guesses {
            if began.elapsed() > LEARN + LEARN_DELAYS * self.delay {
                break;
            }
            let quantity = if id == 1 { 2 } else { 1 }; // Not the id: which comes first must show.
            client.ask(&packets(order, id, quantity));
            let (notice, took) = self.hear(&mut client);
            attempts.push(client.attempt());
            let (next, after) = self.list().map_err(|stop| {
                let stop = stop.after(&attempts, self.target.is_gone);
                stop.and_hint(!self.is_stuck, SAY)
            })?;
            if let Some(product) = ordered(&before, &after, id, quantity) {
                self.is_stuck = client.reply(ANSWER).is_empty();
                ensure(!self.is_stuck, || {
                    let hint = "a later list shows the order, but no answer came";
                    client.failure("a confirmation").hint(true, hint)
                })?;
                self.products.push(product);
                self.dialect = Some(Dialect { order: order.clone(), notice, took });
                return self.learn_others(after);
            }
            (client, before) = (next, after);
        }
        let expected = "an order of a product, and a later list that shows it";
        let hint = "no quantity has fallen by what was ordered";
        let stop = Stop::from(Failure::of_attempts(expected, attempts).hint(true, hint));
        Err(stop.and_hint(self.example.is_none(), SAY))
    }

    /// Orders one of each of the next products, until two are known, and enough of one of them.
    fn learn_others(&mut self, mut list: Vec<Cell>) -> Outcome {
        let first = self.products[0].id;
        let mut ids: Vec<i64> = list.iter().map(|(_, id)| *id).filter(|id| *id != first).collect();
        ids.sort_by_key(|id| id.abs_diff(first));
        ids.dedup();
        for id in ids.into_iter().take(8) {
            let most = self.quantities(&list).into_iter().map(|(_, left)| left).max();
            if self.products.len() > 1 && most >= Some(ENOUGH) {
                break;
            }
            let (mut buyers, before) = self.lists(1)?;
            let _ = self.buy(&mut buyers, id, 1); // Where it is no product, an answer may not come.
            list = self.list()?.1;
            self.products.extend(ordered(&before, &list, id, 1));
        }
        let mut spans: Vec<_> = self.products.iter().filter_map(|it| it.span(&list)).collect();
        spans.sort_by_key(|span| span.start);
        let are_apart = spans.windows(2).all(|pair| pair[0].end <= pair[1].start);
        if !are_apart {
            self.dialect = None;
        }
        ensure(are_apart, || {
            let got = format!("another one falls when product {first} is ordered");
            Failure::new("that the quantity of the product that is ordered falls", got)
                .hint(true, "is an id taken for an index?")
        })
    }

    /// Waits for the answer to the first order. Where something comes at once, the answer itself
    /// may still follow. Returns what came at once, and how many delays the answer took.
    fn hear(&self, client: &mut Client) -> (Option<String>, f64) {
        let first = client.reply(GUESS + self.delay * 2);
        let took = |client: &Client| self.delays(client.asked, slice::from_ref(client));
        if took(client) < 0.5 && client.end.is_none() && !first.is_empty() {
            let rest = (self.delay * 3 / 2).saturating_sub(client.asked.elapsed());
            client.reply_until(rest, |reply| reply != first);
        }
        let is_notice = client.text() != first;
        (is_notice.then_some(first), took(client))
    }

    /// So many new clients, all at once, and of which product most are left: at least so many.
    fn buyers(&mut self, count: usize, at_least: i64) -> Outcome<(Vec<Client>, i64, i64)> {
        let (buyers, list) = self.lists(count)?;
        let (id, left) = self.most(&list, at_least)?;
        Ok((buyers, id, left))
    }

    /// All the buyers order the same at once.
    fn order(&self, buyers: &mut [Client], id: i64, quantity: i64) -> Outcome {
        let order = packets(&self.dialect()?.order, id, quantity);
        for buyer in buyers {
            buyer.ask(&order);
        }
        Ok(())
    }

    fn buy(&self, buyers: &mut [Client], id: i64, quantity: i64) -> Outcome {
        self.order(buyers, id, quantity)?;
        self.expect_answers(buyers)
    }

    /// Waits until each client has its answer, whatever it is.
    fn expect_answers(&self, clients: &mut [Client]) -> Outcome {
        let notice = &self.dialect()?.notice;
        let patience = self.patience(clients.len() + 1);
        wait(clients, patience, |client| {
            client.has_replied() && (client.end.is_some() || Some(client.text()) != *notice)
        });
        let silent = clients.iter().find(|client| client.text().is_empty());
        silent.map_or(Ok(()), |client| {
            Err(client.failure("an answer").hint(client.end.is_none(), HELD).into())
        })
    }

    /// Each product that is known, and how many are left of it; one that is sold out may be missing.
    fn quantities(&self, list: &[Cell]) -> Vec<(i64, i64)> {
        let quantity = |product: &Product| (product.id, product.left(list).unwrap_or(0));
        self.products.iter().map(quantity).collect()
    }

    /// How many of a product a new list shows.
    fn left(&mut self, id: i64) -> Outcome<i64> {
        let (_, list) = self.list()?;
        let of_id = self.quantities(&list).into_iter().find(|(known, _)| *known == id);
        Ok(of_id.map_or(0, |(_, left)| left))
    }

    fn expect_left(&mut self, client: &Client, id: i64, expected: i64) -> Outcome {
        let left = self.left(id)?;
        ensure(left == expected, || {
            let hint = format!("{left} of product {id} are left");
            client.failure(format!("{expected} of product {id} left")).hint(true, hint)
        })
    }

    /// The product of which most are left, and at least so many.
    fn most(&self, list: &[Cell], at_least: i64) -> Outcome<(i64, i64)> {
        self.dialect()?;
        let quantities = self.quantities(list).into_iter();
        let enough = quantities.filter(|(_, left)| (at_least..i64::MAX).contains(left));
        enough.max_by_key(|(_, left)| *left).map_or_else(sold_out, Ok)
    }

    /// The product of which fewest are left, but not none.
    fn least(&self, list: &[Cell]) -> Outcome<(i64, i64)> {
        self.dialect()?;
        let quantities = self.quantities(list).into_iter();
        let some = quantities.filter(|(_, left)| (1..i64::MAX).contains(left));
        some.min_by_key(|(_, left)| *left).map_or_else(sold_out, Ok)
    }
}

fn sold_out<T>() -> Outcome<T> {
    not_tried("not enough is left: put ten of one product in stock, and start the server again")
}

fn times(delays: f64) -> String {
    format!("{delays:.2} times that of a list")
}

/// An order, in the packets that it is sent in.
fn packets(order: &str, id: i64, quantity: i64) -> Vec<String> {
    let quantity = quantity.to_string();
    let order = order.replace("{id}", &id.to_string()).replace("{quantity}", &quantity);
    order.split_inclusive('\n').map(str::to_owned).collect()
}

/// From how three of product 1 are ordered.
fn order_of_example(example: &str) -> Result<String> {
    let found = numbers(example, false);
    let end_of = |wanted| {
        let mut ends =
            found.iter().rev().filter(|(_, it)| it.trim_start_matches(['-', '0']) == wanted);
        ends.next().map(|(at, number)| at + number.len())
    };
    let places = end_of("1").zip(end_of("3"));
    let (id, quantity) = places.context("--say: expected how three of product 1 are ordered")?;
    let mut order = example.to_owned();
    let mut replaced = [(id, "{id}"), (quantity, "{quantity}")];
    replaced.sort_unstable();
    for (end, name) in replaced.into_iter().rev() {
        order.replace_range(end - 1..end, name);
    }
    Ok(order)
}
