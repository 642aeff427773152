//! The math client sends an action and numbers, and prints the answer.

use std::io::{self, Cursor, IsTerminal, Read};
use std::iter;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use echo::cli::{self, END_OF_INPUT};
use echo::client::{Client, unexpected};
use math::parse_number;

/// Has the math server compute the sum, mean, stddev, min or max of numbers.
#[derive(Parser)]
#[command(name = "math-client", version, next_line_help = true)]
#[command(after_help = cli::example("math", "client", "mean 1 2 6"))]
struct Args {
    /// sum, mean, stddev, min or max; by default from standard input
    action: Option<String>,

    /// The numbers; without them, they come from standard input
    #[arg(allow_hyphen_values = true, value_parser = number)]
    numbers: Vec<String>,

    /// Where the server listens
    #[arg(long, value_name = "HOST:PORT", default_value = math::ADDR)]
    addr: String,
}

fn main() -> ExitCode {
    cli::run("math", "client", run)
}

fn run() -> Result<()> {
    let Args { action, numbers, addr } = Args::parse();
    let mut server = Client::connect("math", &addr)?;
    server.set_awaited("the answer");
    let Some(action) = action else { return converse(&mut server) };

    let rest = if numbers.is_empty() { stdin("numbers") } else { Box::new(io::empty()) };
    let words: String = iter::once(action).chain(numbers).map(|word| word + " ").collect();
    // The words may ask several questions, the last of them with or without its `=`.
    let questions = words.split('=').filter(|question| !question.trim().is_empty()).count();
    ensure!(questions > 0, "expected an action, such as sum");
    // The last `=` is a send of its own: if a server answered at one before it, and closed, this
    // send fails, and the answer is there all the same.
    server.send(Cursor::new(words).chain(rest).chain(&b"=\n"[..]))?;
    for _ in 0..questions {
        print(server.expect_reply()?)?;
    }
    Ok(())
}

/// Sends standard input as it is. Nobody knows how many answers to await, so the sending ends
/// with the input.
fn converse(server: &mut Client) -> Result<()> {
    let input = stdin("an action, numbers and =, such as sum 1 2 3 =");
    server.send_with(|sender| sender.send_all(input).map(|()| sender.end_sending()))?;
    let mut answers = 0;
    while let Some(answer) = server.reply()? {
        print(answer)?;
        answers += 1;
    }
    ensure!(answers > 0 || server.sent() == 0, server.closed());
    Ok(())
}

/// Standard input. At a terminal, says what to type.
fn stdin(what: &str) -> Box<dyn Read + Send> {
    if io::stdin().is_terminal() {
        cli::notice(format_args!("type {what}, then {END_OF_INPUT} to end\n"));
    }
    Box::new(io::stdin())
}

fn print(answer: String) -> Result<()> {
    ensure!(parse_number(&answer).is_ok(), unexpected(&answer, "a number"));
    cli::print(answer + "\n")
}

/// Reads a number, or what the server will refuse. For clap, whatever follows the first number is
/// one, since `-1e-7` would look like an option.
fn number(text: &str) -> Result<String> {
    ensure!(!text.starts_with("--"), "options go before the numbers");
    Ok(text.to_owned())
}
