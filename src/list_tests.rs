//! What every queue of the runtime relies on.

use super::List;
use super::Node;

fn values(list: &List<u32>) -> Vec<u32> {
    let mut found = Vec::new();
    let mut at = list.front();
    while let Some(node) = at {
        found.push(*node.value());
        at = node.next();
    }
    found
}

fn drain(list: &List<u32>) {
    while let Some(node) = list.front() {
        list.remove(node);
    }
}

/// Links nodes that live until the end of the test.
fn linked<'n>(list: &List<u32>, nodes: impl IntoIterator<Item = &'n Node<u32>>) {
    for node in nodes {
        // SAFETY: the tests declare their nodes before the list and drain the list before they end.
        unsafe { list.push_back(node) };
    }
}

#[test]
fn nodes_come_out_in_the_order_they_went_in() {
    let nodes = [1, 2, 3].map(Node::new);
    let list = List::new();
    linked(&list, &nodes);
    assert_eq!(values(&list), [1, 2, 3]);
    drain(&list);
    assert!(list.is_empty());
}

#[test]
fn a_node_can_leave_from_the_head_the_middle_and_the_tail() {
    for gone in 0..3_usize {
        let nodes = [0, 1, 2].map(Node::new);
        let list = List::new();
        linked(&list, &nodes);
        list.remove(&nodes[gone]);
        assert!(!nodes[gone].is_linked());
        let left: Vec<u32> = (0..3).filter(|&n| n as usize != gone).collect();
        assert_eq!(values(&list), left);
        drain(&list);
    }
}

#[test]
fn a_node_can_go_before_all_others() {
    let nodes = [1, 2, 3].map(Node::new);
    let list = List::new();
    for node in [&nodes[2], &nodes[1]] {
        // SAFETY: as in `linked`.
        unsafe { list.push_front(node) };
    }
    assert_eq!(values(&list), [2, 3]);
    list.remove(&nodes[1]);
    // SAFETY: as in `linked`.
    unsafe { list.push_front(&nodes[0]) };
    linked(&list, &nodes[1..2]);
    assert_eq!(values(&list), [1, 3, 2]);
    drain(&list);
    assert!(list.is_empty());
}

#[test]
fn removing_a_node_that_is_not_linked_changes_nothing() {
    let nodes = [1, 2].map(Node::new);
    let list = List::new();
    linked(&list, &nodes[..1]);
    list.remove(&nodes[1]);
    assert_eq!(values(&list), [1]);
    drain(&list);
}

#[test]
fn a_removed_node_can_be_linked_again_and_goes_to_the_back() {
    let nodes = [1, 2].map(Node::new);
    let list = List::new();
    linked(&list, &nodes);
    list.remove(&nodes[0]);
    linked(&list, &nodes[..1]);
    assert_eq!(values(&list), [2, 1]);
    drain(&list);
}

#[test]
fn random_removals_agree_with_a_vector() {
    let nodes: Vec<Node<u32>> = (0..200).map(Node::new).collect();
    let list = List::new();
    let mut model: Vec<u32> = Vec::new();
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..20_000 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let pick = (seed % 200) as u32;
        let node = &nodes[pick as usize];
        if node.is_linked() {
            list.remove(node);
            model.retain(|&value| value != pick);
        } else {
            linked(&list, [node]);
            model.push(pick);
        }
    }
    assert_eq!(values(&list), model);
    drain(&list);
}
