//! All tests of the relay that need no broker, in one binary, so that it is linked once.

// Cargo sets `test` here anyway. Clippy must see it to apply the test exceptions of clippy.toml.
#![cfg(test)]
#![allow(unreachable_pub, reason = "a program exports nothing")]

mod batches;
mod commands;
mod configured;
mod corpus;
mod deploy;
mod documented;
mod exits;
mod explained;
mod mock;
mod page;
mod plan;
mod refusals;
mod replaying;
mod secrets;
mod simulation;
mod sources;
mod table_files;
mod tidy;
mod unreadable;
