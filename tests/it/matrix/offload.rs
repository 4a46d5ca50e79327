//! Rows of the matrix: calls on helper threads, of which each world has one at a time.

use super::Case;
use super::Test;
use giambio::pool;
use giambio::unblock;
use giambio::yield_now;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

matrix!(Real: unblock_in_line);
matrix!(Real, unblock_begun is not cut once it has begun);

fn unblock_in_line(test: Test<'_>) {
    let (tell, told) = mpsc::channel();
    let (told, calls) = (Mutex::new(told), AtomicUsize::new(0));
    pool(|pool| {
        pool.spawn(|| unblock(|| _ = told.lock().unwrap().recv()));
        yield_now(); // it has begun, and has the only helper
        let call = || _ = unblock(|| calls.fetch_add(1, Ordering::SeqCst));
        let complete = || tell.send(()).unwrap_or(());
        let effects = || calls.load(Ordering::SeqCst);
        test(&Case::new(&call).ends_when(&complete).has(&effects));
        complete();
    });
}

fn unblock_begun(test: Test<'_>) {
    let (tell, told) = mpsc::channel();
    let (told, calls) = (Mutex::new(told), AtomicUsize::new(0));
    let call = || {
        unblock(|| {
            told.lock().unwrap().recv().unwrap();
            calls.fetch_add(1, Ordering::SeqCst);
        });
    };
    let complete = || tell.send(()).unwrap();
    let effects = || calls.load(Ordering::SeqCst);
    test(&Case::new(&call).ends_when(&complete).has(&effects));
}
