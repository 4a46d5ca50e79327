//! Each kind of operation: the first to be ready, ready while others wait, and not chosen.

use crate::elapsed;
use crate::ms;
use crate::world::ALL;
use crate::world::Kind;
use crate::world::TIMELESS;
use crate::world::World;
use crate::world::with_world;
use giambio::pool;
use giambio::sync::Event;
use giambio::testing::assert_checkpoint;
use giambio::testing::run_virtual;
use giambio::testing::settle;

#[test]
fn smoke() {
    run_virtual(|| {
        with_world(|world| {
            world.fire(Kind::Happened);
            assert_eq!(world.select(), Kind::Happened);
        });
    });
}

#[test]
fn what_is_ready_already_is_chosen() {
    run_virtual(|| {
        for kind in TIMELESS {
            with_world(|world| {
                world.fire(kind);
                settle();
                assert_eq!(world.select(), kind);
                world.assert_left(&[kind], Some(kind));
            });
        }
    });
}

#[test]
fn what_becomes_ready_while_it_is_waited_for_is_chosen() {
    run_virtual(|| {
        for kind in TIMELESS {
            with_world(|world| {
                pool(|pool| {
                    let selected = pool.spawn(|| world.select());
                    settle();
                    assert!(!selected.is_finished());
                    world.fire(kind);
                    assert_eq!(selected.join().unwrap(), kind);
                });
                world.assert_left(&[kind], Some(kind));
            });
        }
    });
}

#[test]
fn what_becomes_ready_after_another_was_chosen_is_chosen_next() {
    run_virtual(|| {
        for first in TIMELESS {
            for second in TIMELESS.into_iter().filter(|&second| second != first) {
                let others = Vec::from_iter(TIMELESS.into_iter().filter(|&kind| kind != first));
                with_world(|world| {
                    pool(|pool| {
                        let selected = pool.spawn(|| (world.select(), world.select_of(&others)));
                        settle();
                        world.fire(first);
                        settle();
                        assert!(!selected.is_finished());
                        world.fire(second);
                        assert_eq!(selected.join().unwrap(), (first, second));
                    });
                });
            }
        }
    });
}

/// By a list, and by one that only looks.
#[test]
fn a_list_chooses_what_is_or_becomes_ready() {
    type Chooses = fn(&World<'_>, &[Kind]) -> Kind;
    let ways: [Chooses; 2] =
        [|world, kinds| world.select_of(kinds), |world, kinds| world.ready_of(kinds)];
    run_virtual(|| {
        for (way, takes) in ways.into_iter().zip([true, false]) {
            for kind in TIMELESS {
                for is_early in [true, false] {
                    with_world(|world| {
                        if is_early {
                            world.fire(kind);
                            settle();
                        }
                        pool(|pool| {
                            let selected = pool.spawn(|| way(world, &TIMELESS));
                            settle();
                            if !is_early {
                                world.fire(kind);
                            }
                            assert_eq!(selected.join().unwrap(), kind);
                        });
                        world.assert_left(&[kind], takes.then_some(kind));
                    });
                }
            }
        }
    });
}

/// Time passes on a test's clock only if nobody waits for I/O: so this is on the real one.
#[test]
fn a_deadline_ends_a_wait_for_everything_else() {
    giambio::run(|| {
        let gate = Event::new();
        pool(|pool| {
            let world = World::new(pool, &gate).until(ms(3));
            let took = elapsed(|| assert_eq!(world.select(), Kind::Deadline));
            assert!(took >= ms(2), "{took:?}");
            // It has passed for good.
            assert_eq!(world.select(), Kind::Deadline);
            assert_eq!(world.select_of(&ALL), Kind::Deadline);
            assert_eq!(world.ready_of(&ALL), Kind::Deadline);
            let world = world.until(ms(3));
            assert_eq!(world.ready_of(&ALL), Kind::Deadline);
            let world = world.until(ms(3));
            assert_eq!(world.select_of(&ALL), Kind::Deadline);
            world.assert_left(&[], None);
            world.close();
        });
    });
}

#[test]
fn every_select_is_a_checkpoint_also_when_it_need_not_wait() {
    run_virtual(|| {
        for kind in TIMELESS {
            with_world(|world| {
                world.fire(kind);
                settle();
                assert_eq!(assert_checkpoint(|| world.ready_of(&TIMELESS)), kind);
                assert_eq!(assert_checkpoint(|| world.select()), kind);
            });
        }
    });
}
