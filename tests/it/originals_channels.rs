//! The scripts with channels that Python giambio came with: see `originals`.

use crate::originals::Output;
use crate::secs;
use giambio::channel::Receiver;
use giambio::channel::Sender;
use giambio::channel::bounded;
use giambio::channel::unbounded;
use giambio::pool;
use giambio::skip_after;
use giambio::sleep;
use giambio::sync::Mutex;

#[test]
fn queue_holds_two_items_and_its_consumer_ends_at_the_sentinel() {
    let script = |output: &Output| {
        let (queue, items) = bounded(2);
        pool(|pool| {
            pool.spawn(move || {
                for item in 0..4 {
                    queue.send(Some(item)).unwrap();
                    output.print(&format!("produced {item}"));
                }
                queue.send(None).unwrap();
                output.print("producer done");
            });
            pool.spawn(move || {
                while let Ok(Some(item)) = items.recv() {
                    output.print(&format!("consumed {item}"));
                    sleep(secs(1));
                }
                output.print("consumer done");
            });
        });
    };
    Output::of(
        script,
        &[
            "0 produced 0",
            "0 produced 1", // and not a third one: the queue is full
            "0 consumed 0",
            "0 produced 2",
            "1 consumed 1",
            "1 produced 3",
            "2 consumed 2",
            "2 producer done",
            "3 consumed 3",
            "4 consumer done",
            "4 main: complete",
        ],
    );
}

#[test]
fn memory_channel_is_closed_by_its_sender_and_drained_by_its_receiver() {
    let script = |output: &Output| {
        let (sender, receiver) = bounded(2);
        pool(|pool| {
            pool.spawn(|| {
                for number in 0..3 {
                    sender.send(number).unwrap();
                    output.print(&format!("sent {number}"));
                }
                sender.close();
                output.print("sender done");
            });
            pool.spawn(|| {
                for number in &receiver {
                    output.print(&format!("received {number}"));
                    sleep(secs(1));
                }
                output.print("receiver done");
            });
        });
    };
    Output::of(
        script,
        &[
            "0 sent 0",
            "0 sent 1",
            "0 received 0",
            "0 sent 2",
            "0 sender done",
            "1 received 1",
            "2 received 2",
            "3 receiver done",
            "3 main: complete",
        ],
    );
}

/// Receives what is there or else sends something, each second.
fn chat(output: &Output, name: &str, sender: &Sender<String>, receiver: &Receiver<String>) -> ! {
    for letter in 0.. {
        match receiver.try_recv() {
            Ok(data) => output.print(&format!("{name}: received {data}")),
            Err(_) => {
                output.print(&format!("{name}: sends {name}{letter}"));
                sender.send(format!("{name}{letter}")).unwrap();
            }
        }
        sleep(secs(1));
    }
    unreachable!("it is cut before that");
}

#[test]
fn task_ipc_leaves_what_nobody_has_read_to_main() {
    let script = |output: &Output| {
        let (sender, receiver) = unbounded();
        skip_after(secs(3), |pool| {
            for name in ["one", "two", "three"] {
                pool.spawn(|| chat(output, name, &sender, &receiver));
            }
        });
        sender.close();
        for data in &receiver {
            output.print(&format!("main: clears {data}"));
        }
    };
    Output::of(
        script,
        &[
            "0 one: sends one0",
            "0 two: received one0",
            "0 three: sends three0",
            "1 one: received three0",
            "1 two: sends two1",
            "1 three: received two1",
            "2 one: sends one2",
            "2 two: received one2",
            "2 three: sends three2",
            "3 main: clears three2",
            "3 main: complete",
        ],
    );
}

#[test]
fn lock_with_a_mutex_and_a_queue_orders_two_children() {
    let script = |output: &Output| {
        let (lock, (queue, items)) = (Mutex::new(()), unbounded());
        let locked = |start: u64, limit| {
            let _held = lock.lock().unwrap();
            for number in start..=limit {
                queue.send(number).unwrap();
                sleep(secs(1));
            }
            output.print(&format!("child {limit}: done"));
        };
        pool(|pool| {
            pool.spawn(|| locked(1, 5));
            pool.spawn(|| locked(6, 10));
        });
        let numbers: Vec<_> = items.try_iter().collect();
        output.print(&format!("main: the queue is {numbers:?}"));
    };
    Output::of(
        script,
        &[
            "5 child 5: done",
            "10 child 10: done",
            "10 main: the queue is [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]",
            "10 main: complete",
        ],
    );
}
