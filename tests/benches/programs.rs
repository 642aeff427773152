//! How near the programs come to what is possible, as one table: `cargo bench`.
//!
//! Each figure is compared with a limit: the barest echo server (`echo/examples/barest.rs`) and
//! the parsing of the same bytes from memory, both measured in the same run, in alternate rounds,
//! of which the one with the median ratio is quoted; the ideal schedule; the delays that cannot be
//! shared.
//! `cargo bench -- math` runs the rows whose names contain `math`; the exit status is 1 when a
//! row does not hold.

#![expect(clippy::cast_precision_loss, reason = "the figures have three digits")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use echo::cli;
use rand::RngExt;
use tests::program;

/// How often both are measured, one after the other.
const ROUNDS: usize = 31;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let filter = args.next().unwrap_or_default();
    cli::run("tests", "bench", || run(&filter))
}

fn run(filter: &str) -> Result<()> {
    let benchmarks: [(&str, Benchmark); 11] = [
        ("echo, round trip of a 64-byte line, 1 client", || round_trips(1)),
        ("echo, round trip of a 64-byte line, 16 clients", || round_trips(16)),
        ("echo, 64-byte lines streamed both ways", || streaming(&[])),
        ("echo, the same with `--quiet`: without the log", || streaming(&["--quiet"])),
        ("echo, connections, one after another", || connections(1)),
        ("echo, connections, eight at once", || connections(8)),
        ("random-stream, 1000 clients", || {
            streams(1000, &[(HALF, 50, 0.000_2), (MOST, 99, 0.002)])
        }),
        ("random-stream, 10,000 clients", || {
            match streams(10_000, &[(MOST, 99, 0.003)]) {
                // The system does not allow so many.
                Err(reason) if reason.is::<io::Error>() => Ok(vec![Row::skipped(&reason)]),
                rows => rows,
            }
        }),
        ("math, 5 million numbers", five_million_numbers),
        ("shop, 20 lists at once", twenty_lists),
        ("shop, 20 orders at once", twenty_orders),
    ];
    let mut table = vec![
        ["figure", "ours", "limit", "ratio", "asked", "holds"].map(str::to_owned),
        ["---"; 6].map(str::to_owned),
    ];
    let mut failed = 0;
    for (name, measure) in benchmarks.into_iter().filter(|(name, _)| name.contains(filter)) {
        cli::notice(format_args!("{name} ...\n"));
        for row in measure().with_context(|| name.to_owned())? {
            failed += usize::from(row.holds == Some(false));
            let holds = row.holds.map_or("-", |holds| if holds { "yes" } else { "no" }).to_owned();
            let figure = format!("{name}{}", row.of);
            table.push([figure, row.ours, row.limit, row.ratio, row.asked, holds]);
        }
    }
    cli::print(table.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect::<String>())?;
    ensure!(failed == 0, "rows that do not hold: {failed} (a busy machine does that: try again)");
    Ok(())
}

/// Measures one or several figures.
type Benchmark = fn() -> Result<Vec<Row>>;

/// A row of the table.
struct Row {
    /// Which figure of the benchmark it is, if there are several.
    of: &'static str,
    ours: String,
    limit: String,
    ratio: String,
    asked: String,
    /// `None` if it was skipped.
    holds: Option<bool>,
}

impl Row {
    /// Ours may be at most `asked` times the limit, both in seconds.
    fn at_most(asked: f64, ours: f64, limit: f64) -> Self {
        let ratio = ours / limit;
        Self {
            of: "",
            ours: seconds(ours),
            limit: seconds(limit),
            ratio: format!("{ratio:.3}"),
            asked: format!("at most {asked}"),
            holds: Some(ratio <= asked),
        }
    }

    /// What this machine does not allow.
    fn skipped(reason: &anyhow::Error) -> Self {
        let [limit, ratio, asked] = ["-"; 3].map(str::to_owned);
        Self { of: "", ours: format!("skipped: {reason:#}"), limit, ratio, asked, holds: None }
    }

