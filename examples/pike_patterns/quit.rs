//! Pattern 5, second half: a speaker is told to stop, cleans up, and says so.

use crate::boring::ms;
use giambio::channel::bounded;
use giambio::channel::select;

/// Returns what was heard, and what was said in the end.
pub(crate) fn round_trip() -> (usize, &'static str) {
    println!("quit, and a round trip:");
    giambio::pool(|pool| {
        let (sender, joe) = bounded(0);
        // Both sides send and receive, so both have both ends.
        let (quit, told_to_quit) = bounded(0);
        let answer = quit.clone();
        let listens = told_to_quit.clone();
        pool.spawn(move || {
            for count in 0.. {
                select! {
                    send(sender, format!("Joe {count}")) -> result => result.expect("he is told first"),
                    recv(listens) -> word => {
                        println!("  ({} he is told, and cleans up)", word.expect("it is a word"));
                        giambio::sleep(ms(10));
                        answer.send("See you!").expect("somebody waits for it");
                        return;
                    }
                }
                giambio::sleep(ms(5));
            }
        });
        let heard = joe.iter().take(3).inspect(|words| println!("  {words}")).count();
        quit.send("Bye!").expect("he listens");
        let last = told_to_quit.recv().expect("he answers");
        println!("  Joe says: {last}");
        (heard, last)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn who_is_told_to_quit_answers() {
        assert_eq!(giambio::testing::run_virtual(super::round_trip), (3, "See you!"));
    }
}
