//! Whether the process lives and does its work: its health, what stands still, and waiting for its
//! threads at the end. It reads no clock and ends nothing by itself.

pub mod board;
pub mod health;
pub(crate) mod threads;
pub mod warnings;
pub mod watchdog;
