//! audit-relay: infrastructure state changes in, audit events per region out, exactly once.

pub mod pipeline;
