//! The command line: values of arguments, printing, exit status.

use std::env;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// The longest duration, in seconds: about twelve days, so that adding it to an
/// [`Instant`](std::time::Instant) cannot overflow.
const MAX_SECONDS: f64 = 1e6;

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
/// When it is not a number, is below 0 or above 1,000,000, or is above 0 but less than a
/// nanosecond.
pub fn seconds(text: &str) -> Result<Duration> {
    let expected = "expected a number of seconds: 0, or 1e-9 to 1000000";
    let seconds: f64 = text.parse().ok().context(expected)?;
    ensure!(seconds == 0.0 || (1e-9..=MAX_SECONDS).contains(&seconds), expected);
    Ok(Duration::from_secs_f64(seconds))
}

/// Reads an integer.
///
/// # Errors
///
/// When it is not an integer, or outside `range`.
pub fn integer<T>(text: &str, range: RangeInclusive<T>) -> Result<T>
where
    T: FromStr + PartialOrd + Display,
{
    let integer = text.parse().ok().filter(|integer| range.contains(integer));
    integer
        .with_context(|| format!("expected an integer from {} to {}", range.start(), range.end()))
}

/// What a person types to end standard input.
pub const END_OF_INPUT: &str = if cfg!(windows) { "Ctrl-Z and Enter" } else { "Ctrl-D" };

/// The command that starts a program of an exercise, such as `cargo run -p echo --bin server`.
pub fn command(exercise: &str, program: &str) -> String {
    if cfg!(windows) {
        format!("cargo run --bin {exercise}-{program}")
    } else {
        format!("cargo run -p {exercise} --bin {program}")
    }
}

/// The end of a program's `--help`: a command to try.
pub fn example(exercise: &str, program: &str, args: &str) -> String {
    format!("Example: {} -- {args}", command(exercise, program))
}

/// Writes a result to standard output, at once.
///
/// # Errors
///
/// When standard output is closed, or full.
pub fn print(result: impl AsRef<[u8]>) -> Result<()> {
    let mut output = io::stdout().lock();
    let written = output.write_all(result.as_ref()).and_then(|()| output.flush());
    written.context("cannot write to standard output")
}

/// Writes a prompt, a notice or an error to standard error.
pub fn notice(text: impl Display) {
    // If standard error is closed, there is nowhere left to say so.
    let _ = write!(io::stderr(), "{text}");
}

/// Runs a program of an exercise. If it fails, prints `error: REASON` on standard error and
/// ends with status 1.
///
/// A reader of standard output that has seen enough, as `| head -1` has, is not a failure.
pub fn run(exercise: &str, program: &str, main: impl FnOnce() -> Result<()>) -> ExitCode {
    match check_exercise(exercise, program).and_then(|()| main()) {
        Err(error) if !is_broken_pipe(&error) => {
            notice(format_args!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Fails when cargo was asked for the program of another exercise.
///
/// All exercises call their programs `server` and `client`, and with Windows' usual
/// toolchain cargo keeps only one `server.exe` of them (cargo issues [8941] and [13105]).
/// Cargo sets `CARGO_PKG_NAME` for what it runs.
///
/// [8941]: https://github.com/rust-lang/cargo/issues/8941
/// [13105]: https://github.com/rust-lang/cargo/issues/13105
fn check_exercise(exercise: &str, program: &str) -> Result<()> {
    let wanted = env::var("CARGO_PKG_NAME").unwrap_or_default();
    let is_exercise = ["echo", "random-stream", "math", "shop"].contains(&wanted.as_str());
    ensure!(
        wanted == exercise || !is_exercise,
        "this is the {program} of {exercise}, not of {wanted}; start that with: \
         cargo run --bin {wanted}-{program}"
    );
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
