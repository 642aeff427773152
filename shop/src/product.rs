//! What there is: products.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result};
use echo::preview::Preview;

/// A product, shown and read back as its line of the conversation: `ID<TAB>QUANTITY<TAB>NAME`.
#[derive(Debug, PartialEq, Eq)]
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
            let (id, quantity) = (id.parse().ok()?, quantity.parse().ok()?);
            Some(Self { id, name: name.to_owned(), quantity })
        };
        parse().with_context(|| format!("expected ID<TAB>QUANTITY<TAB>NAME, not {}", Preview(line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_reads_back_as_it_is_shown() {
        let product = Product { id: 3, name: "Écran 4K".to_owned(), quantity: -2 };
        assert_eq!(product.to_string().parse::<Product>().unwrap(), product);
        for line in ["", "1", "1\t2", "1 2 Mouse", "one\t2\tMouse"] {
            assert!(line.parse::<Product>().is_err(), "{line:?}");
        }
    }
}
