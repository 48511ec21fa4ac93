//! Everything that needs no broker. One binary, so that it is linked once.

mod allocations;
mod commands;
mod corpus;
mod decisions;
mod deploy;
mod device_table;
mod entries;
mod entry_values;
mod event_ids;
mod exits;
mod explained;
mod framings;
mod golden;
mod hostile;
mod mock;
mod properties;
mod records;
mod schemas;
mod secrets;
mod simulation;
mod sources;
mod table_files;
mod table_records;
mod tidy;
mod unreadable;
