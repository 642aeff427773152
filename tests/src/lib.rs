//! Starts the real programs, waits at most [`PATIENCE`] for what they do, and leaves nothing
//! running.

#![expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a helper fails its test by a panic"
)]

pub mod checker;

use std::fmt::Debug;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::mem;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// The longest wait for anything; only a failure takes so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The path of one of the programs, such as `echo-server`.
#[macro_export]
macro_rules! program {
    ($name:literal) => {
        env!(concat!("CARGO_BIN_EXE_", $name))
    };
}

/// The lines of a stream, which a thread collects as they come.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    shared: Arc<(Mutex<Collected>, Condvar)>,
}

#[derive(Debug, Default)]
struct Collected {
    lines: Vec<String>,
    has_ended: bool,
}

impl Lines {
    /// Collects the lines of `stream`.
    pub fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let collector = lines.clone();
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                collector.change(|collected| collected.lines.push(text));
                line.clear();
            }
            collector.change(|collected| collected.has_ended = true);
        });
        lines
    }

    fn change(&self, change: impl FnOnce(&mut Collected)) {
        let (collected, changed) = &*self.shared;
        change(&mut collected.lock().unwrap());
        changed.notify_all();
    }

    /// Waits until `found` finds something in the lines so far.
    #[track_caller]
    fn wait_for<T>(&self, what: &dyn Debug, mut found: impl FnMut(&Collected) -> Option<T>) -> T {
        let (collected, changed) = &*self.shared;
        let mut result = None;
        let is_missing = |collected: &mut Collected| {
            result = found(collected);
            result.is_none()
        };
        let collected = collected.lock().unwrap();
        let (collected, _) = changed.wait_timeout_while(collected, PATIENCE, is_missing).unwrap();
        let Some(result) = result else {
            let last = collected.lines[collected.lines.len().saturating_sub(100)..].to_vec();
            drop(collected);
            panic!("no {what:?} came; the last that came: {last:#?}");
        };
        result
    }

    /// Waits for a line that contains `text`, and returns it.
    #[track_caller]
    pub fn wait(&self, text: &str) -> String {
        self.wait_for_count(text, 1).remove(0)
    }

    /// Waits for `count` lines that contain `text`, and returns them.
    #[track_caller]
    pub fn wait_for_count(&self, text: &str, count: usize) -> Vec<String> {
        let (mut seen, mut found) = (0, Vec::new());
        self.wait_for(&(text, count), |collected| {
            let new = collected.lines[seen..].iter().filter(|line| line.contains(text));
            found.extend(new.take(count - found.len()).cloned());
            seen = collected.lines.len();
            (found.len() == count).then(|| mem::take(&mut found))
        })
    }

    /// Waits for the end of the stream, and returns all its lines.
    #[track_caller]
    pub fn wait_for_end(&self) -> Vec<String> {
        self.wait_for(&"end", |collected| collected.has_ended.then(|| collected.lines.clone()))
    }

    /// The lines so far.
    pub fn so_far(&self) -> Vec<String> {
        self.shared.0.lock().unwrap().lines.clone()
    }

    /// The lines so far that contain `text`.
    pub fn with(&self, text: &str) -> Vec<String> {
        let mut lines = self.so_far();
        lines.retain(|line| line.contains(text));
        lines
    }
}

/// A running program, which is killed when it is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    /// What it prints.
    pub stdout: Lines,
    /// What it prints on standard error.
    pub stderr: Lines,
}

impl Program {
    /// Starts the program at `path`.
    #[track_caller]
    pub fn start(path: &str, args: &[&str]) -> Self {
        Self::spawn(Command::new(path).args(args))
    }

    /// Starts `command`, with all its streams piped.
    #[track_caller]
    pub fn spawn(command: &mut Command) -> Self {
        let (mut program, stdout) = Self::spawn_unread(command);
        program.stdout = Lines::of(stdout);
        program
    }

    /// Starts `command`, with all its streams piped, and leaves its standard output to be
    /// read by hand: nothing will come to `stdout`.
    #[track_caller]
    pub fn spawn_unread(command: &mut Command) -> (Self, ChildStdout) {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = Lines::of(child.stderr.take().expect("it is piped"));
        (Self { child, stdout: Lines::default(), stderr }, stdout)
    }

    /// Kills it, and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input.
    #[track_caller]
    pub fn write(&mut self, text: impl AsRef<[u8]>) {
        let stdin = self.child.stdin.as_mut().expect("standard input is open");
        stdin.write_all(text.as_ref()).expect("it reads");
    }

