//! What holds for all four exercises: full servers, exhausted machines, hostile and vanished
//! peers. What one client does, or the machine denies, does not hurt the others.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use echo::cli;
use tests::{
    Lines, PATIENCE, Peer, Program, Server, at_terminal, cutting_forwarder, is_last, limited,
    listen, program, refusing_addr, serve, wait_until,
};

/// One of the four, and what the tests need to know.
struct Exercise {
    name: &'static str,
    server: &'static str,
    client: &'static str,
    /// So that nothing takes long.
    flags: &'static [&'static str],
    /// Reads what the server says at first.
    greet: fn(&mut Peer),
    /// Has the server do something; can be repeated.
    ask: fn(&mut Peer),
    /// What a client can send without end, to make the server answer without end.
    question: &'static str,
}

const ECHO: Exercise = Exercise {
    name: "echo",
    server: program!("echo-server"),
    client: program!("echo-client"),
    flags: &[],
    greet: |_| {},
    ask: |peer| {
        peer.send("ping\n");
        assert_eq!(peer.line(), "ping");
    },
    question: "bonjour\n",
};

const RANDOM_STREAM: Exercise = Exercise {
    name: "random-stream",
    server: program!("random-stream-server"),
    client: program!("random-stream-client"),
    flags: &["--interval", "0.05", "--quiet"],
    greet: number,
    ask: number,
    question: "bonjour\n",
};

const MATH: Exercise = Exercise {
    name: "math",
    server: program!("math-server"),
    client: program!("math-client"),
    flags: &[],
    greet: |_| {},
    ask: |peer| {
        peer.send("sum 1 2 =\n");
        assert_eq!(peer.line(), "3");
    },
    question: "sum -1.2345678901234567e-300 =\n",
};

const SHOP: Exercise = Exercise {
    name: "shop",
    server: program!("shop-server"),
    client: program!("shop-client"),
    flags: &["--delay", "0"],
    greet: |peer| while !peer.line().is_empty() {},
    ask: |peer| {
        peer.send("9 1\n");
        assert_eq!(peer.line(), "error: no product 9");
    },
    question: "nine\n",
};

const ALL: [Exercise; 4] = [ECHO, RANDOM_STREAM, MATH, SHOP];

fn number(peer: &mut Peer) {
    peer.number();
}

impl Exercise {
    fn start(&self, flags: &[&str]) -> Server {
        Server::start(self.server, &[self.flags, flags].concat())
    }

    /// Connects a client that is served.
    fn connect(&self, server: &Server) -> Peer {
        let mut peer = server.connect();
        self.serve(&mut peer);
        peer
    }

    fn serve(&self, peer: &mut Peer) {
        (self.greet)(peer);
        (self.ask)(peer);
    }
}

#[test]
fn over_its_limit_a_server_says_that_it_is_full() {
    for exercise in ALL {
        let server = exercise.start(&["--max-clients", "2"]);
        let one = exercise.connect(&server);
        let mut two = exercise.connect(&server);
        for sent in ["", "already sent\n", &"x".repeat(50_000)] {
            let mut refused = server.connect();
            refused.send(sent);
            assert_eq!(refused.rest(), "error: server full (2 clients)\n", "{}", exercise.name);
        }
        server.log().wait("client 5: refused: server full (2 clients)");
        let output = server.run(exercise.client, &[], "");
        let said = if exercise.name == "echo" { &output.stdout } else { &output.stderr };
        let last = said.lines().last();
        assert_eq!(last, Some("error: server full (2 clients)"), "{}", exercise.name);
        assert_eq!(output.status, Some(1), "{}: {output:?}", exercise.name);

        let lonely = exercise.start(&["--max-clients", "1"]);
        let _inside = exercise.connect(&lonely);
        assert_eq!(lonely.connect().rest(), "error: server full (1 client)\n");

        drop(one);
        // Its permit is given back just after its last line is logged.
        wait_until("a new client is served", || {
            let mut next = server.connect();
            next.send(exercise.question);
            !next.line().starts_with("error: server full")
        });
        (exercise.ask)(&mut two);
    }
}

