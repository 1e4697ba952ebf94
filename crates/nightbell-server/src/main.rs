/*!
Nightbell: tells people, within a second, that someone asks for files they are denied, or guesses passwords.

`main` reads the command line and hands over to a command; `serve` is the server, the others talk to it or to a person.
*/

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod admin;
mod admission;
mod adoption;
mod app;
mod auth;
mod aws;
mod backtest;
mod backup;
mod bounded;
mod catalog;
mod client;
mod clock;
mod command;
mod config;
mod credentials;
mod doctor;
mod export;
mod functions;
mod health;
mod installation;
mod intake;
mod keys;
mod lines;
mod listen;
mod manage;
mod pages;
mod proof;
mod receiver;
mod run;
mod search;
mod signing;
mod size;
mod stacks;
mod streams;
mod tail;
mod telemetry;
mod wiring;

/// Every event is made of many small pieces that one thread makes and another drops; the system's allocator takes half of
/// the watcher's time for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Watches the audit events of Windows machines and tells people what matters, within a second.
#[derive(Parser)]
#[command(name = "nightbell", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  nightbell demo                                see it work on recorded attacks, in half a minute
  nightbell serve                               start the server on 127.0.0.1:8600
  eval \"$(nightbell env)\"                       point the AWS CLI at it
  nightbell watch denied-access --folder '\\secret' --threshold 5 --within 1m --mail security@example.org
  nightbell import Security.evtx --group windows
  nightbell tail --filter '{ $.Audit.Outcome = \"failure\" }'
  nightbell query --since 24h 'stats count(*) as n by Audit.User | sort n desc | limit 10'
  nightbell backtest failed-logons --group windows --threshold 3..20";

#[derive(Subcommand)]
enum Command {
    /// Start the server
    Serve(Box<command::serve::Serve>),
    /// Print shell exports that point AWS clients at the server
    Env(command::env::Env),
    /// Set up a whole rule in one line: filter, alarm, topic and subscription
    Watch(command::watch::Watch),
    /// Make or change a stack of resources as a CloudFormation template says
    Apply(command::apply::Apply),
    /// Try a rule on the stored events: when would it have fired, with which messages
    Backtest(command::backtest::Backtest),
    /// Ask the stored events with Logs Insights QL
    Query(command::query::Query),
    /// Read recorded Windows logs (EVTX) into a log group
    Import(command::import::Import),
    /// Show events as they come in
    Tail(command::tail::Tail),
    /// See what is going on, take it on, or mute it
    Incidents(command::incidents::Incidents),
    /// Write stored events into a file: Parquet, JSON lines or XML
    Export(command::export::Export),
    /// Prove that the archive holds what was written
    Verify(command::verify::Verify),
    /// Copy everything into a folder, while the server runs or not
    Backup(command::backup::Backup),
    /// Put a backup into an empty data folder
    Restore(command::restore::Restore),
    /// Look whether everything is in order, and say what to do
    Doctor(Box<command::doctor::Doctor>),
    /// Run one function inside new namespaces; the server does so
    #[command(hide = true)]
    FunctionHost(command::function_host::FunctionHost),
    /// See it work: a server in a temporary folder, two recorded attacks, the mails they cause
    Demo(command::demo::Demo),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Env(env) => env.run(),
        Command::Watch(watch) => watch.run(),
        Command::Apply(apply) => apply.run(),
        Command::Backtest(backtest) => backtest.run(),
        Command::Query(query) => query.run(),
        Command::Import(import) => import.run(),
        Command::Tail(tail) => tail.run(),
        Command::Incidents(incidents) => incidents.run(),
        Command::Export(export) => export.run(),
        Command::Verify(verify) => verify.run(),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Demo(demo) => demo.run(),
        Command::FunctionHost(host) => return host.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            command::complain(&error);
            ExitCode::FAILURE
        }
    }
}
