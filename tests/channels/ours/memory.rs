//! What large messages take of a task's stack: a few copies of themselves, and not the room for many.

use giambio::TaskBuilder;
use giambio::channel::Receiver;
use giambio::channel::Sender;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::channel::sliding;
use giambio::channel::unbounded;
use giambio::pool;
use giambio::task::stack_usage;

const SIZE: usize = 20_000;

type Large = [u8; SIZE];

/// Copies of a message that may lie on the stack at once: unoptimised code has one for each call.
const COPIES_MAX: usize = if cfg!(debug_assertions) { 60 } else { 15 };

type Calls = fn(&Sender<Large>, &Receiver<Large>);

const WAYS: [(&str, Calls); 5] = [
    ("send", |s, _| s.send([1; SIZE]).unwrap()),
    ("try_send", |s, _| s.try_send([1; SIZE]).unwrap()),
    ("select send", |s, _| select! { send(s, [1; SIZE]) -> sent => sent.unwrap() }),
    ("recv", |s, r| {
        s.send([1; SIZE]).unwrap();
        assert_eq!(r.recv().unwrap()[SIZE - 1], 1);
    }),
    ("select recv", |s, r| {
        s.send([1; SIZE]).unwrap();
        select! { recv(r) -> got => assert_eq!(got.unwrap()[SIZE - 1], 1) }
    }),
];

#[test]
fn a_call_takes_a_few_copies_of_its_message() {
    for (name, call) in WAYS {
        for (s, r) in [bounded(3), unbounded(), sliding(3)] {
            // On a runtime and a stack that nobody has used before.
            let copies = giambio::run(|| {
                pool(|pool| {
                    let builder = TaskBuilder::new().stack_size(8 << 20);
                    let measured = builder.spawn(pool, || {
                        call(&s, &r);
                        stack_usage().unwrap().high_water / SIZE
                    });
                    measured.join().unwrap()
                })
            });
            assert!(copies <= COPIES_MAX, "`{name}` has {copies} copies on its stack");
        }
    }
}

/// After crossbeam's `stack_overflow`.
#[test]
fn a_task_of_the_usual_size_sends_what_fits_its_stack() {
    giambio::run(|| {
        pool(|pool| {
            let (s, r) = unbounded();
            for _ in 0..40 {
                let s = s.clone();
                pool.spawn(move || s.send([7_u8; 10_000]).unwrap());
            }
            drop(s);
            assert!(r.iter().all(|message| message == [7; 10_000]));
        });
    });
}
