//! Pattern 5, first half: `select!` with a limit for each message, and with one for all of them.

use crate::boring::boring;
use crate::boring::ms;
use giambio::Pool;
use giambio::channel::Receiver;
use giambio::channel::after;
use giambio::channel::bounded;
use giambio::channel::select;

/// A speaker who takes longer from time to time.
fn hesitant<'scope>(pool: &'scope Pool<'scope, '_>) -> Receiver<String> {
    let (sender, receiver) = bounded(0);
    pool.spawn(move || {
        for count in 0.. {
            giambio::sleep(ms(count * 10));
            if sender.send(format!("Joe {count}")).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The limit begins anew with each message.
pub(crate) fn each_message() -> usize {
    println!("a timeout for each message:");
    giambio::pool(|pool| {
        let joe = hesitant(pool);
        let mut heard = 0;
        loop {
            select! {
                recv(joe) -> words => println!("  {}", words.expect("he never ends")),
                default(ms(35)) => {
                    println!("  You're too slow.");
                    return heard;
                }
            }
            heard += 1;
        }
    })
}

/// The limit is a channel that gives its only message when the time is up.
pub(crate) fn whole_conversation() -> usize {
    println!("a timeout for the whole conversation:");
    giambio::pool(|pool| {
        let (joe, limit) = (boring(pool, "Joe", ms(10)), after(ms(45)));
        let mut heard = 0;
        loop {
            select! {
                recv(joe) -> words => println!("  {}", words.expect("he never ends")),
                recv(limit) -> _ => {
                    println!("  You talk too much.");
                    return heard;
                }
            }
            heard += 1;
        }
    })
}

#[cfg(test)]
mod tests {
    use giambio::testing::run_virtual;

    #[test]
    fn a_message_that_takes_too_long_ends_it() {
        assert_eq!(run_virtual(super::each_message), 4); // after 0, 10, 20 and 30 ms
    }

    #[test]
    fn a_conversation_that_takes_too_long_ends() {
        assert_eq!(run_virtual(super::whole_conversation), 5); // at 0, 10, 20, 30 and 40 ms
    }
}
