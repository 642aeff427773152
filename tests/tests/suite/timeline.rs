//! `timeline`: what is drawn of the lock, from real logs and from made-up ones.

use std::time::Instant;

use tests::{Peer, Server, program};

#[path = "../../../shop/examples/timeline.rs"]
#[expect(dead_code, reason = "its `main` is not run here")]
mod example;

const PAGE: &str = include_str!("../../../shop/README.md");

fn draw(log: impl AsRef<[u8]>) -> String {
    example::draw(log.as_ref()).unwrap()
}

/// A picture without what is different every time: each run of a glyph becomes one of it,
/// gaps and times disappear.
fn lasting(picture: &str) -> Vec<String> {
    let lines = picture.lines().filter(|line| line.starts_with("client"));
    lines
        .map(|line| {
            let mut glyphs: Vec<_> = line.chars().filter(|glyph| *glyph != ' ').collect();
            glyphs.dedup();
            glyphs.into_iter().collect()
        })
        .collect()
}

/// A new client, which has asked for the list.
#[track_caller]
fn arrive(server: &Server, number: usize) -> Peer {
    let peer = server.connect();
    server.log().wait(&format!("client {number}: waits for the read lock"));
    peer
}

/// Starts a shop with two clients that have listed together and order `order` one after the
/// other, so that the second finds the first one's order under way.
fn order_twice(args: &[&str], order: &str) -> (Server, [Peer; 2]) {
    let server = Server::start(program!("shop-server"), &[&["--delay", "0.8"], args].concat());
    let mut peers = [arrive(&server, 1), arrive(&server, 2)];
    for peer in &mut peers {
        while !peer.line().is_empty() {}
    }
    for (number, peer) in (1..).zip(&peers) {
        peer.send(order);
        server.log().wait(&format!("client {number}: waits for the write lock"));
    }
    (server, peers)
}

/// Waits for the end of `holds` holds, and returns the picture of the log.
fn picture(server: &Server, holds: usize) -> String {
    server.log().wait_for_count(": releases the ", holds);
    draw(server.log().so_far().join("\n"))
}

/// The picture number `index` of the shop's page.
fn shown(index: usize) -> &'static str {
    let pictures = PAGE.split("```text\n").filter(|block| block.starts_with("client 1  "));
    pictures.map(|block| block.split("```").next().unwrap()).nth(index).unwrap()
}

#[test]
fn with_the_lock_lists_share_it_and_orders_take_turns() {
    let (server, _peers) = order_twice(&[], "1 3\n");
    server.log().wait("client 2: has the write lock");
    let _late = arrive(&server, 3);
    let picture = picture(&server, 5);
    assert_eq!(lasting(&picture), ["client1▒?█!", "client2▒·?█!", "client3·▒"], "{picture}");
    assert_eq!(lasting(&picture), lasting(shown(0)));
}

#[test]
fn without_the_lock_the_checks_come_together_and_the_changes_too() {
    let (server, _peers) = order_twice(&["--no-lock"], "4 1\n");
    let picture = picture(&server, 6);
    assert_eq!(lasting(&picture), ["client1▒?!", "client2▒?!"], "{picture}");
    assert_eq!(lasting(&picture), lasting(shown(2)));
    server.log().wait("changed: Crème brûlée torch 0 -> -1");
}

#[test]
fn a_picture_is_drawn_to_scale_and_80_columns_wide() {
    // 68 columns for 68 seconds.
    let picture = draw(
        "[    0.000] shop server listening on 127.0.0.1:7004\n\
         [    1.000] client 1: waits for the read lock\n\
         [    1.000] client 1: has the read lock\n\
         [    6.000] client 1: releases the read lock\n\
         [   11.000] client 10: waits for the write lock\n\
         [   21.000] client 10: has the write lock\n\
         [   21.000] client 10: checked: 10 x Keyboard, enough for 3\n\
         [   69.000] client 10: changed: Keyboard 10 -> 7\n\
         [   69.000] client 10: releases the write lock\n",
    );
    let spaces = " ".repeat(11);
    let expected = format!(
        "client 1    {}\nclient 10   {}{}?{}!\n{:12}1.0{:>65}\n{:12}{}\n",
        "▒".repeat(5),
        &spaces[1..],
        "·".repeat(10),
        "█".repeat(46),
        "",
        "69.0 s",
        "",
        "· waits   ▒ reads   █ writes   ? checks   ! changes"
    );
    assert_eq!(picture, expected);
}

