//! Checks a running server of one of the exercises, in whatever language it is written: learns how
//! the server speaks, and judges it by what it does.

mod echo;
mod math;
mod random_stream;
mod shop;
mod talk;

use std::io::Write;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use ::echo::cli::{self, EXERCISES};
use ::echo::preview::printable;
use anyhow::{Context, Result, bail, ensure};

use self::talk::{Exercise, Outcome, Stop, Target};

/// After this long, no other check begins; a server's own delays come on top.
const RUN: Duration = Duration::from_secs(75);

/// A check that takes longer is announced.
const LONG: Duration = Duration::from_secs(2);

/// The checks that do not hold, including those not tried.
#[derive(Debug, Default)]
pub struct Report {
    /// Of what the exercise asks.
    pub asked: Vec<&'static str>,
    /// Of what goes further.
    pub further: Vec<&'static str>,
}

impl Report {
    /// Whether all that the exercise asks holds and, if `is_strict`, all that goes further.
    pub fn holds(&self, is_strict: bool) -> bool {
        self.asked.is_empty() && (self.further.is_empty() || !is_strict)
    }
}

/// Checks the server at `addr`, and writes a line for each check, with what went wrong.
///
/// `example` shows how `math` is asked for the sum, or another action, of 1, 2 and 3, or how three
/// of product 1 are ordered from `shop`, with `\n`, `\r`, `\t` and `\\` for what cannot be typed;
/// without it, that is found out. A run takes at most two minutes beyond the server's own delays.
/// It fails when `exercise` is not one of [`EXERCISES`], `example` is no such example, nobody
/// listens at `addr`, or `output` fails.
pub fn check(
    exercise: &str,
    addr: &str,
    example: Option<&str>,
    output: impl Write,
) -> Result<Report> {
    let example = example.map(unescape).transpose()?;
    let target = || {
        let found = cli::check_addr(exercise, addr).and_then(|()| Ok(Target::find(addr)?));
        found.with_context(|| format!("cannot connect to {addr}"))
    };
    match (exercise, example) {
        ("echo", None) => run(echo::Echo::new(target()?), output),
        ("random-stream", None) => run(random_stream::RandomStream::new(target()?), output),
        ("echo" | "random-stream", Some(_)) => bail!("--say is for math and shop"),
        ("math", example) => run(math::Math::new(target()?, example.as_deref())?, output),
        ("shop", example) => run(shop::Shop::new(target()?, example.as_deref())?, output),
        _ => bail!("expected one of {}", EXERCISES.join(", ")),
    }
}

fn run<E: Exercise>(mut exercise: E, mut output: impl Write) -> Result<Report> {
    let (mut report, began) = (Report::default(), Instant::now());
    let mut has_told = false;
    for (title, checks, failed) in [
        ("The exercise asks:", E::ASKED, &mut report.asked),
        ("Goes further:", E::FURTHER, &mut report.further),
    ] {
        writeln!(output, "{title}")?;
        let mut not_tried = 0;
        for (name, check) in checks {
            let outcome = if began.elapsed() > RUN + exercise.own_delays() {
                Err(Stop::NotTried("the run has taken too long".to_owned()))
            } else {
                run_check(name, || check(&mut exercise))
            };
            match &outcome {
                Ok(()) => writeln!(output, "✔ {name}")?,
                Err(Stop::Failed(failure)) => write!(output, "✘ {name}\n{failure}")?,
                Err(Stop::NotTried(reason)) => writeln!(output, "- {name}: not tried, {reason}")?,
            }
            if let Some(speaks) = exercise.speaks().filter(|_| !has_told) {
                writeln!(output, "   it speaks: {}", printable(&speaks))?;
                has_told = true;
            }
            not_tried += usize::from(matches!(outcome, Err(Stop::NotTried(_))));
            failed.extend(outcome.is_err().then_some(*name));
            output.flush()?;
        }
        write!(output, "{} of {} hold", checks.len() - failed.len(), checks.len())?;
        if not_tried > 0 {
            write!(output, "; {not_tried} not tried")?;
        }
        writeln!(output)?;
    }
    writeln!(output, "Look at the rest by hand: {}.", E::BY_HAND)?;
    Ok(report)
}

/// Runs a check, and says so when it takes long.
fn run_check(name: &str, check: impl FnOnce() -> Outcome) -> Outcome {
    thread::scope(|scope| {
        let (running, ended) = mpsc::channel::<()>();
        scope.spawn(move || {
            if ended.recv_timeout(LONG) == Err(RecvTimeoutError::Timeout) {
                cli::notice(format_args!("waiting: {name}\n"));
            }
        });
        let outcome = check();
        drop(running);
        outcome
    })
}

/// What an example stands for: `\n`, `\r`, `\t` and `\\` are what cannot be typed.
fn unescape(text: &str) -> Result<String> {
    ensure!(text.len() <= 1024, "--say: expected at most 1024 bytes");
    let part = |part: &str| part.replace(r"\n", "\n").replace(r"\r", "\r").replace(r"\t", "\t");
    Ok(text.split(r"\\").map(part).collect::<Vec<_>>().join("\\"))
}
