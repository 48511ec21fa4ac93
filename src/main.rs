//! The program: parses the command line, runs the command, and reports its error. Everything else
//! is in the library.

use std::io::Write;
use std::process::ExitCode;

use audit_relay::commands;
use audit_relay::commands::arguments::{Cli, Command};
use audit_relay::commands::exit::Exit;
use clap::Parser;

// librdkafka uses the same allocator: see Cargo.toml.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(arguments) => commands::run::run(&arguments),
        Command::Demo(arguments) => commands::demo::demo(&arguments),
        Command::Config(arguments) => commands::config::config(&arguments),
        Command::Check(arguments) => commands::check::check(&arguments),
        Command::Explain(arguments) => commands::explain::explain(&arguments),
        Command::Manifest(arguments) => commands::manifest::manifest(&arguments),
        Command::Table(arguments) => commands::table::table(&arguments),
        Command::Top(arguments) => commands::top::top(&arguments),
        Command::Quarantine(command) => commands::quarantine::quarantine(&command),
        Command::Replay(arguments) => commands::replay::replay(&arguments),
        Command::Generate(arguments) => commands::generate::generate(&arguments),
        Command::Resume(arguments) => commands::resume::resume(&arguments),
        Command::Export(arguments) => commands::export::export(&arguments),
        Command::Key(command) => commands::key::key(&command),
        // Its exit codes are verdicts, and its own.
        Command::Verify(arguments) => return commands::verify::verify(&arguments),
    };
    let exit = match result {
        Ok(()) => Exit::Success,
        // The reader of the output closed the pipe, which is its way to end the command.
        Err(error) if is_broken_pipe(&error) => Exit::Success,
        Err(error) => {
            // Unlike `eprintln!`, does not panic if standard error is closed.
            _ = writeln!(std::io::stderr(), "audit-relay: {error:#}");
            Exit::of(&error)
        }
    };
    exit.into()
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let cause = cause.downcast_ref::<std::io::Error>();
        cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
