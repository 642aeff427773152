//! The pages: what they show is what the programs print, and what they name is there.

use std::fs;
use std::path::Path;
use std::process::Command;

use echo::cli::{self, EXERCISES};
use tests::{Program, Server, program};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

const PAGES: [&str; 13] = [
    "README.md",
    "echo/README.md",
    "echo/EXERCISE.md",
    "echo/BETWEEN.md",
    "random-stream/README.md",
    "random-stream/EXERCISE.md",
    "math/README.md",
    "math/EXERCISE.md",
    "math/NUMBERS.md",
    "shop/README.md",
    "shop/EXERCISE.md",
    "shop/LOCKS.md",
    "tests/README.md",
];

fn page(path: &str) -> String {
    fs::read_to_string(format!("{ROOT}/{path}")).unwrap()
}

/// The answer's page of an exercise.
fn answer(exercise: &str) -> String {
    page(&format!("{exercise}/README.md"))
}

struct Block {
    /// Such as `sh`.
    language: String,
    /// Its lines, without the spaces before the block.
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let block = lines.by_ref().take_while(|line| line.trim_start() != "```");
        let text = block.map(|line| line.get(indent..).unwrap_or_default().to_owned() + "\n");
        blocks.push(Block { language: language.to_owned(), text: text.collect() });
    }
    blocks
}

/// A command of a page, and what it prints.
struct Transcript {
    exercise: String,
    program: String,
    args: Vec<String>,
    output: Vec<String>,
}

