//! The README: what it shows is what the programs print, and its tables have all their flags.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::HashMap;
use std::process::Command;

use echo::cli;
use tests::{Program, Server, program};

const README: &str = include_str!("../../README.md");

/// A command of the README, and what it prints.
struct Transcript {
    exercise: String,
    program: String,
    args: Vec<String>,
    output: Vec<String>,
}

/// The transcripts of `cargo run`, in their order.
fn transcripts() -> Vec<Transcript> {
    let mut transcripts: Vec<Transcript> = Vec::new();
    for block in README.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                let words: Vec<_> = command.split(' ').map(str::to_owned).collect();
                let ["cargo", "run", "-p", exercise, "--bin", program] =
                    words[..6].iter().map(String::as_str).collect::<Vec<_>>()[..]
                else {
                    panic!("a transcript of another command: {command}")
                };
                transcripts.push(Transcript {
                    exercise: exercise.to_owned(),
                    program: program.to_owned(),
                    args: words[6..].iter().skip(1).cloned().collect(),
                    output: Vec::new(),
                });
            } else {
                transcripts.last_mut().unwrap().output.push(line.to_owned());
            }
        }
    }
    transcripts
}

fn path(exercise: &str, program: &str) -> &'static str {
    match (exercise, program) {
        ("echo", "server") => program!("echo-server"),
        ("echo", "client") => program!("echo-client"),
        ("random-stream", "server") => program!("random-stream-server"),
        ("random-stream", "client") => program!("random-stream-client"),
        ("math", "server") => program!("math-server"),
        ("math", "client") => program!("math-client"),
        ("shop", "server") => program!("shop-server"),
        ("shop", "client") => program!("shop-client"),
        other => panic!("no such program: {other:?}"),
    }
}

/// A line without what is different every time: times, ports, random numbers.
fn lasting(exercise: &str, line: &str) -> String {
    let event = match line.split_once("] ") {
        Some((time, event)) if time.starts_with('[') => event,
        _ => line,
    };
    let word = |word: &str| match word.rsplit_once(':') {
        Some(("127.0.0.1", _)) => "ADDRESS".to_owned(),
        None if exercise == "random-stream" && word.parse::<u8>().is_ok() => "NUMBER".to_owned(),
        _ => word.to_owned(),
    };
    event.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[test]
#[cfg_attr(windows, ignore = "it runs sh")]
fn every_transcript_is_what_the_programs_print() {
    let transcripts = transcripts();
    let servers = transcripts.iter().filter(|transcript| transcript.program == "server");
    let mut exercises = 0;
    for expected in servers {
        let Transcript { exercise, args, .. } = expected;
        let mut flags: Vec<_> = args.iter().map(String::as_str).collect();
        if exercise == "shop" {
            flags.extend(["--delay", "0.1"]); // The times are not compared.
        }
        let server = Server::start(path(exercise, "server"), &flags);
        let clients = transcripts.iter().filter(|transcript| {
            transcript.exercise == *exercise && transcript.program == "client"
        });
        for (index, client) in clients.enumerate() {
            // As a terminal does: both outputs, in the order in which they come.
            let mut command = Command::new("sh");
            command.args(["-c", "exec \"$0\" \"$@\" 2>&1", path(exercise, "client")]);
            command.args(["--addr", &server.addr]).args(&client.args);
            let printed = Program::spawn(&mut command).finish().stdout;
            let printed: Vec<_> = printed.lines().map(|line| lasting(exercise, line)).collect();
            let shown: Vec<_> = client.output.iter().map(|line| lasting(exercise, line)).collect();
            assert_eq!(printed, shown, "{exercise} client {:?}", client.args);
            let number = index + 1;
            tests::wait_until("the last line of the client", || {
                let log = server.log();
                let ends = ["disconnected", "lost: "];
                ends.iter().any(|end| !log.with(&format!("client {number}: {end}")).is_empty())
            });
        }
        let lines = |lines: &[String]| -> Vec<_> {
            lines.iter().map(|line| lasting(exercise, line)).collect()
        };
        assert_eq!(lines(&server.log().so_far()), lines(&expected.output), "{exercise} server");
        exercises += 1;
    }
    assert_eq!(exercises, 4);
}

#[test]
fn the_tables_have_all_flags_and_no_others() {
    let flags = |text: &str, start: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix(start));
        lines
            .flat_map(|line| {
                line.split('`').filter(|part| part.starts_with("--") && !part.starts_with("---"))
            })
            .map(|flag| flag.split([' ', '<']).next().unwrap().to_owned())
            .collect()
    };
    let sections: HashMap<_, _> =
        README.split("\n## ").map(|section| section.split_once('\n').unwrap()).collect();
    let common = ["--addr", "--max-clients", "--timeout"].map(str::to_owned);
    for exercise in ["echo", "random-stream", "math", "shop"] {
        let mut shown = flags(sections[exercise], "| ");
        let mut known = Vec::new();
        for program in ["server", "client"] {
            let help = tests::run(path(exercise, program), &["--help"], "").stdout;
            assert!(help.contains(&cli::command(exercise, program)), "{help}");
            assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
            let lines = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
            known.extend(lines.map(|line| format!("--{}", line.split(' ').next().unwrap())));
        }
        shown.extend(common.clone());
        for list in [&mut shown, &mut known] {
            list.sort();
            list.dedup();
        }
        assert_eq!(shown, known, "{exercise}");
    }
}

#[test]
fn the_code_that_is_shown_is_the_code() {
    let code =
        [include_str!("../../echo/src/server.rs"), include_str!("../../shop/src/bin/server.rs")];
    let shown = README.split("```rust\n").skip(1).map(|block| block.split("```").next().unwrap());
    let shown: Vec<_> = shown.collect();
    assert_eq!(shown.len(), code.len());
    for (shown, code) in shown.into_iter().zip(code) {
        assert!(code.contains(shown), "not in the code: {shown}");
    }
}

#[test]
fn each_demand_links_to_its_place() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let (_, demands) = README.split_once("## What the exercises ask").unwrap();
    let demands = demands.split("\n## ").next().unwrap();
    let links: Vec<_> = demands.split("[`").skip(1).collect();
    assert!(links.len() > 20, "{links:?}");
    for link in links {
        let (name, rest) = link.split_once("`](").unwrap();
        let file = rest.split(')').next().unwrap();
        let code = std::fs::read_to_string(format!("{root}/{file}")).unwrap();
        let name = name.rsplit("::").next().unwrap();
        let is_there = ["fn", "struct", "enum", "static"].iter().any(|kind| {
            let ends = ["(", "<", " ", ":"].map(|end| format!("{kind} {name}{end}"));
            ends.iter().any(|start| code.contains(start))
        });
        assert!(is_there || code.contains(&format!("    {name}: bool")), "{name} in {file}");
    }
}

#[test]
fn every_link_into_the_house_leads_to_a_file() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let links = README.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    let files: Vec<_> =
        links.filter(|link| !link.contains("//") && !link.starts_with('#')).collect();
    assert!(!files.is_empty());
    for file in files {
        assert!(std::path::Path::new(root).join(file).is_file(), "{file}");
    }
}
