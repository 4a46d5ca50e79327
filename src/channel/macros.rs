//! Macros: `select!`, which waits for the first of several operations.
//!
//! Layer 7. Imports: nothing of this crate but what it expands to. Never: how a choice is made.
//!
//! The expansion is nested calls of `match`, so that every operand lives until a choice was made and no
//! longer: a body may move, drop or send on what it has selected from.

/// Waits for the first of several operations, and runs the code that belongs to it.
///
/// ```text
/// select! {
///     recv(receiver) -> result => code,         // result: Result<T, RecvError>
///     send(sender, message) -> result => code,  // result: Result<(), SendError<T>>
///     readable(source) -> result => code,       // result: io::Result<()>
///     writable(source) -> result => code,       // result: io::Result<()>
///     finished(task) -> _ => code,              // when a task has ended
///     happened(event) -> value => code,         // value: &T, of an Event<T>
///     deadline(instant) -> _ => code,           // from then on, by giambio::clock()
///     default => code,                          // if none can be done at once
/// }
/// ```
///
/// with any number of each in any order, and instead of `default` also `default(timeout)`: if none can be
/// done in time (a [`Duration`](std::time::Duration)). `code` is a block, or an expression with a comma
/// behind it; `result` is any pattern that always matches. The value is that of the code, as in a `match`.
/// For channels this is crossbeam-channel's grammar.
///
/// Exactly one operation is done. Of several that can be done at once one is chosen at random, each as
/// likely; [`select_biased!`](crate::channel::select_biased!) chooses the first. On a worker the random numbers are the
/// same ones in each run. An operation on a closed channel can be done at once: its result is an error.
///
/// Receivers and senders are evaluated before the wait, and references to them will do; so it is with
/// sources, tasks and events. `message` is only evaluated when its operation was chosen, and so it is moved
/// only then; meanwhile a receiver that takes it waits, and cannot be cut. If it panics, breaks out or
/// returns, nothing was sent. In a channel that holds messages it comes behind those that others have sent
/// meanwhile.
///
/// # More than channels
///
/// These operations take nothing, so what they have told of is still there afterwards.
///
/// `readable` waits until a socket, a listener, a pipe or an [`io::Async`](crate::io::Async) has something to
/// read, or an end or an error to tell of, and `writable` until it has room or an error
/// ([`Readiness`](crate::channel::Readiness)). The call itself comes next, and somebody else's may be first:
/// then it waits. The source's timeouts and its non-blocking mode play no part here. The result is an error
/// if the system does not watch the descriptor.
///
/// ```
/// use giambio::channel::{bounded, select};
/// use giambio::os::unix::net::UnixStream;
/// use std::io::{Read, Write};
///
/// giambio::run(|| -> std::io::Result<()> {
///     let (mut ours, mut theirs) = UnixStream::pair()?;
///     let (_commander, commands) = bounded::<()>(1);
///     giambio::pool(|pool| {
///         pool.spawn(move || ours.write_all(b"hello").unwrap());
///         select! {
///             readable(theirs) -> result => result?,
///             recv(commands) -> _ => unreachable!("nobody commands"),
///         }
///         assert_eq!(theirs.read(&mut [0; 8])?, 5);
///         select! {
///             writable(theirs) -> result => result,
///             recv(commands) -> _ => unreachable!("nobody commands"),
///         }
///     })
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// `finished` waits until a [`Task`](crate::Task) has ended, whatever its outcome is: its
/// [`join`](crate::Task::join) has that then without a wait.
///
/// ```
/// use giambio::channel::{bounded, select};
///
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let (progress, reports) = bounded(0);
///         let task = pool.spawn(move || (0..3).map(|step| progress.send(step)).count());
///         let mut seen = 0;
///         loop {
///             select! {
///                 recv(reports) -> report => seen += report.iter().count(),
///                 finished(task) -> _ => break,
///             }
///         }
///         assert_eq!((seen, task.join().unwrap()), (3, 3));
///     });
/// });
/// ```
///
/// `happened` waits until an [`Event`](crate::sync::Event) was triggered, and lends its value. `deadline` waits
/// until a point in time: the same one in each turn of a loop, where `default(timeout)` begins anew.
///
/// ```
/// use giambio::channel::{select, tick};
/// use giambio::sync::Event;
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let (stop, ticks) = (Event::new(), tick(Duration::from_secs(1)));
///     let count = |limit| {
///         let deadline = giambio::clock() + limit;
///         let mut seen = 0;
///         loop {
///             select! {
///                 recv(ticks) -> _ => seen += 1,
///                 happened(stop) -> why => return (seen, *why),
///                 deadline(deadline) -> _ => return (seen, "it is over"),
///             }
///         }
///     };
///     assert_eq!(count(Duration::from_millis(2500)), (2, "it is over"));
///     giambio::pool(|pool| {
///         pool.spawn(|| {
///             giambio::sleep(Duration::from_secs(4));
///             stop.trigger("that will do")
///         });
///         assert_eq!(count(Duration::from_secs(3600)), (4, "that will do"));
///     });
/// });
/// ```
///
/// Outside of [`run`](crate::run) it blocks the thread, and looks at sources of I/O with `poll(2)`.
///
/// # Cancellation
///
/// Without `default` it is a checkpoint on every call. What was cut has done nothing: no message was
/// taken, and none was made. With `default` it never parks and is no checkpoint, so a loop around it must
/// call [`yield_now`](crate::yield_now()) if others are to run; `default(timeout)` is a checkpoint.
///
/// While the task unwinds, and where nothing may unwind, it makes one attempt, and then one of the
/// operations ends with its error. `finished`, `happened` and `deadline` have none: where there are only such,
/// it waits.
///
/// # Panics
///
/// If it would have to wait inside of [`task::no_switch`](crate::task::no_switch).
///
/// # Examples
///
/// ```
/// use giambio::channel::{bounded, select};
/// use std::time::Duration;
///
/// giambio::testing::run_virtual(|| {
///     let (numbers, receiver) = bounded(1);
///     let (done, finished) = bounded::<()>(0);
///     giambio::pool(|pool| {
///         pool.spawn(move || (1..=3).for_each(|number| numbers.send(number).unwrap()));
///         pool.spawn(move || {
///             giambio::sleep(Duration::from_secs(1));
///             drop(done);
///         });
///         let mut sum = 0;
///         let mut numbers = Some(receiver);
///         while let Some(receiver) = &numbers {
///             select! {
///                 recv(receiver) -> number => match number {
///                     Ok(number) => sum += number,
///                     Err(_) => numbers = None,
///                 },
///                 recv(finished) -> _ => break,
///                 default(Duration::from_secs(60)) => panic!("too slow"),
///             }
///         }
///         assert_eq!(sum, 6);
///     });
/// });
/// ```
#[macro_export]
macro_rules! select {
    ($($tokens:tt)*) => { $crate::__select! { @parse Fair [] $($tokens)* } };
}