/// The transcripts in their order: what a `console` block shows is what the `sh` block before it
/// prints.
fn transcripts() -> Vec<Transcript> {
    let mut transcripts = Vec::new();
    for page in PAGES.map(page) {
        let blocks = blocks(&page);
        for (index, shown) in blocks.iter().enumerate() {
            if shown.language != "console" {
                continue;
            }
            let command = &blocks[index - 1];
            assert_eq!(command.language, "sh", "before {}", shown.text);
            let words: Vec<_> = command.text.trim_end().split(' ').collect();
            let ["cargo", "run", "-p", exercise, "--bin", program, args @ ..] = &words[..] else {
                panic!("a transcript of another command: {}", command.text)
            };
            transcripts.push(Transcript {
                exercise: (*exercise).to_owned(),
                program: (*program).to_owned(),
                args: args.iter().skip(1).map(|arg| (*arg).to_owned()).collect(),
                output: shown.text.lines().map(str::to_owned).collect(),
            });
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
            tests::wait_until("the client's last line", || server.last_lines() == index + 1);
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
fn each_page_has_all_arguments_of_its_programs_and_no_others() {
    for exercise in EXERCISES {
        let page = answer(exercise);
        let arguments = page.split("\n## Arguments\n").nth(1).unwrap_or_default();
        let arguments = arguments.split("\n## ").next().unwrap();
        let flags = arguments.split(['`', ' ', '|']).filter(|word| word.starts_with("--"));
        let mut shown: Vec<_> = flags.filter(|flag| *flag != "---").map(str::to_owned).collect();
        shown.extend(["--addr", "--max-clients", "--timeout"].map(str::to_owned));
        let mut known = Vec::new();
        for program in ["server", "client"] {
            let help = tests::run(path(exercise, program), &["--help"], "").stdout;
            assert!(help.contains(&cli::command(exercise, program)), "{help}");
            assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
            let lines = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
            known.extend(lines.map(|line| format!("--{}", line.split(' ').next().unwrap())));
        }
        for list in [&mut shown, &mut known] {
            list.sort();
            list.dedup();
        }
        assert_eq!(shown, known, "{exercise}");
    }
}

#[test]
fn the_code_that_is_shown_is_the_code() {
    let files = [
        "echo/examples/barest.rs",
        "echo/src/server.rs",
        "random-stream/src/bin/server.rs",
        "math/src/bin/server.rs",
        "math/src/statistics.rs",
        "shop/src/bin/server.rs",
    ];
    let mut code =
        files.map(|file| fs::read_to_string(format!("{ROOT}/{file}")).unwrap()).into_iter();
    for shown in PAGES.iter().flat_map(|path| blocks(&page(path))) {
        if shown.language == "rust" {
            let text = shown.text;
            assert!(code.next().unwrap().contains(&text), "not in the code: {text}");
        }
    }
    assert_eq!(code.next(), None);
}

#[test]
fn each_demand_names_code_found_once_in_its_file() {
    let mut count = 0;
    for exercise in EXERCISES {
        let page = answer(exercise);
        for row in page.lines().filter(|line| line.starts_with("| ") && line.ends_with(".rs) |")) {
            let name = row.split(" | `").nth(1).unwrap().split('`').next().unwrap();
            let file = row.rsplit("](").next().unwrap().strip_suffix(") |").unwrap();
            let code = fs::read_to_string(format!("{ROOT}/{exercise}/{file}")).unwrap();
            let found = code.match_indices(name).filter(|(index, _)| {
                let next = code[index + name.len()..].chars().next();
                !next.is_some_and(|next| next.is_alphanumeric() || next == '_')
            });
            assert_eq!(found.count(), 1, "{name} in {exercise}/{file}");
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let slug = |heading: &str| -> String {
        let words = heading.to_lowercase().replace(' ', "-");
        words.chars().filter(|char| char.is_alphanumeric() || *char == '-').collect()
    };
    for path in PAGES {
        let text = page(path);
        let folder = Path::new(ROOT).join(path);
        let folder = folder.parent().unwrap();
        let links = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        for link in links.filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { Path::new(ROOT).join(path) } else { folder.join(file) };
            assert!(file.is_file(), "{path}: {link}");
            if !heading.is_empty() {
                let target = fs::read_to_string(file).unwrap();
                let mut headings = target.lines().filter_map(|line| line.split_once("# "));
                assert!(headings.any(|(_, text)| slug(text) == heading), "{path}: {link}");
            }
        }
    }
}

/// In bash, zsh and PowerShell alike, where nothing else is said, and in any folder of the
/// workspace.
#[test]
fn commands_can_be_pasted_and_the_front_page_is_unfolded() {
    let mut count = 0;
    for path in PAGES {
        for Block { language, text } in blocks(&page(path)) {
            if !["sh", "powershell"].contains(&language.as_str()) {
                continue;
            }
            for word in ["#", "$ ", "pgrep", "/dev/null", "target/"] {
                assert!(!text.contains(word), "{path}: {word} in {text}");
            }
            for command in text.split("cargo ").skip(1) {
                let names_package =
                    ["-p ", "--workspace"].iter().any(|word| command.contains(word));
                assert!(names_package, "{path}: only in some folders: cargo {command}");
            }
            count += 1;
        }
    }
    assert!(count > 60, "{count}");
    assert!(!page("README.md").contains("<details>"));
}

#[test]
fn an_exercise_is_handed_out_without_its_answer() {
    let addrs = [echo::ADDR, random_stream::ADDR, math::ADDR, shop::ADDR];
    for (exercise, addr) in EXERCISES.into_iter().zip(addrs) {
        let first = answer(exercise).lines().nth(2).map(str::to_owned).unwrap();
        assert!(first.contains("](EXERCISE.md)"), "{exercise}: {first}");

        let page = page(&format!("{exercise}/EXERCISE.md"));
        let programs = EXERCISES.map(|exercise| format!("cargo run -p {exercise}"));
        let answers = programs.iter().map(String::as_str).chain(["src/", ".rs", "README", "--bin"]);
        for answer in answers {
            assert!(!page.contains(answer), "{exercise}: {answer}");
        }
        let mut links = page.split("](").skip(1);
        assert!(links.all(|link| link.starts_with('#')), "{exercise}: a link to another page");

        let (french, english) = page.split_once("\n## English\n").unwrap();
        for text in [french, english] {
            for checker in ["./check", ".\\check.exe", "cargo run -p tests --example check --"] {
                let command = format!("\n{checker} {exercise} {addr}\n");
                assert!(text.contains(&command), "{exercise}: {command}");
            }
        }
    }
}
