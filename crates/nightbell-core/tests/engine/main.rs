/*!
The engine against slow, obvious ones: lists that are sorted and summed anew for each question.

What is held here, and how strictly:

- `exact`: every transition, to the second, is that of a model that keeps a list, with late, future and reordered data, and
  with a clock that jumps. The order of data inside a step changes nothing at all; how a moment's data is cut into steps
  changes no transition, though it may change the number that is told; restarts at any point change nothing at all.
- `whether`: which contributors fire does not depend on when data arrives inside the lateness, nor does the state in the
  end. *When* they fire does: nothing fires before its data is there.
- `clock`: examples of clocks that jump.
- `cap`: at the cap no alarm is false, and none is missed without "(others)" saying so.

Left out of the first two by nature: alarms of M out of N periods that fire at once. There, late data can make a point
that pushes a breaching one out of the newest N, so arrival order may matter; restarts do not.
*/

mod cap;
mod clock;
mod exact;
mod oracle;
mod whether;
mod world;
