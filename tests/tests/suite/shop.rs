//! `shop`: the promises of the lock, kept with it and broken without.

use std::io::{Read, Write};
use std::iter;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use shop::Product;
use tests::{PATIENCE, Peer, Server, program, run};

const SERVER: &str = program!("shop-server");
const CLIENT: &str = program!("shop-client");

const KEYBOARDS: i64 = 10;

/// Reads the list of the stock.
#[track_caller]
fn stock(peer: &mut Peer) -> Vec<Product> {
    let lines = iter::from_fn(|| Some(peer.line()).filter(|line| !line.is_empty()));
    lines.map(|line| line.parse().unwrap()).collect()
}

/// Orders, and returns the answer.
#[track_caller]
fn order(peer: &mut Peer, order: &str) -> String {
    peer.send(format!("{order}\n"));
    peer.line()
}

/// Connects `count` clients, and reads the stock with each.
fn buyers(server: &Server, count: usize) -> Vec<Peer> {
    let mut buyers: Vec<_> = (0..count).map(|_| server.connect()).collect();
    for buyer in &mut buyers {
        stock(buyer);
    }
    buyers
}

/// Has each of the buyers order, all at once, and returns the answers.
fn order_at_once(buyers: &mut [Peer], orders: impl Fn(usize) -> String) -> Vec<String> {
    for (index, buyer) in buyers.iter().enumerate() {
        buyer.send(orders(index) + "\n");
    }
    buyers.iter_mut().map(Peer::line).collect()
}

/// How many keyboards a new client finds.
fn keyboards(server: &Server) -> i64 {
    stock(&mut server.connect())[0].quantity
}

/// Sum of what was confirmed: `confirmed: 3 x Keyboard, 7 left`.
fn sold(answers: &[String]) -> i64 {
    let confirmed = answers.iter().filter_map(|answer| answer.strip_prefix("confirmed: "));
    confirmed.map(|answer| answer.split_once(" x ").unwrap().0.parse::<i64>().unwrap()).sum()
}

#[test]
fn orders_are_confirmed_or_refused_with_the_reason() {
    let server = Server::start(SERVER, &["--delay", "0"]);
    let mut peer = server.connect();
    stock(&mut peer);
    for (line, answer) in [
        ("1 3", "confirmed: 3 x Keyboard, 7 left"),
        ("1 8", "error: not enough in stock: 7 x Keyboard left"),
        ("1 9223372036854775807", "error: not enough in stock: 7 x Keyboard left"),
        ("9 1", "error: no product 9"),
        ("1 0", "error: the quantity must be at least 1"),
        ("1 -1", "error: the quantity must be at least 1"),
        ("", "error: expected ID QUANTITY, such as 1 3, not \"\""),
        ("1 two", "error: expected ID QUANTITY, such as 1 3, not \"1 two\""),
        (" 1\t7 \r", "confirmed: 7 x Keyboard, 0 left"),
        ("1 1", "error: not enough in stock: 0 x Keyboard left"),
    ] {
        assert_eq!(order(&mut peer, line), answer, "{line:?}");
    }
    peer.send(b"\xff\xfe\n");
    assert_eq!(peer.line(), "error: expected ID QUANTITY, such as 1 3, not \"\u{fffd}\u{fffd}\"");
}

#[test]
fn a_wrong_line_is_answered_before_any_lock_is_taken() {
    let server = Server::start(SERVER, &["--delay", "1"]);
    let mut buyers = buyers(&server, 2);
    buyers[0].send("1 1\n");
    server.log().wait("has the write lock");
    let refusal = "error: expected ID QUANTITY, such as 1 3, not \"deux\"";
    assert_eq!(order(&mut buyers[1], "deux"), refusal);
    assert_eq!(order(&mut buyers[1], "1 0"), "error: the quantity must be at least 1");
    assert_eq!(server.log().with("releases the write lock"), [""; 0]);
}

