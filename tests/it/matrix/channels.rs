//! Rows of the matrix: channels.

use super::Case;
use super::Test;
use crate::secs;
use giambio::channel::Receiver;
use giambio::channel::Sender;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::channel::unbounded;
use std::cell::Cell;
use std::io;

matrix!(Virtual: recv, recv_timeout, recv_at_a_meeting, send, send_timeout, send_at_a_meeting);
matrix!(Virtual: select_recv, select_send);

/// Those that several tasks may make at once.
mod by_two {
    matrix!(Virtual, of several tasks at once: recv, recv_timeout, send, send_timeout);
    matrix!(Virtual, of several tasks at once: select_recv, select_send);
}
