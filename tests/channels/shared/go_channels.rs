//! After the tests of Go's channels: `chan_test.go` of its runtime, and `fifo`, `nonblock`, `perm`,
//! `sieve1`, `powser1`, `zerosize`, `goroutines` and `chancap` of its `test/chan`.

use super::all_kinds;
use super::channel::Receiver;
use super::channel::Sender;
use super::channel::TryRecvError;
use super::channel::TrySendError;
use super::channel::bounded;
use super::channel::unbounded;
use super::world;
use super::world::scope;
use crate::until;
use std::fmt::Debug;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// `TestChan`: for each capacity what waits, what does not, and what ends it.
#[test]
fn channels_of_many_capacities() {
    world::run(|| {
        for capacity in 0..40 {
            let (s, r) = bounded(capacity);
            // From one that is empty nothing comes.
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            // One that is full takes nothing.
            (0..capacity).for_each(|number| s.send(number).unwrap());
            assert_eq!(s.try_send(99), Err(TrySendError::Full(99)));
            assert!(r.try_iter().eq(0..capacity));
            // After the end come what was sent before it, and the end.
            (0..capacity).for_each(|number| s.send(number).unwrap());
            drop(s);
            assert!(r.iter().eq(0..capacity));
            assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));
            // A hundred through each.
            let (s, r) = bounded(capacity);
            scope(|scope| {
                scope.spawn(move || (0..100).for_each(|number| s.send(number).unwrap()));
                assert!(r.iter().eq(0..100));
            });
        }
    });
}

/// `TestNonblockRecvRace`: a message or the end, but not nothing.
#[test]
fn a_receive_that_does_not_wait_sees_a_message_or_the_end() {
    world::run(|| {
        for _ in 0..150 {
            let (s, r) = bounded(1);
            s.send(1).unwrap();
            scope(|scope| {
                let looks = scope.spawn(|| r.try_recv());
                drop(s);
                let _ = r.recv();
                assert_ne!(looks.join().unwrap(), Err(TryRecvError::Empty));
            });
        }
    });
}

/// `TestMultiConsumer`.
#[test]
fn many_consumers_take_what_one_produces() {
    const COUNT: usize = 2000;
    const PRIMES: [usize; 9] = [2, 3, 5, 7, 11, 13, 17, 19, 23];
    world::run(|| {
        let ((work_s, work_r), (done_s, done_r)) = (bounded(23), bounded(23 * 5));
        scope(|scope| {
            for prime in PRIMES.into_iter().take(8) {
                let (work_r, done_s): (Receiver<usize>, _) = (work_r.clone(), done_s.clone());
                scope.spawn(move || {
                    for number in work_r {
                        if prime % 2 == number % 2 {
                            giambio::yield_now();
                        }
                        done_s.send(number).unwrap();
                    }
                });
            }
            drop((work_r, done_s));
            scope.spawn(move || {
                (0..COUNT).for_each(|n| work_s.send(PRIMES[n % PRIMES.len()]).unwrap());
            });
            let (mut count, mut sum) = (0, 0);
            for number in done_r {
                count += 1;
                sum += number;
            }
            let expected: usize = PRIMES.iter().cycle().take(COUNT).sum();
            assert_eq!((count, sum), (COUNT, expected));
        });
    });
}

/// `TestChanSendInterface`.
#[test]
fn messages_behind_a_box_of_any_kind() {
    type Boxed = Option<Box<dyn Debug + Send>>;
    fn text(message: Boxed) -> String {
        format!("{:?}", message.unwrap())
    }
    world::run(|| {
        let (s, r) = bounded::<Boxed>(1);
        s.send(Some(Box::new(7))).unwrap();
        assert_eq!(text(s.try_send(Some(Box::new("x"))).unwrap_err().into_inner()), "\"x\"");
        scope(|scope| {
            scope.spawn(|| s.send(None).unwrap());
            assert_eq!(text(r.recv().unwrap()), "7");
            assert!(r.recv().unwrap().is_none());
        });
    });
}

/// `fifo`: each worker waits for the one before, and passes on.
#[test]
fn a_chain_of_workers_keeps_the_order() {
    const COUNT: usize = 30;
    world::run(|| {
        let (s, r) = bounded(0);
        scope(|scope| {
            let (first_s, mut before) = bounded(0);
            for number in 0..COUNT {
                let (after_s, after_r) = bounded(0);
                let r: &Receiver<usize> = &r;
                scope.spawn(move || {
                    before.recv().unwrap();
                    assert_eq!(r.recv(), Ok(number));
                    after_s.send(()).unwrap();
                });
                before = after_r;
            }
            first_s.send(()).unwrap();
            (0..COUNT).for_each(|number| s.send(number).unwrap());
            before.recv().unwrap();
        });
    });
}

/// `nonblock`: for messages of several types, what finds nobody and what finds somebody.
#[test]
fn calls_that_do_not_wait_for_many_types() {
    fn play<T: Clone + PartialEq + Debug + Send + Sync>(value: &T) {
        for capacity in [0, 1] {
            let (s, r) = bounded(capacity);
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            scope(|scope| {
                let receives = scope.spawn(|| r.recv());
                until(|| s.try_send(value.clone()).is_ok());
                assert_eq!(receives.join().unwrap().as_ref(), Ok(value));
                let sends = scope.spawn(|| s.send(value.clone()));
                until(|| r.try_recv().is_ok_and(|got| got == *value));
                assert_eq!(sends.join().unwrap(), Ok(()));
                assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            });
        }
    }
    world::run(|| {
        play(&7_i32);
        play(&i64::MIN);
        play(&true);
        play(&"text".to_string());
        play(&());
        play(&[0_u8; 100]);
        play(&Some(Box::new(1.5)));
    });
}

