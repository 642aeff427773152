//! The server's side: listening, accepting, a thread per client.

mod log;
mod session;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::cli::{self, check_addr};

pub use log::Log;
pub use session::Session;

/// The stack of a client's thread, in bytes. Only the pages that it touches are resident.
const STACK_SIZE: usize = 256 * 1024;

/// How many refused clients may have a lingering close at the same time.
const MAX_REFUSALS: u16 = 100;

/// The first wait after a failed accept; it doubles with each further failure.
const BACKOFF: Duration = Duration::from_millis(10);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// The arguments that limit what clients may use.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Limits {
    /// Serve at most N clients at once, and refuse the others
    // A process has room for about 16000 threads: then Linux's limit on memory maps
    // (`vm.max_map_count`) makes std abort.
    #[arg(long, value_name = "N", default_value = "1000", allow_hyphen_values = true)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub max_clients: u16,

    /// Drop a client that stalls this long; 0 waits forever
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = cli::seconds)]
    #[arg(allow_hyphen_values = true)]
    pub timeout: Duration,
}

/// A listening server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    limits: Limits,
    log: Log,
}

impl Server {
    /// Listens on `addr` and opens the log, whose first line says where it listens. Fails when
    /// `addr` is not an address of this machine, is in use, or needs privileges, and when the log's
    /// thread cannot be started.
    pub fn bind(exercise: &str, addr: &str, limits: Limits) -> Result<Self> {
        check_addr(exercise, addr).with_context(|| format!("cannot listen on {addr}"))?;
        let listener = TcpListener::bind(addr).map_err(|error| cannot_listen(addr, &error))?;
        let log = Log::open(io::stdout()).context("cannot start a thread for the log")?;
        log.event(format_args!("{exercise} server listening on {}", listener.local_addr()?));
        Ok(Self { listener, limits, log })
    }

    /// Accepts clients forever, and runs `converse` for each on a thread of its own.
    pub fn run(self, converse: impl Fn(&Session) -> Result<()> + Send + Sync + 'static) -> ! {
        let Limits { max_clients, timeout } = self.limits;
        let converse = Arc::new(converse);
        let (clients, refusals) = (Permit::default(), Permit::default());
        let new_thread = || thread::Builder::new().stack_size(STACK_SIZE);
        let mut number = 0;
        loop {
            let (stream, peer) = self.accept();
            number += 1;
            let session = Arc::new(Session::new(number, stream, timeout, self.log.clone()));
            session.log(format_args!("connected from {peer}"));

            let (client, converse) = (Arc::clone(&session), Arc::clone(&converse));
            let served = match acquire(&clients, max_clients) {
                None => Err(server_full(max_clients)),
                Some(permit) => new_thread()
                    .spawn(move || {
                        client.serve(&*converse);
                        drop(permit);
                    })
                    .context("cannot start a thread"),
            };
            if let Err(reason) = served {
                session.refuse(&reason);
                if let Some(permit) = acquire(&refusals, MAX_REFUSALS) {
                    // Without a thread for its lingering close, it is closed at once.
                    let _ = new_thread().spawn(move || {
                        session.drain();
                        drop(permit);
                    });
                }
            }
        }
    }

    /// Waits for the next client. A failed accept does not stop the server: it tries again, after
    /// up to a second, until a file descriptor, say, is free again.
    fn accept(&self) -> (TcpStream, SocketAddr) {
        let mut backoff = BACKOFF;
        loop {
            match self.listener.accept() {
                Ok(accepted) => return accepted,
                Err(error) => {
                    self.log.event(format_args!("cannot accept: {error}"));
                    thread::sleep(backoff);
                    backoff = MAX_BACKOFF.min(2 * backoff);
                }
            }
        }
    }
}

/// One of a limited number of places. Dropping it, even in a panic, frees the place.
type Permit = Arc<()>;

/// A permit of `pool`, if fewer than `limit` are in use. Each is a clone of the pool, whose count
/// is thus one more than are in use. Only the accept loop acquires, so the count cannot grow
/// between the check and the clone.
fn acquire(pool: &Permit, limit: u16) -> Option<Permit> {
    (Arc::strong_count(pool) <= limit.into()).then(|| Arc::clone(pool))
}

fn server_full(max_clients: u16) -> anyhow::Error {
    let plural = if max_clients == 1 { "" } else { "s" };
    anyhow!("server full ({max_clients} client{plural})")
}

fn cannot_listen(addr: &str, error: &io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "stop the program that listens there, or choose another port, such as --addr 127.0.0.1:0"
        }
        _ => "choose an address of this machine, and a port above 1023",
    };
    anyhow!("cannot listen on {addr}: {error}\n{hint}")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_panic_is_one_line_of_error_and_gives_its_permit_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let limits = Limits { max_clients: 1, timeout: Duration::from_secs(30) };
        let server = Server { listener, limits, log: Log::open(io::sink()).unwrap() };
        thread::spawn(move || {
            server.run(|mut session| {
                let mut byte = [0];
                session.read_exact(&mut byte)?;
                panic!("the byte was\n  {}", byte[0])
            })
        });
        let say = || {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.set_read_timeout(Some(limits.timeout)).unwrap();
            stream.write_all(b"*").unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).map(|_| said).unwrap()
        };
        for _ in 0..3 {
            // The permit comes back when the lingering close has ended: soon, not at once.
            let (start, mut said) = (Instant::now(), say());
            while said.contains("server full") && start.elapsed() < limits.timeout {
                said = say();
            }
            assert_eq!(said, "error: panicked: the byte was   42\n");
        }
    }
}
