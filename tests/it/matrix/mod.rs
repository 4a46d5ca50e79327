//! The cancellation matrix: every blocking call in every situation in which a cancellation can meet it.
//!
//! The answer is always one of two: the call is done, once, or it is not done, and nothing was
//! consumed. What that means for a call its row says, and nothing else: the situations are the same for
//! all (situations.rs).
//!
//! To add a call, write a function beside those of its kind (time.rs, tasks.rs, sync.rs, locks.rs, once.rs,
//! channels.rs, mpsc.rs, select.rs, sockets.rs, unix.rs, servers.rs, descriptors.rs, offload.rs)
//! that prepares what the call needs and hands a [`Case`] to the test, and name it in that file's
//! `matrix!`:
//!
//! ```text
//! matrix!(Virtual: semaphore_acquire);
//!
//! fn semaphore_acquire(test: Test<'_>) {
//!     let (semaphore, added) = (Semaphore::new(0), Cell::new(0));
//!     let call = || semaphore.acquire().forget();
//!     let complete = || { semaphore.add_permits(1); added.set(added.get() + 1) };
//!     let effects = || added.get() - semaphore.available();
//!     test(&Case::new(&call).ends_when(&complete).has(&effects));
//! }
//! ```
//!
//! A call that several tasks may make at once is named in that file's `by_two` as well. Each name
//! becomes a module with a test for each situation, each of which makes worlds of its own:
//! `matrix::sync::semaphore_acquire::cancelled_before_it_is_not_done`.

use crate::ms;
use crate::secs;
use crate::unwind::assert_given_up;
use giambio::Builder;
use giambio::testing;
use giambio::testing::Schedule;
use giambio::testing::settle;
use situations::Situation;
use std::any::Any;
use std::cell::Cell;
use std::io;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::time::Duration;

/// Makes the tests of some calls, on the virtual or on the real clock. What waits for the kernel is on
/// the real one. A call that only a cancellation ends cannot be tried where none may end it.
macro_rules! matrix {
    ($time:ident, $call:ident never ends) => {
        mod $call {
            matrix!(@tests $time $call
                cancelled_before_it_is_not_done: CANCELLED_BEFORE
                cancelled_while_parked_it_is_not_done: CANCELLED_WHILE_PARKED
                racing_with_others_it_is_cut: RACING
                with_its_deadline_already_past_it_is_not_done: DEADLINE_PAST
                under_a_shield_it_goes_on: SHIELDED
                beside_an_unwind_it_is_cut_when_that_has_gone_on: BESIDE_AN_UNWIND
            );
        }
    };
    ($time:ident, $call:ident is not cut once it has begun) => {
        mod $call {
            matrix!(@tests $time $call
                cancelled_before_it_is_not_done: CANCELLED_BEFORE
                cancelled_while_parked_it_is_done_and_the_next_call_is_cut: DONE_ALTHOUGH_CANCELLED
                racing_with_its_completion_it_is_done: RACING
                under_a_shield_it_is_done: SHIELDED
                where_nothing_may_unwind_it_waits: NO_UNWIND
                while_the_task_unwinds_it_waits: UNWINDING
            );
        }
    };
    ($time:ident, $call:ident is no checkpoint) => {
        mod $call {
            matrix!(@tests $time $call
                cancelled_before_it_is_done_and_the_next_checkpoint_is_cut: NO_CHECKPOINT
                cancelled_while_parked_it_is_done_and_the_next_call_is_cut: DONE_ALTHOUGH_CANCELLED
                racing_with_its_completion_it_is_done: RACING
                under_a_shield_it_is_done: SHIELDED
                where_nothing_may_unwind_it_waits: NO_UNWIND
                while_the_task_unwinds_it_waits: UNWINDING
            );
        }
    };
    ($time:ident: $($call:ident),+ $(,)?) => { $(
        mod $call {
            matrix!(@tests $time $call
                cancelled_before_it_is_not_done: CANCELLED_BEFORE
                cancelled_while_parked_it_is_not_done: CANCELLED_WHILE_PARKED
                racing_with_its_completion_it_is_done_once_or_not_at_all: RACING
                with_its_deadline_already_past_it_is_not_done: DEADLINE_PAST
                under_a_shield_it_is_done: SHIELDED
                where_nothing_may_unwind_it_waits_or_reports: NO_UNWIND
                while_the_task_unwinds_it_waits_or_reports: UNWINDING
                beside_an_unwind_it_is_cut_when_that_has_gone_on: BESIDE_AN_UNWIND
            );

            #[test]
            fn racing_in_many_orders_it_is_done_once_or_not_at_all() {
                use crate::matrix::Time::$time;
                use crate::matrix::situations::RACING_FREELY;
                crate::matrix::check_in_many_orders($time, super::$call, RACING_FREELY);
            }
        }
    )+ };
    ($time:ident, of several tasks at once: $($call:ident),+ $(,)?) => { $(
        mod $call {
            #[test]
            fn of_two_that_wait_for_one_completion_the_other_is_done_if_one_is_cut() {
                use crate::matrix::Time::$time;
                use crate::matrix::situations::RACING_FOR_ONE;
                crate::matrix::check_in_many_orders($time, super::super::$call, RACING_FOR_ONE);
            }
        }
    )+ };
    (@tests $time:ident $call:ident $($test:ident: $situation:ident)+) => { $(
        #[test]
        fn $test() {
            use crate::matrix::Time::$time;
            crate::matrix::check($time, super::$call, crate::matrix::situations::$situation);
        }
    )+ };
}

mod between_waits;
mod channels;
mod descriptors;
mod locks;
mod mpsc;
mod offload;
mod once;
mod select;
mod servers;
mod situations;
mod sockets;
mod sync;
mod tasks;
mod time;
mod unix;

