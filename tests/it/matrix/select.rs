//! Rows of the matrix: selects that wait for something else than a channel, of which they take nothing.

use super::Case;
use super::Test;
use super::sync::trigger;
use crate::pipe::fill;
use crate::secs;
use giambio::channel::Select;
use giambio::channel::select;
use giambio::clock;
use giambio::io::pipe;
use giambio::pool;
use giambio::sync::Event;
use std::io::Read;
use std::io::Write;

matrix!(Real: readable, writable, list_readable);
matrix!(Virtual: finished, happened, deadline);

/// Those that several tasks may make at once.
mod by_two {
    matrix!(Real, of several tasks at once: readable, writable, list_readable);
    matrix!(Virtual, of several tasks at once: finished, happened);
}

fn readable(test: Test<'_>) {
    let ((reader, writer), never) = (pipe().unwrap(), Event::<()>::new());
    let call = || {
        select! {
            readable(reader) -> result => result,
            happened(never) -> _ => unreachable!("it never happens"),
        }
    };
    let complete = || (&writer).write_all(b"x").unwrap();
    test(&Case::reporting(&call).ends_when(&complete));
}

fn writable(test: Test<'_>) {
    let ((reader, writer), never) = (pipe().unwrap(), Event::<()>::new());
    fill(&writer);
    let call = || {
        select! {
            writable(writer) -> result => result,
            happened(never) -> _ => unreachable!("it never happens"),
        }
    };
    // A page, since less makes no room.
    let complete = || (&reader).read_exact(&mut [0; 4096]).unwrap();
    test(&Case::reporting(&call).ends_when(&complete));
}

fn list_readable(test: Test<'_>) {
    let ((reader, writer), never) = (pipe().unwrap(), Event::<()>::new());
    let call = || {
        let mut list = Select::new();
        list.happened(&never);
        let readable = list.readable(&reader);
        let operation = list.select();
        assert_eq!(operation.index(), readable);
        operation.complete()
    };
    let complete = || (&writer).write_all(b"x").unwrap();
    test(&Case::reporting(&call).ends_when(&complete));
}

fn finished(test: Test<'_>) {
    let (gate, never) = (Event::new(), Event::<()>::new());
    pool(|pool| {
        let task = pool.spawn(|| gate.wait());
        let call = || {
            select! {
                finished(task) -> _ => assert!(task.is_finished()),
                happened(never) -> _ => unreachable!("it never happens"),
            }
        };
        // When this returns it is done.
        let complete = || {
            trigger(&gate);
            select!(finished(task) -> _ => {});
        };
        test(&Case::new(&call).ends_when(&complete));
        trigger(&gate);
    });
}

fn happened(test: Test<'_>) {
    let (event, never) = (Event::new(), Event::<()>::new());
    let call = || {
        select! {
            happened(event) -> () => {}
            happened(never) -> _ => unreachable!("it never happens"),
        }
    };
    test(&Case::new(&call).ends_when(&|| trigger(&event)));
}

fn deadline(test: Test<'_>) {
    let (at, never) = (clock() + secs(1), Event::<()>::new());
    let call = || {
        select! {
            deadline(at) -> _ => assert!(clock() >= at, "it was woken too early"),
            happened(never) -> _ => unreachable!("it never happens"),
        }
    };
    test(&Case::new(&call).ends_when(&|| giambio::sleep_until(at)));
}
