//! The random-stream server sends each client a random number every second.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use clap::error::ErrorKind;
use echo::{Client, Limits, Server, flags};
use rand::RngExt;
use random_stream::{Schedule, pause};

/// Sends each client a random number every second, until the client closes.
#[derive(Parser)]
#[command(
    after_help = "Example: cargo run -p random-stream --bin server -- --interval 0.5 --min -3 --max 3"
)]
struct Flags {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = random_stream::ADDR)]
    #[arg(value_parser = flags::address)]
    addr: String,

    #[command(flatten)]
    limits: Limits,

    /// The time from one number to the next
    #[arg(long, value_name = "SECONDS", default_value = "1")]
    #[arg(value_parser = interval, allow_negative_numbers = true)]
    interval: Duration,

    /// The least number
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    min: i64,

    /// The greatest number
    #[arg(long, value_name = "N", default_value_t = 100, allow_negative_numbers = true)]
    max: i64,

    /// Leave out the lines that show each number
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    if flags.min > flags.max {
        let message = format!("--min {} is above --max {}\n", flags.min, flags.max);
        clap::Error::raw(ErrorKind::ValueValidation, message).exit();
    }
    echo::exit(run(&flags))
}

fn run(flags: &Flags) -> Result<()> {
    Server::open(&flags.addr, flags.limits)?.run(|client| converse(client, flags))
}

fn converse(client: &Client, flags: &Flags) -> Result<()> {
    let mut schedule = Schedule::start(flags.interval);
    loop {
        let number = rand::rng().random_range(flags.min..=flags.max);
        client.say(number)?;
        if !flags.quiet {
            client.log(format_args!("sent {number}"));
        }
        schedule.advance();
        if !pause(client.stream(), &schedule)? {
            return Ok(());
        }
    }
}

/// Reads a positive number of seconds.
fn interval(text: &str) -> Result<Duration> {
    let interval = flags::seconds(text)?;
    ensure!(!interval.is_zero(), "expected more than 0 seconds");
    Ok(interval)
}
