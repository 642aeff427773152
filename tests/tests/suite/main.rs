//! All tests of the programs, as one program: most of them wait, and so they wait side by side.
//! They start in the order of their names: the checker's, which are the longest, first.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod checker;
mod common;
mod echo;
mod math;
mod pages;
mod random_stream;
mod shop;
mod timeline;
