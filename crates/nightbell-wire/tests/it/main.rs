/*!
The integration tests of nightbell-wire: what clients send and understand, round trips, hostile input.
*/

#![allow(clippy::unwrap_used, reason = "all of it is test code, its helper functions too")]

mod answers;
mod clients;
mod hostile;
mod recorded;
mod requests;
mod round_trip;
mod signatures;
mod suite;