/// Like [`select!`](crate::channel::select!), but of several operations that can be done at once the first is chosen.
///
/// # Examples
///
/// ```
/// use giambio::channel::{select_biased, unbounded};
///
/// let ((urgent, first), (ordinary, second)) = (unbounded(), unbounded());
/// ordinary.send("later").unwrap();
/// urgent.send("now").unwrap();
/// let word = select_biased! {
///     recv(first) -> word => word,
///     recv(second) -> word => word,
/// };
/// assert_eq!(word, Ok("now"));
/// ```
#[macro_export]
macro_rules! select_biased {
    ($($tokens:tt)*) => { $crate::__select! { @parse Biased [] $($tokens)* } };
}

/// The steps of `select!`: `@parse` takes arm after arm, `@make` makes them and waits, `@finish` completes
/// the chosen one, `@run` runs its code.
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    // All arms are there, the last of them may be a default.
    (@parse $order:ident [$($arm:tt)+]) => {
        $crate::__select! { @expand $order (Endless) [$($arm)+] [] }
    };
    (@parse $order:ident []) => { ::core::compile_error!("`select!` without an operation") };

    (@parse $order:ident [$($arm:tt)*] default $(())? => $code:block $(,)?) => {
        $crate::__select! { @expand $order (None) [$($arm)*] [$code] }
    };
    (@parse $order:ident [$($arm:tt)*] default $(())? => $code:expr $(,)?) => {
        $crate::__select! { @expand $order (None) [$($arm)*] [$code] }
    };
    (@parse $order:ident [$($arm:tt)*] default($timeout:expr $(,)?) => $code:block $(,)?) => {
        $crate::__select! { @expand $order (within $timeout) [$($arm)*] [$code] }
    };
    (@parse $order:ident [$($arm:tt)*] default($timeout:expr $(,)?) => $code:expr $(,)?) => {
        $crate::__select! { @expand $order (within $timeout) [$($arm)*] [$code] }
    };
    // A default that is not the last is put there.
    (@parse $order:ident [$($arm:tt)*] default $(())? => $code:block $($rest:tt)+) => {
        $crate::__select! { @parse $order [$($arm)*] $($rest)+ , default => $code }
    };
    (@parse $order:ident [$($arm:tt)*] default $(())? => $code:expr, $($rest:tt)+) => {
        $crate::__select! { @parse $order [$($arm)*] $($rest)+ , default => { $code } }
    };
    (@parse $order:ident [$($arm:tt)*] default($t:expr $(,)?) => $code:block $($rest:tt)+) => {
        $crate::__select! { @parse $order [$($arm)*] $($rest)+ , default($t) => $code }
    };
    (@parse $order:ident [$($arm:tt)*] default($t:expr $(,)?) => $code:expr, $($rest:tt)+) => {
        $crate::__select! { @parse $order [$($arm)*] $($rest)+ , default($t) => { $code } }
    };
    (@parse $order:ident [$($arm:tt)*] , $($rest:tt)*) => {
        $crate::__select! { @parse $order [$($arm)*] $($rest)* }
    };

    (@parse $order:ident [$($arm:tt)*]
        $kind:ident($($on:tt)*) -> $result:pat => $code:block $($rest:tt)*
    ) => {
        $crate::__select! { @parse $order [$($arm)* { $kind ($($on)*) ($result) ($code) }] $($rest)* }
    };
    (@parse $order:ident [$($arm:tt)*]
        $kind:ident($($on:tt)*) -> $result:pat => $code:expr, $($rest:tt)*
    ) => {
        $crate::__select! { @parse $order [$($arm)* { $kind ($($on)*) ($result) ($code) }] $($rest)* }
    };
    (@parse $order:ident [$($arm:tt)*]
        $kind:ident($($on:tt)*) -> $result:pat => $code:expr
    ) => {
        $crate::__select! { @parse $order [$($arm)* { $kind ($($on)*) ($result) ($code) }] }
    };
    (@parse $order:ident [$($arm:tt)*] $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected `recv(receiver) -> result => code`, `send(sender, message) -> result => code`, another \
             operation in this form, or `default => code`, found `", ::core::stringify!($($rest)*), "`"
        ))
    };

    (@expand $order:ident $patience:tt
        [$({ $kind:ident $on:tt $result:tt $code:tt })*] [$($default:expr)?]
    ) => {
        $crate::__select! {
            @run
            ($crate::__select! {
                @make $order $patience [$($default)?] [] $({ $kind $on })*
            })
            [$($default)?] $({ $result $code })*
        }
    };

    (@patience (Endless)) => { $crate::channel::__private::Patience::Endless };
    (@patience (None)) => { $crate::channel::__private::Patience::None };
    (@patience (within $timeout:expr)) => { $crate::channel::__private::within($timeout) };

    // Each operand lives in a `match` around what follows.
    (@make $order:ident $patience:tt $default:tt [$($made:tt)*]
        { recv ($receiver:expr $(,)?) } $($rest:tt)*
    ) => {
        match &$receiver { receiver => {
            let mut arm = $crate::channel::__private::RecvArm::new(receiver);
            $crate::__select! {
                @make $order $patience $default [$($made)* { arm () }] $($rest)*
            }
        } }
    };
    (@make $order:ident $patience:tt $default:tt [$($made:tt)*]
        { send ($sender:expr, $message:expr $(,)?) } $($rest:tt)*
    ) => {
        match &$sender { sender => {
            let mut arm = $crate::channel::__private::SendArm::new(sender);
            $crate::__select! {
                @make $order $patience $default [$($made)* { arm ($message) }] $($rest)*
            }
        } }
    };
    (@make $order:ident $patience:tt $default:tt [$($made:tt)*]
        { readable ($on:expr $(,)?) } $($rest:tt)*
    ) => {
        match &$on { on => {
            let mut arm = $crate::channel::__private::readable(on);
            $crate::__select! {
                @make $order $patience $default [$($made)* { arm () }] $($rest)*
            }
        } }
    };
    (@make $order:ident $patience:tt $default:tt [$($made:tt)*]
        { writable ($on:expr $(,)?) } $($rest:tt)*
    ) => {
        match &$on { on => {
            let mut arm = $crate::channel::__private::writable(on);
            $crate::__select! {
                @make $order $patience $default [$($made)* { arm () }] $($rest)*
            }
        } }
    };
    (@make $order:ident $patience:tt $default:tt [$($made:tt)*]
        { finished ($on:expr $(,)?) } $($rest:tt)*
    ) => {
        match &$on { on => {
            let mut arm = $crate::channel::__private::finished(on);
            $crate::__select! {
                @make $order $patience $default [$($made)* { arm () }] $($rest)*
            }
        } }
    };
    (@make $order:ident $patience:tt $default:tt [$($made:tt)*]
        { happened ($on:expr $(,)?) } $($rest:tt)*
    ) => {
        match &$on { on => {
            let mut arm = $crate::channel::__private::happened(on);
            $crate::__select! {
                @make $order $patience $default [$($made)* { arm () }] $($rest)*
            }
        } }
    };
    (@make $order:ident $patience:tt $default:tt [$($made:tt)*]
        { deadline ($on:expr $(,)?) } $($rest:tt)*
    ) => {
        match $on { on => {
            let mut arm = $crate::channel::__private::deadline(on);
            $crate::__select! {
                @make $order $patience $default [$($made)* { arm () }] $($rest)*
            }
        } }
    };
    (@make $order:ident $patience:tt $default:tt [$($made:tt)*]
        { $kind:ident $on:tt } $($rest:tt)*
    ) => {
        ::core::compile_error!(::core::concat!(
            "no operation of `select!`: `", ::core::stringify!($kind), ::core::stringify!($on), "`"
        ))
    };
    (@make $order:ident $patience:tt $default:tt [$({ $arm:ident $message:tt })*]) => { {
        let chosen = $crate::channel::__private::first_of(
            [$($arm.any()),*],
            $crate::channel::__private::Order::$order,
            $crate::__select! { @patience $patience },
        );
        $crate::__select! { @finish chosen (0usize) $default $({ $arm $message })* }
    } };

    (@finish $chosen:ident $index:tt []
        { $arm:ident ($($message:expr)?) }
    ) => { $arm.finish($($message)?) };
    (@finish $chosen:ident ($index:expr) $default:tt
        { $arm:ident ($($message:expr)?) } $($rest:tt)*
    ) => {
        if $chosen == $index {
            ::core::result::Result::Ok($arm.finish($($message)?))
        } else {
            ::core::result::Result::Err(
                $crate::__select! { @finish $chosen ($index + 1usize) $default $($rest)* }
            )
        }
    };
    (@finish $chosen:ident $index:tt [$default:expr]) => { () };

    (@run ($done:expr) [] { ($result:pat) ($code:expr) }) => { {
        let $result = $crate::channel::__private::value($done);
        $code
    } };
    (@run ($done:expr) $default:tt { ($result:pat) ($code:expr) } $($rest:tt)*) => {
        match $done {
            ::core::result::Result::Ok(done) => {
                let $result = $crate::channel::__private::value(done);
                $code
            }
            ::core::result::Result::Err(rest) => {
                $crate::__select! { @run (rest) $default $($rest)* }
            }
        }
    };
    (@run ($done:expr) [$default:expr]) => { match $done { () => $default } };
}

pub use select;
pub use select_biased;
