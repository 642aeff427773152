//! The shop client shows the stock, and orders from it.

use std::io::{self, Cursor, IsTerminal, Read};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::mpsc::{self, Receiver};

use anyhow::{Context, Error, Result, anyhow, ensure};
use clap::Parser;
use echo::cli::{self, notice};
use echo::client::{Client, Sender, ServerError, unexpected};
use echo::lines::read_line;
use echo::preview::printable;
use shop::{CONFIRMED, LONGEST_ORDER, Product};

/// The most products in a list.
const MAX_PRODUCTS: usize = 1000;

/// Shows the stock of the shop, then orders from it.
#[derive(Parser)]
#[command(name = "shop-client", version, after_help = cli::example("shop", "client", "1 3"))]
struct Args {
    /// The product to order; without it, orders come from standard input
    #[arg(requires = "quantity", allow_negative_numbers = true, value_parser = number::<u32>)]
    id: Option<u32>,

    /// How many to order
    #[arg(allow_negative_numbers = true, value_parser = number::<i64>)]
    quantity: Option<i64>,

    /// Show the stock, and order nothing
    #[arg(long, conflicts_with = "id")]
    list: bool,

    /// Where the server listens
    #[arg(long, value_name = "HOST:PORT", default_value = shop::ADDR)]
    addr: String,
}

fn main() -> ExitCode {
    cli::run("shop", "client", run)
}

fn run() -> Result<()> {
    let args = Args::parse();
    let mut server = Client::connect("shop", &args.addr)?;
    notice("waiting for the stock\n");
    let stock = receive_stock(&mut server)?;
    cli::print(table(&stock))?;
    match (args.id, args.quantity) {
        (Some(id), Some(quantity)) => order_once(&mut server, id, quantity),
        _ if args.list => Ok(()),
        _ => take_orders(&mut server),
    }
}

fn receive_stock(server: &mut Client) -> Result<Vec<Product>> {
    let mut stock = Vec::new();
    loop {
        let line = server.line()?.ok_or_else(|| server.closed())?;
        if line.is_empty() {
            return Ok(stock);
        }
        ensure!(stock.len() < MAX_PRODUCTS, "the server sent more than {MAX_PRODUCTS} products");
        stock.push(line.parse::<Product>()?);
    }
}

fn table(stock: &[Product]) -> String {
    let row = |Product { id, quantity, name }: &Product| {
        format!("{id:>2}  {quantity:>8}  {}\n", printable(name))
    };
    "ID  QUANTITY  NAME\n".to_owned() + &stock.iter().map(row).collect::<String>()
}

fn order_once(server: &mut Client, id: u32, quantity: i64) -> Result<()> {
    notice("waiting for the answer\n");
    server.send(Cursor::new(format!("{id} {quantity}\n")))?;
    server.expect_reply().and_then(|answer| print_confirmation(&answer)).map_err(unanswered)
}

/// Prints an answer that confirms an order.
fn print_confirmation(answer: &str) -> Result<()> {
    ensure!(answer.starts_with(CONFIRMED), unexpected(answer, "confirmed: …"));
    cli::print(printable(answer) + "\n")
}

/// The error of an order. Unless the server answered, it may have been carried out.
fn unanswered(error: Error) -> Error {
    match error.downcast_ref() {
        Some(ServerError::Broke(how)) => anyhow!("{how}; the order may have been carried out"),
        _ => error,
    }
}

/// Takes one order a line from standard input, until it ends.
fn take_orders(server: &mut Client) -> Result<()> {
    let (answered, answers) = mpsc::sync_channel(1);
    server.send_with(move |sender| send_orders(sender, &answers))?;
    // How much was sent when the last answer came: an order that was sent since then has none.
    let (mut refused, mut sent_then) = (0, 0);
    while let Some(answer) = server.reply().transpose() {
        if let Err(error) = answer.and_then(|answer| print_confirmation(&answer)) {
            let Some(ServerError::Said(reason)) = error.downcast_ref() else {
                return Err(if server.sent() > sent_then { unanswered(error) } else { error });
            };
            notice(format_args!("error: {reason}\n"));
            refused += 1;
        }
        sent_then = server.sent();
        let _ = answered.try_send(()); // An answer that nobody waits for is shown, too.
    }
    ensure!(refused == 0, "orders refused: {refused}");
    Ok(())
}

/// Sends one order after another, each when the one before is answered.
fn send_orders(sender: &Sender, answers: &Receiver<()>) -> Result<()> {
    let is_interactive = io::stdin().is_terminal();
    // The last line of a file may lack its end.
    let end: &[u8] = if is_interactive { b"" } else { b"\n" };
    let mut input = io::stdin().lock().chain(end);
    loop {
        if is_interactive {
            notice(format_args!("ID QUANTITY, such as 1 3, or {} to leave> ", cli::END_OF_INPUT));
        }
        let line = read_line(&mut input, LONGEST_ORDER).context("cannot read the orders")?;
        let Some(line) = line else {
            notice("");
            return Ok(());
        };
        cli::typed();
        if line.trim().is_empty() {
            continue;
        }
        let order = format!("{}\n", line.trim());
        notice("waiting for the answer\n");
        sender.send(&order)?;
        answers.recv()?;
        sender.settle(order.len());
    }
}

/// Reads an ID or a quantity.
fn number<T: FromStr>(text: &str) -> Result<T> {
    let number = text.trim().parse().ok();
    number.context("expected ID QUANTITY, such as 1 3, with an ID from the list")
}
