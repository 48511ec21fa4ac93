//! Trails that are written in memory, attacked, and verified.

#![cfg(test)]

mod attacks;
mod chance;
mod checked;
mod epochs;
mod keys;
mod limits;
mod replays;
mod reports;
mod rounds;
mod trail;
mod writer;
