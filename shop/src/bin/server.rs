//! The shop server sells its stock: many may list it at once, one at a time may order.

use std::io::BufReader;
use std::process::ExitCode;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use echo::{Client, Excerpt, Limits, Server, flags};
use shop::{LONGEST_ORDER, Order, Product, STOCK};

/// Lists its stock to each client and takes their orders, from a slow simulated database.
#[derive(Parser)]
#[command(after_help = "Example: cargo run -p shop --bin server -- --delay 1 --no-lock")]
struct Flags {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = shop::ADDR)]
    #[arg(value_parser = flags::address)]
    addr: String,

    #[command(flatten)]
    limits: Limits,

    /// How long the database takes to list the stock, and to change it
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    #[arg(value_parser = flags::seconds, allow_negative_numbers = true)]
    delay: Duration,

    /// Let go of the lock between the check and the change, to see what goes wrong
    #[arg(long)]
    no_lock: bool,
}

fn main() -> ExitCode {
    echo::exit(run(&Flags::parse()))
}

fn run(flags: &Flags) -> Result<()> {
    Server::open(&flags.addr, flags.limits)?.run(|client| converse(client, flags))
}

fn converse(client: &Client, flags: &Flags) -> Result<()> {
    // The line end that `say` adds makes the empty line after the list.
    client.say(list(client, flags.delay))?;

    let sell = if flags.no_lock { sell_without_lock } else { sell_with_lock };
    let mut orders = BufReader::new(client);
    while let Some(line) = echo::read_line(&mut orders, LONGEST_ORDER)? {
        client.log(format_args!("received {}", Excerpt(line.as_bytes())));
        let answer = match line.parse().and_then(|order| sell(client, order, flags.delay)) {
            Ok(confirmation) => confirmation,
            Err(reason) => format!("error: {reason}"),
        };
        client.say(&answer)?;
        client.log(format_args!("sent {answer:?}"));
    }
    Ok(())
}

/// Reads the stock, while others may read it too.
fn list(client: &Client, delay: Duration) -> String {
    reading(client, |stock| {
        thread::sleep(delay);
        stock.iter().map(|product| format!("{product}\n")).collect()
    })
}

/// Checks and changes the stock under one write lock: nothing comes between.
fn sell_with_lock(client: &Client, order: Order, delay: Duration) -> Result<String> {
    writing(client, |stock| {
        order.check(stock)?;
        thread::sleep(delay);
        order.carry_out(stock)
    })
}

/// Lets go of the lock during the sleep: what was checked may no longer hold.
fn sell_without_lock(client: &Client, order: Order, delay: Duration) -> Result<String> {
    writing(client, |stock| order.check(stock))?;
    thread::sleep(delay);
    writing(client, |stock| order.carry_out(stock))
}

fn reading<T>(client: &Client, work: impl FnOnce(&[Product]) -> T) -> T {
    client.log("waits for the read lock");
    let stock = STOCK.read().unwrap_or_else(PoisonError::into_inner);
    client.log("has the read lock");
    let result = work(&stock);
    client.log("lets go of the read lock");
    result
}

fn writing<T>(client: &Client, work: impl FnOnce(&mut [Product]) -> T) -> T {
    client.log("waits for the write lock");
    // A panic poisons the lock, but the stock is changed in one step, so it is whole.
    let mut stock = STOCK.write().unwrap_or_else(PoisonError::into_inner);
    client.log("has the write lock");
    let result = work(&mut stock);
    client.log("lets go of the write lock");
    result
}
