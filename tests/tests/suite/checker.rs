//! The checker: right servers pass, however they write, each mistake fails its own checks, and
//! every run ends.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use echo::cli::EXERCISES;
use shop::{Order, Product};
use tests::checker::{Report, check};
use tests::{Program, Server, program, refusing_addr};

/// How long the shops of this file take: longer where it takes longer to connect.
const DELAY: Duration = Duration::from_millis(if cfg!(windows) { 600 } else { 300 });

const SECOND: Duration = Duration::from_secs(1);

/// Checks a server; returns the report as data and as text.
fn checked(exercise: &str, addr: &str, example: Option<&str>) -> (Report, String) {
    let mut text = Vec::new();
    let report = check(exercise, addr, example, &mut text).unwrap();
    (report, String::from_utf8(text).unwrap())
}

/// Checks all of these at once: each must fail the checks that begin so, and no others.
fn check_all(servers: Vec<(&str, String, &[&str])>) {
    thread::scope(|scope| {
        for (exercise, addr, fails) in servers {
            scope.spawn(move || {
                let (report, text) = checked(exercise, &addr, None);
                let mut pairs = report.asked.iter().zip(fails);
                let are_those = pairs.all(|(name, start)| name.starts_with(start));
                assert!(are_those && report.asked.len() == fails.len(), "{fails:?}:\n{text}");
            });
        }
    });
}

/// Checks all of these at once: each report must contain this text.
fn check_texts(servers: &[(&str, String, &str)]) {
    thread::scope(|scope| {
        for (exercise, addr, shown) in servers {
            scope.spawn(move || {
                let (_, text) = checked(exercise, addr, None);
                assert!(text.contains(shown), "{shown}\n{text}");
            });
        }
    });
}

#[test]
fn our_servers_hold_all_and_go_further() {
    let ours = [
        ("echo", Server::start(program!("echo-server"), &[])),
        ("random-stream", Server::start(program!("random-stream-server"), &[])),
        ("math", Server::start(program!("math-server"), &[])),
        ("shop", Server::start(program!("shop-server"), &["--delay", "0.25"])),
    ];
    thread::scope(|scope| {
        for (exercise, server) in &ours {
            scope.spawn(|| {
                let (report, text) = checked(exercise, &server.addr, None);
                assert!(report.holds(true), "{text}");
            });
        }
    });
}

#[test]
fn right_servers_pass_however_they_write() {
    let barest = Program::start(program!("echo-barest"), &["127.0.0.1:0"]);
    let barest_addr = barest.stdout.wait("listening on ").replace("listening on ", "");
    let trimmed = |line: &str, mut stream: TcpStream| stream.write_all(line.trim_end().as_bytes());
    let with_cr_lf = |line: &str, mut stream: TcpStream| write!(stream, "{}\r\n", line.trim_end());
    let per_packet = |mut stream: TcpStream| {
        let mut buffer = [0; 1024];
        let length = stream.read(&mut buffer)?;
        stream.write_all(&buffer[..length])
    };
    let greets = |mut stream: TcpStream| {
        writeln!(stream, "Welcome! What shall come back?")?;
        for (index, line) in BufReader::new(stream.try_clone()?).lines().enumerate() {
            writeln!(stream, "message {index}, you said: {}", line?)?;
        }
        Ok(())
    };
    let random = |index: u32| index * 7919 % 97;
    check_all(vec![
        ("echo", barest_addr, &[]),
        ("echo", serve(false, by_line(trimmed)), &[]),
        ("echo", serve(false, by_line(with_cr_lf)), &[]),
        ("echo", serve(false, per_packet), &[]),
        ("echo", serve(false, at_the_end), &[]),
        ("echo", serve(true, after_cr_lf), &[]),
        ("echo", serve(true, greets), &[]),
        ("random-stream", numbers(move |i| (i, format!("0.{}\r\n", random(i)))), &[]),
        ("random-stream", numbers(move |i| (i, format!("{:5}", random(i)))), &[]),
        (
            "random-stream",
            numbers(move |i| (i, format!("{{\"rank\":{i},\"number\":{}}}", random(i)))),
            &[],
        ),
        ("random-stream", numbers(move |i| (i, format!("{} (number {i})\n", random(i)))), &[]),
        ("math", serve(true, math(&["a decimal comma"])), &[]),
        ("math", serve(true, math(&["a token a line", "n - 1"])), &[]),
        ("math", serve(true, math(&["many questions", "says when it is wrong"])), &[]),
        ("math", serve(true, math(&["English", "labels", "greets", "two decimals"])), &[]),
        ("math", serve(true, math(&["commas", "labels"])), &[]),
        ("math", serve(true, math(&["a token a line", "a count and a menu"])), &[]),
        ("shop", shop(&[]), &[]),
        ("shop", shop(&["a table", "one moment"]), &[]),
        ("shop", shop(&["JSON", "on two lines"]), &[]),
    ]);
}

