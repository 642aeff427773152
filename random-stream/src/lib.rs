//! Exercise 2: a server that sends each client a random number every second, for as long
//! as the client is there.
//!
//! # The conversation
//!
//! A line with one decimal integer comes at once, then one every `--interval` seconds.
//! Number *n*, counted from 0, is due at start + *n* × interval, however long the ones before it
//! took, unless one is late by a whole interval: then the schedule starts anew.
//! What the client sends is read and thrown away ([RFC 864]). When the client closes, or shuts
//! down its sending side, its numbers stop within 100 ms.
//!
//! # Noticing that a client is gone
//!
//! A write does not tell: the first one to a closed connection still succeeds, and with a
//! long interval the next is far away. A read does, so the server spends its waits
//! reading: see [`closes_before`].
//!
//! [RFC 864]: https://www.rfc-editor.org/rfc/rfc864

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use echo::socket::{is_timeout, without_waiting};

/// Where the server listens unless `--addr` says otherwise.
pub const ADDR: &str = "127.0.0.1:7002";

/// The last part of a wait is a sleep, which ends on time; a read's timeout may be late. During
/// the sleep a close goes unnoticed: for 60 ms at most.
const NAP: Duration = Duration::from_millis(30);

/// The maximum number of reads after the nap, of 4 KiB each. They empty the kernel's buffer, but a
/// client that sends without end must not delay its own numbers forever.
const MAX_READS: u32 = 4096;

/// When the next number is due.
#[derive(Debug)]
pub struct Schedule {
    interval: Duration,
    due: Instant,
}

impl Schedule {
    /// Starts now, with the first number due at once.
    pub fn start(interval: Duration) -> Self {
        Self { interval, due: Instant::now() }
    }

    /// Goes on to the next number, and returns when it is due: one interval after this one was
    /// due or, if a whole interval was missed, one interval from now, so that no burst makes up
    /// for a stall.
    pub fn advance(&mut self) -> Instant {
        let now = Instant::now();
        if now.saturating_duration_since(self.due) >= self.interval {
            self.due = now;
        }
        self.due += self.interval;
        self.due
    }
}

/// Waits until `due`, or until the client closes; returns whether it has closed.
///
/// Most of the wait is a read with a timeout, which a close ends at once. Linux may end it late
/// by an eighth of its length, so it is set to eight ninths of the time. The rest is the nap,
/// and then reads that do not wait find out whether the client closed meanwhile. Fails when the
/// connection was reset, or the kernel gave up on it.
pub fn closes_before(due: Instant, stream: &TcpStream) -> io::Result<bool> {
    loop {
        let wait = due.saturating_duration_since(Instant::now());
        if wait <= 2 * NAP {
            thread::sleep(wait);
            return without_waiting(stream, || has_closed(stream, MAX_READS));
        }
        // On macOS this fails when the client has already closed; the read reports that.
        let _ = stream.set_read_timeout(Some(wait.saturating_sub(NAP) / 9 * 8));
        if has_closed(stream, 1)? {
            return Ok(true);
        }
    }
}

/// Reads and discards what the client has sent, at most `reads` times; returns whether the stream
/// has ended.
fn has_closed(mut stream: &TcpStream, reads: u32) -> io::Result<bool> {
    let mut discarded = [0; 4096];
    for _ in 0..reads {
        match stream.read(&mut discarded) {
            Ok(0) => return Ok(true),
            Ok(_) => {}
            Err(error) if is_timeout(&error) || error.kind() == ErrorKind::Interrupted => break,
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[test]
    fn a_late_number_does_not_delay_the_next() {
        let mut schedule = Schedule::start(INTERVAL);
        schedule.due -= Duration::from_secs(5); // It is 5 s late.
        let due = schedule.due;
        assert_eq!(schedule.advance(), due + INTERVAL);
    }

    #[test]
    fn after_a_missed_interval_no_burst_makes_up_for_it() {
        let mut schedule = Schedule::start(INTERVAL);
        let now = Instant::now();
        schedule.due -= Duration::from_secs(35);
        assert!(schedule.advance() >= now + INTERVAL, "{schedule:?}");
    }
}
