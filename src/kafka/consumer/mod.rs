//! The consumer of the group: its callbacks, its membership, and where each partition is read.

pub(in crate::kafka) mod callbacks;
mod group_positions;
pub(in crate::kafka) mod incoming;
pub mod input_ends;
mod member;
mod placing;
mod reach;
