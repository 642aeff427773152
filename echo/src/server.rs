//! The server's side: listening, accepting, a thread per client.

mod log;
mod session;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::cli;

pub use log::Log;
pub use session::{Session, is_timeout};

/// Stack of a client's thread, in bytes; only the pages that it touches are resident.
const STACK: usize = 256 * 1024;

/// How many rejected clients may have a lingering close at the same time.
const REJECTIONS: usize = 100;

/// The wait after a failed accept, which doubles while accepting goes on failing.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The arguments that limit what clients may take of a server.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Limits {
    /// Serve at most N clients at once, and refuse the others
    // A process has room for about 16000 threads: then Linux's limit on memory maps
    // (`vm.max_map_count`) makes std abort.
    #[arg(long, value_name = "N", default_value = "1000", allow_negative_numbers = true)]
    #[arg(value_parser = |text: &str| cli::integer(text, 1..=10_000_usize))]
    pub max_clients: usize,

    /// Drop a client that stalls this long; 0 waits for ever
    #[arg(long, value_name = "SECONDS", default_value = "600", allow_negative_numbers = true)]
    #[arg(value_parser = cli::seconds)]
    pub timeout: Duration,
}

/// A listening server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    limits: Limits,
    /// The stack of a client's thread, in bytes.
    stack: usize,
    log: Log,
}

impl Server {
    /// Listens on `addr` and opens the log, whose first line tells the address.
    ///
    /// # Errors
    ///
    /// When `addr` is not an address of this machine, is in use, or needs privileges, and
    /// when the log's thread cannot be started.
    pub fn bind(exercise: &str, addr: &str, limits: Limits) -> Result<Self> {
        let listener = TcpListener::bind(addr).map_err(|error| cannot_listen(addr, &error))?;
        let log = Log::open(io::stdout()).context("cannot start a thread for the log")?;
        log.write(format_args!("{exercise} server listening on {}", listener.local_addr()?));
        Ok(Self { listener, limits, stack: STACK, log })
    }

    /// Accepts clients for ever, and has `converse` talk to each on a thread of its own.
    pub fn run(self, converse: impl Fn(&Session) -> Result<()> + Send + Sync + 'static) -> ! {
        let converse = Arc::new(converse);
        let permits = Permits::new(self.limits.max_clients);
        let rejections = Permits::new(REJECTIONS);
        let mut number = 0;
        loop {
            let (stream, peer) = self.accept();
            number += 1;
            let session = Session::new(number, stream, self.limits.timeout, self.log.clone());
            session.log(format_args!("connected from {peer}"));

            let Some(permit) = permits.acquire() else {
                let reason = format!("server full ({} clients)", self.limits.max_clients);
                session.reject(&reason, rejections.acquire());
                continue;
            };
            let (client, converse) = (Arc::clone(&session), Arc::clone(&converse));
            let thread = thread::Builder::new()
                .name(format!("client {number}"))
                .stack_size(self.stack)
                .spawn(move || client.serve(&*converse, permit));
            if let Err(error) = thread {
                session.reject(&format!("cannot start a thread: {error}"), None);
            }
        }
    }

    /// Waits for the next client. An error does not stop the server: it waits a little, and
    /// then longer, for what is missing, such as a file descriptor, to be free again.
    fn accept(&self) -> (TcpStream, SocketAddr) {
        let mut pause = PAUSE;
        loop {
            match self.listener.accept() {
                Ok(accepted) => return accepted,
                Err(error) => {
                    self.log.write(format_args!("cannot accept: {error}"));
                    thread::sleep(pause);
                    pause = LONGEST_PAUSE.min(2 * pause);
                }
            }
        }
    }
}

/// A pool of `limit` permits.
///
/// A permit is a clone of `acquired`, so the number of clones tells how many there are. Only
/// the accept loop acquires: nothing comes between counting and cloning.
struct Permits {
    limit: usize,
    acquired: Permit,
}

/// Given back to its pool when it is dropped, in a panic too.
type Permit = Arc<()>;

impl Permits {
    fn new(limit: usize) -> Self {
        Self { limit, acquired: Permit::default() }
    }

    fn acquire(&self) -> Option<Permit> {
        let count = Arc::strong_count(&self.acquired) - 1; // All but the pool's own.
        (count < self.limit).then(|| Arc::clone(&self.acquired))
    }
}

fn cannot_listen(addr: &str, error: &io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => "stop the program that listens there, or choose another port",
        _ => "choose an address of this machine and a port above 1023",
    };
    anyhow!("cannot listen on {addr}: {error}\n{hint} with --addr, such as --addr 127.0.0.1:0")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::mpsc::{self, Receiver, Sender};

    use super::*;

    /// The longest wait for anything; only a failure takes so long.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Sends on what is written to it.
    struct Output(Sender<String>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Starts a server; returns where it listens, and its log.
    fn start(
        stack: usize,
        converse: impl Fn(&Session) -> Result<()> + Send + Sync + 'static,
    ) -> (SocketAddr, Receiver<String>) {
        let (output, batches) = mpsc::channel();
        let log = Log::open(Output(output)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let limits = Limits { max_clients: 1, timeout: PATIENCE };
        let server = Server { listener, limits, stack, log };
        thread::spawn(move || server.run(converse));
        (addr, batches)
    }

    /// Sends `bytes`, and returns all that the server says.
    fn converse(addr: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }

    /// Waits until the log contains `text`.
    fn wait_for(log: &Receiver<String>, text: &str) {
        let mut lines = String::new();
        while !lines.contains(text) {
            let batch = log.recv_timeout(PATIENCE);
            lines += &batch.unwrap_or_else(|_| panic!("no {text:?} in the log: {lines}"));
        }
    }

    #[test]
    fn a_panic_in_one_conversation_is_its_error_and_gives_its_permit_back() {
        let (addr, log) = start(STACK, |mut session| {
            let mut byte = [0];
            session.read_exact(&mut byte)?;
            panic!("the byte was {}", byte[0])
        });
        for _ in 0..3 {
            // The permit comes back when the lingering close has ended: soon, not at once.
            let said = loop {
                let said = converse(addr, b"*");
                if !said.contains("server full") {
                    break said;
                }
            };
            assert_eq!(said, "error: panicked: the byte was 42\n");
            wait_for(&log, ": lost: panicked: the byte was 42\n");
        }
    }

    #[test]
    fn without_a_thread_a_client_is_refused_and_the_next_one_accepted() {
        let (addr, log) = start(1 << 47, |_| Ok(())); // No system has room for such a stack.
        for number in 1..=3 {
            let said = converse(addr, b"");
            assert!(said.starts_with("error: cannot start a thread: "), "{said}");
            wait_for(&log, &format!("client {number}: refused: cannot start a thread: "));
        }
    }
}
