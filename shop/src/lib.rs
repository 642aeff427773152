//! Exercise 4: a shop whose stock many clients may list at once, and only one may change at a time.
//!
//! # The conversation
//!
//! 1. When a client connects, the server takes the read lock, sleeps inside it for `--delay`
//!    seconds, as a slow database would, and sends the stock: a line
//!    `ID<TAB>QUANTITY<TAB>NAME` for each product, then an empty line.
//! 2. The client sends `ID QUANTITY`. Under the write lock the server checks the stock, sleeps
//!    for the delay, changes the quantity, and answers `confirmed: …`; or `error: REASON`, with
//!    neither sleep nor change. What is no order is refused before any lock is taken.
//! 3. More orders may follow, until the client closes. A line of more than 1 KiB ends the
//!    conversation. An order under way is completed even if its client vanishes; those behind
//!    it are not, once an answer cannot be sent.
//!
//! ```text
//! $ nc 127.0.0.1 7004
//! 1       10      Keyboard
//! 2       25      Mouse
//! 3       3       Écran 4K
//! 4       1       Crème brûlée torch
//!
//! 1 3
//! confirmed: 3 x Keyboard, 7 left
//! 1 8
//! error: not enough in stock: 7 x Keyboard left
//! ```
//!
//! Twenty lists take one delay, twenty orders take twenty, and no quantity is ever negative,
//! unless `--no-lock` releases the lock between the check and the change.

mod order;
mod product;
mod stock;

pub use order::{CONFIRMED, LONGEST_ORDER, Order};
pub use product::Product;
pub use stock::{Guard, ReadGuard, WriteGuard, read_lock, write_lock};

/// Where the server listens unless `--addr` says otherwise.
pub const ADDR: &str = "127.0.0.1:7004";
