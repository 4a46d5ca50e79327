//! Every primitive under load: two runtimes with 500 tasks each and two plain threads use it at once, and some
//! of the tasks are cut, at whatever moment that is.

use crate::unwind::OnDrop;
use giambio::pool;
use giambio::skip_after;
use giambio::sync::Barrier;
use giambio::sync::Condvar;
use giambio::sync::LazyLock;
use giambio::sync::Mutex;
use giambio::sync::Once;
use giambio::sync::OnceLock;
use giambio::sync::RwLock;
use giambio::sync::RwLockWriteGuard;
use giambio::yield_now;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

const TASKS: u64 = 500;
/// What a plain thread does as often as all tasks of a runtime together.
const TURNS_OF_A_THREAD: u64 = 500;

/// Who is somewhere at once: `WRITER` for one that must be alone, 1 for one of many.
#[derive(Default)]
struct Presence(AtomicUsize);

const WRITER: usize = 1 << 32;

impl Presence {
    #[track_caller]
    fn alone(&self) -> impl Drop {
        assert_eq!(self.0.fetch_add(WRITER, Ordering::Relaxed), 0, "somebody else is there");
        OnDrop::new(|| {
            self.0.fetch_sub(WRITER, Ordering::Relaxed);
        })
    }

    #[track_caller]
    fn with_others(&self) -> impl Drop {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) < WRITER, "a writer is there");
        OnDrop::new(|| {
            self.0.fetch_sub(1, Ordering::Relaxed);
        })
    }
}

/// Calls `act` with the number of each task, in two runtimes, and with numbers above theirs on two threads.
fn on_four_threads(act: impl Fn(u64) + Sync) {
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                giambio::run(|| {
                    pool(|pool| {
                        for number in 0..TASKS {
                            let act = &act;
                            pool.spawn(move || act(number));
                        }
                    });
                });
            });
            threads.spawn(|| (0..TURNS_OF_A_THREAD).for_each(|turn| act(TASKS + turn)));
        }
    });
}

/// Does `f`, and a task may be cut in it.
fn may_be_cut(number: u64, f: impl FnOnce()) {
    if number < TASKS {
        skip_after(Duration::from_micros(number), |_| f());
    } else {
        f();
    }
}

#[test]
fn a_mutex() {
    let (mutex, presence, uses) = (Mutex::new(0_usize), Presence::default(), AtomicUsize::new(0));
    let add = |count: &mut usize| {
        let _alone = presence.alone();
        *count += 1;
        uses.fetch_add(1, Ordering::Relaxed);
    };
    on_four_threads(|number| {
        for round in 0..5 {
            match (number + round) % 8 {
                1 => drop(mutex.try_lock().map(|mut count| add(&mut count))),
                2 => may_be_cut(number, || add(&mut mutex.lock_interruptibly().unwrap())),
                3 => {
                    let timeout = Duration::from_micros(number);
                    drop(mutex.lock_timeout(timeout).map(|mut count| add(&mut count)));
                }
                4 => may_be_cut(number, || {
                    let mut count = mutex.lock().unwrap();
                    add(&mut count);
                    yield_now();
                }),
                5 => {
                    let mut count = mutex.lock().unwrap();
                    yield_now();
                    add(&mut count);
                }
                _ => add(&mut mutex.lock().unwrap()),
            }
        }
    });
    assert!(!mutex.is_poisoned());
    assert_eq!(*mutex.try_lock().unwrap(), uses.into_inner());
}

