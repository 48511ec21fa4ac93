//! Everything that needs no broker. One binary, so that it is linked once.

mod allocations;
mod corpus;
mod decisions;
mod device_table;
mod event_ids;
mod framings;
mod golden;
mod hostile;
mod mock;
mod properties;
mod records;
mod schemas;
mod simulation;
mod sources;
mod tidy;
mod unreadable;
