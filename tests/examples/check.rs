//! Checks a running server of one of the exercises: yours, in whatever language it is.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use echo::cli;
use tests::checker::{EXERCISES, check};

/// Checks a server of one of the exercises, in whatever language it is written.
#[derive(Parser)]
#[command(after_help = "Example: cargo run --example check -- shop 127.0.0.1:7004")]
struct Args {
    /// Which exercise it solves
    #[arg(value_parser = PossibleValuesParser::new(EXERCISES))]
    exercise: String,

    /// Where it listens
    #[arg(value_name = "HOST:PORT")]
    addr: String,

    /// An example of what it understands, for math or shop: see below
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
