//! The math server takes an action and numbers, and answers at `=`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use echo::cli;
use echo::server::{Limits, Server, Session};
use math::{Action, Statistics, Tokens, format_number, parse_number};

/// Computes the sum, mean, standard deviation, minimum or maximum of numbers.
#[derive(Parser)]
#[command(name = "math-server", version, next_line_help = true)]
#[command(after_help = cli::example("math", "server", "--max-clients 5"))]
struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = math::ADDR)]
    addr: String,

    #[command(flatten)]
    limits: Limits,
}

fn main() -> ExitCode {
    cli::run("math", "server", run)
}

fn run() -> Result<()> {
    let args = Args::parse();
    Server::bind("math", &args.addr, args.limits)?.run(converse)
}

fn converse(session: &Session) -> Result<()> {
    let mut tokens = Tokens::new(session);
    while let Some(token) = tokens.next_token()? {
        if token == "=" {
            continue; // It follows no action, so there is nothing to answer.
        }
        let action: Action = token.parse()?;
        let mut statistics = Statistics::default();
        loop {
            let token = tokens.next_token()?.context("the input ended before =")?;
            if token == "=" {
                break;
            }
            let place = statistics.count() + 1;
            statistics.push(parse_number(token).with_context(|| format!("number {place}"))?);
        }
        let answer = format_number(statistics.answer(action)?);
        session.log(format_args!("{action} of {statistics}: {answer}"));
        session.send_line(answer)?;
    }
    Ok(())
}
