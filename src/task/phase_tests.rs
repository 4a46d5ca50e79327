//! Sessions one at a time; how threads race for one is modelled in `wait_queue_tests.rs`.

use super::Phase;
use super::Winner;

#[test]
fn a_task_that_does_not_wait_has_no_open_session() {
    assert_eq!(Phase::new().open_session(), None);
}

#[test]
fn an_open_session_is_claimed_once() {
    let phase = Phase::new();
    let session = phase.open();
    assert_eq!(phase.open_session(), Some(session));
    assert!(phase.claim(session, Winner::Timeout));
    assert!(!phase.claim(session, Winner::Event));
    assert!(!phase.claim_on_own_worker(session, Winner::Event));
    assert_eq!(phase.winner(), Winner::Timeout);
    assert_eq!(phase.open_session(), None);
}

#[test]
fn a_claim_of_an_older_session_fails() {
    let phase = Phase::new();
    let old = phase.open();
    assert!(phase.claim_on_own_worker(old, Winner::Event));
    let new = phase.open();
    assert!(!phase.claim(old, Winner::Cancellation));
    assert!(!phase.claim_on_own_worker(old, Winner::Cancellation));
    assert!(phase.claim(new, Winner::Cancellation));
    assert_eq!(phase.winner(), Winner::Cancellation);
}
