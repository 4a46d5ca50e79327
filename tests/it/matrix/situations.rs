//! The columns of the matrix: ways in which a call and a cancellation can meet.

use super::Call;
use super::Trial;
use super::sync::trigger;
use crate::ms;
use crate::secs;
use crate::unwind::OnDrop;
use crate::unwind::Passing;
use giambio::Canceller;
use giambio::TooSlow;
use giambio::cancellable;
use giambio::clock;
use giambio::pool;
use giambio::shield;
use giambio::shield_for;
use giambio::skip_after;
use giambio::sleep;
use giambio::sync::Event;
use giambio::task;
use giambio::task::no_unwind;
use giambio::testing::settle;
use giambio::with_timeout;
use giambio::yield_now;
use std::time::Duration;

/// Makes calls of a trial, of which the first meets a cancellation.
pub(super) type Situation = fn(&Trial<'_>);

/// Runs `body` in a scope, and `others` in a task outside of it; both may cancel it. Whether that has
/// cut the body.
fn in_scope<'t>(others: impl FnOnce(&Canceller) + 't, body: impl FnOnce(&Canceller) + 't) -> bool {
    pool(|outside| {
        let cut = cancellable(|scope| {
            let canceller = scope.canceller();
            let theirs = canceller.clone();
            outside.spawn(move || others(&theirs));
            body(&canceller);
        });
        cut.is_none()
    })
}

/// A checkpoint in a cancelled scope.
fn assert_cancelled() -> ! {
    yield_now();
    unreachable!("what was cancelled went past a checkpoint");
}

pub(super) const CANCELLED_BEFORE: &[Situation] = &[
    |trial| {
        trial.complete();
        cut_before(trial);
        trial.the_next_call_is_done();
    },
    |trial| {
        (0..3).for_each(|_| cut_before(trial));
        trial.complete();
        trial.the_next_call_is_done();
    },
];

/// Cancels the call before it is made.
fn cut_before(trial: &Trial<'_>) {
    let cut = in_scope(
        |_| (),
        |scope| {
            scope.cancel();
            trial.call();
        },
    );
    assert!(cut, "a call in a cancelled scope was made");
    trial.assert_done(0);
}

pub(super) const CANCELLED_WHILE_PARKED: &[Situation] = &[
    |trial| {
        let cancel = |scope: &Canceller| {
            trial.until_parked();
            scope.cancel();
        };
        assert!(in_scope(cancel, |_| trial.call()), "the call was not cut");
        trial.assert_done(0);
        trial.complete();
        trial.the_next_call_is_done();
    },
    |trial| {
        pool(|pool| {
            let task = pool.spawn(|| trial.call());
            yield_now();
            trial.until_parked();
            task.cancel();
            assert!(task.join().unwrap_err().is_cancelled());
        });
        trial.assert_done(0);
        trial.complete();
        trial.the_next_call_is_done();
    },
    |trial| {
        if !trial.ends_by_itself() {
            assert!(skip_after(ms(1), |_| trial.call()).is_none(), "the call was not cut");
            trial.assert_done(0);
            trial.complete();
            trial.the_next_call_is_done();
        }
    },
];

pub(super) const RACING: &[Situation] = &[
    |trial| {
        let race = |scope: &Canceller| {
            trial.until_parked();
            trial.complete();
            scope.cancel();
        };
        trial.cut.set(in_scope(race, |_| trial.call()));
        trial.done_once();
    },
    |trial| {
        let race = |scope: &Canceller| {
            trial.until_parked();
            scope.cancel();
            trial.complete();
        };
        trial.cut.set(in_scope(race, |_| trial.call()));
        trial.done_once();
    },
];

pub(super) const RACING_FREELY: &[Situation] = &[|trial| {
    let cut = pool(|outside| {
        outside.spawn(|| complete_soon(trial));
        let cancel = |scope: &Canceller| {
            wait_to_cancel(trial);
            scope.cancel();
        };
        in_scope(cancel, |_| trial.call())
    });
    trial.cut.set(cut);
    trial.done_once();
}];