/// Seconds of processor time that the process has taken.
fn processor_seconds(server: &Server) -> f64 {
    let path = format!("/proc/{}/stat", server.program.id());
    let stat = fs::read_to_string(path).expect("the server runs");
    let fields = stat.rsplit_once(')').expect("a name").1.split_whitespace();
    let ticks = fields.skip(11).take(2).map(|field| field.parse::<f64>().expect("ticks"));
    ticks.sum::<f64>() / 100.0
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it reads /proc")]
fn out_of_descriptors_a_server_serves_those_inside_and_recovers() {
    fn try_out(exercise: &Exercise) {
        let server = Server::spawn(limited("ulimit -n 40", exercise.server).args(exercise.flags));
        let mut inside: Vec<_> = (0..20).map(|_| exercise.connect(&server)).collect();
        let waiting: Vec<_> = (0..40).map(|_| server.connect()).collect();
        // In the words of this system's libc: EMFILE.
        let error = &format!("cannot accept: {}", io::Error::from_raw_os_error(24));
        server.log().wait(error);
        let (began, before) = (Instant::now(), processor_seconds(&server));
        server.log().wait_for_count(error, 8);
        for peer in &mut inside {
            (exercise.ask)(peer);
        }
        let share = (processor_seconds(&server) - before) / began.elapsed().as_secs_f64();
        assert!(share < 0.1, "{}: {share} of a core", exercise.name);

        drop(inside);
        // As those inside close, the others are served.
        for mut peer in waiting {
            exercise.serve(&mut peer);
        }
    }
    thread::scope(|scope| {
        for exercise in ALL {
            scope.spawn(move || try_out(&exercise));
        }
    });
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it limits memory with ulimit -v")]
fn without_a_thread_a_client_is_refused_and_the_server_goes_on() {
    /// A server in `limit` KiB of address space, if that is enough for it to listen.
    fn start(limit: u32) -> Option<Server> {
        let mut command = limited(&format!("ulimit -v {limit}"), ECHO.server);
        let mut program = Program::spawn(command.args(["--addr", "127.0.0.1:0"]));
        wait_until("it listens or has ended", || {
            !program.stdout.so_far().is_empty() || program.has_ended()
        });
        let first = program.stdout.so_far().pop()?;
        let (_, addr) = first.split_once("listening on ")?;
        Some(Server { addr: addr.to_owned(), program })
    }
    // With the least that it can start in, there is no room for the stack of one more thread.
    let server = (2048..1 << 20).step_by(64).find_map(start).expect("it starts");
    for number in 1..=3 {
        let error = server.connect().rest();
        assert!(error.starts_with("error: cannot start a thread: "), "{error}");
        server.log().wait(&format!("client {number}: refused: cannot start a thread: "));
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it reads /proc")]
fn after_a_storm_of_bad_clients_everything_is_as_it_was() {
    for exercise in ALL {
        let server = exercise.start(&["--timeout", "30"]);
        let threads = server.status("Threads");
        drop(exercise.connect(&server));
        wait_until("the first is gone", || server.last_lines() == 1);
        wait_until("its thread is gone", || server.status("Threads") == threads);
        let descriptors = server.descriptors();

        thread::scope(|scope| {
            for storm in 0..20_usize {
                let server = &server;
                scope.spawn(move || {
                    for index in 0..20 {
                        let peer = server.connect();
                        let garbage: Vec<u8> = (0..=u8::MAX)
                            .cycle()
                            .skip(17 * storm)
                            .step_by(index + 1)
                            .take(200 * index)
                            .collect();
                        let half = &exercise.question[..exercise.question.len() / 2];
                        let mut stream = peer.stream();
                        // The server may have closed before all is sent.
                        let _ = match (storm + index) % 4 {
                            0 => stream.write_all(&garbage),
                            1 => stream.write_all(half.as_bytes()),
                            2 => stream.write_all(exercise.question.repeat(index).as_bytes()),
                            _ => Ok(()),
                        };
                        // Dropped with answers unread, most of these are resets.
                    }
                });
            }
        });
        wait_until("401 last lines", || server.last_lines() == 401);
        wait_until("all threads are gone", || server.status("Threads") == threads);
        wait_until("all descriptors are closed", || server.descriptors() == descriptors);

        let mut events: HashMap<u64, Vec<String>> = HashMap::new();
        for line in &server.log().so_far()[1..] {
            let parts = || {
                let (seconds, event) = line.strip_prefix('[')?.split_once("] client ")?;
                let (number, event) = event.split_once(": ")?;
                Some((seconds.trim().parse::<f64>().ok()?, number.parse().ok()?, event))
            };
            let (_, number, event) = parts().unwrap_or_else(|| panic!("not whole: {line:?}"));
            events.entry(number).or_default().push(event.to_owned());
        }
        assert_eq!(events.len(), 401, "{}", exercise.name);
        for (number, events) in events {
            let (last, others) = events.split_last().expect("there is one");
            assert!(is_last(last), "{number}: {events:?}");
            assert!(others[0].starts_with("connected from "), "{number}: {events:?}");
            assert!(!others.iter().any(|event| is_last(event)), "{number}: {events:?}");
        }
        exercise.connect(&server);
        assert_eq!(server.program.stderr.so_far(), [""; 0], "{}", exercise.name);
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it reads /proc")]
fn a_client_that_sends_and_never_reads_costs_nothing_and_is_dropped() {
    /// Others who are served, one after the other.
    fn others(exercise: &Exercise, server: &Server) {
        for _ in 0..50 {
            exercise.connect(server);
        }
    }
    thread::scope(|scope| {
        for exercise in ALL {
            scope.spawn(move || {
                // A pipe is filled sooner by long numbers that come fast.
                let is_stream = exercise.name == "random-stream";
                let fast = ["--quiet", "--interval", "1e-9", "--min", "-9223372036854775808"];
                let flags = if is_stream { &fast } else { exercise.flags };
                let flags = [flags, &["--timeout", "1"]].concat();
                let server = Server::start(exercise.server, &flags);
                others(&exercise, &server);
                let before = server.status("VmRSS");
                let flood = server.connect();
                let mut stream = flood.stream().try_clone().expect("there are descriptors");
                let sender = thread::spawn(move || {
                    let questions = exercise.question.repeat(10_000);
                    while stream.write_all(questions.as_bytes()).is_ok() && !is_stream {}
                });
                others(&exercise, &server);
                server.log().wait("client 51: lost: timed out: nothing could be sent for 1 s");
                let grown = server.status("VmRSS").saturating_sub(before);
                assert!(grown < 2048, "{}: grown by {grown} KiB", exercise.name);
                drop(flood);
                sender.join().expect("it ends with the connection");
            });
        }
    });
}

#[test]
fn a_silent_client_is_dropped_and_one_who_says_a_little_is_kept() {
    thread::scope(|scope| {
        for exercise in [ECHO, MATH, SHOP] {
            scope.spawn(move || {
                let server = exercise.start(&["--timeout", "3"]);
                let mut silent = server.connect();
                let slow = server.connect();
                (exercise.greet)(&mut silent);
                for _ in 0..16 {
                    slow.send(" ");
                    thread::sleep(Duration::from_millis(250)); // For longer than the timeout in all.
                }
                assert_eq!(silent.rest(), "error: timed out: nothing received for 3 s\n");
                server.log().wait("client 1: lost: timed out: nothing received for 3 s");
                assert_eq!(server.log().with("client 2: lost"), [""; 0], "{}", exercise.name);
            });
        }
        // Where a silent client is normal, it stays.
        scope.spawn(|| {
            let server = RANDOM_STREAM.start(&["--timeout", "0.1"]);
            let mut silent = server.connect();
            for _ in 0..20 {
                number(&mut silent);
            }
        });
    });
}

#[test]
fn the_least_timeout_is_a_timeout() {
    let server = ECHO.start(&["--timeout", "1e-9"]);
    let error = "error: timed out: nothing received for 0.000000001 s\n";
    assert_eq!(server.connect().rest(), error);
    server.log().wait("client 1: lost: timed out: nothing received for 0.000000001 s");
}

#[test]
fn without_a_server_a_client_says_how_to_start_it() {
    for (host, quote) in [("127.0.0.1", ""), ("::1", "'")] {
        if TcpListener::bind((host, 0)).is_err() {
            continue; // This machine has no IPv6.
        }
        let (addr, _connection) = refusing_addr(host);
        let reason = TcpStream::connect(&addr).expect_err("nobody listens");
        for Exercise { name, client, .. } in ALL {
            let mut command = Command::new(client);
            command.args(["--addr", &addr]).env("RUST_BACKTRACE", "1");
            let output = Program::spawn(&mut command).finish();
            let error = format!(
                "error: cannot connect to {addr}: {reason}\n\
                 start the server with: {} -- --addr {quote}{addr}{quote}",
                cli::command(name, "server")
            );
            assert_eq!(output.stderr, error);
            assert_eq!((output.status, output.stdout.as_str()), (Some(1), ""), "{name}");
        }
    }
}

#[test]
fn on_windows_a_program_that_cargo_starts_for_another_exercise_says_so() {
    for Exercise { name, server, client, .. } in ALL {
        for (program, path) in [("server", server), ("client", client)] {
            for other in ["echo", "shop", "tests", "my-echo"] {
                let mut command = Command::new(path);
                command.arg("--version").env("CARGO_PKG_NAME", other);
                let output = Program::spawn(&mut command).finish();
                if cfg!(windows) && other != name && ["echo", "shop"].contains(&other) {
                    let error = format!(
                        "error: this is the {program} of {name}, not of {other}; start that with: \
                         cargo run -p tests --bin {other}-{program}"
                    );
                    assert_eq!((output.status, output.stderr), (Some(1), error));
                } else {
                    // Such as a student's own crate that starts our programs.
                    let version = format!("{name}-{program} {}", env!("CARGO_PKG_VERSION"));
                    assert_eq!((output.status, output.stdout), (Some(0), version));
                }
            }
        }
    }
}

#[test]
fn a_server_that_dies_ends_its_clients_at_once() {
    // `math`'s client waits at its input before it asks.
    for (exercise, args) in [(ECHO, &[][..]), (RANDOM_STREAM, &[]), (MATH, &["sum"]), (SHOP, &[])] {
        let server = exercise.start(&[]);
        let mut client = server.client(exercise.client, args);
        server.log().wait("client 1: connected");
        client.stderr.wait("connected to");
        drop(server);
        let output = client.end();
        let error = "error: the server closed the connection";
        assert!(output.stderr.contains(error), "{}: {output:?}", exercise.name);
        assert_eq!(output.status, Some(1), "{}: {output:?}", exercise.name);
    }
}

/// What a client sends and prints, with its arguments and its input.
const CONVERSATIONS: [(Exercise, &[&str], &str, &str, &str); 8] = [
    (ECHO, &["bonjour"], "", "bonjour\n", "bonjour\n"),
    (ECHO, &[], "bonjour", "bonjour", "bonjour"),
    (MATH, &["sum", "1", "2"], "", "sum 1 2 =\n", "3\n"),
    (MATH, &["sum"], "1 2 =\n", "sum 1 2 =", "3\n"),
    (MATH, &["sum", "1", "2="], "", "sum 1 2=", "3\n"),
    (MATH, &[], "sum 1 2 =\n", "sum 1 2 =", "3\n"),
    (SHOP, &["1", "3"], "", "1 3\n", "confirmed: 3 x Keyboard, 7 left\n"),
    (SHOP, &[], "1 3", "1 3\n", "confirmed: 3 x Keyboard, 7 left\n"),
];

/// Such a server may be faster than the client's sender, which has yet to see that its input
/// ends, or to send the last `=`.
#[test]
fn a_server_that_answers_and_closes_at_once_is_no_error() {
    for (exercise, args, input, question, answer) in CONVERSATIONS {
        let list = if exercise.name == "shop" { STOCK } else { "" };
        let addr = listen(move |mut stream| {
            let _ = stream.write_all(list.as_bytes());
            let _ = stream.read_exact(&mut vec![0; question.len()]);
            let _ = stream.write_all(answer.as_bytes());
        });
        for _ in 0..40 {
            let args = [&["--addr", &addr], args].concat();
            let output = tests::run(exercise.client, &args, input);
            assert_eq!(output.status, Some(0), "{}: {output:?}", exercise.name);
            assert!(output.stdout.ends_with(answer.trim_end()), "{}: {output:?}", exercise.name);
        }
    }
}

#[test]
fn a_forwarder_that_cuts_when_a_client_ends_its_sending_loses_nothing() {
    for (exercise, args, input, _, answer) in CONVERSATIONS {
        if (exercise.name, args.len()) == ("math", 0) {
            continue; // How many answers to wait for, its client cannot know.
        }
        let server = exercise.start(&[]);
        let addr = cutting_forwarder(&server.addr);
        let output = tests::run(exercise.client, &[&["--addr", &addr], args].concat(), input);
        assert!(output.stdout.ends_with(answer.trim_end()), "{args:?}: {output:?}");
        assert_eq!(output.status, Some(0), "{args:?}: {output:?}");
    }
    let server = RANDOM_STREAM.start(&[]);
    let addr = cutting_forwarder(&server.addr);
    let output = tests::run(RANDOM_STREAM.client, &["--addr", &addr, "--count", "2"], "");
    assert_eq!((output.stdout.lines().count(), output.status), (2, Some(0)), "{output:?}");

    let server = ECHO.start(&["--quiet"]);
    let (addr, lines) = (cutting_forwarder(&server.addr), "bonjour\n".repeat(100_000));
    let output = tests::run(ECHO.client, &["--addr", &addr], &lines);
    assert!(output.stdout == lines.trim_end() && output.status == Some(0), "{}", output.stderr);
}

#[test]
fn an_answer_may_follow_white_space_and_end_with_the_stream() {
    let shop = format!("{STOCK}\r\n  confirmed: 3 x Keyboard, 7 left");
    for (exercise, args, said, answer) in [
        (RANDOM_STREAM, &["--count", "2"][..], " \n  42\r\n\n\t7", "42\n7"),
        (MATH, &["sum", "1"], "\r\n \t 6.0", "6.0"),
        (MATH, &[], "\n 6.0\n\n 7", "6.0\n7"),
        (SHOP, &["1", "3"], &shop, "\nconfirmed: 3 x Keyboard, 7 left"),
        (SHOP, &[], &shop, "\nconfirmed: 3 x Keyboard, 7 left"),
    ] {
        let said = said.to_owned();
        let addr = listen(move |mut stream| {
            let _ = stream.write_all(said.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let args = [&["--addr", &addr], args].concat();
        let output = tests::run(exercise.client, &args, "1 3\n");
        assert!(output.stdout.ends_with(answer), "{args:?}: {output:?}");
        assert_eq!(output.status, Some(0), "{args:?}: {output:?}");
    }
}

/// A slow network may cut an answer anywhere; only numbers that are apart in time need no line end.
#[test]
fn a_pause_ends_a_number_of_random_stream_and_no_other_answer() {
    thread::scope(|scope| {
        for (exercise, args, pieces, answer) in [
            (RANDOM_STREAM, &["--count", "2"][..], ["42", "7"], "42\n7"),
            (MATH, &["sum", "1"], ["4", "2\n"], "42"),
            (MATH, &[], ["4", "2\n"], "42"),
        ] {
            scope.spawn(move || {
                let addr = listen(move |mut stream| {
                    for piece in pieces {
                        let _ = stream.write_all(piece.as_bytes());
                        thread::sleep(Duration::from_millis(600)); // Over twice the pause.
                    }
                });
                let output = tests::run(exercise.client, &[&["--addr", &addr], args].concat(), "1");
                assert_eq!(
                    (output.stdout.as_str(), output.status),
                    (answer, Some(0)),
                    "{output:?}"
                );
            });
        }
    });
}

#[test]
#[cfg_attr(windows, ignore = "there, a close with unread input may look like an orderly end")]
fn an_answer_that_a_reset_cut_is_none() {
    for (exercise, args, cut) in [
        (MATH, &["sum", "1"][..], "6"),
        (MATH, &[], "6"),
        (SHOP, &["1", "3"], "confirmed: 3"),
        (SHOP, &[], "confirmed: 3"),
    ] {
        for answer in ["", cut] {
            let list = if exercise.name == "shop" { STOCK } else { "" };
            let addr = listen(move |mut stream| {
                let _ = stream.write_all(list.as_bytes());
                let _ = stream.peek(&mut [0]); // That it stays unread makes a reset of the close.
                let _ = stream.write_all(answer.as_bytes());
            });
            let args = [&["--addr", &addr], args].concat();
            let output = tests::run(exercise.client, &args, "1 3\n");
            let error = "\nerror: the server closed the connection: ";
            assert!(output.stderr.contains(error), "{args:?}: {output:?}");
            assert_eq!((output.stdout.contains(cut), output.status), (false, Some(1)), "{args:?}");
        }
    }
}

/// A forwarder may cut what is ended too soon.
#[test]
fn a_client_does_not_count_the_time_before_it_has_sent_as_silence() {
    thread::scope(|scope| {
        for (exercise, args, question) in [(ECHO, &[][..], "1\n"), (MATH, &["sum"], "sum 1\n=\n")] {
            scope.spawn(move || {
                let addr = listen(move |mut stream| {
                    let _ = stream.read_exact(&mut vec![0; question.len()]);
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                    let _ = stream.read(&mut [0]).expect_err("the sending has ended");
                    let _ = stream.write_all(b"1\n");
                });
                let mut client =
                    Program::start(exercise.client, &[&["--addr", &addr], args].concat());
                thread::sleep(STOP); // Longer than the client's patience.
                client.write("1\n");
                let output = client.finish();
                assert_eq!((output.stdout.as_str(), output.status), ("1", Some(0)), "{output:?}");
                assert!(!output.stderr.contains("waiting"), "{output:?}");
            });
        }
    });
}

#[test]
fn a_client_says_what_it_waits_for() {
    thread::scope(|scope| {
        for (exercise, args, input, what) in [
            (ECHO, &[][..], "bonjour", "the echo"),
            (RANDOM_STREAM, &[], "", "a number"),
            (MATH, &["sum", "1"], "", "the answer"),
            (MATH, &["sum"], "1", "the answer"),
            (MATH, &[], "sum 1 =", "the answer"),
            (SHOP, &[], "", "the stock"),
            (SHOP, &["1", "3"], "", "the answer"),
            (SHOP, &[], "1 3", "the answer"),
        ] {
            scope.spawn(move || {
                let list = if what == "the answer" && exercise.name == "shop" { STOCK } else { "" };
                let (done, end) = mpsc::channel::<()>();
                let addr = listen(move |mut stream| {
                    let _ = stream.write_all(list.as_bytes());
                    let _ = end.recv();
                });
                let args = [&["--addr", &addr], args].concat();
                let mut client = Program::start(exercise.client, &args);
                client.write(input);
                client.end_input();
                client.stderr.wait(&format!("waiting for {what}"));
                drop(done);
                assert_eq!(client.end().status, Some(1), "{args:?}");
            });
        }
    });
}

#[test]
fn an_address_that_is_none_is_an_error_that_shows_one() {
    for (Exercise { server, client, .. }, port) in ALL.into_iter().zip(7001..) {
        for addr in
            ["", "7001", ":7001", "localhost", "localhost:", "localhost:99999", "http://h:80"]
        {
            for (program, what) in [(server, "listen on"), (client, "connect to")] {
                let output = tests::run(program, &["--addr", addr], "");
                let error = format!(
                    "error: cannot {what} {addr}: \
                     expected HOST:PORT, such as 127.0.0.1:{port} or '[::1]:{port}'"
                );
                assert_eq!((output.stderr, output.status), (error, Some(1)));
            }
        }
        let help = tests::run(client, &["--help"], "").stdout;
        assert!(help.contains(&format!("127.0.0.1:{port}")), "{help}");
    }
}

#[test]
fn what_is_no_number_of_seconds_is_refused_with_what_is_one() {
    for (exercise, flag) in [
        (ECHO, "--timeout"),
        (RANDOM_STREAM, "--timeout"),
        (RANDOM_STREAM, "--interval"),
        (MATH, "--timeout"),
        (SHOP, "--timeout"),
        (SHOP, "--delay"),
    ] {
        for value in ["-1", "-.5", "-1e3", "1000001", "one", "nan", "inf", ""] {
            let output = tests::run(exercise.server, &[flag, value], "");
            let first = output.stderr.lines().next().unwrap_or_default();
            let reason = ": expected a number of seconds from 0 to 1000000";
            assert!(first.ends_with(reason), "{flag} {value}: {output:?}");
            assert_eq!(output.status, Some(2), "{flag} {value}");
        }
    }
}

#[test]
#[cfg_attr(windows, ignore = "it runs sh")]
fn an_error_begins_on_a_line_of_its_own() {
    let addr = listen(|mut stream| {
        let _ = stream.read_exact(&mut [0; 8]);
        let _ = stream.write_all(b"Bonj");
    });
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 2>&1", ECHO.client, "--addr", &addr, "bonjour"]);
    let output = Program::spawn(&mut command).finish().stdout;
    let lines: Vec<_> = output.lines().skip(1).collect();
    assert_eq!(lines, ["Bonj", "error: 8 bytes were sent, but 4 came back"]);
}

#[test]
fn the_notices_of_twenty_clients_do_not_mix() {
    let server = RANDOM_STREAM.start(&[]);
    let path = format!("{}/notices", env!("CARGO_TARGET_TMPDIR"));
    let file = fs::OpenOptions::new().create(true).append(true).open(&path).expect("a folder");
    file.set_len(0).expect("it is a file");
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = Command::new(RANDOM_STREAM.client);
            client.args(["--addr", &server.addr, "--count", "1"]);
            let file = file.try_clone().expect("there are descriptors");
            client.stdout(Stdio::null()).stderr(file).spawn().expect("it starts")
        })
        .collect();
    for mut client in clients {
        assert!(client.wait().expect("it is our child").success());
    }
    let notices = fs::read_to_string(&path).expect("it is there");
    let connected = format!("connected to {} as 127.0.0.1:", server.addr);
    let whole =
        notices.lines().filter_map(|line| line.strip_prefix(&connected)?.parse::<u16>().ok());
    assert_eq!(whole.count(), 20, "{notices}");
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it runs script, as util-linux has it")]
fn at_a_terminal_a_client_says_what_to_type_and_ends_with_its_input() {
    for (exercise, what, typed, shown) in [
        (ECHO, "type lines, then Ctrl-D to end", "bonjour\n", "bonjour"),
        (MATH, "type an action, numbers and =, such as", "sum 1 2 =\n", "3"),
        (SHOP, "ID QUANTITY, such as 1 3, or Ctrl-D to leave", "1 3\n", "confirmed: 3 x Keyboard"),
    ] {
        let server = exercise.start(&[]);
        let mut client = at_terminal(exercise.client, &["--addr", &server.addr]);
        client.stdout.wait(what);
        client.write(typed);
        // A terminal shows what is typed, too.
        client.stdout.wait_for_count(shown, if typed.contains(shown) { 2 } else { 1 });
        client.write("\x04"); // Ctrl-D.
        assert_eq!(client.end().status, Some(0), "{}", exercise.name);
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it runs script, as util-linux has it")]
fn at_the_prompt_an_error_begins_on_a_line_of_its_own() {
    let (tell, told) = mpsc::channel::<&str>();
    let addr = listen(move |mut stream| {
        while let Ok(text) = told.recv() {
            let _ = stream.write_all(text.as_bytes());
        }
    });
    let mut client = at_terminal(SHOP.client, &["--addr", &addr]);
    let (screen, say) = (client.stdout.clone(), |text| tell.send(text).expect("it listens"));
    say(STOCK);
    screen.wait("to leave");
    client.write("1 3\n");
    screen.wait("waiting for the answer");
    say("confirmed: 3 x Keyboard, 7 left\n");
    screen.wait_for_count("to leave", 2);
    say("error: timed out: nothing received for 600 s\n");
    let error = screen.wait("timed out");
    drop(tell);
    let last = screen.wait_for_end().pop().expect("an error");
    assert!(error.starts_with("error: timed out"), "{error:?}");
    assert!(last.starts_with("error: orders refused: 1") || last.contains("closed"), "{last:?}");
}

#[test]
#[cfg_attr(windows, ignore = "there, a directory cannot be opened")]
fn an_unreadable_input_is_what_the_client_reports() {
    for (exercise, args) in [(ECHO, &[][..]), (MATH, &[]), (MATH, &["sum"]), (SHOP, &[])] {
        let server = exercise.start(&[]);
        let list = if exercise.name == "shop" { STOCK } else { "" };
        let (_open, end) = mpsc::channel::<()>();
        let silent = listen(move |mut stream| {
            let _ = stream.write_all(list.as_bytes());
            let _ = end.recv_timeout(PATIENCE);
        });
        let began = Instant::now();
        for addr in [&server.addr, &silent] {
            let mut client = Command::new(exercise.client);
            client.args(["--addr", addr]).args(args).stdin(fs::File::open("/").expect("a root"));
            let output = client.output().expect("it starts");
            let error = String::from_utf8_lossy(&output.stderr);
            let reason = format!(": {}\n", fs::read("/").expect_err("it is a directory"));
            assert!(error.contains("error: cannot read the "), "{}: {error}", exercise.name);
            assert!(error.ends_with(&reason), "{}: {error}", exercise.name);
            assert_eq!(output.status.code(), Some(1), "{}: {error}", exercise.name);
        }
        assert!(began.elapsed() < PATIENCE, "{}: it has waited for the server", exercise.name);
    }
}

#[test]
#[cfg_attr(windows, ignore = "it sends signals")]
fn a_server_that_is_stopped_and_continued_keeps_its_clients() {
    for exercise in ALL {
        let server = exercise.start(&[]);
        let mut peers = [exercise.connect(&server), exercise.connect(&server)];
        for _ in 0..3 {
            server.program.signal("STOP");
            server.program.signal("CONT");
            for peer in &mut peers {
                (exercise.ask)(peer);
            }
        }
        assert_eq!(server.last_lines(), 0, "{}", exercise.name);
    }
}

/// A stock of one product, as the shop lists it.
const STOCK: &str = "1\t10\tKeyboard\n\n";

#[test]
fn a_servers_error_reaches_the_terminal_escaped_and_cut() {
    let error = ["error: \x1b[2J\u{9b}\x07", &"x".repeat(100), "\n"].concat();
    let expected = format!("\nerror: \\u{{1b}}[2J\\u{{9b}}\\u{{7}}{}…", "x".repeat(74));
    for (exercise, args, said) in [
        (RANDOM_STREAM, &[][..], error.clone()),
        (MATH, &["sum", "1"], error.clone()),
        (SHOP, &[], error.clone()),
        (SHOP, &["1", "3"], format!("{STOCK}{error}")),
    ] {
        let addr = serve("", said);
        let output = tests::run(exercise.client, &[&["--addr", &addr], args].concat(), "");
        assert!(output.stderr.ends_with(&expected), "{}: {output:?}", exercise.name);
        assert_eq!(output.status, Some(1), "{}: {output:?}", exercise.name);
    }
    let addr = serve("", format!("error: {}\n", "x".repeat(60_000)));
    let output = tests::run(MATH.client, &["--addr", &addr, "sum", "1"], "");
    let expected = "error: invalid reply: a line of more than 4096 bytes";
    assert_eq!(output.stderr.lines().last(), Some(expected));
}

#[test]
fn a_products_name_reaches_the_terminal_without_control_characters() {
    let addr =
        serve("", "1\t10\t\x1b[31mKeyboard\x07\n\nconfirmed: 3 x \x1b[31mKeyboard, 7 left\n");
    let output = tests::run(SHOP.client, &["--addr", &addr, "1", "3"], "");
    let expected = "ID  QUANTITY  NAME\n 1        10  \\u{1b}[31mKeyboard\\u{7}\n\
                    confirmed: 3 x \\u{1b}[31mKeyboard, 7 left";
    assert_eq!((output.stdout.as_str(), output.status), (expected, Some(0)), "{output:?}");
}

#[test]
fn a_wrong_answer_is_an_error_that_quotes_it() {
    for (exercise, args, said, error) in [
        (RANDOM_STREAM, &["--count", "3"][..], "42\nfour\n", "\"four\": expected an integer"),
        (MATH, &["sum", "1"], "\x1b[2J\n", "\"\\u{1b}[2J\": expected a number"),
        (MATH, &["sum", "1"], "inf\n", "\"inf\": expected a number"),
        (SHOP, &[], &format!("{STOCK}yes\n"), "\"yes\": expected confirmed: …"),
    ] {
        let addr = serve("", said);
        let output = tests::run(exercise.client, &[&["--addr", &addr], args].concat(), "1 3\n");
        let error = format!("\nerror: the server sent {error}");
        assert!(output.stderr.contains(&error), "{}: {output:?}", exercise.name);
        assert_eq!(output.status, Some(1), "{}: {output:?}", exercise.name);
    }
    let addr = serve("", "garbage\n");
    let output = tests::run(SHOP.client, &["--addr", &addr], "");
    let error = "error: expected ID<TAB>QUANTITY<TAB>NAME, not \"garbage\"";
    assert_eq!((output.stderr.lines().last(), output.status), (Some(error), Some(1)));
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it limits memory with ulimit -d")]
fn whatever_the_server_sends_a_clients_memory_stays_small() {
    let product = format!("1\t1\t{}\n", "x".repeat(4000));
    for (exercise, args, said, status) in [
        (ECHO, &["bonjour"][..], "x".repeat(40_000_000), 1),
        (RANDOM_STREAM, &[], "1".repeat(40_000_000), 1),
        (MATH, &["sum", "1"], "1\n".repeat(100_000), 0),
        (SHOP, &[], product.repeat(10_000), 1),
        (SHOP, &[], product.repeat(1000) + "\n", 0),
        (SHOP, &[], format!("\n{}", "confirmed: 1\n".repeat(100_000)), 0),
    ] {
        let mut client = limited("ulimit -d 20480", exercise.client); // KiB, of data.
        client.args(["--addr", &serve("", said)]).args(args);
        let output = Program::spawn(&mut client).finish();
        assert_eq!(output.status, Some(status), "{}: {}", exercise.name, output.stderr);
    }
}

/// Longer than a client's patience, and than the timeout that two tests give their servers: what
/// is tested is a wait that long.
const STOP: Duration = Duration::from_secs(3);

#[test]
#[cfg_attr(windows, ignore = "it sends signals")]
fn a_server_stopped_for_longer_than_its_timeout_drops_nobody_who_spoke_meanwhile() {
    thread::scope(|scope| {
        for exercise in [ECHO, MATH, SHOP] {
            scope.spawn(move || {
                let server = exercise.start(&["--timeout", "2"]);
                let mut peer = exercise.connect(&server);
                server.program.signal("STOP");
                peer.send(exercise.question);
                thread::sleep(STOP);
                server.program.signal("CONT");
                assert!(!peer.line().starts_with("error: timed out"), "{}", exercise.name);
                (exercise.ask)(&mut peer);
            });
        }
    });
}

#[test]
#[cfg_attr(windows, ignore = "it sends signals")]
fn a_server_stopped_while_it_writes_drops_nobody() {
    let server = ECHO.start(&["--timeout", "2", "--quiet"]);
    let mut peer = server.connect();
    let mut stream = peer.stream();
    // Until a write makes no progress: then the server's own writes make none either.
    stream.set_write_timeout(Some(Duration::from_millis(200))).expect("it is open");
    let mut sent = 0;
    while let Ok(length) = stream.write(&[b'x'; 4096]) {
        sent += length;
    }
    server.program.signal("STOP");
    thread::sleep(STOP);
    server.program.signal("CONT");
    peer.end_sending();
    assert_eq!(peer.rest().len(), sent);
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it reads /proc")]
fn eight_mebibytes_without_an_end_are_an_error() {
    for (exercise, reason) in [
        (MATH, format!("a token of more than 4096 bytes: \"{}\"…", "x".repeat(80))),
        (SHOP, "a line of more than 1024 bytes".to_owned()),
    ] {
        let server = exercise.start(&[]);
        drop(exercise.connect(&server));
        let before = server.status("VmRSS");
        let mut peer = server.connect();
        (exercise.greet)(&mut peer);
        let mut stream = peer.stream().try_clone().expect("there are descriptors");
        let sender = thread::spawn(move || {
            // The server closes after a second at the latest, read or not.
            let _ = stream.write_all(&vec![b'x'; 8 * 1024 * 1024]);
        });
        assert_eq!(peer.line(), format!("error: {reason}"));
        server.log().wait(&format!("client 2: lost: {reason}"));
        sender.join().expect("it does not panic");
        let grown = server.status("VmRSS").saturating_sub(before);
        assert!(grown < 2048, "{}: grown by {grown} KiB", exercise.name);
        exercise.connect(&server);
    }
}

/// An echo server whose standard output is a pipe that is read by hand.
fn echo_with_pipe() -> (Program, BufReader<ChildStdout>, String) {
    let mut command = Command::new(ECHO.server);
    command.args(["--addr", "127.0.0.1:0"]);
    let (program, stdout) = Program::spawn_unread(&mut command);
    let mut stdout = BufReader::new(stdout);
    let mut first = String::new();
    stdout.read_line(&mut first).expect("the server listens");
    let addr = first.trim().rsplit(' ').next().expect("an address").to_owned();
    (program, stdout, addr)
}

#[test]
fn a_closed_standard_output_stops_nobody() {
    let (program, stdout, addr) = echo_with_pipe();
    drop(stdout);
    for message in ["one", "two", "three"] {
        assert_eq!(tests::run(ECHO.client, &["--addr", &addr, message], "").stdout, message);
    }
    assert_eq!(program.stderr.so_far(), [""; 0]);
}

#[test]
fn a_full_standard_output_stops_nobody_and_says_what_is_dropped() {
    let (_program, stdout, addr) = echo_with_pipe();
    let message = "x".repeat(1000);
    let mut peer = Peer::connect(&addr);
    // Each logs over a hundred bytes: more than there is room for.
    for _ in 0..10_000 {
        peer.send(&message);
        peer.bytes(message.len());
    }
    // It is read again, and goes on.
    let log = Lines::of(stdout);
    log.wait("] lines dropped: ");
    peer.send("last");
    log.wait("received 4 bytes: \"last\"");
    for line in log.so_far() {
        let is_whole = line.starts_with('[') && line.ends_with(['"', '…'])
            || line.contains(": connected from ")
            || line.contains("] lines dropped: ");
        assert!(is_whole, "{line}");
    }
}

#[test]
fn a_hundred_clients_are_served_at_once() {
    const CLIENTS: usize = 100; // Few enough for the 256 descriptors that macOS gives a process.
    let server = Server::start(RANDOM_STREAM.server, &["--quiet"]);
    let mut peers: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    for _ in 0..2 {
        peers.iter_mut().for_each(number);
    }
    drop(peers);
    wait_until("all are gone", || server.last_lines() == CLIENTS);
}

#[test]
fn a_buyer_killed_at_any_point_leaves_the_lock_free_and_the_order_whole() {
    for (point, sold) in
        [("waits for the write lock", 2), ("has the write lock", 2), ("releases the read lock", 0)]
    {
        let server = Server::start(SHOP.server, &["--delay", "0.3"]);
        let mut other = server.connect();
        (SHOP.greet)(&mut other);
        if point.starts_with("waits") {
            other.send("2 1\n");
            server.log().wait("client 1: has the write lock");
        }
        let args: &[&str] = if sold > 0 { &["1", "2"] } else { &[] };
        let mut buyer = server.client(SHOP.client, args);
        server.log().wait(&format!("client 2: {point}"));
        buyer.kill();
        let mut next = server.connect();
        let mut left = next.line();
        (SHOP.greet)(&mut next);
        // If the order still waited when this list was made, there will be another.
        if left.ends_with("\t10\tKeyboard") && sold > 0 {
            server.log().wait("client 2: sent \"confirmed");
            left = server.connect().line();
        }
        assert_eq!(left, format!("1\t{}\tKeyboard", 10 - sold), "killed when it {point}");
    }
}
