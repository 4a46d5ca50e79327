//! How TLS sessions end: under a deadline, by a cancellation, without a word.

use crate::pair;
use crate::run;
use crate::tls::Client;
use crate::tls::accept;
use crate::tls::connect;
use crate::tls::finish_client;
use crate::tls::finish_server;
use giambio::TooSlow;
use giambio::net::Shutdown;
use giambio::net::TcpStream;
use giambio::testing::settle;
use std::cell::Cell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::time::Duration;

/// Real time: a deadline that is to pass.
const SHORT: Duration = Duration::from_millis(50);

/// A session that stands, with the plain connection of a peer that says nothing any more.
fn with_silent_peer(client: impl FnOnce(Client, TcpStream)) {
    let (ours, theirs) = pair();
    giambio::pool(|pool| {
        let peer = pool.spawn(|| {
            let mut tls = accept(theirs);
            tls.write_all(b"x").unwrap();
            tls.sock // the keys are gone
        });
        let mut tls = connect(ours);
        tls.read_exact(&mut [0]).unwrap();
        client(tls, peer.join().unwrap());
    });
}

/// Ends a session in order, within a time: what is sent stays sent, and the other side's end is awaited.
fn close_within(limit: Duration, mut tls: Client) -> Result<io::Result<u64>, TooSlow> {
    giambio::with_timeout(limit, |_| {
        finish_client(&mut tls)?;
        io::copy(&mut tls, &mut io::sink())
    })
}

#[test]
fn a_peer_that_answers_close_notify_ends_the_session_within_its_deadline() {
    run(|| {
        let (ours, theirs) = pair();
        giambio::pool(|pool| {
            pool.spawn(|| {
                let mut tls = accept(theirs);
                assert_eq!(tls.read_to_end(&mut Vec::new()).unwrap(), 1);
                finish_server(&mut tls).unwrap();
            });
            let mut tls = connect(ours);
            tls.write_all(b"x").unwrap();
            assert_eq!(close_within(crate::PATIENCE, tls).unwrap().unwrap(), 0);
        });
    });
}

#[test]
fn a_peer_that_never_answers_close_notify_costs_the_deadline_and_no_more() {
    run(|| {
        with_silent_peer(|tls, mut peer| {
            let start = giambio::clock();
            assert_eq!(close_within(SHORT, tls).map(Result::unwrap), Err(TooSlow));
            assert!(giambio::clock() - start >= SHORT);
            // close_notify had gone out, and then the socket was closed.
            let mut rest = Vec::new();
            peer.read_to_end(&mut rest).unwrap();
            assert!(!rest.is_empty());
        });
    });
}

#[test]
fn a_peer_that_never_reads_cannot_hold_a_writer_past_its_deadline() {
    run(|| {
        with_silent_peer(|mut tls, _peer| {
            let endless = giambio::with_timeout(SHORT, |_| -> io::Result<()> {
                loop {
                    tls.write_all(&[0; 1 << 16])?;
                }
            });
            assert_eq!(endless.map(Result::unwrap), Err(TooSlow));
            // The session is whole: what was not sent still waits in it.
            assert!(tls.conn.wants_write());
        });
    });
}

#[test]
fn an_end_without_close_notify_is_told_from_one_with_it() {
    run(|| {
        with_silent_peer(|mut tls, peer| {
            drop(peer);
            let error = tls.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        });
    });
}

#[test]
fn an_end_in_the_middle_of_a_handshake_is_an_error_on_both_sides() {
    run(|| {
        let (ours, theirs) = pair();
        theirs.shutdown(Shutdown::Write).unwrap();
        let error = connect(ours).write_all(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let (mut ours, theirs) = pair();
        ours.write_all(&[22, 3, 1, 2]).unwrap(); // the beginning of a ClientHello
        drop(ours);
        let error = accept(theirs).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn a_cancelled_handshake_closes_the_socket() {
    run(|| {
        let (ours, mut theirs) = pair();
        let reached = Cell::new(false);
        let cut = giambio::cancellable(|pool| {
            pool.spawn(|| {
                settle();
                pool.cancel();
            });
            connect(ours).write_all(b"x").unwrap(); // nobody answers the ClientHello
            reached.set(true);
        });
        assert!(cut.is_none() && !reached.get());
        let mut hello = Vec::new();
        theirs.read_to_end(&mut hello).unwrap(); // there is an end
        assert_eq!(hello[0], 22, "no handshake record"); // RFC 8446, 5.1
    });
}

#[test]
fn a_deadline_around_a_handshake_needs_no_option_of_the_socket() {
    run(|| {
        let (ours, _theirs) = pair();
        let late = giambio::with_timeout(SHORT, |_| accept(ours).read(&mut [0]).map(drop));
        assert_eq!(late.map(Result::unwrap), Err(TooSlow));
    });
}

#[test]
fn a_read_that_was_cut_has_lost_nothing_of_the_session() {
    run(|| {
        let (ours, theirs) = pair();
        giambio::pool(|pool| {
            let mut tls = connect(ours);
            let server = pool.spawn(|| {
                let mut tls = accept(theirs);
                tls.write_all(b"first").unwrap();
                tls
            });
            let mut word = [0; 5];
            tls.read_exact(&mut word).unwrap();
            let mut server = server.join().unwrap();
            for round in 0..10 {
                let cut = giambio::cancellable(|pool| {
                    pool.spawn(|| {
                        settle();
                        pool.cancel();
                    });
                    tls.read(&mut word)
                });
                assert!(cut.is_none());
                let text = format!("no. {round}");
                server.write_all(text.as_bytes()).unwrap();
                tls.read_exact(&mut word).unwrap();
                assert_eq!(word, text.as_bytes());
            }
        });
    });
}
