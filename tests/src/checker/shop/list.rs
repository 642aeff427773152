//! Where a product's quantity is in a list, however it is written: nothing is known but that the
//! quantity falls by what is ordered, and that the product's id is near it.

use std::ops::Range;

use super::super::talk::numbers;

/// How many numbers of a list are looked at.
const MAX_NUMBERS: usize = 1000;

/// How many numbers after a product's id its quantity may come, or before it.
const MAX_DISTANCE: usize = 8;

/// A number of a list, and the letters between it and the one before it.
pub type Cell = (String, i64);

/// A product, and how its quantity is found in a list.
pub struct Product {
    pub id: i64,
    /// The numbers from its id to its quantity, or the other way round, and the letters between
    /// them. The quantity itself is `None`.
    cells: Vec<(String, Option<i64>)>,
    /// How many places before it look the same.
    before: usize,
}

/// The numbers of a list, as many as are looked at.
pub fn cells(list: &str) -> Vec<Cell> {
    let mut end = 0;
    let cell = |(start, number): (usize, &str)| {
        let letters = list[end..start].chars().filter(|char| char.is_alphabetic()).collect();
        end = start + number.len();
        Some((letters, number.parse().ok()?))
    };
    numbers(list, false).into_iter().filter_map(cell).take(MAX_NUMBERS).collect()
}

/// What are likely to be ids: 1, if there is one, and what the line in the middle begins with, for
/// other lines may stand above and below the products.
pub fn likely_ids(list: &str) -> Vec<i64> {
    let first = |line: &str| Some(cells(line).first()?.1);
    let firsts: Vec<i64> = list.lines().filter_map(first).collect();
    let one = cells(list).into_iter().map(|(_, number)| number).find(|number| *number == 1);
    let mut ids: Vec<i64> = one.into_iter().chain(firsts.get(firsts.len() / 2).copied()).collect();
    ids.dedup();
    ids
}

/// The product whose quantity has fallen by what was ordered.
pub fn ordered(before: &[Cell], after: &[Cell], id: i64, quantity: i64) -> Option<Product> {
    let places = (0..before.len()).filter(|place| before[*place].1 == id);
    let pairs = places.flat_map(|place| (0..before.len()).map(move |at| (place, at)));
    let products = pairs.filter(|(place, at)| (1..=MAX_DISTANCE).contains(&place.abs_diff(*at)));
    let fallen = products.filter_map(|(place, at)| {
        let (product, left) = (Product::at(before, place, at)?, before[at].1);
        let has_fallen = left.checked_sub(product.left(after)?) == Some(quantity);
        // A total falls, too, but is greater. What looks like the id further away may be a quantity.
        has_fallen.then_some(((left, place.abs_diff(at), place > at), product))
    });
    fallen.min_by_key(|(key, _)| *key).map(|(_, product)| product)
}

impl Product {
    /// The product whose id and quantity stand at these places.
    fn at(list: &[Cell], id: usize, quantity: usize) -> Option<Self> {
        let start = id.min(quantity);
        let masked = |at: usize| (list[at].0.clone(), Some(list[at].1).filter(|_| at != quantity));
        let cells = (start..=id.max(quantity)).map(masked).collect();
        let mut product = Self { id: list[id].1, cells, before: 0 };
        product.before = product.places(list).iter().position(|place| *place == start)?;
        Some(product)
    }

    /// Where a list looks as it does from this product's id to its quantity.
    fn places(&self, list: &[Cell]) -> Vec<usize> {
        let is_alike = |(_, window): &(usize, &[Cell])| {
            let mut pairs = self.cells.iter().zip(*window).enumerate();
            pairs.all(|(index, ((letters, number), there))| {
                (index == 0 || *letters == there.0) && number.is_none_or(|it| it == there.1)
            })
        };
        let windows = list.windows(self.cells.len()).enumerate();
        windows.filter(is_alike).map(|(place, _)| place).collect()
    }

    /// Where a list has its id, its quantity and what is between them; `None` if it is missing.
    pub fn span(&self, list: &[Cell]) -> Option<Range<usize>> {
        let start = *self.places(list).get(self.before)?;
        Some(start..start + self.cells.len())
    }

