//! Ten thousand programs of pools, timeouts, panics and cancellations, in random orders: each keeps what
//! is promised.
//!
//! A program grows while it runs: its seed has thrown the dice, also for the order of its tasks. What is
//! broken is written down, and told at the end: a panic would be one of the program's own. Every wait in
//! it ends some time, so that none may report a deadlock.

mod program;

use giambio::debug::Debugger;
use giambio::debug::TaskRef;
use giambio::task::TaskId;
use giambio::testing;
use giambio::testing::Schedule;
use program::PERMITS;
use program::PLANNED;
use program::Quit;
use program::World;
use program::open;
use std::any::Any;
use std::cell::Cell;
use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::rc::Rc;

/// In a build for tests a program takes some ten times as long.
const SEEDS: u64 = if cfg!(debug_assertions) { 500 } else { 10_000 };

/// Pools, shields and the like inside of each other.
const DEPTH: u32 = 5;

/// Follows what the scheduler does to each task.
#[derive(Clone, Default)]
struct Steps(Rc<Following>);

#[derive(Default)]
struct Following {
    live: RefCell<HashSet<TaskId>>,
    running: Cell<Option<TaskId>>,
    broken: RefCell<Vec<String>>,
}

impl Steps {
    fn report(&self, what: &str, task: &TaskRef) {
        self.0.broken.borrow_mut().push(format!("{task:?} {what}"));
    }
}

impl Debugger for Steps {
    fn on_task_spawn(&self, task: &TaskRef) {
        if !self.0.live.borrow_mut().insert(task.id()) {
            self.report("was spawned twice", task);
        }
    }

    fn on_task_exit(&self, task: &TaskRef) {
        if !self.0.live.borrow_mut().remove(&task.id()) {
            self.report("ended twice", task);
        }
    }

    fn before_task_step(&self, task: &TaskRef) {
        if !self.0.live.borrow().contains(&task.id()) {
            self.report("ran after its end", task);
        }
        if self.0.running.replace(Some(task.id())).is_some() {
            self.report("ran inside of another's step", task);
        }
    }

    fn after_task_step(&self, task: &TaskRef) {
        if self.0.running.take() != Some(task.id()) {
            self.report("left a step of another's", task);
        }
    }
}

/// Whether a program's panic is one that it may end with.
fn is_planned(payload: &(dyn Any + Send)) -> bool {
    let planned = payload.downcast_ref::<&str>().is_some_and(|&said| said == PLANNED);
    // Cancelled after it was spawned, and before it could begin.
    let unreported = |said: &String| said.ends_with("before it had reported");
    planned || payload.downcast_ref::<String>().is_some_and(unreported)
}

/// Runs the program of a seed, and says what it has done: a number that tells it from others.
fn run_program(seed: u64) -> u64 {
    let world = World::new(seed);
    let steps = Steps::default();
    let mut builder = testing::builder().schedule(Schedule::Seed(seed)).stack_size(1 << 17);
    if seed.is_multiple_of(4) {
        builder = builder.debugger(steps.clone());
    }
    let ended = catch_unwind(AssertUnwindSafe(|| {
        builder.build().unwrap().run(|| {
            let mut ended = Ok(());
            while world.burn() {
                ended = catch_unwind(AssertUnwindSafe(|| open(&world, DEPTH, Quit::Yes)));
            }
            if giambio::debug::stacks().unwrap().live != 1 {
                world.report("stacks are in use that nobody lives on");
            }
            if giambio::current_deadline().is_some() {
                world.report("a scope was not left");
            }
            ended.unwrap_or_else(|payload| resume_unwind(payload));
        });
    }));
    if let Err(payload) = &ended {
        assert!(is_planned(&**payload), "a panic of its own: {}", said(&**payload));
    }
    world.note(ended.is_err().into());
    assert!(world.broken.borrow().is_empty(), "{:?}", world.broken.borrow());
    assert_eq!(world.drops.count(), world.made.get(), "(left) drops");
    assert_eq!((world.permits.available(), world.permits.total()), (PERMITS, PERMITS));
    assert!(steps.0.broken.borrow().is_empty(), "{:?}", steps.0.broken.borrow());
    assert!(steps.0.live.borrow().is_empty(), "a task has not ended");
    world.trace.get()
}

fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or(payload.downcast_ref().map(String::as_str)).unwrap_or("(no message)")
}

/// Names the seed whose program fails.
fn run_seed(seed: u64) -> u64 {
    match catch_unwind(|| run_program(seed)) {
        Ok(trace) => trace,
        Err(payload) => panic!("the program of seed {seed} fails: {}", said(&*payload)),
    }
}

#[test]
fn ten_thousand_programs_keep_what_is_promised() {
    let traces: HashSet<_> = (0..SEEDS).map(run_seed).collect();
    let different = traces.len() as u64;
    assert!(different > SEEDS / 2, "only {different} of {SEEDS} programs differ");
}

#[test]
fn the_program_of_a_seed_does_the_same_again() {
    for seed in 1_000_000..1_000_050 {
        assert_eq!(run_seed(seed), run_seed(seed), "seed {seed}");
    }
}
