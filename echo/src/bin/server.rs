//! The echo server sends every byte back to the client that sent it.

use std::io::{Read, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use echo::{Client, Excerpt, Limits, Server, flags};

/// Sends every string back to the client that sent it, and prints what happens.
#[derive(Parser)]
#[command(after_help = "Example: cargo run -p echo --bin server -- --quiet")]
struct Flags {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = echo::ADDR)]
    #[arg(value_parser = flags::address)]
    addr: String,

    #[command(flatten)]
    limits: Limits,

    /// Leave out the lines that show what is received
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    echo::exit(run(&Flags::parse()))
}

fn run(flags: &Flags) -> Result<()> {
    Server::open(&flags.addr, flags.limits)?.run(|client| converse(client, flags.quiet))
}

fn converse(mut client: &Client, quiet: bool) -> Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = client.read(&mut buffer)?;
        if length == 0 {
            return Ok(()); // The client has sent all, and has got all back.
        }
        let message = &buffer[..length];
        client.write_all(message)?;
        if !quiet {
            client.log(format_args!("received {length} bytes: {}", Excerpt(message)));
        }
    }
}