#[test]
fn what_comes_right_after_a_notice_is_the_list_or_the_answer() {
    let soon = shop(&["a table", "one moment", "220 ms"]);
    check_texts(&[("shop", soon, "✔ an order takes the time of a list\n")]);
}

#[test]
fn what_cannot_be_guessed_is_shown_by_an_example() {
    let cases = [
        ("math", serve(true, math(&["JSON"])), r#"{"do":"somme","with":[1, 2, 3]}\n=\n"#),
        ("math", serve(true, math(&["no accent"])), r"ecart-type 1 2 3 =\n"),
        ("math", serve(true, math(&["camel case"])), r"standardDeviation 1 2 3 =\n"),
        ("math", serve(true, math(&["a number each"])), r"1 1 2 3 =\n"),
        ("shop", shop(&["by name"]), r"take 3 of 1\n"),
    ];
    thread::scope(|scope| {
        for (exercise, addr, example) in &cases {
            scope.spawn(move || {
                let (report, text) = checked(exercise, addr, Some(example));
                assert_eq!(report.asked, [""; 0], "{text}");
            });
        }
        // A guess with the id for the quantity, and the other way round, is not taken for right.
        scope.spawn(|| {
            let (_, text) = checked("shop", &shop(&["as many x what"]), None);
            assert!(text.contains("✘ an order is carried out"), "{text}");
        });
        // Without it, the failure says what was tried, and how to show one.
        scope.spawn(|| {
            let (_, text) = checked("math", &serve(true, math(&["JSON"])), None);
            let sent = "        sent: \"max\\n4\\n14\\n27\\n=\\n\", and for ";
            assert!(text.contains(sent), "{text}");
            assert!(text.contains(" is asked, such as --say 'somme 1 2 3 =\\n'\n"), "{text}");
        });
    });
    for (exercise, example) in
        [("math", "somme 1 2"), ("math", "1 2 3 ="), ("shop", "1 2"), ("math", r"\x"), ("echo", "")]
    {
        let error = check(exercise, &cases[0].1, Some(example), io::sink()).unwrap_err();
        assert!(error.to_string().starts_with("--say"), "{error:#}");
    }
}

#[test]
fn each_mistake_fails_its_own_checks() {
    let no_lock = Server::start(program!("shop-server"), &["--delay", "0.25", "--no-lock"]);
    let without_accents = |line: &str, mut stream: TcpStream| {
        stream.write_all(line.replace(|char: char| !char.is_ascii(), "").as_bytes())
    };
    let random = |index: u32| format!("{}\n", index * 7919 % 97);
    let stops = |index| if index < 6 { index } else { 1000 };
    let one_number = |mut stream: TcpStream| writeln!(stream, "42");
    let no_string: &[&str] = &["a string comes", "the next", "a string with", "a string of"];
    check_all(vec![
        ("echo", say("BONJOUR\n"), no_string),
        ("echo", serve(true, by_line(without_accents)), &["a string with accents"]),
        ("echo", serve(true, grows), &["a string of 100 bytes"]),
        (
            "echo",
            once(by_line(|line: &str, mut to: TcpStream| write!(to, "{line}"))),
            &no_string[1..],
        ),
        ("random-stream", numbers_every(0.6, move |i| (i, random(i))), &["a number comes each"]),
        (
            "random-stream",
            numbers(move |i| (stops(i), random(i))),
            &["a number comes each", "when a client"],
        ),
        ("random-stream", numbers(|i| (i, "42\n".to_owned())), &["the numbers are"]),
        ("random-stream", numbers(|i| (i, format!("{i}\n"))), &["the numbers are"]),
        (
            "random-stream",
            numbers(|i| (i, format!("42 at 9:{:02}:{i}\n", i / 4))),
            &["the numbers are"],
        ),
        (
            "random-stream",
            serve(true, one_number),
            &["a number comes each", "three", "the numbers", "when the first", "when a client"],
        ),
        ("math", serve(true, math(&["integers"])), &["a mean", "numbers may"]),
        ("math", serve(true, math(&["a token a line", "answers early"])), &["nothing is answered"]),
        ("math", serve(true, math(&["from zero"])), &["`min`", "`max`"]),
        ("math", serve(false, math(&["many questions"])), &["two clients"]),
        (
            "math",
            serve(true, math(&["a token a line", "one list for all"])),
            &["two clients", "a client that breaks off"],
        ),
        ("math", serve(true, math(&["many questions", "keeps its list"])), &["the next question"]),
        ("shop", shop(&["lists under the write lock"]), &["four lists"]),
        ("shop", shop(&["lists under no lock"]), &["a list that comes", "an order that comes"]),
        ("shop", shop(&["waits after the list"]), &["an order that comes"]),
        ("shop", shop(&["always confirms"]), &["two buyers"]),
        (
            "shop",
            shop(&["orders at once"]),
            &["an order takes", "two orders", "a list that comes", "an order that comes"],
        ),
        (
            "shop",
            shop(&["checks under the read lock", "on two lines"]),
            &["two buyers", "nothing is"],
        ),
        (
            "shop",
            shop(&["sells what it has not"]),
            &["an order of too many", "two buyers", "nothing is"],
        ),
        (
            "shop",
            no_lock.addr.clone(),
            &["two orders", "a list that comes", "two buyers", "nothing is"],
        ),
    ]);
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
fn a_failure_of_echo_says_what_came_with_a_hint_that_is_true() {
    let greets = |mut stream: TcpStream| {
        writeln!(stream, "welcome")?;
        echo_all(stream)
    };
    let never_ends = |stream: TcpStream| {
        echo_all(stream.try_clone()?)?;
        drip(stream, b"", SECOND)
    };
    let takes_no_capitals = |mut stream: TcpStream| {
        let mut buffer = [0; 4096];
        loop {
            let length = stream.read(&mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            if !buffer[..length].iter().any(u8::is_ascii_uppercase) {
                stream.write_all(&buffer[..length])?;
            }
        }
    };
    let half_close = |mut stream: TcpStream| {
        let mut buffer = vec![0; 200_000];
        loop {
            let length = stream.read(&mut buffer)?;
            thread::sleep(SECOND / 10);
            if length == 0
                || stream.set_nonblocking(true).is_ok() && matches!(stream.peek(&mut [0]), Ok(0))
            {
                return Ok(());
            }
            stream.set_nonblocking(false)?;
            stream.write_all(&buffer[..length])?;
        }
    };
    let cases = [
        ("echo", serve(true, grows), "hint: what comes with it is \"abcdefgh"),
        ("echo", say("bonjour"), "        hint: the line end is missing\n"),
        ("echo", say("bonjour\r\n"), "        hint: \\n has become \\r\\n\n"),
        ("echo", say("you said: bonjour\n"), "        hint: something was added\n"),
        (
            "echo",
            say("BONJOUR\n"),
            "        hint: it came back in capitals, which is another string\n",
        ),
        ("echo", serve(true, at_the_end), "hint: nothing comes until the sending has ended\n"),
        ("echo", serve(true, after_cr_lf), "        hint: nothing comes until \\r\\n\n"),
        ("echo", serve(true, |to| drip(to, b"", SECOND)), "        hint: does it send"),
        (
            "echo",
            say("bon jour\n"),
            "    expected: the string `bonjour`\n        sent: \"bonjour\\n\"\n         got: \
             \"bon jour\\n\"",
        ),
        ("echo", serve(true, greets), "        hint: a greeting came first\n"),
        (
            "echo",
            serve(true, never_ends),
            "hint: no end: does it stop when a read returns 0 bytes?\n",
        ),
        ("echo", serve(true, half_close), "after the client has ended its sending?\n"),
        ("echo", serve(false, echo_all), "hint: does each client have a thread, or a timer"),
        ("echo", say("\u{feff}bonjour\n"), "        hint: a byte-order mark came first\n"),
        (
            "echo",
            once(echo_all),
            "        hint: the first client has left, and the server with it\n- a string with",
        ),
    ];
    thread::scope(|scope| {
        scope.spawn(|| check_texts(&cases));
        // None of its clients waits for another one.
        let (_, text) = checked("echo", &serve(true, takes_no_capitals), None);
        assert!(!text.contains("thread"), "{text}");
    });
}

#[test]
fn a_failure_of_the_others_says_what_came_with_a_hint_that_is_true() {
    let silent = serve(true, |stream| drip(stream, b"", SECOND));
    // Each tick goes to one of its clients, in turn.
    let tickets = Arc::new(Mutex::new(0_u32));
    let shared_ticker = move |mut stream: TcpStream| {
        let began = Instant::now();
        let (turn, clients) = {
            let mut count = tickets.lock().unwrap();
            *count += 1;
            if *count == 1 { (0, 1) } else { (*count % 3, 3) }
        };
        for index in (0_u32..).filter(|index| index % clients == turn) {
            thread::sleep((SECOND * index).saturating_sub(began.elapsed()));
            writeln!(stream, "{}", index * 7919 % 97)?;
        }
        Ok(())
    };
    let cases = [
        ("random-stream", serve(true, shared_ticker), "hint: do all clients share one ticker?"),
        (
            "math",
            serve(false, math(&["many questions"])),
            "        hint: does each client have a thread, or a timer, of its own?\n",
        ),
        (
            "math",
            serve(true, math(&["a token a line", "one list for all"])),
            "        hint: are their numbers kept apart?\n",
        ),
        ("random-stream", silent.clone(), "    expected: a number\n         got: nothing for 3."),
        ("shop", silent, "        hint: is a lock held that is never released?\n"),
        ("shop", serve(true, |mut to| writeln!(to, "1 30\n2 20")), "0.2 s or more"),
        ("math", say("error 42: what is somme?\n"), "got: \"error 42: what is somme?\\n\""),
        (
            "math",
            once(by_line(|_: &str, _| Ok(()))),
            "        hint: it ended when that was sent: start it again\n        hint: show how",
        ),
        (
            "math",
            fragile(math(&["no accent", "a token a line"])),
            "hint: it ended when that was sent: start it again\n        hint: show its name, such as \
             --say \"ecart",
        ),
        ("shop", shop(&["reads as it writes"]), "or does it wait for a lock that it holds?\n"),
        (
            "shop",
            shop(&["sells what it has not"]),
            "- nothing is ever below zero: not tried, an order of too many was carried out\n",
        ),
        (
            "shop",
            shop(&["takes the id for an index"]),
            "         got: another one falls when product 1 is ordered\n        hint: is an id taken \
             for an index?\n- an order takes the time of a list: not tried, no order",
        ),
        ("shop", shop(&["keeps the lock"]), "or does it wait for a lock that it holds?\n"),
        ("shop", shop(&["waits for the client"]), "it must come unasked\n- an order is"),
        (
            "shop",
            shop(&["never answers"]),
            "later list shows the order, but no answer came\n- an order",
        ),
    ];
    check_texts(&cases);
}

#[test]
fn whatever_the_server_does_the_run_ends_and_shows_no_control_character() {
    thread::scope(|scope| {
        for exercise in EXERCISES {
            let example = match exercise {
                "math" => Some("somme 1 2 3 ="),
                "shop" => Some("1 3"),
                _ => None,
            };
            for (example, server) in [
                (example, serve(true, |stream| drip(stream, b"", SECOND))),
                (example, serve(true, |stream| drip(stream, b"\x1b[2J\x07 1 2\n", SECOND / 5))),
                (example, serve(true, |stream| drip(stream, &[b'1'; 4096], Duration::ZERO))),
                (example, serve(true, |stream| drip(stream, b"\x1b\n\n", Duration::ZERO))),
                (
                    example,
                    serve(true, |stream| drip(stream, b"1\t9223372036854775807\tx\n\n", SECOND)),
                ),
                (example, serve(true, |stream| drip(stream, b"1\n", SECOND / 4))),
                (example, serve(true, |stream| drip(stream, b"1 2 1\n", Duration::ZERO))),
            ] {
                scope.spawn(move || {
                    let began = Instant::now();
                    let (report, text) = checked(exercise, &server, example);
                    assert!(!report.asked.is_empty() || !report.further.is_empty(), "{text}");
                    assert!(began.elapsed() < SECOND * 45, "{exercise}:\n{text}");
                    let mut shown = text.chars().filter(|character| *character != '\n');
                    assert!(!shown.any(char::is_control), "{exercise}:\n{text}");
                });
            }
        }
    });
}

#[test]
fn where_nobody_listens_there_is_nothing_to_check() {
    let (addr, _connection) = refusing_addr("127.0.0.1");
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
                let _ = to_the_end(stream, handle); // The client may reset the connection.
            });
            if !at_once {
                thread.join().unwrap();
            }
        }
    });
    addr
}

