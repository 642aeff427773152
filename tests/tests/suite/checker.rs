//! The checker: right servers pass, even minimal ones, each mistake fails its own checks, and
//! every run ends.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use shop::{Order, Product};
use tests::checker::{EXERCISES, Report, check};
use tests::{Program, Server, program, taken_addr};

/// How long the shops of this file take.
const DELAY: Duration = Duration::from_millis(500);

const SECOND: Duration = Duration::from_secs(1);

/// Checks a server; returns the report as data and as text.
fn checked(exercise: &str, addr: &str) -> (Report, String) {
    let mut text = Vec::new();
    let report = check(exercise, addr, None, &mut text).unwrap();
    (report, String::from_utf8(text).unwrap())
}

#[test]
fn right_servers_pass_and_each_mistake_fails_its_own_checks() {
    let ours = [
        ("echo", Server::start(program!("echo-server"), &[])),
        ("random-stream", Server::start(program!("random-stream-server"), &[])),
        ("math", Server::start(program!("math-server"), &[])),
        ("shop", Server::start(program!("shop-server"), &["--delay", "0.5"])),
    ];
    let barest = Program::start(program!("echo-barest"), &["127.0.0.1:0"]);
    let barest = barest.stdout.wait("listening on ").replace("listening on ", "");
    let no_lock = Server::start(program!("shop-server"), &["--delay", "0.5", "--no-lock"]);
    let trimmed = |line: &str, mut stream: TcpStream| stream.write_all(line.trim_end().as_bytes());
    let with_cr_lf = |line: &str, mut stream: TcpStream| write!(stream, "{}\r\n", line.trim_end());
    let per_packet = |mut stream: TcpStream| {
        let mut buffer = [0; 1024];
        let length = stream.read(&mut buffer)?;
        stream.write_all(&buffer[..length])
    };
    let capitals =
        |line: &str, mut stream: TcpStream| stream.write_all(line.to_uppercase().as_bytes());
    let without_accents = |line: &str, mut stream: TcpStream| {
        stream.write_all(line.replace(|char: char| !char.is_ascii(), "").as_bytes())
    };
    let random = |index: u32| format!("{}\n", index * 7919 % 97);
    let stops = |index| if index < 6 { index } else { 1000 };
    // Each server, and how the checks begin that it fails.
    let servers: Vec<(&str, String, &[&str])> = vec![
        // These do no more than the statement says.
        ("echo", barest, &[]),
        ("echo", serve(false, by_line(trimmed)), &[]),
        ("echo", serve(false, by_line(with_cr_lf)), &[]),
        ("echo", serve(false, per_packet), &[]),
        ("random-stream", numbers(|index| (index, format!("0.{}\r\n", index * 7919 % 97))), &[]),
        ("math", serve(true, math(&["a decimal comma"])), &[]),
        ("math", serve(true, math(&["a token a line", "n - 1"])), &[]),
        ("math", serve(true, math(&["a token a line"])), &[]),
        ("math", serve(true, math(&["many questions", "says when it is wrong"])), &[]),
        ("shop", shop(&[]), &[]),
        // These have a mistake.
        ("echo", serve(true, by_line(capitals)), &["a string comes", "the next", "a string with"]),
        ("echo", serve(true, by_line(without_accents)), &["a string with accents"]),
        (
            "random-stream",
            numbers(move |index| (index / 2 * 2, random(index))),
            &["a number comes each"],
        ),
        (
            "random-stream",
            numbers(move |index| (index / 8, random(index))),
            &["a number comes each"],
        ),
        (
            "random-stream",
            numbers(move |index| (stops(index), random(index))),
            &["a number comes each"],
        ),
        ("random-stream", numbers(|index| (index, "42\n".to_owned())), &["the numbers differ"]),
        (
            "random-stream",
            serve(true, |mut stream| writeln!(stream, "42")), // One number, and the end.
            &["a number comes each", "the numbers differ", "three clients", "when one client"],
        ),
        ("math", serve(true, math(&["integers"])), &["an answer may", "numbers may"]),
        ("math", serve(true, math(&["from zero"])), &["`min`", "`max`"]),
        ("math", serve(false, math(&["many questions"])), &["two clients"]),
        (
            "math",
            serve(true, math(&["a token a line", "one list for all"])),
            &["two clients", "a client that breaks off"],
        ),
        ("math", serve(true, math(&["dies of words"])), &["a client that breaks off"]),
        ("shop", shop(&["lists under the write lock"]), &["four lists"]),
        ("shop", shop(&["lists under no lock"]), &["a list that comes", "an order that comes"]),
        ("shop", shop(&["waits after the list"]), &["an order that comes"]),
        (
            "shop",
            shop(&["orders at once"]),
            &["an order takes", "two orders", "a list that comes", "an order that comes"],
        ),
        ("shop", shop(&["checks before the lock"]), &["two buyers", "nothing is"]),
        (
            "shop",
            no_lock.addr.clone(),
            &["two orders", "a list that comes", "two buyers", "nothing is"],
        ),
    ];
    thread::scope(|scope| {
        for (exercise, addr, fails) in &servers {
            scope.spawn(move || {
                let (report, text) = checked(exercise, addr);
                let asked = report.asked;
                assert_eq!(asked.len(), fails.len(), "{exercise}:\n{text}");
                let mut pairs = asked.iter().zip(*fails);
                assert!(pairs.all(|(name, start)| name.starts_with(start)), "{fails:?}:\n{text}");
            });
        }
        for (exercise, server) in &ours {
            scope.spawn(|| {
                let (report, text) = checked(exercise, &server.addr);
                assert!(report.holds(true), "{text}");
            });
        }
    });
}

