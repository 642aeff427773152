//! The random-stream client prints the numbers that the server sends.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use echo::{Connection, flags};

/// Prints a random number every second, as the random-stream server sends them.
#[derive(Parser)]
#[command(after_help = "Example: cargo run -p random-stream --bin client -- --count 5")]
struct Flags {
    /// End after so many numbers; without it, go on until interrupted
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    /// Where the server listens
    #[arg(long, value_name = "HOST:PORT", default_value = random_stream::ADDR)]
    #[arg(value_parser = flags::address)]
    addr: String,
}

fn main() -> ExitCode {
    echo::exit(run(&Flags::parse()))
}

fn run(flags: &Flags) -> Result<()> {
    let mut server = Connection::open(&flags.addr, "random-stream")?;
    for _ in 0..flags.count.unwrap_or(u64::MAX) {
        let number = server.reply()?.ok_or_else(echo::closed)?;
        echo::print(number + "\n")?;
    }
    Ok(())
}
