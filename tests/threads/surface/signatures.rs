//! Every stable function and method, with its signature.

use super::thread;
use super::thread::AccessError;
use super::thread::Builder;
use super::thread::JoinHandle;
use super::thread::LocalKey;
use super::thread::Scope;
use super::thread::ScopedJoinHandle;
use super::thread::Thread;
use super::thread::ThreadId;
use std::cell::Cell;
use std::fmt::Debug;
use std::hash::Hash;
use std::io;
use std::num::NonZero;
use std::panic::RefUnwindSafe;
use std::panic::UnwindSafe;
use std::time::Duration;

pub(in super::super) fn all() {
    functions();
    builder();
    handles();
    identities();
    scopes(&7);
    locals();
}

fn goes_everywhere<T: Send + Sync + Unpin>() {}

fn survives_unwinds<T: UnwindSafe + RefUnwindSafe>() {}

fn is_shown<T: Debug>() {}

#[expect(deprecated, reason = "two are, and ours as well")]
fn functions() {
    let _: fn(fn() -> i32) -> JoinHandle<i32> = thread::spawn::<fn() -> i32, i32>;
    let _: fn() -> Thread = thread::current;
    let _: [fn(); 2] = [thread::yield_now, thread::park];
    #[allow(clippy::disallowed_methods, reason = "std's is; ours is not")]
    let _: [fn(Duration); 2] = [thread::sleep, thread::park_timeout];
    let _: [fn(u32); 2] = [thread::sleep_ms, thread::park_timeout_ms];
    let _: fn() -> bool = thread::panicking;
    let _: fn() -> io::Result<NonZero<usize>> = thread::available_parallelism;
    let _: fn(thread::Result<i32>) -> std::thread::Result<i32> = |result| result;
}

fn builder() {
    type B = Builder;
    let _: fn() -> B = B::new;
    let _: fn(B, String) -> B = B::name;
    let _: fn(B, usize) -> B = B::stack_size;
    type Spawn = fn(B, fn() -> i32) -> io::Result<JoinHandle<i32>>;
    let _: Spawn = B::spawn::<fn() -> i32, i32>;
    goes_everywhere::<B>();
    survives_unwinds::<B>();
    is_shown::<B>();
}

/// Whatever the value is that they are for.
fn handles() {
    type H<T> = JoinHandle<T>;
    let _: fn(&H<i32>) -> &Thread = H::thread;
    let _: fn(H<i32>) -> thread::Result<i32> = H::join;
    let _: fn(&H<i32>) -> bool = H::is_finished;
    goes_everywhere::<H<Cell<i32>>>();
    goes_everywhere::<H<*const i32>>();
    is_shown::<H<fn()>>();
    fn generic<T>(handle: JoinHandle<T>) -> impl Send + Sync {
        handle
    }
    drop(generic(thread::spawn(|| 1)));
}

fn identities() {
    let _: fn(&Thread) = Thread::unpark;
    let _: fn(&Thread) -> ThreadId = Thread::id;
    let _: fn(&Thread) -> Option<&str> = Thread::name;
    let _: fn(&Thread) -> Thread = Clone::clone;
    goes_everywhere::<Thread>();
    survives_unwinds::<Thread>();
    is_shown::<Thread>();
    fn number<T: Copy + Eq + Hash + Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
    number::<ThreadId>();
}

fn scopes(env: &i32) {
    type S<'scope, 'env> = Scope<'scope, 'env>;
    type H<'scope, T> = ScopedJoinHandle<'scope, T>;
    fn of_a_scope<'scope, 'env>(scope: &'scope S<'scope, 'env>, env: &'env i32) {
        let handle: H<'scope, &'env i32> = scope.spawn(move || env);
        let _: &Thread = handle.thread();
        let _: bool = handle.is_finished();
        let _: thread::Result<&'env i32> = handle.join();
        let built: io::Result<H<'scope, &'env i32>> =
            Builder::new().spawn_scoped(scope, move || env);
        drop(built);
        fn shared<T: Sync + RefUnwindSafe + Debug>(_: &T) {}
        shared(scope);
    }
    let value: i32 = thread::scope(|scope| {
        of_a_scope(scope, env);
        *env
    });
    assert_eq!(value, *env);
    goes_everywhere::<H<'static, Cell<i32>>>();
    is_shown::<H<'static, fn()>>();
    // A handle of a longer scope is one of a shorter.
    fn shorter<'short, 'long: 'short>(handle: H<'long, i32>) -> H<'short, i32> {
        handle
    }
    let _: fn(H<'static, i32>) -> H<'_, i32> = shorter;
}

fn locals() {
    thread_local! {
        static COUNT: Cell<i32> = const { Cell::new(1) };
    }
    fn read(key: &'static LocalKey<Cell<i32>>) -> Result<i32, AccessError> {
        key.try_with(Cell::get)
    }
    assert_eq!(read(&COUNT), Ok(1));
}
