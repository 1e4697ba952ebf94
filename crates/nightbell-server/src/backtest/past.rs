/*!
What came, by the time it came, as a backtest plays it: kept small, in bytes, and shared by all variants of a rule.

Series and event logs are held once each; the rest of a datum is encoded and decoded each time it is played. The size is
counted as it grows; whoever fills it holds it against a limit.
*/

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nightbell_core::backtest::Arrival;
use nightbell_core::event::Group;
use nightbell_core::evidence::Evidence;
use nightbell_core::metric::{Aggregate, Datum, Series};
use nightbell_core::records::{RecordMark, RecordSpans};
use nightbell_core::time::Timestamp;

/// Memory of a datum beside its encoded part, with what the allocator adds.
const DATUM_BYTES: usize = size_of::<Point>() + 16;
/// Memory of a record number.
const MARK_BYTES: usize = size_of::<Mark>();
/// Memory of a moment at which something came, in a map that is half full.
const MOMENT_BYTES: usize = 2 * size_of::<(Timestamp, Moment)>() + 32;

/// What came, by the time it came.
#[derive(Debug, Default)]
pub(super) struct Past {
    moments: BTreeMap<Timestamp, Moment>,
    series: Known<Series>,
    logs: Known<Log>,
    data: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Moment {
    points: Vec<Point>,
    marks: Vec<Mark>,
}

/// A datum: its series by number, and unit, samples and evidence encoded.
#[derive(Debug)]
struct Point {
    series: u32,
    second: i64,
    rest: Box<[u8]>,
}

/// A record number: its event log by number.
#[derive(Clone, Copy, Debug)]
struct Mark {
    log: u32,
    cleared: bool,
    id: u64,
    time: Timestamp,
}

/// An event log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Log {
    group: Group,
    machine: String,
    channel: String,
}

/// Things that are held once each, by number.
#[derive(Debug)]
struct Known<T> {
    all: Vec<Arc<T>>,
    numbers: HashMap<Arc<T>, u32>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { all: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Eq + std::hash::Hash> Known<T> {
    /// The number of `one`, and whether it is new.
    fn number(&mut self, one: T) -> (u32, bool) {
        if let Some(number) = self.numbers.get(&one) {
            return (*number, false);
        }
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let one = Arc::new(one);
        self.all.push(Arc::clone(&one));
        self.numbers.insert(one, number);
        (number, true)
    }

    fn get(&self, number: u32) -> &T {
        &self.all[number as usize]
    }
}

impl Past {
    /// How many data points came.
    pub(super) fn data(&self) -> usize {
        self.data
    }

    /// About how much memory this takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the first came; `None` where nothing did.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.moments.keys().next().copied()
    }

    /// A datum came.
    pub(super) fn arrive(&mut self, at: Timestamp, datum: Datum) {
        let Datum { series, second, unit, aggregate, evidence } = datum;
        let names = [&series.region, &series.namespace, &series.name].into_iter();
        let dimensions = series.dimensions.iter().flat_map(|(name, value)| [name, value]);
        let series_bytes: usize = names.chain(dimensions).map(|part| part.len() + 40).sum();
        let (series, is_new) = self.series.number(series);
        let rest = encoded(&unit, &aggregate, &evidence);
        self.data += 1;
        self.bytes += DATUM_BYTES + rest.len() + if is_new { series_bytes } else { 0 };
        self.moment(at).points.push(Point { series, second, rest });
    }

    /// A record with a number came.
    pub(super) fn note(&mut self, at: Timestamp, group: &Group, mark: RecordMark, time: Timestamp) {
        let RecordMark { machine, channel, id, cleared } = mark;
        let log_bytes = group.region.len() + group.name.len() + machine.len() + channel.len() + 160;
        let (log, is_new) = self.logs.number(Log { group: group.clone(), machine, channel });
        self.bytes += MARK_BYTES + if is_new { log_bytes } else { 0 };
        self.moment(at).marks.push(Mark { log, cleared, id, time });
    }

    /// Puts what came at one moment into an order that does not depend on how it was read, and joins data points of one
    /// series, second and unit, as the matcher does.
    pub(super) fn settle(&mut self) {
        let mut moments = std::mem::take(&mut self.moments);
        for moment in moments.values_mut() {
            moment.marks.sort_unstable_by_key(|mark| (mark.log, mark.id, mark.time, mark.cleared));
            moment.points.sort_unstable_by(|point, other| {
                let names = self.series.get(point.series).cmp(self.series.get(other.series));
                names.then_with(|| (point.second, &point.rest).cmp(&(other.second, &other.rest)))
            });
            let mut points = std::mem::take(&mut moment.points);
            let alike =
                |point: &Point, next: &Point| (point.series, point.second) == (next.series, next.second);
            for run in points.chunk_by_mut(alike) {
                self.join(run, &mut moment.points);
            }
        }
        self.moments = moments;
    }

    /// Joins points of one series and second that are of one unit; it stands first in what is encoded.
    fn join(&mut self, run: &mut [Point], joined: &mut Vec<Point>) {
        let (series, second) = (run[0].series, run[0].second);
        if let [point] = run {
            return joined.push(Point { series, second, rest: std::mem::take(&mut point.rest) });
        }
        let bytes =
            |points: &[Point]| points.iter().map(|point| DATUM_BYTES + point.rest.len()).sum::<usize>();
        let before = joined.len();
        let mut data: Vec<Datum> = run.iter().map(|point| self.datum(point)).collect();
        for alike in data.chunk_by_mut(|datum, next| datum.unit == next.unit) {
            let evidence = Evidence::merged(alike.iter().map(|datum| &datum.evidence));
            let [first, others @ ..] = alike else { continue };
            others.iter().for_each(|other| first.aggregate.merge(&other.aggregate));
            joined.push(Point { series, second, rest: encoded(&first.unit, &first.aggregate, &evidence) });
        }
        let added = &joined[before..];
        self.data = self.data - run.len() + added.len();
        self.bytes = (self.bytes + bytes(added)).saturating_sub(bytes(run));
    }

    fn moment(&mut self, at: Timestamp) -> &mut Moment {
        let bytes = &mut self.bytes;
        self.moments.entry(at).or_insert_with(|| {
            *bytes += MOMENT_BYTES;
            Moment::default()
        })
    }

    /// All that came, oldest first.
    pub(super) fn arrivals(&self) -> impl Iterator<Item = Arrival> + '_ {
        self.moments.iter().map(|(at, moment)| Arrival {
            at: *at,
            data: moment.points.iter().map(|point| self.datum(point)).collect(),
            records: self.spans(&moment.marks),
        })
    }

    fn datum(&self, point: &Point) -> Datum {
        let (unit, aggregate, evidence): (Option<String>, Aggregate, Evidence) =
            postcard::from_bytes(&point.rest).expect("it was encoded by `arrive`");
        Datum {
            series: self.series.get(point.series).clone(),
            second: point.second,
            unit,
            aggregate,
            evidence,
        }
    }

    fn spans(&self, marks: &[Mark]) -> RecordSpans {
        let mut spans = RecordSpans::default();
        for mark in marks {
            let Log { group, machine, channel } = self.logs.get(mark.log);
            let (machine, channel) = (machine.clone(), channel.clone());
            spans.note(group, RecordMark { machine, channel, id: mark.id, cleared: mark.cleared }, mark.time);
        }
        spans
    }
}

fn encoded(unit: &Option<String>, aggregate: &Aggregate, evidence: &Evidence) -> Box<[u8]> {
    let rest = postcard::to_stdvec(&(unit, aggregate, evidence)).expect("a datum is plain data");
    rest.into_boxed_slice()
}