#[test]
fn however_long_the_run_a_hold_is_drawn_and_a_short_wait_is_not() {
    let mut log = String::new();
    for hour in 0..100 {
        let (start, client) = (hour * 3600, u32::MAX - hour);
        log += &format!(
            "[{start}.000] client {client}: waits for the write lock\n\
             [{start}.500] client {client}: has the write lock\n\
             [{start}.501] client {client}: releases the write lock\n"
        );
    }
    let picture = draw(log);
    assert_eq!(picture.matches('█').count(), 100 + 1, "each hold, and the legend:\n{picture}");
    assert_eq!(picture.matches('·').count(), 1, "the legend:\n{picture}");
    assert!(picture.lines().all(|line| line.chars().count() <= 80), "{picture}");
    // However many holds there are in a column, it is one.
    let hold = "[ 1.000] client 1: has the read lock\n[ 1.001] client 1: releases the read lock\n";
    let picture = draw(hold.repeat(9) + "[99.000] client 2: disconnected\n");
    assert_eq!(picture.matches('▒').count(), 1 + 1, "{picture}");
}

#[test]
fn wherever_a_column_begins_a_moment_is_not_drawn_and_two_writers_never_share_it() {
    // A column is a second.
    let log = "[ 0.000] client 3: waits for the write lock\n\
               [10.xx0] client 1: waits for the read lock\n\
               [10.xx1] client 1: has the read lock\n\
               [20.xx0] client 1: releases the read lock\n\
               [30.xx0] client 1: waits for the write lock\n\
               [30.xx1] client 1: has the write lock\n\
               [30.xx2] client 1: checked: 10 x Keyboard, enough for 3\n\
               [39.xx5] client 2: waits for the write lock\n\
               [40.xx0] client 1: changed: Keyboard 10 -> 7\n\
               [40.xx1] client 1: releases the write lock\n\
               [40.xx1] client 2: has the write lock\n\
               [50.xx0] client 2: releases the write lock\n\
               [69.000] client 3: lost: the client closed\n";
    for shift in 0..100 {
        let picture = draw(log.replace("xx", &format!("{shift:02}")));
        assert_eq!(lasting(&picture), ["client1▒?█!", "client2█", "client3·"], "{picture}");
        let rows: Vec<_> = picture.lines().collect();
        let mut columns = rows[0].chars().zip(rows[1].chars());
        assert!(!columns.any(|(one, two)| "?█!".contains(one) && two == '█'), "{picture}");
    }
}

#[test]
fn what_has_not_ended_goes_on_to_the_end_of_a_log_that_is_cut_off_at_both_ends() {
    let picture = draw(
        "t 2: has the write lock\n[ 1.000] client 2: checked: 10 x Keyboard, enough for 3\n\
         [ 1.000] client 2: changed: Keyboard 10 -> 7\n\
         [ 1.000] client 2: releases the write lock\n\
         [ 1.000] client 2: has the write lock\n[ 2.000] client 3: waits for the read lock\n\
         [ 9.000] client 4: connected from 127.0.0.1:50312\n[ 9.500] client 2: relea",
    );
    assert_eq!(picture.matches('█').count(), 69 + 1, "{picture}");
    assert_eq!(lasting(&picture), ["client2█", "client3·"]);
}

#[test]
fn a_client_that_waits_for_the_lock_that_it_holds_is_drawn_so() {
    let picture = draw(
        "[ 3.000] client 1: has the write lock\n\
         [ 3.000] client 1: checked: 10 x Keyboard, enough for 3\n\
         [ 6.000] client 1: changed: Keyboard 10 -> 7\n\
         [ 6.000] client 1: waits for the read lock\n\
         [ 9.500] client 2: waits for the read lock\n",
    );
    assert_eq!(lasting(&picture), ["client1?█!#", "client2·"], "{picture}");
    assert!(picture.ends_with(" # holds the lock and waits for it\n"), "{picture}");
    // A client that lists twice at a time holds the lock until it has released both.
    let twice = draw(
        "[ 1.0] client 1: has the read lock\n[ 2.0] client 1: waits for the read lock\n\
         [ 2.0] client 1: has the read lock\n[ 3.0] client 1: releases the read lock\n\
         [ 5.0] client 1: releases the read lock\n",
    );
    assert_eq!(twice.matches('▒').count(), 69 + 1, "{twice}");
    assert!(!twice.contains("holds the lock and waits"), "{twice}");
    // A client whose `has` was dropped holds nothing that the log tells of.
    let dropped = draw(
        "[ 1.0] client 1: waits for the read lock\n[ 2.0] client 1: waits for the write lock\n\
         [ 3.0] lines dropped: 2\n",
    );
    assert!(!dropped.contains('#'), "{dropped}");
}

