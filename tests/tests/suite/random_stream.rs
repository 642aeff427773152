//! `random-stream`: a number every interval, for as long as the client is there.

use std::collections::HashSet;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use random_stream::closes_before;
use tests::{Program, Server, program, run};

const SERVER: &str = program!("random-stream-server");
const CLIENT: &str = program!("random-stream-client");

/// What the log says was sent to client `number`.
fn sent(server: &Server, number: usize) -> Vec<i64> {
    let lines = server.log().with(&format!("client {number}: sent "));
    lines.iter().map(|line| line.split_once("sent ").unwrap().1.parse().unwrap()).collect()
}

#[test]
fn three_clients_are_numbered_and_each_gets_numbers_of_its_own() {
    let server = Server::start(SERVER, &["--interval", "0.05", "--max", "1000000000"]);
    let streams = [1, 2, 3].map(|number| {
        let mut peer = server.connect();
        server.log().wait(&format!("client {number}: connected"));
        let numbers: Vec<i64> = (0..10).map(|_| peer.number()).collect();
        // Closing with a number unread would reset the connection.
        peer.end_sending();
        peer.rest();
        (number, numbers)
    });
    let mut all = HashSet::new();
    for (number, numbers) in streams {
        server.log().wait(&format!("client {number}: disconnected"));
        assert_eq!(sent(&server, number)[..10], numbers, "the log and the wire of {number}");
        all.extend(numbers);
    }
    // Thirty numbers of a thousand million: that any two are the same has a chance of 1 in
    // two million.
    assert_eq!(all.len(), 30);
}

#[test]
fn a_killed_client_stops_only_its_own_numbers() {
    let server = Server::start(SERVER, &["--interval", "0.02"]);
    let mut peers = [server.connect(), server.connect()];
    server.log().wait("client 2: connected");
    let mut killed = server.client(CLIENT, &[]);
    server.log().wait_for_count("client 3: sent", 3);
    killed.kill();
    tests::wait_until("its last line", || server.last_lines() == 1);
    for peer in &mut peers {
        for _ in 0..20 {
            peer.number();
        }
    }
    let end = server.log().with("client 3: ").pop().unwrap();
    assert!(!end.contains("sent"), "{end}");
}

#[test]
fn a_close_is_noticed_long_before_the_next_number() {
    for interval in ["10", "0.5", "0.01"] {
        let server = Server::start(SERVER, &["--interval", interval]);
        let mut closing = server.connect();
        let mut half_closing = server.connect();
        let resetting = server.connect();
        let mut killed = server.client(CLIENT, &[]);
        killed.stdout.wait("");
        server.log().wait_for_count("sent", 4);
        closing.number();
        half_closing.number();
        // The first number of this one stays unread, which makes a reset of its close.
        resetting.stream().peek(&mut [0]).unwrap();

        let began = Instant::now();
        drop(closing);
        half_closing.end_sending();
        drop(resetting);
        killed.kill();
        tests::wait_until("four last lines", || server.last_lines() == 4);
        // 60 ms of it may be a nap of the server's; the rest is for a busy machine.
        assert!(began.elapsed() < Duration::from_secs(2), "{interval}: {:?}", began.elapsed());
    }
}

#[test]
fn a_close_ends_a_wait_of_100_ms() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    drop(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let (stream, _) = listener.accept().unwrap();
    let ends_it = |_| {
        let due = Instant::now() + Duration::from_millis(100);
        closes_before(due, &stream).unwrap() && Instant::now() < due
    };
    assert!((0..20).any(ends_it), "20 waits went on to their end"); // A busy machine stalls some.
}

#[test]
fn an_end_behind_much_unread_input_is_noticed_too() {
    let server = Server::start(SERVER, &["--interval", "0.04"]);
    let mut peer = server.connect();
    peer.send("x".repeat(1_000_000));
    peer.end_sending();
    let numbers = peer.rest().lines().count();
    // Read 4 KiB at a time between numbers, it would take 250 of them.
    assert!(numbers < 50, "{numbers} numbers for one who has closed");
}

#[test]
fn quiet_keeps_openings_and_closings_and_leaves_out_numbers() {
    let server = Server::start(SERVER, &["--interval", "0.01", "--quiet"]);
    let mut peer = server.connect();
    for _ in 0..5 {
        peer.number();
    }
    drop(peer);
    tests::wait_until("its last line", || server.log().so_far().len() == 3);
    assert_eq!(server.log().with("client 1: connected from").len(), 1);
    assert_eq!(server.log().with("sent"), [""; 0]);
}

#[test]
fn the_range_is_inclusive_at_both_ends() {
    let server = Server::start(SERVER, &["--interval", "0", "--min", "-3", "--max", "-1"]);
    let mut peer = server.connect();
    let found: HashSet<_> = (0..1000).map(|_| peer.number()).collect();
    assert_eq!(found, HashSet::from([-3, -2, -1]));
    let server = Server::start(SERVER, &["--min", "7", "--max", "7"]);
    assert_eq!(server.connect().number(), 7);
}

