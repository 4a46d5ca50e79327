//! The bodies, for our types.

#[expect(clippy::duplicate_mod, reason = "what is compared is the same source")]
#[path = "signatures.rs"]
pub(super) mod signatures;
#[expect(clippy::duplicate_mod, reason = "what is compared is the same source")]
#[path = "tcp.rs"]
pub(super) mod tcp;
#[expect(clippy::duplicate_mod, reason = "what is compared is the same source")]
#[path = "udp.rs"]
pub(super) mod udp;

use super::Facts;
use giambio::net;
use giambio::os::linux::net::TcpStreamExt;
