//! Exercise 1: a server that returns every string, and a client that sends one.
//!
//! # The conversation
//!
//! Every byte comes back unchanged, in order, as soon as it arrives, with or without
//! a line end ([RFC 862]). A client that shuts down its sending side still gets
//! everything back, then the end of the stream.
//!
//! # What this library offers
//!
//! Opening, connecting, failing and closing properly is what this exercise is about, so
//! its library is what the other three exercises use:
//!
//! - [`server`]: listening, accepting, a thread per client, the log;
//! - [`client`]: connecting, sending and receiving at once;
//! - [`lines`]: lines of bounded length;
//! - [`preview`]: text from the peer, made safe to show;
//! - [`socket`]: what a timeout is;
//! - [`cli`]: arguments, printing, exit status.
//!
//! A client that is refused, and one whose conversation fails, is sent a last line `error:
//! REASON`, unless that would run into a reply that was cut.
//!
//! [RFC 862]: https://www.rfc-editor.org/rfc/rfc862

pub mod cli;
pub mod client;
pub mod lines;
pub mod preview;
pub mod server;
pub mod socket;

/// Where the server listens unless `--addr` says otherwise.
pub const ADDR: &str = "127.0.0.1:7001";
