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
//! A write does not tell: the first one to a closed connection still succeeds, and at a
//! long interval the next is far away. A read does, so the server spends its waits
//! reading: see [`pause`].
//!
//! [RFC 864]: https://www.rfc-editor.org/rfc/rfc864

use std::io::{self, Read};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// Where the server listens unless `--addr` says otherwise.
pub const ADDR: &str = "127.0.0.1:7002";

/// The last part of a wait is slept, for a sleep ends on time and a read's timeout does not.
/// It is at least so long, and at most 63 ms; meanwhile, a close goes unnoticed.
const NAP: Duration = Duration::from_millis(40);

/// Reads of what a client has sent before a number, of 4 KiB each: more than the kernel
/// keeps of it, so that a rest is left only of one who sends without end.
const MOST_READS: u32 = 4096;

/// When the next number is due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    start: Instant,
    interval: Duration,
    /// Since the start: unlike an [`Instant`], a [`Duration`] can be as far away as any
    /// interval.
    due: Duration,
}

impl Schedule {
    /// Starts now, with the first number due at once.
    pub fn start(interval: Duration) -> Self {
        Self { start: Instant::now(), interval, due: Duration::ZERO }
    }

    /// The wait until the number that is due next; zero when it is late.
    pub fn wait(&self) -> Duration {
        self.due.saturating_sub(self.start.elapsed())
    }

    /// Goes on to the next number.
    ///
    /// One that is late by a whole interval or more, after the machine slept, say, is
    /// followed by the next one interval from now, and not by all that were missed.
    pub fn advance(&mut self) {
        let now = self.start.elapsed();
        if now.saturating_sub(self.due) >= self.interval {
            self.due = now;
        }
        self.due = self.due.saturating_add(self.interval);
    }
}

/// Waits until the next number is due or the client has closed; tells whether it is still
/// there.
///
/// Most of the wait is spent in a read that times out, which a close ends at once. The
/// kernel may end it late by an eighth of its length, so it is asked for eight ninths. The
/// last 40 to 63 ms are slept, to the point, and followed by a look without waiting.
///
/// # Errors
///
/// When the connection was reset.
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
            let outcome = discard(stream, MOST_READS);
            stream.set_nonblocking(false)?;
            return outcome;
        }
    }
}

/// Reads at most `reads` times, until nothing is left, and throws away what comes; tells
/// whether there may be more.
fn discard(mut stream: &TcpStream, reads: u32) -> io::Result<bool> {
    let mut discarded = [0; 4096];
    for _ in 0..reads {
        match stream.read(&mut discarded) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) if echo::is_to_retry(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_number_does_not_delay_the_next() {
        let mut schedule = Schedule::start(Duration::from_secs(10));
        schedule.start -= Duration::from_secs(9); // The first number is 9 s late.
        schedule.advance();
        assert_eq!(schedule.due, Duration::from_secs(10));
    }

    #[test]
    fn what_was_missed_by_an_interval_is_not_made_up_for() {
        let mut schedule = Schedule::start(Duration::from_secs(10));
        schedule.start -= Duration::from_secs(35);
        schedule.advance();
        assert!(schedule.due >= Duration::from_secs(45), "{schedule:?}");
    }

    #[test]
    fn the_longest_interval_is_waited_for() {
        let mut schedule = Schedule::start(Duration::MAX);
        schedule.advance();
        schedule.advance();
        assert!(schedule.wait() > Duration::MAX / 2, "{schedule:?}");
    }
}
