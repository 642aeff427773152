//! The shop client shows the stock, and orders from it.

use std::io::{self, Cursor, IsTerminal, Read};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use echo::{Connection, Sender, flags, notice};
use shop::{LONGEST_ORDER, Product};

/// The most products that are shown.
const MOST_PRODUCTS: usize = 10_000;

/// Shows the stock of the shop, then orders from it.
#[derive(Parser)]
#[command(after_help = "Examples:
  cargo run -p shop --bin client
  cargo run -p shop --bin client -- 1 3
  cargo run -p shop --bin client < orders")]
struct Flags {
    /// The product to order; without it, orders are asked for
    #[arg(requires = "quantity")]
    id: Option<u32>,

    /// How many to order
    #[arg(allow_negative_numbers = true)]
    quantity: Option<i64>,

    /// Where the server listens
    #[arg(long, value_name = "HOST:PORT", default_value = shop::ADDR)]
    #[arg(value_parser = flags::address)]
    addr: String,
}

fn main() -> ExitCode {
    echo::exit(run(&Flags::parse()))
}

fn run(flags: &Flags) -> Result<()> {
    let mut server = Connection::open(&flags.addr, "shop")?;
    notice("waiting for the stock\n");
    let stock = receive_stock(&mut server)?;
    echo::print(table(&stock))?;

    if let (Some(id), Some(quantity)) = (flags.id, flags.quantity) {
        server.send(Cursor::new(format!("{id} {quantity}\n")))?;
        notice("waiting for the answer\n");
        let confirmation = server.reply()?.ok_or_else(echo::closed)?;
        return echo::print(confirmation + "\n");
    }

    let (answered, answers) = mpsc::channel();
    server.send_with(move |sender| send_orders(sender, &answers))?;
    let mut refused = 0;
    while let Some(answer) = server.line().inspect_err(|_| leave_prompt())? {
        if answer.starts_with("error:") {
            notice(format_args!("{answer}\n"));
            refused += 1;
        } else {
            echo::print(answer + "\n")?;
        }
        answered.send(()).ok();
    }
    ensure!(refused == 0, "orders refused: {refused}");
    Ok(())
}

fn receive_stock(server: &mut Connection) -> Result<Vec<Product>> {
    let mut stock = Vec::new();
    while let Some(line) = server.reply()?.filter(|line| !line.is_empty()) {
        ensure!(stock.len() < MOST_PRODUCTS, "more than {MOST_PRODUCTS} products");
        stock.push(line.parse()?);
    }
    Ok(stock)
}

fn table(stock: &[Product]) -> String {
    let heading = ["ID", "QUANTITY", "NAME"].map(str::to_owned);
    let row = |product: &Product| {
        [product.id.to_string(), product.quantity.to_string(), product.name.clone()]
    };
    let rows: Vec<_> = [heading].into_iter().chain(stock.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (ids, quantities) = (width(0), width(1));
    rows.iter()
        .map(|[id, quantity, name]| format!("{id:>ids$}  {quantity:>quantities$}  {name}\n"))
        .collect()
}

/// Sends one order after another, each when the one before is answered.
fn send_orders(sender: &Sender, answers: &Receiver<()>) -> Result<()> {
    let is_asked = io::stdin().is_terminal();
    // The last line of a file may lack its end.
    let end: &[u8] = if is_asked { b"" } else { b"\n" };
    let mut input = io::stdin().lock().chain(end);
    loop {
        if is_asked {
            notice("ID QUANTITY (or Ctrl-D)> ");
        }
        let line = echo::read_line(&mut input, LONGEST_ORDER).context("cannot read the orders")?;
        let Some(line) = line else {
            leave_prompt();
            return Ok(());
        };
        let order = line.trim();
        if order.is_empty() {
            continue;
        }
        sender.send(format!("{order}\n").as_bytes())?;
        if is_asked {
            notice("waiting for the answer\n");
        }
        if answers.recv().is_err() {
            return Ok(());
        }
    }
}

/// Ends the line of a prompt that nothing was typed at.
fn leave_prompt() {
    if io::stdin().is_terminal() {
        notice("\n");
    }
}
