//! The echo client sends a line, or all of its standard input, and prints what comes back.

use std::ffi::OsString;
use std::io::{self, Cursor, IsTerminal};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use echo::cli;
use echo::client::Client;

/// Sends a line, or all of its input, to the echo server and prints the reply.
#[derive(Parser)]
#[command(name = "echo-client", version, after_help = cli::example("echo", "client", "bonjour"))]
struct Args {
    /// The line to send; without it, standard input is sent as it is
    message: Option<OsString>,

    /// Where the server listens
    #[arg(long, value_name = "HOST:PORT", default_value = echo::ADDR)]
    #[arg(value_parser = cli::address)]
    addr: String,
}

fn main() -> ExitCode {
    cli::run("echo", "client", run)
}

fn run() -> Result<()> {
    let args = Args::parse();
    let mut server = Client::connect("echo", &args.addr)?;
    if let Some(message) = args.message {
        let mut line = message.into_encoded_bytes();
        line.push(b'\n');
        server.send(Cursor::new(line))?;
    } else {
        if io::stdin().is_terminal() {
            cli::notice(format_args!("type lines, then {} to end\n", cli::END_OF_INPUT));
        }
        server.send(io::stdin())?;
    }

    let mut received = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = server.receive(&mut buffer)?;
        cli::print(&buffer[..length])?;
        received += length as u64;
        let (sent, is_end) = (server.sent(), length == 0);
        let is_echo = if is_end { received == sent } else { received <= sent };
        ensure!(is_echo, "{sent} bytes were sent, but {received} came back");
        if is_end {
            return Ok(());
        }
    }
}
