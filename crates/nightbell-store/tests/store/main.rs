/*!
The store as its callers see it: one conformance suite over all backends, and what only a disk can do wrong.
*/

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test fails where it stands

mod conformance;
mod crash;
mod damage;
mod disk;
mod faults;
mod points;
mod sample;
mod trace;
mod workload;
