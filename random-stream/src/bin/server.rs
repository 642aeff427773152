//! The random-stream server sends each client a random number every second.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use echo::cli;
use echo::server::{Limits, Server, Session};
use rand::RngExt;
use random_stream::{Schedule, closes_before};

/// Sends each client a random number every second, until the client closes.
#[derive(Parser)]
#[command(name = "random-stream-server", version, next_line_help = true)]
#[command(after_help = cli::example("random-stream", "server", "--interval 0.5 --max 6"))]
struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = random_stream::ADDR)]
    addr: String,

    #[command(flatten)]
    limits: Limits,

    /// The time from one number to the next
    #[arg(long, value_name = "SECONDS", default_value = "1", allow_hyphen_values = true)]
    #[arg(value_parser = cli::seconds)]
    interval: Duration,

    /// The smallest number
    #[arg(long, value_name = "N", default_value = "1", allow_hyphen_values = true)]
    min: i64,

    /// The largest number
    #[arg(long, value_name = "N", default_value = "100", allow_hyphen_values = true)]
    max: i64,

    /// Do not log each number
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    cli::run("random-stream", "server", run)
}

fn run() -> Result<()> {
    let args = Args::parse();
    if args.min > args.max {
        let message = format!("--min {} is above --max {}", args.min, args.max);
        Args::command().error(ErrorKind::ValueValidation, message).exit();
    }
    let server = Server::bind("random-stream", &args.addr, args.limits)?;
    server.run(move |session| converse(session, &args))
}

fn converse(session: &Session, args: &Args) -> Result<()> {
    let mut schedule = Schedule::start(args.interval);
    loop {
        let number = rand::rng().random_range(args.min..=args.max);
        session.send_line(number)?;
        if !args.quiet {
            session.log(format_args!("sent {number}"));
        }
        if closes_before(schedule.advance(), session.stream())? {
            return Ok(());
        }
    }
}
