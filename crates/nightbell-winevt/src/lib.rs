/*!
Windows bytes to events, and what audit events mean.

[`xml`] finds the fields of one `<Event>` message, [`evtx`] gives such messages from recorded log files, [`audit`] says
what an audit event means (`$.Audit.*`) with the tables of [`codes`] and [`access`], and [`describe`] puts it into one
line of plain words. [`WindowsReader`] and [`DialectReader`] are the doors that patterns look through.

Nothing here knows rules, alarms, the network or a clock. Messages are hostile: every loop and list has a named limit.
*/

pub use event::{DialectReader, WindowsEvent, WindowsReader};

pub mod access;
pub mod audit;
pub mod codes;
pub mod describe;
mod event;
pub mod evtx;
#[cfg(test)]
mod sample;
pub mod xml;