    /// Ours must be at least `asked` times as fast as the limit, for the same `work`.
    fn at_least(asked: f64, ours: f64, limit: f64, work: f64, unit: &str) -> Self {
        let ratio = limit / ours;
        Self {
            of: "",
            ours: format!("{:.0} {unit}", work / ours),
            limit: format!("{:.0} {unit}", work / limit),
            ratio: format!("{ratio:.3}"),
            asked: format!("at least {asked}"),
            holds: Some(ratio >= asked),
        }
    }
}

fn seconds(seconds: f64) -> String {
    match seconds {
        1.0.. => format!("{seconds:.3} s"),
        0.001.. => format!("{:.3} ms", seconds * 1e3),
        _ => format!("{:.1} µs", seconds * 1e6),
    }
}

/// What `ours` and `limit` take in the round with the median ratio: a machine that is slow for a
/// while slows both of a round.
fn alternate(
    ours: impl Fn() -> Result<f64>,
    limit: impl Fn() -> Result<f64>,
) -> Result<(f64, f64)> {
    let mut rounds = (0..ROUNDS).map(|_| Ok((ours()?, limit()?))).collect::<Result<Vec<_>>>()?;
    let ratio = |(ours, limit): &(f64, f64)| ours / limit;
    rounds.sort_by(|one, other| ratio(one).total_cmp(&ratio(other)));
    Ok(rounds[ROUNDS / 2])
}

