//! The math client sends an action and numbers, and prints the answer.

use std::io::{self, Cursor, IsTerminal, Read};
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
    let asks = args.action.is_some();
    server.send(question(args.action, &args.numbers))?;
    if asks {
        print_answer(&server.expect_reply()?)?;
    }
    while let Some(answer) = server.reply()? {
        print_answer(&answer)?;
    }
    Ok(())
}

fn print_answer(answer: &str) -> Result<()> {
    ensure!(parse_number(answer).is_ok(), unexpected(answer, "a number"));
    cli::print(format!("{answer}\n"))
}

/// What is sent: an action, numbers and `=`, which the server skips if there was one already.
fn question(action: Option<String>, numbers: &[String]) -> Box<dyn Read + Send> {
    let what =
        if action.is_some() { "numbers" } else { "an action and numbers, such as sum 1 2 3" };
    let action = action.unwrap_or_default();
    if !numbers.is_empty() {
        return Box::new(Cursor::new(format!("{action} {} =\n", numbers.join(" "))));
    }
    if io::stdin().is_terminal() {
        cli::notice(format_args!("type {what}, then {END_OF_INPUT} to end\n"));
    }
    Box::new(Cursor::new(action + " ").chain(io::stdin()).chain(Cursor::new(" =\n")))
}

/// Reads a word, whose meaning is left to the server.
fn word(text: &str) -> Result<String> {
    let is_word = !text.is_empty() && !text.contains(char::is_whitespace);
    ensure!(is_word, "expected one word");
    Ok(text.to_owned())
}

/// Reads a number, or what the server will refuse to take for one. To clap, all that follows
/// the first number is one, for `-1e-7` would look like an option.
fn number(text: &str) -> Result<String> {
    ensure!(!text.starts_with("--"), "options go before the numbers");
    word(text)
}
