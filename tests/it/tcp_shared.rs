//! Several tasks, one socket: directions do not disturb each other, and a direction is a queue.

use crate::Log;
use crate::tcp::pair;
use giambio::net::Shutdown;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::testing::settle;
use std::io::Read;
use std::io::Write;

/// Bytes that tell where they belong: xorshift, from a seed.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, buf: &mut [u8]) {
        for byte in buf {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = self.0 as u8;
        }
    }
}

fn send_noise(mut to: &TcpStream, seed: u64, mut left: usize) {
    let mut noise = Noise(seed);
    let mut buf = vec![0; 50_000];
    while left > 0 {
        let count = left.min(buf.len());
        noise.fill(&mut buf[..count]);
        to.write_all(&buf[..count]).unwrap();
        left -= count;
    }
    to.shutdown(Shutdown::Write).unwrap();
}

fn receive_noise(mut from: &TcpStream, seed: u64, room: usize) -> usize {
    let mut noise = Noise(seed);
    let (mut got, mut expected) = (vec![0; room], vec![0; room]);
    let mut total = 0;
    loop {
        let count = from.read(&mut got).unwrap();
        if count == 0 {
            return total;
        }
        noise.fill(&mut expected[..count]);
        assert!(got[..count] == expected[..count], "bytes {total}.. are wrong");
        total += count;
    }
}

#[test]
fn one_task_reads_while_another_writes_ten_megabytes_each_way() {
    const BYTES: usize = 10_000_000;
    giambio::run(|| {
        let (a, b) = pair();
        giambio::pool(|pool| {
            pool.spawn(|| send_noise(&a, 1, BYTES));
            pool.spawn(|| send_noise(&b, 2, BYTES));
            let at_b = pool.spawn(|| receive_noise(&b, 1, 60_001));
            let at_a = pool.spawn(|| receive_noise(&a, 2, 4096));
            assert_eq!((at_a.join().unwrap(), at_b.join().unwrap()), (BYTES, BYTES));
        });
    });
}

/// Has three tasks read `bytes` at once and one byte after the other written; says who got which.
fn readers_of(stream: &TcpStream, mut peer: &TcpStream, bytes: &str, room: usize) -> Vec<String> {
    let log = Log::default();
    giambio::pool(|pool| {
        for name in ["first", "second", "third"] {
            let log = &log;
            pool.spawn(move || {
                let mut reader = stream;
                for _ in 0..2 {
                    let mut buf = vec![0; room];
                    assert_eq!(reader.read(&mut buf).unwrap(), 1);
                    log.add(format!("{name} {}", char::from(buf[0])));
                }
            });
        }
        for byte in bytes.bytes() {
            settle();
            peer.write_all(&[byte]).unwrap();
            // The byte may take its time; who waits here is not in the readers' queue.
            let before = log.len();
            while log.len() == before {
                giambio::yield_now();
            }
        }
    });
    log.take()
}

#[test]
fn readers_are_served_in_the_order_in_which_they_came() {
    // With more room than bytes a read empties the socket, with no more it cannot know.
    for room in [1, 16] {
        giambio::run(|| {
            let (ours, theirs) = pair();
            let got = readers_of(&ours, &theirs, "abcdef", room);
            let expected = ["first a", "second b", "third c", "first d", "second e", "third f"];
            assert_eq!(got, expected, "with room for {room}");
        });
    }
}

#[test]
fn acceptors_are_served_in_the_order_in_which_they_came() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let log = Log::default();
        giambio::pool(|pool| {
            for name in ["first", "second", "third"] {
                let (log, listener) = (&log, &listener);
                pool.spawn(move || {
                    for _ in 0..2 {
                        listener.accept().unwrap();
                        log.add(name);
                    }
                });
            }
            for accepted in 1..=6 {
                settle();
                let _client = TcpStream::connect(addr).unwrap();
                while log.len() < accepted {
                    giambio::yield_now();
                }
            }
        });
        log.assert(&["first", "second", "third", "first", "second", "third"]);
    });
}

