//! The shop client shows the stock, and orders from it.

use std::io::{self, Cursor, IsTerminal, Read};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use echo::cli::{self, notice};
use echo::client::{Client, Sender, unexpected};
use echo::lines::read_line;
use echo::preview::printable;
use shop::{LONGEST_ORDER, Product};

/// The most products in a list.
const MAX_PRODUCTS: usize = 1000;

/// Shows the stock of the shop, then orders from it.
#[derive(Parser)]
#[command(name = "shop-client", version, after_help = cli::example("shop", "client", "1 3"))]
struct Args {
    /// The product to order; without it, orders come from standard input
    #[arg(requires = "quantity", allow_negative_numbers = true)]
    id: Option<u32>,

    /// How many to order
    #[arg(allow_negative_numbers = true)]
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
        let line = server.expect_reply()?;
        if line.is_empty() {
            return Ok(stock);
        }
        ensure!(stock.len() < MAX_PRODUCTS, "the server sent more than {MAX_PRODUCTS} products");
        stock.push(line.parse::<Product>()?);
    }
}

fn table(stock: &[Product]) -> String {
    let heading = ["ID", "QUANTITY", "NAME"].map(str::to_owned);
    let row = |product: &Product| {
        [product.id.to_string(), product.quantity.to_string(), printable(&product.name)]
    };
    let rows: Vec<_> = [heading].into_iter().chain(stock.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (ids, quantities) = (width(0), width(1));
    rows.iter()
        .map(|[id, quantity, name]| format!("{id:>ids$}  {quantity:>quantities$}  {name}\n"))
        .collect()
}

fn order_once(server: &mut Client, id: u32, quantity: i64) -> Result<()> {
    notice("waiting for the answer\n");
    server.send(Cursor::new(format!("{id} {quantity}\n")))?;
    print_confirmation(&server.expect_reply()?)
}

fn print_confirmation(answer: &str) -> Result<()> {
    ensure!(answer.starts_with("confirmed: "), unexpected(answer, "confirmed: …"));
    cli::print(printable(answer) + "\n")
}

/// Takes one order a line from standard input, until it ends.
fn take_orders(server: &mut Client) -> Result<()> {
    let (answered, answers) = mpsc::sync_channel(1);
    server.send_with(move |sender| send_orders(sender, &answers))?;
    let mut refused = 0;
    while let Some(answer) = server.line().inspect_err(|_| leave_prompt())? {
        if answer.starts_with("error:") {
            notice(printable(&answer) + "\n");
            refused += 1;
        } else {
            print_confirmation(&answer)?;
        }
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
            leave_prompt();
            return Ok(());
        };
        let order = line.trim();
        if order.is_empty() {
            continue;
        }
        if is_interactive {
            notice("waiting for the answer\n");
        }
        sender.send(format!("{order}\n"))?;
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
