//! The echo client sends a line, or all of its standard input, and prints what comes back.

use std::ffi::{OsStr, OsString};
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
    /// Where the server listens
    #[arg(long, value_name = "HOST:PORT", default_value = echo::ADDR)]
    addr: String,

    /// The words of a line; without them, all input is sent as it is
    #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

fn main() -> ExitCode {
    cli::run("echo", "client", run)
}

fn run() -> Result<()> {
    let args = Args::parse();
    let mut server = Client::connect("echo", &args.addr)?;
    server.set_awaited("the echo, with the sending ended in case the server answers only then");
    if args.words.is_empty() {
        if io::stdin().is_terminal() {
            cli::notice(format_args!("type lines, then {} to end\n", cli::END_OF_INPUT));
        }
        server.send(io::stdin())?;
    } else {
        let mut line = args.words.join(OsStr::new(" ")).into_encoded_bytes();
        line.push(b'\n');
        server.send(Cursor::new(line))?;
    }

    let (mut received, mut buffer) = (0, vec![0; 64 * 1024]);
    loop {
        let length = server.receive(&mut buffer)?;
        cli::print(&buffer[..length])?;
        received += length as u64;
        let sent = server.sent();
        let is_echo = if length == 0 { received == sent } else { received <= sent };
        ensure!(is_echo, "{sent} bytes were sent, but {received} came back");
        if length == 0 {
            return Ok(());
        }
    }
}
