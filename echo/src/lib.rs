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
//! # What this library offers
//!
//! Opening, connecting, failing and closing properly is what this exercise is about, so
//! its library is what the other three exercises use:
//!
//! - [`server`]: listening, accepting, a thread per client, the log;
//! - [`client`]: connecting, sending and receiving at once;
//! - [`lines`]: lines of bounded length;
//! - [`preview`]: text from the peer, made safe to show;
//! - [`cli`]: arguments, printing, exit status.
//!
//! # How a server ends a conversation
//!
//! A client that is refused, and one whose conversation fails, is sent a last line `error:
//! REASON`, unless it would run into a reply that was cut. Then the server shuts down its
//! sending side, and discards what the client still sends, for up to a second (a lingering
//! close).
//!
//! # How a server learns that a client is gone
//!
//! | the client | the server sees | after |
//! | --- | --- | --- |
//! | closes, or is killed, with nothing left to read | the end of the stream | the network's delay |
//! | closes, or is killed, with something left to read | a reset | the network's delay |
//! | vanishes: host down, cable cut | silence | `--timeout` |
//! | stops reading | a write that makes no progress | one to two `--timeout`s, once the buffers are full |
//!
//! A kill looks like a close because it is one: the client's kernel closes the
//! connection for it. A vanished host tells nobody. A server that waits to read is saved
//! by its timeout. `random-stream`, for which a silent client is normal, goes on until the
//! send buffer is full or the kernel stops retransmitting, on Linux after about 15 minutes
//! ([`tcp_retries2`]). Keepalive probes and `TCP_USER_TIMEOUT` would tell sooner, but std
//! has no call that sets them.
//!
//! Connections that arrive faster than they are accepted wait in the kernel's accept
//! queue, for which std asks for 128 places. When it is full, Linux drops the end of the
//! handshake, and the client's kernel tries again after 1 s; under SYN cookies, a client
//! that has already sent something may be reset instead. Std has no call for a longer
//! queue.
//!
//! When memory runs out, std ends the process: a server cannot prevent that.
//!
//! [RFC 862]: https://www.rfc-editor.org/rfc/rfc862
//! [`tcp_retries2`]: https://www.kernel.org/doc/html/latest/networking/ip-sysctl.html

pub mod cli;
pub mod client;
pub mod lines;
pub mod preview;
pub mod server;

/// Where the server listens unless `--addr` says otherwise.
pub const ADDR: &str = "127.0.0.1:7001";
