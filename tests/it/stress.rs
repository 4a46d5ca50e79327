//! Everything at once: a program of two thousand tasks, grown from a seed, whose books must balance.

use crate::soak::churn::Choices;
use crate::tcp::pair;
use giambio::Pool;
use giambio::net::Shutdown;
use giambio::net::TcpStream;
use std::any::Any;
use std::cell::Cell;
use std::io::Read;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::time::Duration;

/// What the whole program has seen.
#[derive(Default)]
struct Books {
    spawned: Cell<usize>,
    dropped: Cell<usize>,
    begun: Cell<usize>,
    returned: Cell<usize>,
    panics: Cell<usize>,
    caught: Cell<usize>,
    timeouts: Cell<usize>,
    bytes: Cell<usize>,
}

fn count(cell: &Cell<usize>) {
    cell.set(cell.get() + 1);
}

/// The panics of this program.
struct Planned;

/// Lives from the spawn of a task to the drop of its closure, and counts for its pool.
struct Alive<'p> {
    books: &'p Books,
    pool: &'p Cell<usize>,
}

impl<'p> Alive<'p> {
    fn new(books: &'p Books, pool: &'p Cell<usize>) -> Self {
        count(&books.spawned);
        count(pool);
        Self { books, pool }
    }
}

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        count(&self.books.dropped);
        self.pool.set(self.pool.get() - 1);
    }
}

/// Asserts, however its frame is left, that the pool inside of it has no child any more.
struct Childless<'p>(&'p Cell<usize>);

