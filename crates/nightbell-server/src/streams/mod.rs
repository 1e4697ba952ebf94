/*!
Delivery streams at work: what waits for each ([`buffers`]), where it goes ([`plan`]), what is done to it on its way
([`processing`]), and how it gets there ([`delivery`]).

What streams there are is `manage::streams`'; when something is sent is `run::courier`'s.
*/

pub(crate) mod buffers;
pub(crate) mod delivery;
pub(crate) mod plan;
pub(crate) mod processing;
