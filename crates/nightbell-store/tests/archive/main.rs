/*!
The archive as its callers see it: what is written is read, found, merged, removed and proved.
*/

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test fails where it stands

mod backup;
mod crashes;
mod damage;
mod pruning;
mod sample;
mod steps;
mod written;
