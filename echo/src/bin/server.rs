//! The echo server sends every byte back to the client that sent it.

use std::io::{Read, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use echo::cli;
use echo::preview::Preview;
use echo::server::{Limits, Server, Session};

/// Sends every string back to the client that sent it, and prints what happens.
#[derive(Parser)]
#[command(name = "echo-server", version, next_line_help = true)]
#[command(after_help = cli::example("echo", "server", "--quiet"))]
struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = echo::ADDR)]
    addr: String,

    #[command(flatten)]
    limits: Limits,

    /// Do not log what is received
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    cli::run("echo", "server", run)
}

fn run() -> Result<()> {
    let args = Args::parse();
    let server = Server::bind("echo", &args.addr, args.limits)?;
    server.run(move |session| converse(session, args.quiet))
}

fn converse(mut session: &Session, quiet: bool) -> Result<()> {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let length = session.read(&mut buffer)?;
        if length == 0 {
            return Ok(()); // The client has sent everything, and got everything back.
        }
        let message = &buffer[..length];
        if !quiet {
            session.log(format_args!("received {length} bytes: {}", Preview(message)));
        }
        session.write_all(message)?;
    }
}
