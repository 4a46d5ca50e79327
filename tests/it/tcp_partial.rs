//! What arrives in pieces: after a short read the next one parks without asking the kernel, so every
//! way in which bytes can follow later has to wake it.

use crate::tcp::pair;
use giambio::net::Shutdown;
use giambio::net::TcpStream;
use giambio::testing::settle;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsRawFd;

const ROOM: usize = 16;

/// Occurs in no other place.
const URGENT: u8 = 255;

/// What stands at a place in the stream, so that a lost or a doubled byte shows.
fn byte_at(place: usize) -> u8 {
    (place % 251) as u8
}

/// What the peer does next, once the reader has taken everything and waits.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Sends so many bytes.
    Send(usize),
    /// Sends so many bytes and ends its half at once.
    SendAndEnd(usize),
    /// Ends its half.
    End,
    /// Sends one byte of urgent data.
    Urgent,
    /// Sends so many bytes, one urgent one, and as many again.
    Around(usize),
}

fn send_urgent(stream: &TcpStream) {
    let byte = [URGENT];
    // SAFETY: the pointer and the length are those of a live array.
    let sent = unsafe { libc::send(stream.as_raw_fd(), byte.as_ptr().cast(), 1, libc::MSG_OOB) };
    assert_eq!(sent, 1, "{}", std::io::Error::last_os_error());
}

/// Writes the bytes that [`byte_at`] says.
struct Sender<'s> {
    stream: &'s TcpStream,
    sent: usize,
}

impl Sender<'_> {
    fn send(&mut self, count: usize) {
        let bytes: Vec<_> = (self.sent..self.sent + count).map(byte_at).collect();
        self.stream.write_all(&bytes).unwrap();
        self.sent += count;
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Send(count) => self.send(count),
            Act::SendAndEnd(count) => {
                self.send(count);
                self.stream.shutdown(Shutdown::Write).unwrap();
            }
            Act::End => self.stream.shutdown(Shutdown::Write).unwrap(),
            Act::Urgent => send_urgent(self.stream),
            Act::Around(count) => {
                self.send(count);
                send_urgent(self.stream);
                self.send(count);
            }
        }
    }
}

/// When the peer begins its next act.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// When the reader is parked.
    Parked,
    /// At once.
    AtOnce,
}

/// Has a reader with `room` bytes of room read to the end while its peer performs `acts`.
#[track_caller]
fn perform(acts: &[Act], pace: Pace, room: usize) {
    let (total, mut read) = giambio::run(|| {
        let (mut ours, theirs) = pair();
        giambio::pool(|pool| {
            let peer = pool.spawn(|| {
                let mut sender = Sender { stream: &theirs, sent: 0 };
                for &act in acts {
                    if let Pace::Parked = pace {
                        settle();
                    }
                    sender.act(act);
                }
                theirs.shutdown(Shutdown::Write).unwrap();
                sender.sent
            });
            let mut read = Vec::new();
            let mut buf = vec![0; room];
            loop {
                let count = ours.read(&mut buf).unwrap();
                if count == 0 {
                    break (peer.join().unwrap(), read);
                }
                read.extend_from_slice(&buf[..count]);
            }
        })
    });
    // An urgent byte that another one follows too soon becomes an ordinary one: Linux holds only one.
    read.retain(|&byte| byte != URGENT);
    let expected: Vec<_> = (0..total).map(byte_at).collect();
    assert_eq!(read, expected, "after {acts:?}, {pace:?}, with room for {room}");
}

#[test]
fn smoke() {
    perform(&[Act::Send(1)], Pace::Parked, ROOM);
}

#[test]
fn bytes_that_come_later_wake_the_reader_in_every_split() {
    let sizes = [1, ROOM - 1, ROOM, ROOM + 1, 2 * ROOM, 2 * ROOM + 1];
    for pace in [Pace::Parked, Pace::AtOnce] {
        for first in sizes {
            for second in sizes {
                perform(&[Act::Send(first), Act::Send(second)], pace, ROOM);
            }
        }
    }
}

#[test]
fn an_end_that_comes_with_the_bytes_is_seen() {
    for pace in [Pace::Parked, Pace::AtOnce] {
        for count in [1, ROOM - 1, ROOM, ROOM + 1] {
            perform(&[Act::SendAndEnd(count)], pace, ROOM);
            perform(&[Act::Send(1), Act::SendAndEnd(count)], pace, ROOM);
        }
    }
}

