/*!
[`Tally`]: events that one query cannot tell apart, counted by columns of the archive and fed to the query once for all.

A row group is counted by the numbers its columns keep for their values, without a look at single events. What is counted
goes into the query's run when [`Tally::pour`] is called, so several pieces feed each kind of event once.
*/

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use nightbell_core::fields::{Fields, Selector, Subject, Value};
use nightbell_core::logsql::{Query, Row, Run, RunError};
use nightbell_core::time::Timestamp;
use nightbell_store::archive::{Coded, Codes, Field, Kinds};

/// Bytes that a kind of event is counted with beyond the texts of its values.
const KIND_BYTES: usize = 64;

/// What a query looks at, as places among the columns that are read.
#[derive(Clone, Debug)]
pub(super) struct Looks {
    /// The fields, each with its place among those that are read for all queries.
    fields: Vec<(Field, usize)>,
    /// Whether it looks at the log stream.
    pub(super) stream: bool,
    /// Whether it looks at times.
    pub(super) timed: bool,
    /// Fields, by their place, that must be one of these texts.
    must_be: Vec<(usize, Vec<String>)>,
}

impl Looks {
    /// What a query looks at, where `columns` are read; `None` where it looks at more.
    pub(super) fn of(query: &Query, columns: &[Field]) -> Option<Self> {
        let alike = query.alike()?;
        let place = |ways: &&[Selector]| {
            let field = Field::asked_for(ways)?;
            Some((field, columns.iter().position(|column| *column == field)?))
        };
        let mut fields = alike.fields.iter().map(place).collect::<Option<Vec<_>>>()?;
        fields.sort_unstable();
        fields.dedup();
        let must_be = query.must_be().into_iter().filter_map(|must| {
            let (_, place) = place(&must.ways)?;
            Some((place, must.texts.into_iter().map(str::to_owned).collect()))
        });
        let must_be = must_be.collect();
        Some(Self { fields, stream: alike.stream, timed: alike.is_timed(), must_be })
    }

    /// The rows that the plainest filters let through; `None` where there are no such filters.
    fn chosen(&self, counted: &Counted<'_>) -> Option<Vec<u32>> {
        // What streams leave out is not counted as read.
        if counted.streams.is_some() {
            return None;
        }
        let mut chosen: Option<Vec<u32>> = None;
        for (place, texts) in &self.must_be {
            let Some(codes) = counted.columns.fields.get(*place).filter(|codes| codes.are_texts()) else {
                continue;
            };
            let mut wanted = vec![false; codes.kinds()];
            codes.numbers_of(texts).into_iter().for_each(|number| wanted[number as usize] = true);
            let is_wanted = |row: &u32| wanted[codes.codes()[*row as usize] as usize];
            chosen = Some(match chosen {
                Some(rows) => rows.into_iter().filter(is_wanted).collect(),
                None => (counted.rows.start as u32..counted.rows.end as u32).filter(is_wanted).collect(),
            });
        }
        chosen
    }
}

/// Rows of a row group that are counted.
pub(crate) struct Counted<'c> {
    /// The columns.
    pub(crate) columns: &'c Coded,
    /// Which of the rows.
    pub(crate) rows: Range<usize>,
    /// Which streams count, where not all do.
    pub(crate) streams: Option<&'c dyn Fn(&str) -> bool>,
}

/// Kinds of events and how many there are of each, for one query and one log group.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The first time of each span of times that is one to the query.
    times: Vec<Timestamp>,
    /// The number of each of these times.
    time_numbers: HashMap<Timestamp, u32, RandomState>,
    streams: Texts,
    fields: Vec<Texts>,
    /// By the numbers of time, stream and fields.
    counts: HashMap<Box<[u32]>, u64, RandomState>,
    /// Those of the first time without a stream and with one field, by the field's number.
    by_field: Vec<u64>,
    /// Events that no filter lets through.
    passed_over: u64,
    bytes: usize,
}

/// Different texts, numbered from 1; 0 stands for none.
#[derive(Debug, Default)]
struct Texts {
    numbers: HashMap<Arc<str>, u32, RandomState>,
    texts: Vec<Arc<str>>,
}

