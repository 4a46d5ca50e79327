//! Helper threads by themselves: who gets a job, who leaves, and what happens when none is to be had.

use super::Helpers;
use super::Job;
use super::Placed;
use crate::sys::seam::Call;
use crate::sys::seam::refusing;
use std::io;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::Sender;
use std::thread;
use std::thread::ThreadId;
use std::time::Duration;

/// Helpers that never leave.
fn patient() -> &'static Helpers {
    helpers(Duration::MAX)
}

fn helpers(patience: Duration) -> &'static Helpers {
    Box::leak(Box::new(Helpers::new(patience)))
}

/// A job that says where it has run, once it may.
struct Probe {
    may_run: Mutex<Receiver<()>>,
    told: Mutex<Sender<ThreadId>>,
    is_wanted: AtomicBool,
    starts: AtomicUsize,
    runs: AtomicUsize,
}

/// What a test has of its job.
struct Hold {
    job: Arc<Probe>,
    allow: Sender<()>,
    told: Receiver<ThreadId>,
}

impl Hold {
    fn new() -> Self {
        let ((allow, may_run), (tell, told)) = (mpsc::channel(), mpsc::channel());
        let (may_run, tell) = (Mutex::new(may_run), Mutex::new(tell));
        let (starts, runs) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let is_wanted = AtomicBool::new(true);
        Self { job: Arc::new(Probe { may_run, told: tell, is_wanted, starts, runs }), allow, told }
    }

    fn place(&self, helpers: &'static Helpers) -> io::Result<Placed> {
        helpers.place(Arc::clone(&self.job) as _)
    }

    /// Lets it run, and waits for its end.
    fn finish(&self) -> ThreadId {
        self.allow.send(()).unwrap();
        self.told.recv().unwrap()
    }

    fn runs(&self) -> usize {
        self.job.runs.load(Ordering::SeqCst)
    }
}

impl Job for Probe {
    fn start(&self) -> bool {
        self.starts.fetch_add(1, Ordering::SeqCst);
        self.is_wanted.load(Ordering::SeqCst)
    }

    fn run(&self) {
        let _ = self.may_run.lock().unwrap().recv();
        self.runs.fetch_add(1, Ordering::SeqCst);
    }

    fn tell(&self) {
        self.told.lock().unwrap().send(thread::current().id()).unwrap();
    }
}

/// Has a helper do a job; which one has.
fn once(helpers: &'static Helpers) -> ThreadId {
    let hold = Hold::new();
    assert_eq!(hold.place(helpers).unwrap(), Placed::Started);
    hold.finish()
}

fn counts(helpers: &Helpers) -> (usize, usize) {
    let state = helpers.lock();
    (state.threads, state.idle.len())
}

/// Returns when all helpers have left.
fn until_all_have_left(helpers: &Helpers) {
    while counts(helpers) != (0, 0) {
        thread::yield_now();
    }
}

#[test]
fn smoke() {
    let helpers = patient();
    let first = once(helpers);
    assert_eq!(once(helpers), first, "an idle helper is taken before a thread is started");
    assert_eq!(counts(helpers), (1, 1));
}

#[test]
fn of_two_idle_helpers_the_latest_is_taken() {
    let helpers = patient();
    let (first, second) = (Hold::new(), Hold::new());
    first.place(helpers).unwrap();
    second.place(helpers).unwrap();
    let long_idle = second.finish();
    let latest = first.finish();
    assert_ne!(long_idle, latest);
    (0..5).for_each(|_| assert_eq!(once(helpers), latest));
}

#[test]
fn a_helper_is_idle_before_its_job_tells_of_its_end() {
    let helpers = patient();
    for _ in 0..1_000 {
        once(helpers);
        assert_eq!(counts(helpers).1, 1);
    }
}

