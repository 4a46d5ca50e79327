//! Refused: what the compiler keeps programs from doing with pools and tasks.
//!
//! Layer 6. Imports: nothing. Never: anything that runs.
//!
//! Each promise that rests on a lifetime or on a missing `Send` is a program that must not compile,
//! beside the nearest one that does. Only a nightly compiler looks at the numbers of the errors:
//! `RUSTC_BOOTSTRAP=1 cargo test --doc refused`.

/// A child borrows from outside of the pool, not from the body, which may end before the child.
///
/// ```
/// giambio::run(|| {
///     let text = String::from("stays");
///     giambio::pool(|pool| {
///         pool.spawn(|| assert_eq!(text, "stays"));
///     });
/// });
/// ```
///
/// ```compile_fail,E0373
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let text = String::from("stays");
///         pool.spawn(|| assert_eq!(text, "stays"));
///     });
/// });
/// ```
///
/// Nor from another child:
///
/// ```compile_fail,E0373
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         pool.spawn(|| {
///             let text = String::from("stays");
///             pool.spawn(|| assert_eq!(text, "stays"));
///         });
///     });
/// });
/// ```
///
/// Whatever the way of the spawn:
///
/// ```compile_fail,E0373
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let text = String::from("stays");
///         giambio::TaskBuilder::new().spawn(pool, || assert_eq!(text, "stays"));
///     });
/// });
/// ```
///
/// ```compile_fail,E0373
/// giambio::run(|| {
///     giambio::cancellable(|pool| {
///         let text = String::from("stays");
///         pool.spawn_isolated(|| assert_eq!(text, "stays"));
///     });
/// });
/// ```
///
/// ```compile_fail,E0373
/// giambio::run(|| {
///     giambio::try_pool::<(), Box<dyn std::error::Error>>(|pool| {
///         let text = String::from("stays");
///         pool.spawn(|| Ok(assert_eq!(text, "stays")));
///         Ok(())
///     })
/// });
/// ```
///
/// Nor from the body by a reference that it was given:
///
/// ```compile_fail,E0597
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let text = String::from("stays");
///         let borrowed = &text;
///         pool.spawn(move || assert_eq!(borrowed, "stays"));
///     });
/// });
/// ```
struct Borrowed;

/// A child's locals do not leave it by reference.
///
/// ```
/// use std::cell::RefCell;
///
/// giambio::run(|| {
///     let words = RefCell::new(Vec::new());
///     giambio::pool(|pool| {
///         pool.spawn(|| {
///             let word = String::from("moved");
///             words.borrow_mut().push(word);
///         });
///     });
/// });
/// ```
///
/// ```compile_fail,E0597
/// use std::cell::RefCell;
///
/// giambio::run(|| {
///     let words = RefCell::new(Vec::new());
///     giambio::pool(|pool| {
///         pool.spawn(|| {
///             let word = String::from("moved");
///             words.borrow_mut().push(&word);
///         });
///     });
/// });
/// ```
///
/// Not even as its value:
///
/// ```compile_fail,E0515
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let task = pool.spawn(|| {
///             let word = String::from("moved");
///             word.as_str()
///         });
///     });
/// });
/// ```
struct Lent;

/// What a child has borrowed mutably is nobody else's until the pool has ended.
///
/// ```
/// giambio::run(|| {
///     let mut counts = [0, 0];
///     let [left, right] = &mut counts;
///     giambio::pool(|pool| {
///         pool.spawn(|| *left += 1);
///         pool.spawn(|| *right += 1);
///     });
///     assert_eq!(counts, [1, 1]);
/// });
/// ```
///
/// Not another child's:
///
/// ```compile_fail,E0499
/// giambio::run(|| {
///     let mut count = 0;
///     giambio::pool(|pool| {
///         pool.spawn(|| count += 1);
///         pool.spawn(|| count += 1);
///     });
/// });
/// ```
///
/// Nor the body's, also after it has joined the child:
///
/// ```compile_fail,E0502
/// giambio::run(|| {
///     let mut count = 0;
///     giambio::pool(|pool| {
///         pool.spawn(|| count += 1).join().unwrap();
///         assert_eq!(count, 1);
///     });
/// });
/// ```
///
/// Nor may it be moved or dropped meanwhile:
///
/// ```compile_fail,E0505
/// giambio::run(|| {
///     let text = String::from("stays");
///     giambio::pool(|pool| {
///         pool.spawn(|| assert_eq!(text, "stays"));
///         drop(text);
///     });
/// });
/// ```
struct Exclusive;

/// Neither a pool nor a task leaves the pool's closure.
///
/// ```
/// giambio::run(|| {
///     let value = giambio::pool(|pool| pool.spawn(|| 1).join().unwrap());
///     assert_eq!(value, 1);
/// });
/// ```
///
/// ```compile_fail
/// giambio::run(|| {
///     let task = giambio::pool(|pool| pool.spawn(|| 1));
/// });
/// ```
///
/// ```compile_fail,E0521
/// giambio::run(|| {
///     let mut kept = None;
///     giambio::pool(|pool| kept = Some(pool));
/// });
/// ```
///
/// ```compile_fail,E0521
/// giambio::run(|| {
///     let mut kept = None;
///     giambio::try_pool(|pool| {
///         kept = Some(pool);
///         Ok::<(), ()>(())
///     });
/// });
/// ```
///
/// Not by way of a child of an outer pool:
///
/// ```compile_fail,E0521
/// giambio::run(|| {
///     giambio::pool(|outer| {
///         giambio::pool(|inner| {
///             outer.spawn(|| {
///                 inner.spawn(|| ());
///             });
///         });
///     });
/// });
/// ```
struct Escaped;

/// A handle is joined once.
///
/// ```compile_fail,E0382
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let task = pool.spawn(|| 1);
///         assert_eq!(task.join().unwrap(), 1);
///         assert_eq!(task.join().unwrap(), 1);
///     });
/// });
/// ```
struct Joined;

/// Closures and values need no `Send`, since nothing that could take them to another thread has it.
///
/// ```
/// use std::rc::Rc;
///
/// let shared = giambio::run(|| giambio::pool(|pool| pool.spawn(|| Rc::new(1)).join().unwrap()));
/// assert_eq!(*shared, 1);
/// ```
///
/// ```compile_fail,E0277
/// use std::rc::Rc;
///
/// let shared = giambio::run(|| giambio::pool(|pool| pool.spawn(|| Rc::new(1)).join().unwrap()));
/// std::thread::spawn(move || assert_eq!(*shared, 1));
/// ```
///
/// A pool is used on its own thread:
///
/// ```compile_fail,E0277
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         std::thread::scope(|threads| {
///             threads.spawn(|| pool.spawn(|| ()).is_finished());
///         });
///     });
/// });
/// ```
///
/// ```compile_fail,E0277
/// giambio::run(|| {
///     giambio::try_pool::<(), ()>(|pool| {
///         std::thread::scope(|threads| {
///             threads.spawn(|| pool.spawn(|| Ok(())).is_finished());
///         });
///         Ok(())
///     })
/// });
/// ```
///
/// And so is a task:
///
/// ```compile_fail,E0277
/// giambio::run(|| {
///     giambio::pool(|pool| {
///         let task = pool.spawn(|| ());
///         std::thread::scope(|threads| {
///             threads.spawn(|| task.cancel());
///         });
///     });
/// });
/// ```
///
/// ```compile_fail,E0277
/// giambio::run(|| {
///     let task = giambio::task::current();
///     std::thread::spawn(move || task.cancel());
/// });
/// ```
///
/// And so are a runtime and its options, since a debugger may be:
///
/// ```compile_fail,E0277
/// let builder = giambio::Builder::new();
/// std::thread::spawn(move || builder.build().is_ok());
/// ```
///
/// A canceller is made for other threads, and plain values may go there:
///
/// ```
/// fn goes_anywhere<T: Clone + Send + Sync + 'static>() {}
/// goes_anywhere::<giambio::Canceller>();
/// goes_anywhere::<giambio::TooSlow>();
/// goes_anywhere::<giambio::debug::WaitReason>();
/// goes_anywhere::<giambio::io::Cancelled>();
/// goes_anywhere::<giambio::lowlevel::Unparker>();
/// goes_anywhere::<giambio::task::TaskId>();
///
/// fn goes_elsewhere<T: Send + Sync + 'static>() {}
/// goes_elsewhere::<giambio::JoinError>();
/// goes_elsewhere::<giambio::TaskBuilder>();
/// ```
struct OfOneThread;
