//! A server on the ground floor whose conversation panics at the first byte: no real one
//! can be made to, and what a panic does to the others must be seen all the same.

use std::io::Read;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use echo::{Client, Limits, Server, flags};

/// Panics in every conversation.
#[derive(Parser)]
struct Flags {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", value_parser = flags::address)]
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

fn converse(mut client: &Client) -> Result<()> {
    let mut byte = [0];
    client.read_exact(&mut byte)?;
    panic!("the byte was {}", byte[0]);
}