fn complete_soon(trial: &Trial<'_>) {
    (0..trial.seed % 5).for_each(|_| yield_now());
    trial.complete();
}

/// Some steps; so many that the kernel is asked meanwhile; or so long that time passes: shorter than a
/// call that waits for time takes, exactly as long, or longer.
fn wait_to_cancel(trial: &Trial<'_>) {
    let some = trial.seed / 3;
    match trial.seed % 3 {
        0 => (0..some % 5).for_each(|_| yield_now()),
        1 => (0..some * 7 % 150).for_each(|_| yield_now()),
        _ => sleep(trial.time.a_while() * (some % 4) as u32 / 2),
    }
}

pub(super) const RACING_FOR_ONE: &[Situation] = &[one_of_two_is_cancelled];

/// Two tasks make the call, one of which is cancelled while one call is completed: if that was not the
/// cancelled one's, it is the other's.
fn one_of_two_is_cancelled(trial: &Trial<'_>) {
    pool(|pool| {
        let tasks = [(); 2].map(|()| pool.spawn(|| trial.call()));
        pool.spawn(|| complete_soon(trial));
        wait_to_cancel(trial);
        let [first, second] = tasks;
        first.cancel();
        trial.cut.set(first.join().is_err());
        if !trial.cut.get() {
            trial.complete();
        }
        let noticed = with_timeout(secs(60), |_| second.join().unwrap());
        assert!(noticed.is_ok(), "a call was completed, and nobody has noticed");
        trial.assert_done(if trial.cut.get() { 1 } else { 2 });
    });
}

pub(super) const DEADLINE_PAST: &[Situation] = &[
    |trial| {
        trial.complete();
        assert_eq!(with_timeout(Duration::ZERO, |_| trial.call()), Err(TooSlow));
        trial.assert_done(0);
        trial.the_next_call_is_done();
    },
    |trial| {
        assert_eq!(with_timeout(Duration::ZERO, |_| trial.call()), Err(TooSlow));
        trial.assert_done(0);
        trial.complete();
        trial.the_next_call_is_done();
    },
    |trial| {
        // This one is noticed only when the worker looks at its clock: the call may be first.
        trial.complete();
        with_a_past_deadline(trial);
        trial.done_once();
    },
    |trial| {
        with_a_past_deadline(trial);
        let is_cut = trial.cut.get() || trial.ends_by_itself();
        assert!(is_cut, "a call that was not ready was done");
        trial.complete();
        trial.done_once();
    },
];

fn with_a_past_deadline(trial: &Trial<'_>) {
    let cut = cancellable(|scope| {
        scope.set_deadline(Some(clock()));
        trial.call();
    });
    trial.cut.set(cut.is_none());
}

pub(super) const SHIELDED: &[Situation] = &[
    |trial| {
        let complete = |_: &Canceller| {
            trial.until_parked();
            trial.complete();
        };
        let cut = in_scope(complete, |scope| {
            scope.cancel();
            shielded(trial);
        });
        assert!(cut);
    },
    |trial| {
        let cancel_and_complete = |scope: &Canceller| {
            trial.until_parked();
            scope.cancel();
            trial.until_parked();
            trial.complete();
        };
        assert!(in_scope(cancel_and_complete, |_| shielded(trial)));
    },
];

/// Makes the call under a shield: its end, if there is one, is the call's own.
fn shielded(trial: &Trial<'_>) {
    if trial.never_ends() {
        assert_eq!(shield_for(ms(1), || trial.call()), None);
        trial.assert_done(0);
        settle(); // that millisecond may have been over before the others had their turns
    } else {
        shield(|| trial.call());
        trial.assert_done(1);
    }
    assert_cancelled();
}