impl Texts {
    fn number(&mut self, text: &str, bytes: &mut usize) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let text: Arc<str> = text.into();
        *bytes += text.len() + KIND_BYTES;
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, self.texts.len() as u32);
        self.texts.len() as u32
    }

    fn text(&self, number: u32) -> Option<&str> {
        self.texts.get((number as usize).checked_sub(1)?).map(|text| &**text)
    }
}

impl Tally {
    /// Counts rows of a row group for the query.
    pub(super) fn count(&mut self, query: &Query, looks: &Looks, counted: &Counted<'_>) {
        if counted.rows.is_empty() {
            return;
        }
        self.fields.resize_with(looks.fields.len(), Texts::default);
        let spans = if looks.timed { spans(query, counted) } else { Vec::new() };
        let by_stream = looks.stream || counted.streams.is_some();
        let streams = counted.columns.streams.as_ref().filter(|_| by_stream);
        let fields: Vec<&Codes> =
            looks.fields.iter().filter_map(|(_, place)| counted.columns.fields.get(*place)).collect();
        let chosen = looks.chosen(counted);
        let by: Vec<&Codes> = streams.iter().copied().chain(fields.iter().copied()).collect();
        let (kinds, passed_over) = kinds(counted, chosen.as_deref(), &spans, &by);
        self.passed_over += passed_over;
        // The number here of each number there, as far as it was needed.
        let mut known: Vec<Vec<Option<u32>>> = fields.iter().map(|codes| vec![None; codes.kinds()]).collect();
        let mut known_streams = vec![None; streams.map_or(0, Codes::kinds)];
        let mut key = Vec::with_capacity(2 + fields.len());
        for (row, count) in kinds {
            key.clear();
            key.push(self.time_number(counted.columns, &spans, row));
            let bytes = &mut self.bytes;
            if let Some(codes) = streams {
                let code = codes.codes()[row];
                let number = known_streams[code as usize].get_or_insert_with(|| {
                    let counts = |text: &str| counted.streams.is_none_or(|counts| counts(text));
                    let mut number = None;
                    codes.show(code, &mut |text| {
                        number = counts(text)
                            .then(|| if looks.stream { self.streams.number(text, bytes) } else { 0 });
                    });
                    number
                });
                let Some(number) = *number else { continue };
                key.push(number);
            } else {
                key.push(0);
            }
            for ((codes, known), texts) in fields.iter().zip(&mut known).zip(&mut self.fields) {
                let code = codes.codes()[row];
                let number = known[code as usize].get_or_insert_with(|| {
                    let mut number = 0;
                    codes.show(code, &mut |text| number = texts.number(text, bytes));
                    number
                });
                key.push(*number);
            }
            if let [0, 0, number] = key[..] {
                self.count_by_field(number as usize, count);
            } else if let Some(held) = self.counts.get_mut(key.as_slice()) {
                *held += count;
            } else {
                *bytes += KIND_BYTES + size_of_val(key.as_slice());
                self.counts.insert(key.as_slice().into(), count);
            }
        }
    }

    fn count_by_field(&mut self, number: usize, count: u64) {
        if let Some(held) = self.by_field.get_mut(number) {
            *held += count;
            return;
        }
        self.bytes += (number + 1 - self.by_field.len()) * size_of::<u64>();
        self.by_field.resize(number + 1, 0);
        self.by_field[number] = count;
    }

    fn time_number(&mut self, columns: &Coded, spans: &[Range<usize>], row: usize) -> u32 {
        let Some(span) = spans.get(spans.partition_point(|span| span.end <= row)) else { return 0 };
        let time = Timestamp::from_millis(columns.times[span.start]);
        *self.time_numbers.entry(time).or_insert_with(|| {
            self.times.push(time);
            self.bytes += KIND_BYTES;
            self.times.len() as u32 - 1
        })
    }

