//! The bodies, for std's types.

#[path = "signatures.rs"]
pub(super) mod signatures;
#[path = "tcp.rs"]
pub(super) mod tcp;
#[path = "udp.rs"]
pub(super) mod udp;

use super::Facts;
use std::net;
use std::os::linux::net::TcpStreamExt;