pub(super) const DONE_ALTHOUGH_CANCELLED: &[Situation] = &[
    |trial| {
        let cancel_and_complete = |scope: &Canceller| {
            trial.until_parked();
            scope.cancel();
            trial.until_parked();
            trial.complete();
        };
        let cut = in_scope(cancel_and_complete, |_| {
            trial.call();
            trial.assert_done(1);
            assert_cancelled();
        });
        assert!(cut);
    },
    |trial| {
        pool(|outside| {
            outside.spawn(|| {
                sleep(ms(5));
                trial.complete();
            });
            let slow = skip_after(ms(1), |_| {
                trial.call();
                trial.assert_done(1);
                assert_cancelled();
            });
            assert!(slow.is_none());
        });
    },
];

pub(super) const NO_CHECKPOINT: &[Situation] = &[
    |trial| {
        trial.complete();
        done_when_cancelled_before(trial, |_| ());
    },
    |trial| {
        done_when_cancelled_before(trial, |_| {
            trial.until_parked();
            trial.complete();
        });
    },
];

/// Makes the call in a cancelled scope.
fn done_when_cancelled_before(trial: &Trial<'_>, others: impl FnOnce(&Canceller)) {
    let cut = in_scope(others, |scope| {
        scope.cancel();
        trial.call();
        trial.assert_done(1);
        assert_cancelled();
    });
    assert!(cut);
}

pub(super) const NO_UNWIND: &[Situation] = &[
    |trial| {
        trial.complete();
        let cut = in_scope(
            |_| (),
            |scope| {
                scope.cancel();
                no_unwind(|| trial.call());
                assert_cancelled();
            },
        );
        assert!(cut);
        trial.done_in_one_attempt();
    },
    |trial| {
        let complete = |_: &Canceller| {
            trial.until_parked();
            trial.complete();
        };
        let cut = in_scope(complete, |scope| {
            scope.cancel();
            no_unwind(|| trial.call());
            trial.waited_or_reported();
            assert_cancelled();
        });
        assert!(cut);
        trial.the_rest_is_done();
    },
    |trial| {
        let cancel_and_complete = |scope: &Canceller| {
            trial.until_parked();
            scope.cancel();
            trial.until_parked();
            trial.complete();
        };
        let cut = in_scope(cancel_and_complete, |_| {
            no_unwind(|| trial.call());
            trial.waited_or_reported();
            assert_cancelled();
        });
        assert!(cut);
        trial.the_rest_is_done();
    },
];

pub(super) const UNWINDING: &[Situation] = &[
    |trial| ready_in_a_destructor(trial, Passing::Panic),
    |trial| ready_in_a_destructor(trial, Passing::Cancellation),
    |trial| not_ready_in_a_destructor(trial, Passing::Panic),
    |trial| not_ready_in_a_destructor(trial, Passing::Cancellation),
    |trial| cancelled_in_a_destructor(trial, Passing::Panic),
    |trial| cancelled_in_a_destructor(trial, Passing::Cancellation),
];

/// Makes the call in a destructor that an unwind runs, while `others` runs outside of it; it may cancel
/// the task.
fn in_a_destructor(trial: &Trial<'_>, passing: Passing, others: impl FnOnce(&dyn Fn())) {
    pool(|pool| {
        let task = pool.spawn_isolated(|| -> () {
            let _call = OnDrop::new(|| trial.call());
            passing.begin()
        });
        yield_now(); // it has begun, and waits or has ended
        others(&|| task.cancel());
        let error = task.join().unwrap_err();
        assert_eq!(error.is_panic(), passing == Passing::Panic);
        assert_eq!(error.is_cancelled(), passing == Passing::Cancellation);
    });
}

fn ready_in_a_destructor(trial: &Trial<'_>, passing: Passing) {
    trial.complete();
    in_a_destructor(trial, passing, |_| ());
    trial.done_in_one_attempt();
}

fn not_ready_in_a_destructor(trial: &Trial<'_>, passing: Passing) {
    in_a_destructor(trial, passing, |_| {
        trial.until_parked();
        trial.complete();
    });
    trial.waited_or_reported();
    trial.the_rest_is_done();
}

