//! The stock, and the lock around it.

use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use echo::server::Session;

use crate::product::Product;

/// Everything there is to sell.
static STOCK: LazyLock<RwLock<Vec<Product>>> = LazyLock::new(|| {
    let product = |id, quantity, name: &str| Product { id, quantity, name: name.to_owned() };
    RwLock::new(vec![
        product(1, 10, "Keyboard"),
        product(2, 25, "Mouse"),
        product(3, 3, "Écran 4K"),
        product(4, 1, "Crème brûlée torch"),
    ])
});

/// Waits for the read lock, which others may have at the same time. A writer that already waits
/// goes first: std's choice on Linux and Windows, and nearly always on macOS.
pub fn read_lock(session: &Session) -> ReadGuard<'_> {
    session.log("waits for the read lock");
    // A panic poisons the lock, but the stock is changed in one step, so it is whole.
    let products = STOCK.read().unwrap_or_else(PoisonError::into_inner);
    session.log("has the read lock");
    Guard { products, session, lock: "read" }
}

/// Waits for the write lock, which nobody else has at the same time.
pub fn write_lock(session: &Session) -> WriteGuard<'_> {
    session.log("waits for the write lock");
    let products = STOCK.write().unwrap_or_else(PoisonError::into_inner);
    session.log("has the write lock");
    Guard { products, session, lock: "write" }
}

/// The stock to read.
pub type ReadGuard<'a> = Guard<'a, RwLockReadGuard<'static, Vec<Product>>>;

/// The stock to change.
pub type WriteGuard<'a> = Guard<'a, RwLockWriteGuard<'static, Vec<Product>>>;

/// Std's guard `G` of the products, and the session whose log tells what happens under the lock.
///
/// ```
/// #![deny(unused_must_use, let_underscore_drop)]
/// fn sell(session: &echo::server::Session) { let _stock = shop::write_lock(session); }
/// ```
///
/// Both lints catch a guard that is dropped at once by mistake:
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// fn sell(session: &echo::server::Session) { shop::write_lock(session); }
/// ```
///
/// ```compile_fail
/// #![deny(let_underscore_drop)]
/// fn sell(session: &echo::server::Session) { let _ = shop::write_lock(session); }
/// ```
#[must_use = "a guard that is dropped at once guards nothing"]
pub struct Guard<'a, G> {
    /// The products, to read or to change.
    pub products: G,
    /// The client that has the lock.
    pub session: &'a Session,
    lock: &'static str,
}

impl<G> Drop for Guard<'_, G> {
    fn drop(&mut self) {
        // Logged first: `products`, std's guard, is dropped after this.
        self.session.log(format_args!("releases the {} lock", self.lock));
    }
}
