//! `echo`: every byte comes back, and the log and the errors say what happens.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::process::Command;
use std::thread;

use tests::{PATIENCE, Program, Server, program, run, serve};

const SERVER: &str = program!("echo-server");
const CLIENT: &str = program!("echo-client");

/// Bytes of all values, with a period that divides no buffer's length.
fn bytes(length: usize) -> Vec<u8> {
    (0..=u8::MAX).chain(0..251).cycle().take(length).collect()
}

#[test]
fn after_a_half_close_everything_comes_back_then_the_end() {
    let server = Server::start(SERVER, &[]);
    let mut peer = server.connect();
    let text = "a line that comes back\n".repeat(100_000);
    let mut stream = peer.stream().try_clone().unwrap();
    let sender = thread::spawn({
        let text = text.clone();
        move || {
            stream.write_all(text.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        }
    });
    assert!(peer.rest() == text, "something else came back");
    sender.join().unwrap();
}

#[test]
fn the_log_tells_opening_connection_message_and_disconnection() {
    let server = Server::start(SERVER, &[]);
    let mut peer = server.connect();
    let from = peer.stream().local_addr().unwrap();
    peer.send("bonjour\n");
    assert_eq!(peer.line(), "bonjour");
    server.log().wait("received");
    drop(peer);
    server.log().wait("disconnected");

    let log = server.log().so_far();
    let events: Vec<_> = log.iter().map(|line| line.split_once("] ").unwrap().1).collect();
    assert_eq!(
        events,
        [
            &format!("echo server listening on {}", server.addr),
            &format!("client 1: connected from {from}"),
            r#"client 1: received 8 bytes: "bonjour\n""#,
            "client 1: disconnected",
        ]
    );
    for line in log {
        let seconds = line.strip_prefix('[').unwrap().split_once(']').unwrap().0;
        assert_eq!((seconds.len(), seconds.find('.')), (9, Some(5)), "{line}");
        assert!(seconds.trim().parse::<f64>().unwrap() < PATIENCE.as_secs_f64(), "{line}");
    }
}

#[test]
fn quiet_leaves_out_messages_and_nothing_else() {
    let server = Server::start(SERVER, &["--quiet"]);
    let mut peer = server.connect();
    peer.send("bonjour\n");
    peer.line();
    drop(peer);
    server.log().wait("client 1: disconnected");
    assert_eq!(server.log().with("client 1: connected").len(), 1);
    assert_eq!(server.log().with("received"), [""; 0]);
}

#[test]
fn the_client_sends_its_words_as_a_line_and_prints_the_reply() {
    let server = Server::start(SERVER, &[]);
    for words in [
        &["bonjour"][..],
        &["deux", "mots"],
        &[""],
        &["-3"],
        &["--", "-x", "--addr"],
        &["error: a line may begin so"],
    ] {
        let output = server.run(CLIENT, words, "");
        assert_eq!(output.status, Some(0), "{output:?}");
        let line = words.strip_prefix(&["--"]).unwrap_or(words).join(" ");
        assert_eq!((output.stdout, output.stderr), (line, String::new()));
    }
}

#[test]
fn a_file_comes_through_the_client_identical() {
    let server = Server::start(SERVER, &["--quiet"]);
    let sent = bytes(8 * 1024 * 1024 + 1);
    let path = format!("{}/echo-in", env!("CARGO_TARGET_TMPDIR"));
    let out = format!("{}/echo-out", env!("CARGO_TARGET_TMPDIR"));
    fs::write(&path, &sent).unwrap();
    let status = Command::new(CLIENT)
        .args(["--addr", &server.addr])
        .stdin(File::open(&path).unwrap())
        .stdout(File::create(&out).unwrap())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(fs::read(&out).unwrap() == sent, "{path} and {out} differ");
}

#[test]
fn what_is_typed_comes_back_before_the_input_ends() {
    let server = Server::start(SERVER, &[]);
    let mut client = server.client(CLIENT, &[]);
    for line in ["one", "two"] {
        client.write(format!("{line}\n"));
        client.stdout.wait(line);
    }
    assert_eq!(client.finish().status, Some(0));
}

/// A parent that polls the client's input and output in one thread, as Python's
/// `subprocess.run` does, must never block on either.
#[test]
#[cfg(target_os = "linux")] // It opens pipes through `/proc`.
fn a_parent_may_feed_and_read_the_client_from_one_thread() {
    use std::fs::OpenOptions;
    use std::io::ErrorKind;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    use std::process::Stdio;
    use std::sync::mpsc;
    use std::time::Duration;

    /// The same pipe, opened once more, without blocking.
    fn without_blocking(pipe: &impl AsRawFd, options: &mut OpenOptions) -> File {
        const O_NONBLOCK: i32 = 0o4000;
        let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
        options.custom_flags(O_NONBLOCK).open(path).unwrap()
    }
    let server = Server::start(SERVER, &["--quiet"]);
    let mut command = Command::new(CLIENT);
    command.args(["--addr", &server.addr]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = command.spawn().unwrap();

    let (stdin, stdout) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let mut input = Some(without_blocking(&stdin, OpenOptions::new().write(true)));
        let mut output = without_blocking(&stdout, OpenOptions::new().read(true));
        let mut stdin = Some(stdin);
        let sent = bytes(16 * 1024 * 1024);
        let (mut written, mut received) = (0, Vec::new());
        let mut buffer = vec![0; 1 << 16];
        loop {
            if let Some(pipe) = &mut input {
                match pipe.write(&sent[written..]) {
                    Ok(length) => written += length,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                if written == sent.len() {
                    (input, stdin) = (None, None);
                }
            }
            match output.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => received.extend_from_slice(&buffer[..length]),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    thread::sleep(Duration::from_millis(1)); // As a parent that polls does.
                }
            }
        }
        drop(stdin);
        done.send(received == sent).unwrap();
    });
    let is_identical = ended.recv_timeout(PATIENCE);
    client.kill().unwrap();
    client.wait().unwrap();
    assert_eq!(is_identical, Ok(true));
}

