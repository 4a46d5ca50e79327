//! What programs can see of threads.

use super::Facts;
use super::thread;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn fail(text: &'static str) -> ! {
    resume_unwind(Box::new(text))
}

pub(in super::super) fn spawning(facts: &mut Facts) {
    let handle = thread::spawn(|| 42);
    facts.note("name", handle.thread().name());
    facts.end("value", handle.join());
    facts.end("panic", thread::spawn(|| -> i32 { fail("on purpose") }).join());
    facts.end("formatted", thread::spawn(|| -> i32 { panic!("with {}", 7) }).join());
    let nested = thread::spawn(|| thread::spawn(|| 1).join().unwrap() + 1);
    facts.end("nested", nested.join());
    facts.note("handle", thread::spawn(|| ()));
    let ended = thread::spawn(|| ());
    while !ended.is_finished() {
        thread::yield_now();
    }
    facts.end("when it has ended", ended.join());
    facts.note("parallelism", thread::available_parallelism().is_ok());
}

pub(in super::super) fn building(facts: &mut Facts) {
    let name = || thread::current().name().map(String::from);
    let named = thread::Builder::new().name("ada lovelace".into()).spawn(name).unwrap();
    facts.note("outside", named.thread().name());
    facts.end("inside", named.join());
    let small = thread::Builder::new().stack_size(0).spawn(name).unwrap();
    facts.end("the least stack", small.join());
    let large = thread::Builder::new().stack_size(8 << 20).spawn(|| ()).unwrap();
    facts.end("a large stack", large.join());
    let huge = thread::Builder::new().stack_size(usize::MAX / 4).spawn(|| ());
    facts.note("no such stack", huge.is_err());
    let null = || thread::Builder::new().name("nu\0ll".into()).spawn(|| ());
    facts.end("a null byte", catch_unwind(null).map(drop));
}

pub(in super::super) fn identities(facts: &mut Facts) {
    let (here, spawned) = (thread::current(), thread::spawn(thread::current));
    let id = spawned.thread().id();
    facts.note("itself", spawned.join().unwrap().id() == id);
    facts.note("others", id == here.id());
    facts.note("again", thread::current().id() == here.id());
    facts.note("a clone", here.clone().id() == here.id());
    facts.note("unnamed", thread::spawn(|| thread::current().name().is_none()).join().unwrap());
    let shown = format!("{here:?}");
    facts.note("shown", shown.starts_with("Thread { id: ThreadId(") && shown.ends_with(", .. }"));
    facts.note("room", size_of::<Option<thread::ThreadId>>() == size_of::<thread::ThreadId>());
}

pub(in super::super) fn parking(facts: &mut Facts) {
    thread::current().unpark();
    thread::current().unpark();
    thread::park();
    facts.note("a token before", true);
    thread::park_timeout(Duration::from_millis(1));
    facts.note("no second one", true);
    let here = thread::current();
    let done = std::sync::Arc::new(AtomicUsize::new(0));
    let tells = std::sync::Arc::clone(&done);
    let other = thread::spawn(move || {
        tells.store(1, Ordering::Release);
        here.unpark();
    });
    while done.load(Ordering::Acquire) == 0 {
        thread::park();
    }
    facts.end("a token from another", other.join());
    let parked = thread::spawn(thread::park);
    parked.thread().unpark();
    facts.end("a parked thread", parked.join());
    thread::park_timeout(Duration::ZERO);
}

pub(in super::super) fn scopes(facts: &mut Facts) {
    let (mut numbers, sum) = (vec![1, 2, 3], Mutex::new(0));
    let value = thread::scope(|scope| {
        for number in &numbers {
            scope.spawn(|| *sum.lock().unwrap() += *number);
        }
        let joined = scope.spawn(|| numbers.len());
        facts.note("handle", &joined);
        facts.note("name", joined.thread().name());
        joined.join().unwrap()
    });
    numbers.push(4);
    facts.note("value", (value, &numbers, sum.into_inner().unwrap()));
    let count = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            scope.spawn(|| count.fetch_add(1, Ordering::Relaxed));
            scope.spawn(|| count.fetch_add(1, Ordering::Relaxed));
        });
    });
    facts.note("threads of threads", count.into_inner());
    let built = thread::scope(|scope| {
        let builder = thread::Builder::new().name("scoped".into());
        let handle = builder.spawn_scoped(scope, || thread::current().name().map(String::from));
        handle.unwrap().join().unwrap()
    });
    facts.note("built", built);
}

pub(in super::super) fn failing_scopes(facts: &mut Facts) {
    let caught = |body: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(body));
    facts.end(
        "not joined",
        caught(&mut || {
            thread::scope(|scope| drop(scope.spawn(|| fail("lost"))));
        }),
    );
    facts.end(
        "joined",
        caught(&mut || {
            thread::scope(|scope| assert!(scope.spawn(|| fail("heard")).join().is_err()));
        }),
    );
    facts.end("the body", caught(&mut || thread::scope(|_| fail("body"))));
    let ended = AtomicUsize::new(0);
    facts.end(
        "both",
        caught(&mut || {
            thread::scope(|scope| {
                drop(scope.spawn(|| fail("lost")));
                scope.spawn(|| {
                    thread::park_timeout(Duration::from_millis(1));
                    ended.fetch_add(1, Ordering::Relaxed);
                });
                fail("body")
            });
        }),
    );
    facts.note("who went on", ended.into_inner());
}

pub(in super::super) fn panics(facts: &mut Facts) {
    struct Look<'s>(&'s AtomicUsize);
    impl Drop for Look<'_> {
        fn drop(&mut self) {
            self.0.store(1 + usize::from(thread::panicking()), Ordering::Relaxed);
        }
    }
    let seen = AtomicUsize::new(0);
    drop(Look(&seen));
    facts.note("in peace", seen.load(Ordering::Relaxed));
    let look = || {
        let _look = Look(&seen);
        fail("on purpose");
    };
    facts.end("caught", catch_unwind(AssertUnwindSafe(look)).map(drop));
    facts.note("in a panic", seen.load(Ordering::Relaxed));
    let joined = thread::scope(|scope| {
        let failed = scope.spawn(|| {
            let _look = Look(&seen);
            fail("in a thread");
        });
        failed.join().map(drop)
    });
    facts.end("in a thread", joined);
    facts.note("in its panic", seen.load(Ordering::Relaxed));
    facts.note("afterwards", thread::panicking());
}
