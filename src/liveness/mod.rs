//! Whether the process is alive and working: its health, the detection of hangs and stalls, and the
//! join of its threads at the end. The detectors read no clock, and nothing here ends the process.

pub mod board;
pub mod health;
pub(crate) mod threads;
pub mod warnings;
pub mod watchdog;
