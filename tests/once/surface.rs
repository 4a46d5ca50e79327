//! The same program, once with std's types and once with ours: it compiles for both, and says the same.

use crate::fail;
use crate::panic_of;
use std::fmt::Debug;
use std::ops::DerefMut;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;

fn goes_anywhere<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + Debug>() {}
fn is_a_value<T: Clone + Default + Debug + Eq + From<i32>>() {}
fn is_changed_through<T: DerefMut<Target = i32> + Default>() {}

macro_rules! surface {
    ($module:ident: $crate_name:ident) => {
        mod $module {
            use super::*;
            use std::cell::Cell;
            use $crate_name::sync::Barrier;
            use $crate_name::sync::BarrierWaitResult;
            use $crate_name::sync::LazyLock;
            use $crate_name::sync::Once;
            use $crate_name::sync::OnceLock;
            use $crate_name::sync::OnceState;

            static ONCE: Once = Once::new();
            static BARRIER: Barrier = Barrier::new(1);
            static CELL: OnceLock<String> = OnceLock::new();
            static LAZY: LazyLock<String> = LazyLock::new(|| "lazy".into());
            type Made = LazyLock<i32, fn() -> i32>;

            pub(super) fn signatures() {
                let _: fn(usize) -> Barrier = Barrier::new;
                let _: fn(&Barrier) -> BarrierWaitResult = Barrier::wait;
                let _: fn(&BarrierWaitResult) -> bool = BarrierWaitResult::is_leader;
                let _: fn() -> Once = Once::new;
                let _: fn(&Once, fn()) = Once::call_once::<fn()>;
                let _: fn(&Once, fn(&OnceState)) = Once::call_once_force::<fn(&OnceState)>;
                let _: fn(&Once) -> bool = Once::is_completed;
                let _: fn(&Once) = Once::wait;
                let _: fn(&Once) = Once::wait_force;
                let _: fn(&OnceState) -> bool = OnceState::is_poisoned;
                let _: fn() -> OnceLock<i32> = OnceLock::new;
                let _: fn(&OnceLock<i32>) -> Option<&i32> = OnceLock::get;
                let _: fn(&mut OnceLock<i32>) -> Option<&mut i32> = OnceLock::get_mut;
                let _: fn(&OnceLock<i32>) -> &i32 = OnceLock::wait;
                let _: fn(&OnceLock<i32>, i32) -> Result<(), i32> = OnceLock::set;
                let _: fn(&OnceLock<i32>, fn() -> i32) -> &i32 = OnceLock::get_or_init;
                let _: fn(OnceLock<i32>) -> Option<i32> = OnceLock::into_inner;
                let _: fn(&mut OnceLock<i32>) -> Option<i32> = OnceLock::take;
                let _: fn(fn() -> i32) -> Made = LazyLock::new;
                let _: fn(&Made) -> &i32 = LazyLock::force;
                let _: fn(&mut Made) -> &mut i32 = LazyLock::force_mut;
                let _: fn(&Made) -> Option<&i32> = LazyLock::get;
                let _: fn(&mut Made) -> Option<&mut i32> = LazyLock::get_mut;
                goes_anywhere::<Barrier>();
                goes_anywhere::<BarrierWaitResult>();
                goes_anywhere::<Once>();
                goes_anywhere::<OnceLock<i32>>();
                goes_anywhere::<Made>();
                is_a_value::<OnceLock<i32>>();
                is_changed_through::<LazyLock<i32>>();
            }

            pub(super) fn says() -> Vec<String> {
                let mut said = once();
                said.extend(cells());
                said.extend(lazy());
                let result = BARRIER.wait();
                said.push(format!("{:?} {result:?} {}", &BARRIER, result.is_leader()));
                said.push(format!("{:#?} {:?}", Barrier::new(0).wait(), Barrier::new(5)));
                said
            }

            fn once() -> Vec<String> {
                let mut said = vec![format!("{:?} {}", &ONCE, ONCE.is_completed())];
                let mut runs = 0;
                (0..3).for_each(|_| ONCE.call_once(|| runs += 1));
                ONCE.call_once_force(|_| runs += 10);
                ONCE.wait();
                ONCE.wait_force();
                said.push(format!("{runs} {}", ONCE.is_completed()));

                let once = Once::new();
                said.push(panic_of(|| once.call_once(|| fail("on purpose"))));
                said.push(panic_of(|| once.call_once(|| ())));
                said.push(panic_of(|| once.wait()));
                said.push(format!("{once:?} {}", once.is_completed()));
                said.push(panic_of(|| once.call_once_force(|_| fail("again"))));
                once.call_once_force(|state| said.push(format!("{state:?} {state:#?}")));
                once.call_once(|| unreachable!());
                once.wait();
                said.push(format!("{once:?} {}", once.is_completed()));
                Once::new().call_once_force(|state| said.push(format!("{}", state.is_poisoned())));
                said
            }

            fn cells() -> Vec<String> {
                let mut said = vec![format!("{:?} {:#?} {:?}", &CELL, &CELL, CELL.get())];
                said.push(format!("{:?}", CELL.set("first".into())));
                said.push(format!("{:?} {:?}", CELL.set("second".into()), CELL.wait()));
                said.push(format!("{:?}", CELL.get_or_init(|| unreachable!())));
                said.push(format!("{:?} {:#?}", CELL.clone(), &CELL));

                let mut cell = OnceLock::new();
                said.push(panic_of(|| *cell.get_or_init(|| fail("on purpose"))));
                said.push(format!("{cell:?} {:?}", cell.get()));
                said.push(format!("{:?}", cell.get_mut()));
                said.push(format!("{} {:?}", cell.get_or_init(|| 1), cell.set(2)));
                *cell.get_mut().unwrap() += 1;
                said.push(format!("{:?} {:?} {cell:?}", cell.clone(), cell.take()));
                said.push(format!("{:?} {:?} {:?}", cell.take(), cell.set(3), cell.into_inner()));
                let equal =
                    |one: &OnceLock<i32>, other: &OnceLock<i32>| (one == other, one != other);
                let (none, one) = (OnceLock::default(), OnceLock::from(1));
                said.push(format!("{:?} {:?}", equal(&none, &one), equal(&none, &OnceLock::new())));
                said.push(format!("{:?} {:?}", equal(&one, &1.into()), equal(&one, &2.into())));
                said
            }

            fn lazy() -> Vec<String> {
                let mut said = vec![format!("{:?} {:#?} {:?}", &LAZY, &LAZY, LazyLock::get(&LAZY))];
                said.push(format!("{} {} {:?}", *LAZY, LAZY.len(), LazyLock::force(&LAZY)));
                said.push(format!("{:?} {:#?} {:?}", &LAZY, &LAZY, LazyLock::get(&LAZY)));

                let runs = Cell::new(0);
                let mut lazy = LazyLock::new(|| runs.replace(runs.get() + 1));
                said.push(format!("{:?} {}", LazyLock::get_mut(&mut lazy), runs.get()));
                *LazyLock::force_mut(&mut lazy) += 5;
                *lazy += 1;
                said.push(format!("{:?}", LazyLock::get_mut(&mut lazy)));
                said.push(format!("{} {}", *lazy, runs.get()));
                said.push(format!("{:?}", *LazyLock::<String>::default()));

                let mut lazy = LazyLock::<i32>::new(|| fail("on purpose"));
                said.push(panic_of(|| *lazy));
                said.push(panic_of(|| *lazy));
                said.push(panic_of(|| *LazyLock::force_mut(&mut lazy)));
                let got = format!("{lazy:?} {:?}", LazyLock::get(&lazy));
                said.push(format!("{got} {:?}", LazyLock::get_mut(&mut lazy)));
                said
            }
        }
    };
}

surface!(ours: giambio);
surface!(stds: std);

#[test]
fn it_has_stds_signatures() {
    ours::signatures();
    stds::signatures();
}

#[test]
fn it_says_and_does_what_std_does() {
    let (ours, stds) = (ours::says(), stds::says());
    assert!(stds.len() > 30, "{stds:#?}");
    assert_eq!(ours, stds);
}