#[test]
fn the_status_is_that_of_the_first_group_or_of_both() {
    let one = || vec!["a check"];
    let [both, asked, further] = [(vec![], vec![]), (one(), vec![]), (vec![], one())]
        .map(|(asked, further)| Report { asked, further });
    assert!(both.holds(false) && both.holds(true));
    assert!(!asked.holds(false) && !asked.holds(true));
    assert!(further.holds(false) && !further.holds(true));
}

#[test]
fn a_failure_says_what_was_sent_expected_and_received_with_a_hint_that_is_true() {
    let say = |answer: &'static str| {
        serve(
            true,
            by_line(move |_: &str, mut stream: TcpStream| stream.write_all(answer.as_bytes())),
        )
    };
    let cases = [
        (
            "echo",
            say("bonjour\nbonjour\n"),
            "        sent: \"bonjour\\n\"\n    expected: the same string\n         \
             got: \"bonjour\\nbonjour\\n\"\n        hint: something was added\n",
        ),
        ("echo", say("\u{feff}bonjour\n"), "        hint: a byte-order mark came first\n"),
        ("math", say("Résultat : 6\n"), "        hint: one number, with nothing around it\n"),
        ("math", say("\u{feff}6\n"), "        hint: a byte-order mark came first\n"),
        ("math", say("5\n"), "    expected: the answer 6\n         got: \"5\"\n- `moyenne`"),
        ("math", say("error 42: what is somme?\n"), "what is somme?\"\n- `moyenne`"),
        ("random-stream", numbers(|index| (index, "42".to_owned())), "and none came\n"),
        ("shop", shop(&["reads as it writes"]), "the lock that it holds?\n"),
    ];
    thread::scope(|scope| {
        for (exercise, addr, shown) in &cases {
            scope.spawn(move || {
                let (_, text) = checked(exercise, addr);
                assert!(text.contains(shown), "{shown}\n{text}");
            });
        }
    });
}

#[test]
fn whatever_the_server_does_the_run_ends_and_shows_no_control_character() {
    thread::scope(|scope| {
        for exercise in EXERCISES {
            for (server, limit) in [
                (serve(true, |stream| drip(stream, b"", SECOND)), 45),
                (serve(true, |stream| drip(stream, b"\x1b[2J\x07 ", SECOND / 5)), 45),
                (serve(true, |stream| drip(stream, &[b'1'; 4096], Duration::ZERO)), 30),
                (serve(true, |stream| drip(stream, b"\x1b\n\n", Duration::ZERO)), 30),
                (serve(true, |stream| drip(stream, b"1\t9223372036854775807\tx\n\n", SECOND)), 45),
                (serve(true, |stream| drip(stream, b"1\n", SECOND / 4)), 45),
            ] {
                scope.spawn(move || {
                    let began = Instant::now();
                    let (report, text) = checked(exercise, &server);
                    assert!(!report.asked.is_empty() || !report.further.is_empty(), "{text}");
                    assert!(began.elapsed() < SECOND * limit, "{exercise}:\n{text}");
                    let mut shown = text.chars().filter(|character| *character != '\n');
                    assert!(!shown.any(char::is_control), "{exercise}:\n{text}");
                });
            }
        }
    });
}

#[test]
fn where_nobody_listens_there_is_nothing_to_check() {
    let (addr, _connection) = taken_addr();
    let error = format!("{:#}", check("echo", &addr, None, io::sink()).unwrap_err());
    assert!(error.starts_with(&format!("cannot connect to {addr}: ")), "{error}");
}

/// Starts a server that gives each client to `handle`, on a thread of its own or else one
/// after the other, and returns its address.
fn serve(
    at_once: bool,
    handle: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let handle = handle.clone();
            let thread = thread::spawn(move || {
                let _ = handle(stream); // The client may reset the connection.
            });
            if !at_once {
                thread.join().unwrap();
            }
        }
    });
    addr
}

/// Handles one line, and closes.
fn by_line(
    handle: impl Fn(&str, TcpStream) -> io::Result<()> + Clone,
) -> impl Fn(TcpStream) -> io::Result<()> + Clone {
    move |stream| {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        handle(&line, stream)
    }
}

/// Sends `bytes` again and again, with `pause` between.
fn drip(mut stream: TcpStream, bytes: &[u8], pause: Duration) -> io::Result<()> {
    loop {
        stream.write_all(bytes)?;
        thread::sleep(pause);
    }
}