/// `zerosize`.
#[test]
fn channels_of_nothing_hold_as_many_as_any() {
    world::run(|| {
        for capacity in [1, 2, 10] {
            let (s, r) = bounded::<[u64; 0]>(capacity);
            (0..capacity).for_each(|_| s.send([]).unwrap());
            assert!(s.is_full());
            assert_eq!(s.try_send([]), Err(TrySendError::Full([])));
            assert_eq!(r.try_iter().count(), capacity);
        }
    });
}

/// `perm`: a side may be lent out, and can do only what it is for.
#[test]
fn sides_are_lent_and_given_away() {
    fn sends(s: &Sender<i32>) {
        s.send(1).unwrap();
    }
    fn ends(s: Sender<i32>) {
        s.send(2).unwrap();
    }
    fn receives(r: &Receiver<i32>) -> i32 {
        r.iter().sum()
    }
    world::run(|| {
        let (s, r) = unbounded();
        sends(&s);
        sends(&s);
        ends(s);
        assert_eq!(receives(&r), 4);
    });
}

/// `goroutines`: through a chain that is built from its end. With 10,000 tasks in the world of tasks.
#[test]
fn a_message_goes_through_a_long_chain() {
    world::run(|| {
        let links = world::many();
        scope(|scope| {
            let (first, end) = bounded(0);
            let mut left = end;
            for _ in 0..links {
                let (s, r) = bounded(0);
                scope.spawn(move || s.send(left.recv().unwrap() + 1).unwrap());
                left = r;
            }
            first.send(0).unwrap();
            assert_eq!(left.recv(), Ok(links));
        });
    });
}

/// `sieve1`: a worker for each prime.
#[test]
fn a_sieve_finds_primes() {
    world::run(|| {
        for (s, r) in all_kinds::<usize>() {
            let capacity = s.capacity();
            let primes = scope(|scope| {
                scope.spawn(move || (2..).take_while(|&number| s.send(number).is_ok()).count());
                let (mut numbers, mut primes) = (r, Vec::new());
                for _ in 0..25 {
                    let prime = numbers.recv().unwrap();
                    primes.push(prime);
                    let (s, r) = capacity.map_or_else(|| bounded(64), bounded);
                    let before = std::mem::replace(&mut numbers, r);
                    scope.spawn(move || {
                        for number in before.iter().filter(|number| number % prime > 0) {
                            if s.send(number).is_err() {
                                return;
                            }
                            // With room without end the first would run ahead of the others.
                            if capacity.is_none() && number % 16 == 0 {
                                giambio::yield_now();
                            }
                        }
                    });
                }
                primes
            });
            let by_hand: Vec<usize> =
                (2..100).filter(|n| (2..*n).all(|divisor| n % divisor > 0)).collect();
            assert_eq!(primes, by_hand);
        }
    });
}

/// `powser1`: power series whose terms are made when somebody asks for them, one worker for each sum and
/// product.
#[test]
fn power_series_are_added_and_multiplied_term_by_term() {
    const TERMS: usize = 12;
    type Series = Receiver<i64>;
    world::run(|| {
        let terms = scope(|scope| {
            let make = |term: fn(usize) -> i64| -> Series {
                let (s, r) = bounded(0);
                scope.spawn(move || (0..TERMS).all(|index| s.send(term(index)).is_ok()));
                r
            };
            let add = |a: Series, b: Series| -> Series {
                let (s, r) = bounded(0);
                scope.spawn(move || a.iter().zip(&b).all(|(a, b)| s.send(a + b).is_ok()));
                r
            };
            let multiply = |a: Series, b: Series| -> Series {
                let (s, r) = bounded(0);
                scope.spawn(move || {
                    let (mut seen_a, mut seen_b) = (Vec::new(), Vec::new());
                    a.iter().zip(&b).all(|(next_a, next_b)| {
                        seen_a.push(next_a);
                        seen_b.push(next_b);
                        let pairs = seen_a.iter().zip(seen_b.iter().rev());
                        s.send(pairs.map(|(a, b)| a * b).sum()).is_ok()
                    })
                });
                r
            };
            // 1/(1-x)^2, of which the term n is n+1, and that squared.
            let ones = || make(|_| 1);
            let counts = || multiply(ones(), ones());
            let squared = multiply(counts(), counts());
            let sum = add(squared, add(ones(), counts()));
            sum.iter().collect::<Vec<_>>()
        });
        let expected =
            (0..i64::try_from(TERMS).unwrap()).map(|n| (n + 1) * (n + 2) * (n + 3) / 6 + n + 2);
        assert!(terms.into_iter().eq(expected));
    });
}

/// `race_chan_test`, `chanbarrier_test`: what was written before a send is seen after the receive.
#[test]
fn a_message_brings_what_was_done_before_it() {
    world::run(|| {
        for (s, r) in all_kinds() {
            let cells: Vec<_> = (0..200).map(|_| AtomicUsize::new(0)).collect();
            scope(|scope| {
                scope.spawn(|| {
                    for (index, cell) in cells.iter().enumerate() {
                        cell.store(index + 1, Ordering::Relaxed);
                        s.send(index).unwrap();
                    }
                });
                for index in r.iter().take(cells.len()) {
                    assert_eq!(cells[index].load(Ordering::Relaxed), index + 1);
                }
            });
        }
    });
}
