//! Exercise 1: a server that returns every string, and a client that sends one.
//!
//! The server prints what happens: opening, connection, message, disconnection.
//! Start it, and talk to it from other terminals:
//!
//! ```text
//! cargo run -p echo --bin server
//! cargo run -p echo --bin client -- bonjour
//! ```
//!
//! # The conversation
//!
//! Every byte comes back unchanged, in order, as soon as it arrives, with or without
//! a line end ([RFC 862]). A client that shuts down its sending side still gets
//! everything back, then the end of the stream.
//!
//! ```text
//! $ nc 127.0.0.1 7001
//! bonjour
//! bonjour
//! ```
//!
//! # The ground floor
//!
//! This library is also what the other three exercises stand on, for what it holds is
//! what this exercise is about. On the server's side:
//!
//! - [`Server`] listens, accepts, numbers and seats clients, and gives each a thread;
//! - [`Client`] is one of them, as its thread sees it;
//! - [`Journal`] prints what happens, and [`Excerpt`] what a client sent.
//!
//! On the client's side, [`Connection`] connects, sends and receives at once.
//! On both, [`read_line`] reads a line of bounded length, [`flags`] reads addresses and
//! durations, and [`exit`] says why a program failed.
//!
//! # What a server can know of a client that is gone
//!
//! | the client | the server learns it by | after |
//! | --- | --- | --- |
//! | closes, or is killed with nothing left to read | end of stream | a round trip |
//! | closes, or is killed, with something left to read | a reset | a round trip |
//! | vanishes: host down, cable cut | silence | `--timeout` |
//! | stops reading | a write that makes no progress | `--timeout`, once the buffers are full |
//!
//! A kill looks like a close because it is one: the client's kernel closes the
//! connection for it. Of a vanished host nobody tells. A server that waits to read is
//! saved by its timeout; one that only writes, as `random-stream` does, goes on until
//! the send buffer is full or the kernel gives up resending, on Linux after about
//! 15 minutes ([`tcp_retries2`]). Keepalive probes and `TCP_USER_TIMEOUT` would tell
//! sooner, but std has no call that sets them.
//!
//! Connections that arrive faster than they are accepted wait in the kernel's listen
//! queue, for which std asks 128 places. Over that, Linux drops the end of the handshake,
//! and the client's kernel tries again after 1 s, so that a burst is delayed; under SYN
//! cookies, a client that has sent already may be reset instead. Std has no call for a
//! longer queue. Accepting fast is the cure, so a thread of the server does nothing else.
//!
//! When memory runs out, std ends the process: there is no refusing that.
//!
//! [RFC 862]: https://www.rfc-editor.org/rfc/rfc862
//! [`tcp_retries2`]: https://www.kernel.org/doc/html/latest/networking/ip-sysctl.html

mod client;
mod connection;
mod excerpt;
pub mod flags;
mod journal;
mod lines;
mod program;
mod server;

pub use client::{Client, is_to_retry};
pub use connection::{Connection, Sender, closed};
pub use excerpt::Excerpt;
pub use journal::Journal;
pub use lines::read_line;
pub use program::{exit, notice, print};
pub use server::{Limits, Server};

/// Where the server listens unless `--addr` says otherwise.
pub const ADDR: &str = "127.0.0.1:7001";
