//! Exercise 3: a server that takes an action and numbers, and answers at `=`.
//!
//! # The conversation
//!
//! Tokens are separated by white space, over any number of lines and packets: an
//! [`Action`], numbers, `=`, which needs no space around it. The answer is one line. Then
//! the next action may follow. A `=` that follows no action is skipped.
//!
//! Numbers are finite decimal `f64`s: `-3`, `2.5`, `1e-7`. An answer is the shortest
//! decimal that reads back as the same `f64`. The numbers are not stored, so there may be as
//! many as you like: [`Statistics`] takes them one by one in constant memory.
//!
//! The exercise asks for no error handling in the conversation, so there is none but `?`.
//! The first error ends that conversation alone, and one place, in
//! [`echo::server`], turns it into the line `error: REASON` before it closes.

mod action;
mod number;
mod statistics;
mod tokens;

pub use action::Action;
pub use number::{format_number, parse_number};
pub use statistics::Statistics;
pub use tokens::Tokens;

/// Where the server listens unless `--addr` says otherwise.
pub const ADDR: &str = "127.0.0.1:7003";