/// Starts a server that takes one client after another, and ends with the first error.
fn fragile(handle: impl Fn(TcpStream) -> io::Result<()> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut clients = listener.incoming().map_while(Result::ok);
        clients.try_for_each(|stream| to_the_end(stream, &handle))
    });
    addr
}

/// Starts a server that ends with its first client.
fn once(handle: impl Fn(TcpStream) -> io::Result<()> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        to_the_end(stream, handle)
    });
    addr
}

/// Handles a client and ends its connection, even where another process has inherited the socket,
/// as may happen on Windows.
fn to_the_end(stream: TcpStream, handle: impl Fn(TcpStream) -> io::Result<()>) -> io::Result<()> {
    let ending = stream.try_clone()?;
    let result = handle(stream);
    let _ = ending.shutdown(Shutdown::Both);
    result
}

#[test]
#[cfg_attr(windows, ignore = "there, writes to a client that is gone may go on")]
fn a_server_that_dies_with_a_client_is_told_as_that() {
    let hint = "hint: a client has left, and the server with it\n✔ the numbers";
    check_texts(&[("random-stream", dies_with_a_client(), hint)]);
}

/// Starts a server that answers one line so.
fn say(answer: &'static str) -> String {
    serve(true, by_line(move |_: &str, mut stream: TcpStream| write!(stream, "{answer}")))
}