#[test]
fn an_end_that_comes_later_is_seen() {
    for count in [1, ROOM - 1, ROOM, ROOM + 1] {
        perform(&[Act::Send(count), Act::End], Pace::Parked, ROOM);
        perform(&[Act::Send(count), Act::Send(count), Act::End], Pace::Parked, ROOM);
    }
}

#[test]
fn an_urgent_byte_does_not_wedge_the_connection() {
    let urgent = [
        &[Act::Urgent, Act::Send(5)][..],
        &[Act::Urgent, Act::Send(ROOM), Act::Send(1)],
        &[Act::Send(5), Act::Urgent, Act::Send(5)],
        &[Act::Send(ROOM), Act::Urgent, Act::Send(ROOM)],
        &[Act::Around(5), Act::Send(5)],
        &[Act::Around(ROOM), Act::Around(ROOM - 1)],
        &[Act::Send(5), Act::Around(3), Act::Send(2), Act::Around(20), Act::SendAndEnd(7)],
        &[Act::Send(5), Act::Urgent],
        &[Act::Urgent, Act::Urgent, Act::Send(40), Act::Urgent, Act::End],
        &[Act::Urgent],
    ];
    for acts in urgent {
        for pace in [Pace::Parked, Pace::AtOnce] {
            for room in [1, ROOM, 1000] {
                perform(acts, pace, room);
            }
        }
    }
}

#[test]
fn an_urgent_byte_between_two_parts_in_flight_does_not_hide_the_second() {
    giambio::run(|| {
        let (mut ours, theirs) = pair();
        giambio::pool(|pool| {
            pool.spawn(|| {
                let mut sender = Sender { stream: &theirs, sent: 0 };
                settle();
                sender.send(3); // a short read, and the descriptor is registered
                for _ in 0..50 {
                    settle();
                    sender.act(Act::Around(3)); // the read stops at the mark, with bytes behind it
                }
            });
            let mut buf = [0; ROOM];
            let mut total = 0;
            while total < 3 + 50 * 6 {
                let count = ours.read(&mut buf).unwrap();
                assert_ne!(count, 0);
                for &byte in buf[..count].iter().filter(|&&byte| byte != URGENT) {
                    assert_eq!(byte, byte_at(total));
                    total += 1;
                }
            }
        });
    });
}

#[test]
fn reads_with_room_for_nothing_and_for_one_byte_lose_nothing() {
    giambio::run(|| {
        let (mut ours, mut theirs) = pair();
        theirs.write_all(b"abc").unwrap();
        assert_eq!(ours.peek(&mut [0; 8]).unwrap(), 3);
        assert_eq!(ours.read(&mut []).unwrap(), 0); // not the end
        for expected in b"abc" {
            let mut buf = [0];
            assert_eq!(ours.read(&mut buf).unwrap(), 1);
            assert_eq!(buf[0], *expected);
        }
    });
}

#[test]
fn a_short_read_of_a_socket_in_use_by_a_clone_hides_nothing() {
    giambio::run(|| {
        let (mut ours, theirs) = pair();
        let mut clone = ours.try_clone().unwrap();
        giambio::pool(|pool| {
            pool.spawn(|| {
                let mut sender = Sender { stream: &theirs, sent: 0 };
                for _ in 0..40 {
                    settle();
                    sender.send(5);
                }
            });
            let mut buf = [0; 5];
            for turn in 0..20_u8 {
                ours.read_exact(&mut buf).unwrap();
                assert_eq!(buf[0], turn * 10);
                clone.read_exact(&mut buf).unwrap();
                assert_eq!(buf[0], turn * 10 + 5);
            }
        });
    });
}

#[test]
fn sizes_around_every_power_of_two_arrive_whole() {
    let sizes = (0..=16).flat_map(|bits| [-1, 0, 1].map(|off| (1_isize << bits) + off));
    for size in sizes.filter(|&size| size > 0).map(|size| size as usize) {
        for room in [size, size + 1, size.div_ceil(2)] {
            perform(&[Act::Send(size), Act::Send(1)], Pace::AtOnce, room);
        }
    }
}

#[test]
fn two_hundred_kilobytes_arrive_through_buffers_of_every_odd_size() {
    for room in [1000, 1448, 4095, 4096, 4097, 65_483, 65_536, 131_072, 300_000] {
        let acts = [Act::Send(65_483), Act::Send(70_000), Act::SendAndEnd(64_517)];
        perform(&acts, Pace::AtOnce, room);
        perform(&acts, Pace::Parked, room);
    }
}
