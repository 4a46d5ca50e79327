//! Pattern 5, the daisy chain: a number is whispered from task to task, and each adds one.

use giambio::channel::bounded;

pub(crate) fn whisper(gophers: u32) -> u32 {
    println!("daisy chain:");
    giambio::pool(|pool| {
        let (leftmost, mut right) = bounded(0);
        for _ in 0..gophers {
            let (to_the_right, next) = bounded(0);
            let from_the_left = std::mem::replace(&mut right, next);
            pool.spawn(move || {
                let heard: u32 = from_the_left.recv().expect("everybody is told a number");
                to_the_right.send(heard + 1).expect("everybody listens");
            });
        }
        leftmost.send(1).expect("the first of them listens");
        let heard = right.recv().expect("the last of them speaks");
        println!("  1 has become {heard}");
        heard
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn everybody_adds_one() {
        assert_eq!(giambio::testing::run_virtual(|| super::whisper(10_000)), 10_001);
    }
}
