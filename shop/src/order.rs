//! What is asked: an order, how it is carried out, and what is answered.

use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};
use echo::preview::Preview;

use crate::product::Product;
use crate::stock::WriteGuard;

/// The longest line that the server takes, in bytes.
pub const LONGEST_ORDER: usize = 1024;

/// How the answer to an order that was carried out begins.
pub const CONFIRMED: &str = "confirmed: ";

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
    /// Checks that there is such a product and enough of it, or fails. Changes nothing.
    pub fn check(self, stock: &WriteGuard) -> Result<()> {
        let Product { name, quantity, .. } = &stock.products[self.position(&stock.products)?];
        let (wanted, is_enough) = (self.quantity, *quantity >= self.quantity);
        let enough = if is_enough { "enough" } else { "not enough" };
        stock.session.log(format_args!("checked: {quantity} x {name}, {enough} for {wanted}"));
        ensure!(is_enough, "not enough in stock: {quantity} x {name} left");
        Ok(())
    }

    /// Takes the quantity out of the stock, enough or not, and returns the confirmation. Fails
    /// when there is no such product.
    pub fn apply(self, stock: &mut WriteGuard) -> Result<String> {
        let position = self.position(&stock.products)?;
        let Product { name, quantity, .. } = &mut stock.products[position];
        let before = *quantity;
        *quantity -= self.quantity;
        stock.session.log(format_args!("changed: {name} {before} -> {quantity}"));
        Ok(format!("{CONFIRMED}{} x {name}, {quantity} left", self.quantity))
    }

    fn position(self, products: &[Product]) -> Result<usize> {
        let position = products.iter().position(|product| product.id == self.id);
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
        let overflow = "1 99999999999999999999";
        for line in ["", "1", "1 2 3", "one 2", "1 2.5", "-1 2", overflow, "\u{feff}1 3", "1 3\0"] {
            assert_eq!(refusal(line), format!("expected ID QUANTITY, such as 1 3, not {line:?}"));
        }
        for line in ["1 0", "1 -2"] {
            assert_eq!(refusal(line), "the quantity must be at least 1", "{line:?}");
        }
    }
}