fn echo_all(mut stream: TcpStream) -> io::Result<()> {
    io::copy(&mut stream.try_clone()?, &mut stream).map(drop)
}

fn at_the_end(mut stream: TcpStream) -> io::Result<()> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    write!(stream, "{text}")
}

fn after_cr_lf(mut stream: TcpStream) -> io::Result<()> {
    let mut line = Vec::new();
    for byte in BufReader::new(stream.try_clone()?).bytes() {
        line.push(byte?);
        if line.ends_with(b"\r\n") {
            stream.write_all(&mem::take(&mut line))?;
        }
    }
    Ok(())
}

/// Sends all the lines back that came so far.
fn grows(mut stream: TcpStream) -> io::Result<()> {
    let (mut all, mut lines) = (String::new(), BufReader::new(stream.try_clone()?));
    while lines.read_line(&mut all)? > 0 {
        stream.write_all(all.as_bytes())?;
    }
    Ok(())
}

/// Starts a random-stream server that ends when its first client has left.
fn dies_with_a_client() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        listener.set_nonblocking(true).unwrap();
        let mut clients = Vec::<TcpStream>::new();
        for index in 0_u32.. {
            clients.extend(listener.accept().map(|(client, _)| client));
            thread::sleep(SECOND / 8);
            for client in &mut clients {
                if index % 8 == 0 && writeln!(client, "{}", index / 8 * 7919 % 97).is_err() {
                    return;
                }
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
    numbers_every(1.0, number)
}

/// The same, with a unit of its own instead of a second.
fn numbers_every(
    unit: f64,
    number: impl Fn(u32) -> (u32, String) + Clone + Send + 'static,
) -> String {
    serve(true, move |mut stream| {
        let began = Instant::now();
        for index in 0.. {
            let (units, number) = number(index);
            let due = SECOND.mul_f64(unit * f64::from(units));
            let wait = due.saturating_sub(began.elapsed()).max(Duration::from_millis(1));
            stream.set_read_timeout(Some(wait))?;
            if stream.read(&mut [0; 4096]).is_ok_and(|length| length == 0) {
                break;
            }
            thread::sleep(due.saturating_sub(began.elapsed()));
            stream.write_all(number.as_bytes())?;
        }
        Ok(())
    })
}

/// A math server that knows the statement's five words, and answers one question a connection,
/// each on a line such as `somme 1 2 3 =`, but for the `ways` in which it is another one.
fn math(
    ways: &'static [&'static str],
) -> impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static {
    let is = |way| ways.contains(&way);
    let shared = Arc::new(Mutex::new(Vec::new()));
    move |mut stream| {
        if is("greets") {
            write!(stream, "Hello, client 7! What shall it be? ")?;
        }
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let mut kept = Vec::new();
        while let Some(mut text) = lines.next().transpose()? {
            while (is("a token a line") || is("JSON")) && !text.ends_with('=') {
                let Some(line) = lines.next().transpose()? else { return Ok(()) };
                shared.lock().unwrap().extend(line.parse::<f64>());
                text += &format!(" {line}");
                if is("answers early") {
                    let (action, words) = text.split_once(' ').unwrap_or_default();
                    let numbers: Vec<f64> = words.split(' ').flat_map(str::parse).collect();
                    writeln!(stream, "{:?}", answer(action, &numbers, ways))?;
                }
            }
            let between: &[char] = if is("JSON") {
                let form = text.strip_prefix(r#"{"do":""#).zip(text.strip_suffix("]} ="));
                let Some((rest, _)) = form else { return Ok(()) };
                text = rest.replace(r#"","with":["#, " ").replace("]}", "");
                &[' ', ',']
            } else if is("commas") {
                &[':', ',']
            } else {
                &[' ']
            };
            let Some(text) = text.strip_suffix('=') else { return writeln!(stream, "what?") };
            let mut words = text.split(between).filter(|word| !word.is_empty());
            let action = words.next().unwrap_or_default();
            let numbers: Result<Vec<f64>, _> = words.map(str::parse).collect();
            let Ok(mut numbers) = numbers else {
                if is("says when it is wrong") {
                    writeln!(stream, "erreur")?;
                    continue;
                }
                return Ok(());
            };
            if is("one list for all") {
                numbers = mem::take(&mut shared.lock().unwrap());
            }
            if is("keeps its list") {
                kept.append(&mut numbers);
                numbers.clone_from(&kept);
            }
            if is("integers") && numbers.iter().any(|number| number.fract() != 0.0) {
                return Ok(());
            }
            if is("from zero") && ["min", "max"].contains(&action) {
                numbers.push(0.0);
            }
            let Some(answer) = answer(action, &numbers, ways) else {
                return if is("no accent") { Err(ErrorKind::InvalidInput.into()) } else { Ok(()) };
            };
            let answer = if is("integers") { answer.trunc() } else { answer };
            let answer =
                if is("two decimals") { format!("{answer:.2}") } else { answer.to_string() };
            let label = if is("labels") { "The answer to 3 questions or fewer is " } else { "" };
            let sign = if is("a decimal comma") { "," } else { "." };
            writeln!(stream, "{label}{}", answer.replace('.', sign))?;
            if is("a count and a menu") {
                writeln!(stream, "({} numbers)\n1. somme 2. moyenne", numbers.len())?;
            }
            if !is("many questions") {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn answer(action: &str, numbers: &[f64], ways: &[&str]) -> Option<f64> {
    let n: f64 = numbers.iter().map(|_| 1.0).sum();
    let mean = numbers.iter().sum::<f64>() / n;
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    let action = if ways.contains(&"a number each") {
        let actions = ["min", "somme", "moyenne", "max", "écart-type"];
        *actions.get(action.parse::<usize>().ok()?)?
    } else {
        action
    };
    let [sum, average, deviation] = match ways {
        ["English", ..] => ["sum", "mean", "stddev"],
        ["no accent", ..] => ["somme", "moyenne", "ecart-type"],
        ["camel case", ..] => ["sum", "average", "standardDeviation"],
        _ => ["somme", "moyenne", "écart-type"],
    };
    Some(match action {
        "min" => numbers.iter().copied().fold(f64::INFINITY, f64::min),
        "max" => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        _ if action == sum => numbers.iter().sum(),
        _ if action == average => mean,
        _ if action == deviation => {
            (squares / if ways.contains(&"n - 1") { n - 1.0 } else { n }).sqrt()
        }
        _ => return None,
    })
}

/// A shop that takes one order a client, `ID QUANTITY`, but for the `ways` in which it is another
/// one.
fn shop(ways: &'static [&'static str]) -> String {
    let is = |way| ways.contains(&way);
    let product = |id, quantity, name: &str| Product { id, quantity, name: name.to_owned() };
    let stock = [product(1, 30, "Keyboard"), product(2, 3, "Mug of 35 cl"), product(3, 1, "Torch")];
    let stock = Arc::new(RwLock::new(Vec::from(stock)));
    serve(true, move |mut stream| {
        let mut input = BufReader::new(stream.try_clone()?);
        let show = |stock: &[Product]| -> String {
            let row = |Product { id, quantity, name }: &Product| match ways {
                ["a table", ..] => format!("| {id:3} | {name:12} | {quantity:5} |\n"),
                ["JSON", ..] => {
                    format!("{{\"id\":{id},\"name\":\"{name}\",\"left\":{quantity}}},")
                }
                _ => format!("{id}\t{quantity}\t{name}\n"),
            };
            stock.iter().map(row).collect()
        };
        let wait = || thread::sleep(if is("220 ms") { SECOND * 22 / 100 } else { DELAY });
        if is("waits for the client") {
            input.read_line(&mut String::new())?;
        }
        if is("one moment") {
            writeln!(stream, "Welcome, customer 12. One moment…")?;
        }
        let text = if is("lists under the write lock") {
            let stock = stock.write().unwrap();
            wait();
            show(&stock)
        } else if is("waits after the list") {
            let text = show(&stock.read().unwrap());
            wait();
            text
        } else if is("lists under no lock") {
            wait();
            show(&stock.read().unwrap())
        } else {
            let stock = stock.read().unwrap();
            wait();
            show(&stock)
        };
        writeln!(stream, "{text}")?;
        let mut line = String::new();
        if is("as many x what") {
            let packet = String::from_utf8_lossy(input.fill_buf()?).into_owned();
            let (quantity, id) = packet.trim().split_once('x').unwrap_or_default();
            line = format!("{id} {quantity}");
        } else {
            input.read_line(&mut line)?;
        }
        if is("on two lines") {
            if line.trim().parse::<u32>().is_err() {
                return writeln!(stream, "which?");
            }
            line = line.replace('\n', " ");
            if input.read_line(&mut line)? == 0 {
                return Ok(());
            }
        } else if is("by name") {
            let words: Vec<_> = line.split_whitespace().collect();
            line = match words[..] {
                ["take", quantity, "of", id] => format!("{id} {quantity}"),
                _ => String::new(),
            };
        }
        if is("one moment") {
            writeln!(stream, "One moment…")?;
        }
        let order = line.parse::<Order>();
        let find = |stock: &[Product]| {
            let order = order.as_ref().ok()?;
            let is_enough = |quantity| quantity >= order.quantity || is("sells what it has not");
            let shift = u32::from(is("takes the id for an index"));
            let is_it = |product: &Product| product.id == order.id + shift;
            stock.iter().position(|product| is_it(product) && is_enough(product.quantity))
        };
        let early = is("checks under the read lock").then(|| {
            let stock = stock.read().unwrap();
            thread::sleep(DELAY / 20); // Long enough for another one to get it, too.
            find(&stock)
        });
        let mut guard = stock.write().unwrap();
        let found = early.unwrap_or_else(|| find(&guard));
        if is("reads as it writes") {
            drop(stock.read());
        }
        let (Some(found), Ok(order)) = (found, &order) else {
            return writeln!(stream, "{}", if is("always confirms") { "sold" } else { "sorry" });
        };
        if !is("orders at once") {
            wait();
        }
        guard[found].quantity -= order.quantity;
        if is("keeps the lock") {
            mem::forget(guard);
        }
        if is("never answers") {
            return Ok(());
        }
        writeln!(stream, "sold")
    })
}
