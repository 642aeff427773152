//! The stock, and its lock.

use std::fmt::Display;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use echo::server::Session;

use crate::Product;

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

/// Waits for the read lock, which others may have at the same time.
pub fn read_lock(session: &Session) -> ReadGuard<'_> {
    session.log("waits for the read lock");
    // A panic poisons the lock, but the stock is changed in one step, so it is whole.
    let stock = STOCK.read().unwrap_or_else(PoisonError::into_inner);
    session.log("has the read lock");
    Guard { stock, session, lock: "read" }
}

/// Waits for the write lock, which nobody else has at the same time.
pub fn write_lock(session: &Session) -> WriteGuard<'_> {
    session.log("waits for the write lock");
    let stock = STOCK.write().unwrap_or_else(PoisonError::into_inner);
    session.log("has the write lock");
    Guard { stock, session, lock: "write" }
}

/// The stock to read.
pub type ReadGuard<'a> = Guard<'a, RwLockReadGuard<'static, Vec<Product>>>;

/// The stock to change.
pub type WriteGuard<'a> = Guard<'a, RwLockWriteGuard<'static, Vec<Product>>>;

/// A guard of the stock: whoever has it holds the lock, and dropping it releases the lock.
/// It is std's guard, with the session whose log tells what happens.
///
/// ```
/// #![deny(unused_must_use, let_underscore_drop)]
/// # use {echo::server::Session, shop::write_lock};
/// fn sell(session: &Session) {
///     let _stock = write_lock(session); // Holds the lock to the end of the function.
/// }
/// ```
///
/// These lints catch a guard that is dropped at once by mistake:
///
/// ```compile_fail
/// #![deny(unused_must_use, let_underscore_drop)]
/// # use {echo::server::Session, shop::write_lock};
/// fn sell(session: &Session) {
///     write_lock(session);
/// }
/// ```
///
/// ```compile_fail
/// #![deny(unused_must_use, let_underscore_drop)]
/// # use {echo::server::Session, shop::write_lock};
/// fn sell(session: &Session) {
///     let _ = write_lock(session);
/// }
/// ```
#[derive(Debug)]
#[must_use = "a guard that is dropped at once guards nothing"]
pub struct Guard<'a, G> {
    stock: G,
    session: &'a Session,
    lock: &'static str,
}

impl<G> Guard<'_, G> {
    /// Logs what is done under the lock.
    pub fn log(&self, event: impl Display) {
        self.session.log(event);
    }
}

impl<G> Drop for Guard<'_, G> {
    fn drop(&mut self) {
        // Logged first: `stock`, std's guard, is dropped after this.
        self.session.log(format_args!("releases the {} lock", self.lock));
    }
}

impl<G: Deref<Target = Vec<Product>>> Deref for Guard<'_, G> {
    type Target = Vec<Product>;

    fn deref(&self) -> &Vec<Product> {
        &self.stock
    }
}

impl<G: DerefMut<Target = Vec<Product>>> DerefMut for Guard<'_, G> {
    fn deref_mut(&mut self) -> &mut Vec<Product> {
        &mut self.stock
    }
}
