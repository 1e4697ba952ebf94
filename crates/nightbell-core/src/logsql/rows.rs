/*!
The rows of a result that is not grouped: the first ones in its order, never more than its limit.

What falls behind the limit cannot come back, with `dedup` as without, because the last row that is held only ever moves
forward. So any order of rows and any split of them leaves the same rows.
*/

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::evaluate::Environment;
use super::plan::Plan;
use super::value::{Place, Val};

/// Bytes that a held row is counted with beyond its texts.
const ROW_BYTES: usize = 256;

/// A place in the order of rows: by the keys of `sort`, then the newest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order {
    keys: Vec<Directed>,
    time: Reverse<i64>,
    arrival: Reverse<i64>,
    ptr: Reverse<Box<str>>,
}

/// A sort key with its direction; down is the exact reverse of up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Directed {
    Up(Place),
    Down(Reverse<Place>),
}

impl Directed {
    pub(super) fn new(value: &Val<'_>, down: bool) -> Self {
        let place = Place::of(value);
        if down { Self::Down(Reverse(place)) } else { Self::Up(place) }
    }

    fn bytes(&self) -> usize {
        let (Self::Up(place) | Self::Down(Reverse(place))) = self;
        size_of::<Self>() + place.bytes()
    }
}

/// What a row holds in the fields of `dedup`; none where one of them is missing: such rows all stay.
pub(super) fn dedup_key<'v>(values: impl Iterator<Item = Val<'v>>) -> Option<Vec<Box<str>>> {
    values.map(|value| value.shown().map(Into::into)).collect()
}

/// The rows that are held.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    held: BTreeMap<Order, Held>,
    by_key: BTreeMap<Vec<Box<str>>, Order>,
    /// Bytes of all that is held.
    pub(super) bytes: usize,
}

#[derive(Clone, Debug)]
struct Held {
    /// Values of the shown columns.
    values: Vec<Option<Box<str>>>,
    dedup: Option<Vec<Box<str>>>,
    bytes: usize,
}

impl Rows {
    /// Takes a row that got through the filters, if it is among the first ones.
    pub(super) fn take<'a>(
        &mut self,
        plan: &'a Plan,
        environment: &Environment<'a, '_>,
        columns: &[Val<'a>],
        limit: usize,
    ) {
        let Some(row) = environment.row else { return };
        let value = |expr| environment.value(expr, columns);
        let keys = plan.sort.iter().map(|(expr, down)| Directed::new(&value(expr), *down)).collect();
        let (time, arrival) = (Reverse(row.time.as_millis()), Reverse(row.arrival.as_millis()));
        if self.held.len() >= limit
            && let Some((last, _)) = self.held.last_key_value()
            && (&keys, &time, &arrival) > (&last.keys, &last.time, &last.arrival)
        {
            return;
        }
        let order = Order { keys, time, arrival, ptr: Reverse(row.ptr.to_string().into()) };
        let dedup = if plan.dedup.is_empty() { None } else { dedup_key(plan.dedup.iter().map(value)) };
        let values: Vec<Option<Box<str>>> =
            plan.shown.iter().map(|(_, expr)| value(expr).shown().map(Into::into)).collect();
        let texts = |texts: &[Box<str>]| texts.iter().map(|text| text.len()).sum::<usize>();
        let place = order.keys.iter().map(Directed::bytes).sum::<usize>() + order.ptr.0.len();
        // With a key the place stands twice, and so does the key.
        let bytes = ROW_BYTES
            + place
            + dedup.as_deref().map_or(0, |key| place + 2 * texts(key))
            + values.iter().flatten().map(|text| text.len()).sum::<usize>();
        self.insert(order, Held { values, dedup, bytes }, limit);
    }

    fn insert(&mut self, order: Order, row: Held, limit: usize) {
        if let Some(key) = &row.dedup {
            match self.by_key.get(key) {
                Some(known) if *known <= order => return,
                Some(known) => {
                    let known = known.clone();
                    self.remove(&known);
                }
                None => {}
            }
            self.by_key.insert(key.clone(), order.clone());
        }
        self.bytes += row.bytes;
        // A row that came twice is one row.
        if let Some(same) = self.held.insert(order, row) {
            self.bytes -= same.bytes;
        }
        if self.held.len() > limit
            && let Some((last, _)) = self.held.last_key_value()
        {
            let last = last.clone();
            self.remove(&last);
        }
    }

    fn remove(&mut self, order: &Order) {
        if let Some(row) = self.held.remove(order) {
            self.bytes -= row.bytes;
            if let Some(key) = row.dedup {
                self.by_key.remove(&key);
            }
        }
    }

    /// Takes over what another part of the same run holds.
    pub(super) fn merge(&mut self, other: Self, limit: usize) {
        for (order, row) in other.held {
            self.insert(order, row, limit);
        }
    }

    /// The rows in their order, each with its pointer.
    pub(super) fn shown(&self, plan: &Plan) -> Vec<Vec<(String, String)>> {
        let rows = self.held.iter().map(|(order, row)| {
            let columns = plan.shown.iter().zip(&row.values);
            let mut shown: Vec<(String, String)> = columns
                .filter_map(|((name, _), value)| Some((name.clone(), value.as_deref()?.to_owned())))
                .collect();
            if !plan.shown.iter().any(|(name, _)| name == "@ptr") {
                shown.push(("@ptr".to_owned(), order.ptr.0.to_string()));
            }
            shown
        });
        rows.collect()
    }
}
