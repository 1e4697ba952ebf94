/*!
Gaps in the record numbers that each channel of a Windows machine counts without holes.
*/
