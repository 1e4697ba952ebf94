/*!
A fair sample of events: each has the same chance to be kept, however many there are (Vitter, "Random Sampling with a
Reservoir", algorithm R), within limits of number and bytes.
*/

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Seen, Update};

/// The events of one update while they are gathered.
pub(super) struct Sample {
    chance: StdRng,
    events_max: usize,
    bytes_max: usize,
    /// Each with its number among those offered and its bytes.
    kept: Vec<(u64, usize, Seen)>,
    bytes: usize,
    offered: u64,
    missed: bool,
}

impl Sample {
    /// An empty sample of at most so many events and bytes.
    pub(super) fn new(events_max: usize, bytes_max: usize) -> Self {
        let chance = StdRng::from_rng(&mut rand::rng());
        Self { chance, events_max, bytes_max, kept: Vec::new(), bytes: 0, offered: 0, missed: false }
    }

    /// Takes an event of so many bytes, by chance where there is no room for all; `seen` is called only if it is kept.
    pub(super) fn offer(&mut self, bytes: usize, seen: impl FnOnce() -> Seen) {
        self.offered += 1;
        if bytes > self.bytes_max {
            return;
        }
        if self.kept.len() >= self.events_max {
            let place = self.chance.random_range(0..self.offered);
            if place >= self.events_max as u64 {
                return;
            }
            self.drop_at(place as usize);
        }
        self.kept.push((self.offered, bytes, seen()));
        self.bytes += bytes;
        while self.bytes > self.bytes_max {
            let place = self.chance.random_range(0..self.kept.len());
            self.drop_at(place);
            // So many had room; from here on as many are kept.
            self.events_max = self.kept.len().max(1);
        }
    }

    /// Notes that events were passed over unseen.
    pub(super) fn miss(&mut self) {
        self.missed = true;
    }

    /// What was kept, in the order in which it came.
    pub(super) fn into_update(mut self) -> Update {
        let sampled = self.missed || self.offered > self.kept.len() as u64;
        self.kept.sort_unstable_by_key(|(number, ..)| *number);
        Update { events: self.kept.into_iter().map(|(.., seen)| seen).collect(), sampled }
    }

    fn drop_at(&mut self, place: usize) {
        let (_, bytes, _) = self.kept.swap_remove(place);
        self.bytes -= bytes;
    }
}

#[cfg(test)]
mod tests {
    use nightbell_core::time::Timestamp;

    use super::*;

    fn offer(sample: &mut Sample, number: i64, bytes: usize) {
        sample.offer(bytes, || Seen {
            group: 0,
            stream: String::new(),
            time: Timestamp::from_millis(number),
            arrival: Timestamp::default(),
            message: String::new(),
        });
    }

    fn numbers(update: &Update) -> Vec<i64> {
        update.events.iter().map(|seen| seen.time.as_millis()).collect()
    }

    #[test]
    fn all_are_kept_in_order_while_there_is_room() {
        let mut sample = Sample::new(3, 30);
        (0..3).for_each(|number| offer(&mut sample, number, 10));
        let update = sample.into_update();
        assert_eq!((numbers(&update), update.sampled), (vec![0, 1, 2], false));
        assert!(!Sample::new(3, 30).into_update().sampled);
    }

    #[test]
    fn of_too_many_each_has_the_same_chance() {
        let mut by_tenth = [0; 10];
        for _ in 0..40 {
            let mut sample = Sample::new(50, usize::MAX);
            (0..1_000).for_each(|number| offer(&mut sample, number, 1));
            let update = sample.into_update();
            let kept = numbers(&update);
            assert!(update.sampled && kept.len() == 50 && kept.is_sorted(), "{kept:?}");
            kept.iter().for_each(|number| by_tenth[*number as usize / 100] += 1);
        }
        // 200 are expected of each tenth; 100 away is seven standard deviations.
        assert!(by_tenth.iter().all(|count| (100..300).contains(count)), "{by_tenth:?}");
    }

    #[test]
    fn bytes_have_a_limit_as_well() {
        let mut sample = Sample::new(500, 1_000);
        (0..400).for_each(|number| offer(&mut sample, number, 100));
        assert!(sample.bytes <= 1_000 && sample.kept.len() <= 10);
        let update = sample.into_update();
        assert!(update.sampled && !update.events.is_empty());
        let mut sample = Sample::new(500, 1_000);
        offer(&mut sample, 0, 1_001);
        offer(&mut sample, 1, 1_000);
        let update = sample.into_update();
        assert_eq!((numbers(&update), update.sampled), (vec![1], true));
    }

    #[test]
    fn what_was_passed_over_counts_as_left_out() {
        let mut sample = Sample::new(3, 30);
        sample.miss();
        assert!(sample.into_update().sampled);
    }
}
