//! `math`: a conversation framed by `=`, however its bytes arrive.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::thread;

use tests::{Server, program};

const SERVER: &str = program!("math-server");
const CLIENT: &str = program!("math-client");

const CONVERSATION: &str = "sum 1\n 2.5 -3 = moyenne 1 2 6 =\r\n\
    Écart-Type 2 4 4 4 5 5 7 9\n= min 4 -2.5 1e-7 =\nMAX 0.1 =\n";
const ANSWERS: &str = "0.5\n3\n2\n-2.5\n0.1\n";

/// Holds a whole conversation, and returns all that the server says.
#[track_caller]
fn converse(server: &Server, text: impl AsRef<[u8]>) -> String {
    let mut peer = server.connect();
    peer.send(text);
    peer.end_sending();
    peer.rest()
}

#[test]
fn every_action_is_answered_on_one_connection() {
    let server = Server::start(SERVER, &[]);
    assert_eq!(converse(&server, CONVERSATION), ANSWERS);
    server.log().wait("client 1: sum of 3 numbers: 0.5");
    server.log().wait("client 1: max of 1 number: 0.1");
    server.log().wait("client 1: disconnected");
}

#[test]
fn a_wrong_word_ends_its_own_conversation_with_a_reason() {
    let server = Server::start(SERVER, &[]);
    let mut other = server.connect();
    other.send("sum 1 ");
    let too_long = "9".repeat(100_000);
    for (wrong, reason) in [
        ("inf", "expected a number, such as -2.5 or 1e-7, not \"inf\""),
        ("1e400", "outside the range of a 64-bit float: \"1e400\""),
        ("\x1b[2J", "1e-7, not \"\\u{1b}[2J\""),
        (&too_long, "a token of more than 4096 bytes: \"999"),
    ] {
        let said = converse(&server, format!("sum 1 2 =\nsum 1 {wrong} 2 =\nsum 4 =\n"));
        let error = said.strip_prefix("3\nerror: ").unwrap_or_else(|| panic!("{wrong}: {said}"));
        assert!(error.contains(reason) && error.ends_with('\n'), "{wrong}: {said}");
        assert_eq!(error.lines().count(), 1, "{wrong}: {said}");
    }
    for (text, reason) in [
        ("produit 1 2 =", "error: expected sum, mean, stddev, min or max, not \"produit\"\n"),
        ("sum = mean =", "0\nerror: the mean of no numbers is undefined\n"),
        ("stddev =", "error: the stddev of no numbers is undefined\n"),
        ("min =", "error: the min of no numbers is undefined\n"),
        ("max =", "error: the max of no numbers is undefined\n"),
        ("sum 1 = 2 =", "1\nerror: expected sum, mean, stddev, min or max, not \"2\"\n"),
        ("sum 1 2", "error: the input ended before =\n"),
    ] {
        assert_eq!(converse(&server, text), reason);
    }
    other.send("2 =\n");
    assert_eq!(other.line(), "3");
    server.log().wait_for_count(": lost: ", 11);
}

#[test]
fn a_refused_number_says_which_of_its_question_it_was() {
    let server = Server::start(SERVER, &[]);
    let numbers = "1 ".repeat(100_000);
    for (client, token, shown) in [(1, &b"x"[..], "x"), (2, b"\xff\xef\xbf\xbd", "?\u{fffd}")] {
        let question = [b"max 1 2 = sum ", numbers.as_bytes(), token, b" ="].concat();
        let reason = "number 100001: expected a number, such as -2.5 or 1e-7, not";
        assert_eq!(converse(&server, question), format!("2\nerror: {reason} \"{shown}\"\n"));
        server.log().wait(&format!("client {client}: lost: {reason} \"{shown}\""));
    }
}

