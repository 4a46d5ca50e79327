//! Random programs of everything that starts, cuts and waits for tasks: each ends, leaves nothing behind,
//! and panics with nothing but what it was told to.

use crate::CountedDrop;
use crate::Drops;
use crate::fail;
use crate::ms;
use crate::unwind::OnDrop;
use giambio::OnFailure;
use giambio::Pool;
use giambio::Started;
use giambio::Task;
use giambio::cancellable;
use giambio::clock;
use giambio::finally;
use giambio::join;
use giambio::join_all;
use giambio::pool;
use giambio::race;
use giambio::race_all;
use giambio::shield;
use giambio::shield_for;
use giambio::skip_after;
use giambio::sleep;
use giambio::sync::Event;
use giambio::sync::Semaphore;
use giambio::testing::explore;
use giambio::yield_now;
use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::time::Duration;

/// What the tasks of one program share.
struct World {
    dice: Cell<u64>,
    drops: Drops,
    held: Cell<usize>,
    permits: Semaphore,
    event: Event,
    /// Acts that may still be begun.
    left: Cell<u32>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            dice: Cell::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            drops: Drops::default(),
            held: Cell::new(0),
            permits: Semaphore::new(2),
            event: Event::new(),
            left: Cell::new(150),
        }
    }

    /// A number below `below`: xorshift64.
    fn roll(&self, below: u64) -> u64 {
        let mut state = self.dice.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.dice.set(state);
        (state >> 11) % below
    }

    fn up_to(&self, millis: u64) -> Duration {
        ms(self.roll(millis))
    }

    /// Something that has to be dropped.
    fn one(&self) -> CountedDrop {
        self.held.set(self.held.get() + 1);
        self.drops.one()
    }

    fn assert_nothing_is_left(&self) {
        assert_eq!(self.drops.count(), self.held.get(), "drops");
        assert_eq!((self.permits.available(), self.permits.total()), (2, 2), "permits");
    }
}

/// Does one thing or another, `depth` levels deep.
fn act(world: &World, depth: u32) {
    let _one = world.one();
    if depth == 0 || world.left.get() == 0 {
        return sleep(world.up_to(4000));
    }
    world.left.set(world.left.get() - 1);
    let deeper = depth - 1;
    match world.roll(18) {
        0 => sleep(world.up_to(3000)),
        1 => yield_now(),
        2 => {
            let _permit = world.permits.acquire();
            sleep(world.up_to(1000));
        }
        3 if world.event.is_set() => world.event.wait(),
        3 => _ = world.event.trigger(()),
        4 => finally(|| act(world, deeper), || sleep(world.up_to(500))),
        5 => clean_up_by_hand(world, deeper),
        6 => shield(|| act(world, deeper)),
        7 => _ = shield_for(world.up_to(3000), || act(world, deeper)),
        8 => _ = skip_after(world.up_to(3000), |pool| fill(world, pool, deeper)),
        9 => _ = cancellable(|pool| fill(world, pool, deeper)),
        10 => pool(|pool| fill(world, pool, deeper)),
        11 => _ = join(|| act(world, deeper), || act(world, deeper)),
        12 => _ = join_all([(); 3].map(|()| || act(world, deeper))),
        13 => race(|| act(world, deeper), || act(world, deeper)),
        14 => _ = race_all([(); 3].map(|()| || act(world, deeper))),
        15 => _ = catch_unwind(AssertUnwindSafe(|| act(world, deeper))),
        16 if world.roll(2) == 0 => fail("planned"),
        _ => {}
    }
}

/// Acts, with a destructor that waits and acts as well.
fn clean_up_by_hand(world: &World, depth: u32) {
    let _guard = OnDrop::new(|| {
        sleep(world.up_to(500));
        // What leaves a destructor in mid-unwind ends the process.
        _ = catch_unwind(AssertUnwindSafe(|| act(world, depth)));
    });
    act(world, depth);
}

/// Fills a pool with tasks of all kinds, and plays with them.
fn fill<'scope>(world: &'scope World, pool: &'scope Pool<'scope, '_>, depth: u32) {
    if world.roll(4) == 0 {
        pool.on_failure(OnFailure::LetOthersFinish);
    }
    let mut tasks = Vec::new();
    for _ in 0..world.roll(5) {
        let task = move || act(world, depth);
        match world.roll(12) {
            0 => tasks.push(pool.spawn(task)),
            1 => tasks.push(pool.spawn_after(world.up_to(2000), task)),
            2 => tasks.push(pool.spawn_daemon(task)),
            3 => tasks.push(pool.spawn_isolated(task)),
            4 => tasks.push(start(world, pool, depth)),
            5 => assert_eq!(pool.map(0..3, 2, move |_| task()).count(), 3),
            6 => assert_eq!(pool.map_unordered(0..3, 2, move |_| task()).take(2).count(), 2),
            7 => tasks.pop().into_iter().for_each(|task| task.cancel_because("the dice said so")),
            8 => tasks.pop().into_iter().for_each(|task| drop(task.join())),
            9 => pool.set_deadline(Some(clock() + world.up_to(3000))),
            10 if world.roll(3) == 0 => pool.cancel(),
            _ => drop(pool.spawn(move || fill(world, pool, depth.saturating_sub(1)))),
        }
        if world.roll(3) == 0 {
            act(world, depth);
        }
    }
}

/// Starts a task that may fail, or be cut, before and after its report.
fn start<'scope>(
    world: &'scope World,
    pool: &'scope Pool<'scope, '_>,
    depth: u32,
) -> Task<'scope, ()> {
    let (value, task) = pool.start(move |started: Started<CountedDrop>| {
        act(world, depth);
        started.report(world.one());
        act(world, depth);
    });
    drop(value);
    task
}

#[test]
fn every_wild_program_ends_leaves_nothing_behind_and_fails_as_planned_only() {
    let seed = Cell::new(0);
    explore(0..200, || {
        let world = World::new(seed.replace(seed.get() + 1));
        for _ in 0..6 {
            let ended = catch_unwind(AssertUnwindSafe(|| pool(|pool| fill(&world, pool, 7))));
            let Err(payload) = ended else { continue };
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or(payload.downcast_ref::<&str>().copied()).expect("a text");
            // A start into a pool that was cancelled or has failed.
            let is_refused = text.ends_with(" before it had reported");
            assert!(text == "planned" || is_refused, "{text}");
        }
        world.assert_nothing_is_left();
    });
}