/// A random-stream server whose number `index` is what `number` says, so many seconds after the
/// client came.
fn numbers(number: impl Fn(u32) -> (u32, String) + Clone + Send + 'static) -> String {
    serve(true, move |mut stream| {
        let began = Instant::now();
        for index in 0.. {
            let (seconds, number) = number(index);
            thread::sleep((SECOND * seconds).saturating_sub(began.elapsed()));
            stream.write_all(number.as_bytes())?;
        }
        Ok(())
    })
}

/// A math server that knows the statement's five words, and one question a connection, but for
/// the `ways` in which it is another one.
fn math(
    ways: &'static [&'static str],
) -> impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static {
    let is = |way| ways.contains(&way);
    let has_died = Arc::new(AtomicBool::new(false));
    let shared = Arc::new(Mutex::new(Vec::new()));
    move |mut stream| {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        while let Some(line) = lines.next().transpose()? {
            if has_died.load(Ordering::SeqCst) {
                return Ok(());
            }
            let mut words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            while is("a token a line") && words.last().is_some_and(|word| word != "=") {
                let Some(word) = lines.next().transpose()? else { return Ok(()) };
                shared.lock().unwrap().extend(word.parse::<f64>());
                words.push(word);
            }
            let [action, numbers @ .., equals] = &words[..] else { return Ok(()) };
            let numbers: Option<Vec<f64>> = numbers.iter().map(|word| word.parse().ok()).collect();
            has_died.fetch_or(is("dies of words") && numbers.is_none(), Ordering::SeqCst);
            let (Some(mut numbers), "=") = (numbers, &**equals) else {
                if is("says when it is wrong") {
                    writeln!(stream, "erreur")?;
                    continue;
                }
                return Ok(());
            };
            if is("one list for all") {
                numbers = std::mem::take(&mut shared.lock().unwrap());
            }
            if is("integers") && numbers.iter().any(|number| number.fract() != 0.0) {
                return Ok(());
            }
            if is("from zero") && ["min", "max"].contains(&&**action) {
                numbers.push(0.0);
            }
            let Some(answer) = answer(action, &numbers, is("n - 1")) else { return Ok(()) };
            let answer = if is("integers") { answer.trunc() } else { answer }.to_string();
            let sign = if is("a decimal comma") { "," } else { "." };
            writeln!(stream, "{}", answer.replace('.', sign))?;
            if !is("many questions") {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn answer(action: &str, numbers: &[f64], is_sample: bool) -> Option<f64> {
    let n: f64 = numbers.iter().map(|_| 1.0).sum();
    let mean = numbers.iter().sum::<f64>() / n;
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    Some(match action {
        "somme" => numbers.iter().sum(),
        "moyenne" => mean,
        "écart-type" => (squares / if is_sample { n - 1.0 } else { n }).sqrt(),
        "min" => numbers.iter().copied().fold(f64::INFINITY, f64::min),
        "max" => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        _ => return None,
    })
}

/// A shop that takes one order a client, but for the `ways` in which it is another one.
fn shop(ways: &'static [&'static str]) -> String {
    let is = |way| ways.contains(&way);
    let product = |id, quantity, name: &str| Product { id, quantity, name: name.to_owned() };
    let stock = Arc::new(RwLock::new(vec![product(1, 10, "Keyboard"), product(2, 1, "Torch")]));
    serve(true, move |mut stream| {
        let list = |stock: &[Product]| -> String {
            thread::sleep(DELAY);
            stock.iter().map(|product| format!("{product}\n")).collect()
        };
        let text = if is("lists under the write lock") {
            list(&stock.write().unwrap())
        } else if is("waits after the list") {
            let text = stock.read().unwrap().iter().map(|product| format!("{product}\n")).collect();
            thread::sleep(DELAY);
            text
        } else if is("lists under no lock") {
            thread::sleep(DELAY);
            stock.read().unwrap().iter().map(|product| format!("{product}\n")).collect()
        } else {
            list(&stock.read().unwrap())
        };
        writeln!(stream, "{text}")?;
        let mut line = String::new();
        if BufReader::new(&stream).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let order = line.parse::<Order>();
        let find = |stock: &[Product]| {
            let order = order.as_ref().ok()?;
            let is_it =
                |product: &Product| product.id == order.id && product.quantity >= order.quantity;
            stock.iter().position(is_it)
        };
        let early = is("checks before the lock").then(|| {
            let found = find(&stock.read().unwrap());
            thread::sleep(DELAY / 5); // Long enough for another one to check.
            found
        });
        let mut guard = stock.write().unwrap();
        let found = early.unwrap_or_else(|| find(&guard));
        if is("reads as it writes") {
            drop(stock.read());
        }
        let (Some(found), Ok(order)) = (found, &order) else {
            return writeln!(stream, "error: no");
        };
        if !is("orders at once") {
            thread::sleep(DELAY);
        }
        guard[found].quantity -= order.quantity;
        writeln!(stream, "confirmed: {}", guard[found].quantity)
    })
}
