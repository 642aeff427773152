//! Exercise 4: a shop whose stock many clients may list at once, and one at a time may change.
//!
//! ```text
//! cargo run -p shop --bin server
//! cargo run -p shop --bin client
//! ```
//!
//! # The conversation
//!
//! 1. When a client connects, the server takes the read lock, sleeps inside it for `--delay`
//!    seconds, as a slow database would, and sends the stock: a line
//!    `ID<TAB>QUANTITY<TAB>NAME` for each product, then an empty line.
//! 2. The client sends `ID QUANTITY`. Under the write lock the server checks the stock,
//!    sleeps for the delay, changes the quantity, and answers `confirmed: …`; or
//!    `error: REASON`, with neither sleep nor change. A line that is no order is refused
//!    before any lock is taken.
//! 3. More orders may follow, until the client closes. A line of more than 1 KiB
//!    ends the conversation. An order under way is completed even if its client vanishes;
//!    those behind it are not, once an answer cannot be sent.
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
//! # The lock
//!
//! Readers share the lock, so twenty lists take one delay. A writer holds it alone, so
//! twenty orders take twenty delays, and nothing happens between a check and its change:
//! the quantity is never negative. With `--no-lock` the check and the change still happen,
//! but others may come between them, and the quantity can go below zero.
//!
//! [`RwLock`](std::sync::RwLock) leaves it to the system who is next. On Linux and Windows,
//! std lets a waiting writer go before readers that come later: a list that arrives while
//! an order waits, waits too, although others are being read.

mod stock;

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};
use echo::preview::Preview;

pub use stock::{Guard, ReadGuard, WriteGuard, read_lock, write_lock};

/// Where the server listens unless `--addr` says otherwise.
pub const ADDR: &str = "127.0.0.1:7004";

/// The longest line that the server takes, in bytes.
pub const LONGEST_ORDER: usize = 1024;

/// A product, of which `quantity` are in stock.
///
/// It is shown, and read back, as its line of the conversation: `ID<TAB>QUANTITY<TAB>NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The number to order it by.
    pub id: u32,
    /// What it is called, in one line.
    pub name: String,
    /// How many are left: signed, because without the lock it can go below zero.
    pub quantity: i64,
}

impl fmt::Display for Product {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\t{}\t{}", self.id, self.quantity, self.name)
    }
}

impl FromStr for Product {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let parse = || {
            let (id, rest) = line.split_once('\t')?;
            let (quantity, name) = rest.split_once('\t')?;
            Some(Self {
                id: id.parse().ok()?,
                quantity: quantity.parse().ok()?,
                name: name.to_owned(),
            })
        };
        parse().with_context(|| format!("expected ID<TAB>QUANTITY<TAB>NAME, not {}", Preview(line)))
    }
}

/// An order of `quantity`, at least 1, of the product `id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Which product.
    pub id: u32,
    /// How many.
    pub quantity: i64,
}

impl FromStr for Order {
    type Err = Error;

    /// Reads `ID QUANTITY`.
    fn from_str(line: &str) -> Result<Self> {
        let parse = || {
            let (id, quantity) = line.trim().split_once(char::is_whitespace)?;
            Some(Self { id: id.parse().ok()?, quantity: quantity.trim().parse().ok()? })
        };
        let expected = || format!("expected ID QUANTITY, such as 1 3, not {}", Preview(line));
        let order = parse().with_context(expected)?;
        ensure!(order.quantity >= 1, "the quantity must be at least 1");
        Ok(order)
    }
}

impl Order {
    /// Checks that there is enough in stock, and changes nothing.
    ///
    /// # Errors
    ///
    /// When there is no such product, or not enough of it.
    pub fn check(self, stock: &WriteGuard) -> Result<()> {
        let Product { name, quantity, .. } = &stock[self.position(stock)?];
        let is_enough = *quantity >= self.quantity;
        let enough = if is_enough { "enough" } else { "not enough" };
        stock.log(format_args!("checked: {quantity} x {name}, {enough} for {}", self.quantity));
        ensure!(is_enough, "not enough in stock: {quantity} x {name} left");
        Ok(())
    }

    /// Takes the quantity out of the stock, enough or not, and returns the confirmation.
    ///
    /// # Errors
    ///
    /// When there is no such product.
    pub fn apply(self, stock: &mut WriteGuard) -> Result<String> {
        let position = self.position(stock)?;
        let before = stock[position].quantity;
        stock[position].quantity -= self.quantity;
        let Product { name, quantity: left, .. } = &stock[position];
        stock.log(format_args!("changed: {name} {before} -> {left}"));
        Ok(format!("confirmed: {} x {name}, {left} left", self.quantity))
    }

    fn position(self, stock: &[Product]) -> Result<usize> {
        let position = stock.iter().position(|product| product.id == self.id);
        position.with_context(|| format!("no product {}", self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_an_id_and_a_quantity() {
        let order = Order { id: 1, quantity: 3 };
        for line in ["1 3", " 1\t 3 ", "01 +3"] {
            assert_eq!(line.parse::<Order>().unwrap(), order, "{line:?}");
        }
    }

    #[test]
    fn what_is_not_an_order_is_refused() {
        let refusal = |line: &str| line.parse::<Order>().unwrap_err().to_string();
        for line in [
            "",
            "1",
            "1 2 3",
            "one 2",
            "1 2.5",
            "-1 2",
            "1 99999999999999999999",
            "\u{feff}1 3",
            "1 3\0",
        ] {
            assert_eq!(refusal(line), format!("expected ID QUANTITY, such as 1 3, not {line:?}"));
        }
        for line in ["1 0", "1 -2"] {
            assert_eq!(refusal(line), "the quantity must be at least 1", "{line:?}");
        }
    }

    #[test]
    fn a_product_reads_back_as_it_is_shown() {
        let product = Product { id: 3, name: "Écran 4K".to_owned(), quantity: -2 };
        assert_eq!(product.to_string().parse::<Product>().unwrap(), product);
        for line in ["", "1", "1\t2", "1 2 Mouse", "one\t2\tMouse"] {
            assert!(line.parse::<Product>().is_err(), "{line:?}");
        }
    }
}