#[test]
fn an_order_that_is_cut_off_is_not_carried_out() {
    let server = Server::start(SERVER, &["--delay", "0"]);
    let mut peer = server.connect();
    stock(&mut peer);
    peer.send("1 1"); // Of `1 10`, perhaps.
    peer.end_sending();
    assert_eq!(peer.rest(), "error: the stream ended in the middle of a line\n");
    server.log().wait("client 1: lost: the stream ended in the middle of a line");
    assert_eq!(keyboards(&server), KEYBOARDS);
}

#[test]
fn a_writer_holds_the_lock_alone() {
    let server = Server::start(SERVER, &["--delay", "0.02"]);
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| order(&mut buyers(&server, 1)[0], "2 1"));
        }
    });
    let mut readers = 0;
    let mut writer: Option<String> = None;
    server.log().wait_for_count("disconnected", 10);
    for line in server.log().so_far() {
        let (client, event) =
            line.split_once("client ").unwrap_or_default().1.split_once(": ").unwrap_or_default();
        match event {
            "has the read lock" => {
                readers += 1;
                assert_eq!(writer, None, "{line}");
            }
            "releases the read lock" => readers -= 1,
            "has the write lock" => {
                assert_eq!((readers, writer.replace(client.to_owned())), (0, None), "{line}");
            }
            "releases the write lock" => assert_eq!(writer.take().as_deref(), Some(client)),
            _ => {}
        }
    }
    assert_eq!(server.log().with("has the write lock").len(), 10);
    assert_eq!(server.log().with("waits for the read lock").len(), 10);
}

#[test]
fn thirty_buyers_of_nearly_everything_never_oversell() {
    let server = Server::start(SERVER, &["--delay", "0.02"]);
    let answers = order_at_once(&mut buyers(&server, 30), |_| "1 9".to_owned());
    assert_eq!(sold(&answers), 9, "{answers:?}");
    assert_eq!(keyboards(&server), KEYBOARDS - 9);
}

#[test]
fn without_the_lock_the_same_buyers_oversell() {
    let server = Server::start(SERVER, &["--delay", "0.5", "--no-lock"]);
    let answers = order_at_once(&mut buyers(&server, 30), |_| "1 9".to_owned());
    let left = keyboards(&server);
    assert!(left < 0, "{answers:?}");
    assert_eq!(sold(&answers) + left, KEYBOARDS, "{answers:?}");
}

#[test]
fn without_the_lock_a_check_is_still_made() {
    let server = Server::start(SERVER, &["--delay", "0.1", "--no-lock"]);
    let mut buyer = buyers(&server, 1).remove(0);
    assert_eq!(order(&mut buyer, "1 10"), "confirmed: 10 x Keyboard, 0 left");
    assert_eq!(order(&mut buyer, "1 1"), "error: not enough in stock: 0 x Keyboard left");
    assert_eq!(order(&mut buyer, "9 1"), "error: no product 9");
}

