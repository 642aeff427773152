//! The random-stream client prints the numbers that the server sends.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use echo::cli;
use echo::client::{Client, unexpected};

/// Prints the random-stream server's numbers as they arrive.
#[derive(Parser)]
#[command(name = "random-stream-client", version)]
#[command(after_help = cli::example("random-stream", "client", "--count 5"))]
struct Args {
    /// End after N numbers
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    count: Option<u32>,

    /// Where the server listens
    #[arg(long, value_name = "HOST:PORT", default_value = random_stream::ADDR)]
    addr: String,
}

fn main() -> ExitCode {
    cli::run("random-stream", "client", run)
}

fn run() -> Result<()> {
    let args = Args::parse();
    let mut server = Client::connect("random-stream", &args.addr)?;
    server.set_awaited("a number");
    server.split_at_pauses();
    for _ in 0..args.count.map_or(u64::MAX, u64::from) {
        let number = server.expect_reply()?;
        ensure!(number.parse::<i64>().is_ok(), unexpected(&number, "an integer"));
        cli::print(number + "\n")?;
    }
    Ok(())
}
