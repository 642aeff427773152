//! All tests of the programs, as one program: most of them wait, and so they wait side by side.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod all_four;
mod checker;
mod echo;
mod math;
mod pages;
mod random_stream;
mod shop;
mod timeline;
