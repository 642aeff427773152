//! The math server takes an action and numbers, and answers at `=`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use echo::{Client, Limits, Server, flags};
use math::{Statistics, Tokens, format_number, parse_number};

/// Computes the sum, mean, standard deviation, minimum or maximum of the numbers it is sent.
#[derive(Parser)]
#[command(after_help = "Example: cargo run -p math --bin server -- --max-clients 5")]
struct Flags {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = math::ADDR)]
    #[arg(value_parser = flags::address)]
    addr: String,

    #[command(flatten)]
    limits: Limits,
}

fn main() -> ExitCode {
    echo::exit(run(&Flags::parse()))
}

fn run(flags: &Flags) -> Result<()> {
    Server::open(&flags.addr, flags.limits)?.run(converse)
}

fn converse(client: &Client) -> Result<()> {
    let mut tokens = Tokens::new(client);
    while let Some(token) = tokens.next()? {
        let action = token.parse()?;
        let mut numbers = Statistics::new(action);
        loop {
            match tokens.next()?.context("expected = before the end")? {
                "=" => break,
                token => numbers.push(parse_number(token)?),
            }
        }
        let answer = format_number(numbers.answer()?);
        client.say(&answer)?;
        client.log(format_args!("{action} of {} numbers: {answer}", numbers.count()));
    }
    Ok(())
}
