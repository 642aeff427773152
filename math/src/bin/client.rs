//! The math client sends an action and numbers, and prints the answer.

use std::io::{self, Cursor, IsTerminal, Read};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use clap::Parser;
use echo::cli::{self, END_OF_INPUT};
use echo::client::{Client, unexpected};
use math::{Questions, parse_number};

/// Has the math server compute the sum, mean, stddev, min or max of numbers.
#[derive(Parser)]
#[command(name = "math-client", version, next_line_help = true)]
#[command(after_help = cli::example("math", "client", "mean 1 2 6"))]
struct Args {
    /// sum, mean, stddev, min or max; by default from standard input
    #[arg(value_parser = word)]
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
    let args = Args::parse();
    let mut server = Client::connect("math", &args.addr)?;
    let asked = Arc::new(AtomicU64::new(0));
    server.send(Questions::new(input(args), Arc::clone(&asked)))?;
    let mut answered = 0;
    while let Some(answer) = server.reply()? {
        ensure!(parse_number(&answer).is_ok(), unexpected(&answer, "a number"));
        cli::print(answer + "\n")?;
        answered += 1;
    }
    if answered < asked.load(Ordering::SeqCst) {
        server.expect_reply()?; // There is none: that is the error.
    }
    Ok(())
}

/// The action and the numbers, from the command line or from standard input.
fn input(args: Args) -> Box<dyn Read + Send> {
    let what =
        if args.action.is_some() { "numbers" } else { "an action and numbers, such as sum 1 2 3" };
    let words = format!("{} {}", args.action.unwrap_or_default(), args.numbers.join(" "));
    if !args.numbers.is_empty() {
        return Box::new(Cursor::new(words));
    }
    if io::stdin().is_terminal() {
        cli::notice(format_args!("type {what}, then {END_OF_INPUT} to end\n"));
    }
    Box::new(Cursor::new(words).chain(io::stdin()))
}

/// Reads a word, whose meaning is left to the server.
fn word(text: &str) -> Result<String> {
    let is_word = !text.is_empty() && !text.contains(char::is_whitespace);
    ensure!(is_word, "expected one word");
    Ok(text.to_owned())
}

/// Reads a number, or what the server will refuse. For clap, whatever follows the first number is
/// one, since `-1e-7` would look like an option.
fn number(text: &str) -> Result<String> {
    ensure!(!text.starts_with("--"), "options go before the numbers");
    word(text)
}
