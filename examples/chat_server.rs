//! A chat: what one client says goes to all others, line by line.
//!
//! What to look for: the tasks share a `RefCell` without a lock, since only a blocking call lets
//! another task run and no borrow lives across one. Nobody waits for a slow client: lines for it are
//! kept, and a task writes them out. A client that is 64 KiB behind is let go; the others see that it
//! has left, and notice nothing else.
//!
//! Run it: `cargo run --example chat_server [ADDR]`, then `nc 127.0.0.1 1502`, twice or more.

mod ctrl_c;

use giambio::Pool;
use giambio::net;
use giambio::net::Shutdown;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use log::info;
use std::cell::Cell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;

/// Bytes of a line; what is longer counts as several lines.
const LINE_MAX: u64 = 1024;
/// Bytes that are kept for a client that reads too slowly.
const UNSENT_MAX: usize = 64 << 10;

/// Who is here, by name.
type Room = RefCell<BTreeMap<String, Rc<Client>>>;

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1502".into());
    let listener = TcpListener::bind(&address).map_err(|error| format!("{address}: {error}"))?;
    giambio::run(|| ctrl_c::until_ctrl_c(|| serve(listener)))?.transpose()?;
    info!("Ctrl+C detected, exiting");
    Ok(())
}

fn serve(listener: TcpListener) -> io::Result<Infallible> {
    if let Ok(address) = listener.local_addr() {
        info!("Serving at {address}");
    }
    let room = Room::default();
    giambio::pool(|pool| {
        net::serve(&listener, |stream, _| {
            attend(pool, &room, stream);
            Ok(())
        })
    })
}

/// One client, from its name to its end, whatever kind of end that is.
fn attend<'scope>(pool: &'scope Pool<'scope, '_>, room: &Room, stream: TcpStream) {
    let client = Rc::new(Client { stream, unsent: RefCell::default(), writing: Cell::default() });
    let mut input = BufReader::new(&client.stream);
    let Some(name) = admit(pool, room, &client, &mut input) else { return };
    tell_others(pool, room, &name, &format!("* {name} has joined\n"));
    while let Some(line) = next_line(&mut input) {
        tell_others(pool, room, &name, &format!("{name}: {line}\n"));
        giambio::yield_now(); // who writes goes first, or one read of many lines would seem slow
    }
    room.borrow_mut().remove(&name);
    tell_others(pool, room, &name, &format!("* {name} has left\n"));
}

/// Asks for a name until there is a good one, and enters it; `None` if the client has gone.
fn admit<'scope>(
    pool: &'scope Pool<'scope, '_>,
    room: &Room,
    client: &Rc<Client>,
    input: &mut impl BufRead,
) -> Option<String> {
    loop {
        client.send(pool, "* What is your name?\n");
        let name = next_line(input)?;
        let mut room = room.borrow_mut(); // until the end of this turn, in which nothing blocks
        let is_word = (1..=32).contains(&name.len()) && name.chars().all(char::is_alphanumeric);
        if is_word && !room.contains_key(&name) {
            let here: Vec<_> = room.keys().map(String::as_str).collect();
            client.send(pool, &format!("* Already here: {}\n", here.join(", ")));
            room.insert(name.clone(), Rc::clone(client));
            return Some(name);
        }
        client.send(pool, "* It has to be 1 to 32 letters and digits, and nobody else's\n");
    }
}

/// The next line without its end, and without what could confuse a terminal.
fn next_line(input: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    let count = input.take(LINE_MAX).read_until(b'\n', &mut line).ok()?;
    let text = String::from_utf8_lossy(&line).chars().filter(|c| !c.is_control()).collect();
    (count > 0).then_some(text)
}

fn tell_others<'scope>(pool: &'scope Pool<'scope, '_>, room: &Room, name: &str, line: &str) {
    let room = room.borrow();
    room.iter().filter(|(other, _)| *other != name).for_each(|(_, client)| client.send(pool, line));
}

struct Client {
    stream: TcpStream,
    /// What has still to be written.
    unsent: RefCell<Vec<u8>>,
    /// Whether a task is there that writes it.
    writing: Cell<bool>,
}

