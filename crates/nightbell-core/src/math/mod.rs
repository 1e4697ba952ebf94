/*!
Metric math: expressions over series of points.
*/
