/*!
Stacks: resources that are made, changed and deleted together, as a template says (AWS CloudFormation).

`plan` compares what there is with what a template asks for; `engine` carries that out in the background, a resource at a time, for the
caller who asked (`actor`), by asking for operations as a client would (`resources`). Before each step its intent is on disk, and after
it its result, so that a crash ends nothing in the middle. `events` tells what happened. The operations themselves are in
`aws::cloudformation`.
*/

pub(crate) mod actor;
pub(crate) mod change_sets;
pub(crate) mod engine;
pub(crate) mod events;
pub(crate) mod plan;
pub(crate) mod records;
pub(crate) mod resources;
pub(crate) mod status;
