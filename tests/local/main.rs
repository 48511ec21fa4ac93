//! Everything that needs no broker. One binary, so that it is linked once.

mod allocations;
mod corpus;
mod decisions;
mod deploy;
mod device_table;
mod exits;
mod golden;
mod hostile;
mod mock;
mod properties;
mod records;
mod schemas;
mod secrets;
mod simulation;
mod sources;
mod tidy;
mod unreadable;