#[test]
fn the_default_delay_is_five_seconds() {
    let server = Server::start(SERVER, &[]);
    let began = Instant::now();
    drop(buyers(&server, 1));
    assert!((5.0..7.5).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
}

#[test]
fn the_client_prints_a_table_and_the_confirmation() {
    let server = Server::start(SERVER, &["--delay", "0"]);
    let output = server.run(CLIENT, &["3", "2"], "");
    let expected = "\
ID  QUANTITY  NAME
 1        10  Keyboard
 2        25  Mouse
 3         3  Écran 4K
 4         1  Crème brûlée torch
confirmed: 2 x Écran 4K, 1 left";
    assert_eq!(output.stdout, expected);
    let expected = "waiting for the stock\nwaiting for the answer";
    assert_eq!((output.stderr.as_str(), output.status), (expected, Some(0)));
}

#[test]
fn the_client_can_list_and_order_nothing() {
    let server = Server::start(SERVER, &["--delay", "0"]);
    let mut client = server.client(CLIENT, &["--list"]); // With its standard input left open.
    let output = client.end();
    assert_eq!((output.stdout.lines().count(), output.status), (5, Some(0)), "{output:?}");
    let output = run(CLIENT, &["--list", "1", "3"], "");
    assert_eq!(output.status, Some(2), "{output:?}");
}

#[test]
fn the_client_takes_one_order_a_line_from_a_pipe() {
    let server = Server::start(SERVER, &["--delay", "0"]);
    let output = server.run(CLIENT, &[], "1 3\n\n9 1\n 1 2"); // With no line end at the end.
    let lines: Vec<_> = output.stdout.lines().skip(5).collect();
    assert_eq!(lines, ["confirmed: 3 x Keyboard, 7 left", "confirmed: 2 x Keyboard, 5 left"]);
    let wait = "waiting for the answer";
    let expected = format!(
        "waiting for the stock\n{wait}\n{wait}\nerror: no product 9\n{wait}\nerror: orders refused: 1"
    );
    assert_eq!((output.stderr, output.status), (expected, Some(1)));
}

#[test]
fn an_order_that_is_too_long_is_not_cut_to_another() {
    let server = Server::start(SERVER, &["--delay", "0"]);
    let line = format!("{}2 10\n", " ".repeat(1023));
    let output = server.run(CLIENT, &[], &line);
    let error = "error: cannot read the orders: a line of more than 1024 bytes";
    assert!(output.stderr.ends_with(error), "{output:?}");
    assert_eq!(output.stdout.lines().count(), 5, "{output:?}");
    assert_eq!(output.status, Some(1));
}

#[test]
fn a_refused_order_is_an_error_of_the_client() {
    let server = Server::start(SERVER, &["--delay", "0"]);
    let output = server.run(CLIENT, &["1", "-2"], "");
    let expected = "waiting for the stock\nwaiting for the answer\n\
                    error: the quantity must be at least 1";
    assert_eq!((output.stderr.as_str(), output.status), (expected, Some(1)));
}

#[test]
fn an_order_that_is_not_two_numbers_is_refused_before_anything_is_sent() {
    for args in [["one", "3"], ["1", "three"], ["-1", "3"], ["1", "2.5"], ["\r", "1"]] {
        let output = run(CLIENT, &args, "");
        let expected = ": expected ID QUANTITY, such as 1 3, with an ID from the list\n";
        assert!(output.stderr.contains(expected), "{args:?}: {output:?}");
        assert_eq!((output.stdout.as_str(), output.status), ("", Some(2)), "{args:?}");
    }
    let server = Server::start(SERVER, &["--delay", "0"]);
    assert_eq!(server.run(CLIENT, &["1\r", "3\r"], "").status, Some(0));
}

#[test]
fn an_order_whose_answer_is_lost_may_have_been_carried_out() {
    let lost = "error: the server closed the connection; the order may have been carried out";
    let wrong = "error: the server sent \"yes\": expected confirmed: …; \
                 the order may have been carried out";
    for (args, input) in [(&["1", "3"][..], ""), (&[], "1 3\n2 1\n")] {
        for (answer, error) in [("", lost), ("yes\n", wrong)] {
            let addr = tests::listen(move |mut stream| {
                stream.write_all(b"1\t10\tKeyboard\n\n").unwrap();
                stream.read_exact(&mut [0; 4]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let output = run(CLIENT, &[&["--addr", &addr], args].concat(), input);
            assert_eq!((output.stderr.lines().last(), output.status), (Some(error), Some(1)));
        }
    }
}

#[test]
fn a_server_that_never_closes_keeps_nobody_whose_orders_are_answered() {
    let (done, end) = mpsc::channel::<()>();
    let addr = tests::listen(move |mut stream| {
        stream.write_all(b"1\t10\tKeyboard\n\n").unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        stream.write_all(b"confirmed: 3 x Keyboard, 7 left\n").unwrap();
        let _ = end.recv_timeout(PATIENCE);
    });
    let began = Instant::now();
    let output = run(CLIENT, &["--addr", &addr], "1 3\n");
    assert!(began.elapsed() < PATIENCE, "it has waited for the server");
    drop(done);
    assert_eq!((output.stdout.lines().count(), output.status), (3, Some(0)), "{output:?}");
}
