//! Checks a running server of one of the exercises: yours, in whatever language it is.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use echo::cli::{self, EXERCISES};
use tests::checker::check;

/// What it sends and reads, what `--say` is for, and how it is started.
const HELP: &str = r#"What it sends, and what it reads:
  echo           a string, then a line end, CR LF or the end of the sending;
                 it reads the string, which may have a label around it
  random-stream  nothing that matters; it looks for a random number in each
                 message, for about fifteen seconds, as four clients at most
  math           an action (somme, moyenne, écart-type, min, max, or the
                 English words), numbers and =, in one packet or several;
                 it finds the answer in the reply, always in the same place
                 from the end
  shop           an id and a quantity; it reads the numbers of the list: which
                 of them is the quantity shows when it falls by what was
                 ordered. The shop needs a short wait, such as 1 s, ten of one
                 product, and a fresh start before each check, which buys some

It finds out how your server writes all this. What it cannot guess, such as
JSON, you show with one example, in which \n is a line end: how the sum (or
another action) of 1, 2 and 3 is asked, or how three of product 1 are ordered.
It puts in its own action and numbers, product and quantity:
  check math 127.0.0.1:7003 --say '{"action":"somme","nombres":[1,2,3]}\n=\n'
  check shop 127.0.0.1:7004 --say '{"id":1,"quantite":3}\n'

Example: cargo run -p tests --example check -- shop 127.0.0.1:7004
     or, if you have it as one file: ./check shop 127.0.0.1:7004"#;

/// Checks a server of one of the exercises, in whatever language it is written
#[derive(Parser)]
#[command(name = "check", after_help = HELP)]
struct Args {
    /// Which exercise it solves: echo, random-stream, math or shop
    #[arg(value_parser = PossibleValuesParser::new(EXERCISES), hide_possible_values = true)]
    exercise: String,

    /// Where it listens, such as 127.0.0.1:7004
    #[arg(value_name = "HOST:PORT")]
    addr: String,

    /// One example of how math or shop is asked, see below
    #[arg(long, value_name = "EXAMPLE", allow_hyphen_values = true)]
    say: Option<String>,

    /// Fail also when a check that goes further does not hold
    #[arg(long)]
    strict: bool,
}

fn main() -> ExitCode {
    let mut holds = false;
    let ran = cli::run("tests", "check", || {
        let args = Args::parse();
        let report = check(&args.exercise, &args.addr, args.say.as_deref(), io::stdout())?;
        holds = report.holds(args.strict);
        Ok(())
    });
    if holds { ran } else { ExitCode::FAILURE }
}