impl Drop for Childless<'_> {
    fn drop(&mut self) {
        if self.0.get() > 0 {
            // A panic might be swallowed, or end in an abort that says less.
            eprint_and_abort("a task has outlived its pool");
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a test that cannot unwind")]
fn eprint_and_abort(text: &str) -> ! {
    eprintln!("{text}");
    std::process::abort()
}

struct Program {
    books: Books,
    /// Tasks that may still be spawned.
    left: Cell<usize>,
}

/// Where in the program a task stands.
#[derive(Clone, Copy)]
struct Place {
    seed: u64,
    depth: u64,
}

impl Place {
    fn below(self, child: u64) -> Self {
        Self { seed: self.seed.wrapping_mul(31).wrapping_add(child + 1), depth: self.depth + 1 }
    }
}

impl Program {
    /// A task's whole life.
    fn live(&self, place: Place) {
        count(&self.books.begun);
        let choices = Choices::new(place.seed);
        for _ in 0..=choices.below(4) {
            self.act(&choices, place);
        }
        count(&self.books.returned);
    }

    fn act(&self, choices: &Choices, place: Place) {
        let leaf = place.depth > 6 || self.left.get() == 0;
        match choices.below(if leaf { 6 } else { 14 }) {
            0 => giambio::sleep(Duration::from_micros(choices.below(3000))),
            1 => (0..choices.below(20)).for_each(|_| giambio::yield_now()),
            2 => self.talk(choices),
            3 => giambio::shield(|| giambio::sleep(Duration::from_micros(choices.below(500)))),
            4 if choices.below(4) == 0 => {
                count(&self.books.panics);
                resume_unwind(Box::new(Planned));
            }
            5 => self.cut_short(choices),
            4 => giambio::finally(giambio::yield_now, || giambio::sleep(Duration::ZERO)),
            6 | 7 => self.catch(|| self.with_children(choices, place)),
            8 => self.cancelled_children(choices, place),
            9 => self.isolated_child(choices, place),
            10 => self.failing_children(choices, place),
            _ => self.timed_children(choices, place),
        }
    }

    fn spawn_some<'scope>(
        &'scope self,
        pool: &'scope Pool<'scope, '_>,
        alive: &'scope Cell<usize>,
        choices: &Choices,
        place: Place,
    ) {
        for child in 0..=choices.below(3) {
            if self.left.get() == 0 {
                return;
            }
            self.left.set(self.left.get() - 1);
            let guard = Alive::new(&self.books, alive);
            let task = pool.spawn(move || {
                let _guard = guard;
                self.live(place.below(child));
            });
            if choices.below(8) == 0 {
                task.cancel();
            }
        }
    }

    fn with_children(&self, choices: &Choices, place: Place) {
        let alive = Cell::new(0);
        let _childless = Childless(&alive);
        giambio::pool(|pool| {
            self.spawn_some(pool, &alive, choices, place);
            if choices.below(2) == 0 {
                giambio::sleep(Duration::from_micros(choices.below(1000)));
            }
        });
    }

    fn cancelled_children(&self, choices: &Choices, place: Place) {
        let alive = Cell::new(0);
        let _childless = Childless(&alive);
        self.catch(|| {
            let _cut = giambio::cancellable(|pool| {
                self.spawn_some(pool, &alive, choices, place);
                (0..choices.below(8)).for_each(|_| giambio::yield_now());
                pool.cancel();
                giambio::sleep(Duration::from_secs(3600));
            });
        });
    }

    fn timed_children(&self, choices: &Choices, place: Place) {
        let alive = Cell::new(0);
        let _childless = Childless(&alive);
        self.catch(|| {
            let limit = Duration::from_micros(choices.below(4000));
            let result = giambio::with_timeout(limit, |pool| {
                self.spawn_some(pool, &alive, choices, place);
                giambio::sleep(Duration::from_micros(choices.below(4000)));
            });
            if result.is_err() {
                count(&self.books.timeouts);
            }
        });
    }

    fn isolated_child(&self, choices: &Choices, place: Place) {
        let alive = Cell::new(0);
        let _childless = Childless(&alive);
        giambio::pool(|pool| {
            let guard = Alive::new(&self.books, &alive);
            let task = pool.spawn_isolated(|| {
                let _guard = guard;
                self.live(place.below(99));
            });
            let asks = choices.below(2) == 0;
            let joined = asks.then(|| task.join().err()).flatten();
            if let Some(payload) = joined.and_then(|error| error.into_panic()) {
                self.planned(payload);
            }
        });
    }

    fn failing_children(&self, choices: &Choices, place: Place) {
        let alive = Cell::new(0);
        let _childless = Childless(&alive);
        self.catch(|| {
            let result = giambio::try_pool(|pool| {
                self.spawn_some(pool, &alive, choices, place);
                let guard = Alive::new(&self.books, &alive);
                pool.spawn(move || {
                    let _guard = guard;
                    count(&self.books.begun);
                    giambio::yield_now();
                    count(&self.books.returned);
                    Err::<(), _>(1)
                });
                giambio::sleep(Duration::from_micros(choices.below(1000)));
                Ok(())
            });
            assert_eq!(result, Err(1));
        });
    }

    /// Sends some bytes round through an echoing task.
    fn talk(&self, choices: &Choices) {
        let (mut ours, theirs) = pair();
        let size = choices.below(20_000) as usize;
        let alive = Cell::new(0);
        let _childless = Childless(&alive);
        giambio::pool(|pool| {
            let guard = Alive::new(&self.books, &alive);
            pool.spawn(move || {
                let _guard = guard;
                count(&self.books.begun);
                echo(theirs);
                count(&self.books.returned);
            });
            let text = vec![3; size];
            ours.write_all(&text).unwrap();
            ours.shutdown(Shutdown::Write).unwrap();
            let mut back = Vec::new();
            ours.read_to_end(&mut back).unwrap();
            assert_eq!(back, text);
            self.books.bytes.set(self.books.bytes.get() + size);
        });
    }

    /// A socket that nobody writes to, given up after a while.
    fn cut_short(&self, choices: &Choices) {
        let (mut ours, _theirs) = pair();
        let limit = Duration::from_micros(choices.below(2000));
        if giambio::skip_after(limit, |_| ours.read(&mut [0])).is_none() {
            count(&self.books.timeouts);
        }
    }

    /// Takes the planned panics, and lets cancellations and real failures go on.
    fn catch(&self, f: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
            self.planned(payload);
        }
    }

    fn planned(&self, payload: Box<dyn Any + Send>) {
        if !payload.is::<Planned>() {
            resume_unwind(payload);
        }
        count(&self.books.caught);
    }
}

fn echo(mut stream: TcpStream) {
    let mut buf = [0; 1500];
    loop {
        // The other side may have been cut, and its socket closed with bytes in it.
        let Ok(count @ 1..) = stream.read(&mut buf) else { return };
        if stream.write_all(&buf[..count]).is_err() {
            return;
        }
    }
}

#[test]
fn every_task_of_a_wild_program_ends_before_its_pool_and_drops_what_it_holds() {
    let program = Program { books: Books::default(), left: Cell::new(2000) };
    giambio::run(|| {
        let mut seed = 1;
        while program.left.get() > 0 {
            program.catch(|| {
                giambio::pool(|pool| {
                    for _ in 0..20 {
                        seed += 1;
                        let (program, place) = (&program, Place { seed, depth: 0 });
                        pool.spawn(move || program.catch(|| program.live(place)));
                    }
                });
            });
        }
    });
    let books = &program.books;
    assert!(books.spawned.get() >= 2000);
    assert_eq!(books.dropped.get(), books.spawned.get());
    assert!(books.returned.get() <= books.begun.get());
    // Every kind of thing has happened, or this test would have tested nothing.
    for happened in [&books.panics, &books.caught, &books.timeouts, &books.bytes] {
        assert!(happened.get() > 10, "{} {}", happened.get(), books.spawned.get());
    }
    assert!(books.caught.get() <= books.panics.get());
}