#[test]
fn the_default_is_one_to_a_hundred_every_second() {
    let server = Server::start(SERVER, &[]);
    let began = Instant::now();
    let mut peer = server.connect();
    for _ in 0..2 {
        assert!((1..=100).contains(&peer.number()));
    }
    assert!((1.0..2.5).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
}

#[test]
fn fifteen_intervals_do_not_drift() {
    let interval = Duration::from_millis(200);
    let server = Server::start(SERVER, &["--interval", "0.2"]);
    let drift = || {
        let mut peer = server.connect();
        peer.number();
        let began = Instant::now();
        let late: Vec<_> = (1..=15)
            .map(|index| {
                peer.number();
                began.elapsed().as_secs_f64() - (interval * index).as_secs_f64()
            })
            .collect();
        // A clock that starts each wait when the last one ended is a little later every time.
        // One that is on time comes back to it, whatever else the machine does: the best of the
        // last five is about as late as the best of the first five.
        let best = |late: &[f64]| late.iter().copied().fold(f64::INFINITY, f64::min);
        best(&late[10..]) - best(&late[..5])
    };
    // If the machine stalls for a whole interval, the schedule starts anew: then it is tried again.
    let drifts: Vec<_> = (0..3).map(|_| drift()).take_while(|drift| drift.abs() >= 0.01).collect();
    assert!(drifts.len() < 3, "seconds of drift: {drifts:?}");
}

#[test]
#[cfg_attr(windows, ignore = "it sends signals")]
fn after_a_stop_it_goes_on_from_now_without_a_burst() {
    let interval = Duration::from_millis(300);
    let server = Server::start(SERVER, &["--interval", "0.3"]);
    let mut peer = server.connect();
    peer.number();
    peer.number();
    server.program.signal("STOP");
    thread::sleep(4 * interval); // What is tested is a wait that long.
    server.program.signal("CONT");
    peer.number(); // The one that was due, late.
    let began = Instant::now();
    peer.number();
    peer.number();
    let elapsed = began.elapsed();
    assert!(elapsed > interval * 3 / 2, "two more after {elapsed:?}");
}

#[test]
fn wrong_arguments_are_refused_in_one_clear_line() {
    for (flags, reason) in [
        (&["--min", "one"][..], "invalid digit found in string"),
        (&["--max", "9223372036854775808"], "number too large to fit in target type"),
        (&["--max", "-.5"], "invalid digit found in string"),
        (&["--max-clients", "-1"], "-1 is not in 1..=10000"),
        (&["--max-clients", "0"], "0 is not in 1..=10000"),
        (&["--max-clients", "20000"], "20000 is not in 1..=10000"),
        (&["--min", "5", "--max", "1"], "--min 5 is above --max 1"),
        (&["--min", "101"], "--min 101 is above --max 100"),
    ] {
        let output = run(SERVER, flags, "");
        assert_eq!((output.status, output.stdout.as_str()), (Some(2), ""), "{flags:?}");
        let first = output.stderr.lines().next().unwrap();
        assert!(first.starts_with("error: ") && first.ends_with(reason), "{flags:?}: {first}");
    }
}

#[test]
fn the_longest_interval_works() {
    let server = Server::start(SERVER, &["--interval", "1e6", "--timeout", "1e6"]);
    let mut peer = server.connect();
    peer.number();
    drop(peer);
    server.log().wait("client 1: disconnected");
}

#[test]
fn the_client_ends_after_its_count() {
    let server = Server::start(SERVER, &["--interval", "0.01"]);
    let output = server.run(CLIENT, &["--count", "3"], "");
    assert_eq!((output.status, output.stderr.as_str()), (Some(0), ""));
    let numbers: Vec<i64> = output.stdout.lines().map(|line| line.parse().unwrap()).collect();
    server.log().wait_for_count("client 1: sent", 3);
    assert_eq!(numbers, sent(&server, 1)[..3]);
}

#[test]
fn the_client_ends_quietly_when_its_reader_has_seen_enough() {
    let server = Server::start(SERVER, &["--interval", "0.01"]);
    let mut client = Command::new(CLIENT);
    client.args(["--addr", &server.addr]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = client.spawn().unwrap();
    drop(client.stdout.take());
    let output = client.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(0), 1), "{stderr}");
}

#[test]
fn the_client_refuses_a_count_below_zero() {
    let output = run(CLIENT, &["--count", "-1"], "");
    let first = output.stderr.lines().next().unwrap();
    let error = "error: invalid value '-1' for '--count <N>': -1 is not in 0..=4294967295";
    assert_eq!((first, output.status), (error, Some(2)));
}

#[test]
fn the_client_takes_numbers_that_are_apart_in_time_without_line_ends() {
    let (next, wanted) = mpsc::channel::<&str>();
    let addr = tests::listen(move |mut stream| {
        while let Ok(number) = wanted.recv() {
            stream.write_all(number.as_bytes()).unwrap();
        }
    });
    let client = Program::start(CLIENT, &["--addr", &addr, "--count", "3"]);
    for number in ["42", " -7", "1"] {
        next.send(number).unwrap();
        client.stdout.wait(number.trim());
    }
    assert_eq!(client.finish().stdout, "42\n-7\n1");
}