fn cancelled_in_a_destructor(trial: &Trial<'_>, passing: Passing) {
    in_a_destructor(trial, passing, |cancel| {
        trial.until_parked();
        cancel();
        trial.until_parked();
        trial.complete();
    });
    trial.waited_or_reported();
    trial.the_rest_is_done();
}

pub(super) const BESIDE_AN_UNWIND: &[Situation] = &[
    |trial| {
        let cut = beside_an_unwind(|go_on| {
            pool(|pool| {
                let task = pool.spawn(|| trial.call());
                yield_now();
                trial.until_parked();
                task.cancel();
                trial.until_parked();
                let in_doubt = !task.is_finished();
                assert!(
                    in_doubt || trial.ends_by_itself(),
                    "it was cut, and may have been unwinding"
                );
                go_on();
                task.join().is_err_and(|error| error.is_cancelled())
            })
        });
        trial.cut.set(cut);
        trial.complete();
        trial.done_once();
    },
    |trial| {
        let cut = beside_an_unwind(|go_on| {
            pool(|pool| {
                let task = pool.spawn(|| {
                    task::current().cancel();
                    trial.call();
                });
                settle();
                go_on();
                task.join().is_err_and(|error| error.is_cancelled())
            })
        });
        trial.cut.set(cut);
        trial.complete();
        trial.done_once();
    },
    |trial| {
        if !trial.never_ends() {
            // It really unwinds, which nobody can see: so it waits.
            beside_an_unwind(|_| cancelled_in_a_destructor_unseen(trial));
        }
    },
];

/// Runs `body` while another task waits in a destructor that an unwind runs, until it is told to go on.
/// Meanwhile it cannot be told whether other tasks unwind.
fn beside_an_unwind<T>(body: impl FnOnce(&dyn Fn()) -> T) -> T {
    let event = Event::new();
    pool(|pool| {
        let unwinds = pool.spawn(|| {
            let _waits = OnDrop::new(|| event.wait());
            Passing::Cancellation.begin()
        });
        yield_now();
        assert!(!unwinds.is_finished());
        let result = body(&|| trigger(&event));
        trigger(&event);
        result
    })
}

fn cancelled_in_a_destructor_unseen(trial: &Trial<'_>) {
    in_a_destructor(trial, Passing::Panic, |cancel| {
        trial.until_parked();
        cancel();
        trial.until_parked();
        trial.complete();
    });
    trial.assert_done(1);
}

/// What became of calls that met a cancellation.
impl Trial<'_> {
    #[track_caller]
    fn assert_done(&self, calls: usize) {
        assert_eq!((self.done.get(), self.given_up.get()), (calls, 0), "(done, given up)");
    }

    /// What a call that was cut has not consumed is there for the next.
    #[track_caller]
    fn the_next_call_is_done(&self) {
        if !self.never_ends() {
            let before = self.done.get();
            self.call();
            assert_eq!(self.done.get(), before + 1, "what a call has not consumed is gone");
        }
    }

    /// A call was completed and cancelled: it was either done, or cut, and then the next is done.
    #[track_caller]
    fn done_once(&self) {
        self.assert_done(usize::from(!self.cut.get()));
        if self.cut.get() {
            self.the_next_call_is_done();
        }
    }

    /// A call that could be done at once, and could not raise. One that ends by itself could not be.
    #[track_caller]
    fn done_in_one_attempt(&self) {
        if self.ends_by_itself() {
            self.waited_or_reported();
        } else {
            self.assert_done(1);
        }
    }

    /// A call that could not be done at once, and could not raise.
    #[track_caller]
    fn waited_or_reported(&self) {
        let expected = match self.case.call {
            Call::Waits(_) => (1, 0),
            Call::Reports(_) => (0, 1),
        };
        assert_eq!((self.done.get(), self.given_up.get()), expected, "(done, given up)");
    }

    #[track_caller]
    fn the_rest_is_done(&self) {
        if let Call::Reports(_) = self.case.call {
            self.the_next_call_is_done();
        }
    }
}
