//! Exercise 2: a server that sends each client a random number every second, for as long
//! as the client is there.
//!
//! ```text
//! cargo run -p random-stream --bin server
//! cargo run -p random-stream --bin client
//! ```
//!
//! # The conversation
//!
//! A line with one decimal integer comes at once, then one every `--interval` seconds.
//! Number *n*, counted from 0, is due at start + *n* × interval, however long the ones
//! before it took. What the client sends is read and thrown away ([RFC 864]); the end of
//! what it sends means that it closed, and ends its numbers within 100 ms.
//!
//! ```text
//! $ nc 127.0.0.1 7002
//! 42
//! 7
//! 93
//! ```
//!
//! # Noticing that a client is gone
//!
//! A write does not tell: the first one to a closed connection still succeeds, and with a
//! long interval the next is far away. A read does, so the server spends its waits
//! reading: see [`pause`].
//!
//! [RFC 864]: https://www.rfc-editor.org/rfc/rfc864

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use echo::server::is_timeout;

/// Where the server listens unless `--addr` says otherwise.
pub const ADDR: &str = "127.0.0.1:7002";

/// The last part of a wait is a sleep, for a sleep ends on time and a read's timeout may not.
/// Meanwhile a close goes unnoticed: for 63 ms at the most.
const NAP: Duration = Duration::from_millis(40);

/// How many reads, of 4 KiB each, follow the nap at most. They empty the kernel's buffer,
/// unless the client sends without end.
const MAX_READS: u32 = 4096;

/// When the next number is due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    interval: Duration,
    due: Instant,
}

impl Schedule {
    /// Starts now, with the first number due at once.
    pub fn start(interval: Duration) -> Self {
        Self { interval, due: Instant::now() }
    }

    /// The wait until the next number; zero when it is late.
    pub fn wait(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    /// Goes on to the next number: one interval after this one was due or, if a whole
    /// interval was missed, one interval from now, so that no burst makes up for a stall.
    pub fn advance(&mut self) {
        let now = Instant::now();
        if now.saturating_duration_since(self.due) >= self.interval {
            self.due = now;
        }
        self.due += self.interval;
    }
}

/// Waits until the next number is due or the client has closed; tells whether it is still
/// there.
///
/// Most of the wait is a read with a timeout, which a close ends at once. The kernel may end
/// it late by an eighth of its length, so it is set to eight ninths of the time. The rest is
/// the nap, and then reads that do not block tell whether the client closed meanwhile.
///
/// # Errors
///
/// When the connection was reset, or the kernel gave up on it.
pub fn pause(stream: &TcpStream, schedule: &Schedule) -> io::Result<bool> {
    loop {
        let wait = schedule.wait();
        let timeout = wait.saturating_sub(NAP) / 9 * 8;
        if timeout > NAP / 2 {
            stream.set_read_timeout(Some(timeout))?;
            if !discard(stream, 1)? {
                return Ok(false);
            }
        } else {
            thread::sleep(wait);
            stream.set_nonblocking(true)?;
            let is_there = discard(stream, MAX_READS);
            stream.set_nonblocking(false)?;
            return is_there;
        }
    }
}

/// Throws away what the client has sent, in `reads` reads at most; tells whether it is still
/// there.
fn discard(mut stream: impl Read, reads: u32) -> io::Result<bool> {
    let mut discarded = [0; 4096];
    for _ in 0..reads {
        match stream.read(&mut discarded) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) if is_timeout(&error) || error.kind() == ErrorKind::Interrupted => break,
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[test]
    fn a_late_number_does_not_delay_the_next() {
        let mut schedule = Schedule::start(INTERVAL);
        schedule.due -= Duration::from_secs(9); // It is 9 s late.
        let due = schedule.due;
        schedule.advance();
        assert_eq!(schedule.due, due + INTERVAL);
    }

    #[test]
    fn what_was_missed_by_an_interval_is_not_made_up_for() {
        let mut schedule = Schedule::start(INTERVAL);
        let now = Instant::now();
        schedule.due -= Duration::from_secs(35);
        schedule.advance();
        assert!(schedule.due >= now + INTERVAL, "{schedule:?}");
    }

    /// A connection that the kernel gives up: a read fails once, and the next finds the end.
    struct GivenUp {
        has_failed: bool,
    }

    impl Read for GivenUp {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            if self.has_failed {
                return Ok(0);
            }
            self.has_failed = true;
            Err(ErrorKind::TimedOut.into())
        }
    }

    #[test]
    #[cfg_attr(windows, ignore = "there, a timeout of our own has the same error kind")]
    fn a_connection_that_the_kernel_gave_up_is_an_error() {
        let error = discard(GivenUp { has_failed: false }, 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