    /// Sends it a signal, `STOP` or `CONT`; on Unix only.
    #[track_caller]
    pub fn signal(&self, signal: &str) {
        let script = format!("kill -{signal} {}", self.id());
        let status = Command::new("sh").args(["-c", &script]).status().expect("there is a shell");
        assert!(status.success(), "{script}: {status}");
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// Waits for its end, with its standard input left as it is.
    #[track_caller]
    pub fn end(&mut self) -> Output {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(Instant::now() < end, "it goes on: {self:#?}");
            thread::sleep(Duration::from_millis(2));
        };
        let text = |lines: &Lines| lines.wait_for_end().join("\n");
        Output { status: status.code(), stdout: text(&self.stdout), stderr: text(&self.stderr) }
    }

    /// Closes its standard input.
    pub fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Closes its standard input, and waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Output {
        self.end_input();
        self.end()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Output {
    /// Its exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// Its lines on standard output, without the last line end.
    pub stdout: String,
    /// Its lines on standard error, without the last line end.
    pub stderr: String,
}

/// The program at `path` after the shell command `limit`, such as `ulimit -n 40`; on Unix
/// only.
pub fn limited(limit: &str, path: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limit}; exec \"$0\" \"$@\""), path]);
    command
}

/// Starts the program at `path` at a terminal. What is written to it is typed, and its `stdout` is
/// what the terminal shows, with a line end for each `>`, so that a prompt is a line. On Linux
/// only, with util-linux's `script`.
#[track_caller]
pub fn at_terminal(path: &str, args: &[&str]) -> Program {
    struct Screen(ChildStdout);
    impl Read for Screen {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.0.read(buffer)?;
            buffer[..length]
                .iter_mut()
                .filter(|byte| **byte == b'>')
                .for_each(|byte| *byte = b'\n');
            Ok(length)
        }
    }
    let line = [&[path], args].concat().join(" ");
    let mut command = Command::new("script");
    let (mut program, stdout) = Program::spawn_unread(command.args(["-qec", &line, "/dev/null"]));
    program.stdout = Lines::of(Screen(stdout));
    program
}

/// Runs a program, with `input` as its standard input, to its end.
#[track_caller]
pub fn run(path: &str, args: &[&str], input: &str) -> Output {
    let mut program = Program::start(path, args);
    let (mut stdin, input) = (program.child.stdin.take().expect("it is piped"), input.to_owned());
    thread::spawn(move || stdin.write_all(input.as_bytes())); // It may end before it has read all.
    program.end()
}

/// Whether an event is the last that is logged of a client.
pub fn is_last(event: &str) -> bool {
    event == "disconnected" || event.starts_with("lost: ") || event.starts_with("refused: ")
}

/// One of the four servers, on a port of its own.
#[derive(Debug)]
pub struct Server {
    /// Its process, whose `stdout` is the log.
    pub program: Program,
    /// Where it listens.
    pub addr: String,
}

impl Server {
    /// Starts the server at `path`.
    #[track_caller]
    pub fn start(path: &str, flags: &[&str]) -> Self {
        Self::spawn(Command::new(path).args(flags))
    }

    /// Starts a server with `command`.
    #[track_caller]
    pub fn spawn(command: &mut Command) -> Self {
        let program = Program::spawn(command.args(["--addr", "127.0.0.1:0"]));
        let first = program.stdout.wait("listening on ");
        let (_, addr) = first.split_once("listening on ").expect("it was waited for");
        Self { addr: addr.to_owned(), program }
    }

    /// The lines of its log.
    pub fn log(&self) -> &Lines {
        &self.program.stdout
    }

    /// How many of its clients have their last line in the log.
    pub fn last_lines(&self) -> usize {
        let log = self.log().so_far();
        let events = log.iter().filter_map(|line| line.split_once("] client ")?.1.split_once(": "));
        events.filter(|(_, event)| is_last(event)).count()
    }

    /// Connects a client made of nothing but a stream.
    #[track_caller]
    pub fn connect(&self) -> Peer {
        Peer::connect(&self.addr)
    }

    /// Starts the client at `path`, to talk to this server.
    #[track_caller]
    pub fn client(&self, path: &str, args: &[&str]) -> Program {
        Program::start(path, &[&["--addr", &self.addr], args].concat())
    }