#[test]
fn a_port_in_use_is_an_error_that_says_what_to_do() {
    let server = Server::start(SERVER, &[]);
    let reason = TcpListener::bind(&server.addr).unwrap_err();
    let output = run(SERVER, &["--addr", &server.addr], "");
    assert_eq!((output.status, output.stdout.as_str()), (Some(1), ""));
    let expected = format!(
        "error: cannot listen on {}: {reason}\n\
         stop the program that listens there, or choose another port, \
         such as --addr 127.0.0.1:0",
        server.addr
    );
    assert_eq!(output.stderr, expected);
}

#[test]
fn names_and_ipv6_are_addresses_too() {
    let mut addrs = vec!["localhost:0"];
    if TcpListener::bind("[::1]:0").is_ok() {
        addrs.push("[::1]:0"); // Where this machine has IPv6.
    }
    for addr in addrs {
        let server = Program::start(SERVER, &["--addr", addr]);
        let listening = server.stdout.wait("listening on ");
        let addr = listening.split_once("listening on ").unwrap().1;
        assert_eq!(run(CLIENT, &["--addr", addr, "bonjour"], "").stdout, "bonjour");
    }
}

#[test]
fn an_echo_that_is_shorter_or_longer_than_what_was_sent_is_an_error() {
    for said in ["bonj", "bonjour\nbonjour\n"] {
        let addr = serve("bonjour\n", said);
        let output = run(CLIENT, &["--addr", &addr, "bonjour"], "");
        let error = format!("\nerror: 8 bytes were sent, but {} came back", said.len());
        assert!(output.stderr.ends_with(&error), "{output:?}");
        assert_eq!((output.status, output.stdout.as_str()), (Some(1), said.trim_end()));
    }
}

/// A server that reads to the end before it answers is a right answer to the exercise, too.
#[test]
fn a_server_that_answers_only_when_the_sending_has_ended_is_waited_for_and_then_served() {
    let addr = tests::listen(|mut stream| {
        let mut message = Vec::new();
        stream.read_to_end(&mut message).unwrap();
        stream.write_all(&message).unwrap();
    });
    let output = run(CLIENT, &["--addr", &addr, "bonjour"], "");
    assert_eq!((output.stdout.as_str(), output.status), ("bonjour", Some(0)), "{output:?}");
    assert_eq!(output.stderr.matches("waiting for the echo").count(), 1, "{output:?}");
}

#[test]
fn a_server_that_never_closes_keeps_nobody_who_has_everything_back() {
    let (done, end) = std::sync::mpsc::channel::<()>();
    let addr = tests::listen(move |mut stream| {
        std::io::copy(&mut stream.try_clone().unwrap(), &mut stream).unwrap();
        let _ = end.recv_timeout(PATIENCE);
    });
    let output = run(CLIENT, &["--addr", &addr, "bonjour"], "");
    drop(done);
    assert_eq!((output.stdout.as_str(), output.status), ("bonjour", Some(0)), "{output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
}
