//! std's adaptors and serde_json over sockets, whose peers send byte by byte.

use crate::count_turns;
use crate::pair;
use crate::run;
use giambio::net::Shutdown;
use giambio::net::TcpStream;
use giambio::testing::settle;
use serde_json::Deserializer;
use serde_json::Value;
use serde_json::json;
use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::LineWriter;
use std::io::Read;
use std::io::Write;

/// Sends byte by byte, each when the reader has taken the last one and waits again, and finishes.
fn drip(mut stream: &TcpStream, text: &str) {
    for byte in text.bytes() {
        settle();
        stream.write_all(&[byte]).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
}

/// Reads with `read` what drips in, while another task has to get its turns.
fn slowly<T>(text: &str, read: impl FnOnce(&TcpStream) -> T) -> T {
    run(|| {
        let (ours, theirs) = pair();
        let turns = Cell::new(0);
        let value = giambio::pool(|pool| {
            pool.spawn(|| {
                for byte in text.bytes() {
                    giambio::yield_now();
                    (&theirs).write_all(&[byte]).unwrap();
                }
                theirs.shutdown(Shutdown::Write).unwrap();
            });
            count_turns(pool, &turns);
            read(&ours)
        });
        assert!(turns.get() >= text.len(), "{} turns", turns.get());
        value
    })
}

#[test]
fn lines_come_whole_from_a_peer_that_sends_byte_by_byte_while_others_run() {
    let lines = slowly("one\ntwo\r\n\nthe last", |stream| {
        BufReader::new(stream).lines().map(Result::unwrap).collect::<Vec<_>>()
    });
    assert_eq!(lines, ["one", "two", "", "the last"]);
}

#[test]
fn a_json_value_comes_whole_from_a_peer_that_sends_byte_by_byte_while_others_run() {
    let text = r#"{"name": "ünïcode", "list": [1, -2.5e3, null, true], "nested": {"a": {}}}"#;
    let value: Value = slowly(text, |stream| serde_json::from_reader(stream).unwrap());
    let expected = json!({
        "name": "ünïcode", "list": [1, -2500.0, null, true], "nested": {"a": {}},
    });
    assert_eq!(value, expected);
}

#[test]
fn each_value_of_a_json_stream_is_there_before_the_next_one_is_sent() {
    run(|| {
        let (ours, mut theirs) = pair();
        let got = RefCell::new(Vec::new());
        giambio::pool(|pool| {
            pool.spawn(|| {
                let values = Deserializer::from_reader(&ours).into_iter::<Value>();
                values.for_each(|value| got.borrow_mut().push(value.unwrap()));
            });
            let expected = [json!({"n": 1}), json!([2, 3]), json!("four")];
            for (number, value) in expected.iter().enumerate() {
                serde_json::to_writer(&mut theirs, value).unwrap();
                settle();
                assert_eq!(*got.borrow(), expected[..=number]);
            }
            theirs.shutdown(Shutdown::Write).unwrap();
        });
        assert_eq!(got.borrow().len(), 3);
    });
}

#[test]
fn broken_and_cut_json_are_errors_that_say_which() {
    let error = slowly("[1, 2", |stream| serde_json::from_reader::<_, Value>(stream).unwrap_err());
    assert!(error.is_eof(), "{error}");
    let error = slowly("[1, x]", |stream| serde_json::from_reader::<_, Value>(stream).unwrap_err());
    assert!(error.is_syntax(), "{error}");
}

#[test]
fn a_cancelled_parser_leaves_the_stream_to_the_next_one() {
    run(|| {
        let (ours, mut theirs) = pair();
        theirs.write_all(b"[1, 2").unwrap();
        let cut = giambio::cancellable(|pool| {
            pool.spawn(|| {
                settle();
                pool.cancel();
            });
            serde_json::from_reader::<_, Value>(&ours).unwrap()
        });
        assert!(cut.is_none());
        theirs.write_all(b"[3]").unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        assert_eq!(serde_json::from_reader::<_, Value>(&ours).unwrap(), json!([3]));
    });
}

#[test]
fn a_large_value_is_written_while_it_is_read() {
    let value = json!((0..50_000).map(|n| n.to_string()).collect::<Vec<_>>());
    run(|| {
        let (ours, theirs) = pair();
        // Between the two there is no room for the whole: nobody can end before the other begins.
        socket2::SockRef::from(&theirs).set_send_buffer_size(16 << 10).unwrap();
        socket2::SockRef::from(&ours).set_recv_buffer_size(16 << 10).unwrap();
        giambio::pool(|pool| {
            pool.spawn(|| {
                let mut writer = BufWriter::new(&theirs);
                serde_json::to_writer(&mut writer, &value).unwrap();
                writer.flush().unwrap();
                theirs.shutdown(Shutdown::Write).unwrap();
            });
            let got: Value = serde_json::from_reader(BufReader::new(&ours)).unwrap();
            assert!(got == value);
        });
    });
}

/// What has come until now.
fn arrived(mut stream: &TcpStream) -> String {
    let text = RefCell::new(Vec::new());
    let cut = giambio::cancellable(|pool| -> () {
        pool.spawn(|| {
            settle(); // until the reader waits
            pool.cancel();
        });
        loop {
            let mut chunk = [0; 64];
            let count = stream.read(&mut chunk).unwrap();
            text.borrow_mut().extend_from_slice(&chunk[..count]);
        }
    });
    assert!(cut.is_none());
    String::from_utf8(text.take()).unwrap()
}

#[test]
fn a_buf_writer_sends_when_it_is_full_flushed_or_dropped() {
    run(|| {
        let (ours, theirs) = pair();
        let mut writer = BufWriter::with_capacity(8, &ours);
        write!(writer, "12345").unwrap();
        assert_eq!(arrived(&theirs), "");
        write!(writer, "6789").unwrap(); // does not fit behind them
        assert_eq!(arrived(&theirs), "12345");
        writer.flush().unwrap();
        assert_eq!(arrived(&theirs), "6789");
        write!(writer, "0").unwrap();
        drop(writer);
        assert_eq!(arrived(&theirs), "0");
    });
}

#[test]
fn a_line_writer_sends_with_the_end_of_the_line() {
    run(|| {
        let (ours, theirs) = pair();
        let mut writer = LineWriter::new(&ours);
        write!(writer, "one").unwrap();
        assert_eq!(arrived(&theirs), "");
        write!(writer, " line\nand").unwrap();
        assert_eq!(arrived(&theirs), "one line\n");
    });
}

#[test]
fn io_copy_passes_on_what_drips_in() {
    run(|| {
        let [(source, mut from), (mut to, sink)] = [pair(), pair()];
        giambio::pool(|pool| {
            pool.spawn(|| drip(&source, "byte by byte"));
            pool.spawn(move || {
                assert_eq!(io::copy(&mut from, &mut to).unwrap(), 12);
            });
            let mut text = String::new();
            (&sink).read_to_string(&mut text).unwrap();
            assert_eq!(text, "byte by byte");
        });
    });
}
