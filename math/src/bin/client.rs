//! The math client sends an action and numbers, and prints the answer.

use std::io::{self, Cursor, IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use echo::{Connection, flags, notice};

/// Has the math server compute the sum, mean, stddev, min or max of numbers.
#[derive(Parser)]
#[command(after_help = "Examples:
  cargo run -p math --bin client -- mean 1 2 6
  cargo run -p math --bin client -- stddev < numbers
  cargo run -p math --bin client")]
struct Flags {
    /// sum (somme), mean (average, moyenne), stddev (écart-type), min or max; without it,
    /// standard input is sent as it is
    action: Option<String>,

    /// The numbers; without them, they are read from standard input
    #[arg(allow_hyphen_values = true, value_parser = number)]
    numbers: Vec<String>,

    /// Where the server listens
    #[arg(long, value_name = "HOST:PORT", default_value = math::ADDR)]
    #[arg(value_parser = flags::address)]
    addr: String,
}

fn main() -> ExitCode {
    echo::exit(run(Flags::parse()))
}

fn run(flags: Flags) -> Result<()> {
    let mut server = Connection::open(&flags.addr, "math")?;
    let answers_wanted = usize::from(flags.action.is_some());
    server.send(question(flags.action, &flags.numbers))?;
    let mut answers = 0;
    while let Some(answer) = server.reply()? {
        echo::print(answer + "\n")?;
        answers += 1;
    }
    ensure!(answers >= answers_wanted, echo::closed());
    Ok(())
}

/// What is sent: an action, numbers and `=`, or just what standard input says.
fn question(action: Option<String>, numbers: &[String]) -> Box<dyn Read + Send> {
    match action {
        None => typed("type an action, numbers and =, such as sum 1 2 3 =, then Ctrl-D to end\n"),
        Some(action) if numbers.is_empty() => {
            let numbers = typed("type numbers, then Ctrl-D to end\n");
            Box::new(Cursor::new(action + " ").chain(numbers).chain(&b" =\n"[..]))
        }
        Some(action) => Box::new(Cursor::new(format!("{action} {} =\n", numbers.join(" ")))),
    }
}

/// Standard input, with a hint for one who sits at it.
fn typed(hint: &str) -> Box<dyn Read + Send> {
    if io::stdin().is_terminal() {
        notice(hint);
    }
    Box::new(io::stdin())
}

/// Reads a number, or rather leaves that to the server. To clap, all that follows the first
/// one is a number, for `-1e-7` looks like a flag to it.
fn number(text: &str) -> Result<String> {
    ensure!(!text.starts_with("--"), "options go before the numbers");
    Ok(text.to_owned())
}
