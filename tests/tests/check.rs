//! The checker: right servers pass, however little more than the statement they do, each mistake
//! fails the check that is about it and no other, and every run ends.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use shop::{Order, Product};
use tests::checker::{EXERCISES, Report, check};
use tests::{Server, program};

/// How long the shops of this page take.
const DELAY: Duration = Duration::from_millis(500);

const SECOND: Duration = Duration::from_secs(1);

/// Checks a server; returns the report as data and as text.
fn checked(exercise: &str, addr: &str) -> (Report, String) {
    let mut text = Vec::new();
    let report = check(exercise, addr, &mut text).unwrap();
    (report, String::from_utf8(text).unwrap())
}

/// Checks all of the servers at once: of what each exercise asks, just these checks must fail.
#[track_caller]
fn assert_fails(servers: &[(&str, String, &[&str])]) {
    let wrong: Vec<String> = thread::scope(|scope| {
        let check = |(exercise, addr, fails): &(&str, String, &[&str])| {
            let (report, text) = checked(exercise, addr);
            (report.asked != *fails).then(|| format!("expected {fails:?} of {exercise}:\n{text}"))
        };
        let threads: Vec<_> =
            servers.iter().map(|server| scope.spawn(move || check(server))).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn our_servers_do_what_is_asked_and_what_goes_further() {
    let flags = |exercise| if exercise == "shop" { &["--delay", "0.5"][..] } else { &[] };
    let path = [
        program!("echo-server"),
        program!("random-stream-server"),
        program!("math-server"),
        program!("shop-server"),
    ];
    thread::scope(|scope| {
        for (exercise, path) in EXERCISES.into_iter().zip(path) {
            scope.spawn(move || {
                let server = Server::start(path, flags(exercise));
                let (report, text) = checked(exercise, &server.addr);
                assert_eq!(report, Report::default(), "{text}");
            });
        }
    });
}

#[test]
fn without_its_lock_our_shop_fails_three_checks() {
    let server = Server::start(program!("shop-server"), &["--delay", "0.5", "--no-lock"]);
    let fails = [
        "two orders at once take turns",
        "a list that comes during an order waits for it",
        "two buyers of all that is left: one gets it",
        "nothing is ever below zero",
    ];
    assert_fails(&[("shop", server.addr.clone(), &fails)]);
}

#[test]
fn a_server_that_does_no_more_than_the_statement_says_does_what_is_asked() {
    let trimmed = |line: &str, mut stream: TcpStream| stream.write_all(line.trim_end().as_bytes());
    let with_cr_lf = |line: &str, mut stream: TcpStream| {
        stream.write_all(line.trim_end().as_bytes())?;
        stream.write_all(b"\r\n")
    };
    let per_packet = |mut stream: TcpStream| {
        let mut buffer = [0; 1024];
        let length = stream.read(&mut buffer)?;
        stream.write_all(&buffer[..length])
    };
    assert_fails(&[
        ("echo", serve(false, by_line(trimmed)), &[]),
        ("echo", serve(false, by_line(with_cr_lf)), &[]),
        ("echo", serve(false, per_packet), &[]),
        // Numbers with decimals, the first of them late.
        (
            "random-stream",
            numbers(|index| (index + 1, format!("0.{}\r\n", index * 7919 % 97))),
            &[],
        ),
        ("math", serve(true, math(Math { comma: true, ..Math::RIGHT })), &[]),
        ("math", serve(true, math(Math { sample: true, tokens: true, ..Math::RIGHT })), &[]),
        ("math", serve(true, math(Math { tokens: true, ..Math::RIGHT })), &[]),
        ("shop", shop(Shop::RIGHT), &[]),
    ]);
}

#[test]
fn each_mistake_fails_the_check_that_is_about_it_and_no_other() {
    let capitals =
        |line: &str, mut stream: TcpStream| stream.write_all(line.to_uppercase().as_bytes());
    let random = |index: u32| format!("{}\n", index * 7919 % 97);
    let by_the_clock = &["a number comes each second, eight of them by the clock"][..];
    let two_clients = &["two clients at once each get their own answer"][..];
    let echo = ["a string comes back", "the next client's string comes back, too"];
    let one_at_a_time: &[&str] = &[
        "three clients at once get a number a second each",
        "when one client has crashed, the others go on, and new ones come",
    ];
    let has_died = Arc::new(AtomicBool::new(false));
    let dies_of_deux = math(Math { dies: Some(has_died), ..Math::RIGHT });
    assert_fails(&[
        ("echo", serve(true, by_line(capitals)), &echo),
        ("random-stream", numbers(move |index| (index / 2 * 2, random(index))), by_the_clock),
        ("random-stream", numbers(move |index| (index / 8, random(index))), by_the_clock),
        (
            "random-stream",
            numbers(move |index| (if index < 6 { index } else { 1000 }, random(index))),
            by_the_clock,
        ),
        ("random-stream", numbers(|index| (index, "42\n".to_owned())), &["the numbers differ"]),
        ("random-stream", serve(false, |stream| send_numbers(stream, 20)), one_at_a_time),
        (
            "math",
            serve(true, math(Math { integers: true, ..Math::RIGHT })),
            &["an answer may have decimals", "numbers may have decimals"],
        ),
        ("math", serve(false, math(Math { many: true, ..Math::RIGHT })), two_clients),
        (
            "math",
            {
                let numbers = Arc::new(Mutex::new(Vec::new()));
                serve(true, math(Math { tokens: true, shared: Some(numbers), ..Math::RIGHT }))
            },
            &[
                "two clients at once each get their own answer",
                "a client that breaks off, or says `deux`, disturbs nobody after it",
            ],
        ),
        (
            "math",
            serve(true, dies_of_deux),
            &["a client that breaks off, or says `deux`, disturbs nobody after it"],
        ),
        (
            "shop",
            shop(Shop { lists_alone: true, ..Shop::RIGHT }),
            &["four lists at once take the time of one"],
        ),
        (
            "shop",
            shop(Shop { lists_freely: true, ..Shop::RIGHT }),
            &["a list that comes during an order waits for it"],
        ),
        (
            "shop",
            shop(Shop { orders_at_once: true, ..Shop::RIGHT }),
            &[
                "an order takes as long, and a later list shows it",
                "two orders at once take turns",
                "a list that comes during an order waits for it",
            ],
        ),
        (
            "shop",
            shop(Shop { checks_before: true, ..Shop::RIGHT }),
            &["two buyers of all that is left: one gets it", "nothing is ever below zero"],
        ),
    ]);
}

#[test]
fn a_failure_says_what_was_sent_expected_and_received_and_a_hint_that_follows_from_it() {
    let say = |answer: &'static str| {
        serve(
            true,
            by_line(move |_: &str, mut stream: TcpStream| stream.write_all(answer.as_bytes())),
        )
    };
    for (exercise, addr, shown) in [
        (
            "echo",
            say("bonjour\nbonjour\n"),
            "        sent: \"bonjour\\n\"\n    expected: the same string\n         \
             got: \"bonjour\\nbonjour\\n\"\n        hint: something was added\n",
        ),
        ("echo", say("\u{feff}bonjour\n"), "        hint: a byte-order mark came first\n"),
        ("math", say("Résultat : 6\n"), "        hint: one number, with nothing around it\n"),
        ("math", say("\u{feff}6\n"), "        hint: a byte-order mark came first\n"),
        ("math", say("5\n"), "    expected: the answer 6\n         got: 5\n- `moyenne`"),
        ("random-stream", numbers(|index| (index, "42".to_owned())), "and none came\n"),
        ("shop", shop(Shop { deadlocks: true, ..Shop::RIGHT }), "the lock that it holds?\n"),
    ] {
        let (_, text) = checked(exercise, &addr);
        assert!(text.contains(shown), "{shown}\n{text}");
    }
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
                (serve(true, |stream| drip(stream, b"1\n", SECOND)), 45),
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
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = format!("{:#}", check("echo", &addr, io::sink()).unwrap_err());
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

/// Sends so many numbers, one a second.
fn send_numbers(mut stream: TcpStream, count: u32) -> io::Result<()> {
    (0..count).try_for_each(|index| {
        writeln!(stream, "{}", index * 7919 % 97)?;
        thread::sleep(SECOND);
        Ok(())
    })
}

/// How a math server goes about it.
#[derive(Clone)]
struct Math {
    /// It takes a token a line, in place of a question a line.
    tokens: bool,
    /// It writes a decimal comma.
    comma: bool,
    /// It divides by n - 1.
    sample: bool,
    /// It knows integers alone.
    integers: bool,
    /// It answers more than one question a connection.
    many: bool,
    /// All clients share these numbers.
    shared: Option<Arc<Mutex<Vec<f64>>>>,
    /// It ends when it is told what is no number.
    dies: Option<Arc<AtomicBool>>,
}

impl Math {
    const RIGHT: Self = Self {
        tokens: false,
        comma: false,
        sample: false,
        integers: false,
        many: false,
        shared: None,
        dies: None,
    };
}

/// A math server that knows the statement's five words, and one question a connection.
fn math(math: Math) -> impl Fn(TcpStream) -> io::Result<()> + Clone {
    move |mut stream| {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let numbers = math.shared.clone().unwrap_or_default();
        while let Some(line) = lines.next().transpose()? {
            if math.dies.as_ref().is_some_and(|dies| dies.load(Ordering::SeqCst)) {
                return Ok(());
            }
            let mut words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            while math.tokens && words.last().is_some_and(|word| word != "=") {
                let Some(word) = lines.next().transpose()? else { return Ok(()) };
                numbers.lock().unwrap().extend(word.parse::<f64>());
                words.push(word);
            }
            let [action, rest @ .., equals] = &words[..] else { return Ok(()) };
            if equals != "=" {
                return Ok(());
            }
            let parsed: Option<Vec<f64>> = rest.iter().map(|word| word.parse().ok()).collect();
            let Some(mut parsed) = parsed else {
                if let Some(dies) = &math.dies {
                    dies.store(true, Ordering::SeqCst);
                }
                return Ok(());
            };
            if math.shared.is_some() {
                parsed = std::mem::take(&mut numbers.lock().unwrap());
            }
            let Some(answer) = answer(action, &parsed, math.sample) else { return Ok(()) };
            let answer = match answer.to_string() {
                _ if math.integers && parsed.iter().any(|number| number.fract() != 0.0) => {
                    return Ok(());
                }
                _ if math.integers => answer.trunc().to_string(),
                answer if math.comma => answer.replace('.', ","),
                answer => answer,
            };
            writeln!(stream, "{answer}")?;
            if !math.many {
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

/// How a shop goes about it.
#[derive(Clone, Copy, Default)]
struct Shop {
    /// It lists under the write lock.
    lists_alone: bool,
    /// It lists under no lock.
    lists_freely: bool,
    /// It does not wait between check and change.
    orders_at_once: bool,
    /// It checks an order before it takes the lock.
    checks_before: bool,
    /// It lists while it holds the write lock.
    deadlocks: bool,
}

impl Shop {
    const RIGHT: Self = Self {
        lists_alone: false,
        lists_freely: false,
        orders_at_once: false,
        checks_before: false,
        deadlocks: false,
    };
}

/// A shop that takes one order a client.
fn shop(shop: Shop) -> String {
    let product = |id, quantity, name: &str| Product { id, quantity, name: name.to_owned() };
    let stock = Arc::new(RwLock::new(vec![product(1, 10, "Keyboard"), product(2, 1, "Torch")]));
    serve(true, move |mut stream| {
        let list = |stock: &[Product]| -> String {
            thread::sleep(DELAY);
            stock.iter().map(|product| format!("{product}\n")).collect()
        };
        let text = if shop.lists_alone {
            list(&stock.write().unwrap())
        } else if shop.lists_freely {
            thread::sleep(DELAY);
            stock.read().unwrap().iter().map(|product| format!("{product}\n")).collect()
        } else {
            list(&stock.read().unwrap())
        };
        writeln!(stream, "{text}")?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        let order = line.parse::<Order>();
        let find = |stock: &[Product]| {
            let order = order.as_ref().ok()?;
            let is_it =
                |product: &Product| product.id == order.id && product.quantity >= order.quantity;
            stock.iter().position(is_it)
        };
        let early = shop.checks_before.then(|| {
            let found = find(&stock.read().unwrap());
            thread::sleep(DELAY / 5); // Long enough for another one to check.
            found
        });
        let mut guard = stock.write().unwrap();
        let found = early.unwrap_or_else(|| find(&guard));
        if shop.deadlocks {
            drop(stock.read());
        }
        let (Some(found), Ok(order)) = (found, &order) else {
            return writeln!(stream, "error: no");
        };
        if !shop.orders_at_once {
            thread::sleep(DELAY);
        }
        guard[found].quantity -= order.quantity;
        writeln!(stream, "confirmed: {}", guard[found].quantity)
    })
}