/// Shows a prepared call to whoever tests it.
type Test<'t> = &'t dyn Fn(&Case<'_>);

/// Which clock a call is tested on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    Virtual,
    Real,
}

/// What ends a call.
#[derive(Clone, Copy)]
enum Ends<'c> {
    /// This does, by another task or before the call, once for each call.
    When(&'c dyn Fn()),
    /// It ends when the others have had their turns.
    ByItself,
    /// Only a cancellation does.
    Never,
}

/// A call, by what it does about a cancellation that cannot be raised.
#[derive(Clone, Copy)]
enum Call<'c> {
    /// It goes on waiting.
    Waits(&'c dyn Fn()),
    /// It makes one attempt, and then says so.
    Reports(&'c dyn Fn() -> io::Result<()>),
}

/// A blocking call in its world.
struct Case<'c> {
    call: Call<'c>,
    ends: Ends<'c>,
    /// How often it has happened what the call is made for: asked once, at the end of the world.
    effects: Option<&'c dyn Fn() -> usize>,
}

impl<'c> Case<'c> {
    /// A call that ends by itself, has nothing to report with and consumes nothing.
    fn new(call: &'c dyn Fn()) -> Self {
        Self { call: Call::Waits(call), ends: Ends::ByItself, effects: None }
    }

    /// One that reports.
    fn reporting(call: &'c dyn Fn() -> io::Result<()>) -> Self {
        Self { call: Call::Reports(call), ends: Ends::ByItself, effects: None }
    }

    fn ends_when(self, complete: &'c dyn Fn()) -> Self {
        Self { ends: Ends::When(complete), ..self }
    }

    fn never_ends(self) -> Self {
        Self { ends: Ends::Never, ..self }
    }

    fn has(self, effects: &'c dyn Fn() -> usize) -> Self {
        Self { effects: Some(effects), ..self }
    }
}

/// Orders in which the tasks of a race are run.
const SEEDS: u64 = 200;

/// Tries a call in all variants of a situation, each in a world and a run of its own.
fn check(time: Time, call: fn(Test<'_>), situation: &[Situation]) {
    for variant in situation {
        time.builder().build().unwrap().run(|| try_once(time, call, *variant, 0));
    }
}

/// Like [`check`], with the tasks in as many random orders.
fn check_in_many_orders(time: Time, call: fn(Test<'_>), situation: &[Situation]) {
    for variant in situation {
        let mut cuts = 0;
        for seed in 0..SEEDS {
            let builder = time.builder().schedule(Schedule::Seed(seed));
            let run = || builder.build().unwrap().run(|| try_once(time, call, *variant, seed));
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(was_cut) => cuts += u64::from(was_cut),
                Err(payload) => panic!("with seed {seed}: {}", said(&*payload)),
            }
        }
        assert!((1..SEEDS).contains(&cuts), "{cuts} of {SEEDS} calls were cut: that is no race");
    }
}

/// A panic's message, if it has one.
fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or(payload.downcast_ref().map(String::as_str)).unwrap_or("(no message)")
}

impl Time {
    /// What a call that waits for time takes.
    fn a_while(self) -> Duration {
        match self {
            Self::Virtual => secs(1),
            Self::Real => ms(1),
        }
    }

    fn builder(self) -> Builder {
        let builder = match self {
            Self::Virtual => testing::builder(),
            Self::Real => Builder::new(),
        };
        builder.helper_threads(1)
    }
}

/// Prepares a world, lets a situation come about in it, and compares what the calls said with what
/// they have done. Whether the first of them was cut, as far as the situation leaves that open.
fn try_once(time: Time, call: fn(Test<'_>), situation: Situation, seed: u64) -> bool {
    let was_cut = Cell::new(None);
    call(&|case| {
        let (done, given_up, cut) = (Cell::new(0), Cell::new(0), Cell::new(false));
        let trial = Trial { case, time, seed, done, given_up, cut };
        situation(&trial);
        if let Some(effects) = case.effects {
            assert_eq!(
                effects(),
                trial.done.get(),
                "(left) effects, of so many calls that said so"
            );
        }
        was_cut.set(Some(trial.cut.get()));
    });
    was_cut.get().expect("the call was handed to its test")
}

/// A call that is being tried.
struct Trial<'c> {
    case: &'c Case<'c>,
    time: Time,
    /// Of the order of the tasks, if that is a random one.
    seed: u64,
    /// Calls that have said that they were done.
    done: Cell<usize>,
    /// Calls that have said that they were cancelled, instead of raising it.
    given_up: Cell<usize>,
    /// The call that met the cancellation was cut, where it could have been done.
    cut: Cell<bool>,
}

impl Trial<'_> {
    /// Makes the call.
    fn call(&self) {
        let result = match self.case.call {
            Call::Waits(call) => {
                call();
                Ok(())
            }
            Call::Reports(call) => call(),
        };
        match result {
            Ok(()) => self.done.set(self.done.get() + 1),
            failed => {
                assert_given_up(failed);
                self.given_up.set(self.given_up.get() + 1);
            }
        }
    }

    /// Has a call end, this one or the next, if it does not do so by itself.
    fn complete(&self) {
        if let Ends::When(complete) = self.case.ends {
            complete();
        }
    }

    /// Returns when a call that does not end by itself is parked, and all else as well.
    fn until_parked(&self) {
        if !self.ends_by_itself() {
            settle();
        }
    }

    fn ends_by_itself(&self) -> bool {
        matches!(self.case.ends, Ends::ByItself)
    }

    fn never_ends(&self) -> bool {
        matches!(self.case.ends, Ends::Never)
    }
}
