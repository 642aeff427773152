//! The shop server sells its stock: many may list it at once, only one may order at a time.

#![warn(let_underscore_drop)] // `let _ = write_lock(session);` releases the lock at once.

use std::io::BufReader;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use echo::cli;
use echo::lines::{ERROR, read_line};
use echo::preview::Preview;
use echo::server::{Limits, Server, Session};
use shop::{LONGEST_ORDER, Order, read_lock, write_lock};

/// Sells the stock of a slow simulated database.
#[derive(Parser)]
#[command(name = "shop-server", version, next_line_help = true)]
#[command(after_help = cli::example("shop", "server", "--delay 1 --no-lock"))]
struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = shop::ADDR)]
    addr: String,

    #[command(flatten)]
    limits: Limits,

    /// How long the database takes to list or change the stock
    #[arg(long, value_name = "SECONDS", default_value = "5", allow_hyphen_values = true)]
    #[arg(value_parser = cli::seconds)]
    delay: Duration,

    /// Release the lock between the check and the change
    #[arg(long)]
    no_lock: bool,
}

fn main() -> ExitCode {
    cli::run("shop", "server", run)
}

fn run() -> Result<()> {
    let args = Args::parse();
    let server = Server::bind("shop", &args.addr, args.limits)?;
    server.run(move |session| converse(session, &args))
}

fn converse(session: &Session, args: &Args) -> Result<()> {
    // The line end that `send_line` adds makes the empty line after the list.
    session.send_line(list(session, args.delay))?;

    let sell = if args.no_lock { sell_without_lock } else { sell_with_lock };
    let mut lines = BufReader::new(session);
    while let Some(line) = read_line(&mut lines, LONGEST_ORDER)? {
        session.log(format_args!("received {}", Preview(&line)));
        let sold = line.parse::<Order>().and_then(|order| sell(session, order, args.delay));
        let answer = sold.unwrap_or_else(|reason| format!("{ERROR} {reason}"));
        session.send_line(&answer)?;
        session.log(format_args!("sent {answer:?}"));
    }
    Ok(())
}

/// Reads the stock, while others may read it too.
fn list(session: &Session, delay: Duration) -> String {
    let stock = read_lock(session);
    thread::sleep(delay);
    stock.products.iter().map(|product| format!("{product}\n")).collect()
}

/// Holds the lock across the sleep: nothing comes between the check and the change.
fn sell_with_lock(session: &Session, order: Order, delay: Duration) -> Result<String> {
    let mut stock = write_lock(session);
    order.check(&stock)?;
    thread::sleep(delay);
    order.apply(&mut stock)
}

/// Drops each guard at the end of its line, so the lock is free during the sleep: what was
/// checked may no longer hold.
fn sell_without_lock(session: &Session, order: Order, delay: Duration) -> Result<String> {
    order.check(&write_lock(session))?;
    thread::sleep(delay);
    order.apply(&mut write_lock(session))
}
