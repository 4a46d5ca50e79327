//! Programs of pools, timeouts, panics and cancellations, grown while they run.

use crate::CountedDrop;
use crate::Drops;
use crate::fail;
use crate::ms;
use crate::unwind::OnDrop;
use giambio::Pool;
use giambio::Started;
use giambio::Task;
use giambio::TryPool;
use giambio::cancellable;
use giambio::clock;
use giambio::finally;
use giambio::join;
use giambio::join_all;
use giambio::on_big_stack;
use giambio::pool;
use giambio::race;
use giambio::race_all;
use giambio::shield;
use giambio::shield_for;
use giambio::skip_after;
use giambio::sleep;
use giambio::sync::Event;
use giambio::sync::Semaphore;
use giambio::task;
use giambio::task::no_unwind;
use giambio::try_pool;
use giambio::with_timeout;
use giambio::yield_now;
use std::cell::Cell;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::time::Duration;

/// What every program says that panics.
pub(super) const PLANNED: &str = "planned";

/// What the tasks of a program may hold at once.
pub(super) const PERMITS: usize = 2;

/// A program, what it has done, and what of that was wrong.
pub(super) struct World {
    dice: Cell<u64>,
    /// Acts that may still be begun.
    fuel: Cell<u32>,
    /// Closures and values that were made; each is to be dropped.
    pub(super) made: Cell<usize>,
    pub(super) drops: Drops,
    events: [Event; 3],
    pub(super) permits: Semaphore,
    held: Cell<usize>,
    /// Of all that has happened, in its order.
    pub(super) trace: Cell<u64>,
    pub(super) broken: RefCell<Vec<String>>,
}

/// Whether the running task may cancel itself: not if its value is what its starter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quit {
    Yes,
    No,
}

/// A pool, as its tasks see it.
#[derive(Default)]
struct Home {
    /// Closures of its tasks that have not been dropped.
    live: Cell<usize>,
    has_ended: Cell<bool>,
}

/// A task's closure, in its pool's eyes.
struct Member<'h> {
    home: &'h Home,
    _counted: CountedDrop,
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.home.live.set(self.home.live.get() - 1);
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            dice: Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            fuel: Cell::new(120),
            made: Cell::new(0),
            drops: Drops::default(),
            events: [(); 3].map(|()| Event::new()),
            permits: Semaphore::new(PERMITS),
            held: Cell::new(0),
            trace: Cell::new(0),
            broken: RefCell::default(),
        }
    }

    /// A number below `limit`: xorshift64.
    fn roll(&self, limit: u64) -> u64 {
        let mut state = self.dice.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.dice.set(state);
        (state >> 11) % limit
    }

    /// Whether one more act may begin.
    pub(super) fn burn(&self) -> bool {
        let left = self.fuel.get();
        self.fuel.set(left.saturating_sub(1));
        left > 0
    }

    fn moment(&self) -> Duration {
        ms(self.roll(4))
    }

    pub(super) fn note(&self, what: u64) {
        self.trace.set((self.trace.get() ^ what).wrapping_mul(0x0000_0100_0000_01b3));
    }

    /// Notes what is broken.
    pub(super) fn report(&self, what: &str) {
        let task = task::current().name();
        self.broken.borrow_mut().push(format!("in task {task}: {what}"));
    }

    fn counted(&self) -> CountedDrop {
        self.made.set(self.made.get() + 1);
        self.drops.one()
    }

    fn member<'h>(&self, home: &'h Home) -> Member<'h> {
        home.live.set(home.live.get() + 1);
        Member { home, _counted: self.counted() }
    }

    fn sleep(&self) {
        let (start, length) = (clock(), self.moment());
        sleep(length);
        if clock() < start + length {
            self.report("a sleep ended too early");
        }
    }

    /// Waits for an event that may never happen.
    fn wait(&self) {
        let event = &self.events[self.roll(3) as usize];
        let waited = with_timeout(self.moment(), |_| event.wait());
        if waited.is_ok() && !event.is_set() {
            self.report("a wait ended before its event");
        }
    }

    /// Holds a permit for a while, if there is one in time.
    fn hold(&self) {
        skip_after(self.moment(), |_| {
            let _permit = self.permits.acquire();
            self.held.set(self.held.get() + 1);
            let _holding = OnDrop::new(|| self.held.set(self.held.get() - 1));
            if self.held.get() > PERMITS {
                self.report("more permits than there are");
            }
            self.sleep();
            yield_now();
        });
    }
}

