//! What a program says to the person who runs it: results, notices, and how it ended.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};

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

/// Writes to standard error what is no result: a prompt, a notice, an error.
pub fn notice(text: impl Display) {
    // Nobody is left to be told that standard error takes nothing.
    let _ = write!(io::stderr(), "{text}");
}

/// The exit status of a program: if it failed, 1, after `error: REASON` on standard error.
///
/// A reader of standard output who has seen enough, as `| head -1` has, is no failure.
pub fn exit(outcome: Result<()>) -> ExitCode {
    match outcome {
        Err(error) if !is_broken_pipe(&error) => {
            notice(format_args!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
