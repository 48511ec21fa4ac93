//! Everything that needs no broker. One binary, so that it is linked once.

mod golden;
mod mock;
mod schemas;
mod simulation;
