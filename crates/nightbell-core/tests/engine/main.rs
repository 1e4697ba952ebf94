/*!
The engine against slow, obvious ones: lists that are summed anew for each question.

`exact`: each transition and each incident is that of a list, whatever is late, ahead or jumps; order, batches and restarts
change nothing, as far as each test says. `whether`: who fires, and who is in ALARM in the end, is in the data alone; *when*
is not, for nothing fires before its data is there. `clock`: examples of clocks that jump. `cap`: with too many contributors
no alarm is false, and none is missed without "(others)" saying so. Left out of all but order and restarts: alarms of M out
of N periods that fire at once, where late data can push a breaching point out of the newest N.
*/

mod cap;
mod clock;
mod exact;
mod oracle;
mod whether;
mod world;