#[test]
fn a_wait_that_has_not_ended_has_a_column() {
    let picture = draw(
        "[ 1.000] client 1: has the write lock\n[ 9.000] client 2: waits for the write lock\n\
         [ 9.001] client 3: connected from 127.0.0.1:50312\n",
    );
    assert_eq!(lasting(&picture), ["client1█", "client2·"], "{picture}");
    // In the last column of a hold, and in the only one.
    for end in ["9.000", "1.001"] {
        let picture = draw(format!(
            "[ 1.000] client 1: has the read lock\n[ {end}] client 1: releases the read lock\n\
             [ {end}] client 1: waits for the write lock\n[ 9.000] client 2: disconnected\n",
        ));
        assert_eq!(lasting(&picture), ["client1▒·"], "{picture}");
    }
}

#[test]
fn a_log_is_read_as_powershell_writes_it() {
    let log = "[ 0.500] client 1: waits for the read lock\r\n\
               [ 1.000] client 1: has the read lock\r\n\
               [ 1.500] client 1: received \"écran 本\"\r\n\
               [ 3.000] client 1: releases the read lock\r\n";
    let expected = draw(log.replace('\r', ""));
    let utf_16 = |to_bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{log}").encode_utf16().flat_map(to_bytes).collect()
    };
    let all = [
        log.as_bytes().to_vec(),
        format!("\u{feff}{log}").into_bytes(),
        utf_16(u16::to_le_bytes),
        utf_16(u16::to_be_bytes),
    ];
    for bytes in all {
        assert_eq!(draw(&bytes), expected, "{bytes:?}");
    }
}

#[test]
fn dropped_lines_are_counted() {
    let hold = "[ 1.000] client 1: has the read lock\n[ 2.000] client 1: releases the read lock\n";
    let dropped = "[ 1.500] lines dropped: 40\n\
                   [ 1.600] lines dropped: 2\n";
    let told = "lines dropped from this log, and so from this picture: 42\n";
    assert_eq!(draw([hold, dropped].concat()), draw(hold) + told);
}

#[test]
fn a_log_that_never_ends_is_an_error() {
    for event in ["has the read lock", "releases the read lock", "checked: 1"] {
        let log = format!("[ 1.000] client 1: {event}\n").repeat(100_001);
        let error = format!("{:#}", example::draw(log.as_bytes()).unwrap_err());
        assert_eq!(error, "cannot read the log: more than 100000 events of the lock");
    }
}

#[test]
fn four_times_as_many_open_waits_take_about_four_times_as_long() {
    let time = |count: u32| {
        let wait = |n| format!("[ {n}.000] client {}: waits for the read lock\n", n % 2 * n);
        let log: String = (0..count).map(wait).collect();
        let start = Instant::now();
        draw(log);
        start.elapsed()
    };
    // It would be sixteen times, were each compared with all before it. What else the machine
    // does counts, too: one try of five decides.
    assert!((0..5).any(|_| time(20_000) < 8 * time(5_000)));
}

#[test]
fn lines_that_say_nothing_of_the_lock_are_skipped_and_none_of_their_characters_drawn() {
    let hold = "[ 1.000] client 1: has the read lock\n[ 2.000] client 1: releases the read lock\n";
    let noise: [&[u8]; 8] = [
        b"\x1b[2J\x07\xff\n",
        b"[ 1.500] client 1: received \"has the write lock\"\n",
        b"[ nan] client 1: has the write lock\n",
        b"[ 1e300] client 1: has the write lock\n",
        b"[ -1.0] client 1: has the write lock\n",
        b"[ 1.500] client \x1b: has the write lock\n",
        b"[ 1.500] client 18446744073709551615: has the write lock\n",
        &b"x".repeat(100_000),
    ];
    assert_eq!(draw([hold.as_bytes(), &noise.concat()].concat()), draw(hold));
}

#[test]
fn a_log_without_a_lock_is_an_error() {
    let many: String = (0..200_000).map(|n| format!("[ 1.0] client {n}: connected\n")).collect();
    for log in ["", "garbage", "[    0.000] echo server listening on 127.0.0.1:7001\n", &many] {
        let error = format!("{:#}", example::draw(log.as_bytes()).unwrap_err());
        assert_eq!(error, "no lock in this log: expected a shop server's log");
    }
}
