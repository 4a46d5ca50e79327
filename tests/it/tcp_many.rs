//! Ten thousand short connections: descriptors, keys and stacks are used again and again.

use giambio::net::TcpListener;
use giambio::net::TcpStream;
use std::cell::Cell;
use std::io::Read;
use std::io::Write;

/// Connections at once: below the 128 that std's listeners keep in their backlog, past which the kernel
/// drops requests and asks again a second later.
const BATCH: usize = 100;

/// One request and one answer; the numbers tell whose they are.
fn ask(listener: &TcpListener, number: u32) {
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.write_all(&number.to_le_bytes()).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(u32::from_le_bytes(answer), !number);
}

fn answer(mut stream: TcpStream) {
    let mut number = [0; 4];
    stream.read_exact(&mut number).unwrap();
    stream.write_all(&(!u32::from_le_bytes(number)).to_le_bytes()).unwrap();
}

#[test]
fn ten_thousand_short_connections_are_all_answered() {
    let answered = Cell::new(0_usize);
    giambio::run(|| {
        for batch in 0..100 {
            // A port of its own for each batch: closed connections hold theirs for a minute.
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            giambio::pool(|pool| {
                pool.spawn(|| {
                    for stream in listener.incoming().take(BATCH) {
                        let stream = stream.unwrap();
                        pool.spawn(move || answer(stream));
                    }
                });
                for client in 0..BATCH {
                    let (listener, answered) = (&listener, &answered);
                    pool.spawn(move || {
                        ask(listener, (batch * BATCH + client) as u32);
                        answered.set(answered.get() + 1);
                    });
                }
            });
        }
    });
    assert_eq!(answered.get(), 10_000);
}

#[test]
fn one_descriptor_after_the_other_under_the_same_number() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        giambio::pool(|pool| {
            pool.spawn(|| listener.incoming().take(2000).for_each(|s| answer(s.unwrap())));
            (0..2000).for_each(|number| ask(&listener, number));
        });
    });
}

#[test]
fn events_of_a_closed_descriptor_do_not_reach_the_next_owner_of_its_number() {
    giambio::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        giambio::pool(|pool| {
            for _ in 0..500 {
                let mut old = TcpStream::connect(addr).unwrap();
                let (mut old_peer, _) = listener.accept().unwrap();
                // It registers and parks, and its event is on its way when it is closed.
                let reader = pool.spawn(move || old.read(&mut [0; 1]).unwrap());
                giambio::yield_now();
                old_peer.write_all(b"xyz").unwrap();
                reader.join().unwrap();
                old_peer.write_all(b"late").unwrap_or_default();
                let fresh = TcpStream::connect(addr).unwrap();
                let (mut fresh_peer, _) = listener.accept().unwrap();
                let reader = pool.spawn(move || {
                    let mut buf = [0; 2];
                    (&fresh).read(&mut buf).map(|count| (count, buf))
                });
                giambio::yield_now();
                fresh_peer.write_all(b"ok").unwrap();
                assert_eq!(reader.join().unwrap().unwrap(), (2, *b"ok"));
            }
        });
    });
}
