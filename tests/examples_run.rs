//! The examples as a user runs them: real processes, plain `std` clients, exit codes, signals.

use std::env;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A read that takes longer has failed: what is waited for here comes within milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

const GREETING: &str = "Welcome to the server pal, feel free to send me something!\n-> ";

/// An example's program, built of the same profile as this test, ready to be started.
#[track_caller]
fn example(name: &str) -> Command {
    let this_test = env::current_exe().expect("a test has a path");
    let profile_folder =
        this_test.ancestors().nth(2).expect("target/PROFILE/deps/TEST").to_path_buf();
    let program = profile_folder.join("examples").join(name);
    if !program.exists() {
        build(name, profile_folder);
    }
    let mut command = Command::new(program);
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// `cargo test --test examples_run` alone builds no examples.
#[track_caller]
fn build(name: &str, profile_folder: PathBuf) {
    let folder_name = profile_folder.file_name().and_then(|name| name.to_str());
    let profile = match folder_name.expect("a profile's folder has a name") {
        "debug" => "dev",
        other => other,
    };
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", name, "--profile", profile, "--target-dir"])
        .arg(profile_folder.parent().expect("target/PROFILE"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(status.expect("cargo starts").success(), "the example {name} cannot be built");
}

/// A running server; what is left of it is killed on drop.
struct Server {
    child: Child,
    /// The lines of its log, from a thread: a pipe knows no timeouts.
    log: mpsc::Receiver<String>,
    address: SocketAddr,
}

impl Server {
    /// Starts an example and waits until its log says where it serves.
    #[track_caller]
    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut child =
            example(name).args(arguments).stderr(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stderr.take().expect("stderr is a pipe")).lines();
        let (sender, log) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self { child, log, address: nowhere };
        let line = server.wait_for("Serving at ");
        let (_, address) = line.split_once("Serving at ").expect("it was just found");
        server.address = address.parse().expect("an address");
        server
    }

    /// Waits for a line of the log that has `text` in it.
    #[track_caller]
    fn wait_for(&self, text: &str) -> String {
        let mut seen = Vec::new();
        while let Ok(line) = self.log.recv_timeout(PATIENCE) {
            if line.contains(text) {
                return line;
            }
            seen.push(line);
        }
        panic!("no `{text}` in:\n{}", seen.join("\n"));
    }

    #[track_caller]
    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Client(stream)
    }

    fn interrupt(&self) {
        let id = self.child.id().try_into().expect("a process's number is a pid_t");
        // SAFETY: no memory is involved; the child has not been waited for, so the number is its own.
        let result = unsafe { libc::kill(id, libc::SIGINT) };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
    }

    /// Waits for the end: the exit code and the rest of the log. `None`: killed by a signal.
    #[track_caller]
    fn end(mut self) -> (Option<i32>, String) {
        let mut log = Vec::new();
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) => log.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("no end after:\n{}", log.join("\n")),
            }
        }
        (self.child.wait().expect("a child").code(), log.join("\n"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail if it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client(TcpStream);

impl Client {
    #[track_caller]
    fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("the server listens");
    }

    #[track_caller]
    fn expect(&mut self, text: &str) {
        let mut got = vec![0; text.len()];
        self.0.read_exact(&mut got).expect("an answer");
        assert_eq!(String::from_utf8_lossy(&got), text);
    }

    #[track_caller]
    fn expect_end(&mut self) {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).expect("an orderly end");
        assert_eq!(rest, "");
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("a socket")
    }
}

