//! Patterns 1 to 3: a task that talks, a channel to hear it by, and a function that makes both.

use giambio::Pool;
use giambio::channel::Receiver;
use giambio::channel::bounded;
use std::time::Duration;

pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A speaker who says something every `pause`, as long as somebody listens.
pub(crate) fn boring<'scope>(
    pool: &'scope Pool<'scope, '_>,
    name: &'static str,
    pause: Duration,
) -> Receiver<String> {
    let (sender, receiver) = bounded(0);
    pool.spawn(move || {
        for count in 0.. {
            if sender.send(format!("{name} {count}")).is_err() {
                println!("  ({name} has noticed that nobody listens)");
                return;
            }
            giambio::sleep(pause);
        }
    });
    receiver
}

/// Channels are handles on services: one may have several of them, and asks each in turn.
pub(crate) fn generator() -> Vec<String> {
    println!("generator:");
    giambio::pool(|pool| {
        let (joe, ann) = (boring(pool, "Joe", ms(10)), boring(pool, "Ann", ms(25)));
        let turns = joe.iter().zip(ann.iter()).take(3).flat_map(<[String; 2]>::from);
        let heard: Vec<_> = turns.inspect(|words| println!("  {words}")).collect();
        println!("  You're both boring: I'm leaving.");
        heard
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn speakers_are_heard_in_turn() {
        let heard = giambio::testing::run_virtual(super::generator);
        assert_eq!(heard, ["Joe 0", "Ann 0", "Joe 1", "Ann 1", "Joe 2", "Ann 2"]);
    }
}
