//! Pattern 4: who is ready talks; and how they are made to take turns again.

use crate::boring::boring;
use crate::boring::ms;
use giambio::Pool;
use giambio::channel::Receiver;
use giambio::channel::Sender;
use giambio::channel::bounded;
use giambio::csp::merge;
use std::time::Duration;

/// Whoever is ready is heard: Joe does not wait for Ann.
pub(crate) fn fan_in() -> Vec<String> {
    println!("fan-in:");
    giambio::pool(|pool| {
        let both = merge(pool, [boring(pool, "Joe", ms(10)), boring(pool, "Ann", ms(25))]);
        both.iter().take(7).inspect(|words| println!("  {words}")).collect()
    })
}

/// What is said, and how the speaker is told to go on.
struct Message {
    words: String,
    go_on: Sender<()>,
}

/// A speaker who waits after each message until he is told to go on.
fn patient<'scope>(
    pool: &'scope Pool<'scope, '_>,
    name: &'static str,
    pause: Duration,
) -> Receiver<Message> {
    let (sender, receiver) = bounded(0);
    let (go_on, may_go_on) = bounded(0);
    pool.spawn(move || {
        for count in 0.. {
            let message = Message { words: format!("{name} {count}"), go_on: go_on.clone() };
            if sender.send(message).is_err() || may_go_on.recv().is_err() {
                return;
            }
            giambio::sleep(pause);
        }
    });
    receiver
}

/// They are merged, and yet take turns: nobody goes on before both were heard.
pub(crate) fn restored_sequence() -> Vec<String> {
    println!("restored sequence:");
    giambio::pool(|pool| {
        let both = merge(pool, [patient(pool, "Joe", ms(10)), patient(pool, "Ann", ms(25))]);
        let mut heard = Vec::new();
        for _ in 0..3 {
            let turn: Vec<Message> = both.iter().take(2).collect();
            for Message { words, go_on } in turn {
                println!("  {words}");
                heard.push(words);
                go_on.send(()).expect("the speaker waits for it");
            }
        }
        pool.cancel(); // or they would wait for ever to be told
        heard
    })
}

#[cfg(test)]
mod tests {
    use giambio::testing::run_virtual;

    #[test]
    fn the_faster_speaker_is_heard_more_often() {
        let heard = run_virtual(super::fan_in);
        assert_eq!(heard, ["Joe 0", "Ann 0", "Joe 1", "Joe 2", "Ann 1", "Joe 3", "Joe 4"]);
    }

    #[test]
    fn patient_speakers_take_turns() {
        let heard = run_virtual(super::restored_sequence);
        for (turn, words) in heard.chunks(2).enumerate() {
            let mut words = words.to_vec();
            words.sort();
            assert_eq!(words, [format!("Ann {turn}"), format!("Joe {turn}")]);
        }
        assert_eq!(heard.len(), 6);
    }
}
