//! The math client sends an action and numbers, and prints the answer.

use std::io::{self, Cursor, IsTerminal, Read};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use echo::{Connection, flags, notice};

/// Has the math server compute the sum, mean, stddev, min or max of numbers.
#[derive(Parser)]
#[command(after_help = "Examples:
  client mean 1 2 6       the answer: 3
  client stddev < FILE    of the numbers in FILE, between white space
  client                  the conversation itself: sum 1 2 3 =")]
struct Flags {
    /// sum (somme), mean (average, moyenne), stddev (écart-type), min or max; without it,
    /// standard input is sent as it is
    action: Option<String>,

    /// The numbers; without them, they are read from standard input
    #[arg(allow_hyphen_values = true)]
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
    let is_typed = flags.numbers.is_empty() && io::stdin().is_terminal();

    let Some(action) = flags.action else {
        if is_typed {
            notice("type an action, numbers and =, such as: sum 1 2 3 =\n");
        }
        server.send(io::stdin())?;
        while let Some(answer) = server.reply()? {
            echo::print(answer + "\n")?;
        }
        return Ok(());
    };
    if is_typed {
        notice("type numbers, then Ctrl-D\n");
    }
    let numbers: Box<dyn Read + Send> = if flags.numbers.is_empty() {
        Box::new(io::stdin())
    } else {
        Box::new(Cursor::new(flags.numbers.join(" ")))
    };
    let question = Cursor::new(action + " ").chain(numbers).chain(&b" =\n"[..]);
    server.send(question)?;
    let answer = server.reply()?.ok_or_else(echo::closed)?;
    echo::print(answer + "\n")
}
