//! The consumer of the input's group: its callbacks, its membership, and where each partition
//! resumes.

pub(in crate::kafka) mod callbacks;
pub(in crate::kafka) mod group_consumer;
pub mod input_end_offsets;
mod member;
mod resume_points;
mod source;
