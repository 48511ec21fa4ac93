//! The consumer of the group: its callbacks, its membership, and where each partition is read.

pub(in crate::kafka) mod callbacks;
pub(in crate::kafka) mod group_consumer;
mod group_positions;
pub mod input_ends;
mod member;
mod placing;
mod reach;
