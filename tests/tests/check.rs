//! The checker: the four servers pass, and each usual mistake fails the check that is about
//! it and no other.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Duration;

use shop::{Order, Product};
use tests::checks::check;
use tests::{Server, program};

/// How long the shops of this page take.
const DELAY: &str = "0.5";

#[test]
fn our_servers_pass_and_each_mistake_fails_the_check_that_is_about_it_and_no_other() {
    let ours = |path, args: &[&str]| Server::start(path, args);
    let servers = [
        ("echo", ours(program!("echo-server"), &[]), &[][..]),
        ("random-stream", ours(program!("random-stream-server"), &[]), &[]),
        ("math", ours(program!("math-server"), &[]), &[]),
        ("shop", ours(program!("shop-server"), &["--delay", DELAY]), &[]),
        (
            "shop",
            ours(program!("shop-server"), &["--delay", DELAY, "--no-lock"]),
            &[
                "two buyers of all that is left: one gets it",
                "two orders at once take turns",
                "nothing is ever below zero",
            ],
        ),
    ];
    let ours = servers.iter().map(|(exercise, server, fails)| (*exercise, &*server.addr, *fails));

    let one_at_a_time = serve(false, echo);
    let one_message = serve(true, |stream| {
        by_packet(stream, |stream, packet| stream.write_all(packet).map(|()| false))
    });
    let too_fast = serve(true, |mut stream| {
        for number in stream.peer_addr()?.port().. {
            writeln!(stream, "{number}")?;
            thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    });
    let the_same = serve(true, |mut stream| {
        let number = stream.peer_addr()?.port();
        loop {
            writeln!(stream, "{number}")?;
            thread::sleep(Duration::from_secs(1));
        }
    });
    let correct = serve(true, |stream| math(stream, false, false));
    let one_at_a_time_too = serve(false, |stream| math(stream, false, false));
    let of_the_sample = serve(true, |stream| math(stream, true, false));
    let by_packets = serve(true, |stream| math(stream, false, true));
    let (right, lists_alone, checks_before) =
        (shop(false, false), shop(true, false), shop(false, true));
    let theirs = [
        ("echo", &*one_at_a_time, &["two clients take turns"][..]),
        ("echo", &one_message, &["a second line comes back on the same connection"]),
        ("random-stream", &too_fast, &["numbers come one a second, five of them by the clock"]),
        ("random-stream", &the_same, &["the numbers differ"]),
        ("math", &correct, &[]),
        ("math", &one_at_a_time_too, &["two clients at once are served"]),
        ("math", &of_the_sample, &["the standard deviation is the population's"]),
        ("math", &by_packets, &["a number cut in two packets is one number"]),
        ("shop", &right, &[]),
        ("shop", &lists_alone, &["four lists at once take the time of one"]),
        (
            "shop",
            &checks_before,
            &["two buyers of all that is left: one gets it", "nothing is ever below zero"],
        ),
    ];
    let wrong: Vec<String> = thread::scope(|scope| {
        let check = |(exercise, addr, fails)| {
            let mut report = Vec::new();
            let failed = check(exercise, addr, &mut report).unwrap();
            (failed != fails).then(|| format!("{fails:?}: {}", String::from_utf8_lossy(&report)))
        };
        let threads: Vec<_> =
            ours.chain(theirs).map(|server| scope.spawn(move || check(server))).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_added_line_end_is_found_and_reported() {
    let addr = serve(true, |stream| {
        by_packet(stream, |stream, packet| {
            stream.write_all(packet)?;
            let end: &[u8] = if packet.ends_with(b"\n") { b"" } else { b"\n" };
            stream.write_all(end).map(|()| true)
        })
    });
    let mut report = Vec::new();
    let failed = check("echo", &addr, &mut report).unwrap();
    assert_eq!(failed, ["bytes without a line end come back at once"]);
    let expected = "\
✔ a line comes back
✔ a second line comes back on the same connection
✘ bytes without a line end come back at once
        sent: \"no line end\"
    expected: the same bytes, without a line end
         got: \"no line end\\n\"
        hint: a line end was added
✔ two clients take turns
✔ after a half-close everything comes back, then the end
✔ binary bytes come back unchanged
5 of 6 hold
";
    assert_eq!(String::from_utf8(report).unwrap(), expected);
}

#[test]
fn where_nobody_listens_there_is_nothing_to_check() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    drop(listener);
    let reason = TcpStream::connect(&addr).unwrap_err();
    let error = format!("{:#}", check("echo", &addr, io::sink()).unwrap_err());
    assert_eq!(error, format!("cannot connect to {addr}: {reason}"));
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

/// Handles what comes, packet by packet, until `handle` returns `false` or the client closes.
fn by_packet(
    mut stream: TcpStream,
    mut handle: impl FnMut(&mut TcpStream, &[u8]) -> io::Result<bool>,
) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 || !handle(&mut stream, &buffer[..length])? {
            return Ok(());
        }
    }
}

fn echo(stream: TcpStream) -> io::Result<()> {
    by_packet(stream, |stream, packet| stream.write_all(packet).map(|()| true))
}

/// Answers `question`, such as `sum 1 2 `, if it is one.
fn answer(question: &str, is_sample: bool) -> Option<f64> {
    let mut words = question.split_whitespace();
    let action = words.next()?.to_lowercase();
    let numbers: Vec<f64> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
    let n: f64 = numbers.iter().map(|_| 1.0).sum();
    let mean = numbers.iter().sum::<f64>() / n;
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    Some(match &*action {
        "sum" | "somme" => numbers.iter().sum(),
        "mean" | "average" | "moyenne" => mean,
        "stddev" | "écart-type" | "ecart-type" if is_sample => (squares / (n - 1.0)).sqrt(),
        "stddev" | "écart-type" | "ecart-type" => (squares / n).sqrt(),
        "min" => numbers.into_iter().fold(f64::INFINITY, f64::min),
        "max" => numbers.into_iter().fold(f64::NEG_INFINITY, f64::max),
        _ => return None,
    })
}

/// A math server that divides by n - 1, or takes a packet for a message, or neither.
fn math(stream: TcpStream, is_sample: bool, takes_packets: bool) -> io::Result<()> {
    let mut text = String::new();
    by_packet(stream, |stream, packet| {
        text += &String::from_utf8_lossy(packet);
        while let Some((question, rest)) = text.split_once('=') {
            let Some(answer) = answer(question, is_sample) else { return Ok(false) };
            writeln!(stream, "{answer}")?;
            text = String::from(rest);
        }
        if takes_packets {
            text.clear();
        }
        Ok(true)
    })
}

/// A shop that lists under the write lock, or checks an order under another lock than that
/// of its change, or neither.
fn shop(lists_alone: bool, checks_before: bool) -> String {
    let product = |id, quantity, name: &str| Product { id, quantity, name: name.to_owned() };
    let stock = Arc::new(RwLock::new(vec![product(1, 10, "Keyboard"), product(2, 1, "Torch")]));
    let delay = Duration::from_secs_f64(DELAY.parse().unwrap());
    serve(true, move |mut stream| {
        let list = |stock: &[Product]| -> String {
            thread::sleep(delay);
            stock.iter().map(|product| format!("{product}\n")).collect()
        };
        let list =
            if lists_alone { list(&stock.write().unwrap()) } else { list(&stock.read().unwrap()) };
        writeln!(stream, "{list}")?;
        for line in BufReader::new(stream.try_clone()?).lines() {
            let order = line?.parse::<Order>();
            let find = |stock: &[Product]| {
                let order = order.as_ref().ok()?;
                let is_it = |product: &Product| {
                    product.id == order.id && product.quantity >= order.quantity
                };
                stock.iter().position(is_it)
            };
            let early = find(&stock.read().unwrap());
            if checks_before {
                thread::sleep(delay / 5); // Long enough for another one to check.
            }
            let mut stock = stock.write().unwrap();
            let found = if checks_before { early } else { find(&stock) };
            if let (Some(found), Ok(order)) = (found, order) {
                thread::sleep(delay);
                stock[found].quantity -= order.quantity;
                writeln!(stream, "confirmed: {}", stock[found].quantity)?;
            } else {
                writeln!(stream, "error: no")?;
            }
        }
        Ok(())
    })
}