#[test]
fn the_reason_arrives_although_the_client_is_still_sending() {
    let server = Server::start(SERVER, &[]);
    for _ in 0..10 {
        let mut peer = server.connect();
        let mut stream = peer.stream().try_clone().unwrap();
        let sender = thread::spawn(move || {
            let numbers = "1 2 3 x ".repeat(100_000);
            // The server may well close before it is through.
            let _ = stream.write_all(numbers.as_bytes());
        });
        let error = "error: expected sum, mean, stddev, min or max, not \"1\"";
        assert_eq!(peer.line(), error);
        sender.join().unwrap();
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it reads /proc")]
fn a_list_of_any_length_takes_no_memory() {
    let server = Server::start(SERVER, &[]);
    let mut peer = server.connect();
    let send = |peer: &tests::Peer, start: u64| {
        let mut text = String::new();
        for number in start..start + 200_000 {
            write!(text, "{number} ").unwrap();
        }
        peer.send(text);
    };
    peer.send("sum ");
    send(&peer, 0);
    let before = server.status("VmRSS");
    send(&peer, 200_000);
    send(&peer, 400_000);
    peer.send("=\n");
    assert_eq!(peer.line(), (600_000_u64 * 599_999 / 2).to_string());
    let grown = server.status("VmRSS").saturating_sub(before);
    assert!(grown < 1024, "grown by {grown} KiB");
}

#[test]
fn the_client_has_three_forms() {
    let server = Server::start(SERVER, &[]);
    for (args, input, answer) in [
        (&["sum", "1", "-2", "-1e-7"][..], "", "-1.0000001"),
        (&["MOYENNE", "1", "2", "6"], "", "3"),
        (&["stddev"], "2 4 4 4\n5 5 7 9", "2"),
        (&["sum"], "", "0"),
        (&["sum", "1", "2", "="], "", "3"),
        (&["sum"], "1 2 =\n", "3"),
        (&["sum", "1", "2", "=", "max", "3"], "", "3\n3"),
        (&["sum", "1\r", "2 3\r\n4\r"], "", "10"),
        (&["sum\r"], "1\r\n2\r\n", "3"),
        (&[], "sum 1\n2 =\nmax 3 -4 =", "3\n3"),
        (&["min", "-0", "5"], "", "0"),
        (&[], "", ""),
    ] {
        let output = server.run(CLIENT, args, input);
        assert_eq!(output.stdout, answer, "{args:?}: {output:?}");
        assert_eq!((output.stderr.as_str(), output.status), ("", Some(0)), "{args:?}");
    }
}

#[test]
fn the_client_says_the_servers_reason() {
    let server = Server::start(SERVER, &[]);
    for (args, input, answer, reason) in [
        (&["max"][..], "", "", "the max of no numbers is undefined"),
        (&[], "sum 1 =\nsum 2", "1", "the input ended before ="),
        (
            &[],
            "sum 1 =\nsum x",
            "1",
            "number 1: expected a number, such as -2.5 or 1e-7, not \"x\"",
        ),
        (
            &["somme", "1", "=", "deux"],
            "",
            "1",
            "expected sum, mean, stddev, min or max, not \"deux\"",
        ),
    ] {
        let output = server.run(CLIENT, args, input);
        assert_eq!(output.stderr, format!("error: {reason}"), "{args:?}");
        assert_eq!((output.stdout.as_str(), output.status), (answer, Some(1)), "{args:?}");
    }
}

#[test]
fn a_question_without_an_answer_is_an_error() {
    for (args, input, question, answers) in [
        (&[][..], "sum 1 2 =", "sum 1 2 =", ""),
        (&["sum"], "1 2", "sum 1 2=\n", ""),
        (&["sum", "1"], "", "sum 1 =\n", ""),
        (&["sum", "1", "=", "max", "2"], "", "sum 1 = max 2 =\n", "1\n"),
    ] {
        let addr = tests::listen(move |mut stream| {
            stream.read_exact(&mut vec![0; question.len()]).unwrap();
            stream.write_all(answers.as_bytes()).unwrap();
        });
        let output = tests::run(CLIENT, &[&["--addr", &addr], args].concat(), input);
        let error = output.stderr.lines().last();
        assert_eq!(error, Some("error: the server closed the connection"), "{args:?}");
        assert_eq!((output.stdout.as_str(), output.status), (answers.trim_end(), Some(1)));
    }
}

#[test]
fn a_question_without_an_action_is_refused() {
    let server = Server::start(SERVER, &[]);
    for args in [&[""][..], &[" "], &["="], &["", "="]] {
        let output = server.run(CLIENT, args, "1 2");
        let error = "error: expected an action, such as sum";
        assert_eq!((output.stderr.as_str(), output.status), (error, Some(1)), "{args:?}");
    }
}

#[test]
fn an_option_among_the_numbers_is_refused() {
    let output = tests::run(CLIENT, &["sum", "1", "-1e-7", "--addr", "127.0.0.1:1"], "");
    let first = output.stderr.lines().next();
    let error = "error: invalid value '--addr' for '[NUMBERS]...': options go before the numbers";
    assert_eq!((first, output.status), (Some(error), Some(2)));
}

#[test]
fn an_equals_sign_that_follows_no_action_is_skipped() {
    let server = Server::start(SERVER, &[]);
    assert_eq!(converse(&server, "= sum 1 2 == \n=\nmax 3 = ="), "3\n3\n");
}

#[test]
fn the_answer_needs_nothing_after_the_equals_sign() {
    let server = Server::start(SERVER, &[]);
    let mut peer = server.connect();
    peer.send("sum 1 2 =");
    assert_eq!(peer.line(), "3");
}
