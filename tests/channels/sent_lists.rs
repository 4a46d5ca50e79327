//! Lists of operations go to other threads and are shared by them: so far crossbeam's do.

use super::channel::RecvError;
use super::channel::Select;
use super::channel::unbounded;
use super::world;
use super::world::scope;

#[test]
fn lists_are_sent_and_shared() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Select<'_>>();
}

#[test]
fn a_list_may_go_to_other_workers() {
    world::run(|| {
        let ((s, r), (other_s, other_r)) = (unbounded::<i32>(), unbounded::<i32>());
        let mut choice = Select::new();
        choice.recv(&r);
        choice.recv(&other_r);
        scope(|scope| {
            for _ in 0..3 {
                let (choice, r, other_r) = (&choice, &r, &other_r);
                scope.spawn(move || {
                    let mut mine = choice.clone();
                    let chosen = mine.select();
                    let receives = if chosen.index() == 0 { r } else { other_r };
                    assert_eq!(chosen.recv(receives), Ok(7));
                });
            }
            s.send(7).unwrap();
            other_s.send(7).unwrap();
            other_s.send(7).unwrap();
        });
        assert!(r.is_empty() && other_r.is_empty());
        let (mut choice, r) = (choice, &r);
        scope(|scope| {
            scope.spawn(move || assert_eq!(choice.select().recv(r), Err(RecvError)));
            drop(s);
        });
    });
}
