/*!
[`Plan`]: which events of some blocks go to which file, in which order. Pure.
*/

use std::collections::BTreeMap;
use std::sync::Arc;

use nightbell_core::event::Group;

use super::entry::hour_of;
use super::fingerprint::Placed;
use crate::Block;

/// Files that one step writes, beyond those of its first block.
pub const STEP_FILES_MAX: usize = 4_096;

/// The files that some blocks give, by group and hour.
pub(super) struct Plan<'b> {
    /// How many blocks it covers.
    pub(super) blocks: usize,
    /// The events of each file in order of time, block and number.
    pub(super) files: BTreeMap<(&'b Group, i64), Vec<Place<'b>>>,
}

/// Where an event stands.
pub(super) struct Place<'b> {
    block: &'b Block,
    batch: u32,
    event: u32,
    /// Its number in the block.
    number: u32,
}

impl<'b> Plan<'b> {
    /// Takes whole blocks until they give too many files; at least one.
    pub(super) fn of(blocks: &'b [Arc<Block>]) -> Self {
        let mut plan = Self { blocks: 0, files: BTreeMap::new() };
        for block in blocks {
            if plan.files.len() > STEP_FILES_MAX {
                break;
            }
            plan.blocks += 1;
            let mut number = 0;
            for (batch_at, batch) in block.batches.iter().enumerate() {
                for (event_at, event) in batch.events.iter().enumerate() {
                    let place = Place { block, batch: batch_at as u32, event: event_at as u32, number };
                    plan.files.entry((&batch.group, hour_of(event.time))).or_default().push(place);
                    number += 1;
                }
            }
        }
        for places in plan.files.values_mut() {
            places.sort_by_key(|place| place.event().time); // stable: blocks and numbers keep their order
        }
        plan
    }
}

impl<'b> Place<'b> {
    pub(super) fn event(&self) -> Placed<'b> {
        let batch = &self.block.batches[self.batch as usize];
        let event = &batch.events[self.event as usize];
        Placed {
            time: event.time,
            arrival: batch.arrival,
            stream: &batch.stream,
            block: self.block.position,
            number: self.number,
            message: &event.message,
        }
    }
}
