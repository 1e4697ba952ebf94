/*!
What every event that matches a pattern must hold.

A need is sound, never complete: an event without it cannot match, an event with it must still be verified. The rule set
chooses among the needs of a pattern the one that rules out the most.
*/

use crate::fields::Selector;

/// What an event must hold.
#[derive(Clone, Debug)]
pub(crate) enum Need<'p> {
    /// Nothing that could be looked for.
    Nothing,
    /// At least one of these.
    OneOf(Vec<Key<'p>>),
    /// All of these; looking for any one of them is enough.
    All(Vec<Need<'p>>),
    /// At least one of these; all must be looked for.
    Any(Vec<Need<'p>>),
}

/// One thing that can be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key<'p> {
    /// The message contains this text; never empty.
    Text(&'p str),
    /// A value under the selector has the key.
    Field(&'p Selector, FieldKey<'p>),
}

/// What can be looked for in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FieldKey<'p> {
    /// Its text (of a number: as written) is this.
    Text(&'p str),
    /// It is this number, by [`number_key`].
    Number(u64),
    /// It is true.
    True,
    /// It is false.
    False,
    /// It is null or an array that holds null.
    Null,
    /// Its text contains this; never empty.
    Part(&'p str),
    /// It is there, whatever it is.
    Present,
}

impl FieldKey<'_> {
    pub(crate) fn number(number: f64) -> Self {
        Self::Number(number_key(number))
    }
}

/// A key that equal numbers share; both zeros are equal.
pub(crate) fn number_key(number: f64) -> u64 {
    (number + 0.0).to_bits()
}

impl<'p> Need<'p> {
    /// At least one of the texts; nothing when one of them is empty, for every message holds that.
    pub(crate) fn texts(texts: impl IntoIterator<Item = &'p str>) -> Self {
        let keys: Vec<Key<'p>> = texts.into_iter().map(Key::Text).collect();
        if keys.contains(&Key::Text("")) { Self::Nothing } else { Self::OneOf(keys) }
    }

    /// At least one of the keys under `selector`.
    pub(crate) fn fields(selector: &'p Selector, keys: Vec<FieldKey<'p>>) -> Self {
        Self::OneOf(keys.into_iter().map(|key| Key::Field(selector, key)).collect())
    }

    /// Calls `visit` with each key in it.
    pub(crate) fn keys(&self, visit: &mut dyn FnMut(Key<'p>)) {
        match self {
            Self::Nothing => {}
            Self::OneOf(keys) => keys.iter().copied().for_each(visit),
            Self::All(needs) | Self::Any(needs) => needs.iter().for_each(|need| need.keys(visit)),
        }
    }
}
