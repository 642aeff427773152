//! Sockets, on both sides: what a timeout is, and how not to wait.

use std::io::{self, ErrorKind};
use std::net::TcpStream;

/// Whether a read or a write reached the timeout set on its socket, or would block.
///
/// On Unix, std reports that as `WouldBlock`; `TimedOut` means that the kernel gave up on the
/// connection, after retransmitting in vain. On Windows both are `TimedOut`.
pub fn is_timeout(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || cfg!(windows) && error.kind() == ErrorKind::TimedOut
}

/// Reads or writes without waiting: where `operation` would block, it fails with
/// [`ErrorKind::WouldBlock`].
pub fn without_waiting<T>(
    stream: &TcpStream,
    operation: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let _ = stream.set_nonblocking(true);
    let result = operation();
    let _ = stream.set_nonblocking(false);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(windows, ignore = "Windows reports both with the same error kind")]
    fn a_timeout_of_the_kernel_is_not_ours() {
        assert!(is_timeout(&ErrorKind::WouldBlock.into()));
        assert!(!is_timeout(&ErrorKind::TimedOut.into()));
    }
}