/// What curl says of the HTTP server; `{}` among the arguments stands for the server's address.
#[track_caller]
fn curl(server: &Server, arguments: &[&str], body: &[u8]) -> String {
    let address = server.address.to_string();
    let seconds = PATIENCE.as_secs().to_string();
    let mut child = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", &seconds])
        .args(arguments.iter().map(|argument| argument.replace("{}", &address)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs the program `curl`: {error}"));
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let output = thread::scope(|scope| {
        // A server that refuses a body does not read all of it, and then curl does not either.
        scope.spawn(move || stdin.write_all(body));
        child.wait_with_output().expect("a child")
    });
    assert!(output.status.success(), "curl {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Runs an example to its end.
#[track_caller]
fn output(name: &str, arguments: &[&str]) -> Output {
    example(name).args(arguments).output().expect("it starts")
}

#[track_caller]
fn stdout_of(name: &str) -> String {
    let output = output(name, &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).expect("text")
}

#[track_caller]
fn assert_contains(log: &str, expected: &str) {
    assert!(log.contains(expected), "no `{expected}` in:\n{log}");
}

/// A server that is interrupted says so, closes `client`'s connection and ends well.
#[track_caller]
fn assert_ends_on_ctrl_c(server: Server, client: &mut Client) {
    server.interrupt();
    client.expect_end();
    let (code, log) = server.end();
    assert_eq!(code, Some(0), "{log}");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("INFO") && last.ends_with("Ctrl+C detected, exiting"), "{log}");
}

#[test]
fn hello_says_hello() {
    assert_eq!(stdout_of("hello"), "Hello, world!\n(10 letters, said by a task)\n");
}

#[test]
fn the_host_loop_ends_with_its_input_and_the_task_is_cut() {
    assert_eq!(stdout_of("host_loop"), "[task] stopped\n");
}

#[test]
fn the_sleepers_sleep_at_the_same_time() {
    let printed = stdout_of("sleepers");
    let lines: Vec<_> = printed.lines().collect();
    let [first @ .., last] = &lines[..] else { panic!("nothing was printed") };
    let expected = [
        "[main] Children spawned, awaiting completion",
        "[child] Child spawned! Sleeping for 2 seconds",
        "[child 1] Child spawned! Sleeping for 2 seconds",
        "[child] Had a nice nap!",
        "[child 1] Had a nice nap!",
    ];
    assert_eq!(first, expected);
    let seconds = last
        .strip_prefix("[main] Children execution complete in ")
        .and_then(|rest| rest.strip_suffix(" seconds")?.parse::<f64>().ok())
        .unwrap_or_else(|| panic!("the last line is `{last}`"));
    assert!(seconds >= 2.0, "they slept too little: {seconds} s");
}

#[test]
fn the_examples_of_channels_end_by_themselves() {
    assert!(stdout_of("prime_sieve").ends_with("\n223\n227\n229\n"));
    assert!(stdout_of("dining_philosophers").ends_with("and 5 forks are on the table\n"));
    assert!(stdout_of("pike_patterns").contains("1 has become 10001\n"));
}

#[test]
fn the_million_says_what_each_of_its_tasks_takes() {
    let output = example("million").arg("300").output().expect("it starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("each of 300 parked tasks: "), "{printed}");
    assert!(printed.contains("live: 1, idle: 300, peak: 301"), "{printed}");
}

#[test]
fn the_echo_server_answers_byte_by_byte_and_logs_what_it_does() {
    let server = Server::start("echo_server", &["127.0.0.1:0"]);
    let mut client = server.connect();
    client.expect(GREETING);
    client.say("async server test\n");
    client.expect("Got: async server test\n-> ");
    client.say("yay!\n");
    client.expect("Got: yay!\n-> ");
    client.0.shutdown(std::net::Shutdown::Write).expect("a socket");
    client.expect_end();
    server.interrupt();
    let (_, log) = server.end();
    let from = client.address();
    let expected = [
        format!("{from} connected"),
        format!("Got: \"async server test\\n\" from {from}"),
        format!("Echoed back \"async server test\\n\" to {from}"),
        format!("Got: \"yay!\\n\" from {from}"),
        format!("Echoed back \"yay!\\n\" to {from}"),
        format!("Connection from {from} closed"),
        "Ctrl+C detected, exiting".into(),
    ];
    let said: Vec<_> = log.lines().filter_map(|line| Some(line.split_once("] ")?.1)).collect();
    assert_eq!(said, expected, "{log}");
}

#[test]
fn an_exit_ends_the_echo_server_with_a_failure_and_everybody_with_it() {
    let server = Server::start("echo_server", &["127.0.0.1:0"]);
    let mut bystander = server.connect();
    bystander.expect(GREETING);
    let mut client = server.connect();
    client.expect(GREETING);
    client.say("exit\n");
    client.expect("Shutting down the server\n");
    client.expect_end();
    bystander.expect_end();
    let (code, log) = server.end();
    assert_eq!(code, Some(1), "{log}");
    let last = log.lines().last().unwrap_or_default();
    assert_contains(last, "ERROR");
    assert_contains(last, "] Exiting due to ");
}

#[test]
fn ctrl_c_ends_the_echo_server_well() {
    let server = Server::start("echo_server", &["127.0.0.1:0"]);
    let mut client = server.connect();
    client.expect(GREETING);
    client.say("one\n");
    client.expect("Got: one\n-> ");
    assert_ends_on_ctrl_c(server, &mut client);
}

#[test]
fn a_reset_does_not_end_the_echo_server() {
    let server = Server::start("echo_server", &["127.0.0.1:0"]);
    let mut lost = server.connect();
    lost.expect(GREETING);
    let linger = socket2::SockRef::from(&lost.0).set_linger(Some(Duration::ZERO));
    linger.expect("a socket");
    let lost_address = lost.address();
    drop(lost);
    server.wait_for(&format!("Lost {lost_address}: "));
    let mut client = server.connect();
    client.expect(GREETING);
    client.say("still there?");
    client.expect("Got: still there?-> ");
    server.interrupt();
    let (code, log) = server.end();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn rust_log_overrides_the_level() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("a socket").to_string();
    let quiet = example("echo_server").arg(&address).env("RUST_LOG", "off").output();
    let quiet = quiet.expect("it starts");
    assert_eq!(quiet.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&quiet.stderr), "");
}

#[test]
fn an_address_that_cannot_be_used_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken_address = taken.local_addr().expect("a socket").to_string();
    let uses: [(&str, &[&str], &str); 10] = [
        ("echo_server", &["nonsense"], "nonsense"),
        ("echo_server", &[&taken_address], &taken_address),
        ("chat_server", &["nonsense"], "nonsense"),
        ("chat_server", &[&taken_address], &taken_address),
        ("chat_client", &["nonsense"], "nonsense"),
        ("http_server", &["nonsense"], "nonsense"),
        ("http_server", &[&taken_address], &taken_address),
        ("proxy", &[&taken_address, "127.0.0.1:1"], &taken_address),
        ("proxy", &["127.0.0.1:0", "nonsense"], "nonsense"),
        ("proxy", &[], "usage: proxy LISTEN TARGET"),
    ];
    for (name, arguments, named) in uses {
        let output = output(name, arguments);
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {log}");
        assert_contains(&log, named);
    }
}

#[test]
fn the_chat_server_passes_lines_on_and_ends_on_ctrl_c() {
    let server = Server::start("chat_server", &["127.0.0.1:0"]);
    let [mut ann, mut bob] = [server.connect(), server.connect()];
    ann.say("ann\n");
    ann.expect("* What is your name?\n* Already here: \n");
    bob.say("bob\n");
    bob.expect("* What is your name?\n* Already here: ann\n");
    ann.expect("* bob has joined\n");
    bob.say("hello\n");
    ann.expect("bob: hello\n");
    ann.say("hello, bob\n");
    bob.expect("ann: hello, bob\n");
    drop(bob);
    ann.expect("* bob has left\n");
    assert_ends_on_ctrl_c(server, &mut ann);
}

/// A chat client whose standard streams are ours; what is left of it is killed on drop.
struct Chatter {
    child: Child,
    /// The lines that it prints, from a thread: a pipe knows no timeouts.
    printed: mpsc::Receiver<String>,
}

impl Chatter {
    #[track_caller]
    fn start(address: SocketAddr) -> Self {
        let mut child = example("chat_client")
            .arg(address.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
        let (sender, printed) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, printed }
    }

    #[track_caller]
    fn type_in(&mut self, text: &str) {
        let mut keyboard = self.child.stdin.as_ref().expect("it was not closed");
        keyboard.write_all(text.as_bytes()).expect("the client reads");
    }

    #[track_caller]
    fn expect(&self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.printed.recv_timeout(PATIENCE).as_deref(), Ok(*line));
        }
    }

    /// Waits until it has ended well, without another word.
    #[track_caller]
    fn expect_end(&mut self) {
        let end = self.printed.recv_timeout(PATIENCE);
        assert_eq!(end, Err(mpsc::RecvTimeoutError::Disconnected));
        assert!(self.child.wait().expect("a child").success());
    }
}

