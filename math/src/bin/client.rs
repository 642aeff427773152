//! The math client sends an action and numbers, and prints the answer.

use std::io::{self, Cursor, IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use echo::cli::{self, END_OF_INPUT};
use echo::client::{Client, unexpected};
use math::parse_number;

/// Has the math server compute the sum, mean, stddev, min or max of numbers.
#[derive(Parser)]
#[command(name = "math-client", version, next_line_help = true)]
#[command(after_help = cli::example("math", "client", "mean 1 2 6"))]
struct Args {
    /// sum, mean, stddev, min or max; by default from standard input
    #[arg(value_parser = word)]
    action: Option<String>,

    /// The numbers; without them, they come from standard input
    #[arg(allow_hyphen_values = true, value_parser = number)]
    numbers: Vec<String>,

    /// Where the server listens
    #[arg(long, value_name = "HOST:PORT", default_value = math::ADDR)]
    addr: String,
}

fn main() -> ExitCode {
    cli::run("math", "client", run)
}

fn run() -> Result<()> {
    let args = Args::parse();
    let mut server = Client::connect("math", &args.addr)?;
    let asks = args.action.is_some();
    server.send(question(args.action, &args.numbers))?;
    if asks {
        print_answer(&server.expect_reply()?)?;
    }
    while let Some(answer) = server.reply()? {
        print_answer(&answer)?;
    }
    Ok(())
}

fn print_answer(answer: &str) -> Result<()> {
    ensure!(parse_number(answer).is_ok(), unexpected(answer, "a number"));
    cli::print(format!("{answer}\n"))
}

/// What is sent: the action and the numbers, from the command line or from standard input.
fn question(action: Option<String>, numbers: &[String]) -> WithEquals<Box<dyn Read + Send>> {
    let what =
        if action.is_some() { "numbers" } else { "an action and numbers, such as sum 1 2 3" };
    let start = Cursor::new(format!("{} {}", action.unwrap_or_default(), numbers.join(" ")));
    if !numbers.is_empty() {
        return WithEquals { input: Box::new(start), last: b'=' };
    }
    if io::stdin().is_terminal() {
        cli::notice(format_args!("type {what}, then {END_OF_INPUT} to end\n"));
    }
    WithEquals { input: Box::new(start.chain(io::stdin())), last: b'=' }
}

/// Input to whose end a `=` is added, unless there is one already: a server may close as soon as
/// it has answered.
struct WithEquals<R> {
    input: R,
    /// The last byte so far that is no white space.
    last: u8,
}

impl<R: Read> Read for WithEquals<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut length = self.input.read(buffer)?;
        if length == 0 && self.last != b'=' {
            length = (&b" =\n"[..]).read(buffer)?;
        }
        self.last = *buffer[..length].trim_ascii().last().unwrap_or(&self.last);
        Ok(length)
    }
}

/// Reads a word, whose meaning is left to the server.
fn word(text: &str) -> Result<String> {
    let is_word = !text.is_empty() && !text.contains(char::is_whitespace);
    ensure!(is_word, "expected one word");
    Ok(text.to_owned())
}

/// Reads a number, or what the server will refuse to take for one. To clap, all that follows
/// the first number is one, for `-1e-7` would look like an option.
fn number(text: &str) -> Result<String> {
    ensure!(!text.starts_with("--"), "options go before the numbers");
    word(text)
}
