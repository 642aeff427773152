//! The command line: values of arguments, printing, exit status.

use std::env;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// The longest duration: about twelve days, so that adding it to an
/// [`Instant`](std::time::Instant) cannot overflow.
const MAX_DURATION: Duration = Duration::from_secs(1_000_000);

/// The exercises, in the order of their ports: from 7001 on.
pub const EXERCISES: [&str; 4] = ["echo", "random-stream", "math", "shop"];

/// Whether what was printed last, on either output, did not end its line.
static IS_IN_LINE: AtomicBool = AtomicBool::new(false);

/// Checks that `addr` has the form `HOST:PORT`. The error shows that form, with the exercise's own
/// port, and an address of IPv6 as a shell takes it.
pub fn check_addr(exercise: &str, addr: &str) -> Result<()> {
    let has_form = addr.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok()
    });
    let port = 7001 + EXERCISES.iter().position(|name| *name == exercise).unwrap_or(0);
    ensure!(has_form, "expected HOST:PORT, such as 127.0.0.1:{port} or '[::1]:{port}'");
    Ok(())
}

/// Reads a duration in seconds, such as `5` or `0.25`, to the nanosecond; fails when it is not a
/// number, is below 0 or above 1,000,000.
pub fn seconds(text: &str) -> Result<Duration> {
    let duration = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let duration = duration.filter(|duration| *duration <= MAX_DURATION);
    duration.context("expected a number of seconds from 0 to 1000000")
}

/// The keys that end standard input.
pub const END_OF_INPUT: &str = if cfg!(windows) { "Ctrl-Z and Enter" } else { "Ctrl-D" };

/// The command that starts a program of an exercise, such as `cargo run -p echo --bin server`.
pub fn command(exercise: &str, program: &str) -> String {
    if cfg!(windows) {
        format!("cargo run -p tests --bin {exercise}-{program}")
    } else {
        format!("cargo run -p {exercise} --bin {program}")
    }
}

/// The end of a program's `--help`: a command to try.
pub fn example(exercise: &str, program: &str, args: &str) -> String {
    format!("Example: {} -- {args}", command(exercise, program))
}

/// Writes a result to standard output, and flushes it; fails when standard output is closed, or
/// full.
pub fn print(result: impl AsRef<[u8]>) -> Result<()> {
    let result = result.as_ref();
    let mut output = io::stdout().lock();
    let written = output.write_all(result).and_then(|()| output.flush());
    if let Some(last) = result.last() {
        IS_IN_LINE.store(*last != b'\n', Ordering::Relaxed);
    }
    written.context("cannot write to standard output")
}

/// Writes a prompt, a notice or an error to standard error, on a line of its own and in one write,
/// so that those of several programs do not mix. An empty one only ends a line that was begun.
pub fn notice(text: impl Display) {
    let line_end = if IS_IN_LINE.load(Ordering::Relaxed) { "\n" } else { "" };
    let text = format!("{line_end}{text}");
    IS_IN_LINE.store(!text.is_empty() && !text.ends_with('\n'), Ordering::Relaxed);
    // If standard error is closed, there is nowhere left to say so.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Notes that a line was typed at a prompt, which ended the prompt's line.
pub fn typed() {
    IS_IN_LINE.store(false, Ordering::Relaxed);
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

/// On Windows, fails when cargo was asked for the program of another exercise.
///
/// All exercises call their programs `server` and `client`, and with Windows' usual toolchain
/// cargo keeps only one `server.exe` of them (cargo issues [8941] and [13105]). Cargo sets
/// `CARGO_PKG_NAME` for what it runs.
///
/// [8941]: https://github.com/rust-lang/cargo/issues/8941
/// [13105]: https://github.com/rust-lang/cargo/issues/13105
fn check_exercise(exercise: &str, program: &str) -> Result<()> {
    let wanted = env::var("CARGO_PKG_NAME").unwrap_or_default();
    let is_exercise = EXERCISES.contains(&wanted.as_str());
    ensure!(
        cfg!(not(windows)) || wanted == exercise || !is_exercise,
        "this is the {program} of {exercise}, not of {wanted}; start that with: \
         cargo run -p tests --bin {wanted}-{program}"
    );
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}