    /// Runs the client at `path` to its end. Its first line on standard error, which says that
    /// it is connected, is checked and left out.
    #[track_caller]
    pub fn run(&self, path: &str, args: &[&str], input: &str) -> Output {
        let output = run(path, &[&["--addr", &self.addr], args].concat(), input);
        let (first, rest) = output.stderr.split_once('\n').unwrap_or((&output.stderr, ""));
        let connected = format!("connected to {} as 127.0.0.1:", self.addr);
        assert!(first.starts_with(&connected), "{output:?}");
        Output { stderr: rest.to_owned(), ..output }
    }

    /// A number from `/proc/PID/status`, such as `Threads`, or `VmRSS` in KiB; on Linux only.
    #[track_caller]
    pub fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.program.id());
        let status = std::fs::read_to_string(path).expect("the server runs");
        let line = status.lines().find(|line| line.starts_with(field)).expect("a known field");
        line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
    }

    /// How many file descriptors it has open; on Linux only.
    #[track_caller]
    pub fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.program.id());
        std::fs::read_dir(path).expect("the server runs").count()
    }
}

/// A client made of nothing but a stream, whose every wait is bounded.
#[derive(Debug)]
pub struct Peer {
    stream: BufReader<TcpStream>,
}

impl Peer {
    /// Connects to the server at `addr`.
    #[track_caller]
    pub fn connect(addr: &str) -> Self {
        let stream = TcpStream::connect(addr).expect("the server listens");
        // On macOS these fail when the server has already closed: the first read tells.
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.set_write_timeout(Some(PATIENCE));
        Self { stream: BufReader::new(stream) }
    }

    /// The stream itself.
    pub fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Sends bytes.
    #[track_caller]
    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        let mut stream = self.stream();
        stream.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// Shuts down its sending side.
    pub fn end_sending(&self) {
        let _ = self.stream().shutdown(Shutdown::Write); // If the server has closed, a read tells.
    }

    /// Waits for a line, and returns it without its end.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the server answers");
        assert!(line.ends_with('\n'), "the stream ended after {line:?}");
        line.pop();
        line
    }

    /// Waits for a line with an integer.
    #[track_caller]
    pub fn number(&mut self) -> i64 {
        let line = self.line();
        line.parse().unwrap_or_else(|_| panic!("not an integer: {line:?}"))
    }

    /// Waits for `length` bytes.
    #[track_caller]
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).expect("the server answers");
        bytes
    }

    /// Waits for the end of the stream, and returns what came before.
    #[track_caller]
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).expect("the server ends the stream");
        rest
    }
}

/// Starts a server that waits for as many bytes of a client as `question` has, sends `answer`, and
/// keeps the connection open; returns its address.
#[track_caller]
pub fn serve(question: &str, answer: impl Into<Vec<u8>>) -> String {
    let (mut question, answer) = (vec![0; question.len()], answer.into());
    listen(move |mut stream| {
        stream.read_exact(&mut question).expect("the client asks");
        let _ = stream.write_all(&answer); // The client may leave before the end.
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// Starts a server that takes one client after another, each with `converse`; returns its
/// address.
#[track_caller]
pub fn listen(mut converse: impl FnMut(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let addr = listener.local_addr().expect("it listens").to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            converse(stream.expect("a client connects"));
        }
    });
    addr
}

/// Starts a forwarder to `addr` that cuts the connection when either side ends its sending, as
/// nginx's `stream` and redir do; returns its address.
#[track_caller]
pub fn cutting_forwarder(addr: &str) -> String {
    let addr = addr.to_owned();
    listen(move |client| {
        let server = TcpStream::connect(&addr).expect("the server listens");
        for (from, to) in [(&client, &server), (&server, &client)] {
            let open = "there are descriptors";
            let mut pair = [from.try_clone().expect(open), to.try_clone().expect(open)];
            thread::spawn(move || {
                let [from, to] = &mut pair;
                let _ = io::copy(from, to);
                pair.map(|stream| stream.shutdown(Shutdown::Both))
            });
        }
    })
}

/// An address of `host` that refuses connections: the client's end of the returned connection, so
/// that no other program can listen there meanwhile.
#[track_caller]
pub fn refusing_addr(host: &str) -> (String, (TcpListener, TcpStream)) {
    let listener = TcpListener::bind((host, 0)).expect("there are ports");
    let addr = listener.local_addr().expect("it listens");
    let stream = TcpStream::connect(addr).expect("it listens");
    (stream.local_addr().expect("it is connected").to_string(), (listener, stream))
}

/// Waits until `done` is true.
#[track_caller]
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "still not: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