/// Some acts of the running task, one after the other.
fn work(world: &World, home: &Home, depth: u32, quit: Quit) {
    for _ in 0..=world.roll(3) {
        if !world.burn() {
            return world.sleep();
        }
        act(world, home, depth, quit);
        if home.has_ended.get() {
            world.report("a task outlived its pool");
        }
    }
}

fn act(world: &World, home: &Home, depth: u32, quit: Quit) {
    let _counted = world.counted();
    let kind = world.roll(if depth == 0 { 9 } else { 20 });
    world.note(kind);
    let deeper = depth.saturating_sub(1);
    let further = || work(world, home, deeper, quit);
    match kind {
        0 | 1 => world.sleep(),
        2 => yield_now(),
        3 => world.wait(),
        4 => _ = world.events[world.roll(3) as usize].trigger(()),
        5 => world.hold(),
        6 => no_unwind(|| world.sleep()),
        7 if world.roll(4) == 0 => fail(PLANNED),
        8 if quit == Quit::Yes && world.roll(2) == 0 => task::current().cancel(),
        7 | 8 => {}
        9 => shield(further),
        10 => _ = shield_for(world.moment(), further),
        11 => clean_up(world, further),
        12 => sleep_in_a_destructor(world, further),
        13 => _ = catch_unwind(AssertUnwindSafe(further)),
        14 => on_big_stack(1 << 17, further),
        15 => combine(world, home, deeper, quit),
        _ => open(world, deeper, quit),
    }
}

fn clean_up(world: &World, body: impl FnOnce()) {
    let cleaned_up = Cell::new(false);
    let left = OnDrop::new(|| {
        if !cleaned_up.get() {
            world.report("a cleanup was left out");
        }
    });
    finally(body, || {
        world.sleep();
        cleaned_up.set(true);
    });
    drop(left);
}

/// If the body unwinds, it is in doubt meanwhile who does.
fn sleep_in_a_destructor(world: &World, body: impl FnOnce()) {
    let _sleeps = OnDrop::new(|| world.sleep());
    body();
}

/// Several closures at once. Those that are tasks of their own must not cancel themselves.
fn combine(world: &World, home: &Home, depth: u32, quit: Quit) {
    let ended = Home::default();
    let _closing = OnDrop::new(|| close(world, &ended));
    let one = |quit| {
        let (member, ended) = (world.member(&ended), &ended);
        move || {
            let _member = member;
            if ended.has_ended.get() {
                world.report("a task outlived its call");
            }
            work(world, home, depth, quit);
        }
    };
    match world.roll(4) {
        0 => _ = join(one(quit), one(Quit::No)),
        1 => _ = join_all([(); 3].map(|()| one(Quit::No))),
        2 => race(one(Quit::No), one(Quit::No)),
        _ => _ = race_all([(); 3].map(|()| one(Quit::No))),
    }
}

/// A pool has ended, by whatever way.
fn close(world: &World, home: &Home) {
    home.has_ended.set(true);
    if home.live.get() > 0 {
        world.report("a pool ended before its last task");
    }
}

/// A pool of one kind or another.
pub(super) fn open(world: &World, depth: u32, quit: Quit) {
    let home = Home::default();
    let _closing = OnDrop::new(|| close(world, &home));
    match world.roll(6) {
        0 | 1 => pool(|pool| fill(world, &home, pool, depth, quit)),
        2 => {
            let failed = try_pool(|pool| fill_and_fail(world, &home, pool, depth, quit));
            world.note(failed.is_err().into());
        }
        3 => {
            let done = cancellable(|pool| {
                fill(world, &home, pool, depth, quit);
                if world.roll(2) == 0 {
                    pool.cancel();
                }
                work(world, &home, depth, quit);
            });
            world.note(done.is_some().into());
        }
        4 => _ = skip_after(world.moment(), |pool| fill(world, &home, pool, depth, quit)),
        _ => _ = with_timeout(world.moment(), |pool| fill(world, &home, pool, depth, quit)),
    }
}