    /// How many a list shows; `None` if the product is missing.
    pub fn left(&self, list: &[Cell]) -> Option<i64> {
        let quantity = self.cells.iter().position(|(_, number)| number.is_none())?;
        Some(list[self.span(list)?.start + quantity].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Id, quantity, name and price of each product.
    type Stock = [(i64, i64, &'static str, &'static str); 3];

    const STOCK: Stock =
        [(1, 10, "Keyboard", "49.99"), (2, 3, "USB 3.0 hub", "5"), (3, 6, "Mug", "7.50")];

    /// Each product as `row` writes it.
    fn rows(stock: &Stock, row: fn(i64, i64, &str, &str) -> String) -> String {
        stock.iter().map(|(id, quantity, name, price)| row(*id, *quantity, name, price)).collect()
    }

    fn plain(stock: &Stock) -> String {
        rows(stock, |id, quantity, name, _| format!("{id} {name} {quantity}\n"))
    }

    #[test]
    fn a_quantity_is_found_in_whatever_form_and_may_become_negative() {
        let forms: [fn(&Stock) -> String; 11] = [
            plain,
            |stock| rows(stock, |id, left, name, _| format!("{id}\t{left}\t{name}\n")),
            |stock| rows(stock, |id, left, name, price| format!("{id},{name},{price},{left}\n")),
            |stock| rows(stock, |id, left, name, _| format!("{left:2} x {name} (no. {id})\n")),
            |stock| rows(stock, |id, left, name, _| format!("{name} | P-{id:03} | {left}\n")),
            |stock| rows(stock, |id, left, name, _| format!("{id}:{name}:{left}, ")),
            |stock| {
                rows(stock, |id, left, name, price| {
                    format!("Product {id}\nname: {name}\nprice: {price}\nleft: {left}\n\n")
                })
            },
            |stock| {
                rows(stock, |id, left, name, _| {
                    format!("{{\"id\":{id},\"name\":\"{name}\",\"left\":{left}}},")
                })
            },
            |stock| format!("Open 8:30 to 17:15, call 514-555-0199\n{}", plain(stock)),
            |stock| format!("27/11/2026\n{}An order, such as 1 2: ", plain(stock)),
            |stock| {
                let units: i64 = stock.iter().map(|product| product.1).sum();
                format!("3 products, {units} units\n{}Total: 3, {units} left\n", plain(stock))
            },
        ];
        for form in forms {
            let text = form(&STOCK);
            for index in 0..STOCK.len() {
                let (id, before) = (STOCK[index].0, cells(&text));
                let mut stock = STOCK;
                stock[index].1 -= 2;
                let product = ordered(&before, &cells(&form(&stock)), id, 2).expect(&text);
                for left in [9, 1, 0, -3] {
                    stock[index].1 = left;
                    let list = form(&stock);
                    assert_eq!(product.left(&cells(&list)), Some(left), "of {id}:\n{text}{list}");
                }
            }
        }
    }

    #[test]
    fn what_has_not_fallen_by_the_order_is_no_quantity() {
        let before = cells(&plain(&STOCK));
        for (index, fall) in [(0, 0), (0, 1), (0, 3), (1, 1)] {
            let mut stock = STOCK;
            stock[index].1 -= fall;
            assert!(ordered(&before, &cells(&plain(&stock)), 1, 2).is_none(), "{index} {fall}");
        }
    }

    #[test]
    fn products_may_come_in_any_order_and_go_when_they_are_sold_out() {
        let [one, (id, left, name, price), three] = STOCK;
        let after = [three, one, (id, left - 1, name, price)];
        let product = ordered(&cells(&plain(&STOCK)), &cells(&plain(&after)), id, 1).unwrap();
        assert_eq!(product.left(&cells("3 Mug 6\n1 Keyboard 10\n")), None);
        assert_eq!(product.left(&cells("2 USB 3.0 hub 2\n3 Mug 6\n")), Some(2));
    }

    #[test]
    fn a_likely_id_is_1_or_what_a_line_in_the_middle_begins_with() {
        assert_eq!(likely_ids("27/11\n1 Mug 5\n2 Pen 6\n"), [1]);
        assert_eq!(likely_ids("5 Mug (id 1)\n6 Pen (id 2)\n"), [1, 6]);
        assert_eq!(likely_ids("3 products\n101 Mug 5\n102 Pen 6\n103 Ink 4\nTotal: 15\n"), [102]);
        assert_eq!(likely_ids("nothing"), [0; 0]);
    }
}