    /// Bytes that it holds, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Feeds what was counted to the run of the query, for events of the log group with this label, and forgets it.
    ///
    /// # Errors
    /// The limit that the run met.
    pub(super) fn pour(&mut self, looks: &Looks, group: &str, run: &mut Run) -> Result<(), RunError> {
        let tally = std::mem::take(self);
        run.pass_over(tally.passed_over);
        let by_field = (0_u32..).zip(&tally.by_field).filter(|(_, count)| **count > 0);
        let by_field = by_field.map(|(number, count)| ([0, 0, number], *count));
        let each = tally.counts.iter().map(|(key, count)| (&**key, *count));
        let by_field: Vec<_> = by_field.collect();
        for (key, count) in by_field.iter().map(|(key, count)| (&key[..], *count)).chain(each) {
            let (Some(time), Some(stream)) = (key.first(), key.get(1)) else { continue };
            let texts = key[2..].iter().zip(&tally.fields).map(|(number, texts)| texts.text(*number));
            let known = Known(looks.fields.iter().map(|(field, _)| *field).zip(texts).collect());
            let time = tally.times.get(*time as usize).copied().unwrap_or_default();
            let stream = tally.streams.text(*stream).unwrap_or_default();
            let subject = Subject::of_fields(Box::new(known), stream);
            // Nothing that has a place or an arrival is looked at.
            let row = Row { time, arrival: time, stream, group, ptr: &"", subject: &subject };
            run.feed_many(&row, count)?;
        }
        Ok(())
    }
}

/// A row of each kind of event with how many there are of it, of the chosen rows or of all, and how many events the others
/// stand for.
fn kinds(
    counted: &Counted<'_>,
    chosen: Option<&[u32]>,
    spans: &[Range<usize>],
    by: &[&Codes],
) -> (Vec<(usize, u64)>, u64) {
    let rows = chosen.map_or(counted.rows.len(), <[u32]>::len);
    let row = |at: usize| chosen.map_or(counted.rows.start + at, |chosen| chosen[at] as usize);
    if let Some(counts) = &counted.columns.counts {
        let kinds: Vec<(usize, u64)> = (0..rows)
            .map(row)
            .map(|row| (row, u64::from(counts[row])))
            .filter(|(_, count)| *count > 0)
            .collect();
        let all: u64 = counts[counted.rows.clone()].iter().map(|count| u64::from(*count)).sum();
        let passed_over = all - kinds.iter().map(|(_, count)| count).sum::<u64>();
        return (kinds, passed_over);
    }
    let passed_over = (counted.rows.len() - rows) as u64;
    if rows == 0 {
        return (Vec::new(), passed_over);
    }
    let mut kinds = Kinds::all(0..rows);
    if spans.len() > 1 {
        let span = |at| spans.partition_point(|span| span.end <= row(at)) as u32;
        kinds.split(&(0..rows).map(span).collect::<Vec<_>>(), spans.len());
    }
    for codes in by {
        match chosen {
            Some(chosen) => {
                let of_chosen: Vec<u32> = chosen.iter().map(|row| codes.codes()[*row as usize]).collect();
                kinds.split(&of_chosen, codes.kinds());
            }
            None => kinds.split(&codes.codes()[counted.rows.start..], codes.kinds()),
        }
    }
    (kinds.counts().into_iter().map(|(at, count)| (row(at), count)).collect(), passed_over)
}

/// The values of one kind of event.
struct Known<'t>(Vec<(Field, Option<&'t str>)>);

impl Fields for Known<'_> {
    fn visit(&self, selector: &Selector, visit: &mut dyn FnMut(Value<'_>)) {
        if let Some((_, Some(text))) = self.0.iter().find(|(field, _)| field.selector() == selector) {
            visit(Value::Text(text));
        }
    }
}

/// The rows in spans of times that are one to the query.
fn spans(query: &Query, counted: &Counted<'_>) -> Vec<Range<usize>> {
    let Some(alike) = query.alike() else { return Vec::new() };
    let times = &counted.columns.times;
    let (mut spans, mut start) = (Vec::new(), counted.rows.start);
    while start < counted.rows.end {
        let first = Timestamp::from_millis(times[start]);
        let rest = &times[start..counted.rows.end];
        let length =
            rest.partition_point(|time| alike.is_same_time(first, Timestamp::from_millis(*time))).max(1);
        spans.push(start..start + length);
        start += length;
    }
    spans
}
