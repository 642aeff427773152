//! The echo client sends a line, or all of its standard input, and prints what comes back.

use std::ffi::OsString;
use std::io::{self, Cursor, IsTerminal, Read};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail, ensure};
use clap::Parser;
use echo::{Connection, flags};

/// Sends a line, or all of its input, to the echo server and prints what comes back.
#[derive(Parser)]
#[command(after_help = "Examples:
  cargo run -p echo --bin client -- bonjour
  cargo run -p echo --bin client < in > out")]
struct Flags {
    /// The line to send; without it, standard input is sent as it is
    message: Option<OsString>,

    /// Where the server listens
    #[arg(long, value_name = "HOST:PORT", default_value = echo::ADDR)]
    #[arg(value_parser = flags::address)]
    addr: String,
}

fn main() -> ExitCode {
    echo::exit(run(Flags::parse()))
}

fn run(flags: Flags) -> Result<()> {
    let mut server = Connection::open(&flags.addr, "echo")?;
    let sent = Arc::new(Mutex::default());
    let input: Box<dyn Read + Send> = if let Some(message) = flags.message {
        let mut line = message.into_encoded_bytes();
        line.push(b'\n');
        Box::new(Cursor::new(line))
    } else {
        if io::stdin().is_terminal() {
            echo::notice("type lines, then Ctrl-D to end\n");
        }
        Box::new(io::stdin())
    };
    server.send(Noted { input, sent: Arc::clone(&sent) })?;
    let sent = || sent.lock().unwrap_or_else(PoisonError::into_inner);

    let mut received = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = server.receive(&mut buffer)?;
        if length == 0 {
            ensure!(received == sent().length, echo::closed());
            return Ok(());
        }
        let reply = &buffer[..length];
        if received == 0 && reply.starts_with(b"error:") && !sent().begins_with(reply) {
            let reason = String::from_utf8_lossy(&reply[b"error:".len()..]);
            bail!("{}", reason.trim());
        }
        echo::print(reply)?;
        received += length;
    }
}

/// What has been sent so far. By it the client knows an echo, which may well begin with
/// `error:`, from an error of the server: `start`, the first that was sent, is enough.
#[derive(Default)]
struct Sent {
    start: Vec<u8>,
    length: usize,
}

impl Sent {
    fn begins_with(&self, reply: &[u8]) -> bool {
        reply.len() <= self.length && self.start.iter().zip(reply).all(|(a, b)| a == b)
    }
}

/// An input of which it is noted what has been read.
struct Noted<R> {
    input: R,
    sent: Arc<Mutex<Sent>>,
}

impl<R: Read> Read for Noted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.length == 0 {
            sent.start = buffer[..length].to_vec();
        }
        sent.length += length;
        Ok(length)
    }
}
