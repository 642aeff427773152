//! Listening, accepting, seating: what a server does before it says a word.

use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, Scope};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{Client, Journal, flags};

/// Stack of a connection's thread, in bytes; only the pages that it touches are resident.
const STACK: usize = 256 * 1024;

/// Accepted connections that may wait for their thread.
const HALL: usize = 1024;

/// Dismissed clients that may be given time, at once, to read their last line.
const LOBBY: usize = 100;

/// The wait after a failed accept, which doubles while accepting goes on failing.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The flags that bound what clients may take of a server.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Limits {
    /// Clients served at once; one more is refused
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub max_clients: u32,

    /// Drop a client that keeps the server waiting for so long; 0 waits for ever
    #[arg(long, value_name = "SECONDS", default_value = "600")]
    #[arg(value_parser = flags::seconds, allow_negative_numbers = true)]
    pub timeout: Duration,
}

/// A listening server.
#[derive(Debug)]
pub struct Server {
    accepted: Receiver<(TcpStream, SocketAddr)>,
    limits: Limits,
    journal: Journal,
}

impl Server {
    /// Listens on `addr` and opens the journal, whose first line tells the address.
    ///
    /// # Errors
    ///
    /// When `addr` names no address of this machine, is taken, or is not permitted, and when
    /// there are no threads to be had.
    pub fn open(addr: &str, limits: Limits) -> Result<Self> {
        let cannot = || format!("cannot listen on {addr}");
        let listener = TcpListener::bind(addr).with_context(cannot)?;
        let local = listener.local_addr().with_context(cannot)?;
        let journal = Journal::open().context("cannot start a thread for the journal")?;
        journal.log_milestone(format_args!("listening on {local}"));

        let (hall, accepted) = mpsc::sync_channel(HALL);
        let acceptor = thread::Builder::new().name("accept".to_owned());
        let log = journal.clone();
        acceptor
            .spawn(move || accept(&listener, &hall, &log))
            .context("cannot start a thread to accept clients")?;
        Ok(Self { accepted, limits, journal })
    }

    /// Has `converse` talk to each client on a thread of its own, for ever.
    ///
    /// A conversation that returns is journaled as disconnected, one that fails or panics
    /// as lost; either way its seat is free again. The client is told why it failed, in a
    /// last line `error: REASON`, unless it panicked or the connection itself failed.
    pub fn run(self, converse: impl Fn(&Client) -> Result<()> + Sync) -> ! {
        let Limits { max_clients, timeout } = self.limits;
        let seats = Arc::new(());
        let lobby = Arc::new(());

        thread::scope(|scope| {
            for (number, (stream, peer)) in (1..).zip(self.accepted) {
                let client = Arc::new(Client::new(number, stream, timeout, self.journal.clone()));
                client.log_milestone(format_args!("connected from {peer}"));
                let seated = match take(&seats, max_clients as usize) {
                    None => Err(format!("server full ({max_clients} clients)")),
                    Some(seat) => {
                        let (client, converse, lobby) = (Arc::clone(&client), &converse, &lobby);
                        spawn(scope, number, move || serve(&client, converse, seat, lobby))
                            .map_err(|error| format!("no thread to be had: {error}"))
                    }
                };
                if let Err(reason) = seated {
                    client.say_last(&reason);
                    client.log_milestone(format_args!("refused: {reason}"));
                    if let Some(place) = take(&lobby, LOBBY) {
                        // Without a thread for that either, the client is closed at once.
                        let _ = spawn(scope, number, move || client.linger(place));
                    }
                }
            }
        });
        unreachable!("the acceptor never ends");
    }
}

/// Accepts clients for ever, through all errors, and does nothing else: the kernel's queue
/// of those who wait to be accepted is short.
fn accept(listener: &TcpListener, hall: &SyncSender<(TcpStream, SocketAddr)>, journal: &Journal) {
    let mut pause = PAUSE;
    loop {
        match listener.accept() {
            Ok(accepted) => {
                pause = PAUSE;
                if hall.send(accepted).is_err() {
                    return; // The server is gone.
                }
            }
            Err(error) => {
                journal.log_milestone(format_args!("cannot accept: {error}"));
                // Out of file descriptors, say: to try again at once would keep a core busy.
                thread::sleep(pause);
                pause = LONGEST_PAUSE.min(2 * pause);
            }
        }
    }
}

/// Takes one of `limit` seats, or `None` when all are taken.
///
/// A seat is a clone of `seats`, so dropping it, in a panic too, gives it back.
fn take(seats: &Arc<()>, limit: usize) -> Option<Arc<()>> {
    (Arc::strong_count(seats) <= limit).then(|| Arc::clone(seats))
}

/// Starts the thread of client `number`.
fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    number: u64,
    work: impl FnOnce() + Send + 'scope,
) -> io::Result<()> {
    let thread = thread::Builder::new().name(format!("client {number}")).stack_size(STACK);
    thread.spawn_scoped(scope, work).map(drop)
}

/// Has the conversation with one client, from its seat to its last line in the journal.
fn serve(
    client: &Client,
    converse: impl Fn(&Client) -> Result<()>,
    seat: Arc<()>,
    lobby: &Arc<()>,
) {
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        client.prepare()?;
        converse(client)
    }));
    let mut told = false;
    let ending = match outcome {
        Ok(Ok(())) => "disconnected".to_owned(),
        Ok(Err(error)) => {
            told = concerns_client(&error);
            if told {
                client.say_last(&format!("{error:#}"));
            }
            format!("lost: {error:#}")
        }
        Err(panic) => format!("lost: panicked: {}", panic_message(&*panic)),
    };
    // Free before the journal says so, for whoever waits there for a seat.
    drop(seat);
    client.log_milestone(ending);
    if told && let Some(place) = take(lobby, LOBBY) {
        client.linger(place);
    }
}

/// Whether an error is one of the conversation, such as a line that is cut off, and not of
/// the connection.
fn concerns_client(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_none_or(|error| error.kind() == io::ErrorKind::UnexpectedEof)
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    match panic.downcast_ref::<String>() {
        Some(message) => message,
        None => panic.downcast_ref::<&str>().copied().unwrap_or("no message"),
    }
}