#[test]
fn two_acceptors_share_a_burst() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        giambio::pool(|pool| {
            let accept_ten = || (0..10).map(|_| listener.accept().unwrap().1).collect::<Vec<_>>();
            let acceptors = [(); 2].map(|()| pool.spawn(accept_ten));
            settle();
            let clients: Vec<_> = (0..20).map(|_| TcpStream::connect(addr).unwrap()).collect();
            let mut accepted = acceptors.map(|task| task.join().unwrap()).concat();
            let mut connected: Vec<_> = clients.iter().map(|c| c.local_addr().unwrap()).collect();
            accepted.sort();
            connected.sort();
            assert_eq!(accepted, connected);
        });
    });
}

/// Has readers wait on two handles of one socket, in the order of `waiting`, and writes a byte for each.
fn order_served(waiting: [(&str, &TcpStream); 3], mut peer: &TcpStream) -> Vec<String> {
    let log = Log::default();
    giambio::pool(|pool| {
        for (name, stream) in waiting {
            let log = &log;
            pool.spawn(move || {
                let mut reader = stream;
                reader.read_exact(&mut [0]).unwrap();
                log.add(name);
            });
        }
        for count in 1..=waiting.len() {
            settle();
            peer.write_all(b"x").unwrap();
            while log.len() < count {
                giambio::yield_now();
            }
        }
    });
    log.take()
}

#[test]
fn a_reader_that_was_woken_in_vain_keeps_its_place() {
    giambio::run(|| {
        // Both handles hear of each byte, and only one finds it.
        let (ours, theirs) = pair();
        let clone = ours.try_clone().unwrap();
        let (first, second, other) = (("first", &ours), ("second", &ours), ("other", &clone));
        for waiting in [[first, second, other], [other, first, second], [first, other, second]] {
            let served = order_served(waiting, &theirs);
            let turn = |name| served.iter().position(|entry| entry == name).unwrap();
            assert!(turn("first") < turn("second"), "{served:?}");
        }
    });
}

#[test]
fn a_newcomer_stands_behind_a_reader_that_was_woken() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        let log = Log::default();
        let read_one = |name: &str| {
            let mut buf = [0];
            (&ours).read_exact(&mut buf).unwrap();
            log.add(format!("{name} {}", char::from(buf[0])));
        };
        giambio::pool(|pool| {
            pool.spawn(|| read_one("old"));
            settle();
            theirs.write_all(b"ab").unwrap();
            // The event is fetched while this task is ready all the time; in whatever step that
            // happens, the next task that comes finds the old one woken and not yet served.
            for _ in 0..200 {
                giambio::yield_now();
                if log.len() > 0 {
                    break;
                }
            }
            read_one("new");
        });
        log.assert(&["old a", "new b"]);
    });
}

#[test]
fn writers_are_served_in_the_order_in_which_they_came() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        let filler = vec![b'.'; 1 << 20];
        giambio::pool(|pool| {
            let full = giambio::cancellable(|scope| {
                scope.spawn(|| {
                    settle();
                    scope.cancel();
                });
                loop {
                    (&ours).write_all(&filler).unwrap();
                }
            });
            assert!(full.is_none());
            for name in [b"1", b"2", b"3"] {
                let ours = &ours;
                pool.spawn(move || {
                    let mut writer = ours;
                    writer.write_all(name).unwrap();
                });
            }
            settle();
            let mut digits: Vec<u8> = Vec::new();
            let mut buf = vec![0; 100_000];
            while digits.len() < 3 {
                let count = theirs.read(&mut buf).unwrap();
                digits.extend(buf[..count].iter().filter(|byte| byte.is_ascii_digit()));
            }
            assert_eq!(digits, b"123");
        });
    });
}

#[test]
fn a_peek_and_a_read_of_the_same_bytes_both_end() {
    giambio::run(|| {
        let (ours, mut theirs) = pair();
        giambio::pool(|pool| {
            let peeks = [(); 2].map(|()| pool.spawn(|| ours.peek(&mut [0; 8])));
            let read = pool.spawn(|| (&ours).read(&mut [0; 8]));
            settle();
            theirs.write_all(b"abc").unwrap();
            peeks.into_iter().for_each(|peek| assert_eq!(peek.join().unwrap().unwrap(), 3));
            assert_eq!(read.join().unwrap().unwrap(), 3);
        });
    });
}