fn fill_and_fail<'scope>(
    world: &'scope World,
    home: &'scope Home,
    pool: &'scope TryPool<'scope, '_, ()>,
    depth: u32,
    quit: Quit,
) -> Result<(), ()> {
    for _ in 0..world.roll(3) {
        let member = world.member(home);
        pool.spawn(move || {
            let _member = member;
            work(world, home, depth, Quit::Yes);
            if world.roll(4) == 0 { Err(()) } else { Ok(()) }
        });
    }
    fill(world, home, pool, depth, quit);
    if world.roll(4) == 0 { Err(()) } else { Ok(()) }
}

/// What a pool's body does.
fn fill<'scope>(
    world: &'scope World,
    home: &'scope Home,
    pool: &'scope Pool<'scope, '_>,
    depth: u32,
    quit: Quit,
) {
    let mut tasks: Vec<Task<'scope, CountedDrop>> = Vec::new();
    for _ in 0..=world.roll(5) {
        let kind = world.roll(13);
        world.note(100 + kind);
        match kind {
            0..=3 => tasks.push(pool.spawn(task_of(world, home, pool, depth))),
            4 => tasks.push(pool.spawn_isolated(task_of(world, home, pool, depth))),
            5 => drop(pool.spawn_daemon(task_of(world, home, pool, depth))),
            6 => tasks.push(pool.spawn_after(world.moment(), task_of(world, home, pool, depth))),
            7 => tasks.extend(start(world, home, pool, depth)),
            8 => map(world, home, pool, depth),
            9 => tasks.pop().into_iter().for_each(|task| _ = task.join()),
            10 => tasks.pop().into_iter().for_each(|task| task.cancel()),
            11 if world.roll(3) == 0 => pool.cancel_because(PLANNED),
            12 if world.roll(3) == 0 => pool.set_deadline(Some(clock() + world.moment())),
            _ => work(world, home, depth, quit),
        }
    }
}

/// A task that may start others beside itself.
fn task_of<'scope>(
    world: &'scope World,
    home: &'scope Home,
    pool: &'scope Pool<'scope, '_>,
    depth: u32,
) -> impl FnOnce() -> CountedDrop + 'scope {
    let member = world.member(home);
    let spawns = depth > 0 && world.roll(4) == 0;
    move || {
        let _member = member;
        if spawns {
            let sibling = world.member(home);
            pool.spawn(move || {
                let _member = sibling;
                work(world, home, depth - 1, Quit::Yes);
            });
        }
        work(world, home, depth, Quit::Yes);
        world.counted()
    }
}

/// A task that reports at once: who is cancelled before that leaves its starter nothing to return.
fn start<'scope>(
    world: &'scope World,
    home: &'scope Home,
    pool: &'scope Pool<'scope, '_>,
    depth: u32,
) -> Option<Task<'scope, CountedDrop>> {
    if pool.is_cancelled() {
        return None;
    }
    let member = world.member(home);
    let (value, task) = pool.start(move |started: Started<CountedDrop>| {
        let _member = member;
        started.report(world.counted());
        work(world, home, depth, Quit::Yes);
        world.counted()
    });
    drop(value);
    Some(task)
}

fn map<'scope>(
    world: &'scope World,
    home: &'scope Home,
    pool: &'scope Pool<'scope, '_>,
    depth: u32,
) {
    let limit = 1 + world.roll(3) as usize;
    let items = (0..4).map(|_| world.member(home));
    let call = move |member| {
        let _member = member;
        work(world, home, depth, Quit::Yes);
        world.counted()
    };
    let wanted = world.roll(5) as usize;
    match world.roll(2) {
        0 => pool.map(items, limit, call).take(wanted).for_each(drop),
        _ => pool.map_unordered(items, limit, call).take(wanted).for_each(drop),
    }
}