impl Client {
    /// Never blocks: the line is only kept, and the first one also starts a task.
    fn send<'scope>(self: &Rc<Self>, pool: &'scope Pool<'scope, '_>, line: &str) {
        let mut unsent = self.unsent.borrow_mut();
        if unsent.len() + line.len() > UNSENT_MAX {
            return self.let_go();
        }
        unsent.extend_from_slice(line.as_bytes());
        if !self.writing.replace(true) {
            let client = Rc::clone(self);
            pool.spawn(move || client.write_out());
        }
    }

    fn write_out(&self) {
        loop {
            let batch = self.unsent.take(); // the borrow ends here
            if batch.is_empty() {
                return self.writing.set(false);
            }
            if (&self.stream).write_all(&batch).is_err() {
                return self.let_go(); // `writing` stays set: nobody writes here any more
            }
        }
    }

    /// Ends the connection; the task that reads from it sees that.
    fn let_go(&self) {
        // It fails if the connection has already ended.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use giambio::net::SocketAddr;

    const REFUSAL: &str = "* It has to be 1 to 32 letters and digits, and nobody else's\n";

    /// Serves while `clients` runs.
    fn while_serving(clients: impl FnOnce(SocketAddr)) {
        giambio::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            giambio::pool(|pool| {
                let server = pool.spawn(|| serve(listener));
                clients(address);
                server.cancel();
                assert!(server.join().unwrap_err().is_cancelled());
            });
        });
    }

    #[track_caller]
    fn connect(address: SocketAddr) -> BufReader<TcpStream> {
        let mut client = BufReader::new(TcpStream::connect(address).unwrap());
        expect(&mut client, "* What is your name?\n");
        client
    }

    #[track_caller]
    fn join(address: SocketAddr, name: &str, already_here: &str) -> BufReader<TcpStream> {
        let mut client = connect(address);
        say(&client, &format!("{name}\n"));
        expect(&mut client, &format!("* Already here: {already_here}\n"));
        client
    }

    #[track_caller]
    fn say(client: &BufReader<TcpStream>, text: &str) {
        client.get_ref().write_all(text.as_bytes()).unwrap();
    }

    #[track_caller]
    fn expect(client: &mut BufReader<TcpStream>, expected: &str) {
        let mut line = String::new();
        client.read_line(&mut line).unwrap();
        assert_eq!(line, expected);
    }

    #[test]
    fn smoke() {
        while_serving(|address| {
            let mut ann = join(address, "ann", "");
            let bob = join(address, "bob", "ann");
            expect(&mut ann, "* bob has joined\n");
            say(&bob, "hello\n");
            expect(&mut ann, "bob: hello\n");
            drop(bob);
            expect(&mut ann, "* bob has left\n");
        });
    }

    #[test]
    fn a_line_goes_to_all_others_and_not_back() {
        while_serving(|address| {
            let mut ann = join(address, "ann", "");
            let mut bob = join(address, "bob", "ann");
            let mut cid = join(address, "cid", "ann, bob");
            expect(&mut ann, "* bob has joined\n");
            expect(&mut ann, "* cid has joined\n");
            expect(&mut bob, "* cid has joined\n");
            say(&ann, "one\ntwo\n");
            for other in [&mut bob, &mut cid] {
                expect(other, "ann: one\n");
                expect(other, "ann: two\n");
            }
            say(&bob, "three\n");
            expect(&mut ann, "bob: three\n"); // and neither `one` nor `two` before it
        });
    }

    #[test]
    fn a_name_belongs_to_one_client_until_it_leaves() {
        while_serving(|address| {
            let mut ann = join(address, "ann", "");
            let mut second = connect(address);
            say(&second, "ann\n");
            expect(&mut second, REFUSAL);
            expect(&mut second, "* What is your name?\n");
            say(&second, "bob\n");
            expect(&mut second, "* Already here: ann\n");
            expect(&mut ann, "* bob has joined\n");
            drop(ann);
            expect(&mut second, "* ann has left\n");
            join(address, "ann", "bob");
        });
    }

    #[test]
    fn a_name_is_one_word() {
        while_serving(|address| {
            let mut client = connect(address);
            for name in ["", "two words", "\u{1b}", &"x".repeat(33)] {
                say(&client, &format!("{name}\n"));
                expect(&mut client, REFUSAL);
                expect(&mut client, "* What is your name?\n");
            }
        });
    }

    #[test]
    fn who_leaves_without_a_name_was_never_there() {
        while_serving(|address| {
            let mut ann = join(address, "ann", "");
            drop(connect(address));
            giambio::testing::settle();
            drop(join(address, "bob", "ann"));
            expect(&mut ann, "* bob has joined\n");
            expect(&mut ann, "* bob has left\n");
        });
    }

    #[test]
    fn a_line_without_an_end_counts_as_several() {
        while_serving(|address| {
            let ann = join(address, "ann", "");
            let mut bob = join(address, "bob", "ann");
            say(&ann, &"x".repeat(1030));
            ann.get_ref().shutdown(Shutdown::Write).unwrap();
            expect(&mut bob, &format!("ann: {}\n", "x".repeat(1024)));
            expect(&mut bob, "ann: xxxxxx\n");
            expect(&mut bob, "* ann has left\n");
        });
    }

    #[test]
    fn many_lines_in_one_write_reach_whoever_reads() {
        while_serving(|address| {
            let ann = join(address, "ann", "");
            let mut bob = join(address, &"b".repeat(32), "ann");
            say(&ann, &"\n".repeat(50_000));
            for _ in 0..50_000 {
                expect(&mut bob, "ann: \n");
            }
        });
    }

    #[test]
    fn who_does_not_read_is_let_go_and_nobody_waits_for_it() {
        while_serving(|address| {
            let mut ann = join(address, "ann", "");
            let mut bob = join(address, "bob", "ann");
            let _slow = join(address, "slow", "ann, bob");
            expect(&mut ann, "* bob has joined\n");
            expect(&mut ann, "* slow has joined\n");
            expect(&mut bob, "* slow has joined\n");
            let has_left = Cell::new(false);
            giambio::pool(|pool| {
                pool.spawn(|| {
                    let mut lines = bob.lines().map(Result::unwrap);
                    // Bob reads on, and sees every line until then.
                    let first = lines.find(|line| !line.starts_with("ann: "));
                    assert_eq!(first.as_deref(), Some("* slow has left"));
                    has_left.set(true);
                });
                let line = "x".repeat(1000) + "\n";
                while !has_left.get() {
                    say(&ann, &line);
                    giambio::yield_now();
                }
            });
            expect(&mut ann, "* slow has left\n");
        });
    }

    #[test]
    fn a_cancellation_closes_every_connection() {
        giambio::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            giambio::pool(|pool| {
                let server = pool.spawn(|| serve(listener));
                let mut ann = join(address, "ann", "");
                let mut unnamed = connect(address);
                server.cancel();
                expect(&mut ann, ""); // the end
                expect(&mut unnamed, "");
                assert!(server.join().unwrap_err().is_cancelled());
            });
        });
    }
}