/// A server in a process of its own, with its log in a file.
struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    fn start(path: &str, args: &[&str]) -> Result<Self> {
        let name = Path::new(path).file_stem().and_then(OsStr::to_str).context("no name")?;
        let log = format!("{}/{name}.log", env!("CARGO_TARGET_TMPDIR"));
        let output = File::create(&log)?;
        let child = Command::new(path).args(args).stdout(output).stdin(Stdio::null()).spawn()?;
        let end = Instant::now() + tests::PATIENCE;
        loop {
            let log = fs::read_to_string(&log)?;
            if let Some((first, _)) = log.split_once('\n') {
                let addr = first.rsplit(' ').next().unwrap_or_default();
                return Ok(Self { child, addr: addr.parse()? });
            }
            ensure!(Instant::now() < end, "{name} does not listen");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn ours(path: &str, flags: &[&str]) -> Result<Self> {
        Self::start(path, &[&["--addr", "127.0.0.1:0"], flags].concat())
    }

    fn barest() -> Result<Self> {
        Self::start(program!("echo-barest"), &["127.0.0.1:0"])
    }

    fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(tests::PATIENCE))?;
        Ok(stream)
    }

    /// Resident memory, in KiB; `None` where there is no `/proc`.
    fn resident(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of 64 bytes, with its end.
const LINE: [u8; 64] = *b"sixty-four bytes of text, of which the last is the line's end..\n";

/// Round trips of `clients` at once, each waiting for its line before it sends the next.
fn round_trips(clients: usize) -> Result<Vec<Row>> {
    let trips = 8_000 / clients;
    let time = |server: &Server| -> Result<f64> {
        let streams: Vec<_> = (0..clients).map(|_| server.connect()).collect::<Result<_>>()?;
        let start = Barrier::new(clients + 1);
        thread::scope(|scope| {
            let threads: Vec<_> = streams
                .into_iter()
                .map(|mut stream| {
                    let start = &start;
                    scope.spawn(move || -> Result<()> {
                        let mut reply = LINE;
                        start.wait();
                        for _ in 0..trips {
                            stream.write_all(&LINE)?;
                            stream.read_exact(&mut reply)?;
                        }
                        Ok(())
                    })
                })
                .collect();
            start.wait();
            let began = Instant::now();
            for thread in threads {
                thread.join().expect("it does not panic")?;
            }
            Ok(began.elapsed().as_secs_f64() / trips as f64)
        })
    };
    let (ours, barest) = (Server::ours(program!("echo-server"), &[])?, Server::barest()?);
    let (ours, limit) = alternate(|| time(&ours), || time(&barest))?;
    Ok(vec![Row::at_most(1.15, ours, limit)])
}

/// Connections of `clients` at once, one after another each: a line, its echo, the end.
fn connections(clients: usize) -> Result<Vec<Row>> {
    let count = 1600;
    let time = |server: &Server| -> Result<f64> {
        let began = Instant::now();
        thread::scope(|scope| {
            let connect = || -> Result<()> {
                for _ in 0..count / clients {
                    let mut stream = server.connect()?;
                    let mut reply = LINE;
                    stream.write_all(&LINE)?;
                    stream.read_exact(&mut reply)?;
                }
                Ok(())
            };
            let threads: Vec<_> = (0..clients).map(|_| scope.spawn(connect)).collect();
            for thread in threads {
                thread.join().expect("it does not panic")?;
            }
            Ok(began.elapsed().as_secs_f64())
        })
    };
    let (ours, barest) = (Server::ours(program!("echo-server"), &[])?, Server::barest()?);
    let (ours, limit) = alternate(|| time(&ours), || time(&barest))?;
    Ok(vec![Row::at_least(0.95, ours, limit, count as f64, "connections/s")])
}

fn streaming(flags: &[&str]) -> Result<Vec<Row>> {
    let lines = LINE.repeat(1024);
    let bytes = 64 * 1024 * 1024;
    let time = |server: &Server| -> Result<f64> {
        let mut stream = server.connect()?;
        let began = Instant::now();
        thread::scope(|scope| {
            let mut sender = stream.try_clone()?;
            let lines = &lines;
            let sender = scope.spawn(move || -> Result<()> {
                for _ in 0..bytes / lines.len() {
                    sender.write_all(lines)?;
                }
                Ok(sender.shutdown(Shutdown::Write)?)
            });
            let mut buffer = vec![0; lines.len()];
            let mut received = 0;
            loop {
                let length = stream.read(&mut buffer)?;
                if length == 0 {
                    break;
                }
                received += length;
            }
            sender.join().expect("it does not panic")?;
            ensure!(received == bytes, "{received} bytes of {bytes} came back");
            Ok(began.elapsed().as_secs_f64())
        })
    };
    let (ours, barest) = (Server::ours(program!("echo-server"), flags)?, Server::barest()?);
    let (ours, limit) = alternate(|| time(&ours), || time(&barest))?;
    Ok(vec![Row::at_least(0.9, ours, limit, bytes as f64 / 1e6, "MB/s")])
}

const HALF: &str = ": half of the numbers late by";
const MOST: &str = ": 99 % of the numbers late by";

/// How late the numbers of many clients are, from those of 250: for each of `quantiles` its name,
/// its percentage, and what it must be less than, in seconds. Then the memory that a client takes.
fn streams(count: usize, quantiles: &[(&'static str, usize, f64)]) -> Result<Vec<Row>> {
    const NUMBERS: u32 = 12;
    const MEASURED: usize = 250;
    let interval = Duration::from_secs(1);
    let flags = ["--quiet", "--interval", "1", "--max-clients", "10000"];
    let server = Server::ours(program!("random-stream-server"), &flags)?;
    let before = server.resident();
    // One reader takes some of the clients in the order in which they are due, which is that in
    // which they connected. A reader of all would be late itself, and would find those that are due
    // after a late one late, too.
    let began = Instant::now();
    let mut line = String::new();
    let mut read = |stream: &mut BufReader<TcpStream>, index: u32| -> Result<f64> {
        line.clear();
        ensure!(stream.read_line(&mut line)? > 0, "the stream ended");
        ensure!(line.trim().parse::<u8>().is_ok(), "{}", line.trim());
        Ok(began.elapsed().as_secs_f64() - (index * interval).as_secs_f64())
    };
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut stream = BufReader::with_capacity(64, server.connect()?);
        read(&mut stream, 0)?;
        clients.push((stream, Vec::new()));
    }
    for index in 1..NUMBERS {
        for (stream, times) in clients.iter_mut().step_by(count / MEASURED) {
            let time = read(stream, index)?;
            if index > 2 {
                times.push(time); // While all connect, the reader itself may be late.
            }
        }
    }
    let resident = server.resident();
    // By the schedule that starts so that none comes early: what is constant in the way
    // from there to here is not lateness.
    let mut late = Vec::new();
    for (_, times) in &clients {
        let least = times.iter().copied().fold(f64::INFINITY, f64::min);
        late.extend(times.iter().map(|time| time - least));
    }
    late.sort_by(f64::total_cmp);
    let row = |of, ours, limit: &str, asked, holds| {
        let (limit, ratio) = (limit.to_owned(), "-".to_owned());
        Row { of, ours, limit, ratio, asked, holds: Some(holds) }
    };
    let mut rows = Vec::new();
    for (of, share, asked) in quantiles {
        let late = late[(late.len() - 1) * share / 100];
        let less = format!("less than {}", seconds(*asked));
        rows.push(row(of, seconds(late), "the schedule", less, late < *asked));
    }
    if let (Some(before), Some(resident)) = (before, resident) {
        let per_client = (resident - before) / count as f64;
        let (of, ours) = (": resident memory per client", format!("{per_client:.1} KiB"));
        rows.push(row(of, ours, "-", "at most 16 KiB".to_owned(), per_client <= 16.0));
    }
    Ok(rows)
}

fn five_million_numbers() -> Result<Vec<Row>> {
    const COUNT: u32 = 5_000_000;
    // Six decimals, as measured values have.
    let numbers = (0..COUNT).map(|_| rand::rng().random_range(0.0..1e6));
    let numbers: String = numbers.map(|number: f64| format!("{number:.6}\n")).collect();
    let question = format!("stddev {numbers}=\n");
    let parse = || {
        let began = Instant::now();
        let parsed = numbers.split_ascii_whitespace().map(str::parse::<f64>);
        let sum = parsed.sum::<Result<f64, _>>()?;
        ensure!(std::hint::black_box(sum) > 0.0, "no sum");
        Ok(began.elapsed().as_secs_f64())
    };
    let server = Server::ours(program!("math-server"), &[])?;
    let ask = || {
        let mut stream = server.connect()?;
        let began = Instant::now();
        stream.write_all(question.as_bytes())?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        ensure!(answer.trim().parse::<f64>()? > 0.0, "not an answer: {answer}");
        Ok(began.elapsed().as_secs_f64())
    };
    let (ours, limit) = alternate(ask, parse)?;
    Ok(vec![Row::at_least(0.7, ours, limit, f64::from(COUNT) / 1e6, "million/s")])
}

const BUYERS: usize = 20;

/// Clients of a new shop whose delay is `delay` seconds, with the stock read by each, and
/// how long that took all of them together.
fn buyers(delay: &str) -> Result<(Server, Vec<BufReader<TcpStream>>, f64)> {
    let server = Server::ours(program!("shop-server"), &["--delay", delay])?;
    let began = Instant::now();
    let mut buyers: Vec<_> =
        (0..BUYERS).map(|_| server.connect().map(BufReader::new)).collect::<Result<_>>()?;
    for buyer in &mut buyers {
        let mut line = String::new();
        while line != "\n" {
            line.clear();
            ensure!(buyer.read_line(&mut line)? > 0, "the list ended early");
        }
    }
    Ok((server, buyers, began.elapsed().as_secs_f64()))
}

fn twenty_lists() -> Result<Vec<Row>> {
    let (_server, _buyers, elapsed) = buyers("1")?;
    Ok(vec![Row::at_most(1.05, elapsed, 1.0)])
}

fn twenty_orders() -> Result<Vec<Row>> {
    let (_server, mut buyers, _) = buyers("0.1")?;
    let began = Instant::now();
    for buyer in &mut buyers {
        buyer.get_mut().write_all(b"2 1\n")?;
    }
    for buyer in &mut buyers {
        let mut answer = String::new();
        buyer.read_line(&mut answer)?;
        ensure!(answer.starts_with("confirmed: "), "{answer}");
    }
    Ok(vec![Row::at_most(1.02, began.elapsed().as_secs_f64(), 0.1 * BUYERS as f64)])
}