#[test]
fn an_rwlock() {
    let (lock, presence, writes) = (RwLock::new(0_usize), Presence::default(), AtomicUsize::new(0));
    let write = |count: &mut usize| {
        let _alone = presence.alone();
        *count += 1;
        writes.fetch_add(1, Ordering::Relaxed);
    };
    let read = |_: &usize| {
        let _one_of_many = presence.with_others();
        yield_now();
    };
    on_four_threads(|number| {
        for round in 0..5 {
            match (number + round) % 8 {
                1 => drop(lock.try_write().map(|mut count| write(&mut count))),
                2 => may_be_cut(number, || write(&mut lock.write_interruptibly().unwrap())),
                3 => may_be_cut(number, || read(&lock.read_interruptibly().unwrap())),
                4 => {
                    let timeout = Duration::from_micros(number);
                    drop(lock.write_timeout(timeout).map(|mut count| write(&mut count)));
                }
                5 => {
                    let timeout = Duration::from_micros(number);
                    drop(lock.read_timeout(timeout).map(|count| read(&count)));
                }
                6 => {
                    let mut count = lock.write().unwrap();
                    write(&mut count);
                    read(&RwLockWriteGuard::downgrade(count));
                }
                7 => write(&mut lock.write().unwrap()),
                _ => read(&lock.read().unwrap()),
            }
        }
    });
    assert!(!lock.is_poisoned());
    assert_eq!(*lock.try_write().unwrap(), writes.into_inner());
}

/// Each thing that is put is taken once, although some who wait are cut or give up.
#[test]
fn a_condition_variable() {
    let (things, changed) = (Mutex::new(0_usize), Condvar::new());
    let (put, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let take = || {
        let mut things = changed.wait_while(things.lock().unwrap(), |things| *things == 0).unwrap();
        *things -= 1;
        taken.fetch_add(1, Ordering::Relaxed);
    };
    let give = |notify: fn(&Condvar)| {
        put.fetch_add(1, Ordering::Relaxed);
        *things.lock().unwrap() += 1;
        notify(&changed);
    };
    on_four_threads(|number| {
        // More are put than can be taken.
        for round in 0..4 {
            match (number + round) % 8 {
                2 => give(Condvar::notify_all),
                3 => take(),
                4 => may_be_cut(number, take),
                5 => {
                    let (mut things, result) = changed
                        .wait_timeout_while(
                            things.lock().unwrap(),
                            Duration::from_micros(number),
                            |things| *things == 0,
                        )
                        .unwrap();
                    if !result.timed_out() {
                        *things -= 1;
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                }
                _ => give(Condvar::notify_one),
            }
        }
    });
    assert_eq!(*things.try_lock().unwrap() + taken.into_inner(), put.into_inner());
}

#[test]
fn a_barrier() {
    const ROUNDS: usize = 5;
    let size = 2 * TASKS as usize + 2;
    let (barrier, came, leaders) = (Barrier::new(size), AtomicUsize::new(0), AtomicUsize::new(0));
    let meet = |number: u64| {
        for round in 0..ROUNDS {
            // Some come and go before they come to stay.
            if number % 7 == 3 {
                skip_after(Duration::ZERO, |_| barrier.wait());
            }
            came.fetch_add(1, Ordering::SeqCst);
            let leads = barrier.wait().is_leader();
            assert!(came.load(Ordering::SeqCst) >= (round + 1) * size, "who has not come counts");
            leaders.fetch_add(usize::from(leads), Ordering::SeqCst);
        }
    };
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                giambio::run(|| {
                    pool(|pool| {
                        for number in 0..TASKS {
                            let meet = &meet;
                            pool.spawn(move || meet(number));
                        }
                    });
                });
            });
            threads.spawn(|| meet(0));
        }
    });
    assert_eq!(leaders.into_inner(), ROUNDS);
}

#[test]
fn what_is_initialised_once() {
    const CELLS: usize = 20;
    let lazy = LazyLock::new(|| {
        yield_now();
        7
    });
    let onces = [const { Once::new() }; CELLS];
    let cells = [const { OnceLock::new() }; CELLS];
    let runs = [const { AtomicUsize::new(0) }; CELLS];
    on_four_threads(|number| {
        assert_eq!(*lazy, 7);
        for index in 0..CELLS {
            let run = || {
                // Those who are cut are cut in here.
                yield_now();
                runs[index].fetch_add(1, Ordering::Relaxed);
            };
            if number % 8 == 3 {
                may_be_cut(number, || onces[index].call_once(run));
            }
            onces[index].call_once(run);
            assert_eq!(runs[index].load(Ordering::Relaxed), 1);
            let value = *cells[index].get_or_init(|| {
                yield_now();
                number
            });
            assert_eq!((cells[index].set(number), *cells[index].wait()), (Err(number), value));
        }
    });
    assert!(onces.iter().all(Once::is_completed));
}
