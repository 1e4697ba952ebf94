/*!
The pure heart of Nightbell: events, patterns, the rule set, metrics, windows, alarms, topics and deliveries.

Nothing here does I/O, reads a clock, draws a random number or starts a thread: time is an argument and what is to
happen outside comes back as data. That is what makes a replay give the same alarms, and it is held by `clippy.toml`.

Reading order: [`event`] and [`fields`] (what comes in), [`pattern`] and [`ruleset`] (what is looked for), [`metric`]
(what is counted), [`alarm`] and [`watch`] (what is judged), [`evidence`], [`topic`] and [`delivery`] (what is told).
*/

pub mod alarm;
pub mod anomaly;
pub mod backtest;
pub mod budget;
pub mod cidr;
pub mod delivery;
pub mod delivery_policy;
pub mod distinct;
pub mod event;
pub mod evidence;
pub mod fields;
pub mod filter;
pub mod filter_policy;
pub mod history;
pub mod incident;
pub mod insights;
mod json;
pub mod logsql;
pub mod math;
pub mod metric;
pub mod mute;
pub mod object_key;
pub mod pattern;
pub mod policy;
pub mod recipe;
pub mod records;
pub mod ruleset;
pub mod script;
pub mod stack;
pub mod statistic;
pub mod time;
pub mod topic;
pub mod watch;
mod wildcard;
pub mod window;