impl Drop for Chatter {
    fn drop(&mut self) {
        // Both fail if it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn chat_clients_talk_and_end_with_their_input_or_with_the_server() {
    let server = Server::start("chat_server", &["127.0.0.1:0"]);
    let mut ann = Chatter::start(server.address);
    ann.expect(&["* What is your name?"]);
    ann.type_in("ann\n");
    ann.expect(&["* Already here: "]);
    let mut bob = Chatter::start(server.address);
    bob.expect(&["* What is your name?"]);
    bob.type_in("bob\nhello\n"); // more than one line at a time
    bob.expect(&["* Already here: ann"]);
    ann.expect(&["* bob has joined", "bob: hello"]);
    ann.type_in("hello, b");
    ann.type_in("ob\n");
    bob.expect(&["ann: hello, bob"]);
    drop(bob.child.stdin.take()); // the end of what it reads
    bob.expect_end();
    ann.expect(&["* bob has left"]);
    server.interrupt(); // while it waits for its keyboard
    ann.expect_end();
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn the_proxy_joins_a_client_to_the_echo_server_and_ends_on_ctrl_c() {
    let echo = Server::start("echo_server", &["127.0.0.1:0"]);
    let proxy = Server::start("proxy", &["127.0.0.1:0", &echo.address.to_string()]);
    let mut leaving = proxy.connect();
    leaving.expect(GREETING);
    leaving.say("ping\n");
    leaving.expect("Got: ping\n-> ");
    leaving.0.shutdown(std::net::Shutdown::Write).expect("a socket");
    leaving.expect_end();
    let mut staying = proxy.connect();
    staying.expect(GREETING);
    assert_ends_on_ctrl_c(proxy, &mut staying);
}

#[test]
fn curl_gets_what_it_asks_the_http_server_for() {
    let server = Server::start("http_server", &["127.0.0.1:0"]);
    let page = curl(&server, &["http://{}/"], b"");
    assert!(page.contains("<h1>It works</h1>"), "{page}");
    let head = curl(&server, &["--head", "http://{}/"], b"");
    assert_contains(&head, "HTTP/1.1 200 OK\r\n");
    assert_contains(&head, &format!("Content-Length: {}\r\n", page.len()));
    let nothing = curl(&server, &["--write-out", "%{http_code}", "http://{}/nothing"], b"");
    assert_eq!(nothing, "/nothing is not here\n404");
    let old = curl(&server, &["--http1.0", "--include", "http://{}/time"], b"");
    assert_contains(&old, "Connection: close\r\n");
    assert_contains(&old, " GMT\n");
}

#[test]
fn curl_uses_one_connection_for_two_requests() {
    let server = Server::start("http_server", &["127.0.0.1:0"]);
    let counted = ["--output", "-", "--write-out", "%{num_connects} new\n"];
    let twice = [&counted[..], &["http://{}/time", "http://{}/time"]].concat();
    let printed = curl(&server, &twice, b"");
    let counts: Vec<_> = printed.lines().filter(|line| line.ends_with("new")).collect();
    assert_eq!(counts, ["1 new", "0 new"], "{printed}");
}

#[test]
fn curl_gets_back_what_it_uploads() {
    let server = Server::start("http_server", &["127.0.0.1:0"]);
    let body: String = (0..100_000).map(|number| format!("{number}\n")).collect();
    let chunked = curl(&server, &["--upload-file", "-", "http://{}/echo"], body.as_bytes());
    assert!(chunked == body, "{} bytes", chunked.len());
    // curl waits for as long as this before it sends what it has asked about, unless it is told to.
    let patiently = ["--expect100-timeout", "3600", "--header", "Expect: 100-continue"];
    let fixed = [&patiently[..], &["--data-binary", "@-", "http://{}/echo"]].concat();
    let fixed = curl(&server, &fixed, body.as_bytes());
    assert!(fixed == body, "{} bytes", fixed.len());
}

#[test]
fn curl_is_told_what_is_too_large_and_the_server_goes_on() {
    let server = Server::start("http_server", &["127.0.0.1:0"]);
    let code = ["--output", "-", "--write-out", "%{http_code}"];
    let header = format!("X: {}", "x".repeat(8 << 10));
    let with_header = [&code[..], &["--header", &header, "http://{}/"]].concat();
    let answer = curl(&server, &with_header, b"");
    assert_eq!(answer, "431 Request Header Fields Too Large\n431");
    let upload = [&code[..], &["--upload-file", "-", "http://{}/echo"]].concat();
    let answer = curl(&server, &upload, &vec![b'x'; 2 << 20]);
    assert_eq!(answer, "413 Content Too Large\n413");
    assert_eq!(curl(&server, &upload, b"still there"), "still there200");
}

#[test]
fn ctrl_c_ends_the_http_server_behind_the_answer_that_it_owes() {
    let server = Server::start("http_server", &["127.0.0.1:0"]);
    let [mut idle, mut busy] = [server.connect(), server.connect()];
    busy.say(
        "PUT /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
    );
    busy.expect("HTTP/1.1 100 Continue\r\n\r\n"); // so the request has begun
    server.interrupt();
    idle.expect_end();
    busy.say("ab");
    let mut answer = String::new();
    busy.0.read_to_string(&mut answer).expect("an orderly end");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nab"),
        "{answer}"
    );
    let (code, log) = server.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.ends_with("Ctrl+C detected, exiting"), "{log}");
}
