/*!
Incidents: one stay of one contributor in ALARM, from start to end.
*/
