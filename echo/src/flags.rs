//! Values of flags, read strictly.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Reads `HOST:PORT`: a name, an IPv4 address or an IPv6 address in brackets, and a port.
///
/// # Errors
///
/// When there is no host, or no port from 0 to 65535.
pub fn address(text: &str) -> Result<String> {
    let expected = "expected HOST:PORT, such as 127.0.0.1:7001 or [::1]:7001";
    let (host, port) = text.rsplit_once(':').context(expected)?;
    let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
    ensure!(!host.is_empty() && !is_bare_ipv6 && port.parse::<u16>().is_ok(), expected);
    Ok(text.to_owned())
}

/// Reads a duration in seconds, such as `5` or `0.25`, to the nanosecond.
///
/// # Errors
///
/// When it is no number, is negative, is above 0 but less than a nanosecond, or is more
/// than a [`Duration`] holds.
pub fn seconds(text: &str) -> Result<Duration> {
    let seconds = text.parse().context("expected a number of seconds")?;
    let duration = Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero() || seconds == 0.0);
    duration.context("expected a number of seconds: 0, or 1e-9 to 1.8e19")
}
