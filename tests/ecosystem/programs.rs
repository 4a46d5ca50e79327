//! Programs that run beside the tasks, as their independent partners.

use crate::tls::identity;
use giambio::lowlevel::wait_readable;
use giambio::net::SocketAddr;
use std::fs;
use std::io;
use std::io::PipeReader;
use std::io::Read;
use std::io::Write;
use std::path::PathBuf;
use std::process;
use std::process::Child;
use std::process::ChildStdin;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;

/// A running program. Whoever reads what it prints waits as a task does; it is killed on drop.
pub(crate) struct Program {
    child: Child,
    stdin: ChildStdin,
    /// Standard output and standard error.
    printed: PipeReader,
}

impl Program {
    #[track_caller]
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        let (printed, writer) = io::pipe().unwrap();
        let mut child = Command::new(name)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap_or_else(|error| panic!("this test needs the program `{name}`: {error}"));
        let stdin = child.stdin.take().unwrap();
        Self { child, stdin, printed }
    }

    /// Writes to the program's standard input, which holds a short text without waiting.
    pub(crate) fn say(&mut self, text: &str) {
        self.stdin.write_all(text.as_bytes()).unwrap();
    }

    /// What it prints, up to and with `end`.
    #[track_caller]
    pub(crate) fn read_until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        let mut byte = [0];
        while !text.ends_with(end.as_bytes()) {
            let count = self.read(&mut byte).unwrap();
            let so_far = String::from_utf8_lossy(&text);
            assert_eq!(count, 1, "no `{end}` in:\n{so_far}");
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap()
    }

    /// Waits for its end: what it has printed until then, and whether it is content.
    pub(crate) fn end(mut self) -> (String, ExitStatus) {
        let mut text = String::new();
        self.read_to_string(&mut text).unwrap();
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return (text, status),
                None => giambio::sleep(Duration::from_millis(1)), // it has closed its output already
            }
        }
    }
}

impl Read for Program {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        wait_readable(&self.printed)?;
        self.printed.read(buf)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail if it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file with the certificate and the key of [`identity`], removed on drop.
pub(crate) struct Pem(PathBuf);

impl Pem {
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("{test}-{}.pem", process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let identity = identity();
        let text = identity.cert.pem() + &identity.signing_key.serialize_pem();
        fs::write(&path, text).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        // The folder is one for leftovers.
        let _ = fs::remove_file(&self.0);
    }
}

/// Ends in the port of `address`, on the name of the certificate.
pub(crate) fn localhost(address: SocketAddr) -> String {
    format!("localhost:{}", address.port())
}