#[test]
fn idle_helpers_leave() {
    let helpers = helpers(Duration::from_millis(1));
    let holds = [(); 5].map(|()| Hold::new());
    holds.iter().for_each(|hold| assert_eq!(hold.place(helpers).unwrap(), Placed::Started));
    assert_eq!(counts(helpers), (5, 0));
    holds.iter().for_each(|hold| _ = hold.finish());
    until_all_have_left(helpers);
    assert!(helpers.lock().left_at.is_some());
    once(helpers);
}

#[test]
fn a_job_that_comes_as_its_helper_leaves_is_done() {
    for patience in [0, 1, 20, 50, 100] {
        let helpers = helpers(Duration::from_micros(patience));
        thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    for round in 0..1_000 {
                        once(helpers);
                        (0..round * 7 % 300).for_each(|_| std::hint::spin_loop());
                    }
                });
            }
        });
        until_all_have_left(helpers);
    }
}

#[test]
fn a_helper_that_would_leave_and_was_taken_just_before_does_the_job() {
    let helpers = helpers(Duration::from_millis(20));
    let hold = Hold::new();
    let taken = loop {
        let idle = once(helpers);
        let mut state = helpers.lock();
        // On a busy machine it may have left already.
        if let Some(hand) = state.idle.pop() {
            // It gives up waiting meanwhile, and then cannot take itself out.
            thread::park_timeout(Duration::from_millis(60));
            drop(state);
            hand.give(Arc::clone(&hold.job) as _);
            break idle;
        }
    };
    assert_eq!(hold.finish(), taken);
    until_all_have_left(helpers);
}

#[test]
fn without_any_helper_a_refusal_is_an_error_that_names_the_limits() {
    let helpers = patient();
    let hold = Hold::new();
    let error = refusing(Call::StartThread, libc::EAGAIN, || hold.place(helpers)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    let text = error.to_string();
    for limit in ["RLIMIT_NPROC", "kernel.threads-max", "pids.max"] {
        assert!(text.contains(limit), "{text}");
    }
    assert_eq!((Arc::strong_count(&hold.job), hold.runs()), (1, 0));
    once(helpers);
}

#[test]
fn an_idle_helper_takes_what_no_thread_can_be_started_for() {
    let helpers = patient();
    let first = once(helpers);
    assert_eq!(refusing(Call::StartThread, libc::EAGAIN, || once(helpers)), first);
}

#[test]
fn what_no_thread_can_be_started_for_waits_in_line_for_one() {
    let helpers = patient();
    let busy = Hold::new();
    busy.place(helpers).unwrap();
    let waiting = [(); 3].map(|()| Hold::new());
    refusing(Call::StartThread, libc::EAGAIN, || {
        waiting.iter().for_each(|hold| assert_eq!(hold.place(helpers).unwrap(), Placed::Queued));
    });
    let helper = busy.finish();
    for (number, hold) in waiting.iter().enumerate() {
        assert!(waiting[number + 1..].iter().all(|later| later.runs() == 0));
        assert_eq!(hold.finish(), helper);
        assert_eq!(hold.job.starts.load(Ordering::SeqCst), 1);
    }
    assert_eq!(counts(helpers), (1, 1));
}

#[test]
fn a_job_that_was_withdrawn_or_is_not_wanted_any_more_is_not_done() {
    let helpers = patient();
    let busy = Hold::new();
    busy.place(helpers).unwrap();
    let [withdrawn, unwanted, last] = [(); 3].map(|()| Hold::new());
    refusing(Call::StartThread, libc::EAGAIN, || {
        for hold in [&withdrawn, &unwanted, &last] {
            assert_eq!(hold.place(helpers).unwrap(), Placed::Queued);
        }
    });
    unwanted.job.is_wanted.store(false, Ordering::SeqCst);
    let job = Arc::clone(&withdrawn.job) as Arc<dyn Job>;
    helpers.withdraw(&job);
    drop(job);
    assert_eq!(Arc::strong_count(&withdrawn.job), 1);
    busy.finish();
    last.finish();
    assert_eq!((withdrawn.runs(), unwanted.runs(), last.runs()), (0, 0, 1));
    assert_eq!(Arc::strong_count(&unwanted.job), 1);
}
